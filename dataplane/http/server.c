/* SPDX-License-Identifier: BSD-3-Clause */
/* Server connections: accepted streams, requests out of them in order, time-outs, close. */
#include "dataplane/http/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define TIMERS_A_POLL  256
#define EVICTION_LOOKS 16

static const struct stream_events server_events;

/* --- time: one lazy timer a connection -------------------------------------------------------- */

static void arm(struct http_conn *c, uint64_t due_us)
{
    if (!timer_armed(&c->timer) || c->timer.due_us > due_us)
        wheel_arm(&c->server->wheel, &c->timer, due_us);
}

static uint64_t ms(uint32_t v)
{
    return (uint64_t)v * 1000;
}

/* how long a connection may wait between requests */
static uint64_t idle_us(const struct http_server *s)
{
    uint64_t idle = ms(s->config.idle_ms);
    return s->draining && idle > HTTP_DRAIN_IDLE_US ? HTTP_DRAIN_IDLE_US : idle;
}

static uint64_t stall_step(const struct http_server *s)
{
    uint64_t step = ms(s->config.stall_ms) / 4;
    return step ? step : 1000;
}

/* --- who makes room, who is told to go: a hand goes round the connections, a bounded number of
 * them each time. A list in order of age would touch two strangers' memory for each request. */

static struct http_conn *next_conn(struct http_server *s)
{
    struct http_conn *c = &s->conn[s->hand];
    s->hand = s->hand + 1 >= s->used ? 0 : s->hand + 1;
    return c;
}

/* Of the next few, who has waited longest without asking; NULL: none of them waits. */
static struct http_conn *idlest(struct http_server *s)
{
    struct http_conn *best = NULL;
    for (uint32_t n = 0; n < EVICTION_LOOKS && n < s->used; n++) {
        struct http_conn *c = next_conn(s);
        if (c->phase == HTTP_CONN_IDLE && (!best || c->since_us < best->since_us))
            best = c;
    }
    return best;
}

void http_server_count(struct http_server *s, enum http_error why)
{
    struct http_counters *n = &s->counters;
    static const size_t at[HTTP_ERRORS] = {
#define AT(name) offsetof(struct http_counters, name)
        [HTTP_BAD_LINE] = AT(http_bad_line_total),
        [HTTP_BAD_TARGET] = AT(http_bad_target_total),
        [HTTP_BAD_FIELD] = AT(http_bad_field_total),
        [HTTP_BAD_HOST] = AT(http_bad_host_total),
        [HTTP_BAD_LENGTH] = AT(http_bad_length_total),
        [HTTP_BAD_FRAMING] = AT(http_bad_framing_total),
        [HTTP_BAD_BODY] = AT(http_bad_body_total),
        [HTTP_SHORT_BODY] = AT(http_short_body_total),
        [HTTP_SLOW_HEAD] = AT(http_head_timeouts_total),
        [HTTP_SLOW_BODY] = AT(http_body_timeouts_total),
        [HTTP_URI_TOO_LONG] = AT(http_uri_too_long_total),
        [HTTP_BAD_EXPECT] = AT(http_expect_refused_total),
        [HTTP_HEAD_TOO_LARGE] = AT(http_head_too_large_total),
        [HTTP_BAD_CODING] = AT(http_bad_coding_total),
        [HTTP_BAD_VERSION] = AT(http_bad_version_total),
#undef AT
    };
    counter_inc((uint64_t *)(void *)((char *)n + at[why]));
    if (why <= HTTP_BAD_FRAMING)
        counter_inc(&n->http_bad_request_total);
}

/* Answers in the handler's place, who only hears of it. */
static void refuse(struct http_conn *c, const struct http_head *h, uint64_t since_us,
                   enum http_error why, const char *text, struct now now)
{
    const struct http_handler *to = &c->server->handler;
    http_server_count(c->server, why);
    if (to->refused)
        to->refused(to->ctx, c, h, since_us, why, c->to_head ? 0 : strlen(text), now);
    http_respond_error(c, http_error_status(why), text, 0, true, now);
}

/* --- phases ----------------------------------------------------------------------------------- */

static void enter(struct http_conn *c, enum http_phase phase, struct now now)
{
    const struct http_server *s = c->server;
    c->phase = (uint8_t)phase;
    c->since_us = now.mono_us;
    switch (phase) {
    case HTTP_CONN_IDLE:
        arm(c, now.mono_us + idle_us(s));
        break;
    case HTTP_CONN_HEAD:
        arm(c, now.mono_us + ms(s->config.head_ms));
        break;
    case HTTP_CONN_BUSY:
        arm(c, now.mono_us + stall_step(s));
        break;
    default:
        arm(c, now.mono_us + HTTP_LINGER_US);
    }
}

