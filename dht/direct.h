/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engines without the wire: RPCs as structs, neither written, signed, checked nor read. For the
 * simulator, which is its own network and hands over a million nodes' packets; what it leaves out
 * it runs on a sample of them (rpc.h, mac.h).
 */
#ifndef CORAL_DHT_DIRECT_H
#define CORAL_DHT_DIRECT_H

#include "dht/rpc.h"

/* Serves one request, whose sender is believed. False: it gets no answer now. */
bool dht_serve_rpc(struct dht_store *store, const struct dht_routes *routes, const struct rpc *ask,
                   struct rpc *answer, dht_heard *heard, void *ctx, struct now now);
/* Takes one reply, from the address in it. */
void dht_asker_rpc(struct dht_asker *a, const struct rpc *answer, struct now now);

/* What a node says of itself. */
struct dht_sender dht_routes_sender(const struct dht_routes *r);

#endif
