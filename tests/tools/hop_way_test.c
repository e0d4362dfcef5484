/* SPDX-License-Identifier: BSD-3-Clause */
/* A direction of coral-hop does to frames what it is told to, as often as it is told, and the same
 * again under the same seed. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "tools/hop_way.h"

#define MS    1000000ull
#define BYTES 1000u
#define MANY  100000u

static uint64_t chance(double p)
{
    return (uint64_t)(p * (double)HOP_ALWAYS);
}

static struct hop_way *way(struct hop_config c, uint64_t seed)
{
    struct hop_way *w = hop_way_new(&c, seed, 4096, 1536);
    cr_assert(w);
    return w;
}

static void put(struct hop_way *w, uint32_t number, uint32_t len, uint64_t now)
{
    uint8_t frame[1536] = {0};
    memcpy(frame, &number, sizeof(number));
    hop_way_put(w, frame, len, now);
}

/* The number of the next frame due, or -1. */
static int64_t take(struct hop_way *w, uint64_t now)
{
    struct hop_frame f;
    uint32_t number;
    if (hop_way_take(w, now, &f, 1) == 0)
        return -1;
    memcpy(&number, f.bytes, sizeof(number));
    return number;
}

/* Puts and takes `n` frames, a ms apart; a bit of `seen` for each that came out. */
static void pass(struct hop_way *w, uint32_t n, uint8_t *seen)
{
    for (uint32_t i = 0; i < n; i++) {
        put(w, i, BYTES, i * MS);
        for (int64_t k; (k = take(w, i * MS)) >= 0;)
            seen[k]++;
    }
}

static void expect_share(uint64_t got, uint64_t of, double p, const char *what)
{
    /* five standard deviations: the seed is fixed, but any would do */
    double want = (double)of * p, slack = 5 * sqrt((double)of * p * (1 - p));
    cr_expect(fabs((double)got - want) <= slack, "%s: %llu of %llu, want %.0f within %.0f", what,
              (unsigned long long)got, (unsigned long long)of, want, slack);
}

Test(hop, passes_all_in_order_when_nothing_is_asked)
{
    struct hop_way *w = way((struct hop_config){0}, 1);
    cr_assert(hop_way_next_ns(w) == UINT64_MAX);
    for (uint32_t i = 0; i < 100; i++)
        put(w, i, BYTES, 5);
    cr_assert(hop_way_next_ns(w) == 5);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert(take(w, 5) == i);
    cr_assert(take(w, UINT64_MAX) < 0 && hop_way_stats(w)->sent_bytes == 100 * BYTES);
    hop_way_free(w);
}

Test(hop, delays_exactly)
{
    struct hop_way *w = way((struct hop_config){.delay_ns = 10 * MS}, 1);
    put(w, 7, BYTES, 3);
    cr_assert(hop_way_next_ns(w) == 3 + 10 * MS);
    cr_assert(take(w, 2 + 10 * MS) == -1 && take(w, 3 + 10 * MS) == 7);
    hop_way_free(w);
}

Test(hop, jitter_is_uniform_and_keeps_the_order)
{
    struct hop_way *w = way((struct hop_config){.delay_ns = 10 * MS, .jitter_ns = 4 * MS}, 2);
    uint64_t quarter[4] = {0};
    for (uint32_t i = 0; i < MANY; i++) { /* one at a time: nobody is held up by another */
        uint64_t at = i * 100 * MS;
        put(w, i, BYTES, at);
        uint64_t more = hop_way_next_ns(w) - at - 10 * MS;
        cr_assert(more < 4 * MS && take(w, at + 14 * MS) == i);
        quarter[more / MS]++;
    }
    for (unsigned i = 0; i < 4; i++)
        expect_share(quarter[i], MANY, 0.25, "a quarter of the jitter");
    for (uint32_t i = 0; i < 4000; i++)
        put(w, i, BYTES, MANY * 100 * MS + i * 1000);
    for (uint32_t i = 0; i < 4000; i++)
        cr_assert(take(w, UINT64_MAX) == i);
    hop_way_free(w);
}

