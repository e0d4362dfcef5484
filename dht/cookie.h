/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cookies: proof that a requester receives at the address that it claims. A cookie is the first 64
 * bits of AES-128-CMAC over address, port, ID and generation under a secret: like tags, a burst's
 * are computed side by side (mac.h). A generation lasts 300 s, the present one and the one before
 * are valid. A cookie is given only to who was found to be named after its address, so that a valid
 * one saves the hash that tells. Those made last are remembered, a line each: who asks again and
 * again costs a comparison.
 *
 * The secret comes from the seed of dht_arena_create: with the same seed all workers of a node
 * accept each other's.
 */
#ifndef CORAL_DHT_COOKIE_H
#define CORAL_DHT_COOKIE_H

#include "dht/dht.h"

#define COOKIE_GENERATION_US 300000000ull
#define COOKIE_KNOWN         2048 /* a power of two */

/* A cookie of the generation in which it was made. */
struct cookie_known {
    _Alignas(64) struct endpoint from;
    struct dht_id id;
    uint64_t generation, cookie; /* 0: none */
};

struct cookie_jar {
    struct dht_mac *mac;                     /* with the secret as its key; a thread's own */
    struct cookie_known known[COOKIE_KNOWN]; /* by ID */
};

/* What somebody shows, and gets. */
struct cookie_claim {
    const struct endpoint *from;
    const struct dht_id *id;
    uint64_t shown; /* 0: none */
    bool valid;     /* out: is it ours, and not too old? */
    uint64_t fresh; /* out: the present one, never 0 */
};

/* False: no memory. */
bool cookie_init(struct cookie_jar *jar, const uint8_t seed[32]);
void cookie_free(struct cookie_jar *jar);
/* Fetches what is remembered of who will be checked in a moment. */
void cookie_prepare(const struct cookie_jar *jar, const struct dht_id *id);
/* At most DATAGRAM_BURST. */
void cookie_check_many(struct cookie_jar *jar, struct cookie_claim *claim, unsigned n,
                       struct now now);
/* The present cookie, never 0. */
uint64_t cookie_make(const struct cookie_jar *jar, const struct endpoint *to,
                     const struct dht_id *id, struct now now);
bool cookie_valid(struct cookie_jar *jar, uint64_t cookie, const struct endpoint *from,
                  const struct dht_id *id, struct now now);

#endif
