/* SPDX-License-Identifier: BSD-3-Clause */
/* Retransmission, probes and acknowledgements, one decision at a time. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

struct record {
    uint64_t at[64];
    uint32_t len[64], seq[64];
    unsigned n;      /* segments with data from the server */
    unsigned acks;   /* bare ACKs from the client */
    unsigned probes; /* bare segments from the server before snd_una */
    unsigned lose_from, lose_count;
};

static bool record_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct record *r = w->tap_ctx;
    if (from == CLIENT && o->len == 0 && !(o->flags & (TCP_SYN | TCP_FIN)))
        r->acks++;
    if (from != SERVER || o->len == 0)
        return true;
    unsigned i = r->n++;
    if (i < 64) {
        r->at[i] = w->now.mono_us;
        r->len[i] = o->len;
        r->seq[i] = o->seq;
    }
    return !(i >= r->lose_from && i < r->lose_from + r->lose_count);
}

static struct world *recorded_as(struct record *r, uint64_t delay_us, bool no_sack)
{
    *r = (struct record){.lose_from = UINT32_MAX};
    struct world *w = world_new(1, NULL, NULL);
    w->delay_us = delay_us;
    w->no_sack = no_sack;
    world_connect(w);
    world_run(w, 1000000);
    w->tap = record_tap;
    w->tap_ctx = r;
    return w;
}

static struct world *recorded(struct record *r, uint64_t delay_us)
{
    return recorded_as(r, delay_us, false);
}

static void serve(struct world *w, uint64_t bytes)
{
    w->app[SERVER].send_total += bytes;
    app_push(&w->app[SERVER]);
}

Test(loss, backs_off_by_doubling_and_gives_up)
{
    struct record r;
    struct world *w = recorded(&r, 500);
    r.lose_from = 0;
    r.lose_count = UINT32_MAX / 2;
    serve(w, 100);
    world_run(w, 300000000);
    cr_assert(r.n == 10, "%u", r.n); /* once, a probe, and eight retries */
    for (unsigned i = 1; i < 10; i++) {
        uint64_t gap = r.at[i] - r.at[i - 1], expect = 201000ull << (i < 2 ? 0 : i - 2);
        cr_assert(gap >= expect && gap < expect + expect / 50 + 3000, "gap %u: %lu", i,
                  (unsigned long)gap);
    }
    cr_assert(w->app[SERVER].closed && w->app[SERVER].why == STREAM_TIMEOUT);
    world_free(w);
}

Test(loss, what_exceeds_the_first_window_is_spread_over_the_round_trip)
{
    struct record r;
    struct world *w = recorded(&r, 20000);
    serve(w, 4 << 20);
    world_run(w, 75000);
    cr_assert(r.n >= 28 && r.at[9] == r.at[0] && r.at[10] >= r.at[9] + 40000);
    /* of the second round a first window goes at once, the rest within half a round trip, since
     * the rate is twice cwnd / srtt */
    uint64_t spread = r.at[27] - r.at[20];
    cr_assert(r.at[19] == r.at[10] && spread > 5000 && spread < 20000, "%lu", (unsigned long)spread);
    for (unsigned i = 20; i < 28; i++)
        cr_assert_leq(r.at[i] - r.at[i - 1], 2000);
    /* a path of a few ticks is not worth it */
    struct world *near = recorded(&r, 1000);
    serve(near, 4 << 20);
    world_run(near, 5000);
    cr_assert(r.n >= 28 && r.at[27] == r.at[10], "%lu", (unsigned long)(r.at[27] - r.at[10]));
    world_free(w);
    world_free(near);
}

Test(loss, three_duplicates_repair_within_a_round_trip)
{
    struct record r;
    struct world *w = recorded_as(&r, 10000, true);
    r.lose_from = 2;
    r.lose_count = 1;
    uint64_t start = w->now.mono_us;
    serve(w, 10 * 1448);
    while (w->app[CLIENT].got < 10 * 1448)
        world_run(w, 1000);
    cr_assert(w->now.mono_us - start < 60000);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_fast_retransmit_total == 1);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_rto_total == 0);
    cr_assert(r.n == 11 && r.seq[10] == r.seq[2]);
    world_free(w);
}

Test(loss, newreno_repairs_two_holes_without_a_timeout)
{
    struct record r;
    struct world *w = recorded_as(&r, 10000, true);
    r.lose_from = 2;
    r.lose_count = 2;
    serve(w, 10 * 1448);
    world_run(w, 1000000);
    cr_assert(w->app[CLIENT].got == 10 * 1448);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_fast_retransmit_total == 1);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_rto_total == 0);
    world_free(w);
}

