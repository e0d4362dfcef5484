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

bool dht_id_parse(const char *text, struct dht_id *out)
{
    size_t len;
    const char *end;
    return sodium_hex2bin(out->b, sizeof(out->b), text, strlen(text), NULL, &len, &end) == 0 &&
           len == sizeof(out->b) && *end == '\0';
}

struct dht_id id_sharing(const struct dht_id *random, const struct dht_id *self, unsigned prefix)
{
    struct dht_id id = *random;
    if (prefix >= DHT_ID_BITS)
        return *self;
    unsigned whole = prefix / 8, bit = prefix % 8;
    memcpy(id.b, self->b, whole);
    uint8_t keep = (uint8_t)(0xff00u >> bit), flip = (uint8_t)(0x80u >> bit);
    id.b[whole] = (uint8_t)((self->b[whole] & keep) | (~self->b[whole] & flip) |
                            (id.b[whole] & (uint8_t) ~(keep | flip)));
    return id;
}

struct dht_config dht_config_default(void)
{
    struct dht_config c = {
        .port = 8053,
        .bucket = 8,
        .beta = 12,
        .copies = 3,
        .prefix_bits = {3, 2, 1},
        .levels = DHT_LEVELS,
        .cluster = {[1] = CLUSTER_CONFIG_DEFAULT, [2] = CLUSTER_CONFIG_DEFAULT},
        .store_keys = 65536,
        .holders = 16384,
        .lookups = 1024,
        .peers = 1024,
        .pings = 256,
        .rpc_timeout_ms = 500,
        .ping_interval_ms = 600,
        .refresh_ms = 5000,
        .find_ms = 120000,
        .prefix_rate = 20000,
        .source_percent = 50,
        .prefix_percent = 75,
        .replay_filter = true,
        .liveness = true,
        .lost = 64,
        .negative_ms = 1000,
        .mitigate = {true, true, true, true, true, true, true, true},
    };
    c.cluster[1].threshold_us = 60000;
    return c;
}
