/* SPDX-License-Identifier: BSD-3-Clause */
/* Many machines that hear one another: what the rules of one come to when all follow them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "base/rng.h"
#include "dht/cluster.h"

#define NODES_MAX 240
#define WALK      12 /* members of the candidate whom guest walks meet */
#define LONE_CID  77u

struct world {
    struct cluster_config config;
    struct cluster *node[NODES_MAX];
    unsigned nodes, metros;
    uint32_t between_us; /* least round trip between two metros */
    struct rng rng;
    struct now now;
    unsigned switches; /* since it was last set to 0 */
    unsigned most;     /* of one node, since the start */
};

/* Within a metro 2 to 15 ms, between two up to 16 ms more than the least; each pair always the
 * same, and some queueing. */
static uint32_t rtt_us(struct world *w, uint32_t i, uint32_t j)
{
    uint32_t lo = i < j ? i : j, hi = i < j ? j : i, hash = (lo * 2654435761u) ^ (hi * 40503u);
    uint32_t a = lo % w->metros, b = hi % w->metros;
    uint32_t base = a == b ? 2000 + hash % 13000 : w->between_us + hash % 16000;
    return base + base * rng_below(&w->rng, 10) / 100;
}

static struct world *world_new(unsigned nodes, unsigned metros, uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    w->config = (struct cluster_config)CLUSTER_CONFIG_DEFAULT;
    w->config.known = w->config.members = 8; /* as in large simulations */
    w->nodes = nodes;
    w->metros = metros;
    w->between_us = 35000;
    w->now.mono_us = 1000000000;
    rng_init_u64(&w->rng, seed);
    for (uint32_t i = 0; i < nodes; i++) {
        w->node[i] = cluster_create(&w->config, 2, rng_u64(&w->rng), seed, w->now);
        cr_assert(w->node[i]);
    }
    return w;
}

static void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->nodes; i++)
        cluster_destroy(w->node[i]);
    free(w);
}

static uint64_t cid_of(const struct world *w, uint32_t i)
{
    return cluster_descriptor(w->node[i], w->now).cid;
}

/* i asks j, and each hears the other's descriptor. */
static void ask(struct world *w, uint32_t i, uint32_t j)
{
    struct dht_descriptor mine = cluster_descriptor(w->node[i], w->now);
    struct dht_descriptor theirs = cluster_descriptor(w->node[j], w->now);
    cluster_heard(w->node[j], i, &mine, 0, w->now);
    cluster_heard(w->node[i], j, &theirs, rtt_us(w, i, j), w->now);
}

/* The seeds are asked and, of those who are members, some more members. */
static void walk(struct world *w, uint32_t i, const struct cluster_action *a)
{
    bool inside = false;
    for (unsigned s = 0; s < a->members; s++) {
        ask(w, i, a->member[s]);
        inside |= cid_of(w, a->member[s]) == a->to.cid;
    }
    for (unsigned met = 0, tries = 0; inside && met < WALK && tries < 4 * NODES_MAX; tries++) {
        uint32_t j = rng_below(&w->rng, w->nodes);
        if (j == i || cid_of(w, j) != a->to.cid)
            continue;
        ask(w, i, j);
        met++;
    }
}

/* Small clusters are counted; the estimates of others are off by a tenth, each node's otherwise. */
static void estimate(struct world *w, uint32_t i)
{
    unsigned members = 0;
    for (uint32_t j = 0; j < w->nodes; j++)
        members += cid_of(w, j) == cid_of(w, i);
    double off = members > 16 ? 0.8 + 0.4 * rng_below(&w->rng, 1000) / 1000 : 1;
    cluster_size(w->node[i], (uint32_t)(256 * log2(members * off)));
}

static void world_second(struct world *w)
{
    struct cluster_action a;
    for (uint32_t i = 0; i < w->nodes; i++) {
        if ((w->now.mono_us / 1000000 + i) % 20 == 0)
            estimate(w, i);
        for (unsigned r = 0; r < 2; r++) {
            uint32_t j = rng_below(&w->rng, w->nodes);
            if (j != i)
                ask(w, i, j);
        }
        while (cluster_poll(w->node[i], w->now, &a)) {
            if (a.what == CLUSTER_VALIDATE) {
                walk(w, i, &a);
                continue;
            }
            w->switches++;
            if (cluster_switches(w->node[i]) > w->most)
                w->most = cluster_switches(w->node[i]);
            estimate(w, i);
        }
    }
    w->now.mono_us += 1000000;
}

