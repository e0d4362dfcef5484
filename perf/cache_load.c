/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "base/memory.h"
#include "base/mix.h"
#include "perf/cache.h"

#define POLL     32                  /* puts between two polls, at most */
#define PATIENCE 8                   /* polls that a put waits */
#define FRESH    ((uint64_t)1 << 32) /* the first number beyond the catalogue */

/* --- objects: all about one follows from its number ------------------------------------------- */

static void hex_write(char *out, uint64_t x)
{
    for (unsigned i = 0; i < 16; i++)
        out[i] = "0123456789abcdef"[x >> (60 - 4 * i) & 15];
}

/* Of a body. */
static uint32_t size_of(const struct cache_bench *b, uint64_t number)
{
    return b->trace && number < b->trace->objects ? b->trace->first_bytes[number] : b->size;
}

static void key_write(char *out, uint64_t number)
{
    static const char text[] = "http://www.site-0000.example/assets/0123456789abcdef/xy.jpeg";
    static_assert(sizeof(text) == CACHE_BENCH_KEY + 1, "its length");
    uint64_t mixed = mix64(number + MIX_GOLDEN);
    memcpy(out, text, CACHE_BENCH_KEY);
    for (unsigned i = 0; i < 4; i++)
        out[16 + i] = (char)('0' + (mixed >> 3 * i & 7));
    hex_write(out + 36, mixed);
}

#define TAG_LINE "Cache-Tag: perf, 0123\r\n" /* one tag of all, one of 4096 */

static size_t head_write(const struct cache_bench *b, char *out, uint64_t number)
{
    static const char tags[] = TAG_LINE;
    size_t n = 0;
    if (b->tagged) {
        n = sizeof(tags) - 1;
        memcpy(out, tags, n);
        for (unsigned i = 0; i < 4; i++)
            out[n - 6 + i] = (char)('0' + (number >> 3 * i & 7));
        out += n;
    }
    static const char text[] = "Content-Type: image/jpeg\r\nETag: \"0123456789abcdef\"\r\n";
    static_assert(sizeof(text) == CACHE_BENCH_HEAD + 1, "its length");
    memcpy(out, text, CACHE_BENCH_HEAD);
    hex_write(out + 33, number);
    return n + CACHE_BENCH_HEAD;
}

/* Whether `o` is the object of that number. Its head lies elsewhere in memory: one in 64 is read.
 */
static bool is_right(const struct cache_bench *b, const struct cache_object *o, uint64_t number,
                     unsigned i)
{
    char head[CACHE_BENCH_HEAD + sizeof(TAG_LINE)];
    size_t len, want;
    if (cache_version(o) != number + 1)
        return false;
    if (i % 64)
        return true;
    want = head_write(b, head, number);
    const char *found = cache_head(o, &len);
    return len == want && memcmp(found, head, len) == 0;
}

static struct cache_object *begin(const struct cache_bench *b, struct hash128 h, const char *key,
                                  uint64_t number)
{
    struct cache_meta meta = {.status = 200,
                              .response_s = (uint32_t)b->now.wall_s,
                              .lifetime_s = 3600,
                              .content_length = size_of(b, number),
                              .version = number + 1};
    char head[CACHE_BENCH_HEAD + sizeof(TAG_LINE)];
    size_t len = head_write(b, head, number);
    return cache_begin(b->cache, h, key, CACHE_BENCH_KEY, &meta, head, len, b->now);
}

/* A response comes and is stored whole. False: there was no memory for it. */
static bool store(const struct cache_bench *b, struct hash128 h, const char *key, uint64_t number)
{
    struct cache_object *o = begin(b, h, key, number);
    const uint32_t size = size_of(b, number);
    if (!o)
        return false;
    bool whole = (size == 0 || cache_append(b->cache, o, b->body, size) == size) &&
                 cache_complete(b->cache, o);
    if (whole)
        cache_link(b->cache, o);
    else
        cache_fail(b->cache, o);
    cache_unpin(o, 0);
    return whole;
}

/* --- the cache -------------------------------------------------------------------------------- */

void cache_bench_poll(const struct cache_bench *b)
{
    cache_reclaim(b->cache, 0, b->now);
    rte_rcu_qsbr_quiescent(b->qsbr, 0);
}

/* An evicted object is free three polls later; until then the cache lives on its reserve, a 64th.
 */
static unsigned poll_after(const struct cache_bench *b, unsigned n)
{
    unsigned most = b->held / 256 > 1 ? b->held / 256 : 1;
    return n < most ? n : most;
}

