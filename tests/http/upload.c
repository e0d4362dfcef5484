/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies of requests at the server: whole, in pieces, at the handler's pace, and broken. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/http/http.h"
#include "tests/http/fake_stream.h"

#define SECOND 1000000u

static struct {
    struct http_conn *conn;
    bool refuses; /* does not want the body */
    bool early;   /* answers before it has come */
    char body[4096];
    size_t len, take; /* bytes taken in all, at most */
    unsigned requests, ends, gone, refused;
} seen;

static struct http_server *server;
static struct fake_stream f;
static struct now now = {5 * SECOND, 784111777};

static void answer(struct http_conn *c)
{
    char head[128];
    int n = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n%s\r\n",
                     http_conn_keeps_alive(c) ? "" : "Connection: close\r\n");
    cr_assert(http_respond_head(c, head, (size_t)n, 2));
    cr_assert_eq(http_respond_copy(c, "ok", 2), 2);
    http_respond_end(c, now);
}

static void on_request(void *ctx, struct http_conn *c, const struct http_head *h, struct now at)
{
    (void)ctx;
    seen.requests++;
    seen.conn = c;
    seen.len = 0;
    http_conn_set_request(c, &seen);
    bool reads = http_has_body(h) && !seen.refuses;
    if (reads && !http_conn_read_body(c, h, at)) {
        seen.refused++;
        http_respond_error(c, 503, "busy\n", 1, false, at);
    } else if (!reads || seen.early) {
        answer(c);
    }
}

static size_t on_body(void *ctx, struct http_conn *c, void *request, const uint8_t *data,
                      size_t len, struct now at)
{
    (void)ctx, (void)at;
    cr_assert(c == seen.conn && request == &seen && len > 0);
    size_t n = seen.len + len > seen.take ? seen.take - seen.len : len;
    memcpy(seen.body + seen.len, data, n);
    seen.len += n;
    seen.body[seen.len] = 0;
    return n;
}

static void on_body_end(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx, (void)at;
    cr_assert(c == seen.conn && request == &seen);
    seen.ends++;
    answer(c);
}

static void on_writable(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx, (void)c, (void)request, (void)at;
}

static void on_gone(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx, (void)c, (void)request, (void)at;
    seen.gone++;
}

