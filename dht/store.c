/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/store.h"

#include <emmintrin.h>
#include <stdlib.h>

#include "base/gcra.h"
#include "base/memory.h"

/* From so many bytes on entries are in large pages: else most reads wait for a page table, too.
 * Those of a small store stay untouched until they are needed: a simulation has a million. */
#define LARGE_BYTES (4u << 20)

static bool is_large(const struct dht_store *s)
{
    return (s->set_mask + 1) * sizeof(s->entry[0]) >= LARGE_BYTES;
}

struct dht_store *dht_store_create(struct dht_arena *arena, uint32_t keys)
{
    struct dht_store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->arena = arena;
    s->keys_max = keys ? keys : 1;
    uint64_t sets = 1;
    while (sets * STORE_WAYS < 2ull * s->keys_max)
        sets *= 2;
    s->set_mask = sets - 1;
    s->tag = memory_new(sets, sizeof(s->tag[0])); /* an entry is written before its tag is */
    s->entry = is_large(s) ? memory_new(sets, sizeof(s->entry[0]))
                           : aligned_alloc(64, sets * sizeof(s->entry[0]));
    if (!s->tag || !s->entry) {
        dht_store_destroy(s);
        return NULL;
    }
    return s;
}

void dht_store_share(struct dht_store *s, struct dht_store *const shard[DHT_SHARDS])
{
    s->shard = shard;
}

static void entry_clear(struct dht_store *s, struct store_entry *e);

void dht_store_destroy(struct dht_store *s)
{
    if (!s)
        return;
    for (uint64_t set = 0; s->tag && s->entry && set <= s->set_mask; set++)
        for (unsigned i = 0; i < STORE_WAYS; i++)
            if (s->tag[set][i])
                entry_clear(s, &s->entry[set][i]);
    memory_free(s->tag, s->set_mask + 1, sizeof(s->tag[0]));
    if (is_large(s))
        memory_free(s->entry, s->set_mask + 1, sizeof(s->entry[0]));
    else
        free(s->entry);
    free(s);
}

/* --- finding ---------------------------------------------------------------------------------- */

static_assert(STORE_WAYS == 8, "two registers of tags");

static uint32_t tag_of(uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    return tag ? tag : 1;
}

uint64_t store_prepare(const struct dht_store *s, const struct dht_id *key)
{
    uint64_t hash = hash64(&s->arena->secret, key->b, sizeof(key->b));
    __builtin_prefetch(s->tag[hash & s->set_mask]);
    return hash;
}

/* The ways of the key's set that have its tag, a bit each: one, and by chance more. The owner
 * writes tags meanwhile; each 32 bits of an aligned vector are whole, and more is not asked of
 * them. */
__attribute__((no_sanitize("thread"))) static unsigned tag_matches(const struct dht_store *s,
                                                                   uint64_t hash)
{
    const __m128i *tag = (const __m128i *)s->tag[hash & s->set_mask];
    __m128i want = _mm_set1_epi32((int)tag_of(hash));
    __m128i low = _mm_cmpeq_epi32(_mm_load_si128(tag), want);
    __m128i high = _mm_cmpeq_epi32(_mm_load_si128(tag + 1), want);
    __m128i ways = _mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128());
    return (unsigned)_mm_movemask_epi8(ways);
}

static struct store_entry *entry_at(const struct dht_store *s, uint64_t hash, unsigned way)
{
    return &s->entry[hash & s->set_mask][way];
}

const struct store_entry *store_touch(const struct dht_store *s, uint64_t hash)
{
    unsigned m = tag_matches(s, hash);
    if (!m)
        return NULL;
    const struct store_entry *e = entry_at(s, hash, (unsigned)__builtin_ctz(m));
    __builtin_prefetch(e);
    __builtin_prefetch(&e->key);
    return e;
}

