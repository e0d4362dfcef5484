/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "world.h"

static void nothing_is_left(struct world *w, const char *of, size_t size)
{
    cr_assert_eq(WORLD_SUM(w, cache_chunks_used), 0, "%s of %zu leaks", of, size);
    cr_assert_eq(WORLD_SUM(w, cache_cell_chunks), 0, "%s of %zu", of, size);
    cr_assert_eq(WORLD_SUM(w, cache_cell_bytes), 0, "%s of %zu", of, size);
    cr_assert_eq(WORLD_SUM(w, cache_body_bytes), 0, "%s of %zu", of, size);
}

/* A run of lines holds up to 4092 bytes and their CRC; of 4 chunks and more there is a map, in
 * cells up to 516. */
static void sizes_are_read_back(bool known)
{
    static const size_t border[] = {0,
                                    1,
                                    60,
                                    64,
                                    124,
                                    2048,
                                    4092,
                                    4032,
                                    4096,
                                    4096 + 60,
                                    4096 + 4092,
                                    2 * 4096,
                                    4 * 4096,
                                    4 * 4096 + 4092,
                                    5 * 4096,
                                    16 * 4096,
                                    (4 + 16) * 4096,
                                    (4 + 512) * 4096,
                                    (4 + 512 + 1) * 4096,
                                    (4 + 512 + 1024) * 4096};
    struct world w;
    world_open(&w, 32 * MIB, 1000, 1);
    for (size_t i = 0; i < sizeof(border) / sizeof(border[0]); i++) {
        for (int d = -1; d <= 1; d++) {
            if (border[i] == 0 && d < 0)
                continue;
            size_t len = border[i] + (size_t)d;
            char key[32];
            snprintf(key, sizeof(key), "http://a/%zu", len);
            struct cache_object *o = world_store_as(&w, key, len, len, known ? (int64_t)len : -1);
            cr_assert(o, "size %zu", len);
            cr_assert_eq(cache_length(o), (int64_t)len);
            cr_assert(world_body_right(o, len, len), "size %zu", len);
            cr_assert_eq(world_find(&w, key), o);
            cr_assert_eq(WORLD_SUM(&w, cache_body_bytes), len);
            uint64_t lines = WORLD_SUM(&w, cache_cell_bytes);
            if (!known)
                cr_assert_eq(lines, 0, "it could not know");
            else if (len <= 4 * 4096)
                cr_assert_eq(lines,
                             len % 4096 && len % 4096 <= 4092 ? (len % 4096 + 4 + 63) / 64 * 64 : 0,
                             "size %zu", len);
            /* made fresh, it has the same body under another object */
            o = cache_refresh(w.c, o, cache_meta(o), "h", 1, w.now);
            cr_assert(o);
            world_settle(&w);
            cr_assert(world_body_right(o, len, len), "size %zu, refreshed", len);
            cr_assert_eq(WORLD_SUM(&w, cache_cell_bytes), lines);
            cr_assert(cache_unlink(w.c, o));
            world_settle(&w);
            nothing_is_left(&w, "size", len);
        }
    }
    world_close(&w);
}

Test(body, is_read_back_at_all_sizes_around_borders)
{
    sizes_are_read_back(true);
}

Test(body, of_unknown_length_is_read_back_too)
{
    sizes_are_read_back(false);
}

/* Of one whose length was not known what it does not need comes back, though one who reads it has
 * it still; then it takes as much as if it had been known. */
