/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/asker.h"

#include <assert.h>
#include <stdlib.h>

#include "dht/mac.h"

#define PING_SLOTS          256u
#define UNREACHABLE_US      60000000ull /* of a contact known by hearsay */
#define UNREACHABLE_OURS_US 2000000ull  /* of one in our table: its pings know better soon */
/* In a row. Two would do on clean links; with one packet in a hundred lost they hide live roots for
 * the whole minute: about 1 get in 5000 missed in the network test, with three 1 in 15000. */
#define UNREACHABLE_FAILURES 3
#define REPORT_US            50000ull
#define FIRE_LIMIT           4096

struct dht_asker *dht_asker_create(const struct dht_config *config, unsigned worker,
                                   struct dht_mac *mac, const struct dht_asker_host *host,
                                   const uint8_t seed[32], struct now now)
{
    assert(worker < DHT_ASKER_CONTROL && config->lookups >= 1 && config->prefix_bits >= 1);
    struct dht_asker *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->config = *config;
    a->worker = worker;
    a->mac = mac;
    a->host = *host;
    rng_init(&a->rng, seed);
    rng_bytes(&a->rng, a->peers.secret.bytes, sizeof(a->peers.secret.bytes));
    wheel_init(&a->rpc_wheel, now.mono_us);
    wheel_init(&a->lookup_wheel, now.mono_us);

    a->lookups = config->lookups;
    a->slots = config->lookups * LOOKUP_INFLIGHT + PING_SLOTS;
    if (a->slots > 1u << RPC_TID_SLOT_BITS)
        a->slots = 1u << RPC_TID_SLOT_BITS;
    a->slot = calloc(a->slots, sizeof(*a->slot));
    a->lookup = calloc(a->lookups, sizeof(*a->lookup));
    if (!a->slot || !a->lookup) {
        dht_asker_destroy(a);
        return NULL;
    }
    for (uint32_t i = 0; i < a->slots; i++)
        a->slot[i].next = i + 1 < a->slots ? &a->slot[i + 1] : NULL;
    a->free_first = &a->slot[0];
    a->free_last = &a->slot[a->slots - 1];
    a->free_slots = a->slots;
    for (uint32_t i = 0; i < a->lookups; i++)
        a->lookup[i].next_free = i + 1 < a->lookups ? i + 2 : 0;
    a->free_lookup = 1;
    return a;
}

void dht_asker_destroy(struct dht_asker *a)
{
    if (!a)
        return;
    free(a->slot);
    free(a->lookup);
    free(a);
}

void dht_asker_routes(struct dht_asker *a, const struct dht_routes *routes)
{
    a->routes = routes;
}

static bool is_self(const struct dht_asker *a, const struct dht_id *id)
{
    return id_eq(id, &a->routes->self.id);
}

/* --- slots -------------------------------------------------------------------------------------
 */

static struct slot *slot_take(struct dht_asker *a)
{
    struct slot *s = a->free_first;
    if (!s)
        return NULL;
    a->free_first = s->next;
    if (!a->free_first)
        a->free_last = NULL;
    a->free_slots--;
    s->next = NULL;
    return s;
}

/* At the end: the longer the free ones rest, the later an answer may be. */
static void slot_give(struct dht_asker *a, struct slot *s)
{
    wheel_stop(&a->rpc_wheel, &s->timer);
    s->waiting = false;
    s->lookup = LOOKUP_NONE;
    s->next = NULL;
    if (a->free_last)
        a->free_last->next = s;
    else
        a->free_first = s;
    a->free_last = s;
    a->free_slots++;
}

/* Takes the slot out of its lookup, which is returned (NULL: none). */
static struct lookup *slot_detach(struct dht_asker *a, struct slot *s)
{
    if (s->lookup == LOOKUP_NONE)
        return NULL;
    struct lookup *l = &a->lookup[s->lookup];
    for (unsigned i = 0; i < LOOKUP_INFLIGHT; i++) {
        if (l->slot[i] == s) {
            l->slot[i] = NULL;
            l->inflight--;
        }
    }
    s->lookup = LOOKUP_NONE;
    return l;
}

void asker_detach(struct dht_asker *a, struct lookup *l)
{
    for (unsigned i = 0; i < LOOKUP_INFLIGHT; i++)
        if (l->slot[i])
            slot_detach(a, l->slot[i]);
}

/* Our proxy's address, as others name it. */
static struct endpoint own_http(const struct dht_contact *self)
{
    return (struct endpoint){addr_is_zero(&self->v4) ? self->v6 : self->v4, self->http_port};
}

