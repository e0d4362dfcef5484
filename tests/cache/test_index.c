/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "world.h"

static void key_of(char out[static 32], unsigned i)
{
    snprintf(out, 32, "http://site-%u/", i);
}

Test(index, spreads_shards_over_workers)
{
    struct world w;
    world_open(&w, 8 * MIB, 1000, 3);
    unsigned seen[3] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        char key[32];
        key_of(key, i);
        struct hash128 h = cache_hash(w.c, key, strlen(key));
        cr_assert_lt(cache_shard(h), CACHE_SHARDS);
        cr_assert_eq(cache_owner(w.c, h), cache_shard(h) % 3);
        seen[cache_owner(w.c, h)]++;
    }
    for (unsigned i = 0; i < 3; i++)
        cr_assert_gt(seen[i], 200);
    world_close(&w);
}

Test(index, finds_a_burst_of_present_and_absent_keys)
{
    struct world w;
    world_open(&w, 32 * MIB, 6000, 2);
    const unsigned n = 4000;
    char key[32][32];
    for (unsigned i = 0; i < n; i++) {
        key_of(key[0], i);
        cr_assert(world_store(&w, key[0], i, 100));
    }
    cr_assert_eq(WORLD_SUM(&w, cache_objects), n);
    for (unsigned first = 0; first < n + 320; first += 32) {
        struct cache_probe p[32];
        for (unsigned i = 0; i < 32; i++) {
            key_of(key[i], first + i);
            p[i] = (struct cache_probe){.key = key[i], .key_len = (uint32_t)strlen(key[i])};
        }
        cache_prepare(w.c, p, 32);
        cache_touch(w.c, p, 32);
        cache_act(w.c, p, 32);
        for (unsigned i = 0; i < 32; i++) {
            cr_assert_eq(p[i].found != NULL, first + i < n, "key %u", first + i);
            cr_assert_eq(cache_lookup_owner(w.c, p[i].hash, p[i].key, p[i].key_len), p[i].found);
            if (p[i].found)
                cr_assert(world_body_right(p[i].found, first + i, 100));
        }
    }
    world_close(&w);
}

/* A key's first bytes stand in the object, the rest elsewhere: all of it counts. */
Test(index, compares_keys_of_all_lengths_whole)
{
    static const unsigned lengths[] = {1, 2, 63, 64, 65, 66, 127, 128, 129, 1000, CACHE_KEY_MAX};
    struct world w;
    world_open(&w, 8 * MIB, 1000, 1);
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        unsigned len = lengths[i];
        char key[CACHE_KEY_MAX + 1], other[CACHE_KEY_MAX + 1];
        memset(key, 'a' + (int)i, len);
        key[len] = 0;
        cr_assert(world_store(&w, key, i, 100));
        const struct cache_object *o = world_find(&w, key);
        cr_assert(o, "%u bytes", len);
        size_t head_len;
        const char *head = cache_head(o, &head_len);
        cr_assert(head_len == len && memcmp(head, key, len) == 0, "the head is behind the key");
        cr_assert(
            cache_refresh(w.c, (struct cache_object *)(uintptr_t)o, cache_meta(o), "h", 1, w.now));
        cr_assert(world_find(&w, key) != o && world_find(&w, key), "refreshed under its key");

        /* the same hash, one byte not the same */
        struct hash128 h = cache_hash(w.c, key, len);
        cr_assert(cache_lookup_owner(w.c, h, key, len));
        const unsigned changed[] = {0, len / 2, len - 1};
        for (unsigned k = 0; k < 3; k++) {
            memcpy(other, key, len + 1);
            other[changed[k]] = '!';
            cr_assert_null(cache_lookup_owner(w.c, h, other, len), "byte %u of %u", changed[k],
                           len);
        }
        cr_assert_null(cache_lookup_owner(w.c, h, key, len - 1));
    }
    cr_assert_eq(WORLD_SUM(&w, cache_objects), sizeof(lengths) / sizeof(lengths[0]));
    world_close(&w);
}

Test(index, replaces_what_stood_under_the_key)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_object *old = world_store(&w, "k", 1, 5000);
    cache_pin(old, 0);
    struct cache_object *new = world_store(&w, "k", 2, 6000);
    cr_assert_eq(world_find(&w, "k"), new);
    cr_assert_eq(WORLD_SUM(&w, cache_objects), 1);
    cr_assert_eq(WORLD_SUM(&w, cache_replaced_total), 1);
    cr_assert_not(cache_unlink(w.c, old), "it is out already");
    world_settle(&w);
    cr_assert(world_body_right(old, 1, 5000), "its reader still has it");
    cache_unpin(old, 0);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), 2);
    cr_assert(world_body_right(new, 2, 6000));
    cr_assert_eq(w.evicted, 0, "replaced is not evicted");
    world_close(&w);
}

Test(index, purges)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_object *o = world_store(&w, "k", 1, 5000);
    cr_assert(cache_unlink(w.c, o));
    cr_assert_null(world_find(&w, "k"));
    cr_assert_not(cache_unlink(w.c, o));
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_objects), 0);
    world_close(&w);
}

