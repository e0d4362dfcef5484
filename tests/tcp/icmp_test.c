/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors: what a genuine one changes, and that a forged one changes nothing. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/tcp/world.h"

#define ICMP_COUNT(w, side, name) (tcp_counters((w)->engine[side])->tcp_icmp_##name##_total)

/* About the segment at `seq` of the connection that `side` has. */
static struct tcp_icmp about(struct world *w, unsigned side, uint32_t seq)
{
    const struct tcp_conn *c = world_conn(w, side);
    return (struct tcp_icmp){.local = c->stream.local, .remote = c->stream.remote, .seq = seq};
}

/* A router of MTU `mtu` that says so: the engine hears of it a little later. */
struct router {
    uint32_t mtu;
    unsigned dropped, waiting;
    struct tcp_icmp error[64];
};

static bool router_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct router *r = w->tap_ctx;
    if (from != SERVER || 40u + o->option_len + o->len <= r->mtu)
        return true;
    r->dropped++;
    if (r->waiting < 64)
        r->error[r->waiting++] = (struct tcp_icmp){.local = {o->src, o->sport},
                                                   .remote = {o->dst, o->dport},
                                                   .seq = o->seq,
                                                   .mtu = (uint16_t)r->mtu,
                                                   .too_big = true};
    return false;
}

static struct world *connected(struct router *r, uint32_t mtu)
{
    struct world *w = world_new(1, NULL, NULL);
    *r = (struct router){.mtu = mtu};
    world_connect(w);
    world_run(w, 10000);
    w->tap = router_tap;
    w->tap_ctx = r;
    return w;
}

static uint64_t serve(struct world *w, struct router *r, uint64_t bytes)
{
    uint64_t start = w->now.mono_us;
    w->app[SERVER].send_total += bytes;
    app_push(&w->app[SERVER]);
    while (w->app[CLIENT].got < w->app[SERVER].send_total && w->now.mono_us - start < 20000000) {
        world_run(w, 1000);
        for (; r->waiting > 0; r->waiting--)
            tcp_icmp(w->engine[SERVER], &r->error[r->waiting - 1], w->now);
    }
    cr_assert_eq(w->app[CLIENT].got, w->app[SERVER].send_total);
    cr_assert(!w->app[CLIENT].wrong && !w->broken, "%s", w->broken);
    return w->now.mono_us - start;
}

Test(icmp, a_named_mtu_is_kept_to_within_a_round_trip)
{
    struct router r;
    struct world *w = connected(&r, 1400);
    cr_assert_lt(serve(w, &r, 100000), 100000, "no timeout was needed");
    cr_assert_eq(world_conn(w, SERVER)->tx->pmtu.size, 1400);
    cr_assert_eq(tcp_counters(w->engine[SERVER])->tcp_rto_total, 0);
    cr_assert(ICMP_COUNT(w, SERVER, too_big) == 1 && r.dropped <= 10, "%u", r.dropped);
    unsigned dropped = r.dropped;
    serve(w, &r, 100000);
    cr_assert_eq(r.dropped, dropped);
    world_free(w);
}

Test(icmp, an_mtu_that_shrinks_twice_is_followed_twice)
{
    struct router r;
    struct world *w = connected(&r, 1400);
    serve(w, &r, 50000);
    r.mtu = 700;
    cr_assert_lt(serve(w, &r, 50000), 100000);
    cr_assert(world_conn(w, SERVER)->tx->pmtu.size == 700 && ICMP_COUNT(w, SERVER, too_big) == 2);
    world_free(w);
}

/* In flight: 10 full segments of the server's, nothing acknowledged. */
static struct world *in_flight(struct router *r)
{
    struct world *w = connected(r, 1500);
    w->delay_us = 1000000;
    w->app[SERVER].send_total = 14480;
    app_push(&w->app[SERVER]);
    world_poll(w);
    cr_assert_eq(tcp_conn_flight(world_conn(w, SERVER)), 14480);
    return w;
}

/* All that an observer can see of a connection. */
static void unchanged(struct world *w, const struct tcp_conn *before, const struct tcp_icmp *i)
{
    uint64_t sent = w->sent[SERVER];
    tcp_icmp(w->engine[SERVER], i, w->now);
    world_poll(w);
    cr_assert_eq(memcmp(world_conn(w, SERVER), before, sizeof(*before)), 0);
    cr_assert_eq(w->sent[SERVER], sent);
}

Test(icmp, forged_quotes_change_nothing)
{
    struct router r;
    struct world *w = in_flight(&r);
    struct tcp_conn *c = world_conn(w, SERVER), before = *c;
    const uint32_t outside[] = {c->snd_una - 1, c->snd_max, c->snd_max + 1,
                                c->snd_una + (1u << 31)};
    unsigned n = 0;
    for (unsigned k = 0; k < 4; k++)
        for (unsigned what = 0; what < 4; what++, n++) {
            struct tcp_icmp i = about(w, SERVER, outside[k]);
            i.too_big = what & 1;
            i.hard = what & 2;
            i.mtu = 1300;
            unchanged(w, &before, &i);
        }
    struct tcp_icmp i = about(w, SERVER, c->snd_una);
    i.too_big = true;
    i.mtu = 1300;
    i.remote.port++;
    unchanged(w, &before, &i);
    i.remote.port--;
    i.local.ip.b[15]++;
    unchanged(w, &before, &i);
    cr_assert_eq(ICMP_COUNT(w, SERVER, unmatched), n + 2);
    world_free(w);
}

