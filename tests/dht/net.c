/* SPDX-License-Identifier: BSD-3-Clause */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>

#include "dht/closer.h"
#include "dht/rpc.h"

struct packet {
    struct packet *next;
    struct endpoint from, to;
    uint16_t len;
    uint8_t data[RPC_MAX];
};

struct now net_now(const struct net *net)
{
    return (struct now){1000 * net->ms, 1700000000};
}

static struct net_node *node_at(struct net *net, const struct endpoint *e)
{
    uint32_t i = addr_get_v4(&e->ip) - 0x0a000001;
    return i < net->n && endpoint_eq(e, &net->node[i].self.rpc) ? &net->node[i] : NULL;
}

/* 1 to 25 ms, the same for a pair at all times */
static unsigned pair_delay(const struct net *net, unsigned a, unsigned b)
{
    uint64_t pair = a < b ? a * 1000 + b : b * 1000 + a;
    uint64_t x = net->seed * 0x9e3779b97f4a7c15u + pair * 0x2545f4914f6cdd1du;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return a == b ? 1 : 1 + (unsigned)(x >> 40) % 25;
}

static void net_send(struct net *net, const struct endpoint *from, const struct endpoint *to,
                     const void *data, size_t len)
{
    struct net_node *a = node_at(net, from), *b = node_at(net, to);
    net->sent++;
    if (!b || (a == net->cut_from && b == net->cut_to) ||
        (a != b && rng_below(&net->rng, 100) < net->loss_percent)) {
        net->lost++;
        return;
    }
    struct packet *p = malloc(sizeof(*p));
    *p = (struct packet){.from = *from, .to = *to, .len = (uint16_t)len};
    memcpy(p->data, data, len);
    unsigned delay = pair_delay(net, a->number, b->number) + rng_below(&net->rng, 2);
    unsigned slot = (unsigned)((net->ms + delay) % NET_SLOTS);
    *net->last[slot] = p;
    net->last[slot] = &p->next;
}

static bool host_send(void *ctx, uint16_t port, const struct endpoint *to, const void *data,
                      size_t len)
{
    struct net_node *x = ctx;
    (void)port;
    net_send(x->net, &x->self.rpc, to, data, len);
    return true;
}

static void host_answered(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                          struct now now)
{
    dht_member_answered(((struct net_node *)ctx)->member, who, t, now);
}

static void host_timed_out(void *ctx, const struct dht_id *who, struct now now)
{
    dht_member_timed_out(((struct net_node *)ctx)->member, who, now);
}

static void host_ping(void *ctx, const struct dht_ping *ping)
{
    struct net_node *x = ctx;
    dht_ping(x->asker, ping, net_now(x->net));
}

/* A walk that runs; the network frees those that its nodes' deaths leave without an end. */
struct find_note {
    struct find_note *next;
    struct net_node *node;
    uint32_t incarnation;
    struct dht_find find;
};

static void find_done(void *ctx, const struct dht_result *result, struct now now)
{
    struct find_note *f = ctx;
    if (f->node->up && f->node->incarnation == f->incarnation)
        dht_member_found(f->node->member, &f->find, result, now);
    f->node = NULL;
}

static void host_find(void *ctx, const struct dht_find *find)
{
    struct net_node *x = ctx;
    struct find_note *f = malloc(sizeof(*f));
    *f = (struct find_note){x->net->notes, x, x->incarnation, *find};
    x->net->notes = f;
    dht_find(x->asker, find, find_done, f, net_now(x->net));
}

static void host_forget(void *ctx, const struct dht_id *who)
{
    dht_forget(((struct net_node *)ctx)->arena, who);
}

static void host_heard(void *ctx, const struct dht_sender *from, const struct dht_tidings *t)
{
    struct net_node *x = ctx;
    if (t->relay) {
        dht_relay(x->asker, t->relay, net_now(x->net));
        return;
    }
    dht_member_heard(x->member, from, t, net_now(x->net));
}

static void publish(struct net_node *x)
{
    if (!dht_member_changed(x->member))
        return;
    struct dht_routes *old = x->routes;
    x->routes = dht_member_routes(x->member);
    dht_asker_routes(x->asker, x->routes);
    free(old);
}

struct net *net_create(unsigned n, const struct dht_config *config, uint64_t seed)
{
    struct net *net = calloc(1, sizeof(*net) + n * sizeof(net->node[0]));
    net->seed = seed;
    net->ms = 1000;
    net->n = n;
    net->config = *config;
    rng_init_u64(&net->rng, seed);
    for (unsigned i = 0; i < NET_SLOTS; i++)
        net->last[i] = &net->slot[i];
    for (unsigned i = 0; i < n; i++) {
        struct net_node *x = &net->node[i];
        x->net = net;
        x->number = i;
        x->self.rpc = (struct endpoint){addr_v4(0x0a000001 + i), config->port};
        x->self.id = dht_node_id(&x->self.rpc);
        x->self.v4 = x->self.rpc.ip;
        x->self.http_port = 80;
        x->self.services = DHT_SERVICE_HTTP | DHT_SERVICE_DNS;
    }
    return net;
}

