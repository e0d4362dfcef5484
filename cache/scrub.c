/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The scrub: each worker verifies the checksums of what it owns, a little at a time, so that all of
 * it is seen within the hour.
 *
 * It goes through the worker's table of objects, whose order no eviction changes and whose pages
 * come one after the other, and of each complete object in the index through its chunks. What it
 * keeps between two steps is a number and an offset, no pointer: the object under the hand may go,
 * and another come in its place, of which then a part waits for the next round. What still fills is
 * left alone: its last chunk has no checksum that is final. An owner at work on its own
 * objects needs no barrier.
 *
 * A step's size follows from what there is, so that steps are at least SCRUB_STEP_US apart: an idle
 * worker sleeps between them, and is not kept awake. They are bounded too, to about a tenth of a
 * millisecond; a share of more than 170 GiB a worker takes longer than the hour. Measured: 0.6
 * cycles a byte, some 1300 for an object of one small chunk.
 */
#include "cache/private.h"

#define SCRUB_ROUND_US   3600000000u
#define SCRUB_STEP_US    10000u
#define SCRUB_STEP_LEAST 16u /* looks at an object or a chunk: 64 KiB at most */
#define SCRUB_STEP_MOST  128u

/* False: that was the last. */
static bool scrub_next(struct cache_worker *w)
{
    w->scrub.offset = 0;
    if (++w->scrub.object < w->total.objects)
        return true;
    w->scrub.object = 0;
    counter_inc(&w->counters.cache_scrub_rounds_total);
    return false;
}

/* A chunk of the object under the hand, if there is one that can be verified. False at the end of a
 * round. */
static bool scrub_look(struct cache *c, struct cache_worker *w)
{
    struct cache_object *o = worker_object(c, w, w->scrub.object);
    if (!object_is_linked(o) || object_state(o) != CACHE_COMPLETE)
        return scrub_next(w);
    bool damaged;
    struct cache_span span = cache_bytes_verified(o, w->scrub.offset, &damaged);
    if (damaged)
        cache_damaged(c, o);
    w->scrub.offset += span.len;
    counter_add(&w->counters.cache_scrubbed_bytes_total, span.len);
    return span.len && w->scrub.offset < o->ready ? true : scrub_next(w);
}

void cache_scrub(struct cache *c, unsigned worker, struct now now)
{
    struct cache_worker *w = &c->worker[worker];
    if (now.mono_us < w->scrub.due_us)
        return;
    uint64_t all = w->total.objects + w->used.chunks;
    uint64_t step = all * SCRUB_STEP_US / SCRUB_ROUND_US + 1;
    step = step < SCRUB_STEP_LEAST ? SCRUB_STEP_LEAST : step;
    step = step > SCRUB_STEP_MOST ? SCRUB_STEP_MOST : step;
    for (uint64_t i = 0; i < step && scrub_look(c, w); i++)
        ;
    uint64_t pause = SCRUB_ROUND_US * step / all;
    w->scrub.due_us = now.mono_us + (pause < SCRUB_STEP_US ? SCRUB_STEP_US : pause);
}

uint64_t cache_scrub_deadline_us(const struct cache *c, unsigned worker)
{
    return c->worker[worker].scrub.due_us;
}
