/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What control gives and takes: the view, commands, events, counters.
 *
 * A worker reports its quiescent state at the start of a turn and only then loads the view's
 * root; engines that keep a part of it (proxy, asker) are given the new one before they run. So
 * when every worker has reported, or sleeps (offline), after a publication, nobody uses the old
 * root or will.
 */
#include <string.h>

#include "base/grace.h"
#include "dataplane/worker/worker.h"

void view_load(struct worker *w)
{
    const struct view *v = __atomic_load_n(&w->node->view, __ATOMIC_ACQUIRE);
    /* a new root may stand where a freed one stood: the version tells them apart */
    if (v == w->view && v->version == w->view_version)
        return;
    w->view = v;
    w->view_version = v->version;
    proxy_view(w->proxy, v->policy, v->routes);
    proxy_shares(w->proxy, v->shares);
    dht_asker_routes(w->asker, v->routes);
}

uint64_t node_view_publish(struct node *n, const struct view *view)
{
    __atomic_store_n(&n->view, view, __ATOMIC_RELEASE);
    return grace_start(n->qsbr);
}

bool node_view_done(struct node *n, uint64_t token)
{
    return grace_over(n->qsbr, token);
}

bool node_command(struct node *n, unsigned worker, const struct message *m)
{
    struct worker *w = n->worker[worker];
    if (!ring_post(w->commands, m))
        return false;
    sleeper_wake(&w->sleeper);
    return true;
}

static bool event_take(struct node *n, struct node_event *out)
{
    return rte_ring_sc_dequeue_bulk_elem(n->events, out, sizeof(*out), 1, NULL) == 1;
}

/* The descriptor is written once after the ring was seen empty (`asleep`, sleeper.h). */
bool node_event(struct node *n, struct node_event *out)
{
    if (event_take(n, out))
        return true;
    sleeper_drain(&n->event);
    sleeper_arm(&n->event);
    return event_take(n, out);
}

int node_event_fd(struct node *n)
{
    return n->event.fd;
}

unsigned node_owner(struct node *n, const char *url, size_t len)
{
    return cache_owner(n->cache, cache_hash(n->cache, url, len));
}

enum cache_purge_end node_purge(struct node *n, const struct cache_purge *what, uint64_t *token)
{
    enum cache_purge_end end = cache_purge(n->cache, what, token);
    for (unsigned i = 0; i < n->workers && end == CACHE_PURGE_TAKEN; i++)
        sleeper_wake(&n->worker[i]->sleeper);
    return end;
}

uint64_t node_mark(struct node *n)
{
    return grace_start(n->qsbr);
}

bool node_passed(struct node *n, uint64_t token)
{
    return grace_over(n->qsbr, token);
}

/* All fields are counters of 64 bits (base/counter.h). */
static const struct net_counters *net_sum_ports(struct worker *w)
{
    if (w->node->config.ports == 1)
        return net_counters(w->port[0].net);
    uint64_t *sum = (uint64_t *)&w->net_total;
    memset(sum, 0, sizeof(w->net_total));
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        const uint64_t *c = (const uint64_t *)net_counters(w->port[i].net);
        for (size_t k = 0; k < sizeof(w->net_total) / sizeof(*c); k++)
            sum[k] += counter_read(&c[k]);
    }
    return &w->net_total;
}

void node_stats(struct node *n, unsigned worker, struct worker_stats *out)
{
    struct worker *w = n->worker[worker];

    *out = (struct worker_stats){
        .tcp = tcp_counters(w->tcp),
        .net = net_sum_ports(w),
        .http = http_server_counters(w->server),
        .http_client = http_client_counters(w->client),
        .proxy = proxy_counters(w->proxy),
        .cache = cache_counters(n->cache, worker),
        .dns = &w->dns_counters,
        .resolver = resolver_counters(w->resolver),
        .dht = dht_arena_counters(w->arena),
        .worker = &w->counters,
        .latency = proxy_latency(w->proxy),
    };
}

uint32_t node_connections(struct node *n)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < n->workers; i++)
        sum += http_server_connections(n->worker[i]->server);
    return sum;
}

const struct port *node_port(struct node *n, unsigned i)
{
    return i < n->config.ports ? n->port[i] : NULL;
}
