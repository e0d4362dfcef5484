/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to worker/: rings between threads, and the wake that goes with them.
 *
 *   producer                      sleeper
 *   1 enqueue                     1 asleep = 1
 *   2 full barrier                2 full barrier
 *   3 asleep? write the eventfd   3 all rings empty? sleep on the eventfd : go on
 *
 * The two barriers are ordered one way or the other. If the producer's comes first, the
 * sleeper's look at the rings, after its own barrier, sees what was enqueued. If the sleeper's
 * comes first, the producer sees asleep == 1 and writes the eventfd, which ends the sleep, also
 * one that has not begun. So no wake is lost; one too many costs an empty poll. The exchange
 * lets only one of many producers write.
 */
#ifndef CORAL_WORKER_SLEEPER_H
#define CORAL_WORKER_SLEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_atomic.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "base/message.h"

struct sleeper {
    int fd; /* eventfd, non-blocking */
    uint32_t asleep;
};

bool sleeper_init(struct sleeper *s);
void sleeper_close(struct sleeper *s);
void sleeper_write(struct sleeper *s); /* the eventfd, whatever the flag says */
void sleeper_drain(struct sleeper *s);

static inline void sleeper_arm(struct sleeper *s)
{
    __atomic_store_n(&s->asleep, 1, __ATOMIC_RELAXED);
    rte_smp_mb();
}

static inline void sleeper_disarm(struct sleeper *s)
{
    __atomic_store_n(&s->asleep, 0, __ATOMIC_RELAXED);
}

static inline void sleeper_wake(struct sleeper *s)
{
    rte_smp_mb();
    if (__atomic_load_n(&s->asleep, __ATOMIC_RELAXED) &&
        __atomic_exchange_n(&s->asleep, 0, __ATOMIC_RELAXED))
        sleeper_write(s);
}

/* A ring of `count` elements on memory of its own: many producers, one consumer. NULL: no
 * memory. */
struct rte_ring *ring_new(size_t element, unsigned count);
void ring_free(struct rte_ring *r);

/* rte_ring_empty reads the indices as plain words, though another thread writes them. */
static inline bool ring_waits(const struct rte_ring *r)
{
    return __atomic_load_n(&r->prod.tail, __ATOMIC_ACQUIRE) !=
           __atomic_load_n(&r->cons.tail, __ATOMIC_RELAXED);
}

static inline bool ring_post(struct rte_ring *r, const struct message *m)
{
    return rte_ring_mp_enqueue_bulk_elem(r, m, sizeof(*m), 1, NULL) == 1;
}
static inline unsigned ring_take(struct rte_ring *r, struct message *m, unsigned n)
{
    return rte_ring_sc_dequeue_burst_elem(r, m, sizeof(*m), n, NULL);
}

#endif
