/* SPDX-License-Identifier: BSD-3-Clause */
/* What connections cost, and what happens when the room for them runs out: table, wheel, pools. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/tcp/world.h"

static struct tcp_engine *engine(uint32_t connections)
{
    struct tcp_config c = tcp_config_default();
    struct tcp_host host = {0};
    const uint8_t seed[32] = {3};
    c.connections = connections;
    c.idle_timeout_ms = 0;
    struct tcp_engine *e = tcp_create(&c, &host, seed, (struct now){1000000, 0});
    cr_assert_not_null(e);
    return e;
}

Test(room, an_idle_connection_costs_what_is_promised_with_its_share_of_the_table)
{
    struct tcp_engine *e = engine(1000000);
    size_t all = e->conn_pool.count * sizeof(struct tcp_conn) + e->buckets * sizeof(*e->bucket);
    cr_assert_leq(all, TCP_IDLE_BYTES * (size_t)1000000);
    /* and nothing else grows with their number */
    struct tcp_engine *larger = engine(4000000);
    cr_assert_eq(larger->items_pool.count, e->items_pool.count);
    cr_assert_eq(larger->tx_pool.count, e->tx_pool.count);
    cr_assert_eq(larger->block_pool.count, e->block_pool.count);
    tcp_destroy(larger);
    tcp_destroy(e);
}

/* Tags that all choose one bucket: its neighbours take them, and nobody is lost when some go. */
Test(room, connections_of_one_bucket_overflow_into_the_next_ones)
{
    enum { N = 100 };
    struct tcp_engine *e = engine(N);
    struct tcp_conn *c[N];
    for (unsigned round = 0; round < 3; round++) {
        uint64_t home = round == 0 ? 0 : round == 1 ? 0xffffffffu : 0x80000000u;
        for (unsigned i = 0; i < N; i++) {
            c[i] = tcp_conn_new(e, home | (uint64_t)(i % 3) << 48);
            c[i]->stream.local = (struct endpoint){world_addr(0), 80};
            c[i]->stream.remote = (struct endpoint){world_addr(1), (uint16_t)(1000 + i)};
        }
        cr_assert(tcp_conn_full(e));
        cr_assert_null(tcp_conn_new(e, home));
        for (unsigned i = 0; i < N; i += 2)
            tcp_conn_free(e, c[i]);
        struct addr at = world_addr(0), from = world_addr(1);
        for (unsigned i = 0; i < N; i++) {
            struct tcp_conn *found = tcp_conn_find(e, home | (uint64_t)(i % 3) << 48, &at, 80,
                                                   &from, (uint16_t)(1000 + i));
            cr_assert_eq(found, i % 2 ? c[i] : NULL);
        }
        for (unsigned i = 1; i < N; i += 2)
            tcp_conn_free(e, c[i]);
        for (uint32_t b = 0; b < e->buckets; b++) {
            cr_assert_eq(e->bucket[b].passed, 0);
            for (unsigned i = 0; i < TCP_SLOTS; i++)
                cr_assert_eq(e->bucket[b].entry[i], 0);
        }
    }
    tcp_destroy(e);
}

/* Idle connections whose only deadline is due by the wheel: each fires at its tick, none early,
 * whatever ring it waited in, and over the wrap of the millisecond clock. */
Test(room, deadlines_fire_in_their_tick_and_never_before)
{
    enum { N = 200 };
    struct tcp_config config = tcp_config_default();
    struct tcp_host host = {0};
    const uint8_t seed[32] = {4};
    config.connections = N;
    config.idle_timeout_ms = 0;
    struct now now = {.mono_us = (0xffffffffull - 40000) * 1000};
    struct tcp_engine *e = tcp_create(&config, &host, seed, now);
    struct rng rng;
    uint64_t due[N];
    struct tcp_conn *c[N];
    rng_init_u64(&rng, 7);
    uint64_t last = 0;
    for (unsigned i = 0; i < N; i++) {
        uint32_t wait = rng_below(&rng, 1u << (4 + i % 24)) + 1;
        c[i] = tcp_conn_new(e, i + 1);
        c[i]->state = TCP_ESTABLISHED;
        tcp_wheel_arm(e, c[i], e->now_ms + 5);
        tcp_wheel_arm(e, c[i], e->now_ms + wait); /* moved */
        due[i] = now.mono_us / 1000 + wait;
        last = due[i] > last ? due[i] : last;
    }
    tcp_wheel_stop(e, c[3]);
    uint64_t at = now.mono_us;
    while (at <= last * 1000) {
        uint64_t next = tcp_wheel_next_us(e);
        cr_assert_gt(next, at, "nothing due was left behind");
        if (next == UINT64_MAX)
            break;
        at = next;
        tcp_time_set(e, (struct now){.mono_us = at});
        tcp_wheel_advance(e, at, N);
        for (unsigned i = 0; i < N; i++) {
            bool armed = tcp_timer_armed(&c[i]->timer);
            cr_assert_eq(armed, i != 3 && due[i] * 1000 > at);
        }
    }
    for (unsigned i = 0; i < N; i++)
        cr_assert(!tcp_timer_armed(&c[i]->timer));
    cr_assert_eq(e->wheel.armed, 0);
    tcp_destroy(e);
}

