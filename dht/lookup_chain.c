/* SPDX-License-Identifier: BSD-3-Clause */
/* Lookups that others need to find by their key, and keys that were not found a moment ago. */
#include "dht/asker.h"

uint32_t lookup_number(const struct lookup *l)
{
    return (uint32_t)(l - l->asker->arena->lookup) + 1;
}

static uint64_t get_hash(const struct dht_asker *a, const struct dht_id *key, unsigned levels)
{
    return hash64(&a->arena->secret, key->b, sizeof(key->b)) ^ id_u64(a->routes->self.id.b) ^
           (uint64_t)levels << 61;
}

static uint32_t *chain_of(const struct lookup *l)
{
    const struct dht_arena *n = l->asker->arena;
    return &n->get_bucket[get_hash(l->asker, &l->key, l->levels) & n->get_mask];
}

bool lookup_is_shared(const struct lookup *l)
{
    return l->kind == LOOKUP_GET && !l->trace && l->useless.n == 0;
}

bool lookup_is_chained(const struct lookup *l)
{
    return (lookup_is_shared(l) && !l->prev_joined) || l->kind == LOOKUP_PUT;
}

struct lookup *chain_find(const struct dht_asker *a, enum lookup_kind kind,
                          const struct dht_id *key, unsigned levels)
{
    struct dht_arena *n = a->arena;
    uint32_t i = n->get_bucket[get_hash(a, key, levels) & n->get_mask];
    while (i != 0) {
        struct lookup *l = &n->lookup[i - 1];
        if (l->asker == a && l->kind == kind && l->levels == levels && id_eq(&l->key, key))
            return l;
        i = l->next_get;
    }
    return NULL;
}

void chain_enter(struct lookup *l)
{
    uint32_t *chain = chain_of(l);
    l->next_get = *chain;
    *chain = lookup_number(l);
}

void chain_leave(struct lookup *l)
{
    uint32_t *link = chain_of(l), number = lookup_number(l);
    while (*link != 0 && *link != number)
        link = &l->asker->arena->lookup[*link - 1].next_get;
    if (*link == number)
        *link = l->next_get;
}

/* --- negative memory -------------------------------------------------------------------------- */

static struct arena_negative *negative_at(struct dht_asker *a, uint64_t hash)
{
    return &a->arena->negative[hash % ARENA_NEGATIVE];
}

void negative_note(struct dht_asker *a, const struct lookup *l, struct now now)
{
    uint64_t hash = get_hash(a, &l->key, l->levels);
    *negative_at(a, hash) =
        (struct arena_negative){hash, now.mono_us + 1000ull * a->arena->config.negative_ms};
}

void negative_forget(struct dht_asker *a, const struct dht_id *key)
{
    for (unsigned levels = 1; levels <= DHT_ALL_LEVELS; levels++) {
        uint64_t hash = get_hash(a, key, levels);
        if (negative_at(a, hash)->tag == hash)
            negative_at(a, hash)->until_us = 0;
    }
}

bool negative_is(struct dht_asker *a, const struct dht_id *key, unsigned levels, struct now now)
{
    uint64_t hash = get_hash(a, key, levels);
    const struct arena_negative *n = negative_at(a, hash);
    return n->tag == hash && n->until_us > now.mono_us;
}
