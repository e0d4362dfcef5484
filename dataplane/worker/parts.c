/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's engines: made one by one, wired to each other and to the frames. */
#include <stdio.h>
#include <string.h>

#include "dataplane/worker/worker.h"

#define CLIENT_EXCHANGES 1024 /* towards peers and origins, in flight */
#define CLIENT_IDLE      256
#define PROXY_REQUESTS   4096 /* in flight, a worker; no more than connections */
#define PROXY_FILLS      512

/* --- what engines ask of their host ----------------------------------------------------------- */

static bool steers_here(void *ctx, const struct endpoint *local, const struct endpoint *remote)
{
    struct worker *w = ctx;
    return worker_of_tuple(w, local, remote) == w->id;
}

/* The n-th port to try for a connection out: a port with known RSS names one whose replies come
 * here, elsewhere each is looked at. */
static uint16_t port_try(void *ctx, const struct addr *local, const struct endpoint *remote,
                         uint32_t n)
{
    struct worker *w = ctx;
    const struct steer *s = w->node->steer[emit_port(w, local)];
    const struct endpoint mine = {*local, (uint16_t)(STEER_PORT_FIRST + n % STEER_PORT_COUNT)};

    if (s)
        return steer_port(s, w->id, local, remote, n);
    return steers_here(w, &mine, remote) ? mine.port : 0;
}

/* The resolver's random ports: worker (port mod workers), as rx_owner has it; and none that a
 * service has. */
static bool port_fits(void *ctx, uint16_t port, const struct endpoint *server)
{
    struct worker *w = ctx;
    (void)server;
    return port >= 1024 && port != w->node->config.dht.port && port != w->probe_port &&
           port % w->node->workers == w->id;
}

static struct stream *connect_out(void *ctx, const struct endpoint *to,
                                  const struct stream_events *events, void *user, struct now now)
{
    struct worker *w = ctx;
    struct addr local;
    uint8_t port;

    if (!emit_route(w, &to->ip, &port, &local))
        return NULL;
    return tcp_connect(w->tcp, &local, to, events, user, now);
}

/* --- making ----------------------------------------------------------------------------------- */

static bool make_nets(struct worker *w)
{
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        struct worker_port *wp = &w->port[i];
        const struct port_config *c = &w->node->config.port[i];
        struct net_config config = {
            .mtu = w->node->port[i]->mtu,
            .addresses = c->addresses,
            .gateway_v4 = c->gateway_v4,
            .gateway_v6 = c->gateway_v6,
        };
        const struct net_host host = {wp, tx_raw, neighbour_learned, icmp_heard, probe_heard};

        memcpy(config.mac, w->node->port[i]->mac, 6);
        memcpy(config.address, c->address, sizeof(config.address));
        wp->worker = w;
        wp->index = (uint8_t)i;
        wp->port = w->node->port[i];
        wp->net = net_create(&config, &host);
        if (wp->port->tx_queues < w->node->workers && w->id < wp->port->tx_queues)
            wp->inbox = ring_new(sizeof(void *), WORKER_HANDOVER);
        if (!wp->net ||
            (wp->port->tx_queues < w->node->workers && w->id < wp->port->tx_queues && !wp->inbox))
            return false;
    }
    return true;
}

static bool make_rings(struct worker *w)
{
    w->messages = ring_new(sizeof(struct message), WORKER_MESSAGES);
    w->commands = ring_new(sizeof(struct message), WORKER_COMMANDS);
    w->handover = ring_new(sizeof(void *), WORKER_HANDOVER);
    w->access = access_ring_new();
    return w->messages && w->commands && w->handover && w->access && reference_create(w) &&
           sleeper_init(&w->sleeper);
}

static bool make_tcp(struct worker *w, struct rng *seeds, struct now now)
{
    struct tcp_config c = tcp_config_default();
    const struct tcp_host host = {w, emit_segment, w->node->workers > 1 ? port_try : NULL,
                                  emit_room};
    uint16_t mtu = PORT_MTU_MAX;
    uint8_t seed[32];

    c.burst_bytes = TCP_BURST_MAX;
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        const struct port *p = w->node->port[i];
        mtu = p->mtu < mtu ? p->mtu : mtu;
    }
    /* clients may never take the last entries: ours to peers and origins, handshakes, DNS */
    c.connections = w->node->config.connections + w->node->config.connections / 8 +
                    2 * CLIENT_EXCHANGES + CLIENT_IDLE + 512;
    c.flights = c.connections / 4 + 1024; /* the rest waits for requests */
    /* an answer's head is in a block until it is acknowledged, up to 40 ms */
    c.blocks += c.connections / 16;
    c.active += c.connections / 16;
    c.records = c.connections + 16384;
    c.cc = w->node->config.cc;
    c.prefix_limit = w->node->config.network_limit;
    c.floor_bytes_s = w->node->config.reader_floor;
    c.keepalive_ms = w->node->config.keepalive_ms;
    c.mss_v4 = (uint16_t)(mtu - 40);
    c.mss_v6 = (uint16_t)(mtu - 60);
    rng_bytes(seeds, seed, sizeof(seed));
    w->tcp = tcp_create(&c, &host, seed, now);
    return w->tcp != NULL;
}

