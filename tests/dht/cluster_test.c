/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "base/rng.h"
#include "dht/cluster.h"

/* One node at level 2 (20 ms), and what it hears. */
#define NEAR_US   5000u
#define FAR_US    90000u
#define HOUR_S    3600u
#define FIRST     0x1000ull /* cids of others: all lower than any random one is likely to be */
#define SECOND    0x2000ull
#define MOMENT_US 1000u

static const struct cluster_config config = CLUSTER_CONFIG_DEFAULT;

struct node {
    struct cluster *c;
    struct now now;
};

static struct node start(void)
{
    struct node n = {.now.mono_us = 7 * 86400 * 1000000ull};
    n.c = cluster_create(&config, 2, 0x1122334455667788, 1, n.now);
    cr_assert(n.c);
    return n;
}

static uint64_t cid_of(const struct node *n)
{
    return cluster_descriptor(n->c, n->now).cid;
}

static void pass(struct node *n, uint64_t us)
{
    n->now.mono_us += us;
}

static void hear(struct node *n, uint32_t peer, uint64_t cid, uint8_t size, uint32_t age_s,
                 uint32_t rtt_us)
{
    const struct dht_descriptor says = {cid, size, age_s};
    cluster_heard(n->c, peer, &says, rtt_us, n->now);
    pass(n, MOMENT_US);
}

/* `near` of `all` members, named from `first` on, are near. */
static void hear_members(struct node *n, uint64_t cid, uint8_t size, uint32_t first, unsigned near,
                         unsigned all)
{
    for (uint32_t i = 0; i < all; i++)
        hear(n, first + i, cid, size, 0, i < near ? NEAR_US : FAR_US);
}

/* To the next tick or decision; false if it has nothing to say. */
static bool next(struct node *n, struct cluster_action *out)
{
    n->now.mono_us = cluster_next_us(n->c);
    return cluster_poll(n->c, n->now, out);
}

/* Hears of a cluster, validates it by the same members, and switches. */
static void settle(struct node *n, uint64_t cid, uint8_t size, uint32_t first, unsigned members)
{
    struct cluster_action a;
    hear_members(n, cid, size, first, members, members);
    cr_assert(next(n, &a));
    cr_assert_eq(a.what, CLUSTER_VALIDATE);
    hear_members(n, cid, size, first, members, members);
    cr_assert(next(n, &a));
    cr_assert_eq(a.what, CLUSTER_SWITCH);
    cr_assert_eq(cid_of(n), cid);
    cluster_size(n->c, size * 32u);
}

Test(cluster, begins_alone_in_a_cluster_of_its_own)
{
    struct node n = start();
    struct dht_descriptor d = cluster_descriptor(n.c, n.now);
    cr_assert_neq(d.cid, 0);
    cr_assert_eq(d.size, 0);
    cr_assert_eq(d.age_s, 0);
    cr_assert_eq(cluster_previous(n.c, n.now), 0);
    pass(&n, 100 * 1000000ull);
    cr_assert_eq(cluster_descriptor(n.c, n.now).age_s, 100);

    struct cluster *other = cluster_create(&config, 2, 0x1122334455667789, 1, n.now);
    cr_assert_neq(cluster_descriptor(other, n.now).cid, d.cid);
    cluster_destroy(other);
    cluster_destroy(n.c);
}

Test(cluster, refuses_a_config_that_it_cannot_hold)
{
    struct cluster_config c = config;
    c.threshold_us = CLUSTER_RTT_MAX_US + 1;
    cr_assert_null(cluster_create(&c, 1, 1, 1, (struct now){0}));
    c = config;
    c.members = CLUSTER_MEMBERS_MAX + 1;
    cr_assert_null(cluster_create(&c, 1, 1, 1, (struct now){0}));
    c = config;
    c.known = c.members = 8;
    cr_log_info("%zu bytes of 8 x 8, %zu of 16 x 32\n", cluster_bytes(&c), cluster_bytes(&config));
    cr_assert_leq(cluster_bytes(&c), 800, "a million nodes have two of these each");
}

