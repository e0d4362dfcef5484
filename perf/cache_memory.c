/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache's memory: what a chunk, a run of lines and a head cost to take and give back, on a
 * cache whose memory is mixed.
 */
#include <stdio.h>

#include <rte_cycles.h>

#include "base/memory.h"
#include "base/rng.h"
#include "cache/private.h"
#include "perf/cache.h"
#include "version.h"

enum kind { CHUNK, CELLS, HEAD, KINDS };

#define LIVE    16384u /* of a kind, at any time */
#define WINDOWS 20000u
#define WINDOW  256u /* given back and taken anew in one measurement */

/* One of each kind: a chunk, a run of lines, a head. */
struct held {
    uint32_t chunk, cell;
    void *head;
    uint32_t cell_bytes, head_bytes;
};

struct memory_run {
    struct cache *cache;
    struct cache_worker *w;
    struct held held[LIVE];
    struct rng rng;
    struct calibration calibration;
    unsigned windows;
    double cost[KINDS][WINDOWS];
};

static void take(struct memory_run *r, struct held *h, enum kind kind)
{
    if (kind == CHUNK)
        h->chunk = cache_chunk_take(r->cache, r->w);
    else if (kind == CELLS)
        h->cell = cache_cells_take(r->cache, r->w, h->cell_bytes);
    else
        h->head = heads_new(&r->w->heads, h->head_bytes);
}

static void give(struct memory_run *r, const struct held *h, enum kind kind)
{
    if (kind == CHUNK)
        cache_chunk_give(r->cache, r->w, h->chunk);
    else if (kind == CELLS)
        cache_cells_give(r->cache, r->w, h->cell, h->cell_bytes);
    else
        heads_free(&r->w->heads, h->head, h->head_bytes);
}

/* Tails are of any length; of heads half are around 300 bytes and most of the others below 900. */
static void pick_sizes(struct memory_run *r, struct held *h)
{
    h->cell_bytes = 1 + rng_below(&r->rng, CACHE_CHUNK_BYTES);
    h->head_bytes = 150 + rng_below(&r->rng, 150 + rng_below(&r->rng, 600));
}

static bool is_whole(const struct held *h)
{
    return h->chunk != CHUNK_NONE && h->cell != CHUNK_NONE && h->head;
}

/* Some that were taken at any time go, and as many come. */
static bool window(struct memory_run *r, enum kind kind)
{
    static struct held *picked[WINDOW];
    static struct held fresh[WINDOW];
    bool ok = true;
    for (unsigned i = 0; i < WINDOW; i++) {
        /* each from a stripe of its own, so that none is picked twice */
        picked[i] = &r->held[i * (LIVE / WINDOW) + rng_below(&r->rng, LIVE / WINDOW)];
        fresh[i] = *picked[i];
        pick_sizes(r, &fresh[i]);
    }
    uint64_t began = rte_rdtsc_precise();
    for (unsigned i = 0; i < WINDOW; i++) {
        give(r, picked[i], kind);
        take(r, &fresh[i], kind);
    }
    uint64_t took = rte_rdtsc_precise() - began;
    for (unsigned i = 0; i < WINDOW; i++) {
        struct held *h = picked[i];
        if (kind == CHUNK)
            h->chunk = fresh[i].chunk;
        else if (kind == CELLS)
            h->cell = fresh[i].cell, h->cell_bytes = fresh[i].cell_bytes;
        else
            h->head = fresh[i].head, h->head_bytes = fresh[i].head_bytes;
        ok &= is_whole(h);
    }
    r->cost[kind][r->windows] = (double)took / WINDOW;
    return ok;
}

static bool run(struct memory_run *r, double seconds)
{
    for (unsigned i = 0; i < LIVE; i++) {
        struct held *h = &r->held[i];
        pick_sizes(r, h);
        for (unsigned kind = 0; kind < KINDS; kind++)
            take(r, h, kind);
        if (!is_whole(h))
            return false;
    }
    for (double end = measure_clock() + seconds; r->windows < WINDOWS && measure_clock() < end;
         r->windows++) {
        calibrate(&r->calibration);
        for (unsigned kind = 0; kind < KINDS; kind++)
            if (!window(r, kind))
                return false;
    }
    for (unsigned i = 0; i < LIVE; i++)
        for (unsigned kind = 0; kind < KINDS; kind++)
            give(r, &r->held[i], kind);
    return r->windows > 0;
}

static bool open_cache(struct memory_run *r, struct cache_config *config)
{
    size_t states = rte_rcu_qsbr_get_memsize(1);
    config->memory = memory_new(cache_region(config), 1);
    config->qsbr = memory_new(states, 1);
    if (!config->memory || !config->qsbr || rte_rcu_qsbr_init(config->qsbr, 1) != 0)
        return false;
    r->cache = cache_create(config);
    r->w = r->cache ? &r->cache->worker[0] : NULL;
    rng_init_u64(&r->rng, 1);
    return r->cache != NULL;
}

static void report(struct memory_run *r, bool json, json_t *result)
{
    static const char *const name[] = {"chunk", "cells", "head"};
    json_object_update_new(result, json_pack("{s:s, s:i, s:f}", "op", "memory", "rounds",
                                             r->windows, "core_per_tsc", r->calibration.ratio));
    for (unsigned kind = 0; kind < KINDS; kind++) {
        double cycles = measure_median(r->cost[kind], r->windows) * r->calibration.ratio;
        char field[32];
        snprintf(field, sizeof(field), "%s_cycles", name[kind]);
        json_object_set_new(result, field, json_real(cycles));
        if (!json)
            printf("%-22s %9.1f core cycles, given back and taken\n", name[kind], cycles);
    }
    if (!json)
        printf("%.3f core cycles a TSC cycle, median of %u rounds, revision %s\n",
               r->calibration.ratio, r->windows, CORAL_REVISION);
}

bool cache_memory_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    static struct memory_run r;
    uint32_t objects = 4 * LIVE; /* so many that heads have an arena */
    struct cache_config config = {.bytes = cache_budget(3 * LIVE, objects, 1),
                                  .objects = objects,
                                  .workers = 1,
                                  .seed = "coral-perf cache"};
    perf_pin((unsigned)perf_cpu(0));
    bool ok = open_cache(&r, &config) && run(&r, o->seconds);
    if (ok)
        report(&r, o->json, result);
    else
        snprintf(error, error_len, "no memory");
    cache_destroy(r.cache);
    memory_free(config.memory, cache_region(&config), 1);
    memory_free(config.qsbr, rte_rcu_qsbr_get_memsize(1), 1);
    return ok;
}
