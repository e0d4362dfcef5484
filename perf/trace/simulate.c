/* SPDX-License-Identifier: BSD-3-Clause */
#include "perf/trace/policy.h"

const struct policy *const policies[] = {
    &policy_fifo,           &policy_lru,         &policy_sieve,
    &policy_s3fifo,         &policy_coral,       &policy_s3fifo_size,
    &policy_tinylfu,        &policy_gdsf,        &policy_belady,
    &policy_bound_requests, &policy_bound_bytes, NULL};

bool simulate(const struct policy *policy, const struct trace *t, uint64_t capacity, uint32_t first,
              struct counts *out)
{
    void *state = policy->create(t, capacity);
    *out = (struct counts){0};
    if (!state)
        return false;
    for (uint32_t i = 0; i < t->requests; i++) {
        bool hit = policy->request(state, i);
        if (i < first)
            continue;
        out->requests++;
        out->bytes += t->request[i].bytes;
        out->misses += !hit;
        out->missed_bytes += hit ? 0 : t->request[i].bytes;
    }
    policy->destroy(state);
    return true;
}