void net_start(struct net *net, unsigned i)
{
    struct net_node *x = &net->node[i];
    struct dht_keys keys = {.n = 1, .key[0] = {.id = 1, .key = "an example key."}};
    uint8_t seed[32];
    rng_bytes(&net->rng, seed, sizeof(seed));
    struct dht_asker_host asker = {
        .udp = {x, host_send}, .ctx = x, .answered = host_answered, .timed_out = host_timed_out};
    struct dht_member_host member = {
        .ctx = x, .ping = host_ping, .find = host_find, .forget = host_forget};
    x->bootstrap = net->node[i ? 0 : 1].self.rpc;
    x->incarnation++;
    x->mac = dht_mac_create(&keys);
    x->book = dht_book_create(net->n, seed);
    x->arena = dht_arena_create(&net->config, 0, seed, seed, net_now(net));
    x->store = dht_store_create(x->arena, net->config.store_keys);
    x->asker = dht_asker_create(x->arena, x->mac, &asker);
    x->member = dht_member_create(&net->config, &x->self, x->incarnation, x->book, &x->bootstrap, 1,
                                  &member, rng_u64(&net->rng), net_now(net));
    x->up = true;
    publish(x);
}

void net_kill(struct net *net, unsigned i)
{
    struct net_node *x = &net->node[i];
    if (!x->up)
        return;
    x->up = false;
    dht_asker_destroy(x->asker);
    dht_member_destroy(x->member);
    dht_store_destroy(x->store);
    dht_arena_destroy(x->arena);
    dht_book_destroy(x->book);
    dht_mac_destroy(x->mac);
    free(x->routes);
    x->routes = NULL;
}

void net_destroy(struct net *net)
{
    for (unsigned i = 0; i < net->n; i++)
        net_kill(net, i);
    while (net->notes) {
        struct find_note *f = net->notes;
        net->notes = f->next;
        free(f);
    }
    for (unsigned i = 0; i < NET_SLOTS; i++) {
        while (net->slot[i]) {
            struct packet *p = net->slot[i];
            net->slot[i] = p->next;
            free(p);
        }
    }
    free(net);
}

static void deliver(struct net *net, const struct packet *p)
{
    struct net_node *x = node_at(net, &p->to);
    struct dht_peek peek;
    uint8_t reply[RPC_MAX];
    struct datagram d = {.from = p->from,
                         .to = p->to,
                         .data = p->data,
                         .len = p->len,
                         .room = sizeof(reply),
                         .reply = reply};
    if (!x->up || !dht_peek(p->data, p->len, &peek))
        return;
    if (peek.reply) {
        dht_asker_input(x->asker, &d, net_now(net));
        return;
    }
    dht_serve(x->store, x->mac, x->routes, &d, 1, host_heard, x, net_now(net));
    if (d.reply_len)
        net_send(net, &x->self.rpc, &p->from, reply, d.reply_len);
}

static void tick(struct net *net)
{
    net->ms++;
    unsigned slot = (unsigned)(net->ms % NET_SLOTS);
    struct packet *p = net->slot[slot];
    net->slot[slot] = NULL;
    net->last[slot] = &net->slot[slot];
    while (p) {
        struct packet *next = p->next;
        deliver(net, p);
        free(p);
        p = next;
    }
    for (unsigned i = 0; i < net->n; i++) {
        struct net_node *x = &net->node[i];
        if (!x->up)
            continue;
        if (dht_arena_deadline_us(x->arena) <= 1000 * net->ms)
            dht_arena_poll(x->arena, net_now(net));
        if (net->ms % 10 == 0)
            dht_member_poll(x->member, net_now(net));
        publish(x);
    }
}

void net_run(struct net *net, unsigned ms)
{
    while (ms--)
        tick(net);
}

void net_settle(struct net *net, unsigned ms)
{
    for (unsigned i = 0; i < net->n; i++) {
        net_start(net, i);
        net_run(net, 20);
    }
    net_run(net, ms);
}

void net_done(void *ctx, const struct dht_result *result, struct now now)
{
    struct net_result *r = ctx;
    r->ended = true;
    r->result = *result;
    r->ended_ms = now.mono_us / 1000;
}

static struct dht_result wait_for(struct net *net, struct net_result *r)
{
    for (unsigned i = 0; i < 10000 && !r->ended; i++)
        tick(net);
    if (!r->ended) {
        fprintf(stderr, "a lookup never ended, seed %llu\n", (unsigned long long)net->seed);
        abort();
    }
    return r->result;
}

struct dht_result net_get(struct net *net, unsigned by, const struct dht_id *key)
{
    struct net_result r = {0};
    dht_get(net->node[by].asker, key, DHT_ALL_LEVELS, net_done, &r, net_now(net));
    return wait_for(net, &r);
}

struct dht_result net_put(struct net *net, unsigned by, const struct dht_id *key, uint32_t ttl_ms)
{
    struct net_result r = {0};
    dht_put(net->node[by].asker, key, DHT_ALL_LEVELS, ttl_ms, net_done, &r, net_now(net));
    return wait_for(net, &r);
}

unsigned net_closest(const struct net *net, const struct dht_id *key, unsigned skip)
{
    unsigned at = 0;
    struct dht_distance floor = {{0}};
    for (unsigned round = 0; round <= skip; round++) {
        struct dht_distance best = {{UINT64_MAX, UINT64_MAX, UINT64_MAX}};
        for (unsigned i = 0; i < net->n; i++) {
            struct dht_distance d = distance_between(&net->node[i].self.id, key);
            if (net->node[i].up && distance_less(&d, &best) &&
                (round == 0 || distance_less(&floor, &d))) {
                best = d;
                at = i;
            }
        }
        floor = best;
    }
    return at;
}

bool net_knows(const struct net *net, unsigned of, unsigned to)
{
    const struct dht_routes *r = net->node[of].routes;
    uint32_t at = routes_find(r, &net->node[to].self.id);
    return at < r->n && r->route[at].live;
}
