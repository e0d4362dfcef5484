/* SPDX-License-Identifier: BSD-3-Clause */
/* An exchange: request out, response in, its framing undone; every way that it can end. */
#include "dataplane/http/client_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TIMERS_A_POLL 256

/* --- exchanges: taking, ending ---------------------------------------------------------------- */

static struct http_exchange *exchange_take(struct http_client *c)
{
    struct http_exchange *x = c->exchange_free;
    if (!x)
        return NULL;
    c->exchange_free = x->next;
    memset(x, 0, offsetof(struct http_exchange, request));
    x->client = c;
    x->serial = ++c->serial;
    counter_add(&c->counters.http_client_exchanges, 1);
    return x;
}

static void exchange_free(struct http_exchange *x)
{
    struct http_client *c = x->client;
    counter_set(&c->counters.http_client_exchanges, c->counters.http_client_exchanges - 1);
    x->next = c->exchange_free;
    c->exchange_free = x;
}

/* Parts exchange and connection. */
static struct http_client_conn *detach(struct http_exchange *x)
{
    struct http_client_conn *k = x->conn;
    if (k)
        k->exchange = NULL;
    x->conn = NULL;
    return k;
}

static void finish(struct http_exchange *x, struct now now)
{
    x->in_event = true;
    x->events->done(x->user, x, now);
    exchange_free(x);
}

/* Ends an exchange that is already without a connection. */
static void report(struct http_exchange *x, enum http_failure why, struct now now)
{
    struct http_counters *n = &x->client->counters;
    counter_inc(why == HTTP_FAIL_CONNECT     ? &n->http_client_connect_failed_total
                : why == HTTP_FAIL_EARLY     ? &n->http_client_early_total
                : why == HTTP_FAIL_MALFORMED ? &n->http_client_malformed_total
                : why == HTTP_FAIL_TRUNCATED ? &n->http_client_truncated_total
                                             : &n->http_client_timeouts_total);
    x->in_event = true;
    x->events->failed(x->user, x, why, now);
    exchange_free(x);
}

static void fail(struct http_exchange *x, enum http_failure why, struct now now)
{
    struct http_client_conn *k = detach(x);
    http_client_conn_kill(k);
    report(x, why, now);
}

void http_exchange_abort(struct http_exchange *x)
{
    struct http_client_conn *k = detach(x);
    http_race_end(x);
    if (k)
        http_client_conn_kill(k);
    if (x->in_event)
        x->aborted = true; /* whoever called the owner frees it */
    else
        exchange_free(x);
}

void http_exchange_resume(struct http_exchange *x)
{
    x->paused = false;
    x->resumed = true;
    if (x->conn)
        stream_resume(x->conn->stream);
}

void http_exchange_patient(struct http_exchange *x)
{
    x->patient = true;
}

/* --- the request ------------------------------------------------------------------------------ */

static void send_request(struct http_client_conn *k, struct now now)
{
    struct http_exchange *x = k->exchange;
    if (x->sent < x->request_len)
        x->sent += (uint32_t)stream_copy(k->stream, x->request + x->sent, x->request_len - x->sent);
    if (x->sent < x->request_len || !(x->how & HTTP_SEND_BODY) || http_client_body_sent(x) ||
        x->whole || !x->events->writable)
        return;
    x->in_event = true;
    x->events->writable(x->user, x, now);
    x->in_event = false;
    if (x->aborted)
        exchange_free(x);
}

static void wait_for_head(struct http_client_conn *k, struct now now)
{
    k->phase = HTTP_CLIENT_HEAD;
    k->since_us = now.mono_us;
    http_client_conn_arm(k, now.mono_us + http_first_byte_us(k->exchange));
    send_request(k, now);
}

/* Opens a connection for the exchange; false: no room, or no way to any address. */
static bool open_for(struct http_exchange *x, struct now now)
{
    x->reused = false;
    x->sent = 0;
    http_race_begin(x, now);
    return http_race_next(x, now);
}

