/* SPDX-License-Identifier: BSD-3-Clause */
/* Exchanges: framing undone, pooled connections, every way to fail. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"
#include "tests/http/fake_stream.h"

#define SECOND  1000000u
#define STREAMS 32

static struct http_client *client;
static struct fake_stream f[STREAMS];
static unsigned opened;
static struct now now = {1000000, 784111777};
static const struct endpoint origin = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1}},
                                       80};

static struct log {
    unsigned heads, done, failed, status;
    enum http_failure why;
    char body[256];
    size_t len, take; /* bytes taken a call at most */
    bool refuse_head, abort_in_body, again_in_done;
    const char *upload; /* what is left of the request's body */
    size_t each;        /* bytes of it given a time */
    unsigned interims;
} seen;

static struct http_exchange *send_one(void);

static bool on_head(void *user, struct http_exchange *x, const struct http_head *h, struct now at)
{
    struct log *l = user;
    (void)x;
    (void)at;
    l->heads++;
    l->status = h->status;
    return !l->refuse_head;
}

static size_t on_body(void *user, struct http_exchange *x, const uint8_t *data, size_t len,
                      struct now at)
{
    struct log *l = user;
    (void)at;
    cr_assert_gt(len, 0);
    size_t n = len < l->take ? len : l->take;
    memcpy(l->body + l->len, data, n);
    l->len += n;
    l->body[l->len] = 0;
    if (l->abort_in_body)
        http_exchange_abort(x);
    return n;
}

static uint8_t *on_place(void *user, struct http_exchange *x, size_t ahead, size_t *len,
                         struct now at)
{
    struct log *l = user;
    (void)x;
    (void)at;
    size_t room = sizeof(l->body) - l->len - ahead;
    *len = *len < room ? *len : room;
    return (uint8_t *)l->body + l->len + ahead;
}

static void on_done(void *user, struct http_exchange *x, struct now at)
{
    struct log *l = user;
    (void)x;
    (void)at;
    l->done++;
    if (l->again_in_done) {
        l->again_in_done = false;
        cr_expect_not_null(send_one());
    }
}

static void on_failed(void *user, struct http_exchange *x, enum http_failure why, struct now at)
{
    struct log *l = user;
    (void)x;
    (void)at;
    l->failed++;
    l->why = why;
}

static void on_interim(void *user, struct http_exchange *x, const struct http_head *h)
{
    struct log *l = user;
    (void)x;
    cr_assert(h->status >= 100 && h->status < 200);
    l->interims++;
}

static void on_writable(void *user, struct http_exchange *x, struct now at)
{
    struct log *l = user;
    while (l->upload && *l->upload) {
        size_t len = strlen(l->upload);
        len = len < l->each ? len : l->each;
        size_t n = http_exchange_body(x, (const uint8_t *)l->upload, len, at);
        l->upload += n;
        if (n < len)
            return;
    }
    if (l->upload)
        http_exchange_body_end(x);
    l->upload = NULL;
}

static struct stream *do_connect(void *ctx, const struct endpoint *to,
                                 const struct stream_events *events, void *user, struct now at)
{
    (void)ctx;
    if (opened == STREAMS)
        return NULL;
    struct fake_stream *s = &f[opened++];
    fake_stream_init(s, at);
    s->s.events = events;
    s->s.user = user;
    s->s.remote = *to;
    return &s->s;
}

#define REQUEST "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static struct http_exchange *send_to(uint16_t port, unsigned how)
{
    static const struct http_exchange_events events = {.head = on_head,
                                                       .body = on_body,
                                                       .done = on_done,
                                                       .failed = on_failed,
                                                       .interim = on_interim,
                                                       .writable = on_writable,
                                                       .place = on_place};
    struct endpoint to = origin;
    to.port = port;
    struct http_upstream up = http_upstream_one(&to);
    return http_client_send(client, &up, REQUEST, strlen(REQUEST), how, &events, &seen, now);
}

static struct http_exchange *send_one(void)
{
    return send_to(80, 0);
}

static void start(uint32_t exchanges, uint32_t idle)
{
    static const struct http_client_host host = {NULL, do_connect};
    struct http_client_config config = {exchanges, idle, 3000, 10000, 5000, 60000};
    memset(&seen, 0, sizeof(seen));
    seen.take = SIZE_MAX;
    opened = 0;
    client = http_client_create(&config, &host, now);
}