/* Takes all objects once and gives them back in another order. */
static bool mix_memory(const struct cache_bench *b)
{
    struct cache_object **o = calloc(b->held, sizeof(*o));
    char key[CACHE_BENCH_KEY];
    uint32_t n = 0;
    if (!o)
        return false;
    for (; n < b->held; n++) {
        key_write(key, n);
        o[n] = begin(b, cache_hash(b->cache, key, sizeof(key)), key, n);
        if (!o[n])
            break;
    }
    for (uint32_t i = n; i > 0; i--) {
        uint32_t k = (uint32_t)(mix64(i + MIX_GOLDEN) % i);
        struct cache_object *picked = o[k];
        o[k] = o[i - 1];
        cache_fail(b->cache, picked);
        cache_unpin(picked, 0);
        if (i % POLL == 0)
            cache_bench_poll(b);
    }
    for (uint32_t i = 0; i < n / POLL + 100; i++)
        cache_bench_poll(b);
    free(o);
    return n >= b->held - b->held / 32;
}

/* A large object of a trace may have to wait until what it evicts is free. */
static bool store_patiently(const struct cache_bench *b, struct hash128 h, const char *key,
                            uint64_t number)
{
    bool done = store(b, h, key, number);
    for (unsigned i = 0; !done && b->trace && i < PATIENCE; i++) {
        cache_bench_poll(b);
        done = store(b, h, key, number);
    }
    return done;
}

static bool fill(const struct cache_bench *b, uint64_t first, uint32_t n)
{
    unsigned every = poll_after(b, POLL);
    char key[CACHE_BENCH_KEY];
    for (uint32_t i = 0; i < n; i++) {
        key_write(key, first + i);
        if (!store_patiently(b, cache_hash(b->cache, key, sizeof(key)), key, first + i))
            return false;
        if (i % every == 0)
            cache_bench_poll(b);
    }
    return true;
}

/* Of the whole catalogue. */
static uint64_t chunks_of(const struct cache_bench *b)
{
    uint64_t chunks = 0;
    for (uint32_t i = 0; i < b->catalogue; i++)
        chunks += (size_of(b, i) + CACHE_CHUNK_BYTES - 1) / CACHE_CHUNK_BYTES;
    return chunks;
}

static bool make_cache(struct cache_bench *b, bool spare)
{
    uint64_t room = (uint64_t)b->held + (spare ? b->held / 32 + 4096 : 0);
    uint64_t chunks = chunks_of(b) * (room + room / 32) / b->catalogue;
    struct cache_config config = {.bytes = cache_budget(chunks + 1024, (uint32_t)room, 1),
                                  .objects = (uint32_t)room,
                                  .workers = 1,
                                  .seed = "coral-perf cache"};
    b->bytes = cache_region(&config);
    b->memory = memory_new(b->bytes, 1);
    b->body = memory_new(b->size + 1, 1);
    b->qsbr = memory_new(rte_rcu_qsbr_get_memsize(CACHE_BENCH_THREADS), 1);
    if (!b->memory || !b->body || !b->qsbr || rte_rcu_qsbr_init(b->qsbr, CACHE_BENCH_THREADS) != 0)
        return false;
    for (unsigned i = 0; i < CACHE_BENCH_THREADS; i++)
        rte_rcu_qsbr_thread_register(b->qsbr, i);
    rte_rcu_qsbr_thread_online(b->qsbr, 0);
    config.memory = b->memory;
    config.qsbr = b->qsbr;
    b->cache = cache_create(&config);
    return b->cache != NULL;
}

bool cache_bench_open(struct cache_bench *b, uint32_t objects, uint32_t catalogue, uint32_t size,
                      const struct trace *trace, bool spare, bool tagged)
{
    double before = perf_resident_bytes();
    *b = (struct cache_bench){.held = objects,
                              .catalogue = catalogue,
                              .size = size,
                              .trace = trace,
                              .tagged = tagged,
                              .now = {1000000, 1700000000}};
    if (!make_cache(b, spare) || !mix_memory(b) || !fill(b, 0, objects))
        return false;
    b->bytes_per_object = (perf_resident_bytes() - before) / objects;
    /* to the point where one comes and one goes */
    return spare || fill(b, FRESH, objects / 16);
}

void cache_bench_close(struct cache_bench *b)
{
    cache_destroy(b->cache);
    memory_free(b->memory, b->bytes, 1);
    memory_free(b->body, b->size + 1, 1);
    memory_free(b->qsbr, rte_rcu_qsbr_get_memsize(CACHE_BENCH_THREADS), 1);
}

/* --- windows ---------------------------------------------------------------------------------- */

