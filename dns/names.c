/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "dns/resolver.h"

bool names_init(struct names *t, uint32_t count, struct rng *rng)
{
    uint32_t buckets = 16;

    while (buckets < count)
        buckets *= 2;
    rng_bytes(rng, t->secret.bytes, sizeof(t->secret.bytes));
    t->mask = buckets - 1;
    t->entries = calloc(count, sizeof(*t->entries));
    t->buckets = calloc(buckets, sizeof(*t->buckets));
    LIST_INIT(&t->free);
    TAILQ_INIT(&t->kept);
    if (!t->entries || !t->buckets)
        return false;
    for (uint32_t i = count; i-- > 0;)
        LIST_INSERT_HEAD(&t->free, &t->entries[i], link);
    return true;
}

void names_free(struct names *t)
{
    free(t->entries);
    free(t->buckets);
}

static struct entry_list *bucket_of(struct names *t, const uint8_t *name, unsigned len)
{
    return &t->buckets[hash64(&t->secret, name, len) & t->mask];
}

struct entry *names_find(struct names *t, const uint8_t *name, unsigned len)
{
    struct entry *e;

    LIST_FOREACH(e, bucket_of(t, name, len), link)
    if (e->name_len == len && memcmp(e->name, name, len) == 0)
        return e;
    return NULL;
}

struct entry *names_take(struct names *t, const uint8_t *name, unsigned len)
{
    struct entry *e = LIST_FIRST(&t->free);

    if (!e) {
        e = TAILQ_FIRST(&t->kept);
        names_unkeep(t, e);
    }
    LIST_REMOVE(e, link);
    e->failures = 0;
    e->n = 0;
    e->lookup = NULL;
    e->name_len = (uint8_t)len;
    memcpy(e->name, name, len);
    LIST_INSERT_HEAD(bucket_of(t, name, len), e, link);
    return e;
}

void names_keep(struct names *t, struct entry *e)
{
    TAILQ_INSERT_TAIL(&t->kept, e, by_use);
}

void names_unkeep(struct names *t, struct entry *e)
{
    TAILQ_REMOVE(&t->kept, e, by_use);
}
