/* SPDX-License-Identifier: BSD-3-Clause */
/* Half-open connections: the table, what happens when it fills, and cookies with each mix of
 * options. One engine; the peer is made of segments. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

struct peer {
    struct world *w;
    struct tcp_out syn, last; /* what it sent first; what it heard last */
    unsigned heard;
};

static bool listen_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct peer *p = w->tap_ctx;
    if (from == SERVER) {
        p->last = *o;
        p->heard++;
    }
    return false;
}

static struct world *serve(struct peer *p, uint32_t syn_entries)
{
    struct tcp_config c = world_config();
    c.syn_entries = syn_entries;
    struct world *w = world_new(3, NULL, &c);
    *p = (struct peer){.w = w};
    w->tap = listen_tap;
    w->tap_ctx = p;
    return w;
}

static const struct tcp_counters *count(struct world *w)
{
    return tcp_counters(w->engine[SERVER]);
}

enum mix { MIX_TS = 1, MIX_SCALE = 2, MIX_SACK = 4, MIX_ECN = 8, MIX_V6 = 16, MIXES = 32 };

static struct tcp_out syn(uint16_t port, unsigned mix, uint16_t mss)
{
    struct tcp_out o = {.src = addr_v4(0xc0000001),
                        .dst = addr_v4(0x0a000002),
                        .sport = port,
                        .dport = 80,
                        .seq = 7000u * port,
                        .window = 1000};
    if (mix & MIX_V6) {
        o.src = (struct addr){{0x20, 0x01, 0x0d, 0xb8, [15] = 9}};
        o.dst = (struct addr){{0x20, 0x01, 0x0d, 0xb8, [15] = 2}};
    }
    o.flags = TCP_SYN | (mix & MIX_ECN ? TCP_ECE | TCP_CWR : 0);
    tcp_option_syn(&o, mss, mix & MIX_SCALE ? 9 : -1, mix & MIX_TS, 5000, 0);
    if (mix & MIX_SACK)
        tcp_option_sack_permitted(&o);
    return o;
}

static struct tcp_options options(const struct tcp_out *o)
{
    uint8_t bytes[64] = {0};
    struct tcp_segment s;
    bytes[12] = (uint8_t)((20 + o->option_len) / 4 << 4);
    memcpy(bytes + 20, o->option, o->option_len);
    struct tcp_packet p = {.segment = bytes, .len = 20u + o->option_len};
    cr_assert(tcp_segment_parse(&s, &p));
    return s.opt;
}

/* The third segment of a handshake, by what the engine answered. */
static struct tcp_out third(const struct tcp_out *s, const struct tcp_out *synack)
{
    struct tcp_out o = {.src = s->src,
                        .dst = s->dst,
                        .sport = s->sport,
                        .dport = s->dport,
                        .seq = s->seq + 1,
                        .ack = synack->seq + 1,
                        .flags = TCP_ACK,
                        .window = 1000};
    struct tcp_options opt = options(synack);
    if (opt.has_ts)
        tcp_option_ts(&o, 5001, opt.tsval);
    return o;
}

