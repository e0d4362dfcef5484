/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node with one worker, and clients on keep-alive connections that ask for one object, each
 * again as soon as it has the last answer. The node fetches the object once from an origin that
 * the generator plays, through its ordinary miss path.
 *
 * Each answer's status and length are checked, and each byte of the bodies of one client in 64.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "base/rng.h"
#include "dataplane/worker/counters.h"
#include "dataplane/worker/node.h"
#include "perf/perf.h"

#define ORIGIN_PORT 8000
#define HEAD_MAX    1024
#define OPENING     64 /* handshakes under way: a node bounds its half-open connections */
#define CLIENT_IPS  16 /* addresses of the clients, and of the node: 28 232 ports a pair */
#define SERVER_IPS  3
#define WARM_US     300000
#define SETUP_US    60000000

struct client {
    struct http *all;
    struct stream *stream; /* NULL: none yet */
    uint64_t asked_tsc;
    uint64_t left; /* of the body */
    bool in_body, sampled, busy;
};

struct http {
    const struct perf_options *options;
    struct port_link *link;
    struct node *node;
    struct host host;
    struct client *client;
    uint32_t opened, live;
    uint8_t *body;
    char request[128], head[160];
    uint32_t request_len, head_len;
    size_t last_head; /* length of the last answer's */
    bool warm;        /* the object is in the cache: all clients may go */
    /* --rate: the clients that wait for their next request, in turn, and the schedule */
    struct client **waiting;
    uint32_t first_waiting, waiting_n;
    bool scheduled; /* set by main when all stand */
    uint64_t began_tsc, issued;
    bool picked; /* --active: the first requests are on their way */
    struct rng rng;
    /* counted by the generator, read by main */
    uint64_t ops, verified, ready, given_up;
    struct perf_errors errors;
    struct hist latency;
};

#define SERVER_NET 0x0a000001u /* and what follows */
#define CLIENT_NET 0x0a000010u
#define ORIGIN_IP  0x0a000010u /* the generator's first */

/* --- the origin: one answer a connection ------------------------------------------------------ */

static size_t origin_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct http *h = s->user;
    (void)now;

    if (!memmem(data, len, "\r\n\r\n", 4))
        return 0;
    stream_send(s, (struct ref){(const uint8_t *)h->head, h->head_len, NULL});
    stream_send(s, (struct ref){h->body, h->options->size, NULL});
    stream_shut(s);
    return len;
}

static void stream_eof(struct stream *s, struct now now)
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
        .received = origin_received, .eof = stream_eof, .closed = origin_closed};
    (void)now;
    s->events = &events;
    s->user = ctx;
    return true;
}

/* --- clients ---------------------------------------------------------------------------------- */

static void wrong(struct http *h, enum perf_error class)
{
    counter_inc(&h->errors.n[class]);
}

static void ask(struct client *c, uint64_t since_tsc)
{
    struct http *h = c->all;
    c->in_body = false;
    c->busy = true;
    c->asked_tsc = since_tsc;
    if (!stream_send(c->stream, (struct ref){(const uint8_t *)h->request, h->request_len, NULL}))
        wrong(h, PERF_ERROR_send);
}

static void failed(struct client *c, enum perf_error class)
{
    wrong(c->all, class);
    stream_abort(c->stream);
}

/* The head of an answer; 0: not whole yet, or the client gave up. */
static size_t take_head(struct client *c, const uint8_t *data, size_t len)
{
    struct http *h = c->all;
    /* as long as the last one, nearly always */
    const uint8_t *end = data + h->last_head - 4;
    if (h->last_head < 4 || h->last_head > len || memcmp(end, "\r\n\r\n", 4) != 0)
        end = memmem(data, RTE_MIN(len, (size_t)HEAD_MAX), "\r\n\r\n", 4);
    if (!end) {
        if (len >= HEAD_MAX)
            failed(c, PERF_ERROR_head);
        return 0;
    }
    size_t head = h->last_head = (size_t)(end - data) + 4;
    const char *length = memmem(data, head, "\r\nContent-Length: ", 18);
    if (head < 12 || memcmp(data, "HTTP/1.1 ", 9) != 0 || !length ||
        (memcmp(data + 9, "200", 3) == 0 && strtoull(length + 18, NULL, 10) != h->options->size)) {
        failed(c, PERF_ERROR_head);
        return 0;
    }
    if (memcmp(data + 9, "200", 3) != 0) {
        failed(c, PERF_ERROR_status);
        return 0;
    }
    c->in_body = true;
    c->left = h->options->size;
    c->sampled = host_samples(c->stream->local.port);
    return head;
}

