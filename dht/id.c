/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/id.h"

#include <sodium.h>

/* The first 160 bits of BLAKE2b-512 (RFC 7693), so that any tool computes the same. */
static struct dht_id blake2b_160(const void *data, size_t len)
{
    uint8_t full[64];
    struct dht_id id;
    crypto_generichash(full, sizeof(full), data, len, NULL, 0);
    memcpy(id.b, full, DHT_ID_BYTES);
    return id;
}

struct dht_id dht_key(const void *url, size_t len)
{
    return blake2b_160(url, len);
}

struct dht_id dht_node_id(const struct endpoint *e)
{
    uint8_t text[18];
    memcpy(text, e->ip.b, 16);
    text[16] = (uint8_t)(e->port >> 8);
    text[17] = (uint8_t)e->port;
    return blake2b_160(text, sizeof(text));
}

const char *dht_id_text(const struct dht_id *id, char out[static 2 * DHT_ID_BYTES + 1])
{
    return sodium_bin2hex(out, 2 * DHT_ID_BYTES + 1, id->b, DHT_ID_BYTES);
}

struct dht_config dht_config_default(void)
{
    return (struct dht_config){
        .port = 8053,
        .bucket = 8,
        .beta = 12,
        .prefix_bits = 1,
        .store_keys = 65536,
        .lookups = 1024,
        .ping_interval_ms = 500,
        .ping_misses = 2,
        .rpc_timeout_ms = 500,
    };
}

struct dht_id id_random(struct rng *rng, const struct dht_id *self, unsigned prefix)
{
    struct dht_id id;
    if (prefix >= DHT_ID_BITS)
        return *self;
    rng_bytes(rng, id.b, sizeof(id.b));
    unsigned whole = prefix / 8, bit = prefix % 8;
    memcpy(id.b, self->b, whole);
    uint8_t keep = (uint8_t)(0xff00u >> bit), flip = (uint8_t)(0x80u >> bit);
    id.b[whole] = (uint8_t)((self->b[whole] & keep) | (~self->b[whole] & flip) |
                            (id.b[whole] & (uint8_t) ~(keep | flip)));
    return id;
}

const struct dht_route *routes_find(const struct dht_routes *routes, const struct dht_id *id)
{
    /* sorted by distance from self */
    struct dht_distance want = distance_between(&routes->self.id, id);
    uint32_t lo = 0, hi = routes->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        struct dht_distance d = distance_between(&routes->self.id, &routes->route[mid].contact.id);
        if (distance_less(&d, &want))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < routes->n && id_eq(&routes->route[lo].contact.id, id) ? &routes->route[lo] : NULL;
}
