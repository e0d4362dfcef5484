/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which cluster this node is in at one level, and when it changes (NSDI 2004, section 3.2; the
 * numbers are research's 2.6). One machine a level, driven by the control thread alone.
 *
 *                 answers (cluster_heard)                     tick
 *                          |                                    |
 *                          v                                    v
 *      +------ what is known of clusters -------+     a. too far?  > 50 % of the last accesses to
 *      | ours:  cid, age, some members          |        present members miss the threshold
 *      | other: cid, age, size, some members    |          yes -> SWITCH to a fresh one, alone
 *      |        with their least round trips    | <-- b. acceptable ones: 80 % of members near
 *      +----------------------------------------+     c. the best of them, if better than ours
 *                          ^                          d. VALIDATE: the caller walks to random keys
 *                          |                             inside it as a guest; answers are heard;
 *                          +---- answers of guests ------ 4 s later still 80 % -> SWITCH
 *                                                         else shunned, and b again
 *
 * Rule c: of two clusters the larger is better if their sizes differ by more than delta (log2),
 * else the one with the lower cid. delta is a wave of the younger one's age: 1 in even hours, 2 in
 * odd ones, so that similar clusters neither flap nor stay apart. The paper's is 0 in even hours; but
 * estimates differ by a third of log2 between members, so that of two clusters as large as each
 * other's guess half would go one way and half the other, and change places for an hour: what is
 * within the noise must be decided by the cid. Sizes are compared in the eighths
 * in which they are announced: both sides of a merge compare the same numbers, and of two that are
 * alone exactly one moves. A node that goes back to where it came from shuns the one it leaves, for
 * a tick, then two, up to shun_s: whatever the estimates do, it does not swing between two.
 *
 * What is measured is the least round trip to a peer in 7.5 to 15 minutes: congestion must not
 * split a cluster. Numbers are integers, ages durations, and chance comes from a generator that the
 * id and a seed start: the same calls give the same decisions on any machine.
 *
 * What others say of age and size is believed within bounds (an age only moves delta's wave, a
 * size only rule c); only measured round trips make a cluster acceptable.
 *
 * No rule splits a cluster in two by name (research 2.6 has one, H(cid|0) and H(cid|1)). It would
 * need all who leave for the same reason to agree on a bit, without knowing one another; and where
 * fast ticks follow each switch it gains little: those who leave found clusters of one, meet at the
 * next ticks and merge (the unit test's 120 nodes of three metros in one cluster are apart, and
 * each metro whole, after 140 s).
 */
#ifndef CORAL_DHT_CLUSTER_H
#define CORAL_DHT_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/now.h"
#include "dht/descriptor.h"

#define CLUSTER_KNOWN_MAX   64u     /* clusters that a machine may remember */
#define CLUSTER_MEMBERS_MAX 32u     /* members of each */
#define CLUSTER_SEEDS       4u      /* where guest walks start */
#define CLUSTER_RTT_MAX_US  500000u /* thresholds are below: measurements are kept in 16 bits */

/* Shared by all machines of a level: it is referred to, and must outlive them. */
struct cluster_config {
    uint32_t threshold_us; /* a round trip below is near: 60 ms at level 1, 20 ms at level 2 */
    unsigned known;        /* clusters remembered, ours included: 2..CLUSTER_KNOWN_MAX */
    unsigned members;      /* members remembered of each: 1..CLUSTER_MEMBERS_MAX */
    unsigned tick_s;       /* between two looks at what was heard */
    unsigned fast_tick_s;  /* the first two ticks; each next two take twice as long, up to tick_s */
    unsigned window_s;     /* a least round trip is of the last half to whole window */
    unsigned heard_s;      /* a cluster unheard for longer is no candidate */
    unsigned shun_s;  /* one that failed is none for so long; the young and the silent for less */
    unsigned grace_s; /* how long cluster_previous names the cluster left */
    unsigned validate_ms;    /* from VALIDATE to the decision */
    unsigned share_percent;  /* acceptable: at least so many of the members measured are near */
    unsigned accept_least;   /* ... of at least so many, to be worth validating */
    unsigned validate_least; /* ... and of at least so many, to switch to */
    unsigned leave_percent;  /* ours is left when more of the last accesses than this miss */
    unsigned leave_least;    /* ... of at least so many (of the last 64), 1..64 */
    unsigned wave_s;         /* half of delta's period */
    unsigned delta_even;     /* delta in even half-periods of the age, in eighths of log2 */
    unsigned delta_odd;      /* ... in odd ones */
};

/* corald's: 16 clusters of 32 members, 4560 bytes. Simulations of many nodes take 8 of 8: 784. */
#define CLUSTER_CONFIG_DEFAULT                                                                     \
    {                                                                                              \
        .threshold_us = 20000, .known = 16, .members = 32, .tick_s = 300, .fast_tick_s = 10,       \
        .window_s = 900, .heard_s = 600, .shun_s = 1800, .grace_s = 300, .validate_ms = 4000,      \
        .share_percent = 80, .accept_least = 5, .validate_least = 10, .leave_percent = 50,         \
        .leave_least = 16, .wave_s = 3600, .delta_even = 8, .delta_odd = 16                        \
    }

enum cluster_what {
    CLUSTER_VALIDATE, /* start guest walks in `to` from `member`; tell cluster_heard who answers */
    CLUSTER_SWITCH,   /* done: this node is now in `to` */
};

enum cluster_reason {
    CLUSTER_TOO_FAR,   /* rule a: `to` is fresh */
    CLUSTER_LARGER,    /* rule c: sizes differ by more than delta */
    CLUSTER_LOWER_CID, /* rule c: they do not */
};

/* What the caller has to do or to write down. */
struct cluster_action {
    enum cluster_what what;
    enum cluster_reason reason;
    struct dht_descriptor from, to; /* as known at this moment */
    /* TOO_FAR: accesses to members of `from`, and how many of a hundred missed the threshold;
     * else: members of `to` measured, and how many of a hundred are near */
    unsigned measured, share_percent;
    /* members of `to`: for VALIDATE up to CLUSTER_SEEDS to start from, near ones first; for SWITCH
     * those found near, to fill the new table with */
    unsigned members;
    uint32_t member[CLUSTER_MEMBERS_MAX];
};

struct cluster;

/* A machine that starts alone in a cluster of its own, founded now, with a random cid. `self` is
 * some 64 bits of the node's id, which set it out of step with others; with the same seed the same
 * happens again. NULL: no memory, or a config out of the bounds named there. */
struct cluster *cluster_create(const struct cluster_config *config, unsigned level, uint64_t self,
                               uint64_t seed, struct now now);
void cluster_destroy(struct cluster *c);
/* Bytes of a machine with this config. */
size_t cluster_bytes(const struct cluster_config *config);

/* After a restart, before anything is heard: back into the cluster of before, which is no switch.
 * Only with a state at most 600 s old; if its members are gone or far by now, the rules find
 * another. */
void cluster_restore(struct cluster *c, uint64_t cid, uint32_t age_s, struct now now);

/* What to say in every RPC. */
struct dht_descriptor cluster_descriptor(const struct cluster *c, struct now now);

/* The present estimate of how many members our own has, in 1/256 of log2 (size_log2_256). The
 * estimator is unsure about a handful: where the table holds all members, count them. */
void cluster_size(struct cluster *c, uint32_t log2_256);

/*
 * Of every authenticated packet. `peer` is the embedder's name of the sender, `says` its descriptor
 * at this level (cid 0: it is in none, and forgotten), `rtt_us` the round trip that this packet
 * ended, 0 if it ended none. A measured one of a member of ours is an access (rule a). The caller
 * drops what is older than the sender's latest word (R9).
 */
void cluster_heard(struct cluster *c, uint32_t peer, const struct dht_descriptor *says,
                   uint32_t rtt_us, struct now now);
/* The peer left, died, or its name is given to another. */
void cluster_gone(struct cluster *c, uint32_t peer);

/* Call until false. False: nothing to do before cluster_next_us. */
bool cluster_poll(struct cluster *c, struct now now, struct cluster_action *out);
uint64_t cluster_next_us(const struct cluster *c);

/* The cluster left last, for which gets are still answered; 0: none, or the grace is over. */
uint64_t cluster_previous(const struct cluster *c, struct now now);
/* Switches so far. Its low 8 bits are the epoch with which values of this level are marked. */
uint32_t cluster_switches(const struct cluster *c);

/* Rule c: is a to be preferred to b? False for a cluster and itself. */
bool cluster_better(const struct cluster_config *config, const struct dht_descriptor *a,
                    const struct dht_descriptor *b);

#endif
