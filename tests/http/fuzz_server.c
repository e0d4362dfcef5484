/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server connection fed with arbitrary bytes in arbitrary splits. The input is a list of steps:
 * a byte says what happens (bytes from the client, reads, time, FIN, reset, the handler answers
 * later), the next how much. In the end each request was answered or reported gone, once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"
#include "tests/http/fake_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct http_conn *conn;
    unsigned mode;
    unsigned requests, ended;
    bool head, reads;
    size_t left;
} job;
static struct now now;

static void work(void)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nX: 0123456789\r\n\r\n";
    struct http_conn *c = job.conn;
    int64_t length = job.mode & 4 ? -1 : 20;
    if (!job.head && !http_respond_head(c, text, sizeof(text) - 1, length))
        return;
    job.head = true;
    while (job.left > 0) {
        size_t n = job.left < 7 ? job.left : 7;
        struct ref r = {(const uint8_t *)"abcdefg", (uint32_t)n, NULL};
        if (job.mode & 8)
            n = http_respond_copy(c, r.data, n);
        else if (!http_respond_ref(c, r))
            n = 0;
        if (n == 0)
            return;
        job.left -= n;
    }
    job.ended++;
    job.conn = NULL;
    http_respond_end(c, now);
}

static void on_request(void *ctx, struct http_conn *c, const struct http_head *h, struct now at)
{
    (void)ctx;
    if (job.conn)
        abort();
    job.requests++;
    job.conn = c;
    job.head = false;
    job.left = 20;
    http_conn_set_request(c, &job);
    job.reads = job.mode & 32 && http_has_body(h) && http_conn_read_body(c, h, at);
    if (job.mode & 64)
        http_respond_interim(c, "HTTP/1.1 103 E\r\n\r\n", 18);
    if (job.mode & 2) {
        job.ended++;
        job.conn = NULL;
        http_respond_error(c, 503, "busy\n", 1, job.mode & 16, now);
    } else if (job.mode & 1) {
        work();
    }
}

/* As much as the mode says, at times nothing; a body comes to who asked for it, before its end. */
static size_t on_body(void *ctx, struct http_conn *c, void *request, const uint8_t *data,
                      size_t len, struct now at)
{
    (void)ctx, (void)data, (void)at;
    if (request && (c != job.conn || request != &job || !job.reads))
        abort();
    size_t most = job.mode >> 7 & 1 ? len : job.mode % 3;
    return len < most ? len : most;
}

static void on_body_end(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx, (void)at;
    if (request && (c != job.conn || request != &job || !job.reads))
        abort();
    job.reads = false;
}

static void on_writable(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx;
    (void)at;
    if (c != job.conn || request != &job)
        abort();
    work();
}

static void on_gone(void *ctx, struct http_conn *c, void *request, struct now at)
{
    (void)ctx;
    (void)at;
    if (c != job.conn || request != &job)
        abort();
    job.conn = NULL;
    job.ended++;
}

static void step(struct http_server *s, struct fake_stream *f, unsigned what, unsigned much)
{
    switch (what) {
    case 0:
        fake_stream_read(f, much);
        break;
    case 1:
        now.mono_us += (uint64_t)much * 100000;
        f->now = now;
        if (!f->closed)
            http_server_poll(s, now);
        break;
    case 2:
        fake_stream_fin(f);
        break;
    case 3:
        if (job.conn && much & 1)
            http_conn_resume(job.conn);
        else if (job.conn)
            work();
        break;
    case 4:
        job.mode = much;
        break;
    case 5:
        if (much == 0)
            http_server_drain(s);
        break;
    case 6:
        if (much == 0)
            fake_stream_close(f, STREAM_RESET);
        break;
    default:
        f->queue_room = much ? much : SIZE_MAX;
        f->slow = much & 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_handler handler = {.request = on_request,
                                                .body = on_body,
                                                .body_end = on_body_end,
                                                .writable = on_writable,
                                                .gone = on_gone};
    static const struct http_server_config config = {2, 6000, 2000, 4000};
    struct fake_stream f;
    memset(&job, 0, sizeof(job));
    now = (struct now){1000000, 784111777};
    struct http_server *s = http_server_create(&config, &handler, now);
    fake_stream_init(&f, now);
    if (!http_server_accept(s, &f.s, now))
        abort();
    for (size_t at = 0; at + 2 <= size && !f.closed;) {
        unsigned what = data[at], much = data[at + 1];
        at += 2;
        if (what & 0x80) { /* bytes from the client */
            size_t n = much < size - at ? much : size - at;
            if (!f.peer_fin)
                fake_stream_feed(&f, data + at, n);
            at += n;
        } else {
            step(s, &f, what & 7, much);
        }
        if (what & 0x40)
            fake_stream_poll(&f);
    }
    fake_stream_poll(&f);
    fake_stream_close(&f, STREAM_RESET);
    if (job.requests != job.ended || http_server_connections(s) != 0)
        abort();
    http_server_destroy(s);
    fake_stream_free(&f);
    return 0;
}
