/* SPDX-License-Identifier: BSD-3-Clause */
/* --wire: a port of this machine's in the place of the in-memory link. */
#ifndef CORAL_PERF_WIRE_H
#define CORAL_PERF_WIRE_H

#include "perf/perf.h"

struct wire {
    char device[32];
    enum port_driver driver;
    struct net_address client; /* ours, on the server's network */
    struct endpoint server;
    char host[128]; /* the field of requests */
    const char *path;
};

/* Each -1: well; else STATUS_USAGE, and it is said. DEVICE or DRIVER:DEVICE; ADDRESS/LEN;
 * ADDRESS[:PORT]. */
int wire_take_device(struct wire *w, const char *text);
int wire_take_client(struct wire *w, const char *text);
int wire_take_server(struct wire *w, const char *text);
/* Is it whole? Fills in what was not said. */
int wire_check(struct wire *w);

/* After EAL. NULL with `error`. */
struct port *wire_open(const struct wire *w, char *error, size_t error_len);

#endif
