/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is over its share (CORAL.md 4). What a site is asked for over the whole network is what the
 * workers count here and what the other nodes tell (dht/usage.h); where that is more than its
 * share, each node serves the same part of its clients, so that all together serve the share. What
 * is refused counts as asked for: so the part does not go up and down with itself.
 *
 * No I/O, no clock; one thread.
 */
#ifndef CORAL_CONTROL_FAIR_H
#define CORAL_CONTROL_FAIR_H

#include "dataplane/proxy/proxy.h"
#include "dht/usage.h"

#define FAIR_TICK_US PROXY_USAGE_US
#define FAIR_SITES   1024 /* used here, that are known at a time; of more, the most used */
#define FAIR_LEAST   16 /* of PROXY_ALL: a site is never all refused, or its size could not be seen \
                         */

struct fair_site {
    uint64_t site;
    char name[128];                 /* HOST or HOST:PORT */
    double bytes, requests;         /* a second, here, */
    double all_bytes, all_requests; /* and of the whole network */
    struct proxy_fair fair;         /* its share */
    uint32_t admitted;              /* of PROXY_ALL */
    /* since the last tick; and what a response has in the mean */
    uint64_t new_bytes, new_requests, new_refused;
    double size;
};

struct fair;
struct fair *fair_create(void); /* NULL: no memory */
void fair_destroy(struct fair *f);
/* A worker's word. */
void fair_used(struct fair *f, const struct proxy_usage *u);
/* Another node's. */
void fair_heard(struct fair *f, const struct dht_id *who, const struct dht_usage *site, unsigned n,
                struct now now);
/* Each FAIR_TICK_US: rates and parts. `nodes`: of the network, this one included, an estimate. */
void fair_tick(struct fair *f, const struct proxy_policy *policy, uint64_t nodes, struct now now);
/* What other nodes are to be told; how many. */
unsigned fair_tell(const struct fair *f, struct dht_usage out[static DHT_USAGE]);
/* Those that are over their share, for a view (free()); NULL with *ok: there are none. */
struct proxy_shares *fair_shares(const struct fair *f, bool *ok);
/* Those that are known, the most used first; how many. `heard`: nodes whose word counts. */
unsigned fair_sites(const struct fair *f, const struct fair_site **first, unsigned *heard);

#endif
