/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "cache/freshness.h"
#include "cache/private.h"
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

/* Of what was evicted only what main would hold is remembered, however few objects that are. */
Test(evict, forgets_whose_place_was_filled_again, .timeout = 20)
{
    struct world w;
    world_open(&w, 4 * MIB, 4000, 1);
    store(&w, "back", 0, 60000);
    store(&w, "late", 0, 60000);
    unsigned i = 0;
    while (count(&w, "back", 1) + count(&w, "late", 1)) {
        store(&w, "x", i++, 60000);
        world_poll(&w);
    }
    for (unsigned end = i + 20; i < end; i++) { /* 1.3 MB: a third */
        store(&w, "x", i, 60000);
        world_poll(&w);
    }
    store(&w, "back", 0, 60000);
    cr_assert_eq(WORLD_SUM(&w, cache_ghost_hits_total), 1);
    for (unsigned end = i + 80; i < end; i++) { /* 5.2 MB */
        store(&w, "x", i, 60000);
        world_poll(&w);
    }
    store(&w, "late", 0, 60000);
    cr_assert_eq(WORLD_SUM(&w, cache_ghost_hits_total), 1);
    world_close(&w);
}

/* Nobody asks for any of them. */
Test(evict, what_costs_few_bytes_stays_longer)
{
    struct world w;
    world_open(&w, 4 * MIB, 4000, 1);
    for (unsigned i = 0; i < 100; i++) {
        store(&w, "large", i, 60000);
        store(&w, "small", i, 4000);
        world_poll(&w);
    }
    cr_assert_lt(count(&w, "large", 100), 70);
    cr_assert_eq(count(&w, "small", 100), 100);
    world_close(&w);
}

