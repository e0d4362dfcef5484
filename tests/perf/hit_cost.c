/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hit costs a node, to be counted in instructions: one node on an in-memory port, and one
 * client that asks for one object again and again. Each run has a size of segments, a number of
 * them an answer, and a port that sends from where the bytes rest, or one that wants copies.
 * hit_cost_test.py runs it under callgrind: only measured_poll counts, a dump follows each
 * run_over. All is on virtual time, so that a run is the same each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/tcp/tcp_conn.h"
#include "dataplane/worker/worker.h"
#include "dht/id.h"
#include "perf/perf.h"

#define ORIGIN_PORT 8000
#define NODE_IP     0x0a000001u
#define HOST_IP     0x0a000010u
#define OPTIONS     12u /* timestamps, in each segment */
#define HEAD_ROOM   400 /* more than a response's head: the last segment is not quite full */
#define LARGEST     (256u * 1024)
#define WARM        8 /* answers before it counts */
#define ANSWERS     40
#define STEP_US     50
#define LIMIT_US    (60ull * 1000000)

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "hit-cost: %s:%d: not so: %s\n", __FILE__, __LINE__, #what);           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct run {
    const char *name;
    unsigned payload, segments; /* bytes in a segment, segments an answer */
    bool copies, logged;
};

static struct now now = {.mono_us = 1000000, .wall_s = 1700000000};
static struct host host;
static uint8_t body[LARGEST];
static char head[160], request[128];
static uint32_t head_len, request_len;
static uint32_t size; /* of the run's object */
static uint64_t answers, in_head, in_body;
static struct stream *client;
static struct access_record record;

struct now perf_now(void)
{
    return now;
}

/* --- the origin: answers by what `size` is --- */

static size_t origin_received(struct stream *s, const uint8_t *data, size_t len, struct now at)
{
    (void)at;
    if (!memmem(data, len, "\r\n\r\n", 4))
        return 0;
    head_len = (uint32_t)snprintf(head, sizeof(head),
                                  "HTTP/1.1 200 OK\r\nCache-Control: max-age=86400\r\n"
                                  "Content-Length: %u\r\n\r\n",
                                  size);
    CHECK(stream_send(s, (struct ref){(const uint8_t *)head, head_len, NULL}));
    CHECK(stream_send(s, (struct ref){body, size, NULL}));
    stream_shut(s);
    return len;
}

static void on_eof(struct stream *s, struct now at)
{
    (void)at;
    stream_shut(s);
}

static void on_closed(struct stream *s, enum stream_end why, struct now at)
{
    (void)why, (void)at;
    if (s == client)
        client = NULL;
}

static bool origin_accept(void *ctx, struct stream *s, struct now at)
{
    static const struct stream_events events = {
        .received = origin_received, .eof = on_eof, .closed = on_closed};
    (void)ctx, (void)at;
    s->events = &events;
    return true;
}

/* --- the client --- */

static void ask(struct stream *s)
{
    in_head = in_body = 0;
    CHECK(stream_send(s, (struct ref){(const uint8_t *)request, request_len, NULL}));
}

static void client_opened(struct stream *s, struct now at)
{
    (void)at;
    ask(s);
}

static size_t client_received(struct stream *s, const uint8_t *data, size_t len, struct now at)
{
    size_t used = 0;
    (void)at;
    if (in_head == 0) {
        const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
        if (!end)
            return 0;
        CHECK(memcmp(data, "HTTP/1.1 200", 12) == 0);
        in_head = used = (size_t)(end - data) + 4;
        CHECK(in_head < HEAD_ROOM);
    }
    in_body += len - used;
    CHECK(in_body <= size);
    if (in_body == size) {
        answers++;
        ask(s);
    }
    return len;
}

/* --- runs --- */

/* callgrind counts what is in here, */
__attribute__((noinline)) bool measured_poll(struct node *n);
bool measured_poll(struct node *n)
{
    bool found = worker_poll(n, 0, now);
    __asm__ volatile("" : : : "memory"); /* no tail call */
    return found;
}

/* and writes it down after this. They are known by their names: so they are not static. */
__attribute__((noinline)) void run_over(const struct run *r, uint64_t segments);
void run_over(const struct run *r, uint64_t segments)
{
    printf("%s payload=%u segments=%llu answers=%u\n", r->name, r->payload,
           (unsigned long long)segments, ANSWERS);
    fflush(stdout);
}

