/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/asker.h"
#include "dht/closer.h"

/* --- contacts ----------------------------------------------------------------------------------
 */

static int path_find(const struct lookup *l, const struct dht_id *id)
{
    for (unsigned i = 0; i < l->hops; i++)
        if (id_eq(&l->hop[i].id, id))
            return (int)i;
    return NOBODY;
}

/* A place for one more: when there is none, the farthest that was not asked gives its own, if it
 * is farther. */
static int path_place(struct lookup *l, const struct dht_distance *distance)
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

int path_add(struct lookup *l, const struct dht_id *id, const struct endpoint *rpc, unsigned levels)
{
    int at = path_find(l, id);
    if (at != NOBODY) {
        l->hop[at].levels |= (uint8_t)levels;
        return at;
    }
    struct dht_distance d = distance_between(id, &l->key);
    at = path_place(l, &d);
    if (at != NOBODY)
        l->hop[at] = (struct hop){
            .id = *id, .rpc = *rpc, .distance = d, .state = HOP_NEW, .levels = (uint8_t)levels};
    return at;
}

/* Where is it to be asked, as far as we know? NULL: nowhere. Our table knows better than who names
 * it; of others the ID must be that of the address. */
static const struct endpoint *path_address(struct dht_asker *a, const struct lookup *l,
                                           const struct rpc_contact *c)
{
    uint32_t at = routes_find(a->routes, &c->id);
    if (at < a->routes->n)
        return a->routes->route[at].alive ? &dht_route_contact(a->routes, at)->rpc : NULL;
    bool known = path_find(l, &c->id) != NOBODY;
    return known || asker_is_bound(a, &c->id, &c->rpc) ? &c->rpc : NULL;
}

/* Whoever is of a cluster is of the planet, too. */
unsigned path_learn(struct dht_asker *a, struct lookup *l, const struct rpc *answer)
{
    unsigned n = 0;
    for (unsigned i = 0; i < answer->contacts; i++) {
        const struct rpc_contact *c = &answer->contact[i];
        if (id_eq(&c->id, &a->routes->self.id) || path_shuns(l, &c->id))
            continue;
        const struct endpoint *rpc = path_address(a, l, c);
        if (!rpc)
            continue;
        path_add(l, &c->id, rpc, 1u | 1u << answer->contacts_level);
        n++;
    }
    return n;
}

static bool is_reachable(struct dht_asker *a, const struct dht_id *id, struct now now)
{
    const struct peer *p = peers_find(&a->peers, id);
    return !p || p->unreachable_until_us <= now.mono_us;
}

static uint32_t rtt_of(struct dht_asker *a, const struct dht_id *id)
{
    const struct peer *p = peers_find(&a->peers, id);
    return p && p->srtt_us ? p->srtt_us : CLOSER_RTT_UNKNOWN_US;
}

/* Of a stranger in a cluster its threshold is known. */
uint64_t path_hedge_us(struct dht_asker *a, const struct lookup *l, const struct hop *h)
{
    uint64_t without = 1000ull * a->arena->config.rpc_timeout_ms;
    uint64_t threshold = 4ull * a->arena->config.cluster[l->level].threshold_us;
    if (threshold != 0 && threshold < without)
        without = threshold;
    return peer_hedge_us(peers_find(&a->peers, &h->id), without);
}

/* --- whom to ask next ----------------------------------------------------------------------------
 */

/* The best so far of the lookup's own contacts and of the table: in a walk by the rule, else by
 * nearness alone. */
struct best {
    struct dht_asker *a;
    struct lookup *l;
    struct now now;
    bool by_rule, any, skips;
    struct closer_step step;
    struct closer_merit merit;
    struct dht_distance skip; /* who is this far is left out */
    int at;                   /* a hop, or NOBODY */
    uint32_t route;           /* then this one of the table */
};

/* Is who is this far better than the best so far? m->rtt_us is not set; it counts in the band only
 * (closer.h), so beats_in_band has the last word there. */
