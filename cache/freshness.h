/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * May a response be stored, how old is it, how long is it fresh, and may it answer this request:
 * RFC 9111 sections 3 to 5, RFC 5861, 8246 and 9213 as pure functions over what a parser found in
 * the heads. Each verdict has a reason, with a text for an operator.
 *
 *   when a response comes:
 *     struct cache_control c = {0};
 *     each Cache-Control line:      cache_control_parse(&c.plain, value, len);
 *     each line of another name:    cache_target_parse(&c, cache_target(name, n), value, len);
 *     struct cache_response r = {.status = 200, .date_s = -1, .expires_s = -1, .age_s = -1, ...};
 *     the first Age line:           r.age_s = cache_age_parse(value, len);
 *     cache_control_choose(&c, &r);
 *     struct cache_verdict v = cache_judge(&r, &policy);
 *     cache_verdict_keep(&v, &meta);
 *
 *   when a request comes:
 *     struct cache_request q = {0};
 *     each Cache-Control line:      cache_request_parse(&q, value, len);
 *     none, but Pragma:             cache_request_pragma(&q, value, len);
 *     struct cache_reuse u = cache_reuse(cache_meta(object), &q, now.wall_s);
 *
 * Not here: which variant a request selects (cache/vary.h), incomplete responses (3.3, 3.4), HEAD.
 */
#ifndef CORAL_CACHE_FRESHNESS_H
#define CORAL_CACHE_FRESHNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache_meta; /* cache/cache.h: what is kept of a verdict */

/* Delta-seconds saturate here (RFC 9111 1.2.2: 2^31 when it would overflow). */
#define CACHE_SECONDS_MAX 0x7fffffff

/* delta-seconds (RFC 9111 1.2.2): 0 to CACHE_SECONDS_MAX; -1 when it is none. */
int64_t cache_seconds_parse(const char *value, size_t len);
/* The value of Age (5.1): the first member of the list; -1 when it is none, and then ignored. */
int64_t cache_age_parse(const char *value, size_t len);

/* --- directives of responses (directives.c) ------------------------------------------------- */

enum { CACHE_NAME_LISTS = 4 };

/* What the Cache-Control lines of one head say (5.2.2). Starts as all zero. */
struct cache_directives {
    bool no_store, is_public, must_revalidate, proxy_revalidate, must_understand, no_transform;
    bool immutable;            /* RFC 8246 */
    bool no_cache, is_private; /* in any form ... */
    bool no_cache_whole;       /* ... and without a list of fields, or with one too many */
    bool private_whole;
    bool has_max_age, has_s_maxage;
    bool has_stale_while_revalidate, has_stale_if_error; /* RFC 5861 */
    bool bad_freshness; /* a max-age or s-maxage that is no number, or two that differ */
    uint32_t max_age_s, s_maxage_s;
    uint32_t stale_while_revalidate_s, stale_if_error_s; /* of two, the lower */
    unsigned lists;
    struct cache_names { /* no-cache="a, b", private="a, b": spans of the line */
        const char *p;
        uint32_t len;
        bool is_private; /* else no-cache's */
    } list[CACHE_NAME_LISTS];
};

/* Adds one Cache-Control line to `d`; called once for each. Unknown directives are skipped.
 * False: the list is malformed; what was understood of it counts, and freshness that can't be
 * trusted is marked bad (then the response is stale at once, RFC 9111 4.2.1). */
bool cache_control_parse(struct cache_directives *d, const char *value, size_t len);

/* Is this field named by a qualified no-cache or private? While the line that `d` was parsed of
 * still stands. */
bool cache_directives_list(const struct cache_directives *d, const char *name, size_t len);

/* Which field governs a response (RFC 9213 2.2): Cache-Control, unless there is one of the target
 * list behind it, which begins with the most specific. */