/* Writes, signs and sends what the slot stands for, under a new tid. */
static void slot_send(struct dht_asker *a, struct slot *s, struct now now)
{
    struct peer *p = peers_get(&a->peers, &s->id, &s->rpc, now);
    uint64_t number = (uint64_t)(s - a->slot);
    s->tid = (uint64_t)a->worker << RPC_TID_WORKER | number << RPC_TID_SLOT |
             (rng_u64(&a->rng) & ((1ull << RPC_TID_SLOT) - 1));
    s->sent_us = now.mono_us;
    s->waiting = true;
    wheel_arm(&a->rpc_wheel, &s->timer,
              now.mono_us + peer_timeout_us(p, 1000ull * a->config.rpc_timeout_ms));

    struct rpc ask;
    memset(&ask, 0, sizeof(ask));
    ask.type = s->type;
    ask.wanted = RPC_LEVEL_0;
    ask.key_id = dht_mac_key_id(a->mac);
    ask.tid = s->tid;
    ask.cookie = p->cookie;
    ask.from = a->routes->self;
    if (s->lookup != LOOKUP_NONE) {
        ask.key = a->lookup[s->lookup].key;
        ask.ttl_ms = a->lookup[s->lookup].ttl_ms;
        ask.http = own_http(&a->routes->self);
    }
    uint8_t packet[RPC_MAX];
    size_t len = rpc_write(&ask, packet, sizeof(packet));
    assert(len > 0);
    dht_mac_sign(a->mac, packet, len - RPC_TAG, packet + len - RPC_TAG);
    counter_inc(&a->counters.dht_rpcs_total);
    if (!a->host.udp.send(a->host.udp.ctx, a->routes->self.rpc.port, &s->rpc, packet, len))
        counter_inc(&a->counters.dht_rpcs_refused_total);
}

struct slot *asker_send(struct dht_asker *a, uint8_t type, struct lookup *l, unsigned hop,
                        const struct dht_id *id, const struct endpoint *rpc, struct now now)
{
    struct slot *s = slot_take(a);
    if (!s) {
        counter_inc(&a->counters.dht_rpcs_refused_total);
        return NULL;
    }
    s->type = type;
    s->id = *id;
    s->rpc = *rpc;
    s->has_cookied = false;
    s->lookup = LOOKUP_NONE;
    if (l) {
        s->lookup = (uint32_t)(l - a->lookup);
        s->hop = (uint8_t)hop;
        for (unsigned i = 0; i < LOOKUP_INFLIGHT; i++) {
            if (!l->slot[i]) {
                l->slot[i] = s;
                l->inflight++;
                break;
            }
        }
    }
    slot_send(a, s, now);
    return s;
}

void dht_ping(struct dht_asker *a, const struct endpoint *to, const struct dht_id *who,
              struct now now)
{
    struct dht_id id = who ? *who : dht_node_id(to);
    /* lookups always find the slots that their bound promises */
    if (!a->routes || a->free_slots <= (uint64_t)(a->lookups - a->running) * LOOKUP_INFLIGHT) {
        counter_inc(&a->counters.dht_rpcs_refused_total);
        return;
    }
    asker_send(a, RPC_PING, NULL, 0, &id, to, now);
}

/* --- replies ------------------------------------------------------------------------------------
 */

/* The slot that a reply belongs to: by its tid, from the address asked, by the ID asked. */
static struct slot *reply_slot(struct dht_asker *a, const struct datagram *d, const struct rpc *r)
{
    uint64_t number = r->tid >> RPC_TID_SLOT & ((1u << RPC_TID_SLOT_BITS) - 1);
    if (r->tid >> RPC_TID_WORKER != a->worker || number >= a->slots)
        return NULL;
    struct slot *s = &a->slot[number];
    if (s->tid != r->tid || s->tid == 0 || !endpoint_eq(&s->rpc, &d->from) ||
        !id_eq(&s->id, &r->from.id))
        return NULL;
    return r->type == s->type || (r->type == RPC_COOKIE && s->type != RPC_PING) ? s : NULL;
}

/* Parsed, expected, authentic, and by whom it says? Else counted by its reason. */
static struct slot *reply_admit(struct dht_asker *a, const struct datagram *d, struct rpc *r,
                                struct now now)
{
    struct dht_counters *c = &a->counters;
    enum rpc_error error = rpc_read(d->data, d->len, r);
    if (error != RPC_OK) {
        rpc_count_error(c, error);
        return NULL;
    }
    if (!(r->flags & RPC_REPLY)) {
        counter_inc(&c->dht_drop_type_total);
        return NULL;
    }
    struct slot *s = reply_slot(a, d, r);
    if (!s) {
        counter_inc(&c->dht_drop_unexpected_total);
        return NULL;
    }
    size_t len = d->len - RPC_TAG;
    if (!dht_mac_verify(a->mac, r->key_id, d->data, len, d->data + len)) {
        counter_inc(&c->dht_drop_mac_total);
        return NULL;
    }
    if (!endpoint_eq(&r->from.rpc, &d->from)) {
        counter_inc(&c->dht_drop_source_total);
        return NULL;
    }
    struct peer *p = peers_get(&a->peers, &s->id, &s->rpc, now);
    struct dht_id id = p->verified ? s->id : dht_node_id(&d->from);
    if (!id_eq(&id, &r->from.id)) {
        counter_inc(&c->dht_drop_id_total);
        return NULL;
    }
    p->verified = true;
    return s;
}