/* An idle connection to one of the addresses. */
static struct http_client_conn *pooled(struct http_exchange *x)
{
    for (unsigned i = 0; i < x->to.n; i++) {
        struct http_client_conn *k = http_client_pool_take(x->client, &x->to.at[i]);
        if (k) {
            x->tried = (uint8_t)(1u << i);
            return k;
        }
    }
    return NULL;
}

struct http_exchange *http_client_send(struct http_client *c, const struct http_upstream *to,
                                       const char *request, size_t len, unsigned how,
                                       const struct http_exchange_events *events, void *user,
                                       struct now now)
{
    struct http_exchange *x = len <= HTTP_REQUEST_MAX && to->n ? exchange_take(c) : NULL;
    if (!x) {
        counter_inc(&c->counters.http_client_full_total);
        return NULL;
    }
    assert(to->n <= HTTP_UPSTREAM_ADDRESSES);
    assert(!(how & HTTP_SEND_BODY) || how & HTTP_SEND_ONCE); /* it is not kept for a second time */
    x->events = events;
    x->user = user;
    x->to = *to;
    x->how = (uint8_t)how;
    x->whole = !(how & HTTP_SEND_BODY);
    x->last = (how & HTTP_SEND_LAST) != 0;
    x->request_len = (uint32_t)len;
    memcpy(x->request, request, len);

    struct http_client_conn *k = how & HTTP_SEND_ONCE ? NULL : pooled(x);
    if (k) {
        counter_inc(&c->counters.http_client_reused_total);
        k->exchange = x;
        x->conn = k;
        x->reused = true;
        wait_for_head(k, now);
    } else if (!open_for(x, now)) {
        counter_inc(&c->counters.http_client_full_total);
        exchange_free(x);
        return NULL;
    }
    counter_inc(&c->counters.http_client_exchanges_total);
    return x;
}

const struct endpoint *http_exchange_remote(const struct http_exchange *x)
{
    return x->conn ? &x->conn->to : &x->to.at[x->latest];
}

unsigned http_exchange_tried(const struct http_exchange *x)
{
    return x->tried;
}

bool http_exchange_refused(const struct http_exchange *x)
{
    return x->refused;
}

bool http_exchange_local(const struct http_exchange *x)
{
    return x->local;
}

bool http_exchange_connected(const struct http_exchange *x)
{
    return x->conn != NULL;
}

/* A pooled connection died before a byte of the response: the server had closed it, so a new one
 * is as good (RFC 9112 9.3.1; what may not be repeated is not sent on a pooled one). `gone`: the
 * stream is closed already, else it is reset. */
static void retry(struct http_exchange *x, bool gone, struct now now)
{
    struct http_client_conn *k = detach(x);
    counter_inc(&x->client->counters.http_client_retries_total);
    if (gone)
        http_client_conn_free(k);
    else
        http_client_conn_kill(k);
    if (!open_for(x, now))
        report(x, HTTP_FAIL_CONNECT, now);
}

/* --- the response ----------------------------------------------------------------------------- */

/* The body is whole. `rest`: bytes after it, which nobody asked for. */
static void complete(struct http_client_conn *k, bool rest, struct now now)
{
    struct http_exchange *x = k->exchange;
    bool reusable =
        !x->last && !rest && !k->eof && x->sent == x->request_len && http_client_body_sent(x);
    detach(x);
    k->unread = 0;
    if (reusable)
        http_client_pool_put(k, now);
    else
        http_client_conn_kill(k);
    finish(x, now);
}

/* Parses a head, skipping interim ones (RFC 9110 15.2). Returns the bytes consumed; the phase
 * says whether the final one was there. */
