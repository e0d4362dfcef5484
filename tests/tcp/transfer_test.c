/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams over links good and bad: what is written is what is read, and everything ends. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

static void expect_clean(struct world *w, uint64_t limit_us)
{
    bool ended = world_run_closed(w, limit_us);
    cr_assert(ended, "seed %lu: not closed (client got %lu, server got %lu, broken: %s)",
              (unsigned long)w->seed, (unsigned long)w->app[0].got, (unsigned long)w->app[1].got,
              w->broken ? w->broken : "no");
    cr_assert(w->broken == NULL, "seed %lu: %s", (unsigned long)w->seed, w->broken);
    for (unsigned i = 0; i < 2; i++) {
        const struct app *a = &w->app[i], *b = &w->app[!i];
        cr_assert(!a->wrong, "seed %lu side %u: wrong bytes or events", (unsigned long)w->seed, i);
        cr_assert(a->got == b->send_total, "seed %lu side %u: %lu of %lu", (unsigned long)w->seed,
                  i, (unsigned long)a->got, (unsigned long)b->send_total);
        cr_assert(a->why == STREAM_DONE && a->eof, "seed %lu side %u: ended %u, eof %u",
                  (unsigned long)w->seed, i, a->why, a->eof);
        cr_assert(a->hold.count == 1, "seed %lu: holds left", (unsigned long)w->seed);
    }
    world_run(w, w->engine[0]->config.time_wait_ms * 1000 + 4000000); /* TIME-WAIT over */
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(tcp_connections(w->engine[i]) == 0);
        cr_assert(tcp_blocks_free(w->engine[i]) == w->engine[i]->config.blocks);
        cr_assert(tcp_counters(w->engine[i])->tcp_time_wait == 0);
    }
}

static struct world *both_ways_as(const struct tcp_config *config, uint64_t seed, uint64_t up,
                                  uint64_t down)
{
    struct world *w = world_new(seed, config, config);
    w->app[CLIENT].send_total = up;
    w->app[SERVER].send_total = down;
    w->app[CLIENT].shut_after = w->app[SERVER].shut_after = true;
    world_connect(w);
    return w;
}

static struct world *both_ways(uint64_t seed, uint64_t up, uint64_t down)
{
    return both_ways_as(NULL, seed, up, down);
}

Test(transfer, every_small_size_arrives)
{
    for (uint64_t size = 1; size < 6000; size += size < 40 ? 1 : 361) {
        struct world *w = both_ways(size, size, size / 2 + 1);
        w->app[CLIENT].by_copy = true;
        expect_clean(w, 5000000);
        world_free(w);
    }
}

Test(transfer, megabytes_on_a_good_link_take_a_few_round_trips)
{
    struct world *w = both_ways(1, 100, 4 << 20);
    uint64_t start = w->now.mono_us;
    expect_clean(w, 60000000);
    uint64_t took = w->app[CLIENT].closed_us - start;
    cr_assert(took < 1000000, "4 MiB took %lu us", (unsigned long)took);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_retransmit_total == 0);
    world_free(w);
}

Test(transfer, lossy_links_deliver_all)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *w = both_ways(seed, seed % 3 == 0 ? 200000 : 1000, 100000 + seed * 7001);
        w->loss_permille = (uint32_t)(seed % 6) * 10;
        w->duplicate_permille = (uint32_t)(seed % 4) * 10;
        w->reorder_permille = seed % 5 ? 50 : 0;
        w->delay_us = 200 + seed * 97;
        w->jitter_us = 3000;
        w->refuse_permille = seed % 7 == 0 ? 100 : 0;
        w->app[SERVER].piece = (uint32_t)(seed * 37 % 9000 + 1);
        w->app[CLIENT].by_copy = seed % 2;
        expect_clean(w, 600000000);
        world_free(w);
    }
}

Test(transfer, heavy_loss_still_ends)
{
    /* a FIN that is lost again and again must find the record that answers it */
    struct tcp_config patient = world_config();
    patient.time_wait_ms = 60000;
    for (uint64_t seed = 101; seed < 151; seed++) {
        struct world *w = both_ways_as(&patient, seed, 20000, 50000);
        w->loss_permille = 150; /* at 200 one world in a thousand runs out of retries */
        w->jitter_us = 20000;
        w->reorder_permille = 200;
        w->duplicate_permille = 100;
        expect_clean(w, 3600000000ull);
        world_free(w);
    }
}

Test(transfer, one_per_cent_loss_does_not_cripple)
{
    struct world *w = both_ways(7, 10, 4 << 20);
    w->delay_us = 5000;
    w->loss_permille = 10;
    uint64_t start = w->now.mono_us;
    expect_clean(w, 600000000);
    uint64_t took = w->app[CLIENT].closed_us - start;
    /* Reno at 1 % and 10 ms: about 1.3 Mbyte/s; go-back-N without reassembly would need minutes */
    cr_assert(took < 15000000, "4 MiB took %lu us", (unsigned long)took);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_fast_retransmit_total > 0);
    cr_assert(tcp_counters(w->engine[CLIENT])->tcp_out_of_order_total > 0);
    world_free(w);
}

