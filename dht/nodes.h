/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nodes(level, count, services) of Coral's interface (NSDI 2004, section 4.1): members of this
 * node's cluster of a level, out of its routing table. Those near an address are found through
 * hints (dht/hint.h) instead.
 */
#ifndef CORAL_DHT_NODES_H
#define CORAL_DHT_NODES_H

#include "base/rng.h"
#include "dht/dht.h"

/*
 * Up to `count` others of our cluster of `level` that are fit for DNS answers (`live`) and run all
 * of `services` (enum dht_service, a bit each; 0: whatever they run). With `random` any of them,
 * each set as likely as any other; without (NULL) those with the shortest round trips, shortest
 * first, and last whose round trip is not known. `out` gets their indices into routes->route.
 * Returns how many; 0 at a level that there is not.
 *
 * Pure but for `random`: any thread that may read the routes and owns the generator. Time is
 * proportional to routes->n, and to `count` where that is near.
 */
unsigned dht_nodes(const struct dht_routes *routes, unsigned level, unsigned count,
                   unsigned services, struct rng *random, uint32_t *out);

#endif
