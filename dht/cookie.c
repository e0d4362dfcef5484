/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/cookie.h"

#include <sodium.h>

#define COOKIE_GENERATION_US 300000000ull

void cookie_init(struct cookie_jar *jar, const uint8_t seed[32])
{
    static const char purpose[] = "coral dht cookie";
    crypto_generichash(jar->key, sizeof(jar->key), (const uint8_t *)purpose, sizeof(purpose) - 1,
                       seed, 32);
}

static uint64_t cookie_of(const struct cookie_jar *jar, const struct endpoint *e,
                          const struct dht_id *id, uint64_t generation)
{
    uint8_t text[16 + 2 + DHT_ID_BYTES + 8];
    uint64_t out;
    memcpy(text, e->ip.b, 16);
    memcpy(text + 16, &e->port, 2);
    memcpy(text + 18, id->b, DHT_ID_BYTES);
    memcpy(text + 18 + DHT_ID_BYTES, &generation, 8);
    crypto_shorthash((uint8_t *)&out, text, sizeof(text), jar->key);
    return out ? out : 1;
}

uint64_t cookie_make(const struct cookie_jar *jar, const struct endpoint *to,
                     const struct dht_id *id, struct now now)
{
    return cookie_of(jar, to, id, now.mono_us / COOKIE_GENERATION_US);
}

bool cookie_valid(const struct cookie_jar *jar, uint64_t cookie, const struct endpoint *from,
                  const struct dht_id *id, struct now now)
{
    uint64_t generation = now.mono_us / COOKIE_GENERATION_US;
    if (cookie == 0)
        return false;
    if (cookie == cookie_of(jar, from, id, generation))
        return true;
    return generation > 0 && cookie == cookie_of(jar, from, id, generation - 1);
}
