/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tags by the burst. A key's ID names its algorithm, so that a cluster changes the algorithm as it
 * changes a key: IDs 0 to 127 are AES-128-CMAC (RFC 4493), 128 to 255 SipHash-2-4-128. A tag has 16
 * bytes with either.
 *
 *   mac.c          which key, which algorithm          mac_cmac.c     CMAC of a burst, in lanes
 *   mac_library.c  CMAC by libipsec-mb, for any CPU     mac_aes.c      the lanes: AES-NI, VAES
 */
#ifndef CORAL_DHT_MAC_H
#define CORAL_DHT_MAC_H

#include "dht/dht.h"

#define MAC_SIPHASH_ID 128 /* the first ID of a SipHash key */

struct mac_job {
    const uint8_t *data;
    size_t len;      /* bytes */
    uint8_t key_id;  /* in: the key to use; dht_mac_key_id gives the signing one's */
    bool known;      /* out: a key with this ID is valid */
    uint8_t tag[16]; /* out; untouched if not known */
};

/* Computes the tags of n messages, any number, each under the key that it names. They are cut into
 * bursts of DATAGRAM_BURST, in which messages of one key go side by side: eight cost little
 * more than one. Lengths may differ. Called by the thread whose `m` it is. */
void mac_tag_many(struct dht_mac *m, struct mac_job *job, unsigned n);
/* Do the tags, computed and received, match? In constant time. */
bool mac_tag_eq(const uint8_t a[16], const uint8_t b[16]);

/* The ways to compute AES-128-CMAC, best first. All give the same tags. */
enum mac_way {
    MAC_VAES,    /* 16 messages side by side; VAES and AVX-512 */
    MAC_AESNI,   /* 8 messages side by side; AES-NI and SSE4.1 */
    MAC_LIBRARY, /* libipsec-mb, which also knows processors without AES */
    MAC_WAYS
};
/* Tests and measurements choose the way; dht_mac_create takes the best that there is. NULL: no
 * memory, or not on this processor. */
struct dht_mac *mac_create(const struct dht_keys *keys, enum mac_way way);

#endif
