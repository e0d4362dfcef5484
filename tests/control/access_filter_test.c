/* SPDX-License-Identifier: BSD-3-Clause */
/* What `coralctl log` chooses, and the latest records that it chooses from. */
#include <criterion/criterion.h>

#include "access_hand.h"
#include "control/access_filter.h"
#include "control/access_recent.h"

static bool matches(enum access_filter_key key, const char *text, const struct access_record *a)
{
    struct access_filter f = {0};
    char why[256] = "";
    cr_assert(access_filter_set(&f, key, text, why, sizeof(why)), "%s: %s", text, why);
    return access_filter_match(&f, a);
}

Test(access_filter, each)
{
    struct access_record a = access_hand("GET", "WWW.Example.com:8080", "/shop/a?b", "", "");
    const struct access_filter any = {0};
    cr_expect(access_filter_match(&any, &a));
    cr_expect(matches(ACCESS_FILTER_STATUS, "200", &a));
    cr_expect(matches(ACCESS_FILTER_STATUS, "2xx", &a));
    cr_expect(matches(ACCESS_FILTER_STATUS, "2XX", &a));
    cr_expect(!matches(ACCESS_FILTER_STATUS, "201", &a));
    cr_expect(!matches(ACCESS_FILTER_STATUS, "5xx", &a));
    cr_expect(matches(ACCESS_FILTER_HOST, "www.example.com", &a));
    cr_expect(matches(ACCESS_FILTER_HOST, "www.example.com:8080", &a));
    cr_expect(!matches(ACCESS_FILTER_HOST, "www.example.com:80", &a));
    cr_expect(!matches(ACCESS_FILTER_HOST, "www.example.co", &a));
    cr_expect(!matches(ACCESS_FILTER_HOST, "example.com", &a));
    cr_expect(matches(ACCESS_FILTER_CLIENT, "192.0.2.1", &a));
    cr_expect(matches(ACCESS_FILTER_CLIENT, "192.0.2.0/24", &a));
    cr_expect(matches(ACCESS_FILTER_CLIENT, "0.0.0.0/0", &a));
    cr_expect(!matches(ACCESS_FILTER_CLIENT, "192.0.2.2", &a));
    cr_expect(!matches(ACCESS_FILTER_CLIENT, "2001:db8::/32", &a));
    cr_expect(matches(ACCESS_FILTER_PATH, "/shop/", &a));
    cr_expect(!matches(ACCESS_FILTER_PATH, "/shop/ab", &a));
    cr_expect(matches(ACCESS_FILTER_SLOWER, "0s", &a));
    cr_expect(!matches(ACCESS_FILTER_SLOWER, "1ms", &a));
    cr_expect(matches(ACCESS_FILTER_SERVED, "hit", &a));
    cr_expect(!matches(ACCESS_FILTER_SERVED, "origin", &a));
    cr_expect(!matches(ACCESS_FILTER_ID, "00112233445566778899aabbccddeeff", &a));
}

Test(access_filter, by_id)
{
    static const char *const text[ACCESS_TEXTS] = {"GET", "h", "/",
                                                   "",    "",  "00112233445566778899aabbccddeeff"};
    static const size_t len[ACCESS_TEXTS] = {3, 1, 1, 0, 0, 32};
    struct access_record a = access_hand_n(text, len);
    cr_expect(matches(ACCESS_FILTER_ID, text[ACCESS_ID], &a));
    cr_expect(!matches(ACCESS_FILTER_ID, "00112233445566778899aabbccddeefe", &a));
}

Test(access_filter, by_url)
{
    struct access_record a = access_hand("GET", "WWW.Example.com", "/shop/a?b", "", ""),
                         root = access_hand("GET", "h:8080", "/", "", ""),
                         query = access_hand("GET", "h", "/?q", "", ""),
                         whole = access_hand("GET", "h", "http://h/a", "", "");
    cr_expect(matches(ACCESS_FILTER_URL, "http://www.example.com/shop/a?b", &a));
    cr_expect(matches(ACCESS_FILTER_URL, "HTTP://www.example.com:80/shop/a?b#c", &a));
    cr_expect(!matches(ACCESS_FILTER_URL, "http://www.example.com/shop/a", &a), "all of it");
    cr_expect(!matches(ACCESS_FILTER_URL, "http://www.example.com/shop/a?bc", &a));
    cr_expect(!matches(ACCESS_FILTER_URL, "http://www.example.co/shop/a?b", &a));
    cr_expect(matches(ACCESS_FILTER_URL, "http://h:8080", &root));
    cr_expect(matches(ACCESS_FILTER_URL, "http://h/", &root));
    cr_expect(!matches(ACCESS_FILTER_URL, "http://h:8081/", &root));
    cr_expect(matches(ACCESS_FILTER_URL, "http://h?q", &query));
    cr_expect(!matches(ACCESS_FILTER_URL, "http://h", &query));
    cr_expect(matches(ACCESS_FILTER_URL, "http://h/a", &whole));
    cr_expect(!matches(ACCESS_FILTER_URL, "http://h/", &whole));
}

Test(access_filter, targets_that_are_no_path)
{
    struct access_record whole = access_hand("GET", "h", "http://h/a", "", ""),
                         bare = access_hand("GET", "h", "http://h", "", ""),
                         star = access_hand("OPTIONS", "h", "*", "", ""),
                         none = access_hand("", "", "", "", "");
    cr_expect(matches(ACCESS_FILTER_PATH, "/a", &whole));
    cr_expect(!matches(ACCESS_FILTER_PATH, "/a", &bare));
    cr_expect(!matches(ACCESS_FILTER_PATH, "/", &star));
    cr_expect(matches(ACCESS_FILTER_PATH, "*", &star));
    cr_expect(!matches(ACCESS_FILTER_PATH, "/", &none));
    cr_expect(!matches(ACCESS_FILTER_HOST, "h", &none));
}

