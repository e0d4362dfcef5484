/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to cluster.c (what is decided) and cluster_heard.c (what is known): a machine's memory.
 *
 *     struct cluster | known[0] known[1] ... | members of 0 | members of 1 | ...    one allocation
 */
#ifndef CORAL_DHT_CLUSTER_STATE_H
#define CORAL_DHT_CLUSTER_STATE_H

#include "dht/cluster.h"

#define RTT_UNIT_US 8u      /* 16 bits hold 0.52 s */
#define RTT_NONE    0xffffu /* not measured */
#define ACCESSES    64u     /* that rule a looks back on */
#define NOBODY      0xffu   /* no index of a known cluster */

struct member {
    uint32_t peer;
    uint16_t rtt_now, rtt_before; /* least of this half of the window, of the one before */
};

struct known {
    uint64_t cid;       /* 0: the place is free */
    uint32_t founded_s; /* seconds of the monotonic clock modulo 2^32, as are all that follow */
    uint32_t heard_s;   /* when a member was heard last */
    uint32_t shunned_s; /* until when, if `shunned` */
    uint16_t size_256;  /* smoothed over what members announce, 1/256 of log2 */
    uint8_t members;    /* in its row of `member`, the last heard first */
    bool shunned;
};

struct cluster {
    const struct cluster_config *config;
    struct member *member; /* config->members for each known cluster, behind them in memory */
    uint64_t rng;          /* state of splitmix64 */
    uint64_t misses;       /* of the last accesses to members of ours, the latest in bit 0 */
    uint64_t tick_us;      /* when the next tick is */
    uint64_t validated_us; /* when the present validation ends */
    uint64_t previous_cid; /* the cluster left last; 0: never left one */
    uint32_t previous_s;   /* when */
    uint32_t switches;
    uint32_t half;     /* which half window `rtt_now` is of */
    uint8_t accesses;  /* valid bits of `misses` */
    uint8_t ticks;     /* since the start or the last switch, as far as they matter */
    uint8_t size;      /* of ours as we announce it, eighths of log2 */
    uint8_t own;       /* which of `known` we are in */
    uint8_t swings;    /* switches in a row that led back to where the one before came from */
    uint8_t candidate; /* which is being validated, or NOBODY */
    struct known known[];
};

static inline uint32_t seconds(struct now now)
{
    return (uint32_t)(now.mono_us / 1000000);
}

static inline struct member *row(const struct cluster *c, const struct known *k)
{
    return c->member + (size_t)(k - c->known) * c->config->members;
}

static inline bool is_own(const struct cluster *c, const struct known *k)
{
    return k == &c->known[c->own];
}

static inline bool in_use(const struct cluster *c, const struct known *k)
{
    return is_own(c, k) || (c->candidate != NOBODY && k == &c->known[c->candidate]);
}

static inline uint16_t rtt_of(const struct member *m)
{
    return m->rtt_now < m->rtt_before ? m->rtt_now : m->rtt_before;
}

static inline bool is_near(const struct cluster *c, const struct member *m)
{
    return rtt_of(m) < c->config->threshold_us / RTT_UNIT_US;
}

static inline uint8_t eighths(uint32_t log2_256)
{
    uint32_t e = (log2_256 + 16) / 32;
    return (uint8_t)(e < 255 ? e : 255);
}

static inline bool is_shunned(const struct known *k, uint32_t s)
{
    return k->shunned && (int32_t)(k->shunned_s - s) > 0;
}

static inline bool is_heard(const struct cluster *c, const struct known *k, uint32_t s)
{
    return s - k->heard_s <= c->config->heard_s;
}

/* Members measured, and how many of them are near. */
struct tally {
    unsigned measured, near;
};

struct tally cluster_tally(const struct cluster *c, const struct known *k);

/* What is to be said of it at second s. */
struct dht_descriptor cluster_describe(const struct known *k, uint32_t s);

/* Rule c: better than ours? */
bool cluster_known_better(const struct cluster *c, const struct known *k, uint32_t s);

/* The rtt of a window is the least of its two halves: when one is over, all move on. */
void cluster_window_turn(struct cluster *c, uint32_t s);

/* NULL: not known. cid is not 0. */
struct known *cluster_known_find(struct cluster *c, uint64_t cid);

/*
 * A place for a cluster just heard of. In a world of many clusters the least recently heard must
 * not always go: ours-to-be would go before five of its members were measured. So those
 * go first that are no better than ours or have no near member, and only a better one with a near
 * member (`promising`) displaces another such. What we shun counts as having one: forgotten, it
 * would be validated again. NULL: no place for it.
 */
struct known *cluster_known_make(struct cluster *c, bool promising, uint32_t s);

/* A place becomes that of a cluster of which nobody is known yet. */
void cluster_known_found(struct known *k, uint64_t cid, uint32_t age_s, uint16_t size_256,
                         uint32_t s);

#endif
