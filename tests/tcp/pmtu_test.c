/* SPDX-License-Identifier: BSD-3-Clause */
/* The path's MTU: the value alone (pmtu.h), then transfers over paths that swallow what is large.
 */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

/* --- the value -------------------------------------------------------------------------------- */

Test(pmtu, a_path_is_taken_to_carry_what_the_port_does)
{
    struct pmtu p;
    pmtu_init(&p, 1500);
    cr_assert(p.size == 1500 && pmtu_next(&p, 0) == 0);
    cr_assert_eq(pmtu_next(&p, 1000000), 0, "nothing larger is ever tried");
}

Test(pmtu, two_timeouts_of_one_full_segment_are_a_black_hole)
{
    struct pmtu p;
    pmtu_init(&p, 1500);
    cr_assert(!pmtu_rto(&p, 100, true, true) && p.size == 1500);
    cr_assert(!pmtu_rto(&p, 1500, true, true) && p.size == 1500, "another segment");
    cr_assert(pmtu_rto(&p, 1500, true, true) && p.size == 1200);
    cr_assert(!pmtu_rto(&p, 1500, true, true));
    cr_assert(pmtu_rto(&p, 1500, true, true) && p.size == 576);
    for (unsigned i = 0; i < 10; i++)
        cr_assert(!pmtu_rto(&p, 1500, true, true) && p.size == 576);
}

Test(pmtu, small_segments_that_time_out_say_nothing)
{
    struct pmtu p;
    pmtu_init(&p, 1500);
    for (unsigned i = 0; i < 10; i++)
        cr_assert(!pmtu_rto(&p, 7, false, true) && p.size == 1500);
    cr_assert(!pmtu_rto(&p, 7, true, true) && !pmtu_rto(&p, 7, false, true));
    cr_assert(!pmtu_rto(&p, 7, true, true) && p.size == 1500);
}

Test(pmtu, ipv6_never_falls_below_1280)
{
    struct pmtu p;
    pmtu_init(&p, 1500);
    for (unsigned i = 0; i < 10; i++)
        pmtu_rto(&p, 7, true, false);
    cr_assert_eq(p.size, 1280);
    pmtu_init(&p, 1500);
    p.largest = 1500;
    cr_assert(!pmtu_too_big(&p, 1279, false, 0) && p.size == 1500);
    cr_assert(pmtu_too_big(&p, 1280, false, 0) && p.size == 1280);
}

Test(pmtu, the_search_climbs_by_known_sizes_to_what_the_port_allows)
{
    static const uint16_t want[] = {1280, 1380, 1420, 1472, 1490};
    struct pmtu p;
    pmtu_init(&p, 1490);
    pmtu_rto(&p, 7, true, true);
    pmtu_rto(&p, 7, true, true);
    for (unsigned i = 0; i < 5; i++) {
        uint32_t size = pmtu_next(&p, 5);
        cr_assert_eq(size, want[i], "%u", size);
        pmtu_probe_sent(&p, 1000 * i, size);
        cr_assert_eq(pmtu_next(&p, 5), 0, "one at a time");
        pmtu_probe_acked(&p);
        cr_assert_eq(p.size, want[i]);
    }
    cr_assert_eq(pmtu_next(&p, 5), 0);
}

Test(pmtu, three_lost_probes_end_the_search_for_600_s)
{
    struct pmtu p;
    uint32_t start = 65500; /* the seconds wrap meanwhile */
    pmtu_init(&p, 1500);
    pmtu_rto(&p, 7, true, true);
    pmtu_rto(&p, 7, true, true);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(pmtu_next(&p, start), 1280);
        pmtu_probe_sent(&p, 1000, 1280);
        pmtu_probe_lost(&p, start);
        cr_assert(p.size == 1200 && pmtu_next(&p, start) == 0);
        pmtu_probe_over(&p);
    }
    cr_assert(pmtu_next(&p, start + 1) == 0 && pmtu_next(&p, start + 599) == 0);
    cr_assert_eq(pmtu_next(&p, start + 600), 1280);
}

Test(pmtu, a_probe_that_comes_through_forgives_the_lost_ones)
{
    struct pmtu p;
    pmtu_init(&p, 1500);
    pmtu_rto(&p, 7, true, true);
    pmtu_rto(&p, 7, true, true);
    for (unsigned i = 0; i < 2; i++) {
        pmtu_probe_sent(&p, 1000, 1280);
        pmtu_probe_lost(&p, 0);
        pmtu_probe_over(&p);
    }
    pmtu_probe_sent(&p, 1000, 1280);
    pmtu_probe_acked(&p);
    cr_assert(p.size == 1280 && p.tries == 0 && pmtu_next(&p, 0) == 1380);
}

Test(pmtu, a_named_mtu_holds_for_600_s)
{
    struct pmtu p;
    pmtu_init(&p, 1500);
    cr_assert(!pmtu_too_big(&p, 1400, true, 0), "nothing so large was sent");
    p.largest = 1500;
    cr_assert(!pmtu_too_big(&p, 1500, true, 0) && !pmtu_too_big(&p, 1600, true, 0));
    cr_assert(!pmtu_too_big(&p, 68, true, 0) && !pmtu_too_big(&p, 0, true, 0));
    cr_assert(!pmtu_too_big(&p, 575, true, 0) && p.size == 1500);
    cr_assert(pmtu_too_big(&p, 1400, true, 0) && p.size == 1400);
    cr_assert(!pmtu_too_big(&p, 1300, true, 0), "nothing larger was sent since");
    cr_assert(pmtu_next(&p, 599) == 0 && pmtu_next(&p, 600) == 1420);
}

