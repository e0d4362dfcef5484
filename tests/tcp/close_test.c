/* SPDX-License-Identifier: BSD-3-Clause */
/* How connections end: every order of closing, with every last segment lost; RST; TIME-WAIT. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

static struct world *open_world(uint64_t seed)
{
    struct tcp_config patient = world_config();
    patient.time_wait_ms = seed >= 1000 ? 100000 : 1000;
    struct world *w = world_new(seed, &patient, &patient);
    world_connect(w);
    world_run(w, 100000);
    cr_assert(w->app[CLIENT].opened && w->app[SERVER].opened);
    return w;
}

static void expect_done(struct world *w)
{
    cr_assert(world_run_closed(w, 20000000));
    for (unsigned i = 0; i < 2; i++)
        cr_assert(w->app[i].why == STREAM_DONE && w->app[i].eof && !w->app[i].wrong, "side %u: %d",
                  i, w->app[i].why);
    cr_assert(w->broken == NULL, "%s", w->broken);
}

Test(closing, the_client_first)
{
    struct world *w = open_world(1);
    stream_shut(w->app[CLIENT].stream);
    world_run(w, 100000);
    cr_assert(world_conn(w, CLIENT)->state == TCP_FIN_WAIT_2);
    cr_assert(world_conn(w, SERVER)->state == TCP_CLOSE_WAIT && w->app[SERVER].eof);
    stream_shut(w->app[SERVER].stream);
    expect_done(w);
    cr_assert(tcp_counters(w->engine[CLIENT])->tcp_time_wait == 1);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_time_wait == 0);
    world_free(w);
}

Test(closing, both_at_once)
{
    struct world *w = open_world(1);
    stream_shut(w->app[CLIENT].stream);
    stream_shut(w->app[SERVER].stream);
    expect_done(w);
    cr_assert(tcp_counters(w->engine[CLIENT])->tcp_time_wait == 1);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_time_wait == 1);
    world_free(w);
}

Test(closing, a_half_closed_stream_still_carries_the_other_way)
{
    struct world *w = open_world(1);
    stream_shut(w->app[CLIENT].stream);
    world_run(w, 100000);
    w->app[SERVER].send_total = 300000;
    w->app[SERVER].shut_after = true;
    app_push(&w->app[SERVER]);
    expect_done(w);
    cr_assert(w->app[CLIENT].got == 300000);
    world_free(w);
}

static bool drop_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    /* bit n of the mask: the n-th segment after the handshake is lost */
    unsigned *mask = w->tap_ctx;
    (void)from;
    (void)o;
    bool drop = *mask & 1;
    *mask >>= 1;
    return !drop;
}

Test(closing, any_of_the_last_segments_may_be_lost)
{
    for (unsigned lost = 0; lost < 256; lost++) {
        struct world *w = open_world(1000 + lost); /* TIME-WAIT outlasts all retries */
        unsigned mask = lost;
        w->tap = drop_tap;
        w->tap_ctx = &mask;
        w->app[SERVER].send_total = 100;
        w->app[SERVER].shut_after = w->app[CLIENT].shut_on_eof = true;
        app_push(&w->app[SERVER]);
        cr_assert(world_run_closed(w, 300000000), "lost %x", lost);
        cr_assert(w->app[CLIENT].got == 100 && w->app[CLIENT].why == STREAM_DONE,
                  "lost %x: %lu, %d", lost, (unsigned long)w->app[CLIENT].got, w->app[CLIENT].why);
        world_free(w);
    }
}

Test(closing, zero_window_at_the_end_still_gets_the_fin_through)
{
    struct world *w = open_world(5);
    w->app[CLIENT].paused = true;
    w->app[SERVER].send_total = 256 * 1024; /* exactly the window */
    w->app[SERVER].shut_after = true;
    app_push(&w->app[SERVER]);
    world_run(w, 20000000);
    w->app[CLIENT].paused = false;
    stream_resume(w->app[CLIENT].stream);
    world_run(w, 1000000);
    cr_assert(w->app[CLIENT].eof && w->app[CLIENT].got == 256 * 1024);
    stream_shut(w->app[CLIENT].stream);
    expect_done(w);
    world_free(w);
}

