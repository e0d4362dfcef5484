/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * May a response be stored, how old is it, how long is it fresh: RFC 9111 sections 3, 4.2 and
 * 5.2.2 as pure functions over what a parser found in the head.
 *
 *   struct cache_response r = {.status = 200, .date_s = -1, .expires_s = -1, .age_s = -1, ...};
 *   for each Cache-Control line:  cache_control_parse(&r.cc, value, len);
 *   for the Age line:             r.age_s = cache_seconds_parse(value, len);
 *   struct cache_verdict v = cache_judge(&r, &policy);
 *   meta.initial_age_s = v.initial_age_s, meta.lifetime_s = v.lifetime_s, ...
 *
 * Not covered yet: Vary (such responses are not stored), heuristic freshness from Last-Modified,
 * directives of requests. Qualified forms (no-cache="field", private="field") count as
 * unqualified, which RFC 9111 5.2.2.4 and 5.2.2.7 allow.
 */
#ifndef CORAL_CACHE_FRESHNESS_H
#define CORAL_CACHE_FRESHNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Delta-seconds saturate here (RFC 9111 1.2.2: 2^31 when it would overflow). */
#define CACHE_SECONDS_MAX 0x7fffffff

/* What the Cache-Control lines of one head say. Starts as all zero. */
struct cache_directives {
    bool no_store, no_cache, is_private, is_public, must_revalidate, proxy_revalidate;
    bool has_max_age, has_s_maxage;
    bool bad_freshness; /* a max-age or s-maxage that is no number, or two that differ */
    uint32_t max_age_s, s_maxage_s;
};

/* Adds one Cache-Control line to `d`; called once for each. Unknown directives are skipped.
 * False: the list is malformed; what was understood of it counts, and freshness that can't be
 * trusted is marked bad (then the response is stale at once, RFC 9111 4.2.1). */
bool cache_control_parse(struct cache_directives *d, const char *value, size_t len);

/* delta-seconds (RFC 9111 1.2.2): 0 to CACHE_SECONDS_MAX; -1 when it is none. */
int64_t cache_seconds_parse(const char *value, size_t len);

/* The response to a GET, as far as the rules look at it. Times in wall seconds; -1: absent or
 * not a valid date (as http_date_parse answers). */
struct cache_response {
    uint16_t status;
    struct cache_directives cc;
    int64_t request_s;  /* when the request was sent */
    int64_t response_s; /* when the head arrived */
    int64_t date_s;     /* Date */
    bool has_expires;   /* with expires_s -1: invalid, which means already expired (5.3) */
    int64_t expires_s;
    int64_t age_s;      /* Age: cache_seconds_parse of the first line; -1: absent, invalid */
    bool has_validator; /* ETag or Last-Modified */
    bool has_vary;
    bool has_set_cookie;
    bool authorized; /* the request carried Authorization (RFC 9111 3.5) */
};

/* The operator's part. */
struct cache_lifetimes {
    uint32_t default_s;  /* where the origin names none (open mode: 12 h; a site: 0) */
    uint32_t minimum_s;  /* at least this for 2xx and 3xx, unless the origin insists on
                            validation (no-cache, *-revalidate, s-maxage). Open mode: 5 min */
    uint32_t negative_s; /* instead of default_s for 404, 405, 410, 414, 501 */
    int64_t override_s;  /* a site's own TTL for 2xx and 3xx instead of all of this; -1: none */
};

enum cache_reason {
    CACHE_STORABLE,
    CACHE_NOT_STATUS,        /* this status isn't stored (206, 304, or no explicit lifetime) */
    CACHE_NOT_NO_STORE,      /* Cache-Control: no-store */
    CACHE_NOT_PRIVATE,       /* Cache-Control: private */
    CACHE_NOT_AUTHORIZATION, /* the request had credentials, no directive allows sharing */
    CACHE_NOT_VARY,          /* carries Vary */
    CACHE_NOT_COOKIE,        /* carries Set-Cookie */
    CACHE_NOT_FRESH,         /* neither a lifetime nor a validator: storing has no use */
    CACHE_REASONS
};

struct cache_verdict {
    bool storable;
    enum cache_reason reason;
    uint32_t lifetime_s;    /* freshness_lifetime (4.2.1) after policy; 0: validate every time */
    uint32_t initial_age_s; /* corrected_initial_age (4.2.3); meant also when not storable */
    bool must_revalidate;   /* never serve it stale (5.2.2.2, .8, .10; no-cache) */
};

struct cache_verdict cache_judge(const struct cache_response *r,
                                 const struct cache_lifetimes *policy);

/* corrected_initial_age alone. */
uint32_t cache_initial_age(const struct cache_response *r);

const char *cache_reason_text(enum cache_reason reason);

#endif
