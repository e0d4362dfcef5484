/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The asker's insides. Two layers:
 *
 *   lookup.c   get, put, remove, find: which contact next, when is it over
 *   asker.c    RPC slots: sending, replies, cookies, time-outs, what is known of peers
 *
 * A slot is named by its number in the tid, 40 random bits beside it. One whose time ran out goes
 * to the end of the free list and keeps its tid until it is used again: an answer that comes late
 * still says that the contact lives, though the lookup went on without it.
 */
#ifndef CORAL_DHT_ASKER_H
#define CORAL_DHT_ASKER_H

#include "base/wheel.h"
#include "dht/id.h"
#include "dht/peers.h"
#include "dht/rpc.h"

#define LOOKUP_NONE     UINT32_MAX
#define LOOKUP_HOPS     40 /* contacts that a lookup knows */
#define LOOKUP_ASKS     32 /* RPCs that it sends at most */
#define LOOKUP_INFLIGHT 2

/* An RPC of ours. */
struct slot {
    struct timer timer; /* time-out */
    struct slot *next;  /* in the free list */
    uint64_t tid;       /* 0: was answered */
    uint64_t sent_us;
    struct dht_id id;
    struct endpoint rpc;
    uint32_t lookup; /* LOOKUP_NONE: a ping, or the lookup is over */
    uint8_t hop;
    uint8_t type;
    bool waiting;     /* not answered, not timed out */
    bool has_cookied; /* was repeated with a fresh cookie already */
};

enum hop_state {
    HOP_NEW,
    HOP_ASKED,    /* in flight */
    HOP_MISSED,   /* timed out: asked again when there is nobody else */
    HOP_ANSWERED, /* a put may store here */
    HOP_SPENT,    /* answered, and no use for storing */
    HOP_DEAD,
};

/* A contact in a lookup: known by hearsay until it answers. */
struct hop {
    struct dht_id id;
    struct endpoint rpc;
    struct dht_distance distance;
    enum hop_state state;
    uint8_t misses, store_misses;
};

enum lookup_kind { LOOKUP_GET, LOOKUP_PUT, LOOKUP_REMOVE, LOOKUP_FIND };
enum lookup_phase {
    PHASE_WALK,   /* towards the key */
    PHASE_RUNNER, /* get, remove: the runner-up; a node that just came in front of it has nothing */
    PHASE_STORE,  /* put: at the closest that takes it */
};

struct lookup {
    struct timer timer; /* hedge, or the end */
    uint32_t generation, next_free;
    bool used, hedged, over, answered;
    enum lookup_kind kind;
    enum lookup_phase phase;
    struct dht_id key;
    uint32_t ttl_ms;
    struct dht_distance d; /* where the walk is */
    dht_done *done;
    void *ctx;
    uint64_t end_us, hedge_us;
    unsigned asks, inflight, hops;
    struct slot *slot[LOOKUP_INFLIGHT];
    struct hop hop[LOOKUP_HOPS]; /* [0]: this node itself, but in a find */
    struct dht_result result;
};

struct dht_asker {
    struct dht_config config;
    unsigned worker;
    struct dht_mac *mac;
    struct dht_asker_host host;
    const struct dht_routes *routes;
    struct rng rng;
    struct peers peers;
    struct wheel rpc_wheel, lookup_wheel;
    struct dht_counters counters;
    uint32_t slots, lookups;
    struct slot *slot, *free_first, *free_last;
    uint32_t free_slots;
    struct lookup *lookup;
    uint32_t free_lookup; /* index + 1, 0: none */
    uint32_t running;
};

/* Sends an RPC of a type to a contact; the lookup's slot is set. NULL: no slot. What the port does
 * not take is lost like on the way. */
struct slot *asker_send(struct dht_asker *a, uint8_t type, struct lookup *l, unsigned hop,
                        const struct dht_id *id, const struct endpoint *rpc, struct now now);

/* Lets the lookup's RPCs go on without it: their answers count as signs of life only. */
void asker_detach(struct dht_asker *a, struct lookup *l);

/* What lookups hear of their RPCs. */
void lookup_answered(struct dht_asker *a, struct lookup *l, unsigned hop, const struct rpc *answer,
                     struct now now);
void lookup_timed_out(struct dht_asker *a, struct lookup *l, unsigned hop, uint8_t type,
                      struct now now);
void lookup_timer(struct dht_asker *a, struct lookup *l, struct now now);

#endif
