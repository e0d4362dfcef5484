/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP engine alone, with an application that answers whatever comes with the same bytes. The
 * generator has no state of its own for a connection: a tuple is computed from its number, and
 * each segment that the engine sends says all that the next one to it needs. Only the segments
 * that are due lie in a ring, and the connections that ask in the idle run.
 *
 *   idle      opens N connections; then a thousand of them ask, first among themselves (before
 *             the others are opened), then among all
 *   connect   whole lives: SYN, ACK, request, FIN, ACK come in; SYN,ACK, answer, FIN go out
 *
 * One thread does both sides; only the engine's turns are timed. Its clock is virtual: 8 us a
 * burst.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "base/cursor.h"
#include "perf/perf.h"

#define ACTIVE     1000u
#define RING       (1u << 16)
#define BURST_US   8
#define REQUEST    128u
#define PORT       80
#define CLIENT_NET 0x10000000u /* 16.0.0.0/4: a client has an address, whose low bits mix */
#define CLIENT_MIX 0x9e3779b1u
#define HOST_BITS  0x0fffffffu

enum phase { PHASE_REST, PHASE_OPEN, PHASE_ASK, PHASE_DRAIN, PHASE_CONNECT };

/* What the engine said last to a client, so what that one says next. */
struct said {
    struct addr client;
    uint16_t port;
    uint8_t flags;
    uint32_t seq, ack; /* the client's next */
    uint32_t tsval;
    bool data;
    uint64_t since_tsc;
};

struct tcp_run {
    const struct perf_options *options;
    const struct calibration *calibration;
    struct tcp_engine *tcp;
    struct now now;
    uint32_t phase; /* enum phase, set by main */
    uint32_t target, opened, in_life;
    uint32_t stride; /* in the idle run one in so many asks */
    uint64_t ops, resets, ready, busy_tsc, burst_tsc;
    struct latency latency;
    struct said *ring;
    uint32_t head, tail;
    struct said asking[ACTIVE];
    uint32_t askers;
    uint8_t *body;
    struct tcp_packet packet[TCP_BURST];
    uint8_t bytes[TCP_BURST][256];
};

static const struct addr server_ip = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}};

/* --- the application -------------------------------------------------------------------------- */

static size_t app_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    const struct tcp_run *r = s->user;
    (void)data, (void)now;
    stream_send(s, (struct ref){r->body, r->options->size, NULL});
    return len;
}

static void app_eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static bool app_accept(void *ctx, struct stream *s, struct now now)
{
    static const struct stream_events events = {.received = app_received, .eof = app_eof};
    (void)now;
    s->events = &events;
    s->user = ctx;
    return true;
}

/* --- clients ---------------------------------------------------------------------------------- */

static struct addr client_ip(uint32_t i)
{
    return addr_v4(CLIENT_NET | ((i * CLIENT_MIX) & HOST_BITS));
}

static uint16_t client_port(uint32_t i)
{
    return (uint16_t)(10000 + i % 16);
}

/* The number of the client with this address: the mixing, undone. */
static uint32_t client_number(const struct addr *ip)
{
    uint32_t inverse = CLIENT_MIX; /* Newton: each round doubles the right bits, from three on */
    for (unsigned i = 0; i < 4; i++)
        inverse *= 2 - CLIENT_MIX * inverse;
    return (addr_get_v4(ip) * inverse) & HOST_BITS;
}

static bool emit(void *ctx, const struct tcp_out *o)
{
    struct tcp_run *r = ctx;
    if (o->flags & TCP_RST) {
        counter_inc(&r->resets);
        return true;
    }
    bool counts = o->flags & (TCP_SYN | TCP_FIN);
    if (o->len == 0 && !counts)
        return true; /* an ACK: nothing to say to that */
    if (r->tail - r->head == RING)
        return false;
    struct said *s = &r->ring[r->tail++ % RING];
    s->client = o->dst;
    s->port = o->dport;
    s->flags = o->flags;
    s->seq = o->ack;
    s->ack = o->seq + o->len + (counts ? 1 : 0);
    s->data = o->len > 0;
    s->tsval = 0;
    struct reader opt = reader_of(o->option, o->option_len);
    while (reader_left(&opt) >= 10) /* NOPs and the others before it */
        if (read_u8(&opt) == 8 && read_u8(&opt) == 10) {
            s->tsval = read_u32(&opt);
            break;
        }
    s->since_tsc = r->burst_tsc;
    return true;
}

