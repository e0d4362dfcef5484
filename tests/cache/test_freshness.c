/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <string.h>

#include "cache/cache.h"
#include "cache/freshness.h"
#include "cache/vary.h"
#include "dataplane/http/http.h"

static struct cache_response response(const char *cache_control)
{
    struct cache_response r = {.status = 200,
                               .request_s = 1000,
                               .response_s = 1000,
                               .date_s = 1000,
                               .expires_s = -1,
                               .age_s = -1,
                               .has_validator = true};
    if (cache_control)
        cache_control_parse(&r.cc, cache_control, strlen(cache_control));
    return r;
}

static const struct cache_lifetimes strict = {.override_s = -1};
static const struct cache_lifetimes open_mode = {
    .default_s = 43200, .minimum_s = 300, .negative_s = 15, .override_s = -1};

Test(freshness, delta_seconds)
{
    const struct {
        const char *text;
        int64_t want;
    } table[] = {{"0", 0},
                 {"60", 60},
                 {" 60\t", 60},
                 {"007", 7},
                 {"", -1},
                 {"-1", -1},
                 {"+1", -1},
                 {"1.5", -1},
                 {"60 60", -1},
                 {"1a", -1},
                 {"2147483647", CACHE_SECONDS_MAX},
                 {"2147483648", CACHE_SECONDS_MAX},
                 {"99999999999999999999999", CACHE_SECONDS_MAX}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        cr_assert_eq(cache_seconds_parse(table[i].text, strlen(table[i].text)), table[i].want,
                     "\"%s\"", table[i].text);
}

Test(freshness, directives_in_any_shape)
{
    struct cache_directives d = {0};
    const char *line = "Public, MAX-AGE=60 ,\ts-maxage=\"120\",,no-cache, x=y, z=\"a,no-store\"";
    cr_assert(cache_control_parse(&d, line, strlen(line)));
    cr_assert(d.is_public && d.no_cache && d.has_max_age && d.has_s_maxage);
    cr_assert_not(d.no_store, "it is inside a string");
    cr_assert_eq(d.max_age_s, 60);
    cr_assert_eq(d.s_maxage_s, 120);
    cr_assert_not(d.bad_freshness);
    /* a second line adds */
    line = "must-revalidate, proxy-revalidate, private=\"set-cookie\", no-store";
    cr_assert(cache_control_parse(&d, line, strlen(line)));
    cr_assert(d.must_revalidate && d.proxy_revalidate && d.is_private && d.no_store);
    /* the same age again agrees, another contradicts */
    cr_assert(cache_control_parse(&d, "max-age=60", 10));
    cr_assert_not(d.bad_freshness);
    cr_assert(cache_control_parse(&d, "max-age=61", 10));
    cr_assert(d.bad_freshness);
}

Test(freshness, malformed_lists_err_on_the_safe_side)
{
    const char *const bad_age[] = {
        "max-age",     "max-age=",           "max-age=x",   "max-age=-1",  "max-age=1 2",
        "max-age=\"1", "max-age=1;no-store", "max-age =60", "s-maxage=1.0"};
    for (size_t i = 0; i < sizeof(bad_age) / sizeof(bad_age[0]); i++) {
        struct cache_directives d = {0};
        cache_control_parse(&d, bad_age[i], strlen(bad_age[i]));
        cr_assert(d.bad_freshness, "%s", bad_age[i]);
        cr_assert_not(d.has_max_age || d.has_s_maxage, "%s", bad_age[i]);
    }
    struct cache_directives d = {0};
    cr_assert_not(cache_control_parse(&d, "=x, no-store y, private=\"", 25));
    cr_assert(d.no_store && d.is_private, "what forbids still counts");
}

Test(freshness, which_lifetime_counts)
{
    const struct {
        const char *cc;
        bool has_expires;
        int64_t expires, date;
        uint32_t want;
    } table[] = {
        {"max-age=60", false, -1, 1000, 60},
        {"max-age=60, s-maxage=30", false, -1, 1000, 30},
        {"max-age=60", true, 5000, 1000, 60}, /* max-age over Expires */
        {NULL, true, 1500, 1000, 500},
        {NULL, true, 1500, 900, 600},
        {NULL, true, 1500, -1, 500}, /* no Date: time of receipt */
        {NULL, true, 900, 1000, 0},
        {NULL, true, -1, 1000, 0}, /* "Expires: 0" */
        {NULL, true, INT64_MAX, 1000, CACHE_SECONDS_MAX},
        {"max-age=x", true, 1500, 1000, 0},
        {"max-age=60, no-cache", false, -1, 1000, 0},
        {NULL, false, -1, 1000, 0}, /* none named, no default */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct cache_response r = response(table[i].cc);
        r.has_expires = table[i].has_expires;
        r.expires_s = table[i].expires;
        r.date_s = table[i].date;
        struct cache_verdict v = cache_judge(&r, &strict);
        cr_assert(v.storable, "row %zu", i);
        cr_assert_eq(v.lifetime_s, table[i].want, "row %zu: %u", i, v.lifetime_s);
    }
}

/* RFC 9111 4.2.3 */
Test(freshness, initial_age)
{
    const struct {
        int64_t request, response, date, age;
        uint32_t want;
    } table[] = {
        {1000, 1000, 1000, -1, 0},
        {1000, 1004, 1002, -1, 4},  /* response delay */
        {1000, 1004, 900, -1, 104}, /* apparent age */
        {1000, 1004, 1002, 50, 54}, /* Age and delay */
        {1000, 1004, 900, 50, 104}, /* the larger */
        {1000, 1004, 2000, -1, 4},  /* an origin whose clock is ahead */
        {1000, 1004, -1, -1, 4},
        {1010, 1004, 1004, 7, 7}, /* the wall clock stepped back */
        {1000, 1004, 1004, CACHE_SECONDS_MAX, CACHE_SECONDS_MAX},
        {INT64_MIN, INT64_MAX, 0, -1, CACHE_SECONDS_MAX},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct cache_response r = response("max-age=1");
        r.request_s = table[i].request;
        r.response_s = table[i].response;
        r.date_s = table[i].date;
        r.age_s = table[i].age;
        cr_assert_eq(cache_initial_age(&r), table[i].want, "row %zu: %u", i, cache_initial_age(&r));
    }
}

Test(freshness, what_is_not_stored)
{
    struct cache_response r = response("max-age=60, no-store");
    cr_assert_eq(cache_judge(&r, &open_mode).reason, CACHE_NOT_NO_STORE);
    r = response("max-age=60, private");
    cr_assert_eq(cache_judge(&r, &open_mode).reason, CACHE_NOT_PRIVATE);
    r = response("max-age=60");
    r.varies_any = true;
    cr_assert_eq(cache_judge(&r, &open_mode).reason, CACHE_NOT_VARY);
    r = response("max-age=60");
    r.has_set_cookie = true;
    cr_assert_eq(cache_judge(&r, &open_mode).reason, CACHE_NOT_COOKIE);
    r = response("max-age=60");
    r.authorized = true;
    cr_assert_eq(cache_judge(&r, &open_mode).reason, CACHE_NOT_AUTHORIZATION);
    for (int i = 0; i < 3; i++) {
        const char *const allow[] = {"public, max-age=60", "s-maxage=60",
                                     "must-revalidate, max-age=60"};
        r = response(allow[i]);
        r.authorized = true;
        cr_assert(cache_judge(&r, &open_mode).storable, "%s", allow[i]);
    }
    r = response(NULL);
    r.has_validator = false;
    cr_assert_eq(cache_judge(&r, &strict).reason, CACHE_NOT_FRESH);
    r = response("max-age=10");
    r.has_validator = false;
    r.age_s = 20;
    cr_assert_eq(cache_judge(&r, &strict).reason, CACHE_NOT_FRESH, "stale on arrival");
}

Test(freshness, statuses)
{
    const struct {
        uint16_t status;
        bool plain, explicit_age;
    } table[] = {{200, true, true},   {203, true, true},  {204, true, true},  {206, false, false},
                 {300, true, true},   {301, true, true},  {302, false, true}, {304, false, false},
                 {307, false, true},  {308, true, true},  {403, false, true}, {404, true, true},
                 {410, true, true},   {500, false, true}, {501, true, true},  {503, false, true},
                 {100, false, false}, {999, false, false}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct cache_response r = response(NULL);
        r.status = table[i].status;
        cr_assert_eq(cache_judge(&r, &open_mode).storable, table[i].plain, "%u", r.status);
        r = response("max-age=60");
        r.status = table[i].status;
        cr_assert_eq(cache_judge(&r, &open_mode).storable, table[i].explicit_age, "%u", r.status);
    }
}

Test(freshness, policy_of_open_mode)
{
    const struct {
        const char *cc;
        uint16_t status;
        uint32_t lifetime;
        bool must_revalidate;
    } table[] = {
        {NULL, 200, 43200, false},
        {"max-age=60", 200, 300, false}, /* tiny: raised */
        {"max-age=600", 200, 600, false},
        {"max-age=0", 200, 300, false},
        {"max-age=60, must-revalidate", 200, 60, true}, /* who insists is heard */
        {"max-age=60, proxy-revalidate", 200, 60, true},
        {"s-maxage=60", 200, 60, true},
        {"no-cache", 200, 0, true},
        {NULL, 404, 15, false},
        {"max-age=5", 404, 5, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct cache_response r = response(table[i].cc);
        r.status = table[i].status;
        struct cache_verdict v = cache_judge(&r, &open_mode);
        cr_assert(v.storable, "row %zu", i);
        cr_assert_eq(v.lifetime_s, table[i].lifetime, "row %zu: %u", i, v.lifetime_s);
        cr_assert_eq(v.must_revalidate, table[i].must_revalidate, "row %zu", i);
    }
}

Test(freshness, a_sites_own_ttl)
{
    const struct cache_lifetimes site = {.override_s = 77};
    struct cache_response r = response("max-age=5, no-cache");
    cr_assert_eq(cache_judge(&r, &site).lifetime_s, 77);
    r = response("max-age=5");
    r.status = 404;
    cr_assert_eq(cache_judge(&r, &site).lifetime_s, 5, "not for errors");
    r = response("private");
    cr_assert_not(cache_judge(&r, &site).storable, "and it publishes nothing private");
}

/* --- tables by section: heads as they come, what is decided, and why
 * ------------------------------
 */

#define ROWS(t) (sizeof(t) / sizeof((t)[0]))

#define T0          784111777 /* Sun, 06 Nov 1994 08:49:37 GMT: when responses are received */
#define DATE        "Date: Sun, 06 Nov 1994 08:49:37 GMT\n"
#define HOUR_BEFORE "Sun, 06 Nov 1994 07:49:37 GMT"
#define HOUR_AFTER  "Sun, 06 Nov 1994 09:49:37 GMT"
#define DAY_BEFORE  "Sat, 05 Nov 1994 08:49:37 GMT"

static const struct cache_lifetimes rfc = {.override_s = -1, .heuristic_max_s = 100000};

static void each_line(const char *head,
                      void (*fn)(void *, const char *, size_t, const char *, size_t), void *ctx)
{
    while (head && *head) {
        const char *end = strchr(head, '\n'), *colon = strchr(head, ':');
        cr_assert(end && colon && colon < end, "\"%s\"", head);
        const char *value = colon + 1 + strspn(colon + 1, " ");
        fn(ctx, head, (size_t)(colon - head), value, (size_t)(end - value));
        head = end + 1;
    }
}

static bool named(const char *name, size_t n, const char *want)
{
    return n == strlen(want) && memcmp(name, want, n) == 0;
}

struct response_draft {
    struct cache_control control;
    struct cache_vary vary;
    struct cache_response r;
};

static void response_line(void *ctx, const char *name, size_t n, const char *value, size_t len)
{
    struct response_draft *d = ctx;
    struct http_text text = {value, (uint32_t)len};
    cache_target_parse(&d->control, cache_target(name, n), value, len);
    if (named(name, n, "Cache-Control"))
        cache_control_parse(&d->control.plain, value, len);
    else if (named(name, n, "Date"))
        d->r.date_s = http_date_parse(text);
    else if (named(name, n, "Age") && d->r.age_s == -2)
        d->r.age_s = cache_age_parse(value, len);
    else if (named(name, n, "Expires"))
        d->r.has_expires = true, d->r.expires_s = http_date_parse(text);
    else if (named(name, n, "Last-Modified"))
        d->r.modified_s = http_date_parse(text), d->r.has_modified = d->r.modified_s >= 0;
    else if (named(name, n, "Vary"))
        cache_vary_parse(&d->vary, value, len);
    else if (named(name, n, "Set-Cookie"))
        d->r.has_set_cookie = true;
    d->r.has_validator |= named(name, n, "ETag") || named(name, n, "Last-Modified");
}

static void request_line(void *ctx, const char *name, size_t n, const char *value, size_t len)
{
    if (named(name, n, "Cache-Control"))
        cache_request_parse(ctx, value, len);
}

static void pragma_line(void *ctx, const char *name, size_t n, const char *value, size_t len)
{
    if (named(name, n, "Pragma"))
        cache_request_pragma(ctx, value, len);
}

static struct cache_request read_request(const char *head)
{
    struct cache_request q = {0};
    each_line(head, request_line, &q);
    if (head && !strstr(head, "Cache-Control:"))
        each_line(head, pragma_line, &q);
    return q;
}

static struct cache_response read_response(uint16_t status, const char *head, const char *request)
{
    struct response_draft d = {.r = {.status = status,
                                     .request_s = T0,
                                     .response_s = T0,
                                     .date_s = -1,
                                     .expires_s = -1,
                                     .age_s = -2}};
    each_line(head, response_line, &d);
    cache_control_choose(&d.control, &d.r);
    d.r.varies_any = d.vary.any;
    struct cache_request q = read_request(request);
    d.r.asks_no_store = q.no_store;
    d.r.authorized = request && strstr(request, "Authorization:");
    return d.r;
}

Test(freshness, which_responses_are_stored)
{
    const struct {
        const char *name;
        uint16_t status;
        const char *response, *request;
        enum cache_reason reason;
    } table[] = {
        {"3 nothing said, heuristically cacheable", 200, "ETag: x\n", NULL, CACHE_STORABLE},
        {"3 nothing said, and no use", 200, DATE, NULL, CACHE_NOT_FRESH},
        {"3 302 without a lifetime", 302, "ETag: x\n", NULL, CACHE_NOT_STATUS},
        {"3 302 with max-age", 302, "Cache-Control: max-age=1\n", NULL, CACHE_STORABLE},
        {"3 302 with s-maxage", 302, "Cache-Control: s-maxage=1\n", NULL, CACHE_STORABLE},
        {"3 302 with Expires", 302, DATE "Expires: " HOUR_AFTER "\n", NULL, CACHE_STORABLE},
        {"3 302 with public", 302, "Cache-Control: public\nETag: x\n", NULL, CACHE_STORABLE},
        {"3 500 with max-age", 500, "Cache-Control: max-age=1\n", NULL, CACHE_STORABLE},
        {"3 599 with max-age", 599, "Cache-Control: max-age=1\n", NULL, CACHE_STORABLE},
        {"3 not final", 103, "Cache-Control: max-age=1\n", NULL, CACHE_NOT_STATUS},
        {"3 no status", 600, "Cache-Control: max-age=1\n", NULL, CACHE_NOT_STATUS},
        {"3.3 a part", 206, "Cache-Control: max-age=1\n", NULL, CACHE_NOT_PARTIAL},
        {"4.3.4 a 304", 304, "Cache-Control: max-age=1\n", NULL, CACHE_NOT_PARTIAL},
        {"3.5 credentials", 200, "Cache-Control: max-age=9\n", "Authorization: x\n",
         CACHE_NOT_AUTHORIZATION},
        {"3.5 public", 200, "Cache-Control: max-age=9, public\n", "Authorization: x\n",
         CACHE_STORABLE},
        {"3.5 s-maxage", 200, "Cache-Control: s-maxage=9\n", "Authorization: x\n", CACHE_STORABLE},
        {"3.5 must-revalidate", 200, "Cache-Control: max-age=9, must-revalidate\n",
         "Authorization: x\n", CACHE_STORABLE},
        {"3.5 proxy-revalidate is none of these", 200,
         "Cache-Control: max-age=9, proxy-revalidate\n", "Authorization: x\n",
         CACHE_NOT_AUTHORIZATION},
        {"4.1 Vary", 200, "Cache-Control: max-age=9\nVary: a\n", NULL, CACHE_STORABLE},
        {"4.1 Vary: *", 200, "Cache-Control: max-age=9\nVary: a, *\n", NULL, CACHE_NOT_VARY},
        {"7.3 a cookie", 200, "Cache-Control: max-age=9\nSet-Cookie: a\n", NULL, CACHE_NOT_COOKIE},
        {"5.2.1.5 request no-store", 200, "Cache-Control: max-age=9\n", "Cache-Control: no-store\n",
         CACHE_NOT_REQUEST},
        {"5.2.2.3 must-understand, and we do", 200,
         "Cache-Control: max-age=9, no-store, must-understand\n", NULL, CACHE_STORABLE},
        {"5.2.2.3 must-understand, and we do not", 299,
         "Cache-Control: max-age=9, no-store, must-understand\n", NULL, CACHE_NOT_NO_STORE},
        {"5.2.2.3 alone", 299, "Cache-Control: max-age=9, must-understand\n", NULL,
         CACHE_NOT_UNDERSTOOD},
        {"5.2.2.3 an unknown status without it", 299, "Cache-Control: max-age=9\n", NULL,
         CACHE_STORABLE},
        {"5.2.2.3 a part is not understood", 206,
         "Cache-Control: max-age=9, no-store, must-understand\n", NULL, CACHE_NOT_NO_STORE},
        {"5.2.2.5 no-store", 200, "Cache-Control: max-age=9, no-store\n", NULL, CACHE_NOT_NO_STORE},
        {"5.2.2.5 in any case", 200, "Cache-Control: max-age=9, No-StOrE\n", NULL,
         CACHE_NOT_NO_STORE},
        {"5.2.2.5 with a value", 200, "Cache-Control: max-age=9, no-store=1\n", NULL,
         CACHE_NOT_NO_STORE},
        {"5.2.2.7 private", 200, "Cache-Control: max-age=9, private\n", NULL, CACHE_NOT_PRIVATE},
        {"5.2.2.7 qualified", 200, "Cache-Control: max-age=9, private=\"a, b\"\n", NULL,
         CACHE_NOT_PRIVATE_FIELDS},
        {"5.2.2.7 qualified, and whole", 200, "Cache-Control: private=\"a\", private\n", NULL,
         CACHE_NOT_PRIVATE},
        {"5.2.2.7 qualified by nothing", 200, "Cache-Control: max-age=9, private=\"\"\n", NULL,
         CACHE_NOT_PRIVATE},
        {"5.2.3 unknown directives", 200, "Cache-Control: max-age=9, x, y=1, z=\"no-store\"\n",
         NULL, CACHE_STORABLE},
        {"5861 3 of use while it is revalidated", 200,
         "Cache-Control: max-age=0, stale-while-revalidate=9\n", NULL, CACHE_STORABLE},
        {"5861 4 of use when the origin fails", 200, "Cache-Control: max-age=0, stale-if-error=9\n",
         NULL, CACHE_STORABLE},
        {"5861 but not against must-revalidate", 200,
         "Cache-Control: max-age=0, must-revalidate, stale-while-revalidate=9\n", NULL,
         CACHE_NOT_FRESH},
        {"9213 2.2 no-store for others", 200,
         "Cache-Control: no-store\nCDN-Cache-Control: max-age=9\n", NULL, CACHE_STORABLE},
        {"9213 3.1 anything valid lifts it", 200,
         "Cache-Control: no-store\nCDN-Cache-Control: none\nETag: x\n", NULL, CACHE_STORABLE},
        {"9213 2.2 no-store for us", 200, "Cache-Control: max-age=9\nCDN-Cache-Control: no-store\n",
         NULL, CACHE_NOT_NO_STORE},
        {"9213 2.2 private for us", 200, "Cache-Control: max-age=9\nCDN-Cache-Control: private\n",
         NULL, CACHE_NOT_PRIVATE},
        {"9213 2.2 credentials as ever", 200, "CDN-Cache-Control: max-age=9\n",
         "Authorization: x\n", CACHE_NOT_AUTHORIZATION},
    };
    for (size_t i = 0; i < ROWS(table); i++) {
        struct cache_response r =
            read_response(table[i].status, table[i].response, table[i].request);
        struct cache_verdict v = cache_judge(&r, &rfc);
        cr_assert_eq(v.reason, table[i].reason, "%s: %s", table[i].name,
                     cache_reason_text(v.reason));
        cr_assert_eq(v.storable, v.reason == CACHE_STORABLE, "%s", table[i].name);
    }
    struct cache_response r = read_response(200, "Cache-Control: max-age=9\n", NULL);
    r.method = CACHE_OTHER_METHOD;
    cr_assert_eq(cache_judge(&r, &rfc).reason, CACHE_NOT_METHOD, "3 and RFC 9110 9.3.3");
}

struct lifetime_row {
    const char *name;
    uint16_t status;
    const char *response;
    uint32_t lifetime;
    enum cache_lifetime_by by;
    enum cache_control_field control;
};

static void check_lifetimes(const struct lifetime_row *row, size_t rows)
{
    for (; rows > 0; rows--, row++) {
        struct cache_response r = read_response(row->status, row->response, NULL);
        r.has_validator = true;
        struct cache_verdict v = cache_judge(&r, &rfc);
        cr_assert(v.storable, "%s: %s", row->name, cache_reason_text(v.reason));
        cr_assert_eq(v.lifetime_s, row->lifetime, "%s: %u", row->name, v.lifetime_s);
        cr_assert_eq(v.lifetime_by, row->by, "%s: %s", row->name,
                     cache_lifetime_text(v.lifetime_by));
        cr_assert_eq(v.control, row->control, "%s: %s", row->name, cache_control_name(v.control));
    }
}

/* 3.5: kept with the response, by whomever that was asked for. */
Test(freshness, which_are_for_requests_with_credentials)
{
    const struct {
        const char *response;
        bool shared;
    } table[] = {
        {"Cache-Control: max-age=9\n", false},
        {"Cache-Control: max-age=9, public\n", true},
        {"Cache-Control: s-maxage=9\n", true},
        {"Cache-Control: max-age=9, must-revalidate\n", true},
        {"Cache-Control: max-age=9, proxy-revalidate\n", false},
        {"Cache-Control: max-age=9, x=\"public\"\n", false},
        {"Cache-Control: public\nCDN-Cache-Control: max-age=9\n", false},
        {"Cache-Control: max-age=9\nCDN-Cache-Control: max-age=9, public\n", true},
    };
    for (size_t i = 0; i < ROWS(table); i++) {
        struct cache_response r = read_response(200, table[i].response, NULL);
        struct cache_verdict v = cache_judge(&r, &rfc);
        struct cache_meta meta = {0};
        cr_assert(v.storable, "%s", table[i].response);
        cache_verdict_keep(&v, &meta);
        cr_expect_eq(meta.for_authorized, table[i].shared, "%s", table[i].response);
    }
}

Test(freshness, which_lifetime_and_why)
{
    static const struct lifetime_row table[] = {
        {"4.2.1 max-age", 200, "Cache-Control: max-age=60\n", 60, CACHE_BY_MAX_AGE, 0},
        {"4.2.1 s-maxage first", 200, "Cache-Control: max-age=60, s-maxage=30\n", 30,
         CACHE_BY_S_MAXAGE, 0},
        {"4.2.1 s-maxage=0 too", 200, "Cache-Control: max-age=60, s-maxage=0\n", 0,
         CACHE_BY_S_MAXAGE, 0},
        {"4.2.1 max-age before Expires", 200,
         DATE "Cache-Control: max-age=60\nExpires: " HOUR_AFTER "\n", 60, CACHE_BY_MAX_AGE, 0},
        {"4.2.1 max-age before a bad Expires", 200, "Cache-Control: max-age=60\nExpires: 0\n", 60,
         CACHE_BY_MAX_AGE, 0},
        {"4.2.1 Expires", 200, DATE "Expires: " HOUR_AFTER "\n", 3600, CACHE_BY_EXPIRES, 0},
        {"4.2.1 Expires after Date, whatever our clock", 200,
         "Date: " HOUR_BEFORE "\nExpires: " HOUR_AFTER "\n", 7200, CACHE_BY_EXPIRES, 0},
        {"4.2.1 Expires, no Date", 200, "Expires: " HOUR_AFTER "\n", 3600, CACHE_BY_EXPIRES, 0},
        {"4.2.1 Expires, a bad Date", 200, "Date: yesterday\nExpires: " HOUR_AFTER "\n", 3600,
         CACHE_BY_EXPIRES, 0},
        {"4.2.1 Expires in the past", 200, DATE "Expires: " HOUR_BEFORE "\n", 0, CACHE_BY_EXPIRES,
         0},
        {"5.3 Expires: 0", 200, DATE "Expires: 0\nLast-Modified: " DAY_BEFORE "\n", 0,
         CACHE_BY_INVALID, 0},
        {"5.3 Expires: -1", 200, "Expires: -1\n", 0, CACHE_BY_INVALID, 0},
        {"4.2.1 no number", 200, "Cache-Control: max-age=a\n", 0, CACHE_BY_INVALID, 0},
        {"4.2.1 a fraction", 200, "Cache-Control: max-age=1.5\n", 0, CACHE_BY_INVALID, 0},
        {"4.2.1 negative", 200, "Cache-Control: max-age=-1\n", 0, CACHE_BY_INVALID, 0},
        {"4.2.1 a space", 200, "Cache-Control: max-age =60\n", 0, CACHE_BY_INVALID, 0},
        {"4.2.1 single quotes", 200, "Cache-Control: max-age='60'\n", 0, CACHE_BY_INVALID, 0},
        {"4.2.1 twice, the same", 200, "Cache-Control: max-age=60\nCache-Control: max-age=60\n", 60,
         CACHE_BY_MAX_AGE, 0},
        {"4.2.1 twice, not the same", 200, "Cache-Control: max-age=60, max-age=600\n", 0,
         CACHE_BY_INVALID, 0},
        {"1.2.2 leading zeros", 200, "Cache-Control: max-age=0060\n", 60, CACHE_BY_MAX_AGE, 0},
        {"1.2.2 2^31", 200, "Cache-Control: max-age=2147483648\n", CACHE_SECONDS_MAX,
         CACHE_BY_MAX_AGE, 0},
        {"1.2.2 beyond 2^64", 200, "Cache-Control: max-age=99999999999999999999\n",
         CACHE_SECONDS_MAX, CACHE_BY_MAX_AGE, 0},
        {"5.2 the quoted form", 200, "Cache-Control: max-age=\"60\"\n", 60, CACHE_BY_MAX_AGE, 0},
        {"5.2 in any case", 200, "Cache-Control: MAX-age=60\n", 60, CACHE_BY_MAX_AGE, 0},
        {"5.2 in a string it is none", 200, "Cache-Control: x=\"a, max-age=9\", max-age=60\n", 60,
         CACHE_BY_MAX_AGE, 0},
        {"4.2.2 a tenth", 200, DATE "Last-Modified: " DAY_BEFORE "\n", 8640, CACHE_BY_MODIFIED, 0},
        {"4.2.2 at most", 200, DATE "Last-Modified: Sun, 06 Nov 1974 08:49:37 GMT\n", 100000,
         CACHE_BY_MODIFIED_CAP, 0},
        {"4.2.2 modified in the future", 200, DATE "Last-Modified: " HOUR_AFTER "\n", 0,
         CACHE_BY_NOTHING, 0},
        {"4.2.2 no date", 200, DATE "Last-Modified: then\n", 0, CACHE_BY_NOTHING, 0},
        {"4.2.2 not beside max-age", 200,
         DATE "Cache-Control: max-age=5\nLast-Modified: " DAY_BEFORE "\n", 5, CACHE_BY_MAX_AGE, 0},
        {"4.2.2 301", 301, DATE "Last-Modified: " DAY_BEFORE "\n", 8640, CACHE_BY_MODIFIED, 0},
        {"4.2.2 302 by public", 302, DATE "Cache-Control: public\nLast-Modified: " DAY_BEFORE "\n",
         8640, CACHE_BY_MODIFIED, 0},
        {"5.2.2.4 no-cache", 200, "Cache-Control: max-age=60, no-cache\n", 0, CACHE_BY_NO_CACHE, 0},
        {"5.2.2.4 qualified", 200, "Cache-Control: max-age=60, no-cache=\"a\"\n", 0,
         CACHE_BY_NO_CACHE, 0},
    };
    check_lifetimes(table, ROWS(table));
}

Test(freshness, which_lifetime_by_a_field_for_this_cache)
{
    static const struct lifetime_row table[] = {
        {"9213 2.2 CDN before Cache-Control", 200,
         "Cache-Control: max-age=60, s-maxage=120\nCDN-Cache-Control: max-age=600\n", 600,
         CACHE_BY_MAX_AGE, CACHE_IN_CDN},
        {"9213 2.2 the most specific first", 200,
         "CDN-Cache-Control: max-age=600\nCoral-Cache-Control: max-age=6\n", 6, CACHE_BY_MAX_AGE,
         CACHE_IN_CORAL},
        {"9213 2.2 Expires is ignored", 200,
         DATE "Expires: " HOUR_AFTER "\nCDN-Cache-Control: public\n", 0, CACHE_BY_NOTHING,
         CACHE_IN_CDN},
        {"9213 2.2 no-cache is ignored", 200,
         "Cache-Control: no-cache\nCDN-Cache-Control: max-age=6\n", 6, CACHE_BY_MAX_AGE,
         CACHE_IN_CDN},
        {"9213 2.2 no-cache", 200, "Cache-Control: max-age=6\nCDN-Cache-Control: no-cache\n", 0,
         CACHE_BY_NO_CACHE, CACHE_IN_CDN},
        {"9213 2.1 empty", 200, "Cache-Control: max-age=6\nCDN-Cache-Control: \n", 6,
         CACHE_BY_MAX_AGE, CACHE_IN_CACHE_CONTROL},
        {"9213 2.1 does not parse", 200,
         "Cache-Control: max-age=6\nCDN-Cache-Control: max-age=60, &\n", 6, CACHE_BY_MAX_AGE,
         CACHE_IN_CACHE_CONTROL},
        {"9213 2.1 one of two lines does not parse", 200,
         "Cache-Control: max-age=6\nCDN-Cache-Control: max-age=60\nCDN-Cache-Control: a b\n", 6,
         CACHE_BY_MAX_AGE, CACHE_IN_CACHE_CONTROL},
        {"9213 2.1 then the next of the list", 200,
         "CDN-Cache-Control: max-age=60\nCoral-Cache-Control: MAX-AGE=6\n", 60, CACHE_BY_MAX_AGE,
         CACHE_IN_CDN},
        {"9213 2.1 a space that Cache-Control would bear", 200,
         "Cache-Control: max-age=6\nCDN-Cache-Control: max-age=60,\n", 6, CACHE_BY_MAX_AGE,
         CACHE_IN_CACHE_CONTROL},
        {"9213 2.1 the last of two", 200, "CDN-Cache-Control: max-age=60, max-age=6\n", 6,
         CACHE_BY_MAX_AGE, CACHE_IN_CDN},
        {"9213 2.1 of two lines, too", 200,
         "CDN-Cache-Control: max-age=\"x\"\nCDN-Cache-Control: max-age=6\n", 6, CACHE_BY_MAX_AGE,
         CACHE_IN_CDN},
        {"9213 2.1 a decimal is not consumed", 200, "CDN-Cache-Control: max-age=6.0\n", 0,
         CACHE_BY_INVALID, CACHE_IN_CDN},
        {"9213 2.1 nor a string", 200, "CDN-Cache-Control: max-age=\"6\"\n", 0, CACHE_BY_INVALID,
         CACHE_IN_CDN},
        {"9213 2.1 nor below zero", 200, "CDN-Cache-Control: max-age=-6\n", 0, CACHE_BY_INVALID,
         CACHE_IN_CDN},
        {"9213 2.1 parameters are ignored", 200, "CDN-Cache-Control: max-age=6;a=1, b;max-age=9\n",
         6, CACHE_BY_MAX_AGE, CACHE_IN_CDN},
        {"9213 2.1 the largest", 200, "CDN-Cache-Control: max-age=999999999999999\n",
         CACHE_SECONDS_MAX, CACHE_BY_MAX_AGE, CACHE_IN_CDN},
        {"9213 2.1 ?0 says that it is not there", 200,
         "CDN-Cache-Control: no-store, no-cache, max-age=6, no-store=?0, no-cache=?0\n", 6,
         CACHE_BY_MAX_AGE, CACHE_IN_CDN},
    };
    check_lifetimes(table, ROWS(table));
}

#define CC(x)  "Cache-Control: " x "\n"
#define TAG    "ETag: x\n"
#define FRESH  CACHE_USE_FRESH
#define STALE  CACHE_USE_STALE
#define BEHIND CACHE_USE_STALE_REVALIDATE
#define ASK    CACHE_USE_REVALIDATE
#define FETCH  CACHE_USE_NOT
#define NO     CACHE_USE_GATEWAY_TIMEOUT
struct reuse_row {
    const char *name, *response, *request;
    int64_t after; /* seconds from receipt to the request */
    enum cache_use use;
    enum cache_reuse_reason reason;
    uint32_t age;
    bool on_error;
};

static void check_reuse(const struct reuse_row *row, size_t rows)
{
    for (; rows > 0; rows--, row++) {
        struct cache_meta m = {.response_s = T0, .status = 200, .content_length = 0};
        struct cache_request q = read_request(row->request);
        if (row->response) {
            struct cache_response r = read_response(200, row->response, NULL);
            struct cache_verdict v = cache_judge(&r, &rfc);
            cr_assert(v.storable, "%s: %s", row->name, cache_reason_text(v.reason));
            cache_verdict_keep(&v, &m);
        }
        struct cache_reuse u =
            cache_reuse(row->response ? &m : NULL, row->request ? &q : NULL, T0 + row->after);
        cr_assert_eq(u.use, row->use, "%s: %s", row->name, cache_use_text(u.use));
        cr_assert_eq(u.reason, row->reason, "%s: %s", row->name, cache_reuse_text(u.reason));
        cr_assert_eq(u.age_s, row->age, "%s: %u", row->name, u.age_s);
        cr_assert_eq(u.on_error, row->on_error, "%s", row->name);
    }
}

Test(freshness, reuse_by_age)
{
    static const struct reuse_row table[] = {
        {"4 nothing stored", NULL, NULL, 0, FETCH, CACHE_WHY_MISSING, 0, false},
        {"4.2 fresh", CC("max-age=60") TAG, NULL, 0, FRESH, CACHE_WHY_FRESH, 0, true},
        {"4.2 the last second", CC("max-age=60") TAG, NULL, 59, FRESH, CACHE_WHY_FRESH, 59, true},
        {"4.2 over", CC("max-age=60") TAG, NULL, 60, ASK, CACHE_WHY_STALE, 60, false},
        {"4.2 over, and no validator", CC("max-age=60"), NULL, 60, FETCH, CACHE_WHY_NO_VALIDATOR,
         60, false},
        {"4.2.3 Age counts", CC("max-age=60") TAG "Age: 50\n", NULL, 9, FRESH, CACHE_WHY_FRESH, 59,
         true},
        {"4.2.3 and makes stale", CC("max-age=60") TAG "Age: 50\n", NULL, 10, ASK, CACHE_WHY_STALE,
         60, false},
        {"4.2.3 so does Date", CC("max-age=60") TAG "Date: " HOUR_BEFORE "\n", NULL, 0, ASK,
         CACHE_WHY_STALE, 3600, false},
        {"4.2.3 Date in the future is young", CC("max-age=60") TAG "Date: " HOUR_AFTER "\n", NULL,
         5, FRESH, CACHE_WHY_FRESH, 5, true},
        {"4.2.3 the clock stepped back", CC("max-age=60") TAG "Age: 5\n", NULL, -100, FRESH,
         CACHE_WHY_FRESH, 5, true},
        {"4.2.3 after ages", CC("max-age=60") TAG, NULL, 1ll << 40, ASK, CACHE_WHY_STALE,
         CACHE_SECONDS_MAX, false},
        {"5.1 the first of a list", CC("max-age=60") TAG "Age: 7, 100\n", NULL, 0, FRESH,
         CACHE_WHY_FRESH, 7, true},
        {"5.1 the first line", CC("max-age=60") TAG "Age: 7\nAge: 100\n", NULL, 0, FRESH,
         CACHE_WHY_FRESH, 7, true},
        {"5.1 no number is ignored", CC("max-age=60") TAG "Age: 7.0\n", NULL, 0, FRESH,
         CACHE_WHY_FRESH, 0, true},
        {"5.1 below zero, too", CC("max-age=60") TAG "Age: -7\n", NULL, 0, FRESH, CACHE_WHY_FRESH,
         0, true},
        {"5.1 2^31", CC("max-age=60") TAG "Age: 2147483648\n", NULL, 0, ASK, CACHE_WHY_STALE,
         CACHE_SECONDS_MAX, false},
    };
    check_reuse(table, ROWS(table));
}

Test(freshness, reuse_as_the_request_asks)
{
    static const struct reuse_row table[] = {
        {"5.2.1.1 old enough", CC("max-age=60") TAG, CC("max-age=9"), 9, FRESH, CACHE_WHY_FRESH, 9,
         true},
        {"5.2.1.1 too old", CC("max-age=60") TAG, CC("max-age=9"), 10, ASK,
         CACHE_WHY_REQUEST_MAX_AGE, 10, true},
        {"5.2.1.1 a reload", CC("max-age=60") TAG, CC("max-age=0"), 1, ASK,
         CACHE_WHY_REQUEST_MAX_AGE, 1, true},
        {"5.2.1.1 the strictest of two", CC("max-age=60") TAG, CC("max-age=9, max-age=5"), 6, ASK,
         CACHE_WHY_REQUEST_MAX_AGE, 6, true},
        {"5.2.1.1 no number", CC("max-age=60") TAG, CC("max-age=x"), 1, ASK,
         CACHE_WHY_REQUEST_MAX_AGE, 1, true},
        {"5.2.1.1 longer than its lifetime", CC("max-age=60") TAG, CC("max-age=100"), 70, ASK,
         CACHE_WHY_STALE, 70, false},
        {"5.2.1.2 max-stale", CC("max-age=60") TAG, CC("max-stale=10"), 70, STALE,
         CACHE_WHY_REQUEST_MAX_STALE, 70, false},
        {"5.2.1.2 over it", CC("max-age=60") TAG, CC("max-stale=10"), 71, ASK, CACHE_WHY_STALE, 71,
         false},
        {"5.2.1.2 of any age", CC("max-age=60") TAG, CC("max-stale"), 99999, STALE,
         CACHE_WHY_REQUEST_MAX_STALE, 99999, false},
        {"5.2.1.2 no number permits nothing", CC("max-age=60") TAG, CC("max-stale=x"), 61, ASK,
         CACHE_WHY_STALE, 61, false},
        {"5.2.1.2 a space", CC("max-age=60") TAG, CC("max-stale =9"), 61, ASK, CACHE_WHY_STALE, 61,
         false},
        {"5.2.1.2 not against must-revalidate", CC("max-age=60, must-revalidate") TAG,
         CC("max-stale"), 60, ASK, CACHE_WHY_MUST_REVALIDATE, 60, false},
        {"5.2.1.2 nor beside max-age", CC("max-age=60") TAG, CC("max-age=9, max-stale"), 70, ASK,
         CACHE_WHY_REQUEST_MAX_AGE, 70, false},
        {"5.2.1.3 min-fresh", CC("max-age=60") TAG, CC("min-fresh=10"), 50, FRESH, CACHE_WHY_FRESH,
         50, true},
        {"5.2.1.3 not fresh enough", CC("max-age=60") TAG, CC("min-fresh=10"), 51, ASK,
         CACHE_WHY_REQUEST_MIN_FRESH, 51, true},
        {"5.2.1.3 no number", CC("max-age=60") TAG, CC("min-fresh=x"), 0, ASK,
         CACHE_WHY_REQUEST_MIN_FRESH, 0, true},
        {"5.2.1.4 no-cache", CC("max-age=60") TAG, CC("no-cache"), 0, ASK,
         CACHE_WHY_REQUEST_NO_CACHE, 0, true},
        {"5.2.1.4 no-cache with a value", CC("max-age=60") TAG, CC("no-cache=\"a\""), 0, ASK,
         CACHE_WHY_REQUEST_NO_CACHE, 0, true},
        {"5.2.1.5 no-store may be answered", CC("max-age=60") TAG, CC("no-store"), 0, FRESH,
         CACHE_WHY_FRESH, 0, true},
        {"5.2.1.7 only-if-cached, and it is", CC("max-age=60") TAG, CC("only-if-cached"), 0, FRESH,
         CACHE_WHY_FRESH, 0, true},
        {"5.2.1.7 stale", CC("max-age=60") TAG, CC("only-if-cached"), 60, NO, CACHE_WHY_STALE, 60,
         false},
        {"5.2.1.7 stale, and welcome", CC("max-age=60") TAG, CC("only-if-cached, max-stale"), 60,
         STALE, CACHE_WHY_REQUEST_MAX_STALE, 60, false},
        {"5.2.1.7 stale, for a while", CC("max-age=60, stale-while-revalidate=9") TAG,
         CC("only-if-cached"), 60, BEHIND, CACHE_WHY_STALE_REVALIDATE, 60, true},
        {"5.2.1.7 nothing there", NULL, CC("only-if-cached"), 0, NO, CACHE_WHY_MISSING, 0, false},
        {"5.2.1.7 and no-cache", CC("max-age=60") TAG, CC("only-if-cached, no-cache"), 0, NO,
         CACHE_WHY_REQUEST_NO_CACHE, 0, true},
        {"5.4 Pragma", CC("max-age=60") TAG, "Pragma: no-cache\n", 0, ASK,
         CACHE_WHY_REQUEST_NO_CACHE, 0, true},
        {"5.4 among others", CC("max-age=60") TAG, "Pragma: x=1, No-Cache\n", 0, ASK,
         CACHE_WHY_REQUEST_NO_CACHE, 0, true},
        {"5.4 not beside Cache-Control", CC("max-age=60") TAG,
         "Pragma: no-cache\nCache-Control: max-age=5\n", 0, FRESH, CACHE_WHY_FRESH, 0, true},
        {"5.4 not in a response", CC("max-age=60") TAG "Pragma: no-cache\n", NULL, 0, FRESH,
         CACHE_WHY_FRESH, 0, true},
    };
    check_reuse(table, ROWS(table));
}

Test(freshness, reuse_as_the_response_allows)
{
    static const struct reuse_row table[] = {
        {"5.2.2.2 must-revalidate, fresh", CC("max-age=60, must-revalidate") TAG, NULL, 59, FRESH,
         CACHE_WHY_FRESH, 59, true},
        {"5.2.2.2 must-revalidate, stale", CC("max-age=60, must-revalidate") TAG, NULL, 60, ASK,
         CACHE_WHY_MUST_REVALIDATE, 60, false},
        {"5.2.2.2 over RFC 5861",
         CC("max-age=60, must-revalidate, stale-if-error=9, stale-while-revalidate=9") TAG, NULL,
         60, ASK, CACHE_WHY_MUST_REVALIDATE, 60, false},
        {"5.2.2.2 no validator", CC("max-age=60, must-revalidate"), NULL, 60, FETCH,
         CACHE_WHY_NO_VALIDATOR, 60, false},
        {"5.2.2.4 no-cache", CC("max-age=60, no-cache") TAG, NULL, 0, ASK, CACHE_WHY_NO_CACHE, 0,
         false},
        {"5.2.2.4 over max-stale", CC("no-cache") TAG, CC("max-stale"), 0, ASK, CACHE_WHY_NO_CACHE,
         0, false},
        {"5.2.2.8 proxy-revalidate", CC("max-age=60, proxy-revalidate") TAG, CC("max-stale"), 60,
         ASK, CACHE_WHY_MUST_REVALIDATE, 60, false},
        {"5.2.2.10 s-maxage means it, too", CC("s-maxage=60, stale-if-error=9") TAG, NULL, 60, ASK,
         CACHE_WHY_MUST_REVALIDATE, 60, false},

        {"5861 3 while it is revalidated", CC("max-age=60, stale-while-revalidate=10") TAG, NULL,
         69, BEHIND, CACHE_WHY_STALE_REVALIDATE, 69, true},
        {"5861 3 over", CC("max-age=60, stale-while-revalidate=10") TAG, NULL, 70, ASK,
         CACHE_WHY_STALE, 70, false},
        {"5861 3 not for who names an age", CC("max-age=60, stale-while-revalidate=100") TAG,
         CC("max-age=100"), 70, ASK, CACHE_WHY_STALE_ERROR, 70, true},
        {"5861 3 the lower of two",
         CC("max-age=60, stale-while-revalidate=10, stale-while-revalidate=5") TAG, NULL, 65, ASK,
         CACHE_WHY_STALE, 65, false},
        {"5861 3 no number", CC("max-age=60, stale-while-revalidate=x") TAG, NULL, 60, ASK,
         CACHE_WHY_STALE, 60, false},
        {"5861 3 the quoted form", CC("max-age=60, stale-while-revalidate=\"10\"") TAG, NULL, 69,
         BEHIND, CACHE_WHY_STALE_REVALIDATE, 69, true},
        {"5861 3 not for who wants it young", CC("max-age=60, stale-while-revalidate=10") TAG,
         CC("max-age=60"), 61, ASK, CACHE_WHY_REQUEST_MAX_AGE, 61, true},
        {"5861 4 when the origin fails", CC("max-age=60, stale-if-error=10") TAG, NULL, 69, ASK,
         CACHE_WHY_STALE_ERROR, 69, true},
        {"5861 4 over", CC("max-age=60, stale-if-error=10") TAG, NULL, 70, ASK, CACHE_WHY_STALE, 70,
         false},
        {"5861 4 without a validator", CC("max-age=60, stale-if-error=10"), NULL, 69, ASK,
         CACHE_WHY_STALE_ERROR, 69, true},
        {"8246 2 a reload", CC("max-age=60, immutable") TAG, CC("max-age=0"), 9, FRESH,
         CACHE_WHY_IMMUTABLE, 9, true},
        {"8246 2 no reload", CC("max-age=60, immutable") TAG, NULL, 9, FRESH, CACHE_WHY_FRESH, 9,
         true},
        {"8246 2 no-cache", CC("max-age=60, immutable") TAG, CC("no-cache"), 9, ASK,
         CACHE_WHY_REQUEST_NO_CACHE, 9, true},
        {"8246 2 only while fresh", CC("max-age=60, immutable") TAG, CC("max-age=0"), 60, ASK,
         CACHE_WHY_REQUEST_MAX_AGE, 60, false},
        {"9213 with RFC 5861",
         "CDN-Cache-Control: max-age=60, stale-while-revalidate=10\n" TAG CC(
             "max-age=5, must-revalidate"),
         NULL, 69, BEHIND, CACHE_WHY_STALE_REVALIDATE, 69, true},
    };
    check_reuse(table, ROWS(table));
}

Test(freshness, lists_of_qualified_directives_are_kept)
{
    struct cache_directives d = {0};
    const char *line = "no-cache=\"Set-Cookie, X-A\", private=X-B, max-age=60";
    cr_assert(cache_control_parse(&d, line, strlen(line)));
    cr_assert(d.no_cache && d.is_private && !d.no_cache_whole && !d.private_whole);
    cr_assert(cache_directives_list(&d, "set-cookie", 10));
    cr_assert(cache_directives_list(&d, "X-A", 3) && cache_directives_list(&d, "x-b", 3));
    cr_assert_not(cache_directives_list(&d, "X", 1) || cache_directives_list(&d, "Cookie", 6));
    /* who leaves those fields out may store it, and reuse it */
    struct cache_response r = response(line);
    r.drops_listed = true;
    struct cache_verdict v = cache_judge(&r, &rfc);
    cr_assert(v.storable && !v.must_revalidate && v.lifetime_s == 60);
    /* more lists than there is room for count as without a list */
    d = (struct cache_directives){0};
    for (int i = 0; i <= CACHE_NAME_LISTS; i++) {
        cr_assert_not(d.private_whole);
        cache_control_parse(&d, "private=a", 9);
    }
    cr_assert(d.private_whole);
    struct cache_control c = {0};
    line = "private=\"a, b\", no-cache=\"c\", private=\"d\"";
    cache_target_parse(&c, cache_target("cdn-cache-control", 17), line, strlen(line));
    cache_control_choose(&c, &r);
    cr_assert(cache_directives_list(&r.cc, "D", 1) && cache_directives_list(&r.cc, "c", 1));
    cr_assert_not(cache_directives_list(&r.cc, "a", 1), "the last counts");
}

Test(freshness, windows_in_16_bits)
{
    const uint32_t exact[] = {0, 1, 59, 60, 2047, 2048, 4095, 4096, 7200, 36000, 86400, 2 * 86400};
    for (size_t i = 0; i < ROWS(exact); i++)
        cr_assert_eq(cache_window_s(cache_window_code(exact[i])), exact[i], "%u", exact[i]);
    uint16_t last = 0;
    for (uint64_t s = 0; s <= UINT32_MAX; s += 1 + s / 999) {
        uint32_t want = s > CACHE_SECONDS_MAX ? CACHE_SECONDS_MAX : (uint32_t)s;
        uint16_t code = cache_window_code((uint32_t)s);
        uint32_t got = cache_window_s(code);
        cr_assert(got <= want && want - got <= want / 2048, "%u: %u", want, got);
        cr_assert_geq(code, last);
        last = code;
    }
    for (uint32_t code = 0; code <= UINT16_MAX; code++)
        cr_assert_leq(cache_window_s((uint16_t)code), CACHE_SECONDS_MAX);
}

Test(freshness, each_verdict_has_a_text)
{
    for (int i = 0; i < CACHE_REASONS; i++)
        cr_assert_str_neq(cache_reason_text((enum cache_reason)i), "unknown");
    for (int i = 0; i < CACHE_LIFETIME_REASONS_COUNT; i++)
        cr_assert_str_neq(cache_lifetime_text((enum cache_lifetime_by)i), "unknown");
    for (int i = 0; i < CACHE_USES_COUNT; i++)
        cr_assert_str_neq(cache_use_text((enum cache_use)i), "unknown");
    for (int i = 0; i < CACHE_REUSE_REASONS_COUNT; i++)
        cr_assert_str_neq(cache_reuse_text((enum cache_reuse_reason)i), "unknown");
    cr_assert_str_eq(cache_control_name(CACHE_IN_CDN), "CDN-Cache-Control");
    cr_assert_str_eq(cache_reuse_text(CACHE_REUSE_REASONS_COUNT), "unknown");
}

Test(freshness, an_operators_window_for_errors)
{
    struct cache_lifetimes policy = rfc;
    policy.stale_error_s = 1000;
    struct cache_response r = response("max-age=60");
    cr_assert_eq(cache_judge(&r, &policy).stale_error_s, 1000);
    r = response("max-age=60, stale-if-error=5");
    cr_assert_eq(cache_judge(&r, &policy).stale_error_s, 5, "the origin's word counts");
    r = response("max-age=60, must-revalidate");
    cr_assert_eq(cache_judge(&r, &policy).stale_error_s, 0);
    r = response("max-age=0");
    r.has_validator = false;
    cr_assert_eq(cache_judge(&r, &policy).reason, CACHE_NOT_FRESH, "no reason to keep it");
}