Test(cluster, ticks_are_fast_at_first_then_every_five_minutes_and_not_in_step)
{
    struct node n = start();
    struct cluster_action a;
    uint64_t began = n.now.mono_us, last = began;
    for (unsigned i = 0; i < 10; i++)
        cr_assert_not(next(&n, &a));
    uint64_t ten_s = (n.now.mono_us - began) / 1000000;
    cr_assert(ten_s > 620 * 3 / 4 && ten_s < 620 * 5 / 4, "ten ticks took %lu s", ten_s);
    unsigned same = 0;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t before = n.now.mono_us - last;
        last = n.now.mono_us;
        cr_assert_not(next(&n, &a));
        uint64_t pause = n.now.mono_us - last;
        cr_assert(pause >= 225 * 1000000ull && pause <= 375 * 1000000ull);
        same += pause == before;
    }
    cr_assert_lt(same, 3);
    cluster_destroy(n.c);
}

Test(cluster, of_two_that_are_alone_exactly_one_moves)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct now now = {.mono_us = 5000000};
        struct cluster *c[2] = {cluster_create(&config, 2, 1, seed, now),
                                cluster_create(&config, 2, 2, seed, now)};
        uint64_t lower = cluster_descriptor(c[0], now).cid < cluster_descriptor(c[1], now).cid
                             ? cluster_descriptor(c[0], now).cid
                             : cluster_descriptor(c[1], now).cid;
        struct cluster_action a;
        for (unsigned s = 0; s < 300; s++, now.mono_us += 1000000)
            for (uint32_t i = 0; i < 2; i++) {
                struct dht_descriptor d = cluster_descriptor(c[!i], now);
                cluster_heard(c[i], !i, &d, NEAR_US, now);
                while (cluster_poll(c[i], now, &a))
                    if (a.what == CLUSTER_SWITCH)
                        cr_assert_eq(a.reason, CLUSTER_LOWER_CID);
            }
        cr_assert_eq(cluster_switches(c[0]) + cluster_switches(c[1]), 1, "seed %lu", seed);
        cr_assert_eq(cluster_descriptor(c[0], now).cid, lower);
        cr_assert_eq(cluster_descriptor(c[1], now).cid, lower);
        cluster_destroy(c[0]);
        cluster_destroy(c[1]);
    }
}

Test(cluster, prefers_the_larger_or_the_lower_cid_as_delta_waves)
{
    /* sizes in eighths of log2; ages in hours; is (lower cid, size a) better than (higher, b)? */
    const struct {
        uint8_t a, b;
        unsigned age_a, age_b;
        bool better;
    } rule[] = {
        {40, 40, 0, 0, true},                        /* the same size: lower cid */
        {40, 48, 0, 0, true},                        /* even: twice as large is not larger yet */
        {40, 49, 0, 0, false},                       /* more is */
        {49, 40, 0, 0, true},  {40, 56, 1, 1, true}, /* odd: nor is four times as large */
        {40, 57, 1, 1, false}, {57, 40, 1, 1, true},  {40, 49, 2, 2, false}, /* even again */
        {40, 49, 3, 3, true},  {40, 49, 3, 2, false}, /* the younger one's age counts */
        {40, 49, 2, 3, false}, {40, 49, 1, 2, true},  {40, 49, 7, 24, true},
        {0, 255, 1, 9, false}, {255, 0, 0, 9, true},
    };
    for (unsigned i = 0; i < sizeof(rule) / sizeof(rule[0]); i++) {
        struct dht_descriptor a = {FIRST, rule[i].a, rule[i].age_a * HOUR_S};
        struct dht_descriptor b = {SECOND, rule[i].b, rule[i].age_b * HOUR_S + HOUR_S - 1};
        cr_assert_eq(cluster_better(&config, &a, &b), rule[i].better, "row %u", i);
        cr_assert_eq(cluster_better(&config, &b, &a), !rule[i].better, "row %u, turned", i);
        cr_assert_not(cluster_better(&config, &a, &a));
    }
}

