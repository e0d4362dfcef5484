/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log-linear histogram of times in microseconds (HdrHistogram's bucket formula with 5
 * significant bits: within 3.1 %). One writer, any reader, relaxed atomics as base/counter.h.
 */
#ifndef CORAL_BASE_HIST_H
#define CORAL_BASE_HIST_H

#include <stdint.h>

#include "base/counter.h"

#define HIST_SUB     32u
#define HIST_BUCKETS (HIST_SUB * 28u) /* up to 2^32 us, then the last bucket */

struct hist {
    uint64_t count[HIST_BUCKETS];
};

static inline uint32_t hist_index(uint64_t us)
{
    if (us < HIST_SUB)
        return (uint32_t)us;
    uint32_t msb = 63u - (uint32_t)__builtin_clzll(us);
    uint32_t i = (msb - 4) * HIST_SUB + (uint32_t)((us >> (msb - 5)) - HIST_SUB);
    return i < HIST_BUCKETS ? i : HIST_BUCKETS - 1;
}

static inline void hist_add(struct hist *h, uint64_t us)
{
    counter_inc(&h->count[hist_index(us)]);
}

/* dst += src; dst belongs to the caller */
void hist_merge(struct hist *dst, const struct hist *src);
uint64_t hist_total(const struct hist *h);
/* the value below which `q` (0 to 1) of the samples lie, as the upper end of its bucket; 0 when
 * there is no sample */
uint64_t hist_quantile(const struct hist *h, double q);

#endif
