/* SPDX-License-Identifier: BSD-3-Clause */
/* The routing table: who has a place, who gives way, and that what is kept is in order. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/rng.h"
#include "dht/table.h"

#define K    8u
#define BOOK 4096u

struct shelf {
    struct dht_book *book;
    struct dht_routes routes;
    struct table t;
    struct rng rng;
    struct now now;
};

static void shelf_open(struct shelf *s, uint64_t seed)
{
    static const uint8_t secret[32] = {3};
    memset(s, 0, sizeof(*s));
    rng_init_u64(&s->rng, seed);
    rng_bytes(&s->rng, &s->routes.self.id, sizeof(s->routes.self.id));
    s->book = dht_book_create(BOOK, secret);
    s->now.mono_us = 1000000;
    table_init(&s->t, s->book, &s->routes, K);
}

static void shelf_close(struct shelf *s)
{
    table_free(&s->t);
    for (uint32_t i = 0; i < s->book->used; i++)
        cr_assert_eq(s->book->note[i].tables, 0, "the table let go of all");
    dht_book_destroy(s->book);
}

/* Somebody new who shares so many bits with us; of the next three bits beyond the one that
 * differs, `sub` (8: any). */
static uint32_t stranger(struct shelf *s, unsigned prefix, unsigned sub)
{
    struct dht_contact c = {.http_port = 80};
    struct dht_id random;
    uint32_t gone;
    rng_bytes(&s->rng, &random, sizeof(random));
    c.id = id_sharing(&random, &s->routes.self.id, prefix);
    for (unsigned i = 0; sub < 8 && i < 3; i++) {
        unsigned bit = prefix + 1 + i;
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        c.id.b[bit / 8] = (uint8_t)((c.id.b[bit / 8] & ~mask) | (sub >> (2 - i) & 1 ? mask : 0));
    }
    return book_take(s->book, &c, &gone, s->now);
}

static bool put(struct shelf *s, uint32_t peer, unsigned levels, uint32_t rtt_us)
{
    uint32_t at = table_put(&s->t, peer, levels, rtt_us, s->now);
    if (at == s->routes.n)
        return false;
    cr_assert_eq(s->t.route[at].peer, peer);
    s->t.route[at].rtt_us = rtt_us & 0xffffff;
    return true;
}

static unsigned levels_of(const struct shelf *s, uint32_t peer)
{
    uint32_t at = table_find(&s->t, peer);
    return at < s->routes.n ? s->t.route[at].levels : 0;
}

/* 2k contacts so near that nobody farther is a sibling. */
static void siblings(struct shelf *s, unsigned levels)
{
    for (unsigned i = 0; i < 2 * K; i++)
        cr_assert(put(s, stranger(s, 20 + i, 8), levels, 1000));
}

/* --- who has a place -------------------------------------------------------------------------- */

Test(table, a_bucket_has_k_places_at_each_level)
{
    struct shelf s;
    shelf_open(&s, 1);
    siblings(&s, DHT_ALL_LEVELS);
    uint32_t far[3 * K];
    for (unsigned i = 0; i < 3 * K; i++) {
        far[i] = stranger(&s, 0, 5); /* all alike, so nobody makes it more even */
        unsigned level = 1u << i / K;
        cr_assert_eq(table_wants(&s.t, far[i], DHT_ALL_LEVELS, 1000), DHT_ALL_LEVELS & ~(level - 1),
                     "%u", i);
        cr_assert(put(&s, far[i], level, 1000), "%u", i);
    }
    for (unsigned level = 0; level < DHT_LEVELS; level++)
        cr_assert_eq(table_count(&s.t, level), 3 * K);
    uint32_t late = stranger(&s, 0, 5);
    cr_assert_eq(table_wants(&s.t, late, DHT_ALL_LEVELS, 1000), 0);
    cr_assert_not(put(&s, late, DHT_ALL_LEVELS, 1000));
    cr_assert_eq(s.book->note[late].tables, 0);
    cr_assert(put(&s, stranger(&s, 1, 5), 1, 1000), "another bucket");
    shelf_close(&s);
}

