/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "base/memory.h"
#include "perf/flow.h"
#include "perf/answer_head.h"
#include "perf/http_load.h"

#define OPENING      64 /* handshakes under way: a node bounds its half-open connections */
#define FILLING      16 /* clients that fill a cache */
#define WARM_US      300000
#define SETUP_US     120000000
#define LEARNED_MOST (16u << 20) /* bytes of an unknown object */

/* --- clients ---------------------------------------------------------------------------------- */

static void stream_eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static void wrong(struct http_load *h, enum perf_error class)
{
    counter_inc(&h->errors.n[class]);
}

/* The request for an object: the next one that the cache has not seen, else by law or trace. */
static const char *next_request(struct client *c)
{
    struct http_load *h = c->all;
    uint32_t objects = h->options->objects;
    uint32_t i = h->fetched < objects ? h->fetched++ : h->own_request ? keys_next(&h->keys) : 0;
    c->object = i;
    if (!h->own_request)
        return h->request;
    if (h->options->trace)
        c->size = h->options->trace->first_bytes[i];
    char *request = h->own_request[c - h->client], *digit = request + 13;
    memcpy(request, h->request, h->request_len);
    for (; i > 0; i /= 10)
        *--digit = (char)('0' + i % 10);
    return request;
}

/* --misses: a URL of its own. */
static void ask_miss(struct client *c)
{
    struct http_load *h = c->all;
    char request[sizeof(h->request) + 16]; /* whose path may be that much shorter */
    int n = snprintf(request, sizeof(request), "GET /miss%u %s", h->asked++,
                     strchr(h->request + 4, ' ') + 1);
    if (stream_copy(c->stream, request, (size_t)n) != (size_t)n)
        wrong(h, PERF_ERROR_send);
}

static void ask(struct client *c, uint64_t since_tsc)
{
    struct http_load *h = c->all;
    c->in_body = false;
    c->busy = true;
    c->asked_tsc = since_tsc;
    c->object = 0;
    c->miss = h->options->misses > 0 && h->warm && rng_below(&h->rng, 100) < h->options->misses;
    if (c->miss) {
        ask_miss(c);
        return;
    }
    const char *request = next_request(c);
    if (!stream_send(c->stream, (struct ref){(const uint8_t *)request, h->request_len, NULL}))
        wrong(h, PERF_ERROR_send);
}

static void failed(struct client *c, enum perf_error class)
{
    wrong(c->all, class);
    stream_abort(c->stream);
}

/* Has the body that length? */
static bool has_length(const struct client *c, uint64_t length)
{
    const struct http_load *h = c->all;
    return h->body && length == (h->options->trace ? c->size : h->size);
}

/* The same; the first answer of an unknown server says which. */
static bool learn_size(const struct client *c, uint64_t length)
{
    struct http_load *h = c->all;
    if (h->target.unknown && !h->body && length <= LEARNED_MOST) {
        h->size = length;
        h->body = malloc(length + 1);
    }
    return has_length(c, length);
}

static const uint8_t *body_of(const struct client *c)
{
    const struct http_load *h = c->all;
    return h->body + (h->target.unknown ? 0 : c->object % HTTP_BODIES);
}

static void body_begins(struct client *c, uint64_t length, bool refused)
{
    c->in_body = true;
    c->left = c->size = length;
    c->refused = refused;
    const uint64_t n = c->all->heads;
    c->all->heads += !refused;
    /* another place in each 64: who asks in turns is not always the one */
    c->sampled = !refused && n % 64 == n / 64 % 64;
}

/* memcached's "VALUE key flags bytes\r\n"; the body goes up to "END\r\n". As take_head. */
static size_t take_value(struct client *c, const uint8_t *data, size_t len)
{
    static const char end[] = "\r\nEND\r\n";
    char line[ANSWER_HEAD_MAX];
    unsigned long long bytes;
    const uint8_t *eol = memmem(data, RTE_MIN(len, sizeof(line) - 1), "\r\n", 2);
    if (!eol && len < sizeof(line) - 1)
        return 0;
    snprintf(line, sizeof(line), "%.*s", eol ? (int)(eol - data) : 0, (const char *)data);
    if (sscanf(line, "VALUE %*s %*u %llu", &bytes) != 1 || bytes > LEARNED_MOST) {
        failed(c, strcmp(line, "END") == 0 ? PERF_ERROR_status : PERF_ERROR_head);
        return 0;
    }
    if (!learn_size(c, bytes + sizeof(end) - 1)) {
        failed(c, PERF_ERROR_head);
        return 0;
    }
    body_begins(c, bytes + sizeof(end) - 1, false);
    return (size_t)(eol - data) + 2;
}

