/* SPDX-License-Identifier: BSD-3-Clause */
#include "bench.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct dht_contact bench_contact(unsigned i)
{
    struct dht_contact c = {.rpc = {addr_v4(0x0a000000 + i), 8053}, .http_port = 80};
    c.id = dht_node_id(&c.rpc);
    c.v4 = c.rpc.ip;
    return c;
}

struct dht_id bench_key(unsigned i)
{
    return dht_key(&i, sizeof(i));
}

void bench_open_config(struct bench *b, const struct dht_config *config, uint32_t keys)
{
    static const uint8_t seed[32] = {1}, own[32] = {2};
    struct dht_keys mac = {.n = 1, .key[0].id = 1};
    memset(b, 0, sizeof(*b));
    b->config = *config;
    b->ms = 1000000;
    b->tid = 1;
    b->key = dht_key("http://a.test/", 14);
    b->arena = dht_arena_create(config, 5, seed, own, bench_now(b));
    b->c = dht_arena_counters(b->arena);
    b->mac = dht_mac_create(&mac);
    b->store = dht_store_create(b->arena, keys);
    b->routes.self = bench_contact(1);
    b->routes.populated = 1;
    b->routes.level[1].is.cid = BENCH_CID1;
    b->routes.level[2].is.cid = BENCH_CID2;
}

void bench_open(struct bench *b)
{
    struct dht_config config = dht_config_default();
    config.lookups = 4;
    config.holders = 1024;
    bench_open_config(b, &config, 64);
}

void bench_close(struct bench *b)
{
    dht_store_destroy(b->store);
    dht_arena_destroy(b->arena);
    dht_mac_destroy(b->mac);
    free((void *)(uintptr_t)b->routes.route);
    free((void *)(uintptr_t)b->routes.contact);
}

struct now bench_now(const struct bench *b)
{
    return (struct now){b->ms * 1000, 0};
}

static void heard(void *ctx, const struct dht_sender *from, const struct dht_tidings *t)
{
    struct bench *b = ctx;
    (void)from;
    b->heard++;
    b->told = *t;
}

struct rpc bench_question(struct bench *b, uint8_t type, unsigned by)
{
    struct rpc r;
    memset(&r, 0, sizeof(r));
    r.type = type;
    r.wanted = 1;
    r.key_id = 1;
    r.tid = b->tid++;
    r.from.contact = bench_contact(by);
    r.key = b->key;
    r.ttl_ms = 20000;
    r.http = (struct endpoint){r.from.contact.v4, 80};
    r.cookie =
        cookie_make(&b->arena->cookies, &r.from.contact.rpc, &r.from.contact.id, bench_now(b));
    return r;
}

bool bench_exchange(struct bench *b, const struct rpc *ask, const struct endpoint *from,
                    struct rpc *answer, size_t *len)
{
    uint8_t packet[RPC_MOST];
    *len = rpc_write(ask, packet, sizeof(packet));
    dht_mac_sign(b->mac, packet, *len - RPC_TAG, packet + *len - RPC_TAG);
    struct datagram d = {.from = *from,
                         .to = b->routes.self.rpc,
                         .data = packet,
                         .len = (uint16_t)*len,
                         .room = sizeof(packet),
                         .reply = packet};
    dht_serve(b->store, b->mac, &b->routes, &d, 1, heard, b, bench_now(b));
    if (d.reply_len == 0)
        return false;
    *len = d.reply_len;
    cr_assert(dht_mac_verify(b->mac, 1, packet, *len - RPC_TAG, packet + *len - RPC_TAG));
    cr_assert_eq(rpc_read(packet, *len, &b->routes.self.rpc, answer), RPC_OK);
    cr_assert_eq(answer->tid, ask->tid);
    cr_assert(answer->flags & RPC_REPLY);
    cr_assert(id_eq(&answer->from.contact.id, &b->routes.self.id));
    return true;
}

struct rpc bench_ask(struct bench *b, const struct rpc *ask)
{
    struct rpc answer;
    size_t len;
    cr_assert(bench_exchange(b, ask, &ask->from.contact.rpc, &answer, &len));
    return answer;
}

struct rpc bench_answer(const struct rpc *ask, const struct endpoint *to)
{
    struct rpc r;
    memset(&r, 0, sizeof(r));
    r.type = ask->type;
    r.flags = RPC_REPLY;
    r.key_id = 1;
    r.tid = ask->tid;
    r.cookie = 1;
    r.from.contact.rpc = *to;
    r.from.contact.id = dht_node_id(to);
    return r;
}

static int by_distance(const void *x, const void *y, void *self)
{
    const struct dht_contact *a = x, *b = y;
    struct dht_distance da = distance_between(&a->id, self);
    struct dht_distance db = distance_between(&b->id, self);
    return distance_less(&da, &db) ? -1 : distance_less(&db, &da);
}

void bench_route(struct bench *b, unsigned first, unsigned n, unsigned levels)
{
    struct dht_contact *contact = calloc(n, sizeof(*contact));
    struct dht_route *route = calloc(n, sizeof(*route));
    for (unsigned i = 0; i < n; i++)
        contact[i] = bench_contact(first + i);
    qsort_r(contact, n, sizeof(*contact), by_distance, &b->routes.self.id);
    for (unsigned i = 0; i < n; i++)
        route[i] =
            (struct dht_route){.peer = i & 0xffffff,
                               .levels = levels & 15,
                               .alive = 1,
                               .rtt_us = 1000 * (i % 37) & 0xffffff,
                               .prefix = id_prefix(&b->routes.self.id, &contact[i].id) & 0xff};
    b->routes.route = route;
    b->routes.contact = contact;
    b->routes.n = n;
    b->routes.populated = (uint8_t)(levels | 1);
}
