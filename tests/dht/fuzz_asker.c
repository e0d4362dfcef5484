/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The asking side against lying peers. The input decides what is started, and how each RPC that is
 * sent gets answered: not, by raw bytes, or by an authentic packet with a body from the input.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "dht/arena.h"
#include "dht/id.h"
#include "dht/rpc.h"
#include "fuzz_routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT       64
#define NEIGHBOURS 6

struct world {
    struct dht_mac *mac;
    struct fuzz_routes near;
    struct dht_path path;
    unsigned sent, done, started;
    struct endpoint relayed_for; /* who asks us to relay: one */
    size_t relaying;             /* the length of that question, while we are told of it */
    struct {
        struct endpoint to;
        uint16_t len;
        uint8_t data[RPC_MAX];
    } packet[SENT];
};

/* What leaves must be a question, and one to a stranger padded, if it is ours; or what came of a
 * relay. */
static bool take(void *ctx, uint16_t port, const struct endpoint *to, const void *data, size_t len)
{
    struct world *w = ctx;
    struct rpc r;
    (void)port;
    if (rpc_read(data, len, &w->near.routes.self.rpc, &r) != RPC_OK)
        abort();
    if (r.flags & RPC_REPLY) {
        if (r.type != RPC_RELAY || !endpoint_eq(to, &w->relayed_for))
            abort();
        return true;
    }
    if (w->relaying && (len > w->relaying || (r.type != RPC_GET && r.type != RPC_WALK)))
        abort();
    bool pads = rpc_is_keyed(r.type) && r.type != RPC_STORE && r.type != RPC_REMOVE;
    if (!w->relaying && pads && r.cookie == 0 && len < RPC_PADDED)
        abort();
    if (w->sent == SENT)
        return false;
    w->packet[w->sent].to = *to;
    w->packet[w->sent].len = (uint16_t)len;
    memcpy(w->packet[w->sent++].data, data, len);
    return true;
}

static void done(void *ctx, const struct dht_result *result, struct now now)
{
    (void)now;
    if (result->n > sizeof(result->value) / sizeof(result->value[0]) ||
        result->nearest > DHT_NEAREST || result->level >= DHT_LEVELS)
        abort();
    for (unsigned i = 1; i < result->nearest; i++)
        if (result->distance[i] < result->distance[i - 1])
            abort();
    ((struct world *)ctx)->done++;
}

static void answered(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                     struct now now)
{
    const struct world *w = ctx;
    (void)now;
    struct dht_id id = dht_node_id(&who->contact.rpc);
    if (!id_eq(&id, &who->contact.id) || id_eq(&id, &w->near.routes.self.id) || t->rtt_us == 0 ||
        t->n_news > DHT_NEWS)
        abort();
}

static void timed_out(void *ctx, const struct dht_id *who, struct now now)
{
    (void)ctx, (void)who, (void)now;
}

/* The body of an answer, from the input. */
static void make_answer(const struct rpc *ask, uint8_t mode, struct reader *in, struct rpc *r)
{
    uint8_t counts = read_u8(in), levels = read_u8(in);
    r->type = mode % 4 == 1 ? (mode & 0x20 ? RPC_COOKIE : RPC_NOT_MEMBER) : ask->type;
    if (ask->type == RPC_PING || ask->type == RPC_VIA)
        r->type = ask->type;
    r->flags = (uint8_t)(RPC_REPLY | (mode & 0x1e) | (levels & 0xc0));
    r->key_id = 1;
    r->tid = ask->tid;
    r->cookie = mode;
    r->served = levels % DHT_LEVELS;
    r->values_level = levels / 4 % DHT_LEVELS;
    r->contacts_level = levels / 16 % DHT_LEVELS;
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        r->from.level[l].cid = 10 + (levels & l);
    r->values = counts % 5;
    r->contacts = counts / 5 % 5;
    r->outcome = mode / 32 % RPC_OUTCOMES;
    r->has_coordinate = counts & 0x80;
    r->news = counts >> 7;
    for (unsigned i = 0; i < r->contacts; i++) {
        struct dht_contact c = fuzz_contact(read_u8(in));
        r->contact[i] = (struct rpc_contact){c.id, c.rpc};
    }
    for (unsigned i = 0; i < r->values; i++)
        r->value[i] = (struct dht_value){fuzz_contact(read_u8(in)).id, fuzz_contact(3).rpc,
                                         read_u8(in), read_u8(in)};
}

/* One answer to the oldest packet that waits. */
static void answer(struct world *w, struct dht_asker *a, struct reader *in, struct now now)
{
    uint8_t packet[RPC_MAX + 64], mode = read_u8(in);
    struct rpc ask, r;
    struct datagram d = {.from = w->packet[0].to, .to = w->near.routes.self.rpc, .data = packet};
    rpc_read(w->packet[0].data, w->packet[0].len, &w->near.routes.self.rpc, &ask);
    w->sent--;
    memmove(&w->packet[0], &w->packet[1], w->sent * sizeof(w->packet[0]));
    if (mode % 4 == 0)
        return;
    memset(&r, 0, sizeof(r));
    r.from.contact.rpc = d.from;
    r.from.contact.id = dht_node_id(&d.from);
    make_answer(&ask, mode, in, &r);
    size_t len = rpc_write(&r, packet, sizeof(packet));
    if (mode % 4 == 3 && reader_left(in) > 2) { /* damaged before it is signed */
        packet[read_u16(in) % len] = read_u8(in);
        len -= mode & 0x80 ? mode % 16u : 0;
    }
    if (!(mode & 0x40))
        dht_mac_sign(w->mac, packet, len - RPC_TAG, packet + len - RPC_TAG);
    d.len = (uint16_t)len;
    dht_asker_input(a, &d, now);
    dht_asker_input(a, &d, now); /* and once more */
}

