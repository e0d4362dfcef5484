/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/asker.h"
#include "dht/closer.h"

/* --- contacts --------------------------------------------------------------------------------- */

static int path_find(const struct lookup *l, const struct dht_id *id)
{
    for (unsigned i = 0; i < l->hops; i++)
        if (id_eq(&l->hop[i].id, id) && l->hop[i].state != HOP_FALSE)
            return (int)i;
    return NOBODY;
}

/* Is this its address? Our table knows better than who names it, and whether it answers us. A
 * stranger's ID must be that of its address. */
static bool path_is_true(struct dht_asker *a, const struct dht_id *id, struct endpoint *rpc,
                         bool *silent)
{
    uint32_t r = routes_find(a->routes, id);
    *silent = r < a->routes->n && !a->routes->route[r].alive;
    if (r == a->routes->n)
        return asker_is_bound(a, id, rpc);
    *rpc = dht_route_contact(a->routes, r)->rpc;
    return true;
}

/* Looked into once, when it is about to be asked or decides something else; a false one is
 * dropped. */
static bool path_prove(struct dht_asker *a, struct lookup *l, int at)
{
    struct hop *h = &l->hop[at];
    bool silent;
    if (h->proven || h->state == HOP_FALSE)
        return h->proven;
    h->proven = path_is_true(a, &h->id, &h->rpc, &silent);
    if (!h->proven) {
        h->state = HOP_FALSE;
    } else if (silent) { /* another way to it may be found */
        h->state = HOP_DEAD;
        h->misses = 1;
    }
    return h->proven;
}

/* Its turn has come: may it be asked? */
static bool path_may_ask(struct dht_asker *a, struct lookup *l, int at)
{
    return path_prove(a, l, at) && l->hop[at].state != HOP_DEAD;
}

/* A place that no contact has. */
static int path_vacant(struct lookup *l)
{
    if (l->hops < LOOKUP_HOPS)
        return (int)l->hops++;
    for (unsigned i = 0; i < l->hops; i++)
        if (l->hop[i].state == HOP_FALSE)
            return (int)i;
    return NOBODY;
}

/* That of the farthest that was not asked, if it is farther than this. */
static int path_farther(const struct lookup *l, const struct dht_distance *distance)
{
    int far = NOBODY;
    for (unsigned i = 0; i < l->hops; i++)
        if (l->hop[i].state == HOP_NEW &&
            (far == NOBODY || distance_less(&l->hop[far].distance, &l->hop[i].distance)))
            far = (int)i;
    return far != NOBODY && distance_less(distance, &l->hop[far].distance) ? far : NOBODY;
}

/* Where there is no place for one more, all must show that they are true, so that false ones push
 * nobody out. */
static int path_place(struct dht_asker *a, struct lookup *l, struct hop *h)
{
    int at = path_vacant(l);
    bool silent;
    for (unsigned i = 0; at == NOBODY && i < l->hops; i++)
        if (!path_prove(a, l, (int)i))
            at = (int)i;
    if (at == NOBODY && !h->proven)
        h->proven = path_is_true(a, &h->id, &h->rpc, &silent) && !silent;
    return at == NOBODY && h->proven ? path_farther(l, &h->distance) : at;
}

int path_add(struct dht_asker *a, struct lookup *l, const struct rpc_contact *c, unsigned levels,
             bool proven)
{
    int at = path_find(l, &c->id);
    if (at != NOBODY && !proven && !l->hop[at].proven && !endpoint_eq(&l->hop[at].rpc, &c->rpc) &&
        !path_prove(a, l, at))
        at = NOBODY; /* of two addresses the first was not its own */
    if (at != NOBODY) {
        struct hop *known = &l->hop[at];
        known->levels |= (uint8_t)(levels & ~(unsigned)known->not_of);
        if (proven && !known->proven) { /* whoever named it, our table knows where it is */
            known->rpc = c->rpc;
            known->proven = true;
        }
        return at;
    }
    struct hop h = {.id = c->id,
                    .rpc = c->rpc,
                    .distance = distance_between(&c->id, &l->key),
                    .state = HOP_NEW,
                    .levels = (uint8_t)levels,
                    .by = BY_NOBODY,
                    .proven = proven};
    at = path_place(a, l, &h);
    if (at != NOBODY)
        l->hop[at] = h;
    return at;
}

