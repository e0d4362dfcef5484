/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When an unlinked object's memory may be used again.
 *
 *   unlink --> fresh --> waiting (a grace period) --> ripe --> free
 *                                                       '--> draining, while pinned --> free
 *
 * Why a relaxed pin is enough. A reader pins only an object that it found between two of its
 * quiescent reports, or one that is pinned already (by the owner, for it). The owner unlinks,
 * takes a token (grace_start), and goes on when every reader has reported that token or a later
 * one: a reader's report is a release-store, made after its relaxed increment, and the check
 * acquire-loads it, so the owner's later read of `pins` sees every pin there will be. Unpins are
 * releases, and an owner that acquire-loads 0 has all reads of all readers behind it; it may
 * overwrite the bytes. The counter's line is shared by those who serve the object, so a worker
 * holds one pin for all its responses, and undoes it some time after the last of them
 * (dataplane/proxy/grip.c): a hot object costs no atomic a response.
 *
 * The orders have their names in cache/barriers.h.
 *
 * One token serves all that was unlinked since the last one, so a poll costs at most one atomic on
 * the shared token.
 */
#include "base/grace.h"
#include "cache/private.h"

#define RECLAIM_FREES  64   /* ripe objects a call */
#define RECLAIM_PINNED 16   /* pinned ones looked at a call */
#define RECLAIM_CHUNKS 4096 /* chunks freed a call: 16 MiB */

void cache_list_push(struct cache *c, struct list *l, struct cache_object *o)
{
    uint32_t ref = object_ref(c, o);
    o->next = 0;
    if (l->last)
        object_at(c, l->last)->next = ref;
    else
        l->first = ref;
    l->last = ref;
}

static struct cache_object *list_pop(struct cache *c, struct list *l)
{
    struct cache_object *o = object_at(c, l->first);
    if (o) {
        l->first = o->next;
        if (!l->first)
            l->last = 0;
    }
    return o;
}

/* All of `from` behind `to`. */
static void list_join(struct cache *c, struct list *to, struct list *from)
{
    if (!from->first)
        return;
    if (to->last)
        object_at(c, to->last)->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    *from = (struct list){0};
}

static uint32_t pins(const struct cache_object *o)
{
    return __atomic_load_n(&o->pins, CACHE_PINS_LOAD);
}

void cache_object_retire(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    assert(!(o->flags & (OBJECT_LINKED | OBJECT_RETIRED)));
    o->flags |= OBJECT_RETIRED;
    cache_list_push(c, &w->fresh, o);
    counter_inc(&w->counters.cache_retired_objects);
    if (pins(o)) /* may take minutes: eviction must not count on it */
        return;
    w->pending_fresh.objects++;
    w->pending_fresh.heap += object_heap(o);
    struct amount body = cache_body_amount(o);
    w->pending_fresh.chunks += body.chunks;
    w->pending_fresh.lines += body.lines;
}

/* Grace periods: starts one when none runs, ends the one that does. */
static void reclaim_grace(struct cache *c, struct cache_worker *w)
{
    if (w->waiting.first && grace_over(c->qsbr, w->token)) {
        list_join(c, &w->ripe, &w->waiting);
        cache_overflow_waited(c, w);
        w->pending_waiting = (struct amount){0};
    }
    if (!w->waiting.first && w->fresh.first) {
        list_join(c, &w->waiting, &w->fresh);
        cache_overflow_wait(c, w);
        w->pending_waiting = w->pending_fresh;
        w->pending_fresh = (struct amount){0};
        w->token = grace_start(c->qsbr);
    }
}

/* Frees `o`, whose readers are all gone. False: its body is large, the rest at the next call. */
static bool reclaim_object(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    if (!cache_body_free(c, w, o, RECLAIM_CHUNKS))
        return false;
    if (o->flags & OBJECT_BODY_MOVED) {
        struct cache_object *heir = object_at(c, o->prev);
        __atomic_fetch_sub(&heir->pins, 1, CACHE_UNPIN_HEIR);
    }
    cache_object_free(c, w, o);
    counter_inc(&w->counters.cache_freed_total);
    counter_add(&w->counters.cache_retired_objects, (uint64_t)-1);
    return true;
}

static void reclaim_ripe(struct cache *c, struct cache_worker *w)
{
    uint64_t chunks = w->used.chunks;
    struct cache_object *o;
    for (unsigned n = 0; n < RECLAIM_FREES && chunks - w->used.chunks < RECLAIM_CHUNKS &&
                         (o = list_pop(c, &w->ripe));
         n++) {
        if (pins(o))
            cache_drain_add(c, w, o);
        else if (!reclaim_object(c, w, o))
            cache_list_push(c, &w->ripe, o);
    }
}

void cache_reclaim(struct cache *c, unsigned worker, struct now now)
{
    struct cache_worker *w = &c->worker[worker];
    w->wall_s = now.wall_s;
    cache_purge_walk(c, w);
    reclaim_grace(c, w);
    cache_overflow_return(c, w);
    uint64_t before = w->used.objects, chunks = w->used.chunks;
    reclaim_ripe(c, w);
    for (unsigned n = 0; n < RECLAIM_PINNED && chunks - w->used.chunks < RECLAIM_CHUNKS; n++) {
        struct cache_object *o = cache_drain_look(c, w);
        if (!o)
            break;
        if (pins(o)) {
            cache_drain_pass(c, w, o);
            continue;
        }
        cache_drain_remove(c, w, o);
        if (!reclaim_object(c, w, o))
            cache_list_push(c, &w->ripe, o);
    }
    if (before != w->used.objects || chunks != w->used.chunks)
        cache_worker_gauges(w);
}
