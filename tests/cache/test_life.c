/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "cache/freshness.h"
#include "world.h"

Test(life, an_object_tells_what_it_was_given)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_meta meta = {.status = 203,
                              .response_s = 5,
                              .initial_age_s = 1,
                              .lifetime_s = 2,
                              .stale_error = 3,
                              .must_revalidate = true,
                              .content_length = 4,
                              .version = 99};
    struct cache_object *o =
        cache_begin(w.c, cache_hash(w.c, "k", 1), "k", 1, &meta, "ETag: x\r\n\r\n", 11, w.now);
    cr_assert_eq(memcmp(cache_meta(o), &meta, sizeof(meta)), 0);
    size_t len;
    cr_assert_eq(memcmp(cache_head(o, &len), "ETag: x\r\n\r\n", 11), 0);
    cr_assert_eq(len, 11);
    cr_assert_eq(cache_length(o), 4);
    cr_assert_eq(cache_version(o), 99);
    cr_assert_eq(cache_state(o), CACHE_FILLING);
    cr_assert_eq(cache_ready(o), 0);
    cr_assert_null(world_find(&w, "k"), "not before it is linked");
    world_close(&w);
}

Test(life, keys_and_heads_over_the_limit_are_refused)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    static char big[CACHE_HEAD_MAX + 1];
    struct cache_meta meta = {.content_length = CACHE_LENGTH_UNKNOWN};
    struct hash128 h = cache_hash(w.c, big, CACHE_KEY_MAX + 1);
    cr_assert_null(cache_begin(w.c, h, big, CACHE_KEY_MAX + 1, &meta, "", 0, w.now));
    h = cache_hash(w.c, big, CACHE_KEY_MAX);
    cr_assert_null(cache_begin(w.c, h, big, CACHE_KEY_MAX, &meta, big, sizeof(big), w.now));
    cr_assert(cache_begin(w.c, h, big, CACHE_KEY_MAX, &meta, big, CACHE_HEAD_MAX, w.now));
    cr_assert_eq(WORLD_SUM(&w, cache_too_large_total), 2);
    world_close(&w);
}

Test(life, a_failed_fill_leaves_the_index_and_its_readers_see_it)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_object *o = world_begin(&w, "k", 10000);
    cache_link(w.c, o);
    cache_append(w.c, o, "some", 4);
    const struct cache_object *r = world_find(&w, "k");
    cr_assert_eq(r, o);
    cache_pin(r, 0);
    cache_fail(w.c, o);
    cache_unpin(o, 0);
    cr_assert_null(world_find(&w, "k"));
    world_settle(&w);
    cr_assert_eq(cache_state(r), CACHE_FAILED);
    cr_assert_eq(cache_append(w.c, o, "more", 4), 0);
    cache_link(w.c, o);
    cr_assert_null(world_find(&w, "k"), "a failed object is never linked");
    cache_unpin(r, 0);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    world_close(&w);
}

Test(life, a_fill_goes_on_when_it_was_purged)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_object *o = world_begin(&w, "k", -1);
    cache_link(w.c, o);
    cr_assert(cache_unlink(w.c, o));
    world_settle(&w);
    uint8_t *body = world_body(4, 50000);
    cr_assert_eq(cache_append(w.c, o, body, 50000), 50000);
    cr_assert(cache_complete(w.c, o));
    cr_assert(world_body_right(o, 4, 50000), "its readers get all of it");
    cache_unpin(o, 0);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), 0);
    free(body);
    world_close(&w);
}

Test(life, nothing_is_freed_within_the_grace_period_or_while_pinned)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 2);
    struct cache_object *o = world_store(&w, "k", 1, 5000);
    cache_unlink(w.c, o);
    for (int i = 0; i < 50; i++) { /* worker 1 has not been quiescent since */
        cache_reclaim(w.c, 0, w.now);
        cache_reclaim(w.c, 1, w.now);
        rte_rcu_qsbr_quiescent(w.qsbr, 0);
    }
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 1);
    cr_assert(world_body_right(o, 1, 5000));
    cache_pin(o, 1); /* so worker 1 may still pin it */
    rte_rcu_qsbr_quiescent(w.qsbr, 1);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 1);
    cr_assert_eq(WORLD_SUM(&w, cache_retired_objects), 1);
    cr_assert(world_body_right(o, 1, 5000));
    cache_unpin(o, 1);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_retired_objects), 0);
    world_close(&w);
}

