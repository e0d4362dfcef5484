/* SPDX-License-Identifier: BSD-3-Clause */
/* RACK-TLP, RFC 8985: as values, then on a link. */
#include <criterion/criterion.h>

#include "dataplane/tcp/rack.h"
#include "tests/tcp/world.h"

Test(rack, ties_are_broken_by_sequence)
{
    cr_assert(rack_sent_after(2, 0, 1, 9) && !rack_sent_after(1, 9, 2, 0));
    cr_assert(rack_sent_after(1, 9, 1, 8) && !rack_sent_after(1, 8, 1, 8));
    cr_assert(rack_sent_after(5, 0, UINT32_MAX - 5, 0)); /* both clocks wrap */
    cr_assert(rack_sent_after(1, 5, 1, UINT32_MAX - 5));
}

Test(rack, a_segment_is_lost_a_round_trip_and_a_window_after_it_was_sent)
{
    struct rack r = {0};
    struct reordering o = {0};
    uint32_t wait;
    cr_assert(!rack_lost(&r, 0, 100, 1000000, 0, &wait) && wait == 0); /* nothing delivered */
    struct rack_segment s = {.sent_us = 1000, .end = 200};
    rack_delivered(&r, &o, &s, 11000, 10000);
    cr_assert(r.rtt_us == 10000 && r.end == 200 && r.fack == 200);
    cr_assert(!rack_lost(&r, 1000, 100, 11000, 2500, &wait) && wait == 2500);
    cr_assert(rack_lost(&r, 1000, 100, 13500, 2500, &wait));
    cr_assert(rack_lost(&r, 1000, 100, 11000, 0, &wait));               /* no window: at once */
    cr_assert(!rack_lost(&r, 1000, 300, 99999, 0, &wait) && wait == 0); /* sent after it */
    cr_assert(!rack_lost(&r, 1001, 100, 99999, 0, &wait) && wait == 0); /* sent again since */
}

Test(rack, the_ack_of_a_first_sending_says_nothing_about_the_second)
{
    struct rack r = {0};
    struct reordering o = {0};
    struct rack_segment s = {.sent_us = 20000, .end = 100, .again = true};
    rack_delivered(&r, &o, &s, 22000, 10000); /* 2 ms: faster than the path ever was */
    cr_assert(!r.any);
    s.echo_older = true;
    rack_delivered(&r, &o, &s, 35000, 10000);
    cr_assert(!r.any);
    s.echo_older = false;
    rack_delivered(&r, &o, &s, 35000, 10000);
    cr_assert(r.any && r.rtt_us == 15000);
}

Test(rack, what_was_sent_before_and_is_reported_late_is_not_what_is_waited_for)
{
    struct rack r = {0};
    struct reordering o = {0};
    uint32_t wait;
    rack_delivered(&r, &o, &(struct rack_segment){50000, 900, false, false}, 60000, 10000);
    rack_delivered(&r, &o, &(struct rack_segment){1000, 400, false, false}, 9000000, 10000);
    cr_assert(r.rtt_us == 10000 && r.sent_us == 50000 && r.end == 900 && r.fack == 900);
    cr_assert(rack_lost(&r, 50000, 800, 60000, 0, &wait));
}

Test(rack, the_window_opens_when_reordering_was_seen)
{
    struct rack r = {0};
    struct reordering o = {0};
    cr_assert(rack_reo_wnd_us(&o, false, 2, 8000, 9000) == 2000);
    cr_assert(rack_reo_wnd_us(&o, false, 3, 8000, 9000) == 0); /* three are as good as ever */
    cr_assert(rack_reo_wnd_us(&o, true, 0, 8000, 9000) == 0);
    rack_delivered(&r, &o, &(struct rack_segment){1000, 500, false, false}, 9000, 8000);
    rack_delivered(&r, &o, &(struct rack_segment){900, 300, true, false}, 9000, 8000);
    cr_assert(!o.seen); /* a retransmission fills holes from below */
    rack_delivered(&r, &o, &(struct rack_segment){900, 400, false, false}, 9000, 8000);
    cr_assert(o.seen);
    cr_assert(rack_reo_wnd_us(&o, true, 5, 8000, 9000) == 2000);
}

