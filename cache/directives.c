/* SPDX-License-Identifier: BSD-3-Clause */
/* What heads say about caching: Cache-Control (RFC 9111 5.2, 5.4), targeted fields (RFC 9213). */
#include <string.h>
#include <strings.h>

#include "base/ascii.h"
#include "base/structured.h"
#include "cache/freshness.h"

struct text {
    const char *p, *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_space(struct text *t)
{
    while (t->p < t->end && is_space(*t->p))
        t->p++;
}

static struct text take_token(struct text *t)
{
    struct text out = {t->p, t->p};
    while (t->p < t->end && ascii_is_tchar(*t->p))
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

static bool text_is(struct text t, const char *want)
{
    size_t len = (size_t)(t.end - t.p);
    return len == strlen(want) && strncasecmp(t.p, want, len) == 0;
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

/* RFC 9111 5.1: of several values the first, the others are discarded; then what is no number is
 * ignored. */
int64_t cache_age_parse(const char *value, size_t len)
{
    const char *end = value + len;
    while (value < end && (is_space(*value) || *value == ','))
        value++; /* empty elements are none (RFC 9110 5.6.1.2) */
    const char *comma = value < end ? memchr(value, ',', (size_t)(end - value)) : NULL;
    return cache_seconds_parse(value, (size_t)((comma ? comma : end) - value));
}

/* --- one list element (RFC 9110 5.6.1; 9111 5.2) ---------------------------------------------- */

struct directive {
    struct text name, value;
    bool has_value;
    bool good; /* false: malformed; then the value is empty, and all up to the comma skipped */
};

/* The next element with a name. False: the line has no more. `good` is cleared when there was
 * something malformed. */
static bool next_directive(struct text *t, struct directive *d, bool *good)
{
    for (;;) {
        while (t->p < t->end && (is_space(*t->p) || *t->p == ','))
            t->p++;
        if (t->p == t->end)
            return false;
        d->name = take_token(t);
        d->value = (struct text){t->p, t->p};
        d->good = d->name.p != d->name.end;
        d->has_value = d->good && t->p < t->end && *t->p == '=';
        if (d->has_value) {
            t->p++;
            if (t->p < t->end && *t->p == '"') {
                d->good = take_quoted(t, &d->value);
            } else {
                d->value = take_token(t);
                d->good = d->value.p != d->value.end;
            }
        }
        skip_space(t);
        if (t->p < t->end && *t->p != ',') {
            d->good = false;
            while (t->p < t->end && *t->p != ',')
                t->p++;
        }
        if (!d->good)
            d->value.end = d->value.p; /* max-age=1 2, max-age="1: no number */
        *good &= d->good;
        if (d->name.p != d->name.end)
            return true;
    }
}

static int64_t seconds_of(const struct directive *d)
{
    return cache_seconds_parse(d->value.p, (size_t)(d->value.end - d->value.p));
}

/* --- responses (5.2.2) ------------------------------------------------------------------------ */

/* Those without a value. `permits`: in a form that they do not have they count as not there; the
 * others, which forbid, count in any form. */
static const struct plain {
    const char *name;
    size_t at;
    bool permits;
} plain[] = {
    {"no-store", offsetof(struct cache_directives, no_store), false},
    {"must-revalidate", offsetof(struct cache_directives, must_revalidate), false},
    {"proxy-revalidate", offsetof(struct cache_directives, proxy_revalidate), false},
    {"no-transform", offsetof(struct cache_directives, no_transform), false},
    {"public", offsetof(struct cache_directives, is_public), true},
    {"must-understand", offsetof(struct cache_directives, must_understand), true},
    {"immutable", offsetof(struct cache_directives, immutable), true},
};

static bool *plain_flag(struct cache_directives *d, const struct plain *p)
{
    return (bool *)((char *)d + p->at);
}

static bool names_any(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (ascii_is_tchar(p[i]))
            return true;
    return false;
}

/* no-cache, private with a list of names; without one, or when there is no room: for all of it. */
static void set_names(struct cache_directives *d, bool is_private, const char *p, size_t len)
{
    *(is_private ? &d->is_private : &d->no_cache) = true;
    if (!names_any(p, len) || len > UINT32_MAX || d->lists == CACHE_NAME_LISTS)
        *(is_private ? &d->private_whole : &d->no_cache_whole) = true;
    else
        d->list[d->lists++] = (struct cache_names){p, (uint32_t)len, is_private};
}

/* 4.2.1: values that can't be trusted, or contradict one another, make the response stale. */
static void set_seconds(struct cache_directives *d, bool *has, uint32_t *seconds, int64_t s)
{
    if (s < 0 || (*has && *seconds != (uint32_t)s)) {
        d->bad_freshness = true;
        return;
    }
    *has = true;
    *seconds = (uint32_t)s;
}

/* RFC 5861: what is no number permits nothing. */
static void set_window(bool *has, uint32_t *seconds, int64_t s)
{
    uint32_t window = s < 0 ? 0 : (uint32_t)s;
    if (!*has || window < *seconds)
        *seconds = window;
    *has = true;
}

static void set_directive(struct cache_directives *d, const struct directive *x)
{
    const struct text name = x->name;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (text_is(name, plain[i].name)) {
            *plain_flag(d, &plain[i]) = true;
            return;
        }
    }
    if (text_is(name, "max-age"))
        set_seconds(d, &d->has_max_age, &d->max_age_s, seconds_of(x));
    else if (text_is(name, "s-maxage"))
        set_seconds(d, &d->has_s_maxage, &d->s_maxage_s, seconds_of(x));
    else if (text_is(name, "no-cache"))
        set_names(d, false, x->value.p, (size_t)(x->value.end - x->value.p));
    else if (text_is(name, "private"))
        set_names(d, true, x->value.p, (size_t)(x->value.end - x->value.p));
    else if (text_is(name, "stale-while-revalidate"))
        set_window(&d->has_stale_while_revalidate, &d->stale_while_revalidate_s, seconds_of(x));
    else if (text_is(name, "stale-if-error"))
        set_window(&d->has_stale_if_error, &d->stale_if_error_s, seconds_of(x));
}

bool cache_control_parse(struct cache_directives *d, const char *value, size_t len)
{
    struct text t = {value, value + len};
    struct directive x;
    bool good = true;
    while (next_directive(&t, &x, &good))
        set_directive(d, &x);
    return good;
}

static bool list_has(const struct cache_names *l, const char *name, size_t len)
{
    for (uint32_t i = 0; i < l->len;) {
        uint32_t n = 0;
        while (i + n < l->len && ascii_is_tchar(l->p[i + n]))
            n++;
        if (n == len && strncasecmp(l->p + i, name, len) == 0)
            return true;
        i += n ? n : 1;
    }
    return false;
}

bool cache_directives_list(const struct cache_directives *d, const char *name, size_t len)
{
    for (unsigned i = 0; i < d->lists; i++)
        if (list_has(&d->list[i], name, len))
            return true;
    return false;
}

/* --- targeted fields (RFC 9213) --------------------------------------------------------------- */

#define NAME(name, text) text,
static const char *const field_name[] = {CACHE_CONTROL_FIELDS(NAME)};

const char *cache_control_name(enum cache_control_field field)
{
    return field < CACHE_CONTROL_FIELDS_COUNT ? field_name[field] : "unknown";
}

int cache_target(const char *name, size_t len)
{
    struct text t = {name, name + len};
    for (int i = 0; i < CACHE_TARGETS; i++)
        if (text_is(t, field_name[CACHE_IN_CORAL + i]))
            return i;
    return -1;
}

/* 2.1: directives map to the types of structured fields: those without a value to true, numbers to
 * Integers, lists of names to Strings. Values of another type are not consumed: -1. */
static int64_t seconds_in(const struct sf_value *v)
{
    if (v->type != SF_INTEGER || v->number < 0)
        return -1;
    return v->number > CACHE_SECONDS_MAX ? CACHE_SECONDS_MAX : v->number;
}

/* Of a key that comes twice the last counts (RFC 9651 4.2.2): so these set, and never add. */
static void put_seconds(bool *has, uint32_t *seconds, bool *bad, const struct sf_value *v)
{
    int64_t s = seconds_in(v);
    *has = s >= 0;
    *seconds = s < 0 ? 0 : (uint32_t)s;
    if (bad)
        *bad = s < 0;
}

static void put_names(struct cache_directives *d, bool is_private, const struct sf_value *v)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < d->lists; i++)
        if (d->list[i].is_private != is_private)
            d->list[kept++] = d->list[i];
    d->lists = kept;
    *(is_private ? &d->is_private : &d->no_cache) = false;
    *(is_private ? &d->private_whole : &d->no_cache_whole) = false;
    if (v->type == SF_STRING)
        set_names(d, is_private, v->p, v->len);
    else if (v->type != SF_BOOLEAN || v->number)
        set_names(d, is_private, "", 0);
}

