/* SPDX-License-Identifier: BSD-3-Clause */
/* What readers alone keep: counted, bounded by a budget, the oldest asked for first. */
#include <criterion/criterion.h>

#include "world.h"

#define SIZE  16384u
#define BYTES (4 * MIB)

static struct world w;
static const struct cache_object *held[256];
static unsigned n;

/* Stores, pins, purges: memory that a reader alone keeps. */
static const struct cache_object *retire_pinned(void)
{
    char key[32];
    snprintf(key, sizeof(key), "k%u", n);
    struct cache_object *o = world_store(&w, key, n, SIZE);
    cr_assert(o);
    cache_pin(o, 0);
    held[n++] = o;
    cr_assert(cache_linked(w.c, o));
    cr_assert(cache_unlink(w.c, o));
    cr_assert(!cache_linked(w.c, o));
    world_settle(&w);
    return o;
}

static void let_go(unsigned i)
{
    cache_unpin(held[i], 0);
    world_settle(&w);
}

static uint64_t draining(void)
{
    return WORLD_SUM(&w, cache_draining_bytes);
}

static void open_world(void)
{
    n = 0;
    world_open(&w, BYTES, 4000, 1);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(drain, .init = open_world, .fini = close_world);

Test(drain, is_counted_until_it_is_free)
{
    retire_pinned();
    retire_pinned();
    cr_assert_eq(draining(), 2 * SIZE);
    let_go(1); /* the last of the list */
    cr_assert_eq(draining(), SIZE);
    retire_pinned();
    retire_pinned();
    let_go(0);
    let_go(3);
    let_go(2);
    cr_assert_eq(draining(), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_retired_objects), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), 0);
}

Test(drain, within_the_budget_nobody_is_asked)
{
    while (draining() + SIZE <= BYTES / 20)
        retire_pinned();
    cr_assert_gt(n, 10);
    cr_assert_null(cache_overdrawn(w.c, 0, w.now));
    const struct cache_object *oldest = held[0];
    retire_pinned();
    cr_assert_eq(cache_overdrawn(w.c, 0, w.now), oldest);
    cr_assert_null(cache_overdrawn(w.c, 0, w.now), "enough is asked for");
}

Test(drain, the_oldest_are_asked_for_as_many_as_it_takes_and_again_when_they_stay)
{
    while (draining() <= BYTES / 20 + 9 * SIZE)
        retire_pinned();
    unsigned over = (unsigned)((draining() - BYTES / 20 + SIZE - 1) / SIZE);
    for (unsigned i = 0; i < over; i++)
        cr_assert_eq(cache_overdrawn(w.c, 0, w.now), held[i]);
    cr_assert_null(cache_overdrawn(w.c, 0, w.now));
    let_go(0);
    let_go(2);        /* behind the hand, */
    let_go(over - 1); /* and under it */
    w.now.mono_us += 1900000;
    cr_assert_null(cache_overdrawn(w.c, 0, w.now), "they have two seconds");
    w.now.mono_us += 200000;
    for (unsigned i = 0; i < over - 3; i++)
        cr_assert_eq(cache_overdrawn(w.c, 0, w.now), held[over + i]);
    /* all the others go; those two that did not are asked for again when their turn comes */
    cr_assert_null(cache_overdrawn(w.c, 0, w.now));
    for (unsigned i = 3; i < n; i++)
        if (i != over - 1)
            let_go(i);
    let_go(1);
    cr_assert_eq(draining(), 0);
    w.now.mono_us += 5000000;
    cr_assert_null(cache_overdrawn(w.c, 0, w.now));
}

Test(drain, who_never_lets_go_does_not_shield_the_others)
{
    while (draining() <= BYTES / 20 + 4 * SIZE)
        retire_pinned();
    bool asked[256] = {false};
    for (unsigned round = 0; round < 40; round++) {
        const struct cache_object *o;
        while ((o = cache_overdrawn(w.c, 0, w.now)))
            for (unsigned i = 0; i < n; i++)
                asked[i] |= held[i] == o;
        w.now.mono_us += 2000001;
    }
    for (unsigned i = 0; i < n; i++)
        cr_assert(asked[i], "object %u of %u", i, n);
}

Test(drain, a_body_that_lives_on_elsewhere_is_not_asked_for)
{
    struct cache_object *old = world_store(&w, "old", 1, SIZE);
    cache_pin(old, 0);
    struct cache_object *heir = cache_refresh(w.c, old, cache_meta(old), "x", 1, w.now);
    cr_assert(heir);
    while (draining() <= BYTES / 20)
        retire_pinned();
    cr_assert_eq(cache_overdrawn(w.c, 0, w.now), held[0]);
    /* with the heir gone it is what keeps the body */
    cr_assert(cache_unlink(w.c, heir));
    world_settle(&w);
    uint64_t with = draining();
    cache_unpin(old, 0);
    world_settle(&w);
    cr_assert_eq(draining(), with - SIZE);
}

/* A body that still fills is charged when it has come to its end. */
Test(drain, what_fills_is_its_fill_s)
{
    struct cache_object *o = world_begin(&w, "fills", 2 * SIZE);
    uint8_t *body = world_body(1, 2 * SIZE);
    cache_link(w.c, o);
    cr_assert_eq(cache_append(w.c, o, body, SIZE), SIZE);
    cache_unlink(w.c, o);
    world_settle(&w);
    cr_assert_eq(draining(), 0);
    cr_assert_eq(cache_append(w.c, o, body, SIZE), SIZE);
    cr_assert(cache_complete(w.c, o));
    world_settle(&w);
    cr_assert_eq(draining(), 2 * SIZE + 64); /* and its map */
    cache_unpin(o, 0);
    world_settle(&w);
    cr_assert_eq(draining(), 0);
    free(body);
}
