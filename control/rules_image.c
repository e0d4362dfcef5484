/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled expressions as bytes that are worth their trust. */
#include <sodium.h>
#include <string.h>

#include "control/rules_child.h"

/*
 *    0       8              40       48             80
 *    +-------+--------------+--------+--------------+----------//
 *    | magic | key          | length | MAC          | database
 *    +-------+--------------+--------+--------------+----------//
 *
 * MAC: keyed BLAKE2b of all the rest. Numbers as the machine has them: the database is its own,
 * too.
 */
static const char magic[8] = {'C', 'O', 'R', 'A', 'L', 'R', 'U', '1'};
#define KEY_AT 8
#define LEN_AT 40
#define MAC_AT 48

static void mac_of(uint8_t mac[static 32], const uint8_t *head, const uint8_t secret[static 32],
                   const void *bytes, size_t len)
{
    crypto_generichash_state h;
    crypto_generichash_init(&h, secret, 32, 32);
    crypto_generichash_update(&h, head, MAC_AT);
    crypto_generichash_update(&h, bytes, len);
    crypto_generichash_final(&h, mac, 32);
}

void rules_image_head(uint8_t head[static RULES_IMAGE_HEAD], const uint8_t key[static RULES_KEY],
                      const uint8_t secret[static 32], const char *bytes, size_t len)
{
    uint64_t n = len;
    memcpy(head, magic, sizeof(magic));
    memcpy(head + KEY_AT, key, RULES_KEY);
    memcpy(head + LEN_AT, &n, sizeof(n));
    mac_of(head + MAC_AT, head, secret, bytes, len);
}

bool rules_image_load(const uint8_t *image, size_t len, struct rules_set *s,
                      const struct rules_maker *m)
{
    uint8_t key[RULES_KEY], mac[32];
    uint64_t n;
    if (len < RULES_IMAGE_HEAD || memcmp(image, magic, sizeof(magic)) != 0)
        return false;
    memcpy(&n, image + LEN_AT, sizeof(n));
    rules_key(s, key);
    if (n != len - RULES_IMAGE_HEAD || memcmp(image + KEY_AT, key, sizeof(key)) != 0)
        return false;
    mac_of(mac, image, m->secret, image + RULES_IMAGE_HEAD, (size_t)n);
    return sodium_memcmp(mac, image + MAC_AT, sizeof(mac)) == 0 &&
           rules_load(s, (const char *)image + RULES_IMAGE_HEAD, (size_t)n, m->workers);
}
