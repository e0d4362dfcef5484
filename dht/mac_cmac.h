/* SPDX-License-Identifier: BSD-3-Clause */
/* AES-128-CMAC of many messages under one key, for mac.c. */
#ifndef CORAL_DHT_MAC_CMAC_H
#define CORAL_DHT_MAC_CMAC_H

#include "dht/mac.h"

#define CMAC_LANES 16 /* the most that an implementation has */

/* What a key becomes: by any implementation the same bytes. */
struct cmac_key {
    _Alignas(64) uint8_t round[11][16]; /* FIPS 197, 5.2: the round keys */
    uint8_t k1[16], k2[16];             /* RFC 4493, 2.3: for a last block that is full, or not */
};

/*
 * CBC-MAC in n independent lanes: lane i's state becomes AES(state ^ block) for the blocks at
 * addresses at[i] + 16 * step, step from `from` to before `to`, and then, unless it is NULL, for
 * last[i]. States begin as zero if `from` is 0. Addresses, not pointers: a lane that starts late
 * has a base before its message.
 */
struct cmac_lanes {
    unsigned n;
    void (*run)(uint8_t state[][16], const uintptr_t *at, const uint8_t last[][16], size_t from,
                size_t to, const struct cmac_key *key);
    const struct cmac_lanes *narrow; /* fewer lanes, for fewer messages: their step is shorter */
};

/* --- mac_aes.c ------------------------------------------------------------------------------- */

/* NULL: not on this processor. */
const struct cmac_lanes *cmac_lanes_vaes(void);
const struct cmac_lanes *cmac_lanes_aesni(void);
/* These two need AES-NI and SSE4.1, so either of the above. Fills `round`: */
void cmac_rounds_expand(struct cmac_key *out, const uint8_t key[16]);
/* The last blocks of n messages, padded and masked: RFC 4493, 2.4, steps 2 to 4. Lanes from n on
 * get what lane 0 gets. */
void cmac_last_blocks(const struct cmac_key *key, struct mac_job *const *job, unsigned n,
                      uint8_t out[][16], unsigned lanes);

/* Of one message a lane, all of `len` bytes, at least 16. */
void cmac_last_blocks_same(const struct cmac_key *key, const uintptr_t *at, size_t len,
                           uint8_t out[][16], unsigned lanes);

/* Blocks before the last one, which has 1 to 16 bytes, or none if there is no other. */
static inline size_t cmac_body_blocks(size_t len)
{
    return len ? (len - 1) / 16 : 0;
}

/* --- mac_cmac.c ------------------------------------------------------------------------------ */

void cmac_key_expand(const struct cmac_lanes *lanes, struct cmac_key *out, const uint8_t key[16]);
/* n is at most DATAGRAM_BURST. */
void cmac_tag_many(const struct cmac_lanes *lanes, const struct cmac_key *key,
                   struct mac_job *const *job, unsigned n);

/* --- mac_library.c: the same by libipsec-mb, whose manager is a thread's own ------------------ */

struct IMB_MGR;
struct IMB_MGR *mac_library_create(void); /* NULL: no memory, or no such processor */
void mac_library_destroy(struct IMB_MGR *mgr);
void mac_library_key_expand(struct IMB_MGR *mgr, struct cmac_key *out, const uint8_t key[16]);
void mac_library_tag_many(struct IMB_MGR *mgr, const struct cmac_key *key,
                          struct mac_job *const *job, unsigned n);

#endif
