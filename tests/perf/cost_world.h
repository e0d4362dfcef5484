/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node on an in-memory port, and a host at the other end that is its clients and its origin, for
 * programs whose instructions callgrind counts: all is on virtual time and from fixed seeds, so
 * that a run is the same each time. Only what measured_poll does counts, and a dump follows each
 * run_over; valgrind knows them by their names.
 */
#ifndef CORAL_TESTS_PERF_COST_WORLD_H
#define CORAL_TESTS_PERF_COST_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "dataplane/worker/node.h"
#include "perf/perf.h"

#define COST_CHECK(what)                                                                           \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define COST_NODE_IP     0x0a000001u
#define COST_HOST_IP     0x0a000010u
#define COST_ORIGIN_PORT 8000
#define COST_LARGEST     (256u * 1024) /* that the origin's objects may have */
#define COST_ZONE        "coral.test"

extern struct node *cost_node;
extern struct host cost_host;
extern struct now cost_now;
extern uint32_t cost_size; /* bytes of whatever the origin is asked for */

/* EAL, node, host, origin; ends the process with a message where that can't be had. */
void cost_open(void);
void cost_close(void);
/* 50 us pass; the node's turn, then the host's. */
void cost_turn(bool measured);
/* Turns until *count is that much; within a virtual minute. */
void cost_until(const uint64_t *count, uint64_t wanted, bool measured);
/* The client's stream to the node's port 80. */
struct stream *cost_connect(const struct stream_events *events, void *user);

bool measured_poll(struct node *n);
/* Prints `line`; what was counted since the last one is `ops` operations. */
void run_over(const char *line);

#endif
