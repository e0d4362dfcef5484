/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/store.h"

#include <emmintrin.h>
#include <stdlib.h>

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

/* --- finding -----------------------------------------------------------------------------------
 */

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

/* The ways of the key's set that have its tag, a bit each: one, and by chance more. */
static unsigned tag_matches(const struct dht_store *s, uint64_t hash)
{
    const __m128i *tag = (const __m128i *)s->tag[hash & s->set_mask];
    __m128i want = _mm_set1_epi32((int)tag_of(hash));
    __m128i low = _mm_cmpeq_epi32(_mm_load_si128(tag), want);
    __m128i high = _mm_cmpeq_epi32(_mm_load_si128(tag + 1), want);
    __m128i ways = _mm_packs_epi16(_mm_packs_epi32(low, high), _mm_setzero_si128());
    return (unsigned)_mm_movemask_epi8(ways);
}

void store_touch(const struct dht_store *s, uint64_t hash)
{
    for (unsigned m = tag_matches(s, hash); m; m &= m - 1) {
        const struct store_entry *e = &s->entry[hash & s->set_mask][__builtin_ctz(m)];
        __builtin_prefetch(e);
        __builtin_prefetch(&e->value[DHT_VALUES - 1]);
    }
}

void store_reach(const struct dht_store *s, uint64_t hash)
{
    for (unsigned m = tag_matches(s, hash); m; m &= m - 1) {
        const struct store_entry *e = &s->entry[hash & s->set_mask][__builtin_ctz(m)];
        for (unsigned j = 0; j < DHT_VALUES; j++)
            if (e->value[j].holder != HOLDER_NONE)
                __builtin_prefetch(&s->arena->holders.at[e->value[j].holder]);
    }
}

struct store_entry *store_find(struct dht_store *s, const struct dht_id *key, uint64_t hash)
{
    for (unsigned m = tag_matches(s, hash); m; m &= m - 1) {
        struct store_entry *e = &s->entry[hash & s->set_mask][__builtin_ctz(m)];
        if (id_eq(&e->key, key))
            return e;
    }
    return NULL;
}

/* --- values ------------------------------------------------------------------------------------
 */

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

/* Until it expires, whether its holder lives or not. */
static uint32_t kept_ms(const struct store_value *v, uint32_t ms)
{
    int32_t left = (int32_t)(v->expiry_ms - ms);
    return v->holder != HOLDER_NONE && left > 0 ? (uint32_t)left : 0;
}

static uint32_t remaining(const struct dht_store *s, const struct store_value *v, uint32_t ms)
{
    uint32_t left = kept_ms(v, ms);
    return left > 0 && !s->arena->holders.at[v->holder].dead ? left : 0;
}

static bool is_seen(const struct store_value *v, const struct store_scope *scope)
{
    return v->level > scope->level ||
           (v->level == scope->level && v->epoch == scope->epoch[v->level]);
}

static bool is_of(const struct dht_store *s, const struct store_value *v, const struct dht_id *node)
{
    return v->holder != HOLDER_NONE && id_eq(&s->arena->holders.at[v->holder].node, node);
}

static void value_clear(struct dht_store *s, struct store_value *v)
{
    if (v->holder == HOLDER_NONE)
        return;
    s->arena->prefix_count[v->prefix]--;
    holders_drop(&s->arena->holders, v->holder);
    v->holder = HOLDER_NONE;
}

static void entry_clear(struct dht_store *s, struct store_entry *e)
{
    for (unsigned i = 0; i < DHT_VALUES; i++)
        value_clear(s, &e->value[i]);
}

unsigned store_values(const struct dht_store *s, const struct store_entry *e,
                      const struct store_scope *scope, const struct dht_id *but,
                      struct dht_value out[static DHT_VALUES])
{
    unsigned n = 0;
    for (unsigned i = 0; e && i < DHT_VALUES; i++) {
        const struct store_value *v = &e->value[i];
        uint32_t ttl = remaining(s, v, scope->ms);
        if (ttl == 0 || !is_seen(v, scope) || (but && is_of(s, v, but)))
            continue;
        const struct holder *h = &s->arena->holders.at[v->holder];
        struct dht_value *to = &out[n++];
        to->node = h->node;
        to->http = h->http;
        to->ttl_ms = ttl;
        to->age_ms = scope->ms - v->first_ms;
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
        uint32_t ttl = remaining(s, &e->value[i], scope->ms);
        if (ttl == 0 || !is_seen(&e->value[i], scope))
            continue;
        st.held++;
        least = ttl < least ? ttl : least;
        own |= is_of(s, &e->value[i], node);
    }
    if (st.held == DHT_VALUES) {
        st.least_ms = least;
        st.full = !own && least >= ttl_ms / 2;
    }
    return st;
}

/* The leak, as a generic cell rate algorithm (ITU-T I.371): one walk each 60 s / beta, bursts of
 * up to beta. */
bool store_walk(const struct dht_store *s, struct store_entry *e, const struct store_scope *scope)
{
    uint32_t *leak = &e->leak_ms[scope->level];
    uint32_t beta = s->arena->config.beta, each = s->arena->walk_each_ms;
    int32_t ahead = (int32_t)(*leak - scope->ms);
    if (ahead < 0 || ahead > 60000 + (int32_t)each) /* long ago, also where 32 bits wrapped */
        ahead = 0;
    if (ahead > (int32_t)((beta - 1) * each))
        return true;
    *leak = scope->ms + (uint32_t)ahead + each;
    return false;
}

