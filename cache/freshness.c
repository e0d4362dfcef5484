/* SPDX-License-Identifier: BSD-3-Clause */
/* A response comes: how old is it, how long is it fresh, may it be stored (RFC 9111 3, 4.2). */
#include "cache/freshness.h"

#include "cache/cache.h"

/* --- age (4.2.3) ------------------------------------------------------------------------------ */

/* Times come from the wire: arithmetic on them must not overflow. Valid dates end with year 9999.
 */
static int64_t sane(int64_t s)
{
    const int64_t year_10000 = 253402300800;
    return s < 0 ? 0 : s > year_10000 ? year_10000 : s;
}

static uint32_t clamp_seconds(int64_t s)
{
    return s < 0 ? 0 : s > CACHE_SECONDS_MAX ? CACHE_SECONDS_MAX : (uint32_t)s;
}

/* RFC 9110 6.6.1: without a Date the time of receipt counts. */
static int64_t date_value(const struct cache_response *r)
{
    return r->date_s < 0 ? sane(r->response_s) : sane(r->date_s);
}

uint32_t cache_initial_age(const struct cache_response *r)
{
    int64_t apparent_age = sane(r->response_s) - date_value(r); /* an origin ahead of us: below 0 */
    int64_t response_delay = sane(r->response_s) - sane(r->request_s);
    int64_t age_value = r->age_s < 0 ? 0 : r->age_s;
    int64_t corrected_age_value = age_value + (response_delay > 0 ? response_delay : 0);
    return clamp_seconds(apparent_age > corrected_age_value ? apparent_age : corrected_age_value);
}

/* --- lifetime (4.2.1, 4.2.2) ------------------------------------------------------------------ */

struct lifetime {
    int64_t s; /* -1: none */
    enum cache_lifetime_by by;
};

/* 4.2.1, what a shared cache obeys in this order. */
static struct lifetime explicit_lifetime(const struct cache_response *r)
{
    if (r->cc.bad_freshness)
        return (struct lifetime){0, CACHE_BY_INVALID};
    if (r->cc.has_s_maxage)
        return (struct lifetime){r->cc.s_maxage_s, CACHE_BY_S_MAXAGE};
    if (r->cc.has_max_age)
        return (struct lifetime){r->cc.max_age_s, CACHE_BY_MAX_AGE};
    if (!r->has_expires)
        return (struct lifetime){-1, CACHE_BY_NOTHING};
    if (r->expires_s < 0)
        return (struct lifetime){0, CACHE_BY_INVALID}; /* 5.3: "0" means already expired */
    return (struct lifetime){clamp_seconds(sane(r->expires_s) - date_value(r)), CACHE_BY_EXPIRES};
}

/* 4.2.2: none named. refuse() has seen to it that this status may do without. */
static struct lifetime heuristic_lifetime(const struct cache_response *r,
                                          const struct cache_lifetimes *policy)
{
    if (r->status >= 400)
        return (struct lifetime){policy->negative_s, CACHE_BY_NEGATIVE};
    int64_t unmodified = r->has_modified ? date_value(r) - sane(r->modified_s) : 0;
    int64_t tenth = unmodified > 0 ? unmodified / 10 : 0;
    struct lifetime l = {tenth, CACHE_BY_MODIFIED};
    if (tenth > policy->heuristic_max_s)
        l = (struct lifetime){policy->heuristic_max_s, CACHE_BY_MODIFIED_CAP};
    if (l.s <= policy->default_s)
        l = (struct lifetime){policy->default_s,
                              policy->default_s ? CACHE_BY_DEFAULT : CACHE_BY_NOTHING};
    return l;
}

/* 5.2.2.4; of the qualified form it is what the caller stores that decides */
static bool says_no_cache(const struct cache_response *r)
{
    return r->cc.no_cache && (r->cc.no_cache_whole || !r->drops_listed);
}

