/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is up when. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tools/sim/churn.h"
#include "tools/sim/real.h"
#include "tools/sim/report.h"

#define SEED   20040329u
#define NODES  4000u
#define SECOND 1000000ull
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

static struct planet *planet;

static void make_planet(void)
{
    struct planet_params params = planet_params_faultless();
    planet = planet_create(&params, NODES, SEED);
    cr_assert(planet);
}

static void drop_planet(void)
{
    planet_destroy(planet);
}

TestSuite(churn, .init = make_planet, .fini = drop_planet);

static struct churn *make(struct churn_params params)
{
    struct churn *c = churn_create(&params, planet, SEED);
    cr_assert(c);
    return c;
}

/* A node's life, change after change. */
struct life {
    bool up;
    uint64_t since_us, until_us;
    uint32_t counter;
};

static struct life life_begin(const struct churn *c, uint32_t node)
{
    struct life l = {0};
    l.until_us = churn_start(c, node, &l.up);
    return l;
}

static void life_change(const struct churn *c, uint32_t node, struct life *l)
{
    l->up = !l->up;
    l->since_us = l->until_us;
    l->until_us = churn_next(c, node, l->up, l->since_us, ++l->counter);
    cr_assert_gt(l->until_us, l->since_us);
}

static bool up_at(const struct churn *c, uint32_t node, uint64_t time_us)
{
    struct life l = life_begin(c, node);
    while (l.until_us <= time_us)
        life_change(c, node, &l);
    return l.up;
}

static uint32_t count_up(const struct churn *c, uint64_t time_us)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < NODES; i++)
        n += up_at(c, i, time_us);
    return n;
}

struct lengths {
    struct summary up_ms, down_ms;
};

static void measure(const struct churn *c, uint32_t nodes, unsigned changes, struct lengths *out)
{
    for (uint32_t i = 0; i < nodes; i++) {
        struct life l = life_begin(c, i);
        for (unsigned k = 0; k < changes; k++) {
            life_change(c, i, &l);
            summary_add(l.up ? &out->up_ms : &out->down_ms, (l.until_us - l.since_us) / 1000);
        }
    }
}

static double mean(const struct summary *s)
{
    return (double)s->sum / (double)s->n;
}

#define NEAR(x, want, part)                                                                        \
    cr_expect((x) > (want) * (1 - (part)) && (x) < (want) * (1 + (part)), "%f instead of %f",      \
              (double)(x), (double)(want))

Test(churn, nobody_leaves_a_static_world)
{
    struct churn *c = make(churn_params_static());
    for (uint32_t i = 0; i < NODES; i++) {
        bool up;
        cr_assert_eq(churn_start(c, i, &up), CHURN_NEVER);
        cr_assert(up);
    }
    churn_destroy(c);
}

Test(churn, volunteers_stay_a_median_of_an_hour_with_a_heavy_tail)
{
    struct churn *c = make(churn_params_volunteer(15000000, 15000000));
    static struct lengths l;
    measure(c, NODES, 100, &l);
    NEAR(mean(&l.up_ms), 15e6, 0.03);
    NEAR(mean(&l.down_ms), 15e6, 0.03);
    NEAR((double)summary_quantile(&l.up_ms, 0.5), 3.6e6, 0.05);
    /* Weibull 0.5: P(x > 10 means) = exp(-sqrt(20)) = 1.14 % */
    cr_expect_lt(summary_quantile(&l.up_ms, 0.985), 150000000);
    cr_expect_gt(summary_quantile(&l.up_ms, 0.992), 150000000);
    churn_destroy(c);
}

Test(churn, exponential_sessions_have_their_mean)
{
    struct churn *c = make(churn_params_exponential(10000000, 2000000));
    static struct lengths l;
    measure(c, NODES, 50, &l);
    NEAR(mean(&l.up_ms), 10e6, 0.02);
    NEAR(mean(&l.down_ms), 2e6, 0.02);
    NEAR((double)summary_quantile(&l.up_ms, 0.5), 10e6 * 0.693, 0.05);
    churn_destroy(c);
}

/* The first sessions are what is left of running ones: no wave of departures at the start. */
Test(churn, a_world_begins_in_its_steady_state)
{
    struct churn *c = make(churn_params_volunteer(7200000, 3600000));
    for (uint64_t t = 0; t <= 8 * HOUR; t += 2 * HOUR)
        NEAR(count_up(c, t), NODES * 2.0 / 3, 0.05);
    churn_destroy(c);
}

