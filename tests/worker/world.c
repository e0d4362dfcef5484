/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include <string.h>
#include <unistd.h>

#define ZONE "coral.test"
#define HOST "www.site.test"

struct addr world_ip(unsigned i)
{
    return addr_v4(0x0a000001u + i);
}

struct addr world_ip6(unsigned i)
{
    struct addr a = {{0xfd, 0x00}};
    a.b[15] = (uint8_t)(1 + i);
    return a;
}

uint8_t world_byte(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 8) * 7);
}

void world_start(void)
{
    char error[512] = "";
    struct eal_config c = {.memory_bytes = port_eal_memory(WORLD_NODES, 2), .no_hugepages = true};
    snprintf(c.name, sizeof(c.name), "coral-test-%d", (int)getpid());
    if (port_eal_start(&c, error, sizeof(error)) < 0) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
}

/* --- the origin: any path, BODY_BYTES of the pattern ------------------------------------------ */

static uint8_t body[BODY_BYTES];

/* "/huge": by ranges too, as much as the stream takes. */
static void huge_send(struct world *w)
{
    struct world_huge *l = &w->huge;
    while (l->conn && l->at < l->end) { /* the pattern repeats itself each 64 KiB */
        uint64_t from = l->at % 65536, left = l->end - l->at;
        uint32_t n = (uint32_t)RTE_MIN(left, 65536 - from);
        if (!http_respond_ref(l->conn, (struct ref){body + from, n, NULL}))
            return;
        l->at += n;
    }
    if (l->conn)
        http_respond_end(l->conn, w->now);
    l->conn = NULL;
}

static void huge_request(struct world *w, struct http_conn *c, const struct http_head *h)
{
    char head[256];
    struct http_span s[HTTP_RANGES];
    unsigned ranges;
    const struct http_field *range = http_known(h, HTTP_RANGE);
    bool part = range && http_ranges(range->value, HUGE_BYTES, s, &ranges) == HTTP_RANGE_OK;
    uint64_t first = part ? s[0].first : 0, last = part ? s[0].last : HUGE_BYTES - 1;
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 %s\r\nCache-Control: max-age=600\r\nETag: \"1\"\r\n"
                     "Content-Range: bytes %llu-%llu/%u\r\nContent-Length: %llu\r\n\r\n",
                     part ? "206 Partial Content" : "200 OK", (unsigned long long)first,
                     (unsigned long long)last, HUGE_BYTES, (unsigned long long)(last - first + 1));
    CHECK(!w->huge.conn);
    w->huge = (struct world_huge){c, first, last + 1};
    CHECK(http_respond_head(c, head, (size_t)n, (int64_t)(last - first + 1)));
    huge_send(w);
}

static void origin_request(void *ctx, struct http_conn *c, const struct http_head *h,
                           struct now now)
{
    struct world *w = ctx;
    char head[256], date[30];
    uint64_t length = BODY_BYTES;

    w->origin_requests++;
    if (h->path.len == 5 && memcmp(h->path.p, "/huge", 5) == 0) {
        huge_request(w, c, h);
        return;
    }
    if (h->path.len == 6 && memcmp(h->path.p, "/small", 6) == 0)
        length = 1000;
    http_date_write(now.wall_s, date);
    int n = snprintf(head, sizeof(head),
                     "HTTP/1.1 200 OK\r\nDate: %s\r\nCache-Control: max-age=600\r\n"
                     "ETag: \"1\"\r\nContent-Length: %u\r\n\r\n",
                     date, (unsigned)length);
    CHECK(http_respond_head(c, head, (size_t)n, (int64_t)length));
    CHECK(http_respond_ref(c, (struct ref){body, (uint32_t)length, NULL}));
    http_respond_end(c, now);
}

static void origin_writable(void *ctx, struct http_conn *c, void *request, struct now now)
{
    (void)c, (void)request, (void)now;
    huge_send(ctx);
}

static void origin_gone(void *ctx, struct http_conn *c, void *request, struct now now)
{
    struct world *w = ctx;
    (void)request, (void)now;
    if (w->huge.conn == c)
        w->huge.conn = NULL;
}

static void origin_new(struct world *w)
{
    const struct http_server_config c = {64, 60000, 10000, 10000};
    const struct http_handler h = {
        .ctx = w, .request = origin_request, .writable = origin_writable, .gone = origin_gone};

    for (size_t i = 0; i < BODY_BYTES; i++)
        body[i] = world_byte(i);
    w->origin = http_server_create(&c, &h, w->now);
    CHECK(tcp_listen(w->node[OUTSIDE]->worker[0]->tcp, ORIGIN_PORT, http_server_accept, w->origin));
}

/* --- nodes ------------------------------------------------------------------------------------ */

static struct dht_contact contact_of(unsigned i)
{
    struct dht_contact c = {
        .rpc = {world_ip(i), 5300},
        .v4 = world_ip(i),
        .v6 = world_ip6(i),
        .http_port = 80,
        .services = DHT_SERVICE_HTTP | DHT_SERVICE_DNS,
    };
    c.id = dht_node_id(&c.rpc);
    return c;
}

