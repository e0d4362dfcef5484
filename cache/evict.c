/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Eviction: S3-FIFO (Yang et al., SOSP 2023) in bytes, one for each worker's share.
 *
 *   new --> [ small, 10 % ] --used twice--> [ main, 90 % ] <--used: again, one use less--.
 *                |                                |            '--------------------------'
 *                '--> ghost (fingerprint)         '--> gone
 *
 * An object whose ghost is still there goes to main at once. A hit only counts up to 3 in the
 * object (index.c), so hits move nothing. One queue pair a worker and not a shard: a shard's 64th
 * of the memory would be too small for large objects; when a shard changes hands its objects are
 * filed anew.
 */
#include "cache/private.h"

#define EVICT_STEPS 64 /* a call: bounds the work of one append */

uint64_t cache_object_bytes(const struct cache_object *o)
{
    struct amount a = cache_body_amount(o);
    return sizeof(*o) + object_heap(o) + a.chunks * CACHE_CHUNK_BYTES + a.lines * LINE;
}

/* --- queues --------------------------------------------------------------------------------------
 */

static struct fifo *queue_of(struct cache_worker *w, enum object_queue q)
{
    return q == QUEUE_MAIN ? &w->main : &w->small;
}

/* next: towards older; prev: towards newer */
void cache_queue_insert(struct cache *c, struct cache_worker *w, struct cache_object *o,
                        enum object_queue q)
{
    struct fifo *f = queue_of(w, q);
    uint32_t ref = object_ref(c, o);
    o->queue = q & 3;
    o->prev = 0;
    o->next = f->head;
    if (f->head)
        object_at(c, f->head)->prev = ref;
    else
        f->tail = ref;
    f->head = ref;
    f->bytes += cache_object_bytes(o);
}

void cache_queue_remove(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    if (o->queue == QUEUE_NONE)
        return;
    struct fifo *f = queue_of(w, (enum object_queue)o->queue);
    if (o->prev)
        object_at(c, o->prev)->next = o->next;
    else
        f->head = o->next;
    if (o->next)
        object_at(c, o->next)->prev = o->prev;
    else
        f->tail = o->prev;
    f->bytes -= cache_object_bytes(o);
    o->queue = QUEUE_NONE;
    o->next = o->prev = 0;
}

/* --- ghosts
 * ---------------------------------------------------------------------------------------- */

static struct ghost_set *ghost_set(const struct cache_worker *w, struct hash128 h)
{
    return &w->ghost[h.lo & w->ghost_mask];
}

static uint32_t ghost_print(struct hash128 h)
{
    uint32_t print = (uint32_t)(h.lo >> 32);
    return print ? print : 1;
}

static void ghost_add(struct cache_worker *w, struct hash128 h)
{
    struct ghost_set *g = ghost_set(w, h);
    g->print[g->cursor++ % 7] = ghost_print(h);
}

void cache_ghost_prefetch(const struct cache_worker *w, struct hash128 h)
{
    __builtin_prefetch(ghost_set(w, h), 1);
}

bool cache_ghost_take(struct cache_worker *w, struct hash128 h)
{
    struct ghost_set *g = ghost_set(w, h);
    for (unsigned i = 0; i < 7; i++) {
        if (g->print[i] == ghost_print(h)) {
            g->print[i] = 0;
            return true;
        }
    }
    return false;
}

/* --- eviction
 * -------------------------------------------------------------------------------------- */

void cache_object_evict(struct cache *c, struct cache_worker *w, struct cache_object *o,
                        struct hash128 h)
{
    if (w->on_evict)
        w->on_evict(w->on_evict_ctx, o);
    counter_inc(&w->counters.cache_evicted_total);
    counter_add(&w->counters.cache_evicted_bytes_total, cache_object_bytes(o));
    cache_object_drop(c, w, o, h);
}

/* The next look in this queue finds its object, and where the index has it, in the CPU's cache; the
 * object after that is on its way. An eviction is a chain of misses otherwise, each of which waits
 * for the last one. */
static void evict_ahead(const struct cache *c, const struct cache_worker *w, bool small)
{
    const struct cache_object *next = object_at(c, small ? w->small.tail : w->main.tail);
    if (!next)
        return;
    struct hash128 h = cache_object_hash(c, next);
    cache_index_prefetch(c, h);
    if (small)
        cache_ghost_prefetch(w, h);
    object_prefetch(object_at(c, next->prev));
}

/* One look at the oldest of the queue whose turn it is. False: both are empty. */
static bool evict_step(struct cache *c, struct cache_worker *w)
{
    bool small = w->small.tail &&
                 (w->small.bytes > w->total.chunks * CACHE_CHUNK_BYTES / 10 || !w->main.tail);
    struct cache_object *o = object_at(c, small ? w->small.tail : w->main.tail);
    if (!o)
        return false;
    uint8_t uses = __atomic_load_n(&o->uses, __ATOMIC_RELAXED);
    if (small ? uses >= 2 : uses > 0) {
        cache_queue_remove(c, w, o);
        cache_queue_insert(c, w, o, QUEUE_MAIN);
        __atomic_store_n(&o->uses, (uint8_t)(small ? 0 : uses - 1), __ATOMIC_RELAXED);
    } else {
        struct hash128 h = cache_object_hash(c, o);
        if (small)
            ghost_add(w, h);
        cache_object_evict(c, w, o, h);
    }
    evict_ahead(c, w, small);
    return true;
}

/* The reserve is a 64th: it lets fills go on while what was evicted waits for its grace period. */
static bool is_short(const struct cache_worker *w, uint64_t chunks)
{
    const struct amount *f = &w->pending_fresh, *g = &w->pending_waiting;
    uint64_t free_chunks = w->total.chunks - w->used.chunks + f->chunks + g->chunks +
                           (f->lines + g->lines + CHUNK_LINES - 1) / CHUNK_LINES;
    uint64_t free_objects = w->total.objects - w->used.objects + f->objects + g->objects;
    return free_chunks < chunks + w->total.chunks / 64 + 1 ||
           free_objects < w->total.objects / 64 + 1 ||
           w->used.heap - f->heap - g->heap > w->heap_limit;
}

void cache_evict_for(struct cache *c, struct cache_worker *w, uint64_t chunks)
{
    for (unsigned i = 0; i < EVICT_STEPS && is_short(w, chunks); i++) {
        if (!evict_step(c, w))
            return;
    }
}
