/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/planet.h"

#include <assert.h>
#include <stddef.h>

#include "base/memory.h"
#include "tools/sim/mix.h"
#include "tools/sim/real.h"

#define QUANTILES     4096u
#define SECOND_US     1000000u
#define BURST_US      (10u * SECOND_US)
#define WITHIN_SITE   6u   /* 96 us */
#define CLEAR_HEIGHT  140u /* 2.2 ms: 15 ms and two of these stay below 20 */
#define HOME          4u
#define SITES_PERCENT 80u /* of blocked pairs; the rest is decided by nodes */

struct node {
    uint32_t site;
    uint16_t height; /* its part of any round trip, METRO_UNIT_US */
    uint8_t metro;
    uint8_t kind; /* PLANET_V4, PLANET_V6, HOME */
};
static_assert(sizeof(struct node) == 8, "a million nodes in 8 MB");

/* Blocked pairs of sites, or of nodes. */
struct blocks {
    uint64_t key;
    uint64_t transient, permanent, one_way; /* bounds on 32 random bits */
};

struct planet {
    struct metros metros;
    uint16_t path[QUANTILES];   /* factors of pairs of sites, 1/16384 */
    uint16_t jitter[QUANTILES]; /* shares of the one-way delay, 1/65536 */
    struct blocks sites, nodes;
    uint64_t path_key, packet_key, burst_key;
    uint64_t loss, burst, burst_loss; /* bounds on 32 random bits */
    struct planet_params params;
    uint32_t n, n_sites;
    struct node *node;
};

struct planet_params planet_params_faultless(void)
{
    return (struct planet_params){.site_nodes = 16,
                                  .home_ppm = 200000,
                                  .server_height_ms = 2,
                                  .home_height_ms = 8,
                                  .height_sigma = 0.6,
                                  .path_sigma = 0.15,
                                  .jitter_ppm = 30000,
                                  .transient_min_s = 120,
                                  .transient_max_s = 1800};
}

struct planet_params planet_params_default(void)
{
    struct planet_params p = planet_params_faultless();
    p.loss_ppm = 3000;
    p.burst_ppm = 1000;
    p.burst_loss_ppm = 300000;
    p.transient_ppm = 23000;
    p.permanent_ppm = 3000;
    p.one_way_ppm = 2000;
    p.v4_only_ppm = 400000;
    p.v6_only_ppm = 10000;
    return p;
}

/* ---- making one ---- */

static double middle(uint32_t quantile)
{
    return (quantile + 0.5) / QUANTILES;
}

static uint16_t rounded(double x)
{
    return x >= UINT16_MAX ? UINT16_MAX : (uint16_t)(x + 0.5);
}

static void make_tables(struct planet *p)
{
    for (uint32_t i = 0; i < QUANTILES; i++) {
        p->path[i] = rounded(16384 * real_exp(p->params.path_sigma * real_normal(middle(i))));
        p->jitter[i] = rounded(0.065536 * p->params.jitter_ppm * -real_log(1 - middle(i)));
    }
}

static void make_heights(uint16_t *height, double median_ms, const struct planet_params *params)
{
    for (uint32_t i = 0; i < QUANTILES; i++) {
        double ms = median_ms * real_exp(params->height_sigma * real_normal(middle(i)));
        height[i] = rounded(ms * 1000 / METRO_UNIT_US);
        if (params->world == METRO_CLEAR && height[i] > CLEAR_HEIGHT)
            height[i] = CLEAR_HEIGHT;
    }
}

static unsigned draw_metro(uint64_t random)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < METROS; i++)
        sum += metro_weight(i);
    uint64_t at = mix_below(random, sum);
    unsigned i = 0;
    for (; at >= metro_weight(i); i++)
        at -= metro_weight(i);
    return i;
}

static uint8_t draw_families(const struct planet_params *params, uint32_t random)
{
    if (random < mix_bound(params->v4_only_ppm))
        return PLANET_V4;
    if (random < mix_bound(params->v4_only_ppm) + mix_bound(params->v6_only_ppm))
        return PLANET_V6;
    return PLANET_V4 | PLANET_V6;
}

