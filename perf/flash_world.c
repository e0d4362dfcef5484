/* SPDX-License-Identifier: BSD-3-Clause */
/* Eight nodes, as control would have made them once they know each other, and the clock. */
#include <stdio.h>
#include <stdlib.h>

#include "dht/id.h"
#include "perf/flash.h"

#define ZONE    "coral.test"
#define TURN_US 10 /* that a turn with work takes: what comes meanwhile waits for the next one */
#define CID     0xc0a1u

/* --- the index's tables ----------------------------------------------------------------------- */

static bool is_near(unsigned a, unsigned b)
{
    return a / FLASH_CLUSTER_NODES == b / FLASH_CLUSTER_NODES;
}

/* Who knows everybody, and has been in its cluster for an hour. */
static struct dht_routes *routes_of(const struct flash_world *w, unsigned self)
{
    struct dht_routes *r = calloc(1, sizeof(*r) + FLASH_NODES * sizeof(r->route[0]));
    struct dht_distance distance[FLASH_NODES];
    if (!r)
        return NULL;
    struct dht_route *route = (struct dht_route *)(r + 1);

    r->self = w->contact[self];
    r->incarnation = 1;
    r->populated = DHT_ALL_LEVELS;
    r->route = route;
    r->contact = w->contact;
    r->level[0].is.size = 8 * 3; /* 8 * log2 of 8, */
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        r->level[l].is = (struct dht_descriptor){
            .cid = CID + self / FLASH_CLUSTER_NODES, .size = 8 * 2, .age_s = 3600}; /* ... of 4 */
    for (unsigned i = 0; i < FLASH_NODES; i++) {
        if (i == self)
            continue;
        struct dht_distance d = distance_between(&r->self.id, &w->contact[i].id);
        unsigned at = r->n++;
        for (; at > 0 && distance_less(&d, &distance[at - 1]); at--) {
            distance[at] = distance[at - 1];
            route[at] = route[at - 1];
        }
        distance[at] = d;
        route[at] = (struct dht_route){
            .peer = i & 0xffffff,
            .levels = is_near(i, self) ? DHT_ALL_LEVELS : 1,
            .alive = 1,
            .live = 1,
            .rtt_us = 2 * (is_near(i, self) ? FLASH_NEAR_US : FLASH_FAR_US) & 0xffffff,
            .prefix = (uint8_t)distance_prefix(&d)};
    }
    return r;
}

