/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node with one worker under HTTP's load. The node fetches each object once, from an origin that
 * the load plays, through its ordinary miss path; then objects are picked by Zipf's law.
 *
 * With several workers each has a core, a queue of the link and a load of its own, which takes
 * turns with it: so that what workers cost each other shows, and nothing else, on as many cores.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/worker/steer.h"
#include "perf/flow.h"
#include "perf/http_load.h"
#include "perf/server.h"

#define CLIENT_IPS   16  /* 28 232 ports each, to each address of the node */
#define ORIGIN_HEAD  160 /* bytes of the origin's heads, at most */
#define LOAD_TURNS   128
#define OBJECT_MORE  3072 /* bytes of the cache, beyond an object's body, */
#define OBJECT_LEAST 8192 /* and for each place for an object that a node's tables have */

struct http {
    struct server server;
    struct http_side {
        struct http *all;
        struct http_load load;
        struct worker_stats stats;
    } side[PORT_WORKERS]; /* one a worker */
    unsigned sides;
    struct steer *steer; /* of several */
};

/* --- the origin ------------------------------------------------------------------------------- */

/* Connections stay: the node would be out of ports after some ten thousand objects. With --misses
 * each has one answer, as its figures always were. */

static size_t write_head(char head[ORIGIN_HEAD], uint64_t size)
{
    return (size_t)snprintf(head, ORIGIN_HEAD,
                            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                            "Cache-Control: max-age=86400\r\nETag: \"perf\"\r\n"
                            "Content-Length: %llu\r\n\r\n",
                            (unsigned long long)size);
}

/* The body that is asked for: "/00000001", or another one's with --misses. */
static bool body_asked(const struct http *h, const uint8_t *request, size_t len, struct ref *body)
{
    const struct http_load *l = &h->side[0].load;
    const struct trace *t = l->options->trace;
    if (len < 16 || memcmp(request, "GET /", 5) != 0)
        return false;
    /* it ends at the end of a line, at last */
    unsigned long i = strtoul((const char *)request + 5, NULL, 10);
    if (t && i >= t->objects)
        return false;
    *body =
        (struct ref){l->body + i % HTTP_BODIES, (uint32_t)(t ? t->first_bytes[i] : l->size), NULL};
    return true;
}

static size_t origin_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct http *h = s->user;
    (void)now;

    if (!memmem(data, len, "\r\n\r\n", 4))
        return 0;
    char head[ORIGIN_HEAD];
    struct ref body;
    if (!body_asked(h, data, len, &body)) {
        stream_abort(s);
        return len;
    }
    stream_copy(s, head, write_head(head, body.len));
    stream_send(s, body);
    if (h->side[0].load.options->misses > 0)
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

/* A worker and its load in turn, on one core. The load takes what there is, as it would on a core
 * of its own: the wire is never full. */
static bool both_turn(void *ctx)
{
    struct http_side *s = ctx;
    struct http *h = s->all;
    bool busy = worker_poll(h->server.node, (unsigned)(s - h->side), perf_now());
    for (unsigned i = 0; i < LOAD_TURNS && http_load_turn(&s->load); i++)
        busy = true;
    return busy;
}

/* The load of one worker. The sides' first addresses are one, the origin's: a fill's owner has it
 * behind its own queue. */
static bool make_load(struct http *h, unsigned side, const struct perf_options *o)
{
    struct http_target t = {.clients = CLIENT_IPS, .servers = SERVER_IPS, .host = "www.perf.test"};
    struct http_load *l = &h->side[side].load;
    for (unsigned i = 0; i < CLIENT_IPS; i++)
        t.client[i] = (struct net_address){
            addr_v4(CLIENT_NET + (i == 0 ? 0 : i + side * (CLIENT_IPS - 1))), 24};
    for (unsigned i = 0; i < SERVER_IPS; i++)
        t.server[i] = (struct endpoint){addr_v4(SERVER_NET + i), 80};
    /* the node's to the origin, with --misses one a fetch, and the clients' then */
    const uint32_t connections = 4096 + (o->misses ? 2 * o->connections : 0);
    if (!http_load_open(l, o, &t) || !host_new(&l->host, h->server.link, t.client, t.clients,
                                               connections, o->offload, perf_now()))
        return false;
    l->host.queue = side;
    l->host.steer = h->steer;
    if (!tcp_listen(l->host.tcp, ORIGIN_PORT, origin_accept, h))
        return false;
    if (o->misses) /* a head that comes as it is fetched may end anywhere */
        return true;
    l->host.flows = flows_new(&l->host, t.client + 1, t.clients - 1, t.server, t.servers,
                              o->connections, &l->errors);
    return l->host.flows != NULL;
}

