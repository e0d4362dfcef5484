/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open loop: each request has its time, whether or not the server keeps up, and is measured
 * from there. Constant distances, or Poisson's: exponential ones, which is how requests of many
 * clients that know nothing of each other come.
 */
#ifndef CORAL_PERF_SCHEDULE_H
#define CORAL_PERF_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_DISTANCES 65536

struct schedule {
    double due;  /* TSC cycles: the next one's time */
    double step; /* in the mean */
    uint32_t at; /* in the distances */
    float
        *drawn; /* Poisson: distances in steps, again and again; their mean is 1. NULL: constant */
};

/* False: no memory. */
bool schedule_open(struct schedule *s, double rate, bool poisson, double tsc_hz);
void schedule_close(struct schedule *s);
/* The first one is due at once. */
static inline void schedule_begin(struct schedule *s, uint64_t now_tsc)
{
    s->due = (double)now_tsc;
}
/* Is one due? Its time, which is over then, or 0. It stays due until schedule_next. */
static inline uint64_t schedule_due(const struct schedule *s, uint64_t now_tsc)
{
    return s->due <= (double)now_tsc ? (uint64_t)s->due : 0;
}
static inline void schedule_next(struct schedule *s)
{
    s->due += s->drawn ? s->step * (double)s->drawn[s->at++ % SCHEDULE_DISTANCES] : s->step;
}

#endif
