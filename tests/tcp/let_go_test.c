/* SPDX-License-Identifier: BSD-3-Clause */
/* Send queues that let go of what they refer to: taken back, copied, and the peer sees nothing. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/tcp/world.h"

#define BODY 600000u

static struct hold *picked;

static bool is_picked(const struct hold *h)
{
    return h == picked;
}

static struct world *sending(uint64_t seed, uint32_t piece)
{
    struct world *w = world_new(seed, NULL, NULL);
    w->app[SERVER].send_total = BODY;
    w->app[SERVER].piece = piece;
    w->app[CLIENT].shut_on_eof = true;
    world_connect(w);
    picked = &w->app[SERVER].hold;
    return w;
}

static void expect_all(struct world *w)
{
    struct app *a = &w->app[SERVER];
    a->shut_after = true;
    app_push(a);
    cr_assert(world_run_closed(w, 600000000), "seed %lu: %lu of %u, %s", (unsigned long)w->seed,
              (unsigned long)w->app[CLIENT].got, BODY, w->broken ? w->broken : "not broken");
    cr_assert_null(w->broken, "seed %lu: %s", (unsigned long)w->seed, w->broken);
    cr_assert(!w->app[CLIENT].wrong, "seed %lu: wrong bytes", (unsigned long)w->seed);
    cr_assert_eq(w->app[CLIENT].got, BODY);
    cr_assert_eq(a->hold.count, 1, "holds are left");
    cr_assert_eq(tcp_blocks_free(w->engine[SERVER]), w->engine[SERVER]->config.blocks);
}

/* All that is queued is copies now: what they were made of may change. */
static bool own(struct world *w)
{
    struct app *a = &w->app[SERVER];
    if (!a->stream || !stream_own(a->stream, is_picked, SIZE_MAX))
        return false;
    cr_assert_eq(a->hold.count, 1);
    memset(a->source, 0xee, a->sent);
    return true;
}

Test(let_go, what_never_went_comes_back_and_may_be_sent_again)
{
    struct world *w = sending(1, 5000);
    struct app *a = &w->app[SERVER];
    w->app[CLIENT].paused = true;
    world_run(w, 3000000);
    struct tcp_conn *c = world_conn(w, SERVER);
    uint64_t before = a->sent;
    uint32_t flight = tcp_conn_flight(c), queued = c->queued;
    size_t n = stream_unsend(a->stream, is_picked);
    cr_assert_eq(n, queued - (flight ? flight : 1));
    cr_assert_eq(c->queued, flight ? flight : 1);
    cr_assert_eq(stream_unsend(a->stream, is_picked), 0);
    a->sent -= n;
    cr_assert_lt(a->sent, before);
    world_run(w, 3000000);
    cr_assert_null(w->broken, "%s", w->broken);
    w->app[CLIENT].paused = false;
    stream_resume(w->app[CLIENT].stream);
    expect_all(w);
    world_free(w);
}

Test(let_go, only_what_is_picked_and_last_comes_back)
{
    struct world *w = sending(2, 5000);
    struct app *a = &w->app[SERVER];
    w->app[CLIENT].paused = true;
    a->send_total = BODY - 100;
    world_run(w, 3000000);
    a->send_total = BODY;
    a->by_copy = true;
    app_push(a); /* a copy behind the references */
    cr_assert_eq(stream_unsend(a->stream, is_picked), 0);
    picked = NULL;
    cr_assert(stream_own(a->stream, is_picked, 0), "there are none");
    picked = &a->hold;
    cr_assert(!stream_own(a->stream, is_picked, 0));
    cr_assert(!stream_own(a->stream, is_picked, 1000));
    cr_assert_gt(a->hold.count, 1);
    w->app[CLIENT].paused = false;
    stream_resume(w->app[CLIENT].stream);
    expect_all(w);
    world_free(w);
}

Test(let_go, copies_take_no_more_than_half_of_the_blocks)
{
    struct tcp_config few = world_config();
    few.blocks = 64;
    struct world *w = world_new(3, NULL, &few);
    struct app *a = &w->app[SERVER];
    a->send_total = BODY;
    w->app[CLIENT].shut_on_eof = w->app[CLIENT].paused = true;
    world_connect(w);
    picked = &a->hold;
    world_run(w, 3000000);
    cr_assert(!own(w));
    cr_assert_eq(tcp_blocks_free(w->engine[SERVER]), 64);
    a->sent -= stream_unsend(a->stream, is_picked);
    cr_assert(own(w), "what is in flight has room");
    w->app[CLIENT].paused = false;
    stream_resume(w->app[CLIENT].stream);
    expect_all(w);
    world_free(w);
}

Test(let_go, at_any_time_on_links_that_lose)
{
    unsigned owned = 0, back = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world *w = sending(seed, 1 + (uint32_t)(seed * 977 % 9000));
        struct app *a = &w->app[SERVER];
        w->loss_permille = seed % 3 ? 30 : 0;
        w->reorder_permille = seed % 2 ? 40 : 0;
        w->jitter_us = 2000;
        w->no_sack = seed % 5 == 0;
        for (unsigned i = 0; i < 40; i++) {
            world_run(w, 500 + rng_below(&w->rng, 3000));
            if (!a->stream || a->closed)
                continue;
            if (rng_below(&w->rng, 2)) {
                size_t n = stream_unsend(a->stream, is_picked);
                a->sent -= n;
                back += n > 0;
            }
            if (rng_below(&w->rng, 2))
                owned += own(w);
            a->by_copy = rng_below(&w->rng, 4) == 0;
            app_push(a);
            cr_assert_null(w->broken, "seed %lu: %s", (unsigned long)seed, w->broken);
        }
        expect_all(w);
        world_free(w);
    }
    cr_assert_gt(owned, 50, "%u", owned);
    cr_assert_gt(back, 50, "%u", back);
}
