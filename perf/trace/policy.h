/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy: who stays in a cache of so many bytes. It is asked about each request of a trace in
 * turn and says whether what is asked for was there.
 *
 * Rules that all keep: an object larger than the cache is never there; what is there counts with
 * the size that it had when it came; nothing is ever over the capacity.
 */
#ifndef CORAL_PERF_POLICY_H
#define CORAL_PERF_POLICY_H

#include "perf/trace/trace.h"

struct policy {
    const char *name, *about;
    /* NULL: no memory, or a capacity too small for it. Policies that look ahead read t->next. */
    void *(*create)(const struct trace *t, uint64_t capacity);
    /* The i-th request, each once and in order. True: a hit. On a miss it may take the object in.
     */
    bool (*request)(void *state, uint32_t i);
    void (*destroy)(void *state);
};

extern const struct policy policy_fifo, policy_lru, policy_sieve, policy_s3fifo, policy_s3fifo_size,
    policy_tinylfu, policy_gdsf, policy_coral, policy_belady,
    policy_bound_requests, policy_bound_bytes;

/* All of them, in the order of a report; NULL ends. */
extern const struct policy *const policies[];

struct counts {
    uint64_t requests, misses, bytes, missed_bytes;
};

/* False: the policy could not be created. Requests before `first` warm the cache up and do not
 * count. */
bool simulate(const struct policy *policy, const struct trace *t, uint64_t capacity, uint32_t first,
              struct counts *out);

#endif
