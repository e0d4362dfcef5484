/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sloppy store: under a key at most DHT_VALUES references, soft state. One writer, the
 * worker that owns the shards.
 *
 *   tags     set 0 | set 1 | ...          a set: 8 x 32 bits of the key's keyed hash, 0: free
 *   entries  8     | 8     | ...          key, leak, values
 *
 * A set that is full gives up an entry whose values have all expired, else the one that expires
 * first, if that has less than half of the newcomer's ttl to go, as among values; else the store
 * refuses. Twice as many slots as keys keep sets from filling before the store does.
 */
#ifndef CORAL_DHT_STORE_H
#define CORAL_DHT_STORE_H

#include "base/hash.h"
#include "dht/cookie.h"
#include "dht/dht.h"

#define STORE_WAYS  8
#define STORE_HEARD 256

struct store_value {
    struct dht_id node;
    struct endpoint http;
    uint64_t expiry_ms, first_ms;
};

struct store_entry {
    struct dht_id key;
    uint32_t leak_ms; /* GCRA: the theoretical arrival time of the next walk, low 32 bits */
    uint8_t n;
    struct store_value value[DHT_VALUES];
};
static_assert(sizeof(struct store_entry) == 256, "four cache lines a key");

/* When a sender was last reported: once a second is enough for the control thread. */
struct store_heard {
    uint32_t tag, ms;
};

struct dht_store {
    struct cookie_jar cookies;
    struct hash_secret secret;
    unsigned prefix_bits, beta;
    uint32_t keys, keys_max;
    uint64_t set_mask, sweep;
    uint32_t (*tag)[STORE_WAYS];
    struct store_entry (*entry)[STORE_WAYS];
    struct store_heard heard[STORE_HEARD];
};

/* The stages of a look-up: the hash (prefetches the tags), the entry's lines, the entry. */
uint64_t store_prepare(const struct dht_store *s, const struct dht_id *key);
void store_touch(const struct dht_store *s, uint64_t hash);
struct store_entry *store_find(struct dht_store *s, const struct dht_id *key, uint64_t hash);

/* The live values of an entry (NULL: none), the ones of `but` (may be NULL) left out. */
unsigned store_values(const struct store_entry *e, const struct dht_id *but, struct now now,
                      struct dht_value out[static DHT_VALUES]);

/* How an entry stands to a new value with this ttl, by this node. */
struct store_state {
    bool full; /* all places are held by others with at least half of this ttl to go */
    uint8_t held;
    uint32_t least_ms; /* the least remaining ttl, 0 when a place is free */
};
struct store_state store_state(const struct store_entry *e, const struct dht_id *node,
                               uint32_t ttl_ms, struct now now);

/* A walk comes through: true when the leak does not let it pass (loaded); such a walk leaves no
 * trace, so that a hammered key still hears beta walks a minute. */
bool store_walk(const struct dht_store *s, struct store_entry *e, struct now now);

/* Stores or extends; a value that has not expired keeps the time when it was first stored. False:
 * no room. */
bool store_put(struct dht_store *s, const struct dht_id *key, uint64_t hash,
               const struct dht_id *node, const struct endpoint *http, uint32_t ttl_ms,
               struct now now);
bool store_remove(struct store_entry *e, const struct dht_id *node);

/* Gives back what has expired, a few keys a call. */
void store_sweep(struct dht_store *s, struct now now);

/* True once a second a sender. */
bool store_heard_once(struct dht_store *s, const struct dht_id *id, struct now now);

#endif
