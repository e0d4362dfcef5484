/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache as a whole, and what readers ask of an object. */
#include "cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "cache/freshness.h"
#include "cache/private.h"

/* --- create -------------------------------------------------------------------------------------
 */

#define WORKER_CHUNKS_MIN 64u
/* So many that refs of 32 bits reach all pages, each worker's last one begun. */
#define OBJECTS_MAX                                                                                \
    ((((uint64_t)1 << 32) * REF_UNIT / OBJECT_PAGE - CACHE_WORKERS) * OBJECT_PER_PAGE)

static uint64_t power_of_two(uint64_t at_least)
{
    uint64_t p = 1;
    while (p < at_least)
        p <<= 1;
    return p;
}

/* Up to 4.2 objects a bucket of 7. One comes to a full bucket 7 % of the time then, and stays in
 * the overflow bucket for its life, though the bucket before it has room again: a quarter of the
 * buckets have one. An overflow bucket for 16 objects is that; */
static bool create_shard(struct shard *s, uint64_t objects)
{
    uint64_t buckets = power_of_two(objects * 10 / 42 + 1);
    s->mask = (uint32_t)(buckets - 1);
    s->overflow_count = (uint32_t)(objects / 16 + 1);
    s->bucket = memory_new(buckets, sizeof(struct bucket));
    s->overflow = memory_new(s->overflow_count, sizeof(struct bucket));
    return s->bucket && s->overflow;
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
    w->total.heap = n * CACHE_CHUNK_BYTES / 4;
    counter_set(&w->counters.cache_chunks, n);
}

static void create_objects(struct cache *c, struct cache_worker *w, uint8_t *pages, uint64_t n)
{
    for (uint64_t i = n; i-- > 0;) {
        struct object_page *page =
            (struct object_page *)(pages + i / OBJECT_PER_PAGE * OBJECT_PAGE);
        page->cache = c;
        struct cache_object *o = object_in_page(page, i % OBJECT_PER_PAGE);
        o->next = w->free_object;
        w->free_object = object_ref(c, o);
        poison(o, sizeof(*o));
    }
    w->total.objects = n;
}

static bool create_worker(struct cache *c, struct cache_worker *w, uint64_t chunks,
                          uint64_t objects, size_t pages)
{
    size_t index = (size_t)(w - c->worker);
    create_chunks(c, w, index * chunks, chunks);
    create_objects(c, w, c->object_base + index * pages * OBJECT_PAGE, objects);
    uint64_t sets = power_of_two(objects / GHOST_WAYS + 1);
    w->ghost_mask = (uint32_t)(sets - 1);
    w->ghost_unit = cache_ghost_unit(chunks * CACHE_CHUNK_BYTES);
    w->expiry.due_s = INT64_MAX;
    w->ghost = memory_new(sets, sizeof(struct ghost_set));
    return w->ghost != NULL;
}

static void create_secret(struct hash_secret *secret, const uint8_t seed[32])
{
    struct rng rng;
    rng_init(&rng, seed);
    rng_bytes(&rng, secret->bytes, sizeof(secret->bytes));
}

static bool config_good(const struct cache_config *config)
{
    return config->workers >= 1 && config->workers <= CACHE_WORKERS && config->memory &&
           (uintptr_t)config->memory % CACHE_CHUNK_BYTES == 0 && config->qsbr &&
           config->objects >= config->workers && config->objects <= OBJECTS_MAX &&
           config->bytes / CACHE_CHUNK_BYTES < CHUNK_NONE &&
           config->bytes / CACHE_CHUNK_BYTES / config->workers >= WORKER_CHUNKS_MIN;
}

/* From 2 MiB on memory_new aligns to that, as pages need. */
static size_t object_table_bytes(const struct cache *c)
{
    size_t bytes = c->object_pages * OBJECT_PAGE;
    return bytes < MEMORY_LARGE_PAGE ? MEMORY_LARGE_PAGE : bytes;
}

struct cache *cache_create(const struct cache_config *config)
{
    if (!config_good(config))
        return NULL;
    struct cache *c = aligned_alloc(_Alignof(struct cache), sizeof(*c));
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    uint64_t chunks = config->bytes / CACHE_CHUNK_BYTES / config->workers;
    uint64_t objects = config->objects / config->workers;
    size_t pages = (objects + OBJECT_PER_PAGE - 1) / OBJECT_PER_PAGE;
    c->qsbr = config->qsbr;
    c->memory = config->memory;
    c->workers = config->workers;
    c->limit = chunks / 2 * CACHE_CHUNK_BYTES;
    if (c->limit > (uint64_t)OBJECT_CHUNKS * CACHE_CHUNK_BYTES)
        c->limit = (uint64_t)OBJECT_CHUNKS * CACHE_CHUNK_BYTES;
    create_secret(&c->secret, config->seed);
    c->chunks = chunks * c->workers;
    c->object_pages = pages * c->workers;
    c->object_base = memory_new(object_table_bytes(c), 1);
    c->crc = memory_new(c->chunks, sizeof(*c->crc));
    if (!c->object_base || !c->crc)
        goto fail;
    for (unsigned i = 0; i < CACHE_SHARDS; i++) {
        c->owner[i] = (uint8_t)(i % c->workers);
        if (!create_shard(&c->shard[i], config->objects / CACHE_SHARDS + 1))
            goto fail;
    }
    for (unsigned i = 0; i < c->workers; i++) {
        if (!create_worker(c, &c->worker[i], chunks, objects, pages))
            goto fail;
    }
    return c;
fail:
    cache_destroy(c);
    return NULL;
}

static void destroy_objects(struct cache *c)
{
    if (c->object_base)
        unpoison(c->object_base, object_table_bytes(c));
    for (size_t i = 0; c->object_base && i < c->object_pages * OBJECT_PER_PAGE; i++) {
        uint8_t *page = c->object_base + i / OBJECT_PER_PAGE * OBJECT_PAGE;
        free(object_in_page((struct object_page *)page, i % OBJECT_PER_PAGE)->block);
    }
    memory_free(c->object_base, object_table_bytes(c), 1);
}

void cache_destroy(struct cache *c)
{
    if (!c)
        return;
    destroy_objects(c);
    unpoison(c->memory, c->chunks * CACHE_CHUNK_BYTES);
    for (unsigned i = 0; i < CACHE_WORKERS; i++)
        memory_free(c->worker[i].ghost, (size_t)c->worker[i].ghost_mask + 1,
                    sizeof(struct ghost_set));
    for (unsigned i = 0; i < CACHE_SHARDS; i++) {
        struct shard *s = &c->shard[i];
        memory_free(s->bucket, (size_t)s->mask + 1, sizeof(struct bucket));
        memory_free(s->overflow, s->overflow_count, sizeof(struct bucket));
    }
    memory_free(c->crc, c->chunks, sizeof(*c->crc));
    sodium_memzero(&c->secret, sizeof(c->secret));
    free(c);
}

/* --- where a key belongs
 * --------------------------------------------------------------------------- */

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

/* --- what readers ask of an object
 * -------------------------------------------------------------------- */

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
    if (o->meta.content_length >= 0)
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
