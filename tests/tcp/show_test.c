/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections shown as a person sees them; listeners that stop. */
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/tcp/show.h"
#include "tests/tcp/world.h"

static struct tcp_shown show(struct world *w, unsigned side, uint16_t port, struct tcp_info *info,
                             uint32_t max, uint32_t entries, unsigned *calls)
{
    struct tcp_filter filter = {{world_addr(!side), port}};
    struct tcp_shown sum = {info, max, 0, 0};
    uint32_t cursor = 0;
    bool more = true;
    for (*calls = 0; more; ++*calls) {
        struct tcp_shown some = {info + sum.n, max - sum.n, 0, 0};
        more = tcp_show(w->engine[side], &filter, &cursor, entries, &some);
        sum.n += some.n;
        sum.matched += some.matched;
    }
    return sum;
}

Test(show, a_connection_with_bytes_on_their_way)
{
    struct tcp_config config = world_config();
    struct world *w = world_new(3, &config, &config);
    struct tcp_info info[4];
    unsigned calls;

    world_connect(w);
    world_run(w, 100000);
    cr_assert(w->app[CLIENT].opened && w->app[SERVER].opened);
    w->app[CLIENT].send_total = 60000;
    app_push(&w->app[CLIENT]);
    world_poll(w);

    struct tcp_shown s = show(w, CLIENT, 80, info, 4, 4096, &calls);
    cr_assert(s.n == 1 && s.matched == 1);
    const struct tcp_conn *c = world_conn(w, CLIENT);
    cr_expect_str_eq(info[0].state, "ESTABLISHED");
    cr_expect_str_eq(info[0].timer, "rto");
    cr_expect(info[0].timer_ms > 0 && info[0].timer_ms <= 1000);
    cr_expect(!info[0].passive && info[0].timestamps && info[0].scale);
    cr_expect_eq(info[0].remote.port, 80);
    cr_expect_eq(info[0].mss, c->mss);
    cr_expect(info[0].unacked > 0 && info[0].unacked <= info[0].cwnd);
    cr_expect_eq(info[0].queued, 60000);
    cr_expect_gt(info[0].srtt_us, 0);
    cr_expect_geq(info[0].rto_us, info[0].srtt_us);
    cr_expect_eq(info[0].snd_wnd, c->snd_wnd);

    s = show(w, SERVER, 0, info, 4, 4096, &calls);
    cr_assert_eq(s.n, 1);
    cr_expect(info[0].passive && info[0].local.port == 80);
    world_free(w);
}

Test(show, the_table_is_looked_at_in_bounded_steps_and_the_filter_holds)
{
    struct tcp_config config = world_config();
    struct world *w = world_new(4, &config, &config);
    struct tcp_info info[1];
    unsigned calls;

    world_connect(w);
    world_run(w, 100000);
    struct tcp_shown s = show(w, CLIENT, 0, info, 1, 3, &calls);
    cr_expect(s.n == 1 && s.matched == 1);
    cr_expect_eq(calls, (config.connections + 2) / 3);
    s = show(w, CLIENT, 81, info, 1, 1u << 30, &calls);
    cr_expect(s.matched == 0 && calls == 1, "another port");
    s = show(w, CLIENT, 0, info, 0, 4096, &calls);
    cr_expect(s.n == 0 && s.matched == 1, "no room is no reason not to count");
    world_free(w);
}

/* Drain: the client has seen SYN,ACK, for it the connection stands. */
Test(show, a_handshake_begun_before_listening_stopped_is_accepted_yet)
{
    struct tcp_config config = world_config();
    struct world *w = world_new(5, &config, &config);

    world_connect(w);
    for (unsigned i = 0; i < 200 && tcp_counters(w->engine[SERVER])->tcp_half_open == 0; i++)
        world_run(w, 1000);
    cr_assert_eq(tcp_counters(w->engine[SERVER])->tcp_half_open, 1);
    tcp_listen_stop(w->engine[SERVER]);
    world_run(w, 200000);
    cr_expect(w->app[CLIENT].opened && w->app[SERVER].opened);
    cr_expect_eq(tcp_counters(w->engine[SERVER])->tcp_rst_out_total, 0);
    world_free(w);
}

Test(show, a_syn_after_listening_stopped_is_refused_at_once)
{
    struct tcp_config config = world_config();
    struct world *w = world_new(6, &config, &config);

    tcp_listen_stop(w->engine[SERVER]);
    world_connect(w);
    world_run(w, 200000);
    cr_expect(w->app[CLIENT].closed && w->app[CLIENT].why == STREAM_REFUSED);
    cr_expect_eq(tcp_counters(w->engine[SERVER])->tcp_rst_out_total, 1);
    world_free(w);
}
