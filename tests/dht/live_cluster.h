/* SPDX-License-Identifier: BSD-3-Clause */
/* A cluster of liveness detectors on virtual time, with the little of an RPC layer that they need:
 * each pair of nodes has its own delay, packets get lost, nodes die, sleep, get cut off and lie.
 * One seed replays all. */
#ifndef CORAL_TESTS_DHT_LIVE_CLUSTER_H
#define CORAL_TESTS_DHT_LIVE_CLUSTER_H

#include "dht/live.h"

#define CLUSTER_MAX   300
#define CLUSTER_SLOTS 1024 /* ms that a packet may take */
#define CLUSTER_JOBS  32   /* pings that a node has under way for others */
/* Of a ping or its answer, with all headers, as the RPCs are; news come on top. */
#define CLUSTER_PACKET_BYTES 170

struct cluster_node {
    struct cluster *cluster;
    unsigned number;
    struct dht_id id;
    struct live *live;
    bool up, cut, lying_helper;
    uint64_t asleep_until_us, killed_us, started_us;
    uint64_t sent, sent_bytes;
    struct cluster_job {
        bool used;
        unsigned asker;
        uint32_t token;
    } job[CLUSTER_JOBS];
};

struct cluster_samples {
    unsigned n, room;
    uint64_t *us;
};

struct cluster {
    uint64_t us;
    struct rng rng;
    struct live_config config;
    unsigned n, loss_permille;
    uint64_t counted_from_us; /* for rates */
    struct cluster_packet *slot[CLUSTER_SLOTS], **last[CLUSTER_SLOTS];
    bool monitors[CLUSTER_MAX][CLUSTER_MAX];
    uint64_t withdrawn_us[CLUSTER_MAX][CLUSTER_MAX]; /* by [observer] of [subject]; 0: it is not */
    struct cluster_samples withdrawals; /* from a kill to each live observer's withdrawal */
    struct cluster_samples wrong;       /* how long a live one was withdrawn at an observer */
    unsigned wrong_begun;
    struct cluster_node node[CLUSTER_MAX];
};

/* n nodes, all up, each monitoring `each` random others (n - 1: all). */
struct cluster *cluster_create(unsigned n, unsigned each, unsigned loss_permille, uint64_t seed);
void cluster_destroy(struct cluster *c);
void cluster_run(struct cluster *c, uint64_t us);
struct now cluster_now(const struct cluster *c);
void cluster_kill(struct cluster *c, unsigned i);
/* Starts again, with a higher incarnation and the members of before. */
void cluster_start(struct cluster *c, unsigned i);
/* A packet of news, made up. */
void cluster_tell(struct cluster *c, unsigned from, unsigned to, const struct live_news *news,
                  unsigned n);
bool cluster_alive(const struct cluster *c, unsigned observer, unsigned subject);
/* Live nodes that monitor the subject, and those of them that withdrew it. */
void cluster_observers(const struct cluster *c, unsigned subject, unsigned *all,
                       unsigned *withdrew);
/* Forgets what was measured. */
void cluster_measure(struct cluster *c);
/* permille 500: the median; sorts. 0 without samples. */
uint64_t cluster_quantile_us(struct cluster_samples *s, unsigned permille);

#endif
