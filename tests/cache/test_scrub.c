/* SPDX-License-Identifier: BSD-3-Clause */
/* The scrub: finds a flipped bit within the hour, wherever it is, and nothing where there is none.
 */
#include <criterion/criterion.h>

#include "world.h"

static struct world w;
static unsigned told;
static char told_key[64];

static void on_damage(void *ctx, const struct cache_object *o, const char *key, size_t key_len)
{
    (void)ctx;
    cr_assert_eq(cache_lookup_owner(w.c, cache_hash(w.c, key, key_len), key, key_len), o);
    snprintf(told_key, sizeof(told_key), "%.*s", (int)key_len, key);
    told++;
}

static void open_world(size_t bytes, unsigned workers)
{
    world_open(&w, bytes, 200, workers);
    for (unsigned i = 0; i < workers; i++)
        cache_on_damage(w.c, i, on_damage, NULL);
    told = 0;
}

static void flip(const struct cache_object *o, uint64_t at)
{
    *(uint8_t *)(uintptr_t)cache_bytes(o, at).data ^= 0x40;
}

Test(scrub, sees_every_byte_once_in_an_hour)
{
    open_world(32 * MIB, 2);
    uint64_t sum = 0;
    for (unsigned i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%u", i);
        size_t len = i % 4 ? i * 1111 : i * 20000; /* none, tails, maps */
        cr_assert_not_null(world_store(&w, key, i, len));
        sum += len;
    }
    world_scrub(&w); /* their hands are at the first object then */
    uint64_t before = WORLD_SUM(&w, cache_scrubbed_bytes_total), last = before, most = 0;
    uint64_t began = w.now.mono_us, end = WORLD_SUM(&w, cache_scrub_rounds_total) + 2;
    while (WORLD_SUM(&w, cache_scrub_rounds_total) < end) {
        w.now.mono_us += 10000;
        for (unsigned i = 0; i < 2; i++) {
            if (counter_read(&cache_counters(w.c, i)->cache_scrub_rounds_total) < end / 2)
                cache_scrub(w.c, i, w.now);
        }
        uint64_t bytes = WORLD_SUM(&w, cache_scrubbed_bytes_total);
        most = bytes - last > most ? bytes - last : most;
        last = bytes;
    }
    uint64_t took_s = (w.now.mono_us - began) / 1000000;
    cr_assert_eq(last - before, sum);
    cr_assert(took_s > 1800 && took_s <= 3600, "%lu s", took_s);
    cr_assert_leq(most, 2 * 16 * 4096); /* a step of each */
    cr_assert_eq(told, 0);
    world_close(&w);
}

Test(scrub, finds_a_flipped_bit_and_drops_that_object_alone)
{
    const size_t len = 5 * MIB + 77; /* inline chunks, map, leaf, tail in lines */
    const uint64_t at[] = {0, 4095, 16384, 3 * MIB, 5 * MIB + 76};
    for (unsigned i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        open_world(32 * MIB, 1);
        world_store(&w, "before", 1, 10000);
        struct cache_object *o = world_store(&w, "damaged", 2, len);
        world_store(&w, "after", 3, 10000);
        cache_pin(o, 0); /* somebody reads it */
        flip(o, at[i]);
        world_scrub(&w);
        cr_assert_eq(told, 1, "at %lu", at[i]);
        cr_assert_str_eq(told_key, "damaged");
        cr_assert_eq(WORLD_SUM(&w, cache_damaged_total), 1);
        cr_assert_null(world_find(&w, "damaged"));
        cr_assert_eq(cache_state(o), CACHE_FAILED);
        cr_assert(world_body_right(world_find(&w, "before"), 1, 10000));
        cr_assert(world_body_right(world_find(&w, "after"), 3, 10000));
        cache_unpin(o, 0);
        world_settle(&w);
        cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 2);
        cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), 5);      /* their tails share one */
        cr_assert_not_null(world_store(&w, "damaged", 4, len)); /* fetched again */
        world_scrub(&w);
        cr_assert_eq(told, 1);
        cr_assert(world_body_right(world_find(&w, "damaged"), 4, len));
        world_close(&w);
    }
}

