/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/hist.h"

void hist_merge(struct hist *dst, const struct hist *src)
{
    for (uint32_t i = 0; i < HIST_BUCKETS; i++)
        dst->count[i] += counter_read(&src->count[i]);
}

uint64_t hist_total(const struct hist *h)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++)
        n += counter_read(&h->count[i]);
    return n;
}

static uint64_t bucket_end(uint32_t i)
{
    if (i < HIST_SUB)
        return i;
    uint32_t shift = i / HIST_SUB - 1;
    return ((uint64_t)(i % HIST_SUB + HIST_SUB + 1) << shift) - 1;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    uint64_t total = hist_total(h), seen = 0;
    if (total == 0)
        return 0;
    uint64_t want = (uint64_t)((double)total * q);
    if (want >= total)
        want = total - 1;
    for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
        seen += counter_read(&h->count[i]);
        if (seen > want)
            return bucket_end(i);
    }
    return bucket_end(HIST_BUCKETS - 1);
}
