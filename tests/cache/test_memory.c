/* SPDX-License-Identifier: BSD-3-Clause */
/* The budget, and what it is divided into. */
#include <criterion/criterion.h>
#include <math.h>
#include <unistd.h>

#include "base/memory.h"
#include "cache/heads.h"
#include "world.h"

#ifdef CACHE_ARENAS
#include <jemalloc/jemalloc.h>
#endif

static double resident_bytes(void)
{
    unsigned long all = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f && fscanf(f, "%lu %lu", &all, &resident) == 2);
    fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SHADOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITH_SHADOW 1
#endif
#endif
#ifndef WITH_SHADOW
#define WITH_SHADOW 0 /* a sanitizer's memory is not the cache's */
#endif

/* Stores one with a head of that length; it may find no room. */
static void store(struct world *w, unsigned i, size_t head_len, const uint8_t *body, size_t len)
{
    static char head[CACHE_HEAD_MAX];
    char key[100];
    int key_len = snprintf(key, sizeof(key), "http://host/%0*u", (int)(i % 80), i);
    struct cache_meta meta = {.content_length = cache_length_code((int64_t)len)};
    struct cache_object *o = cache_begin(w->c, cache_hash(w->c, key, (size_t)key_len), key,
                                         (size_t)key_len, &meta, head, head_len, w->now);
    if (!o)
        return;
    if (cache_append(w->c, o, body, len) == len && cache_complete(w->c, o))
        cache_link(w->c, o);
    else
        cache_fail(w->c, o);
    cache_unpin(o, 0);
}

static void give_up_all(struct world *w, unsigned objects)
{
    for (unsigned i = 0; i < objects; i++) {
        char key[100];
        int n = snprintf(key, sizeof(key), "http://host/%0*u", (int)(i % 80), i);
        const struct cache_object *o =
            cache_lookup_owner(w->c, cache_hash(w->c, key, (size_t)n), key, (size_t)n);
        if (o)
            cache_unlink(w->c, o);
        if (i % 16 == 0)
            world_poll(w);
    }
    world_settle(w);
}

/* A churn of all sizes, with heads from none to large: what is mapped is never over the budget, and
 * all of it is, but for two hundredths, when the cache is full. */
static void churn(unsigned workers, size_t bytes, uint32_t objects, unsigned stores)
{
    struct world w;
    double before = resident_bytes(), highest = 0;
    world_open(&w, bytes, objects, workers);
    double budget = (double)w.bytes;
    uint8_t *body = world_body(1, 200000);
    for (unsigned i = 0; i < stores; i++) {
        size_t len = (size_t)exp(rng_below(&w.rng, 1200) / 100.0); /* to 160 KB */
        store(&w, i, rng_below(&w.rng, i % 64 ? 900 : CACHE_HEAD_MAX), body, len);
        world_poll(&w);
        double mapped = (double)WORLD_SUM(&w, cache_mapped_bytes);
        cr_assert_leq(mapped, budget, "store %u, seed %u", i, WORLD_SEED);
        if (i % 64 == 0) {
            double resident = resident_bytes() - before;
            highest = resident > highest ? resident : highest;
        }
    }
    cr_assert_gt(w.evicted, stores / 4);
    cr_assert_geq((double)WORLD_SUM(&w, cache_mapped_bytes), 0.98 * budget);
    cr_assert(fabs((double)WORLD_SUM(&w, cache_budget_bytes) - budget) < workers);
    if (!WITH_SHADOW) { /* the kernel's word, a MiB for this process beside the cache; the
                          reserve for grace periods is not all touched */
        cr_assert_leq(highest, 1.02 * budget + MIB, "seed %u, %.4f", WORLD_SEED, highest / budget);
        cr_assert_geq(highest, 0.93 * budget, "seed %u, %.4f", WORLD_SEED, highest / budget);
    }
    give_up_all(&w, stores);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_cell_chunks) + WORLD_SUM(&w, cache_cell_bytes), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_body_bytes), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_heap_bytes), 0);
    free(body);
    world_close(&w);
}

Test(memory, is_held_to_the_budget)
{
    churn(1, 32 * MIB, 3200, 10000);
}

Test(memory, is_held_to_the_budget_by_each_of_many_workers)
{
    churn(8, 32 * MIB, 3200, 10000);
}

Test(memory, a_budget_is_divided_without_rest)
{
    for (unsigned workers = 1; workers <= CACHE_WORKERS; workers *= 2) {
        for (size_t mib = 24; mib < 100000; mib = mib * 7 / 4) {
            struct cache_config c = {
                .bytes = mib * MIB, .objects = (uint32_t)(mib * MIB / 8192), .workers = workers};
            size_t region = cache_region(&c);
            cr_assert_gt(region, 0, "%zu MiB, %u workers", mib, workers);
            cr_assert_lt(region, c.bytes);
            cr_assert_geq((double)region, 0.8 * (double)c.bytes);
            /* and back: the budget of the chunks that there are is this one */
            uint64_t chunks = 0;
            for (uint64_t step = (uint64_t)1 << 32; step; step /= 2)
                if (cache_budget(chunks + step, c.objects, workers) <= c.bytes)
                    chunks += step;
            double rest = (double)(c.bytes - cache_budget(chunks, c.objects, workers));
            cr_assert_leq(rest, 0.02 * (double)c.bytes);
        }
    }
}

