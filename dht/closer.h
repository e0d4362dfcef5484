/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rule by which a lookup proceeds: not as close to the key as it can, but to about half (with
 * b = 1) of the distance d that it has, so that the lookups of one key by all nodes form a tree.
 *
 *       key                 d/2^(b+1)        d/2^b                       d
 *        |---- near side ------|---- band -----|------- far side --------|
 *
 * Best is the fastest in the band; then the far side's nearest to the band, then the near side's.
 *
 * Where in the table? Let p be the leading bits that the key shares with this node. Contacts that
 * share exactly p with us share more with the key: all are closer to it than we are, and closer
 * than any others of the table. Next come those that share more than p with us; then, farther than
 * we are, those that share less. As the table is sorted by distance from us, each is a range.
 */
#ifndef CORAL_DHT_CLOSER_H
#define CORAL_DHT_CLOSER_H

#include "dht/id.h"
#include "dht/rpc.h"

#define CLOSER_RTT_UNKNOWN_US 100000u /* taken for the round trip to one that was not measured */

struct closer_step {
    struct dht_distance d, high, low; /* where the lookup is, d/2^b, d/2^(b+1) */
};

/* One candidate's merit. */
struct closer_merit {
    unsigned side; /* 0 band, 1 far, 2 near */
    struct dht_distance distance;
    uint32_t rtt_us;
};

struct closer_step closer_step(const struct dht_distance *d, unsigned prefix_bits);
/* False: not closer than d, so no candidate at all. */
bool closer_merit(const struct closer_step *step, const struct dht_distance *distance,
                  uint32_t rtt_us, struct closer_merit *out);
bool closer_better(const struct closer_merit *a, const struct closer_merit *b);

/* The contacts that share exactly `prefix` leading bits with this node: [from, to). */
struct closer_range {
    uint32_t from, to;
};
struct closer_range closer_range(const struct dht_routes *routes, unsigned prefix);

/* Up to RPC_CONTACTS live contacts of a level, all strictly closer to the key than this node: the
 * one that the rule prefers, the closest two (the first may be out of the asker's reach), the
 * fastest. `but` is left out: the asker. Returns how many. */
unsigned closer_contacts(const struct dht_routes *routes, unsigned level, const struct dht_id *key,
                         const struct dht_id *but, unsigned prefix_bits,
                         struct rpc_contact out[static RPC_CONTACTS]);
/* The live contacts of a level closest to the key, closer than this node or not, nearest first. */
unsigned closest_contacts(const struct dht_routes *routes, unsigned level, const struct dht_id *key,
                          const struct dht_id *but, struct rpc_contact out[static RPC_CONTACTS]);

/* The index of the route to `id`, routes->n when there is none. */
uint32_t routes_find(const struct dht_routes *routes, const struct dht_id *id);

#endif