/* The head of an answer; 0: not whole yet, or the client gave up. */
static size_t take_head(struct client *c, const uint8_t *data, size_t len)
{
    struct http_load *h = c->all;
    struct answer_head head;
    if (h->known_head_len > 0 && h->known_head_len <= len && has_length(c, h->known_length) &&
        memcmp(data, h->known_head, h->known_head_len) == 0) {
        body_begins(c, h->known_length, false); /* the very same as the last one, nearly always */
        return h->known_head_len;
    }
    if (!answer_head_read(data, len, &head)) {
        if (len >= ANSWER_HEAD_MAX)
            failed(c, PERF_ERROR_head);
        return 0;
    }
    bool good = head.status == 200;
    bool refused = head.status == 503 && h->options->misses > 0 && h->warm;
    if (head.status == 0 || head.body == ANSWER_HEAD_UNKNOWN ||
        (good && !learn_size(c, head.body))) {
        failed(c, PERF_ERROR_head);
        return 0;
    }
    if (!good && !refused) {
        failed(c, PERF_ERROR_status);
        return 0;
    }
    if (good && head.len <= sizeof(h->known_head)) {
        memcpy(h->known_head, data, head.len);
        h->known_head_len = head.len;
        h->known_length = head.body;
    }
    body_begins(c, head.body, refused);
    return head.len;
}

/* --active: the next request, on some connection that has none. */
static void ask_another(struct http_load *h, uint64_t now)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        struct client *c = &h->client[rng_below(&h->rng, h->options->connections)];
        if (!c->busy && c->stream) {
            ask(c, now);
            return;
        }
    }
    wrong(h, PERF_ERROR_closed); /* the node has closed nearly all */
}

static void finished(struct client *c)
{
    struct http_load *h = c->all;
    uint64_t now = rte_rdtsc();
    c->busy = false;
    c->rested_tsc = now + h->think_tsc;
    if (c->refused)
        h->refused += h->latency.on;
    else
        latency_add(c->miss ? &h->miss_latency : &h->latency, now - c->asked_tsc);
    counter_inc(&h->ops);
    if (c->sampled)
        counter_inc(&h->verified);
    __atomic_store_n(&h->warm, true, __ATOMIC_RELEASE);
    if (h->own_request && h->fetched < h->options->objects)
        ask(c, now); /* first the cache is filled */
    else if (h->options->rate > 0 || h->think_tsc > 0)
        h->waiting[(h->first_waiting + h->waiting_n++) % h->options->connections] = c;
    else if (h->options->active == 0)
        ask(c, now);
    else if (h->picked)
        ask_another(h, now);
}

static size_t client_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct client *c = s->user;
    struct http_load *h = c->all;
    size_t used = 0;
    (void)now;

    while (used < len) {
        if (!c->in_body) {
            size_t head = h->target.memcached ? take_value(c, data + used, len - used)
                                              : take_head(c, data + used, len - used);
            if (head == 0)
                break;
            used += head;
        }
        size_t n = RTE_MIN(c->left, (uint64_t)(len - used));
        if (h->target.unknown && !h->warm)
            memcpy(h->body + (c->size - c->left), data + used, n);
        else if (c->sampled && memcmp(data + used, body_of(c) + (c->size - c->left), n) != 0) {
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
        wrong(c->all, perf_error_of(why));
    c->stream = NULL;
    c->all->live--;
}

static bool client_open(struct http_load *h)
{
    static const struct stream_events events = {.opened = client_opened,
                                                .received = client_received,
                                                .eof = stream_eof,
                                                .closed = client_closed};
    uint32_t i = h->opened;
    struct client *c = &h->client[i];
    const struct http_target *t = &h->target;
    const struct addr ip = t->client[i % t->clients].ip;
    const struct endpoint server = t->server[i / t->clients % t->servers];
    *c = (struct client){.all = h, .size = h->size};
    c->stream = h->host.flows ? flow_connect(h->host.flows, &events, c)
                              : tcp_connect(h->host.tcp, &ip, &server, &events, c, h->host.now);
    if (!c->stream)
        return false;
    h->opened++;
    h->live++;
    return true;
}

/* --- turns ------------------------------------------------------------------------------------ */

static struct client *next_waiting(struct http_load *h)
{
    struct client *c = h->waiting[h->first_waiting];
    h->first_waiting = (h->first_waiting + 1) % h->options->connections;
    h->waiting_n--;
    return c;
}

/* --think: all wait equally long, so that the first in turn is the first to ask. Their first
 * requests are spread over that time, as those of people who know nothing of each other. */
static void ask_rested(struct http_load *h)
{
    const uint64_t now = rte_rdtsc(), apart = h->think_tsc / h->options->connections;
    if (!h->began)
        h->next_tsc = now;
    h->began = true;
    while (h->waiting_n > 0) {
        const bool first = h->issued < h->options->connections;
        if ((first ? h->next_tsc : h->waiting[h->first_waiting]->rested_tsc) > now)
            return;
        h->next_tsc += apart;
        h->issued += first;
        struct client *c = next_waiting(h);
        if (c->stream)
            ask(c, now);
    }
}

/* A request that finds no connection free for a second is given up. */
static void ask_by_schedule(struct http_load *h)
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
        struct client *c = next_waiting(h);
        if (c->stream)
            ask(c, due);
    }
}

