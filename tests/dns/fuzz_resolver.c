/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies to the resolver. An input is a reply; its ID, and mostly its question, are put right
 * first, so that what lies behind is reached. The first byte chooses: bit 0 keeps the question as
 * it is, bit 1 answers AAAA, bit 2 goes over TCP in pieces. */
#include <stdlib.h>
#include <string.h>

#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    uint8_t query[2][512];
    size_t len[2];
    uint16_t port[2];
    unsigned n, done;
    struct stream stream;
    bool connected, aborted;
};

static bool take(void *ctx, uint16_t port, const struct endpoint *to, const void *data, size_t len)
{
    struct world *w = ctx;
    (void)to;
    unsigned i = w->n++ % 2;
    memcpy(w->query[i], data, len);
    w->len[i] = len;
    w->port[i] = port;
    return true;
}

static size_t copy(struct stream *s, const void *data, size_t len)
{
    (void)s;
    (void)data;
    return len;
}

static void stop(struct stream *s)
{
    ((struct world *)((char *)s - offsetof(struct world, stream)))->aborted = true;
}

static struct stream *dial(void *ctx, const struct endpoint *to, const struct stream_events *events,
                           void *user, struct now now)
{
    static const struct stream_ops ops = {.copy = copy, .abort = stop};
    struct world *w = ctx;
    (void)to;
    (void)now;
    if (w->connected)
        return NULL;
    w->connected = true;
    w->stream.ops = &ops;
    w->stream.events = events;
    w->stream.user = user;
    return &w->stream;
}

static void done(void *ctx, enum resolver_result result, const struct addr *a, unsigned n,
                 struct now now)
{
    struct world *w = ctx;
    (void)now;
    w->done++;
    if (n > RESOLVER_ADDRESSES || (n > 0) != (result == RESOLVER_OK))
        abort();
    for (unsigned i = 0; i < n; i++)
        if (addr_is_zero(&a[i]) && i > 100)
            abort();
}

static void feed(struct resolver *r, struct world *w, unsigned i, const uint8_t *m, size_t len,
                 struct now now)
{
    uint8_t *exact = malloc(len ? len : 1);
    memcpy(exact, m, len);
    struct datagram d = {.from = {addr_v4(0x0a000001), 53},
                         .to = {addr_v4(1), w->port[i]},
                         .data = exact,
                         .len = (uint16_t)len};
    resolver_input(r, &d, now);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = {1};
    struct world w = {.n = 0};
    struct now now = {1000000, 0};
    struct resolver_config config = {.servers = 1, .queries = 2, .names = 2, .timeout_ms = 100};
    config.server[0] = (struct endpoint){addr_v4(0x0a000001), 53};
    struct resolver_host host = {.udp = {&w, take}, .ctx = &w, .connect = dial};
    static uint8_t m[8192];

    if (size < 1 || size > 4096)
        return 0;
    struct resolver *r = resolver_create(&config, &host, seed, now);
    resolver_resolve(r, "www.example.com", done, &w, now);
    unsigned i = data[0] >> 1 & 1;
    size_t len = size - 1;
    memcpy(m, data + 1, len);
    size_t question = w.len[i] - 12 - 11;
    if (!(data[0] & 1) && len >= 12 + question) {
        memcpy(m, w.query[i], 2);
        m[2] = (uint8_t)((m[2] | 0x80) & 0x87);
        m[4] = 0;
        m[5] = 1;
        memcpy(m + 12, w.query[i] + 12, question);
    }
    if (data[0] & 4) {
        uint8_t cut[512];
        memcpy(cut, w.query[i], w.len[i] - 11);
        cut[2] |= 0x82; /* QR, TC */
        cut[11] = 0;
        feed(r, &w, i, cut, w.len[i] - 11, now);
        if (w.connected) {
            uint8_t framed[2 + 4096] = {(uint8_t)(len >> 8), (uint8_t)len};
            memcpy(framed + 2, m, len);
            w.stream.events->opened(&w.stream, now);
            for (size_t at = 0; at < len + 2 && !w.aborted; at += 100)
                w.stream.events->received(&w.stream, framed + at,
                                          len + 2 - at < 100 ? len + 2 - at : 100, now);
            w.stream.events->closed(&w.stream, STREAM_DONE, now);
        }
    } else {
        feed(r, &w, i, m, len, now);
    }
    for (unsigned t = 0; t < 20; t++) {
        now.mono_us += 100000;
        resolver_poll(r, now);
    }
    if (w.done != 1)
        abort();
    resolver_destroy(r);
    return 0;
}