void store_reach(const struct dht_store *s, const struct store_entry *e)
{
    const struct holder *at = s->arena->holders.at;
#pragma GCC unroll 4
    for (unsigned i = 0; i < DHT_VALUES; i++) /* HOLDER_NONE: a prefetch does not fault */
        __builtin_prefetch(&at[__atomic_load_n(&e->holder[i], __ATOMIC_RELAXED)]);
}

static uint32_t get32(const uint32_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static bool key_is(const struct store_entry *e, const struct dht_id *key)
{
    static_assert(offsetof(struct store_entry, key) % sizeof(uint64_t) == 0, "whole words");
    const uint64_t *word = (const uint64_t *)e->key.b;
    const uint32_t *rest = (const uint32_t *)(e->key.b + 16);
    uint64_t want[2];
    uint32_t last;
    memcpy(want, key->b, 16);
    memcpy(&last, key->b + 16, 4);
    return __atomic_load_n(&word[0], __ATOMIC_RELAXED) == want[0] &&
           __atomic_load_n(&word[1], __ATOMIC_RELAXED) == want[1] &&
           __atomic_load_n(rest, __ATOMIC_RELAXED) == last;
}

/* Not while the owner writes. False: it does, and too long. */
static bool version_get(const struct store_entry *e, uint32_t *version)
{
    for (unsigned i = 0; i < STORE_LOOKS; i++) {
        *version = __atomic_load_n(&e->version, __ATOMIC_ACQUIRE);
        if (!(*version & 1))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

bool store_look(const struct dht_store *s, const struct dht_id *key, uint64_t hash,
                struct store_look *look)
{
    unsigned m = tag_matches(s, hash);
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* what a tag names was written before it */
    for (look->at = NULL; m; m &= m - 1) {
        const struct store_entry *e = entry_at(s, hash, (unsigned)__builtin_ctz(m));
        uint32_t version;
        if (!version_get(e, &version))
            return false;
        if (!key_is(e, key)) /* nor a moment ago: an entry's key is not written over with itself */
            continue;
        *look = (struct store_look){e, version};
        return true;
    }
    return true;
}

bool store_look_at(const struct store_entry *e, const struct dht_id *key, struct store_look *look)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* as in store_look */
    *look = (struct store_look){e, __atomic_load_n(&e->version, __ATOMIC_ACQUIRE)};
    return !(look->version & 1) && key_is(e, key);
}

bool store_stands(const struct store_look *look)
{
    if (!look->at)
        return true;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&look->at->version, __ATOMIC_RELAXED) == look->version;
}

struct store_entry *store_find(struct dht_store *s, const struct dht_id *key, uint64_t hash)
{
    for (unsigned m = tag_matches(s, hash); m; m &= m - 1) {
        struct store_entry *e = entry_at(s, hash, (unsigned)__builtin_ctz(m));
        if (id_eq(&e->key, key))
            return e;
    }
    return NULL;
}

/* --- values ----------------------------------------------------------------------------------- */

struct store_scope store_scope(const struct dht_routes *routes, unsigned level, bool moved,
                               struct now now)
{
    struct store_scope scope = {.level = level, .ms = (uint32_t)(now.mono_us / 1000)};
    for (unsigned l = 0; l < DHT_LEVELS; l++)
        scope.epoch[l] = routes->level[l].epoch;
    if (moved)
        scope.epoch[level]--;
    return scope;
}

/* Of the i-th value: its holder, which it has. */
static struct holder *holder_of(const struct dht_store *s, const struct store_entry *e, unsigned i)
{
    return &s->arena->holders.at[e->holder[i]];
}

/* Until it expires, whether its holder lives or not. */
static uint32_t kept_ms(const struct store_entry *e, unsigned i, uint32_t ms)
{
    int32_t left = (int32_t)(e->expiry_ms[i] - ms);
    return e->holder[i] != HOLDER_NONE && left > 0 ? (uint32_t)left : 0;
}

static uint32_t remaining(const struct dht_store *s, const struct store_entry *e, unsigned i,
                          uint32_t ms)
{
    uint32_t left = kept_ms(e, i, ms);
    return left > 0 && !holder_is_dead(holder_of(s, e, i)) ? left : 0;
}

static bool is_seen(const struct store_entry *e, unsigned i, const struct store_scope *scope)
{
    return e->level[i] > scope->level ||
           (e->level[i] == scope->level && e->epoch[i] == scope->epoch[scope->level]);
}

static bool is_of(const struct dht_store *s, const struct store_entry *e, unsigned i,
                  const struct dht_id *node)
{
    return e->holder[i] != HOLDER_NONE && id_eq(&holder_of(s, e, i)->node, node);
}

/* The four values at once: those that have a holder, have not expired, and are of a higher level or
 * of this one's cluster. The owner may write meanwhile: each 32 bits are whole. */
static_assert(DHT_VALUES == 4, "a register of values");

__attribute__((no_sanitize("thread"))) static unsigned seen_mask(const struct store_entry *e,
                                                                 const struct store_scope *scope,
                                                                 uint32_t left_ms[DHT_VALUES])
{
    const __m128i *at = (const __m128i *)e->holder;
    uint32_t levels, epochs;
    memcpy(&levels, e->level, sizeof(levels));
    memcpy(&epochs, e->epoch, sizeof(epochs));
    __m128i left = _mm_sub_epi32(_mm_loadu_si128(at + 1), _mm_set1_epi32((int)scope->ms));
    __m128i level = _mm_cvtsi32_si128((int)levels), mine = _mm_set1_epi8((char)scope->level);
    __m128i epoch = _mm_cmpeq_epi8(_mm_cvtsi32_si128((int)epochs),
                                   _mm_set1_epi8((char)scope->epoch[scope->level]));
    __m128i seen = _mm_or_si128(_mm_cmpgt_epi8(level, mine),
                                _mm_and_si128(_mm_cmpeq_epi8(level, mine), epoch));
    __m128i none = _mm_cmpeq_epi32(_mm_loadu_si128(at), _mm_set1_epi32((int)HOLDER_NONE));
    __m128i live = _mm_andnot_si128(none, _mm_cmpgt_epi32(left, _mm_setzero_si128()));
    _mm_storeu_si128((__m128i *)left_ms, left);
    return (unsigned)(_mm_movemask_ps(_mm_castsi128_ps(live)) & _mm_movemask_epi8(seen));
}

/* The owner's clock may be a little before the reader's, whose turn began earlier. */
static uint32_t age_ms(const struct store_entry *e, unsigned i, uint32_t ms)
{
    int32_t age = (int32_t)(ms - get32(&e->first_ms[i]));
    return age > 0 ? (uint32_t)age : 0;
}

/* Node and address of a live holder that is not `but` to `to`, of which 40 bytes are written over.
 * Word by word both ways: a wider load of words just stored would wait for all of them. */
static inline bool holder_tell(const struct dht_store *s, uint32_t number, const struct dht_id *but,
                               void *to)
{
    uint64_t first;
    memcpy(&first, but->b, sizeof(first));
    if (number == HOLDER_NONE)
        return false;
    const struct holder *h = &s->arena->holders.at[number];
    if (holder_is_dead(h) || (holder_word(h, 0) == first && holder_is(h, but)))
        return false;
#pragma GCC unroll 5
    for (unsigned w = 0; w < HOLDER_WORDS; w++) {
        uint64_t word = holder_word(h, w);
        memcpy((uint8_t *)to + 8 * w, &word, sizeof(word));
    }
    return true;
}

static_assert(offsetof(struct dht_value, http) == DHT_ID_BYTES &&
                  offsetof(struct dht_value, ttl_ms) == 40,
              "begins as a holder does");

unsigned store_values(const struct dht_store *s, const struct store_entry *e,
                      const struct store_scope *scope, const struct dht_id *but,
                      struct dht_value out[static DHT_VALUES])
{
    uint32_t left_ms[DHT_VALUES];
    unsigned n = 0;
    for (unsigned m = e ? seen_mask(e, scope, left_ms) : 0; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        if (!holder_tell(s, get32(&e->holder[i]), but, &out[n]))
            continue;
        out[n].ttl_ms = left_ms[i];
        out[n++].age_ms = age_ms(e, i, scope->ms);
    }
    return n;
}

unsigned store_write(const struct dht_store *s, const struct store_entry *e,
                     const struct store_scope *scope, const struct dht_id *but,
                     uint8_t out[static DHT_VALUES * RPC_VALUE])
{
    uint32_t left_ms[DHT_VALUES];
    unsigned n = 0;
    for (unsigned m = seen_mask(e, scope, left_ms); m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);
        uint32_t number = get32(&e->holder[i]);
        if (!holder_tell(s, number, but, out))
            continue;
        rpc_write_value_rest(out, holder_port(&s->arena->holders.at[number]), left_ms[i],
                             age_ms(e, i, scope->ms));
        out += RPC_VALUE;
        n++;
    }
    return n;
}

