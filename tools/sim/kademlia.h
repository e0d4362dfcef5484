/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Coral's index is compared with: a flat Kademlia as it is deployed, in the same worlds
 * (planet.h, churn.h).
 *
 *   lookup    iterative, closest first: of the k closest known that did not fail, the closest alpha
 *             not asked yet are asked at once; it ends when all k answered
 *   put       a lookup, then STORE at the k closest at once; a node that is one of them stores too
 *   get       ends at the first value that comes; not found: when the k closest had none
 *   time-out  a constant. Who did not answer is skipped by the lookup and leaves the asker's table;
 *             an answer that comes later is used while the lookup runs
 *   tables    begin as an oracle's (kademlia_fill); who is heard from enters where a slot is free.
 *             Nothing is refreshed but by a call of kademlia_fill
 *   return    a node that comes up again has lost its values, keeps its table, and looks for its
 *             own ID from it and one node that is up, by which its neighbours hear of it
 *
 * The caller owns the time: kademlia_run() to a moment, then say what happens at it. One thread.
 * The same calls with the same seed give the same events.
 */
#ifndef CORAL_TOOLS_SIM_KADEMLIA_H
#define CORAL_TOOLS_SIM_KADEMLIA_H

#include "dht/dht.h"
#include "tools/sim/kademlia_store.h"
#include "tools/sim/kademlia_table.h"
#include "tools/sim/planet.h"

#define KADEMLIA_WATCHES 16u

enum kademlia_what {
    KADEMLIA_FIND,
    KADEMLIA_GET,
    KADEMLIA_PUT,
    KADEMLIA_JOIN, /* of a node that came up again; not reported */
};

enum kademlia_end {
    KADEMLIA_FOUND,     /* get: a value */
    KADEMLIA_NOT_FOUND, /* get: the closest have none */
    KADEMLIA_REACHED,   /* find, put: the closest answered; one at least stored */
    KADEMLIA_FAILED,    /* nobody answered, or nobody stored */
    KADEMLIA_ENDS,
};

struct kademlia_result {
    enum kademlia_what what;
    enum kademlia_end end;
    uint32_t node; /* that asked */
    uint64_t key;  /* its upper 64 bits */
    uint64_t tag;  /* the caller's */
    uint64_t latency_us;
    /* Rounds: answers, each of which named the next, up to the one that had the value, or to the
     * closest node. 0: the node had it, or was it. */
    uint32_t hops;
    uint32_t asks;     /* RPCs sent, without STOREs */
    uint32_t timeouts; /* of all RPCs */
    uint32_t stores;   /* put: nodes that stored, with itself */
    uint32_t holder;   /* get: who put the value; else KADEMLIA_NOBODY */
    uint32_t holder_rtt_us;
    unsigned n; /* the closest that answered, closest first */
    uint32_t closest[KADEMLIA_K_MAX];
};

struct kademlia_params {
    unsigned k, alpha;
    uint64_t timeout_us;
    uint32_t max_lookups; /* in flight, and 1 time-out after their end */
    uint32_t max_keys;    /* pairs of (node, key stored at it) */
    /* A lookup ended; it may start others. Not of those whose node went down. */
    void (*done)(void *ctx, const struct kademlia_result *r);
    void *ctx;
};

/* k 8, alpha 3, 500 ms; 4096 lookups, 2^20 keys; nobody is told. libtorrent's short time-out: 1 s.
 */
struct kademlia_params kademlia_params_default(void);

struct kademlia;

/* ids[node], of which the upper 64 bits count and must differ. All nodes are up and know nobody.
 * The planet must outlive it. NULL: no memory. */
struct kademlia *kademlia_create(const struct kademlia_params *params, const struct planet *planet,
                                 const struct dht_id *ids, uint32_t nodes, uint64_t seed);
void kademlia_destroy(struct kademlia *k);

/* Makes all tables anew out of the nodes that are up: at the start, once it is said who is down;
 * later, for a network that refreshes its tables as well as can be. */
void kademlia_fill(struct kademlia *k);
/* The node goes down (its values and lookups are gone) or comes up, now. */
void kademlia_set_up(struct kademlia *k, uint32_t node, bool up);

/* A lookup of a node, from now on. done() gets the tag; it may be called before return. False: the
 * node is down, or too many lookups are in flight. */
bool kademlia_find(struct kademlia *k, uint32_t node, const struct dht_id *key, uint64_t tag);
bool kademlia_get(struct kademlia *k, uint32_t node, const struct dht_id *key, uint64_t tag);
/* Stores {node} for ttl_us from each store's arrival. */
bool kademlia_put(struct kademlia *k, uint32_t node, const struct dht_id *key, uint64_t ttl_us,
                  uint64_t tag);

/* Handles all events before until_us, which is then the present. */
void kademlia_run(struct kademlia *k, uint64_t until_us);

/* Counts STOREs of this key from now on; for KADEMLIA_WATCHES keys, then NULL. Lasts as long as k.
 */
const struct kademlia_watch *kademlia_watch(struct kademlia *k, const struct dht_id *key);

/* Of a node, since the start: requests and answers. */
struct kademlia_load {
    uint32_t sent, received;
};
struct kademlia_load kademlia_load(const struct kademlia *k, uint32_t node);

struct kademlia_counters {
    uint64_t events;
    uint64_t abandoned; /* lookups whose node went down */
    uint64_t joins;     /* lookups of nodes that came up */
    uint64_t overflows; /* messages lost and values refused because a bound above was too low */
};
struct kademlia_counters kademlia_counters(const struct kademlia *k);
/* Of all events in order (report.h): equal iff runs were equal. */
uint64_t kademlia_hash(const struct kademlia *k);
/* Contacts in the tables of nodes that are up, and how many of these are down. */
void kademlia_contacts(const struct kademlia *k, uint64_t *contacts, uint64_t *down);

/* --- rows of a comparison --------------------------------------------------------------------- */

/* Lookups of one kind. {0} is an empty one; 36 KiB. */
struct kademlia_row {
    uint64_t end[KADEMLIA_ENDS];
    struct summary hops, asks;
    struct summary well_us;   /* latency of those that found or reached */
    struct summary ill_us;    /* of the others */
    struct summary holder_us; /* round trip to the holder that a get was given */
};
void kademlia_row_add(struct kademlia_row *row, const struct kademlia_result *r);
/* {"found", "not_found", "reached", "failed", "hops", "asks", "well_us", "ill_us", "holder_us"}; a
 * new reference. */
json_t *kademlia_row_json(const struct kademlia_row *row);

#endif
