/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole nodes in one process, on virtual time and one thread: in-memory links, a small learning
 * switch between them, and one more node, `outside`, whose engines play the client, the origin
 * and whoever asks DNS.
 */
#ifndef CORAL_TESTS_WORKER_WORLD_H
#define CORAL_TESTS_WORKER_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "dataplane/worker/worker.h"
#include "dht/id.h"

#define WORLD_NODES 4 /* the last one is outside */
#define OUTSIDE     3
#define ORIGIN_PORT 8000
#define BODY_BYTES  100000
#define HUGE_BYTES  6000000u /* of "/huge"; one at a time */

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct world {
    unsigned workers; /* of each node but outside */
    bool offload;
    struct now now;
    struct port_link *link[WORLD_NODES];
    struct node *node[WORLD_NODES];
    struct view view[WORLD_NODES];
    struct dht_contact contact[WORLD_NODES];
    struct proxy_policy policy;
    struct proxy_site site;
    struct dns_zone *zone;
    struct { /* learning switch */
        uint8_t mac[6];
        unsigned port;
    } learned[16];
    unsigned macs;
    struct rte_mempool *pool;
    unsigned lose; /* every so many-th frame is lost; 0: none */
    unsigned frames;
    bool cut;  /* node 1 gets no frames */
    bool deaf; /* ... and here none of node 0's */
    struct http_server *origin;
    unsigned origin_requests;
    bool origin_waits; /* heads are sent, bodies wait */
    struct world_huge {
        struct http_conn *conn;
        uint64_t at, end;
    } huge; /* what the origin is sending of one */
};

/* What a fetch came to. */
struct fetch {
    bool over, ok;
    unsigned status;
    uint64_t bytes;
    bool body_right;
    enum http_failure why;
    bool slow; /* takes only so many bytes more; then http_exchange_resume(x) */
    uint64_t takes;
    struct http_exchange *x;
};

void world_start(void); /* EAL, once */
void world_new(struct world *w, unsigned workers, bool offload);
void world_free(struct world *w);
/* All that can be done now, and time moves on to the next deadline: one step. */
void world_step(struct world *w);
void world_run(struct world *w, uint64_t us);
struct addr world_ip(unsigned i);
struct addr world_ip6(unsigned i);
/* GET http://<host><path> from node `i`, started; `f` is filled while the world runs. */
void world_get(struct world *w, unsigned i, bool v6, const char *path, struct fetch *f);
void world_fetch(struct world *w, unsigned i, bool v6, const char *path, struct fetch *f);
uint8_t world_byte(uint64_t at); /* of every body */

#endif
