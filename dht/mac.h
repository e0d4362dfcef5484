/* SPDX-License-Identifier: BSD-3-Clause */
/* A burst of tags in one go: the library works on up to 16 messages side by side. */
#ifndef CORAL_DHT_MAC_H
#define CORAL_DHT_MAC_H

#include "dht/dht.h"

struct mac_job {
    const uint8_t *data;
    size_t len;
    uint8_t key_id;  /* in; mac_sign_many sets it to the signing key's */
    bool known;      /* out: a key with this ID is valid */
    uint8_t tag[16]; /* out */
};

/* Computes the tags of n messages, each under the key that it names. */
void mac_tag_many(struct dht_mac *m, struct mac_job *job, unsigned n);
/* Do the tags, computed and received, match? In constant time. */
bool mac_tag_eq(const uint8_t a[16], const uint8_t b[16]);

#endif