Test(life, a_sleeping_worker_holds_nothing_up)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 2);
    cache_unlink(w.c, world_store(&w, "k", 1, 5000));
    rte_rcu_qsbr_thread_offline(w.qsbr, 1);
    for (int i = 0; i < 10; i++) {
        cache_reclaim(w.c, 0, w.now);
        cache_reclaim(w.c, 1, w.now);
        rte_rcu_qsbr_quiescent(w.qsbr, 0);
    }
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    world_close(&w);
}

Test(life, a_large_body_is_freed_in_portions)
{
    struct world w;
    world_open(&w, 64 * MIB, 100, 1);
    struct cache_object *o = world_store(&w, "k", 1, 30 * MIB);
    uint64_t all = WORLD_SUM(&w, cache_chunks_used), most = 0;
    cache_unlink(w.c, o);
    for (int i = 0; i < 20; i++) {
        uint64_t before = WORLD_SUM(&w, cache_chunks_used);
        world_poll(&w);
        uint64_t n = before - WORLD_SUM(&w, cache_chunks_used);
        most = n > most ? n : most;
    }
    cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), 0);
    cr_assert_lt(most, all);
    cr_assert_leq(most, 4096 + 16);
    world_close(&w);
}

Test(life, a_refresh_keeps_the_body)
{
    struct world w;
    world_open(&w, 8 * MIB, 100, 1);
    const size_t len = 3 * MIB;
    struct cache_object *old = world_store(&w, "k", 1, len), *o = old;
    uint64_t chunks = WORLD_SUM(&w, cache_chunks_used);
    cache_pin(old, 0);
    const uint8_t *at = cache_bytes(old, MIB).data;
    struct cache_meta meta = *cache_meta(old);
    for (uint32_t i = 1; i <= 3; i++) {
        meta.lifetime_s = 100 + i;
        meta.content_length = CACHE_LENGTH_UNKNOWN;
        o = cache_refresh(w.c, o, &meta, "new\r\n\r\n", 7, w.now);
        cr_assert(o);
        cr_assert_eq(world_find(&w, "k"), o);
        cr_assert_eq(cache_meta(o)->lifetime_s, 100 + i);
        cr_assert_eq(cache_length(o), (int64_t)len);
        world_settle(&w);
    }
    cr_assert_eq(cache_bytes(o, MIB).data, at, "no byte was copied");
    cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), chunks);
    cr_assert_eq(WORLD_SUM(&w, cache_refreshed_total), 3);
    cr_assert_null(cache_refresh(w.c, old, &meta, "", 0, w.now), "it is linked no longer");

    cache_unlink(w.c, o);
    world_settle(&w);
    cr_assert(world_body_right(old, 1, len), "the oldest reader still has all of it");
    cr_assert_eq(cache_meta(old)->lifetime_s, 100);
    cache_unpin(old, 0);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    world_close(&w);
}

Test(life, a_fill_is_not_refreshed)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_object *o = world_begin(&w, "k", 10);
    cache_link(w.c, o);
    cr_assert_null(cache_refresh(w.c, o, cache_meta(o), "", 0, w.now));
    cr_assert_eq(world_find(&w, "k"), o);
    world_close(&w);
}

Test(life, age_and_freshness_follow_the_clock)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_meta meta = {.status = 200,
                              .response_s = 1000,
                              .initial_age_s = 10,
                              .lifetime_s = 100,
                              .stale_error = cache_window_code(50),
                              .content_length = 0};
    struct cache_object *o = cache_begin(w.c, cache_hash(w.c, "k", 1), "k", 1, &meta, "", 0, w.now);
    const struct {
        int64_t wall;
        uint32_t age;
        bool fresh, stale;
    } table[] = {{1000, 10, true, true},
                 {1089, 99, true, true},
                 {1090, 100, false, true},
                 {1139, 149, false, true},
                 {1140, 150, false, false},
                 {900, 10, true, true},
                 {1000 + (1ll << 40), 0x7fffffff, false, false}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct now now = {0, table[i].wall};
        cr_assert_eq(cache_age(o, now), table[i].age, "row %zu", i);
        cr_assert_eq(cache_fresh(o, now), table[i].fresh, "row %zu", i);
        cr_assert_eq(cache_usable_stale(o, now), table[i].stale, "row %zu", i);
    }
    meta.must_revalidate = true;
    o = cache_begin(w.c, cache_hash(w.c, "k", 1), "k", 1, &meta, "", 0, w.now);
    cr_assert_not(cache_usable_stale(o, (struct now){0, 1095}));
    world_close(&w);
}