static void stop(void)
{
    for (unsigned i = 0; i < opened; i++) {
        fake_stream_poll(&f[i]);
        fake_stream_close(&f[i], STREAM_RESET);
    }
    cr_expect_eq(http_client_counters(client)->http_client_exchanges, 0, "all exchanges ended");
    for (unsigned i = 0; i < opened; i++)
        fake_stream_free(&f[i]);
    http_client_destroy(client);
}

static void pass(uint64_t us)
{
    now.mono_us += us;
    http_client_poll(client, now);
    for (unsigned i = 0; i < opened; i++) {
        f[i].now = now;
        fake_stream_poll(&f[i]);
    }
}

/* An exchange on the newest stream, answered with `text`. */
static void exchange(const char *text)
{
    cr_assert_not_null(send_one());
    fake_stream_open(&f[opened - 1]);
    cr_expect_str_eq(fake_stream_text(&f[opened - 1]), REQUEST);
    fake_stream_feed_text(&f[opened - 1], text);
}

Test(client, framings)
{
    static const struct {
        const char *text, *body;
        bool fin, pooled;
    } t[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", false, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", false, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
         "hello", false, true},
        {"HTTP/1.1 200 OK\r\n\r\nhello", "hello", true, false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "", false, true},
        {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 "
         "OK\r\nContent-Length: 1\r\n\r\nx",
         "x", false, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", false, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", "x", false, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n", "x", false, false},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        for (size_t cut = 0; cut < strlen(t[i].text); cut++) {
            bool extra = i == 8 && cut > 0;
            if (extra) /* what follows later is another story */
                continue;
            start(2, 2);
            cr_assert_not_null(send_one());
            fake_stream_open(&f[0]);
            fake_stream_feed(&f[0], t[i].text, cut);
            cr_expect_eq(seen.done, 0);
            fake_stream_feed_text(&f[0], t[i].text + cut);
            if (t[i].fin)
                fake_stream_fin(&f[0]);
            cr_expect(seen.done == 1 && seen.heads == 1 && seen.failed == 0, "%s at %zu", t[i].text,
                      cut);
            cr_expect_str_eq(seen.body, t[i].body);
            cr_expect_eq(http_client_counters(client)->http_client_idle, t[i].pooled, "%s",
                         t[i].text);
            cr_expect_eq(f[0].aborted, !t[i].pooled);
            stop();
        }
}