Test(access_filter, words_that_are_none_are_told_why)
{
    static char long_url[1100];
    memset(long_url, 'a', sizeof(long_url) - 1);
    memcpy(long_url, "http://h/", 9);
    static const struct {
        enum access_filter_key key;
        const char *text, *why;
    } all[] = {
        {ACCESS_FILTER_STATUS, "", "is no status"},
        {ACCESS_FILTER_STATUS, "5x", "is no status"},
        {ACCESS_FILTER_STATUS, "6xx", "is no status"},
        {ACCESS_FILTER_STATUS, "2000", "is no status"},
        {ACCESS_FILTER_STATUS, "2a0", "is no status"},
        {ACCESS_FILTER_STATUS, "-20", "is no status"},
        {ACCESS_FILTER_ID, "0011", "is no ID"},
        {ACCESS_FILTER_ID, "00112233445566778899AABBCCDDEEFF", "is no ID"},
        {ACCESS_FILTER_CLIENT, "", "is no client"},
        {ACCESS_FILTER_CLIENT, "here", "is no client"},
        {ACCESS_FILTER_CLIENT, "192.0.2.0/33", "is no client"},
        {ACCESS_FILTER_CLIENT, "192.0.2.0/", "is no client"},
        {ACCESS_FILTER_CLIENT, "192.0.2.0/-1", "is no client"},
        {ACCESS_FILTER_CLIENT, "::/129", "is no client"},
        {ACCESS_FILTER_CLIENT, "192.0.2.1:80", "is no client"},
        {ACCESS_FILTER_CLIENT, "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd/8",
         "is no client"},
        {ACCESS_FILTER_HOST, "", "has 1 to 263 bytes"},
        {ACCESS_FILTER_PATH, "", "has 1 to 1023 bytes"},
        {ACCESS_FILTER_URL, "", "is no URL"},
        {ACCESS_FILTER_URL, "www.example.com/a", "write it like http://www.example.com/a"},
        {ACCESS_FILTER_URL, "http:///a", "is no URL"},
        {ACCESS_FILTER_URL, "https://h/a", "is no URL"},
        {ACCESS_FILTER_URL, long_url, "is no URL up to 1022 bytes"},
        {ACCESS_FILTER_SLOWER, "200", "is no time"},
        {ACCESS_FILTER_SLOWER, "fast", "is no time"},
        {ACCESS_FILTER_SLOWER, "99999999999999999999s", "is no time"},
        {ACCESS_FILTER_SERVED, "orgin", "did you mean \"origin\"?"},
        {ACCESS_FILTER_SERVED, "", "there are hit, stale"},
        {ACCESS_FILTER_SERVED, "-", "there are hit, stale"},
    };
    char why[256];
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct access_filter f = {0};
        cr_expect(!access_filter_set(&f, all[i].key, all[i].text, why, sizeof(why)), "%s",
                  all[i].text);
        cr_expect(strstr(why, all[i].why), "%s: %s", all[i].text, why);
    }
}

/* --- the latest ---------------------------------------------------------------------------- */

Test(access_recent, the_oldest_go_and_numbers_stay)
{
    static char agent[ACCESS_AGENT_MAX + 1];
    struct access_recent r = {0};
    struct access_record out = {0};
    struct access_recent_at at = {0};
    const uint64_t all = 100000;

    cr_expect(!access_recent_next(&r, &at, 0, &out));
    for (uint64_t i = 0; i < all; i++) {
        size_t n = i * 7 % ACCESS_AGENT_MAX;
        memset(agent, 'a', n);
        agent[n] = '\0';
        struct access_record a = access_hand("GET", "h", "/", "", agent);
        a.bytes = i;
        cr_assert(access_recent_add(&r, &a));
    }
    cr_expect_eq(r.number, all);
    cr_expect_gt(r.first_number, 0u);
    cr_expect_leq(r.end - r.first, (uint64_t)ACCESS_RECENT_UNITS);
    at = (struct access_recent_at){0};
    for (uint64_t i = r.first_number; i < all; i++) {
        cr_assert(access_recent_next(&r, &at, 0, &out));
        cr_assert(out.bytes == i && out.len[ACCESS_AGENT] == i * 7 % ACCESS_AGENT_MAX &&
                  at.number == i + 1);
    }
    cr_expect(!access_recent_next(&r, &at, 0, &out));
    at = (struct access_recent_at){0};
    cr_assert(access_recent_next(&r, &at, all - 2, &out));
    cr_expect_eq(out.bytes, all - 2);
    for (uint64_t from = r.first_number; from < all; from += 101) {
        at = (struct access_recent_at){0};
        cr_assert(access_recent_next(&r, &at, from, &out) && out.bytes == from);
    }
    at = (struct access_recent_at){0};
    cr_assert(access_recent_next(&r, &at, 5, &out)); /* gone: the oldest there is */
    cr_expect_eq(out.bytes, r.first_number);
    at = (struct access_recent_at){0};
    cr_expect(!access_recent_next(&r, &at, all, &out));
    at = (struct access_recent_at){0};
    cr_expect(!access_recent_next(&r, &at, UINT64_MAX, &out));
    cr_expect_eq(at.number, all);
    access_recent_free(&r);
}
