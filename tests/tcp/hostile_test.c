/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments that nobody honest sends, bytes out of order, and everything at random. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

static struct world *open_world_as(uint64_t seed, bool no_sack)
{
    struct world *w = world_new(seed, NULL, NULL);
    w->no_sack = no_sack;
    world_connect(w);
    world_run(w, 100000);
    w->refuse[CLIENT] = true; /* from here on the test is the client */
    return w;
}

static struct world *open_world(uint64_t seed)
{
    return open_world_as(seed, false);
}

static struct tcp_out from_client(struct world *w, uint8_t flags)
{
    const struct tcp_conn *c = world_conn(w, SERVER);
    return (struct tcp_out){.src = c->stream.remote.ip,
                            .dst = c->stream.local.ip,
                            .sport = c->stream.remote.port,
                            .dport = 80,
                            .seq = c->rcv_nxt,
                            .ack = c->snd_max,
                            .window = 8000,
                            .flags = flags};
}

static void send_bytes(struct world *w, uint32_t base, uint32_t from, uint32_t to)
{
    static uint8_t bytes[65536];
    for (uint32_t i = from; i < to; i++)
        bytes[i] = pattern(w->app[SERVER].peer_salt, i);
    struct tcp_out o = from_client(w, TCP_ACK);
    o.seq = base + from;
    o.len = to - from;
    o.refs = 1;
    o.ref[0] = (struct ref){bytes + from, to - from, NULL};
    world_inject(w, SERVER, &o);
}

Test(hostile, pieces_in_any_order_come_together)
{
    for (uint64_t seed = 1; seed < 200; seed++) {
        struct world *w = open_world(seed);
        struct rng r;
        rng_init_u64(&r, seed);
        uint32_t base = world_conn(w, SERVER)->rcv_nxt;
        w->app[SERVER].consume_max = seed % 3 ? 0 : 700;
        for (unsigned i = 0; i < 3000 && world_conn(w, SERVER)->rcv_nxt - base < 30000; i++) {
            uint32_t from = rng_below(&r, 30000), len = 1 + rng_below(&r, 1400);
            send_bytes(w, base, from, from + len < 30000 ? from + len : 30000);
            if (i % 16 == 0)
                tcp_poll(w->engine[SERVER], w->now);
        }
        for (unsigned i = 0; i < 100; i++) {
            stream_resume(w->app[SERVER].stream);
            tcp_poll(w->engine[SERVER], w->now);
        }
        cr_assert(!w->broken && !w->app[SERVER].wrong, "seed %lu: %s", (unsigned long)seed,
                  w->broken ? w->broken : "wrong bytes");
        cr_assert(w->app[SERVER].got == world_conn(w, SERVER)->rcv_nxt - base);
        world_free(w);
    }
}

/* One byte a block's length apart: 64 islands are kept, and a further one costs nothing. */
Test(hostile, an_island_too_many_takes_no_block)
{
    struct world *w = open_world(1);
    struct tcp_engine *e = w->engine[SERVER];
    uint32_t base = world_conn(w, SERVER)->rcv_nxt, left = 0;
    for (unsigned i = 1; i <= 100; i++) {
        send_bytes(w, base, i * 600, i * 600 + 1);
        tcp_poll(e, w->now);
        if (i == TCP_STORE_RANGES)
            left = tcp_blocks_free(e);
    }
    cr_assert_eq(tcp_blocks_free(e), left);
    cr_assert_eq(tcp_counters(e)->tcp_out_of_order_total, TCP_STORE_RANGES);
    cr_assert_eq(tcp_counters(e)->tcp_out_of_order_dropped_total, 100 - TCP_STORE_RANGES);
    send_bytes(w, base, TCP_STORE_RANGES * 600 + 1, TCP_STORE_RANGES * 600 + 2); /* grows one */
    cr_assert_eq(tcp_counters(e)->tcp_out_of_order_total, TCP_STORE_RANGES + 1);
    cr_assert(!w->broken, "%s", w->broken);
    world_free(w);
}

Test(hostile, each_segment_out_of_order_has_its_duplicate_ack)
{
    struct world *w = open_world_as(1, true); /* with SACK one ACK tells all */
    uint32_t base = world_conn(w, SERVER)->rcv_nxt;
    send_bytes(w, base, 1000, 2000);
    send_bytes(w, base, 2000, 3000);
    send_bytes(w, base, 5000, 6000);
    uint64_t before = w->sent[SERVER];
    tcp_poll(w->engine[SERVER], w->now);
    cr_assert(w->sent[SERVER] == before + 3 && w->last[SERVER].ack == base);
    send_bytes(w, base, 0, 1000);
    tcp_poll(w->engine[SERVER], w->now);
    cr_assert(w->sent[SERVER] == before + 4 && w->last[SERVER].ack == base + 3000);
    world_free(w);
}

Test(hostile, data_beyond_the_window_is_cut)
{
    struct world *w = open_world(1);
    struct tcp_conn *c = world_conn(w, SERVER);
    uint32_t base = c->rcv_nxt, edge = c->rcv_edge - base;
    w->app[SERVER].paused = true;
    for (uint32_t at = 0; at + 1000 < 60000; at += 1000)
        send_bytes(w, base, at, at + 1000);
    cr_assert(edge >= 60000 && tcp_conn_kept(c) == 59000);
    cr_assert(!seq_lt(base + edge, base + 59000));
    struct tcp_out o = from_client(w, TCP_ACK);
    o.seq = c->rcv_edge + 1;
    o.len = 1;
    o.refs = 1;
    o.ref[0] = (struct ref){(const uint8_t *)"x", 1, NULL};
    world_inject(w, SERVER, &o);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_out_of_window_total == 1);
    world_free(w);
}

