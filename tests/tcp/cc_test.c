/* SPDX-License-Identifier: BSD-3-Clause */
/* Congestion control and pacing, each against the equations of its document. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "dataplane/tcp/cc.h"
#include "dataplane/tcp/hystart.h"
#include "dataplane/tcp/pacer.h"
#include "tests/tcp/cc_reference.h"

#define MSS 1448u

static const struct cc_ops *const all[] = {&cc_newreno, &cc_cubic};
#define EACH(i) (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)

static struct cc fresh(const struct cc_ops *ops)
{
    struct cc c;
    ops->init(&c, MSS, 0);
    return c;
}

/* in congestion avoidance with a window of `segments`, as after a loss that left it there */
static struct cc avoiding(const struct cc_ops *ops, uint32_t segments, uint32_t now)
{
    struct cc c = fresh(ops);
    c.cwnd = segments * MSS;
    ops->loss(&c, MSS, c.cwnd, now);
    ops->recovered(&c, MSS, c.ssthresh, now);
    return c;
}

static struct cc_ack ack_at(const struct cc *c, uint32_t now, uint32_t acked, uint32_t rtt)
{
    return (struct cc_ack){.now_us = now,
                           .mss = MSS,
                           .acked = acked,
                           .flight = c->cwnd,
                           .rtt_us = rtt,
                           .srtt_us = rtt,
                           .min_rtt_us = rtt,
                           .cwnd_limited = true};
}

/* A round trip of a full window: an ACK for each second segment, evenly spaced. */
static void round_trip(struct cc *c, uint32_t *now, uint32_t rtt)
{
    uint32_t acks = c->cwnd / (2 * MSS) ? c->cwnd / (2 * MSS) : 1, each = c->cwnd / acks;
    for (uint32_t i = 0; i < acks; i++) {
        struct cc_ack a = ack_at(c, *now + (uint32_t)((uint64_t)rtt * i / acks), each, rtt);
        a.round_start = i == 0;
        c->ops->ack(c, &a);
    }
    *now += rtt;
}

Test(cc, initial_window_is_ten_segments)
{
    cr_assert(cc_initial_window(1448) == 14480);
    cr_assert(cc_initial_window(1460) == 14600);
    cr_assert(cc_initial_window(2000) == 14600); /* RFC 6928 2 */
    cr_assert(cc_initial_window(9000) == 18000);
    cr_assert(cc_initial_window(536) == 5360);
    for
        EACH(i)
        {
            struct cc c = fresh(all[i]);
            cr_assert(c.cwnd == 10 * MSS && c.ssthresh == UINT32_MAX && c.ops == all[i]);
        }
}

Test(cc, slow_start_doubles_in_a_round_trip)
{
    for
        EACH(i)
        {
            struct cc c = fresh(all[i]);
            uint32_t now = 0;
            for (unsigned n = 1; n <= 5; n++) {
                round_trip(&c, &now, 3000);
                cr_assert(c.cwnd == 10 * MSS << n, "%s round %u: %u", all[i]->name, n,
                          c.cwnd / MSS);
            }
        }
}

Test(cc, one_ack_adds_a_bounded_burst)
{
    for
        EACH(i)
        {
            struct cc c = fresh(all[i]);
            struct cc_ack a = ack_at(&c, 0, 100 * MSS, 3000);
            all[i]->ack(&c, &a);
            cr_assert(c.cwnd == (10 + CC_SLOW_START_LIMIT) * MSS);
        }
}

Test(cc, slow_start_stops_at_ssthresh)
{
    for
        EACH(i)
        {
            struct cc c = avoiding(all[i], 100, 0);
            uint32_t threshold = c.ssthresh;
            c.cwnd = threshold - MSS / 2;
            struct cc_ack a = ack_at(&c, 0, 2 * MSS, 3000);
            all[i]->ack(&c, &a);
            cr_assert(c.cwnd == threshold);
        }
}

Test(cc, nothing_grows_while_the_application_is_the_limit)
{
    for
        EACH(i)
    for (unsigned state = 0; state < 2; state++) {
        struct cc c = state ? avoiding(all[i], 100, 0) : fresh(all[i]);
        uint32_t before = c.cwnd;
        for (uint32_t now = 0; now < 60000000; now += 10000) {
            struct cc_ack a = ack_at(&c, now, 2 * MSS, 10000);
            a.cwnd_limited = false;
            all[i]->ack(&c, &a);
        }
        cr_assert(c.cwnd == before);
    }
}