Test(client, a_head_request_has_no_body)
{
    start(2, 2);
    cr_assert_not_null(send_to(80, HTTP_SEND_HEAD));
    fake_stream_open(&f[0]);
    fake_stream_feed_text(&f[0], "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    cr_expect(seen.done == 1 && seen.len == 0);
    cr_expect_eq(http_client_counters(client)->http_client_idle, 1);
    stop();
}

#define OK_X "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"

Test(client, connections_are_reused)
{
    start(4, 4);
    exchange(OK_X);
    for (unsigned i = 1; i < 5; i++) {
        fake_stream_forget(&f[0]);
        cr_assert_not_null(send_one());
        cr_expect_str_eq(fake_stream_text(&f[0]), REQUEST);
        fake_stream_feed_text(&f[0], OK_X);
        cr_expect_eq(seen.done, i + 1);
    }
    cr_expect_eq(opened, 1);
    cr_assert_not_null(send_to(81, 0));
    cr_expect_eq(opened, 2, "another endpoint, another connection");
    fake_stream_forget(&f[0]);
    seen.again_in_done = true; /* from inside done, on the connection just pooled */
    cr_assert_not_null(send_one());
    fake_stream_feed_text(&f[0], OK_X);
    fake_stream_feed_text(&f[0], OK_X);
    cr_expect_eq(seen.done, 7);
    cr_expect_eq(opened, 2);
    stop();
}

Test(client, a_dead_pooled_connection_is_replaced_silently)
{
    for (unsigned way = 0; way < 3; way++) {
        start(4, 4);
        exchange(OK_X);
        cr_assert_not_null(send_one());
        if (way == 0)
            fake_stream_close(&f[0], STREAM_RESET);
        else if (way == 1)
            fake_stream_fin(&f[0]);
        else
            fake_stream_close(&f[0], STREAM_TIMEOUT);
        cr_assert_eq(opened, 2);
        cr_expect_eq(seen.failed, 0);
        fake_stream_open(&f[1]);
        cr_expect_str_eq(fake_stream_text(&f[1]), REQUEST);
        fake_stream_feed_text(&f[1], OK_X);
        cr_expect_eq(seen.done, 2);
        cr_expect_eq(http_client_counters(client)->http_client_retries_total, 1);
        stop();
    }
    /* once only, and not after a byte */
    start(4, 4);
    exchange(OK_X);
    cr_assert_not_null(send_one());
    fake_stream_close(&f[0], STREAM_RESET);
    fake_stream_open(&f[1]);
    fake_stream_close(&f[1], STREAM_RESET);
    cr_expect(seen.failed == 1 && seen.why == HTTP_FAIL_EARLY && opened == 2);
    exchange(OK_X);
    cr_assert_not_null(send_one());
    fake_stream_feed_text(&f[2], "H");
    fake_stream_close(&f[2], STREAM_RESET);
    cr_expect(seen.failed == 2 && seen.why == HTTP_FAIL_EARLY && opened == 3);
    stop();
}

Test(client, an_idle_connection_that_ends_or_speaks_leaves_the_pool)
{
    start(4, 4);
    exchange(OK_X);
    fake_stream_fin(&f[0]);
    cr_expect(f[0].shut);
    exchange(OK_X);
    cr_expect_eq(opened, 2);
    fake_stream_feed_text(&f[1], "HTTP/1.1 200 OK\r\n\r\n");
    cr_expect(f[1].aborted);
    exchange(OK_X);
    cr_expect_eq(opened, 3);
    fake_stream_close(&f[2], STREAM_RESET);
    exchange(OK_X);
    cr_expect_eq(opened, 4);
    pass(61 * SECOND);
    cr_expect(f[3].closed);
    cr_expect_eq(http_client_counters(client)->http_client_idle, 0);
    stop();
}

Test(client, the_pool_is_bounded)
{
    start(16, 10);
    for (unsigned i = 0; i < 12; i++) {
        cr_assert_not_null(send_to((uint16_t)(i < 9 ? 80 : 100 + i), 0));
        fake_stream_open(&f[i]);
    }
    for (unsigned i = 0; i < 12; i++)
        fake_stream_feed_text(&f[i], OK_X);
    cr_expect_eq(seen.done, 12);
    cr_expect_eq(http_client_counters(client)->http_client_idle, 10);
    cr_expect(f[0].aborted && f[1].aborted && !f[2].aborted,
              "8 an endpoint, the oldest goes first");
    stop();
}

Test(client, full_is_null)
{
    start(2, 0);
    static char big[20000];
    struct http_exchange_events none = {
        .head = on_head, .body = on_body, .done = on_done, .failed = on_failed};
    struct http_upstream up = http_upstream_one(&origin);
    cr_expect_null(http_client_send(client, &up, big, sizeof(big), false, &none, NULL, now));
    struct http_exchange *x = send_one();
    cr_assert_not_null(x);
    cr_assert_not_null(send_one());
    cr_expect_null(send_one());
    http_exchange_abort(x);
    cr_assert_not_null(send_one());
    for (unsigned i = 0; i < 3; i++)
        fake_stream_close(&f[i], STREAM_REFUSED);
    cr_expect_eq(seen.failed, 2);
    stop();
}

Test(client, bodies_cut_short)
{
    static const struct {
        const char *text;
        bool fin; /* or reset */
    } t[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", true},
        {"HTTP/1.1 200 OK\r\n\r\nhello", false},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        start(2, 2);
        exchange(t[i].text);
        if (t[i].fin)
            fake_stream_fin(&f[0]);
        else
            fake_stream_close(&f[0], STREAM_RESET);
        cr_expect(seen.done == 0 && seen.failed == 1 && seen.why == HTTP_FAIL_TRUNCATED, "%s",
                  t[i].text);
        stop();
    }
}

Test(client, heads_that_fail)
{
    static const struct {
        const char *text;
        enum http_failure why;
    } t[] = {
        {"", HTTP_FAIL_EARLY},
        {"HTTP/1.1 200 OK\r\nContent", HTTP_FAIL_EARLY},
        {"SSH-2.0-x\r\n", HTTP_FAIL_MALFORMED},
        {"HTTP/1.1 101 Switching\r\n\r\n", HTTP_FAIL_MALFORMED},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", HTTP_FAIL_MALFORMED},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", HTTP_FAIL_MALFORMED},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        start(2, 2);
        exchange(t[i].text);
        fake_stream_fin(&f[0]);
        cr_expect(seen.done == 0 && seen.failed == 1 && seen.why == t[i].why, "%s", t[i].text);
        cr_expect(f[0].aborted);
        stop();
    }
    start(2, 2); /* interim responses without end */
    exchange("");
    for (unsigned i = 0; i < 9; i++)
        fake_stream_feed_text(&f[0], "HTTP/1.1 100 Continue\r\n\r\n");
    cr_expect(seen.failed == 1 && seen.why == HTTP_FAIL_MALFORMED);
    stop();
}

