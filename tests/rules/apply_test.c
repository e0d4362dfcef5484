/* SPDX-License-Identifier: BSD-3-Clause */
/* Which rules match, which of them count, and what comes of it. */
#include <criterion/criterion.h>

#include "base/rng.h"
#include "hand.h"

static char told[4096];
static struct rules_verdict v;

static void apply(const struct rules_set *s, const char *url)
{
    cr_assert(rules_apply(s, 1, url, strlen(url), &v));
}

static unsigned status_of(const struct rules_set *s, const char *url)
{
    unsigned status;
    apply(s, url);
    rules_answer(&v, &status);
    return status;
}

/* -1: no rule says. */
static int64_t ttl_s(void)
{
    int64_t s = -1;
    rules_ttl(&v, &s);
    return s;
}

static struct rules_set *set(const char *text)
{
    told[0] = 0;
    struct rules_set *s = hand_set(text, told);
    cr_assert(s, "%s", told);
    return s;
}

Test(rules_apply, hosts_and_wildcards)
{
    struct rules_set *s = set("www.a.b deny 410\n*.a.b deny 402\n*.x.a.b deny 403\n* deny 404\n"
                              "[::1] deny 415\n");
    cr_assert_eq(status_of(s, "http://www.a.b/"), 410);
    cr_assert_eq(status_of(s, "http://www.a.b:81/x"), 410);
    cr_assert_eq(status_of(s, "http://v.a.b/"), 402);
    cr_assert_eq(status_of(s, "http://u.v.a.b/"), 402);
    cr_assert_eq(status_of(s, "http://a.b/"), 404); /* not below itself */
    cr_assert_eq(status_of(s, "http://xa.b/"), 404);
    cr_assert_eq(status_of(s, "http://y.x.a.b/"), 402); /* the first in the text, not the nearest */
    cr_assert_eq(status_of(s, "http://[::1]:8/"), 404);
    cr_assert_eq(status_of(s, "http://[::2]/"), 404);
    rules_free(s);
}

Test(rules_apply, prefixes_end_at_borders)
{
    struct rules_set *s = set("a path /old deny 410\na path /dir/ deny 402\n"
                              "a path /old/deep/er deny 403\nb path / deny 404\n");
    cr_assert_eq(status_of(s, "http://a/old"), 410);
    cr_assert_eq(status_of(s, "http://a/old/"), 410);
    cr_assert_eq(status_of(s, "http://a/old?x"), 410);
    cr_assert_eq(status_of(s, "http://a/older"), 0);
    cr_assert_eq(status_of(s, "http://a/ol"), 0);
    cr_assert_eq(status_of(s, "http://a/dir/x/y"), 402);
    cr_assert_eq(status_of(s, "http://a/dir/"), 402);
    cr_assert_eq(status_of(s, "http://a/dir"), 0);
    cr_assert_eq(status_of(s, "http://a/?/old"), 0);
    cr_assert_eq(status_of(s, "http://a/old/deep/er"), 410);
    cr_assert_eq(status_of(s, "http://b/"), 404);
    cr_assert_eq(status_of(s, "http://b/x?y"), 404);
    cr_assert_eq(status_of(s, "http://c/old"), 0);
    rules_free(s);
}

Test(rules_apply, expressions_are_of_their_hosts)
{
    struct rules_set *s = set("a match ^/api/v[0-9]+/ deny 410\nb match ^/api/v[0-9]+/ deny 402\n"
                              "*.c match [?&]debug= deny 403\nd deny 404\n"
                              "e.c match ^/e deny 415\n");
    cr_assert_eq(rules_size(s).expressions, 3);
    cr_assert_eq(status_of(s, "http://a/api/v12/x"), 410);
    cr_assert_eq(status_of(s, "http://b/api/v1/"), 402);
    cr_assert_eq(status_of(s, "http://d/api/v1/"), 404);
    cr_assert_eq(status_of(s, "http://f/api/v1/"), 0);
    cr_assert_eq(status_of(s, "http://a/x/api/v1/"), 0);
    cr_assert_eq(status_of(s, "http://x.c/?a=1&debug=1"), 403);
    cr_assert_eq(status_of(s, "http://x.c/debug="), 0);
    cr_assert_eq(status_of(s, "http://e.c/e?debug=1"), 403);
    cr_assert_eq(status_of(s, "http://e.c/e"), 415);
    rules_free(s);
}