static void segment(struct tcp_run *r, unsigned n, const struct said *s, uint8_t flags,
                    uint32_t len)
{
    struct writer w = writer_of(r->bytes[n], sizeof(r->bytes[n]));
    bool syn = flags & TCP_SYN;
    write_u16(&w, s->port);
    write_u16(&w, PORT);
    write_u32(&w, s->seq);
    write_u32(&w, s->ack);
    write_u8(&w, (uint8_t)((20 + (syn ? 20 : 12)) / 4 << 4));
    write_u8(&w, flags);
    write_u16(&w, 502);
    write_u32(&w, 0);
    if (syn) { /* as Linux: MSS, SACK permitted, timestamps, scale */
        static const uint8_t first[6] = {2, 4, 0x05, 0xb4, 4, 2};
        write_bytes(&w, first, sizeof(first));
    } else {
        write_u16(&w, 0x0101);
    }
    write_u16(&w, 0x080a);
    write_u32(&w, (uint32_t)(r->now.mono_us / 1000));
    write_u32(&w, s->tsval);
    if (syn)
        write_u32(&w, 0x01030307);
    r->packet[n] = (struct tcp_packet){.src = s->client,
                                       .dst = server_ip,
                                       .segment = r->bytes[n],
                                       .len = (uint32_t)(w.p - r->bytes[n]) + len};
}

static void syn(struct tcp_run *r, unsigned n, uint32_t i)
{
    struct said s = {.client = client_ip(i), .port = client_port(i), .seq = i * 2654435761u};
    segment(r, n, &s, TCP_SYN, 0);
}

/* An answer to the engine's SYN,ACK in the idle run. One in `stride` will ask later. */
static void stands(struct tcp_run *r, unsigned n, const struct said *s)
{
    segment(r, n, s, TCP_ACK, 0);
    counter_inc(&r->ready);
    if (client_number(&s->client) % r->stride == 0 && r->askers < ACTIVE)
        r->asking[r->askers++] = *s;
}

/* Fills a burst with what clients say next; returns how many segments. */
static unsigned clients_speak(struct tcp_run *r, enum phase phase)
{
    unsigned n = 0;
    while (n + 2 <= TCP_BURST && r->head != r->tail) {
        const struct said *s = &r->ring[r->head++ % RING];
        if (phase == PHASE_CONNECT && (s->flags & TCP_SYN)) {
            struct said next = *s;
            segment(r, n++, &next, TCP_ACK, 0);
            segment(r, n++, &next, TCP_ACK | TCP_PSH, REQUEST);
        } else if (s->flags & TCP_SYN) {
            stands(r, n++, s);
        } else if (s->flags & TCP_FIN) {
            segment(r, n++, s, TCP_ACK, 0);
            r->in_life--;
            counter_inc(&r->ops);
            latency_add(&r->latency, rte_rdtsc() - s->since_tsc);
        } else if (phase == PHASE_CONNECT) {
            segment(r, n++, s, TCP_ACK | TCP_FIN, 0);
        } else if (phase == PHASE_DRAIN) {
            segment(r, n++, s, TCP_ACK, 0);
        } else { /* an answer: the next request */
            latency_add(&r->latency, r->burst_tsc - s->since_tsc);
            counter_inc(&r->ops);
            segment(r, n++, s, TCP_ACK | TCP_PSH, REQUEST);
        }
    }
    bool more = phase == PHASE_OPEN ? r->opened < r->target && r->opened - r->ready < 64
                                    : phase == PHASE_CONNECT;
    while (more && n < TCP_BURST) {
        if (phase == PHASE_OPEN ? r->opened == r->target : r->in_life == r->options->connections)
            break;
        syn(r, n++, r->opened++);
        r->in_life++;
    }
    return n;
}

static bool turn(void *ctx)
{
    struct tcp_run *r = ctx;
    enum phase phase = __atomic_load_n(&r->phase, __ATOMIC_ACQUIRE);
    if (phase == PHASE_REST) {
        usleep(100);
        return false;
    }
    if (phase == PHASE_ASK && r->askers > 0) { /* they begin */
        for (unsigned i = 0; i < r->askers; i++) {
            r->asking[i].flags = TCP_ACK;
            r->asking[i].since_tsc = rte_rdtsc();
            r->ring[r->tail++ % RING] = r->asking[i];
        }
        r->askers = 0;
    }
    unsigned n = clients_speak(r, phase);
    r->now.mono_us += BURST_US;
    uint64_t began = r->burst_tsc = rte_rdtsc();
    tcp_input(r->tcp, r->packet, n, r->now);
    tcp_poll(r->tcp, r->now);
    counter_add(&r->busy_tsc, rte_rdtsc() - began);
    return true;
}

/* --- the run ---------------------------------------------------------------------------------- */

static void set_phase(struct tcp_run *r, enum phase phase)
{
    __atomic_store_n(&r->phase, phase, __ATOMIC_RELEASE);
}

