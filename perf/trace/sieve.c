/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SIEVE (Zhang et al., NSDI 2024, algorithm 1): one queue that nothing moves in. A hit marks; a
 * hand goes from the oldest towards the newest, takes marks away and evicts what has none.
 */
#include "perf/trace/queue.h"

static void evict(struct queue_state *s)
{
    uint32_t at = s->hand != TRACE_NONE ? s->hand : s->q.oldest;
    while (s->all[at].uses) {
        s->all[at].uses = 0;
        at = s->all[at].newer != TRACE_NONE ? s->all[at].newer : s->q.oldest;
    }
    s->hand = s->all[at].newer;
    s->all[at].where = 0;
    queue_take(&s->q, s->all, at);
}

static bool request(void *state, uint32_t i)
{
    struct queue_state *s = state;
    const struct trace_request *r = &s->t->request[i];
    struct resident *o = &s->all[r->object];
    if (o->where) {
        o->uses = 1;
        return true;
    }
    if (r->bytes > s->capacity)
        return false;
    while (s->q.bytes + r->bytes > s->capacity)
        evict(s);
    *o = (struct resident){.bytes = r->bytes, .where = 1};
    queue_push(&s->q, s->all, r->object);
    return false;
}

const struct policy policy_sieve = {"sieve", "SIEVE: one queue, a mark, a hand", queue_state_create,
                                    request, queue_state_destroy};