static void play_mix(unsigned mix, uint16_t mss, bool cookie)
{
    struct peer p;
    struct world *w = serve(&p, cookie ? 0 : 16);
    struct tcp_out s = syn(4000, mix, mss);
    world_inject(w, SERVER, &s);
    cr_assert_eq(p.heard, 1);
    struct tcp_options o = options(&p.last);
    bool full = !cookie || (mix & MIX_TS);
    cr_assert_eq(o.has_ts, !!(mix & MIX_TS));
    cr_assert_eq(o.has_scale, full && (mix & MIX_SCALE));
    cr_assert_eq(o.sack_permitted, full && (mix & MIX_SACK));
    cr_assert_eq(p.last.flags, TCP_SYN | TCP_ACK | (full && (mix & MIX_ECN) ? TCP_ECE : 0));
    struct tcp_out ack = third(&s, &p.last);
    world_inject(w, SERVER, &ack);
    cr_assert(w->app[SERVER].opened, "mix %u", mix);
    const struct tcp_conn *c = world_conn(w, SERVER);
    cr_assert_eq(c->state, TCP_ESTABLISHED);
    cr_assert(c->ts_on == o.has_ts && c->sack_on == o.sack_permitted &&
              c->ecn_on == (full && (mix & MIX_ECN)));
    cr_assert_eq(c->scale_on, o.has_scale);
    cr_assert_eq(c->snd_scale, o.has_scale ? 9 : 0);
    cr_assert_eq(c->rcv_scale, o.has_scale ? o.scale : 0);
    cr_assert_eq(c->snd_wnd, 1000u << c->snd_scale);
    uint32_t least = cookie ? mss / 5 : mss < 1440 ? mss : 1440u;
    uint32_t raw = c->mss + (c->ts_on ? 12u : 0u);
    cr_assert(raw <= mss && raw >= least, "mss %u of %u", raw, mss);
    cr_assert_eq(count(w)->tcp_cookie_accepted_total, cookie);
    cr_assert_eq(count(w)->tcp_half_open, 0);
    cr_assert(!w->broken, "%s", w->broken);
    world_free(w);
}

Test(syn, each_mix_of_options_with_state)
{
    for (unsigned mix = 0; mix < MIXES; mix++)
        for (uint16_t mss = 100; mss < 1500; mss = (uint16_t)(mss + 340))
            play_mix(mix, mss, false);
}

Test(syn, each_mix_of_options_by_cookie)
{
    for (unsigned mix = 0; mix < MIXES; mix++)
        for (uint16_t mss = 100; mss < 1500; mss = (uint16_t)(mss + 340))
            play_mix(mix, mss, true);
}

Test(syn, cookies_begin_at_three_quarters)
{
    struct peer p;
    struct world *w = serve(&p, 8);
    for (uint16_t i = 0; i < 20; i++) {
        struct tcp_out s = syn((uint16_t)(4000 + i), MIX_TS, 1460);
        world_inject(w, SERVER, &s);
        cr_assert_eq(count(w)->tcp_half_open, i < 6 ? i + 1 : 6);
        cr_assert_eq(count(w)->tcp_cookie_sent_total, i < 6 ? 0 : i - 5);
    }
    /* one handshake is done: the next SYN has a place again */
    struct tcp_out s = syn(4000, MIX_TS, 1460);
    world_inject(w, SERVER, &s);
    struct tcp_out ack = third(&s, &p.last);
    world_inject(w, SERVER, &ack);
    cr_assert_eq(count(w)->tcp_half_open, 5);
    s = syn(5000, MIX_TS, 1460);
    world_inject(w, SERVER, &s);
    cr_assert_eq(count(w)->tcp_half_open, 6);
    cr_assert_eq(count(w)->tcp_cookie_sent_total, 14);
    world_free(w);
}

Test(syn, a_forged_cookie_is_reset_and_counted)
{
    for (unsigned mix = 0; mix < MIXES; mix += MIX_V6) {
        struct peer p;
        struct world *w = serve(&p, 0);
        struct tcp_out s = syn(4000, mix, 1460);
        world_inject(w, SERVER, &s);
        struct tcp_out ack = third(&s, &p.last), bad;
        for (unsigned bit = 0; bit < 32; bit++) {
            if (bit >= 21 && bit < 24) /* the size */
                continue;
            bad = ack;
            bad.ack = ((ack.ack - 1) ^ 1u << bit) + 1;
            world_inject(w, SERVER, &bad);
            cr_assert(p.last.flags == TCP_RST && p.last.seq == bad.ack, "bit %u", bit);
        }
        bad = ack;
        bad.seq++;
        bad.ack -= 9;
        world_inject(w, SERVER, &bad);
        bad = ack;
        bad.sport++;
        world_inject(w, SERVER, &bad);
        bad = ack;
        bad.src.b[15]++;
        world_inject(w, SERVER, &bad);
        cr_assert_eq(count(w)->tcp_cookie_refused_total, 32);
        cr_assert_eq(count(w)->tcp_rst_out_total, 32);
        cr_assert_eq(tcp_connections(w->engine[SERVER]), 0);
        world_inject(w, SERVER, &ack);
        cr_assert(w->app[SERVER].opened);
        world_free(w);
    }
}