static void make_nodes(struct planet *p, uint64_t seed)
{
    uint16_t server[QUANTILES], home[QUANTILES];
    make_heights(server, p->params.server_height_ms, &p->params);
    make_heights(home, p->params.home_height_ms, &p->params);
    for (uint32_t i = 0; i < p->n; i++) {
        struct node *x = &p->node[i];
        x->site = i % p->n_sites;
        x->metro = (uint8_t)draw_metro(mix(seed, x->site, 0, MIX_SITE_METRO));
        uint64_t kind = mix(seed, x->site, 0, MIX_SITE_KIND);
        bool at_home = (uint32_t)kind < mix_bound(p->params.home_ppm);
        x->kind = draw_families(&p->params, (uint32_t)(kind >> 32)) | (at_home ? HOME : 0);
        uint64_t own = mix(seed, i, 0, MIX_NODE_HEIGHT);
        uint64_t of_site = mix(seed, x->site, 0, MIX_SITE_HEIGHT);
        x->height = at_home ? home[own % QUANTILES] : server[of_site % QUANTILES];
    }
}

static struct blocks make_blocks(const struct planet *p, uint64_t key, uint32_t percent)
{
    return (struct blocks){key, mix_bound(p->params.transient_ppm) * percent / 100,
                           mix_bound(p->params.permanent_ppm) * percent / 100,
                           mix_bound(p->params.one_way_ppm) * percent / 100};
}

struct planet *planet_create(const struct planet_params *params, uint32_t nodes, uint64_t seed)
{
    assert(nodes > 0 && params->site_nodes > 0 && params->faults <= PLANET_FAULTS);
    assert(params->transient_min_s > 0 && params->transient_min_s <= params->transient_max_s);
    struct planet *p = memory_new(1, sizeof(*p));
    struct node *node = memory_new(nodes, sizeof(*node));
    if (!p || !node) {
        memory_free(p, 1, sizeof(*p));
        memory_free(node, nodes, sizeof(*node));
        return NULL;
    }
    p->params = *params;
    p->n = nodes;
    p->n_sites = (uint32_t)(((uint64_t)nodes + params->site_nodes - 1) / params->site_nodes);
    p->node = node;
    p->loss = mix_bound(params->loss_ppm);
    p->burst = mix_bound(params->burst_ppm);
    p->burst_loss = mix_bound(params->burst_loss_ppm);
    p->path_key = mix_key(seed, MIX_PATH);
    p->packet_key = mix_key(seed, MIX_PACKET);
    p->burst_key = mix_key(seed, MIX_BURST);
    p->sites = make_blocks(p, mix_key(seed, MIX_BLOCKED_SITES), SITES_PERCENT);
    p->nodes = make_blocks(p, mix_key(seed, MIX_BLOCKED_NODES), 100 - SITES_PERCENT);
    metros_make(&p->metros, params->world);
    make_tables(p);
    make_nodes(p, seed);
    return p;
}

void planet_destroy(struct planet *p)
{
    if (!p)
        return;
    memory_free(p->node, p->n, sizeof(*p->node));
    memory_free(p, 1, sizeof(*p));
}

/* ---- delays ---- */

static uint64_t mix_unordered(uint64_t key, uint32_t a, uint32_t b)
{
    return a < b ? mix_pair(key, a, b) : mix_pair(key, b, a);
}

/* A clear world's factors leave a path on its base's side of both thresholds. */
static uint32_t keep_clear(uint32_t path, uint32_t base)
{
    uint32_t low = base <= METRO_NEAR_LOW     ? 0
                   : base <= METRO_REGION_LOW ? METRO_NEAR_HIGH
                                              : METRO_REGION_HIGH;
    uint32_t high = base <= METRO_NEAR_LOW     ? METRO_NEAR_LOW
                    : base <= METRO_REGION_LOW ? METRO_REGION_LOW
                                               : UINT32_MAX;
    return path < low ? low : path > high ? high : path;
}

/* in METRO_UNIT_US */
static uint32_t rtt(const struct planet *p, const struct node *a, const struct node *b)
{
    if (a == b)
        return 1;
    if (a->site == b->site)
        return WITHIN_SITE + (a->kind & HOME ? (uint32_t)a->height + b->height : 0);
    uint32_t base = p->metros.rtt[a->metro][b->metro];
    uint32_t factor = p->path[mix_unordered(p->path_key, a->site, b->site) % QUANTILES];
    uint32_t path = base * factor >> 14;
    if (p->params.world == METRO_CLEAR)
        path = keep_clear(path, base);
    return path + a->height + b->height;
}

uint32_t planet_rtt_us(const struct planet *p, uint32_t a, uint32_t b)
{
    return METRO_UNIT_US * rtt(p, &p->node[a], &p->node[b]);
}

/* ---- who cannot talk ---- */

/*
 * blocked(a, b, t) = H(pair, floor((t + phase(pair)) / D(pair))) < share, with D uniform between
 * the bounds: a pair's state lasts for a slot of its own, and no state is kept (research 6.5).
 */