Test(body, of_unknown_length_gives_back_what_it_does_not_need)
{
    static const size_t size[] = {
        0,    1,        60,           61,       4092,  4093,       4096,
        5000, 4 * 4096, 4 * 4096 + 1, 5 * 4096, 70000, 516 * 4096, 516 * 4096 + 1};
    struct world w;
    world_open(&w, 32 * MIB, 1000, 1);
    for (size_t i = 0; i < sizeof(size) / sizeof(size[0]); i++) {
        size_t len = size[i];
        struct cache_object *known = world_store(&w, "known", len, len);
        uint64_t chunks = WORLD_SUM(&w, cache_chunks_used), lines = WORLD_SUM(&w, cache_cell_bytes);
        cache_unlink(w.c, known);
        world_settle(&w);
        struct cache_object *o = world_store_as(&w, "later", len, len, -1);
        uint64_t settled = WORLD_SUM(&w, cache_settled_total);
        cache_pin(o, 0);
        const struct cache_object *heir = cache_settle(w.c, o);
        cr_assert(heir && world_find(&w, "later") == heir, "size %zu", len);
        cr_assert_eq(heir != o, WORLD_SUM(&w, cache_settled_total) > settled);
        cr_assert_eq(cache_settle(w.c, (struct cache_object *)(uintptr_t)heir), heir, "once");
        world_settle(&w);
        cr_assert(world_body_right(o, len, len), "size %zu, who reads it", len);
        cr_assert(world_body_right(heir, len, len), "size %zu", len);
        if (heir != o)
            cr_assert_gt(WORLD_SUM(&w, cache_chunks_used), chunks, "size %zu", len);
        cache_unpin(o, 0);
        world_settle(&w);
        cr_assert(world_body_right(heir, len, len), "size %zu, alone", len);
        if (len <= 516 * 4096) {
            cr_assert_eq(WORLD_SUM(&w, cache_chunks_used), chunks, "size %zu", len);
            cr_assert_eq(WORLD_SUM(&w, cache_cell_bytes), lines, "size %zu", len);
        }
        heir = cache_refresh(w.c, (struct cache_object *)(uintptr_t)heir, cache_meta(heir), "h", 1,
                             w.now);
        cr_assert(world_body_right(heir, len, len), "size %zu, refreshed", len);
        cr_assert(cache_unlink(w.c, heir));
        world_settle(&w);
        nothing_is_left(&w, "size", len);
    }
    struct cache_object *o = world_store_as(&w, "gone", 1, 100, -1);
    cr_assert(cache_unlink(w.c, o));
    cr_assert_null(cache_settle(w.c, o));
    world_close(&w);
}

/* With no lines to be had the chunks stay, and all is right. */
Test(body, of_unknown_length_stays_where_it_is_when_memory_is_short)
{
    struct world w;
    world_open(&w, 4 * MIB, 1000, 1);
    struct cache_object *o = world_store_as(&w, "later", 1, 10000, -1), *all[800];
    unsigned n = 0;
    for (; n < 800; n++) { /* fills are not evicted */
        char key[32];
        snprintf(key, sizeof(key), "http://fills/%u", n);
        all[n] = world_begin(&w, key, -1);
        uint8_t *body = all[n] ? world_body(n, 8192) : NULL;
        size_t done = body ? cache_append(w.c, all[n], body, 8192) : 0;
        free(body);
        if (done < 8192)
            break;
    }
    cr_assert_lt(n, 800, "it is full");
    const struct cache_object *now = world_find(&w, "later");
    if (now) { /* else it was evicted meanwhile */
        const struct cache_object *heir = cache_settle(w.c, o);
        cr_assert(!heir || world_body_right(heir, 1, 10000));
    }
    for (unsigned i = 0; i <= n && i < 800; i++)
        if (all[i]) {
            cache_fail(w.c, all[i]);
            cache_unpin(all[i], 0);
        }
    world_close(&w);
}

