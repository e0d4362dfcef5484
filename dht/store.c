/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/store.h"

#include <assert.h>
#include <stdlib.h>

#include "base/rng.h"

static uint64_t now_ms(struct now now)
{
    return now.mono_us / 1000;
}

struct dht_store *dht_store_create(const struct dht_config *config, const uint8_t seed[32])
{
    assert(config->beta >= 1 && config->prefix_bits >= 1 && config->prefix_bits <= 8);
    struct dht_store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    struct rng rng;
    rng_init(&rng, seed);
    rng_bytes(&rng, s->secret.bytes, sizeof(s->secret.bytes));
    cookie_init(&s->cookies, seed);
    s->prefix_bits = config->prefix_bits;
    s->beta = config->beta;
    s->keys_max = config->store_keys ? config->store_keys : 1;

    uint64_t sets = 1;
    while (sets * STORE_WAYS < 2ull * s->keys_max)
        sets *= 2;
    s->set_mask = sets - 1;
    s->tag = aligned_alloc(64, (sets * sizeof(s->tag[0]) + 63) / 64 * 64);
    s->entry = aligned_alloc(64, sets * sizeof(s->entry[0]));
    if (!s->tag || !s->entry) {
        dht_store_destroy(s);
        return NULL;
    }
    memset(s->tag, 0, sets * sizeof(s->tag[0])); /* an entry is written before its tag is */
    return s;
}

void dht_store_destroy(struct dht_store *s)
{
    if (!s)
        return;
    free(s->tag);
    free(s->entry);
    free(s);
}

static uint32_t tag_of(uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    return tag ? tag : 1;
}

uint64_t store_prepare(const struct dht_store *s, const struct dht_id *key)
{
    uint64_t hash = hash64(&s->secret, key->b, sizeof(key->b));
    __builtin_prefetch(s->tag[hash & s->set_mask]);
    return hash;
}

void store_touch(const struct dht_store *s, uint64_t hash)
{
    uint64_t set = hash & s->set_mask;
    for (unsigned i = 0; i < STORE_WAYS; i++) {
        if (s->tag[set][i] != tag_of(hash))
            continue;
        const uint8_t *e = (const uint8_t *)&s->entry[set][i];
        for (unsigned line = 0; line < sizeof(struct store_entry); line += 64)
            __builtin_prefetch(e + line);
    }
}

struct store_entry *store_find(struct dht_store *s, const struct dht_id *key, uint64_t hash)
{
    uint64_t set = hash & s->set_mask;
    for (unsigned i = 0; i < STORE_WAYS; i++) {
        struct store_entry *e = &s->entry[set][i];
        if (s->tag[set][i] == tag_of(hash) && memcmp(e->key.b, key->b, DHT_ID_BYTES) == 0)
            return e;
    }
    return NULL;
}

static uint32_t remaining(const struct store_value *v, uint64_t ms)
{
    return v->expiry_ms > ms ? (uint32_t)(v->expiry_ms - ms) : 0;
}

static bool same_node(const struct store_value *v, const struct dht_id *node)
{
    return memcmp(v->node.b, node->b, DHT_ID_BYTES) == 0;
}

unsigned store_values(const struct store_entry *e, const struct dht_id *but, struct now now,
                      struct dht_value out[static DHT_VALUES])
{
    unsigned n = 0;
    uint64_t ms = now_ms(now);
    for (unsigned i = 0; e && i < e->n; i++) {
        const struct store_value *v = &e->value[i];
        uint32_t ttl = remaining(v, ms);
        if (ttl == 0 || (but && same_node(v, but)))
            continue;
        uint64_t age = ms > v->first_ms ? ms - v->first_ms : 0;
        out[n++] = (struct dht_value){.node = v->node,
                                      .http = v->http,
                                      .ttl_ms = ttl,
                                      .age_ms = age < UINT32_MAX ? (uint32_t)age : UINT32_MAX};
    }
    return n;
}

struct store_state store_state(const struct store_entry *e, const struct dht_id *node,
                               uint32_t ttl_ms, struct now now)
{
    struct store_state st = {.full = true};
    uint32_t least = UINT32_MAX;
    for (unsigned i = 0; e && i < e->n; i++) {
        uint32_t ttl = remaining(&e->value[i], now_ms(now));
        if (ttl == 0)
            continue;
        st.held++;
        if (ttl < least)
            least = ttl;
        if (same_node(&e->value[i], node))
            st.full = false;
    }
    st.least_ms = st.held < DHT_VALUES ? 0 : least;
    if (st.held < DHT_VALUES || st.least_ms < ttl_ms / 2)
        st.full = false;
    return st;
}

/* The leak, as a generic cell rate algorithm (ITU-T I.371): one walk each 60 s / beta, bursts of
 * up to beta. */
