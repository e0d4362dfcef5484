/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The serving side. Input: a count of packets, each a length, a mode byte and bytes. Modes: raw; or
 * patched where luck is needed to come deep: sender, address, cookie, tag.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "dht/cookie.h"
#include "dht/id.h"
#include "dht/rpc.h"
#include "dht/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dht_contact contact(unsigned i)
{
    struct dht_contact c = {.rpc = {addr_v4(0x0a000000 + i), 8053}, .http_port = 80};
    c.id = dht_node_id(&c.rpc);
    c.v4 = c.rpc.ip;
    return c;
}

/* Makes the packet one of contact i's: what the receiver checks before it acts. */
static void make_true(struct dht_store *s, struct dht_mac *mac, uint8_t *p, size_t len, unsigned i,
                      struct now now)
{
    struct dht_contact c = contact(i);
    struct rpc r;
    if (len < RPC_HEAD + RPC_TAG)
        return;
    p[0] = (uint8_t)(RPC_VERSION << 4 | (p[0] & 15));
    p[2] = 0x20;
    p[3] = 1;
    memcpy(p + 12, c.id.b, 20);
    memcpy(p + 64, c.rpc.ip.b, 16);
    p[80] = (uint8_t)(c.rpc.port >> 8);
    p[81] = (uint8_t)c.rpc.port;
    p[82] = 0;
    p[83] = 80;
    p[85] = 0;
    memcpy(p + 86, c.rpc.ip.b + 12, 4);
    uint64_t cookie = cookie_make(&s->cookies, &c.rpc, &c.id, now);
    for (unsigned b = 0; b < 8; b++)
        p[32 + b] = (uint8_t)(cookie >> (56 - 8 * b));
    if (rpc_read(p, len, &r) == RPC_OK && r.type == RPC_STORE) {
        memcpy(p + RPC_HEAD + 24, c.v4.b, 16);
        p[RPC_HEAD + 40] = 0;
        p[RPC_HEAD + 41] = 80;
    }
    dht_mac_sign(mac, p, len - RPC_TAG, p + len - RPC_TAG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32];
    static struct dht_mac *mac;
    struct dht_keys keys = {.n = 1, .key[0].id = 1};
    struct dht_config config = dht_config_default();
    struct dht_counters counters = {0};
    struct now now = {1000000, 0};
    config.store_keys = 16;
    if (!mac)
        mac = dht_mac_create(&keys);
    struct dht_store *s = dht_store_create(&config, seed);
    struct dht_routes *routes = calloc(1, sizeof(*routes) + 2 * sizeof(routes->route[0]));
    routes->self = contact(1);
    routes->n = 1;
    routes->route[0] = (struct dht_route){contact(2), 1000, true};

    struct reader in = reader_of(data, size);
    struct datagram d[8];
    uint8_t packet[8][600], reply[8][RPC_MAX];
    while (reader_left(&in) > 0) {
        unsigned n = 0;
        for (; n < 8 && reader_left(&in) > 0; n++) {
            uint8_t mode = read_u8(&in);
            size_t len = read_u16(&in) % sizeof(packet[0]);
            if (len > reader_left(&in))
                len = reader_left(&in);
            const uint8_t *bytes = read_bytes(&in, len);
            if (bytes && len)
                memcpy(packet[n], bytes, len);
            unsigned by = 2 + mode / 2 % 16;
            if (mode & 1)
                make_true(s, mac, packet[n], len, by, now);
            struct dht_peek peek;
            if (dht_peek(packet[n], len, &peek) && peek.shard > 63)
                abort();
            d[n] = (struct datagram){.from = contact(by).rpc,
                                     .data = packet[n],
                                     .len = (uint16_t)len,
                                     .room = sizeof(reply[0]),
                                     .reply = reply[n]};
        }
        dht_serve(s, mac, routes, d, n, NULL, NULL, &counters, now);
        for (unsigned i = 0; i < n; i++) {
            struct rpc r;
            if (d[i].reply_len &&
                (rpc_read(reply[i], d[i].reply_len, &r) != RPC_OK || !(r.flags & RPC_REPLY)))
                abort();
        }
        now.mono_us += 1000000;
    }
    if (s->keys > s->keys_max)
        abort();
    dht_store_destroy(s);
    free(routes);
    return 0;
}