Test(body, small_ones_share_chunks_and_keep_them_full)
{
    static struct cache_object *o[3000];
    static size_t len[3000];
    struct world w;
    char key[32];
    world_open(&w, 16 * MIB, 4000, 1);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned i = rng_below(&w.rng, 3000);
        if (o[i]) {
            cr_assert(world_body_right(o[i], i, len[i]), "seed %u", WORLD_SEED);
            cache_unlink(w.c, o[i]);
            world_poll(&w);
        }
        len[i] = 1 + rng_below(&w.rng, rng_below(&w.rng, 2) ? 300 : 4000);
        snprintf(key, sizeof(key), "%u", i);
        o[i] = world_store(&w, key, i, len[i]);
        cr_assert(o[i]);
    }
    world_settle(&w);
    double held = (double)WORLD_SUM(&w, cache_body_bytes);
    double useful = held / (4096.0 * (double)WORLD_SUM(&w, cache_chunks_used));
    /* the worst of mixes: of tails of all lengths two hardly share a chunk, and what is as small as
     * the rest fills few gaps */
    cr_assert_gt(useful, 0.85, "%.3f, seed %u", useful, WORLD_SEED);
    for (unsigned i = 0; i < 3000; i++) {
        if (!o[i])
            continue;
        cr_assert(world_body_right(o[i], i, len[i]), "seed %u", WORLD_SEED);
        cache_unlink(w.c, o[i]);
        world_poll(&w);
    }
    world_settle(&w);
    nothing_is_left(&w, "all", 3000);
    cr_assert_eq(w.evicted, 0);
    world_close(&w);
}

Test(body, data_of_each_chunk_is_aligned_for_the_nic)
{
    struct world w;
    world_open(&w, 2 * MIB, 100, 1);
    struct cache_object *o = world_store(&w, "k", 1, 20000);
    for (uint64_t at = 0; at + 4096 <= 20000; at += 4096)
        cr_assert_eq((uintptr_t)cache_bytes(o, at).data % 4096, 0);
    cr_assert_eq((uintptr_t)cache_bytes(o, 16384).data % 64, 0, "a tail to a line");
    world_close(&w);
}

Test(body, gives_spans_at_random_offsets)
{
    struct world w;
    world_open(&w, 32 * MIB, 100, 1);
    const size_t len = 9 * MIB + 17;
    struct cache_object *o = world_store(&w, "big", 5, len);
    cr_assert(o);
    for (int i = 0; i < 20000; i++) {
        uint64_t at = rng_below(&w.rng, (uint32_t)len);
        struct cache_span s = cache_bytes(o, at);
        uint64_t room = 4096 - at % 4096, left = len - at;
        cr_assert_eq(s.len, room < left ? room : left, "seed %u, offset %lu", WORLD_SEED, at);
        cr_assert_eq(s.data[0], world_byte(5, at));
        cr_assert_eq(s.data[s.len - 1], world_byte(5, at + s.len - 1));
    }
    world_close(&w);
}

Test(body, grows_under_a_second_reader)
{
    struct world w;
    world_open(&w, 16 * MIB, 100, 2);
    struct cache_object *o = world_begin(&w, "grows", -1);
    cache_link(w.c, o);
    const size_t len = 3 * MIB + 100;
    uint8_t *body = world_body(9, len);
    const struct cache_object *r = world_find(&w, "grows");
    cr_assert_eq(r, o);
    cache_pin(r, 1);
    for (size_t done = 0, at = 0; done < len;) {
        size_t n = 1 + rng_below(&w.rng, 20000);
        if (n > len - done)
            n = len - done;
        cr_assert_eq(cache_append(w.c, o, body + done, n), n);
        done += n;
        world_poll(&w);
        cr_assert_eq(cache_state(r), CACHE_FILLING);
        cr_assert_eq(cache_length(r), -1);
        cr_assert_eq(cache_ready(r), done);
        bool damaged;
        /* a peer gets whole chunks only */
        cr_assert_eq(cache_bytes_verified(r, done - 1, &damaged).len, done % 4096 ? 0 : 1);
        while (at < done) {
            struct cache_span s = cache_bytes(r, at);
            cr_assert_gt(s.len, 0);
            cr_assert_eq(memcmp(s.data, body + at, s.len), 0, "seed %u", WORLD_SEED);
            at += s.len;
        }
    }
    cr_assert(cache_complete(w.c, o));
    cr_assert_eq(cache_length(r), (int64_t)len);
    cr_assert(world_body_right(r, 9, len));
    cache_unpin(r, 1);
    cache_unpin(o, 0);
    free(body);
    world_close(&w);
}

