/* SPDX-License-Identifier: BSD-3-Clause */
/* Server connections: requests in order, time-outs, drain, what is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"
#include "tests/http/fake_stream.h"

#define SECOND 1000000u

/* A handler that answers at once, or keeps requests for the test to answer. */
static struct {
    bool later;
    unsigned requests, gone;
    struct http_conn *conn[8];
    unsigned waiting;
    char target[8][64];
} seen;

static struct http_server *server;
static struct fake_stream f;
static struct now now = {5 * SECOND, 784111777};

static void answer(struct http_conn *c, const char *body)
{
    char head[256];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n",
                     strlen(body), http_conn_keeps_alive(c) ? "" : "Connection: close\r\n");
    cr_assert(http_respond_head(c, head, (size_t)n, (int64_t)strlen(body)));
    cr_assert_eq(http_respond_copy(c, body, strlen(body)), strlen(body));
    http_respond_end(c, now);
}

static void on_request(void *ctx, struct http_conn *c, const struct http_head *h, struct now at)
{
    (void)ctx;
    (void)at;
    unsigned i = seen.requests++ % 8;
    snprintf(seen.target[i], sizeof(seen.target[i]), "%.*s", (int)h->target.len, h->target.p);
    if (h->method == HTTP_OTHER_METHOD)
        http_respond_error(c, 405, "no\n", 0, false, now);
    else if (seen.later)
        seen.conn[seen.waiting++] = c;
    else
        answer(c, seen.target[i]);
}

static void on_writable(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx;
    (void)c;
    (void)request;
    (void)at;
}

static void on_gone(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx;
    (void)c;
    (void)request;
    (void)at;
    seen.gone++;
}

static void start(unsigned connections)
{
    static const struct http_handler handler = {
        .request = on_request, .writable = on_writable, .gone = on_gone};
    struct http_server_config config = {connections, 60000, 10000, 20000};
    memset(&seen, 0, sizeof(seen));
    server = http_server_create(&config, &handler, now);
    fake_stream_init(&f, now);
    cr_assert(http_server_accept(server, &f.s, now));
}

static void stop(void)
{
    fake_stream_close(&f, STREAM_RESET);
    cr_expect_eq(http_server_connections(server), 0);
    http_server_destroy(server);
    fake_stream_free(&f);
}

static void pass(uint64_t us)
{
    now.mono_us += us;
    f.now = now;
    http_server_poll(server, now);
    fake_stream_poll(&f);
}

