/* SPDX-License-Identifier: BSD-3-Clause */
/* SYN cookies as arithmetic: what they keep, how they age, what a guess is worth. */
#include <criterion/criterion.h>

#include "base/rng.h"
#include "dataplane/tcp/cookie.h"

static const struct tcp_cookie_key key = {{1, 2, 3}, {4, 5, 6}};

static struct tcp_cookie_tuple tuple(bool v6)
{
    struct tcp_cookie_tuple t = {addr_v4(0x0a000001), addr_v4(0xc0000201), 80, 4000};
    if (v6) {
        t.local = (struct addr){{0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
        t.remote = (struct addr){{0x20, 0x01, 0x0d, 0xb8, [15] = 2}};
    }
    return t;
}

Test(cookie, keeps_the_largest_size_that_the_peer_can_take)
{
    for (uint32_t mss = 64; mss < 2000; mss++) {
        struct tcp_cookie_tuple t = tuple(mss & 1);
        uint16_t kept = 0;
        uint32_t c = tcp_cookie_make(&key, &t, mss * 77777, (uint16_t)mss, 12);
        cr_assert(tcp_cookie_check(&key, &t, mss * 77777, c, 12, &kept));
        cr_assert(kept <= mss && kept * 5 > mss, "%u for %u", kept, mss);
        if (mss == 536 || mss == 1220 || mss == 1440 || mss == 1460)
            cr_assert_eq(kept, mss, "the usual ones as they are");
    }
}

Test(cookie, lasts_its_minute_and_the_next)
{
    struct tcp_cookie_tuple t = tuple(false);
    for (uint64_t made = 0; made < 1000; made++) {
        uint32_t c = tcp_cookie_make(&key, &t, 5, 1460, made);
        uint16_t mss;
        for (uint64_t at = made > 4 ? made - 4 : 0; at < made + 300; at++)
            cr_assert_eq(tcp_cookie_check(&key, &t, 5, c, at, &mss), at == made || at == made + 1,
                         "made %u, asked %u", (unsigned)made, (unsigned)at);
    }
}

Test(cookie, is_for_one_tuple_one_number_and_one_key)
{
    const struct tcp_cookie_key other = {{1, 2, 3}, {4, 5, 7}}, another = {{1, 2, 4}, {4, 5, 6}};
    struct tcp_cookie_tuple t = tuple(false), u = t;
    uint32_t c = tcp_cookie_make(&key, &t, 900, 1460, 3);
    uint16_t mss;
    cr_assert(tcp_cookie_check(&key, &t, 900, c, 3, &mss));
    cr_expect(!tcp_cookie_check(&other, &t, 900, c, 3, &mss));
    cr_expect(!tcp_cookie_check(&another, &t, 900, c, 3, &mss));
    cr_expect(!tcp_cookie_check(&key, &t, 901, c - 8, 3, &mss));
    u.rport++;
    cr_expect(!tcp_cookie_check(&key, &u, 900, c, 3, &mss));
    u = t;
    u.lport++;
    cr_expect(!tcp_cookie_check(&key, &u, 900, c, 3, &mss));
    u = t;
    u.remote.b[15]++;
    cr_expect(!tcp_cookie_check(&key, &u, 900, c, 3, &mss));
    u = t;
    u.local.b[15]++;
    cr_expect(!tcp_cookie_check(&key, &u, 900, c, 3, &mss));
}

/* Its third segment and its first bytes are lost, the next ones come: they open nothing. */
Test(cookie, is_for_the_first_byte_alone)
{
    static const uint16_t sizes[] = {64, 256, 536, 1220, 1300, 1380, 1440, 1460};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct tcp_cookie_tuple t = tuple(i & 1);
        uint32_t irs = i * 0x12345678, c = tcp_cookie_make(&key, &t, irs, sizes[i], 9);
        uint16_t mss;
        cr_assert(tcp_cookie_check(&key, &t, irs, c, 9, &mss) && mss == sizes[i]);
        for (uint32_t gone = 1; gone < 1u << 20; gone++)
            cr_assert(!tcp_cookie_check(&key, &t, irs + gone, c, 9, &mss), "%u gone", gone);
    }
}

/* 2^-28 a try; in 2^22 tries with one seed more than two would be a fault, not luck. */
Test(cookie, a_guess_is_worth_nothing)
{
    struct rng rng;
    unsigned hits = 0;
    rng_init_u64(&rng, 9);
    for (unsigned i = 0; i < 1u << 22; i++) {
        struct tcp_cookie_tuple t = tuple(i & 1);
        uint16_t mss;
        t.rport = (uint16_t)i;
        hits += tcp_cookie_check(&key, &t, i, rng_u32(&rng), 40, &mss);
    }
    cr_assert_leq(hits, 2);
    struct tcp_cookie_tuple t = tuple(true);
    uint32_t c = tcp_cookie_make(&key, &t, 1, 1460, 40);
    for (unsigned bit = 0; bit < 32; bit++) {
        uint16_t mss;
        if (bit >= 21 && bit < 24) /* the size */
            continue;
        cr_assert(!tcp_cookie_check(&key, &t, 1, c ^ 1u << bit, 40, &mss), "bit %u", bit);
    }
}

/* A tuple's next connection starts above the last one's numbers if the peer's does (RFC 6191). */
Test(cookie, rises_with_the_peers_number)
{
    struct tcp_cookie_tuple t = tuple(false);
    uint32_t c = tcp_cookie_make(&key, &t, 1000, 1460, 7);
    cr_assert_eq(tcp_cookie_make(&key, &t, 1000 + 70000, 1460, 7), c + 70000);
}

Test(cookie, timestamps_keep_every_mix_and_are_never_early)
{
    static const uint32_t clocks[] = {0, 1, 63, 64, 100000, 0x7fffffff, 0x80000000, 0xffffffff};
    for (unsigned k = 0; k < sizeof(clocks) / sizeof(clocks[0]); k++) {
        for (unsigned mix = 0; mix < 60; mix++) {
            const struct tcp_cookie_options o = {.scale_on = mix % 15 != 14 || mix >= 30,
                                                 .sack_on = mix & 1,
                                                 .ecn_on = mix & 2,
                                                 .scale = (uint8_t)(mix % 15)};
            struct tcp_cookie_options got;
            uint32_t ts = tcp_cookie_ts_make(clocks[k], &o);
            cr_assert_lt(clocks[k] - ts, 64);
            cr_assert(tcp_cookie_ts_check(ts, clocks[k] + 1, &got));
            cr_assert(got.scale_on == o.scale_on && got.sack_on == o.sack_on &&
                      got.ecn_on == o.ecn_on && (!o.scale_on || got.scale == o.scale));
            cr_assert(tcp_cookie_ts_check(ts, clocks[k] + 120000, &got));
            cr_assert(!tcp_cookie_ts_check(ts, clocks[k] + 120100, &got), "too old");
            cr_assert(!tcp_cookie_ts_check(ts, ts - 1, &got), "of the future");
        }
    }
}