Test(body, damage_is_seen_before_a_peer_gets_it)
{
    struct world w;
    world_open(&w, 2 * MIB, 100, 1);
    struct cache_object *o = world_store(&w, "k", 3, 3 * 4096 + 5);
    for (uint64_t at = 0; at < 3 * 4096 + 5; at += 1365) {
        bool damaged;
        struct cache_span s = cache_bytes(o, at);
        uint8_t *byte = w.memory + (s.data - w.memory);
        *byte ^= 0x10;
        cr_assert_eq(cache_bytes_verified(o, at, &damaged).len, 0);
        cr_assert(damaged);
        *byte ^= 0x10;
        cr_assert_eq(cache_bytes_verified(o, at, &damaged).len, s.len);
        cr_assert(!damaged);
    }
    world_close(&w);
}

Test(body, of_the_wrong_length_fails)
{
    struct world w;
    world_open(&w, 2 * MIB, 100, 1);
    struct cache_object *o = world_begin(&w, "short", 10);
    cache_link(w.c, o);
    cr_assert_eq(cache_append(w.c, o, "123456789", 9), 9);
    cr_assert_not(cache_complete(w.c, o));
    cr_assert_eq(cache_state(o), CACHE_FAILED);
    cr_assert_null(world_find(&w, "short"));
    cache_unpin(o, 0);

    o = world_begin(&w, "long", 10);
    cache_link(w.c, o);
    cr_assert_eq(cache_append(w.c, o, "12345678901", 11), 0);
    cr_assert_eq(cache_state(o), CACHE_FAILED);
    cr_assert_null(world_find(&w, "long"));
    cr_assert_not(cache_complete(w.c, o));
    cache_unpin(o, 0);
    world_settle(&w);
    cr_assert_eq(WORLD_SUM(&w, cache_length_wrong_total), 2);
    cr_assert_eq(WORLD_SUM(&w, cache_held_objects), 0);
    cr_assert_eq(WORLD_SUM(&w, cache_heap_bytes), 0);
    world_close(&w);
}

Test(body, over_the_limit_is_not_stored)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    uint64_t limit = cache_object_limit(w.c);
    cr_assert_eq(limit, 2 * MIB);
    cr_assert_null(world_begin(&w, "announced", (int64_t)limit + 1));
    struct cache_object *o = world_begin(&w, "found out", -1);
    uint8_t *body = world_body(1, limit + 1);
    cr_assert_eq(cache_append(w.c, o, body, limit + 1), limit);
    cr_assert_eq(cache_append(w.c, o, body, 1), 0);
    cache_fail(w.c, o);
    cache_unpin(o, 0);
    free(body);
    world_close(&w);
}

/* Pieces of a body in any order, each written to its place and, when its turn has come, appended
 * from there or, now and then, from elsewhere. Reads nothing that is not there. */
static void fill_placed(struct world *w, struct cache_object *o, const uint8_t *body, size_t len,
                        size_t until)
{
    const size_t piece = 1448;
    size_t pieces = (len + piece - 1) / piece;
    bool *here = calloc(pieces, sizeof(*here));
    for (size_t done = 0; done < until;) {
        size_t k = done / piece + rng_below(&w->rng, 40);
        if (k < pieces && k * piece >= done && !here[k]) {
            size_t at = k * piece, end = at + piece < len ? at + piece : len;
            here[k] = true;
            while (at < end) {
                size_t n = end - at;
                uint8_t *to = cache_place(w->c, o, at - done, &n);
                if (!to) {
                    here[k] = false;
                    break;
                }
                cr_assert(n > 0 && n <= end - at && (uintptr_t)to % 4096 + n <= 4096);
                memcpy(to, body + at, n);
                at += n;
            }
            cr_assert_eq(cache_ready(o), done, "no reader sees it");
        }
        k = done / piece;
        if (rng_below(&w->rng, 4) == 0) { /* in order, from a packet */
            size_t n = 1 + rng_below(&w->rng, 3000);
            n = n < len - done ? n : len - done;
            done += cache_append(w->c, o, body + done, n);
        } else if (here[k]) {
            size_t n = (k + 1) * piece - done;
            const uint8_t *from = cache_place(w->c, o, 0, &n);
            cr_assert(from);
            done += cache_append(w->c, o, from, n);
        }
    }
    free(here);
}

