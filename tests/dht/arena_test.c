/* SPDX-License-Identifier: BSD-3-Clause */
/* What a thread's askers and stores share: rates, the replay filter, who was heard, secrets. */
#include <criterion/criterion.h>

#include "bench.h"

static struct dht_arena *open_arena(uint32_t prefix_rate, bool filter, uint8_t seed)
{
    struct dht_config config = dht_config_default();
    uint8_t shared[32] = {seed}, own[32] = {99};
    config.lookups = 4;
    config.pings = 4;
    config.holders = 16;
    config.prefix_rate = prefix_rate;
    config.replay_filter = filter;
    return dht_arena_create(&config, 3, shared, own, (struct now){0, 0});
}

static struct now at_ms(uint64_t ms)
{
    return (struct now){1000 * ms, 0};
}

static struct addr v6(const char *text)
{
    struct addr a;
    cr_assert(addr_parse(text, &a));
    return a;
}

/* --- rates ------------------------------------------------------------------------------------ */

static unsigned pass(struct dht_arena *a, const struct addr *ip, unsigned n, uint64_t ms)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < n; i++)
        passed += arena_rate(a, ip, at_ms(ms));
    return passed;
}

Test(rate, a_network_is_a_24_or_a_48)
{
    struct dht_arena *a = open_arena(0, false, 1);
    struct addr low = addr_v4(0xc0000201), high = addr_v4(0xc00002fe), other = addr_v4(0xc0000301);
    struct addr one = v6("2001:db8:1:2::1"), two = v6("2001:db8:1:ffff::9"),
                three = v6("2001:db8:2::1");
    cr_assert_eq(arena_prefix(a, &low), arena_prefix(a, &high));
    cr_assert_neq(arena_prefix(a, &low), arena_prefix(a, &other));
    cr_assert_eq(arena_prefix(a, &one), arena_prefix(a, &two));
    cr_assert_neq(arena_prefix(a, &one), arena_prefix(a, &three));
    dht_arena_destroy(a);
}

Test(rate, a_second_s_worth_may_come_at_once_and_then_so_many_a_second)
{
    struct dht_arena *a = open_arena(50, false, 1);
    struct addr ip = addr_v4(0xc0000201), other = addr_v4(0xc6336401);
    unsigned first = pass(a, &ip, 1000, 1000);
    cr_assert(first >= 50 && first <= 51, "%u", first);
    cr_assert_eq(pass(a, &ip, 1000, 1000), 0);
    cr_assert_geq(pass(a, &other, 50, 1000), 50, "another network");
    unsigned second = 0;
    for (uint64_t ms = 1000; ms < 11000; ms++)
        second += pass(a, &ip, 1, ms);
    cr_assert(second >= 498 && second <= 502, "ten seconds: %u", second);
    unsigned rested = pass(a, &ip, 1000, 60000);
    cr_assert(rested >= 50 && rested <= 51, "rest earns a second's worth, not more: %u", rested);
    dht_arena_destroy(a);
}

Test(rate, survives_the_wrap_of_its_microseconds)
{
    struct dht_arena *a = open_arena(50, false, 1);
    struct addr ip = addr_v4(0xc0000201);
    uint64_t wrap_ms = (1ull << 32) / 1000;
    unsigned passed = 0;
    pass(a, &ip, 1000, wrap_ms - 2000);
    for (uint64_t ms = wrap_ms - 2000; ms < wrap_ms + 2000; ms++)
        passed += pass(a, &ip, 1, ms);
    cr_assert(passed >= 198 && passed <= 202, "%u", passed);
    passed = pass(a, &ip, 1000, wrap_ms * 3);
    cr_assert(passed >= 50 && passed <= 51, "%u", passed);
    dht_arena_destroy(a);
}

Test(rate, zero_means_no_limit)
{
    struct dht_arena *a = open_arena(0, false, 1);
    struct addr ip = addr_v4(0xc0000201);
    cr_assert_eq(pass(a, &ip, 100000, 1000), 100000);
    dht_arena_destroy(a);
}

/* --- replays ---------------------------------------------------------------------------------- */

Test(replay, is_known_for_300_to_600_seconds)
{
    struct dht_arena *a = open_arena(0, true, 1);
    struct dht_id from = bench_contact(2).id, other = bench_contact(3).id;
    cr_assert_not(arena_repeated(a, 7, &from, at_ms(1000)));
    cr_assert(arena_repeated(a, 7, &from, at_ms(1000)));
    cr_assert_not(arena_repeated(a, 8, &from, at_ms(1000)), "another tid");
    cr_assert_not(arena_repeated(a, 7, &other, at_ms(1000)), "another's");
    cr_assert_not(arena_repeated(a, 9, &from, at_ms(299000)), "at the end of the generation");
    cr_assert(arena_repeated(a, 7, &from, at_ms(299999)));
    cr_assert(arena_repeated(a, 7, &from, at_ms(300000)), "the one before");
    cr_assert(arena_repeated(a, 9, &from, at_ms(599999)));
    cr_assert_not(arena_repeated(a, 7, &from, at_ms(600000)), "forgotten, and noted again");
    cr_assert(arena_repeated(a, 7, &from, at_ms(600000)));
    dht_arena_destroy(a);
}

Test(replay, is_forgotten_also_when_nothing_came_in_between)
{
    struct dht_arena *a = open_arena(0, true, 1);
    struct dht_id from = bench_contact(2).id;
    cr_assert_not(arena_repeated(a, 7, &from, at_ms(1000)));
    cr_assert_not(arena_repeated(a, 7, &from, at_ms(601000)));
    cr_assert(arena_repeated(a, 7, &from, at_ms(601000)));
    dht_arena_destroy(a);
}