/* --- transfers -------------------------------------------------------------------------------- */

struct path {
    uint32_t mtu;        /* what is larger vanishes without a word */
    unsigned swallowed;  /* segments */
    uint32_t largest_ok; /* that came through */
};

static bool path_tap(struct world *w, unsigned from, struct tcp_out *o)
{
    struct path *p = w->tap_ctx;
    uint32_t size = 40u + o->option_len + o->len;
    if (from != SERVER)
        return true;
    if (size > p->mtu) {
        p->swallowed++;
        return false;
    }
    if (size > p->largest_ok)
        p->largest_ok = size;
    return true;
}

static struct world *path_world(struct path *p, uint32_t mtu, uint64_t seed)
{
    struct world *w = world_new(seed, NULL, NULL);
    *p = (struct path){.mtu = mtu};
    w->tap = path_tap;
    w->tap_ctx = p;
    world_connect(w);
    world_run(w, 10000);
    return w;
}

static uint64_t serve(struct world *w, uint64_t bytes, uint64_t limit_us)
{
    uint64_t start = w->now.mono_us, want = w->app[CLIENT].got + bytes;
    w->app[SERVER].send_total += bytes;
    app_push(&w->app[SERVER]);
    while (w->app[CLIENT].got < want && w->now.mono_us - start < limit_us)
        world_run(w, 1000);
    cr_assert_eq(w->app[CLIENT].got, want, "%lu", (unsigned long)w->app[CLIENT].got);
    cr_assert(!w->app[CLIENT].wrong && !w->broken, "%s", w->broken);
    return w->now.mono_us - start;
}

#define PATH_COUNT(w, name) (tcp_counters((w)->engine[SERVER])->tcp_pmtu_##name##_total)

Test(pmtu, a_page_crosses_a_black_hole_in_three_seconds)
{
    struct path p;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct world *w = path_world(&p, 1300, seed);
        cr_assert_lt(serve(w, 100000, 10000000), 3000000);
        cr_assert(PATH_COUNT(w, black_hole) == 1 && p.largest_ok == 1280, "%u", p.largest_ok);
        world_free(w);
    }
}

Test(pmtu, a_path_below_the_base_is_crossed_at_the_floor)
{
    struct path p;
    struct world *w = path_world(&p, 1000, 3);
    serve(w, 100000, 20000000);
    cr_assert(PATH_COUNT(w, black_hole) == 2 && p.largest_ok == 576);
    world_free(w);
}

Test(pmtu, lost_probes_cost_no_congestion_window_and_no_timeout)
{
    struct path p;
    struct world *w = path_world(&p, 1300, 5);
    w->delay_us = 5000;
    serve(w, 20000, 10000000); /* down to the base */
    uint64_t timeouts = tcp_counters(w->engine[SERVER])->tcp_rto_total;
    uint64_t losses = tcp_counters(w->engine[SERVER])->tcp_fast_retransmit_total;
    serve(w, 4000000, 20000000);
    cr_assert(PATH_COUNT(w, probe_lost) == 3 && PATH_COUNT(w, probe) == 4, "%lu of %lu",
              (unsigned long)PATH_COUNT(w, probe_lost), (unsigned long)PATH_COUNT(w, probe));
    cr_assert(PATH_COUNT(w, raised) == 1 && world_conn(w, SERVER)->tx->pmtu.size == 1280);
    cr_assert_eq(tcp_counters(w->engine[SERVER])->tcp_rto_total, timeouts);
    cr_assert_eq(tcp_counters(w->engine[SERVER])->tcp_fast_retransmit_total, losses);
    world_free(w);
}

Test(pmtu, a_path_that_widens_is_used_after_ten_minutes)
{
    struct path p;
    struct tcp_config patient = world_config();
    patient.idle_timeout_ms = 0;
    struct world *w = world_new(8, &patient, &patient);
    p = (struct path){.mtu = 1300};
    w->tap = path_tap;
    w->tap_ctx = &p;
    world_connect(w);
    world_run(w, 10000);
    serve(w, 1000000, 20000000);
    cr_assert_eq(world_conn(w, SERVER)->tx->pmtu.size, 1280);
    p.mtu = 1500;
    serve(w, 1000000, 20000000);
    cr_assert_eq(world_conn(w, SERVER)->tx->pmtu.size, 1280, "not yet");
    world_run(w, 601000000);
    serve(w, 1000000, 20000000);
    cr_assert_eq(world_conn(w, SERVER)->tx->pmtu.size, 1500);
    world_free(w);
}

Test(pmtu, a_wide_path_is_never_probed)
{
    struct path p;
    struct world *w = path_world(&p, 1500, 2);
    serve(w, 4000000, 20000000);
    cr_assert(PATH_COUNT(w, probe) == 0 && p.largest_ok == 1500 && p.swallowed == 0);
    world_free(w);
}

Test(pmtu, narrow_paths_that_also_lose_and_reorder_are_crossed)
{
    struct path p;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *w = path_world(&p, 600 + (uint32_t)seed * 20, seed);
        w->delay_us = 2000;
        w->jitter_us = 4000;
        w->loss_permille = (uint32_t)seed % 4 * 15;
        w->reorder_permille = w->duplicate_permille = 20;
        serve(w, 300000, 600000000);
        cr_assert_leq(p.largest_ok, p.mtu);
        world_free(w);
    }
}