bool http_load_turn(void *ctx)
{
    struct http_load *h = ctx;
    /* few clients until all objects are in the cache: a node answers 503 to too many misses */
    uint32_t want = h->options->connections;
    if (h->ops < h->options->objects)
        want = RTE_MIN(want, h->warm ? (uint32_t)FILLING : 1u);

    while (h->opened < want && h->opened - h->ready < OPENING)
        if (!client_open(h))
            break;
    if (__atomic_load_n(&h->scheduled, __ATOMIC_ACQUIRE)) {
        if (h->think_tsc > 0)
            ask_rested(h);
        if (h->options->rate > 0)
            ask_by_schedule(h);
        while (h->issued < h->options->active) {
            h->picked = true;
            h->issued++;
            ask_another(h, rte_rdtsc());
        }
    }
    return host_turn(&h->host);
}

/* --- for the run ------------------------------------------------------------------------------ */

bool http_load_open(struct http_load *h, const struct perf_options *o,
                    const struct http_target *target)
{
    *h = (struct http_load){.options = o, .target = *target, .size = o->size};
    rng_init_u64(&h->rng, 1);
    h->think_tsc = (uint64_t)(o->think_ms / 1000 * (double)rte_get_tsc_hz());
    h->keys = keys_make(o->objects, o->zipf, 1, o->trace);
    h->client = memory_new(o->connections, sizeof(h->client[0]));
    h->waiting = calloc(o->connections, sizeof(struct client *));
    if (o->objects > 1)
        h->own_request = calloc(o->connections, HTTP_REQUEST);
    if (!target->unknown)
        h->body = malloc((size_t)o->size + HTTP_BODIES);
    if (!h->client || !h->waiting || (!target->unknown && !h->body) ||
        (o->objects > 1 && !h->own_request))
        return false;
    for (uint32_t i = 0; i < o->size + HTTP_BODIES && h->body && !target->unknown; i++)
        h->body[i] = (uint8_t)(i * 131 + (i >> 8));
    h->request_len = (uint32_t)snprintf(h->request, sizeof(h->request),
                                        "GET %s HTTP/1.1\r\nHost: %s\r\n"
                                        "User-Agent: coral-perf\r\nAccept: */*\r\n\r\n",
                                        target->path ? target->path : "/00000000", target->host);
    if (target->memcached)
        h->request_len =
            (uint32_t)snprintf(h->request, sizeof(h->request), "get %s\r\n", target->memcached);
    return h->request_len < sizeof(h->request) &&
           (o->rate <= 0 ||
            schedule_open(&h->schedule, o->rate, o->poisson, (double)rte_get_tsc_hz()));
}

void http_load_close(struct http_load *h)
{
    schedule_close(&h->schedule);
    if (h->client)
        memory_free(h->client, h->options->connections, sizeof(h->client[0]));
    free(h->own_request);
    free(h->waiting);
    free(h->body);
}

bool http_load_wait(void *ctx, char *error, size_t error_len)
{
    struct http_load *h = ctx;
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

double http_load_slowest(const struct http_load *h)
{
    const struct perf_options *o = h->options;
    return o->think_ms > 0 ? o->connections * 1000.0 / (o->think_ms + 1000) : o->rate;
}

void http_load_begin(void *ctx)
{
    struct http_load *h = ctx;
    h->measured_tsc = rte_rdtsc();
    latency_begin(&h->miss_latency);
    latency_begin(&h->latency);
}

void http_load_end(void *ctx)
{
    struct http_load *h = ctx;
    latency_end(&h->latency);
    latency_end(&h->miss_latency);
}

void http_load_result(const struct http_load *h, struct perf_result *r)
{
    r->latency = h->latency.hdr;
    r->miss_latency = h->miss_latency.hdr;
    r->hits = hdr_total(&r->latency);
    r->misses = hdr_total(&r->miss_latency);
    r->refused = h->refused;
    /* who got nothing all the time, or for much longer than any other; by schedule a request may
     * have waited for a connection for a second before */
    const uint64_t now = rte_rdtsc(), begun = h->measured_tsc;
    const uint64_t patience = (h->options->rate > 0 ? 2 : 1) * rte_get_tsc_hz();
    const uint64_t longest =
        (uint64_t)((double)hdr_quantile(&r->latency, 1) / 1e9 * (double)rte_get_tsc_hz());
    for (uint32_t i = 0; i < h->opened && begun; i++) {
        const struct client *c = &h->client[i];
        uint64_t waits = now - c->asked_tsc;
        r->errors.n[PERF_ERROR_stalled] +=
            c->busy && waits > patience && (c->asked_tsc < begun || waits > 4 * longest);
    }
    for (unsigned i = 0; i < PERF_ERROR_CLASSES; i++)
        r->errors.n[i] += h->errors.n[i];
    r->verified = h->verified;
    r->size = (uint32_t)h->size;
}