Test(cc, no_window_overflows)
{
    for
        EACH(i)
        {
            struct cc c = fresh(all[i]);
            for (uint32_t n = 0; n < 100000; n++) {
                struct cc_ack a = ack_at(&c, n, CC_CWND_MAX, 1000);
                all[i]->ack(&c, &a);
            }
            cr_assert(c.cwnd <= CC_CWND_MAX && c.cwnd > CC_CWND_MAX / 2, "%s", all[i]->name);
            all[i]->loss(&c, MSS, c.cwnd, 0);
            all[i]->recovered(&c, MSS, c.cwnd, 0);
            for (uint32_t n = 0; n < 100000; n++) {
                struct cc_ack a = ack_at(&c, n * 100000, CC_CWND_MAX, 100000);
                all[i]->ack(&c, &a);
            }
            cr_assert(c.cwnd <= CC_CWND_MAX + MSS && c.cwnd > CC_CWND_MAX / 2, "%s", all[i]->name);
        }
}

/* RFC 5681 3.1: a segment a round trip. Of 6.5 segments six are sent, and their ACKs are the
 * round. */
Test(cc, half_a_segment_does_not_slow_newreno)
{
    struct cc c = avoiding(&cc_newreno, 13, 0);
    for (uint32_t round = 0; round < 5; round++) {
        uint32_t cwnd = c.cwnd;
        cr_assert(cwnd == 6 * MSS + MSS / 2 + round * MSS);
        for (uint32_t n = 0; n < cwnd / MSS; n++) {
            struct cc_ack a = ack_at(&c, 0, MSS, 20000);
            cr_assert(c.cwnd == cwnd);
            cc_newreno.ack(&c, &a);
        }
    }
}

Test(cc, split_acks_earn_nothing)
{
    for
        EACH(i)
        {
            struct cc whole = avoiding(all[i], 40, 0), split = whole;
            for (uint32_t n = 0; n < 2000; n++) {
                struct cc_ack a = ack_at(&whole, n * 1000, 2 * MSS, 20000);
                all[i]->ack(&whole, &a);
                for (unsigned k = 0; k < 8; k++) {
                    a = ack_at(&split, n * 1000, 2 * MSS / 8, 20000);
                    all[i]->ack(&split, &a);
                }
            }
            double off = fabs((double)whole.cwnd - split.cwnd) / whole.cwnd;
            cr_assert(off < 0.01, "%s: %u %u", all[i]->name, whole.cwnd, split.cwnd);
        }
}

Test(cc, ssthresh_has_a_floor_of_two_segments)
{
    for
        EACH(i)
    for (uint32_t flight = 0; flight <= 3 * MSS; flight += MSS / 2) {
        struct cc c = fresh(all[i]);
        all[i]->loss(&c, MSS, flight, 0);
        cr_assert(c.ssthresh >= 2 * MSS);
        all[i]->timeout(&c, MSS, flight, 0, true);
        cr_assert(c.ssthresh == 2 * MSS || flight == 3 * MSS);
        cr_assert(c.cwnd == MSS);
        all[i]->ecn(&c, MSS, flight, 0);
        cr_assert(c.ssthresh >= 2 * MSS && c.cwnd >= MSS);
    }
}

Test(cc, a_row_of_timeouts_reduces_once)
{
    for
        EACH(i)
        {
            struct cc c = fresh(all[i]);
            c.cwnd = 100 * MSS;
            all[i]->timeout(&c, MSS, 100 * MSS, 0, true);
            uint32_t once = c.ssthresh;
            cr_assert(once == (all[i] == &cc_cubic ? 70 : 50) * MSS);
            for (unsigned n = 0; n < 5; n++) {
                all[i]->timeout(&c, MSS, MSS, 0, false);
                cr_assert(c.ssthresh == once && c.cwnd == MSS);
            }
        }
}

