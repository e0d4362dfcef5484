/* SPDX-License-Identifier: BSD-3-Clause */
/* The node of the index that is measured, its routes, and all others. From a fixed seed. */
#include <stdlib.h>

#include "dht/id.h"
#include "dht/mac.h"
#include "perf/dht.h"

#define BUCKET  30 /* routes of a prefix, of all three levels */
#define CLUSTER 0x1234

static struct dht_contact node_make(unsigned i)
{
    struct dht_contact c = {.rpc = {addr_v4(0x0a000001 + (i % 256 << 8) + i / 256), 8053},
                            .http_port = 8080,
                            .services = DHT_SERVICE_HTTP};
    c.id = dht_node_id(&c.rpc);
    c.v4 = c.rpc.ip;
    return c;
}

static int by_distance(const void *x, const void *y, void *ctx)
{
    const struct dht_bench *b = ctx;
    const struct dht_id *self = &b->node[0].id;
    struct dht_distance i =
        distance_between(self, &b->node[((const struct dht_route *)x)->peer].id);
    struct dht_distance j =
        distance_between(self, &b->node[((const struct dht_route *)y)->peer].id);
    return distance_less(&i, &j) ? -1 : distance_less(&j, &i);
}

/* A bucket's contacts are a third each of level 0 alone, 0 and 1, all three. */
static void routes_fill(struct dht_bench *b)
{
    unsigned filled[DHT_ID_BITS + 1] = {0};
    for (unsigned i = 1; i < DHT_BENCH_NODES && b->routes.n < DHT_BENCH_ROUTES; i++) {
        unsigned prefix = id_prefix(&b->node[0].id, &b->node[i].id);
        if (filled[prefix] == BUCKET)
            continue;
        unsigned third = filled[prefix]++ % 3;
        b->route[b->routes.n++] = (struct dht_route){.peer = i & 0xffffff,
                                                     .levels = ((2u << third) - 1) & 7,
                                                     .alive = 1,
                                                     .live = 1,
                                                     .rtt_us = (1000 + 997 * i % 80000) & 0xffffff,
                                                     .prefix = prefix & 0xff};
    }
    qsort_r(b->route, b->routes.n, sizeof(b->route[0]), by_distance, b);
    b->routes.route = b->route;
    b->routes.contact = b->node;
}

bool dht_bench_open(struct dht_bench *b, uint32_t keys)
{
    static const uint8_t seed[32] = {1}, own[32] = {2};
    const struct dht_keys mac = {.n = 1,
                                 .key[0] = {.id = DHT_BENCH_KEY_ID, .key = "an example key."}};
    struct dht_config config = dht_config_default();
    config.store_keys = keys;
    b->now = (struct now){1000000000, 0};
    rng_init_u64(&b->rng, 1);
    for (unsigned i = 0; i < DHT_BENCH_NODES; i++)
        b->node[i] = node_make(i);
    b->routes.self = b->node[0];
    b->routes.populated = DHT_ALL_LEVELS;
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        b->routes.level[l].is = (struct dht_descriptor){.cid = CLUSTER + l, .size = 40};
    routes_fill(b);
    b->arena = dht_arena_create(&config, 1, seed, own, b->now);
    b->mac = dht_mac_create(&mac);
    return b->arena && b->mac;
}

void dht_bench_close(struct dht_bench *b)
{
    dht_mac_destroy(b->mac);
    dht_arena_destroy(b->arena);
}

struct dht_sender dht_bench_sender(const struct dht_bench *b, unsigned node)
{
    struct dht_sender s = {.contact = b->node[node], .incarnation = 1};
    for (unsigned l = 1; l < DHT_LEVELS; l++)
        s.level[l] = b->routes.level[l].is;
    return s;
}
