/* SPDX-License-Identifier: BSD-3-Clause */
/* How connections begin: options, retries, limits, ports, and what a peer may get wrong. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

struct watch {
    unsigned syn, synack, rst, dropped;
    unsigned drop_syn, drop_synack, drop_ack;
    struct tcp_segment first_syn, first_synack;
    bool strip_options;
    uint64_t syn_at[16];
};

static void parse_options(struct tcp_segment *s, const struct tcp_out *o)
{
    uint8_t bytes[64] = {0};
    bytes[12] = (uint8_t)((20 + o->option_len) / 4 << 4);
    bytes[13] = o->flags;
    memcpy(bytes + 20, o->option, o->option_len);
    struct tcp_packet p = {.segment = bytes, .len = 20u + o->option_len};
    cr_assert(tcp_segment_parse(s, &p));
    s->window = o->window;
}

static bool watch_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct watch *t = w->tap_ctx;
    if (o->flags & TCP_RST)
        t->rst++;
    if (o->flags & TCP_SYN) {
        bool ack = o->flags & TCP_ACK;
        unsigned *n = ack ? &t->synack : &t->syn;
        if (*n == 0)
            parse_options(ack ? &t->first_synack : &t->first_syn, o);
        if (!ack && t->syn < 16)
            t->syn_at[t->syn] = w->now.mono_us;
        if (t->strip_options)
            o->option_len = 0;
        if ((*n)++ < (ack ? t->drop_synack : t->drop_syn))
            return false;
    } else if (from == CLIENT && o->len == 0 && t->drop_ack > 0) {
        t->drop_ack--;
        return false;
    }
    return true;
}

static struct world *watched(struct watch *t, uint64_t seed)
{
    *t = (struct watch){0};
    struct world *w = world_new(seed, NULL, NULL);
    w->tap = watch_tap;
    w->tap_ctx = t;
    return w;
}

Test(handshake, both_ends_agree_on_options)
{
    struct watch t;
    struct world *w = watched(&t, 1);
    world_connect(w);
    world_run(w, 100000);
    cr_assert(w->app[CLIENT].opened && w->app[SERVER].opened);
    for (unsigned i = 0; i < 2; i++) {
        const struct tcp_options *o = i ? &t.first_synack.opt : &t.first_syn.opt;
        cr_assert(o->has_mss && o->mss == 1460 && o->has_scale && o->scale == 3 && o->has_ts);
        const struct tcp_conn *c = world_conn(w, i);
        cr_assert(c->state == TCP_ESTABLISHED && c->mss == 1448 && c->ts_on && c->snd_scale == 3);
        cr_assert(c->rtt.srtt8_us / 8 == 1000);
    }
    cr_assert(t.first_synack.opt.tsecr == t.first_syn.opt.tsval);
    cr_assert(t.first_syn.window == 65535); /* never scaled */
    world_free(w);
}

Test(handshake, a_peer_without_options_gets_536)
{
    struct watch t;
    struct world *w = watched(&t, 1);
    t.strip_options = true;
    w->app[SERVER].send_total = 100000;
    w->app[SERVER].shut_after = w->app[CLIENT].shut_on_eof = true;
    world_connect(w);
    world_run(w, 1700);
    cr_assert(world_conn(w, SERVER)->mss == 536);
    cr_assert(!world_conn(w, SERVER)->ts_on && world_conn(w, SERVER)->rcv_scale == 0);
    cr_assert(world_run_closed(w, 10000000) && w->app[CLIENT].got == 100000);
    world_free(w);
}

Test(handshake, syn_is_retried_at_1_2_4_seconds_and_then_given_up)
{
    struct watch t;
    struct world *w = watched(&t, 1);
    t.drop_syn = 100;
    world_connect(w);
    uint64_t start = w->now.mono_us;
    world_run(w, 60000000);
    cr_assert(t.syn == 5);
    uint64_t expect[] = {0, 1000000, 3000000, 7000000, 15000000};
    for (unsigned i = 0; i < 5; i++)
        cr_assert(t.syn_at[i] - start >= expect[i] && t.syn_at[i] - start < expect[i] + 20000,
                  "%lu", (unsigned long)(t.syn_at[i] - start));
    cr_assert(w->app[CLIENT].closed && w->app[CLIENT].why == STREAM_TIMEOUT);
    cr_assert(w->app[CLIENT].closed_us - start > 30900000);
    cr_assert(tcp_connections(w->engine[CLIENT]) == 0);
    world_free(w);
}

