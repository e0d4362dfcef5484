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

#endif