static bool pair_blocked(const struct planet *p, const struct blocks *blocks, uint32_t from,
                         uint32_t to, uint64_t time_us)
{
    uint64_t pair = mix_unordered(blocks->key, from, to);
    uint64_t forever = mix64(pair + MIX_GOLDEN);
    uint32_t random = (uint32_t)(forever >> 32);
    if (random < blocks->permanent)
        return true;
    if (random < blocks->permanent + blocks->one_way)
        return (forever & 1) == (from < to);
    if (blocks->transient == 0)
        return false;
    uint32_t span_s = p->params.transient_max_s - p->params.transient_min_s + 1;
    uint64_t slot_us = (p->params.transient_min_s + mix_below(pair << 32, span_s)) * SECOND_US;
    uint64_t phase_us = mix_below(pair, slot_us);
    uint64_t slot = (time_us + phase_us) / slot_us;
    return (uint32_t)(mix64(pair ^ slot * MIX_GOLDEN) >> 32) < blocks->transient;
}

static bool fault_cuts(const struct planet_fault *f, unsigned from, unsigned to, uint64_t time_us)
{
    bool from_in = f->metros >> from & 1, to_in = f->metros >> to & 1;
    if (time_us < f->from_us || time_us >= f->until_us || from_in == to_in)
        return false;
    return f->cut == PLANET_CUT_BOTH || (f->cut == PLANET_CUT_OUT) == from_in;
}

bool planet_blocked(const struct planet *p, uint32_t from, uint32_t to, uint64_t time_us)
{
    const struct node *a = &p->node[from], *b = &p->node[to];
    if (from == to)
        return false;
    if ((a->kind & b->kind & (PLANET_V4 | PLANET_V6)) == 0)
        return true;
    for (unsigned i = 0; i < p->params.faults; i++)
        if (fault_cuts(&p->params.fault[i], a->metro, b->metro, time_us))
            return true;
    /* inside a site nothing stands between but the two nodes themselves */
    if (a->site != b->site && pair_blocked(p, &p->sites, a->site, b->site, time_us))
        return true;
    return pair_blocked(p, &p->nodes, from, to, time_us);
}

/* ---- packets ---- */

static bool in_burst(const struct planet *p, uint32_t from, uint32_t to, uint64_t time_us)
{
    uint64_t pair = mix_pair(p->burst_key, from, to);
    return (uint32_t)(mix64(pair ^ time_us / BURST_US * MIX_GOLDEN) >> 32) < p->burst;
}

enum planet_fate planet_send(const struct planet *p, uint32_t from, uint32_t to, uint64_t time_us,
                             uint32_t counter, uint32_t *delay_us)
{
    if (planet_blocked(p, from, to, time_us))
        return PLANET_BLOCKED;
    uint64_t packet = mix_pair(p->packet_key, from, counter);
    uint32_t luck = (uint32_t)(packet >> 32);
    if (luck < p->loss)
        return PLANET_LOST;
    /* what falls into the bursts' share is looked at closer, so that most packets cost no hash */
    if (luck < p->loss + p->burst_loss && p->burst > 0 && in_burst(p, from, to, time_us))
        return PLANET_LOST;
    uint32_t way = METRO_UNIT_US / 2 * rtt(p, &p->node[from], &p->node[to]);
    *delay_us = way + (uint32_t)((uint64_t)way * p->jitter[packet % QUANTILES] >> 16);
    return PLANET_ARRIVES;
}

/* ---- what a node is ---- */

uint32_t planet_nodes(const struct planet *p)
{
    return p->n;
}

uint32_t planet_sites(const struct planet *p)
{
    return p->n_sites;
}

unsigned planet_metro(const struct planet *p, uint32_t node)
{
    return p->node[node].metro;
}

uint32_t planet_site(const struct planet *p, uint32_t node)
{
    return p->node[node].site;
}

unsigned planet_families(const struct planet *p, uint32_t node)
{
    return p->node[node].kind & (PLANET_V4 | PLANET_V6);
}

bool planet_home(const struct planet *p, uint32_t node)
{
    return p->node[node].kind & HOME;
}

unsigned planet_cluster(const struct planet *p, uint32_t node, unsigned level)
{
    unsigned metro = p->node[node].metro;
    return level == 0 ? 0 : level == 1 ? p->metros.region[metro] : p->metros.near[metro];
}

uint32_t planet_base_us(const struct planet *p, unsigned metro_a, unsigned metro_b)
{
    return METRO_UNIT_US * p->metros.rtt[metro_a][metro_b];
}