/* Others get cookies all the time, so answers are listened to; this one is too old. */
Test(syn, a_stale_cookie_is_refused_while_others_are_fresh)
{
    struct peer p;
    struct world *w = serve(&p, 0);
    struct tcp_out s = syn(4000, MIX_TS | MIX_SCALE, 1460);
    world_inject(w, SERVER, &s);
    struct tcp_out ack = third(&s, &p.last);
    w->now.mono_us += TCP_COOKIE_LIFE_US;
    s = syn(4001, MIX_TS, 1460);
    world_inject(w, SERVER, &s);
    struct tcp_out fresh = third(&s, &p.last);
    world_inject(w, SERVER, &ack);
    cr_assert_eq(count(w)->tcp_cookie_refused_total, 1);
    cr_assert_eq(p.last.flags, TCP_RST);
    world_inject(w, SERVER, &fresh);
    cr_assert_eq(count(w)->tcp_cookie_accepted_total, 1);
    /* and one that was good once is nothing when none went out lately */
    w->now.mono_us += TCP_COOKIE_LIFE_US;
    s = syn(4002, MIX_TS, 1460);
    ack = third(&s, &p.last);
    world_inject(w, SERVER, &ack);
    cr_assert_eq(count(w)->tcp_cookie_refused_total, 1, "not looked at");
    world_free(w);
}

/* A timestamp that cannot be the cookie's: the options in it are somebody's invention. */
Test(syn, a_cookie_with_a_foreign_timestamp_is_refused)
{
    struct peer p;
    struct world *w = serve(&p, 0);
    struct tcp_out s = syn(4000, MIX_TS | MIX_SCALE, 1460);
    world_inject(w, SERVER, &s);
    struct tcp_out ack = third(&s, &p.last);
    ack.option_len = 0;
    tcp_option_ts(&ack, 5001, options(&p.last).tsval + 1000);
    world_inject(w, SERVER, &ack);
    cr_assert(!w->app[SERVER].opened);
    cr_assert_eq(count(w)->tcp_cookie_refused_total, 1);
    world_free(w);
}

Test(syn, a_handshake_that_finds_no_free_connection_is_tried_again)
{
    struct tcp_config one = world_config();
    for (unsigned cookie = 0; cookie < 2; cookie++) {
        one.connections = 1;
        one.syn_entries = cookie ? 0 : 16;
        struct peer p;
        struct world *w = world_new(3, NULL, &one);
        p = (struct peer){.w = w};
        w->tap = listen_tap;
        w->tap_ctx = &p;
        struct tcp_out s[2] = {syn(4000, MIX_TS, 1460), syn(4001, MIX_TS, 1460)}, ack[2];
        for (unsigned i = 0; i < 2; i++) {
            world_inject(w, SERVER, &s[i]);
            ack[i] = third(&s[i], &p.last);
        }
        unsigned heard = p.heard;
        world_inject(w, SERVER, &ack[0]);
        world_inject(w, SERVER, &ack[1]);
        cr_assert_eq(count(w)->tcp_accepted_total, 1);
        cr_assert_eq(count(w)->tcp_handshake_dropped_total, 1);
        cr_assert_eq(p.heard, heard, "silence: a reset would end what may yet be");
        stream_abort(w->app[SERVER].stream);
        tcp_poll(w->engine[SERVER], w->now);
        world_inject(w, SERVER, &ack[1]);
        cr_assert_eq(count(w)->tcp_accepted_total, 2);
        world_free(w);
    }
}

