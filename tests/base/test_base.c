/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/cursor.h"
#include "base/hist.h"
#include "base/rng.h"
#include "base/wheel.h"

/* --- the wheel against a model: an array of deadlines ----------------------------------------- */

#define TIMERS 200

struct world {
    struct wheel wheel;
    struct timer timer[TIMERS];
    uint64_t due[TIMERS]; /* 0: not armed */
    uint64_t now;
    struct rng rng;
    unsigned rearm; /* how many of the next to fire arm themselves again */
};

static void fire(void *ctx, struct timer *t)
{
    struct world *w = ctx;
    size_t i = (size_t)(t - w->timer);
    cr_assert(w->due[i] != 0, "a timer fires that is not armed");
    /* to the tick: not before its time rounded up, and with the tick of now done, not after */
    uint64_t tick = (w->due[i] + WHEEL_TICK_US - 1) / WHEEL_TICK_US;
    cr_assert(tick <= w->now / WHEEL_TICK_US, "fires %lu us early", w->due[i] - w->now);
    cr_assert(!timer_armed(t));
    w->due[i] = 0;
    if (w->rearm) {
        w->rearm--;
        w->due[i] = w->now + rng_below(&w->rng, 5000);
        if (w->due[i] == 0)
            w->due[i] = 1;
        wheel_arm(&w->wheel, t, w->due[i]);
    }
}

static void step(struct world *w)
{
    static const uint64_t spans[] = {1, 900, 20000, 300000, 70000000, 20000000000ull};
    size_t i = rng_below(&w->rng, TIMERS);
    uint64_t span = spans[rng_below(&w->rng, 6)];
    switch (rng_below(&w->rng, 4)) {
    case 0:
        wheel_stop(&w->wheel, &w->timer[i]);
        w->due[i] = 0;
        break;
    case 1:
    case 2:
        w->due[i] = w->now + 1 + rng_u64(&w->rng) % span;
        wheel_arm(&w->wheel, &w->timer[i], w->due[i]);
        break;
    default:
        w->now += rng_u64(&w->rng) % span;
        w->rearm = rng_below(&w->rng, 3);
        while (wheel_advance(&w->wheel, w->now, 1 + rng_below(&w->rng, 50), fire, w) != 0)
            ;
        for (i = 0; i < TIMERS; i++) {
            uint64_t tick = (w->due[i] + WHEEL_TICK_US - 1) / WHEEL_TICK_US;
            /* one that armed itself while its tick was fired waits for the next one */
            cr_assert(w->due[i] == 0 || tick + 1 > w->now / WHEEL_TICK_US,
                      "timer %zu is %lu us late", i, w->now - w->due[i]);
        }
    }
}

Test(wheel, agrees_with_a_list_of_deadlines)
{
    for (uint64_t seed = 1; seed <= 40; seed += PART) {
        struct world *w = calloc(1, sizeof(*w));
        w->now = seed * 123456789;
        rng_init_u64(&w->rng, seed);
        wheel_init(&w->wheel, w->now);
        for (int i = 0; i < 4000; i++) {
            step(w);
            uint64_t next = UINT64_MAX;
            for (size_t k = 0; k < TIMERS; k++)
                if (w->due[k] && w->due[k] < next)
                    next = w->due[k];
            uint64_t said = wheel_next_us(&w->wheel);
            /* rounded up to the tick, and never sleeping through a deadline */
            cr_assert(next == UINT64_MAX || said <= next + WHEEL_TICK_US,
                      "seed %lu: next deadline %lu, said %lu", seed, next, said);
            cr_assert((next == UINT64_MAX) == (said == UINT64_MAX), "seed %lu", seed);
        }
        free(w);
    }
}

Test(wheel, fires_no_more_than_asked_and_loses_none)
{
    struct world w = {.now = 1000};
    rng_init_u64(&w.rng, 1);
    wheel_init(&w.wheel, w.now);
    for (size_t i = 0; i < TIMERS; i++) {
        w.due[i] = 5000;
        wheel_arm(&w.wheel, &w.timer[i], w.due[i]);
    }
    w.now = 6000;
    cr_assert_eq(wheel_advance(&w.wheel, w.now, 150, fire, &w), 150);
    cr_assert_eq(wheel_advance(&w.wheel, w.now, 150, fire, &w), TIMERS - 150);
    cr_assert_eq(w.wheel.armed, 0);
}

/* --- addresses -------------------------------------------------------------------------------- */