Test(handshake, a_port_that_never_takes_the_syn_times_out_too)
{
    struct watch t;
    struct world *w = watched(&t, 1);
    w->refuse[CLIENT] = true;
    world_connect(w);
    world_run(w, 60000000);
    cr_assert(w->app[CLIENT].closed && w->app[CLIENT].why == STREAM_TIMEOUT);
    world_free(w);
}

Test(handshake, each_lost_segment_is_repaired)
{
    for (unsigned lost = 0; lost < 3; lost++) {
        struct watch t;
        struct world *w = watched(&t, lost);
        t.drop_syn = lost == 0;
        t.drop_synack = lost == 1;
        t.drop_ack = lost == 2;
        w->app[CLIENT].send_total = 10;
        w->app[SERVER].send_total = 1000;
        w->app[CLIENT].shut_after = w->app[SERVER].shut_after = true;
        world_connect(w);
        cr_assert(world_run_closed(w, 10000000), "lost %u", lost);
        cr_assert(w->app[CLIENT].got == 1000 && w->app[SERVER].got == 10);
        world_free(w);
    }
}

Test(handshake, a_closed_port_refuses)
{
    struct watch t;
    struct world *w = watched(&t, 1);
    tcp_listen_stop(w->engine[SERVER]);
    world_connect(w);
    world_run(w, 1000000);
    cr_assert(w->app[CLIENT].closed && w->app[CLIENT].why == STREAM_REFUSED && t.rst == 1);
    world_free(w);
}

Test(handshake, listen_stop_keeps_what_is_open)
{
    struct watch t;
    struct world *w = watched(&t, 1);
    w->app[SERVER].send_total = 500000;
    w->app[SERVER].shut_after = w->app[CLIENT].shut_on_eof = true;
    world_connect(w);
    world_run(w, 2000);
    tcp_listen_stop(w->engine[SERVER]);
    cr_assert(world_run_closed(w, 10000000) && w->app[CLIENT].got == 500000);
    world_free(w);
}

Test(handshake, an_application_may_refuse)
{
    struct watch t;
    struct world *w = watched(&t, 1);
    w->app[SERVER].refuse_accept = true;
    world_connect(w);
    world_run(w, 1000000);
    cr_assert(w->app[CLIENT].closed && w->app[CLIENT].why == STREAM_RESET);
    cr_assert(tcp_connections(w->engine[SERVER]) == 0);
    world_free(w);
}

static struct tcp_out syn_from(uint32_t ip, uint16_t port, uint32_t seq)
{
    return (struct tcp_out){.src = addr_v4(ip),
                            .dst = addr_v4(0x0a000002),
                            .sport = port,
                            .dport = 80,
                            .seq = seq,
                            .flags = TCP_SYN,
                            .window = 1000};
}

Test(handshake, a_syn_flood_takes_no_connections_and_honest_clients_get_in)
{
    struct watch t;
    struct tcp_config small = world_config();
    small.syn_entries = 16;
    struct world *w = world_new(1, NULL, &small);
    t = (struct watch){0};
    w->tap = watch_tap;
    w->tap_ctx = &t;
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    for (uint32_t i = 0; i < 1000; i++) {
        struct tcp_out o = syn_from(0xc0000000 + i * 77, (uint16_t)(1000 + i), i * 12345);
        world_inject(w, SERVER, &o);
        cr_assert(tcp_connections(w->engine[SERVER]) == 0 && n->tcp_half_open <= 12);
    }
    cr_assert_eq(n->tcp_half_open, 12, "three quarters of 16");
    cr_assert_eq(n->tcp_cookie_sent_total, 988);
    cr_assert_eq(n->tcp_syn_dropped_total, 0);
    world_connect(w);
    world_run(w, 100000);
    cr_assert(w->app[SERVER].opened && n->tcp_cookie_accepted_total == 1);
    cr_assert(w->broken == NULL, "%s", w->broken);
    world_run(w, 60000000); /* half-open ones give up */
    cr_assert_eq(n->tcp_half_open, 0);
    cr_assert_eq(n->tcp_half_open_expired_total + n->tcp_reset_in_total, 12);
    cr_assert(tcp_connections(w->engine[SERVER]) == 1);
    world_free(w);
}