/* --active: the next request, on some connection that has none. */
static void ask_another(struct http *h)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        struct client *c = &h->client[rng_below(&h->rng, h->options->connections)];
        if (!c->busy && c->stream) {
            ask(c, rte_rdtsc());
            return;
        }
    }
    wrong(h, PERF_ERROR_closed); /* the node has closed nearly all */
}

static void finished(struct client *c)
{
    struct http *h = c->all;
    c->busy = false;
    hist_add(&h->latency, (rte_rdtsc() - c->asked_tsc) * 1000000 / rte_get_tsc_hz());
    counter_inc(&h->ops);
    if (c->sampled)
        counter_inc(&h->verified);
    __atomic_store_n(&h->warm, true, __ATOMIC_RELEASE);
    if (h->options->rate > 0)
        h->waiting[(h->first_waiting + h->waiting_n++) % h->options->connections] = c;
    else if (h->options->active == 0)
        ask(c, rte_rdtsc());
    else if (h->picked)
        ask_another(h);
}

static size_t client_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct client *c = s->user;
    struct http *h = c->all;
    size_t used = 0;
    (void)now;

    while (used < len) {
        if (!c->in_body) {
            size_t head = take_head(c, data + used, len - used);
            if (head == 0)
                break;
            used += head;
        }
        size_t n = RTE_MIN(c->left, (uint64_t)(len - used));
        if (c->sampled && memcmp(data + used, h->body + (h->options->size - c->left), n) != 0) {
            failed(c, PERF_ERROR_body);
            break;
        }
        used += n;
        c->left -= n;
        if (c->left)
            break;
        finished(c);
    }
    return used;
}

static void client_opened(struct stream *s, struct now now)
{
    struct client *c = s->user;
    (void)now;
    counter_inc(&c->all->ready);
    ask(c, rte_rdtsc());
}

static void client_closed(struct stream *s, enum stream_end why, struct now now)
{
    struct client *c = s->user;
    (void)now;
    if (why != STREAM_ABORTED)
        wrong(c->all, why == STREAM_RESET     ? PERF_ERROR_reset
                      : why == STREAM_TIMEOUT ? PERF_ERROR_timeout
                      : why == STREAM_REFUSED ? PERF_ERROR_refused
                                              : PERF_ERROR_closed);
    c->stream = NULL;
    c->all->live--;
}

static bool client_open(struct http *h)
{
    static const struct stream_events events = {.opened = client_opened,
                                                .received = client_received,
                                                .eof = stream_eof,
                                                .closed = client_closed};
    uint32_t i = h->opened;
    struct client *c = &h->client[i];
    const struct addr ip = addr_v4(CLIENT_NET + i % CLIENT_IPS);
    const struct endpoint server = {addr_v4(SERVER_NET + i / CLIENT_IPS % SERVER_IPS), 80};
    *c = (struct client){.all = h};
    c->stream = tcp_connect(h->host.tcp, &ip, &server, &events, c, h->host.now);
    if (!c->stream)
        return false;
    h->opened++;
    h->live++;
    return true;
}

/* --- turns ------------------------------------------------------------------------------------ */

/* The open loop: each request has its time, whether or not the node keeps up, and is measured
 * from there; one that finds no connection free for a second is given up. */
static void ask_by_schedule(struct http *h)
{
    uint64_t now = rte_rdtsc(), hz = rte_get_tsc_hz();
    double step = (double)hz / h->options->rate;

    if (h->began_tsc == 0)
        h->began_tsc = now;
    for (;;) {
        uint64_t due = h->began_tsc + (uint64_t)((double)h->issued * step);
        bool late = now > due && now - due > hz;
        if (due > now || (!late && h->waiting_n == 0))
            return;
        h->issued++;
        if (late) {
            counter_inc(&h->given_up);
            continue;
        }
        struct client *c = h->waiting[h->first_waiting];
        h->first_waiting = (h->first_waiting + 1) % h->options->connections;
        h->waiting_n--;
        if (c->stream)
            ask(c, due);
    }
}