static bool may_beat(const struct best *b, const struct dht_distance *distance,
                     struct closer_merit *m)
{
    if (b->skips && distance_eq(distance, &b->skip))
        return false;
    if (!b->by_rule) {
        *m = (struct closer_merit){0, *distance, 0};
        return !b->any || distance_less(distance, &b->merit.distance);
    }
    return closer_merit(&b->step, distance, 0, m) &&
           (!b->any || m->side == 0 || closer_better(m, &b->merit));
}

static bool beats_in_band(const struct best *b, uint32_t rtt_us, struct closer_merit *m)
{
    if (!b->by_rule || m->side != 0)
        return true;
    m->rtt_us = rtt_us;
    return !b->any || closer_better(m, &b->merit);
}

/* The round trip to a contact is looked up where it counts alone. */
static bool hop_beats(const struct best *b, const struct hop *h, struct closer_merit *m)
{
    if (!may_beat(b, &h->distance, m))
        return false;
    return !b->by_rule || m->side != 0 || beats_in_band(b, rtt_of(b->a, &h->id), m);
}

static void best_of_path(struct best *b)
{
    struct closer_merit m;
    for (unsigned i = 0; i < b->l->hops; i++) {
        const struct hop *h = &b->l->hop[i];
        if (h->state != HOP_NEW || !(h->levels >> b->l->level & 1) || !hop_beats(b, h, &m) ||
            !is_reachable(b->a, &h->id, b->now))
            continue;
        b->any = true;
        b->merit = m;
        b->at = (int)i;
    }
}

static void best_of_table(struct best *b, uint32_t from, uint32_t to)
{
    const struct dht_routes *routes = b->a->routes;
    struct closer_merit m;
    for (uint32_t i = from; i < to; i++) {
        const struct dht_route *r = &routes->route[i];
        if (!r->alive || !(r->levels >> b->l->level & 1))
            continue;
        const struct dht_id *id = &dht_route_contact(routes, i)->id;
        struct dht_distance d = distance_between(id, &b->l->key);
        if (!may_beat(b, &d, &m) ||
            !beats_in_band(b, r->rtt_us ? r->rtt_us : CLOSER_RTT_UNKNOWN_US, &m) ||
            path_shuns(b->l, id))
            continue;
        int known = path_find(b->l, id);
        if ((known != NOBODY && b->l->hop[known].state != HOP_NEW) ||
            !is_reachable(b->a, id, b->now))
            continue;
        b->any = true;
        b->merit = m;
        b->at = NOBODY;
        b->route = i;
    }
}

/* The table's contacts closer to the key than we are share as many bits with us as the key does
 * (closer.h), or, when there are none, more. */
static void best_of_all(struct best *b)
{
    const struct dht_routes *routes = b->a->routes;
    b->any = false;
    b->at = NOBODY;
    b->route = routes->n;
    best_of_path(b);
    struct closer_range r = closer_range(routes, id_prefix(&routes->self.id, &b->l->key));
    best_of_table(b, r.from, r.to);
    if (!b->any)
        best_of_table(b, 0, r.from);
}

static int best_take(struct best *b)
{
    const struct dht_routes *routes = b->a->routes;
    if (b->route == routes->n || b->at != NOBODY)
        return b->at;
    const struct dht_contact *c = dht_route_contact(routes, b->route);
    return path_add(b->l, &c->id, &c->rpc, routes->route[b->route].levels);
}

/* Most puts, b of b + 1, do not jump to the closest that they know while there are others on the
 * way: else the root of a hammered key would hear from its whole neighbourhood, and not from those
 * next to it alone, of whom each lets beta walks a minute through. The others keep it from hearing
 * too little.
 */
static int path_best(struct dht_asker *a, struct lookup *l, bool by_rule, struct now now)
{
    struct best b = {.a = a, .l = l, .now = now, .by_rule = by_rule};
    b.step = closer_step(&l->d, a->arena->config.prefix_bits[l->level]);
    if (l->kind == LOOKUP_PUT && by_rule &&
        rng_below(&a->arena->rng, 1u + a->arena->config.prefix_bits[l->level]) != 0) {
        struct best closest = b;
        closest.by_rule = false;
        best_of_all(&closest);
        b.skips = closest.any;
        b.skip = closest.merit.distance;
        best_of_all(&b);
        if (b.any)
            return best_take(&b);
        b.skips = false;
    }
    best_of_all(&b);
    return best_take(&b);
}

