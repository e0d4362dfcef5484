/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node with one worker, and clients on keep-alive connections that ask for objects, each again as
 * soon as it has the last answer, or by schedule. The node fetches each object once, from an origin
 * that the generator plays, through its ordinary miss path; then objects are picked by Zipf's law.
 *
 * Each answer's status and length are checked, and each byte of the bodies of one client in 64.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "base/rng.h"
#include "perf/schedule.h"
#include "perf/server.h"
#include "perf/zipf.h"

#define HEAD_MAX    1024
#define OPENING     64 /* handshakes under way: a node bounds its half-open connections */
#define CLIENT_IPS  16 /* 28 232 ports each, to each address of the node */
#define FILLING     16 /* clients that do so */
#define WARM_US     300000
#define SETUP_US    120000000
#define REQUEST     112
#define OBJECT_MORE 1024        /* bytes of the cache, beyond an object's body */
#define SCATTER     2654435761u /* a prime: its multiples visit all objects in no order */

struct client {
    struct http *all;
    struct stream *stream; /* NULL: none yet */
    uint64_t asked_tsc;
    uint64_t left; /* of the body */
    bool in_body, sampled, busy;
};

struct http {
    const struct perf_options *options;
    struct server server;
    struct host host;
    struct client *client;
    uint32_t opened, live;
    uint8_t *body;
    char request[REQUEST], head[160];
    char (*own_request)[REQUEST]; /* each client's, with its object; NULL: there is one object */
    uint32_t request_len, head_len;
    uint32_t fetched; /* objects asked for to fill the cache */
    struct zipf zipf;
    size_t last_head; /* length of the last answer's */
    bool warm;        /* the object is in the cache: all clients may go */
    /* --rate: the clients that wait for their next request, in turn, and the schedule */
    struct client **waiting;
    uint32_t first_waiting, waiting_n;
    bool scheduled; /* set by main when all stand */
    struct schedule schedule;
    bool began;
    uint64_t issued;
    bool picked; /* --active: the first requests are on their way */
    struct rng rng;
    /* counted by the generator, read by main */
    uint64_t ops, verified, ready, given_up;
    struct perf_errors errors;
    struct latency latency;
};

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

/* The request for an object: the next one that the cache has not seen, else by Zipf's law. */
static const char *next_request(struct client *c)
{
    struct http *h = c->all;
    uint32_t objects = h->options->objects;
    if (!h->own_request)
        return h->request;
    uint32_t i = h->fetched < objects
                     ? h->fetched++
                     : (uint32_t)((uint64_t)zipf_next(&h->zipf) * SCATTER % objects);
    char *request = h->own_request[c - h->client], *digit = request + 13;
    memcpy(request, h->request, h->request_len);
    for (; i > 0; i /= 10)
        *--digit = (char)('0' + i % 10);
    return request;
}