#define CACHE_CONTROL_FIELDS(X)                                                                    \
    X(CACHE_IN_CACHE_CONTROL, "Cache-Control")                                                     \
    X(CACHE_IN_CORAL, "Coral-Cache-Control")                                                       \
    X(CACHE_IN_CDN, "CDN-Cache-Control")

#define CACHE_ENUM(name, ...) name,
enum cache_control_field { CACHE_CONTROL_FIELDS(CACHE_ENUM) CACHE_CONTROL_FIELDS_COUNT };
enum { CACHE_TARGETS = CACHE_CONTROL_FIELDS_COUNT - CACHE_IN_CORAL };

struct cache_control {
    struct cache_directives plain;
    struct cache_target {
        struct cache_directives cc;
        bool some, bad; /* it has members; it does not parse */
        bool bad_max_age, bad_s_maxage;
    } target[CACHE_TARGETS];
};

/* The place of a field in the target list; -1: it is not there. */
int cache_target(const char *name, size_t len);
/* One line of it. `target` -1 is nothing to do. */
void cache_target_parse(struct cache_control *c, int target, const char *value, size_t len);

/* --- directives of requests (5.2.1) --------------------------------------------------------- */

struct cache_request {
    bool no_cache, no_store, no_transform, only_if_cached;
    bool has_max_age, has_min_fresh, has_max_stale;
    uint32_t max_age_s, min_fresh_s;
    uint32_t max_stale_s; /* CACHE_SECONDS_MAX: of any age */
};

/* One Cache-Control line. What is said twice, or is no number, counts in its strictest sense. */
void cache_request_parse(struct cache_request *q, const char *value, size_t len);
/* One Pragma line of a request without Cache-Control (5.4): no-cache. */
void cache_request_pragma(struct cache_request *q, const char *value, size_t len);

/* --- storing (freshness.c) ------------------------------------------------------------------ */

enum cache_method { CACHE_GET, CACHE_OTHER_METHOD };

/* A response and what its request said, as far as the rules look at them. Times in wall seconds;
 * -1: absent or not a valid date (as http_date_parse answers). */
struct cache_response {
    uint16_t status;
    uint8_t method;  /* enum cache_method */
    uint8_t control; /* enum cache_control_field: where cc comes from, by cache_control_choose */
    struct cache_directives cc;
    int64_t request_s;  /* when the request was sent */
    int64_t response_s; /* when the head arrived */
    int64_t date_s;     /* Date */
    bool has_expires;   /* with expires_s -1: invalid, which means already expired (5.3) */
    int64_t expires_s;
    bool has_modified; /* Last-Modified, a valid date */
    int64_t modified_s;
    int64_t age_s;      /* Age: cache_age_parse of the first line; -1: absent, invalid */
    bool has_validator; /* ETag or Last-Modified */
    bool varies_any;    /* Vary says `*`, or more than is told apart (cache_vary.any) */
    bool has_set_cookie;
    bool authorized;    /* the request carried Authorization (RFC 9111 3.5) */
    bool asks_no_store; /* the request said no-store (5.2.1.5) */
    bool drops_listed;  /* the caller stores none of the fields that cache_directives_list names:
                           then qualified no-cache and private do not hinder */
};

/* Takes the first field of the target list that is valid and not empty; it governs alone, without
 * Cache-Control and Expires (RFC 9213 2.2). Without one, Cache-Control. */
void cache_control_choose(const struct cache_control *c, struct cache_response *r);

/* The operator's part. */
struct cache_lifetimes {
    uint32_t default_s;  /* where the origin names none (open mode: 12 h; a site: 2 min) */
    uint32_t minimum_s;  /* at least this for 2xx and 3xx, unless the origin insists on
                            validation (no-cache, *-revalidate, s-maxage). Open mode: 5 min */
    uint32_t negative_s; /* instead of default_s for 404, 405, 410, 414, 501 */
    int64_t override_s;  /* a site's own TTL for 2xx and 3xx instead of all of this; -1: none */
    uint32_t heuristic_max_s; /* more than default_s for what was last modified long ago: a tenth
                                 of that time (4.2.2), up to this; 0: not */
    uint32_t stale_error_s;   /* stale-if-error where the origin names none */
};

