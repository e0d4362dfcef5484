/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>

#include <string.h>

#include "cache/freshness.h"

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
    r.has_vary = true;
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
    for (int i = 0; i < CACHE_REASONS; i++)
        cr_assert(cache_reason_text((enum cache_reason)i));
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
