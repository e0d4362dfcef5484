/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/freshness.h"

#include <string.h>
#include <strings.h>

/* --- the Cache-Control list (RFC 9111 5.2, RFC 9110 5.6.1) ------------------------------------ */

struct text {
    const char *p, *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* RFC 9110 5.6.2 */
static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip_space(struct text *t)
{
    while (t->p < t->end && is_space(*t->p))
        t->p++;
}

static struct text take_token(struct text *t)
{
    struct text out = {t->p, t->p};
    while (t->p < t->end && is_token(*t->p))
        t->p++;
    out.end = t->p;
    return out;
}

/* A quoted-string (RFC 9110 5.6.4), without its quotes; escapes stay, no number has any. False:
 * it has no end. */
static bool take_quoted(struct text *t, struct text *out)
{
    out->p = ++t->p;
    while (t->p < t->end && *t->p != '"') {
        if (*t->p == '\\' && t->p + 1 < t->end)
            t->p++;
        t->p++;
    }
    out->end = t->p;
    if (t->p >= t->end)
        return false;
    t->p++;
    return true;
}

static bool name_is(struct text name, const char *want)
{
    size_t len = (size_t)(name.end - name.p);
    return len == strlen(want) && strncasecmp(name.p, want, len) == 0;
}

/* 4.2.1: values that can't be trusted, or contradict one another, make the response stale. */
static void set_seconds(struct cache_directives *d, bool *has, uint32_t *seconds, struct text value)
{
    int64_t s = cache_seconds_parse(value.p, (size_t)(value.end - value.p));
    if (s < 0 || (*has && *seconds != (uint32_t)s)) {
        d->bad_freshness = true;
        return;
    }
    *has = true;
    *seconds = (uint32_t)s;
}

static void set_directive(struct cache_directives *d, struct text name, struct text value)
{
    if (name_is(name, "max-age"))
        set_seconds(d, &d->has_max_age, &d->max_age_s, value);
    else if (name_is(name, "s-maxage"))
        set_seconds(d, &d->has_s_maxage, &d->s_maxage_s, value);
    else if (name_is(name, "no-store"))
        d->no_store = true;
    else if (name_is(name, "no-cache"))
        d->no_cache = true;
    else if (name_is(name, "private"))
        d->is_private = true;
    else if (name_is(name, "public"))
        d->is_public = true;
    else if (name_is(name, "must-revalidate"))
        d->must_revalidate = true;
    else if (name_is(name, "proxy-revalidate"))
        d->proxy_revalidate = true;
}

/* One list element. False: malformed, and the rest up to the next comma is skipped. */
static bool parse_element(struct cache_directives *d, struct text *t)
{
    struct text name = take_token(t), value = {t->p, t->p};
    bool good = name.p != name.end;
    if (good && t->p < t->end && *t->p == '=') {
        t->p++;
        if (t->p < t->end && *t->p == '"') {
            good = take_quoted(t, &value);
        } else {
            value = take_token(t);
            good = value.p != value.end;
        }
    }
    skip_space(t);
    if (t->p < t->end && *t->p != ',') {
        good = false;
        while (t->p < t->end && *t->p != ',')
            t->p++;
    }
    if (!good)
        value.end = value.p; /* max-age=1 2, max-age="1: no number */
    if (name.p != name.end)
        set_directive(d, name, value);
    return good;
}

bool cache_control_parse(struct cache_directives *d, const char *value, size_t len)
{
    struct text t = {value, value + len};
    bool good = true;
    while (t.p < t.end) {
        skip_space(&t);
        if (t.p < t.end && *t.p != ',')
            good &= parse_element(d, &t);
        if (t.p < t.end)
            t.p++; /* the comma; empty elements are allowed */
    }
    return good;
}

int64_t cache_seconds_parse(const char *value, size_t len)
{
    while (len && is_space(*value))
        value++, len--;
    while (len && is_space(value[len - 1]))
        len--;
    if (len == 0)
        return -1;
    int64_t s = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9')
            return -1;
        s = s * 10 + (value[i] - '0');
        if (s > CACHE_SECONDS_MAX)
            s = CACHE_SECONDS_MAX;
    }
    return s;
}

/* --- age and lifetime (RFC 9111 4.2) -----------------------------------------------------------
 */

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

