/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many variants a primary has (cache/vary.h). The number stands in the primary's meta, where no
 * reader looks; the owner changes it when it links and unlinks variants, and a variant's owner is
 * its primary's. A primary that comes back under its old nonce counts anew, so it may have some
 * more, and be told of some that it never counted when these go: it has 0 then for a while.
 */
#include "cache/private.h"

struct cache_object *cache_variant_primary(const struct cache *c, const struct cache_object *o)
{
    char room[CACHE_KEY_MAX];
    struct cache_name url;
    struct cache_vary v;
    uint64_t nonce;
    if (!cache_variant_key(cache_object_key(o, room), o->key_len, &url, &nonce))
        return NULL;
    struct cache_object *primary =
        cache_index_find(c, cache_hash(c, url.p, url.len), url.p, url.len);
    size_t len;
    const char *head = primary && primary->meta.varies ? cache_head(primary, &len) : NULL;
    return head && cache_vary_read(&v, head, len) && v.nonce == nonce ? primary : NULL;
}

void cache_variant_count(struct cache *c, const struct cache_object *o, int change)
{
    struct cache_object *primary = cache_variant_primary(c, o);
    if (primary && (change > 0 || primary->meta.variants))
        primary->meta.variants += (uint64_t)(int64_t)change;
}

uint64_t cache_siblings(const struct cache *c, const struct cache_object *o)
{
    if (o->meta.varies)
        return o->meta.variants;
    if (!object_is_variant(o))
        return 1;
    const struct cache_object *primary = cache_variant_primary(c, o);
    if (!primary)
        return 0;
    return primary->meta.variants ? primary->meta.variants : 1; /* this one */
}
