/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sloppy store: under a key at most DHT_VALUES references, soft state. One writer, the
 * worker that owns the shards.
 *
 *   tags     set 0 | set 1 | ...          a set: 8 x 32 bits of the key's keyed hash, 0: free
 *   entries  8     | 8     | ...          key, a leak by level, values
 *   holders  (the arena's)                who is named by values: ID and address, once
 *
 * A set that is full gives up an entry whose values have all expired, else the one that expires
 * first, if that has less than half of the newcomer's ttl to go, as among values; else the store
 * refuses. Twice as many slots as keys keep sets from filling before the store does.
 *
 * A value was stored at a level, and is seen at that one and those below: whoever shares our
 * level-2 cluster is on our planet, too. One stored in a cluster that we have left is seen at lower
 * levels only. Among the values of a key, one not seen at the level of a newcomer gives way to it:
 * the newcomer is seen wherever the other was.
 *
 * The values of a holder that is dead count as expired, but are kept until they have: the holder's
 * next STORE, of whatever key, brings them back.
 *
 * Times are milliseconds in 32 bits that wrap: no ttl is above a day, and the sweep comes by in
 * less than the 24 days after which one would be misread.
 */
#ifndef CORAL_DHT_STORE_H
#define CORAL_DHT_STORE_H

#include "dht/arena.h"
#include "dht/id.h"

#define STORE_WAYS 8

struct store_value {
    uint32_t holder; /* HOLDER_NONE: free */
    uint32_t expiry_ms, first_ms;
    uint8_t level, epoch; /* the highest level at which it was stored, in which cluster */
    uint16_t prefix;      /* its counter among arena->prefix_count */
};

struct store_entry {
    struct dht_id key;
    uint32_t leak_ms[DHT_LEVELS]; /* GCRA: the theoretical arrival time of the next walk */
    struct store_value value[DHT_VALUES];
};
static_assert(sizeof(struct store_entry) == 96, "a line and a half a key");

struct dht_store {
    struct dht_arena *arena;
    uint32_t keys, keys_max;
    uint64_t set_mask, sweep;
    uint64_t swept_ms; /* when it was last the sweep's turn */
    uint32_t (*tag)[STORE_WAYS];
    struct store_entry (*entry)[STORE_WAYS];
};

/* At which level, in which of our clusters? What moved: the one before the present. */
struct store_scope {
    unsigned level;
    uint8_t epoch[DHT_LEVELS];
    uint32_t ms; /* now */
};
struct store_scope store_scope(const struct dht_routes *routes, unsigned level, bool moved,
                               struct now now);

/* The stages of a look-up: the hash (prefetches the tags), the entry's lines, the holders, the
 * entry. */
uint64_t store_prepare(const struct dht_store *s, const struct dht_id *key);
void store_touch(const struct dht_store *s, uint64_t hash);
void store_reach(const struct dht_store *s, uint64_t hash);
struct store_entry *store_find(struct dht_store *s, const struct dht_id *key, uint64_t hash);

/* The live values of an entry (NULL: none) seen in the scope, the ones of `but` (may be NULL) left
 * out. */
unsigned store_values(const struct dht_store *s, const struct store_entry *e,
                      const struct store_scope *scope, const struct dht_id *but,
                      struct dht_value out[static DHT_VALUES]);

/* How an entry stands to a new value with this ttl, by this node. */
struct store_state {
    bool full; /* all places are held by others with at least half of this ttl to go */
    uint8_t held;
    uint32_t least_ms; /* the least remaining ttl, 0 when a place is free */
};
struct store_state store_state(const struct dht_store *s, const struct store_entry *e,
                               const struct store_scope *scope, const struct dht_id *node,
                               uint32_t ttl_ms);

/* A walk comes through: true when the leak does not let it pass (loaded); such a walk leaves no
 * trace, so that a hammered key still hears beta walks a minute. */
bool store_walk(const struct dht_store *s, struct store_entry *e, const struct store_scope *scope);

/* Stores or extends; a value that has not expired keeps the time when it was first stored. */
enum store_end {
    STORE_DONE,
    STORE_FULL,    /* no room under the key, or for the key */
    STORE_TOO_MANY /* this source, or its network, has its share of the arena's values */
};
enum store_end store_put(struct dht_store *s, const struct dht_id *key, uint64_t hash,
                         const struct store_scope *scope, const struct dht_id *node,
                         const struct endpoint *http, uint32_t ttl_ms);
bool store_remove(struct dht_store *s, struct store_entry *e, const struct dht_id *node);

/* Is this node to be checked? When a live value of the entry (NULL: none) names it, and nobody
 * asked so in this second: then *http is its proxy. */
bool store_suspect(struct dht_store *s, const struct store_entry *e, const struct dht_id *node,
                   uint32_t ms, struct endpoint *http);

/* Gives back what has expired, a set a call. */
void store_sweep(struct dht_store *s, struct now now);

#endif