struct cache_load *cache_load_new(const struct cache_bench *b, double s, uint64_t seed)
{
    struct cache_load *l = memory_new(1, sizeof(*l));
    if (!l)
        return NULL;
    *l = (struct cache_load){
        .b = b, .keys = keys_make(b->catalogue, s, seed << 32, b->trace), .fresh = FRESH + b->held};
    for (unsigned i = 0; i < CACHE_BENCH_WINDOW; i++)
        l->probe[i] = (struct cache_probe){.key = l->key[i], .key_len = CACHE_BENCH_KEY};
    return l;
}

void cache_load_free(struct cache_load *l)
{
    memory_free(l, 1, sizeof(*l));
}

static void pick(struct cache_load *l)
{
    for (unsigned i = 0; i < CACHE_BENCH_WINDOW; i++) {
        l->number[i] = keys_next(&l->keys);
        key_write(l->key[i], l->number[i]);
    }
}

static void check(struct cache_load *l)
{
    for (unsigned i = 0; i < CACHE_BENCH_WINDOW; i++) {
        const struct cache_object *o = l->probe[i].found;
        l->hits += o != NULL;
        l->errors += o && !is_right(l->b, o, l->number[i], i);
    }
    l->gets += CACHE_BENCH_WINDOW;
}

static void get(struct cache_load *l, unsigned first, unsigned n)
{
    struct cache_probe *p = l->probe + first;
    n = n < CACHE_BENCH_WINDOW - first ? n : CACHE_BENCH_WINDOW - first;
    cache_prepare(l->b->cache, p, n);
    cache_touch(l->b->cache, p, n);
    cache_act(l->b->cache, p, n);
}

double cache_get_window(struct cache_load *l, unsigned n)
{
    pick(l);
    uint64_t began = rte_rdtsc_precise();
    for (unsigned i = 0; i < CACHE_BENCH_WINDOW; i += n)
        get(l, i, n);
    uint64_t took = rte_rdtsc_precise() - began;
    check(l);
    return (double)took / CACHE_BENCH_WINDOW;
}

/* Its probe has been prepared: no put without a get that missed. */
static bool put(struct cache_load *l, unsigned i, uint64_t number)
{
    bool done = store_patiently(l->b, l->probe[i].hash, l->key[i], number);
    l->puts += done;
    return done;
}

double cache_put_window(struct cache_load *l, unsigned n)
{
    n = poll_after(l->b, n);
    for (unsigned i = 0; i < CACHE_BENCH_WINDOW; i++)
        key_write(l->key[i], l->fresh + i);
    uint64_t began = rte_rdtsc_precise();
    for (unsigned i = 0; i < CACHE_BENCH_WINDOW; i++) {
        if (i % n == 0)
            cache_prepare(l->b->cache, l->probe + i,
                          n < CACHE_BENCH_WINDOW - i ? n : CACHE_BENCH_WINDOW - i);
        if (!put(l, i, l->fresh + i))
            l->errors++;
        if (i % n == n - 1)
            cache_bench_poll(l->b);
    }
    uint64_t took = rte_rdtsc_precise() - began;
    l->fresh += CACHE_BENCH_WINDOW;
    return (double)took / CACHE_BENCH_WINDOW;
}

/* What is found must be looked at before the next poll: it may be evicted after it. */
double cache_mixed_window(struct cache_load *l, unsigned n)
{
    n = poll_after(l->b, n);
    uint64_t took = 0;
    pick(l);
    for (unsigned i = 0; i < CACHE_BENCH_WINDOW; i += n) {
        uint64_t began = rte_rdtsc_precise();
        get(l, i, n);
        for (unsigned k = i; k < i + n && k < CACHE_BENCH_WINDOW; k++)
            if (!l->probe[k].found && !put(l, k, l->number[k]))
                l->errors++;
        took += rte_rdtsc_precise() - began;
        for (unsigned k = i; k < i + n && k < CACHE_BENCH_WINDOW; k++) {
            const struct cache_object *o = l->probe[k].found;
            l->hits += o != NULL;
            l->errors += o && !is_right(l->b, o, l->number[k], k);
        }
        began = rte_rdtsc_precise();
        cache_bench_poll(l->b);
        took += rte_rdtsc_precise() - began;
    }
    l->gets += CACHE_BENCH_WINDOW;
    return (double)took / CACHE_BENCH_WINDOW;
}

/* One object of the catalogue comes anew, in the place of the one that is there. What was replaced
 * is free when the reader has been quiescent, which may be off its core for a while. */
void cache_update(struct cache_load *l)
{
    l->number[0] = keys_next(&l->keys);
    key_write(l->key[0], l->number[0]);
    cache_prepare(l->b->cache, l->probe, 1);
    if (!put(l, 0, l->number[0]) || l->puts % POLL == 0)
        cache_bench_poll(l->b);
}
