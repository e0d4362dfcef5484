/* SPDX-License-Identifier: BSD-3-Clause */
/* Whom a node names, against a look at everybody. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "bench.h"
#include "dht/closer.h"

#define N 150

struct place {
    struct dht_routes r;
    struct dht_contact contact[N];
    struct dht_route route[N];
    struct rng rng;
};

static int by_distance(const void *x, const void *y, void *self)
{
    const struct dht_contact *a = x, *b = y;
    struct dht_distance da = distance_between(&a->id, self);
    struct dht_distance db = distance_between(&b->id, self);
    return distance_less(&da, &db) ? -1 : distance_less(&db, &da);
}

static struct dht_id random_id(struct place *p, unsigned prefix)
{
    struct dht_id random;
    rng_bytes(&p->rng, &random, sizeof(random));
    return id_sharing(&random, &p->r.self.id, prefix);
}

/* n contacts, crowded near this node as in a real table, some dead, of all levels. */
static void place_make(struct place *p, uint64_t seed, unsigned n)
{
    memset(p, 0, sizeof(*p));
    rng_init_u64(&p->rng, seed);
    rng_bytes(&p->rng, &p->r.self.id, sizeof(p->r.self.id));
    for (unsigned i = 0; i < n; i++) {
        p->contact[i].rpc = (struct endpoint){addr_v4(0x0a000000 + i), 8053};
        p->contact[i].id = random_id(p, rng_below(&p->rng, 1 + rng_below(&p->rng, 20)));
    }
    qsort_r(p->contact, n, sizeof(p->contact[0]), by_distance, &p->r.self.id);
    for (unsigned i = 0; i < n; i++)
        p->route[i] =
            (struct dht_route){.peer = i & 0xffffff,
                               .levels = (1 + rng_below(&p->rng, 7)) & 15,
                               .alive = rng_below(&p->rng, 5) != 0,
                               .rtt_us = (1 + rng_below(&p->rng, 200)) & 0xffffff,
                               .prefix = id_prefix(&p->r.self.id, &p->contact[i].id) & 0xff};
    p->r.n = n;
    p->r.route = p->route;
    p->r.contact = p->contact;
}

static bool is_fit(const struct place *p, unsigned i, unsigned level, const struct dht_id *but)
{
    return p->route[i].alive && p->route[i].levels >> level & 1 && !id_eq(&p->contact[i].id, but);
}

static struct dht_distance distance_of(const struct place *p, unsigned i, const struct dht_id *key)
{
    return distance_between(&p->contact[i].id, key);
}

static bool has(const struct rpc_contact *out, unsigned n, const struct dht_id *id)
{
    for (unsigned i = 0; i < n; i++)
        if (id_eq(&out[i].id, id))
            return true;
    return false;
}

static void check_closest(const struct place *p, unsigned level, const struct dht_id *key,
                          const struct dht_id *but)
{
    struct rpc_contact out[RPC_CONTACTS];
    unsigned n = closest_contacts(&p->r, level, key, but, out), fit = 0;
    for (unsigned i = 0; i < p->r.n; i++)
        fit += is_fit(p, i, level, but);
    cr_assert_eq(n, fit < RPC_CONTACTS ? fit : RPC_CONTACTS);
    for (unsigned i = 0; i < n; i++) {
        struct dht_distance d = distance_between(&out[i].id, key);
        unsigned nearer = 0;
        for (unsigned j = 0; j < p->r.n; j++) {
            struct dht_distance other = distance_of(p, j, key);
            nearer += is_fit(p, j, level, but) && distance_less(&other, &d);
        }
        cr_assert_eq(nearer, i, "so many are nearer than number %u", i);
        uint32_t at = routes_find(&p->r, &out[i].id);
        cr_assert(at < p->r.n && is_fit(p, at, level, but));
        cr_assert(endpoint_eq(&out[i].rpc, &p->contact[at].rpc));
    }
}

/* The rule is followed among those that share as many bits with us as the key does, if there are
 * any: they are the closest. */