/* All nodes but outside, nearest first. */
static struct dht_routes *routes_of(struct world *w, unsigned self)
{
    struct dht_routes *r = calloc(1, sizeof(*r) + WORLD_NODES * sizeof(r->route[0]));
    struct dht_route *route = (struct dht_route *)(r + 1);

    r->self = w->contact[self];
    r->populated = 1;
    r->route = route;
    r->contact = w->contact;
    for (unsigned i = 0; i < OUTSIDE && self != OUTSIDE; i++) {
        struct dht_distance d = distance_between(&r->self.id, &w->contact[i].id);
        unsigned at = r->n;
        if (i == self)
            continue;
        for (; at > 0; at--) {
            struct dht_distance o =
                distance_between(&r->self.id, &w->contact[route[at - 1].peer].id);
            if (distance_less(&o, &d))
                break;
            route[at] = route[at - 1];
        }
        route[at] = (struct dht_route){.peer = i & 0xffffff,
                                       .levels = 1,
                                       .alive = 1,
                                       .live = 1,
                                       .rtt_us = 1000,
                                       .prefix = (uint8_t)distance_prefix(&d)};
        r->n++;
    }
    return r;
}

static void policy_of(struct world *w)
{
    w->site = (struct proxy_site){.origins = 1, .ttl_override_s = -1, .allow_special = true};
    snprintf(w->site.host, sizeof(w->site.host), HOST);
    struct proxy_origin *o = &w->site.origin[0];
    o->is_address = true;
    o->address = world_ip(OUTSIDE);
    o->port = ORIGIN_PORT;
    addr_text(&o->address, o->host);
    w->policy = (struct proxy_policy){
        .stale_s = 86400,
        .short_ttl_ms = 20000,
        .long_ttl_ms = 3600000,
        .sites = 1,
        .site = &w->site,
    };
    snprintf(w->policy.zone, sizeof(w->policy.zone), ZONE);
}

static void zone_of(struct world *w)
{
    w->zone = dns_zone_new(ZONE, OUTSIDE);
    CHECK(w->zone);
    for (unsigned i = 0; i < OUTSIDE; i++) {
        struct dns_member *m = &w->zone->member[i];
        m->v4 = world_ip(i);
        m->v6 = world_ip6(i);
        snprintf(m->label, sizeof(m->label), "node%u", i);
    }
    w->zone->members = OUTSIDE;
    dns_zone_finish(w->zone);
}

static void node_new(struct world *w, unsigned i)
{
    char name[32], error[256] = "";
    struct node_config c = {
        .workers = i == OUTSIDE ? 1 : w->workers,
        .ports = 1,
        .cache_bytes = 16u << 20,
        .connections = 512,
        .http_port = 80,
        .dht = dht_config_default(),
        .keys = {.n = 1, .key = {{7, "0123456789abcde"}}},
        .self = w->contact[i],
        .resolver = {.server = {{world_ip(0), 53}},
                     .servers = 1,
                     .queries = 16,
                     .names = 64,
                     .timeout_ms = 2000},
    };
    struct port_config *p = &c.port[0];

    c.dht.port = 5300;
    snprintf(c.name, sizeof(c.name), "n%u", i);
    memset(c.seed, (int)(40 + i), sizeof(c.seed));
    snprintf(name, sizeof(name), "link%u", i);
    w->link[i] = port_link_new(name, 2048);
    CHECK(w->link[i]);
    snprintf(p->name, sizeof(p->name), "ports[0]");
    p->driver = PORT_RING;
    p->link = w->link[i];
    p->offload = w->offload;
    p->addresses = 2;
    p->address[0] = (struct net_address){world_ip(i), 24};
    p->address[1] = (struct net_address){world_ip6(i), 64};
    w->view[i] = (struct view){1, &w->policy, i == OUTSIDE ? NULL : w->zone, routes_of(w, i), NULL};
    w->node[i] = node_create(&c, &w->view[i], w->now, error, sizeof(error));
    if (!w->node[i])
        fprintf(stderr, "%s\n", error);
    CHECK(w->node[i]);
}

void world_new(struct world *w, unsigned workers, bool offload)
{
    *w = (struct world){.workers = workers, .offload = offload, .now = {1000000, 1700000000}};
    w->pool = rte_pktmbuf_pool_create("switch", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    CHECK(w->pool);
    for (unsigned i = 0; i < WORLD_NODES; i++)
        w->contact[i] = contact_of(i);
    policy_of(w);
    zone_of(w);
    for (unsigned i = 0; i < WORLD_NODES; i++)
        node_new(w, i);
    origin_new(w);
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < WORLD_NODES; i++)
        port_link_drain(w->link[i]);
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        node_destroy(w->node[i]);
        port_link_free(w->link[i]);
        free((void *)(uintptr_t)w->view[i].routes);
    }
    http_server_destroy(w->origin);
    free(w->zone);
    rte_mempool_free(w->pool);
}

/* --- the switch ------------------------------------------------------------------------------- */

