/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bare wire: the worker's side swaps addresses and sends frames back; no engine runs. What the
 * others cost beyond this is theirs.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "perf/perf.h"

#define WINDOW  512 /* frames in flight */
#define SAMPLED 64  /* one frame in so many is timed and compared */

struct echo {
    struct port *port;
    struct port_link *link;
    struct rte_mempool *pool;
    uint32_t size;
    uint8_t frame[1536]; /* what is sent */
    /* the worker's */
    uint64_t ops, busy_tsc;
    /* the generator's */
    uint64_t sent, wrong, verified;
    unsigned in_flight;
    struct latency latency;
};

static void swap(struct rte_mbuf *m)
{
    uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *), mac[6], ip[4];
    memcpy(mac, f, 6);
    memcpy(f, f + 6, 6);
    memcpy(f + 6, mac, 6);
    memcpy(ip, f + 26, 4);
    memcpy(f + 26, f + 30, 4);
    memcpy(f + 30, ip, 4);
}

static bool worker_turn(void *ctx)
{
    struct echo *e = ctx;
    struct rte_mbuf *m[PORT_BURST];
    uint64_t began = rte_rdtsc();
    unsigned n = port_rx(e->port, 0, m, PORT_BURST);

    if (n == 0)
        return false;
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
    for (unsigned i = 0; i < n; i++)
        swap(m[i]);
    unsigned sent = port_tx(e->port, 0, m, n);
    rte_pktmbuf_free_bulk(m + sent, n - sent);
    counter_add(&e->ops, sent);
    counter_add(&e->busy_tsc, rte_rdtsc() - began);
    return true;
}

/* The stamp of a sampled frame lies behind its headers; 0: not sampled. */
static void send_again(struct echo *e, struct rte_mbuf *m)
{
    uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
    uint64_t stamp = e->sent++ % SAMPLED == 0 ? rte_rdtsc() : 0;
    memcpy(f, e->frame, 42);
    memcpy(f + 42, &stamp, 8);
}

static void check(struct echo *e, struct rte_mbuf *m)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
    uint64_t stamp;

    memcpy(&stamp, f + 42, 8);
    if (stamp == 0)
        return;
    latency_add(&e->latency, rte_rdtsc() - stamp);
    bool right = m->pkt_len == e->size && memcmp(f, e->frame + 6, 6) == 0 &&
                 memcmp(f + 26, e->frame + 30, 4) == 0 &&
                 memcmp(f + 50, e->frame + 50, e->size - 50) == 0;
    counter_inc(&e->verified);
    if (!right)
        counter_inc(&e->wrong);
}

static bool generator_turn(void *ctx)
{
    struct echo *e = ctx;
    struct rte_mbuf *m[PORT_BURST];
    unsigned n = port_link_receive(e->link, 1, m, PORT_BURST);

    for (unsigned i = 0; i < n; i++)
        check(e, m[i]);
    e->in_flight -= n;
    const bool busy = n > 0 || e->in_flight < WINDOW;
    while (n < PORT_BURST && e->in_flight + n < WINDOW) {
        m[n] = rte_pktmbuf_alloc(e->pool);
        if (!m[n])
            break;
        memcpy(rte_pktmbuf_append(m[n], (uint16_t)e->size), e->frame, e->size);
        n++;
    }
    for (unsigned i = 0; i < n; i++)
        send_again(e, m[i]);
    unsigned sent = port_link_send(e->link, 1, m, n);
    rte_pktmbuf_free_bulk(m + sent, n - sent);
    e->in_flight += sent;
    return busy;
}

static void measure(const struct perf_options *o, struct echo *e, struct perf_result *r)
{
    uint32_t stop = 0;
    struct perf_thread worker = {.turn = worker_turn,
                                 .ctx = e,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)perf_cpu(0)};
    struct perf_thread generator = {
        .turn = generator_turn, .ctx = e, .stop = &stop, .cpu = (unsigned)perf_cpu(1)};

    perf_thread_start(&worker);
    perf_thread_start(&generator);
    usleep(200000);
    const struct measured m = {.ops = &e->ops,
                               .busy_tsc = &e->busy_tsc,
                               .worker = &worker,
                               .client = &generator,
                               .live = o->live,
                               .calibration = &worker.calibration,
                               .latency = &e->latency};
    latency_begin(&e->latency);
    measure_windows(o->seconds, &m, r);
    latency_end(&e->latency);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&worker);
    perf_thread_join(&generator);
    r->ratio = worker.calibration.ratio;
    r->errors.n[PERF_ERROR_body] = e->wrong;
    r->verified = e->verified;
    r->latency = e->latency.hdr;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct echo e;
    struct port_config c = {.name = "ports[0]",
                            .driver = PORT_RING,
                            .offload = o->offload,
                            .addresses = 1,
                            .address = {{addr_v4(0x0a000001), 24}}};

    e = (struct echo){.size = o->size};
    for (unsigned i = 0; i < sizeof(e.frame); i++)
        e.frame[i] = (uint8_t)(i * 7 + 1);
    e.link = c.link = port_link_new("echo", 2048);
    e.pool = rte_pktmbuf_pool_create("generator", 4095, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                     SOCKET_ID_ANY);
    if (!e.link || !e.pool) {
        snprintf(error, error_len, "not enough memory");
        return false;
    }
    e.port = port_open(&c, 1, error, error_len);
    if (!e.port)
        return false;
    measure(o, &e, r);
    port_close(e.port);
    port_link_free(e.link);
    return true;
}

bool echo_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o, run, result, error, error_len);
}