/* 64 objects: a bucket a shard and an overflow bucket beside it, so 14 objects fill a shard. */
Test(index, that_is_full_displaces)
{
    struct world w;
    world_open(&w, 32 * MIB, 64, 1);
    unsigned in_shard = 0, i = 0, stored = 0;
    char key[32], hot[32] = "";
    for (; stored < 40 && i < 100000; i++) {
        key_of(key, i);
        if (cache_shard(cache_hash(w.c, key, strlen(key))) != 5)
            continue;
        cr_assert(world_store(&w, key, i, 10));
        cr_assert(world_find(&w, key), "a new object always gets in");
        if (!hot[0])
            memcpy(hot, key, sizeof(hot));
        world_find(&w, hot);
        stored++;
        world_settle(&w);
    }
    in_shard = (unsigned)WORLD_SUM(&w, cache_objects);
    cr_assert_geq(in_shard, 14);
    cr_assert_lt(in_shard, 40);
    cr_assert_eq(WORLD_SUM(&w, cache_displaced_total), 40 - in_shard);
    cr_assert_eq(w.evicted, 40 - in_shard, "with notice");
    cr_assert(world_find(&w, hot), "the used one stays");
    world_close(&w);
}

static uint64_t walk_all(struct world *w)
{
    uint64_t found = 0;
    for (unsigned heat = 0; heat < CACHE_HEAT_CLASSES; heat++) {
        struct cache_walk at = {0};
        while (!at.over) {
            const struct cache_object *o[CACHE_WALK_ROOM];
            found += cache_walk(w->c, 0, &at, heat, 1, o, CACHE_WALK_ROOM);
        }
    }
    return found;
}

/* 960 objects: 4 buckets a shard, 3.75 objects each. One of six has an overflow bucket then. */
Test(index, overflow_buckets_come_back)
{
    struct world w;
    world_open(&w, 8 * MIB, 960, 1);
    char key[32];
    uint64_t most = 0;
    for (unsigned i = 0; i < 60000; i++) {
        key_of(key, i);
        cr_assert(world_store(&w, key, i, 10));
        world_poll(&w);
        uint64_t taken = WORLD_SUM(&w, cache_overflow_buckets);
        most = taken > most ? taken : most;
    }
    cr_assert_geq(most, 20);
    cr_assert_leq(WORLD_SUM(&w, cache_displaced_total), 600, "1 %%");
    cr_assert_eq(walk_all(&w), WORLD_SUM(&w, cache_objects));
    for (unsigned i = 0; i < 60000; i++) {
        key_of(key, i);
        const struct cache_object *o = world_find(&w, key);
        if (o)
            cache_unlink(w.c, o);
    }
    cr_assert_eq(walk_all(&w), 0, "nothing in those that have left and are not back");
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_overflow_buckets), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_objects), 0);
    world_close(&w);
}

/* A reader in a bucket that has left the chain goes on to the end of it. */
Test(index, an_overflow_bucket_waits_for_its_readers)
{
    struct world w;
    world_open(&w, 8 * MIB, 960, 2);
    char key[32];
    unsigned i = 0;
    uint64_t taken;
    for (; (taken = WORLD_SUM(&w, cache_overflow_buckets)) == 0; i++) {
        key_of(key, i);
        cr_assert(world_store(&w, key, i, 10));
    }
    world_settle(&w);
    struct hash128 h = cache_hash(w.c, key, strlen(key));
    unsigned owner = cache_owner(w.c, h);
    cr_assert(cache_unlink(w.c, world_find(&w, key)));
    for (unsigned k = 0; k < 10; k++) {
        cache_reclaim(w.c, owner, w.now);
        rte_rcu_qsbr_quiescent(w.qsbr, owner);
    }
    cr_assert_eq(WORLD_SUM(&w, cache_overflow_buckets), 1, "the other one has not been quiescent");
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_overflow_buckets), 0);
    world_close(&w);
}

Test(index, refuses_when_every_object_is_held)
{
    struct world w;
    world_open(&w, 4 * MIB, 16, 1);
    struct cache_object *o[16];
    for (unsigned i = 0; i < 16; i++) {
        char key[32];
        key_of(key, i);
        cr_assert(o[i] = world_begin(&w, key, -1));
    }
    cr_assert_null(world_begin(&w, "one more", -1));
    cr_assert_eq(WORLD_SUM(&w, cache_no_object_total), 1);
    cache_fail(w.c, o[3]);
    cache_unpin(o[3], 0);
    cr_assert_null(world_begin(&w, "too early", -1));
    world_settle(&w);
    cr_assert(o[3] = world_begin(&w, "in its place", -1));
    world_close(&w);
}

Test(index, bad_configurations_are_refused)
{
    uint8_t *memory = world_aligned(2 * MIB, 2 * MIB);
    struct world w;
    world_open(&w, 2 * MIB, 64, 1);
    struct cache_config good = {
        .memory = memory, .bytes = 1 << 20, .objects = 64, .workers = 1, .qsbr = w.qsbr};
    struct cache_config bad = good;
    bad.workers = 0;
    cr_assert_null(cache_create(&bad));
    bad.workers = CACHE_WORKERS + 1;
    cr_assert_null(cache_create(&bad));
    bad = good;
    bad.bytes = 4096;
    cr_assert_null(cache_create(&bad));
    bad = good;
    bad.memory = memory + 4096;
    cr_assert_null(cache_create(&bad));
    bad = good;
    bad.objects = 0;
    cr_assert_null(cache_create(&bad));
    struct cache *c = cache_create(&good);
    cr_assert(c);
    cr_assert_eq(cache_region(&bad), 0);
    cache_destroy(c);
    free(memory);
    world_close(&w);
}