#define CACHE_STORE_REASONS(X)                                                                     \
    X(CACHE_STORABLE, "storable")                                                                  \
    X(CACHE_NOT_METHOD, "not the answer to a GET")                                                 \
    X(CACHE_NOT_REQUEST, "the request said no-store")                                              \
    X(CACHE_NOT_NO_STORE, "no-store")                                                              \
    X(CACHE_NOT_PRIVATE, "private")                                                                \
    X(CACHE_NOT_PRIVATE_FIELDS, "private for some fields")                                         \
    X(CACHE_NOT_UNDERSTOOD, "must-understand, and the status is unknown")                          \
    X(CACHE_NOT_PARTIAL, "a part, or a 304, without what it belongs to")                           \
    X(CACHE_NOT_STATUS, "status not cacheable without a lifetime")                                 \
    X(CACHE_NOT_AUTHORIZATION, "request had Authorization")                                        \
    X(CACHE_NOT_VARY, "varies by more than is told apart")                                         \
    X(CACHE_NOT_COOKIE, "sets a cookie")                                                           \
    X(CACHE_NOT_FRESH, "neither fresh nor to be validated")

enum cache_reason { CACHE_STORE_REASONS(CACHE_ENUM) CACHE_REASONS };

/* Where a lifetime comes from. */
#define CACHE_LIFETIME_REASONS(X)                                                                  \
    X(CACHE_BY_NOTHING, "none named")                                                              \
    X(CACHE_BY_S_MAXAGE, "s-maxage")                                                               \
    X(CACHE_BY_MAX_AGE, "max-age")                                                                 \
    X(CACHE_BY_EXPIRES, "Expires")                                                                 \
    X(CACHE_BY_INVALID, "invalid or contradictory, hence stale")                                   \
    X(CACHE_BY_NO_CACHE, "no-cache")                                                               \
    X(CACHE_BY_MODIFIED, "a tenth of the time since Last-Modified")                                \
    X(CACHE_BY_MODIFIED_CAP, "long unmodified: the most that heuristics give")                     \
    X(CACHE_BY_DEFAULT, "none named: the operator's default")                                      \
    X(CACHE_BY_NEGATIVE, "none named: the operator's for errors")                                  \
    X(CACHE_BY_MINIMUM, "the operator's minimum")                                                  \
    X(CACHE_BY_OVERRIDE, "the operator's own")

enum cache_lifetime_by { CACHE_LIFETIME_REASONS(CACHE_ENUM) CACHE_LIFETIME_REASONS_COUNT };

struct cache_verdict {
    bool storable;
    enum cache_reason reason;
    enum cache_lifetime_by lifetime_by;
    enum cache_control_field control;
    uint32_t lifetime_s;         /* freshness_lifetime (4.2.1) after policy; 0: validate always */
    uint32_t initial_age_s;      /* corrected_initial_age (4.2.3); meant also when not storable */
    uint32_t stale_revalidate_s; /* after that: to be served while it is revalidated */
    uint32_t stale_error_s;      /* and when the origin fails */
    bool must_revalidate;        /* never serve it stale (5.2.2.2, .8, .10; no-cache) */
    bool no_cache;               /* never without validation (5.2.2.4) */
    bool immutable, has_validator;
    bool for_authorized; /* of requests with Authorization, too (3.5) */
};

struct cache_verdict cache_judge(const struct cache_response *r,
                                 const struct cache_lifetimes *policy);

/* corrected_initial_age alone. */
uint32_t cache_initial_age(const struct cache_response *r);

/* What an object keeps of it: all fields of `meta` but response_s, content_length, version and
 * status. */
void cache_verdict_keep(const struct cache_verdict *v, struct cache_meta *meta);

