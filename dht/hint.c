/* SPDX-License-Identifier: BSD-3-Clause */
#include "dht/hint.h"

#include "dht/id.h"
#include "dht/trace.h"

#define FIRST_US  10000000u               /* the first puts are spread over so long */
#define FAILED_US 60000000u               /* a put that failed is tried again after it */
#define FORGET_US (3 * 3600 * 1000000ull) /* a router that three hourly traces did not meet */

/* --- keys ------------------------------------------------------------------------------------- */

#define PREFIX_V4 (12 + 3) /* bytes of a mapped /24 */
#define PREFIX_V6 6        /* of a /48 */

static size_t prefix_bytes(const struct addr *a)
{
    return addr_is_v4(a) ? PREFIX_V4 : PREFIX_V6;
}

struct addr dht_hint_prefix(const struct addr *a)
{
    struct addr p = {{0}};
    memcpy(p.b, a->b, prefix_bytes(a));
    return p;
}

/* The words keep these keys apart from each other's and from URLs'; families are apart because a
 * mapped address is longer. */
static struct dht_id key_of(const char word[static 12], const struct addr *a, size_t bytes)
{
    uint8_t text[12 + 16];
    memcpy(text, word, 12);
    memcpy(text + 12, a->b, bytes);
    return dht_key(text, 12 + bytes);
}

struct dht_id dht_hint_prefix_key(const struct addr *a)
{
    return key_of("hint prefix ", a, prefix_bytes(a));
}

struct dht_id dht_hint_router_key(const struct addr *router)
{
    return key_of("hint router ", router, sizeof(router->b));
}

bool dht_hint_usable(const struct addr *a, bool special)
{
    static const uint8_t none[15];

    if (!addr_is_special(a))
        return true;
    if (!special)
        return false;
    if (addr_is_v4(a)) {
        const uint8_t *v4 = a->b + 12;
        return v4[0] != 0 && v4[0] != 127 && v4[0] < 224 && !(v4[0] == 169 && v4[1] == 254);
    }
    bool link_local = a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
    return a->b[0] != 0xff && !link_local && memcmp(a->b, none, sizeof(none)) != 0; /* ::, ::1 */
}

/* --- what we put ------------------------------------------------------------------------------ */

struct dht_hint_config dht_hint_config_default(void)
{
    return (struct dht_hint_config){.ttl_ms = 3600000};
}

static struct dht_hint *find(struct dht_hints *h, const struct dht_id *key)
{
    for (unsigned i = 0; i < h->n; i++)
        if (id_eq(&h->hint[i].key, key))
            return &h->hint[i];
    return NULL;
}

/* A place for something `hop` hops out; NULL: all are taken by what is no farther. */
static struct dht_hint *place(struct dht_hints *h, unsigned hop)
{
    struct dht_hint *far = &h->hint[0];

    if (h->n < DHT_HINT_KEYS)
        return &h->hint[h->n++];
    for (unsigned i = 1; i < h->n; i++)
        if (h->hint[i].hop > far->hop)
            far = &h->hint[i];
    return far->hop > hop ? far : NULL;
}

static void note(struct dht_hints *h, enum dht_hint_kind kind, const struct addr *of, unsigned hop,
                 struct now now)
{
    const struct dht_id key =
        kind == DHT_HINT_ROUTER ? dht_hint_router_key(of) : dht_hint_prefix_key(of);
    struct dht_hint *e = find(h, &key);

    if (e) {
        if (hop < e->hop)
            e->hop = (uint8_t)hop;
        e->seen_us = now.mono_us;
        return;
    }
    e = place(h, hop);
    if (!e)
        return;
    *e = (struct dht_hint){
        .key = key,
        .of = *of,
        .kind = (uint8_t)kind,
        .hop = (uint8_t)hop,
        .seen_us = now.mono_us,
        .due_us = now.mono_us + rng_below(&h->rng, FIRST_US),
    };
}

void dht_hints_init(struct dht_hints *h, const struct dht_hint_config *config,
                    const struct addr *own, unsigned n, const uint8_t seed[32], struct now now)
{
    *h = (struct dht_hints){.config = *config};
    rng_init(&h->rng, seed);
    for (unsigned i = 0; i < n && i < DHT_HINT_OWN; i++)
        if (dht_hint_usable(&own[i], config->special))
            note(h, DHT_HINT_SUBNET, &own[i], 0, now);
}

static void forget(struct dht_hints *h, struct now now)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < h->n; i++)
        if (h->hint[i].kind == DHT_HINT_SUBNET || now.mono_us < h->hint[i].seen_us + FORGET_US)
            h->hint[kept++] = h->hint[i];
    h->n = kept;
}

void dht_hints_router(struct dht_hints *h, const struct addr *router, unsigned hop, struct now now)
{
    if (hop < 1 || hop > DHT_HINT_HOPS || !dht_hint_usable(router, h->config.special))
        return;
    forget(h, now);
    note(h, DHT_HINT_ROUTER, router, hop, now);
    note(h, DHT_HINT_PREFIX, router, hop, now);
}

bool dht_hints_due(struct dht_hints *h, struct dht_id *key, uint32_t *ttl_ms, struct now now)
{
    uint64_t half_us = (uint64_t)h->config.ttl_ms * 500;

    forget(h, now);
    for (unsigned i = 0; i < h->n; i++) {
        struct dht_hint *e = &h->hint[i];
        if (e->due_us > now.mono_us)
            continue;
        /* 90 % to 110 % of half the TTL */
        e->due_us = now.mono_us + half_us * (900 + rng_below(&h->rng, 201)) / 1000;
        *key = e->key;
        *ttl_ms = h->config.ttl_ms;
        return true;
    }
    return false;
}

void dht_hints_failed(struct dht_hints *h, const struct dht_id *key, struct now now)
{
    struct dht_hint *e = find(h, key);
    if (e && e->due_us > now.mono_us + FAILED_US)
        e->due_us = now.mono_us + FAILED_US;
}

uint64_t dht_hints_deadline_us(const struct dht_hints *h)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < h->n; i++)
        if (h->hint[i].due_us < at)
            at = h->hint[i].due_us;
    return at;
}

/* --- what we look up -------------------------------------------------------------------------- */

static unsigned add(struct dht_id *key, unsigned n, const struct dht_id *next)
{
    for (unsigned i = 0; i < n; i++)
        if (id_eq(&key[i], next))
            return n;
    key[n] = *next;
    return n + 1;
}

unsigned dht_hint_lookup(const struct dht_trace_result *trace, bool special,
                         struct dht_id key[DHT_HINT_LOOKUP])
{
    unsigned n = 0;
    struct dht_id next;

    if (dht_hint_usable(&trace->target, special)) {
        next = dht_hint_prefix_key(&trace->target);
        n = add(key, n, &next);
    }
    for (unsigned i = trace->n; i-- > 0;) {
        next = dht_hint_router_key(&trace->router[i].ip);
        n = add(key, n, &next);
        next = dht_hint_prefix_key(&trace->router[i].ip);
        n = add(key, n, &next);
    }
    return n;
}