struct store_state store_state(const struct dht_store *s, const struct store_entry *e,
                               const struct store_scope *scope, const struct dht_id *node,
                               uint32_t ttl_ms)
{
    struct store_state st = {0};
    uint32_t least = UINT32_MAX;
    bool own = false;
    for (unsigned i = 0; e && i < DHT_VALUES; i++) {
        uint32_t ttl = remaining(s, e, i, scope->ms);
        if (ttl == 0 || !is_seen(e, i, scope))
            continue;
        st.held++;
        least = ttl < least ? ttl : least;
        own |= is_of(s, e, i, node);
    }
    if (st.held == DHT_VALUES) {
        st.least_ms = least;
        st.full = !own && least >= ttl_ms / 2;
    }
    return st;
}

/* The leak: one walk each 60 s / beta, bursts of up to beta. */
bool store_walk(const struct dht_store *s, struct store_entry *e, const struct store_scope *scope)
{
    uint32_t each = s->arena->walk_each_ms, others = s->arena->config.beta - 1;
    return !gcra_pass(&e->leak_ms[scope->level], scope->ms, each, others * each);
}

/* How long until the last of an entry's values expires; 0: all have. */
static uint32_t entry_remaining(const struct dht_store *s, const struct store_entry *e, uint32_t ms)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < DHT_VALUES; i++)
        if (remaining(s, e, i, ms) > most)
            most = remaining(s, e, i, ms);
    return most;
}

