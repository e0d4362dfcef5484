/* SPDX-License-Identifier: BSD-3-Clause */
/* An object's life at its owner: begun, filled (body.c), linked, refreshed, given up, freed. */
#include <string.h>

#include "cache/private.h"

const char *cache_object_key(const struct cache_object *o, char room[static CACHE_KEY_MAX])
{
    if (o->key_len <= OBJECT_KEY)
        return o->key;
    memcpy(room, o->key, OBJECT_KEY);
    memcpy(room + OBJECT_KEY, o->block, key_rest(o->key_len));
    return room;
}

struct hash128 cache_object_hash(const struct cache *c, const struct cache_object *o)
{
    char room[CACHE_KEY_MAX];
    return cache_hash(c, cache_object_key(o, room), o->key_len);
}

void cache_worker_gauges(struct cache_worker *w)
{
    counter_set(&w->counters.cache_held_objects, w->used.objects);
    counter_set(&w->counters.cache_chunks_used, w->used.chunks);
    counter_set(&w->counters.cache_cell_chunks, w->used.pages);
    counter_set(&w->counters.cache_cell_bytes, w->used.lines * LINE);
    counter_set(&w->counters.cache_body_bytes, w->used.bytes);
    counter_set(&w->counters.cache_heap_bytes, w->used.heap);
    counter_set(&w->counters.cache_mapped_bytes, w->mapped + (w->heads.slab ? 0 : w->used.heap));
}

/* What has to be left for a body of unknown length to begin. */
static uint64_t unknown_place(const struct cache_worker *w)
{
    return w->total.chunks / 64;
}

/* Chunks that a body will have when it is whole. Of one whose length is not known as many again as
 * have come, for it may be anything: so who begins later knows of it; and no more, or some that
 * drip would keep all others from being stored. */
static uint64_t promise(const struct cache_worker *w, const struct cache_object *o)
{
    if (length_known(o))
        return chunks_for(o->meta.content_length);
    uint64_t n = 2 * chunks_for(o->ready), least = w->total.chunks / 512;
    return n > least ? n : least;
}

void cache_promise_take(struct cache_worker *w, const struct cache_object *o)
{
    if (object_state(o) == CACHE_FILLING)
        w->promised -= promise(w, o);
}

void cache_promise_give(struct cache_worker *w, const struct cache_object *o)
{
    if (object_state(o) == CACHE_FILLING)
        w->promised += promise(w, o);
}

