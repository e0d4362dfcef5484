/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tricks of vectors.c against a server and a client as they are, whole and byte by byte: what
 * could be read in two ways is refused (RFC 9112 11.2), and nothing that follows it on the
 * connection is taken for a message.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"
#include "tests/http/fake_stream.h"
#include "tests/http/vectors.h"

#define SEEN 65536

static struct now now = {5000000, 784111777};
static struct fake_stream f[2];
static unsigned opened;

/* --- requests: what a handler is told, and the client ----------------------------------------- */

static char seen[SEEN];
static size_t seen_len;
static bool reads; /* the handler wants bodies */
static struct http_server *server;

static void see(const void *text, size_t len)
{
    cr_assert_lt(seen_len + len, SEEN);
    memcpy(seen + seen_len, text, len);
    seen_len += len;
    seen[seen_len] = 0;
}

static void answer(struct http_conn *c, struct now at)
{
    http_respond_error(c, 200, "here", 0, false, at);
}

static void on_request(void *ctx, struct http_conn *c, const struct http_head *h, struct now at)
{
    (void)ctx;
    see(" ", seen_len ? 1 : 0);
    see(h->method_text.p, h->method_text.len);
    see(" ", 1);
    see(h->target.p, h->target.len);
    if (http_has_body(h) && reads) {
        see(":", 1);
        cr_assert(http_conn_read_body(c, h, at));
    } else {
        answer(c, at);
    }
}

static size_t on_body(void *ctx, struct http_conn *c, void *request, const uint8_t *data,
                      size_t len, struct now at)
{
    (void)ctx, (void)c, (void)request, (void)at;
    see(data, len);
    return len;
}

static void on_body_end(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx, (void)request;
    see(".", 1);
    answer(c, at);
}

static void on_writable(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx, (void)c, (void)request, (void)at;
}

static void on_gone(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx, (void)c, (void)request, (void)at;
    see("!", 1);
}

/* A client sends `text` and VECTOR_NEXT in pieces. What it gets is in f[0] until serve_end. */
static void serve(const char *text, size_t len, size_t step, bool read)
{
    static const struct http_handler handler = {.request = on_request,
                                                .body = on_body,
                                                .body_end = on_body_end,
                                                .writable = on_writable,
                                                .gone = on_gone};
    static const struct http_server_config config = {2, 60000, 10000, 20000};
    server = http_server_create(&config, &handler, now);
    char *all = malloc(len + sizeof(VECTOR_NEXT));
    memcpy(all, text, len);
    memcpy(all + len, VECTOR_NEXT, sizeof(VECTOR_NEXT));
    len += sizeof(VECTOR_NEXT) - 1;
    seen_len = 0;
    seen[0] = 0;
    reads = read;
    fake_stream_init(&f[0], now);
    cr_assert(http_server_accept(server, &f[0].s, now));
    for (size_t at = 0; at < len; at += step) {
        fake_stream_feed(&f[0], all + at, len - at < step ? len - at : step);
        fake_stream_poll(&f[0]);
    }
    free(all);
}

static void serve_end(void)
{
    fake_stream_close(&f[0], STREAM_RESET);
    fake_stream_free(&f[0]);
    http_server_destroy(server);
}

/* The first status, and how many there are. */
static unsigned statuses(unsigned *n)
{
    unsigned first = 0;
    *n = 0;
    for (const char *p = fake_stream_text(&f[0]); (p = strstr(p, "HTTP/1.1 ")); p += 9)
        if (++*n == 1)
            first = (unsigned)atoi(p + 9);
    return first;
}

static void expect_served(const struct vector_request *v, size_t step)
{
    static char want[SEEN];
    unsigned n, requests;
    serve(v->text, v->len, step, true);
    snprintf(want, sizeof(want), "%s%s", v->seen, v->open ? " GET /next" : "");
    unsigned status = statuses(&n);
    requests = 1 + v->open;
    cr_expect_str_eq(seen, want, "%s, by %zu: \"%s\"", v->what, step, seen);
    cr_expect_eq(status, v->status ? v->status : 200, "%s, by %zu: %u", v->what, step, status);
    cr_expect_eq(n, requests, "%s, by %zu: %u answers", v->what, step, n);
    cr_expect_eq(f[0].shut, !v->open, "%s, by %zu", v->what, step);
    serve_end();
}

Test(smuggling, requests)
{
    for (unsigned i = 0; i < vector_requests_n; i++) {
        expect_served(&vector_requests[i], SIZE_MAX);
        expect_served(&vector_requests[i], 1);
        expect_served(&vector_requests[i], 7);
    }
}

/* What nobody reads is not taken for the next request: CL.0, 0.CL, an early answer. */
Test(smuggling, bodies_that_nobody_reads)
{
    for (unsigned i = 0; i < vector_requests_n; i++) {
        const struct vector_request *v = &vector_requests[i];
        const char *body = strrchr(v->seen, ':');
        if (!body || v->seen[strlen(v->seen) - 1] != '.')
            continue;
        for (size_t step = 1; step; step = step == 1 ? SIZE_MAX : 0) {
            unsigned n;
            serve(v->text, v->len, step, false);
            cr_expect(strlen(seen) == (size_t)(body - v->seen) &&
                          strncmp(seen, v->seen, strlen(seen)) == 0,
                      "%s: \"%s\"", v->what, seen);
            cr_expect(statuses(&n) == 200 && n == 1 && f[0].shut, "%s", v->what);
            serve_end();
        }
    }
}