Test(hostile, an_ack_of_what_was_never_sent_changes_nothing)
{
    struct world *w = open_world(1);
    struct tcp_conn *c = world_conn(w, SERVER);
    struct tcp_out o = from_client(w, TCP_ACK);
    o.ack += 1000;
    uint32_t una = c->snd_una;
    world_inject(w, SERVER, &o);
    cr_assert(c->snd_una == una && tcp_counters(w->engine[SERVER])->tcp_challenge_ack_total == 1);
    o.ack -= 1000 + 2000000;
    world_inject(w, SERVER, &o);
    cr_assert(c->snd_una == una);
    world_free(w);
}

Test(hostile, paws_drops_an_old_timestamp_but_not_after_24_days)
{
    struct tcp_config forever = world_config();
    forever.idle_timeout_ms = 0;
    struct world *w = world_new(1, &forever, &forever);
    world_connect(w);
    world_run(w, 100000);
    w->refuse[CLIENT] = true;
    struct tcp_conn *c = world_conn(w, SERVER);
    struct tcp_out o = from_client(w, TCP_ACK);
    o.len = 1;
    o.refs = 1;
    uint8_t byte = pattern(w->app[SERVER].peer_salt, 0);
    o.ref[0] = (struct ref){&byte, 1, NULL};
    tcp_option_ts(&o, c->ts_recent - 5, 0);
    world_inject(w, SERVER, &o);
    cr_assert(w->app[SERVER].got == 0 && tcp_counters(w->engine[SERVER])->tcp_paws_total == 1);
    w->now.mono_us += 25ull * 86400 * 1000000;
    tcp_poll(w->engine[SERVER], w->now);
    world_inject(w, SERVER, &o);
    cr_assert(w->app[SERVER].got == 1);
    world_free(w);
}

Test(hostile, segments_that_cannot_be_are_counted)
{
    struct world *w = open_world(1);
    struct tcp_counters *n = &w->engine[SERVER]->counters;
    struct tcp_out o = from_client(w, TCP_SYN | TCP_FIN);
    world_inject(w, SERVER, &o);
    o.flags = TCP_SYN | TCP_RST;
    world_inject(w, SERVER, &o);
    o.flags = TCP_PSH;
    world_inject(w, SERVER, &o);
    cr_assert(n->tcp_bad_flags_total == 3);
    o = from_client(w, TCP_SYN);
    o.src = o.dst;
    o.sport = o.dport;
    world_inject(w, SERVER, &o);
    o = from_client(w, TCP_SYN);
    o.src = addr_v4(0xe0000001);
    world_inject(w, SERVER, &o);
    cr_assert(n->tcp_bad_address_total == 2);
    cr_assert(!w->app[SERVER].closed);
    world_free(w);
}

Test(hostile, strangers_get_few_resets)
{
    struct world *w = open_world(1);
    uint64_t before = w->sent[SERVER];
    for (uint32_t i = 0; i < 5000; i++) {
        struct tcp_out o = from_client(w, TCP_ACK);
        o.src = addr_v4(0xc0000000 + i);
        world_inject(w, SERVER, &o);
    }
    cr_assert(w->sent[SERVER] - before >= 500 && w->sent[SERVER] - before < 1500);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_rst_limited_total > 3000);
    world_free(w);
}

Test(hostile, a_fin_before_its_gap_waits)
{
    struct world *w = open_world(1);
    uint32_t base = world_conn(w, SERVER)->rcv_nxt;
    struct tcp_out o = from_client(w, TCP_ACK | TCP_FIN);
    o.seq = base + 100;
    world_inject(w, SERVER, &o);
    tcp_poll(w->engine[SERVER], w->now);
    cr_assert(!w->app[SERVER].eof);
    send_bytes(w, base, 0, 150); /* what lies beyond the FIN is nothing */
    tcp_poll(w->engine[SERVER], w->now);
    cr_assert(w->app[SERVER].eof && w->app[SERVER].got == 100);
    cr_assert(w->last[SERVER].ack == base + 101);
    world_free(w);
}

Test(hostile, a_one_byte_mss_is_raised)
{
    struct world *w = world_new(1, NULL, NULL);
    struct tcp_out o = {.src = addr_v4(0x0a000001),
                        .dst = addr_v4(0x0a000002),
                        .sport = 9,
                        .dport = 80,
                        .seq = 5,
                        .flags = TCP_SYN,
                        .window = 100};
    tcp_option_syn(&o, 1, 14, true, 1, 0);
    world_inject(w, SERVER, &o);
    tcp_poll(w->engine[SERVER], w->now);
    o = (struct tcp_out){.src = addr_v4(0x0a000001),
                         .dst = addr_v4(0x0a000002),
                         .sport = 9,
                         .dport = 80,
                         .seq = 6,
                         .ack = w->last[SERVER].seq + 1,
                         .flags = TCP_ACK,
                         .window = 65535};
    tcp_option_ts(&o, 1, 0);
    world_inject(w, SERVER, &o);
    cr_assert(w->app[SERVER].opened && world_conn(w, SERVER)->mss == TCP_MSS_MIN - 12);
    w->app[SERVER].send_total = 5000;
    app_push(&w->app[SERVER]);
    for (unsigned i = 0; i < 100; i++)
        tcp_poll(w->engine[SERVER], w->now);
    cr_assert(!w->broken);
    world_free(w);
}
