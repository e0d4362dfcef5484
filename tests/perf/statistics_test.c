/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <math.h>

#include "perf/statistics.h"

static bool near(double x, double y)
{
    return fabs(x - y) < 1e-3 * fabs(y);
}

/* Values of R 4.2: qt(0.975, n) */
Test(statistics, students_t)
{
    cr_assert(near(statistics_t95(1), 12.706));
    cr_assert(near(statistics_t95(4), 2.776));
    cr_assert(near(statistics_t95(4.9), 2.776), "downwards");
    cr_assert(near(statistics_t95(30), 2.042));
    cr_assert(near(statistics_t95(31), 2.0395));
    cr_assert(near(statistics_t95(1000), 1.9623));
}

/* A mood of the machine that both of a pair share is no noise of their ratio. */
Test(statistics, pairs_share_the_mood)
{
    const double a[] = {100, 200, 400, 800}, b[] = {110, 221, 441, 878};
    struct ratio p = statistics_paired(a, b, 4), u = statistics_unpaired(a, 4, b, 4);
    cr_assert(p.known && u.known);
    cr_assert(near(p.is, u.is) && p.is > 1.09 && p.is < 1.11);
    cr_assert(p.low > 1.09 && p.high < 1.12, "%f to %f", p.low, p.high);
    cr_assert(u.low < 0.5 && u.high > 2, "%f to %f", u.low, u.high);
}

/* By hand: logarithms 0, 1, 2 and 3, 4, 5: each variance 1, error sqrt(2/3), 4 degrees, t 2.776 */
Test(statistics, welch)
{
    const double a[] = {1, M_E, M_E * M_E};
    const double b[] = {exp(3), exp(4), exp(5)};
    struct ratio r = statistics_unpaired(a, 3, b, 3);
    cr_assert(near(log(r.is), 3));
    cr_assert(near(log(r.high), 3 + 2.776 * sqrt(2.0 / 3)));
    cr_assert(near(log(r.low), 3 - 2.776 * sqrt(2.0 / 3)));
}

Test(statistics, what_cannot_be_known)
{
    const double two[] = {1, 2}, zero[] = {0, 1, 2}, three[] = {1, 2, 3};
    cr_assert_not(statistics_paired(two, two, 2).known);
    cr_assert_not(statistics_unpaired(two, 2, three, 3).known);
    cr_assert_not(statistics_unpaired(three, 3, two, 2).known);
    cr_assert_not(statistics_paired(zero, three, 3).known);
    cr_assert_not(statistics_unpaired(three, 3, zero, 3).known);
    const double same[] = {5, 5, 5};
    struct ratio r = statistics_unpaired(same, 3, same, 3);
    cr_assert(r.known && near(r.is, 1) && near(r.low, 1) && near(r.high, 1));
}