static size_t take_head(struct http_client_conn *k, const uint8_t *data, size_t len, struct now now)
{
    struct http_exchange *x = k->exchange;
    struct http_head *h = &k->client->head;
    size_t at = 0;
    for (;;) {
        enum http_error e = http_parse_response((const char *)data + at, len - at,
                                                (x->how & HTTP_SEND_HEAD) != 0, h);
        if (e == HTTP_AGAIN)
            return at;
        if (e || h->status == 101 || (h->status < 200 && ++x->interim > HTTP_INTERIM_MAX)) {
            fail(x, HTTP_FAIL_MALFORMED, now);
            return len;
        }
        at += h->head_len;
        x->last |= !h->keep_alive;
        if (h->status >= 200)
            break;
        if (x->events->interim)
            x->events->interim(x->user, x, h);
    }
    x->framing = (uint8_t)h->framing;
    x->left = h->framing == HTTP_BODY_LENGTH ? h->content_length : 0;
    http_chunked_init(&x->chunked);
    k->phase = HTTP_CLIENT_BODY;

    x->in_event = true;
    bool go = x->events->head(x->user, x, h, now);
    x->in_event = false;
    if (!go && !x->aborted) {
        http_client_conn_kill(detach(x));
        x->aborted = true;
    }
    if (x->aborted) {
        exchange_free(x);
        return len;
    }
    return at;
}

/* Hands bytes to the owner; returns how many it took. The exchange may be aborted after it. */
static size_t hand_out(struct http_exchange *x, const uint8_t *data, size_t len, struct now now)
{
    x->resumed = false;
    x->in_event = true;
    size_t n = x->events->body(x->user, x, data, len, now);
    x->in_event = false;
    assert(n <= len);
    if (n < len && !x->resumed)
        x->paused = true;
    return n;
}

/* One step of the body: consumes what it can of data. Sets *end when the body is whole. */
static size_t body_step(struct http_exchange *x, const uint8_t *data, size_t len, bool *end,
                        bool *bad, struct now now)
{
    if (x->framing == HTTP_BODY_CHUNKED) {
        size_t used, n;
        struct http_text span;
        enum http_error e = http_chunked_next(&x->chunked, data, len, &used, &span);
        *end = e == HTTP_OK;
        *bad = e == HTTP_BAD_BODY;
        if (span.len == 0)
            return used;
        n = hand_out(x, (const uint8_t *)span.p, span.len, now);
        http_chunked_unread(&x->chunked, span.len - n);
        return used - (span.len - n);
    }
    if (x->framing == HTTP_BODY_CLOSE)
        return len ? hand_out(x, data, len, now) : 0;
    size_t n = len < x->left ? len : (size_t)x->left;
    if (n)
        n = hand_out(x, data, n, now);
    x->left -= n;
    *end = x->left == 0;
    return n;
}

/* Body bytes until they end, the owner has enough, or the body is whole; returns the consumed. */
static size_t take_body(struct http_client_conn *k, const uint8_t *data, size_t len, struct now now)
{
    struct http_exchange *x = k->exchange;
    size_t at = 0;
    for (;;) {
        bool end = false, bad = false;
        size_t n = body_step(x, data + at, len - at, &end, &bad, now);
        at += n;
        if (x->aborted) {
            exchange_free(x);
            return len;
        }
        if (bad) {
            fail(x, HTTP_FAIL_MALFORMED, now);
            return len;
        }
        if (end) {
            complete(k, at < len, now);
            return len;
        }
        if (x->paused || at == len || n == 0)
            return at;
    }
}

/* After the peer's last byte was consumed: what that makes of the exchange. */
static void after_eof(struct http_client_conn *k, struct now now)
{
    struct http_exchange *x = k->exchange;
    if (k->phase == HTTP_CLIENT_BODY && x->framing == HTTP_BODY_CLOSE)
        complete(k, false, now);
    else if (k->phase == HTTP_CLIENT_BODY)
        fail(x, HTTP_FAIL_TRUNCATED, now);
    else if (x->reused)
        retry(x, false, now);
    else
        fail(x, HTTP_FAIL_EARLY, now);
}

/* --- stream events ---------------------------------------------------------------------------- */

static void on_opened(struct stream *s, struct now now)
{
    struct http_client_conn *k = s->user;
    if (k->exchange && k->phase == HTTP_CLIENT_CONNECT) {
        http_race_won(k, now);
        wait_for_head(k, now);
    }
}

