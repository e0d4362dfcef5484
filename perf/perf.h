/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-perf: one worker on one core, a load generator on the other, an in-memory link between
 * them. What is measured is the worker's busy time.
 *
 *   main.c     options, the run, its report     echo.c   the bare wire
 *   cores.c    core cycles, threads             http.c   a node and HTTP clients
 *   measure.c  the measured time, in windows    host.c   the generator's end of the link: IP, TCP
 *   tcp.c      the TCP engine alone         mac.c    the index's tags alone, on one core
 *                                           dht.h    the index alone, on one core
 *                                           cache.h  the cache alone
 *                                           rules.c  the operator's rules alone
 */
#ifndef CORAL_PERF_H
#define CORAL_PERF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hist.h"
#include "dataplane/port/port.h"
#include "dataplane/tcp/tcp.h"

enum perf_op { PERF_NONE, PERF_IDLE, PERF_CONNECT };

struct perf_options {
    const char *name;    /* "echo", "http", "tcp", "mac", "dht", "cache", "rules" */
    const char *op_name; /* NULL: not given */
    enum perf_op op;     /* tcp: of that name */
    uint32_t keys;       /* dht: in the store */
    uint32_t objects;    /* cache: in it */
    uint32_t batch;      /* cache: gets at a time */
    double zipf;         /* cache: exponent of the law by which objects are asked for */
    double rate;         /* http: requests a second by schedule; 0: as soon as answers come */
    double seconds;
    uint32_t connections;
    uint32_t active; /* http: requests in flight, on connections picked at random; 0: one on each */
    uint32_t size;   /* bytes of the object (cache: of its body); echo: of the frame */
    uint32_t cores;  /* http: 2: worker and generator have one each; 1: they take turns on one */
    bool offload, json, no_huge;
};

/* What a run came to, measured between start and end of the measured time. */
struct perf_result {
    uint64_t ops, errors, verified;
    uint64_t busy_tsc; /* the worker's busy turns */
    double tsc_per_op; /* the median over windows */
    double seconds;
    double ratio; /* core cycles a TSC cycle, on the worker's core during the run */
    struct hist latency;
    uint64_t given_up; /* http --rate: requests that found no connection free for a second */
    /* tcp --op idle: opening; and the same requests among no others */
    double opens_per_s, tsc_per_open, bytes_per_connection, few_tsc_per_op;
    uint64_t few_p50_us;
};

/* --- cores.c ---------------------------------------------------------------------------------- */

/* Core cycles a TSC cycle: a chain of dependent adds takes one core cycle each. The fastest window
 * is the one that nobody disturbed. One window (16384 adds, about 5 us) a call. */
struct calibration {
    double ratio;
};
void calibrate(struct calibration *c);

/* Two threads that run turns until told to stop. */
struct perf_thread {
    void (*turn)(void *ctx);
    void *ctx;
    bool calibrates;
    struct calibration calibration;
    uint32_t *stop;
    unsigned cpu;
    unsigned long id;
};
bool perf_thread_start(struct perf_thread *t);
void perf_thread_join(struct perf_thread *t);
/* The i-th CPU that we may use; -1: there are fewer. */
int perf_cpu(unsigned i);
/* The calling thread goes on that CPU alone. */
void perf_pin(unsigned cpu);
/* Resident memory of the process. */
double perf_resident_bytes(void);
struct now perf_now(void);

/* --- measure.c -------------------------------------------------------------------------------- */

/* Watches two counters of the worker for so long: operations, and TSC cycles of its busy turns.
 * Fills ops, busy_tsc, tsc_per_op and seconds. */
void measure_windows(double seconds, const uint64_t *ops, const uint64_t *busy_tsc,
                     struct perf_result *r);
/* Sorts them. */
double measure_median(double *value, unsigned n);
double measure_clock(void); /* seconds */

/* --- runs; false with `error` ----------------------------------------------------------------- */

bool echo_run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len);
bool tcp_run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len);
bool http_run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len);
/* Tables of costs, which they print themselves. Work without EAL. */
bool mac_run(const struct perf_options *o, const char *command, char *error, size_t error_len);
bool dht_run(const struct perf_options *o, const char *command, char *error, size_t error_len);
bool cache_run(const struct perf_options *o, const char *command, char *error, size_t error_len);
bool rules_run(const struct perf_options *o, const char *command, char *error, size_t error_len);

/* --- host.c ----------------------------------------------------------------------------------- */

#define HOST_OUT 64

/* A host at end 1 of a link: what a client needs of one, and no more. */
struct host {
    struct port_link *link;
    struct rte_mempool *pool;
    struct net *net;
    struct tcp_engine *tcp;
    bool offload;
    struct now now;
    unsigned n;
    struct rte_mbuf *out[HOST_OUT];
    /* Datagrams, each from its own frame, which is freed afterwards; NULL: none wanted. */
    void (*udp)(void *ctx, const struct net_packet *p);
    void *udp_ctx;
};
bool host_new(struct host *h, struct port_link *link, const struct net_address *ip,
              unsigned addresses, uint32_t connections, bool offload, struct now now);
void host_free(struct host *h);
/* One client in 64: of these alone the bodies are there to be read, of all others the heads. */
static inline bool host_samples(uint16_t client_port)
{
    return client_port % 64 == 0;
}
/* Sends a datagram. False: no buffer, or the neighbour has not answered yet. */
bool host_udp(struct host *h, const struct endpoint *from, const struct endpoint *to,
              const void *data, size_t len);
/* Receives, lets TCP act, sends. */
void host_turn(struct host *h);

#endif
