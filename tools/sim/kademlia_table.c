/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/kademlia_table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tools/sim/mix.h"

#define BITS     64u
#define MIX_FILL (MIX_CALLER + 1000) /* apart from what the caller may draw with the same seed */

struct place {
    uint64_t id;
    uint32_t node;
};

struct kademlia_tables {
    uint32_t nodes;
    unsigned k;
    uint64_t seed;
    uint32_t fills;        /* each draws anew */
    uint64_t *id;          /* [node] */
    struct place *all;     /* by ID */
    struct place *up;      /* those that were up at the last fill, by ID */
    size_t slots;          /* of all nodes */
    size_t *start;         /* [node] its first slot */
    uint16_t (*end)[BITS]; /* [node][bucket] from start */
    uint32_t *contact;     /* [slot] a node, or KADEMLIA_NOBODY */
};

/* places [low, high) */
struct range {
    size_t low, high;
};

/* ---- who belongs where ---- */

static size_t range_n(struct range r)
{
    return r.high - r.low;
}

/* the first in the range that is not below the ID */
static size_t lower_bound(const struct place *p, struct range r, uint64_t id)
{
    while (r.low < r.high) {
        size_t mid = r.low + (r.high - r.low) / 2;
        if (p[mid].id < id)
            r.low = mid + 1;
        else
            r.high = mid;
    }
    return r.low;
}

/* Parts those that share `bucket` bits with the ID: the bucket's own are returned, the rest, which
 * share more, is left in *near. */
static struct range split(const struct place *p, struct range *near, uint64_t id, unsigned bucket)
{
    uint64_t bit = 1ull << (BITS - 1 - bucket);
    size_t at = lower_bound(p, *near, (id & ~(bit - 1)) | bit);
    struct range below = {near->low, at}, above = {at, near->high};
    *near = id & bit ? above : below;
    return id & bit ? below : above;
}

/* ---- layout ---- */

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct place *)a)->id, y = ((const struct place *)b)->id;
    return (x > y) - (x < y);
}

static void lay_out(struct kademlia_tables *t)
{
    for (uint32_t node = 0; node < t->nodes; node++) {
        struct range near = {0, t->nodes};
        size_t end = 0;
        for (unsigned b = 0; b < BITS; b++) {
            size_t n = range_n(near) > 1 ? range_n(split(t->all, &near, t->id[node], b)) : 0;
            end += n < t->k ? n : t->k;
            t->end[node][b] = (uint16_t)end;
        }
        t->start[node] = t->slots;
        t->slots += end;
    }
}

struct kademlia_tables *kademlia_tables_create(const uint64_t *id, uint32_t nodes, unsigned k,
                                               uint64_t seed)
{
    assert(k > 0 && k <= KADEMLIA_K_MAX && nodes > 0 && nodes < KADEMLIA_NOBODY);
    struct kademlia_tables *t = memory_new(1, sizeof(*t));
    if (!t)
        return NULL;
    *t = (struct kademlia_tables){.nodes = nodes, .k = k, .seed = seed};
    t->id = memory_new(nodes, sizeof(*t->id));
    t->all = memory_new(nodes, sizeof(*t->all));
    t->up = memory_new(nodes, sizeof(*t->up));
    t->start = memory_new(nodes, sizeof(*t->start));
    t->end = memory_new(nodes, sizeof(*t->end));
    if (!t->id || !t->all || !t->up || !t->start || !t->end)
        goto fail;
    for (uint32_t i = 0; i < nodes; i++) {
        t->id[i] = id[i];
        t->all[i] = (struct place){id[i], i};
    }
    qsort(t->all, nodes, sizeof(*t->all), by_id);
    for (uint32_t i = 1; i < nodes; i++)
        assert(t->all[i - 1].id < t->all[i].id);
    lay_out(t);
    t->contact = memory_new(t->slots + 1, sizeof(*t->contact));
    if (!t->contact)
        goto fail;
    for (size_t i = 0; i < t->slots; i++)
        t->contact[i] = KADEMLIA_NOBODY;
    return t;
fail:
    kademlia_tables_destroy(t);
    return NULL;
}

void kademlia_tables_destroy(struct kademlia_tables *t)
{
    if (!t)
        return;
    memory_free(t->contact, t->slots + 1, sizeof(*t->contact));
    memory_free(t->end, t->nodes, sizeof(*t->end));
    memory_free(t->start, t->nodes, sizeof(*t->start));
    memory_free(t->up, t->nodes, sizeof(*t->up));
    memory_free(t->all, t->nodes, sizeof(*t->all));
    memory_free(t->id, t->nodes, sizeof(*t->id));
    memory_free(t, 1, sizeof(*t));
}

uint64_t kademlia_id(const struct kademlia_tables *t, uint32_t node)
{
    return t->id[node];
}

/* a bucket's slots and how many they are */
static uint32_t *bucket_slots(const struct kademlia_tables *t, uint32_t node, unsigned bucket,
                              unsigned *n)
{
    unsigned from = bucket > 0 ? t->end[node][bucket - 1] : 0;
    *n = t->end[node][bucket] - from;
    return &t->contact[t->start[node] + from];
}

/* ---- the closest of some ---- */

/* contacts that are closest to a key, closest first */
struct closest {
    uint64_t key;
    unsigned n, max;
    uint32_t *node;
    uint64_t distance[KADEMLIA_K_MAX];
};

