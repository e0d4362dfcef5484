/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/rng.h"

#include <sodium.h>
#include <string.h>

void rng_init(struct rng *r, const uint8_t seed[32])
{
    memcpy(r->key, seed, 32);
    r->block = 0;
    r->used = sizeof(r->buf);
}

void rng_init_u64(struct rng *r, uint64_t seed)
{
    uint8_t key[32] = {0};
    memcpy(key, &seed, sizeof(seed));
    rng_init(r, key);
}

void rng_bytes(struct rng *r, void *out, size_t n)
{
    uint8_t *p = out;
    while (n > 0) {
        if (r->used == sizeof(r->buf)) {
            uint8_t nonce[8];
            memcpy(nonce, &r->block, 8);
            crypto_stream_chacha20(r->buf, sizeof(r->buf), nonce, r->key);
            r->block++;
            r->used = 0;
        }
        size_t take = sizeof(r->buf) - r->used;
        if (take > n)
            take = n;
        memcpy(p, r->buf + r->used, take);
        r->used += (uint32_t)take;
        p += take;
        n -= take;
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t v;
    rng_bytes(r, &v, sizeof(v));
    return v;
}

uint32_t rng_u32(struct rng *r)
{
    uint32_t v;
    rng_bytes(r, &v, sizeof(v));
    return v;
}

uint32_t rng_below(struct rng *r, uint32_t bound)
{
    /* Lemire, "Fast random integer generation in an interval" (2019): multiply, reject the few
     * low products that would bias */
    uint64_t m = (uint64_t)rng_u32(r) * bound;
    if ((uint32_t)m < bound) {
        uint32_t floor = (uint32_t)(-bound) % bound;
        while ((uint32_t)m < floor)
            m = (uint64_t)rng_u32(r) * bound;
    }
    return (uint32_t)(m >> 32);
}
