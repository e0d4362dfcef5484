/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Without --rate: what the server can do at all is found by a closed loop, and the run's rate is 70
 * % of it. A server that is driven as fast as it answers has queues as long as there are requests
 * in flight, and times of answers that tell of nothing else.
 */
#include <stdio.h>

#include "perf/perf.h"

#define SHARE   0.7
#define SECONDS 0.5

bool perf_find_rate(struct perf_options *o)
{
    bool ignored; /* a machine that was disturbed spoils the figure, not what follows of it */
    struct perf_options c = *o;
    c.closed = c.json = true; /* no table */
    c.live = c.poisson = false;
    c.hgrm = c.hlog = c.csv = NULL;
    c.seconds = c.seconds < SECONDS ? c.seconds : SECONDS;
    json_t *r = perf_run_apart(&c, &ignored);
    bool ok = r && require_field(r, "ops_per_s", &o->closed_per_s) && o->closed_per_s > 0;
    if (ok && !require_field(r, "cycles_per_op", &o->closed_cycles))
        require_field(r, "client_cycles_per_op", &o->closed_cycles);
    o->rate = SHARE * o->closed_per_s;
    json_decref(r);
    if (!ok)
        fprintf(stderr, "coral-perf: the closed loop from which the rate was to follow failed\n");
    return ok;
}
