/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the askers and stores that one thread drives have in common. In corald that is one of each;
 * a simulation has a million, most of them idle at any time, and slots and lookups only for those
 * that are not.
 */
#ifndef CORAL_DHT_ARENA_H
#define CORAL_DHT_ARENA_H

#include "base/hash.h"
#include "base/wheel.h"
#include "dht/cookie.h"
#include "dht/holders.h"

struct slot;
struct lookup;

#define ARENA_PREFIXES 1024 /* counters of values and of requests, by hash of /24 or /48 */
#define ARENA_HEARD    2048 /* above the senders that a busy node has in a second */
#define ARENA_NEGATIVE 1024

/* When a sender was last reported: once a second is enough for the control thread. */
struct arena_heard {
    uint32_t tag, ms;
};

/* A key that an asker did not find, a moment ago. */
struct arena_negative {
    uint64_t tag;
    uint64_t until_us;
};

struct dht_arena {
    struct dht_config config;
    unsigned worker;
    struct rng rng;
    struct hash_secret secret;
    struct cookie_jar cookies;
    struct dht_counters counters;
    /* asking */
    struct wheel rpc_wheel, lookup_wheel;
    uint32_t slots, lookups, free_slots, running;
    struct slot *slot, *free_first, *free_last;
    struct lookup *lookup;
    uint32_t free_lookup; /* index + 1, 0: none */
    uint32_t *get_bucket; /* gets that run, by key: index + 1; as many as a power of two */
    uint32_t get_mask;
    struct arena_negative negative[ARENA_NEGATIVE];
    /* serving */
    struct holders holders;
    uint32_t source_max, prefix_max;         /* values of one node, of one network; 0: no limit */
    uint32_t prefix_count[ARENA_PREFIXES];   /* values stored, by network */
    uint32_t prefix_leak_us[ARENA_PREFIXES]; /* GCRA of requests, by network */
    uint32_t prefix_each_us;                 /* that a request adds to it */
    uint32_t walk_each_ms;                   /* that a walk adds to a full entry's leak */
    struct arena_heard heard[ARENA_HEARD];
    uint32_t *repeat;      /* two cookie generations of hashes of (tid, sender); NULL: no filter */
    uint64_t repeat_last;  /* the generation of the last call */
    uint32_t lookup_slots; /* that lookups hold */
};

/* The counter of an address's network: its /24 or /48. */
uint16_t arena_prefix(const struct dht_arena *a, const struct addr *ip);
/* A request from this network may be served now; else its rate is above the configured one. */
bool arena_rate(struct dht_arena *a, const struct addr *ip, struct now now);
/* True once a second a sender (and receiver: an arena may serve many). */
bool arena_heard_once(struct dht_arena *a, const struct dht_id *self, const struct dht_id *id,
                      struct now now);
/* Was this very request here before, in this cookie generation or the last? Notes it. */
bool arena_repeated(struct dht_arena *a, uint64_t tid, const struct dht_id *from, struct now now);

#endif