Test(table, the_nearest_2k_have_a_place_whatever_their_buckets_hold)
{
    struct shelf s;
    shelf_open(&s, 2);
    for (unsigned i = 0; i < 2 * K; i++)
        cr_assert(put(&s, stranger(&s, 0, 5), 1, 1000), "%u: of a small planet, all", i);
    for (unsigned i = 0; i < K; i++)
        cr_assert(put(&s, stranger(&s, 1, 5), 1, 1000));
    cr_assert_eq(table_count(&s.t, 0), 2 * K, "of the far ones half had to go");
    for (unsigned i = 0; i < K; i++)
        cr_assert(put(&s, stranger(&s, 2, 5), 1, 1000));
    cr_assert_eq(table_count(&s.t, 0), 3 * K, "k of each bucket stay");
    shelf_close(&s);
}

Test(table, a_sibling_that_lives_gives_way_to_nobody_farther)
{
    struct shelf s;
    shelf_open(&s, 3);
    for (unsigned i = 0; i < K; i++)
        put(&s, stranger(&s, 9, 8), 1, 1000);
    uint32_t near[K];
    for (unsigned i = 0; i < K; i++) { /* sub-prefixes differ from ours in their first bit */
        near[i] = stranger(&s, 0, 8);
        put(&s, near[i], 1, 500000);
    }
    struct dht_distance last = {{0, 0, 0}};
    for (unsigned i = 0; i < K; i++) {
        struct dht_distance d = distance_between(&s.routes.self.id, &s.book->contact[near[i]].id);
        if (distance_less(&last, &d))
            last = d;
    }
    for (unsigned i = 0; i < 200; i++) {
        uint32_t peer = stranger(&s, 0, 8);
        struct dht_distance d = distance_between(&s.routes.self.id, &s.book->contact[peer].id);
        if (distance_less(&d, &last))
            continue;
        put(&s, peer, 1, 1);
        for (unsigned j = 0; j < K; j++)
            cr_assert_neq(levels_of(&s, near[j]), 0, "try %u: faster or not", i);
    }
    shelf_close(&s);
}

/* --- who gives way ---------------------------------------------------------------------------- */

/* A full bucket 0, its members of the given sub-prefixes, their RTTs 10, 11, .. ms. */
static void full_bucket(struct shelf *s, const unsigned sub[K], uint32_t peer[K])
{
    shelf_open(s, 4);
    siblings(s, 1);
    for (unsigned i = 0; i < K; i++) {
        peer[i] = stranger(s, 0, sub[i]);
        cr_assert(put(s, peer[i], 1, 10000 + 1000 * i));
    }
}

Test(bucket, becomes_more_even_by_the_next_bits_the_slowest_of_the_many_go)
{
    struct shelf s;
    static const unsigned alike[K] = {0};
    uint32_t peer[K];
    full_bucket(&s, alike, peer);
    for (unsigned sub = 1; sub < 8; sub++) {
        cr_assert(put(&s, stranger(&s, 0, sub), 1, 900000), "%u: slow, but the only one", sub);
        cr_assert_eq(levels_of(&s, peer[K - sub]), 0, "the slowest of the many went");
        cr_assert_neq(levels_of(&s, peer[K - sub - 1]), 0);
    }
    for (unsigned sub = 0; sub < 8; sub++)
        cr_assert_not(put(&s, stranger(&s, 0, sub), 1, 900000), "now it is even");
    shelf_close(&s);
}

Test(bucket, is_even_enough_when_a_change_would_only_turn_it_round)
{
    struct shelf s;
    static const unsigned two_of_one[K] = {0, 0, 1, 2, 3, 4, 5, 6};
    uint32_t peer[K];
    full_bucket(&s, two_of_one, peer);
    cr_assert_not(put(&s, stranger(&s, 0, 1), 1, 900000));
    cr_assert(put(&s, stranger(&s, 0, 7), 1, 900000));
    cr_assert_eq(levels_of(&s, peer[1]), 0);
    shelf_close(&s);
}

Test(bucket, an_old_contact_gives_way_to_one_that_is_a_fifth_faster)
{
    struct shelf s;
    static const unsigned each[K] = {0, 1, 2, 3, 4, 5, 6, 7};
    uint32_t peer[K];
    full_bucket(&s, each, peer);
    cr_assert_not(put(&s, stranger(&s, 0, 7), 1, 13600), "exactly a fifth less than 17 ms");
    cr_assert_not(put(&s, stranger(&s, 0, 7), 1, 0), "nobody knows how fast");
    cr_assert_not(put(&s, stranger(&s, 0, 0), 1, 9000), "compared with its like");
    cr_assert(put(&s, stranger(&s, 0, 7), 1, 13599));
    cr_assert_eq(levels_of(&s, peer[7]), 0);
    cr_assert_eq(table_count(&s.t, 0), 3 * K);
    shelf_close(&s);
}

