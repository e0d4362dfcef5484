/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "world.h"

static void store(struct world *w, const char *kind, unsigned i, size_t len)
{
    char key[32];
    snprintf(key, sizeof(key), "%s%u", kind, i);
    for (int attempt = 0; attempt < 20; attempt++) {
        if (world_store(w, key, i, len))
            return;
        world_poll(w);
    }
    cr_assert(false, "no room for %s", key);
}

static unsigned count(struct world *w, const char *kind, unsigned n)
{
    unsigned found = 0;
    for (unsigned i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "%s%u", kind, i);
        struct hash128 h = cache_hash(w->c, key, strlen(key));
        found += cache_lookup_owner(w->c, h, key, strlen(key)) != NULL;
    }
    return found;
}

Test(evict, keeps_the_budget_and_gives_notice)
{
    struct world w;
    world_open(&w, 4 * MIB, 4000, 2);
    for (unsigned i = 0; i < 3000; i++) {
        store(&w, "o", i, 1 + rng_below(&w.rng, 30000));
        world_poll(&w);
    }
    uint64_t linked = WORLD_SUM(&w, cache_objects);
    cr_assert_eq(count(&w, "o", 3000), linked);
    cr_assert_eq(w.evicted, 3000 - linked, "each once; seed %u", WORLD_SEED);
    cr_assert_eq(WORLD_SUM(&w, cache_evicted_total), w.evicted);
    uint64_t chunks = WORLD_SUM(&w, cache_chunks);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_retired_objects), 0);
    cr_assert_leq(WORLD_SUM(&w, cache_chunks_used), chunks);
    cr_assert_geq(WORLD_SUM(&w, cache_chunks_used), chunks * 8 / 10, "it uses what it has");
    world_close(&w);
}

Test(evict, a_scan_does_not_displace_what_is_used)
{
    struct world w;
    world_open(&w, 4 * MIB, 4000, 1); /* 1024 chunks */
    for (unsigned i = 0; i < 400; i++)
        store(&w, "hot", i, 4000);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 400; i++) {
            char key[32];
            snprintf(key, sizeof(key), "hot%u", i);
            cr_assert(world_find(&w, key));
        }
    }
    for (unsigned i = 0; i < 5000; i++) {
        store(&w, "scan", i, 4000);
        world_poll(&w);
    }
    cr_assert_eq(count(&w, "hot", 400), 400);
    world_close(&w);
}

Test(evict, what_comes_back_soon_goes_to_main)
{
    struct world w;
    world_open(&w, 4 * MIB, 4000, 1);
    unsigned i = 0;
    store(&w, "back", 0, 4000);
    for (; w.evicted == 0; i++)
        store(&w, "x", i, 4000);
    cr_assert_str_eq(w.evicted_head, "back0", "first in, first out");
    world_settle(&w);
    store(&w, "back", 0, 4000);
    cr_assert_eq(WORLD_SUM(&w, cache_ghost_hits_total), 1);
    for (unsigned end = i + 2000; i < end; i++) {
        store(&w, "x", i, 4000);
        world_poll(&w);
    }
    cr_assert_eq(count(&w, "back", 1), 1, "one more scan does not move it");
    world_close(&w);
}

Test(evict, leaves_alone_what_fills)
{
    struct world w;
    world_open(&w, 4 * MIB, 4000, 1);
    struct cache_object *o = world_begin(&w, "fills", -1);
    cache_link(w.c, o);
    uint8_t *body = world_body(1, 2 * MIB);
    for (unsigned i = 0; i < 512; i++) {
        store(&w, "x", i, 16000);
        size_t done = 0;
        for (int attempt = 0; done < 4096 && attempt < 20; attempt++) {
            done += cache_append(w.c, o, body + i * 4096 + done, 4096 - done);
            world_poll(&w);
        }
        cr_assert_eq(done, 4096);
    }
    cr_assert(cache_complete(w.c, o));
    cr_assert_eq(world_find(&w, "fills"), o);
    cr_assert(world_body_right(o, 1, 2 * MIB));
    cr_assert_gt(w.evicted, 0);
    cache_unpin(o, 0);
    for (unsigned i = 0; i < 2000; i++) {
        store(&w, "y", i, 16000);
        world_poll(&w);
    }
    cr_assert_null(world_find(&w, "fills"), "complete, it is like any other");
    free(body);
    world_close(&w);
}

/* Slow readers hold all memory: fills wait, nothing breaks, and it heals when they let go. */
Test(evict, pinned_memory_is_out_of_reach_until_it_is_let_go)
{
    struct world w;
    world_open(&w, 2 * MIB, 4000, 1);
    const struct cache_object *pinned[512];
    unsigned n = 0;
    char key[32];
    for (; n < 512; n++) {
        snprintf(key, sizeof(key), "p%u", n);
        struct cache_object *o = NULL;
        for (int attempt = 0; !o && attempt < 5; attempt++) {
            o = world_store(&w, key, n, 8000);
            world_poll(&w);
        }
        if (!o)
            break;
        cache_pin(o, 0);
        pinned[n] = o;
    }
    cr_assert_gt(n, 200);
    cr_assert_lt(n, 257);
    cr_assert_gt(WORLD_SUM(&w, cache_no_chunk_total), 0);
    for (unsigned i = 0; i < n; i++)
        cr_assert(world_body_right(pinned[i], i, 8000));
    for (unsigned i = 0; i < n; i++)
        cache_unpin(pinned[i], 0);
    world_settle(&w);
    cr_assert(world_store(&w, "again", 1, 8000));
    world_close(&w);
}

Test(evict, heads_and_keys_have_a_share_too)
{
    struct world w;
    world_open(&w, 2 * MIB, 1000, 1);
    static char head[10000];
    memset(head, 'h', sizeof(head));
    for (unsigned i = 0; i < 1000; i++) {
        char key[32];
        int len = snprintf(key, sizeof(key), "k%u", i);
        struct cache_meta meta = {.content_length = 0};
        struct cache_object *o = cache_begin(w.c, cache_hash(w.c, key, (size_t)len), key,
                                             (size_t)len, &meta, head, sizeof(head), w.now);
        cr_assert(o, "object %u", i);
        cache_complete(w.c, o);
        cache_link(w.c, o);
        cache_unpin(o, 0);
        world_poll(&w);
        cr_assert_leq(WORLD_SUM(&w, cache_mapped_bytes), w.bytes);
    }
    cr_assert_gt(w.evicted, 900);
    world_close(&w);
}