Test(addr, parses_and_writes_both_families)
{
    static const char *good[] = {"192.0.2.1", "::1", "2001:db8::10", "255.255.255.255"};
    char text[ADDR_TEXT], endpoint[ENDPOINT_TEXT];
    struct addr a;
    for (size_t i = 0; i < 4; i++) {
        cr_assert(addr_parse(good[i], &a));
        cr_assert_str_eq(addr_text(&a, text), good[i]);
    }
    static const char *bad[] = {"", "1.2.3", "1.2.3.4.5", "12::34::56", "host", "1.2.3.256"};
    for (size_t i = 0; i < 6; i++)
        cr_assert_not(addr_parse(bad[i], &a), "%s", bad[i]);

    struct endpoint e;
    cr_assert(endpoint_parse("192.0.2.1", 80, &e) && e.port == 80);
    cr_assert(endpoint_parse("192.0.2.1:8080", 80, &e) && e.port == 8080);
    cr_assert(endpoint_parse("[2001:db8::1]:53", 80, &e) && e.port == 53);
    cr_assert_str_eq(endpoint_text(&e, endpoint), "[2001:db8::1]:53");
    cr_assert(endpoint_parse("2001:db8::1", 80, &e) && e.port == 80);
    static const char *wrong[] = {
        "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "[::1]x", "[::1", "192.0.2.1:8o", ":80"};
    for (size_t i = 0; i < 7; i++)
        cr_assert_not(endpoint_parse(wrong[i], 80, &e), "%s", wrong[i]);
}

Test(addr, knows_what_no_public_origin_has)
{
    static const char *special[] = {
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:db8::1",
        "2001::1",
        "::127.0.0.1",
    };
    static const char *public[] = {"8.8.8.8",      "172.32.0.1",       "100.128.0.1",
                                   "2a00:1450::1", "64:ff9b::808:808", "2002:808:808::1",
                                   "2001:4860::1"};
    struct addr a;
    for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++) {
        cr_assert(addr_parse(special[i], &a));
        cr_assert(addr_is_special(&a), "%s", special[i]);
    }
    for (size_t i = 0; i < sizeof(public) / sizeof(*public); i++) {
        cr_assert(addr_parse(public[i], &a));
        cr_assert_not(addr_is_special(&a), "%s", public[i]);
    }
}

Test(addr, prefixes_count_in_their_family)
{
    struct addr net, a;
    addr_parse("10.1.128.0", &net);
    addr_parse("10.1.129.7", &a);
    cr_assert(addr_in_prefix(&a, &net, 17) && addr_in_prefix(&a, &net, 23));
    cr_assert_not(addr_in_prefix(&a, &net, 24));
    cr_assert(addr_in_prefix(&a, &net, 0));
    addr_parse("2001:db8::", &net);
    addr_parse("2001:db8:0:1::5", &a);
    cr_assert(addr_in_prefix(&a, &net, 48));
    cr_assert_not(addr_in_prefix(&a, &net, 64));
}

/* --- random numbers, histogram, cursor -------------------------------------------------------- */

Test(rng, a_seed_replays_and_bounds_hold)
{
    struct rng x, y;
    rng_init_u64(&x, 42);
    rng_init_u64(&y, 42);
    uint8_t whole[1000], parts[1000];
    rng_bytes(&x, whole, sizeof(whole));
    for (size_t at = 0, n = 1; at < sizeof(parts); at += n, n = n % 37 + 1) {
        if (n > sizeof(parts) - at)
            n = sizeof(parts) - at;
        rng_bytes(&y, parts + at, n);
    }
    cr_assert_arr_eq(whole, parts, sizeof(whole));
    unsigned count[7] = {0};
    for (int i = 0; i < 70000; i++)
        count[rng_below(&x, 7)]++;
    for (int i = 0; i < 7; i++)
        cr_assert(count[i] > 9500 && count[i] < 10500, "%d: %u", i, count[i]);
}

Test(hist, quantiles_are_within_a_bucket)
{
    struct hist *h = calloc(1, sizeof(*h)), *sum = calloc(1, sizeof(*sum));
    cr_assert_eq(hist_quantile(h, 0.5), 0);
    for (uint64_t us = 1; us <= 100000; us++)
        hist_add(h, us);
    for (double q = 0.01; q < 1; q += 0.01) {
        double got = (double)hist_quantile(h, q), want = q * 100000;
        cr_assert(got >= want * 0.99 && got <= want * 1.04 + 1, "q %f: %f", q, got);
    }
    hist_merge(sum, h);
    hist_merge(sum, h);
    cr_assert_eq(hist_total(sum), 200000);
    hist_add(h, UINT64_MAX); /* lands in the last bucket */
    cr_assert_eq(hist_total(h), 100001);
    uint32_t last = 0;
    for (uint64_t us = 0; us < 1u << 20; us++) {
        uint32_t i = hist_index(us);
        cr_assert(i == last || i == last + 1, "buckets leave no gap");
        last = i;
    }
    free(h);
    free(sum);
}

Test(cursor, past_the_end_is_bad_and_zero)
{
    uint8_t buf[7];
    struct writer w = writer_of(buf, sizeof(buf));
    write_u8(&w, 1);
    write_u16(&w, 0x0203);
    write_u32(&w, 0x04050607);
    cr_assert(!w.bad && writer_left(&w) == 0);
    write_u8(&w, 9);
    cr_assert(w.bad);
    struct reader r = reader_of(buf, sizeof(buf));
    cr_assert_eq(read_u64(&r), 0);
    cr_assert(r.bad);
    r = reader_of(buf, sizeof(buf));
    cr_assert_eq(read_u8(&r), 1);
    cr_assert_eq(read_u16(&r), 0x0203);
    cr_assert_eq(read_u32(&r), 0x04050607);
    cr_assert(!r.bad && read_bytes(&r, 1) == NULL && r.bad);
}