static bool generator_turn(void *ctx)
{
    struct http *h = ctx;
    /* one client alone until the object is in the cache */
    uint32_t want = h->warm ? h->options->connections : 1;

    while (h->opened < want && h->opened - h->ready < OPENING)
        if (!client_open(h))
            break;
    if (__atomic_load_n(&h->scheduled, __ATOMIC_ACQUIRE)) {
        if (h->options->rate > 0)
            ask_by_schedule(h);
        while (h->issued < h->options->active) {
            h->picked = true;
            h->issued++;
            ask_another(h);
        }
    }
    return host_turn(&h->host);
}

static bool worker_turn(void *ctx)
{
    struct http *h = ctx;
    return worker_poll(h->node, 0, perf_now());
}

/* Both in turn, on one core. */
static bool both_turn(void *ctx)
{
    bool busy = worker_turn(ctx);
    return generator_turn(ctx) || busy;
}

/* --- the run ---------------------------------------------------------------------------------- */

static bool make_node(struct http *h, const struct view *view, char *error, size_t error_len)
{
    struct node_config c = {
        .name = "perf",
        .workers = 1,
        .ports = 1,
        .spin = true,
        .cache_bytes = 64u << 20,
        .connections = h->options->connections + h->options->connections / 4 + 64, /* no eviction */
        .http_port = 80,
        .dht = dht_config_default(),
        .keys = {.n = 1},
        .resolver = {.queries = 16, .names = 16, .timeout_ms = 1000},
        .seed = "coral-perf, the node",
    };

    c.dht.port = 5300;
    c.self = view->routes->self;
    c.port[0] = (struct port_config){.name = "ports[0]",
                                     .driver = PORT_RING,
                                     .link = h->link,
                                     .offload = h->options->offload,
                                     .addresses = SERVER_IPS};
    for (unsigned i = 0; i < SERVER_IPS; i++)
        c.port[0].address[i] = (struct net_address){addr_v4(SERVER_NET + i), 24};
    h->node = node_create(&c, view, perf_now(), error, error_len);
    return h->node != NULL;
}

static bool make_generator(struct http *h)
{
    struct net_address ip[CLIENT_IPS];
    const struct perf_options *o = h->options;

    for (unsigned i = 0; i < CLIENT_IPS; i++)
        ip[i] = (struct net_address){addr_v4(CLIENT_NET + i), 24};
    rng_init_u64(&h->rng, 1);

    h->client = calloc(o->connections, sizeof(h->client[0]));
    h->body = malloc(o->size);
    h->waiting = calloc(o->connections, sizeof(struct client *));
    if (!h->client || !h->body || !h->waiting)
        return false;
    for (uint32_t i = 0; i < o->size; i++)
        h->body[i] = (uint8_t)(i * 131 + (i >> 8));
    h->request_len = (uint32_t)snprintf(h->request, sizeof(h->request),
                                        "GET /object HTTP/1.1\r\nHost: www.perf.test\r\n"
                                        "User-Agent: coral-perf\r\nAccept: */*\r\n\r\n");
    h->head_len = (uint32_t)snprintf(h->head, sizeof(h->head),
                                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                     "Cache-Control: max-age=86400\r\nETag: \"perf\"\r\n"
                                     "Content-Length: %u\r\n\r\n",
                                     o->size);
    return host_new(&h->host, h->link, ip, CLIENT_IPS, o->connections, o->offload, perf_now()) &&
           tcp_listen(h->host.tcp, ORIGIN_PORT, origin_accept, h);
}

