/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is named by a store's values: each node and proxy address once, counted, so that a value is
 * four bytes and not forty. Open addressing with linear probing and backward-shift deletion would
 * move entries that values point to, so it is chained: buckets of numbers, entries that stay.
 */
#ifndef CORAL_DHT_HOLDERS_H
#define CORAL_DHT_HOLDERS_H

#include <stddef.h>

#include "base/hash.h"
#include "dht/dht.h"

#define HOLDER_NONE UINT32_MAX

/* A line each. Node, address and `dead` are read by other threads through store_look (store.h),
 * which tells whether what was read was still the same holder. */
struct holder {
    _Alignas(64) struct dht_id node;
    struct endpoint http;
    bool dead; /* its values count as expired until it stores one again */
    /* the owner's */
    _Alignas(8) uint16_t prefix; /* its network's counter among arena->prefix_count */
    uint8_t told_s;  /* when control was last asked to check it: the second, 1 to 255; 0: never */
    uint32_t values; /* that name it; 0: free */
    uint32_t next;   /* in its bucket, or in the free list; number + 1, 0: the end */
};

/* What others read of a holder: its first words. */
#define HOLDER_WORDS 5
union holder_name {
    uint64_t word[HOLDER_WORDS];
    struct {
        struct dht_id node;
        struct endpoint http;
        bool dead;
    };
};
static_assert(offsetof(struct holder, prefix) == sizeof(union holder_name), "its first words");

/* Any thread: word by word, as a seqlock's reader must (each is whole). */
static inline uint64_t holder_word(const struct holder *h, unsigned i)
{
    return __atomic_load_n((const uint64_t *)h + i, __ATOMIC_RELAXED);
}

static inline union holder_name holder_name(const struct holder *h)
{
    union holder_name name;
    for (unsigned i = 0; i < HOLDER_WORDS; i++)
        name.word[i] = holder_word(h, i);
    return name;
}

static inline bool holder_is_dead(const struct holder *h)
{
    return __atomic_load_n(&h->dead, __ATOMIC_RELAXED);
}

static inline uint16_t holder_port(const struct holder *h)
{
    return __atomic_load_n(&h->http.port, __ATOMIC_RELAXED);
}

static inline bool holder_is(const struct holder *h, const struct dht_id *node)
{
    union holder_name name = holder_name(h);
    return memcmp(&name.node, node, sizeof(name.node)) == 0;
}

struct holders {
    struct hash_secret secret;
    uint32_t room, used, free; /* free: number + 1 */
    uint32_t bucket_mask, *bucket;
    struct holder *at;
};

bool holders_init(struct holders *h, uint32_t room, struct rng *rng); /* false: no memory */
void holders_free(struct holders *h);
/* Finds or makes, and counts one value more: it lives. HOLDER_NONE when all are taken. */
uint32_t holders_take(struct holders *h, const struct dht_id *node, const struct endpoint *http);
bool holders_full(const struct holders *h);
uint32_t holders_find(const struct holders *h, const struct dht_id *node,
                      const struct endpoint *http);
/* It is dead, whatever its proxy's address. False: nobody, or known to be. */
bool holders_forget(struct holders *h, const struct dht_id *node);
/* One value less; with the last one the holder goes. */
void holders_drop(struct holders *h, uint32_t holder);

#endif