bool store_walk(const struct dht_store *s, struct store_entry *e, struct now now)
{
    uint32_t ms = (uint32_t)now_ms(now), each = 60000 / s->beta;
    int32_t ahead = (int32_t)(e->leak_ms - ms);
    if (ahead < 0 || ahead > 60000 + (int32_t)each) /* long ago, also where 32 bits wrapped */
        ahead = 0;
    if (ahead > (int32_t)((s->beta - 1) * each))
        return true;
    e->leak_ms = ms + (uint32_t)ahead + each;
    return false;
}

/* the time when the last of an entry's values expires */
static uint64_t entry_expiry(const struct store_entry *e)
{
    uint64_t last = 0;
    for (unsigned i = 0; i < e->n; i++)
        if (e->value[i].expiry_ms > last)
            last = e->value[i].expiry_ms;
    return last;
}

/* A place for a new key, NULL when nothing in its set may go. */
static struct store_entry *entry_new(struct dht_store *s, const struct dht_id *key, uint64_t hash,
                                     uint32_t ttl_ms, uint64_t ms)
{
    uint64_t set = hash & s->set_mask, first = UINT64_MAX;
    unsigned at = STORE_WAYS;
    for (unsigned i = 0; i < STORE_WAYS; i++) {
        bool free_slot = s->tag[set][i] == 0;
        if (free_slot && s->keys >= s->keys_max)
            continue;
        uint64_t expiry = free_slot ? 0 : entry_expiry(&s->entry[set][i]);
        if (expiry < first) {
            first = expiry;
            at = i;
        }
        if (free_slot)
            break;
    }
    if (at == STORE_WAYS || (first > ms && first - ms >= ttl_ms / 2))
        return NULL;
    if (s->tag[set][at] == 0)
        s->keys++;
    s->tag[set][at] = tag_of(hash);
    struct store_entry *e = &s->entry[set][at];
    e->key = *key;
    e->leak_ms = (uint32_t)ms;
    e->n = 0;
    return e;
}

/* The value to write: the node's own, a free or expired one, or the one with the least ttl to go
 * if that is less than half of the new one's. */
static struct store_value *entry_place(struct store_entry *e, const struct dht_id *node,
                                       uint32_t ttl_ms, uint64_t ms)
{
    struct store_value *least = NULL;
    for (unsigned i = 0; i < e->n; i++) {
        struct store_value *v = &e->value[i];
        if (same_node(v, node))
            return v;
        if (!least || v->expiry_ms < least->expiry_ms)
            least = v;
    }
    if (e->n < DHT_VALUES)
        return &e->value[e->n++];
    return remaining(least, ms) == 0 || remaining(least, ms) < ttl_ms / 2 ? least : NULL;
}

bool store_put(struct dht_store *s, const struct dht_id *key, uint64_t hash,
               const struct dht_id *node, const struct endpoint *http, uint32_t ttl_ms,
               struct now now)
{
    uint64_t ms = now_ms(now);
    struct store_entry *e = store_find(s, key, hash);
    if (!e)
        e = entry_new(s, key, hash, ttl_ms, ms);
    if (!e)
        return false;
    unsigned before = e->n;
    struct store_value *v = entry_place(e, node, ttl_ms, ms);
    if (!v)
        return false;
    bool extends = before == e->n && same_node(v, node) && v->expiry_ms > ms;
    if (!extends) {
        v->first_ms = ms;
        v->expiry_ms = 0;
    }
    v->node = *node;
    v->http = *http;
    if (v->expiry_ms < ms + ttl_ms) /* an old STORE that comes late shortens nothing */
        v->expiry_ms = ms + ttl_ms;
    return true;
}

bool store_remove(struct store_entry *e, const struct dht_id *node)
{
    for (unsigned i = 0; e && i < e->n; i++) {
        if (same_node(&e->value[i], node)) {
            e->value[i] = e->value[--e->n];
            return true;
        }
    }
    return false;
}

void store_sweep(struct dht_store *s, struct now now)
{
    uint64_t set = s->sweep++ & s->set_mask;
    for (unsigned i = 0; i < STORE_WAYS; i++) {
        if (s->tag[set][i] != 0 && entry_expiry(&s->entry[set][i]) <= now_ms(now)) {
            s->tag[set][i] = 0;
            s->keys--;
        }
    }
}

bool store_heard_once(struct dht_store *s, const struct dht_id *id, struct now now)
{
    uint64_t hash = hash64(&s->secret, id->b, sizeof(id->b));
    struct store_heard *h = &s->heard[hash % STORE_HEARD];
    uint32_t ms = (uint32_t)now_ms(now);
    if (h->tag == tag_of(hash) && ms - h->ms < 1000)
        return false;
    *h = (struct store_heard){tag_of(hash), ms};
    return true;
}