Test(bucket, who_does_not_answer_goes_first)
{
    struct shelf s;
    static const unsigned alike[K] = {3, 3, 3, 3, 3, 3, 3, 3};
    uint32_t peer[K];
    full_bucket(&s, alike, peer);
    uint32_t dead = table_find(&s.t, peer[0]), newcomer = stranger(&s, 0, 3);
    cr_assert_not(put(&s, newcomer, 1, 400000));
    s.t.route[dead].alive = 0;
    cr_assert(put(&s, newcomer, 1, 400000));
    cr_assert_eq(levels_of(&s, peer[0]), 0, "though it was the fastest");
    shelf_close(&s);
}

/* --- bit by bit ------------------------------------------------------------------------------- */

Test(levels, come_and_go_bit_by_bit_and_the_last_takes_the_contact_with_it)
{
    struct shelf s;
    shelf_open(&s, 5);
    uint32_t peer = stranger(&s, 3, 8);
    cr_assert_eq(s.routes.populated, 1);
    put(&s, peer, 1, 1000);
    cr_assert_eq(levels_of(&s, peer), 1);
    put(&s, peer, 5, 1000);
    cr_assert(levels_of(&s, peer) == 5 && s.routes.populated == 5 && s.routes.n == 1);
    cr_assert_eq(s.book->note[peer].tables, 1, "once, however many levels");
    put(&s, peer, 3, 1000);
    cr_assert(levels_of(&s, peer) == 3 && s.routes.populated == 3);
    cr_assert_eq(s.t.route[0].rtt_us, 1000);
    cr_assert_not(put(&s, peer, 0, 1000));
    cr_assert(s.routes.n == 0 && s.routes.populated == 1);
    cr_assert_eq(s.book->note[peer].tables, 0);
    shelf_close(&s);
}

Test(levels, one_that_is_left_is_cleared_and_the_others_stay)
{
    struct shelf s;
    shelf_open(&s, 6);
    for (unsigned i = 0; i < 30; i++)
        put(&s, stranger(&s, i % 10, 8), 1 + i % 7, 1000);
    unsigned planet = table_count(&s.t, 0), metro = table_count(&s.t, 1);
    cr_assert_gt(table_count(&s.t, 2), 0);
    table_clear_level(&s.t, 2);
    cr_assert(table_count(&s.t, 2) == 0 && s.routes.populated == 3);
    cr_assert(table_count(&s.t, 0) == planet && table_count(&s.t, 1) == metro);
    for (uint32_t i = 0; i < s.routes.n; i++)
        cr_assert_neq(s.routes.route[i].levels, 0);
    shelf_close(&s);
}

Test(table, is_filled_by_a_simulation_as_it_says)
{
    struct shelf s;
    shelf_open(&s, 7);
    struct dht_route route[20];
    for (unsigned i = 0; i < 20; i++)
        route[i] = (struct dht_route){.peer = stranger(&s, 30 - i, 8) & 0xffffff,
                                      .levels = 3,
                                      .alive = 1,
                                      .prefix = (30 - i) & 0xff};
    cr_assert(table_fill(&s.t, route, 20));
    cr_assert(s.routes.n == 20 && s.routes.populated == 3);
    for (unsigned i = 0; i < 20; i++)
        cr_assert(table_find(&s.t, route[i].peer) == i && s.t.note[i].oracle);
    shelf_close(&s);
}

Test(table, is_bounded)
{
    struct shelf s;
    shelf_open(&s, 8);
    struct dht_route *route = calloc(TABLE_MAX + 1, sizeof(*route));
    cr_assert_not(table_fill(&s.t, route, TABLE_MAX + 1));
    cr_assert_eq(s.routes.n, 0);
    free(route);
    shelf_close(&s);
}

/* --- whatever happens ------------------------------------------------------------------------- */

static void check_order(const struct shelf *s, const char *when)
{
    unsigned populated = 1;
    struct dht_distance before = {{0, 0, 0}};
    for (uint32_t i = 0; i < s->routes.n; i++) {
        const struct dht_route *r = &s->routes.route[i];
        struct dht_distance d =
            distance_between(&s->routes.self.id, &dht_route_contact(&s->routes, i)->id);
        cr_assert(i == 0 || distance_less(&before, &d), "%s: nearest first", when);
        cr_assert_eq(r->prefix, distance_prefix(&d), "%s", when);
        cr_assert_neq(r->levels, 0, "%s", when);
        cr_assert_eq(table_find(&s->t, r->peer), i, "%s", when);
        populated |= r->levels;
        before = d;
    }
    cr_assert_eq(s->routes.populated, populated, "%s", when);
}

