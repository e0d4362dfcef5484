/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker finds out that its port's ring has more than it can work through, and only then. */
#include "dataplane/port/link.h"
#include "world.h"

#define SHED_US 1000
#define ASKING  128

static struct rte_mbuf *frame(struct world *w)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);
    CHECK(m);
    memset(rte_pktmbuf_append(m, 64), 0, 64); /* of no protocol */
    return m;
}

static void flood(struct world *w, unsigned n)
{
    while (n--) {
        struct rte_mbuf *m = frame(w);
        CHECK(port_link_send(w->link[0], 1, &m, 1) == 1);
    }
}

/* A turn of node 0 after so many us. */
static struct worker *turn(struct world *w, unsigned us)
{
    w->now.mono_us += us;
    worker_poll(w->node[0], 0, w->now);
    return w->node[0]->worker[0];
}

static uint64_t taken(struct world *w)
{
    return counter_read(&w->node[0]->worker[0]->counters.worker_rx_packets_total);
}

/* More in the ring than it holds, for 0.6 s, and so many who ask. */
static void overload(struct world *w, unsigned asking)
{
    static struct fetch f[ASKING];

    for (unsigned i = 0; i < asking; i++)
        f[i].over = true;
    for (uint64_t end = w->now.mono_us + 600000; w->now.mono_us < end; world_step(w)) {
        unsigned in_ring = rte_ring_count(w->link[0]->way[0].ring);
        flood(w, in_ring < 1800 ? 1800 - in_ring : 0);
        w->now.mono_us += 90;
        for (unsigned i = 0; i < asking; i++)
            if (f[i].over)
                world_get(w, 0, false, "/cached", &f[i]);
    }
    for (bool over = false; !over; world_step(w)) {
        over = true;
        for (unsigned i = 0; i < asking; i++)
            over &= f[i].over;
    }
}

int main(void)
{
    static struct world w;
    struct fetch f;

    world_start();
    world_new(&w, 1, true);
    w.policy.shed_us = SHED_US;
    world_run(&w, 1500000);
    const struct proxy_counters *c = proxy_counters(w.node[0]->worker[0]->proxy);
    uint64_t before = taken(&w);

    flood(&w, 900); /* less than a ring: taken at once, and that was all */
    CHECK(turn(&w, 100)->behind == 0 && taken(&w) == before + 900);
    flood(&w, 1500); /* that was looked at a moment ago */
    CHECK(turn(&w, 100)->behind == 0 && taken(&w) == before + 932);
    CHECK(turn(&w, 20000)->behind > 0 && taken(&w) == before + 932 + PORT_RX_FRAMES);
    CHECK(turn(&w, 100)->behind > 0);
    while (turn(&w, 100)->behind > 0)
        ;
    CHECK(taken(&w) == before + 2400 && counter_read(&c->proxy_shed_level) == 0);

    world_fetch(&w, 0, false, "/cached", &f);
    CHECK(f.ok && f.status == 200);
    overload(&w, 0);
    CHECK(counter_read(&c->proxy_shed_level) == 0); /* nobody asks for anything */
    world_run(&w, 1000000);
    overload(&w, ASKING);
    CHECK(counter_read(&c->proxy_shed_level) > 0);
    world_fetch(&w, 0, false, "/not-cached", &f);
    CHECK(f.ok && f.status == 503);
    CHECK(counter_read(&c->proxy_shed_fetches_total) == 1);
    world_fetch(&w, 0, false, "/cached", &f);
    CHECK(f.ok && f.status == 200);
    world_run(&w, 8000000);
    CHECK(counter_read(&c->proxy_shed_level) == 0);
    world_fetch(&w, 0, false, "/not-cached", &f);
    CHECK(f.ok && f.status == 200);
    world_free(&w);
    port_eal_stop();
    return 0;
}
