/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "dht/id.h"
#include "perf/server.h"
#include "perf/wire.h"

static bool make_view(struct server *s, const struct perf_options *o)
{
    s->routes = calloc(1, sizeof(*s->routes));
    s->zone = dns_zone_new(SERVER_ZONE, SERVER_MEMBERS);
    if (!s->routes || !s->zone)
        return false;
    s->routes->self.rpc = (struct endpoint){addr_v4(SERVER_NET), 5300};
    s->routes->self.id = dht_node_id(&s->routes->self.rpc);
    s->routes->populated = 1;
    for (uint32_t i = 0; i < SERVER_MEMBERS; i++)
        s->zone->member[i] = (struct dns_member){.v4 = addr_v4(SERVER_MEMBER + i)};
    s->zone->members = SERVER_MEMBERS;
    dns_zone_finish(s->zone);
    s->site = (struct proxy_site){
        .host = "www.perf.test", .origins = 1, .ttl_override_s = -1, .allow_special = true};
    s->site.origin[0] = (struct proxy_origin){.host = "10.0.0.16",
                                              .is_address = true,
                                              .address = addr_v4(ORIGIN_IP),
                                              .port = ORIGIN_PORT};
    s->policy = (struct proxy_policy){.zone = SERVER_ZONE,
                                      .stale_s = 3600,
                                      .short_ttl_ms = 20000,
                                      .long_ttl_ms = 3600000,
                                      .shed_us = (uint32_t)(o->shed_ms * 1000),
                                      .sites = 1,
                                      .site = &s->site};
    s->view =
        (struct view){.version = 1, .policy = &s->policy, .routes = s->routes, .zone = s->zone};
    return true;
}

static bool make_node(struct server *s, const struct perf_options *o, uint32_t connections,
                      size_t cache_bytes, char *error, size_t error_len)
{
    struct node_config c = {
        .name = "perf",
        .workers = o->workers,
        .ports = 1,
        .spin = true,
        .cache_bytes = cache_bytes,
        .connections = connections + connections / 4 + 64, /* no eviction */
        .http_port = 80,
        .dht = dht_config_default(),
        .keys = {.n = 1},
        .resolver = {.queries = 16, .names = 16, .timeout_ms = 1000},
        .seed = "coral-perf, the node",
    };

    c.dht.port = 5300;
    c.self = s->view.routes->self;
    c.port[0] = (struct port_config){.name = "ports[0]",
                                     .driver = PORT_RING,
                                     .link = s->link,
                                     .offload = o->offload,
                                     .addresses = SERVER_IPS};
    for (unsigned i = 0; i < SERVER_IPS; i++)
        c.port[0].address[i] = (struct net_address){addr_v4(SERVER_NET + i), 24};
    if (o->wire)
        c.port[0] = wire_port(o->wire);
    s->node = node_create(&c, &s->view, perf_now(), error, error_len);
    if (s->node)
        node_stats(s->node, 0, &s->stats);
    return s->node != NULL;
}

bool server_open(struct server *s, const struct perf_options *o, uint32_t connections,
                 size_t cache_bytes, char *error, size_t error_len)
{
    *s = (struct server){.link = o->wire ? NULL : port_link_new_queues("server", 4096, o->workers)};
    if ((s->link || o->wire) && make_view(s, o))
        return make_node(s, o, connections, cache_bytes, error, error_len);
    snprintf(error, error_len, "not enough memory");
    return false;
}

void server_close(struct server *s)
{
    if (s->node) {
        if (s->link)
            port_link_drain(s->link);
        node_destroy(s->node);
    }
    port_link_free(s->link);
    free(s->routes);
    free(s->zone);
}

bool server_turn(void *ctx)
{
    struct server *s = ctx;
    return worker_poll(s->node, 0, perf_now());
}