Test(rack, duplicates_widen_the_window_once_a_round_for_16_recoveries)
{
    struct rack r = {0};
    struct reordering o = {.seen = true};
    rack_dsack(&r, &o, 1000, 5000);
    rack_dsack(&r, &o, 4000, 6000); /* the same round */
    cr_assert(o.extra == 1 && rack_reo_wnd_us(&o, true, 0, 8000, 9000) == 4000);
    rack_dsack(&r, &o, 5000, 9000);
    cr_assert(o.extra == 2 && rack_reo_wnd_us(&o, true, 0, 8000, 9000) == 6000);
    for (unsigned i = 0; i < 10; i++)
        rack_dsack(&r, &o, 9000 + i * 1000, 10000 + i * 1000);
    cr_assert(rack_reo_wnd_us(&o, true, 0, 8000, 9000) == 9000); /* never more than SRTT */
    for (unsigned i = 0; i < 15; i++)
        rack_recovered(&o);
    cr_assert(o.extra > 0);
    rack_recovered(&o);
    cr_assert(o.extra == 0);
}

Test(rack, probes_wait_two_round_trips)
{
    cr_assert(rack_pto_us(0, false) == 1000000 && rack_pto_us(0, true) == 1000000);
    cr_assert(rack_pto_us(50000, false) == 102000 && rack_pto_us(50000, true) == 300000);
}

/* ---- on a link ---- */

struct script {
    uint64_t lose;       /* bit i: the i-th segment of new data of the server */
    unsigned n, again_n; /* new segments, repeated ones */
    uint32_t high;
    bool any;
    unsigned lose_acks; /* so many ACKs of the client */
    bool again;         /* also lose the first retransmission */
    uint32_t lost_seq;
};

static bool script_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct script *s = w->tap_ctx;
    if (from == CLIENT) {
        if (s->lose_acks > 0) {
            s->lose_acks--;
            return false;
        }
        return true;
    }
    if (o->len == 0)
        return true;
    unsigned i = 64;
    if (s->any && seq_lt(o->seq, s->high)) {
        s->again_n++;
    } else {
        i = s->n++;
        s->high = o->seq + o->len;
        s->any = true;
    }
    if (s->again && s->lost_seq && o->seq == s->lost_seq) {
        s->again = false;
        return false;
    }
    if (i < 64 && (s->lose >> i & 1)) {
        s->lost_seq = o->seq;
        return false;
    }
    return true;
}

static struct world *scripted(struct script *s, uint64_t delay_us)
{
    struct world *w = world_new(5, NULL, NULL);
    w->delay_us = delay_us;
    world_connect(w);
    world_run(w, 1000000);
    w->tap = script_tap;
    w->tap_ctx = s;
    return w;
}

static void serve(struct world *w, uint64_t bytes)
{
    w->app[SERVER].send_total += bytes;
    app_push(&w->app[SERVER]);
}

static uint64_t until_got(struct world *w, uint64_t bytes)
{
    uint64_t start = w->now.mono_us;
    while (w->app[CLIENT].got < bytes && w->now.mono_us - start < 60000000)
        world_run(w, 1000);
    cr_assert(!w->broken && !w->app[CLIENT].wrong, "%s", w->broken);
    return w->now.mono_us - start;
}

Test(rack, a_lost_segment_is_sent_again_alone)
{
    struct script s = {.lose = 1u << 3};
    struct world *w = scripted(&s, 10000);
    serve(w, 10 * 1448);
    cr_assert(until_got(w, 10 * 1448) < 60000);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(n->tcp_rto_total == 0 && n->tcp_fast_retransmit_total == 1);
    cr_assert(n->tcp_retransmit_total == 1 && s.n == 10);
    world_free(w);
}

Test(rack, a_lost_retransmission_is_found_without_a_timeout)
{
    struct script s = {.lose = 1u << 3, .again = true};
    struct world *w = scripted(&s, 10000);
    serve(w, 60 * 1448);
    cr_assert(until_got(w, 60 * 1448) < 230000);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(n->tcp_rto_total == 0 && n->tcp_retransmit_total == 2, "%lu",
              (unsigned long)n->tcp_retransmit_total);
    world_free(w);
}

Test(rack, a_burst_of_losses_is_one_episode)
{
    for (unsigned lost = 1; lost <= 20; lost++) {
        struct script s = {.lose = ((1ull << lost) - 1) << 10};
        struct world *w = scripted(&s, 10000);
        serve(w, 400 * 1448);
        until_got(w, 400 * 1448);
        world_run(w, 1000000);
        const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
        cr_assert(n->tcp_fast_retransmit_total + n->tcp_rto_total <= 2, "%u lost: %lu, %lu", lost,
                  (unsigned long)n->tcp_fast_retransmit_total, (unsigned long)n->tcp_rto_total);
        cr_assert(n->tcp_retransmit_total >= lost && n->tcp_retransmit_total <= lost + 3,
                  "%u lost, %lu sent again", lost, (unsigned long)n->tcp_retransmit_total);
        cr_assert(!w->broken, "%s", w->broken);
        world_free(w);
    }
}

