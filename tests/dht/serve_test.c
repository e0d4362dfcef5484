/* SPDX-License-Identifier: BSD-3-Clause */
/* One node's serving side: who is let in, and the rules of the store. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "dht/closer.h"
#include "dht/cookie.h"
#include "dht/id.h"
#include "dht/rpc.h"
#include "dht/store.h"

struct bench {
    struct dht_config config;
    struct dht_mac *mac;
    struct dht_store *store;
    struct dht_routes *routes;
    struct dht_counters c;
    struct dht_id key;
    uint64_t ms;
    unsigned heard;
};

static struct dht_contact contact(unsigned i)
{
    struct dht_contact c = {.rpc = {addr_v4(0x0a000000 + i), 8053}, .http_port = 80};
    c.id = dht_node_id(&c.rpc);
    c.v4 = c.rpc.ip;
    return c;
}

static void bench_open(struct bench *b)
{
    static const uint8_t seed[32] = {1};
    struct dht_keys keys = {.n = 1, .key[0].id = 1};
    memset(b, 0, sizeof(*b));
    b->config = dht_config_default();
    b->config.store_keys = 64;
    b->mac = dht_mac_create(&keys);
    b->store = dht_store_create(&b->config, seed);
    b->routes = calloc(1, sizeof(*b->routes));
    b->routes->self = contact(1);
    b->key = dht_key("http://a.test/", 14);
    b->ms = 1000000;
}

static void bench_close(struct bench *b)
{
    dht_mac_destroy(b->mac);
    dht_store_destroy(b->store);
    free(b->routes);
}

static struct now at(const struct bench *b)
{
    return (struct now){b->ms * 1000, 0};
}

static void heard(void *ctx, const struct dht_contact *from)
{
    (void)from;
    ((struct bench *)ctx)->heard++;
}

static struct rpc question(struct bench *b, uint8_t type, unsigned by)
{
    struct rpc r;
    memset(&r, 0, sizeof(r));
    r.type = type;
    r.wanted = 1;
    r.key_id = 1;
    r.tid = 77;
    r.from = contact(by);
    r.key = b->key;
    r.ttl_ms = 20000;
    r.http = (struct endpoint){r.from.v4, 80};
    r.cookie = cookie_make(&b->store->cookies, &r.from.rpc, &r.from.id, at(b));
    return r;
}

/* Sends a question from an address and reads the answer; false: there is none. The reply is
 * written over the question. */
static bool exchange(struct bench *b, const struct rpc *ask, const struct endpoint *from,
                     struct rpc *answer)
{
    uint8_t packet[RPC_MAX];
    size_t len = rpc_write(ask, packet, sizeof(packet));
    dht_mac_sign(b->mac, packet, len - 16, packet + len - 16);
    struct datagram d = {.from = *from,
                         .to = b->routes->self.rpc,
                         .data = packet,
                         .len = (uint16_t)len,
                         .room = sizeof(packet),
                         .reply = packet};
    dht_serve(b->store, b->mac, b->routes, &d, 1, heard, b, &b->c, at(b));
    if (d.reply_len == 0)
        return false;
    cr_assert(dht_mac_verify(b->mac, 1, packet, d.reply_len - 16u, packet + d.reply_len - 16));
    cr_assert_eq(rpc_read(packet, d.reply_len, answer), RPC_OK);
    cr_assert_eq(answer->tid, ask->tid);
    cr_assert(answer->flags & RPC_REPLY);
    if (answer->type == RPC_COOKIE)
        cr_assert_leq(d.reply_len, len);
    return true;
}

static struct rpc ask(struct bench *b, const struct rpc *r)
{
    struct rpc answer;
    cr_assert(exchange(b, r, &r->from.rpc, &answer));
    return answer;
}

static struct rpc store(struct bench *b, unsigned by, uint32_t ttl_ms)
{
    struct rpc r = question(b, RPC_STORE, by);
    r.ttl_ms = ttl_ms;
    return ask(b, &r);
}

static struct rpc get(struct bench *b)
{
    struct rpc r = question(b, RPC_GET, 99);
    return ask(b, &r);
}

static struct rpc walk(struct bench *b, unsigned by, uint32_t ttl_ms)
{
    struct rpc r = question(b, RPC_WALK, by);
    r.ttl_ms = ttl_ms;
    return ask(b, &r);
}

