/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookups, driven from here (iterative): each answer names contacts closer to the key, the next one
 * to ask is chosen by closer.h's rule, the distance only falls, and "nobody closer" is the end.
 *
 *   get, remove   WALK ------------------> RUNNER (once) -> done
 *   put           WALK, full and loaded -> STORE: closest first, next when refused -> done
 *   find          WALK until the closest few have all answered -> done
 *
 * The walk starts at this node itself, through its own RPC endpoint. One RPC is in flight, two
 * while one is slow; who misses is asked again when there is nobody else, so that a lost
 * packet does not move a key's root.
 */
#include "dht/asker.h"
#include "dht/closer.h"

#define LOOKUP_US    5000000ull /* the whole of it */
#define RTT_GUESS_US 100000u    /* of a contact never asked */
#define ASK_TRIES    3 /* with one packet in a hundred lost, two would lose a root in 2500 */
#define STORE_TRIES  3
#define NOBODY       (-1)

static bool has_self(const struct lookup *l)
{
    return l->kind != LOOKUP_FIND;
}

/* --- contacts ----------------------------------------------------------------------------------
 */

static int hop_find(const struct lookup *l, const struct dht_id *id)
{
    for (unsigned i = 0; i < l->hops; i++)
        if (id_eq(&l->hop[i].id, id))
            return (int)i;
    return NOBODY;
}

/* A place for one more: when there is none, the farthest that was not asked gives its own, if it
 * is farther. */
static int hop_place(struct lookup *l, const struct dht_distance *distance)
{
    if (l->hops < LOOKUP_HOPS)
        return (int)l->hops++;
    int far = NOBODY;
    for (unsigned i = 0; i < l->hops; i++)
        if (l->hop[i].state == HOP_NEW &&
            (far == NOBODY || distance_less(&l->hop[far].distance, &l->hop[i].distance)))
            far = (int)i;
    return far != NOBODY && distance_less(distance, &l->hop[far].distance) ? far : NOBODY;
}

static int hop_add(struct lookup *l, const struct dht_id *id, const struct endpoint *rpc)
{
    int at = hop_find(l, id);
    if (at != NOBODY)
        return at;
    struct dht_distance d = distance_between(id, &l->key);
    at = hop_place(l, &d);
    if (at != NOBODY)
        l->hop[at] = (struct hop){.id = *id, .rpc = *rpc, .distance = d, .state = HOP_NEW};
    return at;
}

/* What others say, unless we know better: not ourselves, nobody that does not answer us. */
static void hop_learn(struct dht_asker *a, struct lookup *l, const struct rpc *answer)
{
    for (unsigned i = 0; i < answer->contacts; i++) {
        const struct rpc_contact *c = &answer->contact[i];
        if (id_eq(&c->id, &a->routes->self.id))
            continue;
        const struct dht_route *r = routes_find(a->routes, &c->id);
        if (!r || r->alive)
            hop_add(l, &c->id, &c->rpc);
    }
}

static bool reachable(struct dht_asker *a, const struct dht_id *id, struct now now)
{
    const struct peer *p = peers_find(&a->peers, id);
    return !p || p->unreachable_until_us <= now.mono_us;
}

static uint32_t rtt_of(struct dht_asker *a, const struct dht_id *id)
{
    const struct peer *p = peers_find(&a->peers, id);
    return p && p->srtt_us ? p->srtt_us : RTT_GUESS_US;
}

/* --- whom to ask next ----------------------------------------------------------------------------
 */

/* Does a candidate beat the best so far? In a walk by the rule, else by nearness alone. */
struct best {
    bool any, by_rule;
    struct closer_step step;
    struct closer_merit merit;
};

static bool beats(struct best *b, const struct dht_distance *distance, uint32_t rtt_us,
                  struct closer_merit *m)
{
    if (!b->by_rule) {
        *m = (struct closer_merit){0, *distance, 0};
        return !b->any || distance_less(distance, &b->merit.distance);
    }
    return closer_merit(&b->step, distance, rtt_us, m) && (!b->any || closer_better(m, &b->merit));
}

