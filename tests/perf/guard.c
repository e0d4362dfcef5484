/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One operation of each main path, again and again, for guard_test.py to count its instructions:
 * clients side by side, so that bursts are such; idle polls in between count. Each run prints its
 * name and the operations that were counted, after as many uncounted ones as make it steady.
 */
#include <string.h>

#include "base/cursor.h"
#include "perf/dht.h"
#include "tests/perf/cost_world.h"

#define CLIENTS  32
#define SEGMENT  1448u /* of 1500 bytes, timestamps in each */
#define DHT_KEYS 20000
#define DNS_PORT 53
#define ASK_PORT 5000

enum way { AGAIN, ANOTHER, RECONNECT }; /* the same URL; a new one each time; a new connection */

struct client {
    enum way way;
    struct stream *stream;
    uint64_t left; /* of the body */
    bool in_body;
    uint32_t request_len;
    char request[96];
};

static struct client client[CLIENTS];
static uint64_t answers, numbers;
static bool over; /* nobody begins anything */

/* --- HTTP ------------------------------------------------------------------------------------- */

static void open_one(struct client *c);

static void ask(struct client *c)
{
    if (c->way == ANOTHER || c->request_len == 0)
        c->request_len = (uint32_t)snprintf(
            c->request, sizeof(c->request), "GET /%08llu HTTP/1.1\r\nHost: www.perf.test\r\n\r\n",
            (unsigned long long)(c->way == ANOTHER ? ++numbers : cost_size));
    c->in_body = false;
    COST_CHECK(stream_send(c->stream, (struct ref){(uint8_t *)c->request, c->request_len, NULL}));
}

static void client_opened(struct stream *s, struct now now)
{
    (void)now;
    ask(s->user);
}

static size_t client_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct client *c = s->user;
    size_t used = 0;
    (void)now;
    if (!c->in_body) {
        const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
        if (!end)
            return 0;
        COST_CHECK(memcmp(data, "HTTP/1.1 200", 12) == 0);
        used = (size_t)(end - data) + 4;
        c->in_body = true;
        c->left = cost_size;
    }
    COST_CHECK(len - used <= c->left);
    c->left -= len - used;
    if (c->left == 0) {
        answers++;
        if (c->way == RECONNECT || over)
            stream_shut(s);
        else
            ask(c);
    }
    return len;
}

static void client_eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static void client_closed(struct stream *s, enum stream_end why, struct now now)
{
    struct client *c = s->user;
    (void)now;
    COST_CHECK(why == STREAM_DONE);
    c->stream = NULL;
    if (!over)
        open_one(c);
}

static void open_one(struct client *c)
{
    static const struct stream_events events = {.opened = client_opened,
                                                .received = client_received,
                                                .eof = client_eof,
                                                .closed = client_closed};
    c->stream = cost_connect(&events, c);
}

static void finish(const char *name, uint64_t ops)
{
    char line[64];
    snprintf(line, sizeof(line), "%s ops=%llu", name, (unsigned long long)ops);
    run_over(line);
}

/* An operation is an answer, or one of so many segments of one. */
static void http(const char *name, enum way way, uint32_t size, unsigned segments, uint64_t warm,
                 uint64_t n)
{
    cost_size = size;
    answers = 0;
    over = false;
    for (unsigned i = 0; i < CLIENTS; i++) {
        client[i] = (struct client){.way = way};
        open_one(&client[i]);
    }
    cost_until(&answers, warm, false);
    cost_until(&answers, warm + n, true);
    finish(name, n * segments);
    over = true;
    for (unsigned i = 0; i < CLIENTS; i++)
        while (client[i].stream)
            cost_turn(false);
}

/* --- DNS -------------------------------------------------------------------------------------- */

static void answered(void *ctx, const struct net_packet *p)
{
    (void)ctx;
    COST_CHECK(p->sport == DNS_PORT && p->payload_len > 12);
    COST_CHECK((p->payload[3] & 15) == 0 && p->payload[7] == DNS_ANSWERS); /* RFC 1035 4.1.1 */
    answers++;
}

/* A for a name nobody has asked for yet. */
static void query(void)
{
    static const char end[] = "\4perf\5coral\4test";
    const struct endpoint from = {addr_v4(COST_HOST_IP), ASK_PORT};
    const struct endpoint to = {addr_v4(COST_NODE_IP), DNS_PORT};
    char label[16];
    uint8_t out[64];
    struct writer w = writer_of(out, sizeof(out));
    snprintf(label, sizeof(label), "%07llu", (unsigned long long)++numbers);
    write_u16(&w, (uint16_t)numbers);
    write_u16(&w, 0x0100); /* recursion desired, as resolvers' clients have it */
    write_u16(&w, 1);
    write_u16(&w, 0);
    write_u32(&w, 0);
    write_u8(&w, 7);
    write_bytes(&w, label, 7);
    write_bytes(&w, end, sizeof(end)); /* its last byte is the root */
    write_u16(&w, 1);
    write_u16(&w, 1);
    host_udp(&cost_host, &from, &to, out, (size_t)(w.p - out)); /* the first ones wait for ARP */
}

static void dns(const char *name, uint64_t warm, uint64_t n)
{
    answers = 0;
    cost_host.udp = answered;
    while (answers < warm + n) {
        bool measured = answers >= warm;
        for (unsigned i = 0; i < CLIENTS; i++)
            query();
        cost_turn(false); /* the host sends at the end of its turn */
        cost_turn(measured);
    }
    finish(name, n);
    cost_host.udp = NULL;
}

/* --- the index: what dht_serve does for a burst of GETs, MAC both ways; without frames ----------
 */

static void dht(const char *name, unsigned windows)
{
    static struct dht_bench b;
    uint64_t errors = 0;
    COST_CHECK(dht_bench_open(&b, DHT_KEYS));
    struct dht_serving *s = dht_serving_new(&b, DHT_KEYS);
    COST_CHECK(s);
    for (unsigned i = 0; i < windows; i++)
        dht_serving_window(s, DHT_OP_GET, DATAGRAM_BURST, &errors);
    COST_CHECK(errors == 0);
    finish(name, (uint64_t)windows * DHT_BENCH_PACKETS);
    dht_serving_free(s);
    dht_bench_close(&b);
}

int main(void)
{
    printf("compiler: %s %s\n",
#ifdef __clang__
           "clang", __clang_version__
#else
           "gcc", __VERSION__
#endif
    );
    cost_open();
    http("hit-1k", AGAIN, 1024, 1, 10 * CLIENTS, 50 * CLIENTS);
    http("hit-64k-segment", AGAIN, 64 * 1024, (64 * 1024 + SEGMENT - 1) / SEGMENT, 4 * CLIENTS,
         4 * CLIENTS);
    http("miss-1k", ANOTHER, 1024, 1, 10 * CLIENTS, 20 * CLIENTS);
    http("connect-1k", RECONNECT, 1024, 1, 10 * CLIENTS, 20 * CLIENTS);
    dns("dns-answer", 10 * CLIENTS, 60 * CLIENTS);
    dht("dht-get", 4);
    cost_close();
    return 0;
}
