/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-perf cache: the cache alone, without a wire.
 *
 *   cache.c        the run: what is measured in turn, the table
 *   cache_load.c   a cache full of objects; windows of gets and puts on it
 *   cache_pair.c   gets on one core while another core writes
 *   cache_memory.c what a chunk, a run of lines and a head cost
 *   cache_churn.c  how much of the memory is useful while the mix of sizes changes
 *   cache_purge.c  purges, gets after them, the owner's walk
 *   keys.h         which object is asked for
 */
#ifndef CORAL_PERF_CACHE_H
#define CORAL_PERF_CACHE_H

#include "cache/cache.h"
#include "perf/keys.h"
#include "perf/perf.h"

#define CACHE_BENCH_WINDOW  512 /* operations of one measurement; their keys fit the caches */
#define CACHE_BENCH_KEY     60  /* bytes of a URL */
#define CACHE_BENCH_HEAD    52
#define CACHE_BENCH_THREADS 2 /* 0 writes, and reads when it is alone; 1 reads beside it */

struct cache_bench {
    struct cache *cache;
    struct rte_rcu_qsbr *qsbr;
    uint8_t *memory, *body;
    size_t bytes;
    uint32_t held;             /* objects that the cache has room for, and has */
    uint32_t catalogue;        /* objects that there are */
    uint32_t size;             /* bytes of a body; of the largest of a trace */
    const struct trace *trace; /* says which has how many, and what is asked for; NULL: none */
    bool tagged;               /* each has the tag "perf" and another */
    double bytes_per_object;   /* of resident memory */
    struct now now;            /* virtual */
};

/* What a thread does is its own. */
struct cache_load {
    const struct cache_bench *b;
    struct keys keys;
    uint64_t fresh; /* puts: the next object that nobody has heard of */
    uint64_t gets, hits, puts, errors;
    uint32_t number[CACHE_BENCH_WINDOW];
    char key[CACHE_BENCH_WINDOW][64];
    struct cache_probe probe[CACHE_BENCH_WINDOW];
};

/* A cache that holds `objects`, stored, each taken out and stored again in another order, so that
 * its memory is as mixed as a cache's that has run for long. With `spare` there is room for what
 * writers bring; without, each new object evicts one. With a trace objects have its sizes, and the
 * cache room for so many of the mean one. False: no memory. */
bool cache_bench_open(struct cache_bench *b, uint32_t objects, uint32_t catalogue, uint32_t size,
                      const struct trace *trace, bool spare, bool tagged);
void cache_bench_close(struct cache_bench *b);
/* A worker's turn, as far as the cache is concerned. */
void cache_bench_poll(const struct cache_bench *b);

/* --- windows: TSC cycles an operation; the choice of objects, their keys' text and the check of
 * what came back are not in it. Callers other than the first thread only read. ---------------- */

struct cache_load *cache_load_new(const struct cache_bench *b, double s, uint64_t seed);
void cache_load_free(struct cache_load *l);
/* Gets by Zipf's law, or a trace, in batches of n. */
double cache_get_window(struct cache_load *l, unsigned n);
/* Puts of objects that were never there: n are prepared, as for the gets that miss them, and put; a
 * poll; and so on. Fewer than n in a small cache. */
double cache_put_window(struct cache_load *l, unsigned n);
/* Gets in batches of n, and a put for each that finds nothing. */
double cache_mixed_window(struct cache_load *l, unsigned n);
/* An object picked by Zipf's law comes anew, in the place of the one that is there; polls too. */
void cache_update(struct cache_load *l);

/* --- cache_pair.c ----------------------------------------------------------------------------- */

#define CACHE_PAIR_WINDOWS 100000

struct cache_pair {
    double alone, beside; /* TSC cycles a get, medians, in turn */
    double updates_per_s; /* while it wrote */
    unsigned windows;     /* of either kind, at least: 0: it never kept up */
    uint64_t gets, errors;
};
/* Gets in batches of n on this CPU for so long; half of the time `cpu` puts `rate` objects a second
 * in the place of others, picked by the same law. The caller has no part in the cache meanwhile.
 * False: no memory, no thread. */
bool cache_pair_run(const struct cache_bench *b, double s, unsigned n, double rate, double seconds,
                    unsigned cpu, struct cache_pair *out);

/* --- runs of their own: as cache_run ---------------------------------------------------------- */

bool cache_memory_run(const struct perf_options *o, json_t *result, char *error, size_t error_len);
bool cache_churn_run(const struct perf_options *o, json_t *result, char *error, size_t error_len);

/* --- cache_purge.c ---------------------------------------------------------------------------- */

/* Purges of a cache of tagged objects: what one costs, what gets cost before and after the walk has
 * come by, and what the walk costs. Prints its own table. */
bool cache_purge_run(const struct perf_options *o, json_t *result, char *error, size_t error_len);

#endif