Test(smuggling, chunks_of_requests)
{
    static char text[SEEN], want[SEEN];
    for (unsigned i = 0; i < vector_chunks_n; i++)
        for (size_t step = 1; step; step = step == 1 ? 7 : step == 7 ? SIZE_MAX : 0) {
            const struct vector_chunks *v = &vector_chunks[i];
            unsigned n;
            serve(text, vector_chunked_request(v, text, sizeof(text)), step, true);
            snprintf(want, sizeof(want), "POST /x:%s!", v->body);
            cr_expect_str_eq(seen, want, "%s, by %zu: \"%s\"", v->what, step, seen);
            cr_expect(statuses(&n) == 400 && n == 1 && f[0].shut, "%s, by %zu", v->what, step);
            serve_end();
        }
}

/* --- responses: what an exchange ends with, and its connection -------------------------------- */

static char got[SEEN];
static size_t got_len;

static void note(const char *text)
{
    snprintf(got, sizeof(got), "%s", text);
    got_len = strlen(got);
}

static bool on_head(void *user, struct http_exchange *x, const struct http_head *h, struct now at)
{
    char status[16];
    (void)user, (void)x, (void)at;
    snprintf(status, sizeof(status), "%u:", h->status);
    note(status);
    return true;
}

static size_t on_data(void *user, struct http_exchange *x, const uint8_t *data, size_t len,
                      struct now at)
{
    (void)user, (void)x, (void)at;
    cr_assert_lt(got_len + len, SEEN);
    memcpy(got + got_len, data, len);
    got_len += len;
    got[got_len] = 0;
    return len;
}

static void on_done(void *user, struct http_exchange *x, struct now at)
{
    (void)user, (void)x, (void)at;
}

static void on_failed(void *user, struct http_exchange *x, enum http_failure why, struct now at)
{
    (void)user, (void)x, (void)at;
    note(why == HTTP_FAIL_MALFORMED ? "malformed" : why == HTTP_FAIL_TRUNCATED ? "truncated" : "-");
}

static struct stream *do_connect(void *ctx, const struct endpoint *to,
                                 const struct stream_events *events, void *user, struct now at)
{
    (void)ctx;
    if (opened == 2)
        return NULL;
    struct fake_stream *s = &f[opened++];
    fake_stream_init(s, at);
    s->s.events = events;
    s->s.user = user;
    s->s.remote = *to;
    return &s->s;
}

static void ask(struct http_client *c, unsigned how)
{
    static const struct http_exchange_events events = {
        .head = on_head, .body = on_data, .done = on_done, .failed = on_failed};
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct http_upstream to = {.tag = 7, .n = 1, .at = {{addr_v4(0xc0000201), 80}}};
    unsigned before = opened;
    note("nothing");
    cr_assert_not_null(
        http_client_send(c, &to, request, sizeof(request) - 1, how, &events, NULL, now));
    if (opened > before)
        fake_stream_open(&f[opened - 1]);
}

static void feed(struct fake_stream *s, const char *text, size_t len, size_t step)
{
    for (size_t at = 0; at < len; at += step) {
        fake_stream_feed(s, text + at, len - at < step ? len - at : step);
        fake_stream_poll(s);
    }
}

/* The exchange gets what it should, and the next one what is its own: on the same connection if
 * that is as good as new. */
static void expect_got(const struct vector_response *v, size_t step)
{
    static const struct http_client_config config = {2, 2, 3000, 10000, 5000, 20000};
    static const struct http_client_host host = {NULL, do_connect};
    static const char next[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext";
    struct http_client *c = http_client_create(&config, &host, now);
    opened = 0;
    ask(c, v->how & VECTOR_HEAD ? HTTP_SEND_HEAD : 0);
    feed(&f[0], v->text, v->len, step);
    if (v->how & VECTOR_FIN)
        fake_stream_fin(&f[0]);
    fake_stream_poll(&f[0]);
    cr_expect_str_eq(got, v->got, "%s, by %zu: \"%s\"", v->what, step, got);
    ask(c, 0);
    cr_expect_eq(opened, v->open ? 1 : 2, "%s, by %zu", v->what, step);
    feed(&f[opened - 1], next, sizeof(next) - 1, step);
    cr_expect_str_eq(got, "200:next", "%s, by %zu, the next: \"%s\"", v->what, step, got);
    for (unsigned i = 0; i < opened; i++) {
        fake_stream_close(&f[i], STREAM_RESET);
        fake_stream_free(&f[i]);
    }
    http_client_destroy(c);
}

Test(smuggling, responses)
{
    for (unsigned i = 0; i < vector_responses_n; i++) {
        expect_got(&vector_responses[i], SIZE_MAX);
        expect_got(&vector_responses[i], 1);
        expect_got(&vector_responses[i], 7);
    }
}

Test(smuggling, chunks_of_responses)
{
    static char text[SEEN];
    for (unsigned i = 0; i < vector_chunks_n; i++)
        for (size_t step = 1; step; step = step == 1 ? 7 : step == 7 ? SIZE_MAX : 0) {
            const struct vector_chunks *v = &vector_chunks[i];
            struct vector_response r = {
                .what = v->what, .text = text, .how = VECTOR_FIN, .got = "malformed"};
            r.len = vector_chunked_response(v, text, sizeof(text));
            expect_got(&r, step);
        }
}