static void state_store(struct cache_worker *w, struct cache_object *o, enum cache_state state)
{
    cache_promise_take(w, o);
    __atomic_store_n(&o->state, (uint8_t)state, CACHE_STATE_STORE);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* NULL: no room. An arena can be full before its bytes are, since blocks leave gaps that fit no
 * other: then eviction begins earlier from now on, until blocks have come and fitted for a while.
 */
static char *block_new(struct cache_worker *w, size_t bytes)
{
    if (w->used.heap + block_cost(bytes) > w->total.heap)
        return NULL;
    char *block = heads_new(&w->heads, bytes);
    if (!block)
        w->heap_limit = w->used.heap / 64 * 63;
    else if (w->heap_limit < heap_limit_most(w))
        w->heap_limit += bytes / 64 + 1;
    return block;
}

static struct cache_object *object_new(struct cache *c, struct cache_worker *w, const void *key,
                                       size_t key_len, const struct cache_meta *meta,
                                       const char *head, size_t head_len)
{
    if (key_len > CACHE_KEY_MAX || head_len > CACHE_HEAD_MAX ||
        (meta->content_length != CACHE_LENGTH_UNKNOWN && meta->content_length > c->limit)) {
        counter_inc(&w->counters.cache_too_large_total);
        return NULL;
    }
    cache_evict_for(c, w, 0);
    size_t rest = key_rest(key_len), bytes = rest + head_len;
    struct cache_object *o = object_at(c, w->free_object);
    char *block = NULL;
    if (!o || (bytes && !(block = block_new(w, bytes)))) {
        counter_inc(&w->counters.cache_no_object_total);
        return NULL;
    }
    unpoison(o, sizeof(*o));
    w->free_object = o->next;
    w->used.objects++;
    w->used.heap += block_cost(bytes);
    *o = (struct cache_object){.block = block,
                               .key_len = (uint16_t)key_len,
                               .head_len = head_len & 0x7fff,
                               .state = CACHE_FILLING,
                               .worker = (uint8_t)((size_t)(w - c->worker) & 63),
                               .tagged = cache_tag_lines(head, head_len) > 0,
                               .born = purge_newest(c),
                               .pins = 1,
                               .chunk = {CHUNK_NONE, CHUNK_NONE, CHUNK_NONE, CHUNK_NONE},
                               .map = CHUNK_NONE,
                               .meta = *meta};
    memcpy(o->key, key, key_len - rest);
    if (rest)
        memcpy(block, (const char *)key + OBJECT_KEY, rest);
    if (head_len)
        memcpy(block + rest, head, head_len);
    cache_promise_give(w, o);
    cache_worker_gauges(w);
    return o;
}

void cache_object_free(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    if (w->begun.of == o)
        w->begun.of = NULL;
    cache_promise_take(w, o);
    w->used.objects--;
    w->used.heap -= object_heap(o);
    if (o->block)
        heads_free(&w->heads, o->block, block_bytes(o));
    o->block = NULL;
    o->next = w->free_object;
    w->free_object = object_ref(c, o);
    poison(o, sizeof(*o));
}

static void count_tags(struct cache_worker *w, const struct cache_object *o, const char *head,
                       size_t head_len)
{
    if (o->tagged && cache_tags_exceed(head, head_len))
        counter_inc(&w->counters.cache_tags_excess_total);
}

/* What fills can't be evicted. If more of it were promised than there is, all of it would come to a
 * halt, and be broken off. So one of a known length begins alone, or where half as much again is
 * left beside it: what is large may have to pass through. What is small begins always, or some
 * large ones that never end would keep it out. A sixteenth is for maps, and for what readers hold.
 * One of an unknown length begins where some memory is left, or it would be broken off for those
 * who read along, when it can be asked for once more by nobody.
 */
static bool has_place(struct cache_worker *w, uint32_t length)
{
    uint64_t n = length == CACHE_LENGTH_UNKNOWN ? unknown_place(w) : chunks_for(length);
    if (n <= w->total.chunks / 256 || w->promised == 0 ||
        w->promised + n + n / 2 <= w->total.chunks - w->total.chunks / 16)
        return true;
    counter_inc(&w->counters.cache_crowded_total);
    return false;
}

struct cache_object *cache_begin(struct cache *c, struct hash128 hash, const void *key,
                                 size_t key_len, const struct cache_meta *meta, const char *head,
                                 size_t head_len, struct now now)
{
    struct cache_worker *w = &c->worker[cache_owner(c, hash)];
    w->wall_s = now.wall_s;
    cache_index_prefetch(c, hash); /* for cache_link, often soon */
    cache_ghost_prefetch(w, hash);
    struct cache_object *o = has_place(w, meta->content_length)
                                 ? object_new(c, w, key, key_len, meta, head, head_len)
                                 : NULL;
    if (!o)
        return NULL;
    count_tags(w, o, head, head_len);
    w->begun = (struct known_hash){o, hash};
    counter_inc(&w->counters.cache_begun_total);
    return o;
}

/* --- the index -------------------------------------------------------------------------------- */

/* Only complete objects stand in a queue: what still fills is wanted by somebody, grows, and
 * evicting it would free nothing now. */
static void object_enqueue(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    if (!(o->flags & OBJECT_LINKED) || object_state(o) != CACHE_COMPLETE)
        return;
    cache_queue_insert(c, w, o, o->flags & OBJECT_TO_MAIN ? QUEUE_MAIN : QUEUE_SMALL);
    cache_expiry_add(c, w, o);
}

static void object_dequeue(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    if (o->queue == QUEUE_NONE)
        return;
    cache_queue_remove(c, w, o);
    cache_expiry_remove(c, w, o);
}

/* After the index has let go of it. */
static void object_unlinked(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    o->flags &= (uint8_t)~OBJECT_LINKED;
    if (object_is_variant(o))
        cache_variant_count(c, o, -1);
    object_dequeue(c, w, o);
    counter_add(&w->counters.cache_objects, (uint64_t)-1);
    cache_object_retire(c, w, o);
}

void cache_object_drop(struct cache *c, struct cache_worker *w, struct cache_object *o,
                       struct hash128 h)
{
    bool there = cache_index_remove(c, h, o);
    assert(there); /* else readers would follow a slot to what is freed */
    (void)there;
    object_unlinked(c, w, o);
}

void cache_object_take(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    if (w->on_evict)
        w->on_evict(w->on_evict_ctx, o);
    cache_object_drop(c, w, o, cache_object_hash(c, o));
}

/* Returns what it replaced. */
static struct cache_object *object_link(struct cache *c, struct cache_worker *w,
                                        struct cache_object *o)
{
    struct hash128 h = w->begun.of == o ? w->begun.hash : cache_object_hash(c, o);
    bool full;
    struct cache_object *old = cache_index_put(c, h, o, &full);
    if (full) {
        counter_inc(&w->counters.cache_displaced_total);
        cache_object_evict(c, w, old, cache_object_hash(c, old));
        old = cache_index_put(c, h, o, &full);
        assert(!full && !old);
    }
    if (old) {
        if (old->queue == QUEUE_MAIN || (old->flags & OBJECT_TO_MAIN))
            o->flags |= OBJECT_TO_MAIN;
        object_unlinked(c, w, old);
    } else if (cache_ghost_take(w, h)) {
        counter_inc(&w->counters.cache_ghost_hits_total);
        o->flags |= OBJECT_TO_MAIN;
    }
    o->flags |= OBJECT_LINKED;
    if (object_is_variant(o))
        cache_variant_count(c, o, 1);
    counter_inc(&w->counters.cache_objects);
    object_enqueue(c, w, o);
    return old;
}

bool cache_link(struct cache *c, struct cache_object *o)
{
    struct cache_worker *w = object_worker(c, o);
    if ((o->flags & (OBJECT_LINKED | OBJECT_RETIRED)) || object_state(o) == CACHE_FAILED)
        return o->flags & OBJECT_LINKED;
    if (!cache_purge_admits(c, o)) {
        counter_inc(&w->counters.cache_purged_fills_total);
        cache_object_retire(c, w, o);
        return false;
    }
    counter_inc(&w->counters.cache_linked_total);
    if (object_link(c, w, o))
        counter_inc(&w->counters.cache_replaced_total);
    return true;
}

bool cache_unlink(struct cache *c, const struct cache_object *object)
{
    struct cache_object *o = (struct cache_object *)(uintptr_t)object;
    struct cache_worker *w = object_worker(c, o);
    if (o->flags & OBJECT_LINKED) {
        counter_inc(&w->counters.cache_unlinked_total);
        cache_object_drop(c, w, o, cache_object_hash(c, o));
        return true;
    }
    if (!(o->flags & OBJECT_RETIRED))
        cache_object_retire(c, w, o);
    return false;
}

/* --- the end of a fill ------------------------------------------------------------------------ */

bool cache_complete(struct cache *c, struct cache_object *o)
{
    struct cache_worker *w = object_worker(c, o);
    if (object_state(o) != CACHE_FILLING)
        return object_state(o) == CACHE_COMPLETE;
    if (length_known(o) && o->meta.content_length != o->ready) {
        counter_inc(&w->counters.cache_length_wrong_total);
        cache_fail(c, o);
        return false;
    }
    counter_inc(&w->counters.cache_completed_total);
    cache_body_end(c, o);
    o->reach = 0; /* no chunk is ahead of the last byte: the field is `prev` from here on */
    state_store(w, o, CACHE_COMPLETE);
    object_enqueue(c, w, o);
    return true;
}

void cache_fail(struct cache *c, struct cache_object *o)
{
    struct cache_worker *w = object_worker(c, o);
    if (object_state(o) != CACHE_FILLING)
        return;
    counter_inc(&w->counters.cache_failed_total);
    cache_unlink(c, o);
    state_store(w, o, CACHE_FAILED);
}

bool cache_damaged(struct cache *c, const struct cache_object *object)
{
    struct cache_object *o = (struct cache_object *)(uintptr_t)object;
    struct cache_worker *w = object_worker(c, o);
    if (!(o->flags & OBJECT_LINKED))
        return false;
    counter_inc(&w->counters.cache_damaged_total);
    char room[CACHE_KEY_MAX];
    if (w->on_damage)
        w->on_damage(w->on_damage_ctx, o, cache_object_key(o, room), o->key_len);
    cache_unlink(c, o);
    if (object_state(o) == CACHE_COMPLETE)
        state_store(w, o, CACHE_FAILED);
    return true;
}

/*
 * The new object takes over the body: it copies the first ids and the map's id. Those who hold the
 * old one go on reading through its own copies, so the chunks must outlive it: the old one pins
 * the new one until it is freed itself. Of several refreshes a chain results that is freed from
 * the oldest on. No reference count of bodies is needed, and no word in the object.
 */
static struct cache_object *object_renew(struct cache *c, struct cache_object *old,
                                         const struct cache_meta *meta, const char *head,
                                         size_t head_len, bool settle)
{
    struct cache_worker *w = object_worker(c, old);
    if (object_state(old) != CACHE_COMPLETE || !(old->flags & OBJECT_LINKED))
        return NULL;
    struct cache_meta fresh = *meta;
    fresh.content_length = old->ready;
    char room[CACHE_KEY_MAX];
    struct cache_object *o =
        object_new(c, w, cache_object_key(old, room), old->key_len, &fresh, head, head_len);
    if (!o)
        return NULL;
    if (!(old->flags & OBJECT_LINKED)) { /* object_new's eviction took it */
        cache_object_free(c, w, o);
        cache_worker_gauges(w);
        return NULL;
    }
    memcpy(o->chunk, old->chunk, sizeof(o->chunk));
    o->map = old->map;
    o->flags |= old->flags & (OBJECT_MAP_CELLS | OBJECT_TAIL_CELLS);
    o->ready = old->ready;
    o->born = object_born(old);
    o->uses = __atomic_load_n(&old->uses, __ATOMIC_RELAXED);
    if (settle && cache_body_settle(c, w, old, o)) {
        counter_inc(&w->counters.cache_settled_total);
        old->flags |= OBJECT_SETTLED;
        cache_worker_gauges(w);
    }
    state_store(w, o, CACHE_COMPLETE);

    old->flags |= OBJECT_BODY_MOVED;
    struct cache_object *replaced = object_link(c, w, o);
    assert(replaced == old);
    replaced->prev = object_ref(c, o);
    return o;
}

struct cache_object *cache_object_renew(struct cache *c, struct cache_object *old,
                                        const struct cache_meta *meta, const char *head,
                                        size_t head_len)
{
    return object_renew(c, old, meta, head, head_len, false);
}

const struct cache_object *cache_settle(struct cache *c, struct cache_object *o)
{
    size_t len;
    const char *head = cache_head(o, &len);
    struct cache_object *heir = NULL;
    if (object_state(o) == CACHE_COMPLETE && cache_body_settles(o))
        heir = object_renew(c, o, &o->meta, head, len, true);
    if (heir)
        return heir;
    return o->flags & OBJECT_LINKED ? o : NULL;
}

struct cache_object *cache_refresh(struct cache *c, struct cache_object *old,
                                   const struct cache_meta *meta, const char *head, size_t head_len,
                                   struct now now)
{
    (void)now;
    struct cache_object *o = cache_object_renew(c, old, meta, head, head_len);
    if (!o)
        return NULL;
    struct cache_worker *w = object_worker(c, o);
    counter_inc(&w->counters.cache_refreshed_total);
    count_tags(w, o, head, head_len);
    return o;
}