Test(cc, factors_of_loss_and_of_ecn)
{
    const uint32_t loss[] = {50, 70}, ecn[] = {80, 85}; /* RFC 5681, 9438; RFC 8511 */
    for
        EACH(i)
        {
            struct cc c = fresh(all[i]);
            c.cwnd = 100 * MSS;
            all[i]->loss(&c, MSS, 100 * MSS, 0);
            cr_assert(c.ssthresh == loss[i] * MSS && c.cwnd == 100 * MSS); /* PRR brings it down */
            all[i]->recovered(&c, MSS, 3 * MSS, 0);
            cr_assert(c.cwnd == c.ssthresh);
            c = fresh(all[i]);
            c.cwnd = 100 * MSS;
            all[i]->ecn(&c, MSS, 100 * MSS, 0);
            cr_assert(c.ssthresh == ecn[i] * MSS && c.cwnd == c.ssthresh);
        }
}

Test(cc, flight_not_window_is_what_is_reduced)
{
    for
        EACH(i)
        {
            struct cc c = fresh(all[i]);
            c.cwnd = 1000 * MSS;
            all[i]->loss(&c, MSS, 20 * MSS, 0);
            cr_assert(c.ssthresh <= 14 * MSS);
        }
}

Test(cc, idleness_restarts_the_window_and_keeps_the_threshold)
{
    for
        EACH(i)
        {
            struct cc c = avoiding(all[i], 200, 0);
            uint32_t reached = c.cwnd;
            all[i]->idle(&c, MSS, 1000000);
            cr_assert(c.cwnd == 10 * MSS && c.ssthresh >= reached / 4 * 3);
            c.cwnd = 4 * MSS; /* min(IW, cwnd): never more */
            all[i]->idle(&c, MSS, 2000000);
            cr_assert(c.cwnd == 4 * MSS);
            c = fresh(all[i]);
            c.cwnd = 300 * MSS;
            all[i]->idle(&c, MSS, 0);
            cr_assert(c.cwnd == 10 * MSS && c.ssthresh >= 225 * MSS);
        }
}

Test(cc, a_copy_undoes_a_reduction)
{
    for
        EACH(i)
        {
            struct cc c = avoiding(all[i], 300, 0), alone;
            uint32_t now = 0;
            for (unsigned n = 0; n < 20; n++)
                round_trip(&c, &now, 50000);
            alone = c;
            struct cc before = c;
            all[i]->timeout(&c, MSS, c.cwnd, now, true);
            all[i]->timeout(&c, MSS, MSS, now, false);
            c = before;
            uint32_t t1 = now, t2 = now;
            for (unsigned n = 0; n < 20; n++) {
                round_trip(&c, &t1, 50000);
                round_trip(&alone, &t2, 50000);
            }
            cr_assert(memcmp(&c, &alone, sizeof(c)) == 0);
        }
}

Test(newreno, one_segment_a_round_trip)
{
    struct cc c = avoiding(&cc_newreno, 40, 0);
    uint32_t now = 0;
    for (unsigned n = 0; n < 200; n++)
        round_trip(&c, &now, 20000);
    double gained = (c.cwnd - 20.0 * MSS) / MSS;
    cr_assert(fabs(gained - 200) < 10, "%f", gained); /* the last ACK of a round comes short */
}

/* Both run the same ACKs; tolerance 0.5 % or a segment, whichever is more. */
static void compare(struct cc *c, struct reference *r, uint32_t *now, uint32_t rtt, unsigned rounds,
                    bool first)
{
    uint32_t last = *now;
    for (unsigned n = 0; n < rounds; n++) {
        uint32_t acks = c->cwnd / (2 * MSS) ? c->cwnd / (2 * MSS) : 1;
        for (uint32_t i = 0; i < acks; i++) {
            uint32_t at = *now + (uint32_t)((uint64_t)rtt * i / acks);
            struct cc_ack a = ack_at(c, at, 2 * MSS, rtt);
            cc_cubic.ack(c, &a);
            reference_ack(r, 2, first ? 0 : (at - last) / 1e6, rtt / 1e6);
            last = at;
            first = false;
        }
        *now += rtt;
        double off = fabs((double)c->cwnd / MSS - r->cwnd);
        cr_assert(off <= fmax(1, r->cwnd * 0.005), "round %u of %u us: %f, not %f", n, rtt,
                  (double)c->cwnd / MSS, r->cwnd);
    }
}