Test(closing, eof_comes_though_a_part_was_refused)
{
    struct world *w = open_world(6);
    w->app[CLIENT].paused = true;
    w->app[SERVER].send_total = 500;
    w->app[SERVER].shut_after = true;
    app_push(&w->app[SERVER]);
    world_run(w, 1000000);
    cr_assert(w->app[CLIENT].eof && w->app[CLIENT].got == 0);
    w->app[CLIENT].paused = false; /* what was refused is still there */
    stream_resume(w->app[CLIENT].stream);
    world_run(w, 1000000);
    cr_assert(w->app[CLIENT].got == 500 && !w->app[CLIENT].wrong);
    world_free(w);
}

Test(closing, abort_resets_the_peer_and_frees_everything)
{
    struct world *w = open_world(2);
    w->app[SERVER].send_total = 4 << 20;
    app_push(&w->app[SERVER]);
    world_run(w, 3000);
    stream_abort(w->app[SERVER].stream);
    cr_assert(!w->app[SERVER].closed); /* never inside the op */
    world_run(w, 1000000);
    cr_assert(w->app[SERVER].closed && w->app[SERVER].why == STREAM_ABORTED);
    cr_assert(w->app[CLIENT].closed && w->app[CLIENT].why == STREAM_RESET);
    cr_assert(w->app[SERVER].hold.count == 1);
    cr_assert(tcp_connections(w->engine[0]) == 0 && tcp_connections(w->engine[1]) == 0);
    world_free(w);
}

static size_t abort_inside(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    (void)data;
    (void)now;
    stream_abort(s);
    return len / 2;
}

Test(closing, abort_inside_of_received)
{
    struct world *w = open_world(2);
    struct stream_events ev = app_events;
    ev.received = abort_inside;
    w->app[CLIENT].stream->events = &ev;
    w->app[SERVER].send_total = 100000;
    w->app[SERVER].shut_after = true;
    app_push(&w->app[SERVER]);
    world_run(w, 1000000);
    cr_assert(w->app[CLIENT].why == STREAM_ABORTED && w->app[SERVER].why == STREAM_RESET);
    cr_assert(w->broken == NULL, "%s", w->broken);
    world_free(w);
}

static struct tcp_out forged(struct world *w, unsigned to, uint8_t flags)
{
    const struct tcp_conn *c = world_conn(w, to);
    struct tcp_out o = {.src = c->stream.remote.ip,
                        .dst = c->stream.local.ip,
                        .sport = c->stream.remote.port,
                        .dport = c->stream.local.port,
                        .seq = c->rcv_nxt,
                        .ack = c->snd_una,
                        .window = 100,
                        .flags = flags};
    return o;
}

Test(closing, only_the_exact_rst_resets)
{
    struct world *w = open_world(3);
    struct tcp_out o = forged(w, SERVER, TCP_RST);
    uint32_t exact = o.seq;
    o.seq = exact - 1;
    world_inject(w, SERVER, &o);
    o.seq = exact + (1 << 24);
    world_inject(w, SERVER, &o);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_challenge_ack_total == 0);
    o.seq = exact + 5; /* RFC 5961: in the window, the peer is asked */
    world_inject(w, SERVER, &o);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_challenge_ack_total == 1);
    world_run(w, 10000);
    cr_assert(!w->app[SERVER].closed);
    o.seq = exact;
    world_inject(w, SERVER, &o);
    world_run(w, 1000);
    cr_assert(w->app[SERVER].closed && w->app[SERVER].why == STREAM_RESET);
    world_free(w);
}

Test(closing, rst_in_each_state)
{
    for (unsigned state = 0; state < 5; state++) {
        struct world *w = open_world(state);
        struct stream *s = w->app[SERVER].stream, *c = w->app[CLIENT].stream;
        if (state == 1 || state == 3)
            stream_shut(c); /* server: CLOSE-WAIT */
        if (state == 2)
            stream_shut(s); /* FIN-WAIT-2 */
        world_run(w, 100000);
        if (state == 3) { /* LAST-ACK: the final ACK never comes */
            w->refuse[CLIENT] = true;
            stream_shut(s);
            world_run(w, 1000);
        }
        if (state == 4) { /* FIN-WAIT-1 */
            w->refuse[CLIENT] = true;
            stream_shut(s);
            world_run(w, 1000);
        }
        cr_assert(!w->app[SERVER].closed);
        struct tcp_out o = forged(w, SERVER, TCP_RST);
        world_inject(w, SERVER, &o);
        tcp_poll(w->engine[SERVER], w->now);
        cr_assert(w->app[SERVER].closed && w->app[SERVER].why == STREAM_RESET, "state %u", state);
        cr_assert(tcp_connections(w->engine[SERVER]) == 0);
        world_free(w);
    }
}