Test(client, time_outs)
{
    start(4, 4);
    cr_assert_not_null(send_one());
    pass(2 * SECOND);
    cr_expect_eq(seen.failed, 0);
    pass(2 * SECOND);
    cr_expect(seen.failed == 1 && seen.why == HTTP_FAIL_CONNECT && f[0].closed);

    exchange("HTTP/1.1 200");
    pass(9 * SECOND);
    fake_stream_feed_text(&f[1], " OK");
    pass(2 * SECOND);
    cr_expect(seen.failed == 2 && seen.why == HTTP_FAIL_TIMEOUT && f[1].closed);

    exchange("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n");
    for (unsigned i = 0; i < 10; i++) {
        pass(4 * SECOND);
        fake_stream_feed_text(&f[2], "x");
    }
    cr_expect_eq(seen.failed, 2);
    pass(6 * SECOND);
    cr_expect(seen.failed == 3 && seen.why == HTTP_FAIL_TIMEOUT);
    cr_expect_eq(http_client_deadline_us(client), UINT64_MAX);
    stop();
}

Test(client, a_refused_connection)
{
    start(2, 2);
    cr_assert_not_null(send_one());
    fake_stream_close(&f[0], STREAM_REFUSED);
    cr_expect(seen.failed == 1 && seen.why == HTTP_FAIL_CONNECT);
    stop();
}

Test(client, the_owner_sets_the_pace)
{
    static const struct {
        const char *text;
        bool fin;
    } t[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
         "chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n",
         false},
        {"HTTP/1.1 200 OK\r\n\r\n0123456789", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", true},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        start(2, 2);
        seen.take = 3;
        struct http_exchange *x = send_one();
        fake_stream_open(&f[0]);
        fake_stream_feed_text(&f[0], t[i].text);
        cr_expect_eq(seen.len, 3);
        if (t[i].fin)
            fake_stream_fin(&f[0]);
        pass(100 * SECOND); /* our own pause is no time-out of theirs */
        cr_expect_eq(seen.len, 3);
        for (unsigned k = 0; k < 10 && !seen.done; k++) {
            http_exchange_resume(x);
            pass(SECOND);
        }
        cr_expect_str_eq(seen.body, "0123456789");
        cr_expect(seen.done == 1 && seen.failed == 0, "%s", t[i].text);
        stop();
    }
}

Test(client, truncated_while_paused)
{
    start(2, 2);
    seen.take = 3;
    struct http_exchange *x = send_one();
    fake_stream_open(&f[0]);
    fake_stream_feed_text(&f[0], "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789");
    fake_stream_fin(&f[0]);
    for (unsigned k = 0; k < 10 && !seen.failed; k++) {
        http_exchange_resume(x);
        pass(SECOND);
    }
    cr_expect(seen.len == 10 && seen.why == HTTP_FAIL_TRUNCATED);
    stop();
}

Test(client, aborts)
{
    start(4, 4);
    seen.refuse_head = true;
    exchange(OK_X);
    cr_expect(f[0].aborted && seen.heads == 1 && seen.done + seen.failed == 0);
    seen.refuse_head = false;
    seen.abort_in_body = true;
    exchange(OK_X);
    cr_expect(f[1].aborted && seen.len == 1 && seen.done + seen.failed == 0);
    struct http_exchange *x = send_one();
    http_exchange_abort(x);
    cr_expect(f[2].aborted);
    fake_stream_open(&f[2]);
    stop();
    cr_expect_eq(seen.done + seen.failed, 0);
}

Test(client, a_request_through_a_narrow_queue)
{
    start(2, 2);
    cr_assert_not_null(send_one());
    f[0].slow = true;
    f[0].queue_room = 4;
    fake_stream_open(&f[0]);
    for (unsigned i = 0; i < 20; i++) {
        fake_stream_read(&f[0], 3);
        fake_stream_poll(&f[0]);
    }
    cr_expect_str_eq(fake_stream_text(&f[0]), REQUEST);
    stop();
}

