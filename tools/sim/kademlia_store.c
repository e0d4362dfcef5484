/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/kademlia_store.h"

#include "base/memory.h"
#include "tools/sim/kademlia_table.h"
#include "tools/sim/mix.h"

#define MINUTE_US 60000000u
#define NONE      0u /* record 0 is never given out */

struct value {
    uint64_t expires_us; /* 0: no value */
    uint32_t holder;
};

/* a key at a node */
struct record {
    uint64_t key;
    uint32_t next; /* the node's next key, or the next free record */
    struct value value[KADEMLIA_VALUES];
};

struct kademlia_store {
    uint32_t nodes, max;
    uint32_t used, free; /* so many were ever given out; those given back */
    uint32_t *first;     /* [node] */
    struct record *record;
};

struct kademlia_store *kademlia_store_create(uint32_t nodes, uint32_t max_keys)
{
    struct kademlia_store *s = memory_new(1, sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct kademlia_store){.nodes = nodes, .max = max_keys, .used = 1};
    s->first = memory_new(nodes, sizeof(*s->first));
    s->record = memory_new((size_t)max_keys + 1, sizeof(*s->record));
    if (s->first && s->record)
        return s;
    kademlia_store_destroy(s);
    return NULL;
}

void kademlia_store_destroy(struct kademlia_store *s)
{
    if (!s)
        return;
    memory_free(s->first, s->nodes, sizeof(*s->first));
    memory_free(s->record, (size_t)s->max + 1, sizeof(*s->record));
    memory_free(s, 1, sizeof(*s));
}

static bool record_live(const struct record *r, uint64_t now_us)
{
    for (unsigned i = 0; i < KADEMLIA_VALUES; i++)
        if (r->value[i].expires_us > now_us)
            return true;
    return false;
}

static void record_give_back(struct kademlia_store *s, uint32_t i)
{
    s->record[i].next = s->free;
    s->free = i;
}

/* The node's record of the key; on the way, those with nothing left in them are given back. */
static struct record *record_find(struct kademlia_store *s, uint32_t node, uint64_t key,
                                  uint64_t now_us)
{
    for (uint32_t *link = &s->first[node]; *link != NONE;) {
        struct record *r = &s->record[*link];
        if (r->key == key)
            return r;
        if (record_live(r, now_us)) {
            link = &r->next;
            continue;
        }
        uint32_t over = *link;
        *link = r->next;
        record_give_back(s, over);
    }
    return NULL;
}

static struct record *record_take(struct kademlia_store *s, uint32_t node, uint64_t key)
{
    uint32_t i = s->free;
    if (i != NONE)
        s->free = s->record[i].next;
    else if (s->used <= s->max)
        i = s->used++;
    else
        return NULL;
    s->record[i] = (struct record){.key = key, .next = s->first[node]};
    s->first[node] = i;
    return &s->record[i];
}

bool kademlia_store_put(struct kademlia_store *s, uint32_t node, uint64_t key, uint32_t holder,
                        uint64_t expires_us, uint64_t now_us)
{
    struct record *r = record_find(s, node, key, now_us);
    if (!r)
        r = record_take(s, node, key);
    if (!r)
        return false;
    struct value *at = &r->value[0];
    for (unsigned i = 0; i < KADEMLIA_VALUES; i++) {
        struct value *v = &r->value[i];
        if (v->expires_us > 0 && v->holder == holder) {
            at = v;
            break;
        }
        if (v->expires_us < at->expires_us)
            at = v;
    }
    *at = (struct value){expires_us, holder};
    return true;
}

uint32_t kademlia_store_get(const struct kademlia_store *s, uint32_t node, uint64_t key,
                            uint64_t random, uint64_t now_us)
{
    uint32_t i = s->first[node], holder[KADEMLIA_VALUES], n = 0;
    while (i != NONE && s->record[i].key != key)
        i = s->record[i].next;
    for (unsigned v = 0; i != NONE && v < KADEMLIA_VALUES; v++)
        if (s->record[i].value[v].expires_us > now_us)
            holder[n++] = s->record[i].value[v].holder;
    return n > 0 ? holder[mix_below(random, n)] : KADEMLIA_NOBODY;
}

void kademlia_store_clear(struct kademlia_store *s, uint32_t node)
{
    while (s->first[node] != NONE) {
        uint32_t i = s->first[node];
        s->first[node] = s->record[i].next;
        record_give_back(s, i);
    }
}

/* ---- load under a key ---- */

void kademlia_watch_begin(struct kademlia_watch *w, uint64_t key, uint64_t now_us)
{
    *w = (struct kademlia_watch){.key = key, .minute = now_us / MINUTE_US};
}

void kademlia_watch_advance(struct kademlia_watch *w, uint64_t now_us)
{
    for (; w->minute < now_us / MINUTE_US; w->minute++) {
        uint32_t most = 0;
        for (uint32_t i = 0; i < w->n; i++)
            most = w->at[i].arrived > most ? w->at[i].arrived : most;
        summary_add(&w->busiest, most);
        summary_add(&w->total, w->arrived);
        w->n = w->arrived = 0;
    }
}

void kademlia_watch_arrival(struct kademlia_watch *w, uint32_t node, uint64_t now_us)
{
    kademlia_watch_advance(w, now_us);
    w->arrived++;
    uint32_t i = 0;
    while (i < w->n && w->at[i].node != node)
        i++;
    if (i == KADEMLIA_WATCHED)
        return;
    if (i == w->n) {
        w->at[i].node = node;
        w->at[i].arrived = 0;
        w->n++;
    }
    w->at[i].arrived++;
}