Test(closing, a_syn_on_a_connection_is_challenged)
{
    struct world *w = open_world(3);
    struct tcp_out o = forged(w, SERVER, TCP_SYN);
    world_inject(w, SERVER, &o);
    world_inject(w, SERVER, &o);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_challenge_ack_total == 1);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_challenge_limited_total == 1);
    world_run(w, 100000);
    cr_assert(!w->app[SERVER].closed && !w->app[CLIENT].closed);
    world_free(w);
}

/* The server closes first, so TIME-WAIT is with it. */
static struct tcp_out in_time_wait(struct world *w)
{
    struct tcp_out syn = forged(w, SERVER, TCP_SYN);
    w->app[CLIENT].shut_on_eof = true;
    stream_shut(w->app[SERVER].stream);
    cr_assert(world_run_closed(w, 1000000));
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_time_wait == 1);
    syn.ack = 0;
    return syn;
}

Test(closing, time_wait_answers_a_fin_and_ignores_a_rst)
{
    struct world *w = open_world(4);
    struct tcp_out o = in_time_wait(w);
    uint64_t sent = w->sent[SERVER];
    o.flags = TCP_RST;
    o.seq += 1;
    world_inject(w, SERVER, &o);
    cr_assert(w->sent[SERVER] == sent && tcp_counters(w->engine[SERVER])->tcp_time_wait == 1);
    o.flags = TCP_FIN | TCP_ACK;
    o.seq -= 1;
    world_inject(w, SERVER, &o);
    cr_assert(w->sent[SERVER] == sent + 1 && w->last[SERVER].flags == TCP_ACK);
    cr_assert(w->last[SERVER].ack == o.seq + 1);
    world_run(w, 3000000);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_time_wait == 0);
    world_free(w);
}

Test(closing, time_wait_yields_to_a_newer_syn_only)
{
    struct world *w = open_world(4);
    struct tcp_out o = in_time_wait(w);
    o.seq -= 1000;
    world_inject(w, SERVER, &o);
    cr_assert(tcp_connections(w->engine[SERVER]) == 0); /* older: an ACK */
    o.seq += 5000;
    world_inject(w, SERVER, &o);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_half_open == 1);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_time_wait_reused_total == 1);
    world_free(w);
}

Test(closing, time_wait_yields_to_a_newer_timestamp)
{
    struct world *w = open_world(4);
    uint32_t recent = world_conn(w, SERVER)->ts_recent;
    struct tcp_out o = in_time_wait(w);
    o.seq -= 1000;
    tcp_option_syn(&o, 1460, 3, true, recent + 100000, 0);
    world_inject(w, SERVER, &o);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_half_open == 1);
    world_free(w);
}

static uint16_t one_port(void *ctx, const struct addr *local, const struct endpoint *remote,
                         uint32_t n)
{
    (void)ctx, (void)local, (void)remote, (void)n;
    return 40000;
}

/* One port for all: the client closes, and opens again. */
static bool reopened(bool ts, uint64_t after_us)
{
    struct tcp_config patient = world_config();
    patient.time_wait_ms = 5000;
    struct world *w = world_new(1, &patient, NULL);
    uint8_t *source = w->app[CLIENT].source;
    w->no_ts = !ts;
    w->engine[CLIENT]->host.port_try = one_port;
    w->app[CLIENT].shut_after = w->app[SERVER].shut_on_eof = true;
    world_connect(w);
    cr_assert(world_run_closed(w, 100000));
    const struct tcp_counters *n = tcp_counters(w->engine[CLIENT]);
    cr_assert_eq(n->tcp_time_wait, 1);
    uint32_t old = w->last[CLIENT].seq;
    w->now.mono_us += after_us;
    struct addr from = world_addr(CLIENT);
    struct endpoint to = {world_addr(SERVER), 80};
    w->app[CLIENT] = (struct app){.world = w, .salt = 1, .peer_salt = 1, .source = source};
    struct stream *s =
        tcp_connect(w->engine[CLIENT], &from, &to, &app_events, &w->app[CLIENT], w->now);
    if (s) {
        w->app[CLIENT].stream = s;
        cr_assert_eq(n->tcp_time_wait, 0);
        cr_assert_eq(n->tcp_time_wait_reused_total, 1);
        cr_assert_gt((int32_t)(tcp_conn_of(s)->snd_una - old), 65535);
        world_run(w, 100000);
        cr_assert(w->app[CLIENT].opened);
    } else {
        cr_assert_eq(n->tcp_no_port_total, 1);
    }
    cr_assert(!w->broken, "%s", w->broken);
    world_free(w);
    return s != NULL;
}