static void both_lose(struct cc *c, struct reference *r, uint32_t now)
{
    cc_cubic.loss(c, MSS, c->cwnd, now);
    cc_cubic.recovered(c, MSS, c->ssthresh, now);
    reference_loss(r);
}

Test(cubic, follows_its_equations_over_windows_and_round_trips)
{
    const uint32_t windows[] = {4, 10, 50, 300, 2000}, rtts[] = {1000, 10000, 40000, 200000};
    for (unsigned w = 0; w < 5; w++)
        for (unsigned t = 0; t < 4; t++) {
            struct cc c = fresh(&cc_cubic);
            struct reference r = {.cwnd = windows[w]};
            uint32_t now = UINT32_MAX - 5000000; /* the clock goes round on the way */
            c.cwnd = windows[w] * MSS;
            both_lose(&c, &r, now);
            uint32_t rounds = 30000000 / rtts[t];
            compare(&c, &r, &now, rtts[t], rounds < 400 ? rounds : 400, true);
            both_lose(&c, &r, now);
            compare(&c, &r, &now, rtts[t], 100, true);
        }
}

Test(cubic, is_back_at_w_max_after_k)
{
    /* 1000 segments: K = cbrt(300 / 0.4) = 9.086 s */
    struct cc c = avoiding(&cc_cubic, 1000, 0);
    uint32_t now = 0;
    while (now < 9086000) {
        cr_assert(c.cwnd <= 1001 * MSS);
        round_trip(&c, &now, 100000);
    }
    cr_assert(fabs((double)c.cwnd / MSS - 1000) < 2, "%u", c.cwnd / MSS);
    /* convex: four seconds later C 4^3 = 25.6 more */
    while (now < 13086000)
        round_trip(&c, &now, 100000);
    cr_assert(fabs((double)c.cwnd / MSS - 1025.6) < 3, "%u", c.cwnd / MSS);
}

Test(cubic, is_friendly_to_reno_on_short_paths)
{
    struct cc c = avoiding(&cc_cubic, 50, 0); /* 35 left, 50 before */
    uint32_t now = 0, rounds = 0;
    while (c.cwnd < 50 * MSS && rounds < 100) {
        round_trip(&c, &now, 1000);
        rounds++;
    }
    /* 15 segments at 9/17 a round trip: 28.3 rounds */
    cr_assert(rounds >= 27 && rounds <= 31, "%u", rounds);
    uint32_t at = c.cwnd;
    for (unsigned n = 0; n < 20; n++)
        round_trip(&c, &now, 1000);
    double gained = (double)(c.cwnd - at) / MSS; /* alpha = 1 from cwnd_prior on */
    cr_assert(gained > 18.5 && gained < 21, "%f", gained);
}

Test(cubic, makes_room_for_newcomers)
{
    struct cc c = avoiding(&cc_cubic, 1000, 0); /* W_max 1000, cwnd 700 */
    c.cwnd = 800 * MSS;                         /* lost again before it was back */
    cc_cubic.loss(&c, MSS, c.cwnd, 0);
    cc_cubic.recovered(&c, MSS, c.ssthresh, 0);
    /* the plateau is at 800 * 1.7 / 2 = 680: K = cbrt(120 / 0.4) = 6.694 s */
    uint32_t now = 0;
    while (now < 6694000)
        round_trip(&c, &now, 100000);
    cr_assert(fabs((double)c.cwnd / MSS - 680) < 2, "%u", c.cwnd / MSS);
}

Test(cubic, leaps_by_half_at_most)
{
    struct cc c = avoiding(&cc_cubic, 100, 0);
    uint32_t now = 0;
    for (unsigned n = 0; n < 120; n++) { /* two minutes in, W(t + RTT) is far above */
        uint32_t before = c.cwnd;
        round_trip(&c, &now, 1000000);
        cr_assert(c.cwnd <= before * 1.66, "round %u: %u to %u", n, before, c.cwnd);
        if (c.cwnd > 10000 * MSS)
            c.cwnd = 100 * MSS;
    }
}