static unsigned clusters(const struct world *w)
{
    unsigned distinct = 0;
    for (uint32_t i = 0; i < w->nodes; i++) {
        bool first = true;
        for (uint32_t j = 0; j < i; j++)
            first &= cid_of(w, i) != cid_of(w, j);
        distinct += first;
    }
    return distinct;
}

/* Every cluster is one whole metro. */
static bool apart_and_whole(const struct world *w)
{
    for (uint32_t i = 0; i < w->nodes; i++)
        if (cid_of(w, i) != cid_of(w, i % w->metros))
            return false;
    return clusters(w) == w->metros;
}

/* Of pairs within one cluster, how many of a hundred are near. */
static unsigned purity(struct world *w)
{
    unsigned pairs = 0, near = 0;
    for (uint32_t i = 0; i < w->nodes; i++)
        for (uint32_t j = 0; j < i; j++)
            if (cid_of(w, i) == cid_of(w, j)) {
                pairs++;
                near += rtt_us(w, i, j) < w->config.threshold_us;
            }
    return near * 100 / pairs;
}

/* Seconds until it is so, or `most`. */
static unsigned until_apart(struct world *w, unsigned most)
{
    for (unsigned s = 0; s < most; s++) {
        world_second(w);
        if (s % 10 == 9 && apart_and_whole(w))
            return s;
    }
    return most;
}

/* Twelve ticks: 10 10 20 20 40 40 80 80 160 160 300 300 s. */
#define TWELVE_TICKS_S 1220

Test(cluster_world, two_hundred_nodes_in_four_metros_find_four_clusters_in_twelve_ticks)
{
    for (uint64_t seed = 1; seed <= 10; seed += PART) {
        struct world *w = world_new(200, 4, seed);
        unsigned s = until_apart(w, TWELVE_TICKS_S);
        cr_log_info("seed %lu: after %u s, %.1f switches a node\n", seed, s,
                    (double)w->switches / w->nodes);
        cr_expect_lt(s, TWELVE_TICKS_S, "seed %lu: %u clusters", seed, clusters(w));
        world_free(w);
    }
}

Test(cluster_world, and_then_they_rest)
{
    struct world *w = world_new(80, 4, 4);
    unsigned s = until_apart(w, TWELVE_TICKS_S);
    cr_assert_lt(s, TWELVE_TICKS_S);
    w->switches = 0;
    for (unsigned t = 0; t < 4 * 3600; t++)
        world_second(w);
    cr_assert_eq(w->switches, 0);
    cr_assert(apart_and_whole(w));
    world_free(w);
}

Test(cluster_world, one_cluster_over_three_metros_comes_apart)
{
    struct world *w = world_new(120, 3, 5);
    for (uint32_t i = 0; i < w->nodes; i++)
        cluster_restore(w->node[i], LONE_CID, 1000, w->now);
    unsigned s = until_apart(w, 3600);
    cr_log_info("after %u s, %.1f switches a node, at most %u\n", s, (double)w->switches / w->nodes,
                w->most);
    cr_assert_lt(s, TWELVE_TICKS_S, "%u clusters", clusters(w));
    world_free(w);
}

Test(cluster_world, two_similar_clusters_of_one_metro_become_one_without_flapping)
{
    struct world *w = world_new(80, 1, 6);
    for (uint32_t i = 0; i < w->nodes; i++)
        cluster_restore(w->node[i], LONE_CID + i % 2, 600, w->now);
    for (unsigned t = 0; t < 4 * 3600; t++)
        world_second(w);
    cr_log_info("%.1f switches a node in four hours, at most %u\n", (double)w->switches / w->nodes,
                w->most);
    cr_assert_eq(clusters(w), 1);
    cr_assert_leq(w->most, 4);
    world_free(w);
}

/* Metros 12 to 28 ms apart: half of the pairs between them are near. */
Test(cluster_world, metros_at_the_edge_of_the_threshold_settle)
{
    for (uint64_t seed = 1; seed <= 3; seed += PART) {
        struct world *w = world_new(200, 4, seed);
        w->between_us = 12000;
        for (unsigned hour = 0; hour < 4; hour++) {
            w->switches = 0;
            for (unsigned t = 0; t < 3600; t++)
                world_second(w);
            cr_log_info("seed %lu, hour %u: %u switches, %u clusters, %u %% near\n", seed, hour,
                        w->switches, clusters(w), purity(w));
        }
        cr_expect_geq(purity(w), 95);
        cr_expect_leq(clusters(w), 6);
        cr_expect_leq(w->switches, w->nodes / 10, "in the last hour");
        world_free(w);
    }
}
