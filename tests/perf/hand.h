/* SPDX-License-Identifier: BSD-3-Clause */
/* Traces written by hand: a letter an object, and what became of each request. */
#ifndef CORAL_TESTS_PERF_HAND_H
#define CORAL_TESTS_PERF_HAND_H

#include <stdlib.h>
#include <string.h>

#include "perf/trace/policy.h"

/* One byte an object; with a digit behind the letter, so many. Blanks are ignored. */
static inline void hand_trace(struct trace *t, const char *text)
{
    trace_open(t, 10000);
    for (const char *p = text; *p; p++) {
        if (*p == ' ')
            continue;
        uint32_t bytes = p[1] >= '0' && p[1] <= '9' ? (uint32_t)(p[1] - '0') : 1;
        if (!trace_add(t, 0, (uint64_t)*p, bytes))
            abort();
        p += p[1] >= '0' && p[1] <= '9';
    }
    if (!trace_finish(t))
        abort();
}

/* "h" and "." by request: hits and misses. */
static inline void hand_run(const struct policy *policy, const char *text, uint64_t capacity,
                            char *out, size_t len)
{
    struct trace t;
    hand_trace(&t, text);
    void *state = policy->create(&t, capacity);
    if (!state || t.requests >= len)
        abort();
    for (uint32_t i = 0; i < t.requests; i++)
        out[i] = policy->request(state, i) ? 'h' : '.';
    out[t.requests] = 0;
    policy->destroy(state);
    trace_close(&t);
}

#endif
