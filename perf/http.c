/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node with one worker under HTTP's load. The node fetches each object once, from an origin that
 * the load plays, through its ordinary miss path; then objects are picked by Zipf's law.
 */
#include <stdio.h>
#include <string.h>

#include "perf/http_load.h"
#include "perf/server.h"

#define CLIENT_IPS  16   /* 28 232 ports each, to each address of the node */
#define OBJECT_MORE 3072 /* bytes of the cache, beyond an object's body */

struct http {
    struct server server;
    struct http_load load;
    char head[160]; /* of the origin's answers */
    uint32_t head_len;
};

/* --- the origin ------------------------------------------------------------------------------- */

/* Connections stay: the node would be out of ports after some ten thousand objects. With --misses
 * each has one answer, as its figures always were. */

static size_t origin_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct http *h = s->user;
    (void)now;

    if (!memmem(data, len, "\r\n\r\n", 4))
        return 0;
    stream_send(s, (struct ref){(const uint8_t *)h->head, h->head_len, NULL});
    stream_send(s, (struct ref){h->load.body, (uint32_t)h->load.size, NULL});
    if (h->load.options->misses > 0)
        stream_shut(s);
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
    (void)now;
    s->events = &events;
    s->user = ctx;
    return true;
}

/* --- the run ---------------------------------------------------------------------------------- */

/* Both in turn, on one core. */
static bool both_turn(void *ctx)
{
    struct http *h = ctx;
    bool busy = server_turn(&h->server);
    return http_load_turn(&h->load) || busy;
}

static bool make_load(struct http *h, const struct perf_options *o)
{
    struct http_target t = {.clients = CLIENT_IPS, .servers = SERVER_IPS, .host = "www.perf.test"};
    for (unsigned i = 0; i < CLIENT_IPS; i++)
        t.client[i] = (struct net_address){addr_v4(CLIENT_NET + i), 24};
    for (unsigned i = 0; i < SERVER_IPS; i++)
        t.server[i] = (struct endpoint){addr_v4(SERVER_NET + i), 80};
    h->head_len = (uint32_t)snprintf(h->head, sizeof(h->head),
                                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                     "Cache-Control: max-age=86400\r\nETag: \"perf\"\r\n"
                                     "Content-Length: %u\r\n\r\n",
                                     o->size);
    /* and the node's to the origin; with --misses one a fetch */
    const uint32_t connections = o->misses ? 2 * o->connections + 4096 : o->connections + 256;
    return http_load_open(&h->load, o, &t) &&
           host_new(&h->load.host, h->server.link, t.client, t.clients, connections, o->offload,
                    perf_now()) &&
           tcp_listen(h->load.host.tcp, ORIGIN_PORT, origin_accept, h);
}

/* Answers by the server's count and by the clients', which may differ by those on the way. */
static void check_counts(const struct http_load *h, uint64_t came, struct perf_result *r)
{
    uint64_t apart = came > r->ops ? came - r->ops : r->ops - came;
    if (apart > h->options->connections + 2 * PORT_BURST)
        r->errors.n[PERF_ERROR_lost] += apart;
}

static bool measure(struct http *h, struct perf_result *r, char *error, size_t error_len)
{
    uint32_t stop = 0;
    struct http_load *l = &h->load;
    bool two = l->options->cores == 2;
    struct perf_thread worker = {.turn = two ? server_turn : both_turn,
                                 .ctx = two ? (void *)&h->server : h,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)perf_cpu(0)};
    struct perf_thread generator = {
        .turn = http_load_turn, .ctx = l, .stop = &stop, .cpu = (unsigned)perf_cpu(1)};

    perf_thread_start(&worker);
    if (two)
        perf_thread_start(&generator);
    bool ok = http_load_wait(l, error, error_len);
    if (ok) {
        const struct worker_stats *stats = &h->server.stats;
        const struct measured m = {&stats->http->http_responses_total,
                                   &stats->worker->worker_busy_cycles_total, two ? &worker : NULL,
                                   two ? &generator : NULL, l->options->rate};
        uint64_t given_up = counter_read(&l->given_up), came = counter_read(&l->ops);
        http_load_begin(l);
        measure_windows(l->options->seconds, &m, r);
        http_load_end(l);
        check_counts(l, counter_read(&l->ops) - came, r);
        r->given_up = counter_read(&l->given_up) - given_up;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&worker);
    if (two)
        perf_thread_join(&generator);
    http_load_result(l, r);
    r->ratio = worker.calibration.ratio;
    r->ops_total = counter_read(&h->server.stats.http->http_responses_total);
    return ok;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct http h;
    bool ok = false;

    h = (struct http){0};
    size_t cache = (64u << 20) + (size_t)o->objects * (o->size + OBJECT_MORE) * 5 / 4 +
                   o->size; /* a large one is kept where half as much again is free */
    if (server_open(&h.server, o, o->connections, cache, error, error_len)) {
        bool made = make_load(&h, o);
        h.load.host.whole = o->misses > 0;
        if (made)
            ok = measure(&h, r, error, error_len);
        else
            snprintf(error, error_len, "not enough memory for the clients");
        host_free(&h.load.host);
    }
    server_close(&h.server);
    http_load_close(&h.load);
    return ok;
}

bool http_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o, o->wire ? http_wire_run : run, result, error, error_len);
}