Test(rules_apply, the_first_of_a_kind_counts_and_others_add_up)
{
    struct rules_set *s =
        set("a path /admin/public/ allow ttl 5min\na path /admin/ deny 403 tag x\n"
            "* tag all pass ttl 1h\na tag y cache strip-cookies\n* match . tag any\n");
    cr_assert_eq(status_of(s, "http://a/admin/public/x"), 0);
    cr_assert_eq(ttl_s(), 300);
    cr_assert(rules_passes(&v)); /* "* pass" stands before "a cache" */
    cr_assert(rules_strips_cookies(&v));
    cr_assert_eq(v.many[RULES_TAG], 4);
    cr_assert_str_eq(rules_tag(&v, 0), "x");
    cr_assert_str_eq(rules_tag(&v, 1), "all");
    cr_assert_str_eq(rules_tag(&v, 2), "y");
    cr_assert_str_eq(rules_tag(&v, 3), "any");
    cr_assert_eq(status_of(s, "http://a/admin/x"), 403);
    cr_assert_eq(ttl_s(), 3600);
    apply(s, "http://b/");
    cr_assert_eq(v.many[RULES_TAG], 2);
    cr_assert(!rules_strips_cookies(&v));
    rules_free(s);
}

Test(rules_apply, of_what_adds_up_the_first_sixteen_count)
{
    char text[4096] = "";
    for (int i = 0; i < 20; i++) /* an expression's is found last, and stands first */
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "a %s tag t%d\n",
                 i == 0 ? "match x" : "", i);
    struct rules_set *s = set(text);
    apply(s, "http://a/x");
    cr_assert_eq(v.many[RULES_TAG], RULES_LIST);
    for (unsigned i = 0; i < RULES_LIST; i++)
        cr_assert_eq(atoi(rules_tag(&v, i) + 1), (int)i);
    rules_free(s);
}

static const char *location(const struct rules_set *s, const char *url)
{
    static char out[256];
    apply(s, url);
    size_t n = rules_location(&v, url, strlen(url), out, sizeof(out) - 1);
    out[n] = 0;
    return out;
}

Test(rules_apply, redirections)
{
    unsigned status;
    struct rules_set *s = set("a path /old/ redirect 301 https://new/$rest\n"
                              "a path /q redirect 302 /p$query\n"
                              "a path /cash redirect 307 /$$5\n"
                              "a path /rel/ redirect 302 /$rest\n"
                              "a path /abs redirect 302 https://b.c$rest\n"
                              "* redirect 308 https://$host$uri\n");
    /* nobody chooses the host by his path */
    cr_assert_str_eq(location(s, "http://a/rel//evil.test/x"), "/evil.test/x");
    cr_assert_str_eq(location(s, "http://a/rel/\\evil.test"), "/evil.test");
    cr_assert_str_eq(location(s, "http://a/rel///\\//"), "/");
    cr_assert_str_eq(location(s, "http://a/rel/x//y"), "/x//y");
    cr_assert_str_eq(location(s, "http://a/abs/x"), "https://b.c/x");
    cr_assert_str_eq(location(s, "http://a/abs?x"), "https://b.c?x");
    cr_assert_str_eq(location(s, "http://a/old/x/y?z"), "https://new/x/y?z");
    cr_assert_eq(rules_answer(&v, &status), RULES_REDIRECT);
    cr_assert_eq(status, 301);
    cr_assert_str_eq(location(s, "http://a/old/"), "https://new/");
    cr_assert_str_eq(location(s, "http://a/q?1"), "/p?1");
    cr_assert_str_eq(location(s, "http://a/q"), "/p");
    cr_assert_str_eq(location(s, "http://a/cash"), "/$5");
    cr_assert_str_eq(location(s, "http://w.b:81/x?y"), "https://w.b/x?y");
    char small[10];
    cr_assert_eq(rules_location(&v, "http://w.b/x", 12, small, sizeof(small)), 0);
    rules_free(s);
}

static const char *path(const struct rules_set *s, const char *url)
{
    static char out[256];
    apply(s, url);
    if (!v.any || !rules_moves(&v))
        return "-";
    size_t n = rules_path(&v, url, strlen(url), out, sizeof(out) - 1);
    out[n] = 0;
    return out;
}

Test(rules_apply, rewrites_and_queries)
{
    struct rules_set *s = set("a path /old/ rewrite /new/$rest\na strip-query utm_*\n"
                              "a strip-query sid\nb strip-query *\nc pass\n");
    cr_assert_str_eq(path(s, "http://a/old/x?utm_a=1&k=2"), "/new/x?k=2");
    cr_assert_str_eq(path(s, "http://a/?utm_a&utm_b=&sid=4"), "/");
    cr_assert_str_eq(path(s, "http://a/?k=1&sid=4&l"), "/?k=1&l");
    cr_assert_str_eq(path(s, "http://a/?sid2=4&xutm_=2"), "/?sid2=4&xutm_=2");
    cr_assert_str_eq(path(s, "http://a/?&&"), "/?&&");
    cr_assert_str_eq(path(s, "http://a/"), "/");
    cr_assert_str_eq(path(s, "http://b/x?a&b=1&c"), "/x");
    cr_assert_str_eq(path(s, "http://c/"), "-");
    rules_free(s);
}

