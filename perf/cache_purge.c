/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#include "perf/cache.h"
#include "version.h"

#define ROUNDS 2000 /* at most */
#define PURGES 256  /* a round */

struct purge_run {
    struct cache_bench b;
    struct cache_load *load;
    struct calibration calibration;
    unsigned rounds;
    uint64_t tags;
    double purge[ROUNDS];                /* TSC cycles a purge */
    double clean[ROUNDS], older[ROUNDS]; /* a get: nothing newer; a tag was purged since */
    double prefix[ROUNDS], walk[ROUNDS]; /* a get after that of a prefix; the walk, an object */
    double take_us, take; /* the purge of all objects by their tag: itself, an object */
    uint64_t refused, left;
};

static bool purge(struct purge_run *r, enum cache_purge_kind kind, const char *text)
{
    uint64_t token;
    struct cache_purge what = {kind, false, text, strlen(text)};
    bool taken = cache_purge(r->b.cache, &what, &token) == CACHE_PURGE_TAKEN;
    r->refused += !taken;
    return taken;
}

/* Turns until the walk is over; TSC cycles an object. */
static double walk(const struct purge_run *r)
{
    uint64_t began = rte_rdtsc_precise();
    do
        cache_bench_poll(&r->b);
    while (cache_busy(r->b.cache, 0));
    return (double)(rte_rdtsc_precise() - began) / r->b.held;
}

/* Of tags that no object has: all stay. */
static double purge_window(struct purge_run *r)
{
    static char text[PURGES][24];
    for (unsigned i = 0; i < PURGES; i++)
        snprintf(text[i], sizeof(text[i]), "none-%llu", (unsigned long long)r->tags++);
    uint64_t began = rte_rdtsc_precise();
    for (unsigned i = 0; i < PURGES; i++)
        purge(r, CACHE_PURGE_TAG, text[i]);
    return (double)(rte_rdtsc_precise() - began) / PURGES;
}

static void round_measure(struct purge_run *r, unsigned batch)
{
    unsigned i = r->rounds++;
    calibrate(&r->calibration);
    r->clean[i] = cache_get_window(r->load, batch);
    r->purge[i] = purge_window(r);
    r->older[i] = cache_get_window(r->load, batch);
    r->walk[i] = walk(r);
    walk(r); /* and the grace period of what it is through with */
    purge(r, CACHE_PURGE_PREFIX, "http://www.nobody.example/");
    r->prefix[i] = cache_get_window(r->load, batch);
    walk(r);
}

/* The purge of the tag that all objects have. */
static void take_all(struct purge_run *r)
{
    double began = measure_clock();
    purge(r, CACHE_PURGE_TAG, "perf");
    r->take_us = 1e6 * (measure_clock() - began);
    r->take = walk(r);
    r->left = counter_read(&cache_counters(r->b.cache, 0)->cache_objects);
}

static uint64_t errors(const struct purge_run *r)
{
    return r->load->errors + r->refused + r->left;
}

static void report(const struct purge_run *r, const struct perf_options *o, json_t *result)
{
    json_object_update_new(
        result,
        json_pack("{s:s, s:i, s:i, s:f, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:f, "
                  "s:f, s:i}",
                  "op", "purge", "objects", o->objects, "batch", o->batch, "zipf", o->zipf, "size",
                  o->size, "cycles_per_op", r->purge[0], "get_cycles", r->clean[0],
                  "get_cycles_older_than_tag", r->older[0], "get_cycles_older_than_prefix",
                  r->prefix[0], "walk_cycles_per_object", r->walk[0], "purge_of_all_us", r->take_us,
                  "take_cycles_per_object", r->take, "gets", (json_int_t)r->load->gets, "errors",
                  (json_int_t)errors(r), "bytes_per_object", r->b.bytes_per_object, "core_per_tsc",
                  r->calibration.ratio, "rounds", r->rounds));
}

static void print_table(const struct purge_run *r, const struct perf_options *o)
{
    printf("%u objects with two tags each\n"
           "purge of a tag         %9.1f core cycles; of the one that all have %.2f us\n"
           "get, nothing newer     %9.1f core cycles in batches of %u\n"
           "get, older than a tag  %9.1f core cycles, until the walk comes by\n"
           "get, older than prefix %9.1f core cycles\n"
           "walk                   %9.1f core cycles an object that stays, %.1f one that goes\n"
           "%llu gets, %llu errors, median of %u rounds, revision %s\n",
           o->objects, r->purge[0], r->take_us, r->clean[0], o->batch, r->older[0], r->prefix[0],
           r->walk[0], r->take, (unsigned long long)r->load->gets, (unsigned long long)errors(r),
           r->rounds, CORAL_REVISION);
}

static void to_core_cycles(struct purge_run *r)
{
    double *const lists[] = {r->purge, r->clean, r->older, r->prefix, r->walk};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        lists[i][0] = measure_median(lists[i], r->rounds) * r->calibration.ratio;
    r->take *= r->calibration.ratio;
}

bool cache_purge_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    static struct purge_run r;
    if (!cache_bench_open(&r.b, o->objects, o->objects, o->size, NULL, true, true) ||
        !(r.load = cache_load_new(&r.b, o->zipf, 1))) {
        cache_bench_close(&r.b);
        snprintf(error, error_len, "no memory for %u objects", o->objects);
        return false;
    }
    double end = measure_clock() + o->seconds;
    do
        round_measure(&r, o->batch);
    while (r.rounds < ROUNDS && measure_clock() < end);
    take_all(&r);
    to_core_cycles(&r);
    report(&r, o, result);
    if (!o->json)
        print_table(&r, o);
    bool good = errors(&r) == 0;
    if (!good)
        snprintf(error, error_len, "objects were wrong or stayed, or purges were refused");
    cache_load_free(r.load);
    cache_bench_close(&r.b);
    return good;
}
