/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exchanges against an origin that sends anything. Steps as in fuzz_server.c. In the end each
 * exchange was done, failed, refused or aborted, once.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"
#include "tests/http/fake_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAMS 16

static struct fake_stream f[STREAMS];
static unsigned streams, mode;
static struct http_exchange *running;
static struct now now;

static bool on_head(void *user, struct http_exchange *x, const struct http_head *h, struct now at)
{
    (void)user;
    (void)h;
    (void)at;
    if (x != running)
        abort();
    if (mode & 1)
        running = NULL;
    return !(mode & 1);
}

static size_t on_body(void *user, struct http_exchange *x, const uint8_t *data, size_t len,
                      struct now at)
{
    (void)user;
    (void)data;
    (void)at;
    if (x != running || len == 0)
        abort();
    if (mode & 2) {
        http_exchange_abort(x);
        running = NULL;
    }
    return mode & 4 ? len / 2 : len;
}

static void on_done(void *user, struct http_exchange *x, struct now at)
{
    (void)user;
    (void)at;
    if (x != running)
        abort();
    running = NULL;
}

static void on_failed(void *user, struct http_exchange *x, enum http_failure why, struct now at)
{
    (void)why;
    on_done(user, x, at);
}

static struct stream *do_connect(void *ctx, const struct endpoint *to,
                                 const struct stream_events *events, void *user, struct now at)
{
    (void)ctx;
    if (streams == STREAMS)
        return NULL;
    struct fake_stream *s = &f[streams++];
    fake_stream_init(s, at);
    s->s.events = events;
    s->s.user = user;
    s->s.remote = *to;
    return &s->s;
}

static void step(struct http_client *c, struct fake_stream *s, unsigned what, unsigned much)
{
    static const struct http_exchange_events events = {
        .head = on_head, .body = on_body, .done = on_done, .failed = on_failed};
    static const struct addr v6 = {{0x20, 1, 0xd, 0xb8, [15] = 1}};
    struct http_upstream to = {
        .tag = 7,
        .n = 1 + (much >> 1) % 3,
        .at = {{addr_v4(0xc0000201), 80}, {v6, 80}, {addr_v4(0xc0000202), 80}}};
    switch (what) {
    case 0:
        if (!running)
            running = http_client_send(c, &to, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, much & 1,
                                       &events, NULL, now);
        break;
    case 1:
        now.mono_us += (uint64_t)much * 100000;
        s->now = now;
        http_client_poll(c, now);
        break;
    case 2:
        fake_stream_fin(s);
        break;
    case 3:
        if (running)
            http_exchange_resume(running);
        break;
    case 4:
        mode = much;
        break;
    case 5:
        if (running && much == 0) {
            http_exchange_abort(running);
            running = NULL;
        }
        break;
    case 6:
        if (much < 4)
            fake_stream_close(s, (enum stream_end)much);
        break;
    default:
        s->queue_room = much ? much : SIZE_MAX;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_client_config config = {2, 2, 1000, 2000, 2000, 5000};
    static const struct http_client_host host = {NULL, do_connect};
    streams = mode = 0;
    running = NULL;
    now = (struct now){1000000, 784111777};
    struct http_client *c = http_client_create(&config, &host, now);
    bool open[STREAMS] = {false};
    step(c, NULL, 0, 0);
    for (size_t at = 0; at + 2 <= size && streams > 0;) {
        struct fake_stream *s = &f[streams - 1];
        unsigned what = data[at], much = data[at + 1];
        at += 2;
        if (!open[streams - 1] && (what & 0x80)) {
            open[streams - 1] = true;
            fake_stream_open(s);
        }
        if (what & 0x80) {
            size_t n = much < size - at ? much : size - at;
            if (!s->peer_fin)
                fake_stream_feed(s, data + at, n);
            at += n;
        } else if ((what & 7) != 2 || open[streams - 1]) {
            step(c, s, what & 7, much);
        }
        if (what & 0x40)
            for (unsigned i = 0; i < streams; i++)
                fake_stream_poll(&f[i]);
    }
    for (unsigned i = 0; i < streams; i++) {
        fake_stream_poll(&f[i]);
        fake_stream_close(&f[i], STREAM_RESET);
    }
    for (unsigned i = 0; i < STREAMS; i++) /* what retries and next addresses opened meanwhile */
        if (i < streams)
            fake_stream_close(&f[i], STREAM_RESET);
    if (running || http_client_counters(c)->http_client_exchanges != 0)
        abort();
    for (unsigned i = 0; i < streams; i++)
        fake_stream_free(&f[i]);
    http_client_destroy(c);
    return 0;
}