Test(rules_apply, fields_are_edited)
{
    struct rules_set *s = set("a set-response X-A 1 remove-response server\n"
                              "a set-response x-a 2 set-response B \"c d\"\n");
    char lines[128] = "Server: x\r\nX-a: 0\r\nServers: y\r\nServer: z\r\n";
    apply(s, "http://a/");
    cr_assert(rules_edits(s, RULES_RESPONSE) && !rules_edits(s, RULES_REQUEST));
    size_t n = rules_edit(s, v.list[RULES_RESPONSE], v.many[RULES_RESPONSE], lines, strlen(lines),
                          sizeof(lines));
    lines[n] = 0;
    cr_assert_str_eq(lines, "Servers: y\r\nX-A: 1\r\nB: c d\r\n");
    cr_assert_eq(rules_edit(s, v.list[RULES_RESPONSE], v.many[RULES_RESPONSE], lines, n, n + 1), n);
    cr_assert_eq(rules_edit(s, v.list[RULES_RESPONSE], v.many[RULES_RESPONSE], lines, 12, 13), 0);
    rules_free(s);
}

Test(rules_apply, rates_of_networks)
{
    struct rules_set *s = set("rate slow 2/s burst 4\nrate rare 1/min burst 1\na rate slow\n"
                              "b rate rare\nc rate none\nc rate slow\n");
    struct hash_secret secret;
    struct rng rng;
    rng_init(&rng, (const uint8_t[32]){1});
    rng_bytes(&rng, &secret, sizeof(secret));
    struct rules_meter *m = rules_meter_new(&secret);
    struct addr one, two, six, same, other;
    struct now now = {1000000, 0};
    addr_parse("192.0.2.1", &one);
    addr_parse("192.0.2.2", &two);
    addr_parse("2001:db8::1", &six);
    addr_parse("2001:db8::ffff:1", &same);
    addr_parse("2001:db8:0:1::1", &other);
    apply(s, "http://a/");
    for (int i = 0; i < 4; i++)
        cr_assert_eq(rules_take(m, &v, &one, now), 0);
    cr_assert_eq(rules_take(m, &v, &one, now), 1);
    cr_assert_eq(rules_take(m, &v, &two, now), 0);
    now.mono_us += 499999;
    cr_assert_eq(rules_take(m, &v, &one, now), 1);
    now.mono_us += 1;
    cr_assert_eq(rules_take(m, &v, &one, now), 0);
    cr_assert_eq(rules_take(m, &v, &one, now), 1);
    apply(s, "http://b/");
    cr_assert_eq(rules_take(m, &v, &six, now), 0);
    cr_assert_eq(rules_take(m, &v, &same, now), 60);
    cr_assert_eq(rules_take(m, &v, &other, now), 0);
    cr_assert_eq(rules_take(m, &v, &one, now), 0); /* another rate */
    apply(s, "http://c/");
    for (int i = 0; i < 10; i++)
        cr_assert_eq(rules_take(m, &v, &one, now), 0);
    rules_meter_free(m);
    rules_free(s);
}

/* Not who may ask again soonest: a slow rate's many would leave a quick one's nobody. */
Test(rules_apply, who_has_been_quiet_for_longest_is_forgotten)
{
    enum { OLD = 65536, QUICK = 50, NEW = 2000 };
    struct rules_set *s = set("rate quick 1/s burst 1\nrate rare 1/min burst 1\n"
                              "a rate quick\nb rate rare\n");
    struct hash_secret secret;
    struct rng rng;
    rng_init(&rng, (const uint8_t[32]){1});
    rng_bytes(&rng, &secret, sizeof(secret));
    struct rules_meter *m = rules_meter_new(&secret);
    struct now now = {1000000, 0};
    unsigned forgotten = 0;
    apply(s, "http://b/");
    for (uint32_t i = 0; i < OLD; i++)
        rules_take(m, &v, &(struct addr){.b = {0, 1, (uint8_t)(i >> 8), (uint8_t)i}}, now);
    apply(s, "http://a/");
    for (uint32_t i = 0; i < QUICK; i++)
        cr_assert_eq(rules_take(m, &v, &(struct addr){.b = {0, 2, 0, (uint8_t)i}}, now), 0);
    apply(s, "http://b/");
    for (uint32_t i = 0; i < NEW; i++)
        rules_take(m, &v, &(struct addr){.b = {0, 3, (uint8_t)(i >> 8), (uint8_t)i}}, now);
    apply(s, "http://a/");
    for (uint32_t i = 0; i < QUICK; i++)
        forgotten += rules_take(m, &v, &(struct addr){.b = {0, 2, 0, (uint8_t)i}}, now) == 0;
    cr_assert_leq(forgotten, 2, "%u", forgotten);
    rules_meter_free(m);
    rules_free(s);
}

