/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/scenario.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const struct scenario scenarios[] = {
    {"hops", "how many hops a walk takes, static tables, one level, by b", 10000,
     "b keys without alone", scenario_hops},
    {"latency", "gets by level, against one level alone", 10000, "b levels keys without alone",
     scenario_latency},
    {"hammer", "every node stores the same keys: what reaches their roots", 500,
     "b keys minutes without alone", scenario_hammer},
    {"cold", "all start at once: clusters form, then must rest", 2000,
     "b levels minutes one-way without", scenario_cold},
    {"heal", "half of the metros cut off for ten minutes, then joined again", 2000,
     "b levels one-way without", scenario_heal},
    {"half", "half of the planet leaves at one instant", 2000, "b levels one-way without",
     scenario_half},
    {"churn", "volunteers with a median session of an hour, 2.3 % of pairs broken", 2000,
     "b levels keys minutes one-way without alone", scenario_churn},
    {"restart", "all restart within a minute", 1000, "b levels one-way without", scenario_restart},
    {"crowd", "a flash crowd: proxies that all want the same objects at once", 166,
     "b levels without", scenario_crowd},
    {"planet", "a quarter of an hour of lookups, puts and churn at any size", 100000,
     "b levels keys minutes one-way without", scenario_planet},
    {"idle", "what an idle node sends", 1000, "b levels minutes one-way without", scenario_idle},
    {"liars", "a tenth of the members lie, in each way in its turn", 1000,
     "b levels keys liars lie one-way without", scenario_liars},
};
const unsigned scenarios_n = sizeof(scenarios) / sizeof(scenarios[0]);

static double wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* When the run began; one run a process. */
static double begun_s;

struct world_params scenario_params(const struct sim_options *o)
{
    struct world_params p = world_params_default(o->nodes, o->seed);
    struct dht_mitigations *m = &p.dht.mitigate;
    if (o->levels)
        p.dht.levels = o->levels;
    if (o->b)
        p.dht.prefix_bits[0] = (uint8_t)o->b;
    if (o->one_way_percent)
        p.planet.one_way_ppm = 10000 * o->one_way_percent;
    if (o->without) {
        const struct {
            const char *name;
            bool *on;
        } all[] = {{"hedge", &m->hedge},
                   {"unreachable", &m->unreachable},
                   {"direct", &m->direct_only},
                   {"runner", &m->runner_up},
                   {"timeouts", &m->measured_timeouts},
                   {"relay", &m->relay}};
        for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
            if (strcmp(o->without, all[i].name) == 0)
                *all[i].on = false;
        if (strcmp(o->without, "copies") == 0)
            p.dht.copies = 1;
    }
    return p;
}

static void progress(struct world *w)
{
    fprintf(stderr,
            "%s[%6.0f s] %8.1f virtual s  %10.2f M events  %5.2f GiB  %llu switches  %llu "
            "violations%s",
            isatty(2) ? "\r" : "", wall_s() - begun_s, (double)(w->time_us - 1000000) / 1e6,
            (double)w->totals.events / 1e6, (double)world_resident() / (1 << 30),
            (unsigned long long)(w->totals.switches[1] + w->totals.switches[2]),
            (unsigned long long)w->totals.violations, isatty(2) ? "   " : "\n");
}

struct world *scenario_world(const struct sim_options *o, const struct world_params *p)
{
    begun_s = begun_s == 0 ? wall_s() : begun_s;
    if (p->oracle && !o->quiet)
        fprintf(
            stderr,
            "the tables of %u nodes are made by an oracle, not found: that each contact answered "
            "once is checked of the others\n",
            p->nodes);
    struct world *w = world_create(p);
    if (w && !o->quiet)
        w->progress = progress;
    return w;
}

/* The index's own counters, of all nodes together. */
static json_t *counters_json(const struct world *w)
{
    json_t *all = json_object();
    const struct dht_counters *c = dht_arena_counters(w->arena);
#define COUNTER_JSON(name, unit, text)                                                             \
    if (c->name)                                                                                   \
        json_object_set_new(all, #name, json_integer((json_int_t)c->name));
    DHT_COUNTERS(COUNTER_JSON)
    return all;
}

bool scenario_end(struct world *w, json_t *report)
{
    struct world_totals *t = &w->totals;
    world_check(w);
    if (w->progress && isatty(2))
        fprintf(stderr, "\n");
    json_t *mine = json_pack(
        "{s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:o}", "nodes",
        (json_int_t)w->params.nodes, "virtual_s", (double)(w->time_us - 1000000) / 1e6, "wall_s",
        wall_s() - begun_s, "bytes_per_node", (json_int_t)(world_resident() / w->params.nodes),
        "resident_bytes", (json_int_t)world_resident(), "events", (json_int_t)t->events, "packets",
        (json_int_t)t->packets, "lost", (json_int_t)t->lost, "blocked", (json_int_t)t->blocked,
        "through_codec", (json_int_t)t->codec, "oracle", w->params.oracle, "violations",
        (json_int_t)t->violations, "event_hash", report_hex(w->hash));
    static const char *const of_some[] = {"get_success",   "hops_mean",     "hops_p99",
                                          "root_rate_p99", "root_rate_max", "root_rate_bound"};
    for (unsigned i = 0; i < sizeof(of_some) / sizeof(of_some[0]); i++)
        if (!json_object_get(report, of_some[i]))
            json_object_set_new(report, of_some[i], json_null());
    json_object_set_new(report, "counters", counters_json(w));
    json_object_update_missing(report, mine);
    json_decref(mine);
    bool good = scenario_expect(t->violations == 0, "%llu invariants were violated",
                                (unsigned long long)t->violations);
    world_destroy(w);
    return good;
}

bool scenario_beside(struct load *l, const struct sim_options *o, uint32_t keys)
{
    return o->alone || flat_create(l, keys);
}

bool scenario_kademlia(struct load *l, uint64_t until_us, json_t *report)
{
    if (!l->flat)
        return true;
    json_t *found = flat_run(l->flat, l, until_us);
    return scenario_expect(found, "there was memory for the same world under Kademlia") &&
           json_object_set_new(report, "kademlia", found) == 0;
}

/* The number at a path such as "gets.hops.mean"; NAN: there is none. */
static double number_at(const json_t *j, const char *path)
{
    while (j && *path) {
        size_t n = strcspn(path, ".");
        j = json_object_getn(j, path, n);
        path += n + (path[n] == '.');
    }
    return json_is_number(j) ? json_number_value(j) : NAN;
}

bool scenario_row(json_t *report, const char *what, double ours, const char *theirs, bool better)
{
    double beside = number_at(json_object_get(report, "kademlia"), theirs);
    if (isnan(beside))
        return true;
    if (!json_object_get(report, "rows"))
        json_object_set_new(report, "rows", json_array());
    json_array_append_new(
        json_object_get(report, "rows"),
        json_pack("{s:s, s:f, s:f}", "what", what, "coral", ours, "kademlia", beside));
    return !better || scenario_expect(ours < beside, "%s: lower than Kademlia's", what);
}

static json_t *broken;

json_t *scenario_broken(void)
{
    return broken ? json_incref(broken) : json_array();
}

bool scenario_expect(bool holds, const char *format, ...)
{
    if (holds)
        return true;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "coral-sim: does not hold: %s\n", text);
    broken = broken ? broken : json_array();
    json_array_append_new(broken, json_string(text));
    return false;
}