Test(cubic, does_not_count_the_time_of_a_quiet_application)
{
    struct cc busy = avoiding(&cc_cubic, 1000, 0), quiet;
    uint32_t now = 0;
    for (unsigned n = 0; n < 30; n++)
        round_trip(&busy, &now, 100000);
    quiet = busy;
    uint32_t later = now;
    for (unsigned n = 0; n < 1200; n++, later += 100000) { /* two minutes */
        struct cc_ack a = ack_at(&quiet, later, MSS, 100000);
        a.cwnd_limited = false;
        cc_cubic.ack(&quiet, &a);
    }
    for (unsigned n = 0; n < 50; n++) {
        round_trip(&busy, &now, 100000);
        round_trip(&quiet, &later, 100000);
    }
    double off = fabs((double)busy.cwnd - quiet.cwnd) / busy.cwnd;
    cr_assert(off < 0.005, "%u %u", busy.cwnd / MSS, quiet.cwnd / MSS);
}

Test(cubic, grows_from_where_a_timeout_left_it)
{
    struct cc c = avoiding(&cc_cubic, 1000, 0);
    cc_cubic.timeout(&c, MSS, c.cwnd, 0, true);
    uint32_t now = 0, threshold = c.ssthresh;
    cr_assert(threshold == 490 * MSS);
    while (c.cwnd < threshold) {
        struct cc_ack a = ack_at(&c, now, 2 * MSS, 100000);
        cc_cubic.ack(&c, &a);
    }
    struct reference r = {.cwnd = 490, .w_max = 490, .cwnd_prior = 700}; /* K = 0: RFC 9438 4.8 */
    compare(&c, &r, &now, 100000, 100, true);
}

/* `n` ACKs of a round, the first of which begins it */
static enum hystart_phase hystart_round(struct hystart *h, uint32_t rtt, unsigned n)
{
    enum hystart_phase phase = HYSTART_SLOW_START;
    for (unsigned i = 0; i < n; i++)
        phase = tcp_hystart_ack(h, rtt, i == 0);
    return phase;
}

Test(hystart, threshold_is_an_eighth_between_4_and_16_ms)
{
    const struct {
        uint32_t rtt, rise;
    } t[] = {{500, 4000},   {10000, 4000},   {32000, 4000},
             {40000, 5000}, {100000, 12500}, {400000, 16000}};
    for (unsigned i = 0; i < 6; i++) {
        struct hystart h;
        tcp_hystart_init(&h);
        hystart_round(&h, t[i].rtt, 8);
        cr_assert(hystart_round(&h, t[i].rtt + t[i].rise - 1, 8) == HYSTART_SLOW_START);
        tcp_hystart_init(&h);
        hystart_round(&h, t[i].rtt, 8);
        cr_assert(hystart_round(&h, t[i].rtt + t[i].rise, 8) == HYSTART_CSS);
    }
}

Test(hystart, needs_eight_samples_in_a_round)
{
    struct hystart h;
    tcp_hystart_init(&h);
    hystart_round(&h, 20000, 8);
    cr_assert(hystart_round(&h, 40000, 7) == HYSTART_SLOW_START);
    cr_assert(tcp_hystart_ack(&h, 0, false) == HYSTART_SLOW_START); /* no sample */
    cr_assert(tcp_hystart_ack(&h, 40000, false) == HYSTART_CSS);
}

Test(hystart, five_rounds_of_css_end_slow_start)
{
    struct hystart h;
    tcp_hystart_init(&h);
    hystart_round(&h, 20000, 8);
    cr_assert(hystart_round(&h, 30000, 8) == HYSTART_CSS); /* counts as the first */
    for (unsigned n = 2; n <= 5; n++)
        cr_assert(hystart_round(&h, 30000, 8) == HYSTART_CSS, "%u", n);
    cr_assert(tcp_hystart_ack(&h, 30000, true) == HYSTART_DONE);
}

Test(hystart, jitter_leads_back_to_slow_start)
{
    struct hystart h;
    tcp_hystart_init(&h);
    hystart_round(&h, 20000, 8);
    hystart_round(&h, 30000, 8);
    cr_assert(hystart_round(&h, 29999, 7) == HYSTART_CSS);
    cr_assert(tcp_hystart_ack(&h, 30000, false) == HYSTART_SLOW_START);
}