/* Windows of stale-* in 16 bits, of which 5 are an exponent: to the second up to 4095 s, above
 * rounded down by less than 1/2048 (a day, an hour and their like are exact up to two days). */
uint16_t cache_window_code(uint32_t seconds);
uint32_t cache_window_s(uint16_t code);

/* --- reusing (reuse.c) ---------------------------------------------------------------------- */

#define CACHE_USES(X)                                                                              \
    X(CACHE_USE_FRESH, "send it")                                                                  \
    X(CACHE_USE_STALE, "send it, though stale")                                                    \
    X(CACHE_USE_STALE_REVALIDATE, "send it, though stale, and revalidate behind it")               \
    X(CACHE_USE_REVALIDATE, "ask the origin first")                                                \
    X(CACHE_USE_NOT, "fetch it")                                                                   \
    X(CACHE_USE_GATEWAY_TIMEOUT, "answer 504: only-if-cached")

enum cache_use { CACHE_USES(CACHE_ENUM) CACHE_USES_COUNT };

#define CACHE_REUSE_REASONS(X)                                                                     \
    X(CACHE_WHY_FRESH, "fresh")                                                                    \
    X(CACHE_WHY_IMMUTABLE, "fresh and immutable: a reload gets it too")                            \
    X(CACHE_WHY_MISSING, "nothing stored")                                                         \
    X(CACHE_WHY_NO_CACHE, "the response said no-cache")                                            \
    X(CACHE_WHY_REQUEST_NO_CACHE, "the request said no-cache")                                     \
    X(CACHE_WHY_REQUEST_MAX_AGE, "older than the request's max-age")                               \
    X(CACHE_WHY_REQUEST_MIN_FRESH, "fresh for less than the request's min-fresh")                  \
    X(CACHE_WHY_REQUEST_MAX_STALE, "stale, within the request's max-stale")                        \
    X(CACHE_WHY_STALE_REVALIDATE, "stale, within stale-while-revalidate")                          \
    X(CACHE_WHY_MUST_REVALIDATE, "stale, and must be revalidated")                                 \
    X(CACHE_WHY_STALE_ERROR, "stale; of use if the origin fails")                                  \
    X(CACHE_WHY_STALE, "stale")                                                                    \
    X(CACHE_WHY_NO_VALIDATOR, "stale, and nothing to validate it by")

enum cache_reuse_reason { CACHE_REUSE_REASONS(CACHE_ENUM) CACHE_REUSE_REASONS_COUNT };

struct cache_reuse {
    enum cache_use use;
    enum cache_reuse_reason reason;
    bool on_error;  /* and if that fails, the stored one may be sent (4.2.4, RFC 5861 4) */
    uint32_t age_s; /* current_age (4.2.3): the Age to send with it */
    int64_t ttl_s;  /* what is left of its lifetime; negative: stale for so long */
};

/* The verdict on a stored response (NULL: there is none) for a request (NULL: one that says
 * nothing) at a time. */
struct cache_reuse cache_reuse(const struct cache_meta *m, const struct cache_request *q,
                               int64_t wall_s);
/* current_age alone. */
uint32_t cache_current_age(const struct cache_meta *m, int64_t wall_s);
/* The age from which on it may not be sent without the origin's word, whatever happens. */
uint64_t cache_usable_s(const struct cache_meta *m);
/* May it be sent when the origin can't be reached, or answers with an error (4.2.4)? */
bool cache_stale_allowed(const struct cache_meta *m, int64_t wall_s);

/* --- texts for an operator ------------------------------------------------------------------ */

const char *cache_reason_text(enum cache_reason reason);
const char *cache_lifetime_text(enum cache_lifetime_by by);
const char *cache_control_name(enum cache_control_field field);
const char *cache_use_text(enum cache_use use);
const char *cache_reuse_text(enum cache_reuse_reason reason);

#endif