static void put_member(struct cache_target *t, const struct sf_member *m)
{
    struct cache_directives *d = &t->cc;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (sf_key_is(m, plain[i].name)) {
            *plain_flag(d, &plain[i]) =
                m->value.type == SF_BOOLEAN ? m->value.number != 0 : !plain[i].permits;
            return;
        }
    }
    if (sf_key_is(m, "max-age"))
        put_seconds(&d->has_max_age, &d->max_age_s, &t->bad_max_age, &m->value);
    else if (sf_key_is(m, "s-maxage"))
        put_seconds(&d->has_s_maxage, &d->s_maxage_s, &t->bad_s_maxage, &m->value);
    else if (sf_key_is(m, "no-cache"))
        put_names(d, false, &m->value);
    else if (sf_key_is(m, "private"))
        put_names(d, true, &m->value);
    else if (sf_key_is(m, "stale-while-revalidate"))
        put_seconds(&d->has_stale_while_revalidate, &d->stale_while_revalidate_s, NULL, &m->value);
    else if (sf_key_is(m, "stale-if-error"))
        put_seconds(&d->has_stale_if_error, &d->stale_if_error_s, NULL, &m->value);
}

void cache_target_parse(struct cache_control *c, int target, const char *value, size_t len)
{
    struct sf_reader r;
    struct sf_member m;
    if (target < 0 || target >= CACHE_TARGETS)
        return;
    struct cache_target *t = &c->target[target];
    bool any = false;
    sf_begin(&r, value, len);
    while (sf_dictionary_next(&r, &m)) {
        put_member(t, &m);
        any = true;
    }
    t->some |= any;
    t->bad |= r.bad || !any; /* beside others an empty line is a comma with nothing behind it */
}