Test(scrub, leaves_alone_what_still_fills)
{
    open_world(8 * MIB, 1);
    struct cache_object *o = world_begin(&w, "fills", 40000);
    uint8_t *body = world_body(6, 40000);
    cache_append(w.c, o, body, 5000);
    size_t n = 4096;
    uint8_t *ahead = cache_place(w.c, o, 20000, &n); /* chunks taken that nobody has written */
    cr_assert_not_null(ahead);
    cache_link(w.c, o);
    world_scrub(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_scrubbed_bytes_total), 0);
    cr_assert_eq(told, 0);
    cr_assert_eq(cache_append(w.c, o, body + 5000, 35000), 35000);
    cr_assert(cache_complete(w.c, o));
    world_scrub(&w);
    cr_assert_geq(WORLD_SUM(&w, cache_scrubbed_bytes_total), 40000);
    cr_assert_eq(told, 0);
    cache_unpin(o, 0);
    free(body);
    world_close(&w);
}

/* Where in the table the hand is, nobody outside can say: so at every step of a round something
 * else happens to one of the objects, often to the one under it. */
Test(scrub, goes_on_when_the_object_under_its_hand_goes)
{
    open_world(16 * MIB, 1);
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%u", i);
        world_store(&w, key, i, 300000);
    }
    for (unsigned step = 0; step < 2000; step++) {
        char key[16];
        snprintf(key, sizeof(key), "%u", rng_below(&w.rng, 20));
        const struct cache_object *o = world_find(&w, key);
        uint32_t what = rng_below(&w.rng, 3);
        if (!o)
            world_store(&w, key, step, rng_below(&w.rng, 300000));
        else if (what == 0)
            cache_refresh(w.c, (struct cache_object *)(uintptr_t)o, cache_meta(o), "h", 1, w.now);
        else
            cache_unlink(w.c, o);
        w.now.mono_us = cache_scrub_deadline_us(w.c, 0) + 1;
        cache_scrub(w.c, 0, w.now);
        world_poll(&w);
        world_poll(&w);
    }
    cr_assert_eq(told, 0);
    cr_assert_gt(WORLD_SUM(&w, cache_refreshed_total), 50);
    cr_assert_gt(WORLD_SUM(&w, cache_scrub_rounds_total), 5);
    world_close(&w);
}

Test(scrub, a_refreshed_body_is_its_heirs)
{
    open_world(8 * MIB, 1);
    struct cache_object *old = world_store(&w, "k", 1, 50000);
    cache_pin(old, 0); /* holds the first object beyond the refresh */
    struct cache_object *heir = cache_refresh(w.c, old, cache_meta(old), "h", 1, w.now);
    cr_assert_not_null(heir);
    flip(heir, 40000);
    world_scrub(&w);
    cr_assert_eq(told, 1);
    cr_assert_null(world_find(&w, "k"));
    cache_unpin(old, 0);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), 0);
    world_close(&w);
}

Test(scrub, damage_is_told_once_and_of_what_is_in_the_index)
{
    open_world(8 * MIB, 1);
    struct cache_object *o = world_store(&w, "k", 1, 5000);
    cache_pin(o, 0);
    cr_assert(cache_damaged(w.c, o));
    cr_assert(!cache_damaged(w.c, o));
    cr_assert_eq(told, 1);
    cache_unpin(o, 0);
    struct cache_object *fills = world_begin(&w, "fills", -1);
    cr_assert(!cache_damaged(w.c, fills));
    cache_link(w.c, fills);
    cr_assert(cache_damaged(w.c, fills)); /* who fills it goes on; nobody finds it any more */
    cr_assert_eq(cache_state(fills), CACHE_FILLING);
    cr_assert_null(world_find(&w, "fills"));
    cr_assert(cache_complete(w.c, fills));
    cache_unpin(fills, 0);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    world_close(&w);
}
