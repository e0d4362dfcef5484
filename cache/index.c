/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index. A slot is one 64-bit word: the owner release-stores it, readers acquire-load it.
 * What it points to is whole before it is stored and is not reused before every reader has been
 * quiescent, and no entry ever moves, so a reader needs no version and never retries: it sees the
 * old object, the new one, or none. Chains grow at their end, and give up overflow buckets that are
 * empty (overflow.c). Orders: cache/barriers.h.
 */
#include <string.h>

#include <emmintrin.h>

#include "cache/private.h"

/* Bits of hash.hi: 63..58 shard, 55..40 tag, the low ones bucket. No tag is 0, which is an empty
 * slot's. */
static uint16_t hash_tag(struct hash128 h)
{
    uint16_t tag = (uint16_t)(h.hi >> 40);
    return tag ? tag : 1;
}

static struct bucket *hash_bucket(const struct cache *c, struct hash128 h)
{
    const struct shard *s = &c->shard[cache_shard(h)];
    return &s->bucket[h.hi & s->mask];
}

static struct bucket *bucket_next(const struct shard *s, const struct bucket *b)
{
    uint64_t link = __atomic_load_n(&b->link, CACHE_LINK_LOAD);
    return link ? &s->overflow[link - 1] : NULL;
}

static uint64_t slot_load(const struct bucket *b, unsigned i)
{
    return __atomic_load_n(&b->slot[i], CACHE_SLOT_LOAD);
}

static void slot_store(struct bucket *b, unsigned i, uint64_t value)
{
    __atomic_store_n(&b->slot[i], value, CACHE_SLOT_STORE);
}

static uint64_t slot_of(const struct cache *c, struct hash128 h, const struct cache_object *o)
{
    return (uint64_t)hash_tag(h) << 48 | object_ref(c, o);
}

/* Of a key of that length: the bytes that stand beside the header, and those beyond. */
static bool key_equal(const struct cache_object *o, const char *first, const char *beyond,
                      size_t len)
{
    size_t rest = key_rest(len);
    return o->key_len == len && memcmp(o->key, first, len - rest) == 0 &&
           (rest == 0 || memcmp(o->block, beyond, rest) == 0);
}

static bool is_under(const struct cache_object *o, const char *key, size_t len)
{
    return key_equal(o, key, key + len - key_rest(len), len);
}

struct cache_object *cache_index_find(const struct cache *c, struct hash128 h, const void *key,
                                      size_t key_len)
{
    const struct shard *s = &c->shard[cache_shard(h)];
    for (const struct bucket *b = hash_bucket(c, h); b; b = bucket_next(s, b)) {
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            uint64_t slot = slot_load(b, i);
            if (SLOT_TAG(slot) != hash_tag(h))
                continue;
            struct cache_object *o = object_at(c, SLOT_REF(slot));
            if (is_under(o, key, key_len))
                return o;
        }
    }
    return NULL;
}

void cache_index_prefetch(const struct cache *c, struct hash128 h)
{
    __builtin_prefetch(hash_bucket(c, h));
}

/* --- owner ------------------------------------------------------------------------------------ */

/* Where the key stands; else the first empty slot of the chain; else nothing (bucket NULL). */
struct place {
    struct bucket *bucket, *last; /* last of the chain */
    unsigned slot;
    struct cache_object *there;
};

static struct place place_find(const struct cache *c, struct hash128 h,
                               const struct cache_object *o)
{
    const struct shard *s = &c->shard[cache_shard(h)];
    struct place p = {0};
    for (struct bucket *b = hash_bucket(c, h); b; b = bucket_next(s, b)) {
        p.last = b;
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            uint64_t slot = b->slot[i];
            if (slot == 0) {
                if (!p.bucket)
                    p.bucket = b, p.slot = i;
                continue;
            }
            struct cache_object *there = object_at(c, SLOT_REF(slot));
            if (SLOT_TAG(slot) == hash_tag(h) && key_equal(there, o->key, o->block, o->key_len))
                return (struct place){b, b, i, there};
        }
    }
    return p;
}

/* The least used object of the chain's first bucket. */
static struct cache_object *victim_find(const struct cache *c, struct hash128 h)
{
    const struct bucket *b = hash_bucket(c, h);
    struct cache_object *best = NULL;
    unsigned best_uses = 0;
    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        struct cache_object *o = object_at(c, SLOT_REF(b->slot[i]));
        unsigned uses = __atomic_load_n(&o->uses, __ATOMIC_RELAXED) & USES;
        if (object_state(o) == CACHE_FILLING)
            uses = 4; /* somebody waits for it: last choice */
        if (!best || uses < best_uses)
            best = o, best_uses = uses;
    }
    return best;
}

