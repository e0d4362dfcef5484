/* SPDX-License-Identifier: BSD-3-Clause */
/* Two lives begin, and are compared after every event. */
#include "tests/tcp/twins_play.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/*
 *   0  controller 2 bits, SACK, timestamps, ECN, active open, cookies, places
 *   1  window, send queue   2  blocks, keep-alive, floor   3  window scale of the peer
 *   4  the peer's MSS       5  the window of its SYN       6  answers   7  two connections
 */
static struct tcp_config configure(const uint8_t *h)
{
    static const struct cc_ops *const cc[] = {&cc_newreno, &cc_cubic, &cc_bbr, &cc_cubic};
    struct tcp_config c = tcp_config_default();
    c.cc = cc[h[0] & 3];
    c.connections = c.active = 4;
    c.flights = 8;
    c.records = 4096;
    c.syn_entries = h[0] & 64 ? 0 : 4;
    c.time_wait_records = 2;
    c.blocks = 16u + (h[2] & 63);
    c.ecn_active = c.ecn_passive = h[0] & 16;
    c.receive_window_bytes = 2048u << (h[1] & 3);
    c.send_queue_bytes = 4096u << (h[1] >> 2 & 7);
    c.keepalive_ms = h[2] & 64 ? 20000 : 0;
    c.floor_bytes_s = h[2] & 128 ? 500 : 0;
    return c;
}

static void syn_options(struct peer_segment *g, const uint8_t *h)
{
    static const uint16_t mss[] = {1460, 1460, 1000, 536, 300, 64, 1220, 9000};
    uint16_t m = mss[h[4] & 7];
    const uint8_t raw[8] = {2, 4, (uint8_t)(m >> 8), (uint8_t)m, 1, 3, 3, h[3] & 15};
    memcpy(g->raw, raw, sizeof(raw));
    g->raw_len = h[3] & 16 ? 8 : 4;
    if (h[0] & 4) {
        memcpy(g->raw + g->raw_len, "\1\1\4\2", 4);
        g->raw_len = (uint8_t)(g->raw_len + 4);
    }
    g->window = h[5] & 1 ? (uint16_t)(h[5] << 4) : 0xffff;
}

/* The first connection, opened by the peer or by us. */
static void handshake(struct twins *p, unsigned k)
{
    const uint8_t *h = p->head;
    bool active = h[0] & 32;
    struct peer_segment g = twins_segment(p, NULL, k);
    if (active) {
        static const uint8_t connect[TWINS_STEP] = {3, 1};
        twins_act(&p->twin[0], k, connect);
        twins_act(&p->twin[1], k, connect);
        twins_poll(p);
        g = twins_segment(p, twins_conn(p, k), k);
        g.ack = p->twin[0].iss + 1;
        g.tsecr = p->twin[0].tsval;
    }
    g.flags = active ? TCP_SYN | TCP_ACK : TCP_SYN;
    g.flags |= h[0] & 16 ? (active ? TCP_ECE : TCP_ECE | TCP_CWR) : 0;
    g.seq = 1000;
    g.tsval = 5000;
    syn_options(&g, h);
    twins_pass(p, 20000);
    twins_queue(p, &g);
    twins_deliver(p);
    twins_poll(p);
    if (active)
        return;
    twins_pass(p, 20000);
    g = twins_segment(p, twins_conn(p, k), k);
    g.seq = 1001;
    g.ack = p->twin[0].iss + 1;
    twins_queue(p, &g);
    twins_deliver(p);
    twins_poll(p);
}

static const char *differs(struct twins *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static const char *differs(struct twins *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->why, sizeof(p->why), format, args);
    va_end(args);
    return p->why;
}

/* All counters: none of them may tell the two apart, as long as the pools are not short. */
static const char *counters_compare(struct twins *p)
{
    const struct tcp_counters *a = &p->twin[0].e->counters, *b = &p->twin[1].e->counters;
#define COMPARE(name, unit, what)                                                                  \
    if (a->name != b->name)                                                                        \
        return differs(p, "%s: %llu, plain %llu", #name, (unsigned long long)a->name,              \
                       (unsigned long long)b->name);
    TCP_COUNTERS(COMPARE)
#undef COMPARE
    return NULL;
}

static const char *conn_compare(struct twins *p, const struct tcp_conn *a, const struct tcp_conn *b)
{
#define SAME(field)                                                                                \
    do {                                                                                           \
        if (a->field != b->field)                                                                  \
            return differs(p, "%s: %llu, plain %llu", #field, (unsigned long long)a->field,        \
                           (unsigned long long)b->field);                                          \
    } while (0)
    SAME(state);
    SAME(snd_una);
    SAME(snd_nxt);
    SAME(snd_max);
    SAME(snd_end);
    SAME(snd_wnd);
    SAME(snd_wl1);
    SAME(snd_wl2);
    SAME(rcv_nxt);
    SAME(rcv_edge);
    SAME(app_nxt);
    SAME(queued);
    SAME(ack_sent);
    SAME(ts_recent);
    SAME(rtt.srtt8_us);
    SAME(rtt.var4_us);
    SAME(backoff);
    SAME(retries);
    SAME(ecn_echo);
    SAME(ecn_cwr_due);
    SAME(echo_dead);
    if (a->tx && b->tx) {
        SAME(tx->cc.cwnd);
        SAME(tx->cc.ssthresh);
        SAME(tx->min_rtt_us);
        SAME(mss);
    }
#undef SAME
    return NULL;
}

