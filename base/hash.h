/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keyed hashes. Tables use XXH3 under a secret of the process (inlined: the shared library's is
 * ten times slower); what an attacker could learn from an answer (sequence numbers, cookies)
 * uses SipHash-2-4 (libsodium).
 */
#ifndef CORAL_BASE_HASH_H
#define CORAL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include <sodium.h>

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <xxhash.h>
#pragma GCC diagnostic pop

#define HASH_SECRET_BYTES 192 /* at least XXH3_SECRET_SIZE_MIN (136) */

struct hash_secret {
    uint8_t bytes[HASH_SECRET_BYTES];
};

struct hash128 {
    uint64_t lo, hi;
};

static inline uint64_t hash64(const struct hash_secret *s, const void *data, size_t len)
{
    return XXH3_64bits_withSecret(data, len, s->bytes, sizeof(s->bytes));
}

static inline struct hash128 hash128(const struct hash_secret *s, const void *data, size_t len)
{
    XXH128_hash_t h = XXH3_128bits_withSecret(data, len, s->bytes, sizeof(s->bytes));
    return (struct hash128){h.low64, h.high64};
}

static inline uint64_t siphash64(const uint8_t key[16], const void *data, size_t len)
{
    uint64_t out;
    crypto_shorthash((unsigned char *)&out, data, len, key);
    return out;
}

#endif