Test(serve, without_a_cookie_one_gets_nothing_but_a_cookie)
{
    struct bench b;
    bench_open(&b);
    static const uint8_t types[] = {RPC_GET, RPC_WALK, RPC_STORE, RPC_REMOVE, RPC_FIND};
    for (unsigned i = 0; i < sizeof(types); i++) {
        struct rpc r = question(&b, types[i], 2), a;
        r.cookie = 0;
        a = ask(&b, &r);
        cr_assert_eq(a.type, RPC_COOKIE);
        r.cookie = a.cookie ^ 1;
        cr_assert_eq(ask(&b, &r).type, RPC_COOKIE, "a guess");
        r.cookie = a.cookie;
        cr_assert_eq(ask(&b, &r).type, types[i]);
        struct rpc other = question(&b, types[i], 3);
        other.cookie = a.cookie;
        cr_assert_eq(ask(&b, &other).type, RPC_COOKIE, "somebody else's");
    }
    struct rpc ping = question(&b, RPC_PING, 2);
    ping.cookie = 0;
    cr_assert_eq(ask(&b, &ping).type, RPC_PING, "as long as its question, so it needs none");
    bench_close(&b);
}

Test(serve, a_cookie_lasts_two_generations_and_is_the_same_at_all_workers_of_a_node)
{
    struct bench b, worker, stranger;
    bench_open(&b);
    bench_open(&worker);
    bench_open(&stranger);
    uint8_t seed[32] = {2};
    dht_store_destroy(stranger.store);
    stranger.store = dht_store_create(&stranger.config, seed);
    struct rpc r = question(&b, RPC_GET, 2);
    cr_assert_eq(ask(&worker, &r).type, RPC_GET);
    cr_assert_eq(ask(&stranger, &r).type, RPC_COOKIE);
    b.ms += 299999;
    cr_assert_eq(ask(&b, &r).type, RPC_GET);
    b.ms += 300001;
    cr_assert_eq(ask(&b, &r).type, RPC_COOKIE);
    bench_close(&b);
    bench_close(&worker);
    bench_close(&stranger);
}

Test(serve, what_is_not_authentic_gets_no_answer_and_is_counted_by_reason)
{
    struct bench b;
    bench_open(&b);
    struct rpc r = question(&b, RPC_GET, 2), a;
    struct endpoint elsewhere = contact(3).rpc;
    cr_assert_not(exchange(&b, &r, &elsewhere, &a));
    cr_assert_eq(b.c.dht_drop_source_total, 1);

    r.from.id.b[0] ^= 1;
    cr_assert_not(exchange(&b, &r, &r.from.rpc, &a));
    cr_assert_eq(b.c.dht_drop_id_total, 1);

    r = question(&b, RPC_GET, 2);
    r.wanted = 2;
    cr_assert_not(exchange(&b, &r, &r.from.rpc, &a));
    cr_assert_eq(b.c.dht_drop_level_total, 1);

    r = question(&b, RPC_GET, 2);
    r.key_id = 9;
    cr_assert_not(exchange(&b, &r, &r.from.rpc, &a));
    cr_assert_eq(b.c.dht_drop_mac_total, 1);

    r = question(&b, RPC_GET, 2);
    r.flags = RPC_REPLY;
    cr_assert_not(exchange(&b, &r, &r.from.rpc, &a));
    cr_assert_eq(b.c.dht_drop_type_total, 1);
    cr_assert_eq(b.c.dht_requests_total, 0);
    cr_assert_eq(b.heard, 0);
    bench_close(&b);
}

Test(serve, a_burst_answers_the_good_and_drops_the_bad_among_them)
{
    struct bench b;
    bench_open(&b);
    uint8_t packet[70][RPC_MAX];
    struct datagram d[70];
    for (unsigned i = 0; i < 70; i++) {
        struct rpc r = question(&b, i % 3 ? RPC_STORE : RPC_PING, 2 + i);
        r.key.b[0] = (uint8_t)i;
        r.tid = i;
        size_t len = rpc_write(&r, packet[i], RPC_MAX);
        dht_mac_sign(b.mac, packet[i], len - 16, packet[i] + len - 16);
        if (i % 7 == 0)
            packet[i][40] ^= 1;
        d[i] = (struct datagram){.from = r.from.rpc,
                                 .data = packet[i],
                                 .len = (uint16_t)len,
                                 .room = i == 68 ? 100 : RPC_MAX,
                                 .reply = packet[i]};
    }
    dht_serve(b.store, b.mac, b.routes, d, 70, heard, &b, &b.c, at(&b));
    for (unsigned i = 0; i < 70; i++) {
        struct rpc a;
        cr_assert_eq(d[i].reply_len == 0, i % 7 == 0 || i == 68, "%u", i);
        if (d[i].reply_len == 0)
            continue;
        cr_assert_eq(rpc_read(packet[i], d[i].reply_len, &a), RPC_OK);
        cr_assert_eq(a.tid, i);
        cr_assert(dht_mac_verify(b.mac, 1, packet[i], d[i].reply_len - 16u,
                                 packet[i] + d[i].reply_len - 16));
        cr_assert_eq(!!(a.flags & RPC_STORED), i % 3 != 0);
    }
    cr_assert_eq(b.c.dht_drop_mac_total, 10);
    cr_assert_eq(b.c.dht_drop_room_total, 1);
    cr_assert_eq(b.heard, 60);
    bench_close(&b);
}