static const char *compare(struct twins *p)
{
    struct twin *a = &p->twin[0], *b = &p->twin[1];
    for (unsigned n = 0; n < 2; n++) {
        const char *bad = tcp_check(p->twin[n].e);
        if (bad)
            return differs(p, "%s: %s", p->twin[n].name, bad);
    }
    if (a->did.len != b->did.len || memcmp(a->did.bytes, b->did.bytes, a->did.len) != 0) {
        size_t at = 0;
        while (at < a->did.len && at < b->did.len && a->did.bytes[at] == b->did.bytes[at])
            at++;
        return differs(p, "what was sent or told, at byte %zu of %zu, plain %zu", at, a->did.len,
                       b->did.len);
    }
    a->did.len = b->did.len = 0;
    if (tcp_deadline_us(a->e) != tcp_deadline_us(b->e))
        return differs(p, "deadline: %llu, plain %llu", (unsigned long long)tcp_deadline_us(a->e),
                       (unsigned long long)tcp_deadline_us(b->e));
    const char *why = counters_compare(p);
    for (unsigned k = 0; k < CONNS && !why; k++)
        if (a->app[k].stream && b->app[k].stream)
            why = conn_compare(p, tcp_conn_of(a->app[k].stream), tcp_conn_of(b->app[k].stream));
    return why;
}

static bool begin(struct twins *p, const uint8_t *head, FILE *trace)
{
    static const uint8_t seed[32] = {1};
    const struct tcp_config config = configure(head);
    p->head = head;
    p->now = (struct now){.mono_us = 1000000, .wall_s = 1};
    for (unsigned n = 0; n < 2; n++) {
        struct twin *t = &p->twin[n];
        const struct tcp_host host = {.ctx = t, .emit = twins_emit};
        t->name = n ? "plain" : "short";
        t->trace = trace;
        t->takes = UINT32_MAX;
        t->now = p->now;
        t->e = tcp_create(&config, &host, seed, p->now);
        if (!t->e)
            return false;
        t->e->plain = n;
        tcp_listen(t->e, 80, twins_accept, t);
        for (unsigned k = 0; k < CONNS; k++) {
            t->app[k] = (struct app){.twin = t, .answer = (uint32_t)head[6] * 8};
            if (head[0] & 128)
                twins_shelf(&t->app[k], true);
        }
    }
    handshake(p, 0);
    if (head[7] & 1)
        handshake(p, 1);
    return true;
}

static void end(struct twins *p)
{
    for (unsigned n = 0; n < 2; n++) {
        tcp_destroy(p->twin[n].e);
        for (unsigned k = 0; k < CONNS; k++)
            free(p->twin[n].app[k].shelf);
    }
}

const char *twins_live(const uint8_t *data, size_t size, FILE *trace)
{
    static struct twins twins; /* a megabyte, and one at a time */
    struct twins *p = &twins;
    const char *why = NULL;
    if (twins_text[1] == 0)
        for (size_t i = 0; i < sizeof(twins_text); i++)
            twins_text[i] = (uint8_t)(i * 2654435761u >> 13 | 1);
    if (size < TWINS_HEAD)
        return NULL;
    for (unsigned n = 0; n < 2; n++) {
        p->twin[n].e = NULL;
        p->twin[n].did.len = 0;
        memset(p->twin[n].app, 0, sizeof(p->twin[n].app));
    }
    p->waiting = 0;
    if (begin(p, data, trace))
        why = compare(p);
    size_t at = TWINS_HEAD;
    for (unsigned i = 0; !why && i < TWINS_MAX && at + TWINS_STEP <= size; i++, at += TWINS_STEP) {
        if (trace)
            fprintf(trace, "%zu: event %u\n", (at - TWINS_HEAD) / TWINS_STEP, data[at] & 7u);
        twins_event(p, data + at);
        why = compare(p);
    }
    end(p);
    return why;
}

size_t twins_draw(uint64_t seed, uint8_t *data, size_t max)
{
    struct rng r;
    rng_init_u64(&r, seed);
    size_t steps = 1 + rng_below(&r, TWINS_MAX / 4), size = TWINS_HEAD + steps * TWINS_STEP;
    size = size < max ? size : max - max % TWINS_STEP;
    rng_bytes(&r, data, size);
    /* decent peers live long: few segments at random, no floor, windows that open */
    for (size_t at = TWINS_HEAD; at < size; at += TWINS_STEP) {
        uint8_t *b = data + at;
        if ((b[0] & 7) == 2 && rng_below(&r, 4) > 0)
            b[0] = (uint8_t)(b[0] & ~7u);
        if ((b[0] & 7) <= 1 && rng_below(&r, 3) > 0)
            b[2] = b[1] = 0;
        if ((b[0] & 7) <= 1 && rng_below(&r, 3) > 0)
            b[0] &= 0x1f; /* neither SACK nor ECN */
        if ((b[0] & 7) == 7 && rng_below(&r, 2) > 0)
            b[1] = 1; /* the port is well */
    }
    return size;
}