Test(cluster, eighty_percent_near_is_acceptable_and_less_is_not)
{
    struct cluster_action a;
    struct node n = start();
    hear_members(&n, FIRST, 56, 1, 23, 29); /* 79 % */
    cr_assert_not(next(&n, &a));
    hear(&n, 30, FIRST, 56, 0, NEAR_US); /* 24 of 30: 80 % */
    cr_assert(next(&n, &a));
    cr_assert_eq(a.what, CLUSTER_VALIDATE);
    cr_assert_eq(a.to.cid, FIRST);
    cr_assert_eq(a.members, CLUSTER_SEEDS);
    cr_assert_eq(a.member[0], 30, "who was heard last is asked first");
    cr_assert_eq(a.member[1], 23, "and near ones before far ones");
    cr_assert_not(cluster_poll(n.c, n.now, &a), "nothing before the guests' answers");

    cr_assert(next(&n, &a));
    cr_assert_eq(a.what, CLUSTER_SWITCH);
    cr_assert_eq(a.reason, CLUSTER_LARGER);
    cr_assert_eq(a.measured, 30);
    cr_assert_eq(a.share_percent, 80);
    cr_assert_eq(a.members, 24, "those found near");
    cr_assert_eq(a.to.size, 56);
    cluster_destroy(n.c);
}

Test(cluster, fewer_than_five_measured_say_nothing_unless_they_are_all)
{
    struct cluster_action a;
    struct node n = start();
    hear_members(&n, FIRST, 56, 1, 4, 4);
    hear(&n, 5, FIRST, 56, 0, 0); /* heard, not measured */
    cr_assert_not(next(&n, &a));
    cluster_destroy(n.c);

    n = start();
    hear_members(&n, FIRST, 13, 1, 2, 2); /* 2^(13/8) = 3.1 */
    cr_assert_not(next(&n, &a));
    hear(&n, 3, FIRST, 13, 0, NEAR_US);
    cr_assert(next(&n, &a));
    cr_assert(next(&n, &a));
    cr_assert_eq(a.what, CLUSTER_SWITCH);
    cluster_destroy(n.c);
}

/* FIRST, larger, but seven of ten near, and SECOND, which is fine: seconds until FIRST is tried
 * again, all of whose members are near by then. */
static uint64_t shunned_s(uint32_t age_s)
{
    struct cluster_action a;
    struct node n = start();
    for (uint32_t i = 0; i < 6; i++)
        hear(&n, 1 + i, FIRST, 56, age_s, NEAR_US);
    hear_members(&n, SECOND, 40, 101, 12, 12);
    cr_assert(next(&n, &a));
    cr_assert_eq(a.to.cid, FIRST);
    hear_members(&n, FIRST, 56, 11, 1, 4); /* whom the guests find */

    uint64_t failed_us = cluster_next_us(n.c);
    cr_assert(next(&n, &a), "the next best gets its turn at once");
    cr_assert_eq(a.what, CLUSTER_VALIDATE);
    cr_assert_eq(a.to.cid, SECOND);
    cr_assert(next(&n, &a));
    cr_assert_eq(a.what, CLUSTER_SWITCH);
    cr_assert_eq(cid_of(&n), SECOND);
    cluster_size(n.c, 40 * 32);

    do {
        hear_members(&n, FIRST, 56, 1, 16, 16);
        hear_members(&n, SECOND, 40, 101, 12, 12);
    } while (!next(&n, &a));
    cr_assert_eq(a.to.cid, FIRST);
    uint64_t passed_s = (n.now.mono_us - failed_us) / 1000000;
    cluster_destroy(n.c);
    return passed_s;
}

Test(cluster, what_fails_validation_is_shunned_for_half_an_hour_if_it_is_that_old)
{
    uint64_t s = shunned_s(2 * HOUR_S);
    cr_assert(s >= 1800 && s < 1800 + 375, "%lu s", s);
    s = shunned_s(200);
    cr_assert(s >= 200 && s < 200 + 210, "%lu s", s);
}

Test(cluster, a_guest_who_finds_too_few_does_not_switch)
{
    struct cluster_action a;
    struct node n = start();
    hear_members(&n, FIRST, 56, 1, 9, 9);
    cr_assert(next(&n, &a));
    cr_assert_not(next(&n, &a));
    cr_assert_neq(cid_of(&n), FIRST);
    cluster_destroy(n.c);
}

