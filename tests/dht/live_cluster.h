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

struct swim_node {
    struct swim *cluster;
    unsigned number;
    struct dht_id id;
    struct live *live;
    bool up, cut, lying_helper;
    uint64_t asleep_until_us, killed_us, started_us;
    uint64_t sent, sent_bytes;
    struct swim_job {
        bool used;
        unsigned asker;
        uint32_t token;
    } job[CLUSTER_JOBS];
};

struct swim_samples {
    unsigned n, room;
    uint64_t *us;
};

struct swim {
    uint64_t us;
    struct rng rng;
    struct live_config config;
    unsigned n, loss_permille;
    uint64_t counted_from_us; /* for rates */
    struct swim_packet *slot[CLUSTER_SLOTS], **last[CLUSTER_SLOTS];
    bool monitors[CLUSTER_MAX][CLUSTER_MAX];
    uint64_t withdrawn_us[CLUSTER_MAX][CLUSTER_MAX]; /* by [observer] of [subject]; 0: it is not */
    struct swim_samples withdrawals; /* from a kill to each live observer's withdrawal */
    struct swim_samples wrong;       /* how long a live one was withdrawn at an observer */
    unsigned wrong_begun;
    struct swim_node node[CLUSTER_MAX];
};

/* n nodes, all up, each monitoring `each` random others (n - 1: all). */
struct swim *swim_create(unsigned n, unsigned each, unsigned loss_permille, uint64_t seed);
void swim_destroy(struct swim *c);
void swim_run(struct swim *c, uint64_t us);
struct now swim_now(const struct swim *c);
void swim_kill(struct swim *c, unsigned i);
/* Starts again, with a higher incarnation and the members of before. */
void swim_start(struct swim *c, unsigned i);
/* A packet of news, made up. */
void swim_tell(struct swim *c, unsigned from, unsigned to, const struct dht_news *news, unsigned n);
bool swim_alive(const struct swim *c, unsigned observer, unsigned subject);
/* Live nodes that monitor the subject, and those of them that withdrew it. */
void swim_observers(const struct swim *c, unsigned subject, unsigned *all, unsigned *withdrew);
/* Forgets what was measured. */
void swim_measure(struct swim *c);
/* permille 500: the median; sorts. 0 without samples. */
uint64_t swim_quantile_us(struct swim_samples *s, unsigned permille);

#endif
