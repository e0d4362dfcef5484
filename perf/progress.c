/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "perf/progress.h"

#define EVERY_US 1000000
#define COLUMNS  79 /* of the narrowest terminal, but one: a full line would begin the next */

/* What came since the last line, which the load's thread counts meanwhile. */
static double p99_us(struct progress *p, const struct latency *l)
{
    static struct hdr since;
    for (uint32_t i = 0; i < HDR_COUNTS; i++) {
        uint64_t n = counter_read(&l->hdr.count[i]);
        since.count[i] = n - p->seen.count[i];
        p->seen.count[i] = n;
    }
    return (double)hdr_quantile(&since, 0.99) / 1000;
}

void progress_begin(struct progress *p, double seconds, const struct measured *m, uint64_t now_us)
{
    *p = (struct progress){.seconds = seconds, .began_us = now_us, .last_us = now_us};
    p->ops = counter_read(m->ops);
    p->busy_tsc = counter_read(m->busy_tsc);
}

void progress_show(struct progress *p, const struct measured *m, uint64_t now_us)
{
    char line[160];
    double ratio, since = (double)(now_us - p->last_us) / 1e6;
    if (now_us - p->last_us < EVERY_US)
        return;
    uint64_t ops = counter_read(m->ops) - p->ops, busy = counter_read(m->busy_tsc) - p->busy_tsc;
    __atomic_load(&m->calibration->ratio, &ratio, __ATOMIC_RELAXED);
    snprintf(line, sizeof(line),
             "%.0f of %.0f s  %.0f ops/s  %.1f %scycles/op  p99 %.1f us  %llu errors",
             (double)(now_us - p->began_us) / 1e6, p->seconds, (double)ops / since,
             ops ? (double)busy * ratio / (double)ops : 0,
             m->client && m->client == m->worker ? "client " : "", p99_us(p, m->latency),
             m->errors ? (unsigned long long)errors_total(m->errors) : 0);
    fprintf(stderr, "\r%-*.*s", COLUMNS, COLUMNS, line);
    p->last_us = now_us;
    p->ops += ops;
    p->busy_tsc += busy;
}

void progress_end(void)
{
    fprintf(stderr, "\r%*s\r", COLUMNS, "");
}