/*
 * What comes on a pooled connection before a byte of the request was acknowledged was sent before
 * that request was read: it is no answer to it, but what is left of another exchange, or was put
 * there by who made the server say more than one response (response queue poisoning). So the
 * request goes to a new connection, as when the old one is found closed.
 */
static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct http_client_conn *k = s->user;
    struct http_exchange *x = k->exchange;
    size_t at = 0;
    if (!x) { /* nobody asked: a pooled connection is spoilt */
        if (k->phase == HTTP_CLIENT_IDLE) {
            counter_inc(&k->client->counters.http_client_unasked_total);
            http_client_pool_remove(k);
            http_client_conn_kill(k);
        }
        return len;
    }
    if (len == 0)
        return 0;
    if (x->reused && stream_queued(s) >= x->sent) {
        counter_inc(&k->client->counters.http_client_unasked_total);
        retry(x, false, now);
        return len;
    }
    x->reused = false;
    if (k->phase == HTTP_CLIENT_HEAD) {
        at = take_head(k, data, len, now);
        if (k->exchange == x && k->phase == HTTP_CLIENT_BODY)
            k->since_us = now.mono_us;
    } else {
        k->since_us = now.mono_us;
    }
    if (k->exchange == x && k->phase == HTTP_CLIENT_BODY && !x->paused) {
        http_client_conn_arm(k, now.mono_us + http_between_bytes_us(x));
        at += take_body(k, data + at, len - at, now);
    }
    if (k->exchange != x)
        return len;
    k->unread = (uint32_t)(len - at);
    if (k->eof && (k->unread == 0 || k->phase == HTTP_CLIENT_HEAD))
        after_eof(k, now);
    return at;
}

/*
 * Only in a body of known length is the place of a byte known before those in front of it have been
 * looked at: no framing is between them, and `left` says what is still body. Whatever way an
 * exchange ends with bytes of its body outstanding, its connection is reset; so what the stream has
 * put in a place is either offered to the exchange that named it, or to nobody.
 */
static struct stream_place on_place(struct stream *s, size_t ahead, size_t len, struct now now)
{
    const struct http_client_conn *k = s->user;
    struct http_exchange *x = k->exchange;
    struct stream_place none = {0};
    if (!x || k->phase != HTTP_CLIENT_BODY || x->framing != HTTP_BODY_LENGTH || !x->events->place ||
        ahead >= x->left)
        return none;
    len = len < x->left - ahead ? len : (size_t)(x->left - ahead);
    uint8_t *at = x->events->place(x->user, x, ahead, &len, now);
    return at ? (struct stream_place){at, len, x->serial} : none;
}

static void on_writable(struct stream *s, struct now now)
{
    struct http_client_conn *k = s->user;
    if (k->exchange && k->phase != HTTP_CLIENT_CONNECT)
        send_request(k, now);
}

static void on_eof(struct stream *s, struct now now)
{
    struct http_client_conn *k = s->user;
    k->eof = true;
    if (k->phase == HTTP_CLIENT_IDLE) {
        http_client_pool_remove(k);
        k->phase = HTTP_CLIENT_CLOSING;
        wheel_stop(&k->client->wheel, &k->timer);
        stream_shut(s);
    } else if (k->exchange && (k->unread == 0 || k->phase == HTTP_CLIENT_HEAD)) {
        after_eof(k, now);
    }
}

static void on_closed(struct stream *s, enum stream_end why, struct now now)
{
    struct http_client_conn *k = s->user;
    struct http_exchange *x = k->exchange;
    enum http_client_phase phase = (enum http_client_phase)k->phase;
    if (phase == HTTP_CLIENT_IDLE)
        http_client_pool_remove(k);
    if (x && phase == HTTP_CLIENT_CONNECT) {
        x->refused |= why == STREAM_REFUSED || why == STREAM_RESET;
        if (!http_race_lost(k, true, now))
            report(x, HTTP_FAIL_CONNECT, now);
        return;
    }
    if (x && x->reused) {
        retry(x, true, now);
        return;
    }
    if (x)
        detach(x);
    http_client_conn_free(k);
    if (!x)
        return;
    report(x,
           phase == HTTP_CLIENT_BODY ? HTTP_FAIL_TRUNCATED
           : why == STREAM_TIMEOUT   ? HTTP_FAIL_TIMEOUT
                                     : HTTP_FAIL_EARLY,
           now);
}

