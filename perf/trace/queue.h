/* SPDX-License-Identifier: BSD-3-Clause */
/* What most policies are made of: queues of objects, newest to oldest, that count their bytes. */
#ifndef CORAL_PERF_QUEUE_H
#define CORAL_PERF_QUEUE_H

#include <stdlib.h>

#include "perf/trace/policy.h"

/* An object as a policy sees it, by number. `where` 0: not in the cache. */
struct resident {
    uint32_t newer, older, bytes;
    uint8_t where, uses;
    uint8_t rounds; /* s3fifo.c */
};

struct queue {
    uint32_t newest, oldest; /* TRACE_NONE: empty */
    uint64_t bytes, objects;
};

static inline struct queue queue_empty(void)
{
    return (struct queue){.newest = TRACE_NONE, .oldest = TRACE_NONE};
}

static inline void queue_push(struct queue *q, struct resident *all, uint32_t object)
{
    struct resident *o = &all[object];
    o->newer = TRACE_NONE;
    o->older = q->newest;
    if (q->newest != TRACE_NONE)
        all[q->newest].newer = object;
    else
        q->oldest = object;
    q->newest = object;
    q->bytes += o->bytes;
    q->objects++;
}

static inline void queue_take(struct queue *q, struct resident *all, uint32_t object)
{
    struct resident *o = &all[object];
    if (o->newer != TRACE_NONE)
        all[o->newer].older = o->older;
    else
        q->newest = o->older;
    if (o->older != TRACE_NONE)
        all[o->older].newer = o->newer;
    else
        q->oldest = o->newer;
    q->bytes -= o->bytes;
    q->objects--;
}

/* The policies of one queue need no more than this. */
struct queue_state {
    const struct trace *t;
    uint64_t capacity;
    struct resident *all;
    struct queue q;
    uint32_t hand; /* SIEVE's */
};

static inline void *queue_state_create(const struct trace *t, uint64_t capacity)
{
    struct queue_state *s = calloc(1, sizeof(*s));
    struct resident *all = calloc(t->objects + 1ul, sizeof(*all));
    if (!s || !all) {
        free(s);
        free(all);
        return NULL;
    }
    *s = (struct queue_state){t, capacity, all, queue_empty(), TRACE_NONE};
    return s;
}

static inline void queue_state_destroy(void *state)
{
    struct queue_state *s = state;
    free(s->all);
    free(s);
}

#endif
