/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/mac.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dht/mac_cmac.h"

struct mac_key {
    uint8_t id; /* names the algorithm too */
    union {
        struct cmac_key cmac;
        uint8_t siphash[crypto_shorthash_siphashx24_KEYBYTES];
    };
};

struct dht_mac {
    const struct cmac_lanes *lanes; /* NULL: by the library */
    struct IMB_MGR *library;        /* NULL: by lanes */
    unsigned keys;
    struct mac_key key[2]; /* [0] signs */
};

static_assert(crypto_shorthash_siphashx24_BYTES == 16 &&
                  sizeof(((struct dht_keys *)0)->key[0].key) ==
                      crypto_shorthash_siphashx24_KEYBYTES,
              "both algorithms have keys and tags of 16 bytes");

/* False: not on this processor, or no memory. */
static bool way_take(struct dht_mac *m, enum mac_way way)
{
    if (way == MAC_LIBRARY)
        return (m->library = mac_library_create()) != NULL;
    m->lanes = way == MAC_VAES ? cmac_lanes_vaes() : cmac_lanes_aesni();
    return m->lanes != NULL;
}

struct dht_mac *mac_create(const struct dht_keys *keys, enum mac_way way)
{
    unsigned n = keys->n;
    assert(n >= 1 && n <= 2);
    struct dht_mac *m = aligned_alloc(_Alignof(struct dht_mac), sizeof(*m));
    if (!m)
        return NULL;
    memset(m, 0, sizeof(*m));
    if (!way_take(m, way)) {
        free(m);
        return NULL;
    }
    m->keys = n;
    for (unsigned i = 0; i < n; i++) {
        struct mac_key *k = &m->key[i];
        const uint8_t *secret = keys->key[i].key;
        k->id = keys->key[i].id;
        if (k->id >= MAC_SIPHASH_ID)
            memcpy(k->siphash, secret, sizeof(k->siphash));
        else if (m->lanes)
            cmac_key_expand(m->lanes, &k->cmac, secret);
        else
            mac_library_key_expand(m->library, &k->cmac, secret);
    }
    return m;
}

struct dht_mac *dht_mac_create(const struct dht_keys *keys)
{
    struct dht_mac *m = NULL;
    for (enum mac_way way = 0; !m && way < MAC_WAYS; way++)
        m = mac_create(keys, way);
    return m;
}

void dht_mac_destroy(struct dht_mac *m)
{
    if (!m)
        return;
    mac_library_destroy(m->library);
    sodium_memzero(m, sizeof(*m));
    free(m);
}

static void key_tag_many(const struct dht_mac *m, const struct mac_key *k,
                         struct mac_job *const *job, unsigned n)
{
    if (k->id >= MAC_SIPHASH_ID)
        for (unsigned i = 0; i < n; i++)
            crypto_shorthash_siphashx24(job[i]->tag, job[i]->data, job[i]->len, k->siphash);
    else if (m->lanes)
        cmac_tag_many(m->lanes, &k->cmac, job, n);
    else
        mac_library_tag_many(m->library, &k->cmac, job, n);
}

static void burst_tag(const struct dht_mac *m, struct mac_job *job, unsigned n)
{
    struct mac_job *mine[DATAGRAM_BURST]; /* of the key in turn */

    for (unsigned i = 0; i < n; i++)
        job[i].known = false;
    for (unsigned j = 0; j < m->keys; j++) {
        const struct mac_key *k = &m->key[j];
        unsigned count = 0;
        for (unsigned i = 0; i < n; i++) {
            bool is = job[i].key_id == k->id;
            job[i].known |= is;
            mine[count] = &job[i];
            count += is;
        }
        if (count)
            key_tag_many(m, k, mine, count);
    }
}

void mac_tag_many(struct dht_mac *m, struct mac_job *job, unsigned n)
{
    for (unsigned i = 0; i < n; i += DATAGRAM_BURST)
        burst_tag(m, job + i, n - i < DATAGRAM_BURST ? n - i : DATAGRAM_BURST);
}

bool mac_tag_eq(const uint8_t a[16], const uint8_t b[16])
{
    uint64_t x[2], y[2]; /* two words, no branch between them: libsodium goes byte by byte */
    memcpy(x, a, 16);
    memcpy(y, b, 16);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

void dht_mac_sign(struct dht_mac *m, const void *data, size_t len, uint8_t tag[16])
{
    struct mac_job job = {.data = data, .len = len, .key_id = m->key[0].id};
    mac_tag_many(m, &job, 1);
    memcpy(tag, job.tag, 16);
}

bool dht_mac_verify(struct dht_mac *m, uint8_t key_id, const void *data, size_t len,
                    const uint8_t tag[16])
{
    struct mac_job job = {.data = data, .len = len, .key_id = key_id};
    mac_tag_many(m, &job, 1);
    return job.known && mac_tag_eq(job.tag, tag);
}

uint8_t dht_mac_key_id(const struct dht_mac *m)
{
    return m->key[0].id;
}
