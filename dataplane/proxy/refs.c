/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References in the index to whole objects of this worker: put for an hour, renewed at half of
 * that, 10 % more or less, while the object is here and fresh, withdrawn when it goes. An object is
 * known by its address, which is its own for as long as it is linked: whoever unlinks tells us
 * first.
 */
#include "dataplane/proxy/proxy_internal.h"

static struct reference **ref_slot(struct proxy *p, const struct cache_object *o)
{
    uint64_t h = (uint64_t)(uintptr_t)o * 0x9e3779b97f4a7c15ull;
    return &p->ref_table[(h >> 40) % PROXY_REFS];
}

static void ref_put_done(void *ctx, const struct dht_result *result, struct now now)
{
    (void)ctx, (void)result, (void)now;
}

/* A reference must not outlive what it points to: a stale copy is no use to a peer. */
static uint32_t ref_ttl_ms(const struct proxy *p, const struct cache_object *o, struct now now)
{
    uint32_t lifetime = cache_meta(o)->lifetime_s, age = cache_age(o, now);
    uint64_t left_ms = lifetime > age ? (uint64_t)(lifetime - age) * 1000 : 0;
    return left_ms < p->policy->long_ttl_ms ? (uint32_t)left_ms : p->policy->long_ttl_ms;
}

/* Half the TTL, 10 % more or less: what came in one crowd is not renewed in one burst for ever. */
static uint64_t ref_renew_us(struct proxy *p, uint32_t ttl_ms)
{
    return (uint64_t)ttl_ms * (450 + rng_below(&p->rng, 101));
}

static struct reference *ref_take(struct proxy *p, const struct cache_object *o,
                                  const struct dht_id *key)
{
    struct reference *ref = p->ref_free;
    if (!ref) { /* found for an hour, then only if it is filled again */
        counter_inc(&p->counters.proxy_references_full_total);
        return NULL;
    }
    p->ref_free = ref->next;
    struct reference **slot = ref_slot(p, o);
    *ref = (struct reference){.next = *slot, .object = o, .key = *key, .alarm.kind = ALARM_REF};
    *slot = ref;
    counter_add(&p->counters.proxy_references, 1);
    return ref;
}

static void ref_free(struct proxy *p, struct reference *ref)
{
    struct reference **at = ref_slot(p, ref->object);
    while (*at != ref)
        at = &(*at)->next;
    *at = ref->next;
    alarm_stop(p, &ref->alarm);
    ref->next = p->ref_free;
    p->ref_free = ref;
    counter_add(&p->counters.proxy_references, (uint64_t)-1);
}

static struct reference *ref_find(struct proxy *p, const struct cache_object *o)
{
    struct reference *ref = *ref_slot(p, o);
    while (ref && ref->object != o)
        ref = ref->next;
    return ref;
}

void refs_add(struct proxy *p, const struct cache_object *o, const struct dht_id *key,
              struct now now)
{
    uint32_t ttl_ms = ref_ttl_ms(p, o, now);
    if (!p->parts.asker)
        return;
    struct reference *ref = ref_find(p, o);
    if (ttl_ms < 1000) { /* stale at once: nothing to point to */
        dht_remove(p->parts.asker, key, DHT_ALL_LEVELS, now);
        if (ref)
            ref_free(p, ref);
        return;
    }
    dht_put(p->parts.asker, key, DHT_ALL_LEVELS, ttl_ms, ref_put_done, NULL, now);
    if (!ref)
        ref = ref_take(p, o, key);
    if (ref)
        alarm_set(p, &ref->alarm, now.mono_us + ref_renew_us(p, ttl_ms));
}

void refs_add_later(struct proxy *p, const struct cache_object *o, const struct dht_id *key,
                    uint64_t at_us)
{
    struct reference *ref = p->parts.asker ? ref_take(p, o, key) : NULL;
    if (ref)
        alarm_set(p, &ref->alarm, at_us);
}

void refs_forget(struct proxy *p, const struct cache_object *o, bool withdraw)
{
    struct reference *ref = ref_find(p, o);
    if (!ref)
        return;
    if (withdraw)
        dht_remove(p->parts.asker, &ref->key, DHT_ALL_LEVELS, p->now);
    ref_free(p, ref);
}

void refs_renew(struct proxy *p, struct reference *ref, struct now now)
{
    struct dht_id key = ref->key;
    if (cache_fresh(ref->object, now) && cache_siblings(p->cache, ref->object))
        refs_add(p, ref->object, &key, now);
    else
        ref_free(p, ref);
}