struct cache_object *cache_index_put(struct cache *c, struct hash128 h, struct cache_object *o,
                                     bool *full)
{
    struct shard *s = &c->shard[cache_shard(h)];
    struct place p = place_find(c, h, o);
    *full = false;
    if (p.bucket) {
        slot_store(p.bucket, p.slot, slot_of(c, h, o));
        return p.there;
    }
    uint32_t more = cache_overflow_take(object_worker(c, o), s);
    if (!more) {
        *full = true;
        return victim_find(c, h);
    }
    slot_store(&s->overflow[more - 1], 0, slot_of(c, h, o));
    __atomic_store_n(&p.last->link, (uint64_t)more, CACHE_LINK_STORE);
    return NULL;
}

static bool is_empty(const struct bucket *b)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < BUCKET_SLOTS; i++)
        any |= b->slot[i];
    return any == 0;
}

bool cache_index_remove(struct cache *c, struct hash128 h, const struct cache_object *o)
{
    struct shard *s = &c->shard[cache_shard(h)];
    uint64_t want = slot_of(c, h, o);
    struct bucket *before = NULL;
    for (struct bucket *b = hash_bucket(c, h); b; before = b, b = bucket_next(s, b)) {
        for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
            if (b->slot[i] != want)
                continue;
            slot_store(b, i, 0);
            if (before && is_empty(b))
                cache_overflow_leave(c, object_worker(c, o), s, before, b);
            return true;
        }
    }
    return false;
}

const struct cache_object *cache_lookup_owner(struct cache *c, struct hash128 hash, const void *key,
                                              size_t key_len)
{
    struct cache_object *o = cache_index_find(c, hash, key, key_len);
    return o && purge_older(object_born(o), purge_newest(c)) ? cache_purge_apply(c, o) : o;
}

/* --- readers: a burst in three stages, each stage's misses overlapping ------------------------ */

void cache_prepare(const struct cache *c, struct cache_probe *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        p[i].hash = cache_hash(c, p[i].key, p[i].key_len);
        p[i].bucket = hash_bucket(c, p[i].hash);
        p[i].candidate = p[i].found = NULL;
        __builtin_prefetch(p[i].bucket);
    }
}

/* Which slots of a bucket have the tag, a bit each, without a jump: the slot that fits is any, so a
 * jump would be guessed wrong once a lookup. */
static unsigned pair_match(const struct bucket *b, unsigned i, __m128i tag)
{
    __m128i pair = _mm_set_epi64x((int64_t)(i + 1 < BUCKET_SLOTS ? slot_load(b, i + 1) : 0),
                                  (int64_t)slot_load(b, i));
    /* the upper bit of each half is that of its tag's comparison */
    return (unsigned)_mm_movemask_pd(_mm_castsi128_pd(_mm_cmpeq_epi16(pair, tag))) << i;
}

static unsigned bucket_match(const struct bucket *b, uint16_t tag)
{
    __m128i tags = _mm_set1_epi16((int16_t)tag);
    return pair_match(b, 0, tags) | pair_match(b, 2, tags) | pair_match(b, 4, tags) |
           pair_match(b, 6, tags);
}

/* The candidate is the first slot of the first bucket whose tag fits: right but for one probe in
 * some thousands, which cache_act looks up anew. */
void cache_touch(const struct cache *c, struct cache_probe *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct bucket *b = p[i].bucket;
        unsigned match = bucket_match(b, hash_tag(p[i].hash));
        /* a slot may have been emptied since: then the next that fits */
        for (; match && !p[i].candidate; match &= match - 1)
            p[i].candidate = object_at(c, SLOT_REF(slot_load(b, (unsigned)__builtin_ctz(match))));
        object_prefetch(p[i].candidate);
    }
}

/* S3-FIFO's counter: after three hits a hot object's line is never written again. */
static void object_use(struct cache_object *o)
{
    uint8_t uses = __atomic_load_n(&o->uses, __ATOMIC_RELAXED);
    if ((uses & USES) < USES)
        __atomic_store_n(&o->uses, (uint8_t)(uses + 1), __ATOMIC_RELAXED);
}

void cache_act(const struct cache *c, struct cache_probe *p, unsigned n)
{
    uint32_t newest = purge_newest(c);
    for (unsigned i = 0; i < n; i++) {
        const struct cache_object *o = p[i].candidate;
        if (o && p[i].key_len > OBJECT_KEY)
            __builtin_prefetch(o->block);
    }
    for (unsigned i = 0; i < n; i++) {
        struct cache_object *o = (struct cache_object *)(uintptr_t)p[i].candidate;
        const struct bucket *b = p[i].bucket;
        if (o ? !is_under(o, p[i].key, p[i].key_len)
              : __atomic_load_n(&b->link, CACHE_LINK_LOAD) != 0)
            o = cache_index_find(c, p[i].hash, p[i].key, p[i].key_len);
        if (o && purge_older(object_born(o), newest) && cache_object_purged(c, o))
            o = NULL;
        if (o)
            object_use(o);
        p[i].found = o;
    }
}
