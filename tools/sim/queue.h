/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event queue of a simulated world: up to some 10^7 pending events, given back in one total
 * order, (time, source, the source's own counter), that depends neither on the order of the pushes
 * nor on the machine. No two events may have the same three.
 *
 * A timer wheel, because a heap's sift-down misses the cache on each level:
 *
 *   late heap     what is pushed into the slot that is being given out, or before it
 *   open slot     the due slot's events, sorted; popped from the front
 *   near ring     2^20 slots of 64 us: the 67 s window of the open slot
 *   far ring      2^13 slots of 67 s; a slot holds its turns' windows all (one each 6.4 days), so
 *                 there is no last time
 *
 * A slot is a chain of chunks of events in no order; it costs 4 bytes while it is empty. Everything
 * is reserved at the start and touched only when used. One thread; two queues share nothing.
 */
#ifndef CORAL_TOOLS_SIM_QUEUE_H
#define CORAL_TOOLS_SIM_QUEUE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_NOBODY UINT32_MAX

struct event {
    uint64_t time_us;
    uint32_t source;  /* the node that caused it */
    uint32_t counter; /* the source's own, one up for each event it causes */
    uint32_t target;  /* the node that it happens to */
    uint16_t kind;    /* the world's own meaning */
    uint16_t detail;  /* likewise: a size, a level */
    uint64_t payload; /* likewise: a number or a pointer; never looked at */
};
static_assert(sizeof(struct event) == 32, "two a cache line");

static inline bool event_before(const struct event *a, const struct event *b)
{
    if (a->time_us != b->time_us)
        return a->time_us < b->time_us;
    return ((uint64_t)a->source << 32 | a->counter) < ((uint64_t)b->source << 32 | b->counter);
}

struct queue;

/* For up to max_events pending ones. NULL: no memory. */
struct queue *queue_create(size_t max_events);
void queue_destroy(struct queue *q);
/* Not before the last event popped (a world's time does not run back; asserted). False: full. */
bool queue_push(struct queue *q, const struct event *e);
/* Takes the first event. False: the queue is empty. */
bool queue_pop(struct queue *q, struct event *out);
/* The time of the next event, left in the queue. False: the queue is empty. */
bool queue_peek_time(struct queue *q, uint64_t *time_us);
/* The target of the event `ahead` pops from now (0: the next) where that is known cheaply, to
 * prefetch its state; QUEUE_NOBODY else. Events pushed meanwhile may come before it. */
uint32_t queue_next_hint(const struct queue *q, size_t ahead);
size_t queue_size(const struct queue *q);

#endif
