/* SPDX-License-Identifier: BSD-3-Clause */
/* The simulated link does to segments what it is told to, and nothing else. */
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"
#include "tests/tcp/link.h"

static const uint8_t payload[1460];

static struct tcp_out segment(uint32_t seq, uint32_t len)
{
    struct tcp_out o = {.src = addr_v4(0x0a000001),
                        .dst = addr_v4(0x0a000002),
                        .sport = 1,
                        .dport = 2,
                        .seq = seq,
                        .ack = 7,
                        .flags = TCP_ACK,
                        .len = len,
                        .refs = len ? 1 : 0};
    o.ref[0] = (struct ref){payload, len, NULL};
    return o;
}

/* Sends `n` segments of `len` bytes at time 0; seq counts them. */
static void send_many(struct link *l, uint32_t n, uint32_t len)
{
    for (uint32_t i = 0; i < n; i++) {
        struct tcp_out o = segment(i, len);
        link_send(l, 0, &o, 0);
    }
}

static bool take(struct link *l, uint64_t now, struct tcp_segment *s)
{
    struct tcp_packet p;
    if (link_take(l, 1, now, &p, 1) == 0)
        return false;
    cr_assert(tcp_segment_parse(s, &p));
    return true;
}

Test(link, delays_and_keeps_the_order)
{
    struct link *l = link_new(1);
    struct tcp_segment s;
    l->way[0].config = (struct link_config){.delay_us = 1000, .jitter_us = 500};
    send_many(l, 100, 100);
    cr_assert(link_next_us(l) >= 1000 && !take(l, 999, &s));
    for (uint32_t i = 0; i < 100; i++)
        cr_assert(take(l, 1500, &s) && s.seq == i && s.len == 100);
    cr_assert(link_next_us(l) == UINT64_MAX);
    link_free(l);
}

Test(link, limits_the_rate_and_drops_what_overflows)
{
    struct link *l = link_new(1);
    struct tcp_segment s;
    /* 1000 bytes with headers at 8 Mbit/s: one each millisecond */
    l->way[0].config = (struct link_config){.rate_bps = 8000000, .buffer_bytes = 10000};
    send_many(l, 100, 960);
    uint32_t got = 0;
    for (uint64_t now = 1000; now <= 200000; now += 1000)
        got += take(l, now, &s);
    cr_assert(got == 11 && l->way[0].stats.overflowed == 89, "%u", got);
    link_free(l);
}

Test(link, loses_duplicates_and_corrupts_its_share)
{
    struct link *l = link_new(1);
    l->way[0].config =
        (struct link_config){.loss_ppm = 100000, .duplicate_ppm = 50000, .corrupt_ppm = 20000};
    send_many(l, 10000, 10);
    const struct link_stats *n = &l->way[0].stats;
    cr_assert(n->lost > 900 && n->lost < 1100);
    cr_assert(n->corrupted > 130 && n->corrupted < 230);
    cr_assert(n->duplicated > 370 && n->duplicated < 510);
    cr_assert(l->way[0].frames == 10000 - n->lost - n->corrupted + n->duplicated);
    link_free(l);
}

Test(link, loses_in_bursts)
{
    struct link *l = link_new(1);
    struct tcp_segment s;
    l->way[0].config = (struct link_config){
        .burst_enter_ppm = 10000, .burst_leave_ppm = 100000, .burst_loss_ppm = 1000000};
    send_many(l, 10000, 10);
    uint32_t bursts = 0, next = 0;
    while (take(l, 1, &s)) {
        bursts += s.seq != next;
        next = s.seq + 1;
    }
    uint64_t lost = l->way[0].stats.lost; /* a tenth of the time, ten at a time */
    cr_assert(lost > 600 && lost < 1300 && bursts > 0 && lost / bursts > 6 && lost / bursts < 15);
    link_free(l);
}

Test(link, reorders_by_delay)
{
    struct link *l = link_new(1);
    struct tcp_segment s;
    l->way[0].config =
        (struct link_config){.delay_us = 100, .reorder_ppm = 100000, .reorder_us = 1000};
    send_many(l, 1000, 10);
    uint32_t overtaken = 0, highest = 0, got = 0;
    for (uint64_t now = 100; now < 1200; now++)
        while (take(l, now, &s)) {
            got++;
            overtaken += s.seq < highest;
            highest = s.seq > highest ? s.seq : highest;
        }
    cr_assert(got == 1000 && overtaken > 60 && overtaken < 140, "%u", overtaken);
    link_free(l);
}

Test(link, swallows_what_is_too_big)
{
    struct link *l = link_new(1);
    l->way[0].config = (struct link_config){.mtu = 1000};
    send_many(l, 1, 960);
    send_many(l, 1, 961);
    cr_assert(l->way[0].frames == 1 && l->way[0].stats.too_big == 1);
    link_heal(l); /* a hole is the path's */
    send_many(l, 1, 961);
    cr_assert(l->way[0].frames == 1);
    link_free(l);
}

Test(link, strips_options)
{
    struct link *l = link_new(1);
    struct tcp_segment s;
    l->way[0].config = (struct link_config){.strip = LINK_STRIP_TS | LINK_STRIP_SCALE};
    struct tcp_out o = segment(1, 0);
    o.flags = TCP_SYN;
    tcp_option_syn(&o, 1460, 7, true, 5, 0);
    link_send(l, 0, &o, 0);
    cr_assert(take(l, 0, &s) && s.opt.has_mss && !s.opt.has_ts && !s.opt.has_scale);
    o.flags = TCP_SYN | TCP_ACK;
    link_send(l, 0, &o, 0);
    cr_assert(take(l, 0, &s) && !s.opt.has_ts && s.opt.has_scale);
    l->way[0].config = (struct link_config){.strip_ts_after = 4};
    for (unsigned i = 3; i < 6; i++) {
        o = segment(1, 10);
        tcp_option_ts(&o, 5, 6);
        link_send(l, 0, &o, 0);
        cr_assert(take(l, 0, &s) && s.opt.has_ts == (i < 4) && s.len == 10);
    }
    link_free(l);
}

Test(link, merges_acks_and_leaves_the_last)
{
    struct link *l = link_new(1);
    struct tcp_segment s;
    l->way[0].config = (struct link_config){.delay_us = 100, .thin = 3};
    send_many(l, 10, 0);
    uint32_t got = 0, last = 0;
    while (take(l, 100, &s)) {
        got++;
        last = s.seq;
    }
    cr_assert(got == 3 && last == 9, "%u %u", got, last);
    link_free(l);
}

Test(link, is_dark_at_times_and_heals)
{
    struct link *l = link_new(1);
    l->way[0].config =
        (struct link_config){.loss_ppm = 1000000, .blackout = {{.from_us = 0, .to_us = 10}}};
    send_many(l, 5, 10);
    cr_assert(l->way[0].stats.dark == 5);
    struct tcp_out o = segment(1, 10);
    link_send(l, 0, &o, 10);
    cr_assert(l->way[0].stats.lost == 1 && l->way[0].frames == 0);
    link_heal(l);
    link_send(l, 0, &o, 5);
    cr_assert(l->way[0].frames == 1);
    link_free(l);
}
