/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/arena.h"

#include <stdlib.h>

#include "base/gcra.h"
#include "base/memory.h"
#include "dht/asker.h"
#include "dht/id.h"

#define FIRE_LIMIT    4096
#define REPEATS       65536u /* a generation */
#define REPEAT_WAYS   4u
#define RATE_BURST_US 1000000u /* a second's worth may come at once */

static bool arena_asking(struct dht_arena *a, struct now now)
{
    wheel_init(&a->rpc_wheel, now.mono_us);
    wheel_init(&a->lookup_wheel, now.mono_us);
    a->lookups = a->config.lookups;
    a->slots = a->lookups * LOOKUP_INFLIGHT + a->config.pings;
    if (a->slots > 1u << RPC_TID_SLOT_BITS)
        a->slots = 1u << RPC_TID_SLOT_BITS;
    uint32_t buckets = 1;
    while (buckets < a->lookups)
        buckets *= 2;
    a->get_mask = buckets - 1;
    a->slot = calloc(a->slots, sizeof(*a->slot));
    a->lookup = calloc(a->lookups, sizeof(*a->lookup));
    a->get_bucket = calloc(buckets, sizeof(*a->get_bucket));
    if (!a->slot || !a->lookup || !a->get_bucket)
        return false;
    for (uint32_t i = 0; i < a->slots; i++)
        a->slot[i].next = i + 1 < a->slots ? &a->slot[i + 1] : NULL;
    a->free_first = &a->slot[0];
    a->free_last = &a->slot[a->slots - 1];
    a->free_slots = a->slots;
    for (uint32_t i = 0; i < a->lookups; i++)
        a->lookup[i].next_free = i + 1 < a->lookups ? i + 2 : 0;
    a->free_lookup = 1;
    return true;
}

struct dht_arena *dht_arena_create(const struct dht_config *config, unsigned worker,
                                   const uint8_t seed[32], const uint8_t own[32], struct now now)
{
    assert(worker < DHT_ASKER_CONTROL && config->lookups >= 1 && config->beta >= 1);
    assert(config->levels >= 1 && config->levels <= DHT_LEVELS);
    struct dht_arena *a = memory_new(1, sizeof(*a));
    if (!a)
        return NULL;
    a->config = *config;
    a->worker = worker;
    a->prefix_each_us = config->prefix_rate ? 1000000u / config->prefix_rate : 0;
    a->walk_each_ms = 60000u / config->beta;
    /* what all workers of a node share comes from the seed alone */
    rng_init(&a->rng, seed);
    rng_bytes(&a->rng, a->secret.bytes, sizeof(a->secret.bytes));
    bool cookies = cookie_init(&a->cookies, seed);
    rng_init(&a->rng, own);
    a->repeat_last = now.mono_us / COOKIE_GENERATION_US;
    a->source_max = config->store_keys * DHT_VALUES / 100 * config->source_percent;
    a->prefix_max = config->store_keys * DHT_VALUES / 100 * config->prefix_percent;
    if (config->replay_filter)
        a->repeat = calloc(2 * REPEATS, sizeof(*a->repeat));
    if (!cookies || !arena_asking(a, now) || !holders_init(&a->holders, config->holders, &a->rng) ||
        (config->replay_filter && !a->repeat)) {
        dht_arena_destroy(a);
        return NULL;
    }
    return a;
}

void dht_arena_destroy(struct dht_arena *a)
{
    if (!a)
        return;
    cookie_free(&a->cookies);
    holders_free(&a->holders);
    free(a->slot);
    free(a->lookup);
    free(a->get_bucket);
    free(a->repeat);
    memory_free(a, 1, sizeof(*a));
}

void dht_arena_poll(struct dht_arena *a, struct now now)
{
    wheel_advance(&a->rpc_wheel, now.mono_us, FIRE_LIMIT, slot_fire, &now);
    wheel_advance(&a->lookup_wheel, now.mono_us, FIRE_LIMIT, lookup_fire, &now);
}

uint64_t dht_arena_deadline_us(const struct dht_arena *a)
{
    uint64_t rpc = wheel_next_us(&a->rpc_wheel), lookup = wheel_next_us(&a->lookup_wheel);
    return rpc < lookup ? rpc : lookup;
}

void dht_forget(struct dht_arena *a, const struct dht_id *node)
{
    if (holders_forget(&a->holders, node))
        counter_inc(&a->counters.dht_forgotten_total);
}

struct dht_counters *dht_arena_counters(struct dht_arena *a)
{
    return &a->counters;
}

/* --- who asks, how often ---------------------------------------------------------------------- */

uint16_t arena_prefix(const struct dht_arena *a, const struct addr *ip)
{
    size_t len = addr_is_v4(ip) ? 15 : 6; /* a /24, a /48 */
    return (uint16_t)(hash64(&a->secret, ip->b, len) % ARENA_PREFIXES);
}

bool arena_rate(struct dht_arena *a, const struct addr *ip, struct now now)
{
    return a->config.prefix_rate == 0 ||
           gcra_pass(&a->prefix_leak_us[arena_prefix(a, ip)], (uint32_t)now.mono_us,
                     a->prefix_each_us, RATE_BURST_US);
}

bool arena_heard_once(struct dht_arena *a, const struct dht_id *self, const struct dht_id *id,
                      struct now now)
{
    /* an ID is a hash: its middle will do, the first bits are ours too where one is near us */
    uint64_t hash = id_u64(id->b + 8) ^ id_u64(self->b);
    struct arena_heard *h = &a->heard[hash % ARENA_HEARD];
    uint32_t ms = (uint32_t)(now.mono_us / 1000), tag = (uint32_t)(hash >> 32);
    if (h->tag == tag && ms - h->ms < 1000)
        return false;
    *h = (struct arena_heard){tag, ms};
    return true;
}

/* The generations are those of the cookies without which nothing comes here: while a cookie is
 * good, what came with it is remembered. A full set forgets one by chance. */
bool arena_repeated(struct dht_arena *a, uint64_t tid, const struct dht_id *from, struct now now)
{
    if (!a->repeat)
        return false;
    uint64_t generation = now.mono_us / COOKIE_GENERATION_US;
    for (; a->repeat_last != generation; a->repeat_last++) {
        if (generation - a->repeat_last > 2)
            a->repeat_last = generation - 2;
        memset(&a->repeat[(a->repeat_last + 1) % 2 * REPEATS], 0, REPEATS * sizeof(*a->repeat));
    }
    uint8_t text[8 + DHT_ID_BYTES];
    memcpy(text, &tid, 8);
    memcpy(text + 8, from->b, DHT_ID_BYTES);
    uint64_t hash = hash64(&a->secret, text, sizeof(text));
    uint32_t set = (uint32_t)(hash % REPEATS) & ~(REPEAT_WAYS - 1),
             tag = (uint32_t)(hash >> 32) | 1;
    uint32_t *present = &a->repeat[generation % 2 * REPEATS + set];
    const uint32_t *before = &a->repeat[(generation + 1) % 2 * REPEATS + set];
    unsigned place = (unsigned)(hash >> 20) % REPEAT_WAYS;
    for (unsigned i = 0; i < REPEAT_WAYS; i++) {
        if (present[i] == tag || before[i] == tag)
            return true;
        if (present[i] == 0)
            place = i;
    }
    present[place] = tag;
    return false;
}
