/* SPDX-License-Identifier: BSD-3-Clause */
/* IDs and their XOR distance: a 160-bit number, most significant word first. */
#ifndef CORAL_DHT_ID_H
#define CORAL_DHT_ID_H

#include "base/rng.h"
#include "dht/dht.h"

#define DHT_ID_BITS 160

struct dht_distance {
    uint64_t w[3]; /* 64, 64 and 32 bits */
};

static inline uint64_t id_word(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static inline struct dht_distance distance_between(const struct dht_id *a, const struct dht_id *b)
{
    return (struct dht_distance){{id_word(a->b, 8) ^ id_word(b->b, 8),
                                  id_word(a->b + 8, 8) ^ id_word(b->b + 8, 8),
                                  id_word(a->b + 16, 4) ^ id_word(b->b + 16, 4)}};
}

static inline bool distance_less(const struct dht_distance *a, const struct dht_distance *b)
{
    for (unsigned i = 0; i < 3; i++)
        if (a->w[i] != b->w[i])
            return a->w[i] < b->w[i];
    return false;
}

/* d / 2^bits, for 1 <= bits <= 16 */
static inline struct dht_distance distance_halved(const struct dht_distance *d, unsigned bits)
{
    return (struct dht_distance){{d->w[0] >> bits, d->w[1] >> bits | d->w[0] << (64 - bits),
                                  (d->w[2] >> bits | d->w[1] << (32 - bits)) & 0xffffffff}};
}

/* leading zero bits: the length of the prefix that two IDs share, 160 for equal ones */
static inline unsigned distance_prefix(const struct dht_distance *d)
{
    if (d->w[0])
        return (unsigned)__builtin_clzll(d->w[0]);
    if (d->w[1])
        return 64 + (unsigned)__builtin_clzll(d->w[1]);
    return d->w[2] ? 96 + (unsigned)__builtin_clzll(d->w[2]) : DHT_ID_BITS;
}

static inline bool id_eq(const struct dht_id *a, const struct dht_id *b)
{
    return memcmp(a->b, b->b, DHT_ID_BYTES) == 0;
}

/* A random ID that shares exactly `prefix` leading bits with `self` (all 160: self). */
struct dht_id id_random(struct rng *rng, const struct dht_id *self, unsigned prefix);

/* The route to `id`, NULL when there is none. */
const struct dht_route *routes_find(const struct dht_routes *routes, const struct dht_id *id);

#endif
