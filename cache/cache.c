/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache as a whole, and what readers ask of an object. */
#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "cache/freshness.h"
#include "cache/private.h"

/* --- create ----------------------------------------------------------------------------------- */

static void create_shard(struct shard *s, const struct cache_layout *l, uint8_t *at)
{
    s->mask = (uint32_t)(l->buckets - 1);
    s->overflow_count = (uint32_t)l->overflow;
    s->bucket = (struct bucket *)at;
    s->overflow = s->bucket + l->buckets;
}

static void create_chunks(struct cache *c, struct cache_worker *w, uint64_t first, uint64_t n)
{
    w->free_chunk = CHUNK_NONE;
    poison(chunk_data(c, (uint32_t)first), n * CACHE_CHUNK_BYTES);
    for (uint64_t id = first + n; id-- > first;) {
        c->crc[id] = w->free_chunk;
        w->free_chunk = (uint32_t)id;
    }
    w->total.chunks = n;
    counter_set(&w->counters.cache_chunks, n);
}

static void create_objects(struct cache *c, struct cache_worker *w, uint8_t *pages, uint64_t n)
{
    for (uint64_t i = n; i-- > 0;) {
        struct object_page *page =
            (struct object_page *)(pages + i / OBJECT_PER_PAGE * OBJECT_PAGE);
        page->cache = c;
        page->share = chunk_data(c, worker_first_chunk(c, w));
        struct cache_object *o = object_in_page(page, i % OBJECT_PER_PAGE);
        o->next = w->free_object;
        w->free_object = object_ref(c, o);
        poison(o, sizeof(*o));
    }
    w->total.objects = n;
}

static bool create_worker(struct cache *c, struct cache_worker *w, const struct cache_layout *l,
                          uint8_t *region)
{
    size_t index = (size_t)(w - c->worker);
    create_chunks(c, w, index * l->chunks, l->chunks);
    create_objects(c, w, c->object_base + index * l->pages * OBJECT_PAGE, l->objects);
    w->total.heap = l->heads;
    w->heap_limit = heap_limit_most(w);
    w->ghost_mask = (uint32_t)(l->ghost_sets - 1);
    w->ghost_unit = cache_ghost_unit(l->chunks * CACHE_CHUNK_BYTES);
    w->ghost = (struct ghost_set *)(region + l->at_ghosts) + index * l->ghost_sets;
    w->expiry.due_s = INT64_MAX;
    counter_set(&w->counters.cache_budget_bytes, l->budget / l->workers);
    w->mapped = (l->region + sizeof(*c)) / l->workers;
    cache_worker_gauges(w);
    return heads_open(&w->heads, region + index * l->slabs * HEADS_SLAB, l->slabs);
}

static void create_secret(struct hash_secret *secret, const uint8_t seed[32])
{
    struct rng rng;
    rng_init(&rng, seed);
    rng_bytes(&rng, secret->bytes, sizeof(secret->bytes));
}

struct cache *cache_create(const struct cache_config *config)
{
    struct cache_layout l;
    uint8_t *region = config->memory;
    if (!region || (uintptr_t)region % MEMORY_LARGE_PAGE != 0 || !config->qsbr ||
        !cache_layout(&l, config->bytes, config->objects, config->workers))
        return NULL;
    struct cache *c = aligned_alloc(_Alignof(struct cache), sizeof(*c));
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    memset(region + l.at_objects, 0, l.at_chunks - l.at_objects); /* the tables */
    c->qsbr = config->qsbr;
    c->workers = l.workers;
    c->chunks = l.chunks * l.workers;
    c->share = (uint32_t)l.chunks;
    c->memory = region + l.at_chunks;
    c->limit = l.chunks / 2 * CACHE_CHUNK_BYTES;
    if (c->limit > (uint64_t)OBJECT_CHUNKS * CACHE_CHUNK_BYTES)
        c->limit = (uint64_t)OBJECT_CHUNKS * CACHE_CHUNK_BYTES;
    create_secret(&c->secret, config->seed);
    cache_purge_create(c);
    c->object_pages = l.pages * l.workers;
    c->object_base = region + l.at_objects;
    c->page = (struct cell_page *)(region + l.at_pages);
    c->crc = (uint32_t *)(region + l.at_crc);
    for (unsigned i = 0; i < CACHE_SHARDS; i++) {
        c->owner[i] = (uint8_t)(i % c->workers);
        create_shard(&c->shard[i], &l,
                     region + l.at_index + i * (l.buckets + l.overflow) * sizeof(struct bucket));
    }
    for (unsigned i = 0; i < c->workers; i++) {
        if (!create_worker(c, &c->worker[i], &l, region)) {
            cache_destroy(c);
            return NULL;
        }
    }
    return c;
}

