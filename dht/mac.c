/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/mac.h"

#include <assert.h>
#include <intel-ipsec-mb.h>
#include <sodium.h>
#include <stdlib.h>

struct mac_key {
    uint8_t id;
    DECLARE_ALIGNED(uint32_t expanded[4 * 11], 16);
    DECLARE_ALIGNED(uint32_t sub1[4], 16);
    DECLARE_ALIGNED(uint32_t sub2[4], 16);
};

struct dht_mac {
    IMB_MGR *mgr;
    unsigned keys;
    struct mac_key key[2]; /* [0] signs */
};

struct dht_mac *dht_mac_create(const struct dht_keys *keys)
{
    assert(keys->n >= 1 && keys->n <= 2);
    struct dht_mac *m = aligned_alloc(64, (sizeof(*m) + 63) / 64 * 64);
    if (!m)
        return NULL;
    memset(m, 0, sizeof(*m));
    m->mgr = alloc_mb_mgr(0);
    if (!m->mgr) {
        free(m);
        return NULL;
    }
    init_mb_mgr_auto(m->mgr, NULL);
    if (imb_get_errno(m->mgr) != 0) { /* no implementation for this processor */
        dht_mac_destroy(m);
        return NULL;
    }
    m->keys = keys->n;
    for (unsigned i = 0; i < keys->n; i++) {
        struct mac_key *k = &m->key[i];
        DECLARE_ALIGNED(uint32_t decrypt[4 * 11], 16);
        k->id = keys->key[i].id;
        IMB_AES_KEYEXP_128(m->mgr, keys->key[i].key, k->expanded, decrypt);
        IMB_AES_CMAC_SUBKEY_GEN_128(m->mgr, k->expanded, k->sub1, k->sub2);
        sodium_memzero(decrypt, sizeof(decrypt));
    }
    return m;
}

void dht_mac_destroy(struct dht_mac *m)
{
    if (!m)
        return;
    free_mb_mgr(m->mgr);
    sodium_memzero(m, sizeof(*m));
    free(m);
}

void mac_tag_many(struct dht_mac *m, struct mac_job *job, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct mac_key *k = NULL;
        for (unsigned j = 0; j < m->keys; j++)
            if (m->key[j].id == job[i].key_id)
                k = &m->key[j];
        job[i].known = k != NULL;
        if (!k)
            continue;
        IMB_JOB *t = IMB_GET_NEXT_JOB(m->mgr);
        t->cipher_mode = IMB_CIPHER_NULL;
        t->cipher_direction = IMB_DIR_ENCRYPT;
        t->chain_order = IMB_ORDER_HASH_CIPHER;
        t->hash_alg = IMB_AUTH_AES_CMAC;
        t->src = job[i].data;
        t->hash_start_src_offset_in_bytes = 0;
        t->msg_len_to_hash_in_bytes = job[i].len;
        t->auth_tag_output = job[i].tag;
        t->auth_tag_output_len_in_bytes = 16;
        t->u.CMAC._key_expanded = k->expanded;
        t->u.CMAC._skey1 = k->sub1;
        t->u.CMAC._skey2 = k->sub2;
        IMB_SUBMIT_JOB_NOCHECK(
            m->mgr); /* what it returns needs no care: tags go where they belong */
    }
    while (IMB_FLUSH_JOB(m->mgr))
        ;
}

bool mac_tag_eq(const uint8_t a[16], const uint8_t b[16])
{
    return sodium_memcmp(a, b, 16) == 0;
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
