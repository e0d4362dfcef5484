/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The serving side, behind the tag. Input: packets, each a mode, who sends it, its length and its
 * bytes. By its mode a packet is left as it is, or made what a receiver checks before it acts: a
 * member's, of our clusters, with a cookie or not, and always signed.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "dht/cookie.h"
#include "dht/id.h"
#include "dht/rpc.h"
#include "dht/store.h"
#include "fuzz_routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum mode { SIGNED = 1, COOKIE = 2, CLUSTERS = 4, MOVED = 8, IN_PLACE = 16, PAUSE = 32 };

#define BURST 8

struct world {
    struct dht_arena *arena;
    struct dht_store *store;
    struct dht_mac *mac;
    struct fuzz_routes near;
    struct now now;
};

static void put_u64(uint8_t *at, uint64_t v)
{
    v = htobe64(v);
    memcpy(at, &v, 8);
}

/* Makes the packet one of c's. */
static void make_true(const struct world *w, uint8_t *p, size_t len, const struct dht_contact *c,
                      unsigned mode)
{
    p[0] = (uint8_t)(RPC_VERSION << 4 | (p[0] & 15));
    p[2] &= 0xe0;
    p[3] = 1;
    memcpy(p + 12, c->id.b, DHT_ID_BYTES);
    put_u64(p + 32, mode & COOKIE ? cookie_make(&w->arena->cookies, &c->rpc, &c->id, w->now) : 0);
    if (mode & CLUSTERS)
        for (unsigned l = 1; l < DHT_LEVELS; l++)
            put_u64(p + 40 + 12 * (l - 1), (mode & MOVED ? 20 : 10) + l);
    p[70] = 0;
    p[71] = 80;
    memcpy(p + 72, c->rpc.ip.b + 12, 4);
    memset(p + 93, 0, 3);
    if ((p[0] & 15) == RPC_STORE && len >= RPC_HEAD + RPC_KEYED + 18 + RPC_TAG) {
        memcpy(p + RPC_HEAD + RPC_KEYED, c->v4.b, 16);
        p[RPC_HEAD + RPC_KEYED + 16] = 0;
        p[RPC_HEAD + RPC_KEYED + 17] = 80;
    }
    dht_mac_sign(w->mac, p, len - RPC_TAG, p + len - RPC_TAG);
}

struct sent {
    uint8_t *data, *reply;
    unsigned mode;
    uint8_t type;
    uint64_t tid;
};

/* Takes one packet from the input; memory that ends where it ends, so that ASan sees who reads on.
 */
static void take(const struct world *w, struct reader *in, struct sent *s, struct datagram *d)
{
    s->mode = read_u8(in);
    struct dht_contact c = fuzz_contact(read_u8(in) % 40);
    size_t len = read_u16(in) % (RPC_MOST + 10);
    len = len < reader_left(in) ? len : reader_left(in);
    bool in_place = s->mode & IN_PLACE;
    s->data = malloc(in_place && len < DHT_REPLY_MAX ? DHT_REPLY_MAX : len + 1);
    s->reply = in_place ? s->data : malloc(DHT_REPLY_MAX);
    memset(s->data, 0, len);
    const uint8_t *bytes = read_bytes(in, len);
    if (bytes && len)
        memcpy(s->data, bytes, len);
    if (len < RPC_HEAD + RPC_TAG)
        s->mode &= ~(unsigned)SIGNED;
    if (s->mode & SIGNED) {
        make_true(w, s->data, len, &c, s->mode);
        struct reader r = reader_of(s->data + 4, 8);
        s->tid = read_u64(&r);
        s->type = s->data[0] & 15;
    }
    *d = (struct datagram){.from = c.rpc,
                           .to = w->near.routes.self.rpc,
                           .data = s->data,
                           .len = (uint16_t)len,
                           .room = DHT_REPLY_MAX,
                           .reply = s->reply};
}

/* What a reply must be, and what it must not be to who showed no cookie. */
static void check(const struct world *w, const struct sent *s, const struct datagram *d)
{
    struct rpc r;
    size_t len = d->reply_len;
    if (len == 0)
        return;
    if (!(s->mode & SIGNED)) /* nobody makes a tag by luck */
        abort();
    if (rpc_read(d->reply, len, &w->near.routes.self.rpc, &r) != RPC_OK || !(r.flags & RPC_REPLY) ||
        r.tid != s->tid || r.cookie == 0 ||
        (r.type != s->type && r.type != RPC_COOKIE && r.type != RPC_NOT_MEMBER))
        abort();
    if (!dht_mac_verify(w->mac, 1, d->reply, len - RPC_TAG, d->reply + len - RPC_TAG))
        abort();
    bool changes = s->type == RPC_STORE || s->type == RPC_REMOVE || s->type == RPC_REPORT ||
                   s->type == RPC_RELAY;
    if (!(s->mode & COOKIE) && (len > d->len || (changes && r.type != RPC_COOKIE)))
        abort();
}

static void heard(void *ctx, const struct dht_sender *from, const struct dht_tidings *t)
{
    bool self = id_eq(&from->contact.id, ctx);
    if (t->n_news > DHT_NEWS || t->rtt_us != 0 || (self && !t->asks_check && !t->relay))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32];
    static struct dht_mac *mac;
    struct dht_keys keys = {.n = 1, .key[0].id = 1};
    struct dht_config config = dht_config_default();
    config.lookups = 1;
    config.pings = 1;
    config.holders = 8;
    config.source_percent = 6;
    config.replay_filter = size % 2;
    if (!mac)
        mac = dht_mac_create(&keys);
    struct world w = {.mac = mac, .now = {1000000, 0}};
    w.arena = dht_arena_create(&config, 5, seed, seed, w.now);
    w.store = dht_store_create(w.arena, 16);
    fuzz_routes_init(&w.near, 20, FUZZ_CONTACTS);

    struct reader in = reader_of(data, size);
    while (reader_left(&in) > 0) {
        struct sent sent[BURST];
        struct datagram d[BURST];
        unsigned n = 0;
        do
            take(&w, &in, &sent[n], &d[n]);
        while (++n < BURST && reader_left(&in) > 0 && !(sent[n - 1].mode & PAUSE));
        dht_serve(w.store, mac, &w.near.routes, d, n, heard, &w.near.routes.self.id, w.now);
        for (unsigned i = 0; i < n; i++) {
            check(&w, &sent[i], &d[i]);
            free(sent[i].data);
            if (!(sent[i].mode & IN_PLACE))
                free(sent[i].reply);
        }
        w.now.mono_us += 1000000;
    }
    if (w.store->keys > w.store->keys_max)
        abort();
    dht_store_destroy(w.store);
    for (uint32_t i = 0; i < w.arena->holders.used; i++)
        if (w.arena->holders.at[i].values != 0)
            abort();
    dht_arena_destroy(w.arena);
    return 0;
}