static bool make_loads(struct http *h, const struct perf_options *o)
{
    if (o->workers > 1) {
        struct port_rss rss;
        port_link_rss(o->workers, &rss);
        h->steer = steer_create(rss.key, rss.key_len, rss.queue, rss.reta_size, o->workers);
        if (!h->steer)
            return false;
    }
    for (h->sides = 0; h->sides < o->workers; h->sides++) {
        h->side[h->sides].all = h;
        node_stats(h->server.node, h->sides, &h->side[h->sides].stats);
        if (!make_load(h, h->sides, o))
            return false;
    }
    return true;
}

/* Answers by the server's count and by the clients', once both have stopped: they may differ by
 * those on the way. */
static void check_counts(const struct http_side *s, struct perf_result *r)
{
    const struct http_load *h = &s->load;
    uint64_t sent = counter_read(&s->stats.http->http_responses_total),
             came = counter_read(&h->ops);
    uint64_t apart = came > sent ? came - sent : sent - came;
    const struct perf_options *o = h->options;
    if (apart > (o->active ? o->active : o->connections) + 2 * PORT_BURST)
        r->errors.n[PERF_ERROR_lost] += apart;
}

/* The first worker's cost; beside others, whose loads ask as it does. */
static bool measure(struct http *h, struct perf_result *r, char *error, size_t error_len)
{
    uint32_t stop = 0;
    struct http_load *l = &h->side[0].load;
    bool two = l->options->cores == 2;
    struct perf_thread generator = {
        .turn = http_load_turn, .ctx = l, .stop = &stop, .cpu = (unsigned)perf_cpu(1)};
    struct perf_thread worker[PORT_WORKERS];
    bool ok = true;

    for (unsigned i = 0; i < h->sides; i++) {
        worker[i] = (struct perf_thread){.turn = two ? server_turn : both_turn,
                                         .ctx = two ? (void *)&h->server : &h->side[i],
                                         .calibrates = true,
                                         .stop = &stop,
                                         .cpu = (unsigned)perf_cpu(i)};
        perf_thread_start(&worker[i]);
    }
    if (two)
        perf_thread_start(&generator);
    for (unsigned i = 0; i < h->sides && ok; i++)
        ok = http_load_wait(&h->side[i].load, error, error_len);
    if (ok) {
        const struct worker_stats *stats = &h->side[0].stats;
        const struct measured m = {.ops = &stats->http->http_responses_total,
                                   .busy_tsc = &stats->worker->worker_busy_cycles_total,
                                   .worker = two ? worker : NULL,
                                   .client = two ? &generator : NULL,
                                   .slowest = http_load_slowest(l),
                                   .live = l->options->live,
                                   .calibration = &worker[0].calibration,
                                   .latency = &l->latency,
                                   .errors = &l->errors};
        uint64_t given_up = counter_read(&l->given_up);
        http_load_begin(l);
        measure_windows(l->options->seconds, &m, r);
        http_load_end(l);
        r->given_up = counter_read(&l->given_up) - given_up;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < h->sides; i++)
        perf_thread_join(&worker[i]);
    if (two)
        perf_thread_join(&generator);
    http_load_result(l, r);
    for (unsigned i = 1; i < h->sides; i++) { /* figures are the first one's, errors all's */
        if (ok && counter_read(&h->side[i].load.ops) <= l->options->objects)
            r->errors.n[PERF_ERROR_stalled]++;
        for (unsigned k = 0; k < PERF_ERROR_CLASSES; k++)
            r->errors.n[k] += h->side[i].load.errors.n[k];
    }
    r->ratio = worker[0].calibration.ratio;
    for (unsigned i = 0; i < h->sides; i++) {
        if (ok)
            check_counts(&h->side[i], r);
        r->ops_total += counter_read(&h->side[i].stats.http->http_responses_total);
        r->errors.n[PERF_ERROR_queue] +=
            counter_read(&h->side[i].stats.worker->worker_rss_elsewhere_total);
    }
    return ok;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct http h;
    bool ok = false;

    h = (struct http){0};
    size_t bodies = o->trace ? o->trace->footprint_bytes : (size_t)o->objects * o->size;
    size_t least =
        RTE_MAX(bodies + (size_t)o->objects * OBJECT_MORE, (size_t)o->objects * OBJECT_LEAST);
    size_t cache = (64u << 20) + least * 5 / 4 +
                   o->size; /* a large one is kept where half as much again is free */
    if (server_open(&h.server, o, o->workers * o->connections, cache, error, error_len)) {
        if (make_loads(&h, o))
            ok = measure(&h, r, error, error_len);
        else
            snprintf(error, error_len, "not enough memory for the clients");
        for (unsigned i = 0; i < o->workers; i++) {
            flows_free(h.side[i].load.host.flows);
            host_free(&h.side[i].load.host);
        }
    }
    server_close(&h.server);
    for (unsigned i = 0; i < o->workers; i++)
        http_load_close(&h.side[i].load);
    steer_destroy(h.steer);
    return ok;
}

bool http_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o, o->wire ? http_wire_run : run, result, error, error_len);
}