static struct lifetime apply_policy(const struct cache_response *r,
                                    const struct cache_lifetimes *policy, struct lifetime l)
{
    const struct cache_directives *cc = &r->cc;
    bool good = r->status < 400;
    if (good && policy->override_s >= 0)
        return (struct lifetime){policy->override_s, CACHE_BY_OVERRIDE};
    if (says_no_cache(r))
        return (struct lifetime){0, CACHE_BY_NO_CACHE};
    if (l.s < 0)
        l = heuristic_lifetime(r, policy);
    bool insists = cc->must_revalidate || cc->proxy_revalidate || cc->has_s_maxage;
    if (good && !insists && l.s < policy->minimum_s)
        l = (struct lifetime){policy->minimum_s, CACHE_BY_MINIMUM};
    return l;
}

/* --- storing (3) ------------------------------------------------------------------------------ */

/* RFC 9110 15.1: statuses that may be stored without explicit freshness, but for 206. */
static bool status_heuristic(uint16_t status)
{
    static const uint16_t list[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        if (list[i] == status)
            return true;
    }
    return false;
}

/* Those of RFC 9110 15 that mean nothing to a cache beyond what is done with any of them. */
static bool status_understood(uint16_t status)
{
    return (status >= 200 && status <= 205) || (status >= 300 && status <= 303) || status == 305 ||
           status == 307 || status == 308 || (status >= 400 && status <= 417) || status == 421 ||
           status == 422 || status == 426 || (status >= 500 && status <= 505);
}

static enum cache_reason refuse_status(const struct cache_response *r, bool has_lifetime)
{
    if (r->status == 206 || r->status == 304)
        return CACHE_NOT_PARTIAL;
    if (r->cc.must_understand && !status_understood(r->status)) /* 5.2.2.3 */
        return CACHE_NOT_UNDERSTOOD;
    bool is_final = r->status >= 200 && r->status <= 599;
    if (!is_final || (!has_lifetime && !r->cc.is_public && !status_heuristic(r->status)))
        return CACHE_NOT_STATUS;
    return CACHE_STORABLE;
}

/* 3.5 */
static bool for_authorized(const struct cache_directives *cc)
{
    return cc->is_public || cc->has_s_maxage || cc->must_revalidate;
}

/* May it be stored at all, by a shared cache? */
static enum cache_reason refuse(const struct cache_response *r, bool has_lifetime)
{
    const struct cache_directives *cc = &r->cc;
    if (r->method != CACHE_GET)
        return CACHE_NOT_METHOD;
    if (r->asks_no_store)
        return CACHE_NOT_REQUEST;
    /* 5.2.2.3: beside must-understand, no-store is for those who do not understand */
    if (cc->no_store && !(cc->must_understand && status_understood(r->status)))
        return CACHE_NOT_NO_STORE;
    if (cc->private_whole)
        return CACHE_NOT_PRIVATE;
    if (cc->is_private && !r->drops_listed)
        return CACHE_NOT_PRIVATE_FIELDS;
    enum cache_reason status = refuse_status(r, has_lifetime);
    if (status != CACHE_STORABLE)
        return status;
    if (r->authorized && !for_authorized(cc))
        return CACHE_NOT_AUTHORIZATION;
    if (r->varies_any)
        return CACHE_NOT_VARY;
    /* stricter than the RFC: a cookie is somebody's */
    if (r->has_set_cookie)
        return CACHE_NOT_COOKIE;
    return CACHE_STORABLE;
}

/* How long after its lifetime it may be of use (4.2.4, RFC 5861): where nothing forbids it. That
 * s-maxage forbids it, too, is 5.2.2.10; who wants both says max-age in a targeted field. */
static void judge_windows(const struct cache_response *r, const struct cache_lifetimes *policy,
                          struct cache_verdict *v)
{
    const struct cache_directives *cc = &r->cc;
    if (v->must_revalidate)
        return;
    v->stale_revalidate_s = cc->has_stale_while_revalidate ? cc->stale_while_revalidate_s : 0;
    v->stale_error_s = cc->has_stale_if_error ? cc->stale_if_error_s : policy->stale_error_s;
}