static int switch_port(struct world *w, const uint8_t mac[6])
{
    for (unsigned i = 0; i < w->macs; i++)
        if (memcmp(w->learned[i].mac, mac, 6) == 0)
            return (int)w->learned[i].port;
    return -1;
}

static void forward(struct world *w, unsigned from, struct rte_mbuf *m)
{
    const uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);

    if (switch_port(w, frame + 6) < 0 && w->macs < 16) {
        memcpy(w->learned[w->macs].mac, frame + 6, 6);
        w->learned[w->macs++].port = from;
    }
    int to = frame[0] & 1 ? -1 : switch_port(w, frame);
    bool lost = (w->lose && ++w->frames % w->lose == 0) || (w->cut && to == 1) ||
                (w->deaf && from == 0 && to == 1);
    if (to >= 0) {
        if (lost || port_link_send(w->link[to], 1, &m, 1) == 0)
            rte_pktmbuf_free(m);
        return;
    }
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct rte_mbuf *copy = i == from ? NULL : rte_pktmbuf_copy(m, w->pool, 0, UINT32_MAX);
        if (copy && port_link_send(w->link[i], 1, &copy, 1) == 0)
            rte_pktmbuf_free(copy);
    }
    rte_pktmbuf_free(m);
}

static bool switch_poll(struct world *w)
{
    struct rte_mbuf *m[32];
    unsigned moved = 0;

    for (unsigned i = 0; i < WORLD_NODES; i++) {
        unsigned n = port_link_receive(w->link[i], 1, m, 32);
        for (unsigned k = 0; k < n; k++)
            forward(w, i, m[k]);
        moved += n;
    }
    return moved > 0;
}

/* --- time
 * ------------------------------------------------------------------------------------------------
 */

void world_step(struct world *w)
{
    bool found = false;
    uint64_t due = UINT64_MAX;

    http_server_poll(w->origin, w->now);
    for (unsigned i = 0; i < WORLD_NODES; i++)
        for (unsigned k = 0; k < w->node[i]->workers; k++)
            found |= worker_poll(w->node[i], k, w->now);
    found |= switch_poll(w);
    if (found) {
        w->now.mono_us += 10;
        return;
    }
    for (unsigned i = 0; i < WORLD_NODES; i++)
        for (unsigned k = 0; k < w->node[i]->workers; k++)
            due = RTE_MIN(due, worker_deadline_us(w->node[i], k));
    uint64_t origin = http_server_deadline_us(w->origin);
    due = RTE_MIN(due, origin);
    w->now.mono_us = due > w->now.mono_us ? due : w->now.mono_us + 100;
    w->now.wall_s = 1700000000 + (int64_t)(w->now.mono_us / 1000000);
}

void world_run(struct world *w, uint64_t us)
{
    uint64_t end = w->now.mono_us + us;
    while (w->now.mono_us < end)
        world_step(w);
}

/* --- the client ------------------------------------------------------------------------------- */

static bool on_head(void *user, struct http_exchange *x, const struct http_head *h, struct now now)
{
    struct fetch *f = user;
    (void)x, (void)now;
    f->status = h->status;
    return true;
}

static size_t on_body(void *user, struct http_exchange *x, const uint8_t *data, size_t len,
                      struct now now)
{
    struct fetch *f = user;
    (void)x, (void)now;
    if (f->slow) {
        len = RTE_MIN(len, (size_t)f->takes);
        f->takes -= len;
    }
    for (size_t i = 0; i < len; i++)
        f->body_right &= data[i] == world_byte(f->bytes + i);
    f->bytes += len;
    return len;
}

static void on_done(void *user, struct http_exchange *x, struct now now)
{
    struct fetch *f = user;
    (void)x, (void)now;
    f->x = NULL;
    f->over = f->ok = true;
}

static void on_failed(void *user, struct http_exchange *x, enum http_failure why, struct now now)
{
    struct fetch *f = user;
    (void)x, (void)now;
    f->x = NULL;
    f->over = true;
    f->why = why;
}

void world_get(struct world *w, unsigned i, bool v6, const char *path, struct fetch *f)
{
    static const struct http_exchange_events events = {
        .head = on_head, .body = on_body, .done = on_done, .failed = on_failed};
    const struct endpoint to = {v6 ? world_ip6(i) : world_ip(i), 80};
    char request[512];

    *f = (struct fetch){.body_right = true};
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: " HOST "\r\n\r\n", path);
    const struct http_upstream up = http_upstream_one(&to);
    f->x = http_client_send(w->node[OUTSIDE]->worker[0]->client, &up, request, (size_t)n, false,
                            &events, f, w->now);
    CHECK(f->x);
}

void world_fetch(struct world *w, unsigned i, bool v6, const char *path, struct fetch *f)
{
    uint64_t end = w->now.mono_us + 30000000;

    do { /* the client gives a connection up when its first SYN is lost: as a browser, again */
        world_get(w, i, v6, path, f);
        while (!f->over && w->now.mono_us < end)
            world_step(w);
        CHECK(f->over);
    } while (w->lose && !f->ok && f->why == HTTP_FAIL_CONNECT);
}
