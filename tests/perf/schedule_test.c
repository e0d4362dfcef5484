/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <math.h>

#include "perf/schedule.h"

#define HZ 1e9

Test(schedule, even_ones_stand_in_equal_distances)
{
    struct schedule s;
    cr_assert(schedule_open(&s, 1e6, false, HZ));
    schedule_begin(&s, 5000);
    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert_eq(schedule_due(&s, 5000 + i * 1000 - (i > 0)), i > 0 ? 0 : 5000);
        cr_assert_eq(schedule_due(&s, 5000 + i * 1000), 5000 + i * 1000);
        cr_assert_eq(schedule_due(&s, 999999999), 5000 + i * 1000, "its time, not now");
        schedule_next(&s);
    }
    schedule_close(&s);
}

/* Exponential: mean and standard deviation are the same, 1/e of the distances are longer. */
Test(schedule, poisson)
{
    struct schedule s;
    const unsigned n = SCHEDULE_DISTANCES;
    double sum = 0, squares = 0, last = 0;
    unsigned longer = 0;
    cr_assert(schedule_open(&s, 1e6, true, HZ));
    schedule_begin(&s, 0);
    for (unsigned i = 0; i < n; i++) {
        schedule_next(&s);
        double d = s.due - last;
        last = s.due;
        cr_assert(d > 0);
        sum += d;
        squares += d * d;
        longer += d > 1000;
    }
    double mean = sum / n, deviation = sqrt(squares / n - mean * mean);
    cr_assert_float_eq(mean, 1000, 0.1);
    cr_assert_float_eq(deviation, 1000, 15);
    cr_assert_float_eq(longer / (double)n, exp(-1), 0.01);
    schedule_close(&s);
}