Test(body, is_the_same_when_its_bytes_lie_in_their_place_before_their_turn)
{
    const size_t border[] = {1, 4096, 5 * 4096 + 1, (4 + 512) * 4096 + 9,
                             (4 + 512 + 1024) * 4096 + 70000};
    struct world w;
    world_open(&w, 32 * MIB, 1000, 1);
    for (size_t i = 0; i < sizeof(border) / sizeof(border[0]); i++) {
        size_t len = border[i];
        uint8_t *body = world_body(i, len);
        struct cache_object *o = world_begin(&w, "k", (int64_t)len);
        cr_assert(o);
        cache_link(w.c, o);
        fill_placed(&w, o, body, len, len);
        cr_assert(cache_complete(w.c, o));
        cr_assert(world_body_right(o, i, len), "size %zu", len);
        cache_unlink(w.c, o);
        cache_unpin(o, 0);
        world_settle(&w);
        nothing_is_left(&w, "size", len);
        free(body);
    }
    cr_assert_gt(WORLD_SUM(&w, cache_placed_bytes_total), 4 * MIB);
    cr_assert_lt(WORLD_SUM(&w, cache_placed_bytes_total), WORLD_SUM(&w, cache_bytes_total));
    world_close(&w);
}

/* Given up at any point, by each way: what is ahead of the last byte is freed too. */
Test(body, gives_back_what_is_ahead_when_the_fill_dies)
{
    const size_t len = (4 + 512) * 4096 + 300000;
    struct world w;
    world_open(&w, 32 * MIB, 1000, 1);
    uint8_t *body = world_body(1, len);
    const size_t start[] = {0, 3 * 4096, 510 * 4096, len - 200000};
    for (unsigned i = 0; i < 100; i++) {
        struct cache_object *o = world_begin(&w, "k", (int64_t)len);
        cr_assert(o);
        size_t until = start[i % 4] + rng_below(&w.rng, 150000);
        if (i % 3)
            cache_link(w.c, o);
        fill_placed(&w, o, body, len, until);
        size_t n = 1000, far = 200000 + rng_below(&w.rng, 200000);
        (void)cache_place(w.c, o, far, &n);
        if (i % 5 == 0)
            cache_unlink(w.c, o); /* purged first */
        cache_fail(w.c, o);
        n = 1000;
        cr_assert_null(cache_place(w.c, o, 0, &n), "a failed object takes nothing");
        cache_unpin(o, 0);
        world_settle(&w);
        nothing_is_left(&w, "round", i);
    }
    free(body);
    world_close(&w);
}

/* What fills stays: more of it than there is room for would come to no end. */
Test(body, begins_where_there_is_room_for_all_of_it)
{
    struct world w;
    world_open(&w, 2 * MIB, 100, 1);
    int64_t limit = (int64_t)cache_object_limit(w.c), half = limit / 2;
    struct cache_object *o = world_begin(&w, "large", limit), *p, *q;
    cr_assert(o);
    cr_assert_null(world_begin(&w, "another", limit));
    cr_assert_eq(WORLD_SUM(&w, cache_crowded_total), 1);
    cr_assert((p = world_begin(&w, "half of that", half)));
    cr_assert_null(world_begin(&w, "two thirds", limit / 3 * 2));
    cr_assert((q = world_begin(&w, "small", 4000)));
    cache_fail(w.c, o); /* of what has failed nothing more comes */
    cache_unpin(o, 0);
    cr_assert((o = world_begin(&w, "two thirds", limit / 3 * 2)));
    cache_unlink(w.c, o); /* given up before its end */
    cache_unpin(o, 0);
    world_settle(&w);
    for (int64_t at = 0; at < half; at += 4096) {
        uint8_t byte[4096] = {0};
        size_t n = half - at < 4096 ? (size_t)(half - at) : 4096;
        cr_assert_eq(cache_append(w.c, p, byte, n), n);
    }
    cr_assert_null(world_begin(&w, "large", limit));
    cr_assert(cache_complete(w.c, p)); /* what is whole may go */
    cr_assert((o = world_begin(&w, "large", limit)));
    cache_fail(w.c, o);
    cache_fail(w.c, q);
    cache_unlink(w.c, p);
    cache_unpin(o, 0);
    cache_unpin(p, 0);
    cache_unpin(q, 0);
    world_settle(&w);
    cr_assert((o = world_begin(&w, "large", limit)), "nothing is promised any more");
    cache_fail(w.c, o);
    cache_unpin(o, 0);
    world_settle(&w);
    world_close(&w);
}