int path_missed(struct dht_asker *a, const struct lookup *l)
{
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++) {
        const struct hop *h = &l->hop[i];
        if (h->state != HOP_MISSED || !(h->levels >> l->level & 1) ||
            !distance_less(&h->distance, &l->d))
            continue;
        uint32_t r = routes_find(a->routes, &h->id);
        if ((r == a->routes->n || a->routes->route[r].alive) &&
            (at == NOBODY || distance_less(&h->distance, &l->hop[at].distance)))
            at = (int)i;
    }
    return at;
}

/* A find asks the nearest not yet asked, until as many as a bucket holds have answered nearer. */
static int path_find_next(struct dht_asker *a, const struct lookup *l, struct now now)
{
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++) {
        const struct hop *h = &l->hop[i];
        if ((h->state == HOP_NEW || h->state == HOP_MISSED) && is_reachable(a, &h->id, now) &&
            (at == NOBODY || distance_less(&h->distance, &l->hop[at].distance)))
            at = (int)i;
    }
    unsigned nearer = 0;
    for (unsigned i = 0; at != NOBODY && i < l->hops; i++)
        nearer += l->hop[i].state == HOP_ANSWERED &&
                  distance_less(&l->hop[i].distance, &l->hop[at].distance);
    return nearer >= a->arena->config.bucket ? NOBODY : at;
}

int path_next(struct dht_asker *a, struct lookup *l, struct now now)
{
    if (l->kind == LOOKUP_FIND)
        return path_find_next(a, l, now);
    if (l->hop[0].state == HOP_NEW && l->hop[0].levels >> l->level & 1)
        return 0;
    if (l->again != NOBODY) {
        int again = l->again;
        l->again = NOBODY;
        return again;
    }
    int at = path_best(a, l, true, now);
    bool again = l->inflight == 0 && (l->last || l->kind == LOOKUP_PUT);
    return at == NOBODY && again ? path_missed(a, l) : at;
}

/* Who named contacts of a higher level only, since there were some that were closer. Now that they
 * led nowhere, what it knows at this one is wanted. */
int path_again(const struct lookup *l)
{
    for (unsigned i = 0; i < l->hops; i++) {
        const struct hop *h = &l->hop[i];
        bool answered = h->state >= HOP_ANSWERED && h->state < HOP_DEAD;
        if (answered && distance_eq(&h->distance, &l->d))
            return h->told > l->level ? (int)i : NOBODY;
    }
    return NOBODY;
}

int path_runner_up(struct dht_asker *a, struct lookup *l, struct now now)
{
    return path_best(a, l, false, now);
}

int path_own(struct dht_asker *a, struct lookup *l, struct now now)
{
    struct best b = {.a = a, .l = l, .now = now, .at = NOBODY, .route = a->routes->n};
    best_of_table(&b, 0, a->routes->n);
    return best_take(&b);
}

int path_store_next(const struct lookup *l)
{
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++)
        if ((l->hop[i].state == HOP_ANSWERED || l->hop[i].state == HOP_HOLDS) &&
            (at == NOBODY || distance_less(&l->hop[i].distance, &l->hop[at].distance)))
            at = (int)i;
    return at;
}

/* One that was asked on the way, or that the root named as the next. */
int path_copy_next(struct dht_asker *a, struct lookup *l, struct now now)
{
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++) {
        const struct hop *h = &l->hop[i];
        bool takes = h->state == HOP_NEW || h->state == HOP_ANSWERED || h->state == HOP_SEEN;
        if (takes && is_reachable(a, &h->id, now) &&
            (at == NOBODY || distance_less(&h->distance, &l->hop[at].distance)))
            at = (int)i;
    }
    return at;
}
