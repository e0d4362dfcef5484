/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HdrHistogram (hdrhistogram.org) of times in nanoseconds, two significant digits, up to 68 s: its
 * buckets, so that its viewers read what is written here. One writer.
 *
 *   value < 256           its own count
 *   else                  the octave is cut in 128: index = (octave + 1) * 128 + the next 7 bits
 */
#ifndef CORAL_PERF_HDR_H
#define CORAL_PERF_HDR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/counter.h"

#define HDR_DIGITS 2
#define HDR_SUB    256u
#define HDR_HALF   (HDR_SUB / 2)
#define HDR_BITS   36u /* values below 2^36; larger ones count as the largest */
#define HDR_MOST   ((1ull << HDR_BITS) - 1)
#define HDR_COUNTS ((HDR_BITS - 7 + 1) * HDR_HALF)

struct hdr {
    uint64_t count[HDR_COUNTS];
};

static inline uint32_t hdr_index(uint64_t value)
{
    value = value > HDR_MOST ? HDR_MOST : value;
    uint32_t octave = 63u - (uint32_t)__builtin_clzll(value | (HDR_SUB - 1)) - 7; /* 0: linear */
    return octave * HDR_HALF + (uint32_t)(value >> octave);
}

static inline void hdr_add(struct hdr *h, uint64_t ns)
{
    counter_inc(&h->count[hdr_index(ns)]);
}

/* The largest value that is counted at `index`. */
uint64_t hdr_value(uint32_t index);
uint64_t hdr_total(const struct hdr *h);
/* The value that a share q (0 to 1) of all do not exceed, as the largest of its count; 0 when there
 * is none. */
uint64_t hdr_quantile(const struct hdr *h, double q);

/* What its viewers read: percentiles in microseconds (.hgrm), the same as comma separated values,
 * and a log of one interval (version 1.3, counts as V2, deflated and in base 64). False: errno. */
bool hdr_write_hgrm(const struct hdr *h, FILE *f);
bool hdr_write_csv(const struct hdr *h, FILE *f);
bool hdr_write_hlog(const struct hdr *h, double began_s, double seconds, FILE *f);

#endif
