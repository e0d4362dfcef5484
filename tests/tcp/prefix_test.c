/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections by network: the sketch against exact counts, and the engine that asks it. */
#include <criterion/criterion.h>

#include "tests/tcp/world.h"

static const uint8_t key[16] = {9, 8, 7};

static struct addr v4(uint32_t n)
{
    struct addr a = world_addr(0);
    for (unsigned i = 0; i < 4; i++)
        a.b[12 + i] = (uint8_t)(n >> (24 - 8 * i));
    return a;
}

static struct addr v6(uint32_t network, uint8_t host)
{
    struct addr a = {{0x20, 0x01, 0x0d, 0xb8}};
    a.b[6] = (uint8_t)(network >> 8);
    a.b[7] = (uint8_t)network;
    a.b[15] = host;
    return a;
}

Test(prefix, a_network_gets_its_share_and_no_more)
{
    struct tcp_prefix p;
    cr_assert(tcp_prefix_create(&p, 1000, 3, key));
    struct addr a = v4(0x0a000001), b = v4(0x0a000002);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(tcp_prefix_take(&p, &a));
    cr_assert(!tcp_prefix_take(&p, &a) && tcp_prefix_take(&p, &b));
    tcp_prefix_give(&p, &a);
    cr_assert(tcp_prefix_take(&p, &a) && !tcp_prefix_take(&p, &a));
    /* an IPv6 customer has a /64, whatever hosts are in it */
    for (uint8_t host = 1; host <= 3; host++) {
        struct addr c = v6(77, host);
        cr_assert(tcp_prefix_take(&p, &c));
    }
    struct addr same = v6(77, 200), other = v6(78, 1);
    cr_assert(!tcp_prefix_take(&p, &same) && tcp_prefix_take(&p, &other));
    tcp_prefix_destroy(&p);

    cr_assert(tcp_prefix_create(&p, 1000, 0, key));
    for (unsigned i = 0; i < 100; i++)
        cr_assert(tcp_prefix_take(&p, &a), "no limit");
    tcp_prefix_destroy(&p);
}

Test(prefix, counts_never_fall_short_and_return_to_zero)
{
    enum { NETWORKS = 500, LIMIT = 40 };
    struct tcp_prefix p;
    struct rng rng;
    uint32_t exact[NETWORKS] = {0}, early = 0;
    rng_init_u64(&rng, 3);
    cr_assert(tcp_prefix_create(&p, 10000, LIMIT, key));
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t n = rng_below(&rng, NETWORKS);
        struct addr a = n % 2 ? v4(n) : v6(n, (uint8_t)i);
        if (rng_below(&rng, 2) == 0 && exact[n] > 0) {
            tcp_prefix_give(&p, &a);
            exact[n]--;
        } else if (tcp_prefix_take(&p, &a)) {
            exact[n]++;
            cr_assert_leq(exact[n], LIMIT, "never more than its share");
        } else {
            early += exact[n] < LIMIT;
        }
    }
    cr_assert_lt(early, 100, "%u refused too early", early);
    for (uint32_t n = 0; n < NETWORKS; n++)
        for (; exact[n] > 0; exact[n]--) {
            struct addr a = n % 2 ? v4(n) : v6(n, 0);
            tcp_prefix_give(&p, &a);
        }
    for (uint32_t i = 0; i < (p.mask + 1) * TCP_PREFIX_ROWS; i++)
        cr_assert_eq(p.count[i], 0);
    tcp_prefix_destroy(&p);
}

Test(prefix, the_engine_refuses_the_network_and_serves_others)
{
    struct tcp_config c = world_config();
    c.prefix_limit = 1;
    struct world *w = world_new(4, NULL, &c);
    struct addr client = world_addr(CLIENT);
    cr_assert(tcp_prefix_take(&w->engine[SERVER]->prefixes, &client)); /* its one, elsewhere */
    world_connect(w);
    world_run(w, 500000);
    const struct tcp_counters *n = tcp_counters(w->engine[SERVER]);
    cr_assert(n->tcp_prefix_refused_total > 0 && n->tcp_accepted_total == 0);
    tcp_prefix_give(&w->engine[SERVER]->prefixes, &client);
    world_run(w, 5000000); /* the SYN,ACK is sent again */
    cr_assert_eq(n->tcp_accepted_total, 1);
    cr_assert(!tcp_prefix_take(&w->engine[SERVER]->prefixes, &client));
    w->app[CLIENT].shut_after = w->app[SERVER].shut_after = true;
    app_push(&w->app[CLIENT]);
    app_push(&w->app[SERVER]);
    cr_assert(world_run_closed(w, 10000000));
    world_run(w, 5000000);
    cr_assert(tcp_prefix_take(&w->engine[SERVER]->prefixes, &client), "given back");
    world_free(w);
}