static void ask(struct client *c, uint64_t since_tsc)
{
    struct http *h = c->all;
    const char *request = next_request(c);
    c->in_body = false;
    c->busy = true;
    c->asked_tsc = since_tsc;
    if (!stream_send(c->stream, (struct ref){(const uint8_t *)request, h->request_len, NULL}))
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
    latency_add(&h->latency, rte_rdtsc() - c->asked_tsc);
    counter_inc(&h->ops);
    if (c->sampled)
        counter_inc(&h->verified);
    __atomic_store_n(&h->warm, true, __ATOMIC_RELEASE);
    if (h->own_request && h->fetched < h->options->objects)
        ask(c, rte_rdtsc()); /* first the cache is filled */
    else if (h->options->rate > 0)
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

/* A request that finds no connection free for a second is given up. */
static void ask_by_schedule(struct http *h)
{
    uint64_t now = rte_rdtsc(), hz = rte_get_tsc_hz(), due;

    if (!h->began)
        schedule_begin(&h->schedule, now);
    h->began = true;
    while ((due = schedule_due(&h->schedule, now)) != 0) {
        bool late = now - due > hz;
        if (!late && h->waiting_n == 0)
            return;
        schedule_next(&h->schedule);
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
    /* few clients until all objects are in the cache: a node answers 503 to too many misses */
    uint32_t want = h->options->connections;
    if (h->ops < h->options->objects)
        want = RTE_MIN(want, h->warm ? (uint32_t)FILLING : 1u);

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

/* Both in turn, on one core. */
static bool both_turn(void *ctx)
{
    struct http *h = ctx;
    bool busy = server_turn(&h->server);
    return generator_turn(ctx) || busy;
}

/* --- the run ---------------------------------------------------------------------------------- */

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
    if (o->objects > 1)
        h->own_request = calloc(o->connections, REQUEST);
    h->zipf = zipf_make(o->objects, o->zipf, 1);
    if (!h->client || !h->body || !h->waiting || (o->objects > 1 && !h->own_request))
        return false;
    if (o->rate > 0 && !schedule_open(&h->schedule, o->rate, o->poisson, (double)rte_get_tsc_hz()))
        return false;
    for (uint32_t i = 0; i < o->size; i++)
        h->body[i] = (uint8_t)(i * 131 + (i >> 8));
    h->request_len = (uint32_t)snprintf(h->request, sizeof(h->request),
                                        "GET /00000000 HTTP/1.1\r\nHost: www.perf.test\r\n"
                                        "User-Agent: coral-perf\r\nAccept: */*\r\n\r\n");
    h->head_len = (uint32_t)snprintf(h->head, sizeof(h->head),
                                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                     "Cache-Control: max-age=86400\r\nETag: \"perf\"\r\n"
                                     "Content-Length: %u\r\n\r\n",
                                     o->size);
    return host_new(&h->host, h->server.link, ip, CLIENT_IPS, o->connections, o->offload,
                    perf_now()) &&
           tcp_listen(h->host.tcp, ORIGIN_PORT, origin_accept, h);
}

static bool wait_until_all_run(struct http *h, char *error, size_t error_len)
{
    uint64_t end = perf_now().mono_us + SETUP_US;
    uint64_t ready;

    while ((ready = counter_read(&h->ready)) < h->options->connections ||
           counter_read(&h->ops) < h->options->objects) {
        if (perf_now().mono_us > end) {
            snprintf(error, error_len,
                     "only %llu of %u connections stand, and %llu of %u objects came, after %u s",
                     (unsigned long long)ready, h->options->connections,
                     (unsigned long long)counter_read(&h->ops), h->options->objects,
                     SETUP_US / 1000000);
            return false;
        }
        if (errors_total(&h->errors) > 0) {
            char text[256];
            errors_text(&h->errors, text, sizeof(text));
            snprintf(error, error_len, "errors before it was measured: %s", text);
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
    bool two = h->options->cores == 2;
    struct perf_thread worker = {.turn = two ? server_turn : both_turn,
                                 .ctx = two ? (void *)&h->server : h,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)perf_cpu(0)};
    struct perf_thread generator = {
        .turn = generator_turn, .ctx = h, .stop = &stop, .cpu = (unsigned)perf_cpu(1)};

    perf_thread_start(&worker);
    if (two)
        perf_thread_start(&generator);
    bool ok = wait_until_all_run(h, error, error_len);
    if (ok) {
        const struct worker_stats *stats = &h->server.stats;
        const struct measured m = {&stats->http->http_responses_total,
                                   &stats->worker->worker_busy_cycles_total, two ? &worker : NULL,
                                   two ? &generator : NULL, h->options->rate};
        uint64_t given_up = counter_read(&h->given_up), came = counter_read(&h->ops);
        latency_begin(&h->latency);
        measure_windows(h->options->seconds, &m, r);
        latency_end(&h->latency);
        check_counts(h, counter_read(&h->ops) - came, r);
        r->given_up = counter_read(&h->given_up) - given_up;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&worker);
    if (two)
        perf_thread_join(&generator);
    r->latency = h->latency.hdr;
    r->ratio = worker.calibration.ratio;
    for (unsigned i = 0; i < PERF_ERROR_CLASSES; i++)
        r->errors.n[i] += h->errors.n[i];
    r->verified = h->verified;
    r->ops_total = counter_read(&h->server.stats.http->http_responses_total);
    return ok;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct http h;
    bool ok = false;

    h = (struct http){.options = o};
    size_t cache = (64u << 20) + (size_t)o->objects * (o->size + OBJECT_MORE) * 5 / 4;
    if (server_open(&h.server, o, o->connections, cache, error, error_len)) {
        if (make_generator(&h))
            ok = measure(&h, r, error, error_len);
        else
            snprintf(error, error_len, "not enough memory for the clients");
        host_free(&h.host);
    }
    server_close(&h.server);
    schedule_close(&h.schedule);
    free(h.client);
    free(h.own_request);
    free(h.waiting);
    free(h.body);
    return ok;
}

bool http_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o, run, result, error, error_len);
}
