/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is over its share: a whole network of judges, each with a part of the clients. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/fair.h"

#define NODES 8

static struct proxy_site sites[1] = {{.host = "a.test"}};
static struct proxy_policy policy = {.sites = 1, .site = sites, .metered = true};
static struct fair *node[NODES];
static struct now now = {.mono_us = 5000000};

static void open_nodes(void)
{
    sites[0].fair = (struct proxy_fair){0};
    policy.open_fair = (struct proxy_fair){0};
    for (unsigned i = 0; i < NODES; i++)
        node[i] = fair_create();
}
static void close_nodes(void)
{
    for (unsigned i = 0; i < NODES; i++)
        fair_destroy(node[i]);
}
TestSuite(fair, .init = open_nodes, .fini = close_nodes);

static struct dht_id id_of(unsigned i)
{
    struct endpoint at = {addr_v4(0x0a000000 + i), 8053};
    return dht_node_id(&at);
}

static const struct fair_site *find(unsigned i, uint64_t site)
{
    const struct fair_site *s;
    unsigned heard, n = fair_sites(node[i], &s, &heard);
    for (; n > 0; n--, s++)
        if (s->site == site)
            return s;
    return NULL;
}

/* A tick of everybody: `offered[i]` requests of `size` bytes a second at node i, of which it serves
 * what it is to serve; then each tells all others. Returns what was served a second in all. */
static double round_of(const char *name, uint64_t site, const double offered[NODES], uint64_t size)
{
    struct dht_usage out[DHT_USAGE];
    double served = 0;
    for (unsigned i = 0; i < NODES; i++) {
        const struct fair_site *s = find(i, site);
        double part = s ? (double)s->admitted / PROXY_ALL : 1;
        struct proxy_usage u = {.site = site};
        u.requests = (uint32_t)(offered[i] * 10);
        u.refused = (uint32_t)(offered[i] * 10 * (1 - part));
        u.bytes = (u.requests - u.refused) * size;
        served += (u.requests - u.refused) / 10.0;
        snprintf(u.name, sizeof(u.name), "%s", name);
        if (u.requests)
            fair_used(node[i], &u);
    }
    now.mono_us += FAIR_TICK_US;
    for (unsigned i = 0; i < NODES; i++)
        fair_tick(node[i], &policy, NODES, now);
    for (unsigned i = 0; i < NODES; i++) {
        struct dht_id who = id_of(i);
        unsigned n = fair_tell(node[i], out);
        for (unsigned k = 0; k < NODES; k++)
            if (k != i)
                fair_heard(node[k], &who, out, n, now);
    }
    return served;
}

Test(fair, all_nodes_together_serve_the_share)
{
    static const double even[NODES] = {100, 100, 100, 100, 100, 100, 100, 100};
    static const double skewed[NODES] = {700, 50, 30, 10, 5, 3, 1, 1};
    sites[0].fair.requests_s = 200;
    for (int k = 0; k < 2; k++) {
        double served = 0;
        for (int i = 0; i < 12; i++)
            served = round_of("a.test", 7, k ? skewed : even, 1000);
        cr_expect(fabs(served - 200) < 10, "%s: %f", k ? "skewed" : "even", served);
        const struct fair_site *s = find(0, 7);
        cr_assert(s && fabs(s->all_requests - 800) < 20, "%f", s->all_requests);
    }
}

Test(fair, bytes_count_too_and_the_scarcer_decides)
{
    static const double even[NODES] = {10, 10, 10, 10, 10, 10, 10, 10};
    double served = 0;
    sites[0].fair = (struct proxy_fair){.bytes_s = 20 * 50000, .requests_s = 60};
    for (int i = 0; i < 12; i++)
        served = round_of("a.test", 7, even, 50000);
    cr_assert(fabs(served - 20) < 2, "%f", served);
    for (int i = 0; i < 12; i++)
        served = round_of("a.test", 7, even, 1000);
    cr_assert(fabs(served - 60) < 3, "%f", served);
}