Test(churn, servers_fail_each_fortnight_and_sites_sometimes)
{
    struct churn *c = make(churn_params_server());
    static struct lengths l;
    measure(c, 1000, 200, &l);
    NEAR(mean(&l.up_ms), 14.0 * 86400000, 0.02);
    NEAR(mean(&l.down_ms), 120000.0, 0.05);

    /* whose neighbour in the site goes down at the same microsecond: 5 % */
    uint32_t sites = planet_sites(planet), failures = 0, shared = 0;
    for (uint32_t i = 0; i < sites; i++) {
        struct life l1 = life_begin(c, i), l2 = life_begin(c, i + sites);
        while (l1.since_us < 3000 * DAY) {
            life_change(c, i, &l1);
            while (l2.since_us < l1.since_us)
                life_change(c, i + sites, &l2);
            failures += !l1.up;
            if (!l1.up && l2.since_us == l1.since_us && !l2.up) {
                shared++;
                cr_assert_eq(l1.until_us, l2.until_us, "they come back together");
            }
        }
    }
    NEAR((double)shared / failures, 0.05, 0.1);
    churn_destroy(c);
}

Test(churn, a_tenth_dies_at_one_instant_and_comes_back)
{
    struct churn_params params = churn_params_static();
    params.storms = 1;
    params.storm[0] = (struct churn_storm){HOUR, 0, 600 * SECOND, UINT64_MAX, 100000};
    struct churn *c = make(params);
    cr_assert_eq(count_up(c, HOUR - 1), NODES);
    NEAR(count_up(c, HOUR), NODES * 0.9, 0.02);
    cr_assert_eq(count_up(c, HOUR), count_up(c, HOUR + 600 * SECOND - 1));
    cr_assert_eq(count_up(c, HOUR + 600 * SECOND), NODES);
    churn_destroy(c);
}

Test(churn, a_metro_without_power_has_nobody_up)
{
    struct churn_params params = churn_params_volunteer(600000, 600000);
    unsigned london = metro_find("London");
    params.storms = 1;
    params.storm[0] = (struct churn_storm){HOUR, 0, HOUR, 1ull << london, 1000000};
    struct churn *c = make(params);
    uint32_t there = 0, up_before = 0; /* a storm to come changes nothing before it comes */
    for (uint32_t i = 0; i < NODES; i++)
        if (planet_metro(planet, i) == london) {
            there++;
            up_before += up_at(c, i, HOUR - 1);
        }
    cr_expect(up_before > there / 3 && up_before < there * 2 / 3, "%u of %u", up_before, there);
    for (uint64_t t = HOUR; t < 2 * HOUR; t += HOUR / 10)
        for (uint32_t i = 0; i < NODES; i++)
            cr_assert_not(planet_metro(planet, i) == london && up_at(c, i, t), "node %u", i);
    NEAR(count_up(c, HOUR + HOUR / 2), NODES * 0.5, 0.12);
    churn_destroy(c);
}

Test(churn, all_restart_within_a_minute)
{
    struct churn_params params = churn_params_static();
    params.storms = 1;
    params.storm[0] = (struct churn_storm){HOUR, 60 * SECOND, 5 * SECOND, UINT64_MAX, 1000000};
    struct churn *c = make(params);
    for (uint32_t i = 0; i < NODES; i++) {
        struct life l = life_begin(c, i);
        cr_assert(l.up && l.until_us >= HOUR && l.until_us <= HOUR + 60 * SECOND);
        life_change(c, i, &l);
        cr_assert_eq(l.until_us - l.since_us, 5 * SECOND);
        life_change(c, i, &l);
        cr_assert(l.up && l.until_us == CHURN_NEVER);
    }
    NEAR(count_up(c, HOUR + 30 * SECOND), NODES * 55.0 / 60, 0.03);
    churn_destroy(c);
}

/* The functions that tables are made with; values from tables of mathematics. */
Test(real, agrees_with_mathematics)
{
    cr_expect_float_eq(real_exp(1), 2.718281828459045, 1e-14);
    cr_expect_float_eq(real_exp(-20), 2.061153622438558e-9, 1e-22);
    cr_expect_float_eq(real_log(10), 2.302585092994046, 1e-14);
    cr_expect_float_eq(real_log(1e-9), -20.72326583694641, 1e-13);
    cr_expect_float_eq(real_pow(2, 0.5), 1.4142135623730951, 1e-14);
    cr_expect_float_eq(real_sin(3), 0.1411200080598672, 1e-14);
    cr_expect_float_eq(real_cos(-3), -0.9899924966004454, 1e-14);
    cr_expect_float_eq(real_asin(0.3), 0.30469265401539751, 1e-14);
    cr_expect_float_eq(real_asin(1), REAL_PI / 2, 1e-14);
    cr_expect_float_eq(real_normal(0.975), 1.959963984540054, 1e-8);
    cr_expect_float_eq(real_normal(0.001), -3.090232306167814, 1e-8);
    cr_expect_float_eq(real_normal(0.5), 0, 1e-9);
}