void http_conn_kill(struct http_conn *c)
{
    if (c->phase == HTTP_CONN_DEAD)
        return;
    wheel_stop(&c->server->wheel, &c->timer);
    http_response_drop(c);
    http_upload_drop(c);
    c->phase = HTTP_CONN_DEAD;
    stream_abort(c->stream);
}

/* FIN after what is queued; then what still comes is read and dropped, so that no reset overtakes
 * the response (RFC 9112 9.6). */
static void close_gently(struct http_conn *c, struct now now)
{
    enter(c, HTTP_CONN_CLOSING, now);
    stream_shut(c->stream);
    if (c->unread && !c->parsing)
        stream_resume(c->stream);
}

void http_conn_answered(struct http_conn *c, struct now now)
{
    counter_inc(&c->server->counters.http_responses_total);
    c->request = NULL;
    if (!http_conn_keeps_alive(c) || (c->eof && c->unread == 0 && !c->parsing)) {
        close_gently(c, now);
        return;
    }
    enter(c, HTTP_CONN_IDLE, now);
    if (c->unread && !c->parsing)
        stream_resume(c->stream);
}

static void time_out(struct http_conn *c, struct now now)
{
    struct http_server *s = c->server;
    uint64_t passed = now.mono_us - c->since_us;
    if (c->phase == HTTP_CONN_IDLE && passed >= idle_us(s)) {
        counter_inc(&s->counters.http_idle_timeouts_total);
        close_gently(c, now);
    } else if (c->phase == HTTP_CONN_HEAD && passed >= ms(s->config.head_ms)) {
        uint64_t since_us = c->since_us;
        enter(c, HTTP_CONN_BUSY, now);
        http_response_begin(c, NULL);
        refuse(c, NULL, since_us, HTTP_SLOW_HEAD, "The request did not arrive in time.\n", now);
    } else if (c->upload && !c->upload->paused &&
               now.mono_us - c->upload->progress_us >= ms(s->config.stall_ms)) {
        http_upload_fail(c, HTTP_SLOW_BODY, now);
    } else if (c->phase == HTTP_CONN_CLOSING && passed >= HTTP_LINGER_US) {
        http_conn_kill(c);
    } else if (c->phase == HTTP_CONN_IDLE) {
        arm(c, c->since_us + idle_us(s));
    } else if (c->phase == HTTP_CONN_HEAD) {
        arm(c, c->since_us + ms(s->config.head_ms));
    } else if (c->phase == HTTP_CONN_CLOSING) {
        arm(c, c->since_us + HTTP_LINGER_US);
    } else if (c->phase == HTTP_CONN_BUSY) {
        arm(c, now.mono_us + stall_step(s));
    }
}

void http_conn_serve(struct http_conn *c)
{
    c->served = true;
}

bool http_conn_served(const struct http_conn *c)
{
    return c->served;
}

uint64_t http_conn_still_us(struct http_conn *c, struct now now)
{
    size_t queued = stream_queued(c->stream);
    uint64_t acked = c->given - queued;

    if (queued == 0 || acked != c->acked) {
        c->acked = acked;
        c->progress_us = now.mono_us;
    }
    return now.mono_us - c->progress_us;
}

static void fire(void *ctx, struct timer *t)
{
    struct http_server *s = ctx;
    struct http_conn *c = (struct http_conn *)t;
    struct now now = s->now;
    uint64_t still = http_conn_still_us(c, now);

    if (stream_queued(c->stream) == 0) {
        time_out(c, now);
        return;
    }
    /* the peer has yet to take bytes: only that counts */
    if (still >= ms(s->config.stall_ms)) {
        counter_inc(&s->counters.http_stall_timeouts_total);
        http_conn_kill(c);
        return;
    }
    if (c->phase == HTTP_CONN_HEAD) {
        time_out(c, now);
        if (c->phase != HTTP_CONN_HEAD)
            return;
    } else {
        c->since_us = now.mono_us;
    }
    arm(c, now.mono_us + stall_step(s));
}

/* --- requests --------------------------------------------------------------------------------- */

/* Answers what can't be read and closes; everything offered is dropped. */
static void refuse_malformed(struct http_conn *c, enum http_error e, struct now now)
{
    uint64_t since_us = c->phase == HTTP_CONN_HEAD ? c->since_us : now.mono_us;
    enter(c, HTTP_CONN_BUSY, now);
    http_response_begin(c, NULL);
    refuse(c, NULL, since_us, e, "The request could not be read.\n", now);
}