Test(handshake, a_full_table_drops_syns_and_counts_them)
{
    struct tcp_config tiny = world_config();
    tiny.connections = 1;
    struct world *w = world_new(1, NULL, &tiny);
    world_connect(w);
    world_run(w, 100000);
    struct tcp_out o = syn_from(0xc0000001, 999, 5);
    world_inject(w, SERVER, &o);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_syn_dropped_total == 1);
    cr_assert(world_conn(w, SERVER)->state == TCP_ESTABLISHED);
    /* and an active open says so at once */
    struct addr from = world_addr(SERVER);
    struct endpoint to = {world_addr(CLIENT), 80};
    cr_assert(tcp_connect(w->engine[SERVER], &from, &to, &app_events, NULL, w->now) == NULL);
    world_free(w);
}

static uint16_t odd_ports(void *ctx, const struct addr *local, const struct endpoint *remote,
                          uint32_t n)
{
    (void)ctx, (void)local, (void)remote;
    return n % 3 ? (uint16_t)(32768 + n % 3000 * 8 + 5) : 0;
}

Test(handshake, ports_are_chosen_for_the_worker_and_never_twice)
{
    struct tcp_config many = world_config();
    many.connections = 256;
    struct world *w = world_new(1, &many, NULL);
    w->engine[CLIENT]->host.port_try = odd_ports;
    struct addr from = world_addr(CLIENT);
    struct endpoint to = {world_addr(SERVER), 80};
    static bool seen[65536];
    static struct app apps[256];
    for (unsigned i = 0; i < 256; i++) {
        struct stream *s =
            tcp_connect(w->engine[CLIENT], &from, &to, &app_events, &apps[i], w->now);
        cr_assert(s && s->local.port % 8 == 5 && s->local.port >= 32768 && !seen[s->local.port]);
        seen[s->local.port] = true;
    }
    cr_assert(tcp_check(w->engine[CLIENT]) == NULL);
    world_free(w);
}

static uint16_t no_port(void *ctx, const struct addr *local, const struct endpoint *remote,
                        uint32_t n)
{
    (void)ctx, (void)local, (void)remote, (void)n;
    return 0;
}

Test(handshake, no_port_is_an_answer)
{
    struct world *w = world_new(1, NULL, NULL);
    w->engine[CLIENT]->host.port_try = no_port;
    world_connect(w);
    cr_assert(w->app[CLIENT].stream == NULL);
    cr_assert(tcp_counters(w->engine[CLIENT])->tcp_no_port_total == 1);
    world_free(w);
}

Test(handshake, a_tuple_hashes_alike_from_both_ends)
{
    struct hash_secret s;
    memset(&s, 7, sizeof(s));
    struct endpoint a = {addr_v4(0x01020304), 80}, b = {addr_v4(0x05060708), 50000};
    struct endpoint c = {addr_v4(0x01020304), 81};
    cr_assert(tcp_tuple_hash(&s, &a, &b) == tcp_tuple_hash(&s, &b, &a));
    cr_assert(tcp_tuple_hash(&s, &a, &b) != tcp_tuple_hash(&s, &c, &b));
}

Test(handshake, simultaneous_open_ends_in_one_connection)
{
    /* both ends connect to each other's port: forged by giving both streams the same tuple */
    struct world *w = world_new(1, NULL, NULL);
    struct addr from[2] = {world_addr(0), world_addr(1)};
    struct endpoint to[2] = {{world_addr(1), 40000}, {world_addr(0), 40000}};
    struct app *a = w->app;
    for (unsigned i = 0; i < 2; i++) {
        a[i].stream = tcp_connect(w->engine[i], &from[i], &to[i], &app_events, &a[i], w->now);
        struct tcp_conn *c = tcp_conn_of(a[i].stream);
        tcp_conn_unhash(w->engine[i], c);
        a[i].stream->local.port = 40000;
        tcp_conn_hash(w->engine[i], c,
                      tcp_tuple_tag(w->engine[i], &from[i], 40000, &to[i].ip, 40000));
        a[i].send_total = 5000;
        a[i].shut_after = true;
    }
    cr_assert(world_run_closed(w, 10000000));
    cr_assert(a[0].got == 5000 && a[1].got == 5000 && !w->broken);
    world_free(w);
}

Test(handshake, an_open_to_a_group_is_refused)
{
    struct world *w = world_new(1, NULL, NULL);
    struct addr from = world_addr(CLIENT);
    struct addr to[] = {addr_v4(0xffffffffu), addr_v4(0xe0000001u), addr_v4(0), {{0xff, 0x02}}};
    for (unsigned i = 0; i < 4; i++) {
        struct endpoint remote = {to[i], 80};
        cr_assert_null(
            tcp_connect(w->engine[CLIENT], &from, &remote, &app_events, &w->app[CLIENT], w->now));
    }
    cr_assert(tcp_connections(w->engine[CLIENT]) == 0);
    world_free(w);
}
