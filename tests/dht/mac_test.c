/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include "dht/mac.h"

/* RFC 4493, section 4 */
static const uint8_t key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6,
                                0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
static const uint8_t message[64] = {
    0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a,
    0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c, 0x9e, 0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51,
    0x30, 0xc8, 0x1c, 0x46, 0xa3, 0x5c, 0xe4, 0x11, 0xe5, 0xfb, 0xc1, 0x19, 0x1a, 0x0a, 0x52, 0xef,
    0xf6, 0x9f, 0x24, 0x45, 0xdf, 0x4f, 0x9b, 0x17, 0xad, 0x2b, 0x41, 0x7b, 0xe6, 0x6c, 0x37, 0x10};
static const struct {
    size_t len;
    uint8_t tag[16];
} vector[] = {
    {0,
     {0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28, 0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75, 0x67,
      0x46}},
    {16,
     {0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44, 0xf7, 0x9b, 0xdd, 0x9d, 0xd0, 0x4a, 0x28,
      0x7c}},
    {40,
     {0xdf, 0xa6, 0x67, 0x47, 0xde, 0x9a, 0xe6, 0x30, 0x30, 0xca, 0x32, 0x61, 0x14, 0x97, 0xc8,
      0x27}},
    {64,
     {0x51, 0xf0, 0xbe, 0xbf, 0x7e, 0x3b, 0x9d, 0x92, 0xfc, 0x49, 0x74, 0x17, 0x79, 0x36, 0x3c,
      0xfe}},
};
#define VECTORS (sizeof(vector) / sizeof(vector[0]))

static struct dht_mac *make(uint8_t id)
{
    struct dht_keys keys = {.n = 1, .key[0].id = id};
    memcpy(keys.key[0].key, key, 16);
    struct dht_mac *m = dht_mac_create(&keys);
    cr_assert(m);
    return m;
}

Test(mac, signs_as_the_rfc_says)
{
    struct dht_mac *m = make(7);
    cr_assert_eq(dht_mac_key_id(m), 7);
    for (unsigned i = 0; i < VECTORS; i++) {
        uint8_t tag[16];
        dht_mac_sign(m, message, vector[i].len, tag);
        cr_assert_arr_eq(tag, vector[i].tag, 16, "length %zu", vector[i].len);
        cr_assert(dht_mac_verify(m, 7, message, vector[i].len, tag));
        tag[15] ^= 1;
        cr_assert_not(dht_mac_verify(m, 7, message, vector[i].len, tag));
        tag[15] ^= 1;
        cr_assert_not(dht_mac_verify(m, 8, message, vector[i].len, tag), "an unknown key");
    }
    dht_mac_destroy(m);
}

Test(mac, a_burst_of_all_lengths_is_what_one_by_one_is)
{
    struct dht_mac *m = make(7);
    struct mac_job job[64];
    for (unsigned i = 0; i < 64; i++)
        job[i] = (struct mac_job){.data = message, .len = i, .key_id = i % 5 ? 7 : 9};
    mac_tag_many(m, job, 64);
    for (unsigned i = 0; i < 64; i++) {
        uint8_t tag[16];
        cr_assert_eq(job[i].known, i % 5 != 0);
        dht_mac_sign(m, message, i, tag);
        if (job[i].known)
            cr_assert_arr_eq(job[i].tag, tag, 16, "length %u", i);
    }
    dht_mac_destroy(m);
}

Test(mac, two_keys_are_valid_while_they_rotate_and_the_first_signs)
{
    struct dht_keys keys = {.n = 2, .key = {{.id = 2, .key = {1}}, {.id = 1}}};
    memcpy(keys.key[1].key, key, 16);
    struct dht_mac *rotating = dht_mac_create(&keys), *old = make(1);
    uint8_t tag[16];
    dht_mac_sign(old, message, 64, tag);
    cr_assert(dht_mac_verify(rotating, 1, message, 64, tag));
    cr_assert_not(dht_mac_verify(rotating, 2, message, 64, tag));
    dht_mac_sign(rotating, message, 64, tag);
    cr_assert(dht_mac_verify(rotating, 2, message, 64, tag));
    cr_assert_not(dht_mac_verify(old, 2, message, 64, tag));
    dht_mac_destroy(rotating);
    dht_mac_destroy(old);
}