static void closest_add(struct closest *c, uint32_t node, uint64_t id)
{
    uint64_t distance = id ^ c->key;
    if (c->n == c->max && distance >= c->distance[c->n - 1])
        return;
    unsigned i = c->n < c->max ? c->n++ : c->n - 1;
    for (; i > 0 && c->distance[i - 1] > distance; i--) {
        c->distance[i] = c->distance[i - 1];
        c->node[i] = c->node[i - 1];
    }
    c->distance[i] = distance;
    c->node[i] = node;
}

/* ---- the oracle ---- */

/* k of a range at random, all different (Floyd's way) */
static void draw(struct kademlia_tables *t, uint32_t *slot, unsigned k, struct range r,
                 uint64_t random)
{
    for (unsigned i = 0; i < k; i++) {
        size_t last = range_n(r) - k + i;
        random = mix64(random + MIX_GOLDEN);
        uint32_t some = t->up[r.low + mix_below(random, last + 1)].node;
        for (unsigned j = 0; j < i; j++)
            if (slot[j] == some)
                some = t->up[r.low + last].node;
        slot[i] = some;
    }
}

static void fill_node(struct kademlia_tables *t, uint32_t node, size_t n_up)
{
    uint64_t key = mix_pair(mix_key(t->seed, MIX_FILL), node, t->fills);
    struct range near = {0, n_up};
    unsigned all = t->end[node][BITS - 1], n;
    for (unsigned b = 0, from = 0; from < all; from += n, b++) {
        uint32_t *slot = bucket_slots(t, node, b, &n);
        for (unsigned i = 0; i < n; i++)
            slot[i] = KADEMLIA_NOBODY;
        struct range r = split(t->up, &near, t->id[node], b);
        if (range_n(near) > t->k && range_n(r) > n) {
            draw(t, slot, n, r, mix64(key + b));
            continue;
        }
        struct closest c = {.key = t->id[node], .max = n, .node = slot};
        for (size_t i = r.low; i < r.high; i++)
            closest_add(&c, t->up[i].node, t->up[i].id);
    }
}

void kademlia_tables_fill(struct kademlia_tables *t, const bool *up)
{
    size_t n = 0;
    for (uint32_t i = 0; i < t->nodes; i++)
        if (up[t->all[i].node])
            t->up[n++] = t->all[i];
    for (uint32_t i = 0; i < t->nodes; i++)
        fill_node(t, t->all[i].node, n); /* by ID: neighbours look at the same places */
    t->fills++;
}

/* ---- use ---- */

static void add_bucket(const struct kademlia_tables *t, uint32_t node, unsigned bucket,
                       struct closest *c)
{
    unsigned n;
    const uint32_t *slot = bucket_slots(t, node, bucket, &n);
    for (unsigned i = 0; i < n; i++)
        if (slot[i] != KADEMLIA_NOBODY)
            closest_add(c, slot[i], t->id[slot[i]]);
}

/*
 * All of a bucket are closer to the key than all of another. Where the key differs from the node's
 * ID in bit b, bucket b has the key's bit, and deeper buckets do not: such buckets come first, from
 * the top. Elsewhere deeper ones have it and b does not: these come after, from the bottom.
 */
unsigned kademlia_table_closest(const struct kademlia_tables *t, uint32_t node, uint64_t key,
                                uint32_t closest[static KADEMLIA_K_MAX])
{
    struct closest c = {.key = key, .max = t->k, .node = closest};
    uint64_t differs = t->id[node] ^ key;
    for (uint64_t bits = differs; bits != 0 && c.n < t->k;) {
        unsigned b = (unsigned)__builtin_clzll(bits);
        add_bucket(t, node, b, &c);
        bits &= ~(1ull << (BITS - 1 - b));
    }
    for (uint64_t bits = ~differs; bits != 0 && c.n < t->k; bits &= bits - 1)
        add_bucket(t, node, BITS - 1 - (unsigned)__builtin_ctzll(bits), &c);
    return c.n;
}

void kademlia_table_learn(struct kademlia_tables *t, uint32_t node, uint32_t contact)
{
    if (contact == node)
        return;
    unsigned n;
    uint32_t *slot =
        bucket_slots(t, node, (unsigned)__builtin_clzll(t->id[node] ^ t->id[contact]), &n);
    uint32_t *room = NULL;
    for (unsigned i = 0; i < n; i++) {
        if (slot[i] == contact)
            return;
        if (slot[i] == KADEMLIA_NOBODY)
            room = &slot[i];
    }
    if (room)
        *room = contact;
}

void kademlia_table_drop(struct kademlia_tables *t, uint32_t node, uint32_t contact)
{
    if (contact == node)
        return;
    unsigned n;
    uint32_t *slot =
        bucket_slots(t, node, (unsigned)__builtin_clzll(t->id[node] ^ t->id[contact]), &n);
    for (unsigned i = 0; i < n; i++)
        if (slot[i] == contact)
            slot[i] = KADEMLIA_NOBODY;
}

void kademlia_table_count(const struct kademlia_tables *t, uint32_t node, const bool *up,
                          uint32_t *contacts, uint32_t *down)
{
    *contacts = *down = 0;
    for (unsigned i = 0; i < t->end[node][BITS - 1]; i++) {
        uint32_t contact = t->contact[t->start[node] + i];
        if (contact == KADEMLIA_NOBODY)
            continue;
        ++*contacts;
        *down += !up[contact];
    }
}
