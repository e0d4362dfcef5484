/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index alone, on one core. Operations and bursts are measured in turn, again and again, so
 * that a busy minute spoils all of them alike; the cost is the median over rounds. Time is virtual.
 * Needs neither EAL nor a second CPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/dht.h"
#include "version.h"

#define ROUNDS 20000 /* at most */
#define WORLDS 2     /* of lookups: of nodes that the asker remembers; of strangers */
#define KNOWN  512

static const char *const operation[DHT_OPS] = {"get",  "get, one value", "get, none: closer",
                                               "walk", "store, again",   "store, no cookie",
                                               "ping"};
static const char *const option[DHT_OPS] = {"get",   "get-one", "get-none", "walk",
                                            "store", "cookie",  "ping"};
static const char *const world[WORLDS] = {"lookup, known", "lookup, strangers"};
#define BURSTS 3

struct dht_run {
    struct dht_bench b;
    struct calibration calibration;
    struct dht_serving *serving;
    struct dht_asking *asking[WORLDS];
    enum dht_op only; /* DHT_OPS: all; DHT_OPS + 1: lookups */
    unsigned burst[BURSTS], bursts;
    unsigned rounds;
    uint64_t errors, served;
    double cost[DHT_OPS][BURSTS][ROUNDS]; /* TSC cycles */
    double all[WORLDS][ROUNDS], tags[WORLDS][ROUNDS], hops[WORLDS][ROUNDS];
};

/* --- rounds ----------------------------------------------------------------------------------- */

static void round_measure(struct dht_run *r)
{
    for (unsigned op = 0; op < DHT_OPS; op++)
        for (unsigned i = 0; i < r->bursts && (r->only == DHT_OPS || r->only == op); i++) {
            calibrate(&r->calibration);
            r->cost[op][i][r->rounds] = dht_serving_window(r->serving, op, r->burst[i], &r->errors);
            r->served += DHT_BENCH_PACKETS;
        }
    for (unsigned i = 0; i < WORLDS; i++) {
        if (r->only < DHT_OPS)
            continue;
        calibrate(&r->calibration);
        struct dht_hops h = dht_asking_window(r->asking[i], &r->errors);
        r->all[i][r->rounds] = h.all;
        r->tags[i][r->rounds] = h.tags;
        r->hops[i][r->rounds] = h.hops;
    }
    r->rounds++;
}

static double median(struct dht_run *r, double *value)
{
    return measure_median(value, r->rounds);
}

/* In core cycles. */
static double cycles(struct dht_run *r, double *tsc)
{
    return median(r, tsc) * r->calibration.ratio;
}

/* --- the table -------------------------------------------------------------------------------- */

static void print_table(struct dht_run *r, uint32_t keys)
{
    printf("core cycles a request, %u keys, in bursts of\n%-18s", keys, "operation");
    for (unsigned i = 0; i < r->bursts; i++)
        printf(" %9u%s", r->burst[i], i + 1 < r->bursts ? "" : "\n");
    for (unsigned op = 0; op < DHT_OPS; op++) {
        if (r->only != DHT_OPS && r->only != op)
            continue;
        printf("%-18s", operation[op]);
        for (unsigned i = 0; i < r->bursts; i++)
            printf(" %9.1f%s", cycles(r, r->cost[op][i]), i + 1 < r->bursts ? "" : "\n");
    }
    if (r->only >= DHT_OPS)
        printf("core cycles a hop\n%-18s %9s %9s %9s\n", "of a", "all", "its tags", "hops");
    for (unsigned i = 0; i < WORLDS && r->only >= DHT_OPS; i++)
        printf("%-18s %9.1f %9.1f %9.1f\n", world[i], cycles(r, r->all[i]), cycles(r, r->tags[i]),
               median(r, r->hops[i]));
    printf("%.3f core cycles a TSC cycle, median of %u rounds, %llu requests served, %llu errors, "
           "revision %s\n",
           r->calibration.ratio, r->rounds, (unsigned long long)r->served,
           (unsigned long long)r->errors, CORAL_REVISION);
}

static void report(struct dht_run *r, uint32_t keys, json_t *result)
{
    json_t *costs = json_array(), *lookups = json_array();
    for (unsigned op = 0; op < DHT_OPS; op++)
        for (unsigned i = 0; i < r->bursts; i++)
            if (r->only == DHT_OPS || r->only == op)
                json_array_append_new(costs, json_pack("{s:s, s:i, s:f}", "operation",
                                                       operation[op], "burst", r->burst[i],
                                                       "cycles_per_op", cycles(r, r->cost[op][i])));
    for (unsigned i = 0; i < WORLDS && r->only >= DHT_OPS; i++)
        json_array_append_new(lookups, json_pack("{s:s, s:f, s:f, s:f}", "operation", world[i],
                                                 "cycles_per_hop", cycles(r, r->all[i]),
                                                 "tag_cycles_per_hop", cycles(r, r->tags[i]),
                                                 "hops", median(r, r->hops[i])));
    json_object_update_new(result, json_pack("{s:i, s:f, s:i, s:I, s:o, s:o}", "objects", keys,
                                             "core_per_tsc", r->calibration.ratio, "rounds",
                                             r->rounds, "errors", (json_int_t)r->errors, "costs",
                                             costs, "lookups", lookups));
}

/* --- the run ---------------------------------------------------------------------------------- */

/* --op is one of those that options_check.c knows, or none. One operation is measured in one burst.
 */
static void choose(struct dht_run *r, const char *op, uint32_t batch)
{
    static const unsigned bursts[BURSTS] = {1, 8, DATAGRAM_BURST};
    r->bursts = batch || op ? 1 : BURSTS;
    memcpy(r->burst, bursts, sizeof(bursts));
    if (r->bursts == 1)
        r->burst[0] = batch ? batch : DATAGRAM_BURST;
    r->only = op && strcmp(op, "lookup") == 0 ? DHT_OPS + 1 : DHT_OPS;
    for (unsigned i = 0; i < DHT_OPS && op; i++)
        if (strcmp(op, option[i]) == 0)
            r->only = i;
}

bool dht_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    static struct dht_run r;
    perf_pin((unsigned)perf_cpu(0));
    choose(&r, o->op, o->batch);
    bool ok = dht_bench_open(&r.b, o->objects) && (r.serving = dht_serving_new(&r.b, o->objects)) &&
              (r.asking[0] = dht_asking_new(&r.b, KNOWN)) &&
              (r.asking[1] = dht_asking_new(&r.b, DHT_BENCH_NODES));
    if (!ok)
        snprintf(error, error_len, "no memory for %u keys", o->objects);
    for (double end = measure_clock() + o->seconds;
         ok && r.rounds < ROUNDS && measure_clock() < end;)
        round_measure(&r);
    if (ok)
        report(&r, o->objects, result);
    if (ok && !o->json)
        print_table(&r, o->objects);
    if (ok && r.errors > 0)
        snprintf(error, error_len, "%llu answers were wrong", (unsigned long long)r.errors);
    dht_serving_free(r.serving);
    for (unsigned i = 0; i < WORLDS; i++)
        dht_asking_free(r.asking[i]);
    dht_bench_close(&r.b);
    return ok && r.errors == 0;
}
