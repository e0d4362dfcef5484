/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many members a cluster has, from how dense they are: if the k-th nearest of n to some key is
 * at x of the ID space, n is about k / x. Of several keys,
 *
 *     nhat = (sum of k - 1) / (sum of x)        relative sd 1 / sqrt(sum of k - 2)
 *
 * without bias, as sums of such distances follow a gamma distribution (research 3.6). 16th nearest
 * of 8 keys: 9 %. A walk to a random key gives a sample, a node's own neighbourhood another (with
 * its own id as the key, not counting itself).
 */
#ifndef CORAL_DHT_SIZE_H
#define CORAL_DHT_SIZE_H

#include "base/now.h"

#define SIZE_SAMPLES   8u
#define SIZE_SAMPLE_US 1800000000u /* a sample is good for 30 minutes */

/* 136 bytes; zeroed, it has no samples. Start anew in a new cluster. */
struct size {
    struct size_sample {
        uint64_t x;     /* distance to the k-th nearest, in 2^-64 of the ID space */
        uint64_t at_us; /* when it was taken */
    } sample[SIZE_SAMPLES];
    uint8_t k[SIZE_SAMPLES]; /* 0: no sample in this place */
    uint32_t taken;          /* samples so far: the next goes to this place, modulo SIZE_SAMPLES */
};

/* `x` is the upper 64 bits of the 160-bit distance from a random key to the k-th nearest member
 * that answered. k = 0 is no sample. The oldest of eight falls out. */
void size_add(struct size *s, uint64_t x, uint8_t k, struct now now);

/* The estimate in 1/256 of log2, 0 (one member) to 64 * 256; rounded down. 0 without samples. */
uint32_t size_log2_256(const struct size *s, struct now now);
/* The same of a cluster whose members, one at least, were counted. */
uint32_t size_of_members(uint32_t n);

#endif