/* The best of the lookup's own contacts and the table. */
static int pick_new(struct dht_asker *a, struct lookup *l, bool by_rule, struct now now)
{
    struct best best = {.by_rule = by_rule, .step = closer_step(&l->d, a->config.prefix_bits)};
    struct closer_merit m;
    const struct dht_route *route = NULL;
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++) {
        const struct hop *h = &l->hop[i];
        if (h->state != HOP_NEW || !beats(&best, &h->distance, rtt_of(a, &h->id), &m) ||
            !reachable(a, &h->id, now))
            continue;
        best.any = true;
        best.merit = m;
        at = (int)i;
    }
    for (uint32_t i = 0; i < a->routes->n; i++) {
        const struct dht_route *r = &a->routes->route[i];
        struct dht_distance d = distance_between(&r->contact.id, &l->key);
        if (!r->alive || !beats(&best, &d, r->rtt_us, &m) ||
            hop_find(l, &r->contact.id) != NOBODY || !reachable(a, &r->contact.id, now))
            continue;
        best.any = true;
        best.merit = m;
        route = r;
    }
    return route ? hop_add(l, &route->contact.id, &route->contact.rpc) : at;
}

/* When there is nobody else: the nearest of those that missed. */
static int pick_missed(struct dht_asker *a, const struct lookup *l)
{
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++) {
        const struct hop *h = &l->hop[i];
        const struct dht_route *r = routes_find(a->routes, &h->id);
        if (h->state == HOP_MISSED && distance_less(&h->distance, &l->d) && (!r || r->alive) &&
            (at == NOBODY || distance_less(&h->distance, &l->hop[at].distance)))
            at = (int)i;
    }
    return at;
}

/* A find asks the nearest not yet asked, until as many as a bucket holds have answered nearer. */
static int pick_find(struct dht_asker *a, const struct lookup *l, struct now now)
{
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++) {
        const struct hop *h = &l->hop[i];
        if ((h->state == HOP_NEW || h->state == HOP_MISSED) && reachable(a, &h->id, now) &&
            (at == NOBODY || distance_less(&h->distance, &l->hop[at].distance)))
            at = (int)i;
    }
    unsigned nearer = 0;
    for (unsigned i = 0; at != NOBODY && i < l->hops; i++)
        nearer += l->hop[i].state == HOP_ANSWERED &&
                  distance_less(&l->hop[i].distance, &l->hop[at].distance);
    return nearer >= a->config.bucket ? NOBODY : at;
}

static int pick(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (l->kind == LOOKUP_FIND)
        return pick_find(a, l, now);
    if (l->hop[0].state == HOP_NEW)
        return 0;
    int at = pick_new(a, l, true, now);
    return at != NOBODY || l->inflight > 0 ? at : pick_missed(a, l);
}

/* --- results -----------------------------------------------------------------------------------
 */

static void lookup_free(struct dht_asker *a, struct lookup *l)
{
    asker_detach(a, l);
    wheel_stop(&a->lookup_wheel, &l->timer);
    l->used = false;
    l->next_free = a->free_lookup;
    a->free_lookup = (uint32_t)(l - a->lookup) + 1;
    a->running--;
    counter_set(&a->counters.dht_lookups, a->running);
}

/* The lookup is gone when done is called: it may start another. */
static void lookup_finish(struct dht_asker *a, struct lookup *l, enum dht_end end, struct now now)
{
    struct dht_counters *c = &a->counters;
    struct dht_result result = l->result;
    dht_done *done = l->done;
    void *ctx = l->ctx;
    result.end = end;
    counter_add(&c->dht_hops_total, result.hops);
    if (l->kind == LOOKUP_PUT && end == DHT_NOT_FOUND)
        counter_inc(&c->dht_puts_saturated_total);
    counter_inc(end == DHT_FOUND       ? &c->dht_lookups_found_total
                : end == DHT_NOT_FOUND ? &c->dht_lookups_not_found_total
                                       : &c->dht_lookups_failed_total);
    lookup_free(a, l);
    if (done)
        done(ctx, &result, now);
}

/* Adds values; of one node the older account stays. A put does not hear of itself. */
static void result_add(struct dht_asker *a, struct lookup *l, const struct rpc *answer)
{
    struct dht_result *res = &l->result;
    for (unsigned i = 0; i < answer->values; i++) {
        const struct dht_value *v = &answer->value[i];
        if (l->kind == LOOKUP_PUT && id_eq(&v->node, &a->routes->self.id))
            continue;
        unsigned at = 0;
        while (at < res->n && !id_eq(&res->value[at].node, &v->node))
            at++;
        if (at == sizeof(res->value) / sizeof(res->value[0]))
            continue;
        if (at == res->n)
            res->value[res->n++] = *v;
        else if (res->value[at].age_ms < v->age_ms)
            res->value[at] = *v;
    }
}

/* --- steps ---------------------------------------------------------------------------------------
 */

