/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <unistd.h>

#include "dht/id.h"
#include "tests/perf/cost_world.h"

#define STEP_US    50
#define LIMIT_US   (60ull * 1000000)
#define HOST_TURNS 64

struct node *cost_node;
struct host cost_host;
struct now cost_now = {.mono_us = 1000000, .wall_s = 1700000000};
uint32_t cost_size;

static uint8_t body[COST_LARGEST];
static char head[160];
static struct port_link *wire;
static struct dht_routes *routes;
static struct dns_zone *zone;
static struct access_record record;

struct now perf_now(void)
{
    return cost_now;
}

/* --- the origin: keeps its connections; any target has `cost_size` bytes ---------------------- */

static size_t origin_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    (void)now;
    if (!memmem(data, len, "\r\n\r\n", 4))
        return 0;
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 200 OK\r\nCache-Control: max-age=86400\r\n"
                     "Content-Length: %u\r\n\r\n",
                     cost_size);
    COST_CHECK(stream_send(s, (struct ref){(const uint8_t *)head, (uint32_t)n, NULL}));
    COST_CHECK(stream_send(s, (struct ref){body, cost_size, NULL}));
    return len;
}

static void origin_eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static void origin_closed(struct stream *s, enum stream_end why, struct now now)
{
    (void)s, (void)why, (void)now;
}

static bool origin_accept(void *ctx, struct stream *s, struct now now)
{
    static const struct stream_events events = {
        .received = origin_received, .eof = origin_eof, .closed = origin_closed};
    (void)ctx, (void)now;
    s->events = &events;
    return true;
}

/* --- turns ------------------------------------------------------------------------------------ */

__attribute__((noinline)) bool measured_poll(struct node *n)
{
    bool found = worker_poll(n, 0, cost_now);
    __asm__ volatile("" : : : "memory"); /* no tail call */
    return found;
}

__attribute__((noinline)) void run_over(const char *line)
{
    puts(line);
    fflush(stdout);
}

void cost_turn(bool measured)
{
    cost_now.mono_us += STEP_US;
    if (measured)
        measured_poll(cost_node);
    else
        worker_poll(cost_node, 0, cost_now);
    while (node_access_take(cost_node, 0, &record))
        ;
    for (unsigned i = 0; i < HOST_TURNS && host_turn(&cost_host); i++)
        ; /* a bulk of frames at once: what a full ring costs is not looked at here */
}

void cost_until(const uint64_t *count, uint64_t wanted, bool measured)
{
    uint64_t end = cost_now.mono_us + LIMIT_US;
    while (*count < wanted) {
        COST_CHECK(cost_now.mono_us < end);
        cost_turn(measured);
    }
}

struct stream *cost_connect(const struct stream_events *events, void *user)
{
    const struct addr ip = addr_v4(COST_HOST_IP);
    const struct endpoint server = {addr_v4(COST_NODE_IP), 80};
    struct stream *s = tcp_connect(cost_host.tcp, &ip, &server, events, user, cost_now);
    COST_CHECK(s);
    return s;
}

/* --- the node --------------------------------------------------------------------------------- */

static void make_node(const struct view *view)
{
    struct node_config c = {
        .name = "cost",
        .workers = 1,
        .ports = 1,
        .spin = true,
        .cache_bytes = 32u << 20,
        .connections = 256,
        .http_port = 80,
        .dht = dht_config_default(),
        .keys = {.n = 1},
        .resolver = {.queries = 16, .names = 16, .timeout_ms = 1000},
        .seed = "what a hit costs",
    };
    char error[512];

    c.dht.port = 5300;
    c.self = view->routes->self;
    c.port[0] = (struct port_config){.name = "ports[0]",
                                     .driver = PORT_RING,
                                     .link = wire,
                                     .offload = true,
                                     .addresses = 1,
                                     .address[0] = {addr_v4(COST_NODE_IP), 24}};
    cost_node = node_create(&c, view, cost_now, error, sizeof(error));
    if (!cost_node)
        fprintf(stderr, "%s\n", error);
    COST_CHECK(cost_node);
}

void cost_open(void)
{
    static struct proxy_site site = {
        .host = "www.perf.test",
        .origins = 1,
        .ttl_override_s = -1,
        .allow_special = true,
        .origin[0] = {.host = "10.0.0.16", .is_address = true, .port = COST_ORIGIN_PORT}};
    static const struct proxy_policy policy = {
        .zone = COST_ZONE, .stale_s = 3600, .sites = 1, .site = &site};
    static struct view view = {.version = 1, .policy = &policy};
    const struct net_address ip = {addr_v4(COST_HOST_IP), 24};
    struct eal_config eal = {.memory_bytes = 128u << 20, .no_hugepages = true};
    char error[512];

    snprintf(eal.name, sizeof(eal.name), "coral-cost-%d", (int)getpid());
    if (port_eal_start(&eal, error, sizeof(error)) < 0) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
    wire = port_link_new("cost", 1024);
    routes = calloc(1, sizeof(*routes));
    zone = dns_zone_new(COST_ZONE, 4);
    COST_CHECK(wire && routes && zone);
    for (; zone->members < 4; zone->members++)
        zone->member[zone->members] =
            (struct dns_member){.v4 = addr_v4(COST_NODE_IP + zone->members)};
    dns_zone_finish(zone);
    site.origin[0].address = addr_v4(COST_HOST_IP);
    routes->self.rpc = (struct endpoint){addr_v4(COST_NODE_IP), 5300};
    routes->self.id = dht_node_id(&routes->self.rpc);
    routes->populated = 1;
    view.routes = routes;
    view.zone = zone;
    make_node(&view);
    COST_CHECK(host_new(&cost_host, wire, &ip, 1, 256, true, cost_now));
    COST_CHECK(tcp_listen(cost_host.tcp, COST_ORIGIN_PORT, origin_accept, NULL));
}

void cost_close(void)
{
    host_free(&cost_host);
    port_link_drain(wire);
    node_destroy(cost_node);
    port_link_free(wire);
    free(routes);
    free(zone);
}