/* --- writing: what others may read meanwhile -------------------------------------------------- */

static void put32(uint32_t *to, uint32_t v)
{
    __atomic_store_n(to, v, __ATOMIC_RELAXED);
}

static void put8(uint8_t *to, uint8_t v)
{
    __atomic_store_n(to, v, __ATOMIC_RELAXED);
}

/* Between these two every write to an entry, and to holders that it gives up. A new one's version
 * is whatever was in its memory, and is never set back: a slow reader would take it for the old
 * one. */
static void entry_open(struct store_entry *e)
{
    put32(&e->version, e->version | 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void entry_close(struct store_entry *e)
{
    __atomic_store_n(&e->version, e->version + 1, __ATOMIC_RELEASE);
}

static void value_clear(struct dht_store *s, struct store_entry *e, unsigned i)
{
    if (e->holder[i] == HOLDER_NONE)
        return;
    s->arena->prefix_count[holder_of(s, e, i)->prefix]--;
    holders_drop(&s->arena->holders, e->holder[i]);
    put32(&e->holder[i], HOLDER_NONE);
}

static void entry_clear(struct dht_store *s, struct store_entry *e)
{
    entry_open(e);
    for (unsigned i = 0; i < DHT_VALUES; i++)
        value_clear(s, e, i);
    entry_close(e);
}

static void entry_start(struct store_entry *e, const struct dht_id *key, uint32_t ms)
{
    uint32_t word[DHT_ID_BYTES / 4];
    memcpy(word, key->b, sizeof(word));
    entry_open(e);
    for (unsigned i = 0; i < DHT_ID_BYTES / 4; i++)
        put32((uint32_t *)e->key.b + i, word[i]);
    for (unsigned i = 0; i < DHT_VALUES; i++)
        put32(&e->holder[i], HOLDER_NONE);
    for (unsigned l = 0; l < DHT_LEVELS; l++)
        e->leak_ms[l] = ms;
    entry_close(e);
}

/* A place for a new key, NULL when nothing in its set may go. */
static struct store_entry *entry_new(struct dht_store *s, const struct dht_id *key, uint64_t hash,
                                     uint32_t ttl_ms, uint32_t ms)
{
    uint32_t *tag = s->tag[hash & s->set_mask];
    uint32_t first = UINT32_MAX;
    unsigned at = STORE_WAYS;
    for (unsigned i = 0; i < STORE_WAYS; i++) {
        bool free_slot = tag[i] == 0;
        if (free_slot && s->keys >= s->keys_max)
            continue;
        uint32_t left = free_slot ? 0 : entry_remaining(s, entry_at(s, hash, i), ms);
        if (left < first) {
            first = left;
            at = i;
        }
        if (free_slot)
            break;
    }
    if (at == STORE_WAYS || (first > 0 && first >= ttl_ms / 2))
        return NULL;
    struct store_entry *e = entry_at(s, hash, at);
    if (tag[at] == 0)
        s->keys++;
    else
        entry_clear(s, e);
    entry_start(e, key, ms);
    __atomic_store_n(&tag[at], tag_of(hash), __ATOMIC_RELEASE);
    return e;
}

/* Which value to write: the node's own; else a free or expired one; else one that is not seen where
 * this will be; else the one with the least ttl to go, if that is less than half of the new one's.
 * DHT_VALUES: none. */
static unsigned entry_place(struct dht_store *s, const struct store_entry *e,
                            const struct store_scope *scope, const struct dht_id *node,
                            uint32_t ttl_ms)
{
    unsigned least = DHT_VALUES;
    uint32_t least_ms = UINT32_MAX;
    for (unsigned i = 0; i < DHT_VALUES; i++) {
        if (is_of(s, e, i, node))
            return i;
        uint32_t ms = remaining(s, e, i, scope->ms);
        if (ms > 1 && !is_seen(e, i, scope)) /* after the free ones, before all others */
            ms = 1;
        if (ms < least_ms) {
            least_ms = ms;
            least = i;
        }
    }
    return least_ms <= 1 || least_ms < ttl_ms / 2 ? least : DHT_VALUES;
}

static bool is_within(uint32_t count, uint32_t limit)
{
    return limit == 0 || count < limit;
}

/* Has neither the source nor its network too many values for one more? */
static bool may_hold(const struct dht_store *s, const struct dht_id *node,
                     const struct endpoint *http)
{
    const struct dht_arena *a = s->arena;
    uint32_t known = holders_find(&a->holders, node, http);
    uint32_t values = known == HOLDER_NONE ? 0 : a->holders.at[known].values;
    if (known == HOLDER_NONE && holders_full(&a->holders))
        return false;
    return is_within(a->prefix_count[arena_prefix(a, &http->ip)], a->prefix_max) &&
           is_within(values, a->source_max);
}

/* A new value in a place; an expired one there counts no more, it may be the same source's. */
static bool value_set(struct dht_store *s, struct store_entry *e, unsigned i,
                      const struct dht_id *node, const struct endpoint *http, uint32_t ms)
{
    struct dht_arena *a = s->arena;
    if (remaining(s, e, i, ms) == 0)
        value_clear(s, e, i);
    if (!may_hold(s, node, http))
        return false;
    uint32_t holder = holders_take(&a->holders, node, http);
    if (holder == HOLDER_NONE)
        return false;
    value_clear(s, e, i);
    uint16_t prefix = arena_prefix(a, &http->ip);
    a->holders.at[holder].prefix = prefix;
    a->prefix_count[prefix]++;
    put32(&e->holder[i], holder);
    put32(&e->expiry_ms[i], ms);
    put32(&e->first_ms[i], ms);
    return true;
}

enum store_end store_put(struct dht_store *s, const struct dht_id *key, uint64_t hash,
                         const struct store_scope *scope, const struct dht_id *node,
                         const struct endpoint *http, uint32_t ttl_ms)
{
    struct store_entry *e = store_find(s, key, hash);
    if (!e && !may_hold(s, node, http)) /* before another key goes for it */
        return STORE_TOO_MANY;
    if (!e)
        e = entry_new(s, key, hash, ttl_ms, scope->ms);
    if (!e)
        return STORE_FULL;
    unsigned i = entry_place(s, e, scope, node, ttl_ms);
    if (i == DHT_VALUES)
        return STORE_FULL;
    bool extends = is_of(s, e, i, node) && remaining(s, e, i, scope->ms) > 0 &&
                   endpoint_eq(&holder_of(s, e, i)->http, http);
    entry_open(e);
    bool fits = extends || value_set(s, e, i, node, http, scope->ms);
    if (fits) {
        unsigned level = e->level[i];
        if (!extends || level <= scope->level || e->epoch[i] != scope->epoch[level]) {
            put8(&e->level[i], (uint8_t)scope->level);
            put8(&e->epoch[i], scope->epoch[scope->level]);
        }
        if ((int32_t)(scope->ms + ttl_ms - e->expiry_ms[i]) > 0) /* a late STORE shortens nothing */
            put32(&e->expiry_ms[i], scope->ms + ttl_ms);
    }
    entry_close(e);
    return fits ? STORE_DONE : STORE_TOO_MANY;
}

bool store_remove(struct dht_store *s, struct store_entry *e, const struct dht_id *node)
{
    for (unsigned i = 0; e && i < DHT_VALUES; i++) {
        if (is_of(s, e, i, node)) {
            entry_open(e);
            value_clear(s, e, i);
            entry_close(e);
            return true;
        }
    }
    return false;
}

bool store_suspect(struct dht_store *s, const struct store_entry *e, const struct dht_id *node,
                   uint32_t ms, struct endpoint *http)
{
    uint8_t second = (uint8_t)(ms / 1000 % 255 + 1);
    for (unsigned i = 0; e && i < DHT_VALUES; i++) {
        if (remaining(s, e, i, ms) == 0 || !is_of(s, e, i, node))
            continue;
        struct holder *h = holder_of(s, e, i);
        if (h->told_s == second)
            return false;
        h->told_s = second;
        *http = h->http;
        return true;
    }
    return false;
}

static bool is_over(const struct store_entry *e, uint32_t ms)
{
    for (unsigned i = 0; i < DHT_VALUES; i++)
        if (kept_ms(e, i, ms) > 0)
            return false;
    return true;
}

void store_sweep(struct dht_store *s, struct now now)
{
    uint64_t set = s->sweep++ & s->set_mask;
    for (unsigned i = 0; i < STORE_WAYS; i++) {
        if (s->tag[set][i] != 0 && is_over(&s->entry[set][i], (uint32_t)(now.mono_us / 1000))) {
            entry_clear(s, &s->entry[set][i]);
            put32(&s->tag[set][i], 0);
            s->keys--;
        }
    }
}

void dht_store_poll(struct dht_store *s, struct now now)
{
    uint64_t ms = now.mono_us / 1000;
    if (ms == s->swept_ms)
        return;
    s->swept_ms = ms;
    store_sweep(s, now);
}