static void turn(struct node *n, bool measured)
{
    now.mono_us += STEP_US;
    if (measured)
        measured_poll(n);
    else
        worker_poll(n, 0, now);
    while (node_access_take(n, 0, &record))
        ;
    host_turn(&host);
}

static void until(struct node *n, uint64_t wanted, bool measured)
{
    uint64_t end = now.mono_us + LIMIT_US;
    while (answers < wanted) {
        CHECK(now.mono_us < end);
        turn(n, measured);
    }
}

static void run(struct node *n, const struct run *r)
{
    static const struct stream_events events = {
        .opened = client_opened, .received = client_received, .eof = on_eof, .closed = on_closed};
    const struct addr ip = addr_v4(HOST_IP);
    const struct endpoint server = {addr_v4(NODE_IP), 80};
    const struct tcp_counters *count = tcp_counters(n->worker[0]->tcp);

    n->port[0]->multi_seg = !r->copies;
    node_access_want(n, r->logged ? ACCESS_WANTED | ACCESS_WANT_FIELDS : 0);
    host.tcp->config.mss_v4 = (uint16_t)(r->payload + OPTIONS);
    size = r->payload * r->segments - HEAD_ROOM;
    CHECK(size <= LARGEST);
    request_len = (uint32_t)snprintf(request, sizeof(request),
                                     "GET /%s HTTP/1.1\r\nHost: www.perf.test\r\n\r\n", r->name);
    answers = 0;
    client = tcp_connect(host.tcp, &ip, &server, &events, NULL, now);
    CHECK(client);
    until(n, WARM, false);
    uint64_t before = counter_read(&count->tcp_segments_out_total);
    until(n, WARM + ANSWERS, true);
    run_over(r, counter_read(&count->tcp_segments_out_total) - before);
    stream_abort(client);
    while (client)
        turn(n, false);
}

static struct node *make_node(struct port_link *link, const struct view *view)
{
    struct node_config c = {
        .name = "cost",
        .workers = 1,
        .ports = 1,
        .spin = true,
        .cache_bytes = 16u << 20,
        .connections = 64,
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
                                     .link = link,
                                     .offload = true,
                                     .addresses = 1,
                                     .address[0] = {addr_v4(NODE_IP), 24}};
    struct node *n = node_create(&c, view, now, error, sizeof(error));
    if (!n)
        fprintf(stderr, "hit-cost: %s\n", error);
    CHECK(n);
    return n;
}

int main(void)
{
    static const struct run runs[] = {
        {"half", 724, 64, false, false},        {"full", 1448, 64, false, false},
        {"twice", 724, 128, false, false},      {"half-copied", 724, 64, true, false},
        {"full-copied", 1448, 64, true, false}, {"page", 1448, 1, false, false},
        {"page-logged", 1448, 1, false, true},
    };
    static struct proxy_site site = {
        .host = "www.perf.test",
        .origins = 1,
        .ttl_override_s = -1,
        .allow_special = true,
        .origin[0] = {.host = "10.0.0.16", .is_address = true, .port = ORIGIN_PORT}};
    const struct proxy_policy policy = {
        .zone = "coral.test", .stale_s = 3600, .sites = 1, .site = &site};
    const struct net_address ip = {addr_v4(HOST_IP), 24};
    struct eal_config eal = {.memory_bytes = 128u << 20, .no_hugepages = true};
    struct dht_routes *routes = calloc(1, sizeof(*routes));
    char error[512];

    snprintf(eal.name, sizeof(eal.name), "coral-cost-%d", (int)getpid());
    if (port_eal_start(&eal, error, sizeof(error)) < 0) {
        fprintf(stderr, "hit-cost: %s\n", error);
        return 1;
    }
    struct port_link *link = port_link_new("cost", 1024);
    CHECK(routes && link);
    site.origin[0].address = addr_v4(HOST_IP);
    routes->self.rpc = (struct endpoint){addr_v4(NODE_IP), 5300};
    routes->self.id = dht_node_id(&routes->self.rpc);
    routes->populated = 1;
    const struct view view = {.version = 1, .policy = &policy, .routes = routes};
    struct node *n = make_node(link, &view);
    CHECK(host_new(&host, link, &ip, 1, 16, true, now));
    CHECK(tcp_listen(host.tcp, ORIGIN_PORT, origin_accept, NULL));
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
        run(n, &runs[i]);
    host_free(&host);
    port_link_drain(link);
    node_destroy(n);
    port_link_free(link);
    free(routes);
    return 0;
}
