/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Overflow buckets of the index, taken from a shard's table and returned to it.
 *
 *   take -> in a chain -its last slot is emptied-> fresh -> waiting (a grace period) -> due -> free
 *
 * Only the owner of the shard links and unlinks. It unlinks an empty bucket by storing that
 * bucket's own link into the one before; the bucket keeps its link, and its slots stay without a
 * tag, so a reader that is in it finds nothing there and goes on along the chain as it was. What
 * that reader may miss is what was linked after the bucket left, thus after its lookup began. It
 * must not see the bucket in another chain, whose end it would take for the end of its own: so the
 * bucket waits, beside the object whose unlinking emptied it, until all readers have been quiescent
 * (reclaim.c). A bucket that has left may lead to one that left later; who gets there has been
 * reading since before the first one left, and the later one waits for it, too.
 *
 * What it was before must not be seen when it is found anew: its link is stored before the one that
 * leads to it, and loaded after (cache/barriers.h).
 *
 * The lists go through slot 0: no tag, so nothing to a reader, who may load it at any time. For
 * that all stores are atomic.
 */
#include "cache/private.h"

#define OVERFLOW_RETURNS 64 /* a call */

static struct bucket *bucket_at(struct cache *c, uint64_t id)
{
    return &c->shard[id >> 32].overflow[(uint32_t)id - 1];
}

static uint64_t slot_next(const struct bucket *b)
{
    return b->slot[0];
}

static void slot_next_set(struct bucket *b, uint64_t next)
{
    __atomic_store_n(&b->slot[0], next, __ATOMIC_RELAXED);
}

static void overflow_join(struct cache *c, struct overflow_list *to, struct overflow_list *from)
{
    if (!from->first)
        return;
    if (to->last)
        slot_next_set(bucket_at(c, to->last), from->first);
    else
        to->first = from->first;
    to->last = from->last;
    *from = (struct overflow_list){0};
}

uint32_t cache_overflow_take(struct cache_worker *w, struct shard *s)
{
    uint32_t taken = s->overflow_free;
    if (taken) {
        struct bucket *b = &s->overflow[taken - 1];
        s->overflow_free = (uint32_t)slot_next(b);
        slot_next_set(b, 0);
        __atomic_store_n(&b->link, 0, __ATOMIC_RELAXED);
    } else if (s->overflow_used < s->overflow_count) {
        taken = ++s->overflow_used;
    } else {
        return 0;
    }
    counter_inc(&w->counters.cache_overflow_buckets);
    return taken;
}

void cache_overflow_leave(struct cache *c, struct cache_worker *w, struct shard *s,
                          struct bucket *before, struct bucket *b)
{
    uint64_t id = (uint64_t)(s - c->shard) << 32 | (uint64_t)(b - s->overflow + 1);
    __atomic_store_n(&before->link, b->link, CACHE_LINK_STORE);
    overflow_join(c, &w->overflow_fresh, &(struct overflow_list){id, id});
}

void cache_overflow_wait(struct cache *c, struct cache_worker *w)
{
    overflow_join(c, &w->overflow_waiting, &w->overflow_fresh);
}

void cache_overflow_waited(struct cache *c, struct cache_worker *w)
{
    overflow_join(c, &w->overflow_due, &w->overflow_waiting);
}

void cache_overflow_return(struct cache *c, struct cache_worker *w)
{
    for (unsigned i = 0; i < OVERFLOW_RETURNS && w->overflow_due.first; i++) {
        uint64_t id = w->overflow_due.first;
        struct shard *s = &c->shard[id >> 32];
        struct bucket *b = bucket_at(c, id);
        w->overflow_due.first = slot_next(b);
        if (!w->overflow_due.first)
            w->overflow_due.last = 0;
        slot_next_set(b, s->overflow_free);
        s->overflow_free = (uint32_t)id;
        counter_add(&w->counters.cache_overflow_buckets, (uint64_t)-1);
    }
}
