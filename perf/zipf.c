/* SPDX-License-Identifier: BSD-3-Clause */
#include "perf/zipf.h"

#include <math.h>

#include "base/mix.h"

/* log(1 + x) / x and (exp(x) - 1) / x, which are 1 at 0: so s = 1 needs no case of its own. */
static double log_ratio(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2;
}

static double exp_ratio(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2;
}

/* The integral of x^-s from 1, and its inverse. */
static double area(const struct zipf *z, double x)
{
    double log_x = log(x);
    return exp_ratio((1 - z->s) * log_x) * log_x;
}

static double area_inverse(const struct zipf *z, double a)
{
    double t = a * (1 - z->s);
    return exp(log_ratio(t < -1 ? -1 : t) * a);
}

struct zipf zipf_make(uint32_t n, double s, uint64_t seed)
{
    struct zipf z = {.s = s, .n = n, .state = seed};
    z.area_first = area(&z, 1.5) - 1;
    z.area_all = area(&z, n + 0.5);
    z.shift = 2 - area_inverse(&z, area(&z, 2.5) - pow(2, -s));
    return z;
}

uint32_t zipf_next(struct zipf *z)
{
    for (;;) {
        double u = (double)(mix64(z->state++ + MIX_GOLDEN) >> 11) * 0x1p-53;
        double a = z->area_all + u * (z->area_first - z->area_all);
        double x = area_inverse(z, a), k = floor(x + 0.5);
        k = k < 1 ? 1 : k > z->n ? z->n : k;
        if (k - x <= z->shift || a >= area(z, k + 0.5) - pow(k, -z->s))
            return (uint32_t)k - 1;
    }
}
