/* SPDX-License-Identifier: BSD-3-Clause */
/* Ratios of costs with confidence intervals. Logarithms of costs are what is compared: noise of a
 * machine multiplies. */
#ifndef CORAL_PERF_STATISTICS_H
#define CORAL_PERF_STATISTICS_H

#include <stdbool.h>

/* Student's t, two-sided 95 %, for so many degrees of freedom (at least 1). */
double statistics_t95(double freedom);

struct ratio {
    bool known;       /* false: fewer than 3 on a side, or a value is not above zero */
    double is;        /* of b to a */
    double low, high; /* its 95 % confidence interval */
};
/* b[i] ran beside a[i]: the i-th pair shares the machine's mood (paired t). */
struct ratio statistics_paired(const double *a, const double *b, unsigned n);
/* They ran apart, or in different numbers (Welch 1947). */
struct ratio statistics_unpaired(const double *a, unsigned n, const double *b, unsigned m);

#endif