Test(icmp, an_mtu_that_no_path_has_is_refused)
{
    static const uint16_t no[] = {0, 1, 68, 296, 575, 1500, 1501, 9000, 65535};
    struct router r;
    struct world *w = in_flight(&r);
    struct tcp_conn *c = world_conn(w, SERVER), before = *c;
    for (unsigned k = 0; k < sizeof(no) / sizeof(no[0]); k++) {
        struct tcp_icmp i = about(w, SERVER, c->snd_una);
        i.too_big = true;
        i.mtu = no[k];
        unchanged(w, &before, &i);
    }
    struct tcp_icmp i = about(w, SERVER, c->snd_max - 500); /* so little fits any hop */
    i.too_big = true;
    i.mtu = 1300;
    unchanged(w, &before, &i);
    cr_assert_eq(ICMP_COUNT(w, SERVER, mtu_refused), 10);
    world_free(w);
}

Test(icmp, the_congestion_window_does_not_pay_for_a_narrow_hop)
{
    struct router r;
    struct world *w = in_flight(&r);
    struct tcp_conn *c = world_conn(w, SERVER);
    uint32_t cwnd = c->tx->cc.cwnd;
    struct tcp_icmp i = about(w, SERVER, c->snd_una);
    i.too_big = true;
    i.mtu = 1300;
    uint64_t sent = w->sent[SERVER];
    tcp_icmp(w->engine[SERVER], &i, w->now);
    world_poll(w);
    cr_assert_eq(c->tx->cc.cwnd, cwnd);
    cr_assert_gt(w->sent[SERVER], sent + 9, "all of it went again, at once");
    cr_assert(w->last[SERVER].len <= 1300 - 52);
    world_free(w);
}

Test(icmp, established_connections_outlive_hard_errors)
{
    struct router r;
    struct world *w = in_flight(&r);
    struct tcp_conn *c = world_conn(w, SERVER), before = *c;
    struct tcp_icmp i = about(w, SERVER, c->snd_una);
    i.hard = true;
    unchanged(w, &before, &i);
    cr_assert_eq(ICMP_COUNT(w, SERVER, soft), 1);
    world_free(w);
}

static bool deaf(struct world *w, unsigned from, struct tcp_out *o)
{
    (void)w, (void)from, (void)o;
    return false;
}

Test(icmp, a_hard_error_ends_a_handshake_at_once_and_a_soft_one_does_not)
{
    struct world *w = world_new(1, NULL, NULL);
    w->tap = deaf;
    world_connect(w);
    world_poll(w);
    struct tcp_conn *c = world_conn(w, CLIENT);
    struct tcp_icmp i = about(w, CLIENT, c->snd_una);
    i.hard = false;
    tcp_icmp(w->engine[CLIENT], &i, w->now);
    world_poll(w);
    cr_assert(!w->app[CLIENT].closed && ICMP_COUNT(w, CLIENT, soft) == 1);
    i.too_big = i.hard = true; /* of a SYN: not credible */
    i.mtu = 1300;
    tcp_icmp(w->engine[CLIENT], &i, w->now);
    world_poll(w);
    cr_assert(!w->app[CLIENT].closed && ICMP_COUNT(w, CLIENT, mtu_refused) == 1);
    i.too_big = false;
    i.seq++;
    tcp_icmp(w->engine[CLIENT], &i, w->now);
    world_poll(w);
    cr_assert(!w->app[CLIENT].closed && ICMP_COUNT(w, CLIENT, unmatched) == 1);
    i.seq--;
    tcp_icmp(w->engine[CLIENT], &i, w->now);
    world_poll(w);
    cr_assert(w->app[CLIENT].closed && w->app[CLIENT].why == STREAM_REFUSED);
    cr_assert_eq(ICMP_COUNT(w, CLIENT, aborted), 1);
    world_free(w);
}

Test(icmp, a_word_about_a_probe_stops_the_probing)
{
    struct router r;
    struct world *w = connected(&r, 1300);
    struct tcp_conn *c = world_conn(w, SERVER);
    r.waiting = 64; /* filtered, for now */
    w->app[SERVER].send_total = 20000;
    app_push(&w->app[SERVER]);
    world_run(w, 5000000);
    cr_assert_eq(w->app[CLIENT].got, 20000);
    r.waiting = 0;
    r.mtu = 1300;
    serve(w, &r, 1000000);
    cr_assert_eq(c->tx->pmtu.size, 1280);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_pmtu_probe_lost_total <= 2);
    world_free(w);
}