Test(replay, of_a_thousand_stores_a_second_almost_none_is_forgotten_or_taken_for_another)
{
    struct dht_arena *a = open_arena(0, true, 1);
    struct dht_id from = bench_contact(2).id;
    unsigned wrong = 0, known = 0;
    for (uint64_t tid = 1; tid <= 3000; tid++)
        wrong += arena_repeated(a, tid, &from, at_ms(tid));
    for (uint64_t tid = 1; tid <= 3000; tid++)
        known += arena_repeated(a, tid, &from, at_ms(3000 + tid));
    cr_assert_eq(wrong, 0);
    cr_assert_geq(known, 2800, "%u of 3000", known);
    dht_arena_destroy(a);
}

Test(replay, is_not_looked_for_where_the_filter_is_off)
{
    struct dht_arena *a = open_arena(0, false, 1);
    struct dht_id from = bench_contact(2).id;
    for (unsigned i = 0; i < 3; i++)
        cr_assert_not(arena_repeated(a, 7, &from, at_ms(1000)));
    dht_arena_destroy(a);
}

/* --- who was heard ---------------------------------------------------------------------------- */

Test(heard, a_sender_is_news_once_a_second_to_each_receiver)
{
    struct dht_arena *a = open_arena(0, false, 1);
    struct dht_id self = bench_contact(1).id, also = bench_contact(9).id;
    struct dht_id from = bench_contact(2).id, other = bench_contact(3).id;
    cr_assert(arena_heard_once(a, &self, &from, at_ms(5000)));
    cr_assert_not(arena_heard_once(a, &self, &from, at_ms(5000)));
    cr_assert(arena_heard_once(a, &self, &other, at_ms(5000)));
    cr_assert(arena_heard_once(a, &also, &from, at_ms(5000)), "another node of the arena");
    cr_assert_not(arena_heard_once(a, &self, &from, at_ms(5999)));
    cr_assert(arena_heard_once(a, &self, &from, at_ms(6000)));
    dht_arena_destroy(a);
}

/* --- secrets ---------------------------------------------------------------------------------- */

Test(secrets, are_the_node_s_and_not_the_worker_s)
{
    struct dht_config config = dht_config_default();
    const uint8_t seed[32] = {1}, first_own[32] = {2}, second_own[32] = {3};
    config.lookups = 4;
    struct dht_arena *first = dht_arena_create(&config, 0, seed, first_own, at_ms(0));
    struct dht_arena *second = dht_arena_create(&config, 1, seed, second_own, at_ms(0));
    struct dht_arena *stranger = open_arena(0, false, 77);
    struct dht_contact c = bench_contact(2);
    uint64_t cookie = cookie_make(&first->cookies, &c.rpc, &c.id, at_ms(0));
    cr_assert(cookie_valid(&second->cookies, cookie, &c.rpc, &c.id, at_ms(0)));
    cr_assert_not(cookie_valid(&stranger->cookies, cookie, &c.rpc, &c.id, at_ms(0)));
    cr_assert_arr_eq(first->secret.bytes, second->secret.bytes, HASH_SECRET_BYTES);
    cr_assert_neq(rng_u64(&first->rng), rng_u64(&second->rng));
    dht_arena_destroy(first);
    dht_arena_destroy(second);
    dht_arena_destroy(stranger);
}

/* What is remembered of one is of no use to another, to the same at another address, or later. */
Test(cookies, remembered_are_those_that_would_be_made)
{
    const uint64_t later_ms = COOKIE_GENERATION_US / 1000;
    struct dht_arena *a = open_arena(0, false, 1), *fresh = open_arena(0, false, 1);
    struct dht_contact c = bench_contact(2), moved = c, alike = c;
    moved.rpc.port++;
    alike.id.b[0] ^= 1; /* remembered in the same place */
    struct cookie_claim claim[] = {{&c.rpc, &c.id, 0, false, 0},
                                   {&moved.rpc, &c.id, 0, false, 0},
                                   {&alike.rpc, &alike.id, 0, false, 0},
                                   {&c.rpc, &c.id, 0, false, 0}};
    for (unsigned round = 0; round < 3; round++)
        for (uint64_t ms = 0; ms <= 2 * later_ms; ms += later_ms) {
            cookie_check_many(&a->cookies, claim, 4, at_ms(ms));
            for (unsigned i = 0; i < 4; i++)
                cr_assert_eq(claim[i].fresh,
                             cookie_make(&fresh->cookies, claim[i].from, claim[i].id, at_ms(ms)));
        }
    uint64_t shown = cookie_make(&a->cookies, &c.rpc, &c.id, at_ms(0));
    cr_assert(cookie_valid(&a->cookies, shown, &c.rpc, &c.id, at_ms(0)));
    cr_assert(cookie_valid(&a->cookies, shown, &c.rpc, &c.id, at_ms(0)), "as remembered");
    cr_assert_not(cookie_valid(&a->cookies, shown, &moved.rpc, &c.id, at_ms(0)));
    cr_assert_not(cookie_valid(&a->cookies, shown, &alike.rpc, &alike.id, at_ms(0)));
    cr_assert(cookie_valid(&a->cookies, shown, &c.rpc, &c.id, at_ms(later_ms)), "the one before");
    cr_assert_not(cookie_valid(&a->cookies, shown, &c.rpc, &c.id, at_ms(2 * later_ms)));
    cr_assert_not(cookie_valid(&a->cookies, 0, &c.rpc, &c.id, at_ms(0)));
    dht_arena_destroy(a);
    dht_arena_destroy(fresh);
}