/* RFC 9110 10.1.1: of HTTP/1.1 and later, "100-continue" and nothing beside it. */
static bool expects_more(const struct http_head *h)
{
    bool more = false;
    if (h->minor > 0 && http_known(h, HTTP_EXPECT))
        for (unsigned i = 0; i < h->fields; i++)
            more |= h->field[i].known == HTTP_EXPECT &&
                    !http_text_is(h->field[i].value, "100-continue");
    return more;
}

static void dispatch(struct http_conn *c, const struct http_head *h, struct now now)
{
    struct http_server *s = c->server;

    counter_inc(&s->counters.http_requests_total);
    enter(c, HTTP_CONN_BUSY, now);
    http_response_begin(c, h);
    c->persists = c->keep_alive;
    if (http_has_body(h)) /* where it is not read, what follows it can't be found */
        c->keep_alive = false;
    if (expects_more(h)) {
        refuse(c, h, now.mono_us, HTTP_BAD_EXPECT, "This expectation is not known.\n", now);
    } else {
        c->handed = true;
        s->handler.request(s->handler.ctx, c, h, now);
    }
}

/* No more comes than what is unread. */
static void no_more(struct http_conn *c, struct now now)
{
    if (c->phase == HTTP_CONN_HEAD || (c->phase == HTTP_CONN_IDLE && c->unread == 0))
        close_gently(c, now); /* this is no request */
    else if (c->upload && c->unread == 0 && !c->upload->paused)
        http_upload_fail(c, HTTP_SHORT_BODY, now);
}

static size_t on_received(struct stream *stream, const uint8_t *data, size_t len, struct now now)
{
    struct http_conn *c = stream->user;
    struct http_server *s = c->server;
    size_t at = 0;

    /* a head is looked at again only when a line of it has ended: else a byte a segment costs a
     * whole parse each */
    if (c->phase == HTTP_CONN_HEAD && !c->eof && len < HTTP_HEAD_MAX && len >= c->unread &&
        !memchr(data + c->unread, '\n', len - c->unread)) {
        c->unread = (uint32_t)len;
        return 0;
    }
    c->parsing = true;
    while (at < len && (c->phase == HTTP_CONN_IDLE || c->phase == HTTP_CONN_HEAD || c->upload)) {
        if (c->upload) {
            size_t n = http_upload_read(c, data + at, len - at, now);
            at += n;
            if (c->upload && (n == 0 || c->upload->paused))
                break;
            continue;
        }
        const struct http_head *h;
        enum http_error e = http_parse_again(&s->recent, (const char *)data + at, len - at, &h);
        if (e == HTTP_AGAIN) {
            if (c->phase == HTTP_CONN_IDLE)
                enter(c, HTTP_CONN_HEAD, now);
            break;
        }
        if (e) {
            refuse_malformed(c, e, now);
        } else {
            at += h->head_len;
            dispatch(c, h, now);
        }
    }
    c->parsing = false;

    if (c->phase == HTTP_CONN_CLOSING || c->phase == HTTP_CONN_DEAD)
        at = len;
    c->unread = (uint32_t)(len - at);
    if (c->eof)
        no_more(c, now);
    return at;
}

static void on_writable(struct stream *stream, struct now now)
{
    struct http_conn *c = stream->user;
    if (c->phase == HTTP_CONN_DEAD || !http_response_flush(c) || c->phase != HTTP_CONN_BUSY)
        return;
    if (c->ended) {
        http_response_finish(c, now);
    } else if (c->wants) {
        c->wants = false;
        c->server->handler.writable(c->server->handler.ctx, c, c->request, now);
    }
}

/* A client that shuts its side still gets what it asked for. */
static void on_eof(struct stream *stream, struct now now)
{
    struct http_conn *c = stream->user;
    c->eof = true;
    no_more(c, now);
}

static void on_closed(struct stream *stream, enum stream_end why, struct now now)
{
    struct http_conn *c = stream->user;
    struct http_server *s = c->server;
    (void)why;
    wheel_stop(&s->wheel, &c->timer);
    http_response_drop(c);
    http_upload_drop(c);
    if (c->handed) {
        c->handed = false;
        counter_inc(&s->counters.http_clients_gone_total);
        c->phase = HTTP_CONN_DEAD;
        s->handler.gone(s->handler.ctx, c, c->request, now);
    }
    c->phase = HTTP_CONN_FREE;
    c->stream = NULL;
    c->request = NULL;
    c->next = s->free;
    s->free = c;
    s->live--;
    counter_set(&s->counters.http_connections, s->live);
}

static const struct stream_events server_events = {
    .received = on_received,
    .writable = on_writable,
    .eof = on_eof,
    .closed = on_closed,
};

/* --- the server ------------------------------------------------------------------------------- */

