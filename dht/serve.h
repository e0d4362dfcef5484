/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serving's insides:
 *
 *   serve_burst.c   packets in, packets out: parse, tags, cookies, rates, who is told
 *   serve.c         one admitted request: at which level, and what is answered
 */
#ifndef CORAL_DHT_SERVE_H
#define CORAL_DHT_SERVE_H

#include "dht/direct.h"
#include "dht/store.h"

struct serving {
    struct dht_store *store;
    const struct dht_routes *routes;
    struct dht_counters *counters;
    struct now now;
    dht_heard *heard;
    void *ctx;
    uint8_t key_id;         /* that signs */
    uint8_t head[RPC_HEAD]; /* of all answers */
};

/* The answer to an admitted request, but its sender, cookie and key. hash: of its key in the store;
 * cookie: it showed one of ours. False: it gets none now. */
bool serve_answer(const struct serving *s, const struct rpc *ask, uint64_t hash, bool cookie,
                  struct rpc *answer);
/* The levels at which this node and the asker are of one cluster; level 0's is the planet. */
unsigned serve_shared_levels(const struct dht_routes *r, const struct rpc *ask);
/* Tells the control thread of the sender, about once a second, and of what it asks of it. */
void serve_tell(const struct serving *s, const struct rpc *ask, bool cookie);

#endif
