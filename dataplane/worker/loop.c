/* SPDX-License-Identifier: BSD-3-Clause */
/* One turn of a worker: the order is DESIGN.md's picture. */
#include <rte_cycles.h>

#include "dataplane/worker/worker.h"

#define TICK_US 1000000u

static void report_quiescent(struct worker *w)
{
    if (w->online) {
        rte_rcu_qsbr_quiescent(w->node->qsbr, w->id);
        return;
    }
    rte_rcu_qsbr_thread_online(w->node->qsbr, w->id);
    w->online = true;
}

static void tick(struct worker *w)
{
    if (w->now.mono_us < w->tick_us)
        return;
    w->tick_us = w->now.mono_us + TICK_US;
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        net_tick(w->port[i].net, w->now);
        if (!w->announced && w->id == 0)
            net_announce(w->port[i].net);
    }
    w->announced = true;
}

/* What may have waited, in ports' rings and in those of other workers. */
static void note_load(struct worker *w)
{
    uint32_t behind =
        RTE_MAX(rte_ring_count(w->handover) / NET_BURST, rte_ring_count(w->messages) / WORKER_TURN);
    proxy_load(w->proxy, w->busy, RTE_MAX(behind, w->behind), w->now);
}

/* Timers and deferred work of all engines; TCP last, it sends what the others have queued. */
static bool poll_engines(struct worker *w)
{
    proxy_flush(w->proxy, w->now);
    http_server_poll(w->server, w->now);
    http_client_poll(w->client, w->now);
    proxy_poll(w->proxy, w->now);
    dht_arena_poll(w->arena, w->now);
    dht_store_poll(w->store, w->now);
    resolver_poll(w->resolver, w->now);
    dns_tcp_poll(w->dns_tcp, w->now);
    return tcp_poll(w->tcp, w->now);
}

bool worker_poll(struct node *n, unsigned worker, struct now now)
{
    struct worker *w = n->worker[worker];
    uint64_t began = rte_rdtsc();

    w->now = now;
    report_quiescent(w);
    view_load(w);
    access_load(w);
    reference_returned(w);
    /* messages before packets: a neighbour that another worker has just answered is known here
     * when its next packet comes */
    bool found = messages_poll(w);
    found |= rx_poll(w);
    if (found || now.mono_us >= w->tick_us)
        note_load(w);
    found |= poll_engines(w);
    tick(w);
    wait_poll(w);
    found |= tx_flush(w);
    cache_reclaim(n->cache, w->id, now);
    cache_scrub(n->cache, w->id, now);
    found |= (w->wake >> w->id & 1) != 0; /* something for ourselves */
    messages_wake(w);
    w->busy = found;

    uint64_t cycles = rte_rdtsc() - began;
    counter_inc(&w->counters.worker_polls_total);
    counter_add(&w->counters.worker_cycles_total, cycles);
    if (found) {
        counter_inc(&w->counters.worker_busy_polls_total);
        counter_add(&w->counters.worker_busy_cycles_total, cycles);
    }
    return found;
}

uint64_t worker_deadline_us(struct node *n, unsigned worker)
{
    const struct worker *w = n->worker[worker];
    const uint64_t due[] = {
        tcp_deadline_us(w->tcp),
        http_server_deadline_us(w->server),
        http_client_deadline_us(w->client),
        proxy_deadline_us(w->proxy),
        dht_arena_deadline_us(w->arena),
        resolver_deadline_us(w->resolver),
        dns_tcp_deadline_us(w->dns_tcp),
        wait_deadline_us(w),
        cache_scrub_deadline_us(n->cache, worker),
    };
    uint64_t first = cache_busy(n->cache, worker) ? w->now.mono_us : w->tick_us;

    for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++)
        if (due[i] < first)
            first = due[i];
    return first;
}