static void append_chunks(struct world *w, struct cache_object *o, uint64_t n)
{
    uint8_t byte[4096] = {0};
    while (n-- > 0)
        cr_assert_eq(cache_append(w->c, o, byte, 4096), 4096);
}

/* As much again as has come of it may come: who begins beside it is told so before its first byte,
 * and not broken off in the middle. */
Test(body, of_an_unknown_length_is_promised_more_as_it_grows)
{
    struct world w;
    world_open(&w, 2 * MIB, 100, 1);
    uint64_t limit = cache_object_limit(w.c) / 4096;
    struct cache_object *o = world_begin(&w, "grows", -1), *p, *q;
    cr_assert((p = world_begin(&w, "a third", (int64_t)limit * 4096 / 3)), "little is promised");
    cache_fail(w.c, p);
    cache_unpin(p, 0);
    cr_assert((p = world_begin(&w, "also", -1)));
    append_chunks(&w, o, limit * 7 / 10);
    cr_assert_null(world_begin(&w, "a third", (int64_t)limit * 4096 / 3));
    cr_assert((q = world_begin(&w, "nor this", -1)), "a few chunks");
    cache_fail(w.c, q);
    cache_unpin(q, 0);
    append_chunks(&w, p, limit / 4);
    cr_assert_null(world_begin(&w, "nor this", -1), "none is left");
    cr_assert_eq(WORLD_SUM(&w, cache_crowded_total), 2);
    cr_assert((q = world_begin(&w, "small", 4000)));
    cache_fail(w.c, q);
    cache_unpin(q, 0);
    cr_assert(cache_complete(w.c, o));
    cache_unlink(w.c, p); /* given up before its end */
    cache_unpin(o, 0);
    cache_unpin(p, 0);
    world_settle(&w);
    cr_assert((q = world_begin(&w, "large", (int64_t)limit * 4096)));
    cache_fail(w.c, q);
    cache_unpin(q, 0);
    cr_assert((q = world_begin(&w, "unknown", -1)), "nothing is promised any more");
    cache_fail(w.c, q);
    cache_unpin(q, 0);
    world_settle(&w);
    world_close(&w);
}

Test(body, has_no_place_that_it_cannot_promise)
{
    struct world w;
    world_open(&w, 2 * MIB, 100, 1);
    size_t n = 10;
    struct cache_object *o = world_begin(&w, "unknown", -1);
    cr_assert_null(cache_place(w.c, o, 0, &n));
    cache_unpin(o, 0);
    o = world_begin(&w, "k", 100);
    cr_assert(cache_place(w.c, o, 95, &n));
    cr_assert_eq(n, 5, "up to its length");
    cr_assert_null(cache_place(w.c, o, 100, &n));
    cr_assert_null(cache_place(w.c, o, UINT64_MAX, &n));
    cache_unpin(o, 0);
    /* ahead of a hole the last chunks are not taken: the hole itself may need them */
    o = world_begin(&w, "large", (int64_t)cache_object_limit(w.c));
    struct cache_object *p = world_begin(&w, "of a length that it does not tell", -1);
    uint8_t byte[4096] = {0};
    for (uint64_t at = 8192; at < cache_object_limit(w.c); at += 4096)
        cr_assert_eq(cache_append(w.c, p, byte, 4096), 4096);
    unsigned taken = 0;
    for (uint64_t at = 4096; at < cache_object_limit(w.c); at += 4096) {
        n = 1;
        taken += cache_place(w.c, o, at, &n) != NULL;
    }
    cr_assert(taken > 200 && taken < cache_object_limit(w.c) / 4096 - 1, "%u", taken);
    cr_assert_eq(cache_append(w.c, o, byte, 4096), 4096);
    cr_assert_eq(cache_append(w.c, p, byte, 4096), 4096);
    cache_fail(w.c, o);
    cache_fail(w.c, p);
    cache_unpin(o, 0);
    cache_unpin(p, 0);
    world_settle(&w);
    world_close(&w);
}

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>

