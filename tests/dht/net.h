/* SPDX-License-Identifier: BSD-3-Clause */
/* A network of whole index nodes, as shipped, on virtual time: each pair has its own delay, packets
 * get lost, nodes die and come back. One seed replays all. */
#ifndef CORAL_TESTS_DHT_NET_H
#define CORAL_TESTS_DHT_NET_H

#include "base/rng.h"
#include "dht/dht.h"

#define NET_SLOTS 512 /* ms that a packet may take */

struct net;
struct net_node {
    struct net *net;
    unsigned number;
    bool up;
    struct dht_contact self;
    struct dht_book *book;
    struct dht_member *member;
    struct dht_arena *arena;
    struct dht_store *store;
    struct dht_asker *asker;
    struct dht_mac *mac;
    struct dht_routes *routes;
    uint32_t incarnation;
    struct endpoint bootstrap;
};

struct net {
    uint64_t ms, seed;
    struct dht_config config;
    struct rng rng;
    unsigned loss_percent;
    const struct net_node *cut_from, *cut_to; /* no packet of the first reaches the second */
    struct packet *slot[NET_SLOTS], **last[NET_SLOTS];
    uint64_t sent, lost;
    struct find_note *notes;
    unsigned n;
    struct net_node node[];
};

struct net *net_create(unsigned n, const struct dht_config *config, uint64_t seed);
void net_destroy(struct net *net);
void net_start(struct net *net, unsigned i); /* with node 0 as its bootstrap (0: node 1) */
void net_kill(struct net *net, unsigned i);
void net_run(struct net *net, unsigned ms);
/* Starts all, 20 ms apart, and lets them settle. */
void net_settle(struct net *net, unsigned ms);
struct now net_now(const struct net *net);

/* A lookup and its end; the asker is any node. */
struct net_result {
    bool ended;
    struct dht_result result;
    uint64_t ended_ms;
};
void net_done(void *ctx, const struct dht_result *result, struct now now);
struct dht_result net_get(struct net *net, unsigned by, const struct dht_id *key);
struct dht_result net_put(struct net *net, unsigned by, const struct dht_id *key, uint32_t ttl_ms);
/* The live node closest to a key, with the `skip` closest left out. */
unsigned net_closest(const struct net *net, const struct dht_id *key, unsigned skip);
/* Does a node have another in its table, fit for DNS? */
bool net_knows(const struct net *net, unsigned of, unsigned to);

#endif
