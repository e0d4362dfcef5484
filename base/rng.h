/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random numbers that nobody outside can guess and a test can replay: ChaCha20 (RFC 8439, by
 * libsodium) keyed by a 32-byte seed, a block of output at a time. One generator a worker,
 * never shared between threads.
 */
#ifndef CORAL_BASE_RNG_H
#define CORAL_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint8_t key[32];
    uint64_t block; /* number of the next block */
    uint32_t used;  /* bytes of buf given out */
    uint8_t buf[256];
};

/* Seeds from 32 bytes: getrandom() in the node, a printed number in tests. */
void rng_init(struct rng *r, const uint8_t seed[32]);
/* Seeds from a small number, for tests and simulations. */
void rng_init_u64(struct rng *r, uint64_t seed);
void rng_bytes(struct rng *r, void *out, size_t n);
uint64_t rng_u64(struct rng *r);
uint32_t rng_u32(struct rng *r);
/* uniform in [0, bound), bound > 0, without bias */
uint32_t rng_below(struct rng *r, uint32_t bound);

#endif
