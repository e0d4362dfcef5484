/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The neighbour table of both families: a hash with chains over a fixed array.
 *
 *   (none) --wanted--> INCOMPLETE --answer--> REACHABLE --60 s--> STALE --in use: ask--> REACHABLE
 *                          |                                        |
 *                          +------- 3 asks without an answer -------+--> (none)
 *
 * Entries are learned from ARP and neighbour discovery only, never from data packets, so that a
 * forged source address moves nothing.
 */
#include <string.h>

#include "base/hash.h"
#include "dataplane/net/private.h"

#define NEIGHBOUR_FRESH_US (60 * 1000000ull)
#define NEIGHBOUR_IDLE_US  (600 * 1000000ull)
#define NEIGHBOUR_ASK_US   1000000ull
#define NEIGHBOUR_ASKS     3
#define NEIGHBOUR_SAMPLE   16 /* entries looked at to displace one */

static uint16_t *bucket_of(struct neighbour_table *t, const struct addr *ip)
{
    return &t->bucket[XXH3_64bits_withSeed(ip->b, 16, t->seed) & (NET_NEIGHBOURS - 1)];
}

void neighbour_init(struct net *n)
{
    struct neighbour_table *t = &n->table;

    memcpy(&t->seed, n->config.mac, 6);
    for (unsigned i = 0; i < NET_NEIGHBOURS; i++) {
        t->bucket[i] = NEIGHBOUR_NIL;
        t->entry[i].next = (uint16_t)(i + 1 < NET_NEIGHBOURS ? i + 1 : NEIGHBOUR_NIL);
    }
    t->free = 0;
}

struct neighbour *neighbour_find(struct net *n, const struct addr *ip)
{
    struct neighbour_table *t = &n->table;

    for (uint16_t i = *bucket_of(t, ip); i != NEIGHBOUR_NIL; i = t->entry[i].next)
        if (addr_eq(&t->entry[i].ip, ip))
            return &t->entry[i];
    return NULL;
}

static void forget(struct net *n, struct neighbour *e)
{
    struct neighbour_table *t = &n->table;
    uint16_t self = (uint16_t)(e - t->entry);
    uint16_t *at = bucket_of(t, &e->ip);

    while (*at != self)
        at = &t->entry[*at].next;
    *at = e->next;
    memset(n->route, 0, sizeof(n->route));
    e->state = NEIGHBOUR_FREE;
    e->next = t->free;
    t->free = self;
    counter_add(&n->counters.net_neighbours, (uint64_t)-1);
}

static bool is_gateway(const struct net *n, const struct addr *ip)
{
    return addr_eq(ip, &n->config.gateway_v4) || addr_eq(ip, &n->config.gateway_v6);
}

/* A full table displaces, of a few, one without an answer, else the one longest unused. Never
 * a gateway. */
static void displace(struct net *n)
{
    struct neighbour_table *t = &n->table;
    struct neighbour *worst = NULL;

    for (unsigned i = 0; i < NEIGHBOUR_SAMPLE; i++) {
        struct neighbour *e = &t->entry[t->hand];
        t->hand = (uint16_t)((t->hand + 1) & (NET_NEIGHBOURS - 1));
        if (is_gateway(n, &e->ip))
            continue;
        bool asked = e->state == NEIGHBOUR_INCOMPLETE;
        bool worst_asked = worst && worst->state == NEIGHBOUR_INCOMPLETE;
        if (!worst || asked > worst_asked || (asked == worst_asked && e->used_us < worst->used_us))
            worst = e;
    }
    counter_inc(&n->counters.net_neighbours_evicted_total);
    forget(n, worst);
}

struct neighbour *neighbour_take(struct net *n, const struct addr *ip, struct now now)
{
    struct neighbour_table *t = &n->table;
    struct neighbour *e = neighbour_find(n, ip);

    if (e)
        return e;
    if (t->free == NEIGHBOUR_NIL)
        displace(n);
    e = &t->entry[t->free];
    t->free = e->next;
    uint16_t *bucket = bucket_of(t, ip);
    *e = (struct neighbour){
        .ip = *ip, .state = NEIGHBOUR_INCOMPLETE, .next = *bucket, .used_us = now.mono_us};
    *bucket = (uint16_t)(e - t->entry);
    counter_inc(&n->counters.net_neighbours);
    return e;
}

static void record(struct neighbour *e, const uint8_t mac[6], bool reachable, struct now now)
{
    memcpy(e->mac, mac, 6);
    e->state = reachable ? NEIGHBOUR_REACHABLE : NEIGHBOUR_STALE;
    e->confirmed_us = now.mono_us;
    e->asked = 0;
}

void neighbour_confirm(struct net *n, struct neighbour *e, const uint8_t mac[6], bool reachable,
                       struct now now)
{
    record(e, mac, reachable, now);
    if (n->host.learned)
        n->host.learned(n->host.ctx, &e->ip, mac);
}

void net_neighbour_set(struct net *n, const struct addr *ip, const uint8_t mac[6], struct now now)
{
    record(neighbour_take(n, ip, now), mac, true, now);
}

void neighbour_ask(struct net *n, struct neighbour *e, struct now now)
{
    if (e->asked > 0 && now.mono_us - e->asked_us < NEIGHBOUR_ASK_US)
        return;
    if (!rate_take(&n->solicitations, now)) {
        counter_inc(&n->counters.net_solicitations_limited_total);
        return;
    }
    e->asked_us = now.mono_us;
    if (e->asked < NEIGHBOUR_ASKS)
        e->asked++;
    if (addr_is_v4(&e->ip))
        net_arp_ask(n, &e->ip);
    else
        net_nd_ask(n, &e->ip);
}

/* One entry's age. Returns true when it is to be forgotten. */
static bool age(struct net *n, struct neighbour *e, struct now now)
{
    bool in_use = now.mono_us - e->used_us < NEIGHBOUR_FRESH_US;

    if (e->state == NEIGHBOUR_REACHABLE && now.mono_us - e->confirmed_us >= NEIGHBOUR_FRESH_US)
        e->state = NEIGHBOUR_STALE;
    if (e->state == NEIGHBOUR_REACHABLE)
        return false;
    if (e->state == NEIGHBOUR_STALE && !in_use)
        return now.mono_us - e->used_us >= NEIGHBOUR_IDLE_US;
    if (e->asked >= NEIGHBOUR_ASKS && now.mono_us - e->asked_us >= NEIGHBOUR_ASK_US) {
        counter_inc(&n->counters.net_neighbours_lost_total);
        return true;
    }
    neighbour_ask(n, e, now);
    return false;
}

void net_tick(struct net *n, struct now now)
{
    for (unsigned i = 0; i < NET_NEIGHBOURS; i++) {
        struct neighbour *e = &n->table.entry[i];
        if (e->state != NEIGHBOUR_FREE && age(n, e, now))
            forget(n, e);
    }
}
