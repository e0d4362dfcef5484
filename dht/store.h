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
 *
 * All workers read, without a lock. Entries and holders never move and are never freed while there
 * is a worker, only written over; every word of them is whole. An entry's version is odd while its
 * owner writes (a sequence lock: H.-J. Boehm, "Can seqlocks get along with programming language
 * memory models?", MSPC 2012):
 *
 *   owner    version odd    | release fence | its words, holders | version even, release
 *   reader   even?, acquire | its words, those of its holders    | acquire fence | still the same?
 *
 * Then all that was read is of one moment. That goes for holders, too: one is written over only
 * after the last entry that named it had its version changed, before the release fence of that
 * change; so who read a later holder's words reads a later version. A holder that a torn entry
 * names is some holder. Tags are hints: the key decides. A reader that finds the owner at work
 * looks again STORE_LOOKS times and then gives up: it never waits for one that was put to sleep.
 */
#ifndef CORAL_DHT_STORE_H
#define CORAL_DHT_STORE_H

#include "dht/arena.h"
#include "dht/id.h"
#include "dht/rpc.h"

#define STORE_WAYS  8
#define STORE_LOOKS 16 /* at an entry that is being written: a write takes some 50 ns */

struct store_entry {
    _Alignas(32) uint32_t holder[DHT_VALUES]; /* HOLDER_NONE: no value */
    uint32_t expiry_ms[DHT_VALUES], first_ms[DHT_VALUES];
    /* the highest level at which it was stored, in which of its clusters */
    uint8_t level[DHT_VALUES], epoch[DHT_VALUES];
    uint32_t version;
    uint32_t leak_ms[DHT_LEVELS]; /* the owner's. GCRA: when the next walk is due */
    struct dht_id key;
};
static_assert(sizeof(struct store_entry) == 96, "a line and a half a key");

struct dht_store {
    struct dht_arena *arena;
    struct dht_store *const *shard; /* whose each is; NULL: all are this one's */
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

/* --- any worker: reading ---------------------------------------------------------------------- */

/* Who stores this key: its owner's. */
static inline const struct dht_store *store_of(const struct dht_store *own,
                                               const struct dht_id *key)
{
    return own->shard ? own->shard[key->b[DHT_ID_BYTES - 1] % DHT_SHARDS] : own;
}

/* The stages of a look-up: the hash (prefetches the tags), where the key is if it is anywhere
 * (prefetches the entry; NULL: there is none with its tag), the holders. The hash is the same at
 * all stores of a node. */
uint64_t store_prepare(const struct dht_store *s, const struct dht_id *key);
const struct store_entry *store_touch(const struct dht_store *s, uint64_t hash);
void store_reach(const struct dht_store *s, const struct store_entry *e);

/* Where a reader found a key, and at which version. */
struct store_look {
    const struct store_entry *at; /* NULL: the key is not there */
    uint32_t version;
};
/* False: its owner is at work, and too long. */
bool store_look(const struct dht_store *s, const struct dht_id *key, uint64_t hash,
                struct store_look *look);
/* Where store_touch said. False: it is not there, or is being written. */
bool store_look_at(const struct store_entry *e, const struct dht_id *key, struct store_look *look);
/* Was all that was read of the entry and of its holders there at the same time? Else look again. */
bool store_stands(const struct store_look *look);

/* The live values of an entry (NULL: none) seen in the scope, the ones of `but` left out. */
unsigned store_values(const struct dht_store *s, const struct store_entry *e,
                      const struct store_scope *scope, const struct dht_id *but,
                      struct dht_value out[static DHT_VALUES]);
/* The same as the wire has them (rpc.h), RPC_VALUE bytes each. */
unsigned store_write(const struct dht_store *s, const struct store_entry *e,
                     const struct store_scope *scope, const struct dht_id *but,
                     uint8_t out[static DHT_VALUES * RPC_VALUE]);

/* --- the owner -------------------------------------------------------------------------------- */

struct store_entry *store_find(struct dht_store *s, const struct dht_id *key, uint64_t hash);

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