/* One send queue for two connections that both want to send: the second is refused, counted,
 * and asked again when the first one's bytes are acknowledged. */
Test(room, a_dry_pool_of_queues_refuses_and_asks_again)
{
    struct tcp_config one = world_config();
    one.active = 1;
    struct world *w = world_new(5, NULL, &one);
    world_connect(w);
    world_run(w, 100000);
    struct app *server = &w->app[SERVER], *client = &w->app[CLIENT];
    cr_assert(server->opened && client->opened);

    /* somebody else has the only queue */
    struct tcp_engine *e = w->engine[SERVER];
    struct tcp_conn *other = tcp_conn_new(e, 77);
    cr_assert(tcp_tx_open(e, other));
    other->snd_max++; /* and something in flight */
    server->send_total = 50000;
    server->shut_after = true;
    client->shut_on_eof = true;
    app_push(server);
    cr_assert_eq(server->sent, 0);
    cr_assert_gt(tcp_counters(e)->tcp_no_queue_total, 0);
    for (unsigned i = 0; i < 50; i++) {
        w->now.mono_us += 10000;
        tcp_poll(e, w->now);
    }
    cr_assert_eq(client->got, 0);
    tcp_conn_free(e, other);
    cr_assert(world_run_closed(w, 10000000));
    cr_assert(client->got == 50000 && !client->wrong && !w->broken, "%s", w->broken);
    cr_assert_eq(e->tx_pool.left, 1);
    cr_assert_eq(e->items_pool.left, e->items_pool.count);
    world_free(w);
}

/* What has nothing to send gives way, the one that came first first; what it knew of the MTU, and
 * nothing else, is there when it sends again. */
Test(room, an_idle_sender_gives_way_to_one_with_bytes)
{
    struct tcp_config two = tcp_config_default();
    struct tcp_host host = {0};
    const uint8_t seed[32] = {6};
    two.active = 2;
    struct tcp_engine *e = tcp_create(&two, &host, seed, (struct now){1000000, 0});
    struct tcp_conn *c[3];
    for (unsigned i = 0; i < 3; i++) {
        c[i] = tcp_conn_new(e, i + 1);
        c[i]->state = TCP_ESTABLISHED;
        tcp_path_start(c[i], 1440);
    }
    cr_assert(tcp_tx_open(e, c[0]) && tcp_tx_open(e, c[1]));
    c[0]->tx->cc.cwnd *= 2;
    c[0]->tx->pmtu.waits = true;
    c[0]->tx->pmtu.search_s = 77;
    c[0]->mss -= 100;
    cr_assert(tcp_tx_open(e, c[2]) && !c[0]->tx && c[1]->tx);
    c[2]->snd_max++;
    cr_assert(tcp_tx_open(e, c[0]) && !c[1]->tx && c[2]->tx, "who is busy stays");
    cr_assert_eq(c[0]->tx->cc.cwnd, cc_initial_window(c[0]->mss));
    cr_assert(c[0]->tx->pmtu.waits && c[0]->tx->pmtu.search_s == 77);
    cr_assert_eq(c[0]->tx->pmtu.size, c[0]->tx->pmtu.most - 100);
    c[0]->snd_max++;
    cr_assert(!tcp_tx_open(e, c[1]));
    tcp_destroy(e);
}

static unsigned told;

static void count_writable(struct stream *s, struct now now)
{
    (void)s, (void)now;
    told++;
}

/* A hundred wait for the only queue: a poll looks at a few of them, in turn; when it is free all
 * hear of it within a few polls, which follow at once. */
Test(room, however_many_wait_for_a_pool_a_poll_looks_at_a_few)
{
    enum { N = 100 };
    static const struct stream_events events = {.writable = count_writable};
    struct tcp_config config = tcp_config_default();
    struct tcp_host host = {0};
    const uint8_t seed[32] = {5};
    struct now now = {.mono_us = 1000000};
    config.connections = N + 1;
    config.active = 1;
    struct tcp_engine *e = tcp_create(&config, &host, seed, now);
    struct tcp_conn *first = tcp_conn_new(e, 999);
    cr_assert(tcp_tx_open(e, first));
    first->snd_max++;
    for (unsigned i = 0; i < N; i++) {
        struct tcp_conn *c = tcp_conn_new(e, i + 1);
        c->state = TCP_ESTABLISHED;
        c->owned = true;
        c->stream.events = &events;
        c->want_write = true;
        tcp_conn_event(c, TCP_EVENT_WRITABLE);
    }
    tcp_poll(e, now);
    cr_assert_eq(e->starving.count, N);
    uint32_t head = e->starving.head;
    cr_assert(!tcp_poll(e, now), "nothing to do at once");
    cr_assert_gt(tcp_deadline_us(e), now.mono_us);
    cr_assert_eq(e->starving.count, N);
    cr_assert_eq(e->starving.head, head + TCP_STARVING, "the next ones' turn");
    cr_assert_eq(told, 0);

    first->snd_max--;
    unsigned polls = 1;
    while (tcp_poll(e, now) && polls < 10)
        polls++;
    cr_assert_eq(told, N);
    cr_assert_eq(e->starving.count, 0);
    cr_assert_leq(polls, N / TCP_STARVING + 2);
    tcp_destroy(e);
}
