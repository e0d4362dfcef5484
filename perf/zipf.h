/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks by Zipf's law: rank r of n is drawn with a probability in proportion to r^-s, exactly, by
 * rejection-inversion (Hoermann and Derflinger, 1996): a handful of logarithms a draw and no table,
 * whatever n is. s = 0 is uniform.
 */
#ifndef CORAL_PERF_ZIPF_H
#define CORAL_PERF_ZIPF_H

#include <stdint.h>

struct zipf {
    double s, n;
    double area_first, area_all, shift; /* of the hat, the integral of x^-s */
    uint64_t state;                     /* of the generator */
};

struct zipf zipf_make(uint32_t n, double s, uint64_t seed);
/* From 0 on. */
uint32_t zipf_next(struct zipf *z);

/* A bijection of 64 bits (splitmix64's), to scatter what is counted. */
static inline uint64_t zipf_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

#endif
