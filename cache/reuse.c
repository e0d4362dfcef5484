/* SPDX-License-Identifier: BSD-3-Clause */
/* A request comes: may what is stored answer it (RFC 9111 4.2, 5.2; RFC 5861; RFC 8246)? */
#include "cache/cache.h"
#include "cache/freshness.h"

/* 4.2.3: current_age = corrected_initial_age + resident_time. The wall clock may step back; an age
 * never falls below what it was on arrival. */
uint32_t cache_current_age(const struct cache_meta *m, int64_t wall_s)
{
    int64_t resident = wall_s > m->response_s ? wall_s - m->response_s : 0;
    if (resident > CACHE_SECONDS_MAX)
        resident = CACHE_SECONDS_MAX;
    int64_t age = (int64_t)m->initial_age_s + resident;
    return age > CACHE_SECONDS_MAX ? CACHE_SECONDS_MAX : (uint32_t)age;
}

static bool within(const struct cache_meta *m, uint16_t window, uint32_t age_s)
{
    return !m->must_revalidate && (uint64_t)m->lifetime_s + cache_window_s(window) > age_s;
}

/* 4.2.4, RFC 5861 4. What may be sent while it is revalidated may be sent when that fails; and so
 * may what is fresh, which a request wanted to have revalidated all the same. */
uint64_t cache_usable_s(const struct cache_meta *m)
{
    uint32_t on_error = cache_window_s(m->stale_error),
             meanwhile = cache_window_s(m->stale_revalidate);
    if (m->must_revalidate)
        return m->lifetime_s;
    return (uint64_t)m->lifetime_s + (on_error > meanwhile ? on_error : meanwhile);
}

static bool allowed_on_error(const struct cache_meta *m, uint32_t age_s)
{
    return cache_usable_s(m) > age_s;
}

bool cache_stale_allowed(const struct cache_meta *m, int64_t wall_s)
{
    return allowed_on_error(m, cache_current_age(m, wall_s));
}

/* What speaks against an object though it be fresh. False: nothing. */
static bool unwanted(const struct cache_meta *m, const struct cache_request *q,
                     struct cache_reuse *u)
{
    /* RFC 8246 2: what is immutable is not revalidated for a reload, unless it says no-cache */
    bool settled = m->immutable && u->ttl_s > 0;
    if (m->no_cache)
        u->reason = CACHE_WHY_NO_CACHE; /* 5.2.2.4 */
    else if (q->no_cache)
        u->reason = CACHE_WHY_REQUEST_NO_CACHE; /* 5.2.1.4 */
    else if (q->has_min_fresh && u->ttl_s < q->min_fresh_s)
        u->reason = CACHE_WHY_REQUEST_MIN_FRESH; /* 5.2.1.3 */
    else if (q->has_max_age && u->age_s > q->max_age_s && !settled)
        u->reason = CACHE_WHY_REQUEST_MAX_AGE; /* 5.2.1.1 */
    else
        return false;
    u->use = CACHE_USE_REVALIDATE;
    return true;
}

static void judge_stale(const struct cache_meta *m, const struct cache_request *q,
                        struct cache_reuse *u)
{
    u->use = CACHE_USE_REVALIDATE;
    if (m->must_revalidate) { /* 5.2.2.2, 5.2.2.8, 5.2.2.10 */
        u->reason = CACHE_WHY_MUST_REVALIDATE;
    } else if (q->has_max_stale && -u->ttl_s <= q->max_stale_s) { /* 5.2.1.2 */
        u->use = CACHE_USE_STALE;
        u->reason = CACHE_WHY_REQUEST_MAX_STALE;
    } else if (!q->has_max_age && within(m, m->stale_revalidate, u->age_s)) {
        /* RFC 5861 3; who names an age wants nothing stale unless it says so (5.2.1.1) */
        u->use = CACHE_USE_STALE_REVALIDATE;
        u->reason = CACHE_WHY_STALE_REVALIDATE;
    } else {
        u->reason = u->on_error ? CACHE_WHY_STALE_ERROR : CACHE_WHY_STALE;
    }
    if (u->use == CACHE_USE_REVALIDATE && !u->on_error && !m->has_validator) {
        u->use = CACHE_USE_NOT;
        u->reason = CACHE_WHY_NO_VALIDATOR;
    }
}

struct cache_reuse cache_reuse(const struct cache_meta *m, const struct cache_request *q,
                               int64_t wall_s)
{
    static const struct cache_request silent = {0};
    struct cache_reuse u = {.use = CACHE_USE_NOT, .reason = CACHE_WHY_MISSING};
    if (!q)
        q = &silent;
    if (m) {
        u.age_s = cache_current_age(m, wall_s);
        u.ttl_s = (int64_t)m->lifetime_s - u.age_s;
        u.on_error = allowed_on_error(m, u.age_s);
        u.use = CACHE_USE_FRESH;
        u.reason = m->immutable && q->has_max_age && u.age_s > q->max_age_s ? CACHE_WHY_IMMUTABLE
                                                                            : CACHE_WHY_FRESH;
        if (!unwanted(m, q, &u) && u.ttl_s <= 0)
            judge_stale(m, q, &u);
    }
    if (q->only_if_cached && u.use >= CACHE_USE_REVALIDATE) /* 5.2.1.7 */
        u.use = CACHE_USE_GATEWAY_TIMEOUT;
    return u;
}

#define TEXT(name, text) text,

const char *cache_use_text(enum cache_use use)
{
    static const char *const text[] = {CACHE_USES(TEXT)};
    return use < CACHE_USES_COUNT ? text[use] : "unknown";
}

const char *cache_reuse_text(enum cache_reuse_reason reason)
{
    static const char *const text[] = {CACHE_REUSE_REASONS(TEXT)};
    return reason < CACHE_REUSE_REASONS_COUNT ? text[reason] : "unknown";
}
