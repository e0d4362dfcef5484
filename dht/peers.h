/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an asker remembers of those it asked: the cookie to use, round-trip times (RFC 6298),
 * failures. A bounded table, 4 ways a set, the least recently used goes.
 */
#ifndef CORAL_DHT_PEERS_H
#define CORAL_DHT_PEERS_H

#include "base/hash.h"
#include "dht/dht.h"

#define PEERS_WAYS 4

struct peer {
    struct dht_id id;
    struct endpoint rpc;
    bool used;
    bool verified;            /* its ID is the hash of this address */
    uint8_t failures;         /* RPCs timed out in a row */
    uint32_t srtt_us, var_us; /* srtt 0: no sample */
    uint64_t cookie;
    uint64_t last_us;     /* last used */
    uint64_t reported_us; /* last reported to the control thread as answering */
    uint64_t unreachable_until_us;
};

struct peers {
    const struct hash_secret *secret; /* the arena's */
    uint32_t sets;
    struct peer (*peer)[PEERS_WAYS];
};

bool peers_init(struct peers *p, uint32_t peers, const struct hash_secret *secret);
void peers_free(struct peers *p);
/* NULL when nothing is remembered. */
struct peer *peers_find(const struct peers *p, const struct dht_id *id);
/* Finds or makes; one at another address than before starts anew. */
struct peer *peers_get(struct peers *p, const struct dht_id *id, const struct endpoint *rpc,
                       struct now now);
void peer_sample(struct peer *p, uint32_t rtt_us);
/* How long to wait for an answer: srtt + 4 var within [200 ms, without_us]; without a sample,
 * without_us. */
uint64_t peer_timeout_us(const struct peer *p, uint64_t without_us);
/* After which time a second contact is asked beside it: srtt + 2 var, at least 20 ms. */
uint64_t peer_hedge_us(const struct peer *p, uint64_t without_us);

#endif