static void destroy_objects(struct cache *c)
{
    unpoison(c->object_base, c->object_pages * OBJECT_PAGE);
    for (size_t i = 0; i < c->object_pages * OBJECT_PER_PAGE; i++) {
        uint8_t *page = c->object_base + i / OBJECT_PER_PAGE * OBJECT_PAGE;
        struct cache_object *o = object_in_page((struct object_page *)page, i % OBJECT_PER_PAGE);
        if (o->block)
            heads_free(&object_worker(c, o)->heads, o->block, block_bytes(o));
    }
    for (unsigned i = 0; i < c->workers; i++)
        heads_close(&c->worker[i].heads);
}

void cache_destroy(struct cache *c)
{
    if (!c)
        return;
    destroy_objects(c);
    unpoison(c->memory, c->chunks * CACHE_CHUNK_BYTES);
    sodium_memzero(&c->secret, sizeof(c->secret));
    free(c);
}

/* --- where a key belongs ---------------------------------------------------------------------- */

#define SHARD_REST (UINT64_MAX >> 6) /* what cache_shard does not look at */

/* Aside, so that the hash of a URL pays one test for it. */
static __attribute__((noinline)) struct hash128
variant_hash(const struct cache *c, struct hash128 h, const void *key, size_t len)
{
    struct cache_name url;
    uint64_t nonce;
    if (cache_variant_key(key, len, &url, &nonce))
        h.hi = (h.hi & SHARD_REST) | (hash128(&c->secret, url.p, url.len).hi & ~SHARD_REST);
    return h;
}

struct hash128 cache_hash(const struct cache *c, const void *key, size_t len)
{
    struct hash128 h = hash128(&c->secret, key, len);
    return len && *(const char *)key == CACHE_VARIANT_MARK ? variant_hash(c, h, key, len) : h;
}

unsigned cache_shard(struct hash128 h)
{
    return (unsigned)(h.hi >> 58);
}

unsigned cache_owner(const struct cache *c, struct hash128 h)
{
    return c->owner[cache_shard(h)];
}

uint64_t cache_object_limit(const struct cache *c)
{
    return c->limit;
}

void cache_on_evict(struct cache *c, unsigned worker,
                    void (*fn)(void *ctx, const struct cache_object *o), void *ctx)
{
    c->worker[worker].on_evict = fn;
    c->worker[worker].on_evict_ctx = ctx;
}

void cache_on_damage(struct cache *c, unsigned worker, cache_damage *fn, void *ctx)
{
    c->worker[worker].on_damage = fn;
    c->worker[worker].on_damage_ctx = ctx;
}

const struct cache_counters *cache_counters(const struct cache *c, unsigned worker)
{
    return &c->worker[worker].counters;
}

/* --- what readers ask of an object ------------------------------------------------------------ */

const struct cache_meta *cache_meta(const struct cache_object *o)
{
    return &o->meta;
}

const char *cache_head(const struct cache_object *o, size_t *len)
{
    *len = o->head_len;
    return o->block ? o->block + key_rest(o->key_len) : "";
}

enum cache_state cache_state(const struct cache_object *o)
{
    return object_state(o);
}

uint64_t cache_ready(const struct cache_object *o)
{
    return __atomic_load_n(&o->ready, CACHE_READY_LOAD);
}

int64_t cache_length(const struct cache_object *o)
{
    if (length_known(o))
        return o->meta.content_length;
    return object_state(o) == CACHE_COMPLETE ? (int64_t)cache_ready(o) : -1;
}

uint64_t cache_version(const struct cache_object *o)
{
    return o->meta.version;
}

/* Pins are counted in the object for now: why that is sound, and what it costs, is in reclaim.c.
 * The worker's number is part of the interface so that tables by worker can take over. */
void cache_pin(const struct cache_object *o, unsigned worker)
{
    (void)worker;
    __atomic_fetch_add((uint32_t *)(uintptr_t)&o->pins, 1, CACHE_PIN);
}

void cache_unpin(const struct cache_object *o, unsigned worker)
{
    (void)worker;
    __atomic_fetch_sub((uint32_t *)(uintptr_t)&o->pins, 1, CACHE_UNPIN);
}

uint32_t cache_age(const struct cache_object *o, struct now now)
{
    return cache_current_age(&o->meta, now.wall_s);
}

/* RFC 9111 4.2 */
bool cache_fresh(const struct cache_object *o, struct now now)
{
    return o->meta.lifetime_s > cache_age(o, now);
}

/* RFC 9111 4.2.4, RFC 5861 */
bool cache_usable_stale(const struct cache_object *o, struct now now)
{
    return cache_stale_allowed(&o->meta, now.wall_s);
}