Test(fair, within_it_nobody_is_refused_and_after_it_all_are_served_again)
{
    static const double few[NODES] = {10, 0, 0, 0, 0, 0, 0, 5}, none[NODES] = {0};
    static const double many[NODES] = {100, 100, 0, 0, 0, 0, 0, 0};
    bool ok;
    sites[0].fair.requests_s = 20;
    for (int i = 0; i < 10; i++)
        cr_assert_float_eq(round_of("a.test", 7, few, 1000), 15, 1e-9);
    cr_assert_null(fair_shares(node[0], &ok));
    for (int i = 0; i < 5; i++)
        round_of("a.test", 7, many, 1000);
    struct proxy_shares *s = fair_shares(node[0], &ok);
    cr_assert(ok && s && s->n == 1 && s->share[0].site == 7 &&
              s->share[0].admitted < PROXY_ALL / 5);
    free(s);
    for (int i = 0; i < 8; i++)
        round_of("a.test", 7, few, 1000);
    cr_assert_null(fair_shares(node[0], &ok));
    for (int i = 0; i < 30; i++)
        round_of("a.test", 7, none, 1000);
    cr_assert_null(find(0, 7), "forgotten");
}

Test(fair, a_site_of_which_all_are_refused_comes_back)
{
    static const double many[NODES] = {100000, 100000, 0, 0, 0, 0, 0, 0};
    static const double few[NODES] = {1, 0, 0, 0, 0, 0, 0, 0};
    sites[0].fair.requests_s = 1;
    for (int i = 0; i < 12; i++)
        round_of("a.test", 7, many, 1000);
    cr_assert_leq(find(0, 7)->admitted, 2 * FAIR_LEAST);
    double served = 0;
    for (int i = 0; i < 30; i++)
        served = round_of("a.test", 7, few, 1000);
    cr_assert_float_eq(served, 1, 1e-9);
}

Test(fair, in_open_mode_each_host_has_the_same_share)
{
    static const double many[NODES] = {100, 0, 0, 0, 0, 0, 0, 0};
    policy.open_fair.requests_s = 50;
    double served = 0;
    for (int i = 0; i < 12; i++)
        served = round_of("b.test:81", 8, many, 1000);
    cr_assert(fabs(served - 50) < 2, "%f", served);
    for (int i = 0; i < 12; i++)
        cr_assert_float_eq(round_of("a.test", 7, many, 1000), 100, 1e-9, "a site has its own");
}

/* Others need to hear of those alone that may be over it, however much the rest is used. */
Test(fair, who_has_a_share_is_told_first)
{
    struct dht_usage out[DHT_USAGE];
    sites[0].fair.requests_s = 5;
    for (unsigned i = 0; i < 20; i++) {
        struct proxy_usage u = {.site = i + 1, .requests = 1000 + i, .name = "x.test"};
        fair_used(node[0], &u);
    }
    fair_used(node[0], &(struct proxy_usage){.site = 99, .requests = 30, .name = "a.test"});
    now.mono_us += FAIR_TICK_US;
    fair_tick(node[0], &policy, NODES, now);
    cr_assert_eq(fair_tell(node[0], out), DHT_USAGE);
    cr_assert_eq(out[0].site, 99);
    for (unsigned i = 1; i < DHT_USAGE; i++)
        cr_assert_eq(out[i].site, 21 - i, "the others by their use");
}

Test(fair, a_rest_before_it_makes_nothing_of_what_is_asked_for)
{
    static const double some[NODES] = {10, 0, 0, 0, 0, 0, 0, 0}, none[NODES] = {0};
    round_of("a.test", 7, some, 1000);
    for (int i = 0; i < 30; i++)
        round_of("a.test", 7, none, 1000);
    cr_assert_null(find(0, 7));
    now.mono_us += 3600ull * 1000000; /* nobody ticks while nothing is used */
    round_of("a.test", 7, some, 1000);
    cr_assert(find(0, 7));
    cr_assert_float_eq(find(0, 7)->requests, 5, 1e-9, "half of it, as at first");
}

Test(fair, the_most_used_are_told_and_kept)
{
    struct dht_usage out[DHT_USAGE];
    for (unsigned k = 0; k < 3; k++) {
        for (unsigned i = 0; i < FAIR_SITES + 500; i++) {
            struct proxy_usage u = {.site = i + 1, .requests = i + 1, .bytes = i, .name = "x.test"};
            fair_used(node[0], &u);
        }
        now.mono_us += FAIR_TICK_US;
        fair_tick(node[0], &policy, NODES, now);
    }
    cr_assert_eq(fair_tell(node[0], out), DHT_USAGE);
    for (unsigned i = 0; i < DHT_USAGE; i++)
        cr_assert_eq(out[i].site, FAIR_SITES + 500 - i);
    const struct fair_site *s;
    unsigned heard;
    cr_assert_leq(fair_sites(node[0], &s, &heard), FAIR_SITES);
}
