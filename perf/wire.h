/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A port of this machine's in the place of the in-memory link: --wire has the load on it, which
 * asks any server elsewhere; --serve has the worker on it, for a load in another process.
 */
#ifndef CORAL_PERF_WIRE_H
#define CORAL_PERF_WIRE_H

#include "perf/perf.h"

struct wire {
    char device[96];
    enum port_driver driver;
    bool serve;
    struct net_address client; /* ours, on the server's network; --serve: the server's */
    struct endpoint server;
    char host[128]; /* http: the field of requests */
    const char *path;
    const char *memcached;    /* http: not HTTP, but that key by memcached's text protocol */
    const char *name, *names; /* dns: a pattern, or a file */
};

/* Each -1: well; else STATUS_USAGE, and it is said. DEVICE, DRIVER:DEVICE, or DPDK's words for
 * one; ADDRESS/LEN; ADDRESS[:PORT]. */
int wire_take_device(struct wire *w, const char *text, bool serve);
int wire_take_client(struct wire *w, const char *text);
int wire_take_server(struct wire *w, const char *text);
/* Is it whole? Fills in what was not said. */
int wire_check(struct wire *w, enum perf_command_number command);

/* What node_create and port_open take for it. */
struct port_config wire_port(const struct wire *w);
/* After EAL. NULL with `error`. */
struct port *wire_open(const struct wire *w, char *error, size_t error_len);

/* What is measured on a port, by a thread of its own; `wait` returns when it is warm, or false with
 * `error`. */
struct wire_load {
    bool (*turn)(void *ctx);
    bool (*wait)(void *ctx, char *error, size_t error_len);
    void (*begin)(void *ctx), (*end)(void *ctx); /* the measured time; NULL: of `latency` alone */
    void *ctx;
    const uint64_t *ops, *given_up; /* NULL: nothing is */
    struct latency *latency;
    const struct perf_errors *errors;
    double slowest; /* as struct measured has it */
};
bool wire_measure(const struct perf_options *o, const struct wire_load *l, struct perf_result *r,
                  char *error, size_t error_len);
/* --serve: measures from the first operation on, and serves until nothing has come for a while.
 * `ops` and `busy_tsc` are counted by the turns. */
bool wire_serve(const struct perf_options *o, bool (*turn)(void *), void *ctx, const uint64_t *ops,
                const uint64_t *busy_tsc, struct perf_result *r, char *error, size_t error_len);

#endif