Test(cluster, is_left_when_more_than_half_of_the_accesses_miss)
{
    struct cluster_action a;
    struct node n = start();
    settle(&n, FIRST, 56, 1, 12);
    /* members 101.. are far; 32 of the last 64 accesses: half, not more */
    for (uint32_t i = 0; i < 32; i++) {
        hear(&n, 1 + i % 8, FIRST, 56, 0, NEAR_US);
        hear(&n, 101 + i % 8, FIRST, 56, 0, FAR_US);
    }
    cr_assert_not(next(&n, &a));
    hear(&n, 101, FIRST, 56, 0, FAR_US);
    hear(&n, 101, FIRST, 56, 0, FAR_US);
    for (unsigned i = 0; i < 70; i++)
        hear(&n, 1, FIRST, 56, 0, 0); /* what it only hears is no access */
    cr_assert(next(&n, &a));
    cr_assert_eq(a.what, CLUSTER_SWITCH);
    cr_assert_eq(a.reason, CLUSTER_TOO_FAR);
    cr_assert_eq(a.from.cid, FIRST);
    cr_assert_eq(a.measured, 64);
    cr_assert_eq(a.share_percent, 51);
    cr_assert_eq(a.to.size, 0);
    cr_assert_eq(a.to.age_s, 0);
    cr_assert_eq(a.members, 0);
    cr_assert_eq(cid_of(&n), a.to.cid);
    cluster_destroy(n.c);
}

Test(cluster, fifteen_misses_are_too_few_to_leave_for)
{
    struct cluster_action a;
    struct node n = start();
    settle(&n, FIRST, 56, 1, 12);
    hear_members(&n, FIRST, 56, 101, 0, 15);
    cr_assert_not(next(&n, &a));
    hear(&n, 116, FIRST, 56, 0, FAR_US);
    cr_assert(next(&n, &a));
    cr_assert_eq(a.reason, CLUSTER_TOO_FAR);
    cluster_destroy(n.c);
}

Test(cluster, congestion_does_not_count_while_a_short_round_trip_is_remembered)
{
    struct cluster_action a;
    struct node n = start();
    settle(&n, FIRST, 56, 1, 20);
    for (unsigned i = 0; i < 5; i++)
        hear_members(&n, FIRST, 56, 1, 0, 20); /* all far at once */
    cr_assert_not(next(&n, &a));
    for (unsigned i = 0; i < 3; i++) { /* for half an hour: that is no congestion */
        pass(&n, 600 * 1000000ull);
        hear_members(&n, FIRST, 56, 1, 0, 20);
    }
    cr_assert(next(&n, &a));
    cr_assert_eq(a.reason, CLUSTER_TOO_FAR);
    cluster_destroy(n.c);
}

Test(cluster, a_round_trip_of_long_ago_is_forgotten_even_if_nothing_was_heard_meanwhile)
{
    struct cluster_action a;
    struct node n = start();
    settle(&n, FIRST, 56, 1, 20);
    pass(&n, 1000 * 1000000ull);
    hear_members(&n, FIRST, 56, 1, 0, 20);
    cr_assert(cluster_poll(n.c, n.now, &a));
    cr_assert_eq(a.reason, CLUSTER_TOO_FAR);
    cluster_destroy(n.c);
}

Test(cluster, remembers_the_one_before_for_five_minutes)
{
    struct node n = start();
    uint64_t own = cid_of(&n);
    settle(&n, FIRST, 56, 1, 12);
    cr_assert_eq(cluster_switches(n.c), 1);
    cr_assert_eq(cluster_previous(n.c, n.now), own);
    pass(&n, 290 * 1000000ull);
    cr_assert_eq(cluster_previous(n.c, n.now), own);
    pass(&n, 10 * 1000000ull);
    cr_assert_eq(cluster_previous(n.c, n.now), 0);
    cluster_destroy(n.c);
}

Test(cluster, is_as_old_as_its_oldest_member_says)
{
    struct node n = start();
    settle(&n, FIRST, 56, 1, 12);
    hear(&n, 1, FIRST, 56, 5000, NEAR_US);
    hear(&n, 2, FIRST, 56, 100, NEAR_US);
    cr_assert_eq(cluster_descriptor(n.c, n.now).age_s, 5000);
    pass(&n, 3600 * 1000000ull);
    cr_assert_eq(cluster_descriptor(n.c, n.now).age_s, 8600);
    hear(&n, 3, FIRST, 56, UINT32_MAX, NEAR_US);
    cr_assert_eq(cluster_descriptor(n.c, n.now).age_s, DHT_AGE_MAX_UNITS * DHT_AGE_UNIT_S);
    cluster_destroy(n.c);
}