const struct stream_events http_client_events = {
    .opened = on_opened,
    .received = on_received,
    .writable = on_writable,
    .eof = on_eof,
    .closed = on_closed,
    .place = on_place,
};

/* --- time ------------------------------------------------------------------------------------- */

static void fire(void *ctx, struct timer *t)
{
    struct http_client *c = ctx;
    struct http_client_conn *k = (struct http_client_conn *)t;
    struct http_exchange *x = k->exchange;
    struct now now = c->now;
    if (k->phase == HTTP_CLIENT_CONNECT) {
        if (!http_race_timer(k, now))
            report(x, HTTP_FAIL_CONNECT, now);
        return;
    }
    uint64_t limit = k->phase == HTTP_CLIENT_IDLE   ? (uint64_t)c->config.idle_ms * 1000
                     : k->phase == HTTP_CLIENT_HEAD ? http_first_byte_us(x)
                                                    : http_between_bytes_us(x);

    if (x && k->phase == HTTP_CLIENT_BODY && (x->paused || x->resumed || x->patient)) {
        k->since_us = now.mono_us; /* it is our side that did not want more, or is in no hurry */
        x->resumed = false;
    }
    if (x && !x->whole && stream_queued(k->stream) == 0)
        k->since_us = now.mono_us; /* it is not the server that we wait for */
    if (now.mono_us - k->since_us < limit) {
        http_client_conn_arm(k, k->since_us + limit);
    } else if (k->phase == HTTP_CLIENT_IDLE) {
        counter_inc(&c->counters.http_client_idle_timeouts_total);
        http_client_pool_remove(k);
        http_client_conn_kill(k);
    } else {
        fail(x, HTTP_FAIL_TIMEOUT, now);
    }
}

/* --- the client ------------------------------------------------------------------------------- */

struct http_client *http_client_create(const struct http_client_config *config,
                                       const struct http_client_host *host, struct now now)
{
    assert(config->exchanges > 0 && host->connect);
    struct http_client *c = calloc(1, sizeof(*c));
    uint32_t buckets = 16;
    if (!c)
        return NULL;
    while (buckets < config->idle_pool)
        buckets *= 2;
    c->config = *config;
    c->host = *host;
    /* twice the exchanges: an exchange that ends early leaves a connection about to close */
    c->conns = 2 * config->exchanges + config->idle_pool;
    c->exchange = calloc(config->exchanges, sizeof(*c->exchange));
    c->conn = calloc(c->conns, sizeof(*c->conn));
    c->bucket = calloc(buckets, sizeof(struct http_client_conn *));
    c->bucket_mask = buckets - 1;
    if (!c->exchange || !c->conn || !c->bucket) {
        http_client_destroy(c);
        return NULL;
    }
    wheel_init(&c->wheel, now.mono_us);
    for (uint32_t i = config->exchanges; i-- > 0;) {
        c->exchange[i].next = c->exchange_free;
        c->exchange_free = &c->exchange[i];
    }
    for (uint32_t i = c->conns; i-- > 0;) {
        c->conn[i].next = c->conn_free;
        c->conn_free = &c->conn[i];
    }
    return c;
}

void http_client_destroy(struct http_client *c)
{
    if (!c)
        return;
    free(c->exchange);
    free(c->conn);
    free(c->bucket);
    free(c);
}

void http_client_poll(struct http_client *c, struct now now)
{
    c->now = now;
    wheel_advance(&c->wheel, now.mono_us, TIMERS_A_POLL, fire, c);
}

uint64_t http_client_deadline_us(const struct http_client *c)
{
    return wheel_next_us(&c->wheel);
}

const struct http_counters *http_client_counters(const struct http_client *c)
{
    return &c->counters;
}