static struct stream_place place(unsigned i, size_t ahead, size_t len)
{
    return f[i].s.events->place(&f[i].s, ahead, len, now);
}

/* Where a body byte goes is known before those in front of it are here, if nothing can be between
 * them: in a body of known length, up to its end. */
Test(client, the_place_of_body_bytes_is_known_up_to_the_end_of_the_body)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n";
    start(4, 4);
    cr_assert_not_null(send_one());
    cr_expect_null(place(0, 0, 1).at);
    fake_stream_open(&f[0]);
    fake_stream_feed(&f[0], head, strlen(head) - 1);
    cr_expect_null(place(0, 5, 1).at, "in the head");
    fake_stream_feed_text(&f[0], "\n123");
    struct stream_place p = place(0, 4, 10), q = place(0, 14, 100);
    cr_expect(p.at == (uint8_t *)seen.body + 7 && p.len == 10);
    cr_expect(q.at == (uint8_t *)seen.body + 17 && q.len == 3 && q.of == p.of);
    cr_expect_null(place(0, 17, 1).at, "after the body");
    seen.take = 0; /* the owner pauses: what it gave stays where it was */
    fake_stream_feed_text(&f[0], "4");
    cr_expect_eq(place(0, 4, 10).at, p.at);
    seen.take = SIZE_MAX;
    fake_stream_feed_text(&f[0], "5678901234567890");
    cr_expect_eq(seen.done, 0, "paused");
    stop();

    start(4, 4);
    exchange("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx");
    p = place(0, 0, 9);
    cr_expect_eq(p.len, 1);
    fake_stream_feed_text(&f[0], "y");
    cr_expect(seen.done == 1 && !place(0, 0, 1).at, "in the pool");
    fake_stream_forget(&f[0]);
    cr_assert_not_null(send_one());
    fake_stream_feed_text(&f[0], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    q = place(0, 0, 9);
    cr_expect(q.at && q.len == 2 && q.of != p.of, "another body");
    seen.abort_in_body = true;
    fake_stream_feed_text(&f[0], "z");
    cr_expect(f[0].aborted && !place(0, 0, 1).at);
    stop();

    static const char *const elsewhere[] = {
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    };
    for (unsigned i = 0; i < 2; i++) {
        start(4, 4);
        exchange(elsewhere[i]);
        cr_expect_null(place(0, 1, 1).at, "%s", elsewhere[i]);
        stop();
    }
}