/* RFC 6191 for our own opens: the clock has moved on, and timestamps say so. */
Test(closing, a_port_in_time_wait_serves_again_after_a_second_with_timestamps)
{
    cr_expect(!reopened(true, 500000));
    cr_expect(reopened(true, 1000000));
    cr_expect(!reopened(false, 1000000));
    cr_expect(!reopened(false, 3000000));
}

/* Records in any order of tags and ages, many with one home slot: found while they are there, gone
 * when they are not. */
Test(closing, time_wait_records_are_found_until_they_go)
{
    enum { N = 200 };
    struct tcp_config c = tcp_config_default();
    struct tcp_host host = {0};
    const uint8_t seed[32] = {8};
    c.time_wait_records = N;
    c.time_wait_ms = 1000;
    struct tcp_engine *e = tcp_create(&c, &host, seed, (struct now){1000000, 0});
    struct tcp_conn conn = {0};
    uint64_t tag[N * 4];
    struct rng rng;
    rng_init_u64(&rng, 3);
    bool in[N * 4] = {false};
    unsigned held = 0;
    for (unsigned i = 0; i < N * 4; i++) {
        conn.stream.local.port = (uint16_t)i;
        tag[i] = tcp_tuple_tag(e, &conn.stream.local.ip, (uint16_t)i, &conn.stream.remote.ip, 0);
    }
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = rng_below(&rng, N * 4);
        uint32_t floor;
        if (in[i]) {
            cr_assert(tcp_time_wait_take(e, tag[i], &floor) && floor == i + 65537);
            in[i] = false;
            held--;
        } else if (held < N) {
            conn.stream.local.port = (uint16_t)i;
            conn.snd_max = i;
            tcp_time_wait_add(e, &conn);
            in[i] = true;
            held++;
        }
        cr_assert_eq(tcp_counters(e)->tcp_time_wait, held);
        unsigned k = rng_below(&rng, N * 4);
        cr_assert_eq(tcp_time_wait_port(e, tag[k]) != TCP_PORT_FREE, in[k]);
    }
    for (unsigned i = 0; i < N * 4; i++)
        cr_assert_eq(tcp_time_wait_port(e, tag[i]) != TCP_PORT_FREE, in[i]);
    for (unsigned i = 0; i < 10; i++)
        tcp_poll(e, (struct now){3000000, 0});
    cr_assert_eq(e->tw.pool.left, N);
    for (uint32_t i = 0; i <= e->tw.mask; i++)
        cr_assert_eq(e->tw.slot[i], 0);
    cr_assert_eq(tcp_counters(e)->tcp_time_wait_dropped_total, 0);
    tcp_destroy(e);
}

Test(closing, a_full_time_wait_table_drops_its_oldest)
{
    struct tcp_config one = world_config();
    one.connections = 1;
    one.time_wait_records = 1;
    struct world *w = world_new(1, NULL, &one);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *source[2] = {w->app[0].source, w->app[1].source};
        for (unsigned k = 0; k < 2; k++)
            w->app[k] = (struct app){.world = w, .salt = 1, .peer_salt = 1, .source = source[k]};
        w->app[CLIENT].shut_on_eof = true;
        w->app[SERVER].shut_after = true;
        world_connect(w);
        cr_assert(world_run_closed(w, 100000));
    }
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_time_wait == 1);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_time_wait_dropped_total == 2);
    world_free(w);
}

Test(closing, silence_ends_a_connection_where_it_is_configured)
{
    struct tcp_config idle = world_config();
    idle.idle_timeout_ms = 5000;
    struct world *w = world_new(1, NULL, &idle);
    world_connect(w);
    world_run(w, 4900000);
    cr_assert(!w->app[SERVER].closed);
    world_run(w, 200000);
    cr_assert(w->app[SERVER].why == STREAM_TIMEOUT && w->app[SERVER].closed);
    cr_assert(w->app[CLIENT].why == STREAM_RESET && w->app[CLIENT].closed);
    world_free(w);
}
