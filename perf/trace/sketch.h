/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often was it asked for lately? A count-min sketch of 4-bit counters, four of them for each
 * object, that halves all when ten times as many requests were counted as the cache has entries
 * (TinyLFU: Einziger, Friedman, Manes, ACM TOS 2017, 3.2 and 3.3). No doorkeeper.
 */
#ifndef CORAL_PERF_SKETCH_H
#define CORAL_PERF_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

#define SKETCH_ROWS 4
#define SKETCH_MAX  15

struct sketch {
    uint8_t *count[SKETCH_ROWS]; /* a byte each, for speed; none is above SKETCH_MAX */
    uint32_t mask;
    uint64_t counted, period;
};

/* For a cache of so many entries. False: no memory. */
bool sketch_open(struct sketch *s, uint64_t entries);
void sketch_close(struct sketch *s);
void sketch_count(struct sketch *s, uint32_t object);
unsigned sketch_estimate(const struct sketch *s, uint32_t object);

#endif
