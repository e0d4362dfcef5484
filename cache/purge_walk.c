/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an owner does about purges: it holds an object to the rules when somebody asks for it, and
 * all of its objects in turn, some a poll, so that the memory comes back and rules can be
 * forgotten.
 */
#include "cache/freshness.h"
#include "cache/private.h"

struct cache_object *cache_expire(struct cache *c, const struct cache_object *object)
{
    struct cache_object *o = (struct cache_object *)(uintptr_t)object, *copy;
    struct cache_worker *w = object_worker(c, o);
    struct cache_meta meta = o->meta;
    uint32_t age = cache_current_age(&meta, w->wall_s), now = purge_newest(c);
    size_t len;
    const char *head = cache_head(o, &len);
    if (meta.lifetime_s > age)
        meta.lifetime_s = age;
    copy = cache_object_renew(c, o, &meta, head, len);
    if (copy) {
        if (w->on_evict)
            w->on_evict(w->on_evict_ctx, o);
        object_born_set(copy, now);
        counter_inc(&w->counters.cache_purged_stale_total);
    } else if (o->flags & OBJECT_LINKED) {
        cache_object_take(c, w, o);
        counter_inc(&w->counters.cache_purged_total);
    }
    return copy;
}

struct cache_object *cache_purge_apply(struct cache *c, struct cache_object *o)
{
    struct cache_worker *w = object_worker(c, o);
    uint32_t upto;
    enum cache_purge_verdict verdict = cache_purge_judge(c, o, &upto);
    if (verdict == CACHE_PURGE_NOT) {
        object_born_set(o, upto);
        return o;
    }
    if (verdict == CACHE_PURGE_SOFT && object_state(o) == CACHE_COMPLETE)
        return cache_expire(c, o);
    cache_object_take(c, w, o);
    counter_inc(&w->counters.cache_purged_total);
    return NULL;
}

bool cache_purge_admits(const struct cache *c, struct cache_object *o)
{
    uint32_t upto;
    if (!purge_older(object_born(o), purge_newest(c)))
        return true;
    if (cache_purge_judge(c, o, &upto) != CACHE_PURGE_NOT)
        return false;
    object_born_set(o, upto);
    return true;
}

void cache_born(struct cache_object *o, uint32_t born)
{
    if (purge_older(born, object_born(o)))
        object_born_set(o, born);
}

/* --- the walk --------------------------------------------------------------------------------- */

static bool walk_wants(const struct cache_object *o, uint32_t to)
{
    return object_is_linked(o) && purge_older(object_born(o), to);
}

/* Heads are anywhere in memory: the next ones come while those before them are looked at. */
static void walk_ahead(const struct cache *c, const struct cache_worker *w)
{
    uint32_t end = w->walk.at + PURGE_AHEAD;
    for (uint32_t i = w->walk.at; i < end && i < w->total.objects; i++) {
        const struct cache_object *o = worker_object(c, w, i);
        if (walk_wants(o, w->walk.to) && o->tagged)
            __builtin_prefetch(o->block + key_rest(o->key_len));
    }
}

static void walk_step(struct cache *c, struct cache_worker *w)
{
    struct purge_walk *walk = &w->walk;
    unsigned looks = 0, takes = 0;
    for (; walk->at < w->total.objects && looks < PURGE_LOOKS && takes < PURGE_TAKES; looks++) {
        if (looks % PURGE_AHEAD == 0)
            walk_ahead(c, w);
        struct cache_object *o = worker_object(c, w, walk->at++);
        if (walk_wants(o, walk->to))
            takes += cache_purge_apply(c, o) != o;
    }
    if (walk->at < w->total.objects)
        return;
    walk->runs = false;
    __atomic_store_n(&walk->done, walk->to, CACHE_WALKED_STORE);
}

/* What the control thread did is counted by one of the workers, each counter having one writer. */
static void count_orders(struct cache *c, struct cache_worker *w)
{
    const struct purge *p = &c->purge;
    struct purge_walk *walk = &w->walk;
    uint32_t orders = __atomic_load_n(&p->orders, __ATOMIC_RELAXED);
    uint32_t refused = __atomic_load_n(&p->refused, __ATOMIC_RELAXED);
    uint32_t rules = __atomic_load_n(&p->rules, __ATOMIC_RELAXED);
    if (orders == walk->orders && refused == walk->refused && rules == walk->rules)
        return;
    counter_add(&w->counters.cache_purges_total, orders - walk->orders);
    counter_add(&w->counters.cache_purges_refused_total, refused - walk->refused);
    counter_set(&w->counters.cache_purge_rules, rules);
    walk->orders = orders;
    walk->refused = refused;
    walk->rules = rules;
}

void cache_purge_walk(struct cache *c, struct cache_worker *w)
{
    struct purge_walk *walk = &w->walk;
    if (w == c->worker)
        count_orders(c, w);
    if (!walk->runs) {
        uint32_t newest = purge_newest(c);
        if (newest == walk->done)
            return;
        walk->runs = true;
        walk->to = newest;
        walk->at = 0;
    }
    walk_step(c, w);
}

bool cache_busy(const struct cache *c, unsigned worker)
{
    return c->worker[worker].walk.runs;
}