/* Not ourselves, nor who was of no use. */
static bool path_heeds(const struct dht_asker *a, const struct lookup *l,
                       const struct rpc_contact *c)
{
    return !id_eq(&c->id, &a->routes->self.id) && !path_shuns(l, &c->id);
}

/* Whoever is of a cluster is of the planet, too. */
bool path_learn(struct dht_asker *a, struct lookup *l, const struct rpc *answer, unsigned by)
{
    bool any = false;
    if (by == 0 && path_has_self(l)) /* we ourselves */
        by = BY_NOBODY;
    unsigned levels = 1u | 1u << answer->contacts_level;
    for (unsigned i = 0; i < answer->contacts; i++) {
        const struct rpc_contact *c = &answer->contact[i];
        int at = path_heeds(a, l, c) ? path_add(a, l, c, levels, false) : NOBODY;
        if (at == NOBODY)
            continue;
        any |= l->hop[at].proven;
        if (l->hop[at].by == BY_NOBODY)
            l->hop[at].by = (uint8_t)by;
    }
    return any;
}

bool path_vouch(struct dht_asker *a, struct lookup *l, const struct rpc *answer)
{
    for (unsigned i = 0; i < answer->contacts; i++) {
        struct rpc_contact c = answer->contact[i];
        bool silent;
        if (!path_heeds(a, l, &c))
            continue;
        int at = path_find(l, &c.id);
        if (at != NOBODY ? path_prove(a, l, at) : path_is_true(a, &c.id, &c.rpc, &silent))
            return true;
    }
    return false;
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

/* --- whom to ask next ------------------------------------------------------------------------- */

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
        if ((known != NOBODY &&
             (b->l->hop[known].state != HOP_NEW || b->l->hop[known].not_of >> b->l->level & 1)) ||
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

/* Who is found false is dropped, and the next best looked for. */
static void best_true(struct best *b)
{
    do
        best_of_all(b);
    while (b->at != NOBODY && !path_may_ask(b->a, b->l, b->at));
}

static int best_take(struct best *b)
{
    const struct dht_routes *routes = b->a->routes;
    if (b->route == routes->n || b->at != NOBODY)
        return b->at;
    const struct dht_contact *c = dht_route_contact(routes, b->route);
    return path_add(b->a, b->l, &(struct rpc_contact){c->id, c->rpc},
                    routes->route[b->route].levels, true);
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
        best_true(&closest);
        b.skips = closest.any;
        b.skip = closest.merit.distance;
        best_true(&b);
        if (b.any)
            return best_take(&b);
        b.skips = false;
    }
    best_true(&b);
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

static int path_find_nearest(struct dht_asker *a, const struct lookup *l, struct now now)
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

/* A find asks the nearest not yet asked, until as many as a bucket holds have answered nearer. */
static int path_find_next(struct dht_asker *a, struct lookup *l, struct now now)
{
    int at;
    do
        at = path_find_nearest(a, l, now);
    while (at != NOBODY && !path_may_ask(a, l, at));
    return at;
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

static int path_unreached_nearest(struct dht_asker *a, const struct lookup *l, struct now now)
{
    int at = NOBODY;
    for (unsigned i = 0; i < l->hops; i++) {
        const struct hop *h = &l->hop[i];
        if (h->by == BY_NOBODY || h->relayed || !(h->levels >> l->level & 1) ||
            !distance_less(&h->distance, at == NOBODY ? &l->d : &l->hop[at].distance))
            continue;
        bool missed = h->misses > 0 &&
                      (h->state == HOP_MISSED || h->state == HOP_ASKED || h->state == HOP_DEAD);
        if (l->hop[h->by].cookie != 0 &&
            (missed || (h->state == HOP_NEW && !is_reachable(a, &h->id, now))))
            at = (int)i;
    }
    return at;
}

int path_unreached(struct dht_asker *a, struct lookup *l, struct now now)
{
    int at;
    do
        at = path_unreached_nearest(a, l, now);
    while (at != NOBODY && !path_prove(a, l, at));
    return at;
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

static int path_copy_nearest(struct dht_asker *a, const struct lookup *l, struct now now)
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

/* One that was asked on the way, or that the root named as the next. */
int path_copy_next(struct dht_asker *a, struct lookup *l, struct now now)
{
    int at;
    do
        at = path_copy_nearest(a, l, now);
    while (at != NOBODY && !path_may_ask(a, l, at));
    return at;
}