static void make_contacts(struct flash_world *w)
{
    for (unsigned i = 0; i < FLASH_NODES; i++) {
        struct dht_contact *c = &w->contact[i];
        *c = (struct dht_contact){.rpc = {flash_node_ip(i), 5300},
                                  .v4 = flash_node_ip(i),
                                  .http_port = 80,
                                  .services = DHT_SERVICE_HTTP | DHT_SERVICE_DNS};
        c->id = dht_node_id(&c->rpc);
    }
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void make_policy(struct flash_world *w)
{
    w->site = (struct proxy_site){
        .host = FLASH_SITE, .origins = 1, .ttl_override_s = -1, .allow_special = true};
    struct proxy_origin *o = &w->site.origin[0];
    *o = (struct proxy_origin){
        .is_address = true, .address = flash_origin_ip(), .port = FLASH_ORIGIN_PORT};
    addr_text(&o->address, o->host);
    w->policy = (struct proxy_policy){.zone = ZONE,
                                      .stale_s = 86400,
                                      .short_ttl_ms = 20000,
                                      .long_ttl_ms = 3600000,
                                      .sites = 1,
                                      .site = &w->site};
}

static bool make_node(struct flash_world *w, unsigned i, uint64_t seed, size_t cache_bytes,
                      uint32_t connections, char *error, size_t error_len)
{
    struct node_config c = {
        .workers = 1,
        .ports = 1,
        .spin = true,
        .cache_bytes = cache_bytes,
        .connections = connections,
        .http_port = 80,
        .dht = dht_config_default(),
        .keys = {.n = 1, .key = {{7, "a flash crowd.."}}},
        .self = w->contact[i],
        .resolver = {.queries = 16, .names = 16, .timeout_ms = 1000},
    };
    char link[16];
    struct rng rng;

    snprintf(c.name, sizeof(c.name), "n%u", i);
    snprintf(link, sizeof(link), "flash%u", i);
    rng_init_u64(&rng, seed + ((uint64_t)i + 1) * 0x9e3779b97f4a7c15u);
    rng_bytes(&rng, c.seed, sizeof(c.seed));
    c.dht.port = 5300;
    w->link[i] = port_link_new(link, 4096);
    c.port[0] = (struct port_config){.name = "ports[0]",
                                     .driver = PORT_RING,
                                     .link = w->link[i],
                                     .offload = true,
                                     .addresses = 1,
                                     .address = {{flash_node_ip(i), 24}}};
    w->view[i] = (struct view){.version = 1, .policy = &w->policy, .routes = routes_of(w, i)};
    if (!w->link[i] || !w->view[i].routes) {
        snprintf(error, error_len, "not enough memory for node %u", i);
        return false;
    }
    w->node[i] = node_create(&c, &w->view[i], w->now, error, error_len);
    return w->node[i] != NULL;
}

bool flash_world_open(struct flash_world *w, uint64_t seed, size_t cache_bytes,
                      uint32_t connections, char *error, size_t error_len)
{
    struct net_address ip[FLASH_CLUSTERS + 1];
    for (unsigned i = 0; i < FLASH_CLUSTERS; i++)
        ip[i] = (struct net_address){flash_client_ip(i), 24};
    ip[FLASH_CLUSTERS] = (struct net_address){flash_origin_ip(), 24};
    *w = (struct flash_world){.now = {1000000, 1700000000}};
    make_contacts(w);
    make_policy(w);
    for (unsigned i = 0; i < FLASH_NODES; i++)
        if (!make_node(w, i, seed, cache_bytes, connections, error, error_len))
            return false;
    w->link[FLASH_HOST] = port_link_new("flash", 16384);
    if (!w->link[FLASH_HOST] || !flash_links_open(&w->links) ||
        !host_new(&w->host, w->link[FLASH_HOST], ip, FLASH_CLUSTERS + 1, FLASH_NODES * connections,
                  true, w->now)) {
        snprintf(error, error_len, "not enough memory for the clients");
        return false;
    }
    return true;
}

void flash_world_close(struct flash_world *w)
{
    flash_links_close(&w->links);
    host_free(&w->host);
    for (unsigned i = 0; i < FLASH_PLACES; i++)
        if (w->link[i])
            port_link_drain(w->link[i]);
    for (unsigned i = 0; i < FLASH_NODES; i++)
        node_destroy(w->node[i]);
    for (unsigned i = 0; i < FLASH_PLACES; i++)
        port_link_free(w->link[i]);
    for (unsigned i = 0; i < FLASH_NODES; i++)
        free((void *)(uintptr_t)w->view[i].routes);
}

/* --- time ------------------------------------------------------------------------------------- */

static void wake(struct flash_world *w, unsigned place)
{
    uint64_t at = RTE_MAX(w->now.mono_us, w->turned_us[place] + TURN_US);
    w->due_us[place] = RTE_MIN(w->due_us[place], at);
}

void flash_world_host(struct flash_world *w)
{
    w->due_us[FLASH_HOST] = w->now.mono_us;
}

static void deliver(struct flash_world *w)
{
    struct rte_mbuf *m;
    unsigned to;
    while ((m = flash_links_give(&w->links, w->now.mono_us, &to))) {
        if (port_link_send(w->link[to], to != FLASH_HOST, &m, 1) == 0) {
            w->links.dropped++;
            rte_pktmbuf_free(m);
        }
        wake(w, to);
    }
}

static void collect(struct flash_world *w, unsigned place)
{
    struct rte_mbuf *m[PORT_BURST];
    unsigned n;
    while ((n = port_link_receive(w->link[place], place != FLASH_HOST, m, PORT_BURST)) > 0)
        for (unsigned i = 0; i < n; i++)
            flash_links_take(&w->links, place, m[i], w->now.mono_us);
}

/* Nobody is without a turn for longer than its deadline, or turns more often than it can. */
static void turn(struct flash_world *w, unsigned place)
{
    struct node_event ignored;
    uint64_t deadline;
    bool found;

    if (place == FLASH_HOST) {
        found = host_turn_at(&w->host, w->now) &&
                port_link_pending(w->link[place], 1); /* more than a burst */
        deadline = tcp_deadline_us(w->host.tcp);
    } else {
        found = worker_poll(w->node[place], 0, w->now);
        deadline = worker_deadline_us(w->node[place], 0);
        while (node_event(w->node[place], &ignored)) /* for a control that there is none of */
            ;
    }
    collect(w, place);
    w->turned_us[place] = w->now.mono_us;
    uint64_t soonest = w->now.mono_us + (place == FLASH_HOST ? 1 : TURN_US);
    w->due_us[place] = found || deadline < soonest ? soonest : deadline;
}

void flash_world_step(struct flash_world *w, uint64_t until_us)
{
    uint64_t next = RTE_MIN(until_us, flash_links_due_us(&w->links));
    for (unsigned i = 0; i < FLASH_PLACES; i++)
        next = RTE_MIN(next, w->due_us[i]);
    w->now.mono_us = RTE_MAX(w->now.mono_us, next);
    w->now.wall_s = 1700000000 + (int64_t)(w->now.mono_us / 1000000);
    deliver(w);
    for (unsigned i = 0; i < FLASH_PLACES; i++)
        if (w->due_us[i] <= w->now.mono_us)
            turn(w, i);
}