bool http_server_accept(void *server, struct stream *stream, struct now now)
{
    struct http_server *s = server;
    struct http_conn *c = s->free;
    s->now = now;
    if (!c && s->used < s->config.connections)
        c = &s->conn[s->used++];
    if (!c) {
        counter_inc(&s->counters.http_connections_refused_total);
        return false;
    }
    if (c == s->free)
        s->free = c->next;
    *c = (struct http_conn){.server = s, .stream = stream, .keep_alive = true};
    c->progress_us = now.mono_us;
    stream->events = &server_events;
    stream->user = c;
    s->live++;
    counter_inc(&s->counters.http_connections_total);
    counter_set(&s->counters.http_connections, s->live);
    /* nearly full: who has waited longest without asking makes room for the next */
    if (s->config.connections - s->live < s->reserve) {
        struct http_conn *old = idlest(s);
        if (old) {
            counter_inc(&s->counters.http_connections_evicted_total);
            close_gently(old, now);
        }
    }
    enter(c, HTTP_CONN_IDLE, now);
    return true;
}

struct http_server *http_server_create(const struct http_server_config *config,
                                       const struct http_handler *handler, struct now now)
{
    assert(config->connections > 0 && handler->request && handler->writable && handler->gone);
    struct http_server *s = calloc(1, sizeof(*s));
    uint32_t spills = config->connections / 64 + 8, uploads = config->connections / 16 + 8;
    if (!s)
        return NULL;
    s->config = *config;
    s->handler = *handler;
    s->now = now;
    s->reserve = config->connections / 64 + 1;
    s->conn = memory_new(config->connections, sizeof(*s->conn));
    s->spills = malloc(spills * sizeof(*s->spills));
    s->uploads = malloc(uploads * sizeof(*s->uploads));
    if (!s->conn || !s->spills || !s->uploads) {
        http_server_destroy(s);
        return NULL;
    }
    wheel_init(&s->wheel, now.mono_us);
    for (uint32_t i = spills; i-- > 0;) {
        s->spills[i].next = s->spill_free;
        s->spill_free = &s->spills[i];
    }
    for (uint32_t i = uploads; i-- > 0;) {
        s->uploads[i].next = s->upload_free;
        s->upload_free = &s->uploads[i];
    }
    return s;
}

void http_server_destroy(struct http_server *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->used; i++)
        if (s->conn[i].phase != HTTP_CONN_FREE)
            http_response_drop(&s->conn[i]);
    memory_free(s->conn, s->config.connections, sizeof(*s->conn));
    free(s->spills);
    free(s->uploads);
    free(s);
}

void http_server_poll(struct http_server *s, struct now now)
{
    s->now = now;
    for (uint32_t n = 0; s->untold > 0 && n < TIMERS_A_POLL; n++) {
        struct http_conn *c = &s->conn[--s->untold];
        if (c->phase == HTTP_CONN_IDLE) {
            c->since_us = now.mono_us;
            arm(c, now.mono_us + idle_us(s));
        }
    }
    wheel_advance(&s->wheel, now.mono_us, TIMERS_A_POLL, fire, s);
}

uint64_t http_server_deadline_us(const struct http_server *s)
{
    return s->untold > 0 ? s->now.mono_us : wheel_next_us(&s->wheel);
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    s->untold = s->used;
}

void http_server_cut(struct http_server *s)
{
    for (uint32_t i = 0; i < s->used; i++)
        if (s->conn[i].phase != HTTP_CONN_FREE)
            http_conn_kill(&s->conn[i]);
}

bool http_server_look(struct http_server *s, uint32_t *at, uint32_t n, http_look *look, void *ctx,
                      struct now now)
{
    for (; n > 0 && *at < s->used; n--) {
        struct http_conn *c = &s->conn[(*at)++];
        if (c->phase != HTTP_CONN_FREE && c->phase != HTTP_CONN_DEAD)
            look(ctx, c, c->request, now);
    }
    if (*at < s->used)
        return true;
    *at = 0;
    return false;
}

void http_conn_reset(struct http_conn *c)
{
    http_conn_kill(c);
}

uint32_t http_server_connections(const struct http_server *s)
{
    return s->live;
}

const struct http_counters *http_server_counters(const struct http_server *s)
{
    return &s->counters;
}

void http_conn_set_request(struct http_conn *c, void *request)
{
    c->request = request;
}

enum http_error http_conn_refused(const struct http_conn *c)
{
    return (enum http_error)c->refused;
}

void http_conn_malformed(struct http_conn *c, enum http_error why)
{
    http_server_count(c->server, why);
    c->keep_alive = false;
}

const struct endpoint *http_conn_peer(const struct http_conn *c)
{
    return &c->stream->remote;
}

bool http_conn_keeps_alive(const struct http_conn *c)
{
    return c->keep_alive && !c->upload && !c->server->draining;
}
