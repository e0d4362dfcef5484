/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes that come and go, a crowd that comes at once, and nothing at all. */
#include <stdlib.h>

#include "tools/sim/mix.h"
#include "tools/sim/scenario.h"

#define SECOND_US 1000000ull
#define MINUTE_US 60000000ull

enum purpose { MIX_WHO = MIX_CALLER + 80, MIX_WHEN };

static bool life_end(struct world *w, struct load *l, json_t *report, double least)
{
    uint64_t until_us = w->time_us - 1000000;
    double success = load_success(l);
    json_object_set_new(report, "get_success", json_real(success));
    json_object_set_new(
        report, "hops_mean",
        json_real(l->get_hops.n ? (double)l->get_hops.sum / (double)l->get_hops.n : 0));
    json_object_set_new(report, "hops_p99",
                        json_integer((json_int_t)summary_quantile(&l->get_hops, 0.99)));
    json_object_set_new(report, "load", load_json(l));
    bool good =
        scenario_expect(success >= least, "%.5f of gets found it, %.4f wanted", success, least);
    good &= scenario_end(w, report);
    good &= scenario_kademlia(l, until_us, report);
    scenario_row(report, "get's success", success, "success", false);
    scenario_row(report, "get, us, median", (double)summary_quantile(&l->get_all_us, 0.5),
                 "gets.well_us.p50", false);
    scenario_row(report, "get, us, p99", (double)summary_quantile(&l->get_all_us, 0.99),
                 "gets.well_us.p99", false);
    scenario_row(report, "to the holder, us, median", (double)summary_quantile(&l->holder_us, 0.5),
                 "gets.holder_us.p50", false);
    load_destroy(l);
    return good;
}

/* Keys that were put by nodes that may be gone since; each holder renews at half life. `beside`:
 * the options, where Kademlia is wanted beside it. */
static struct load *life_load(struct world *w, uint32_t keys, uint32_t holders, uint64_t seed,
                              uint64_t pause_us, const struct sim_options *beside)
{
    struct load *l = load_create(w, keys, 3600000);
    if (!l || (beside && !scenario_beside(l, beside, keys)))
        return NULL;
    l->renew = true;
    for (uint32_t k = 0; k < keys; k++)
        for (uint32_t i = 0; i < holders; i++)
            load_put_at(l, (uint32_t)(mix(seed, k, i, MIX_WHO) % w->params.nodes), k,
                        w->time_us + 10 * SECOND_US + mix(seed, k, i, MIX_WHEN) % MINUTE_US);
    for (uint32_t i = 0; i < w->params.nodes; i++)
        load_gets(l, i, pause_us);
    l->measure_us = w->time_us + 80 * SECOND_US; /* all are put */
    return l;
}

bool scenario_churn(const struct sim_options *o, json_t *report)
{
    struct world_params p = scenario_params(o);
    uint64_t minutes = o->minutes ? o->minutes : 120;
    p.churn = churn_params_volunteer(15000000, 15000000 / 4);
    p.planet.v4_only_ppm = p.planet.v6_only_ppm = 0;
    p.oracle = true;
    struct world *w = scenario_world(o, &p);
    struct load *l =
        w ? life_load(w, o->keys ? o->keys : p.nodes / 2, 3, o->seed, 30 * SECOND_US, o) : NULL;
    if (!l)
        return false;
    world_run(w, minutes * MINUTE_US);
    json_object_set_new(report, "without", json_string(o->without ? o->without : "nothing"));
    /* a short form has too few keys to tell one in a thousand: those whose three closest nodes all
     * came since they were put are missed by everybody until they are renewed */
    return life_end(w, l, report, o->without ? 0 : minutes >= 60 ? 0.999 : 0.998);
}

bool scenario_restart(const struct sim_options *o, json_t *report)
{
    struct world_params p = scenario_params(o);
    uint64_t at = 20 * MINUTE_US;
    p.planet.world = METRO_CLEAR;
    p.join_us = 60 * SECOND_US;
    p.churn.storm[p.churn.storms++] = (struct churn_storm){.at_us = at,
                                                           .spread_us = MINUTE_US,
                                                           .down_us = 5 * SECOND_US,
                                                           .metros = UINT64_MAX,
                                                           .share_ppm = 1000000};
    struct world *w = scenario_world(o, &p);
    struct load *l = w ? load_create(w, p.nodes, 600000) : NULL;
    if (!l)
        return false;
    l->measure_us = w->time_us + at + 3 * MINUTE_US;
    for (uint32_t i = 0; i < p.nodes; i++) {
        load_puts(l, i, 60 * SECOND_US);
        load_gets(l, i, 20 * SECOND_US);
    }
    /* what was put after the last one came back is found by all */
    world_run(w, at + 3 * MINUTE_US);
    for (uint32_t k = 0; k < l->keys; k++)
        l->key[k].until_us = 0;
    world_run(w, at + 15 * MINUTE_US);
    return life_end(w, l, report, 0.999);
}

bool scenario_planet(const struct sim_options *o, json_t *report)
{
    struct world_params p = scenario_params(o);
    uint64_t minutes = o->minutes ? o->minutes : 15;
    p.churn = churn_params_server();
    p.planet.v4_only_ppm = p.planet.v6_only_ppm = 0;
    p.oracle = true;
    p.dht.store_keys = 16;
    p.dht.refresh_ms = 180000;
    p.dht.mitigate.bound = false; /* nobody lies here, and hashes are a third of the time */
    p.dht.find_ms = 900000;
    struct world *w = scenario_world(o, &p);
    struct load *l =
        w ? life_load(w, o->keys ? o->keys : p.nodes / 2, 1, o->seed, 600 * SECOND_US, NULL) : NULL;
    if (!l)
        return false;
    world_run(w, minutes * MINUTE_US);
    return life_end(w, l, report, 0.999);
}

/* --- what an idle node sends ------------------------------------------------------------------ */

bool scenario_idle(const struct sim_options *o, json_t *report)
{
    struct world_params p = scenario_params(o);
    p.planet.world = METRO_CLEAR;
    p.planet.v4_only_ppm = p.planet.v6_only_ppm = 0;
    p.dht.liveness = p.nodes <= 20000;
    p.oracle = true;
    struct world *w = scenario_world(o, &p);
    if (!w)
        return false;
    world_run(w, 5 * MINUTE_US);
    uint64_t packets = w->totals.packets, bytes = w->totals.bytes;
    uint64_t minutes = o->minutes ? o->minutes : 10;
    world_run(w, (5 + minutes) * MINUTE_US);
    double seconds = (double)minutes * 60 * p.nodes;
    double bits = 8 * (double)(w->totals.bytes - bytes) / seconds;
    json_object_set_new(report, "liveness", json_boolean(p.dht.liveness));
    json_object_set_new(report, "packets_s_a_node",
                        json_real((double)(w->totals.packets - packets) / seconds));
    json_object_set_new(report, "bits_s_a_node", json_real(bits));
    bool good = scenario_expect(bits <= 8000, "an idle node sends %.0f bit/s", bits);
    return scenario_end(w, report) && good;
}
