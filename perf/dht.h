/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-perf dht: the index alone, on one core, without a wire.
 *
 *   dht.c         the run: what is measured in turn, the table
 *   dht_bench.c   the node that is measured, and all others
 *   dht_serve.c   a node with a full store: bursts of requests through dht_serve
 *   dht_lookup.c  an asker whose questions are answered out of the measured time
 */
#ifndef CORAL_PERF_DHT_H
#define CORAL_PERF_DHT_H

#include "dht/rpc.h"
#include "perf/perf.h"

#define DHT_BENCH_NODES   8192 /* that there are in all: holders, contacts, askers */
#define DHT_BENCH_ASKERS  512
#define DHT_BENCH_ROUTES  300
#define DHT_BENCH_STRIDE  2304 /* a packet buffer with its header */
#define DHT_BENCH_PACKETS 512  /* requests in a window: the first ones find cold caches */
#define DHT_BENCH_KEY_ID  1

/* The node that is measured, and all others. */
struct dht_bench {
    struct dht_arena *arena;
    struct dht_mac *mac;
    struct dht_contact node[DHT_BENCH_NODES]; /* [0]: the one that is measured */
    struct dht_route route[DHT_BENCH_ROUTES];
    struct dht_routes routes;
    struct rng rng;
    struct now now; /* virtual */
};

/* False: no memory. `keys` of one store; the holders of all are bounded by the nodes. */
bool dht_bench_open(struct dht_bench *b, uint32_t keys);
void dht_bench_close(struct dht_bench *b);
/* What a node says of itself: it shares our clusters. */
struct dht_sender dht_bench_sender(const struct dht_bench *b, unsigned node);

/* --- dht_serve.c ------------------------------------------------------------------------------ */

enum dht_op {
    DHT_OP_GET,         /* a key with 4 values */
    DHT_OP_GET_ONE,     /* with one */
    DHT_OP_GET_UNKNOWN, /* none: contacts closer to it */
    DHT_OP_WALK,        /* a full key */
    DHT_OP_STORE,       /* the asker's own value once more */
    DHT_OP_COOKIE,      /* STORE by a stranger: padded, its ID checked, answered by a cookie */
    DHT_OP_PING,
    DHT_OPS
};

struct dht_serving;
struct dht_serving *dht_serving_new(struct dht_bench *b, uint32_t keys);
void dht_serving_free(struct dht_serving *s);
/* TSC cycles a request of a window, served in bursts of n. An answer that is not the one expected
 * counts as an error. */
double dht_serving_window(struct dht_serving *s, enum dht_op op, unsigned n, uint64_t *errors);

/* --- dht_lookup.c ----------------------------------------------------------------------------- */

struct dht_hops {
    double all, tags; /* TSC cycles a hop: everything; of them the tags, computed alone again */
    double hops;      /* a lookup */
};

struct dht_asking;
/* `nodes` of them: more than the asker remembers, or fewer. */
struct dht_asking *dht_asking_new(struct dht_bench *b, unsigned nodes);
void dht_asking_free(struct dht_asking *a);
/* A window of gets side by side, from start to end. Those that found nothing count as errors. */
struct dht_hops dht_asking_window(struct dht_asking *a, uint64_t *errors);

#endif