Test(store, holds_four_and_tells_the_next_putter_who_was_first)
{
    struct bench b;
    bench_open(&b);
    cr_assert_eq(get(&b).values, 0);
    for (unsigned i = 0; i < 4; i++) {
        struct rpc a = store(&b, 10 + i, 20000);
        cr_assert(a.flags & RPC_STORED);
        cr_assert_eq(a.values, i, "those before");
        for (unsigned j = 0; j < i; j++)
            cr_assert_eq(a.value[j].age_ms, 100 * (i - j));
        b.ms += 100;
    }
    struct rpc a = store(&b, 20, 20000);
    cr_assert_eq(a.flags & (RPC_FULL | RPC_STORED), RPC_FULL);
    cr_assert_eq(a.values, 4);
    a = get(&b);
    cr_assert_eq(a.values, 4);
    cr_assert_eq(a.value[0].ttl_ms, 19600);
    cr_assert(walk(&b, 20, 20000).flags & RPC_FULL);
    cr_assert_eq(walk(&b, 20, 20000).values, 4);
    cr_assert_not(walk(&b, 11, 20000).flags & RPC_FULL, "its own place");
    b.ms += 19601;
    cr_assert_eq(get(&b).values, 3, "the first has expired");
    cr_assert(store(&b, 20, 20000).flags & RPC_STORED);
    bench_close(&b);
}

Test(store, displaces_only_what_has_less_than_half_of_the_new_ttl_to_go)
{
    struct bench b;
    bench_open(&b);
    for (unsigned i = 0; i < 4; i++)
        store(&b, 10 + i, 3600000);
    cr_assert(store(&b, 20, 20000).flags & RPC_FULL, "a short one never displaces a long one");
    b.ms += 1800000;
    cr_assert(store(&b, 20, 3600000).flags & RPC_FULL, "exactly half");
    b.ms += 1;
    cr_assert(store(&b, 20, 3600000).flags & RPC_STORED);
    cr_assert_eq(get(&b).values, 4);
    bench_close(&b);
}

Test(store, extends_the_owner_s_value_and_keeps_its_age_until_it_expires)
{
    struct bench b;
    bench_open(&b);
    store(&b, 10, 20000);
    b.ms += 5000;
    struct rpc a = store(&b, 10, 3600000);
    cr_assert(a.flags & RPC_STORED);
    cr_assert_eq(a.values, 0, "oneself is not told");
    a = get(&b);
    cr_assert_eq(a.values, 1);
    cr_assert_eq(a.value[0].age_ms, 5000);
    cr_assert_eq(a.value[0].ttl_ms, 3600000);
    store(&b, 10, 20000);
    cr_assert_eq(get(&b).value[0].ttl_ms, 3600000, "a late short one shortens nothing");
    b.ms += 3600001;
    store(&b, 10, 20000);
    a = get(&b);
    cr_assert_eq(a.value[0].age_ms, 0, "expired meanwhile: a new one");
    cr_assert_eq(a.value[0].ttl_ms, 20000);
    struct rpc r = question(&b, RPC_REMOVE, 11);
    ask(&b, &r);
    cr_assert_eq(get(&b).values, 1, "another's is not touched");
    r = question(&b, RPC_REMOVE, 10);
    ask(&b, &r);
    cr_assert_eq(get(&b).values, 0);
    bench_close(&b);
}

Test(store, takes_only_the_sender_s_own_address)
{
    struct bench b;
    bench_open(&b);
    struct rpc r = question(&b, RPC_STORE, 10);
    r.http.ip = contact(11).v4;
    cr_assert(ask(&b, &r).flags & RPC_REFUSED);
    r = question(&b, RPC_STORE, 10);
    r.http.port = 81;
    cr_assert(ask(&b, &r).flags & RPC_REFUSED);
    r = question(&b, RPC_STORE, 10);
    memset(&r.http.ip, 0, sizeof(r.http.ip)); /* equals its missing IPv6 address */
    cr_assert(ask(&b, &r).flags & RPC_REFUSED);
    r = question(&b, RPC_STORE, 10);
    r.ttl_ms = 0;
    cr_assert(ask(&b, &r).flags & RPC_REFUSED);
    cr_assert_eq(b.c.dht_stores_foreign_total, 4);
    cr_assert_eq(get(&b).values, 0);
    r = question(&b, RPC_STORE, 10);
    r.ttl_ms = UINT32_MAX;
    ask(&b, &r);
    cr_assert_eq(get(&b).value[0].ttl_ms, RPC_TTL_MAX_MS);
    bench_close(&b);
}

