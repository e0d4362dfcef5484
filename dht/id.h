/* SPDX-License-Identifier: BSD-3-Clause */
/* IDs and their XOR distance: a 160-bit number, most significant word first. */
#ifndef CORAL_DHT_ID_H
#define CORAL_DHT_ID_H

#include <endian.h>

#include "base/rng.h"
#include "dht/dht.h"

#define DHT_ID_BITS 160

struct dht_distance {
    uint64_t w[3]; /* 64, 64 and 32 bits */
};

static inline uint64_t id_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

static inline uint32_t id_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static inline struct dht_distance distance_between(const struct dht_id *a, const struct dht_id *b)
{
    return (struct dht_distance){{id_u64(a->b) ^ id_u64(b->b), id_u64(a->b + 8) ^ id_u64(b->b + 8),
                                  id_u32(a->b + 16) ^ id_u32(b->b + 16)}};
}

static inline bool distance_less(const struct dht_distance *a, const struct dht_distance *b)
{
    for (unsigned i = 0; i < 3; i++)
        if (a->w[i] != b->w[i])
            return a->w[i] < b->w[i];
    return false;
}

static inline bool distance_eq(const struct dht_distance *a, const struct dht_distance *b)
{
    return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2];
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

static inline unsigned id_prefix(const struct dht_id *a, const struct dht_id *b)
{
    struct dht_distance d = distance_between(a, b);
    return distance_prefix(&d);
}

/* `random` with its first bits made to share exactly `prefix` leading bits with `self` (all 160:
 * self). */
struct dht_id id_sharing(const struct dht_id *random, const struct dht_id *self, unsigned prefix);

#endif