static bool make_index(struct worker *w, struct rng *seeds, struct now now)
{
    const struct node_config *c = &w->node->config;
    const struct dht_asker_host host = {
        .udp = {w, emit_datagram},
        .ctx = w,
        .answered = event_answered,
        .timed_out = event_timed_out,
    };
    uint8_t own[32];

    rng_bytes(seeds, own, sizeof(own));
    w->mac = dht_mac_create(&c->keys);
    /* one seed for all workers: they take each other's cookies */
    w->arena = dht_arena_create(&c->dht, w->id, w->node->store_seed, own, now);
    if (!w->mac || !w->arena)
        return false;
    w->store = dht_store_create(w->arena, c->dht.store_keys);
    w->asker = dht_asker_create(w->arena, w->mac, &host);
    return w->store && w->asker;
}

static bool make_resolver(struct worker *w, struct rng *seeds, struct now now)
{
    const struct resolver_host host = {
        .udp = {w, emit_datagram},
        .ctx = w,
        .connect = connect_out,
        .port_fits = port_fits,
    };
    uint8_t seed[32];

    rng_bytes(seeds, seed, sizeof(seed));
    w->resolver = resolver_create(&w->node->config.resolver, &host, seed, now);
    return w->resolver != NULL;
}

static bool make_http(struct worker *w, struct rng *seeds, struct now now)
{
    const struct node_config *c = &w->node->config;
    const struct http_client_config client = {
        .exchanges = CLIENT_EXCHANGES,
        .idle_pool = CLIENT_IDLE,
        .connect_ms = 1500,
        .first_byte_ms = 10000,
        .between_bytes_ms = 10000,
        .idle_ms = 30000,
    };
    const struct http_server_config server = {
        .connections = c->connections,
        .idle_ms = 60000,
        .head_ms = 10000,
        .stall_ms = 60000,
    };
    const struct http_client_host host = {w, connect_out};
    struct proxy_config proxy = {
        .worker = w->id,
        .workers = w->node->workers,
        .requests = RTE_MIN(c->connections, (uint32_t)PROXY_REQUESTS),
        .fills = PROXY_FILLS,
        .burst = 32,
        .node_id = c->self.id,
        .http_port = c->http_port,
        .verify = c->verify,
    };
    uint8_t seed[32];

    w->client = http_client_create(&client, &host, now);
    if (!w->client)
        return false;
    const struct proxy_parts parts = {w->node->cache,
                                      w->client,
                                      w->asker,
                                      w->mac,
                                      w->resolver,
                                      {w, message_post},
                                      {w, event_damaged, access_put, event_origin, event_usage}};
    snprintf(proxy.node_name, sizeof(proxy.node_name), "%s", c->name);
    rng_bytes(seeds, seed, sizeof(seed));
    w->proxy = proxy_create(&proxy, &parts, seed, now);
    if (!w->proxy)
        return false;
    const struct http_handler handler = proxy_handler(w->proxy);
    w->server = http_server_create(&server, &handler, now);
    if (w->server)
        proxy_serve(w->proxy, w->server);
    return w->server != NULL;
}

static bool listen_all(struct worker *w)
{
    w->dns_tcp = dns_tcp_create(w);
    return w->dns_tcp &&
           tcp_listen(w->tcp, w->node->config.http_port, http_server_accept, w->server) &&
           tcp_listen(w->tcp, WORKER_DNS_PORT, dns_tcp_accept, w->dns_tcp);
}

bool parts_create(struct worker *w, const struct view *view, struct rng *seeds, struct now now,
                  char *error, size_t error_len)
{
    uint8_t seed[32];

    rng_bytes(seeds, seed, sizeof(seed));
    rng_init(&w->rng, seed);
    w->now = now;
    probe_init(w);
    const char *what = !make_nets(w)                   ? "neighbour tables"
                       : !make_rings(w)                ? "rings between threads"
                       : !make_tcp(w, seeds, now)      ? "connections (node.connections)"
                       : !make_index(w, seeds, now)    ? "the index"
                       : !make_resolver(w, seeds, now) ? "the resolver"
                       : !make_http(w, seeds, now)     ? "HTTP"
                       : !listen_all(w)                ? "listeners"
                                                       : NULL;
    if (what) {
        snprintf(error, error_len, "worker %u: not enough memory for %s", w->id, what);
        return false;
    }
    w->view = view;
    w->view_version = view->version;
    proxy_view(w->proxy, view->policy, view->routes);
    dht_asker_routes(w->asker, view->routes);
    return true;
}

void parts_destroy(struct worker *w)
{
    if (w->tcp)
        tcp_destroy(w->tcp);
    if (w->server)
        http_server_destroy(w->server);
    if (w->proxy)
        proxy_destroy(w->proxy);
    if (w->client)
        http_client_destroy(w->client);
    if (w->resolver)
        resolver_destroy(w->resolver);
    if (w->asker)
        dht_asker_destroy(w->asker);
    if (w->store)
        dht_store_destroy(w->store);
    if (w->arena)
        dht_arena_destroy(w->arena);
    if (w->mac)
        dht_mac_destroy(w->mac);
    dns_tcp_destroy(w->dns_tcp);
    for (unsigned i = 0; i < w->node->config.ports; i++) {
        if (w->port[i].net)
            net_destroy(w->port[i].net);
        ring_free(w->port[i].inbox);
    }
    ring_free(w->messages);
    ring_free(w->commands);
    ring_free(w->handover);
    reference_destroy(w);
    ring_free(w->access);
    sleeper_close(&w->sleeper);
}
