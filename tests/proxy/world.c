/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <rte_rcu_qsbr.h>

#define DHT_PORT 5301

static void *aligned(size_t alignment, size_t bytes)
{
    void *p = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (!p)
        abort();
    return p;
}

/* --- names: the resolver that the proxies are linked with here ------------ */

struct resolution {
    struct resolution *next;
    uint64_t ticket;
    resolver_done *done;
    void *ctx;
    struct name name;
};

uint64_t resolver_resolve(struct resolver *r, const char *name, resolver_done *done, void *ctx,
                          struct now now)
{
    struct world *w = (struct world *)r;
    struct resolution *x = calloc(1, sizeof(*x));
    (void)now;
    *x = (struct resolution){
        w->resolutions, rng_u64(&w->rng) | 1, done, ctx, {.result = RESOLVER_NONE}};
    for (unsigned i = 0; i < w->names; i++)
        if (strcasecmp(w->name[i].name, name) == 0)
            x->name = w->name[i];
    if (w->names_known) {
        done(ctx, x->name.result, x->name.address, x->name.n, w->now);
        free(x);
        return 0;
    }
    w->resolutions = x;
    return x->ticket;
}

void resolver_cancel(struct resolver *r, uint64_t ticket)
{
    struct world *w = (struct world *)r;
    for (struct resolution **at = &w->resolutions; *at; at = &(*at)->next) {
        struct resolution *x = *at;
        if (x->ticket != ticket)
            continue;
        *at = x->next;
        free(x);
        return;
    }
}

static void resolve_all(struct world *w)
{
    struct resolution *list = w->resolutions;
    if (w->names_silent)
        return;
    w->resolutions = NULL;
    while (list) {
        struct resolution *x = list;
        list = x->next;
        x->done(x->ctx, x->name.result, x->name.address, x->name.n, w->now);
        free(x);
    }
}

void world_name(struct world *w, struct name name)
{
    w->name[w->names++] = name;
}

/* --- streams -------------------------------------------------------------- */

static struct node *node_at(struct world *w, const struct addr *a)
{
    for (unsigned i = 0; i < w->nodes; i++)
        if (addr_eq(&w->node[i].self.v4, a))
            return &w->node[i];
    return NULL;
}

struct pipe *world_connect(struct world *w, const struct endpoint *from, const bool *from_up,
                           const struct endpoint *to, int worker,
                           const struct stream_events *events, void *user)
{
    static const bool down = false;
    struct node *n = node_at(w, &to->ip);
    struct origin *o = NULL;
    for (unsigned i = 0; i < WORLD_ORIGINS; i++)
        if (endpoint_eq(&w->origin[i].at, to))
            o = &w->origin[i];
    bool hole = !addr_is_zero(&w->hole) && addr_eq(&w->hole, &to->ip);
    struct pipe *p = pipe_new(from, to, from_up,
                              hole ? &down
                              : n  ? &n->up
                              : o  ? &w->clients_up
                                   : &down);
    p->a.s.events = events;
    p->a.s.user = user;
    p->next = w->pipes;
    w->pipes = p;
    if (n && n->up && to->port == 80) {
        unsigned i = worker >= 0 ? (unsigned)worker : n->accepts++ % n->workers;
        http_server_accept(n->worker[i].server, &p->b.s, w->now);
    } else if (o && o->up) {
        origin_accept(o, &p->b.s);
    } else if (!hole && (!n || n->up)) { /* nobody listens */
        p->a.refused = true;
        p->b.closed = true;
    }
    return p;
}

static struct stream *host_connect(void *ctx, const struct endpoint *to,
                                   const struct stream_events *events, void *user, struct now now)
{
    struct worker *k = ctx;
    struct endpoint from = {k->node->self.v4, 40000};
    (void)now;
    if (k->node->world->full)
        return NULL;
    return &world_connect(k->node->world, &from, &k->node->up, to, -1, events, user)->a.s;
}

