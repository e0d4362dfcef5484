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
    struct store_scope scope[DHT_LEVELS][2]; /* by level; in the cluster before the present one */
    dht_heard *heard;
    void *ctx;
    /* serve_burst's */
    uint8_t key_id;         /* that signs */
    uint8_t head[RPC_HEAD]; /* of all answers */
};
void serving_init(struct serving *s, struct dht_store *store, const struct dht_routes *routes,
                  dht_heard *heard, void *ctx, struct now now);

/* The answer to an admitted request, but its sender, cookie and key. hash: of its key in the store;
 * cookie: it showed one of ours. False: none can be given now. */
bool serve_answer(const struct serving *s, const struct rpc *ask, uint64_t hash, bool cookie,
                  struct rpc *answer);
/* Most GETs at once, written as they are read: those that the values seen at the level served end.
 * For one that showed a cookie; e: store_touch's. The reply's length without its tag's contents; 0:
 * serve_answer has more to say. */
size_t serve_found(const struct serving *s, const struct rpc *ask, const struct store_entry *e,
                   uint64_t cookie, uint8_t *reply, size_t room);
/* The levels at which this node and the asker are of one cluster; level 0's is the planet. */
unsigned serve_shared_levels(const struct dht_routes *r, const struct rpc *ask);
/* Is the control thread to be told of the sender? About once a second, and whenever it asks
 * something of it. */
bool serve_tells(const struct serving *s, const struct rpc *ask);
void serve_tell(const struct serving *s, const struct rpc *ask, bool cookie);

#endif
