/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The measured time is cut into windows, and the cost of an operation is the median of theirs, each
 * as heavy as its operations: a turn that the kernel interrupts, for another job on the same core,
 * counts in full in its own window, which has few operations, and in no other.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "perf/perf.h"
#include "perf/progress.h"

#define WINDOWS    1000
#define WINDOW_US  10000   /* and longer, when the measured time is */
#define WINDOW_OPS 16      /* and until it has so many: large ones end long after their work */
#define STALLED_US 1000000 /* without an operation */

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

/* What is read at the begin and the end. */
struct reading {
    uint64_t ops, busy_tsc, empty_tsc, client_busy_tsc, client_empty_tsc;
    double cpu_s;
};

static struct reading read_all(const struct measured *m)
{
    struct reading r = {.ops = counter_read(m->ops), .busy_tsc = counter_read(m->busy_tsc)};
    r.cpu_s = m->worker ? perf_thread_cpu(m->worker) : -1;
    r.empty_tsc = m->worker ? counter_read(&m->worker->empty_tsc) : 0;
    r.client_busy_tsc = m->client ? counter_read(&m->client->busy_tsc) : 0;
    r.client_empty_tsc = m->client ? counter_read(&m->client->empty_tsc) : 0;
    return r;
}

static void conclude(const struct measured *m, const struct reading *first,
                     const struct reading *last, struct perf_result *r)
{
    double hz = (double)rte_get_tsc_hz();
    double busy = (double)(last->client_busy_tsc - first->client_busy_tsc),
           empty = (double)(last->client_empty_tsc - first->client_empty_tsc);
    r->ops = last->ops - first->ops;
    r->busy_tsc = last->busy_tsc - first->busy_tsc;
    r->client_busy = m->client && busy + empty > 0 ? busy / (busy + empty) : -1;
    r->account.cpu_s = first->cpu_s < 0 || last->cpu_s < 0 ? -1 : last->cpu_s - first->cpu_s;
    r->account.empty_s = (double)(last->empty_tsc - first->empty_tsc) / hz;
    r->account.ops_s = (double)r->ops * r->tsc_per_op / hz;
}

void measure_windows(double seconds, const struct measured *m, struct perf_result *r)
{
    static struct window window[WINDOWS];
    static struct progress progress;
    uint64_t window_us = (uint64_t)(seconds * 1e6 / WINDOWS);
    uint64_t began = perf_now().mono_us, end = began + (uint64_t)(seconds * 1e6), now = began;
    const struct reading first = read_all(m);
    uint64_t last_ops = first.ops, last_busy = first.busy_tsc, last_op_us = began, seen = first.ops;
    unsigned n = 0;

    if (window_us < WINDOW_US)
        window_us = WINDOW_US;
    progress_begin(&progress, seconds, m, began);
    do {
        usleep((useconds_t)window_us);
        uint64_t o = counter_read(m->ops), b = counter_read(m->busy_tsc);
        now = perf_now().mono_us;
        if (o - last_ops >= WINDOW_OPS || (now >= end && n == 0 && o > last_ops)) {
            if (n < WINDOWS)
                window[n++] = (struct window){(double)(b - last_busy) / (double)(o - last_ops),
                                              (double)(o - last_ops)};
            last_ops = o;
            last_busy = b;
        }
        if (o > seen) {
            last_op_us = now;
        } else if (now - last_op_us > STALLED_US && !(m->slowest > 0 && m->slowest < 3)) {
            r->errors.n[PERF_ERROR_stalled]++;
            last_op_us = now;
        }
        seen = o;
        if (m->live)
            progress_show(&progress, m, now);
    } while (now < end);
    if (m->live)
        progress_end();
    const struct reading last = read_all(m);
    r->tsc_per_op = median_of(window, n);
    r->seconds = (double)(now - began) / 1e6;
    conclude(m, &first, &last, r);
}

double measure_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