/* RFC 9111 4.2.3 */
uint32_t cache_initial_age(const struct cache_response *r)
{
    int64_t apparent_age = sane(r->response_s) - date_value(r);
    int64_t response_delay = sane(r->response_s) - sane(r->request_s);
    int64_t age_value = r->age_s < 0 ? 0 : r->age_s;
    int64_t corrected_age_value = age_value + (response_delay > 0 ? response_delay : 0);
    return clamp_seconds(apparent_age > corrected_age_value ? apparent_age : corrected_age_value);
}

/* RFC 9111 4.2.1, what a shared cache obeys in this order; -1: the origin names none. */
static int64_t explicit_lifetime(const struct cache_response *r)
{
    if (r->cc.bad_freshness)
        return 0;
    if (r->cc.has_s_maxage)
        return r->cc.s_maxage_s;
    if (r->cc.has_max_age)
        return r->cc.max_age_s;
    if (!r->has_expires)
        return -1;
    return r->expires_s < 0 ? 0 : clamp_seconds(sane(r->expires_s) - date_value(r));
}

/* RFC 9110 15.1: statuses that may be stored without explicit freshness. */
static bool status_heuristic(uint16_t status)
{
    static const uint16_t list[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        if (list[i] == status)
            return true;
    }
    return false;
}

/* Final, understood, and a whole answer to a GET (RFC 9111 3). */
static bool status_storable(uint16_t status)
{
    return status >= 200 && status <= 599 && status != 206 && status != 304;
}

/* RFC 9111 3: may it be stored at all? */
static enum cache_reason refuse(const struct cache_response *r, int64_t lifetime)
{
    const struct cache_directives *cc = &r->cc;
    if (cc->no_store)
        return CACHE_NOT_NO_STORE;
    if (cc->is_private)
        return CACHE_NOT_PRIVATE;
    if (!status_storable(r->status) ||
        (lifetime < 0 && !cc->is_public && !status_heuristic(r->status)))
        return CACHE_NOT_STATUS;
    /* 3.5 */
    if (r->authorized && !cc->is_public && !cc->has_s_maxage && !cc->must_revalidate)
        return CACHE_NOT_AUTHORIZATION;
    if (r->has_vary)
        return CACHE_NOT_VARY;
    /* stricter than the RFC: a cookie is somebody's */
    if (r->has_set_cookie)
        return CACHE_NOT_COOKIE;
    return CACHE_STORABLE;
}

static uint32_t apply_policy(const struct cache_response *r, const struct cache_lifetimes *policy,
                             int64_t lifetime)
{
    const struct cache_directives *cc = &r->cc;
    bool good = r->status < 400;
    if (good && policy->override_s >= 0)
        return clamp_seconds(policy->override_s);
    if (cc->no_cache)
        return 0; /* 5.2.2.4: not without validation */
    if (lifetime < 0)
        lifetime = good ? policy->default_s : policy->negative_s;
    bool insists = cc->must_revalidate || cc->proxy_revalidate || cc->has_s_maxage;
    if (good && !insists && lifetime < policy->minimum_s)
        lifetime = policy->minimum_s;
    return clamp_seconds(lifetime);
}

struct cache_verdict cache_judge(const struct cache_response *r,
                                 const struct cache_lifetimes *policy)
{
    const struct cache_directives *cc = &r->cc;
    int64_t lifetime = explicit_lifetime(r);
    struct cache_verdict v = {.initial_age_s = cache_initial_age(r), .reason = refuse(r, lifetime)};
    if (v.reason != CACHE_STORABLE)
        return v;
    v.lifetime_s = apply_policy(r, policy, lifetime);
    /* 5.2.2.10: s-maxage carries proxy-revalidate's meaning */
    v.must_revalidate =
        cc->no_cache || cc->must_revalidate || cc->proxy_revalidate || cc->has_s_maxage;
    if (v.lifetime_s <= v.initial_age_s && !r->has_validator) {
        v.reason = CACHE_NOT_FRESH;
        return v;
    }
    v.storable = true;
    return v;
}

const char *cache_reason_text(enum cache_reason reason)
{
    static const char *const text[CACHE_REASONS] = {
        [CACHE_STORABLE] = "storable",
        [CACHE_NOT_STATUS] = "status not cacheable",
        [CACHE_NOT_NO_STORE] = "no-store",
        [CACHE_NOT_PRIVATE] = "private",
        [CACHE_NOT_AUTHORIZATION] = "request had Authorization",
        [CACHE_NOT_VARY] = "varies",
        [CACHE_NOT_COOKIE] = "sets a cookie",
        [CACHE_NOT_FRESH] = "neither fresh nor to be validated",
    };
    return reason < CACHE_REASONS ? text[reason] : "unknown";
}