static void start(void)
{
    static const struct http_handler handler = {.request = on_request,
                                                .body = on_body,
                                                .body_end = on_body_end,
                                                .writable = on_writable,
                                                .gone = on_gone};
    struct http_server_config config = {4, 60000, 10000, 20000};
    memset(&seen, 0, sizeof(seen));
    seen.take = sizeof(seen.body) - 1;
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

static bool says(const char *what)
{
    return strstr(fake_stream_text(&f), what) != NULL;
}

#define POST   "POST /a HTTP/1.1\r\nHost: a\r\n"
#define LENGTH POST "Content-Length: 10\r\n\r\n0123456789"
#define CHUNKED                                                                                    \
    POST "Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\nT: x\r\n\r\n"
#define AFTER "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"

Test(upload, comes_whole_however_it_is_cut_and_the_next_request_after_it)
{
    static const char *const texts[] = {LENGTH AFTER, CHUNKED AFTER};
    for (unsigned t = 0; t < 2; t++)
        for (size_t cut = 1; cut < strlen(texts[t]); cut++) {
            start();
            fake_stream_feed(&f, texts[t], cut);
            fake_stream_poll(&f);
            fake_stream_feed(&f, texts[t] + cut, strlen(texts[t]) - cut);
            fake_stream_poll(&f);
            cr_assert(seen.requests == 2 && seen.ends == 1, "cut at %zu", cut);
            cr_assert_str_eq(seen.body, "0123456789");
            cr_assert_not(says("close"));
            stop();
        }
}

Test(upload, waits_for_who_takes_less_than_is_there)
{
    static const char *const texts[] = {LENGTH AFTER, CHUNKED AFTER};
    for (unsigned t = 0; t < 2; t++) {
        start();
        seen.take = 0;
        fake_stream_feed_text(&f, texts[t]);
        pass(30 * SECOND); /* nor does the client have to hurry meanwhile */
        cr_assert(seen.ends == 0 && seen.gone == 0);
        for (unsigned i = 1; i <= 10; i++) {
            cr_assert_eq(seen.len, i - 1);
            seen.take = i;
            http_conn_resume(seen.conn);
            fake_stream_poll(&f);
        }
        cr_assert(seen.requests == 2 && seen.ends == 1);
        cr_assert_str_eq(seen.body, "0123456789");
        stop();
    }
}

Test(upload, is_as_long_as_it_says_though_the_end_is_in_no_piece_alone)
{
    start();
    fake_stream_feed_text(&f, POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" AFTER);
    fake_stream_poll(&f);
    cr_expect(seen.ends == 1 && seen.requests == 2, "an empty one ends, too");
    stop();
}

Test(upload, stalls_or_breaks_and_is_answered_so)
{
    start();
    fake_stream_feed_text(&f, POST "Content-Length: 10\r\n\r\n0123");
    pass(19 * SECOND);
    fake_stream_feed_text(&f, "4"); /* slow is not stalled */
    pass(19 * SECOND);
    cr_expect_eq(seen.gone, 0);
    for (int i = 0; i < 8; i++)
        pass(5 * SECOND);
    cr_expect(seen.gone == 1 && says("HTTP/1.1 408 ") && says("Connection: close") && f.shut);
    cr_expect_eq(http_server_counters(server)->http_body_timeouts_total, 1);
    stop();

    start();
    fake_stream_feed_text(&f, POST "Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\nx\r\n" AFTER);
    fake_stream_poll(&f);
    cr_expect(seen.gone == 1 && says("HTTP/1.1 400 ") && f.shut);
    cr_expect(seen.requests == 1, "what follows is no request");
    stop();

    start();
    fake_stream_feed_text(&f, POST "Content-Length: 10\r\n\r\n0123");
    fake_stream_fin(&f);
    fake_stream_poll(&f);
    cr_expect(seen.gone == 1 && seen.ends == 0 && says("HTTP/1.1 400 "));
    cr_expect_eq(http_server_counters(server)->http_body_broken_total, 1);
    stop();
}

Test(upload, a_client_that_shuts_its_side_after_it_gets_its_answer)
{
    start();
    seen.take = 4;
    fake_stream_feed_text(&f, LENGTH);
    fake_stream_fin(&f);
    fake_stream_poll(&f);
    cr_expect_eq(seen.gone, 0);
    seen.take = 100;
    http_conn_resume(seen.conn);
    fake_stream_poll(&f);
    cr_expect(seen.ends == 1 && says("200 OK") && f.closed && !f.aborted);
    stop();
}

Test(upload, one_that_is_answered_before_its_end_closes_and_none_takes_its_rest_for_a_request)
{
    for (unsigned refuses = 0; refuses < 2; refuses++) {
        start();
        seen.refuses = refuses;
        seen.early = !refuses;
        fake_stream_feed_text(&f, POST "Content-Length: 40\r\n\r\n" AFTER);
        fake_stream_feed_text(&f, AFTER);
        fake_stream_poll(&f);
        cr_expect(seen.requests == 1 && says("Connection: close") && f.shut);
        stop();
    }
}

Test(upload, no_more_than_there_is_memory_for)
{
    struct fake_stream more[16];
    static const struct http_handler handler = {.request = on_request,
                                                .body = on_body,
                                                .body_end = on_body_end,
                                                .writable = on_writable,
                                                .gone = on_gone};
    struct http_server_config config = {16, 60000, 10000, 20000};
    memset(&seen, 0, sizeof(seen));
    server = http_server_create(&config, &handler, now);
    for (unsigned i = 0; i < 16; i++) {
        fake_stream_init(&more[i], now);
        cr_assert(http_server_accept(server, &more[i].s, now));
        fake_stream_feed_text(&more[i], POST "Content-Length: 10\r\n\r\n");
        fake_stream_poll(&more[i]);
    }
    cr_expect(seen.refused > 0 && seen.refused < 16);
    cr_expect_eq(http_server_counters(server)->http_body_full_total, seen.refused);
    for (unsigned i = 0; i < 16; i++)
        fake_stream_close(&more[i], STREAM_RESET);
    cr_expect_eq(seen.gone, 16 - seen.refused);
    for (unsigned i = 0; i < 16; i++)
        fake_stream_free(&more[i]);
    http_server_destroy(server);
}

Test(upload, who_waits_for_100_hears_it_once_it_is_said)
{
    static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
    start();
    fake_stream_feed_text(&f, POST "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n");
    fake_stream_poll(&f);
    cr_assert_not(says("100"));
    http_respond_interim(seen.conn, go, sizeof(go) - 1);
    fake_stream_poll(&f);
    cr_assert(says(go));
    fake_stream_feed_text(&f, "0123456789");
    fake_stream_poll(&f);
    cr_expect(seen.ends == 1 && says("200 OK"));
    http_respond_interim(seen.conn, go, sizeof(go) - 1);
    fake_stream_poll(&f);
    cr_expect_eq(strstr(fake_stream_text(&f), go), fake_stream_text(&f), "never after the answer");
    cr_expect_null(strstr(fake_stream_text(&f) + 1, go));
    stop();

    start();
    fake_stream_feed_text(&f, "POST /a HTTP/1.0\r\nContent-Length: 10\r\n\r\n");
    http_respond_interim(seen.conn, go, sizeof(go) - 1);
    fake_stream_poll(&f);
    cr_expect_not(says("100"), "HTTP/1.0 knows no interim ones");
    stop();
}

Test(upload, an_interim_answer_that_does_not_fit_goes_before_the_final_one)
{
    static const char hint[] = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    start();
    f.queue_room = 20;
    f.slow = true;
    fake_stream_feed_text(&f, POST "Content-Length: 10\r\n\r\n");
    http_respond_interim(seen.conn, hint, sizeof(hint) - 1);
    cr_assert_not(http_respond_head(seen.conn, "HTTP/1.1 200 OK\r\n\r\n", 19, 0));
    f.queue_room = 1000;
    fake_stream_read(&f, 20);
    fake_stream_poll(&f);
    cr_expect(says(hint));
    stop();
}
