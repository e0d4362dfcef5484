/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is of no more use goes first, found without a scan.
 *
 *   lasts for  0 1 .. 7 s | 8 9 .. 15 | 16-17 .. 30-31 | ... | .. 136 years  (8 buckets an octave)
 *                                           |
 *                                oldest <-> ... <-> newest
 *
 * A stale object is not a useless one: it may be sent while it is revalidated and when the origin
 * fails, and a 304 makes it fresh again. So an object is due when it may be sent no longer, and a
 * day after that if it has a validator; an answer that is an error (404, 410, ...) is due when it
 * is stale, as another one costs next to nothing.
 *
 * Objects that last as long as each other fall due in the order in which they came (Segcache's TTL
 * buckets, Yang et al., NSDI 2021). So a bucket is a list to which the newest is added, and only
 * its oldest is looked at: one behind it may be due for an eighth of its time before it is seen
 * (longer, if it is of an earlier run: those come in another order). A bucket knows a time before
 * which its oldest is not due, and the table one before which none is, so that an eviction costs a
 * comparison while nothing is due; else at most EXPIRY_BUCKETS looks, once a second but for those
 * that find something. The short-lived are found first.
 *
 * Each object has its links from the start, so the lists are never full. They
 * hold what stands in an eviction queue, and are the owner's alone, as those are.
 */
#include "cache/freshness.h"
#include "cache/private.h"

#define VALIDATOR_S 86400

/* How old it may become before it is of no more use. */
static int64_t lasts_s(const struct cache_meta *m)
{
    if (m->status >= 400)
        return m->lifetime_s;
    return (int64_t)cache_usable_s(m) + (m->has_validator ? VALIDATOR_S : 0);
}

/* For how long from when it came. */
static int64_t stays_s(const struct cache_meta *m)
{
    return lasts_s(m) - m->initial_age_s;
}

/* By what is fixed, so that it is found again, and not by what was left when it was filed. */
static unsigned bucket_of(int64_t stays)
{
    uint32_t t = stays < 0 ? 0 : stays > UINT32_MAX ? UINT32_MAX : (uint32_t)stays;
    if (t < 8)
        return t;
    unsigned octave = 31 - (unsigned)__builtin_clz(t);
    return (octave - 2) * 8 + (t >> (octave - 3) & 7);
}
static_assert(EXPIRY_BUCKETS == (31 - 2) * 8 + 8, "all of 32 bits");

void cache_expiry_add(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    struct expiry *e = &w->expiry;
    int64_t stays = stays_s(&o->meta), due = o->meta.response_s + stays;
    unsigned i = bucket_of(stays);
    struct expiry_bucket *b = &e->bucket[i];
    uint32_t ref = object_ref(c, o);
    o->older = b->newest;
    o->newer = 0;
    if (b->newest) {
        object_at(c, b->newest)->newer = ref;
    } else {
        b->oldest = ref;
        b->due_s = due;
        e->some[i / 64] |= 1ull << i % 64;
        if (due < e->due_s)
            e->due_s = due;
    }
    b->newest = ref;
}

void cache_expiry_remove(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    struct expiry *e = &w->expiry;
    unsigned i = bucket_of(stays_s(&o->meta));
    struct expiry_bucket *b = &e->bucket[i];
    if (o->older)
        object_at(c, o->older)->newer = o->newer;
    else
        b->oldest = o->newer;
    if (o->newer)
        object_at(c, o->newer)->older = o->older;
    else
        b->newest = o->older;
    if (!b->newest)
        e->some[i / 64] &= ~(1ull << i % 64);
}

/* The oldest of a bucket, if it is due. */
static struct cache_object *bucket_due(const struct cache *c, struct expiry_bucket *b,
                                       int64_t wall_s)
{
    if (b->due_s > wall_s)
        return NULL;
    struct cache_object *o = object_at(c, b->oldest);
    int64_t due_s = o->meta.response_s + stays_s(&o->meta);
    if (due_s <= wall_s)
        return o;
    b->due_s = due_s;
    return NULL;
}

struct cache_object *cache_expiry_due(struct cache *c, struct cache_worker *w)
{
    struct expiry *e = &w->expiry;
    if (w->wall_s < e->due_s)
        return NULL;
    int64_t next = INT64_MAX;
    for (unsigned word = 0; word < sizeof(e->some) / sizeof(e->some[0]); word++) {
        for (uint64_t bits = e->some[word]; bits; bits &= bits - 1) {
            struct expiry_bucket *b = &e->bucket[word * 64 + (unsigned)__builtin_ctzll(bits)];
            struct cache_object *o = bucket_due(c, b, w->wall_s);
            if (o)
                return o;
            if (b->due_s < next)
                next = b->due_s;
        }
    }
    e->due_s = next;
    return NULL;
}