/* Without a validator it is of use only as long as it may be sent as it is. The operator's window
 * for errors does not count: it is no reason to keep what the origin wants kept for no time. */
static bool of_use(const struct cache_response *r, const struct cache_verdict *v)
{
    uint32_t window = v->stale_revalidate_s;
    if (r->has_validator)
        return true;
    if (r->cc.has_stale_if_error && v->stale_error_s > window)
        window = v->stale_error_s;
    return (uint64_t)v->lifetime_s + window > v->initial_age_s;
}

struct cache_verdict cache_judge(const struct cache_response *r,
                                 const struct cache_lifetimes *policy)
{
    const struct cache_directives *cc = &r->cc;
    struct lifetime l = explicit_lifetime(r);
    struct cache_verdict v = {.initial_age_s = cache_initial_age(r),
                              .reason = refuse(r, l.s >= 0),
                              .lifetime_by = l.by,
                              .control = r->control};
    if (v.reason != CACHE_STORABLE)
        return v;
    l = apply_policy(r, policy, l);
    v.lifetime_s = clamp_seconds(l.s);
    v.lifetime_by = l.by;
    v.no_cache = l.by == CACHE_BY_NO_CACHE;
    v.immutable = cc->immutable;
    v.has_validator = r->has_validator;
    v.for_authorized = for_authorized(cc);
    /* 5.2.2.10: s-maxage carries proxy-revalidate's meaning */
    v.must_revalidate =
        says_no_cache(r) || cc->must_revalidate || cc->proxy_revalidate || cc->has_s_maxage;
    judge_windows(r, policy, &v);
    v.storable = of_use(r, &v);
    if (!v.storable)
        v.reason = CACHE_NOT_FRESH;
    return v;
}

/* --- what is kept ----------------------------------------------------------------------------- */

enum { MANTISSA = 11 };

uint16_t cache_window_code(uint32_t seconds)
{
    uint32_t exponent = 0, s = clamp_seconds(seconds);
    while (s >= 2u << MANTISSA)
        s >>= 1, exponent++;
    if (s < 1u << MANTISSA)
        return (uint16_t)s;
    return (uint16_t)((exponent + 1) << MANTISSA | (s & ((1u << MANTISSA) - 1)));
}

uint32_t cache_window_s(uint16_t code)
{
    uint32_t exponent = (uint32_t)code >> MANTISSA, s = code & ((1u << MANTISSA) - 1);
    if (exponent == 0)
        return s;
    s |= 1u << MANTISSA;
    return exponent > 20 ? CACHE_SECONDS_MAX : s << (exponent - 1);
}

void cache_verdict_keep(const struct cache_verdict *v, struct cache_meta *meta)
{
    meta->initial_age_s = v->initial_age_s;
    meta->lifetime_s = v->lifetime_s;
    meta->stale_revalidate = cache_window_code(v->stale_revalidate_s);
    meta->stale_error = cache_window_code(v->stale_error_s);
    meta->must_revalidate = v->must_revalidate;
    meta->no_cache = v->no_cache;
    meta->immutable = v->immutable;
    meta->has_validator = v->has_validator;
    meta->for_authorized = v->for_authorized;
    meta->lifetime_by = v->lifetime_by & 15;
    meta->control = v->control & 3;
}

/* --- texts ------------------------------------------------------------------------------------ */

#define TEXT(name, text) text,

const char *cache_reason_text(enum cache_reason reason)
{
    static const char *const text[] = {CACHE_STORE_REASONS(TEXT)};
    return reason < CACHE_REASONS ? text[reason] : "unknown";
}

const char *cache_lifetime_text(enum cache_lifetime_by by)
{
    static const char *const text[] = {CACHE_LIFETIME_REASONS(TEXT)};
    return by < CACHE_LIFETIME_REASONS_COUNT ? text[by] : "unknown";
}
