/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is named by a store's values: each node and proxy address once, counted, so that a value is
 * four bytes and not forty. Open addressing with linear probing and backward-shift deletion would
 * move entries that values point to, so it is chained: buckets of numbers, entries that stay.
 */
#ifndef CORAL_DHT_HOLDERS_H
#define CORAL_DHT_HOLDERS_H

#include "base/hash.h"
#include "dht/dht.h"

#define HOLDER_NONE UINT32_MAX

struct holder {
    struct dht_id node;
    struct endpoint http;
    bool dead;       /* its values count as expired until it stores one again */
    uint8_t told_s;  /* when control was last asked to check it: the second, 1 to 255; 0: never */
    uint32_t values; /* that name it; 0: free */
    uint32_t next;   /* in its bucket, or in the free list; number + 1, 0: the end */
};

struct holders {
    struct hash_secret secret;
    uint32_t room, used, free; /* free: number + 1 */
    uint32_t bucket_mask, *bucket;
    struct holder *at;
};

bool holders_init(struct holders *h, uint32_t room, struct rng *rng);
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
