/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The asking side against lying peers. The input decides what is started, and how each RPC that is
 * sent gets answered: not, by raw bytes, or by an authentic packet with a body from the input.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "dht/id.h"
#include "dht/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT 64

struct world {
    struct dht_mac *mac;
    struct dht_contact self;
    unsigned sent, done, started;
    struct {
        struct endpoint to;
        uint16_t len;
        uint8_t data[RPC_MAX];
    } packet[SENT];
};

static struct dht_contact contact(unsigned i)
{
    struct dht_contact c = {.rpc = {addr_v4(0x0a000000 + i), 8053}, .http_port = 80};
    c.id = dht_node_id(&c.rpc);
    c.v4 = c.rpc.ip;
    return c;
}

static bool take(void *ctx, uint16_t port, const struct endpoint *to, const void *data, size_t len)
{
    struct world *w = ctx;
    (void)port;
    if (w->sent == SENT || len > RPC_MAX)
        return false;
    w->packet[w->sent].to = *to;
    w->packet[w->sent].len = (uint16_t)len;
    memcpy(w->packet[w->sent++].data, data, len);
    return true;
}

static void done(void *ctx, const struct dht_result *result, struct now now)
{
    (void)now;
    if (result->n > sizeof(result->value) / sizeof(result->value[0]))
        abort();
    ((struct world *)ctx)->done++;
}

/* One answer to the oldest packet that waits. */
static void answer(struct world *w, struct dht_asker *a, struct reader *in, struct now now)
{
    uint8_t packet[RPC_MAX + 64], mode = read_u8(in);
    struct rpc ask, r;
    struct datagram d = {.from = w->packet[0].to, .to = w->self.rpc, .data = packet};
    bool read = rpc_read(w->packet[0].data, w->packet[0].len, &ask) == RPC_OK;
    w->sent--;
    memmove(&w->packet[0], &w->packet[1], w->sent * sizeof(w->packet[0]));
    if (!read)
        abort();
    if (mode % 4 == 0)
        return;
    memset(&r, 0, sizeof(r));
    r.type = mode % 4 == 1 ? RPC_COOKIE : ask.type;
    r.flags = RPC_REPLY | (mode & 0x1e);
    r.key_id = 1;
    r.tid = ask.tid;
    r.cookie = mode;
    r.from.rpc = d.from;
    r.from.id = dht_node_id(&d.from);
    if (ask.type == RPC_PING)
        r.type = RPC_PING;
    uint8_t counts = read_u8(in);
    r.values = counts % 5;
    r.contacts = counts / 5 % 5;
    for (unsigned i = 0; i < r.contacts; i++) {
        struct dht_contact c = contact(read_u8(in));
        r.contact[i] = (struct rpc_contact){c.id, c.rpc};
    }
    for (unsigned i = 0; i < r.values; i++)
        r.value[i] =
            (struct dht_value){contact(read_u8(in)).id, contact(3).rpc, read_u8(in), read_u8(in)};
    size_t len = rpc_write(&r, packet, sizeof(packet));
    if (mode % 4 == 3 && reader_left(in) > 2) { /* damaged before it is signed */
        packet[read_u16(in) % len] = read_u8(in);
        len -= mode & 0x80 ? mode % 16u : 0;
    }
    if (len >= RPC_TAG && !(mode & 0x40))
        dht_mac_sign(w->mac, packet, len - RPC_TAG, packet + len - RPC_TAG);
    d.len = (uint16_t)len;
    dht_asker_input(a, &d, now);
    dht_asker_input(a, &d, now); /* and once more */
}

static void start(struct world *w, struct dht_asker *a, uint8_t op, uint8_t arg, struct now now)
{
    struct dht_id key = dht_key(&arg, 1);
    uint64_t ticket = 0;
    switch (op % 6) {
    case 0:
        ticket = dht_get(a, &key, done, w, now);
        break;
    case 1:
        ticket = dht_put(a, &key, 1000u * arg, done, w, now);
        break;
    case 2:
        ticket = dht_find(a, &key, done, w, now);
        break;
    case 3:
        dht_remove(a, &key, now);
        return;
    case 4:
        dht_ping(a, &w->self.rpc, NULL, now);
        return;
    case 5:
        dht_cancel(a, dht_get(a, &key, NULL, NULL, now));
        return;
    }
    w->started++;
    (void)ticket;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32];
    static struct dht_mac *mac;
    struct dht_keys keys = {.n = 1, .key[0].id = 1};
    struct dht_config config = dht_config_default();
    struct now now = {1000000, 0};
    config.lookups = 4;
    config.bucket = 3;
    if (!mac)
        mac = dht_mac_create(&keys);
    struct world *w = calloc(1, sizeof(*w));
    struct dht_routes *routes = calloc(1, sizeof(*routes) + 2 * sizeof(routes->route[0]));
    w->mac = mac;
    w->self = routes->self = contact(1);
    routes->n = 1;
    routes->route[0] = (struct dht_route){contact(2), 1000, true};
    struct dht_asker_host host = {{w, take}, NULL, NULL, NULL};
    struct dht_asker *a = dht_asker_create(&config, 5, mac, &host, seed, now);
    dht_asker_routes(a, routes);

    struct reader in = reader_of(data, size);
    while (reader_left(&in) > 0) {
        uint8_t op = read_u8(&in);
        if (op < 96) {
            start(w, a, op, read_u8(&in), now);
        } else if (op < 224 && w->sent > 0) {
            answer(w, a, &in, now);
        } else {
            now.mono_us += 1000ull * (op - 90u);
            dht_asker_poll(a, now);
        }
    }
    for (unsigned i = 0; i < 200; i++) { /* every lookup ends in bounded time */
        now.mono_us += 50000;
        dht_asker_poll(a, now);
        w->sent = 0;
    }
    if (w->done != w->started || dht_asker_counters(a)->dht_lookups != 0)
        abort();
    dht_asker_destroy(a);
    free(routes);
    free(w);
    return 0;
}
