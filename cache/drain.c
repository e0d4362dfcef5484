/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The draining budget: what readers alone keep, of this worker's share. All of it is the owner's.
 *
 *   draining: first (retired longest ago) --> ... --> last
 *                     ^ ask                  ^ look
 *
 * The oldest are asked for first. What was retired later is likely to be done with sooner, and by
 * the time that an object is the oldest, its readers had as long as the budget could grant: so whom
 * it meets are the slowest, and nobody has to be measured. Asking is done in windows: as much as is
 * over the budget, then time to let go, then what is over the budget now.
 */
#include "cache/private.h"

#define DRAIN_SHARE     20       /* a 20th */
#define DRAIN_WINDOW_US 2000000u /* more than a reader takes to look twice at a connection */
#define DRAIN_SKIPS     16       /* a call */

/* Bodies are counted in lines. */
static struct amount amount_of(const struct cache_object *o)
{
    struct amount body = cache_body_amount(o);
    return (struct amount){
        .lines = body.chunks * CHUNK_LINES + body.lines, .objects = 1, .heap = object_heap(o)};
}

static void gauge(struct cache_worker *w)
{
    counter_set(&w->counters.cache_draining_bytes, w->drain.held.lines * LINE);
}

/* A body that still fills is its fill's, grows, and is not charged before its end. */
static void charge(struct cache_worker *w, struct cache_object *o)
{
    if ((o->flags & OBJECT_DRAINING) || object_state(o) == CACHE_FILLING)
        return;
    struct amount a = amount_of(o);
    o->flags |= OBJECT_DRAINING;
    w->drain.held.lines += a.lines;
    w->drain.held.objects += a.objects;
    w->drain.held.heap += a.heap;
    gauge(w);
}

static struct cache_object *behind(const struct cache *c, const struct cache_worker *w,
                                   uint32_t hand)
{
    return object_at(c, hand ? object_at(c, hand)->next : w->draining.first);
}

void cache_drain_add(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    cache_list_push(c, &w->draining, o);
    charge(w, o);
}

struct cache_object *cache_drain_look(const struct cache *c, struct cache_worker *w)
{
    struct cache_object *o = behind(c, w, w->drain.look);
    if (!o)
        w->drain.look = 0;
    return o;
}

void cache_drain_pass(const struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    w->drain.look = object_ref(c, o);
    charge(w, o);
}

void cache_drain_remove(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    uint32_t ref = object_ref(c, o), before = w->drain.look;
    *(before ? &object_at(c, before)->next : &w->draining.first) = o->next;
    if (w->draining.last == ref)
        w->draining.last = before;
    if (w->drain.ask == ref)
        w->drain.ask = before;
    if (!(o->flags & OBJECT_DRAINING))
        return;
    struct amount a = amount_of(o);
    o->flags &= (uint8_t)~OBJECT_DRAINING;
    w->drain.held.lines -= a.lines;
    w->drain.held.objects -= a.objects;
    w->drain.held.heap -= a.heap;
    gauge(w);
}

/* --- asking ----------------------------------------------------------------------------------- */

static uint64_t over(uint64_t held, uint64_t total)
{
    return held > total / DRAIN_SHARE ? held - total / DRAIN_SHARE : 0;
}

static void take_off(uint64_t *left, uint64_t n)
{
    *left -= n < *left ? n : *left;
}

static void window_begin(struct cache_worker *w, struct now now)
{
    struct drain *d = &w->drain;
    if (d->window_us && now.mono_us - d->window_us < DRAIN_WINDOW_US)
        return;
    d->left = (struct amount){.lines = over(d->held.lines, w->total.chunks * CHUNK_LINES),
                              .objects = over(d->held.objects, w->total.objects),
                              .heap = over(d->held.heap, w->total.heap)};
    if (d->left.lines || d->left.objects || d->left.heap)
        d->window_us = now.mono_us;
}

/* Its body lives on in another object, and would not be freed but for two chunks. */
static bool is_no_use(const struct cache *c, const struct cache_object *o)
{
    return (o->flags & OBJECT_BODY_MOVED) && !(object_at(c, o->prev)->flags & OBJECT_RETIRED);
}

const struct cache_object *cache_overdrawn(struct cache *c, unsigned worker, struct now now)
{
    struct cache_worker *w = &c->worker[worker];
    struct drain *d = &w->drain;
    window_begin(w, now);
    for (unsigned i = 0; i < DRAIN_SKIPS && (d->left.lines || d->left.objects || d->left.heap);
         i++) {
        struct cache_object *o = behind(c, w, d->ask);
        if (!o) { /* all were asked for: again in the next window, from the first on */
            d->ask = 0;
            d->left = (struct amount){0};
            break;
        }
        d->ask = object_ref(c, o);
        if (!(o->flags & OBJECT_DRAINING) || is_no_use(c, o))
            continue;
        struct amount a = amount_of(o);
        take_off(&d->left.lines, a.lines);
        take_off(&d->left.objects, a.objects);
        take_off(&d->left.heap, a.heap);
        counter_inc(&w->counters.cache_draining_asked_total);
        return o;
    }
    return NULL;
}

bool cache_linked(const struct cache *c, const struct cache_object *o)
{
    char room[CACHE_KEY_MAX];
    const char *key = cache_object_key(o, room);
    return cache_index_find(c, cache_hash(c, key, o->key_len), key, o->key_len) == o;
}