/* What AddressSanitizer would say of a byte that somebody reads too far, or too late. */
Test(body, free_chunks_and_what_is_behind_a_body_are_poisoned)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_config c = {.bytes = w.bytes, .objects = 100, .workers = 1};
    cr_assert(__asan_address_is_poisoned(w.memory + cache_region(&c) - 1),
              "nobody has taken a chunk yet");
    struct cache_object *o = world_store_as(&w, "http://host/a", 1, 5000, -1);
    const uint8_t *first = cache_bytes(o, 0).data, *second = cache_bytes(o, 4096).data;
    cr_assert_null(__asan_region_is_poisoned((void *)(uintptr_t)first, 4096));
    cr_assert_null(__asan_region_is_poisoned((void *)(uintptr_t)second, 5000 - 4096));
    cr_assert(__asan_address_is_poisoned(second + (5000 - 4096)), "the byte behind the last one");
    cr_assert(__asan_address_is_poisoned(second + 4095));
    cr_assert_not(__asan_address_is_poisoned(o));

    cache_pin(o, 0);
    cache_unlink(w.c, o);
    world_settle(&w);
    cr_assert_not(__asan_address_is_poisoned(first), "it is pinned");
    cache_unpin(o, 0);
    world_settle(&w);
    cr_assert(__asan_address_is_poisoned(first), "freed");
    cr_assert(__asan_address_is_poisoned(second));
    cr_assert(__asan_address_is_poisoned(o), "and the object too");

    cr_assert(world_store_as(&w, "http://host/b", 2, 100, -1));
    cr_assert_not(__asan_address_is_poisoned(first), "taken anew: last in, first out");
    cr_assert_not(__asan_address_is_poisoned(first + 99));
    cr_assert(__asan_address_is_poisoned(first + 100));
    world_close(&w);
}

Test(body, free_lines_and_what_is_behind_a_tail_are_poisoned)
{
    struct world w;
    world_open(&w, 4 * MIB, 100, 1);
    struct cache_object *o = world_store(&w, "http://host/a", 1, 4096 + 100),
                        *p = world_store(&w, "http://host/b", 1, 300);
    const uint8_t *tail = cache_bytes(o, 4096).data, *small = cache_bytes(p, 0).data;
    cr_assert_eq(small, tail + 128, "the lines behind");
    cr_assert_null(__asan_region_is_poisoned((void *)(uintptr_t)tail, 100));
    cr_assert(__asan_address_is_poisoned(tail + 100), "the byte behind the last one");
    cr_assert(__asan_address_is_poisoned(tail + 119), "up to the CRC");
    cr_assert_null(__asan_region_is_poisoned((void *)(uintptr_t)small, 300));
    cr_assert(__asan_address_is_poisoned(small + 300));
    cr_assert(__asan_address_is_poisoned(small + 320), "lines that nobody has taken");
    cache_unlink(w.c, o);
    world_settle(&w);
    cr_assert(__asan_address_is_poisoned(tail), "freed");
    cr_assert(__asan_address_is_poisoned(tail + 127));
    cr_assert_null(__asan_region_is_poisoned((void *)(uintptr_t)small, 300), "another's");
    world_close(&w);
}
#endif
