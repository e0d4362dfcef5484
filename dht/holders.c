/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/holders.h"

#include <stdlib.h>

#include "base/memory.h"
#include "dht/id.h"

bool holders_init(struct holders *h, uint32_t room, struct rng *rng)
{
    uint32_t buckets = 1;
    rng_bytes(rng, h->secret.bytes, sizeof(h->secret.bytes));
    while (buckets < room)
        buckets *= 2;
    h->bucket_mask = buckets - 1;
    h->room = room;
    h->bucket = calloc(buckets, sizeof(*h->bucket));
    h->at = memory_new(room, sizeof(*h->at));
    return h->bucket && h->at;
}

void holders_free(struct holders *h)
{
    free(h->bucket);
    memory_free(h->at, h->room, sizeof(*h->at));
}

bool holders_full(const struct holders *h)
{
    return h->free == 0 && h->used == h->room;
}

static uint32_t *bucket_of(const struct holders *h, const struct dht_id *node)
{
    return &h->bucket[hash64(&h->secret, node->b, sizeof(node->b)) & h->bucket_mask];
}

uint32_t holders_find(const struct holders *h, const struct dht_id *node,
                      const struct endpoint *http)
{
    for (uint32_t i = *bucket_of(h, node); i != 0; i = h->at[i - 1].next)
        if (id_eq(&h->at[i - 1].node, node) && endpoint_eq(&h->at[i - 1].http, http))
            return i - 1;
    return HOLDER_NONE;
}

static void dead_set(struct holder *h, bool dead)
{
    __atomic_store_n(&h->dead, dead, __ATOMIC_RELAXED);
}

uint32_t holders_take(struct holders *h, const struct dht_id *node, const struct endpoint *http)
{
    uint32_t at = holders_find(h, node, http);
    if (at != HOLDER_NONE) {
        h->at[at].values++;
        dead_set(&h->at[at], false);
        return at;
    }
    if (h->free) {
        at = h->free - 1;
        h->free = h->at[at].next;
    } else if (h->used < h->room) {
        at = h->used++;
    } else {
        return HOLDER_NONE;
    }
    uint32_t *bucket = bucket_of(h, node);
    struct holder *x = &h->at[at];
    const union holder_name name = {.node = *node, .http = *http, .dead = false};
    for (unsigned i = 0; i < HOLDER_WORDS; i++)
        __atomic_store_n((uint64_t *)x + i, name.word[i], __ATOMIC_RELAXED);
    x->told_s = 0;
    x->values = 1;
    x->next = *bucket;
    *bucket = at + 1;
    return at;
}

bool holders_forget(struct holders *h, const struct dht_id *node)
{
    bool any = false;
    for (uint32_t i = *bucket_of(h, node); i != 0; i = h->at[i - 1].next) {
        if (!id_eq(&h->at[i - 1].node, node) || h->at[i - 1].dead)
            continue;
        dead_set(&h->at[i - 1], true);
        any = true;
    }
    return any;
}

void holders_drop(struct holders *h, uint32_t holder)
{
    struct holder *x = &h->at[holder];
    if (--x->values > 0)
        return;
    uint32_t *link = bucket_of(h, &x->node);
    while (*link != holder + 1)
        link = &h->at[*link - 1].next;
    *link = x->next;
    x->next = h->free;
    h->free = holder + 1;
}