/* The engine goes down: who waits for nothing more is told. */
Test(syn, half_open_ones_are_reset_with_the_rest)
{
    struct peer p;
    struct world *w = serve(&p, 16);
    struct tcp_out s = syn(4000, 0, 1460);
    world_inject(w, SERVER, &s);
    uint32_t iss = p.last.seq;
    tcp_abort_all(w->engine[SERVER]);
    cr_assert(p.last.flags == (TCP_RST | TCP_ACK) && p.last.seq == iss + 1 &&
              p.last.ack == s.seq + 1);
    cr_assert_eq(count(w)->tcp_half_open, 0);
    cr_assert(tcp_check(w->engine[SERVER]) == NULL);
    world_free(w);
}

/* ICMP ends no handshake, and is counted as what it is only with the right number. */
Test(syn, icmp_about_a_half_open_connection_is_advice)
{
    struct peer p;
    struct world *w = serve(&p, 16);
    struct tcp_out s = syn(4000, 0, 1460);
    world_inject(w, SERVER, &s);
    struct tcp_icmp i = {
        .local = {s.dst, 80}, .remote = {s.src, 4000}, .seq = p.last.seq, .hard = true};
    tcp_icmp(w->engine[SERVER], &i, w->now);
    cr_assert_eq(count(w)->tcp_icmp_soft_total, 1);
    i.seq++;
    tcp_icmp(w->engine[SERVER], &i, w->now);
    cr_assert_eq(count(w)->tcp_icmp_unmatched_total, 1);
    cr_assert_eq(count(w)->tcp_half_open, 1);
    world_free(w);
}

/* Peers that do anything to a small table: entries, lists and buckets add up after each step, and
 * all is free again at the end. */
Test(syn, a_table_under_stress_adds_up)
{
    struct peer p;
    struct world *w = serve(&p, 32);
    struct tcp_engine *e = w->engine[SERVER];
    struct rng rng;
    struct tcp_out s[64], heard[64] = {0};
    rng_init_u64(&rng, 11);
    for (unsigned step = 0; step < 40000 && !w->broken; step++) {
        unsigned k = rng_below(&rng, 64), what = rng_below(&rng, 16);
        w->refuse[SERVER] = rng_below(&rng, 4) == 0;
        struct tcp_out o = syn((uint16_t)(1000 + k), rng_below(&rng, MIX_V6), 1460);
        if (what < 8) {
            s[k] = o;
        } else if (heard[k].flags == (TCP_SYN | TCP_ACK)) {
            o = third(&s[k], &heard[k]);
            o.flags = what < 11 ? TCP_ACK : what < 13 ? TCP_RST : TCP_SYN | TCP_ACK;
            o.seq += what == 10 ? 5 : 0;
            o.ack += what == 9 ? 5 : 0;
        }
        p.heard = 0;
        if (what < 14)
            world_inject(w, SERVER, &o);
        if (p.heard > 0 && (p.last.flags & TCP_SYN))
            heard[k] = p.last;
        if (w->app[SERVER].stream) { /* the next one's turn */
            stream_abort(w->app[SERVER].stream);
            w->app[SERVER].stream = NULL;
        }
        if (what >= 14)
            w->now.mono_us += rng_below(&rng, 1u << rng_below(&rng, 24));
        tcp_poll(e, w->now);
        const char *bad = tcp_check(e);
        cr_assert(!bad, "step %u: %s", step, bad);
        cr_assert_leq(tcp_syn_count(e), 24);
    }
    cr_assert(!w->broken, "%s", w->broken);
    cr_assert(count(w)->tcp_cookie_sent_total > 100 && count(w)->tcp_accepted_total > 100 &&
              count(w)->tcp_half_open_expired_total > 10);
    w->refuse[SERVER] = false;
    uint64_t at;
    while ((at = tcp_deadline_us(e)) != UINT64_MAX) {
        w->now.mono_us = at > w->now.mono_us ? at : w->now.mono_us + 1;
        tcp_poll(e, w->now);
        cr_assert_lt(w->now.mono_us, 1ull << 40);
        if (tcp_connections(e) == 0 && tcp_syn_count(e) == 0)
            break;
    }
    cr_assert_eq(tcp_syn_count(e), 0);
    for (uint32_t b = 0; tcp_connections(e) == 0 && b < e->buckets; b++)
        cr_assert_eq(e->bucket[b].passed, 0);
    world_free(w);
}
