/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two stores, with four values and with one under every key. Keys are picked at random, so that a
 * request finds nothing of its own in the caches: a million keys take 200 MB. Requests are written
 * into their buffers just before, as a port does.
 */
#include <stdlib.h>

#include <rte_cycles.h>

#include "base/memory.h"
#include "dht/mac.h"
#include "dht/store.h"
#include "perf/dht.h"

#define TTL_MS   RPC_TTL_MAX_MS
#define BURST_US 20 /* virtual time of a full burst: below the rate that a network may have */

struct dht_serving {
    struct dht_bench *b;
    uint32_t keys;
    struct dht_store *store[2]; /* with DHT_VALUES under each key; with one */
    bool *refused;              /* keys that found their set full: they are not asked for */
    uint8_t buffer[1024]
                  [DHT_BENCH_STRIDE]; /* so many, that they lie in large pages as a port's do */
    struct datagram request[DHT_BENCH_PACKETS];
};

/* The i-th key: of no URL, but as random. */
static struct dht_id key_of(uint64_t i)
{
    static const struct hash_secret secret = {{1}};
    struct hash128 a = hash128(&secret, &i, sizeof(i));
    struct dht_id key;
    memcpy(key.b, &a, sizeof(a));
    memcpy(key.b + sizeof(a), &i, DHT_ID_BYTES - sizeof(a));
    return key;
}

static const struct dht_contact *holder_of(const struct dht_bench *b, uint32_t key, unsigned value)
{
    return &b->node[1 + (key + value * 1021) % (DHT_BENCH_NODES - 1)];
}

static void store_fill(struct dht_serving *s, struct dht_store *store, unsigned values)
{
    const struct dht_bench *b = s->b;
    struct store_scope scope = store_scope(&b->routes, 2, false, b->now);
    for (uint32_t i = 0; i < s->keys; i++) {
        struct dht_id key = key_of(i);
        uint64_t hash = store_prepare(store, &key);
        for (unsigned j = 0; j < values; j++) {
            const struct dht_contact *c = holder_of(b, i, j);
            struct endpoint http = {c->v4, c->http_port};
            s->refused[i] |=
                store_put(store, &key, hash, &scope, &c->id, &http, TTL_MS) != STORE_DONE;
        }
    }
}

struct dht_serving *dht_serving_new(struct dht_bench *b, uint32_t keys)
{
    struct dht_serving *s = memory_new(1, sizeof(*s));
    if (!s)
        return NULL;
    s->b = b;
    s->keys = keys;
    s->refused = calloc(keys, sizeof(*s->refused));
    for (unsigned i = 0; i < 2; i++) {
        s->store[i] = dht_store_create(b->arena, keys);
        if (!s->store[i] || !s->refused) {
            dht_serving_free(s);
            return NULL;
        }
        store_fill(s, s->store[i], i == 0 ? DHT_VALUES : 1);
    }
    return s;
}

void dht_serving_free(struct dht_serving *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < 2; i++)
        if (s->store[i])
            dht_store_destroy(s->store[i]);
    free(s->refused);
    memory_free(s, 1, sizeof(*s));
}

static const uint8_t type_of[DHT_OPS] = {RPC_GET,   RPC_GET,   RPC_GET, RPC_WALK,
                                         RPC_STORE, RPC_STORE, RPC_PING};

static void request_write(struct dht_serving *s, enum dht_op op, unsigned at)
{
    struct dht_bench *b = s->b;
    uint32_t key;
    do
        key = rng_below(&b->rng, s->keys);
    while (s->refused[key]);
    unsigned by = 1 + rng_below(&b->rng, DHT_BENCH_ASKERS);
    if (op == DHT_OP_STORE)
        by = (unsigned)(holder_of(b, key, 0) - b->node);
    struct rpc r = {.type = type_of[op],
                    .wanted = type_of[op] == RPC_GET ? DHT_ALL_LEVELS : 4,
                    .key_id = DHT_BENCH_KEY_ID,
                    .tid = rng_u64(&b->rng),
                    .from = dht_bench_sender(b, by),
                    .key = key_of(op == DHT_OP_GET_UNKNOWN ? 1ull << 32 | key : key),
                    .ttl_ms = TTL_MS,
                    .http = {b->node[by].v4, b->node[by].http_port}};
    const struct dht_contact *c = &r.from.contact;
    if (op == DHT_OP_COOKIE)
        r.padded = RPC_PADDED;
    else
        r.cookie = cookie_make(&b->arena->cookies, &c->rpc, &c->id, b->now);
    uint8_t *packet = s->buffer[at];
    size_t len = rpc_write(&r, packet, RPC_MOST);
    dht_mac_sign(b->mac, packet, len - RPC_TAG, packet + len - RPC_TAG);
    s->request[at] = (struct datagram){.from = c->rpc,
                                       .to = b->routes.self.rpc,
                                       .data = packet,
                                       .len = (uint16_t)len,
                                       .room = RPC_MOST,
                                       .reply = packet};
}

/* One in 16 is looked at as its asker does. */
static bool answer_good(const struct dht_serving *s, enum dht_op op, unsigned at)
{
    const struct datagram *d = &s->request[at];
    struct rpc r;
    if (at % 16 != 0)
        return d->reply_len > 0;
    size_t len = d->reply_len - RPC_TAG;
    if (rpc_read(d->reply, d->reply_len, &d->to, &r) != RPC_OK ||
        !dht_mac_verify(s->b->mac, r.key_id, d->reply, len, d->reply + len))
        return false;
    switch (op) {
    case DHT_OP_GET: /* without the asker's own */
        return r.values >= DHT_VALUES - 1;
    case DHT_OP_GET_ONE:
        return r.values == 1 || r.contacts > 0;
    case DHT_OP_GET_UNKNOWN:
        return r.contacts == RPC_CONTACTS;
    case DHT_OP_WALK:
        return r.held == DHT_VALUES;
    case DHT_OP_STORE:
        return r.flags & RPC_STORED;
    case DHT_OP_COOKIE:
        return r.type == RPC_COOKIE;
    default:
        return r.type == RPC_PING;
    }
}

static void heard(void *ctx, const struct dht_sender *from, const struct dht_tidings *t)
{
    uint64_t *errors = ctx;
    (void)from;
    *errors += t->n_news > 0; /* nobody sends news here */
}

double dht_serving_window(struct dht_serving *s, enum dht_op op, unsigned n, uint64_t *errors)
{
    struct dht_bench *b = s->b;
    struct dht_store *store = s->store[op == DHT_OP_GET_ONE];
    for (unsigned i = 0; i < DHT_BENCH_PACKETS; i++)
        request_write(s, op, i);
    uint64_t began = rte_rdtsc_precise();
    for (unsigned i = 0; i < DHT_BENCH_PACKETS; i += n) {
        n = n < DHT_BENCH_PACKETS - i ? n : DHT_BENCH_PACKETS - i;
        dht_serve(store, b->mac, &b->routes, s->request + i, n, heard, errors, b->now);
        b->now.mono_us += (BURST_US * n + DATAGRAM_BURST - 1) / DATAGRAM_BURST;
    }
    uint64_t took = rte_rdtsc_precise() - began;
    for (unsigned i = 0; i < DHT_BENCH_PACKETS; i++)
        *errors += !answer_good(s, op, i);
    return (double)took / DHT_BENCH_PACKETS;
}
