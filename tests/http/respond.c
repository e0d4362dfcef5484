/* SPDX-License-Identifier: BSD-3-Clause */
/* Responses: framing, a slow reader, and never a truncated body that looks whole. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "dataplane/http/syntax.h"
#include "tests/http/fake_stream.h"

static struct http_server *server;
static struct fake_stream f;
static struct http_conn *conn;
static unsigned writable, gone;
static void (*more)(void);
static struct now now = {1000000, 784111777};

static void on_request(void *ctx, struct http_conn *c, const struct http_head *h, struct now at)
{
    (void)ctx;
    (void)h;
    (void)at;
    conn = c;
    http_conn_set_request(c, &conn);
}

static void on_writable(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx;
    (void)c;
    (void)at;
    cr_assert_eq(request, &conn);
    writable++;
    if (more)
        more();
}

static void on_gone(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx;
    (void)c;
    (void)at;
    cr_assert_eq(request, &conn);
    gone++;
}

static void start(const char *method, const char *version)
{
    static const struct http_handler handler = {
        .request = on_request, .writable = on_writable, .gone = on_gone};
    struct http_server_config config = {4, 60000, 10000, 20000};
    char text[128];
    writable = gone = 0;
    more = NULL;
    server = http_server_create(&config, &handler, now);
    fake_stream_init(&f, now);
    cr_assert(http_server_accept(server, &f.s, now));
    snprintf(text, sizeof(text), "%s / HTTP/%s\r\nHost: a\r\n\r\n", method, version);
    fake_stream_feed_text(&f, text);
}

static void stop(void)
{
    fake_stream_close(&f, STREAM_RESET);
    http_server_destroy(server);
    fake_stream_free(&f);
}

static struct ref text_ref(const char *t)
{
    return (struct ref){(const uint8_t *)t, (uint32_t)strlen(t), NULL};
}

#define HEAD "HTTP/1.1 200 OK\r\n\r\n"

static void head(int64_t length)
{
    cr_assert(http_respond_head(conn, HEAD, strlen(HEAD), length));
}

Test(respond, a_length)
{
    start("GET", "1.1");
    head(8);
    cr_expect(http_respond_ref(conn, text_ref("abcd")));
    cr_expect_eq(http_respond_copy(conn, "efgh", 4), 4);
    http_respond_end(conn, now);
    fake_stream_poll(&f);
    cr_expect_str_eq(fake_stream_text(&f), HEAD "abcdefgh");
    cr_expect_not(f.shut);
    stop();
    cr_expect_eq(gone, 0);
}

static struct hold borrowed;
static void borrowed_free(struct hold *h)
{
    (void)h;
}
static bool is_borrowed(const struct hold *h)
{
    return h == &borrowed;
}

Test(respond, bytes_taken_back_are_owed_again)
{
    static const char text[] = "abcdefgh";
    borrowed = (struct hold){1, borrowed_free};
    start("GET", "1.1");
    f.slow = true;
    head(8);
    cr_expect(http_respond_ref(conn, (struct ref){(const uint8_t *)text, 5, &borrowed}));
    cr_expect_eq(http_respond_take_back(conn, is_borrowed), 5);
    cr_expect_eq(borrowed.count, 1);
    cr_expect_eq(http_respond_copy(conn, text, 8), 8);
    http_respond_end(conn, now);
    cr_expect_str_eq(fake_stream_text(&f), HEAD "abcdefgh");
    cr_expect(!f.aborted);
    stop();
    /* framed as a chunk they can't be */
    start("GET", "1.1");
    f.slow = true;
    head(-1);
    cr_expect(http_respond_ref(conn, (struct ref){(const uint8_t *)text, 5, &borrowed}));
    cr_expect_eq(http_respond_take_back(conn, is_borrowed), 0);
    cr_expect(http_conn_own(conn, is_borrowed, 5));
    cr_expect_eq(borrowed.count, 1);
    stop();
}

/* A chunk's size is out and its bytes are not: they are a copy then, too. */
Test(respond, what_is_owed_is_let_go)
{
    char text[] = "abcdefgh";
    borrowed = (struct hold){1, borrowed_free};
    start("GET", "1.1");
    f.slow = true;
    head(-1);
    f.queue_room = strlen(HEAD) + 3; /* "8", CR, LF */
    cr_expect(http_respond_ref(conn, (struct ref){(const uint8_t *)text, 8, &borrowed}));
    cr_expect_eq(borrowed.count, 2);
    cr_expect_not(http_conn_own(conn, is_borrowed, 0));
    cr_expect(http_conn_own(conn, is_borrowed, 8));
    cr_expect_eq(borrowed.count, 1);
    memset(text, 'x', sizeof(text));
    f.queue_room = SIZE_MAX;
    fake_stream_read(&f, 1000);
    http_respond_end(conn, now);
    fake_stream_poll(&f);
    cr_expect_str_eq(fake_stream_text(&f), HEAD "8\r\nabcdefgh\r\n0\r\n\r\n");
    stop();
}

