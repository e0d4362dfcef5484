/* SPDX-License-Identifier: BSD-3-Clause */
/* FIFO: the oldest goes. LRU: a hit makes it the newest. */
#include "perf/trace/queue.h"

static bool request(struct queue_state *s, uint32_t i, bool renew)
{
    const struct trace_request *r = &s->t->request[i];
    struct resident *o = &s->all[r->object];
    if (o->where) {
        if (renew) {
            queue_take(&s->q, s->all, r->object);
            queue_push(&s->q, s->all, r->object);
        }
        return true;
    }
    if (r->bytes > s->capacity)
        return false;
    while (s->q.bytes + r->bytes > s->capacity) {
        s->all[s->q.oldest].where = 0;
        queue_take(&s->q, s->all, s->q.oldest);
    }
    o->where = 1;
    o->bytes = r->bytes;
    queue_push(&s->q, s->all, r->object);
    return false;
}

static bool fifo_request(void *s, uint32_t i)
{
    return request(s, i, false);
}

static bool lru_request(void *s, uint32_t i)
{
    return request(s, i, true);
}

const struct policy policy_fifo = {"fifo", "first in, first out", queue_state_create, fifo_request,
                                   queue_state_destroy};
const struct policy policy_lru = {"lru", "the least recently used goes", queue_state_create,
                                  lru_request, queue_state_destroy};
