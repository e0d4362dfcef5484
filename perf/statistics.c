/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stddef.h>

#include "perf/statistics.h"

#define LEAST 3 /* values on each side */

double statistics_t95(double freedom)
{
    static const double table[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                   2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                   2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                   2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
    unsigned whole = (unsigned)freedom; /* downwards: the interval gets wider */
    if (whole < 1)
        whole = 1;
    if (whole <= sizeof(table) / sizeof(table[0]))
        return table[whole - 1];
    return 1.960 + 2.45 / freedom; /* within 0.003 of it beyond 30 */
}

static bool positive(const double *x, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!(x[i] > 0))
            return false;
    return n >= LEAST;
}

static double logarithm(const double *x, const double *to, unsigned i)
{
    return log(to ? x[i] / to[i] : x[i]);
}

/* Mean of the logarithms, of ratios where there is a `to`, and the square of its standard error. */
static void moments(const double *x, const double *to, unsigned n, double *mean, double *error2)
{
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < n; i++)
        sum += logarithm(x, to, i);
    *mean = sum / n;
    for (unsigned i = 0; i < n; i++)
        squares += (logarithm(x, to, i) - *mean) * (logarithm(x, to, i) - *mean);
    *error2 = squares / (n - 1) / n;
}

static struct ratio around(double mean, double half)
{
    return (struct ratio){true, exp(mean), exp(mean - half), exp(mean + half)};
}

struct ratio statistics_paired(const double *a, const double *b, unsigned n)
{
    double mean, error2;
    if (!positive(a, n) || !positive(b, n))
        return (struct ratio){0};
    moments(b, a, n, &mean, &error2);
    return around(mean, statistics_t95(n - 1) * sqrt(error2));
}

struct ratio statistics_unpaired(const double *a, unsigned n, const double *b, unsigned m)
{
    double mean_a, mean_b, error_a, error_b;
    if (!positive(a, n) || !positive(b, m))
        return (struct ratio){0};
    moments(a, NULL, n, &mean_a, &error_a);
    moments(b, NULL, m, &mean_b, &error_b);
    double error = error_a + error_b, freedom = n + m - 2;
    if (error > 0)
        freedom = error * error / (error_a * error_a / (n - 1) + error_b * error_b / (m - 1));
    return around(mean_b - mean_a, statistics_t95(freedom) * sqrt(error));
}
