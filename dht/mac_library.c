/* SPDX-License-Identifier: BSD-3-Clause */
/* AES-128-CMAC by libipsec-mb: for processors whose instructions mac_aes.c does not use. It works
 * on up to 16 messages side by side, but to submit one costs more than its AES. */
#include <intel-ipsec-mb.h>
#include <sodium.h>
#include <stdlib.h>

#include "dht/mac_cmac.h"

/* In memory of our own: the library's lanes keep copies of keys, which are to be wiped. */
struct IMB_MGR *mac_library_create(void)
{
    size_t size = imb_get_mb_mgr_size();
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!memory)
        return NULL;
    IMB_MGR *mgr = imb_set_pointers_mb_mgr(memory, 0, 1);
    if (mgr)
        init_mb_mgr_auto(mgr, NULL);
    if (!mgr || imb_get_errno(mgr) != 0) {
        free(memory);
        return NULL;
    }
    return mgr;
}

void mac_library_destroy(struct IMB_MGR *mgr)
{
    if (!mgr)
        return;
    sodium_memzero(mgr, imb_get_mb_mgr_size());
    free(mgr);
}

void mac_library_key_expand(struct IMB_MGR *mgr, struct cmac_key *out, const uint8_t key[16])
{
    _Alignas(16) uint8_t decrypt[11][16];
    IMB_AES_KEYEXP_128(mgr, key, out->round, decrypt);
    IMB_AES_CMAC_SUBKEY_GEN_128(mgr, out->round, out->k1, out->k2);
    sodium_memzero(decrypt, sizeof(decrypt));
}

void mac_library_tag_many(struct IMB_MGR *mgr, const struct cmac_key *key,
                          struct mac_job *const *job, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        IMB_JOB *t = IMB_GET_NEXT_JOB(mgr);
        t->cipher_mode = IMB_CIPHER_NULL;
        t->cipher_direction = IMB_DIR_ENCRYPT;
        t->chain_order = IMB_ORDER_HASH_CIPHER;
        t->hash_alg = IMB_AUTH_AES_CMAC;
        t->src = job[i]->data;
        t->hash_start_src_offset_in_bytes = 0;
        t->msg_len_to_hash_in_bytes = job[i]->len;
        t->auth_tag_output = job[i]->tag;
        t->auth_tag_output_len_in_bytes = 16;
        t->u.CMAC._key_expanded = key->round;
        t->u.CMAC._skey1 = key->k1;
        t->u.CMAC._skey2 = key->k2;
        /* what it returns needs no care: tags go where they belong */
        IMB_SUBMIT_JOB_NOCHECK(mgr);
    }
    while (IMB_FLUSH_JOB(mgr))
        ;
}