Test(rack, a_probe_repairs_a_lost_tail)
{
    for (unsigned segments = 3; segments <= 10; segments++) {
        bool lone = segments % 2;
        struct script s = {.lose = (lone ? 1ull : 3ull) << (segments - (lone ? 1 : 2))};
        struct world *w = scripted(&s, 10000);
        serve(w, segments * 1448);
        uint64_t took = until_got(w, segments * 1448);
        const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
        cr_assert(n->tcp_rto_total == 0 && n->tcp_tlp_total == 1, "%u segments", segments);
        /* one alone may wait for the peer's delayed ACK: 7.2 gives it more time */
        cr_assert(took < (lone ? 260000 : 150000), "%u segments: %lu us", segments,
                  (unsigned long)took);
        uint32_t before = world_conn(w, SERVER)->tx->cc.cwnd;
        serve(w, 1448); /* its ACK tells that the probe was needed: 7.4.2 */
        world_run(w, 500000);
        if (lone) /* of two the SACK told */
            cr_assert(n->tcp_tlp_repaired_total == 1 &&
                      world_conn(w, SERVER)->tx->cc.cwnd < before);
        world_free(w);
    }
}

Test(rack, a_lost_tail_of_many_is_found_by_the_probe)
{
    struct script s = {.lose = 0x1f << 5};
    struct world *w = scripted(&s, 10000);
    serve(w, 10 * 1448);
    uint64_t took = until_got(w, 10 * 1448);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_rto_total == 0 && took < 190000, "%lu us",
              (unsigned long)took);
    world_free(w);
}

Test(rack, a_probe_for_nothing_costs_nothing)
{
    struct script s = {.lose_acks = 5};
    struct world *w = scripted(&s, 10000);
    serve(w, 10 * 1448); /* all arrives, no ACK does */
    uint32_t before = world_conn(w, SERVER)->tx->cc.cwnd;
    world_run(w, 25000);
    s.lose_acks = 0;
    world_run(w, 500000);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(n->tcp_tlp_total == 1 && n->tcp_dsack_in_total == 1 && n->tcp_rto_total == 0);
    serve(w, 1448);
    world_run(w, 500000);
    cr_assert(n->tcp_tlp_repaired_total == 0 && world_conn(w, SERVER)->tx->cc.cwnd >= before);
    world_free(w);
}

Test(rack, a_probe_is_acquitted_after_its_flight)
{
    struct script s = {0};
    struct world *w = scripted(&s, 10000);
    w->delay_us = 40000; /* the path has become slow: the probe is early */
    serve(w, 10 * 1448);
    uint32_t before = world_conn(w, SERVER)->tx->cc.cwnd;
    world_run(w, 500000);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(n->tcp_tlp_total == 1 && n->tcp_dsack_in_total == 1 && n->tcp_rto_total == 0);
    cr_assert(!world_conn(w, SERVER)->tlp_out && !world_conn(w, SERVER)->rec);
    serve(w, 1448);
    world_run(w, 500000);
    cr_assert(n->tcp_tlp_repaired_total == 0 && world_conn(w, SERVER)->tx->cc.cwnd >= before);
    world_free(w);
}

Test(rack, a_whole_flight_lost_is_found_by_the_probe)
{
    struct script s = {.lose = 0xffff};
    struct world *w = scripted(&s, 10000);
    serve(w, 10 * 1448);
    until_got(w, 10 * 1448);
    cr_assert(w->app[CLIENT].got == 10 * 1448);
    cr_assert(tcp_counters(w->engine[SERVER])->tcp_rto_total == 0);
    world_free(w);
}

Test(rack, reordering_is_learnt)
{
    struct script s = {0};
    struct world *w = scripted(&s, 10000);
    w->reorder_permille = 200;
    w->jitter_us = 4000;
    serve(w, 4 << 20);
    until_got(w, 4 << 20);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(world_conn(w, SERVER)->tx->order.seen && n->tcp_rto_total == 0);
    cr_assert(n->tcp_retransmit_total < 60, "%lu", (unsigned long)n->tcp_retransmit_total);
    world_free(w);
}

Test(rack, every_loss_of_the_last_segments_is_survived)
{
    for (unsigned mask = 0; mask < 4096; mask += 7) {
        struct script s = {.lose = mask};
        struct world *w = scripted(&s, 2000);
        w->app[SERVER].shut_after = w->app[CLIENT].shut_on_eof = true;
        serve(w, 6 * 1448 + 100);
        bool done = world_run_closed(w, 120000000);
        cr_assert(done && w->app[CLIENT].got == 6 * 1448 + 100 && !w->broken, "mask %x: %s", mask,
                  w->broken ? w->broken : "not closed");
        world_free(w);
    }
}
