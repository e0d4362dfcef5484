/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/closer.h"

struct closer_step closer_step(const struct dht_distance *d, unsigned prefix_bits)
{
    return (struct closer_step){*d, distance_halved(d, prefix_bits),
                                distance_halved(d, prefix_bits + 1)};
}

bool closer_merit(const struct closer_step *step, const struct dht_distance *distance,
                  uint32_t rtt_us, struct closer_merit *out)
{
    if (!distance_less(distance, &step->d))
        return false;
    bool far = distance_less(&step->high, distance), near = distance_less(distance, &step->low);
    *out = (struct closer_merit){far ? 1 : near ? 2 : 0, *distance, rtt_us};
    return true;
}

bool closer_better(const struct closer_merit *a, const struct closer_merit *b)
{
    if (a->side != b->side)
        return a->side < b->side;
    if (a->side == 0)
        return a->rtt_us < b->rtt_us;
    return a->side == 1 ? distance_less(&a->distance, &b->distance)
                        : distance_less(&b->distance, &a->distance);
}

/* --- where in the table ----------------------------------------------------------------------- */

/* the first route that shares fewer than `prefix` bits with us */
static uint32_t first_below(const struct dht_routes *routes, unsigned prefix)
{
    uint32_t lo = 0, hi = routes->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (routes->route[mid].prefix >= prefix)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct closer_range closer_range(const struct dht_routes *routes, unsigned prefix)
{
    return (struct closer_range){first_below(routes, prefix + 1), first_below(routes, prefix)};
}

static bool is_nearer(const struct dht_routes *routes, uint32_t at, const struct dht_distance *d)
{
    struct dht_distance its =
        distance_between(&routes->self.id, &dht_route_contact(routes, at)->id);
    return distance_less(&its, d);
}

/* Routes are sorted by their distance from us. The bits that they share with us say most of it, and
 * lie side by side. */
uint32_t routes_find(const struct dht_routes *routes, const struct dht_id *id)
{
    struct dht_distance want = distance_between(&routes->self.id, id);
    unsigned prefix = distance_prefix(&want);
    uint32_t lo = 0, hi = routes->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        unsigned its = routes->route[mid].prefix;
        if (its > prefix || (its == prefix && is_nearer(routes, mid, &want)))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < routes->n && id_eq(&dht_route_contact(routes, lo)->id, id) ? lo : routes->n;
}

static bool is_fit(const struct dht_route *r, unsigned level)
{
    return r->alive && r->levels >> level & 1;
}

static struct rpc_contact contact_of(const struct dht_routes *routes, uint32_t i)
{
    const struct dht_contact *c = dht_route_contact(routes, i);
    return (struct rpc_contact){c->id, c->rpc};
}

/* --- closer by the rule ----------------------------------------------------------------------- */

struct choice {
    bool any;
    uint32_t at;
    struct closer_merit merit;
};

struct choosing {
    const struct dht_routes *routes;
    unsigned level;
    const struct dht_id *key, *but;
    struct closer_step step;
    struct choice first, closest, second, fastest;
};

static void choose(struct choice *c, uint32_t at, const struct closer_merit *m, bool better)
{
    if (!c->any || better)
        *c = (struct choice){true, at, *m};
}

static void choose_from(struct choosing *c, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const struct dht_route *r = &c->routes->route[i];
        if (!is_fit(r, c->level))
            continue;
        const struct dht_id *id = &dht_route_contact(c->routes, i)->id;
        struct dht_distance distance = distance_between(id, c->key);
        struct closer_merit m;
        uint32_t rtt_us = r->rtt_us ? r->rtt_us : CLOSER_RTT_UNKNOWN_US;
        if (!closer_merit(&c->step, &distance, rtt_us, &m) || id_eq(id, c->but))
            continue;
        choose(&c->first, i, &m, closer_better(&m, &c->first.merit));
        choose(&c->fastest, i, &m, rtt_us < c->fastest.merit.rtt_us);
        if (!c->closest.any || distance_less(&distance, &c->closest.merit.distance)) {
            c->second = c->closest;
            c->closest = (struct choice){true, i, m};
        } else {
            choose(&c->second, i, &m, distance_less(&distance, &c->second.merit.distance));
        }
    }
}

unsigned closer_contacts(const struct dht_routes *routes, unsigned level, const struct dht_id *key,
                         const struct dht_id *but, unsigned prefix_bits,
                         struct rpc_contact out[static RPC_CONTACTS])
{
    struct dht_distance d = distance_between(&routes->self.id, key);
    struct choosing c = {.routes = routes, .level = level, .key = key, .but = but};
    c.step = closer_step(&d, prefix_bits);

    struct closer_range r = closer_range(routes, distance_prefix(&d));
    choose_from(&c, r.from, r.to);
    if (!c.first.any)
        choose_from(&c, 0, r.from);

    const struct choice *chosen[RPC_CONTACTS] = {&c.first, &c.closest, &c.second, &c.fastest};
    unsigned n = 0;
    for (unsigned i = 0; i < RPC_CONTACTS; i++) {
        bool again = !chosen[i]->any;
        for (unsigned j = 0; j < i; j++)
            again |= chosen[j]->any && chosen[j]->at == chosen[i]->at;
        if (!again)
            out[n++] = contact_of(routes, chosen[i]->at);
    }
    return n;
}

/* --- the closest ------------------------------------------------------------------------------ */

struct nearest {
    unsigned n;
    struct dht_distance distance[RPC_CONTACTS];
    struct rpc_contact *out;
};

static void nearest_from(struct nearest *b, const struct dht_routes *routes, unsigned level,
                         const struct dht_id *key, const struct dht_id *but, uint32_t from,
                         uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        const struct dht_id *id = &dht_route_contact(routes, i)->id;
        if (!is_fit(&routes->route[i], level) || id_eq(id, but))
            continue;
        struct dht_distance d = distance_between(id, key);
        unsigned at = b->n;
        while (at > 0 && distance_less(&d, &b->distance[at - 1]))
            at--;
        if (at == RPC_CONTACTS)
            continue;
        if (b->n < RPC_CONTACTS)
            b->n++;
        for (unsigned j = b->n - 1; j > at; j--) {
            b->distance[j] = b->distance[j - 1];
            b->out[j] = b->out[j - 1];
        }
        b->distance[at] = d;
        b->out[at] = contact_of(routes, i);
    }
}

unsigned closest_contacts(const struct dht_routes *routes, unsigned level, const struct dht_id *key,
                          const struct dht_id *but, struct rpc_contact out[static RPC_CONTACTS])
{
    struct nearest b = {.out = out};
    struct closer_range r = closer_range(routes, id_prefix(&routes->self.id, key));
    nearest_from(&b, routes, level, key, but, r.from, r.to);
    if (b.n < RPC_CONTACTS)
        nearest_from(&b, routes, level, key, but, 0, r.from);
    /* farther than we are: a bucket at a time, each farther than the one before */
    while (b.n < RPC_CONTACTS && r.to < routes->n) {
        r = closer_range(routes, routes->route[r.to].prefix);
        nearest_from(&b, routes, level, key, but, r.from, r.to);
    }
    return b.n;
}