static unsigned count(const char *what)
{
    unsigned n = 0;
    for (const char *p = fake_stream_text(&f); (p = strstr(p, what)); p++)
        n++;
    return n;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

Test(server, answers_in_order_what_came_in_one_piece)
{
    start(4);
    fake_stream_feed_text(&f, GET("/1") GET("/2") GET("/3") "GET /4");
    fake_stream_poll(&f);
    cr_expect_eq(seen.requests, 3);
    const char *t = fake_stream_text(&f);
    cr_expect(strstr(t, "\r\n\r\n/1HTTP") && strstr(t, "\r\n\r\n/2HTTP") &&
              strstr(t, "\r\n\r\n/3"));
    fake_stream_feed_text(&f, " HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_expect_eq(seen.requests, 4);
    stop();
}

Test(server, takes_a_request_split_at_every_byte)
{
    const char *text = GET("/a") GET("/b");
    for (size_t n = 1; n < strlen(text); n++) {
        start(4);
        fake_stream_feed(&f, text, n);
        fake_stream_feed(&f, text + n, strlen(text) - n);
        fake_stream_poll(&f);
        cr_expect_eq(seen.requests, 2, "split at %zu", n);
        cr_expect_eq(count("200 OK"), 2);
        stop();
    }
}

Test(server, pipelined_requests_wait_for_the_one_before)
{
    start(4);
    seen.later = true;
    fake_stream_feed_text(&f, GET("/1") GET("/2"));
    fake_stream_feed_text(&f, GET("/3"));
    fake_stream_poll(&f);
    for (unsigned i = 1; i <= 3; i++) {
        cr_assert_eq(seen.requests, i);
        cr_assert_eq(count("200 OK"), i - 1);
        answer(seen.conn[i - 1], "x");
        fake_stream_poll(&f);
    }
    cr_expect_eq(f.in_len, 0);
    cr_expect_eq(http_server_counters(server)->http_responses_total, 3);
    stop();
}

Test(server, closes_when_asked_to)
{
    start(4);
    fake_stream_feed_text(&f, "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/2"));
    fake_stream_poll(&f);
    cr_expect_eq(seen.requests, 1);
    cr_expect_eq(count("Connection: close"), 1);
    cr_expect(f.shut && !f.aborted);
    fake_stream_fin(&f);
    fake_stream_poll(&f);
    cr_expect(f.closed);
    cr_expect_eq(http_server_connections(server), 0);
    stop();
}

Test(server, http_1_0_closes_unless_told)
{
    start(4);
    fake_stream_feed_text(&f, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    cr_expect_not(f.shut);
    fake_stream_feed_text(&f, "GET /2 HTTP/1.0\r\n\r\n");
    cr_expect(f.shut);
    stop();
}

Test(server, a_client_that_shuts_its_side_gets_all_answers)
{
    start(4);
    seen.later = true;
    fake_stream_feed_text(&f, GET("/1") GET("/2"));
    fake_stream_fin(&f);
    fake_stream_poll(&f);
    answer(seen.conn[0], "x");
    fake_stream_poll(&f);
    cr_assert_eq(seen.waiting, 2);
    answer(seen.conn[1], "y");
    fake_stream_poll(&f);
    cr_expect_eq(count("200 OK"), 2);
    cr_expect(f.closed && !f.aborted);
    stop();
}

Test(server, refuses_and_closes)
{
    static char long_url[HTTP_URL_MAX + 64] = "GET /";
    memset(long_url + 5, 'a', HTTP_URL_MAX);
    static const struct {
        const char *text, *status;
    } t[] = {
        {"GET / HTTP/1.1\r\n\r\n", "400"},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
        {long_url, "414"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501"},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", "417"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n" GET("/smuggled"), "405"},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        start(4);
        fake_stream_feed_text(&f, t[i].text);
        fake_stream_feed_text(&f, GET("/after"));
        fake_stream_poll(&f);
        cr_expect(strncmp(fake_stream_text(&f) + 9, t[i].status, 3) == 0, "%s: %s", t[i].status,
                  fake_stream_text(&f));
        cr_expect_eq(count("HTTP/1.1 "), 1);
        cr_expect_eq(count("Connection: close\r\n"), 1);
        cr_expect(f.shut && f.in_len == 0);
        pass(SECOND);
        cr_expect_not(f.closed);
        pass(2 * SECOND); /* the peer never closes: patience ends */
        cr_expect(f.closed);
        stop();
    }
}

Test(server, bodies_and_expectations_that_are_fine)
{
    start(4);
    fake_stream_feed_text(&f, "GET /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
                              "GET /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n"
                              "PUT /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" GET("/4"));
    cr_expect_eq(count("200 OK"), 3);
    cr_expect_eq(count("405 Method"), 1);
    cr_expect_not(f.shut);
    stop();
}

Test(server, a_head_that_never_ends_is_431)
{
    start(4);
    fake_stream_feed_text(&f, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 0; i < 400 && !f.shut; i++) {
        char line[80];
        memset(line, 'a', sizeof(line));
        fake_stream_feed(&f, i ? "a" : "X: ", i ? 1 : 3);
        fake_stream_feed(&f, line, sizeof(line));
    }
    cr_expect(f.shut && strstr(fake_stream_text(&f), "HTTP/1.1 431 "));
    stop();
}

Test(server, a_head_that_trickles_times_out)
{
    start(4);
    for (unsigned i = 0; i < 9; i++) {
        fake_stream_feed_text(&f, i ? "a" : "GET /");
        pass(SECOND);
        cr_assert_eq(f.out_len, 0);
    }
    pass(2 * SECOND);
    cr_expect(strstr(fake_stream_text(&f), "HTTP/1.1 408 ") && f.shut);
    stop();
}

Test(server, an_idle_connection_is_closed_quietly)
{
    start(4);
    fake_stream_feed_text(&f, GET("/"));
    fake_stream_poll(&f);
    fake_stream_forget(&f);
    pass(59 * SECOND);
    cr_expect_not(f.shut);
    cr_expect_leq(http_server_deadline_us(server), now.mono_us + SECOND);
    pass(2 * SECOND);
    cr_expect(f.shut && !f.aborted);
    cr_expect_eq(f.out_len, 0);
    stop();
}

Test(server, a_client_that_reads_nothing_is_reset)
{
    start(4);
    seen.later = f.slow = true;
    f.queue_room = 1000;
    fake_stream_feed_text(&f, GET("/"));
    cr_assert(http_respond_head(seen.conn[0], "HTTP/1.1 200 OK\r\n\r\n", 19, 5000));
    char body[5000];
    memset(body, 'x', sizeof(body));
    cr_expect_eq(http_respond_copy(seen.conn[0], body, sizeof(body)), 981);
    for (unsigned i = 0; i < 50; i++) { /* slow, but it moves */
        fake_stream_read(&f, 1);
        pass(SECOND);
        cr_assert_not(f.aborted);
    }
    f.wants_writable = false;
    pass(10 * SECOND);
    cr_expect_not(f.aborted);
    pass(10 * SECOND);
    pass(10 * SECOND);
    cr_expect(f.closed && f.aborted);
    cr_expect_eq(seen.gone, 1);
    stop();
}

Test(server, a_client_gone_in_mid_response)
{
    start(4);
    seen.later = true;
    fake_stream_feed_text(&f, GET("/"));
    cr_assert(http_respond_head(seen.conn[0], "HTTP/1.1 200 OK\r\n\r\n", 19, 5));
    fake_stream_close(&f, STREAM_RESET);
    cr_expect_eq(seen.gone, 1);
    cr_expect_eq(http_server_connections(server), 0);
    stop();
}

Test(server, drains)
{
    struct fake_stream idle;
    start(4);
    seen.later = true;
    fake_stream_init(&idle, now);
    cr_assert(http_server_accept(server, &idle.s, now));
    fake_stream_feed_text(&f, GET("/1"));
    http_server_drain(server);
    answer(seen.conn[0], "whole");
    fake_stream_poll(&f);
    cr_expect(strstr(fake_stream_text(&f), "Connection: close\r\n\r\nwhole") && f.shut);
    pass(SECOND / 2);
    cr_expect_not(idle.shut); /* a request may be under way */
    pass(SECOND);
    cr_expect(idle.shut && !idle.aborted);
    fake_stream_close(&idle, STREAM_DONE);
    fake_stream_free(&idle);
    stop();
}

Test(server, what_does_not_end_while_draining_is_cut)
{
    struct fake_stream idle;
    start(4);
    seen.later = true;
    fake_stream_init(&idle, now);
    cr_assert(http_server_accept(server, &idle.s, now));
    fake_stream_feed_text(&f, GET("/1"));
    http_server_drain(server);
    http_server_cut(server);
    cr_expect(idle.aborted && f.aborted);
    fake_stream_poll(&f);
    fake_stream_poll(&idle);
    cr_expect_eq(seen.gone, 1, "the handler forgets the request");
    cr_expect_eq(http_server_connections(server), 0);
    fake_stream_free(&idle);
    stop();
}

Test(server, a_full_table_closes_who_idles_longest)
{
    struct fake_stream more[3];
    start(3);
    fake_stream_feed_text(&f, GET("/")); /* f has asked and idles since now */
    for (unsigned i = 0; i < 3; i++)
        fake_stream_init(&more[i], now);
    cr_assert(http_server_accept(server, &more[0].s, now));
    cr_assert(http_server_accept(server, &more[1].s, now));
    cr_expect(f.shut, "the oldest makes room");
    cr_expect_not(http_server_accept(server, &more[2].s, now), "full");
    cr_expect_eq(http_server_counters(server)->http_connections_refused_total, 1);
    fake_stream_close(&f, STREAM_DONE);
    cr_expect(http_server_accept(server, &more[2].s, now));
    for (unsigned i = 0; i < 3; i++) {
        fake_stream_close(&more[i], STREAM_DONE);
        fake_stream_free(&more[i]);
    }
    stop();
}