Test(memory, too_little_is_refused)
{
    struct cache_config c = {.objects = 1000, .workers = 4};
    size_t least = cache_budget(4 * 65, c.objects, c.workers);
    c.bytes = least;
    cr_assert_gt(cache_region(&c), 0);
    c.bytes = least - 4 * 4116;
    cr_assert_eq(cache_region(&c), 0);
    c.bytes = 0;
    cr_assert_eq(cache_region(&c), 0);
    c.bytes = SIZE_MAX;
    cr_assert_eq(cache_region(&c), 0, "more chunks than can be numbered");
}

#ifdef CACHE_ARENAS

static size_t newest_arena(const char *what)
{
    unsigned arenas = 0;
    uint64_t epoch = 1;
    size_t value = 0, len = sizeof(arenas);
    char name[64];
    cr_assert_eq(mallctl("epoch", NULL, NULL, &epoch, sizeof(epoch)), 0);
    cr_assert_eq(mallctl("arenas.narenas", &arenas, &len, NULL, 0), 0);
    snprintf(name, sizeof(name), "stats.arenas.%u.%s", arenas - 1, what);
    len = sizeof(value);
    cr_assert_eq(mallctl(name, &value, &len, NULL, 0), 0, "%s", name);
    return value;
}

/* Its records come in pieces of several slabs by then. */
Test(memory, an_arena_fills_all_of_many_slabs, .timeout = 60)
{
    enum { SLABS = 64 };
    uint8_t *region = memory_new(SLABS * HEADS_SLAB, 1);
    struct cache_heads *h = calloc(1, sizeof(*h));
    size_t bytes = 0;
    cr_assert(region && h && heads_open(h, region, SLABS));
    for (void *p; (p = heads_new(h, 449 + bytes / 449 % 64));)
        bytes += 449;
    cr_expect_gt(bytes, SLABS * HEADS_SLAB / 100 * 75, "%zu of %zu", bytes, SLABS * HEADS_SLAB);
    heads_close(h);
    free(h);
    memory_free(region, SLABS * HEADS_SLAB, 1);
}

/* 20000 objects have room for heads of 512 bytes, so many slabs that they are an arena's. */
Test(memory, heads_lie_in_slabs_of_the_region, .timeout = 60)
{
    struct world w;
    world_open(&w, 16 * MIB, 20000, 1);
    struct cache_config config = {.bytes = w.bytes, .objects = 20000, .workers = 1};
    size_t region = cache_region(&config), slabs = 6 * 2 * MIB;
    cr_assert_geq((double)region, 0.98 * (double)w.bytes, "there is nothing elsewhere");
    const size_t mean[] = {200, 2000, 60, 6000, 400};
    unsigned i = 0;
    for (unsigned phase = 0; phase < 5; phase++) {
        for (unsigned end = i + 60000; i < end; i++) {
            size_t n = mean[phase] / 2 + rng_below(&w.rng, (uint32_t)mean[phase]);
            store(&w, i, n, NULL, 0);
            world_poll(&w);
            if (i % 1000)
                continue;
            cr_assert_leq(newest_arena("mapped"), slabs);
            cr_assert_leq(WORLD_SUM(&w, cache_mapped_bytes), w.bytes);
        }
        /* no sizes that came before keep those that come now from their share: what it holds is
         * as much as 20000 objects, or 10 MB of heads, allow; two thirds after the worst of these
         * changes, so half of it is sure
         */
        double room = 20000 * 512 / (double)mean[phase];
        double held = (double)WORLD_SUM(&w, cache_objects);
        cr_expect_geq(held, 0.5 * (room < 20000 ? room : 20000), "heads of %zu: %.0f of %.0f",
                      mean[phase], held, room);
    }
    char key[100];
    unsigned looked = 0;
    for (unsigned k = i - 1000; k < i; k++) {
        int n = snprintf(key, sizeof(key), "http://host/%0*u", (int)(k % 80), k);
        const struct cache_object *o =
            cache_lookup_owner(w.c, cache_hash(w.c, key, (size_t)n), key, (size_t)n);
        if (!o)
            continue;
        size_t len;
        const uint8_t *head = (const uint8_t *)cache_head(o, &len);
        cr_assert(head >= w.memory && head + len <= w.memory + slabs);
        looked++;
    }
    cr_assert_gt(looked, 900);
    give_up_all(&w, i);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_heap_bytes), 0);
    cr_assert_eq(newest_arena("small.allocated") + newest_arena("large.allocated"), 0);
    world_close(&w);
}

#endif
