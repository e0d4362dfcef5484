/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
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

static const char *const way_name[MAC_WAYS] = {"VAES", "AES-NI", "library"};

static struct dht_mac *make(uint8_t id)
{
    struct dht_keys keys = {.n = 1, .key[0].id = id};
    memcpy(keys.key[0].key, key, 16);
    struct dht_mac *m = dht_mac_create(&keys);
    cr_assert(m);
    return m;
}

/* So many of each at once: the wide lanes are for more than a few. */
static void expect_rfc_in_bursts(struct dht_mac *m, const char *name)
{
    for (unsigned n = 1; n <= 32; n++)
        for (unsigned i = 0; i < VECTORS; i++) {
            struct mac_job job[32];
            for (unsigned j = 0; j < n; j++)
                job[j] = (struct mac_job){.data = message, .len = vector[i].len, .key_id = 7};
            mac_tag_many(m, job, n);
            for (unsigned j = 0; j < n; j++)
                cr_assert_arr_eq(job[j].tag, vector[i].tag, 16, "%s, length %zu, %u of %u", name,
                                 vector[i].len, j, n);
        }
}

static void expect_rfc(struct dht_mac *m, const char *name)
{
    cr_assert_eq(dht_mac_key_id(m), 7);
    expect_rfc_in_bursts(m, name);
    for (unsigned i = 0; i < VECTORS; i++) {
        uint8_t tag[16];
        dht_mac_sign(m, message, vector[i].len, tag);
        cr_assert_arr_eq(tag, vector[i].tag, 16, "%s, length %zu", name, vector[i].len);
        cr_assert(dht_mac_verify(m, 7, message, vector[i].len, tag));
        tag[15] ^= 1;
        cr_assert_not(dht_mac_verify(m, 7, message, vector[i].len, tag));
        tag[15] ^= 1;
        cr_assert_not(dht_mac_verify(m, 8, message, vector[i].len, tag), "an unknown key");
    }
}

Test(mac, signs_as_the_rfc_says_in_each_way_that_this_processor_has)
{
    struct dht_keys keys = {.n = 1, .key[0].id = 7};
    memcpy(keys.key[0].key, key, 16);
    unsigned ways = 0;
    for (enum mac_way way = 0; way < MAC_WAYS; way++) {
        struct dht_mac *m = mac_create(&keys, way);
        if (!m)
            continue;
        ways++;
        expect_rfc(m, way_name[way]);
        dht_mac_destroy(m);
    }
    cr_assert_geq(ways, 1);
    struct dht_mac *m = dht_mac_create(&keys);
    expect_rfc(m, "the best");
    dht_mac_destroy(m);
}

/* The vectors of the SipHash reference implementation (vectors_sip128): key 00 01 .. 0f, message
 * 00 01 .. of so many bytes. */
Test(mac, a_key_id_from_128_means_siphash_as_its_reference_has_it)
{
    static const struct {
        size_t len;
        uint8_t tag[16];
    } sip[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
        {2,
         {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
          0xe4}},
        {3,
         {0x9c, 0x70, 0xb6, 0x0c, 0x52, 0x67, 0xa9, 0x4e, 0x5f, 0x33, 0xb6, 0xb0, 0x29, 0x85, 0xed,
          0x51}},
    };
    struct dht_keys keys = {.n = 1};
    uint8_t count[16];
    for (unsigned i = 0; i < 16; i++)
        count[i] = keys.key[0].key[i] = (uint8_t)i;
    for (unsigned id = 128; id < 256; id += 127)
        for (unsigned i = 0; i < sizeof(sip) / sizeof(sip[0]); i++) {
            uint8_t tag[16];
            keys.key[0].id = (uint8_t)id;
            struct dht_mac *m = dht_mac_create(&keys);
            dht_mac_sign(m, count, sip[i].len, tag);
            cr_assert_arr_eq(tag, sip[i].tag, 16, "ID %u, length %zu", id, sip[i].len);
            cr_assert(dht_mac_verify(m, (uint8_t)id, count, sip[i].len, tag));
            cr_assert_not(dht_mac_verify(m, 127, count, sip[i].len, tag), "an unknown key");
            dht_mac_destroy(m);
        }
}

Test(mac, an_id_up_to_127_means_cmac)
{
    uint8_t low[16], high[16];
    struct dht_mac *last = make(127), *first = make(128);
    dht_mac_sign(last, message, 64, low);
    cr_assert_arr_eq(low, vector[3].tag, 16);
    dht_mac_sign(first, message, 64, high);
    cr_assert_arr_neq(low, high, 16);
    dht_mac_destroy(last);
    dht_mac_destroy(first);
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

/* --- the ways beside one another ------------------------------------------------------------- */

#define MANY 33 /* one more than a burst */

/* Messages end where their memory ends, so that ASan sees who reads on. */
static void random_jobs(struct rng *r, struct mac_job *job, unsigned n, size_t longest,
                        const struct dht_keys *keys)
{
    for (unsigned i = 0; i < n; i++) {
        size_t len = rng_below(r, (uint32_t)longest + 1);
        uint8_t *data = malloc(len ? len : 1);
        rng_bytes(r, data, len);
        uint32_t pick = rng_below(r, 8); /* one in eight names a key that nobody has */
        uint8_t id = pick ? keys->key[pick % keys->n].id : 77;
        job[i] = (struct mac_job){.data = data, .len = len, .key_id = id};
    }
}

static void expect_same(const struct dht_keys *keys, const struct mac_job *asked, unsigned n,
                        uint64_t seed)
{
    struct dht_mac *standard = mac_create(keys, MAC_LIBRARY);
    cr_assert(standard);
    for (enum mac_way way = 0; way < MAC_WAYS; way++) {
        struct dht_mac *m = mac_create(keys, way);
        struct mac_job job[MANY];
        if (!m)
            continue;
        memcpy(job, asked, n * sizeof(job[0]));
        mac_tag_many(m, job, n);
        for (unsigned i = 0; i < n; i++) {
            const struct mac_job *j = &job[i];
            cr_assert_eq(j->known, j->key_id != 77);
            cr_assert(!j->known || dht_mac_verify(standard, j->key_id, j->data, j->len, j->tag),
                      "seed %llu, %s: message %u of %u, %zu bytes, key %u",
                      (unsigned long long)seed, way_name[way], i, n, j->len, j->key_id);
        }
        dht_mac_destroy(m);
    }
    dht_mac_destroy(standard);
}

/* Two keys: of the one algorithm, the other, and both. */
static void random_keys(struct rng *r, struct dht_keys *keys)
{
    static const uint8_t ids[][2] = {{0, 127}, {3, 200}, {255, 1}, {128, 129}};
    const uint8_t *id = ids[rng_below(r, 4)];
    keys->n = 2;
    for (unsigned i = 0; i < 2; i++) {
        keys->key[i].id = id[i];
        rng_bytes(r, keys->key[i].key, 16);
    }
}

Test(mac, all_ways_give_the_same_tags_to_mixed_bursts)
{
    /* short ones alone, those of RPCs, and some beyond any datagram */
    static const size_t longest[] = {16, 40, 200, 1200, 4000};
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct rng r;
        struct dht_keys keys;
        struct mac_job job[MANY];
        unsigned n = 1 + (unsigned)(seed % MANY);
        rng_init_u64(&r, seed);
        random_keys(&r, &keys);
        random_jobs(&r, job, n, longest[rng_below(&r, 5)], &keys);
        expect_same(&keys, job, n, seed);
        for (unsigned i = 0; i < n; i++)
            free((void *)(uintptr_t)job[i].data);
    }
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