void cache_control_choose(const struct cache_control *c, struct cache_response *r)
{
    for (int i = 0; i < CACHE_TARGETS; i++) {
        const struct cache_target *t = &c->target[i];
        if (!t->some || t->bad)
            continue;
        r->cc = t->cc;
        r->cc.bad_freshness = t->bad_max_age || t->bad_s_maxage;
        r->control = (uint8_t)(CACHE_IN_CORAL + i);
        r->has_expires = false;
        return;
    }
    r->cc = c->plain;
    r->control = CACHE_IN_CACHE_CONTROL;
}

/* --- requests (5.2.1, 5.4) -------------------------------------------------------------------- */

/* Of several values the stricter; no number is the strictest of all. */
static void set_most(bool *has, uint32_t *seconds, int64_t s)
{
    uint32_t n = s < 0 ? CACHE_SECONDS_MAX : (uint32_t)s;
    *seconds = *has && *seconds > n ? *seconds : n;
    *has = true;
}

void cache_request_parse(struct cache_request *q, const char *value, size_t len)
{
    struct text t = {value, value + len};
    struct directive x;
    bool good = true;
    while (next_directive(&t, &x, &good)) {
        if (text_is(x.name, "no-cache"))
            q->no_cache = true;
        else if (text_is(x.name, "no-store"))
            q->no_store = true;
        else if (text_is(x.name, "no-transform"))
            q->no_transform = true;
        else if (text_is(x.name, "only-if-cached"))
            q->only_if_cached = true;
        else if (text_is(x.name, "max-age"))
            set_window(&q->has_max_age, &q->max_age_s, seconds_of(&x));
        else if (text_is(x.name, "min-fresh"))
            set_most(&q->has_min_fresh, &q->min_fresh_s, seconds_of(&x));
        else if (text_is(x.name, "max-stale")) /* without a value: of any age (5.2.1.2) */
            set_window(&q->has_max_stale, &q->max_stale_s,
                       x.has_value || !x.good ? seconds_of(&x) : CACHE_SECONDS_MAX);
    }
}

void cache_request_pragma(struct cache_request *q, const char *value, size_t len)
{
    struct text t = {value, value + len};
    struct directive x;
    bool good = true;
    while (next_directive(&t, &x, &good))
        if (text_is(x.name, "no-cache"))
            q->no_cache = true;
}