static const uint8_t step_type[] = {[LOOKUP_GET] = RPC_GET,
                                    [LOOKUP_PUT] = RPC_WALK,
                                    [LOOKUP_REMOVE] = RPC_REMOVE,
                                    [LOOKUP_FIND] = RPC_FIND};

static void ask(struct dht_asker *a, struct lookup *l, int at, uint8_t type, struct now now)
{
    struct hop *h = &l->hop[at];
    l->asks++;
    l->hedge_us = now.mono_us +
                  peer_hedge_us(peers_find(&a->peers, &h->id), 1000ull * a->config.rpc_timeout_ms);
    if (asker_send(a, type, l, (unsigned)at, &h->id, &h->rpc, now))
        h->state = HOP_ASKED;
    else
        h->state = HOP_DEAD; /* no slot: the pings' share is not ours, so this is rare */
}

/* The nearest that may take the value. */
static int store_next(const struct lookup *l)
{
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++)
        if (l->hop[i].state == HOP_ANSWERED &&
            (at == NOBODY || distance_less(&l->hop[i].distance, &l->hop[at].distance)))
            at = (int)i;
    return at;
}

/* Nothing is in flight: what follows? False: the lookup is over, and gone. */
static bool lookup_turn(struct dht_asker *a, struct lookup *l, struct now now)
{
    int at = NOBODY;
    enum dht_end without = l->answered ? DHT_NOT_FOUND : DHT_FAILED;
    if (l->kind == LOOKUP_FIND) {
        lookup_finish(a, l, l->answered ? DHT_FOUND : DHT_FAILED, now);
        return false;
    }
    if (l->kind == LOOKUP_PUT) {
        l->phase = PHASE_STORE;
        at = store_next(l);
        if (at != NOBODY)
            ask(a, l, at, RPC_STORE, now);
    } else if (l->phase == PHASE_WALK) {
        l->phase = PHASE_RUNNER;
        at = pick_new(a, l, false, now);
        if (at != NOBODY)
            ask(a, l, at, step_type[l->kind], now);
    }
    if (at == NOBODY)
        lookup_finish(a, l, without, now);
    return at != NOBODY;
}

/* Asks as many as may be in flight, and turns to the next phase when none is. */
static void lookup_step(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (l->inflight == 0)
        l->hedged = false;
    unsigned most = l->kind == LOOKUP_FIND || l->hedged ? LOOKUP_INFLIGHT : 1;
    while (l->phase == PHASE_WALK && !l->over && l->inflight < most && l->asks < LOOKUP_ASKS) {
        int at = pick(a, l, now);
        if (at == NOBODY)
            break;
        if (l->hedged && l->inflight > 0)
            counter_inc(&a->counters.dht_hedges_total);
        ask(a, l, at, step_type[l->kind], now);
    }
    while (l->inflight == 0)
        if (!lookup_turn(a, l, now))
            return;
    bool hedge = l->phase == PHASE_WALK && !l->hedged && l->kind != LOOKUP_FIND;
    wheel_arm(&a->lookup_wheel, &l->timer,
              hedge && l->hedge_us < l->end_us ? l->hedge_us : l->end_us);
}

void lookup_timer(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (now.mono_us >= l->end_us) {
        lookup_finish(a, l,
                      !l->answered             ? DHT_FAILED
                      : l->kind == LOOKUP_FIND ? DHT_FOUND
                      : l->kind == LOOKUP_PUT  ? DHT_FAILED
                                               : DHT_NOT_FOUND,
                      now);
        return;
    }
    if (now.mono_us >= l->hedge_us)
        l->hedged = true;
    lookup_step(a, l, now);
}

/* The reverse phase: stored, or pop and try the next. */
static void store_answered(struct dht_asker *a, struct lookup *l, struct hop *h,
                           const struct rpc *answer, struct now now)
{
    result_add(a, l, answer);
    if (answer->flags & RPC_STORED) {
        lookup_finish(a, l, DHT_FOUND, now);
        return;
    }
    h->state = HOP_SPENT;
    lookup_step(a, l, now);
}

void lookup_answered(struct dht_asker *a, struct lookup *l, unsigned hop, const struct rpc *answer,
                     struct now now)
{
    struct hop *h = &l->hop[hop];
    h->state = HOP_ANSWERED;
    l->answered = true;
    if (answer->type == RPC_STORE) {
        store_answered(a, l, h, answer, now);
        return;
    }
    if (hop > 0 || !has_self(l))
        l->result.hops++;
    if (distance_less(&h->distance, &l->d))
        l->d = h->distance;
    hop_learn(a, l, answer);
    result_add(a, l, answer);
    if (l->kind == LOOKUP_GET && answer->values > 0) {
        lookup_finish(a, l, DHT_FOUND, now);
        return;
    }
    if (l->kind == LOOKUP_PUT && (answer->flags & RPC_FULL)) {
        h->state = HOP_SPENT;
        if (answer->flags & RPC_LOADED) { /* enough hold it: no further */
            l->over = true;
            asker_detach(a, l);
        }
    }
    lookup_step(a, l, now);
}