Test(loss, duplicate_acks_do_not_restart_the_timer)
{
    struct record r;
    struct world *w = recorded_as(&r, 500, true);
    r.lose_from = 0;
    r.lose_count = UINT32_MAX / 2;
    serve(w, 2 * 1448);
    struct tcp_conn *c = world_conn(w, SERVER);
    for (unsigned i = 0; i < 2; i++) { /* two: one less than a loss */
        world_run(w, 90000);
        struct tcp_out o = {.src = c->stream.remote.ip,
                            .dst = c->stream.local.ip,
                            .sport = c->stream.remote.port,
                            .dport = 80,
                            .seq = c->rcv_nxt,
                            .ack = c->snd_una,
                            .window = (uint16_t)(c->snd_wnd >> c->snd_scale),
                            .flags = TCP_ACK};
        tcp_option_ts(&o, c->ts_recent, 0);
        world_inject(w, SERVER, &o);
    }
    world_run(w, 30000);
    cr_assert(c->dupacks == 0 || c->dupacks == 2);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_rto_total == 1);
    world_free(w);
}

Test(loss, every_second_full_segment_is_acknowledged_and_the_last_within_40_ms)
{
    struct record r;
    struct world *w = recorded(&r, 500);
    serve(w, 1448 * 3 - 1); /* two full ones, one short and pushed */
    world_run(w, 20000);
    cr_assert(r.acks >= 1 && r.acks <= 2, "%u", r.acks);
    cr_assert(world_conn(w, SERVER)->queued == 0);
    r.acks = 0;
    serve(w, 1448); /* one full segment: waits */
    world_run(w, 20000);
    cr_assert(r.acks == 0, "%u", r.acks);
    world_run(w, 30000);
    cr_assert(r.acks == 1 && world_conn(w, SERVER)->queued == 0);
    world_free(w);
}

Test(loss, a_burst_is_acknowledged_once)
{
    struct record r;
    struct world *w = recorded(&r, 500);
    serve(w, 10 * 1448);
    world_run(w, 5000);
    cr_assert(r.n == 10 && r.acks == 1, "%u segments, %u acks", r.n, r.acks);
    world_free(w);
}

Test(loss, a_response_carries_the_acknowledgement)
{
    struct record r;
    struct world *w = recorded(&r, 500);
    w->app[CLIENT].send_total = 5000; /* sent from inside of received */
    serve(w, 1000);
    world_run(w, 100000);
    cr_assert(w->app[SERVER].got == 5000 && w->app[CLIENT].got == 1000);
    cr_assert(r.acks == 0 && world_conn(w, SERVER)->queued == 0, "%u bare ACKs", r.acks);
    world_free(w);
}

Test(loss, slow_start_doubles_and_a_loss_halves)
{
    struct record r;
    struct world *w = recorded(&r, 20000);
    struct tcp_conn *c = world_conn(w, SERVER);
    serve(w, 4 << 20);
    uint32_t first = c->tx->cc.cwnd;
    cr_assert(first == 14480);
    world_run(w, 41000);
    uint32_t second = c->tx->cc.cwnd;
    cr_assert(second > first + first / 2 && second <= 2 * first + 1448, "%u", second);
    world_run(w, 60000);
    r.lose_from = r.n;
    r.lose_count = 1;
    uint32_t before = c->tx->cc.cwnd;
    world_run(w, 70000);
    cr_assert(c->tx->cc.ssthresh <= before * 3 / 2 && c->tx->cc.ssthresh >= 2 * 1448);
    world_run(w, 400000);
    cr_assert(!c->recovering && tcp_counters(w->engine[SERVER])->tcp_rto_total == 0);
    world_free(w);
}

Test(loss, a_small_window_is_not_filled_with_crumbs)
{
    struct tcp_config narrow = world_config();
    narrow.receive_window_bytes = 4000;
    struct world *w = world_new(1, &narrow, NULL);
    struct record r = {.lose_from = UINT32_MAX};
    world_connect(w);
    world_run(w, 10000);
    w->tap = record_tap;
    w->tap_ctx = &r;
    serve(w, 100000);
    world_run(w, 60000000);
    cr_assert(w->app[CLIENT].got == 100000, "%lu", (unsigned long)w->app[CLIENT].got);
    cr_assert(r.n < 100000 / 1000, "%u segments", r.n);
    world_free(w);
}

/* A router that drops what is large and says nothing, or whose word is filtered (RFC 2923 2.1). */
static bool narrow_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct record *r = w->tap_ctx;
    bool large = from == SERVER && 20 + 20 + o->option_len + o->len > 1400;
    r->n += large;
    return !large;
}

Test(loss, a_path_that_swallows_large_segments_is_still_crossed)
{
    struct record r = {0};
    struct world *w = world_new(1, NULL, NULL);
    w->tap = narrow_tap;
    w->tap_ctx = &r;
    world_connect(w);
    world_run(w, 1000000);
    serve(w, 400000);
    world_run(w, 10000000);
    cr_assert_eq(w->app[CLIENT].got, 400000, "%llu", (unsigned long long)w->app[CLIENT].got);
    cr_assert_gt(r.n, 0); /* it was narrow indeed */
    cr_assert(!w->app[CLIENT].wrong && !w->broken, "%s", w->broken);
    world_free(w);
}