Test(cluster, comes_back_into_its_cluster_after_a_restart)
{
    struct node n = start();
    cluster_restore(n.c, FIRST, 12345, n.now);
    cr_assert_eq(cid_of(&n), FIRST);
    cr_assert_eq(cluster_descriptor(n.c, n.now).age_s, 12345);
    cr_assert_eq(cluster_switches(n.c), 0);
    cluster_restore(n.c, 0, 1, n.now);
    cr_assert_eq(cid_of(&n), FIRST, "0 is no cluster");
    cluster_destroy(n.c);
}

Test(cluster, forgets_who_is_gone_and_follows_who_moved)
{
    struct cluster_action a;
    struct node n = start();
    hear_members(&n, FIRST, 56, 1, 5, 5);
    cluster_gone(n.c, 3);
    cr_assert_not(next(&n, &a), "four are left");
    hear_members(&n, FIRST, 56, 1, 5, 5);
    hear(&n, 2, 0, 0, 0, 0); /* in none */
    cr_assert_not(next(&n, &a));

    /* all go over to SECOND: their round trips are known, no new ones are needed */
    hear_members(&n, FIRST, 56, 1, 12, 12);
    for (uint32_t i = 1; i <= 12; i++)
        hear(&n, i, SECOND, 56, 0, 0);
    cr_assert(next(&n, &a));
    cr_assert_eq(a.to.cid, SECOND);
    cr_assert_eq(a.measured, 12);
    cluster_destroy(n.c);
}

Test(cluster, unheard_for_ten_minutes_is_no_candidate)
{
    struct cluster_action a;
    struct node n = start();
    for (unsigned i = 0; i < 10; i++)
        cr_assert_not(next(&n, &a)); /* the pace is 300 s now */
    hear_members(&n, FIRST, 56, 1, 12, 12);
    n.now.mono_us += 601 * 1000000ull;
    cr_assert_not(cluster_poll(n.c, n.now, &a));
    cluster_destroy(n.c);
}

Test(cluster, a_promising_one_is_not_lost_among_a_thousand_far_ones)
{
    struct cluster_action a;
    struct node n = start();
    for (uint32_t i = 0; i < 12; i++) {
        hear(&n, i, FIRST, 56, 0, NEAR_US);
        for (uint32_t j = 0; j < 100; j++)
            hear(&n, 1000 + 100 * i + j, 0x9000 + 100 * i + j, 56, 0, FAR_US);
    }
    n.now.mono_us = cluster_next_us(n.c) > n.now.mono_us ? cluster_next_us(n.c) : n.now.mono_us;
    cr_assert(cluster_poll(n.c, n.now, &a));
    cr_assert_eq(a.to.cid, FIRST);
    cr_assert_eq(a.measured, 12);
    cluster_destroy(n.c);
}

/* All estimates waver by a fifth, and nothing that the node does changes them: the worst case. */
Test(cluster, does_not_flap_between_two_similar_ones)
{
    struct rng rng;
    rng_init_u64(&rng, 4);
    struct cluster_action a;
    struct node n = start();
    settle(&n, FIRST, 48, 1, 12);
    uint32_t before = cluster_switches(n.c);
    for (unsigned s = 0; s < 4 * HOUR_S; s++) {
        uint32_t i = rng_below(&rng, 12);
        hear(&n, 1 + i, FIRST, (uint8_t)(46 + rng_below(&rng, 5)), 0, NEAR_US);
        hear(&n, 101 + i, SECOND, (uint8_t)(46 + rng_below(&rng, 5)), 0, NEAR_US);
        if (s % 60 == 0)
            cluster_size(n.c, (46 + rng_below(&rng, 5)) * 32);
        pass(&n, 1000000 - 2 * MOMENT_US);
        while (cluster_poll(n.c, n.now, &a))
            continue;
    }
    uint32_t switches = cluster_switches(n.c) - before;
    cr_log_info("%u switches in four hours\n", switches);
    cr_assert_leq(switches, 12);
    cluster_destroy(n.c);
}