Test(rules_apply, bytes_of_another_machine_are_no_database)
{
    struct rules_set *s = rules_parse("a match x pass", 14, hand_tell, told);
    char bytes[256] = {0};
    cr_assert(!rules_load(s, bytes, sizeof(bytes), 1));
    cr_assert(!rules_load(s, bytes, 0, 1));
    cr_assert(!rules_apply(s, 0, "http://a/", 9, &v)); /* and it does not open by that */
    rules_free(s);
}

#define LONG "/long/long/long/long/long/long/long/long/long/long/long/long/long/long/"

/* Many hosts and prefixes against what the words mean, one by one. */
Test(rules_apply, tables_agree_with_the_words)
{
    enum { RULES = 3000, HOSTS = 200, ASKED = 20000 };
    static const char *const parts[] = {"/", "/a", "/a/", "/b/c", "/b/c/", "/b", "/a/a/a/a/a/a/a/a",
                                        LONG};
    static struct {
        unsigned host, part;
        bool wildcard;
    } rule[RULES];
    char *text = malloc(1 << 20), host[32], url[256];
    struct rng rng;
    rng_init(&rng, (const uint8_t[32]){7});
    size_t at = 0;
    for (unsigned i = 0; i < RULES; i++) {
        rule[i].host = (unsigned)rng_below(&rng, HOSTS);
        rule[i].part = (unsigned)rng_below(&rng, 8);
        rule[i].wildcard = rng_below(&rng, 4) == 0;
        at += (size_t)sprintf(text + at, "%sh%u.t path %s ttl %us\n", rule[i].wildcard ? "*." : "",
                              rule[i].host, parts[rule[i].part], i + 1);
    }
    struct rules_set *s = set(text);
    for (unsigned k = 0; k < ASKED; k++) {
        unsigned h = (unsigned)rng_below(&rng, HOSTS);
        bool below = rng_below(&rng, 2);
        const char *p = parts[rng_below(&rng, 8)];
        static const char *const ends[] = {"", "x", "/x", "?a/b", "/"};
        sprintf(host, "%sh%u.t", below ? "w." : "", h);
        sprintf(url, "http://%s%s%s", host, p, ends[rng_below(&rng, 5)]);
        const char *asked = url + 7 + strlen(host);
        int64_t expected = -1;
        for (unsigned i = 0; i < RULES && expected < 0; i++) {
            const char *want = parts[rule[i].part];
            size_t n = strlen(want);
            if (rule[i].host == h && rule[i].wildcard == below && strncmp(asked, want, n) == 0 &&
                (want[n - 1] == '/' || strchr("/?", asked[n])))
                expected = i + 1;
        }
        apply(s, url);
        cr_assert_eq(ttl_s(), expected, "%s: %lld, not %lld", url, (long long)ttl_s(),
                     (long long)expected);
    }
    rules_free(s);
    free(text);
}

Test(rules_apply, how_lax_origins_read_a_path)
{
    static const char *const pairs[][2] = {
        {"/", ""},
        {"/a/b.c?d=//&e=%2F", ""},
        {"/%C3%A4%20%25%3F%23/x", ""},
        {"/%", ""},
        {"//", "/"},
        {"//a///b//?c//d", "/a/b/?c//d"},
        {"/a%2Fb%5Cc\\d", "/a/b/c/d"},
        {"/x/..%2Fa/.%2Fb", "/a/b"},
        {"/a/..%2F..%2F..", "/"},
        {"/a%28%29%40%3A%20%25%3F%23", "/a()@:%20%25%3F%23"},
        {"/a%252Fb", ""},
    };
    char out[64], in[64];
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        for (int port = 0; port < 2; port++) {
            const char *host = port ? "http://[::1]:81" : "http://a.b";
            size_t at = strlen(host), want = strlen(pairs[i][1]);
            snprintf(in, sizeof(in), "%s%s", host, pairs[i][0]);
            size_t n = rules_loosen(in, strlen(in), out, sizeof(out));
            cr_expect_eq(n, want ? at + want : 0, "%s", in);
            cr_expect(n == 0 ||
                          (memcmp(out, host, at) == 0 && memcmp(out + at, pairs[i][1], want) == 0),
                      "%s: %.*s", in, (int)n, out);
        }
}