Test(hop, loses_and_duplicates_the_share_that_was_asked_for)
{
    static uint8_t seen[MANY];
    struct hop_way *w =
        way((struct hop_config){.loss = chance(0.01), .duplicate = chance(0.02)}, 3);
    uint64_t lost = 0, twice = 0;
    pass(w, MANY, seen);
    for (uint32_t i = 0; i < MANY; i++) {
        lost += seen[i] == 0;
        twice += seen[i] == 2;
    }
    const struct hop_stats *n = hop_way_stats(w);
    expect_share(lost, MANY, 0.01, "lost");
    expect_share(twice, MANY - lost, 0.02, "duplicated");
    cr_expect(lost == n->lost && twice == n->duplicated && n->received == MANY &&
              n->sent == MANY - lost + twice);
    hop_way_free(w);
}

Test(hop, certain_loss_loses_all)
{
    static uint8_t seen[1000];
    struct hop_way *w = way((struct hop_config){.loss = HOP_ALWAYS}, 3);
    pass(w, 1000, seen);
    cr_expect(hop_way_stats(w)->lost == 1000 && hop_way_stats(w)->sent == 0);
    hop_way_free(w);
}

Test(hop, losses_without_bursts_are_independent)
{
    static uint8_t seen[MANY];
    struct hop_way *w = way((struct hop_config){.loss = chance(0.1)}, 4);
    uint64_t lost = 0, pairs = 0;
    pass(w, MANY, seen);
    for (uint32_t i = 0; i + 1 < MANY; i++) {
        lost += seen[i] == 0;
        pairs += seen[i] == 0 && seen[i + 1] == 0;
    }
    expect_share(pairs, lost, 0.1, "a loss behind a loss");
    hop_way_free(w);
}

/* Gilbert: the bad state is entered with p, left with r; mean length 1/r, share p/(p+r). */
Test(hop, bursts_have_gilberts_length_and_share)
{
    static uint8_t seen[MANY];
    struct hop_way *w = way((struct hop_config){.burst_enter = chance(0.005),
                                                .burst_leave = chance(0.2),
                                                .burst_loss = HOP_ALWAYS},
                            5);
    uint64_t lost = 0, bursts = 0;
    pass(w, MANY, seen);
    for (uint32_t i = 0; i < MANY; i++) {
        lost += seen[i] == 0;
        bursts += seen[i] == 0 && (i == 0 || seen[i - 1] != 0);
    }
    double length = (double)lost / (double)bursts, share = (double)lost / MANY;
    cr_expect(length > 4.5 && length < 5.5, "mean length of a burst: %.2f, want 5", length);
    cr_expect(share > 0.0215 && share < 0.0275, "share lost: %.4f, want 0.0244", share);
    cr_expect(hop_way_stats(w)->burst_lost == lost);
    hop_way_free(w);
}

Test(hop, reorders_by_holding_back)
{
    struct hop_way *w =
        way((struct hop_config){.reorder = chance(0.05), .reorder_ns = 5 * MS + 1}, 6);
    uint64_t late = 0;
    int64_t highest = -1;
    for (uint32_t i = 0; i < MANY; i++) {
        put(w, i, BYTES, i * MS);
        for (int64_t k; (k = take(w, i * MS)) >= 0;) {
            cr_assert(k > highest || k == i - 6, "%lld at %u: held for 6 ms, no longer",
                      (long long)k, i);
            late += k < highest;
            highest = k > highest ? k : highest;
        }
    }
    expect_share(hop_way_stats(w)->reordered, MANY, 0.05, "held back");
    cr_expect(late > hop_way_stats(w)->reordered * 9 / 10);
    hop_way_free(w);
}