Test(evict, a_hit_writes_three_times_at_most)
{
    struct world w;
    world_open(&w, 4 * MIB, 4000, 1);
    store(&w, "hot", 0, 4000);
    for (unsigned round = 0; round < 20; round++) {
        uint8_t before[sizeof(struct cache_object)];
        unsigned writes = 0;
        for (unsigned i = 0; i < 10; i++) {
            const struct cache_object *o = world_find(&w, "hot0");
            cr_assert(o, "round %u", round);
            writes += i && memcmp(before, o, sizeof(before)) != 0;
            memcpy(before, o, sizeof(before));
        }
        cr_assert_leq(writes, 2, "after the first; round %u", round);
        for (unsigned i = 0; i < 500; i++) { /* the hand passes, in the end more than once */
            store(&w, "x", round * 500 + i, 8000);
            world_poll(&w);
        }
    }
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

/* --- what is of no more use ------------------------------------------------------------------- */

static struct cache_object *store_as(struct world *w, const char *kind, unsigned i,
                                     struct cache_meta meta)
{
    char key[32];
    int len = snprintf(key, sizeof(key), "%s%u", kind, i);
    meta.response_s = (uint32_t)w->now.wall_s;
    meta.content_length = 0;
    struct cache_object *o = cache_begin(w->c, cache_hash(w->c, key, (size_t)len), key, (size_t)len,
                                         &meta, key, (size_t)len, w->now);
    cr_assert(o, "no room for %s", key);
    cr_assert(cache_complete(w->c, o));
    cache_link(w->c, o);
    cache_unpin(o, 0);
    return o;
}

/* As many as there is room for before the first is evicted: the table of objects is what is short.
 */
#define USEFUL 700

static void fill_with_kinds(struct world *w)
{
    uint16_t day = cache_window_code(86400);
    const struct cache_meta fresh = {.status = 200, .lifetime_s = 10 * 86400},
                            not_found = {.status = 404, .lifetime_s = 60, .stale_error = day},
                            bare = {.status = 200, .lifetime_s = 60},
                            on_error = {.status = 200, .lifetime_s = 60, .stale_error = day},
                            strict = {.status = 200,
                                      .lifetime_s = 60,
                                      .stale_error = day,
                                      .must_revalidate = true},
                            validated = {.status = 200,
                                         .lifetime_s = 60,
                                         .must_revalidate = true,
                                         .has_validator = true};
    for (unsigned i = 0; i < 50; i++) {
        store_as(w, "on_error", i, on_error);
        store_as(w, "validated", i, validated);
    }
    for (unsigned i = 0; i < USEFUL; i++)
        store_as(w, "fresh", i, fresh);
    for (unsigned i = 0; i < 20; i++) {
        store_as(w, "not_found", i, not_found);
        store_as(w, "bare", i, bare);
        store_as(w, "strict", i, strict);
    }
    cr_assert_eq(w->evicted, 0);
}

static void press(struct world *w, const char *kind, unsigned n)
{
    const struct cache_meta fresh = {.status = 200, .lifetime_s = 10 * 86400};
    for (unsigned i = 0; i < n; i++) {
        store_as(w, kind, i, fresh);
        world_poll(w);
    }
}

Test(evict, what_is_of_no_more_use_goes_first)
{
    struct world w;
    world_open(&w, 4 * MIB, 900, 1);
    fill_with_kinds(&w);
    w.now.wall_s += 61; /* newer than all the others, but of no use */
    press(&w, "press", 80);
    cr_assert_eq(w.evicted, WORLD_SUM(&w, cache_evicted_useless_total));
    cr_assert_geq(w.evicted, 50);
    cr_assert_lt(w.evicted, 60);
    cr_assert_eq(count(&w, "fresh", USEFUL), USEFUL);
    cr_assert_eq(count(&w, "on_error", 50), 50, "a stale object is of use when the origin fails");
    cr_assert_eq(count(&w, "validated", 50), 50, "and when a 304 can make it fresh");
    w.now.wall_s += 86400;
    unsigned before = w.evicted;
    press(&w, "more", 90);
    cr_assert_eq(count(&w, "not_found", 20) + count(&w, "bare", 20) + count(&w, "strict", 20), 0);
    cr_assert_eq(w.evicted, WORLD_SUM(&w, cache_evicted_useless_total));
    cr_assert_geq(w.evicted, before + 85);
    cr_assert_eq(count(&w, "fresh", USEFUL), USEFUL);
    press(&w, "most", 60);
    cr_assert_eq(count(&w, "on_error", 50) + count(&w, "validated", 50), 0);
    cr_assert_gt(w.evicted, WORLD_SUM(&w, cache_evicted_useless_total), "then the hand is at work");
    cr_assert_eq(WORLD_SUM(&w, cache_ghost_hits_total), 0);
    world_close(&w);
}

#define DRAWN 400

struct drawn {
    struct world w;
    unsigned useless, others;
};

static int64_t useless_for_s(const struct drawn *d, const struct cache_object *o)
{
    const struct cache_meta *m = cache_meta(o);
    return (int64_t)cache_age(o, d->w.now) - (int64_t)cache_usable_s(m);
}

/* What goes is of no more use, or nothing has been for longer than an eighth of its time. */
static void drawn_evicted(void *ctx, const struct cache_object *o)
{
    struct drawn *d = ctx;
    if (useless_for_s(d, o) >= 0) {
        d->useless++;
        return;
    }
    d->others++;
    for (unsigned i = 0; i < DRAWN; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%u", i);
        struct hash128 h = cache_hash(d->w.c, key, strlen(key));
        const struct cache_object *other = cache_lookup_owner(d->w.c, h, key, strlen(key));
        if (other)
            cr_assert_leq(useless_for_s(d, other),
                          (int64_t)cache_usable_s(cache_meta(other)) / 8 + 1, "%s; seed %u", key,
                          WORLD_SEED);
    }
}

Test(evict, finds_what_is_of_no_more_use_in_any_order)
{
    struct drawn d = {0};
    struct rng *rng = &d.w.rng;
    world_open(&d.w, 4 * MIB, 300, 1);
    cache_on_evict(d.w.c, 0, drawn_evicted, &d);
    for (unsigned i = 0; i < 30000; i++) {
        uint32_t lifetime = rng_below(rng, 4) ? 1u << (8 + rng_below(rng, 8)) : rng_below(rng, 100);
        struct cache_object *o =
            store_as(&d.w, "k", rng_below(rng, DRAWN),
                     (struct cache_meta){.status = 200, .lifetime_s = lifetime});
        if (rng_below(rng, 8) == 0)
            cache_unlink(d.w.c, o);
        else if (rng_below(rng, 8) == 0)
            cache_refresh(d.w.c, o,
                          &(struct cache_meta){.status = 200,
                                               .lifetime_s = lifetime / 2,
                                               .response_s = (uint32_t)d.w.now.wall_s},
                          "", 0, d.w.now);
        d.w.now.wall_s += rng_below(rng, 8) == 0;
        world_poll(&d.w);
    }
    cr_assert_gt(d.useless, 1000);
    cr_assert_gt(d.others, 1000);
    cr_assert_eq(WORLD_SUM(&d.w, cache_evicted_useless_total), d.useless);
    world_close(&d.w);
}

/* What a queue counts of an object is the same when it comes and when it goes, though its body has
 * gone on to another meanwhile. */
Test(evict, queues_count_what_they_hold)
{
    static const size_t size[] = {0, 100, 5000, 9000, 5 * 4096, 70001, 2400000};
    struct world w;
    world_open(&w, 32 * MIB, 1000, 1);
    const struct cache_worker *k = &w.c->worker[0];
    for (unsigned i = 0; i < sizeof(size) / sizeof(size[0]); i++)
        for (unsigned known = 0; known < 2; known++) {
            struct cache_object *o =
                world_store_as(&w, "a", 1, size[i], known ? (int64_t)size[i] : -1);
            const struct cache_object *heir = cache_settle(w.c, o);
            for (unsigned turn = 0; turn < 3; turn++) {
                heir = cache_refresh(w.c, (struct cache_object *)(uintptr_t)heir, cache_meta(heir),
                                     "h", 1, w.now);
                cr_assert_eq(k->small.objects + k->main.objects, 1);
                cr_assert_eq(k->small.bytes + k->main.bytes, cache_object_bytes(heir), "%zu",
                             size[i]);
                world_settle(&w);
            }
            heir = cache_expire(w.c, heir);
            cr_assert(heir && cache_unlink(w.c, heir));
            world_settle(&w);
            cr_assert_eq(k->small.bytes + k->main.bytes, 0, "%zu", size[i]);
        }
    world_close(&w);
}