Test(hystart, css_grows_by_a_quarter)
{
    struct hystart h;
    tcp_hystart_init(&h);
    cr_assert(tcp_hystart_growth(&h, 2 * MSS, MSS) == 2 * MSS);
    cr_assert(tcp_hystart_growth(&h, 100 * MSS, MSS) == 8 * MSS);
    hystart_round(&h, 20000, 8);
    hystart_round(&h, 30000, 8);
    cr_assert(tcp_hystart_growth(&h, 2 * MSS, MSS) == MSS / 2);
    cr_assert(tcp_hystart_growth(&h, 100 * MSS, MSS) == 2 * MSS);
}

Test(hystart, cubic_leaves_slow_start_when_the_queue_grows)
{
    struct cc c = fresh(&cc_cubic);
    uint32_t now = 0, rounds = 0;
    for (; c.ssthresh == UINT32_MAX && rounds < 30; rounds++)
        round_trip(&c, &now, 20000 + rounds * 5000);
    cr_assert(rounds < 30 && c.ssthresh <= c.cwnd + 2 * MSS);
    /* from here with K = 0 and a segment a round trip at least, not twice as much */
    uint32_t at = c.cwnd;
    round_trip(&c, &now, 40000);
    cr_assert(c.cwnd > at && c.cwnd < at + at / 4);
}

Test(pacer, spreads_a_window_over_a_round_trip)
{
    struct tcp_pacer p;
    tcp_pacer_init(&p, UINT32_MAX - 10000);
    uint32_t now = UINT32_MAX - 10000, start = now, sent = 0;
    while (now - start < 1000000) {
        uint32_t wait = tcp_pacer_wait_us(&p, now);
        now += wait;
        tcp_pacer_sent(&p, 1500, 10000000, 3000, now); /* 10 MB/s: a segment each 150 us */
        sent += 1500;
    }
    cr_assert(sent >= 9990000 && sent <= 10006000, "%u", sent);
}

Test(pacer, lets_a_late_sender_catch_up_by_one_burst)
{
    struct tcp_pacer p;
    tcp_pacer_init(&p, 0);
    uint32_t now = 50000000, n = 0;
    while (tcp_pacer_wait_us(&p, now) == 0) {
        tcp_pacer_sent(&p, 1500, 1500000, 15000, now);
        n++;
    }
    cr_assert(n == 11, "%u", n); /* ten of the burst and the one that is due */
}

Test(pacer, loses_no_fraction_of_a_microsecond)
{
    struct tcp_pacer p;
    tcp_pacer_init(&p, 0);
    uint64_t n = 0;
    while (tcp_pacer_wait_us(&p, 0) < 100000) {
        tcp_pacer_sent(&p, 1448, 1250000000, 0, 0); /* 1.158 us each */
        n++;
    }
    cr_assert(n == 86326 || n == 86325, "%lu", (unsigned long)n); /* 0.1 s of 1.25 GB/s */
}

Test(pacer, never_waits_for_longer_than_a_second)
{
    struct tcp_pacer p;
    tcp_pacer_init(&p, 0);
    tcp_pacer_sent(&p, 65535, 1, 0, 0);
    cr_assert(tcp_pacer_wait_us(&p, 0) == TCP_PACER_WAIT_MAX_US);
    for (uint64_t idle = 2000000; idle < UINT32_MAX; idle += 1000000)
        cr_assert(tcp_pacer_wait_us(&p, (uint32_t)idle) <= TCP_PACER_WAIT_MAX_US);
    tcp_pacer_sent(&p, 1500, 0, 0, 77);
    cr_assert(tcp_pacer_wait_us(&p, 77) == 0);
}

Test(pacer, rates)
{
    cr_assert(tcp_pacer_rate(100000, UINT32_MAX, 0) == 0);
    cr_assert(tcp_pacer_rate(100000, UINT32_MAX, 100000) == 2000000);
    cr_assert(tcp_pacer_rate(100000, 50000, 100000) == 1200000);
    cr_assert(tcp_pacer_rate(CC_CWND_MAX, 50000, 1) == UINT32_MAX);
    cr_assert(tcp_pacer_rate(1, 0, 100000000) == 1);
}
