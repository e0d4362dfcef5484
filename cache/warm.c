/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is worth being kept over a restart: a walk over the index, one class of heat at a time.
 *
 * Not along eviction's queues: those change under a walk that lasts minutes, and a place in them
 * would have to be held by an object. A bucket stays where it is. That costs a look at every object
 * for each class, in steps that the caller sizes.
 *
 * Of a variant (cache/vary.h) the primary is shown before it, again and again: so that one comes
 * back first, under the nonce that it had, and is counted. It costs some 250 bytes a variant.
 * Slices are kept as other variants, under the version that their primary names; orphans are not.
 */
#include "cache/private.h"

static unsigned heat_class(unsigned heat)
{
    return heat / 4 * 2 + (heat % 4 != 0);
}

/* Bucket `i` of a shard, those that overflowed behind the others; NULL: there are no more. */
static const struct bucket *shard_bucket(const struct shard *s, uint32_t i)
{
    if (i <= s->mask)
        return &s->bucket[i];
    i -= s->mask + 1;
    return i < s->overflow_used ? &s->overflow[i] : NULL;
}

static const struct bucket *walk_next(const struct cache *c, unsigned worker, struct cache_walk *at)
{
    for (; at->shard < CACHE_SHARDS; at->shard++, at->bucket = 0) {
        const struct bucket *b =
            c->owner[at->shard] == worker ? shard_bucket(&c->shard[at->shard], at->bucket) : NULL;
        if (b) {
            at->bucket++;
            return b;
        }
    }
    at->over = true;
    return NULL;
}

static bool is_purged(const struct cache *c, const struct cache_object *o)
{
    return purge_older(object_born(o), purge_newest(c)) && cache_object_purged(c, o);
}

unsigned cache_walk(const struct cache *c, unsigned worker, struct cache_walk *at, unsigned heat,
                    unsigned buckets, const struct cache_object **out, unsigned room)
{
    unsigned n = 0;
    assert(room >= CACHE_WALK_ROOM); /* else it would come to no end */
    static_assert(CACHE_WALK_ROOM == 2 * BUCKET_SLOTS, "a bucket fits");
    for (; buckets && room - n >= CACHE_WALK_ROOM; buckets--) {
        const struct bucket *b = walk_next(c, worker, at);
        if (!b)
            break;
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            uint64_t slot = b->slot[i]; /* one without a tag is empty, or a free bucket's own */
            const struct cache_object *o = SLOT_TAG(slot) ? object_at(c, SLOT_REF(slot)) : NULL;
            if (!o || object_state(o) != CACHE_COMPLETE || heat_class(cache_heat(o)) != heat ||
                o->meta.varies || is_purged(c, o))
                continue;
            if (object_is_variant(o)) {
                const struct cache_object *primary = cache_variant_primary(c, o);
                if (!primary || is_purged(c, primary))
                    continue;
                out[n++] = primary;
            }
            out[n++] = o;
        }
    }
    return n;
}

struct cache_meta cache_meta_saved(const struct cache_object *o)
{
    const struct cache_meta *m = &o->meta;
    if (!m->varies)
        return *m;
    return (struct cache_meta){
        .varies = true, .response_s = m->response_s, .lifetime_s = m->lifetime_s};
}

const char *cache_key(const struct cache_object *o, char room[static CACHE_KEY_MAX], size_t *len)
{
    *len = o->key_len;
    return cache_object_key(o, room);
}