Test(transfer, sequence_numbers_wrap)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world *w = both_ways(seed, 300000, 300000);
        /* the clock part of the sequence number is moved so that it wraps within the transfer */
        struct tcp_conn *c = world_conn(w, CLIENT);
        uint32_t iss = (uint32_t) - (int32_t)(seed * 30000);
        c->snd_una = iss;
        c->snd_nxt = c->snd_max = c->snd_end = iss + 1;
        w->loss_permille = 20;
        w->reorder_permille = 50;
        w->jitter_us = 2000;
        expect_clean(w, 600000000);
        world_free(w);
    }
}

Test(transfer, a_slow_reader_closes_the_window_and_loses_nothing)
{
    struct world *w = both_ways(3, 10, 8 << 20);
    w->app[CLIENT].paused = true;
    world_run(w, 30000000);
    cr_assert(w->broken == NULL, "%s", w->broken);
    struct tcp_conn *c = world_conn(w, CLIENT);
    cr_assert(c && tcp_conn_kept(c) <= 256 * 1024 + 8 && tcp_conn_kept(c) > 200 * 1024);
    cr_assert_leq(w->app[SERVER].sent, w->engine[SERVER]->config.send_queue_bytes + (1u << 20));
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_probe_total > 3);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_rto_total == 0);
    w->app[CLIENT].paused = false;
    stream_resume(w->app[CLIENT].stream);
    expect_clean(w, 600000000);
    world_free(w);
}

Test(transfer, a_reader_that_nibbles)
{
    for (uint32_t bite = 1; bite < 5000; bite = bite * 3 + 1) {
        struct world *w = both_ways(bite, 10, 30000);
        w->app[CLIENT].consume_max = bite;
        w->app[CLIENT].shut_after = false; /* it closes when it has read all */
        world_run(w, 2000000);
        for (unsigned i = 0; i < 40000 && w->app[CLIENT].got < 30000; i++) {
            stream_resume(w->app[CLIENT].stream);
            world_poll(w);
        }
        stream_shut(w->app[CLIENT].stream);
        expect_clean(w, 60000000);
        world_free(w);
    }
}

Test(transfer, a_record_reader_sees_every_record_contiguous_at_every_split)
{
    /* records of 1000 bytes, consumed whole or not at all; segments end anywhere */
    for (uint32_t piece = 1; piece < 1500; piece += 83) {
        struct tcp_config small = world_config();
        small.mss_v4 = (uint16_t)(512 + piece);
        struct world *w = world_new(piece, &small, NULL);
        w->app[SERVER].send_total = 50000;
        w->app[SERVER].shut_after = w->app[CLIENT].shut_after = true;
        w->app[CLIENT].consume_max = 1000;
        w->app[CLIENT].consume_whole = true;
        w->loss_permille = 30;
        world_connect(w);
        expect_clean(w, 60000000);
        world_free(w);
    }
}

Test(transfer, a_port_that_refuses_for_a_while_loses_nothing)
{
    struct world *w = both_ways(9, 100000, 100000);
    for (unsigned i = 0; i < 200; i++) {
        w->refuse[i % 2] = i % 3 != 0;
        world_run(w, 3000);
    }
    w->refuse[0] = w->refuse[1] = false;
    expect_clean(w, 60000000);
    world_free(w);
}

Test(transfer, small_pools_slow_down_but_do_not_break)
{
    for (uint64_t seed = 1; seed < 12; seed++) {
        struct tcp_config tight = world_config();
        tight.blocks = 12;
        tight.send_queue_bytes = 16384;
        struct world *w = world_new(seed, &tight, &tight);
        w->app[CLIENT].send_total = w->app[SERVER].send_total = 200000;
        w->app[CLIENT].by_copy = w->app[SERVER].by_copy = true;
        w->app[CLIENT].shut_after = w->app[SERVER].shut_after = true;
        w->loss_permille = 20;
        world_connect(w);
        expect_clean(w, 600000000);
        world_free(w);
    }
}

/* the right edge of the client's window, as the wire says it */
struct edge {
    bool known, retracted;
    uint32_t at;
};

static bool edge_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct edge *e = w->tap_ctx;
    if (from != CLIENT || (o->flags & (TCP_SYN | TCP_RST)))
        return true;
    uint32_t at = o->ack + ((uint32_t)o->window << 3);
    if (e->known && seq_lt(at, e->at))
        e->retracted = true;
    e->known = true;
    e->at = at;
    return true;
}

Test(transfer, the_window_never_moves_back)
{
    for (uint32_t piece = 1; piece < 3000; piece += 271) {
        struct world *w = both_ways(piece, 10, 300000);
        struct edge e = {0};
        w->tap = edge_tap;
        w->tap_ctx = &e;
        w->app[SERVER].piece = piece;
        w->app[CLIENT].consume_max = 333; /* keeps most of it: the window closes by odd amounts */
        w->app[CLIENT].shut_after = false;
        w->loss_permille = 10;
        world_run(w, 2000000);
        while (w->app[CLIENT].got < 300000) {
            stream_resume(w->app[CLIENT].stream);
            world_run(w, 20);
        }
        cr_assert(e.known && !e.retracted, "piece %u", piece);
        stream_shut(w->app[CLIENT].stream);
        expect_clean(w, 60000000);
        world_free(w);
    }
}
