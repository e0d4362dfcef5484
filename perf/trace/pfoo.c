/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * PFOO-L (Berger, Beckmann, Harchol-Balter, Sigmetrics 2018): no policy, what no policy can beat.
 *
 * A hit at request j, last asked for at i, occupies the object's bytes from i to j: bytes x (j - i)
 * of the capacity x requests that there are in all. Of these the cheapest are taken, whether they
 * fit beside each other at each moment or not, so what is left is fewer misses than any policy has:
 * "bound-requests" takes those cheapest by request, "bound-bytes" those cheapest by byte (where
 * only distance counts). Each bounds its own ratio alone.
 */
#include <stdlib.h>

#include "perf/trace/policy.h"

struct span {
    double cost, key;
    uint32_t end;
};

static int by_key(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : (x->end > y->end) - (x->end < y->end);
}

static void choose(const struct trace *t, uint64_t capacity, bool by_byte, struct span *span,
                   uint8_t *hit)
{
    uint32_t n = 0;
    double budget = (double)capacity * t->requests;
    for (uint32_t i = 0; i < t->requests; i++) {
        uint32_t j = t->next[i], bytes = t->request[i].bytes;
        if (j == TRACE_NONE || bytes > capacity)
            continue;
        double distance = j - i;
        span[n++] = (struct span){distance * bytes, by_byte ? distance : distance * bytes, j};
    }
    qsort(span, n, sizeof(*span), by_key);
    for (uint32_t k = 0; k < n && budget > 0; k++) { /* the one that exceeds it counts, too */
        budget -= span[k].cost;
        hit[span[k].end] = 1;
    }
}

static void *create(const struct trace *t, uint64_t capacity, bool by_byte)
{
    uint8_t *hit = calloc(t->requests + 1ul, 1);
    struct span *span = malloc((t->requests + 1ul) * sizeof(*span));
    if (hit && span) {
        choose(t, capacity, by_byte, span, hit);
    } else {
        free(hit);
        hit = NULL;
    }
    free(span);
    return hit;
}

static void *create_requests(const struct trace *t, uint64_t capacity)
{
    return create(t, capacity, false);
}

static void *create_bytes(const struct trace *t, uint64_t capacity)
{
    return create(t, capacity, true);
}

static bool request(void *hit, uint32_t i)
{
    return ((const uint8_t *)hit)[i];
}

const struct policy policy_bound_requests = {
    "bound-requests", "PFOO-L: no policy misses fewer requests", create_requests, request, free};
const struct policy policy_bound_bytes = {"bound-bytes", "PFOO-L: no policy misses fewer bytes",
                                          create_bytes, request, free};
