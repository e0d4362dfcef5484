/* SPDX-License-Identifier: BSD-3-Clause */
/* BBR and the pacer on a bottleneck of one queue: what the draft promises of bandwidth, queue,
 * probing for round trips, and loss. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dataplane/tcp/cc.h"
#include "dataplane/tcp/pacer.h"

#define MSS  1448u
#define RING 65536u

/* A sender that always has more, a rate, a buffer, an ACK for each segment; what is lost is known
 * when it would have been acknowledged. */
struct path {
    struct cc cc;
    struct tcp_pacer pacer;
    uint32_t rate, rtt_us, buffer, loss_permille; /* bytes a second, bytes */
    uint32_t now;
    uint64_t random;
    struct {
        uint32_t sent_us, due_us;
        bool lost;
    } segment[RING];
    uint32_t head, tail; /* in flight: [head, tail) */
    uint32_t round_end, lost;
    uint64_t free_us; /* when the bottleneck is done, 1/16 us */
    uint64_t delivered, dropped, sent;
    uint32_t queue_max, cwnd_min;
};

static struct path *path_new(const struct cc_ops *ops, uint32_t rate, uint32_t rtt_us,
                             uint32_t buffer)
{
    struct path *p = calloc(1, sizeof(*p));
    p->rate = rate;
    p->rtt_us = rtt_us;
    p->buffer = buffer;
    p->random = 88172645463325252ull;
    ops->init(&p->cc, MSS, 0);
    tcp_pacer_init(&p->pacer, 0);
    return p;
}

static uint32_t draw(struct path *p, uint32_t n)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return (uint32_t)(p->random % n);
}

static void path_send(struct path *p)
{
    uint32_t rate = p->cc.ops->rate(&p->cc);
    while ((p->tail - p->head + 1) * MSS <= p->cc.cwnd && p->tail - p->head < RING - 1 &&
           tcp_pacer_wait_us(&p->pacer, p->now) == 0) {
        tcp_pacer_sent(&p->pacer, MSS, rate, 2 * MSS, p->now);
        uint64_t now16 = (uint64_t)p->now * 16, start = p->free_us > now16 ? p->free_us : now16;
        uint32_t queue = (uint32_t)((start - now16) * p->rate / 16000000);
        uint32_t i = p->tail++ % RING;
        p->sent++;
        p->segment[i].sent_us = p->now;
        p->segment[i].lost = queue + MSS > p->buffer || draw(p, 1000) < p->loss_permille;
        if (queue + MSS <= p->buffer)
            p->free_us = start + (uint64_t)MSS * 16000000 / p->rate;
        p->segment[i].due_us = (uint32_t)(p->free_us / 16) + p->rtt_us;
        p->queue_max = queue > p->queue_max ? queue : p->queue_max;
    }
}

static void path_ack(struct path *p)
{
    while (p->head != p->tail && p->segment[p->head % RING].due_us <= p->now) {
        uint32_t i = p->head % RING, rtt = p->now - p->segment[i].sent_us;
        uint32_t flight = (p->tail - p->head) * MSS;
        bool round = p->head >= p->round_end;
        p->head++;
        if (p->segment[i].lost) {
            p->lost += MSS;
            p->dropped++;
            p->cc.ops->loss(&p->cc, MSS, flight, p->now);
            continue;
        }
        if (round)
            p->round_end = p->tail;
        struct cc_ack a = {.now_us = p->now,
                           .mss = MSS,
                           .acked = MSS,
                           .flight = flight,
                           .rtt_us = rtt,
                           .srtt_us = rtt,
                           .min_rtt_us = p->rtt_us,
                           .cwnd_limited = true,
                           .round_start = round,
                           .lost = p->lost};
        p->cc.ops->ack(&p->cc, &a);
        p->lost = 0;
        p->delivered += MSS;
        p->cwnd_min = p->cc.cwnd < p->cwnd_min ? p->cc.cwnd : p->cwnd_min;
    }
}

/* Returns the share of the bottleneck's rate that was delivered. */
static double path_run(struct path *p, uint32_t us)
{
    uint64_t before = p->delivered;
    uint32_t end = p->now + us;
    p->queue_max = 0;
    p->cwnd_min = UINT32_MAX;
    for (; p->now < end; p->now += 20) {
        path_ack(p);
        path_send(p);
    }
    return (double)(p->delivered - before) / ((double)p->rate * us / 1e6);
}

