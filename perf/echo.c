/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bare wire: the worker's side turns frames round and sends them back; no engine runs. What the
 * others cost beyond this is theirs.
 *
 *   0    6      12       14      16       24
 *  | to | from | 0x88b5 | reply | number | the same bytes in all ...
 *
 * EtherType 0x88b5 is IEEE 802's for local experiments: no kernel on the way answers it. `reply` is
 * the length that the frame has to have when it comes back. Frames come back in order, so that a
 * number left out is a frame lost. They go to all until the first came back and says from whom.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "perf/wire.h"

#define WINDOW    512 /* frames in flight */
#define SAMPLED   64  /* one frame in so many is timed and compared */
#define LEAST     60
#define TYPE_AT   12
#define REPLY_AT  14
#define NUMBER_AT 16
#define BYTES_AT  24
#define WARM_US   200000
#define WAIT_MS   3000

struct echo {
    const struct perf_options *options;
    uint8_t frame[1536]; /* what is sent */
    /* the worker's */
    struct port *port;
    uint64_t ops, busy_tsc;
    /* the generator's */
    struct host host;    /* its wire */
    uint64_t sent, next; /* frames; the number that is to come back now */
    uint64_t sent_tsc[WINDOW / SAMPLED], came_tsc, hz;
    bool found; /* who answers */
    uint64_t came, verified;
    struct perf_errors errors;
    struct latency latency;
};

static bool is_ours(const struct rte_mbuf *m)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
    return m->nb_segs == 1 && m->data_len >= LEAST && f[TYPE_AT] == 0x88 && f[TYPE_AT + 1] == 0xb5;
}

/* --- the worker ------------------------------------------------------------------------------- */

/* False: not one of ours, or no room for what it asks. */
static bool turn_round(const struct echo *e, struct rte_mbuf *m)
{
    uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
    if (!is_ours(m))
        return false;
    memcpy(f, f + 6, 6);
    memcpy(f + 6, e->port->mac, 6);
    const uint32_t reply = (uint32_t)f[REPLY_AT] << 8 | f[REPLY_AT + 1];
    if (reply < LEAST)
        return false;
    if (reply > m->data_len)
        return rte_pktmbuf_append(m, (uint16_t)(reply - m->data_len)) != NULL;
    return reply == m->data_len || rte_pktmbuf_trim(m, (uint16_t)(m->data_len - reply)) == 0;
}

static bool worker_turn(void *ctx)
{
    struct echo *e = ctx;
    struct rte_mbuf *m[PORT_BURST];
    uint64_t began = rte_rdtsc();
    unsigned n = port_rx(e->port, 0, m, PORT_BURST), k = 0;

    if (n == 0)
        return false;
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
    for (unsigned i = 0; i < n; i++)
        if (turn_round(e, m[i]))
            m[k++] = m[i];
        else
            rte_pktmbuf_free(m[i]);
    unsigned sent = port_tx(e->port, 0, m, k);
    rte_pktmbuf_free_bulk(m + sent, k - sent);
    counter_add(&e->ops, sent);
    counter_add(&e->busy_tsc, rte_rdtsc() - began);
    return true;
}

/* --- the generator ---------------------------------------------------------------------------- */

static void check(struct echo *e, const struct rte_mbuf *m, uint64_t number, uint64_t now)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
    const uint32_t size = RTE_MIN(e->options->size, e->options->reply);
    latency_add(&e->latency, now - e->sent_tsc[number % WINDOW / SAMPLED]);
    counter_inc(&e->verified);
    if (m->data_len != e->options->reply || memcmp(f, e->frame + 6, 6) != 0 ||
        memcmp(f + BYTES_AT, e->frame + BYTES_AT, size - BYTES_AT) != 0)
        counter_inc(&e->errors.n[PERF_ERROR_body]);
}

/* A frame that came back. False: it is none. */
static bool take(struct echo *e, struct rte_mbuf *m, uint64_t now)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
    uint64_t number;
    if (!is_ours(m))
        return false;
    memcpy(&number, f + NUMBER_AT, 8);
    if (number >= e->sent) {
        counter_inc(&e->errors.n[PERF_ERROR_head]);
        return false;
    }
    if (!e->found) {
        memcpy(e->frame, f + 6, 6);
        __atomic_store_n(&e->found, true, __ATOMIC_RELEASE);
        e->next = number;
    }
    if (number < e->next)
        return false; /* too late: it counts as lost */
    counter_add(&e->errors.n[PERF_ERROR_timeout], number - e->next);
    e->next = number + 1;
    e->came_tsc = now;
    counter_inc(&e->came);
    if (number % SAMPLED == 0)
        check(e, m, number, now);
    return true;
}

static void send_again(struct echo *e, struct rte_mbuf *m, uint64_t number, uint64_t now)
{
    uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
    m->data_len = (uint16_t)e->options->size;
    m->pkt_len = e->options->size;
    memcpy(f, e->frame, NUMBER_AT);
    memcpy(f + NUMBER_AT, &number, 8);
    if (number % SAMPLED == 0)
        e->sent_tsc[number % WINDOW / SAMPLED] = now;
}

/* Nothing has come back for a second: what is on its way is lost. */
static void give_up(struct echo *e, uint64_t now)
{
    if (e->found)
        counter_add(&e->errors.n[PERF_ERROR_timeout], e->sent - e->next);
    e->next = e->sent;
    e->came_tsc = now;
}

