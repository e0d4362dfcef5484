/* SPDX-License-Identifier: BSD-3-Clause */
/* Members of a cluster, out of the routing table. */
#include <criterion/criterion.h>

#include "dht/nodes.h"

#define MANY 40

static struct dht_route route[MANY];
static struct dht_contact contact[MANY];
static struct dht_routes r;
static uint32_t out[MANY];

/* Appends a member of some levels; contacts are in another order than routes. */
static void member(unsigned levels, uint32_t rtt_us, unsigned services, bool live)
{
    uint32_t peer = MANY - 1 - r.n;
    route[r.n] = (struct dht_route){.peer = peer & 0xffffff,
                                    .levels = levels & 15,
                                    .alive = 1,
                                    .live = live,
                                    .rtt_us = rtt_us & 0xffffff};
    contact[peer] = (struct dht_contact){.services = (uint8_t)services};
    r.n++;
}

static void init(void)
{
    r = (struct dht_routes){.route = route, .contact = contact};
}

TestSuite(nodes, .init = init);

Test(nodes, the_nearest_members_of_the_cluster_come_first)
{
    member(1, 90000, DHT_SERVICE_HTTP, true);
    member(7, 9000, DHT_SERVICE_HTTP, true);
    member(3, 30000, DHT_SERVICE_HTTP, true);
    member(7, 3000, DHT_SERVICE_HTTP, true);
    cr_assert_eq(dht_nodes(&r, 2, 4, DHT_SERVICE_HTTP, NULL, out), 2);
    cr_assert(out[0] == 3 && out[1] == 1, "%u %u", out[0], out[1]);
    cr_assert_eq(dht_nodes(&r, 1, 4, DHT_SERVICE_HTTP, NULL, out), 3);
    cr_assert(out[0] == 3 && out[1] == 1 && out[2] == 2);
    cr_assert_eq(dht_nodes(&r, 0, 2, DHT_SERVICE_HTTP, NULL, out), 2, "no more than asked for");
    cr_assert(out[0] == 3 && out[1] == 1);
}

Test(nodes, who_is_not_fit_for_dns_is_not_named)
{
    member(1, 1000, DHT_SERVICE_HTTP, false);
    member(1, 2000, DHT_SERVICE_HTTP, true);
    cr_assert_eq(dht_nodes(&r, 0, 4, 0, NULL, out), 1);
    cr_assert_eq(out[0], 1);
}

Test(nodes, all_of_the_services_are_wanted)
{
    member(1, 1000, DHT_SERVICE_HTTP, true);
    member(1, 2000, DHT_SERVICE_HTTP | DHT_SERVICE_DNS, true);
    member(1, 3000, DHT_SERVICE_DNS, true);
    member(1, 4000, 0, true);
    cr_assert_eq(dht_nodes(&r, 0, 4, DHT_SERVICE_DNS, NULL, out), 2);
    cr_assert(out[0] == 1 && out[1] == 2);
    cr_assert_eq(dht_nodes(&r, 0, 4, DHT_SERVICE_HTTP | DHT_SERVICE_DNS, NULL, out), 1);
    cr_assert_eq(dht_nodes(&r, 0, 4, 0, NULL, out), 4);
}

Test(nodes, a_round_trip_never_measured_is_the_longest)
{
    member(1, 0, 0, true);
    member(1, 200000, 0, true);
    member(1, 100, 0, true);
    cr_assert_eq(dht_nodes(&r, 0, 2, 0, NULL, out), 2);
    cr_assert(out[0] == 2 && out[1] == 1, "the unmeasured one gave way");
}

Test(nodes, a_level_that_is_not_there_has_nobody)
{
    member(15, 100, 0, true);
    cr_assert_eq(dht_nodes(&r, DHT_LEVELS, 4, 0, NULL, out), 0);
    cr_assert_eq(dht_nodes(&r, 0, 0, 0, NULL, out), 0);
    r.n = 0;
    cr_assert_eq(dht_nodes(&r, 0, 4, 0, NULL, out), 0, "alone");
}

Test(nodes, random_ones_are_fit_different_and_all_as_likely)
{
    enum { TURNS = 4000, TAKEN = 3, FIT = 8 };
    unsigned often[MANY] = {0};
    struct rng random;
    rng_init_u64(&random, 5);
    for (unsigned i = 0; i < 2 * FIT; i++) /* each other one is of the cluster */
        member(i % 2 ? 3 : 1, i < 2 ? 10 : 100000, DHT_SERVICE_HTTP, true);
    for (unsigned t = 0; t < TURNS; t++) {
        cr_assert_eq(dht_nodes(&r, 1, TAKEN, DHT_SERVICE_HTTP, &random, out), TAKEN);
        cr_assert(out[0] != out[1] && out[1] != out[2] && out[0] != out[2]);
        for (unsigned i = 0; i < TAKEN; i++)
            often[out[i]]++;
    }
    const unsigned fair = TURNS * TAKEN / FIT; /* 1500, standard deviation 31 */
    for (unsigned i = 0; i < 2 * FIT; i++)
        cr_assert(i % 2 ? often[i] > fair - 160 && often[i] < fair + 160 : often[i] == 0,
                  "node %u: %u of %u, seed 5", i, often[i], fair);
}

Test(nodes, asked_for_more_than_there_are_random_gives_all)
{
    struct rng random;
    rng_init_u64(&random, 6);
    member(1, 1000, 0, true);
    member(1, 2000, 0, true);
    cr_assert_eq(dht_nodes(&r, 0, 8, 0, &random, out), 2);
    cr_assert(out[0] != out[1]);
}
