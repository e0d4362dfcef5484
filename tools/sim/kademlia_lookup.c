/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/kademlia_lookup.h"

#include <string.h>

#include "tools/sim/mix.h"

#define ASKS_MAX  256u /* a lookup's RPCs: it ends even where everybody is down */
#define MIX_VALUE (MIX_CALLER + 1001)

/* ---- a lookup's candidates ---- */

static struct kademlia_candidate *candidate_find(struct kademlia_lookup *l, uint32_t node)
{
    for (unsigned i = 0; i < l->n; i++)
        if (l->at[i].node == node)
            return &l->at[i];
    return NULL;
}

/* Whoever is known already stays as he is. A full list forgets its last. */
static void candidate_add(struct kademlia *k, struct kademlia_lookup *l, uint32_t node,
                          unsigned depth, enum kademlia_state state)
{
    uint64_t distance = kademlia_id(k->tables, node) ^ l->key;
    unsigned i = l->n;
    while (i > 0 && l->at[i - 1].distance > distance)
        i--;
    if (i == KADEMLIA_LIST || (i > 0 && l->at[i - 1].node == node))
        return;
    if (l->n == KADEMLIA_LIST)
        l->in_flight -= l->at[--l->n].state == ASKED;
    memmove(&l->at[i + 1], &l->at[i], (l->n - i) * sizeof(l->at[0]));
    l->at[i] = (struct kademlia_candidate){distance, node, (uint16_t)depth, (uint8_t)state};
    l->n++;
}

/* ---- a lookup's end ---- */

void kademlia_lookup_give_back(struct kademlia *k, struct kademlia_lookup *l)
{
    if (!l->ended || l->pending > 0)
        return;
    l->next = k->lookup_free;
    k->lookup_free = (uint32_t)(l - k->lookup);
}

static void closest_that_answered(const struct kademlia *k, const struct kademlia_lookup *l,
                                  struct kademlia_result *r)
{
    for (unsigned i = 0; i < l->n && r->n < k->params.k; i++) {
        const struct kademlia_candidate *c = &l->at[i];
        if (c->state != ANSWERED && c->state != STORED)
            continue;
        if (r->n == 0)
            r->hops = c->depth;
        r->closest[r->n++] = c->node;
    }
}

static void lookup_end(struct kademlia *k, struct kademlia_lookup *l, enum kademlia_end end,
                       const struct kademlia_candidate *had, uint32_t holder)
{
    l->ended = true;
    if (l->what == KADEMLIA_JOIN || !k->params.done)
        return;
    struct kademlia_result r = {.what = l->what,
                                .end = end,
                                .node = l->node,
                                .key = l->key,
                                .tag = l->tag,
                                .latency_us = k->now_us - l->start_us,
                                .asks = l->asks,
                                .timeouts = l->timeouts,
                                .stores = l->stores,
                                .holder = holder};
    closest_that_answered(k, l, &r);
    if (had)
        r.hops = had->depth;
    if (holder != KADEMLIA_NOBODY && holder != l->node)
        r.holder_rtt_us = planet_rtt_us(k->planet, l->node, holder);
    k->params.done(k->params.ctx, &r);
}

/* ---- a lookup's steps ---- */

/* Without a time-out pending nothing is sent, or the lookup might wait for ever. */
static void ask(struct kademlia *k, struct kademlia_lookup *l, struct kademlia_candidate *c,
                enum kademlia_event kind)
{
    c->state = FAILED;
    if (!kademlia_timeout_set(k, l, k->now_us + k->params.timeout_us,
                              kind == EVENT_STORE ? EVENT_STORE_TIMEOUT : EVENT_FIND_TIMEOUT,
                              c->node))
        return;
    c->state = ASKED;
    l->in_flight++;
    kademlia_message_send(k, l, l->node, c->node, kind, KADEMLIA_NOBODY);
}

/* STOREs at the k closest that answered; the asker stores its own without a word. */
static void begin_storing(struct kademlia *k, struct kademlia_lookup *l)
{
    l->storing = true;
    l->in_flight = 0;
    unsigned chosen = 0;
    for (unsigned i = 0; i < l->n; i++) {
        struct kademlia_candidate *c = &l->at[i];
        if (c->state == NEW || c->state == ASKED)
            c->state = FAILED; /* too late: given up */
        if (c->state != ANSWERED || chosen == k->params.k)
            continue;
        chosen++;
        if (c->node != l->node) {
            ask(k, l, c, EVENT_STORE);
            continue;
        }
        c->state = STORED;
        l->stores++;
        kademlia_store_arrived(k, l, l->node);
    }
}

/* A put's end, once all STOREs are answered or timed out. */
static void maybe_stored(struct kademlia *k, struct kademlia_lookup *l)
{
    if (l->in_flight == 0)
        lookup_end(k, l, l->stores > 0 ? KADEMLIA_REACHED : KADEMLIA_FAILED, NULL, KADEMLIA_NOBODY);
}

