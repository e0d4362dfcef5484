/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of a site's use of the network. */
#include <criterion/criterion.h>

#include "dht/usage.h"

static struct dht_id id_of(unsigned i)
{
    struct endpoint at = {addr_v4(0x0a000000 + i), 8053};
    return dht_node_id(&at);
}

static struct now at(uint64_t s)
{
    return (struct now){.mono_us = s * 1000000};
}

static void hear(struct usage *u, unsigned node, uint64_t site, uint32_t kib, uint32_t requests,
                 struct now now)
{
    struct dht_id who = id_of(node);
    struct dht_usage item[2] = {{site ^ 1, 7, 7}, {site, kib, requests}};
    usage_heard(u, &who, item, 2, now);
}

Test(usage, of_a_small_network_it_is_the_sum_of_the_latest_reports)
{
    struct usage *u = usage_create();
    for (unsigned i = 0; i < 5; i++)
        hear(u, i, 42, 100 * i, i, at(1));
    hear(u, 4, 42, 1000, 9, at(2)); /* in place of 400 and 4 */
    struct usage_total t = usage_others(u, 42, 6, at(3));
    cr_assert(t.heard == 5 && t.kib == 1600 && t.requests == 15);
    t = usage_others(u, 42, 7, at(3)); /* an estimate that is a little off changes nothing */
    cr_assert(t.kib == 1600);
    t = usage_others(u, 43, 6, at(3));
    cr_assert(t.heard == 5 && t.kib == 35, "the other site of each");
    t = usage_others(u, 1, 6, at(3));
    cr_assert(t.heard == 5 && t.kib == 0 && t.requests == 0, "nobody named it");
    usage_destroy(u);
}

Test(usage, of_a_large_one_it_is_what_a_sample_says)
{
    struct usage *u = usage_create();
    for (unsigned i = 0; i < 100; i++)
        hear(u, i, 42, i % 2 ? 300 : 100, 2, at(1));
    struct usage_total t = usage_others(u, 42, 1001, at(1));
    cr_assert(t.heard == 100 && t.kib == 200 * 1000 && t.requests == 2000);
    usage_destroy(u);
}

Test(usage, a_report_ends_with_its_time_and_says_no_more_than_the_last_one)
{
    struct usage *u = usage_create();
    struct dht_id who = id_of(1);
    hear(u, 1, 42, 100, 1, at(1));
    hear(u, 2, 42, 10, 1, at(100));
    struct usage_total t = usage_others(u, 42, 2, at(200));
    cr_assert(t.heard == 1 && t.kib == 10);
    usage_heard(u, &who, NULL, 0, at(201));
    t = usage_others(u, 42, 3, at(201));
    cr_assert(t.heard == 2 && t.kib == 10);
    usage_destroy(u);
}

Test(usage, of_more_nodes_than_there_are_places_the_latest_are_kept)
{
    struct usage *u = usage_create();
    for (unsigned i = 0; i < 4000; i++)
        hear(u, i, 42, 10, 1, at(i < 2000 ? 1 : 100));
    struct usage_total t = usage_others(u, 42, 4001, at(200));
    cr_assert(t.heard > USAGE_NODES * 9 / 10 && t.heard <= USAGE_NODES, "%u", t.heard);
    cr_assert(t.kib > 39999 && t.kib < 40001);
    usage_destroy(u);
}