static void start_find(struct world *w, struct dht_asker *a, uint8_t arg, struct now now)
{
    struct dht_find f = {.target = dht_key(&arg, 1), .level = arg % DHT_LEVELS};
    f.guest = arg & 0x10;
    f.seeds = arg / 32 % (DHT_SEEDS + 1);
    for (unsigned i = 0; i < f.seeds; i++) {
        struct dht_contact c = fuzz_contact(arg + i);
        f.seed[i].id = c.id;
        f.seed[i].rpc = c.rpc;
    }
    w->started++;
    dht_find(a, &f, done, w, now);
}

static void start_ping(struct dht_asker *a, uint8_t arg, struct now now)
{
    struct dht_contact to = fuzz_contact(arg % 64), via = fuzz_contact(arg);
    struct dht_ping p = {.to = to.rpc,
                         .has_who = arg & 1,
                         .is_via = arg & 2,
                         .who = to.id,
                         .via = via.id,
                         .via_rpc = via.rpc,
                         .n_news = arg % (DHT_NEWS + 1)};
    dht_ping(a, &p, now);
}

static void start_relay(struct world *w, struct dht_asker *a, uint8_t arg, struct now now)
{
    struct rpc ask;
    memset(&ask, 0, sizeof(ask));
    ask.type = RPC_RELAY;
    ask.relayed = arg & 1 ? RPC_GET : RPC_WALK;
    ask.wanted = arg / 2 % 8;
    ask.from.contact = fuzz_contact(60);
    ask.target = fuzz_contact(arg / 16).id;
    ask.key = ask.target;
    ask.tid = arg;
    ask.padded = arg & 0x10 ? RPC_PADDED : 0;
    ask.padded = (uint16_t)rpc_length(&ask); /* as it is read */
    w->relayed_for = ask.from.contact.rpc;
    w->relaying = ask.padded;
    dht_relay(a, &ask, now);
    w->relaying = 0;
}

static void start(struct world *w, struct dht_asker *a, uint8_t op, uint8_t arg, struct now now)
{
    uint8_t name = arg % 8;
    struct dht_id key = dht_key(&name, 1);
    unsigned levels = 1 + arg / 8 % 7;
    switch (op % 8) {
    case 0:
        w->started++;
        dht_get(a, &key, levels, done, w, now);
        return;
    case 1:
        w->started++;
        (arg & 0x80 ? dht_claim : dht_put)(a, &key, levels, 1000u * arg, done, w, now);
        return;
    case 2:
        start_find(w, a, arg, now);
        return;
    case 3:
        dht_remove(a, &key, levels, now);
        return;
    case 4:
        start_ping(a, arg, now);
        return;
    case 5:
        dht_cancel(a, dht_get(a, &key, levels, NULL, NULL, now));
        return;
    case 6:
        w->started++;
        dht_path_get(a, &key, levels, &w->path, done, w, now);
        return;
    case 7:
        start_relay(w, a, arg, now);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32];
    static struct dht_mac *mac;
    struct dht_keys keys = {.n = 1, .key[0].id = 1};
    struct dht_config config = dht_config_default();
    struct now now = {1000000, 0};
    config.lookups = 4;
    config.pings = 4;
    config.holders = 4;
    config.bucket = 3;
    config.peers = 16;
    if (!mac)
        mac = dht_mac_create(&keys);
    struct world *w = calloc(1, sizeof(*w));
    w->mac = mac;
    fuzz_routes_init(&w->near, 2, NEIGHBOURS);
    struct dht_asker_host host = {
        .udp = {w, take}, .ctx = w, .answered = answered, .timed_out = timed_out};
    struct dht_arena *arena = dht_arena_create(&config, 5, seed, seed, now);
    struct dht_asker *a = dht_asker_create(arena, mac, &host);
    dht_asker_routes(a, &w->near.routes);

    struct reader in = reader_of(data, size);
    while (reader_left(&in) > 0) {
        uint8_t op = read_u8(&in);
        if (op < 96) {
            start(w, a, op, read_u8(&in), now);
        } else if (op < 224 && w->sent > 0) {
            answer(w, a, &in, now);
        } else {
            now.mono_us += 1000ull * (op - 90u);
            dht_arena_poll(arena, now);
        }
    }
    for (unsigned i = 0; i < 200; i++) { /* every lookup ends in bounded time */
        now.mono_us += 50000;
        dht_arena_poll(arena, now);
        w->sent = 0;
    }
    if (w->done != w->started || arena->running != 0 || arena->free_slots != arena->slots ||
        dht_arena_deadline_us(arena) != UINT64_MAX || w->path.n > DHT_PATH_HOPS)
        abort();
    dht_asker_destroy(a);
    dht_arena_destroy(arena);
    free(w);
    return 0;
}
