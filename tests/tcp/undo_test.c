/* SPDX-License-Identifier: BSD-3-Clause */
/* Reductions for nothing are taken back: Eifel, D-SACK, F-RTO. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

struct stall {
    uint64_t hold_us; /* what is sent before is held until then */
    unsigned slow, n; /* the `slow`-th data segment is late; 0: none */
    uint64_t late_us;
    uint64_t usual_us;
    uint64_t lose_us; /* until then all is lost indeed */
};

/* A path that stalls: a handover, a queue of another. Nothing is lost. */
static bool stall_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct stall *s = w->tap_ctx;
    w->delay_us = s->usual_us;
    if (from != SERVER || o->len == 0)
        return true;
    s->n++;
    if (s->n == s->slow)
        w->delay_us = s->late_us;
    if (w->now.mono_us < s->hold_us)
        w->delay_us = s->hold_us - w->now.mono_us;
    return w->now.mono_us >= s->lose_us;
}

static struct world *stalled(struct stall *s, bool no_ts)
{
    struct world *w = world_new(9, NULL, NULL);
    w->no_ts = no_ts;
    w->delay_us = s->usual_us = 20000;
    world_connect(w);
    world_run(w, 1000000);
    w->app[SERVER].send_total = 100 * 1448; /* open the window a little */
    app_push(&w->app[SERVER]);
    world_run(w, 1000000);
    cr_assert(w->app[CLIENT].got == 100 * 1448);
    w->tap = stall_tap;
    w->tap_ctx = s;
    return w;
}

static void serve(struct world *w, uint64_t bytes)
{
    w->app[SERVER].send_total += bytes;
    app_push(&w->app[SERVER]);
}

static void spurious_rto(bool no_ts)
{
    struct stall s = {0};
    struct world *w = stalled(&s, no_ts);
    struct tcp_conn *c = world_conn(w, SERVER);
    uint32_t cwnd = c->tx->cc.cwnd, ssthresh = c->tx->cc.ssthresh;
    s.hold_us = w->now.mono_us + 700000;
    serve(w, 300 * 1448);
    world_run(w, 1000000);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(n->tcp_rto_total >= 1 && n->tcp_undo_total == 1, "%lu, %lu",
              (unsigned long)n->tcp_rto_total, (unsigned long)n->tcp_undo_total);
    cr_assert(c->tx->cc.cwnd >= cwnd && c->tx->cc.ssthresh == ssthresh, "%u, was %u", c->tx->cc.cwnd, cwnd);
    world_run(w, 5000000);
    cr_assert(w->app[CLIENT].got == 400 * 1448 && !w->app[CLIENT].wrong && !w->broken, "%s",
              w->broken);
    cr_assert(n->tcp_retransmit_total < 8, "%lu", (unsigned long)n->tcp_retransmit_total);
    world_free(w);
}

Test(undo, a_stall_that_looked_like_a_timeout_by_timestamps)
{
    spurious_rto(false);
}

Test(undo, a_stall_that_looked_like_a_timeout_without_timestamps)
{
    spurious_rto(true);
}

Test(undo, a_real_timeout_is_not_taken_back)
{
    for (unsigned no_ts = 0; no_ts < 2; no_ts++) {
        struct stall s = {0};
        struct world *w = stalled(&s, no_ts);
        s.lose_us = w->now.mono_us + 300000;
        struct tcp_conn *c = world_conn(w, SERVER);
        serve(w, 300 * 1448);
        world_run(w, 60000000);
        const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
        cr_assert(n->tcp_rto_total >= 1 && n->tcp_undo_total == 0);
        cr_assert(c->tx->cc.ssthresh < UINT32_MAX);
        cr_assert(w->app[CLIENT].got == 400 * 1448 && !w->broken);
        world_free(w);
    }
}

/* One segment overtaken by many: sent again for nothing. */
static void spurious_fast(bool no_ts)
{
    struct stall s = {.slow = 2, .late_us = 45000};
    struct world *w = stalled(&s, no_ts);
    struct tcp_conn *c = world_conn(w, SERVER);
    uint32_t ssthresh = c->tx->cc.ssthresh;
    serve(w, 300 * 1448);
    world_run(w, 2000000);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(n->tcp_fast_retransmit_total >= 1 && n->tcp_rto_total == 0);
    cr_assert(n->tcp_undo_total >= 1 && c->tx->cc.ssthresh == ssthresh, "%lu undone, %lu dsack",
              (unsigned long)n->tcp_undo_total, (unsigned long)n->tcp_dsack_in_total);
    cr_assert(w->app[CLIENT].got == 400 * 1448 && !w->broken);
    world_free(w);
}

Test(undo, an_overtaken_segment_by_timestamps)
{
    spurious_fast(false);
}

Test(undo, an_overtaken_segment_by_its_duplicate)
{
    spurious_fast(true);
}