static void check_closer(const struct place *p, unsigned level, const struct dht_id *key,
                         const struct dht_id *but, unsigned bits)
{
    struct rpc_contact out[RPC_CONTACTS];
    unsigned n = closer_contacts(&p->r, level, key, but, bits, out);
    struct dht_distance mine = distance_between(&p->r.self.id, key), closest = mine;
    struct closer_step step = closer_step(&mine, bits);
    struct closer_merit best, m;
    bool any = false, likely = false;
    unsigned closest_at = N;
    uint32_t fastest = UINT32_MAX, named = UINT32_MAX;
    for (unsigned i = 0; i < p->r.n; i++) {
        struct dht_distance d = distance_of(p, i, key);
        if (!is_fit(p, i, level, but) || !closer_merit(&step, &d, p->route[i].rtt_us, &m))
            continue;
        cr_assert(distance_less(&d, &mine));
        bool alike = p->route[i].prefix == distance_prefix(&mine);
        if (!any || (alike && !likely) || (alike == likely && closer_better(&m, &best)))
            best = m;
        if (alike && !likely)
            fastest = UINT32_MAX;
        any = true;
        likely |= alike;
        if (alike == likely && p->route[i].rtt_us < fastest)
            fastest = p->route[i].rtt_us;
        if (distance_less(&d, &closest)) {
            closest = d;
            closest_at = i;
        }
    }
    cr_assert_eq(n > 0, any, "one at least, if there is one");
    for (unsigned i = 0; i < n; i++) {
        uint32_t at = routes_find(&p->r, &out[i].id);
        cr_assert(at < p->r.n && is_fit(p, at, level, but));
        struct dht_distance d = distance_of(p, at, key);
        cr_assert(closer_merit(&step, &d, p->route[at].rtt_us, &m), "strictly closer");
        cr_assert_not(has(out, i, &out[i].id), "each once");
        if (p->route[at].rtt_us < named)
            named = p->route[at].rtt_us;
        if (i == 0)
            cr_assert_not(closer_better(&best, &m), "the first is the rule's");
    }
    if (any)
        cr_assert(has(out, n, &p->contact[closest_at].id), "the closest is among them");
    cr_assert_eq(named, fastest, "and the fastest");
}

Test(closer, names_what_a_look_at_everybody_names)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct place p;
        place_make(&p, seed, (unsigned)(seed % N));
        for (unsigned k = 0; k < 40; k++) {
            struct dht_id key = random_id(&p, rng_below(&p.rng, 25));
            struct dht_id but = p.r.n ? p.contact[rng_below(&p.rng, p.r.n)].id : random_id(&p, 0);
            unsigned level = k % DHT_LEVELS;
            if (k == 7)
                key = p.r.self.id;
            if (k == 8 && p.r.n)
                key = p.contact[0].id;
            check_closest(&p, level, &key, &but);
            for (unsigned bits = 1; bits <= 3; bits++)
                check_closer(&p, level, &key, &but, bits);
        }
    }
}

Test(closer, finds_each_route_and_no_other_and_each_bucket_s_range)
{
    struct place p;
    place_make(&p, 5, N);
    for (unsigned i = 0; i < N; i++)
        cr_assert_eq(routes_find(&p.r, &p.contact[i].id), i);
    for (unsigned i = 0; i < N; i++) {
        struct dht_id stranger = random_id(&p, i);
        cr_assert_eq(routes_find(&p.r, &stranger), N);
    }
    for (unsigned prefix = 0; prefix <= 160; prefix++) {
        struct closer_range r = closer_range(&p.r, prefix);
        cr_assert_leq(r.from, r.to);
        for (unsigned i = 0; i < N; i++)
            cr_assert_eq(i >= r.from && i < r.to, p.route[i].prefix == prefix);
    }
}

/* --- the rule --------------------------------------------------------------------------------- */

static struct closer_merit merit(unsigned bits, uint64_t distance, uint32_t rtt_us)
{
    const struct dht_distance d = {{1000ull << 32, 0, 0}}, at = {{distance << 32, 0, 0}};
    struct closer_step step = closer_step(&d, bits);
    struct closer_merit m;
    cr_assert(closer_merit(&step, &at, rtt_us, &m));
    return m;
}

Test(rule, goes_to_the_fastest_in_the_band_then_the_far_side_s_nearest_then_the_near_side_s)
{
    static const struct {
        uint64_t distance;
        uint32_t rtt_us;
    } order[] = {/* d = 1000, b = 1: the band is 250 to 500 */
                 {500, 10},  {250, 20}, {300, 30}, {501, 90}, {700, 1},
                 {999, 999}, {249, 70}, {100, 1},  {0, 1}};
    for (unsigned i = 0; i < 9; i++)
        for (unsigned j = 0; j < 9; j++) {
            struct closer_merit a = merit(1, order[i].distance, order[i].rtt_us);
            struct closer_merit b = merit(1, order[j].distance, order[j].rtt_us);
            cr_assert_eq(closer_better(&a, &b), i < j, "%u, %u", i, j);
        }
}

Test(rule, steps_by_b_bits)
{
    for (unsigned bits = 1; bits <= 3; bits++) {
        cr_assert_eq(merit(bits, 1000 >> bits, 1).side, 0, "b = %u", bits);
        cr_assert_eq(merit(bits, (1000 >> bits) + 1, 1).side, 1);
        cr_assert_eq(merit(bits, (1000 >> (bits + 1)) - 1, 1).side, 2);
    }
    const struct dht_distance d = {{5, 0, 0}};
    struct closer_step step = closer_step(&d, 1);
    struct closer_merit m;
    cr_assert_not(closer_merit(&step, &d, 1, &m), "as far as we are is no candidate");
}
