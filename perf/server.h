/* SPDX-License-Identifier: BSD-3-Clause */
/* The node that is measured: one worker on an in-memory port, its zone, and one site whose origin
 * the load plays. Its addresses are 10.0.0.1 and so on; those of the load 10.0.0.16 and so on. With
 * --serve it is on that port instead, with that address, and the load is another process. */
#ifndef CORAL_PERF_SERVER_H
#define CORAL_PERF_SERVER_H

#include "dataplane/worker/counters.h"
#include "dataplane/worker/node.h"
#include "perf/perf.h"

#define SERVER_IPS     3
#define SERVER_NET     0x0a000001u /* and what follows */
#define CLIENT_NET     0x0a000010u
#define ORIGIN_IP      CLIENT_NET /* the load's first */
#define ORIGIN_PORT    8000
#define SERVER_ZONE    "coral.test"
#define SERVER_MEMBERS 16 /* of the zone: 192.0.2.1 and so on */
#define SERVER_MEMBER  0xc0000201u

struct server {
    struct port_link *link; /* the load has end 1 */
    struct node *node;
    struct worker_stats stats;
    struct view view;
    struct proxy_policy policy;
    struct proxy_site site;
    struct dht_routes *routes;
    struct dns_zone *zone;
};

/* False with `error`. */
bool server_open(struct server *s, const struct perf_options *o, uint32_t connections,
                 size_t cache_bytes, char *error, size_t error_len);
/* After the load's own mbufs are free. */
void server_close(struct server *s);
/* A perf_thread's turn, whose ctx is the server. */
bool server_turn(void *ctx);

#endif