static void step_pipes(struct world *w)
{
    for (struct pipe *p = w->pipes; p; p = p->next) {
        pipe_step(&p->a, w->now);
        pipe_step(&p->b, w->now);
    }
    for (struct pipe **at = &w->pipes; *at;) {
        struct pipe *p = *at;
        if (!pipe_over(p)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        pipe_free(p);
    }
}

/* --- datagrams ------------------------------------------------------------ */

static void packet_send(struct world *w, const struct endpoint *from, const struct endpoint *to,
                        const void *data, size_t len)
{
    struct packet *p = calloc(1, sizeof(*p));
    p->from = *from;
    p->to = *to;
    p->len = len;
    memcpy(p->data, data, len);
    *w->packets_tail = p;
    w->packets_tail = &p->next;
}

static bool host_udp(void *ctx, uint16_t port, const struct endpoint *to, const void *data,
                     size_t len)
{
    struct worker *k = ctx;
    struct endpoint from = {k->node->self.v4, port};
    packet_send(k->node->world, &from, to, data, len);
    return true;
}

static void host_answered(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                          struct now now)
{
    (void)ctx, (void)who, (void)t, (void)now;
}

static void host_timed_out(void *ctx, const struct dht_id *who, struct now now)
{
    (void)ctx, (void)who, (void)now;
}

/* A lie is as well formed and signed as the truth. */
static void node_lie(struct node *n, const struct packet *p, struct datagram *d)
{
    struct world *w = n->world;
    struct rpc r;
    if (!w->says || d->reply_len == 0 || addr_eq(&p->from.ip, &p->to.ip) ||
        rpc_read(d->reply, d->reply_len, &p->to, &r) != RPC_OK)
        return;
    w->says(w, n->number, &r);
    size_t len = rpc_write(&r, d->reply, d->room);
    dht_mac_sign(n->worker[0].mac, d->reply, len - RPC_TAG, d->reply + len - RPC_TAG);
    d->reply_len = (uint16_t)len;
}

static void packet_take(struct world *w, struct packet *p)
{
    struct node *n = node_at(w, &p->to.ip);
    struct dht_peek peek;
    uint8_t reply[1500];
    struct datagram d = {.from = p->from,
                         .to = p->to,
                         .data = p->data,
                         .len = (uint16_t)p->len,
                         .room = sizeof(reply),
                         .reply = reply};
    if (!n || !n->up || !dht_peek(p->data, p->len, &peek))
        return;
    if (peek.reply) {
        if (peek.asker < n->workers)
            dht_asker_input(n->worker[peek.asker].asker, &d, w->now);
        return;
    }
    dht_serve(n->store, n->worker[0].mac, n->routes, &d, 1, NULL, NULL, w->now);
    node_lie(n, p, &d);
    if (d.reply_len)
        packet_send(w, &p->to, &p->from, reply, d.reply_len);
}

static void step_packets(struct world *w)
{
    struct packet *list = w->packets;
    w->packets = NULL;
    w->packets_tail = &w->packets;
    while (list) {
        struct packet *p = list;
        list = p->next;
        packet_take(w, p);
        free(p);
    }
}

/* --- nodes ---------------------------------------------------------------- */

static bool host_post(void *ctx, unsigned worker, const struct message *m)
{
    struct worker *k = &((struct worker *)ctx)->node->worker[worker];
    if (k->ring_len >= k->node->world->ring_room)
        return false;
    k->ring[k->ring_len++] = *m;
    return true;
}

static void host_damaged(void *ctx, const char *url, size_t len)
{
    (void)url, (void)len;
    ((struct node *)ctx)->damaged++;
}

static void host_access(void *ctx, const struct access_record *a)
{
    struct node *n = ctx;
    n->accesses++;
    memset(&n->access, 0, sizeof(n->access));
    memcpy(&n->access, a, (size_t)a->units * ACCESS_UNIT);
}

static void host_origin(void *ctx, const char *site, const char *host, uint16_t port, unsigned why,
                        const struct proxy_found *found)
{
    struct node *n = ctx;
    if (found)
        n->found = *found;
    n->troubles++;
    snprintf(n->trouble, sizeof(n->trouble), "%s %s:%u %u", site, host, port, why);
}

static void host_usage(void *ctx, const struct proxy_usage *u)
{
    struct node *n = ctx;
    n->usages++;
    n->usage = *u;
}

static void make_routes(struct node *n)
{
    struct world *w = n->world;
    struct dht_routes *r = calloc(1, sizeof(*r) + WORLD_NODES * sizeof(r->route[0]));
    struct dht_route *route = (struct dht_route *)(r + 1);
    r->self = n->self;
    r->populated = 1;
    r->route = route;
    r->contact = w->contact;
    for (unsigned i = 0; i < w->nodes; i++) {
        struct node *o = &w->node[i];
        if (o == n)
            continue;
        unsigned at = r->n++;
        struct dht_distance d = distance_between(&n->self.id, &o->self.id);
        for (; at > 0; at--) { /* nearest first */
            struct dht_distance x =
                distance_between(&n->self.id, &w->contact[route[at - 1].peer].id);
            if (distance_less(&x, &d))
                break;
            route[at] = route[at - 1];
        }
        bool alive = o->up || w->now.mono_us < o->dead_us + WORLD_DEAD_MS * 1000;
        route[at] = (struct dht_route){.peer = i & 0xffffff,
                                       .levels = 1,
                                       .alive = alive,
                                       .live = alive,
                                       .rtt_us = (o->rtt_us ? o->rtt_us : 1000) & 0xffffff,
                                       .prefix = (uint8_t)distance_prefix(&d)};
    }
    struct dht_routes *old = n->routes;
    n->routes = r;
    for (unsigned i = 0; i < n->workers; i++) {
        dht_asker_routes(n->worker[i].asker, r);
        proxy_view(n->worker[i].proxy, &n->policy, r);
    }
    free(old);
}

static void make_policy(struct node *n)
{
    struct proxy_policy *p = &n->policy;
    strncpy(p->zone, "coral.test", sizeof(p->zone));
    p->open = true;
    p->open_default_lifetime_s = 43200;
    p->open_min_lifetime_s = 300;
    p->stale_s = 86400;
    p->short_ttl_ms = 20000;
    p->long_ttl_ms = 3600000;
    p->sites = 1;
    p->site = n->site;
    strncpy(n->site[0].host, "www.site.test", sizeof(n->site[0].host));
    n->site[0].origins = 1;
    n->site[0].origin[0] = (struct proxy_origin){
        .host = "10.9.0.1", .is_address = true, .address = n->world->origin[0].at.ip, .port = 80};
    n->site[0].ttl_override_s = -1;
    n->site[0].allow_special = true;
    for (unsigned i = 0; i < n->world->nodes; i++)
        p->own_address[p->own++] = n->world->node[i].self.v4;
}

static void make_worker(struct node *n, unsigned i, const struct dht_config *dht)
{
    struct world *w = n->world;
    struct worker *k = &n->worker[i];
    struct dht_keys keys = {.n = 1, .key[0] = {.id = 1, .key = "an example key."}};
    uint8_t seed[32];
    rng_bytes(&w->rng, seed, sizeof(seed));
    k->node = n;
    k->number = i;
    k->mac = dht_mac_create(&keys);
    struct dht_asker_host ah = {
        .udp = {k, host_udp}, .ctx = k, .answered = host_answered, .timed_out = host_timed_out};
    k->arena = dht_arena_create(dht, i, n->store_seed, seed, w->now);
    k->asker = dht_asker_create(k->arena, k->mac, &ah);
    struct http_client_config cc = {.exchanges = 256,
                                    .idle_pool = 32,
                                    .connect_ms = 500,
                                    .first_byte_ms = 10000,
                                    .between_bytes_ms = 5000,
                                    .idle_ms = 10000};
    struct http_client_host ch = {k, host_connect};
    k->client = http_client_create(&cc, &ch, w->now);
    struct proxy_config pc = {.worker = i,
                              .workers = n->workers,
                              .requests = w->requests,
                              .fills = w->fills,
                              .burst = 32,
                              .node_id = n->self.id,
                              .http_port = 80,
                              .verify = w->verify};
    snprintf(pc.node_name, sizeof(pc.node_name), "node%u", n->number);
    struct proxy_parts parts = {n->cache,
                                k->client,
                                k->asker,
                                k->mac,
                                (struct resolver *)w,
                                {k, host_post},
                                {k->node, host_damaged, host_access, host_origin, host_usage}};
    k->proxy = proxy_create(&pc, &parts, seed, w->now);
    struct http_server_config sc = {
        .connections = 512, .idle_ms = 60000, .head_ms = 10000, .stall_ms = 30000};
    struct http_handler handler = proxy_handler(k->proxy);
    k->server = http_server_create(&sc, &handler, w->now);
    proxy_serve(k->proxy, k->server);
    if (!k->mac || !k->asker || !k->client || !k->proxy || !k->server)
        abort();
}

static void make_node(struct world *w, unsigned number, unsigned workers)
{
    struct node *n = &w->node[number];
    struct dht_config dht = dht_config_default();
    struct cache_config cc = {.bytes =
                                  cache_budget(w->cache_bytes / CACHE_CHUNK_BYTES, 4096, workers),
                              .objects = 4096,
                              .workers = workers};
    dht.port = DHT_PORT;
    n->number = number;
    n->workers = workers;
    n->up = true;
    n->memory = aligned(2u << 20, cache_region(&cc));
    n->qsbr = aligned(64, rte_rcu_qsbr_get_memsize(workers));
    rte_rcu_qsbr_init(n->qsbr, workers);
    for (unsigned i = 0; i < workers; i++) {
        rte_rcu_qsbr_thread_register(n->qsbr, i);
        rte_rcu_qsbr_thread_online(n->qsbr, i);
    }
    cc.memory = n->memory;
    cc.qsbr = n->qsbr;
    rng_bytes(&w->rng, cc.seed, sizeof(cc.seed));
    n->cache = cache_create(&cc);
    memcpy(n->store_seed, cc.seed, sizeof(n->store_seed));
    if (!n->cache)
        abort();
    make_policy(n);
    for (unsigned i = 0; i < workers; i++)
        make_worker(n, i, &dht);
    n->store = dht_store_create(n->worker[0].arena, dht.store_keys);
    if (!n->store)
        abort();
}

static void open_world(struct world *w, unsigned nodes, unsigned workers, uint64_t seed,
                       size_t cache_bytes, uint32_t requests, uint32_t fills, bool verify)
{
    memset(w, 0, sizeof(*w));
    w->seed = seed;
    w->verify = verify;
    w->now = (struct now){1000000, 1700000000};
    w->nodes = nodes;
    w->ring_room = WORLD_RING;
    w->cache_bytes = cache_bytes ? cache_bytes : 32u << 20;
    w->requests = requests ? requests : 512;
    w->fills = fills ? fills : 64;
    w->clients_up = true;
    w->packets_tail = &w->packets;
    rng_init_u64(&w->rng, seed);
    w->origin[0] = (struct origin){.at = {addr_v4(0x0a090001), 80}, .up = true};
    w->origin[1] = (struct origin){.at = {addr_v4(0x5db8d822), 80}, .up = true};
    w->origin[2] = (struct origin){.at = {addr_v4(0x7f000001), 80}, .up = true};
    for (unsigned i = 0; i < nodes; i++) {
        struct node *n = &w->node[i];
        n->world = w;
        n->self.rpc = (struct endpoint){addr_v4(0x0a010001 + i), DHT_PORT};
        n->self.id = dht_node_id(&n->self.rpc);
        n->self.v4 = n->self.rpc.ip;
        n->self.http_port = 80;
        n->self.services = DHT_SERVICE_HTTP | DHT_SERVICE_DNS;
        w->contact[i] = n->self;
    }
    for (unsigned i = 0; i < nodes; i++)
        make_node(w, i, workers);
    world_routes(w);
}

void world_open_sized(struct world *w, unsigned nodes, unsigned workers, uint64_t seed,
                      size_t cache_bytes, uint32_t requests, uint32_t fills)
{
    open_world(w, nodes, workers, seed, cache_bytes, requests, fills, false);
}

void world_open(struct world *w, unsigned nodes, unsigned workers, uint64_t seed)
{
    open_world(w, nodes, workers, seed, 0, 0, 0, false);
}

void world_open_verifying(struct world *w, unsigned nodes, unsigned workers, uint64_t seed)
{
    open_world(w, nodes, workers, seed, 0, 0, 0, true);
}

static void close_node(struct node *n)
{
    dht_store_destroy(n->store);
    for (unsigned i = 0; i < n->workers; i++) {
        struct worker *k = &n->worker[i];
        http_server_destroy(k->server);
        http_client_destroy(k->client);
        proxy_destroy(k->proxy);
        dht_asker_destroy(k->asker);
        dht_mac_destroy(k->mac);
        dht_arena_destroy(k->arena);
    }
    cache_destroy(n->cache);
    free(n->routes);
    free(n->qsbr);
    free(n->memory);
}

void world_close(struct world *w)
{
    for (unsigned i = 0; i < w->nodes; i++)
        close_node(&w->node[i]);
    for (unsigned i = 0; i < WORLD_ORIGINS; i++)
        origin_close(&w->origin[i]);
    while (w->pipes) {
        struct pipe *p = w->pipes;
        w->pipes = p->next;
        pipe_free(p);
    }
    while (w->packets) {
        struct packet *p = w->packets;
        w->packets = p->next;
        free(p);
    }
    while (w->resolutions)
        resolver_cancel((struct resolver *)w, w->resolutions->ticket);
}

static void step_worker(struct worker *k)
{
    struct now now = k->node->world->now;
    struct message batch[WORLD_RING];
    unsigned n = k->ring_len;
    memcpy(batch, k->ring, n * sizeof(batch[0]));
    k->ring_len = 0;
    proxy_load(k->proxy, true, k->node->behind, now);
    proxy_flush(k->proxy, now);
    for (unsigned i = 0; i < n; i++)
        proxy_message(k->proxy, &batch[i], now);
    http_server_poll(k->server, now);
    http_client_poll(k->client, now);
    dht_arena_poll(k->arena, now);
    proxy_poll(k->proxy, now);
    cache_reclaim(k->node->cache, k->number, now);
    cache_scrub(k->node->cache, k->number, now);
    rte_rcu_qsbr_quiescent(k->node->qsbr, k->number);
}

void world_step(struct world *w)
{
    w->now.mono_us += 1000;
    w->now.wall_s = 1700000000 + (int64_t)(w->now.mono_us / 1000000);
    step_packets(w);
    for (unsigned i = 0; i < WORLD_ORIGINS; i++)
        origin_step(&w->origin[i], w->now);
    step_pipes(w);
    resolve_all(w);
    for (unsigned i = 0; i < w->nodes; i++)
        for (unsigned j = 0; w->node[i].up && j < w->node[i].workers; j++)
            step_worker(&w->node[i].worker[j]);
    for (unsigned i = 0; i < w->nodes; i++)
        if (!w->node[i].up && w->now.mono_us - w->node[i].dead_us == WORLD_DEAD_MS * 1000)
            world_routes(w);
}

void world_routes(struct world *w)
{
    for (unsigned i = 0; i < w->nodes; i++)
        make_routes(&w->node[i]);
}

void world_run(struct world *w, unsigned ms)
{
    while (ms--)
        world_step(w);
}

void world_scrub(struct world *w, unsigned node)
{
    struct node *n = &w->node[node];
    for (unsigned i = 0; i < n->workers; i++) {
        const uint64_t *rounds = &cache_counters(n->cache, i)->cache_scrub_rounds_total;
        for (uint64_t end = counter_read(rounds) + 2; counter_read(rounds) < end;)
            cache_scrub(n->cache, i, (struct now){cache_scrub_deadline_us(n->cache, i), 0});
    }
}

void world_kill(struct world *w, unsigned node)
{
    w->node[node].up = false;
    w->node[node].dead_us = w->now.mono_us;
}

uint64_t world_count(const struct world *w, unsigned node, size_t offset)
{
    uint64_t sum = 0;
    const struct node *n = &w->node[node];
    for (unsigned i = 0; i < n->workers; i++)
        sum += counter_read(
            (const uint64_t *)((const char *)proxy_counters(n->worker[i].proxy) + offset));
    return sum;
}