/* It lives, and it takes so long. */
static void reply_note(struct dht_asker *a, struct peer *p, const struct rpc *r, uint64_t rtt_us,
                       struct now now)
{
    bool news = p->failures > 0 || p->reported_us == 0 ||
                now.mono_us - p->reported_us >= REPORT_US || r->type == RPC_PING;
    uint32_t rtt = rtt_us < UINT32_MAX ? (uint32_t)rtt_us : UINT32_MAX;
    peer_sample(p, rtt);
    p->cookie = r->cookie;
    p->failures = 0;
    p->unreachable_until_us = 0;
    if (!news || is_self(a, &p->id))
        return;
    p->reported_us = now.mono_us;
    if (a->host.answered)
        a->host.answered(a->host.ctx, &r->from, p->srtt_us, now);
}

void dht_asker_input(struct dht_asker *a, const struct datagram *reply, struct now now)
{
    struct rpc r;
    if (!a->routes)
        return;
    struct slot *s = reply_admit(a, reply, &r, now);
    if (!s)
        return;
    reply_note(a, peers_get(&a->peers, &s->id, &s->rpc, now), &r, now.mono_us - s->sent_us, now);
    s->tid = 0;
    if (!s->waiting) {
        counter_inc(&a->counters.dht_answers_late_total);
        return;
    }
    if (r.type == RPC_COOKIE && !s->has_cookied && s->lookup != LOOKUP_NONE) {
        s->has_cookied = true;
        slot_send(a, s, now); /* the same question, with the cookie that we have now */
        return;
    }
    counter_inc(&a->counters.dht_answers_total);
    unsigned hop = s->hop;
    uint8_t type = s->type;
    struct lookup *l = slot_detach(a, s);
    slot_give(a, s);
    if (!l)
        return;
    if (r.type == RPC_COOKIE) /* takes no cookie, not even its own: no use */
        lookup_timed_out(a, l, hop, type, now);
    else
        lookup_answered(a, l, hop, &r, now);
}

/* --- time
 * ----------------------------------------------------------------------------------------- */

struct firing {
    struct dht_asker *a;
    struct now now;
};

static void slot_fire(void *ctx, struct timer *t)
{
    struct firing *f = ctx;
    struct dht_asker *a = f->a;
    struct slot *s = (struct slot *)((char *)t - offsetof(struct slot, timer));
    unsigned hop = s->hop;
    uint8_t type = s->type;
    struct dht_id id = s->id;
    counter_inc(&a->counters.dht_timeouts_total);

    struct peer *p = peers_get(&a->peers, &s->id, &s->rpc, f->now);
    if (p->failures < UINT8_MAX)
        p->failures++;
    if (p->failures >= UNREACHABLE_FAILURES)
        p->unreachable_until_us =
            f->now.mono_us + (routes_find(a->routes, &id) ? UNREACHABLE_OURS_US : UNREACHABLE_US);
    struct lookup *l = slot_detach(a, s);
    slot_give(a, s);
    if (l)
        lookup_timed_out(a, l, hop, type, f->now);
    if (a->host.timed_out && !is_self(a, &id))
        a->host.timed_out(a->host.ctx, &id, f->now);
}

static void lookup_fire(void *ctx, struct timer *t)
{
    struct firing *f = ctx;
    lookup_timer(f->a, (struct lookup *)((char *)t - offsetof(struct lookup, timer)), f->now);
}

void dht_asker_poll(struct dht_asker *a, struct now now)
{
    struct firing f = {a, now};
    wheel_advance(&a->rpc_wheel, now.mono_us, FIRE_LIMIT, slot_fire, &f);
    wheel_advance(&a->lookup_wheel, now.mono_us, FIRE_LIMIT, lookup_fire, &f);
}

uint64_t dht_asker_deadline_us(const struct dht_asker *a)
{
    uint64_t rpc = wheel_next_us(&a->rpc_wheel), lookup = wheel_next_us(&a->lookup_wheel);
    return rpc < lookup ? rpc : lookup;
}

const struct dht_counters *dht_asker_counters(const struct dht_asker *a)
{
    return &a->counters;
}