/* Response queue poisoning: an answer that came before the request can't be to it. */
Test(client, what_nobody_asked_for_is_no_answer)
{
    start(4, 4);
    exchange(OK_X);
    cr_assert(seen.done == 1 && http_client_counters(client)->http_client_idle == 1);
    fake_stream_feed_text(&f[0], OK_X); /* on an idle connection */
    cr_expect(f[0].aborted && http_client_counters(client)->http_client_idle == 0);

    exchange(OK_X);
    cr_assert(seen.done == 2 && opened == 2);
    f[1].slow = true; /* this was on its way when the next request was sent */
    cr_assert_not_null(send_one());
    cr_assert_eq(opened, 2);
    fake_stream_feed_text(&f[1], "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    cr_assert(f[1].aborted && opened == 3, "asked again on a new connection");
    fake_stream_poll(&f[1]);
    fake_stream_open(&f[2]);
    cr_expect_str_eq(fake_stream_text(&f[2]), REQUEST);
    fake_stream_feed_text(&f[2], OK_X);
    cr_expect(seen.done == 3 && seen.failed == 0 && strstr(seen.body, "evil") == NULL);
    cr_expect_eq(http_client_counters(client)->http_client_unasked_total, 2);

    f[2].slow = true; /* one byte of it was read: it may be the answer */
    cr_assert_not_null(send_one());
    fake_stream_read(&f[2], 1);
    fake_stream_feed_text(&f[2], OK_X);
    cr_expect(seen.done == 4 && opened == 3);
    stop();
}

Test(client, an_interim_response_in_doubt_is_the_last_of_its_connection)
{
    static const char *const interim[] = {
        "HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 103 E\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 E\r\nConnection: close\r\n\r\n",
    };
    for (unsigned i = 0; i < 3; i++) {
        char text[256];
        snprintf(text, sizeof(text), "%s%s", interim[i], OK_X);
        start(4, 4);
        exchange(text);
        cr_expect(seen.done == 1 && f[0].aborted, "%s", interim[i]);
        stop();
    }
}

/* --- bodies of requests ----------------------------------------------------------------------- */

#define UPLOAD (HTTP_SEND_ONCE | HTTP_SEND_BODY)
#define OK     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* Is it these bytes in the chunked coding? */
static bool is_chunked(const char *text, const char *bytes)
{
    struct http_chunked k;
    char body[64] = "";
    size_t len = 0, used;
    struct http_text span;
    enum http_error e = HTTP_AGAIN;
    http_chunked_init(&k);
    for (size_t at = 0; e == HTTP_AGAIN && at < strlen(text); at += used) {
        e = http_chunked_next(&k, (const uint8_t *)text + at, strlen(text) - at, &used, &span);
        if (span.len)
            memcpy(body + len, span.p, span.len);
        len += span.len;
    }
    return e == HTTP_OK && len == strlen(bytes) && memcmp(body, bytes, len) == 0;
}

static void upload_through(size_t room, size_t each, bool chunked)
{
    start(4, 4);
    seen.upload = "0123456789";
    seen.each = each;
    cr_assert_not_null(send_to(80, UPLOAD | (chunked ? HTTP_SEND_CHUNKED : 0)));
    f[0].queue_room = room;
    f[0].slow = true;
    fake_stream_open(&f[0]);
    for (unsigned i = 0; i < 400; i++) {
        fake_stream_read(&f[0], 1);
        fake_stream_poll(&f[0]);
    }
    cr_assert_null(seen.upload);
    const char *text = fake_stream_text(&f[0]), *body = text + strlen(REQUEST);
    cr_assert_eq(strncmp(text, REQUEST, strlen(REQUEST)), 0);
    cr_assert(chunked ? is_chunked(body, "0123456789") : strcmp(body, "0123456789") == 0,
              "room %zu, each %zu: %s", room, each, text);
    fake_stream_feed_text(&f[0], OK);
    fake_stream_poll(&f[0]);
    cr_assert_eq(seen.done, 1);
    cr_assert_eq(http_client_counters(client)->http_client_idle, 1);
    stop();
}

Test(client, a_body_goes_out_as_there_is_room_in_either_framing)
{
    for (size_t room = 1; room < 60; room++)
        for (size_t each = 1; each <= 10; each += 3) {
            upload_through(room, each, false);
            upload_through(room, each, true);
        }
}

Test(client, what_must_not_be_sent_twice_has_a_connection_of_its_own_and_no_second)
{
    start(4, 4);
    cr_assert_not_null(send_one());
    fake_stream_open(&f[0]);
    fake_stream_feed_text(&f[0], OK);
    fake_stream_poll(&f[0]);
    cr_assert_eq(http_client_counters(client)->http_client_idle, 1);
    cr_assert_not_null(send_to(80, HTTP_SEND_ONCE));
    cr_assert_eq(opened, 2);
    fake_stream_open(&f[1]);
    fake_stream_close(&f[1], STREAM_RESET);
    cr_expect(seen.failed == 1 && seen.why == HTTP_FAIL_EARLY && opened == 2);
    stop();
}

Test(client, an_answer_before_the_end_of_the_body_leaves_a_connection_that_nobody_uses_again)
{
    start(4, 4);
    seen.upload = "0123456789";
    seen.each = 5;
    cr_assert_not_null(send_to(80, UPLOAD));
    f[0].queue_room = strlen(REQUEST) + 3;
    f[0].slow = true;
    fake_stream_open(&f[0]);
    fake_stream_feed_text(&f[0], "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
    fake_stream_poll(&f[0]);
    cr_expect(seen.done == 1 && seen.status == 413 && f[0].aborted);
    cr_expect_eq(http_client_counters(client)->http_client_idle, 0);
    stop();
}

Test(client, interim_answers_are_told_and_count_for_nothing_else)
{
    start(4, 4);
    cr_assert_not_null(send_one());
    fake_stream_open(&f[0]);
    fake_stream_feed_text(&f[0], "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: <a>\r\n\r\n" OK);
    fake_stream_poll(&f[0]);
    cr_expect(seen.interims == 2 && seen.heads == 1 && seen.done == 1 && seen.status == 200);
    stop();
}