Test(respond, a_server_shows_its_connections_and_how_long_they_took_nothing)
{
    start("GET", "1.1");
    f.slow = true;
    head(8);
    cr_expect_eq(http_conn_still_us(conn, now), 0);
    cr_expect_eq(http_conn_still_us(conn, (struct now){now.mono_us + 700, 0}), 700);
    fake_stream_read(&f, 1);
    cr_expect_eq(http_conn_still_us(conn, (struct now){now.mono_us + 900, 0}), 0);
    stop();
}

Test(respond, chunks_where_no_length_is_known)
{
    start("GET", "1.1");
    cr_expect(http_conn_chunks(conn));
    head(-1);
    cr_expect(http_respond_ref(conn, text_ref("abcd")));
    cr_expect(http_respond_ref(conn, text_ref("")));
    cr_expect_eq(http_respond_copy(conn, "0123456789abcdef", 16), 16);
    http_respond_end(conn, now);
    cr_expect_str_eq(fake_stream_text(&f), HEAD "4\r\nabcd\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
    cr_expect_not(f.shut);
    stop();
    start("GET", "1.1");
    head(-1);
    http_respond_end(conn, now);
    cr_expect_str_eq(fake_stream_text(&f), HEAD "0\r\n\r\n");
    stop();
}

Test(respond, until_close_for_old_clients)
{
    start("GET", "1.0");
    cr_expect_not(http_conn_chunks(conn));
    head(-1);
    cr_expect(http_respond_ref(conn, text_ref("abcd")));
    http_respond_end(conn, now);
    cr_expect_str_eq(fake_stream_text(&f), HEAD "abcd");
    cr_expect(f.shut && !f.aborted);
    stop();
}

Test(respond, a_head_request_has_no_body)
{
    for (int64_t length = -1; length <= 8; length += 9) {
        start("HEAD", "1.1");
        head(length);
        cr_expect(http_respond_ref(conn, text_ref("dropped")));
        http_respond_end(conn, now);
        cr_expect_str_eq(fake_stream_text(&f), HEAD);
        cr_expect(!f.shut && !f.aborted);
        stop();
    }
    start("HEAD", "1.1");
    http_respond_error(conn, 503, "later\n", 7, false, now);
    const char *t = fake_stream_text(&f);
    cr_expect(strstr(t, "Content-Length: 6\r\nRetry-After: 7\r\n") && !strstr(t, "later"));
    stop();
}

Test(respond, too_few_or_too_many_bytes_break_the_connection)
{
    start("GET", "1.1");
    head(8);
    cr_expect(http_respond_ref(conn, text_ref("abcd")));
    http_respond_end(conn, now);
    cr_expect(f.aborted);
    fake_stream_poll(&f);
    cr_expect(f.closed && gone == 0, "the handler has ended it itself");
    stop();

    start("GET", "1.1");
    head(3);
    cr_expect(http_respond_ref(conn, text_ref("abcd")));
    cr_expect(f.aborted);
    cr_expect_str_eq(fake_stream_text(&f), HEAD);
    fake_stream_poll(&f);
    cr_expect_eq(gone, 1);
    stop();

    start("GET", "1.1");
    http_respond_end(conn, now);
    cr_expect(f.aborted);
    stop();

    start("GET", "1.1");
    head(-1);
    cr_expect(http_respond_ref(conn, text_ref("abcd")));
    http_respond_abort(conn);
    cr_expect(f.aborted && !strstr(fake_stream_text(&f), "\r\n0\r\n"));
    fake_stream_poll(&f);
    cr_expect_eq(gone, 0);
    stop();
}

Test(respond, a_dead_connection_swallows_what_is_sent)
{
    start("GET", "1.1");
    head(3);
    cr_expect(http_respond_ref(conn, text_ref("abcd")));
    cr_expect(http_respond_ref(conn, text_ref("abcd")));
    cr_expect_eq(http_respond_copy(conn, "ab", 2), 2);
    cr_expect_eq(http_respond_room(conn), 0);
    http_respond_end(conn, now);
    stop();
    cr_expect_eq(gone, 0);
}

Test(respond, an_error_after_the_head_is_a_reset)
{
    start("GET", "1.1");
    head(10);
    http_respond_error(conn, 502, "x", 0, true, now);
    cr_expect(f.aborted);
    stop();
}

/* The wire's content of a slow reader's response, whatever the queue takes at a time. */
static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static struct {
    struct rng rng;
    size_t total, done;
    bool head, shared, ended; /* the head: it is sent; by reference */
    int64_t length;
    char *body;
} slow;

static void slow_more(void)
{
    static char big[300];
    const struct ref whole = {(const uint8_t *)big, sizeof(big), NULL};
    memset(big, 'h', sizeof(big));
    memcpy(big, "HTTP/1.1 200 OK\r\nX: ", 20);
    memcpy(big + sizeof(big) - 4, "\r\n\r\n", 4);
    if (!slow.head) {
        slow.head = slow.shared ? http_respond_head_ref(conn, whole, slow.length)
                                : http_respond_head(conn, big, sizeof(big), slow.length);
        if (!slow.head)
            return;
    }
    while (slow.done < slow.total) {
        size_t n = 1 + rng_below(&slow.rng, 20);
        n = n < slow.total - slow.done ? n : slow.total - slow.done;
        if (rng_below(&slow.rng, 2)) {
            struct ref r = {(const uint8_t *)slow.body + slow.done, (uint32_t)n, NULL};
            if (!http_respond_ref(conn, r))
                return;
            slow.done += n;
        } else {
            size_t taken = http_respond_copy(conn, slow.body + slow.done, n);
            slow.done += taken;
            if (taken < n)
                return;
        }
    }
    if (!slow.ended)
        http_respond_end(conn, now);
    slow.ended = true;
}

static void check_wire(void)
{
    const char *t = fake_stream_text(&f);
    cr_assert_geq(f.out_len, 300);
    if (slow.length >= 0) {
        cr_assert_eq(f.out_len, 300 + slow.total);
        cr_expect_eq(memcmp(t + 300, slow.body, slow.total), 0);
        return;
    }
    struct http_chunked c;
    size_t at = 300, n = 0;
    enum http_error e = HTTP_AGAIN;
    http_chunked_init(&c);
    while (e == HTTP_AGAIN && at < f.out_len) {
        size_t used;
        struct http_text span;
        e = http_chunked_next(&c, (const uint8_t *)t + at, f.out_len - at, &used, &span);
        cr_assert(n + span.len <= slow.total);
        cr_assert(span.len == 0 || memcmp(span.p, slow.body + n, span.len) == 0);
        n += span.len;
        at += used;
    }
    cr_expect_eq(e, HTTP_OK);
    cr_expect(n == slow.total && at == f.out_len);
}

Test(respond, a_slow_reader_gets_every_byte)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        start("GET", "1.1");
        memset(&slow, 0, sizeof(slow));
        rng_init_u64(&slow.rng, seed);
        slow.shared = seed % 2;
        slow.total = rng_below(&slow.rng, 500);
        slow.length = rng_below(&slow.rng, 2) ? -1 : (int64_t)slow.total;
        slow.body = malloc(slow.total + 1);
        for (size_t i = 0; i < slow.total; i++)
            slow.body[i] = alphabet[i % 36];
        f.slow = true;
        f.queue_room = 1 + rng_below(&slow.rng, 30);
        more = slow_more;
        slow_more();
        for (unsigned i = 0; i < 5000 && http_server_counters(server)->http_responses_total == 0;
             i++) {
            fake_stream_read(&f, 1 + rng_below(&slow.rng, 10));
            fake_stream_poll(&f);
        }
        cr_assert(slow.ended && !f.aborted, "seed %llu", (unsigned long long)seed);
        fake_stream_poll(&f);
        check_wire();
        cr_expect_eq(http_server_counters(server)->http_responses_total, 1, "seed %llu",
                     (unsigned long long)seed);
        stop();
        free(slow.body);
    }
}

static unsigned freed;
static void free_hold(struct hold *h)
{
    (void)h;
    freed++;
}

Test(respond, holds_are_released_whatever_happens)
{
    for (unsigned way = 0; way < 3; way++) {
        struct hold h = {1, free_hold};
        struct ref r = {(const uint8_t *)"0123456789", 10, &h};
        freed = 0;
        start("GET", "1.1");
        f.slow = true;
        head(-1);
        f.queue_room = f.out_len + 3; /* the chunk's size fits, the chunk does not */
        cr_expect(http_respond_ref(conn, r));
        cr_expect_not(http_respond_ref(conn, r));
        ref_release(&r);
        cr_expect_eq(freed, 0);
        if (way == 0) {
            fake_stream_read(&f, 100);
            fake_stream_poll(&f);
            fake_stream_read(&f, 100);
        } else if (way == 1) {
            http_respond_abort(conn);
        } else {
            fake_stream_close(&f, STREAM_TIMEOUT);
        }
        cr_expect_eq(freed, 1, "way %u", way);
        stop();
    }
}
