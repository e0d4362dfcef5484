/* SPDX-License-Identifier: BSD-3-Clause */
/* A cache with its region and its workers' quiescent states, for the tests. */
#ifndef CORAL_TESTS_CACHE_WORLD_H
#define CORAL_TESTS_CACHE_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cache/cache.h"

#define MIB        (1024u * 1024u)
#define WORLD_SEED 20261123u

struct world {
    struct cache *c;
    struct rte_rcu_qsbr *qsbr;
    uint8_t *memory;
    size_t bytes;
    unsigned workers;
    struct now now;
    struct rng rng;
    unsigned evicted; /* calls of on_evict */
    char evicted_head[64];
};

static inline void *world_aligned(size_t alignment, size_t bytes)
{
    void *p = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (!p)
        abort();
    return p;
}

static inline void world_evicted(void *ctx, const struct cache_object *o)
{
    struct world *w = ctx;
    size_t len;
    const char *head = cache_head(o, &len);
    w->evicted++;
    snprintf(w->evicted_head, sizeof(w->evicted_head), "%.*s", (int)len, head);
}

/* `bytes` of chunks, whatever else the budget holds. */
static inline void world_open(struct world *w, size_t bytes, uint32_t objects, unsigned workers)
{
    struct cache_config config = {.bytes =
                                      cache_budget(bytes / CACHE_CHUNK_BYTES, objects, workers),
                                  .objects = objects,
                                  .workers = workers};
    *w = (struct world){.bytes = config.bytes, .workers = workers, .now = {1000, 1700000000}};
    rng_init_u64(&w->rng, WORLD_SEED);
    w->memory = world_aligned(2 * MIB, cache_region(&config));
    w->qsbr = world_aligned(64, rte_rcu_qsbr_get_memsize(workers));
    if (rte_rcu_qsbr_init(w->qsbr, workers) != 0)
        abort();
    for (unsigned i = 0; i < workers; i++) {
        rte_rcu_qsbr_thread_register(w->qsbr, i);
        rte_rcu_qsbr_thread_online(w->qsbr, i);
    }
    config.memory = w->memory;
    config.qsbr = w->qsbr;
    rng_bytes(&w->rng, config.seed, sizeof(config.seed));
    w->c = cache_create(&config);
    if (!w->c)
        abort();
    for (unsigned i = 0; i < workers; i++)
        cache_on_evict(w->c, i, world_evicted, w);
}

static inline void world_close(struct world *w)
{
    cache_destroy(w->c);
    free(w->memory);
    free(w->qsbr);
}

/* One poll of every worker. */
static inline void world_poll(struct world *w)
{
    for (unsigned i = 0; i < w->workers; i++)
        cache_reclaim(w->c, i, w->now);
    for (unsigned i = 0; i < w->workers; i++)
        rte_rcu_qsbr_quiescent(w->qsbr, i);
}

/* Polls until everything that can be freed is. */
static inline void world_settle(struct world *w)
{
    for (int i = 0; i < 200; i++)
        world_poll(w);
}

static inline uint64_t world_sum(const struct world *w, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w->workers; i++)
        sum += counter_read((const uint64_t *)((const char *)cache_counters(w->c, i) + offset));
    return sum;
}
#define WORLD_SUM(w, name) world_sum(w, offsetof(struct cache_counters, name))

/* Every worker's scrub goes to the end of its round, and one more. */
static inline void world_scrub(struct world *w)
{
    for (unsigned i = 0; i < w->workers; i++) {
        const uint64_t *rounds = &cache_counters(w->c, i)->cache_scrub_rounds_total;
        for (uint64_t end = counter_read(rounds) + 2; counter_read(rounds) < end;) {
            cache_scrub(w->c, i, w->now);
            w->now.mono_us += 1000000;
        }
    }
}

/* The body of key `key`: byte i is a function of both. */
static inline uint8_t world_byte(uint64_t salt, uint64_t i)
{
    uint64_t x = (salt + i / 8 + 1) * 0x9e3779b97f4a7c15u;
    return (uint8_t)((x ^ x >> 29) >> (8 * (i % 8)));
}

static inline uint8_t *world_body(uint64_t salt, size_t len)
{
    uint8_t *b = malloc(len + 1);
    if (!b)
        abort();
    for (size_t i = 0; i < len; i++)
        b[i] = world_byte(salt, i);
    return b;
}

static inline struct cache_object *world_begin(struct world *w, const char *key, int64_t length)
{
    struct cache_meta meta = {.status = 200,
                              .response_s = (uint32_t)w->now.wall_s,
                              .lifetime_s = 100,
                              .content_length = cache_length_code(length),
                              .version = 7};
    return cache_begin(w->c, cache_hash(w->c, key, strlen(key)), key, strlen(key), &meta, key,
                       strlen(key), w->now); /* the key serves as head too */
}

/* A complete, linked, unpinned object; NULL when there was no room. `length`: what is known of it
 * when it begins. */
static inline struct cache_object *world_store_as(struct world *w, const char *key, uint64_t salt,
                                                  size_t len, int64_t length)
{
    struct cache_object *o = world_begin(w, key, length);
    if (!o)
        return NULL;
    uint8_t *body = world_body(salt, len);
    size_t done = cache_append(w->c, o, body, len);
    free(body);
    bool good = done == len && cache_complete(w->c, o);
    if (good)
        cache_link(w->c, o);
    else
        cache_fail(w->c, o);
    cache_unpin(o, 0);
    return good ? o : NULL;
}

static inline struct cache_object *world_store(struct world *w, const char *key, uint64_t salt,
                                               size_t len)
{
    return world_store_as(w, key, salt, len, (int64_t)len);
}

static inline const struct cache_object *world_find(struct world *w, const char *key)
{
    struct cache_probe p = {.key = key, .key_len = (uint32_t)strlen(key)};
    cache_prepare(w->c, &p, 1);
    cache_touch(w->c, &p, 1);
    cache_act(w->c, &p, 1);
    return p.found;
}

/* True when all of the body is there and right, read span by span, checksums too. */
static inline bool world_body_right(const struct cache_object *o, uint64_t salt, uint64_t len)
{
    uint64_t at = 0;
    while (at < len) {
        bool damaged;
        struct cache_span s = cache_bytes(o, at), v = cache_bytes_verified(o, at, &damaged);
        if (s.len == 0 || damaged || v.data != s.data || v.len != s.len)
            return false;
        for (uint32_t i = 0; i < s.len; i++) {
            if (s.data[i] != world_byte(salt, at + i))
                return false;
        }
        at += s.len;
    }
    return at == len && cache_bytes(o, len).len == 0;
}

#endif