Test(bbr, finds_the_bandwidth_in_a_few_round_trips)
{
    const uint32_t rates[] = {125000, 1250000, 25000000};
    for (unsigned i = 0; i < 3; i++) {
        struct path *p = path_new(&cc_bbr, rates[i], 40000, rates[i] / 10);
        path_run(p, 1500000);
        double share = path_run(p, 3000000);
        cr_assert(share > 0.9, "%u B/s: %f", rates[i], share);
        free(p);
    }
}

Test(bbr, keeps_the_queue_short_in_a_deep_buffer)
{
    struct path *p = path_new(&cc_bbr, 2500000, 40000, 10000000); /* BDP 100 kB, 4 s of buffer */
    path_run(p, 2000000);
    double share = path_run(p, 20000000);
    cr_assert(share > 0.9, "%f", share);
    cr_assert(p->queue_max < 200000, "%u", p->queue_max); /* cwnd is 2 to 2.25 BDP */
    free(p);
}

Test(bbr, probes_for_a_round_trip_that_grew)
{
    struct path *p = path_new(&cc_bbr, 2500000, 40000, 10000000);
    path_run(p, 2000000);
    p->rtt_us = 80000; /* a route changed: no sample is as short as the least any more */
    path_run(p, 12000000);
    cr_assert(p->cwnd_min < 70000, "%u", p->cwnd_min); /* half of the old BDP, for 200 ms */
    path_run(p, 5000000);
    double share = path_run(p, 10000000);
    cr_assert(share > 0.9 && p->queue_max < 400000, "%f %u", share, p->queue_max);
    free(p);
}

Test(bbr, leaves_the_round_trip_alone_while_it_is_seen_anyway)
{
    struct path *p = path_new(&cc_bbr, 2500000, 40000, 10000000);
    path_run(p, 2000000);
    path_run(p, 12000000);
    cr_assert(p->cwnd_min > 100000, "%u", p->cwnd_min);
    free(p);
}

Test(bbr, random_loss_does_not_stop_it)
{
    const uint32_t loss[] = {1, 5, 10};
    for (unsigned i = 0; i < 3; i++) {
        struct path *p = path_new(&cc_bbr, 2500000, 40000, 100000);
        p->loss_permille = loss[i];
        path_run(p, 3000000);
        double share = path_run(p, 20000000);
        cr_assert(share > 0.8, "%u permille: %f", loss[i], share);
        free(p);
    }
}

Test(bbr, a_shallow_buffer_bounds_what_is_in_flight)
{
    struct path *p = path_new(&cc_bbr, 2500000, 40000, 20000); /* a fifth of the BDP */
    path_run(p, 3000000);
    uint64_t dropped = p->dropped, sent = p->sent;
    double share = path_run(p, 20000000);
    double loss = (double)(p->dropped - dropped) / (double)(p->sent - sent);
    cr_assert(share > 0.8, "%f", share);
    cr_assert(loss < 0.05, "%f", loss);
    free(p);
}

Test(bbr, follows_a_path_that_changes)
{
    struct path *p = path_new(&cc_bbr, 1250000, 40000, 500000);
    path_run(p, 5000000);
    p->rate = 5000000;
    path_run(p, 15000000);
    double share = path_run(p, 5000000);
    cr_assert(share > 0.85, "up: %f", share);
    p->rate = 1250000;
    path_run(p, 15000000);
    share = path_run(p, 5000000);
    cr_assert(share > 0.85 && p->queue_max < 250000, "down: %f %u", share, p->queue_max);
    free(p);
}

Test(bbr, a_timeout_leaves_one_segment_and_the_model)
{
    struct path *p = path_new(&cc_bbr, 2500000, 40000, 200000);
    path_run(p, 3000000);
    cc_bbr.timeout(&p->cc, MSS, p->cc.cwnd, p->now, true);
    cr_assert(p->cc.cwnd == MSS && p->cc.ssthresh >= 2 * MSS);
    path_run(p, 500000);
    double share = path_run(p, 2000000);
    cr_assert(share > 0.8, "%f", share);
    free(p);
}