static bool open_until(struct tcp_run *r, uint32_t target, char *error, size_t error_len)
{
    uint64_t last = 0, since = perf_now().mono_us;
    r->target = target;
    /* those of the first round do not ask in the second */
    r->stride = target > ACTIVE ? (target - r->opened) / ACTIVE : 1;
    r->stride = r->stride ? r->stride : 1;
    set_phase(r, PHASE_OPEN);
    while (counter_read(&r->ready) < target) {
        usleep(1000);
        if (counter_read(&r->ready) != last) {
            last = counter_read(&r->ready);
            since = perf_now().mono_us;
        } else if (perf_now().mono_us - since > 10000000) {
            snprintf(error, error_len, "only %llu of %u connections stand",
                     (unsigned long long)last, target);
            return false;
        }
    }
    usleep(10000);
    set_phase(r, PHASE_REST);
    usleep(10000);
    return true;
}

static void watch(struct tcp_run *r, double seconds, struct perf_result *out)
{
    const struct measured m = {.ops = &r->ops,
                               .busy_tsc = &r->busy_tsc,
                               .live = r->options->live,
                               .calibration = r->calibration,
                               .latency = &r->latency};
    latency_begin(&r->latency);
    measure_windows(seconds, &m, out);
    latency_end(&r->latency);
    out->latency = r->latency.hdr;
}

static void ask_for(struct tcp_run *r, double seconds, struct perf_result *out)
{
    set_phase(r, PHASE_ASK);
    usleep(200000);
    watch(r, seconds, out);
    set_phase(r, PHASE_DRAIN); /* the last answers are acknowledged */
    usleep(10000);
    set_phase(r, PHASE_REST);
    usleep(10000);
}

static bool idle(struct tcp_run *r, struct perf_result *out, double before, char *error,
                 size_t error_len)
{
    static struct perf_result few;
    uint32_t n = r->options->connections;
    double seconds = r->options->seconds;

    if (!open_until(r, n < ACTIVE ? n : ACTIVE, error, error_len))
        return false;
    ask_for(r, seconds / 2, &few);
    uint64_t busy = r->busy_tsc, began = perf_now().mono_us;
    if (n > ACTIVE && !open_until(r, n, error, error_len))
        return false;
    double took = (double)(perf_now().mono_us - began) / 1e6;
    out->opens_per_s = n > ACTIVE ? (n - ACTIVE) / took : 0;
    out->tsc_per_open = n > ACTIVE ? (double)(r->busy_tsc - busy) / (n - ACTIVE) : 0;
    out->bytes_per_connection = (perf_resident_bytes() - before) / n;
    ask_for(r, seconds, out);
    out->few_tsc_per_op = few.tsc_per_op;
    out->few_p50_us = (double)hdr_quantile(&few.latency, 0.5) / 1000;
    return true;
}

static bool prepare(struct tcp_run *r, char *error, size_t error_len)
{
    const struct tcp_host host = {.ctx = r, .emit = emit};
    const uint8_t seed[32] = "coral-perf tcp, the engine";
    struct tcp_config c = tcp_config_default();

    c.connections = r->options->connections + r->options->connections / 64 + 16384;
    c.idle_timeout_ms = 0;
    r->now.mono_us = 1000000;
    r->ring = calloc(RING, sizeof(r->ring[0]));
    r->body = calloc(1, r->options->size);
    r->tcp = tcp_create(&c, &host, seed, r->now);
    if (!r->ring || !r->body || !r->tcp || !tcp_listen(r->tcp, PORT, app_accept, r)) {
        snprintf(error, error_len, "not enough memory for %u connections", r->options->connections);
        return false;
    }
    return true;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct tcp_run t;
    uint32_t stop = 0;
    struct perf_thread thread = {
        .turn = turn, .ctx = &t, .calibrates = true, .stop = &stop, .cpu = (unsigned)perf_cpu(0)};
    double before = perf_resident_bytes();
    const bool connects = strcmp(o->op, "connect") == 0;

    t = (struct tcp_run){.options = o, .calibration = &thread.calibration, .stride = 1};
    if (!prepare(&t, error, error_len))
        return false;
    bool ok = perf_thread_start(&thread);
    if (ok && !connects) {
        ok = idle(&t, r, before, error, error_len);
    } else if (ok) {
        set_phase(&t, PHASE_CONNECT);
        usleep(300000);
        watch(&t, o->seconds, r);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&thread);
    const struct tcp_counters *n = tcp_counters(t.tcp);
    r->errors.n[PERF_ERROR_reset] = t.resets;
    r->errors.n[PERF_ERROR_repeated] = n->tcp_retransmit_total;
    r->ratio = thread.calibration.ratio;
    tcp_destroy(t.tcp);
    free(t.ring);
    free(t.body);
    return ok;
}

bool tcp_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o, run, result, error, error_len);
}