/* The k closest that are left have answered. */
static void converged(struct kademlia *k, struct kademlia_lookup *l)
{
    if (l->answers == 0) { /* nobody in the table, or none that answers */
        lookup_end(k, l, KADEMLIA_FAILED, NULL, KADEMLIA_NOBODY);
    } else if (l->what == KADEMLIA_PUT) {
        begin_storing(k, l);
        maybe_stored(k, l);
    } else {
        lookup_end(k, l, l->what == KADEMLIA_GET ? KADEMLIA_NOT_FOUND : KADEMLIA_REACHED, NULL,
                   KADEMLIA_NOBODY);
    }
}

/* Asks whom it is time to ask; ends when there is nobody left. */
static void advance(struct kademlia *k, struct kademlia_lookup *l)
{
    bool waiting = false;
    unsigned good = 0;
    for (unsigned i = 0; i < l->n && good < k->params.k; i++) {
        struct kademlia_candidate *c = &l->at[i];
        if (c->state == NEW && l->in_flight < k->params.alpha && l->asks < ASKS_MAX) {
            l->asks++;
            ask(k, l, c, EVENT_FIND);
        }
        good += c->state != FAILED;
        waiting = waiting || c->state == ASKED || (c->state == NEW && l->in_flight > 0);
    }
    if (!waiting)
        converged(k, l);
}

uint64_t kademlia_lookup_luck(const struct kademlia *k, const struct kademlia_lookup *l)
{
    return mix(k->seed, l->node, l->start_us, MIX_VALUE);
}

bool kademlia_lookup_begin(struct kademlia *k, enum kademlia_what what, uint32_t node, uint64_t key,
                           uint64_t ttl_us, uint64_t tag)
{
    if (!k->up[node] || k->lookup_free == KADEMLIA_NOBODY)
        return false;
    struct kademlia_lookup *l = &k->lookup[k->lookup_free];
    k->lookup_free = l->next;
    l->key = key;
    l->tag = tag;
    l->start_us = k->now_us;
    l->ttl_us = ttl_us;
    l->node = node;
    l->life = k->node[node].life;
    l->pending = 0;
    l->what = (uint8_t)what;
    l->ended = l->storing = false;
    l->in_flight = l->asks = l->timeouts = l->answers = l->stores = 0;
    l->n = 0;
    candidate_add(k, l, node, 0, ANSWERED);
    uint32_t holder = KADEMLIA_NOBODY, closest[KADEMLIA_K_MAX];
    if (what == KADEMLIA_GET)
        holder = kademlia_store_get(k->store, node, key, kademlia_lookup_luck(k, l), k->now_us);
    if (holder != KADEMLIA_NOBODY) {
        lookup_end(k, l, KADEMLIA_FOUND, &l->at[0], holder);
    } else {
        unsigned n = kademlia_table_closest(k->tables, node, key, closest);
        for (unsigned i = 0; i < n; i++)
            candidate_add(k, l, closest[i], 1, NEW);
        if (what == KADEMLIA_JOIN)
            candidate_add(k, l, (uint32_t)tag, 1, NEW);
        advance(k, l);
    }
    kademlia_lookup_give_back(k, l);
    return true;
}

static void find_answered(struct kademlia *k, struct kademlia_lookup *l,
                          struct kademlia_candidate *c, const struct kademlia_answer *a)
{
    if (c->state != ASKED && c->state != FAILED)
        return;
    l->in_flight -= c->state == ASKED;
    c->state = ANSWERED;
    l->answers++;
    if (a->holder != KADEMLIA_NOBODY) {
        lookup_end(k, l, KADEMLIA_FOUND, c, a->holder);
        return;
    }
    unsigned depth = c->depth + 1u; /* c moves when others are added */
    for (unsigned i = 0; i < a->n; i++)
        candidate_add(k, l, a->closest[i], depth, NEW);
    advance(k, l);
}

static void store_answered(struct kademlia *k, struct kademlia_lookup *l,
                           struct kademlia_candidate *c)
{
    if (c->state != ASKED)
        return;
    l->in_flight--;
    l->stores++;
    c->state = STORED;
    maybe_stored(k, l);
}

void kademlia_lookup_answered(struct kademlia *k, struct kademlia_lookup *l, uint32_t node,
                              const struct kademlia_answer *a)
{
    struct kademlia_candidate *c = l->ended ? NULL : candidate_find(l, node);
    if (!c || l->storing != !a)
        return; /* too late to matter */
    if (a)
        find_answered(k, l, c, a);
    else
        store_answered(k, l, c);
}

void kademlia_lookup_timed_out(struct kademlia *k, struct kademlia_lookup *l, uint32_t node,
                               bool of_store)
{
    struct kademlia_candidate *c = l->ended ? NULL : candidate_find(l, node);
    if (!c || c->state != ASKED || l->storing != of_store)
        return;
    c->state = FAILED;
    l->in_flight--;
    l->timeouts++;
    kademlia_table_drop(k->tables, l->node, node);
    if (of_store)
        maybe_stored(k, l);
    else
        advance(k, l);
}