Test(hop, limits_the_rate_and_drops_what_the_buffer_does_not_hold)
{
    /* 8 Mbit/s: 1000 bytes take 1 ms */
    struct hop_way *w = way((struct hop_config){.rate_bps = 8000000, .buffer_bytes = 10000}, 7);
    for (uint32_t i = 0; i < 25; i++)
        put(w, i, BYTES, 0);
    cr_expect(hop_way_stats(w)->overflowed == 15);
    for (uint32_t i = 0; i < 10; i++) {
        cr_assert(hop_way_next_ns(w) == (i + 1) * MS);
        cr_assert(take(w, (i + 1) * MS) == i);
    }
    put(w, 99, BYTES, 50 * MS); /* an idle link saves nothing up */
    cr_expect(hop_way_next_ns(w) == 51 * MS);
    hop_way_free(w);
}

Test(hop, flips_one_bit_behind_the_header)
{
    struct hop_way *w = way((struct hop_config){.corrupt = HOP_ALWAYS}, 8);
    uint64_t halves[2] = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        uint8_t frame[100] = {0};
        struct hop_frame f;
        unsigned bits = 0;
        hop_way_put(w, frame, sizeof(frame), i);
        cr_assert(hop_way_take(w, i, &f, 1) == 1 && f.len == sizeof(frame));
        for (unsigned k = 0; k < f.len; k++) {
            bits += (unsigned)__builtin_popcount(f.bytes[k]);
            cr_assert(k >= 14 || f.bytes[k] == 0);
            halves[k >= 57] += f.bytes[k] != 0;
        }
        cr_assert(bits == 1);
    }
    expect_share(halves[0], 10000, 0.5, "flips in the first half");
    hop_way_free(w);
}

Test(hop, loses_the_frames_that_are_listed)
{
    struct hop_way *w =
        way((struct hop_config){.drop = {{2, 2}, {4, 5}}, .drops = 2, .drop_over = 100}, 9);
    static const int64_t want[] = {0, 1, 2, 4, 5, 8};
    /* 0, 1 and 4 are short and don't count; of 2, 3, 5, 6, 7, 8 the second, fourth and fifth go */
    for (uint32_t i = 0; i < 9; i++)
        put(w, i, i < 2 || i == 4 ? 100 : 101, 0);
    for (unsigned i = 0; i < 6; i++)
        cr_expect(take(w, 0) == want[i]);
    cr_expect(take(w, 0) == -1 && hop_way_stats(w)->listed == 3);
    hop_way_free(w);
}

/* The same seed gives the same fates, whenever the frames come and whatever else is configured;
 * another seed gives others. */
Test(hop, replays)
{
    static uint8_t first[MANY], again[MANY], slow[MANY], other[MANY];
    struct hop_config c = {.loss = chance(0.05)}, more = c;
    more.reorder = chance(0.5), more.reorder_ns = 500;
    more.duplicate = chance(0.3), more.jitter_ns = 400;
    struct hop_way *w[4] = {way(c, 10), way(c, 10), way(more, 10), way(c, 11)};
    pass(w[0], MANY, first);
    pass(w[1], MANY, again);
    pass(w[2], MANY, slow);
    pass(w[3], MANY, other);
    cr_expect(memcmp(first, again, MANY) == 0);
    cr_expect(memcmp(first, other, MANY) != 0);
    for (uint32_t i = 0; i + 1 < MANY; i++)
        cr_assert((first[i] == 0) == (slow[i] == 0), "frame %u", i);
    for (unsigned i = 0; i < 4; i++)
        hop_way_free(w[i]);
}

Test(hop, more_than_it_holds_is_counted)
{
    struct hop_config c = {.delay_ns = MS};
    struct hop_way *w = hop_way_new(&c, 1, 10, 1536);
    for (uint32_t i = 0; i < 12; i++)
        put(w, i, BYTES, 0);
    cr_expect(hop_way_stats(w)->no_room == 2);
    struct hop_frame f[16];
    cr_expect(hop_way_take(w, MS, f, 16) == 10);
    put(w, 12, BYTES, MS); /* those taken are lent until the next take */
    cr_expect(hop_way_stats(w)->no_room == 3 && take(w, 2 * MS) == -1);
    put(w, 13, BYTES, 2 * MS);
    cr_expect(hop_way_stats(w)->no_room == 3);
    hop_way_free(w);
}