static bool wait_until_all_run(struct http *h, char *error, size_t error_len)
{
    uint64_t end = perf_now().mono_us + SETUP_US;
    uint64_t ready;

    while ((ready = counter_read(&h->ready)) < h->options->connections) {
        if (perf_now().mono_us > end) {
            snprintf(error, error_len, "only %llu of %u connections stand after %u s",
                     (unsigned long long)ready, h->options->connections, SETUP_US / 1000000);
            return false;
        }
        usleep(1000);
    }
    __atomic_store_n(&h->scheduled, true, __ATOMIC_RELEASE);
    usleep(WARM_US);
    return true;
}

/* Answers by the server's count and by the clients', which may differ by those on the way. */
static void check_counts(const struct http *h, uint64_t came, struct perf_result *r)
{
    uint64_t apart = came > r->ops ? came - r->ops : r->ops - came;
    if (apart > h->options->connections + 2 * PORT_BURST)
        r->errors.n[PERF_ERROR_lost] += apart;
}

static bool measure(struct http *h, struct perf_result *r, char *error, size_t error_len)
{
    uint32_t stop = 0;
    struct worker_stats stats;
    bool two = h->options->cores == 2;
    struct perf_thread worker = {.turn = two ? worker_turn : both_turn,
                                 .ctx = h,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)perf_cpu(0)};
    struct perf_thread generator = {
        .turn = generator_turn, .ctx = h, .stop = &stop, .cpu = (unsigned)perf_cpu(1)};

    node_stats(h->node, 0, &stats);
    perf_thread_start(&worker);
    if (two)
        perf_thread_start(&generator);
    bool ok = wait_until_all_run(h, error, error_len);
    struct hist *before = malloc(sizeof(*before));
    if (ok && before) {
        *before = h->latency;
        uint64_t given_up = counter_read(&h->given_up);
        const struct measured m = {&stats.http->http_responses_total,
                                   &stats.worker->worker_busy_cycles_total, two ? &worker : NULL,
                                   two ? &generator : NULL, h->options->rate};
        uint64_t came = counter_read(&h->ops);
        measure_windows(h->options->seconds, &m, r);
        check_counts(h, counter_read(&h->ops) - came, r);
        for (unsigned i = 0; i < HIST_BUCKETS; i++)
            r->latency.count[i] = counter_read(&h->latency.count[i]) - before->count[i];
        r->given_up = counter_read(&h->given_up) - given_up;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&worker);
    if (two)
        perf_thread_join(&generator);
    free(before);
    r->ratio = worker.calibration.ratio;
    for (unsigned i = 0; i < PERF_ERROR_CLASSES; i++)
        r->errors.n[i] += h->errors.n[i];
    r->verified = h->verified;
    return ok;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct http h;
    static struct proxy_site site = {
        .host = "www.perf.test", .origins = 1, .ttl_override_s = -1, .allow_special = true};
    struct proxy_policy policy = {.zone = "coral.test",
                                  .stale_s = 3600,
                                  .short_ttl_ms = 20000,
                                  .long_ttl_ms = 3600000,
                                  .sites = 1,
                                  .site = &site};
    struct dht_routes *routes = calloc(1, sizeof(*routes));
    bool ok = false;

    h = (struct http){.options = o};
    site.origin[0] = (struct proxy_origin){.host = "10.0.0.16",
                                           .is_address = true,
                                           .address = addr_v4(ORIGIN_IP),
                                           .port = ORIGIN_PORT};
    h.link = port_link_new("http", 4096);
    if (!routes || !h.link) {
        snprintf(error, error_len, "not enough memory");
        return false;
    }
    routes->self.rpc = (struct endpoint){addr_v4(SERVER_NET), 5300};
    routes->self.id = dht_node_id(&routes->self.rpc);
    routes->populated = 1;
    const struct view view = {.version = 1, .policy = &policy, .routes = routes};
    if (make_node(&h, &view, error, error_len)) {
        if (make_generator(&h))
            ok = measure(&h, r, error, error_len);
        else
            snprintf(error, error_len, "not enough memory for the clients");
        host_free(&h.host);
        port_link_drain(h.link);
        node_destroy(h.node);
    }
    port_link_free(h.link);
    free(h.client);
    free(h.waiting);
    free(h.body);
    free(routes);
    return ok;
}

bool http_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o, run, result, error, error_len);
}
