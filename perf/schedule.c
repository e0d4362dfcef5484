/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "perf/schedule.h"

bool schedule_open(struct schedule *s, double rate, bool poisson, double tsc_hz)
{
    struct rng rng;
    double sum = 0;
    *s = (struct schedule){.step = tsc_hz / rate};
    if (!poisson)
        return true;
    rng_init_u64(&rng, 1);
    s->drawn = malloc(SCHEDULE_DISTANCES * sizeof(*s->drawn));
    for (uint32_t i = 0; s->drawn && i < SCHEDULE_DISTANCES; i++) {
        double u = ((double)(rng_u64(&rng) >> 11) + 0.5) / 9007199254740992.0; /* 2^53: in (0, 1) */
        s->drawn[i] = (float)-log(u);
        sum += (double)s->drawn[i];
    }
    for (uint32_t i = 0; s->drawn && i < SCHEDULE_DISTANCES; i++)
        s->drawn[i] = (float)((double)s->drawn[i] * SCHEDULE_DISTANCES / sum);
    return s->drawn != NULL;
}

void schedule_close(struct schedule *s)
{
    free(s->drawn);
    s->drawn = NULL;
}