/* How long until the last of an entry's values expires; 0: all have. */
static uint32_t entry_remaining(const struct dht_store *s, const struct store_entry *e, uint32_t ms)
{
    uint32_t most = 0;
    for (unsigned i = 0; i < DHT_VALUES; i++)
        if (remaining(s, &e->value[i], ms) > most)
            most = remaining(s, &e->value[i], ms);
    return most;
}

/* A place for a new key, NULL when nothing in its set may go. */
static struct store_entry *entry_new(struct dht_store *s, const struct dht_id *key, uint64_t hash,
                                     uint32_t ttl_ms, uint32_t ms)
{
    uint64_t set = hash & s->set_mask;
    uint32_t first = UINT32_MAX;
    unsigned at = STORE_WAYS;
    for (unsigned i = 0; i < STORE_WAYS; i++) {
        bool free_slot = s->tag[set][i] == 0;
        if (free_slot && s->keys >= s->keys_max)
            continue;
        uint32_t left = free_slot ? 0 : entry_remaining(s, &s->entry[set][i], ms);
        if (left < first) {
            first = left;
            at = i;
        }
        if (free_slot)
            break;
    }
    if (at == STORE_WAYS || (first > 0 && first >= ttl_ms / 2))
        return NULL;
    struct store_entry *e = &s->entry[set][at];
    if (s->tag[set][at] == 0)
        s->keys++;
    else
        entry_clear(s, e);
    s->tag[set][at] = tag_of(hash);
    e->key = *key;
    for (unsigned l = 0; l < DHT_LEVELS; l++)
        e->leak_ms[l] = ms;
    for (unsigned i = 0; i < DHT_VALUES; i++)
        e->value[i].holder = HOLDER_NONE;
    return e;
}

/* The value to write: the node's own; else a free or expired one; else one that is not seen where
 * this will be; else the one with the least ttl to go, if that is less than half of the new one's.
 */
static struct store_value *entry_place(struct dht_store *s, struct store_entry *e,
                                       const struct store_scope *scope, const struct dht_id *node,
                                       uint32_t ttl_ms)
{
    struct store_value *least = NULL;
    uint32_t least_ms = UINT32_MAX;
    for (unsigned i = 0; i < DHT_VALUES; i++) {
        struct store_value *v = &e->value[i];
        if (is_of(s, v, node))
            return v;
        uint32_t ms = remaining(s, v, scope->ms);
        if (ms > 1 && !is_seen(v, scope)) /* after the free ones, before all others */
            ms = 1;
        if (ms < least_ms) {
            least_ms = ms;
            least = v;
        }
    }
    return least_ms <= 1 || least_ms < ttl_ms / 2 ? least : NULL;
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
static bool value_set(struct dht_store *s, struct store_value *v, const struct dht_id *node,
                      const struct endpoint *http, uint32_t ms)
{
    struct dht_arena *a = s->arena;
    if (remaining(s, v, ms) == 0)
        value_clear(s, v);
    if (!may_hold(s, node, http))
        return false;
    uint16_t prefix = arena_prefix(a, &http->ip);
    uint32_t holder = holders_take(&a->holders, node, http);
    if (holder == HOLDER_NONE)
        return false;
    value_clear(s, v);
    a->prefix_count[prefix]++;
    *v = (struct store_value){.holder = holder, .expiry_ms = ms, .first_ms = ms, .prefix = prefix};
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
    struct store_value *v = entry_place(s, e, scope, node, ttl_ms);
    if (!v)
        return STORE_FULL;
    bool extends = is_of(s, v, node) && remaining(s, v, scope->ms) > 0 &&
                   endpoint_eq(&s->arena->holders.at[v->holder].http, http);
    if (!extends && !value_set(s, v, node, http, scope->ms))
        return STORE_TOO_MANY;
    if (!extends || v->level <= scope->level || v->epoch != scope->epoch[v->level]) {
        v->level = (uint8_t)scope->level;
        v->epoch = scope->epoch[scope->level];
    }
    if ((int32_t)(scope->ms + ttl_ms - v->expiry_ms) > 0) /* a late STORE shortens nothing */
        v->expiry_ms = scope->ms + ttl_ms;
    return STORE_DONE;
}

bool store_remove(struct dht_store *s, struct store_entry *e, const struct dht_id *node)
{
    for (unsigned i = 0; e && i < DHT_VALUES; i++) {
        if (is_of(s, &e->value[i], node)) {
            value_clear(s, &e->value[i]);
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
        const struct store_value *v = &e->value[i];
        if (remaining(s, v, ms) == 0 || !is_of(s, v, node))
            continue;
        struct holder *h = &s->arena->holders.at[v->holder];
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
        if (kept_ms(&e->value[i], ms) > 0)
            return false;
    return true;
}

void store_sweep(struct dht_store *s, struct now now)
{
    uint64_t set = s->sweep++ & s->set_mask;
    for (unsigned i = 0; i < STORE_WAYS; i++) {
        if (s->tag[set][i] != 0 && is_over(&s->entry[set][i], (uint32_t)(now.mono_us / 1000))) {
            entry_clear(s, &s->entry[set][i]);
            s->tag[set][i] = 0;
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
