/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cookies: proof that a requester receives at the address that it claims. A cookie is SipHash-2-4
 * of address, port, ID and generation under a secret; a generation lasts 300 s, the present one and
 * the one before are valid. It is given only to who was found to be named after its address, so
 * that a valid one saves the hash that tells.
 *
 * The secret comes from the seed of dht_store_create: with the same seed all workers of a node
 * accept each other's.
 */
#ifndef CORAL_DHT_COOKIE_H
#define CORAL_DHT_COOKIE_H

#include "dht/dht.h"

struct cookie_jar {
    uint8_t key[16];
};

void cookie_init(struct cookie_jar *jar, const uint8_t seed[32]);
/* The present cookie, never 0. */
uint64_t cookie_make(const struct cookie_jar *jar, const struct endpoint *to,
                     const struct dht_id *id, struct now now);
bool cookie_valid(const struct cookie_jar *jar, uint64_t cookie, const struct endpoint *from,
                  const struct dht_id *id, struct now now);

#endif
