/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the nodes of a flat Kademlia store: under a key, who holds the object and until when. Nobody
 * refuses a value, as nobody does in BitTorrent's; a key keeps its last few.
 */
#ifndef CORAL_TOOLS_SIM_KADEMLIA_STORE_H
#define CORAL_TOOLS_SIM_KADEMLIA_STORE_H

#include <stdint.h>

#include "tools/sim/report.h"

/* values under a key at a node: the one that ends first makes room */
#define KADEMLIA_VALUES 8u
/* nodes that a watched key is stored at in a minute; what comes to others is in the total alone */
#define KADEMLIA_WATCHED 256u

struct kademlia_store;

/* Of all nodes together; up to max_keys pairs of (node, key). NULL: no memory. */
struct kademlia_store *kademlia_store_create(uint32_t nodes, uint32_t max_keys);
void kademlia_store_destroy(struct kademlia_store *s);
/* False: no room for another key. */
bool kademlia_store_put(struct kademlia_store *s, uint32_t node, uint64_t key, uint32_t holder,
                        uint64_t expires_us, uint64_t now_us);
/* One of the live values' holders, as `random` says, or KADEMLIA_NOBODY. */
uint32_t kademlia_store_get(const struct kademlia_store *s, uint32_t node, uint64_t key,
                            uint64_t random, uint64_t now_us);
/* The node went down: all that it stored is gone. */
void kademlia_store_clear(struct kademlia_store *s, uint32_t node);

/* Stores that arrive under one key, by whole minutes. */
struct kademlia_watch {
    uint64_t key;
    uint64_t minute;        /* the one being counted, since time 0 */
    struct summary busiest; /* arrivals in a minute at the node that had most of them */
    struct summary total;   /* at all nodes */
    uint32_t arrived, n;    /* in this minute: at all nodes; at so many of them */
    struct {
        uint32_t node, arrived;
    } at[KADEMLIA_WATCHED];
};

void kademlia_watch_begin(struct kademlia_watch *w, uint64_t key, uint64_t now_us);
void kademlia_watch_arrival(struct kademlia_watch *w, uint32_t node, uint64_t now_us);
/* It is now_us: minutes that are over are summed up. */
void kademlia_watch_advance(struct kademlia_watch *w, uint64_t now_us);

#endif
