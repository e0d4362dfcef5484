/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>

#include "perf/trace/generate.h"

/* Columns of equal height: a weight below the mean is filled up by one above it. `work` lists the
 * low columns from its start and the high ones from its end. */
static void fill(struct popularity *p, double *weight, double sum, uint32_t *work)
{
    uint32_t low = 0, high = p->n;
    for (uint32_t i = 0; i < p->n; i++) {
        weight[i] *= p->n / sum;
        if (weight[i] < 1)
            work[low++] = i;
        else
            work[--high] = i;
    }
    while (low > 0 && high < p->n) {
        uint32_t small = work[--low], large = work[high];
        p->other[small] = large;
        weight[large] -= 1 - weight[small];
        if (weight[large] < 1) {
            high++;
            work[low++] = large;
        }
    }
    /* what is left of either has all of its column, but for roundings */
    while (low > 0)
        weight[work[--low]] = 1;
    for (; high < p->n; high++)
        weight[work[high]] = 1;
}

bool popularity_zipf(struct popularity *p, uint32_t n, double exponent)
{
    uint32_t *work = malloc(n * sizeof(*work));
    *p = (struct popularity){
        .n = n, .other = calloc(n, sizeof(*p->other)), .own = malloc(n * sizeof(*p->own))};
    if (!work || !p->other || !p->own) {
        free(work);
        popularity_close(p);
        return false;
    }
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += p->own[i] = pow(i + 1.0, -exponent);
    fill(p, p->own, sum, work);
    free(work);
    return true;
}

void popularity_close(struct popularity *p)
{
    free(p->other);
    free(p->own);
    *p = (struct popularity){0};
}

uint32_t popularity_draw(const struct popularity *p, struct rng *rng)
{
    uint32_t column = rng_below(rng, p->n);
    return (double)rng_u32(rng) * 0x1p-32 < p->own[column] ? column : p->other[column];
}