void lookup_timed_out(struct dht_asker *a, struct lookup *l, unsigned hop, uint8_t type,
                      struct now now)
{
    struct hop *h = &l->hop[hop];
    if (type == RPC_STORE) /* once more at the same: it may be stored there already */
        h->state = ++h->store_misses < STORE_TRIES ? HOP_ANSWERED : HOP_DEAD;
    else
        h->state = ++h->misses < ASK_TRIES && (hop > 0 || !has_self(l)) ? HOP_MISSED : HOP_DEAD;
    lookup_step(a, l, now);
}

/* --- starting and stopping
 * ------------------------------------------------------------------------ */

static uint64_t refuse(struct dht_asker *a, dht_done *done, void *ctx, struct now now)
{
    struct dht_result failed = {.end = DHT_FAILED};
    counter_inc(&a->counters.dht_lookups_refused_total);
    if (done)
        done(ctx, &failed, now);
    return 0;
}

static uint64_t lookup_start(struct dht_asker *a, enum lookup_kind kind, const struct dht_id *key,
                             uint32_t ttl_ms, dht_done *done, void *ctx, struct now now)
{
    if (a->free_lookup == 0 || !a->routes)
        return refuse(a, done, ctx, now);
    struct lookup *l = &a->lookup[a->free_lookup - 1];
    a->free_lookup = l->next_free;
    a->running++;
    counter_inc(&a->counters.dht_lookups_total);
    counter_set(&a->counters.dht_lookups, a->running);

    uint32_t generation = l->generation + 1;
    memset(l, 0, offsetof(struct lookup, hop));
    memset(&l->result, 0, sizeof(l->result));
    l->generation = generation;
    l->used = true;
    l->kind = kind;
    l->key = *key;
    l->ttl_ms = ttl_ms;
    l->done = done;
    l->ctx = ctx;
    l->end_us = now.mono_us + LOOKUP_US;
    l->d = distance_between(&a->routes->self.id, key);
    if (kind == LOOKUP_FIND) {
        struct rpc_contact seed[RPC_CONTACTS];
        unsigned n = closest_contacts(a->routes, key, &a->routes->self.id, seed);
        for (unsigned i = 0; i < n; i++)
            hop_add(l, &seed[i].id, &seed[i].rpc);
    } else {
        hop_add(l, &a->routes->self.id, &a->routes->self.rpc);
    }
    if (kind == LOOKUP_FIND && l->hops == 0) { /* knows nobody */
        lookup_free(a, l);
        return refuse(a, done, ctx, now);
    }
    uint64_t ticket = (uint64_t)generation << 32 | ((uint32_t)(l - a->lookup) + 1);
    lookup_step(a, l, now);
    return l->used && l->generation == generation ? ticket : 0;
}

uint64_t dht_get(struct dht_asker *a, const struct dht_id *key, dht_done *done, void *ctx,
                 struct now now)
{
    return lookup_start(a, LOOKUP_GET, key, 0, done, ctx, now);
}

uint64_t dht_put(struct dht_asker *a, const struct dht_id *key, uint32_t ttl_ms, dht_done *done,
                 void *ctx, struct now now)
{
    return lookup_start(a, LOOKUP_PUT, key, ttl_ms, done, ctx, now);
}

uint64_t dht_remove(struct dht_asker *a, const struct dht_id *key, struct now now)
{
    return lookup_start(a, LOOKUP_REMOVE, key, 0, NULL, NULL, now);
}

uint64_t dht_find(struct dht_asker *a, const struct dht_id *target, dht_done *done, void *ctx,
                  struct now now)
{
    return lookup_start(a, LOOKUP_FIND, target, 0, done, ctx, now);
}

void dht_cancel(struct dht_asker *a, uint64_t ticket)
{
    uint32_t index = (uint32_t)ticket;
    if (index == 0 || index > a->lookups)
        return;
    struct lookup *l = &a->lookup[index - 1];
    if (l->used && l->generation == (uint32_t)(ticket >> 32))
        lookup_free(a, l);
}
