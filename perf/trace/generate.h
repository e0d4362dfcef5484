/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traces by a seed: the same options give the same trace. All last a day.
 *
 *   zipf    requests by Zipf's law, each for itself
 *   scan    zipf, and five times somebody walks through as many other objects as half of them
 *   once    zipf, but a third of the requests are for what is asked for once
 *   shift   zipf, but nine times all objects change their ranks
 *   crowd   zipf, and from two fifths of the day on a crowd for twelve new objects: within a tenth
 * of the day four of five requests, for two tenths; then half as many each tenth cdn     zipf, an
 * eighth of the requests for what is asked for once, and ranks are taken over by new objects, as
 * many in the day as there are ranks: so things age day     CoralCDN's: 70 % of 596,000 URLs asked
 * once; of 9.7 million requests the top 0.01 % of URLs took 38 %, in 52 MB, the top 1 % 80 %,
 * in 1.8 GB (day.c)
 */
#ifndef CORAL_PERF_GENERATE_H
#define CORAL_PERF_GENERATE_H

#include "base/rng.h"
#include "perf/trace/trace.h"

#define GENERATE_DAY_S 86400u

enum generate_sizes {
    SIZES_UNIT, /* one byte each: capacities are numbers of objects */
    SIZES_CDN, /* log-normal, median 13.3 KB, mean 34 KB, at most 4.2 MB: as CacheLib's CDN model */
    SIZES_TAIL, /* of 20 objects 19 so, one from 64 KB to 1 GB with Pareto's exponent of 1.1 */
};

struct generate_options {
    const char *kind;
    uint64_t seed;
    uint32_t requests, objects; /* objects: ranks; what comes beside them adds to it */
    double exponent;            /* of Zipf's law: a request is for rank r with r^-exponent */
    enum generate_sizes sizes;  /* the day has its own, if not UNIT */
};

/* NULL ends. */
extern const char *const generate_kinds[];

/* The kind's own numbers, sizes CDN, seed 1. False: there is no such kind. */
bool generate_defaults(const char *kind, struct generate_options *o);
/* Adds the requests to an empty trace. False: no memory, or the trace takes fewer. */
bool generate(const struct generate_options *o, struct trace *t);

/* --- day.c ------------------------------------------------------------------------------------ */

bool generate_day(const struct generate_options *o, struct trace *t);

/* --- sizes.c ---------------------------------------------------------------------------------- */

/* An object's size, by seed and ID alone. */
uint32_t generate_size(enum generate_sizes sizes, uint64_t seed, uint64_t id);

/* --- popularity.c: draws from weights in constant time (Vose's alias method) ------------------ */

struct popularity {
    uint32_t n, *other;
    double *own; /* the share of a column that is its own */
};
/* Ranks 0..n-1 by Zipf's law. False: no memory. */
bool popularity_zipf(struct popularity *p, uint32_t n, double exponent);
void popularity_close(struct popularity *p);
uint32_t popularity_draw(const struct popularity *p, struct rng *rng);

#endif