/* Frames that came back go out again, and new ones beside them until the window is full. */
static bool generator_turn(void *ctx)
{
    struct echo *e = ctx;
    struct rte_mbuf *m[PORT_BURST];
    unsigned came = host_receive(&e->host, m, PORT_BURST), n = 0;
    const uint64_t now = rte_rdtsc();

    for (unsigned i = 0; i < came; i++)
        if (take(e, m[i], now))
            m[n++] = m[i];
        else
            rte_pktmbuf_free(m[i]);
    const uint64_t room = (e->found ? WINDOW : 1) - (e->sent - e->next);
    const bool busy = came > 0 || room > 0;
    for (; n < PORT_BURST && n < room; n++) {
        m[n] = rte_pktmbuf_alloc(e->host.pool);
        if (!m[n])
            break;
        memcpy(rte_pktmbuf_mtod(m[n], void *), e->frame, e->options->size);
    }
    for (unsigned i = 0; i < n; i++)
        send_again(e, m[i], e->sent + i, now);
    unsigned sent = host_send(&e->host, m, n);
    rte_pktmbuf_free_bulk(m + sent, n - sent);
    e->sent += sent;
    if (now - e->came_tsc > (e->found ? e->hz : e->hz / 20))
        give_up(e, now);
    return busy;
}

static bool wait_for(void *ctx, char *error, size_t error_len)
{
    struct echo *e = ctx;
    for (unsigned i = 0; i < WAIT_MS && counter_read(&e->came) == 0; i++)
        usleep(1000);
    usleep(WARM_US);
    if (counter_read(&e->came) > 0)
        return true;
    snprintf(error, error_len,
             "no frame came back within %d s; the other end is coral-perf echo --serve",
             WAIT_MS / 1000);
    return false;
}

/* --- the run ---------------------------------------------------------------------------------- */

static void make(struct echo *e, const struct perf_options *o)
{
    memset(e, 0, sizeof(*e));
    e->options = o;
    e->hz = rte_get_tsc_hz();
    for (unsigned i = 0; i < sizeof(e->frame); i++)
        e->frame[i] = (uint8_t)(i * 7 + 1);
    memset(e->frame, 0xff, 6);
    e->frame[TYPE_AT] = 0x88;
    e->frame[TYPE_AT + 1] = 0xb5;
    e->frame[REPLY_AT] = (uint8_t)(o->reply >> 8);
    e->frame[REPLY_AT + 1] = (uint8_t)o->reply;
}

static void finish(const struct echo *e, struct perf_result *r)
{
    for (unsigned i = 0; i < PERF_ERROR_CLASSES; i++)
        r->errors.n[i] += e->errors.n[i];
    r->verified = e->verified;
    r->latency = e->latency.hdr;
}

static bool measure(const struct perf_options *o, struct echo *e, struct perf_result *r,
                    char *error, size_t error_len)
{
    uint32_t stop = 0;
    struct perf_thread worker = {.turn = worker_turn,
                                 .ctx = e,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)perf_cpu(0)};
    struct perf_thread generator = {
        .turn = generator_turn, .ctx = e, .stop = &stop, .cpu = (unsigned)perf_cpu(1)};
    const struct measured m = {.ops = &e->ops,
                               .busy_tsc = &e->busy_tsc,
                               .worker = &worker,
                               .client = &generator,
                               .live = o->live,
                               .calibration = &worker.calibration,
                               .latency = &e->latency,
                               .errors = &e->errors};

    perf_thread_start(&worker);
    perf_thread_start(&generator);
    bool ok = wait_for(e, error, error_len);
    if (ok) {
        latency_begin(&e->latency);
        measure_windows(o->seconds, &m, r);
        latency_end(&e->latency);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&worker);
    perf_thread_join(&generator);
    r->ratio = worker.calibration.ratio;
    finish(e, r);
    return ok;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct echo e;
    const struct net_address ip = {addr_v4(0x0a000002), 24};
    struct port_config c = {.name = "ports[0]",
                            .driver = PORT_RING,
                            .offload = o->offload,
                            .addresses = 1,
                            .address = {{addr_v4(0x0a000001), 24}}};
    bool ok = false;

    make(&e, o);
    c.link = port_link_new("echo", 2048);
    e.port = c.link ? port_open(&c, 1, error, error_len) : NULL;
    if (e.port && host_new(&e.host, c.link, &ip, 1, 16, o->offload, perf_now())) {
        memcpy(e.frame + 6, "\2\0\0\0\0\11", 6);
        ok = measure(o, &e, r, error, error_len);
    } else if (!c.link || e.port) {
        snprintf(error, error_len, "not enough memory");
    }
    host_free(&e.host);
    port_close(e.port);
    port_link_free(c.link);
    return ok;
}

/* --wire: the other end is elsewhere. */
static bool wire_run(const struct perf_options *o, struct perf_result *r, char *error,
                     size_t error_len)
{
    static struct echo e;
    const struct wire_load load = {.turn = generator_turn,
                                   .wait = wait_for,
                                   .ctx = &e,
                                   .ops = &e.came,
                                   .latency = &e.latency,
                                   .errors = &e.errors};

    make(&e, o);
    struct port *port = wire_open(o->wire, error, error_len);
    if (!port)
        return false;
    e.host = (struct host){.port = port, .pool = port->pool[0]}; /* its wire, no engines */
    memcpy(e.frame + 6, port->mac, 6);
    bool ok = wire_measure(o, &load, r, error, error_len);
    finish(&e, r);
    port_close(port);
    return ok;
}

static bool serve(const struct perf_options *o, struct perf_result *r, char *error,
                  size_t error_len)
{
    static struct echo e;

    make(&e, o);
    e.port = wire_open(o->wire, error, error_len);
    bool ok = e.port && wire_serve(o, worker_turn, &e, &e.ops, &e.busy_tsc, r, error, error_len);
    port_close(e.port);
    return ok;
}

bool echo_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o,
                        !o->wire         ? run
                        : o->wire->serve ? serve
                                         : wire_run,
                        result, error, error_len);
}
