/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/cookie.h"

#include <sodium.h>

#include "dht/id.h"
#include "dht/mac.h"

struct text {
    uint8_t b[16 + 2 + DHT_ID_BYTES + 8];
};

bool cookie_init(struct cookie_jar *jar, const uint8_t seed[32])
{
    static const char purpose[] = "coral dht cookie";
    struct dht_keys keys = {.n = 1};
    crypto_generichash(keys.key[0].key, sizeof(keys.key[0].key), (const uint8_t *)purpose,
                       sizeof(purpose) - 1, seed, 32);
    jar->mac = dht_mac_create(&keys);
    sodium_memzero(&keys, sizeof(keys));
    return jar->mac != NULL;
}

void cookie_free(struct cookie_jar *jar)
{
    dht_mac_destroy(jar->mac);
}

static void text_write(struct text *text, const struct endpoint *e, const struct dht_id *id,
                       uint64_t generation)
{
    memcpy(text->b, e->ip.b, 16);
    memcpy(text->b + 16, &e->port, 2);
    memcpy(text->b + 18, id->b, DHT_ID_BYTES);
    memcpy(text->b + 18 + DHT_ID_BYTES, &generation, 8);
}

static uint64_t cookie_from(const uint8_t tag[16])
{
    uint64_t cookie;
    memcpy(&cookie, tag, sizeof(cookie));
    return cookie ? cookie : 1;
}

static uint64_t cookie_of(const struct cookie_jar *jar, const struct endpoint *e,
                          const struct dht_id *id, uint64_t generation)
{
    struct text text;
    uint8_t tag[16];
    text_write(&text, e, id, generation);
    dht_mac_sign(jar->mac, text.b, sizeof(text.b), tag);
    return cookie_from(tag);
}

/* An ID is a hash; the first bits of those that are near us are ours. */
static uint64_t known_place(const struct dht_id *id)
{
    return id_u64(id->b + 8) % COOKIE_KNOWN;
}

void cookie_prepare(const struct cookie_jar *jar, const struct dht_id *id)
{
    __builtin_prefetch(&jar->known[known_place(id)]);
}

static bool known_is(const struct cookie_known *k, const struct cookie_claim *c,
                     uint64_t generation)
{
    return k->cookie != 0 && k->generation == generation && id_eq(&k->id, c->id) &&
           endpoint_eq(&k->from, c->from);
}

/* The fresh ones of those that are not known. */
static void cookies_make(struct cookie_jar *jar, struct cookie_claim *const *claim, unsigned n,
                         uint64_t generation)
{
    struct text text[DATAGRAM_BURST];
    struct mac_job job[DATAGRAM_BURST];
    for (unsigned i = 0; i < n; i++) {
        text_write(&text[i], claim[i]->from, claim[i]->id, generation);
        job[i].data = text[i].b;
        job[i].len = sizeof(text[i].b);
        job[i].key_id = 0;
    }
    mac_tag_many(jar->mac, job, n);
    for (unsigned i = 0; i < n; i++) {
        struct cookie_claim *c = claim[i];
        c->fresh = cookie_from(job[i].tag);
        jar->known[known_place(c->id)] =
            (struct cookie_known){*c->from, *c->id, generation, c->fresh};
    }
}

/* Most that show one show the present one, which they get again. */
void cookie_check_many(struct cookie_jar *jar, struct cookie_claim *claim, unsigned n,
                       struct now now)
{
    struct cookie_claim *unknown[DATAGRAM_BURST];
    uint64_t generation = now.mono_us / COOKIE_GENERATION_US;
    unsigned make = 0;
    assert(n <= DATAGRAM_BURST);
    for (unsigned i = 0; i < n; i++) {
        const struct cookie_known *k = &jar->known[known_place(claim[i].id)];
        if (known_is(k, &claim[i], generation))
            claim[i].fresh = k->cookie;
        else
            unknown[make++] = &claim[i];
    }
    if (make > 0)
        cookies_make(jar, unknown, make, generation);
    for (unsigned i = 0; i < n; i++) {
        struct cookie_claim *c = &claim[i];
        c->valid =
            c->shown == c->fresh || (c->shown != 0 && generation > 0 &&
                                     c->shown == cookie_of(jar, c->from, c->id, generation - 1));
    }
}

uint64_t cookie_make(const struct cookie_jar *jar, const struct endpoint *to,
                     const struct dht_id *id, struct now now)
{
    return cookie_of(jar, to, id, now.mono_us / COOKIE_GENERATION_US);
}

bool cookie_valid(struct cookie_jar *jar, uint64_t cookie, const struct endpoint *from,
                  const struct dht_id *id, struct now now)
{
    struct cookie_claim c = {.from = from, .id = id, .shown = cookie};
    cookie_check_many(jar, &c, 1, now);
    return c.valid;
}