static void check_book(const struct shelf *s, const char *when)
{
    uint32_t in = 0;
    for (uint32_t i = 0; i < s->book->used; i++)
        in += s->book->note[i].tables;
    for (uint32_t i = 0; i < s->routes.n; i++)
        cr_assert_eq(s->book->note[s->routes.route[i].peer].tables, 1, "%s", when);
    cr_assert_eq(in, s->routes.n, "%s", when);
}

/* A bucket holds k at most, unless all of it are siblings. */
static void check_bounds(const struct shelf *s, const char *when)
{
    for (unsigned level = 0; level < DHT_LEVELS; level++) {
        unsigned rank = 0, count[161] = {0}, beyond[161] = {0};
        for (uint32_t i = 0; i < s->routes.n; i++) {
            const struct dht_route *r = &s->routes.route[i];
            if (!(r->levels >> level & 1))
                continue;
            count[r->prefix]++;
            beyond[r->prefix] += rank++ >= 2 * K;
        }
        for (unsigned p = 0; p <= 160; p++)
            cr_assert(beyond[p] == 0 || count[p] <= K, "%s: bucket %u of level %u has %u", when, p,
                      level, count[p]);
    }
}

/* Who lives and is among the nearest 2k with the newcomer keeps its bits. */
static void check_siblings(const struct shelf *s, const struct dht_route *was, uint32_t n,
                           uint32_t peer, const char *when)
{
    struct dht_distance mine = distance_between(&s->routes.self.id, &s->book->contact[peer].id);
    for (unsigned level = 0; level < DHT_LEVELS; level++) {
        unsigned rank = 0;
        for (uint32_t i = 0; i < n && rank < 2 * K; i++) {
            struct dht_distance d =
                distance_between(&s->routes.self.id, &s->book->contact[was[i].peer].id);
            if (!(was[i].levels >> level & 1) || was[i].peer == peer)
                continue;
            bool behind = distance_less(&mine, &d);
            if (was[i].alive && rank + behind < 2 * K)
                cr_assert(levels_of(s, was[i].peer) >> level & 1, "%s: sibling %u of level %u went",
                          when, rank, level);
            rank++;
        }
    }
}

static void random_put(struct shelf *s, const char *when)
{
    struct dht_route was[512];
    uint32_t n = s->routes.n;
    uint32_t peer = rng_below(&s->rng, 3) && s->book->used
                        ? rng_below(&s->rng, s->book->used)
                        : stranger(s, rng_below(&s->rng, 1 + rng_below(&s->rng, 24)), 8);
    unsigned levels = rng_below(&s->rng, 8), had = levels_of(s, peer);
    uint32_t rtt_us = rng_below(&s->rng, 300000);
    unsigned wants = table_wants(&s->t, peer, levels & ~had, rtt_us);
    cr_assert_lt(n, 512);
    for (uint32_t i = 0; i < n; i++)
        was[i] = s->t.route[i];
    put(s, peer, levels, rtt_us);
    unsigned has = levels_of(s, peer);
    cr_assert_eq(has & ~levels, 0, "%s: no level that was not said", when);
    cr_assert_eq(has, (had & levels) | wants, "%s: those wanted, and those kept", when);
    check_siblings(s, was, n, peer, when);
}

Test(table, is_in_order_whatever_happens)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct shelf s;
        shelf_open(&s, seed);
        for (unsigned i = 0; i < 600; i++) {
            char when[64];
            snprintf(when, sizeof(when), "seed %llu, step %u", (unsigned long long)seed, i);
            unsigned what = rng_below(&s.rng, 100);
            if (what < 8 && s.routes.n > 0)
                table_remove(&s.t, rng_below(&s.rng, s.routes.n));
            else if (what < 16 && s.routes.n > 0)
                s.t.route[rng_below(&s.rng, s.routes.n)].alive = 0;
            else if (what == 16)
                table_clear_level(&s.t, rng_below(&s.rng, DHT_LEVELS));
            else
                random_put(&s, when);
            check_order(&s, when);
            check_book(&s, when);
            check_bounds(&s, when);
        }
        shelf_close(&s);
    }
}
