/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The measured time is cut into windows, and the cost of an operation is the median of theirs, each
 * as heavy as its operations: a turn that the kernel interrupts, for another job on the same core,
 * counts in full in its own window, which has few operations, and in no other.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "perf/perf.h"

#define WINDOWS   1000
#define WINDOW_US 10000 /* and longer, when the measured time is */

static int by_value(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

double measure_median(double *value, unsigned n)
{
    qsort(value, n, sizeof(value[0]), by_value);
    return n ? value[n / 2] : 0;
}

struct window {
    double cost, ops;
};

static int by_cost(const void *x, const void *y)
{
    const struct window *a = x, *b = y;
    return (a->cost > b->cost) - (a->cost < b->cost);
}

static double median_of(struct window *w, unsigned n)
{
    double all = 0, seen = 0;
    qsort(w, n, sizeof(w[0]), by_cost);
    for (unsigned i = 0; i < n; i++)
        all += w[i].ops;
    for (unsigned i = 0; i < n; i++) {
        seen += w[i].ops;
        if (2 * seen >= all)
            return w[i].cost;
    }
    return 0;
}

void measure_windows(double seconds, const uint64_t *ops, const uint64_t *busy_tsc,
                     struct perf_result *r)
{
    static struct window window[WINDOWS];
    uint64_t window_us = (uint64_t)(seconds * 1e6 / WINDOWS);
    uint64_t first_ops = counter_read(ops), first_busy = counter_read(busy_tsc);
    uint64_t last_ops = first_ops, last_busy = first_busy;
    uint64_t began = perf_now().mono_us, end = began + (uint64_t)(seconds * 1e6), now;
    unsigned n = 0;

    if (window_us < WINDOW_US)
        window_us = WINDOW_US;
    do {
        usleep((useconds_t)window_us);
        uint64_t o = counter_read(ops), b = counter_read(busy_tsc);
        if (o > last_ops && n < WINDOWS)
            window[n++] = (struct window){(double)(b - last_busy) / (double)(o - last_ops),
                                          (double)(o - last_ops)};
        last_ops = o;
        last_busy = b;
        now = perf_now().mono_us;
    } while (now < end);
    r->ops = last_ops - first_ops;
    r->busy_tsc = last_busy - first_busy;
    r->tsc_per_op = median_of(window, n);
    r->seconds = (double)(now - began) / 1e6;
}

double measure_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