Test(store, lets_beta_walks_a_minute_through_however_many_knock)
{
    struct bench b;
    bench_open(&b);
    for (unsigned i = 0; i < 4; i++)
        store(&b, 10 + i, 3600000);
    unsigned through[3] = {0};
    for (unsigned minute = 0; minute < 3; minute++)
        for (unsigned i = 0; i < 6000; i++) { /* 100 a second */
            struct rpc a = walk(&b, 20, 20000);
            cr_assert(a.flags & RPC_FULL);
            through[minute] += !(a.flags & RPC_LOADED);
            b.ms += 10;
        }
    cr_assert_leq(through[0], 24, "a burst of beta, then the leak");
    cr_assert_geq(through[0], 23);
    for (unsigned minute = 1; minute < 3; minute++) {
        cr_assert_geq(through[minute], 11, "refused walks must not starve it");
        cr_assert_leq(through[minute], 13);
    }
    /* where 32 bits of milliseconds wrapped, the leak is open again */
    b.ms += 3ull << 31;
    for (unsigned i = 0; i < 4; i++)
        store(&b, 10 + i, 3600000);
    cr_assert_not(walk(&b, 20, 20000).flags & RPC_LOADED);
    bench_close(&b);
}

Test(store, bounds_its_keys_and_takes_new_ones_when_old_ones_expire)
{
    struct bench b;
    bench_open(&b);
    unsigned stored = 0;
    for (unsigned i = 0; i < 500; i++) {
        b.key = dht_key(&i, sizeof(i));
        stored += !!(store(&b, 10, 60000).flags & RPC_STORED);
    }
    cr_assert_leq(stored, 64);
    cr_assert_geq(stored, 56);
    cr_assert_leq(b.c.dht_keys, 64);
    b.ms += 60001;
    for (unsigned i = 500; i < 520; i++) {
        b.key = dht_key(&i, sizeof(i));
        cr_assert(store(&b, 10, 60000).flags & RPC_STORED);
        cr_assert_eq(get(&b).values, 1);
    }
    cr_assert_leq(b.c.dht_keys, 64);
    bench_close(&b);
}

static int by_distance(const void *x, const void *y, void *self)
{
    const struct dht_route *a = x, *b = y;
    struct dht_distance da = distance_between(&a->contact.id, self);
    struct dht_distance db = distance_between(&b->contact.id, self);
    return distance_less(&da, &db) ? -1 : distance_less(&db, &da);
}

Test(closer, names_only_the_living_strictly_closer_and_always_one_if_there_is_one)
{
    enum { N = 100 };
    struct dht_routes *r = calloc(1, sizeof(*r) + N * sizeof(r->route[0]));
    r->self = contact(1);
    r->n = N;
    for (unsigned i = 0; i < N; i++)
        r->route[i] = (struct dht_route){contact(2 + i), 1000 * (i % 37), i % 5 != 0};
    qsort_r(r->route, N, sizeof(r->route[0]), by_distance, &r->self.id);
    for (unsigned k = 0; k < 2000; k++) {
        struct dht_id key = dht_key(&k, sizeof(k)), but = r->route[k % N].contact.id;
        struct dht_distance mine = distance_between(&r->self.id, &key);
        unsigned closer = 0;
        for (unsigned i = 0; i < N; i++) {
            struct dht_distance d = distance_between(&r->route[i].contact.id, &key);
            closer += r->route[i].alive && distance_less(&d, &mine) && i != k % N;
        }
        struct rpc_contact out[RPC_CONTACTS];
        unsigned n = closer_contacts(r, &key, &but, 1 + k % 3, out);
        cr_assert_eq(n > 0, closer > 0, "key %u", k);
        for (unsigned i = 0; i < n; i++) {
            const struct dht_route *route = routes_find(r, &out[i].id);
            struct dht_distance d = distance_between(&out[i].id, &key);
            cr_assert(route && route->alive && distance_less(&d, &mine));
            cr_assert_not(id_eq(&out[i].id, &but));
            for (unsigned j = 0; j < i; j++)
                cr_assert_not(id_eq(&out[i].id, &out[j].id));
        }
        cr_assert_eq(closest_contacts(r, &key, &but, out), RPC_CONTACTS);
    }
    free(r);
}
