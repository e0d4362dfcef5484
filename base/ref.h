/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Span references: bytes that are sent from where they rest. A `ref` names bytes and the `hold`
 * that keeps them there. A hold belongs to one worker and is counted without atomics: who sends
 * from another worker's cache shard first takes a pin of its own (cache/cache.h) and puts a hold
 * around it. The last release calls `free`, on that same worker.
 */
#ifndef CORAL_BASE_REF_H
#define CORAL_BASE_REF_H

#include <stdbool.h>
#include <stdint.h>

struct hold {
    uint32_t count;
    void (*free)(struct hold *h); /* called at the last release */
};

struct ref {
    const uint8_t *data;
    uint32_t len;
    struct hold *hold; /* NULL: static bytes that never go away */
};

/* Picks out holds: of those things that are to be let go. */
typedef bool ref_choice(const struct hold *h);

static inline void ref_hold(const struct ref *r)
{
    if (r->hold)
        r->hold->count++;
}

static inline void ref_release(const struct ref *r)
{
    if (r->hold && --r->hold->count == 0)
        r->hold->free(r->hold);
}

#endif
