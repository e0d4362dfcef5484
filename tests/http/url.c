/* SPDX-License-Identifier: BSD-3-Clause */
/* One key for all the ways to write a URL (RFC 3986 6.2.2). */
#include <criterion/criterion.h>
#include <string.h>

#include "dataplane/http/http.h"

static struct http_text text(const char *s)
{
    return (struct http_text){s, (uint32_t)strlen(s)};
}

Test(url, normal_form)
{
    static const struct {
        const char *host;
        uint16_t port;
        const char *path, *want;
    } t[] = {
        {"WWW.Example.COM", 0, "/", "http://www.example.com/"},
        {"a.example", 80, "/x", "http://a.example/x"},
        {"a.example", 8080, "/x", "http://a.example:8080/x"},
        {"a.example.", 65535, "/x", "http://a.example:65535/x"},
        {"a", 0, "/%7euser/%41%2f%c3%a4", "http://a/~user/A%2F%C3%A4"},
        {"a", 0, "/a/./b/../c", "http://a/a/c"},
        {"a", 0, "/../../x", "http://a/x"},
        {"a", 0, "/a/%2e%2E/b", "http://a/b"},
        {"a", 0, "/a/b/..", "http://a/a/"},
        {"a", 0, "/a/b/.", "http://a/a/b/"},
        {"a", 0, "/.", "http://a/"},
        {"a", 0, "/..", "http://a/"},
        {"a", 0, "//a//..//b", "http://a//a//b"},
        {"a", 0, "/...", "http://a/..."},
        {"a", 0, "/a?b/../c?d=%7E&%2f", "http://a/a?b/../c?d=~&%2F"},
        {"a", 0, "/a/..?", "http://a/?"},
        {"a", 0, "?q", "http://a/?q"},
        {"a", 0, "", "http://a/"},
        {"a", 0, "/a#frag?x", "http://a/a"},
        {"a", 0, "/a?b#frag", "http://a/a?b"},
        {"[2001:DB8::1]", 81, "/", "http://[2001:db8::1]:81/"},
        {"a", 0, "/a[1]|{x}", "http://a/a[1]|{x}"},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char out[256];
        size_t n =
            http_url_normalise(text(t[i].host), t[i].port, text(t[i].path), out, sizeof(out));
        cr_expect(n == strlen(t[i].want) && memcmp(out, t[i].want, n) == 0, "%s: %.*s", t[i].path,
                  (int)n, out);
        cr_expect_eq(http_url_normalise(text(t[i].host), t[i].port, text(t[i].path), out, n - 1) >=
                         n,
                     false, "no room");
    }
}

Test(url, refused)
{
    static const struct {
        const char *host, *path;
    } t[] = {{"a", "/%"},    {"a", "/%4"},  {"a", "/%zz"}, {"a", "x"},
             {"a", "*"},     {"", "/"},     {"a b", "/"},  {"a", "/a b"},
             {"a", "/\x80"}, {"a..b", "/"}, {".a", "/"},   {"[::1", "/"},
             {"a:80", "/"},  {"[]", "/"},   {".", "/"},    {"a%41", "/"}};
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char out[256];
        cr_expect_eq(http_url_normalise(text(t[i].host), 0, text(t[i].path), out, sizeof(out)), 0,
                     "%s %s", t[i].host, t[i].path);
    }
}

Test(url, authorities)
{
    char host[256], wide[300];
    uint16_t port;
    cr_assert(http_authority(text("WWW.Example.com:8080"), host, &port));
    cr_expect_str_eq(host, "www.example.com");
    cr_expect_eq(port, 8080);
    cr_assert(http_authority(text("a_b.example."), host, &port));
    cr_expect_str_eq(host, "a_b.example");
    cr_expect_eq(port, 0);
    cr_assert(http_authority(text("[::FFFF:1.2.3.4]:81"), host, &port));
    cr_expect_str_eq(host, "[::ffff:1.2.3.4]");
    cr_assert(http_authority(text("a:"), host, &port));
    const char *bad[] = {"",    ":80", "a:0", "a:65536", "a:+80",    "a:8 0", "a:80:80", "[::1]x",
                         "a@b", "a/b", "a?",  "a,b",     "a:000080", "..",    NULL};
    for (unsigned i = 0; bad[i]; i++)
        cr_expect_not(http_authority(text(bad[i]), host, &port), "%s", bad[i]);
    memset(wide, 'a', sizeof(wide));
    cr_expect(http_authority((struct http_text){wide, 255}, host, &port));
    cr_expect_not(http_authority((struct http_text){wide, 256}, host, &port));
}
