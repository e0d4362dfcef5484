/* SPDX-License-Identifier: BSD-3-Clause */
/* Clusters: from nothing, after a cut, after a loss, and at rest. */
#include <math.h>

#include "tools/sim/scenario.h"

#define SECOND_US 1000000ull
#define MINUTE_US 60000000ull
#define HOUR_US   3600000000ull
#define PAIRS     4000u
/* twelve ticks from a cold start: ten fast ones and two of 300 s, each up to a quarter late */
#define TWELVE_TICKS_US (1525 * SECOND_US)

static bool clusters_say(struct world *w, json_t *report, const char *when, double purity,
                         double recall)
{
    bool good = true;
    json_t *all = json_object();
    for (unsigned l = 1; l < w->config.levels; l++) {
        struct truth t = truth_of(w, l, PAIRS);
        json_object_set_new(all, l == 1 ? "level_1" : "level_2", truth_json(&t));
        fprintf(stderr,
                "%s, level %u: purity %.3f, recall %.3f, %u clusters, largest %u, %u alone, "
                "size estimates off by %.2f in log2 (%+.2f)\n",
                when, l, t.purity, t.recall, t.clusters, t.largest, t.singletons, t.size_error,
                t.size_bias);
        good &= scenario_expect(t.purity >= purity, "%s, level %u: purity %.3f, %.2f wanted", when,
                                l, t.purity, purity);
        good &= scenario_expect(recall == 0 || (t.size_error < 0.45 && fabs(t.size_bias) < 0.2),
                                "%s, level %u: sizes are off by %.2f (%+.2f) in log2", when, l,
                                t.size_error, t.size_bias);
        good &= scenario_expect(t.recall >= recall, "%s, level %u: recall %.3f, %.2f wanted", when,
                                l, t.recall, recall);
    }
    json_object_set_new(report, when, all);
    return good;
}

/* A little to do, so that nodes meet as they would: a get or put each 20 s a node; measured from a
 * virtual time on. */
static struct load *some_traffic(struct world *w, uint32_t nodes, uint64_t from_us)
{
    struct load *l = load_create(w, nodes, 600000);
    if (l)
        l->measure_us = w->time_us + from_us;
    for (uint32_t i = 0; l && i < nodes; i++) {
        load_puts(l, i, 120 * SECOND_US);
        load_gets(l, i, 40 * SECOND_US);
    }
    return l;
}

/* Runs up to a virtual time and adds a row to the series each minute: virtual minutes, then purity,
 * recall, clusters and nodes alone of level 1, and of level 2. */
static void run_watched(struct world *w, json_t *series, uint64_t until_us)
{
    for (uint64_t at = (w->time_us / MINUTE_US) * MINUTE_US; at < until_us;) {
        at = at + MINUTE_US < until_us ? at + MINUTE_US : until_us;
        world_run(w, at);
        json_t *row = json_pack("[f]", (double)at / MINUTE_US);
        for (unsigned l = 1; l < DHT_LEVELS; l++) {
            struct truth t = l < w->config.levels ? truth_of(w, l, PAIRS / 4) : (struct truth){0};
            json_array_append_new(row, json_real(t.purity));
            json_array_append_new(row, json_real(t.recall));
            json_array_append_new(row, json_integer(t.clusters));
            json_array_append_new(row, json_integer(t.singletons));
        }
        json_array_append_new(series, row);
    }
}

static struct world_params cold_params(const struct sim_options *o)
{
    struct world_params p = scenario_params(o);
    p.planet.world = METRO_CLEAR;
    p.join_us = 60 * SECOND_US;
    return p;
}

bool scenario_cold(const struct sim_options *o, json_t *report)
{
    struct world_params p = cold_params(o);
    uint64_t minutes = o->minutes ? o->minutes : 300;
    struct world *w = scenario_world(o, &p);
    struct load *l = w ? some_traffic(w, p.nodes, p.join_us + MINUTE_US) : NULL;
    if (!l)
        return false;
    json_t *series = json_array();
    json_object_set_new(report, "minutes_purity_recall_clusters_alone", series);
    run_watched(w, series, p.join_us + TWELVE_TICKS_US);
    bool good = clusters_say(w, report, "after 12 ticks", 0.8, 0.9);
    /* across both phases of delta: two hours from the third on */
    double share[DHT_LEVELS] = {0};
    if (minutes > 180) {
        world_run(w, 3 * HOUR_US);
        uint64_t before[DHT_LEVELS] = {0, w->totals.switches[1], w->totals.switches[2]};
        world_run(w, minutes * MINUTE_US);
        double hours = (double)minutes / 60 - 3;
        for (unsigned level = 1; level < w->config.levels; level++) {
            share[level] = (double)(w->totals.switches[level] - before[level]) / p.nodes / hours;
            good &= scenario_expect(share[level] < 0.01, "level %u: %.4f switches an hour and node",
                                    level, share[level]);
        }
        json_object_set_new(report, "switches_an_hour_and_node",
                            json_pack("[f, f]", share[1], share[2]));
        good &= clusters_say(w, report, "at rest", 0.8, 0.9);
    }
    json_object_set_new(report, "get_success", json_real(load_success(l)));
    json_object_set_new(report, "load", load_json(l));
    good &= scenario_end(w, report);
    load_destroy(l);
    return good;
}

/* 20 minutes after what happened its clusters are as they were, and gets find what they should in
 * the 20 after these. Ends the scenario. */
static bool recovers(struct world *w, struct load *l, uint64_t from_us, json_t *report)
{
    world_run(w, from_us + 20 * MINUTE_US);
    bool good = clusters_say(w, report, "20 minutes after", 0.8, 0.9);
    world_run(w, from_us + 40 * MINUTE_US);
    json_object_set_new(report, "get_success", json_real(load_success(l)));
    json_object_set_new(report, "load", load_json(l));
    good &= scenario_expect(load_success(l) > 0.99, "%.4f of gets found it", load_success(l));
    good &= scenario_end(w, report);
    load_destroy(l);
    return good;
}

bool scenario_heal(const struct sim_options *o, json_t *report)
{
    struct world_params p = cold_params(o);
    uint64_t from = 30 * MINUTE_US, until = 40 * MINUTE_US;
    p.planet.fault[p.planet.faults++] = (struct planet_fault){from + SECOND_US, until + SECOND_US,
                                                              0x00000000ffffffff, PLANET_CUT_BOTH};
    struct world *w = scenario_world(o, &p);
    struct load *l = w ? some_traffic(w, p.nodes, until + 20 * MINUTE_US) : NULL;
    if (!l)
        return false;
    world_run(w, from);
    bool good = clusters_say(w, report, "before the cut", 0.8, 0.9);
    world_run(w, until);
    clusters_say(w, report, "at its end", 0, 0);
    return good & recovers(w, l, until, report);
}

bool scenario_half(const struct sim_options *o, json_t *report)
{
    struct world_params p = cold_params(o);
    uint64_t at = 30 * MINUTE_US;
    p.churn.storm[p.churn.storms++] = (struct churn_storm){
        .at_us = at, .down_us = 24 * HOUR_US, .metros = UINT64_MAX, .share_ppm = 500000};
    struct world *w = scenario_world(o, &p);
    struct load *l = w ? some_traffic(w, p.nodes, at + 20 * MINUTE_US) : NULL;
    if (!l)
        return false;
    world_run(w, at - SECOND_US);
    bool good = clusters_say(w, report, "before", 0.8, 0.9);
    return good & recovers(w, l, at, report);
}
