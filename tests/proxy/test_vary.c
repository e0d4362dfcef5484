/* SPDX-License-Identifier: BSD-3-Clause */
/* Variants: what a response with Vary is served to, and to nobody else (RFC 9111 4.1). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/vary.h"
#include "world.h"

#define SEED      20261128u
#define MANY      60
#define CHROME    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
#define SAFARI    "Accept-Encoding: gzip, deflate, br\r\n"
#define ONLY_GZIP "Accept-Encoding: gzip\r\n"
#define PLAIN     ""

static struct world w;
static struct client many[MANY];

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(vary, .init = open_world, .fini = close_world);

/* What the origin has under /a, for requests with `when` in their head; the body's salt tells which
 * it was. The first that fits is sent. */
static struct origin_file *page(const char *when, uint64_t salt, const char *fields)
{
    static char etags[16][16];
    char *etag = etags[w.origin[0].files];
    snprintf(etag, sizeof(etags[0]), "\"%u\"", (unsigned)salt);
    return origin_add(&w.origin[0], (struct origin_file){.path = "/a",
                                                         .when = when,
                                                         .length = 5000,
                                                         .salt = salt,
                                                         .etag = etag,
                                                         .fields = fields});
}

static void expect_at(unsigned node, const char *fields, uint64_t salt, const char *cache_status)
{
    struct client c;
    cr_assert_eq(world_get(&w, &c, node, "www.site.test", "/a", fields), 200, "%s", fields);
    cr_assert(client_body_is(&c, salt, 0, 5000), "%snot %u", fields, (unsigned)salt);
    if (cache_status)
        cr_assert(strstr(client_field(&c, "Cache-Status"), cache_status), "%s%s", fields,
                  client_field(&c, "Cache-Status"));
    client_free(&c);
}

static void expect(const char *fields, uint64_t salt, const char *cache_status)
{
    expect_at(0, fields, salt, cache_status);
}

static bool purge(unsigned node)
{
    static const char url[] = "http://www.site.test/a";
    bool found = false;
    for (unsigned i = 0; i < 2; i++)
        found |= proxy_purge(w.node[node].worker[i].proxy, url, strlen(url), false, w.now);
    world_run(&w, 20);
    return found;
}

static uint64_t cached(unsigned node)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 2; i++)
        n += counter_read(&cache_counters(w.node[node].cache, i)->cache_objects);
    return n;
}

static void nothing_is_left(void)
{
    world_run(&w, 50);
    uint64_t held = 0;
    for (int i = 0; i < 2; i++)
        held += counter_read(&cache_counters(w.node[0].cache, (unsigned)i)->cache_held_objects) -
                counter_read(&cache_counters(w.node[0].cache, (unsigned)i)->cache_objects);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
    cr_assert_eq(held, 0);
}

/* --- selecting ------------------------------------------------------------------------------- */

#define BR   "accept-encoding: br, gzip\r\n"
#define GZIP "accept-encoding: gzip\r\n"
#define CODED(coding)                                                                              \
    "Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\nContent-Encoding: " coding "\r\n"

static void coded_pages(void)
{
    page(BR, 1, CODED("br"));
    page(GZIP, 2, CODED("gzip"));
    page(NULL, 3, "Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n");
}

Test(vary, clients_share_by_what_matters)
{
    coded_pages();
    expect(CHROME, 1, "fwd=miss"); /* the first already sent what it was asked with */
    expect(SAFARI, 1, "coral; hit");
    expect("Accept-Encoding: br;q=0.9, gzip;q=0.1\r\n", 1, "coral; hit");
    expect("accept-encoding: br\r\naccept-encoding: *\r\n", 1, "coral; hit");
    expect(ONLY_GZIP, 2, "fwd=vary-miss");
    expect("Accept-Encoding: br;q=0, gzip\r\n", 2, "coral; hit");
    expect(PLAIN, 3, "fwd=vary-miss");
    expect("Accept-Encoding: identity\r\n", 3, "coral; hit");
    expect("Accept-Encoding: deflate\r\n", 3, "coral; hit");
    expect("Accept-Language: de\r\n" CHROME, 1, "coral; hit"); /* not named */
    cr_assert_eq(w.origin[0].requests, 3);
    cr_assert_eq(cached(0), 4);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_vary_again_total), 0);
    nothing_is_left();
}

/* RFC 9111 4.1 by pairs: is what was stored for one request sent to the other? */
Test(vary, pairs_of_requests)
{
    static const struct {
        const char *vary, *first, *second;
        bool hit;
    } table[] = {
        {"Vary: Foo", "Foo: 1\r\n", "Foo: 1\r\n", true},
        {"Vary: Foo", "Foo: 1\r\n", "Foo: 2\r\n", false},
        {"Vary: Foo", "Foo: 1\r\n", "foo:   1\r\n", true},
        {"Vary: fOO", "Foo: 1\r\n", "foo: 1\r\n", true},
        {"Vary: Foo", "Foo: 1\r\n", "", false},
        {"Vary: Foo", "", "Foo: 1\r\n", false},
        {"Vary: Foo", "", "", true},
        {"Vary: Foo", "Foo:\r\n", "", false}, /* empty is not absent */
        {"Vary: Foo", "Foo:\r\n", "Foo: \r\n", true},
        {"Vary: Foo", "Foo: 1\r\nBar: a\r\n", "Foo: 1\r\nBar: b\r\n", true},
        {"Vary: Foo, Bar", "Foo: 1\r\nBar: a\r\n", "Foo: 1\r\nBar: b\r\n", false},
        {"Vary: Foo, Bar", "Foo: 1\r\nBar: a\r\n", "Bar: a\r\nFoo: 1\r\n", true},
        {"Vary: Foo\r\nVary: Bar", "Foo: 1\r\nBar: a\r\n", "Foo: 1\r\nBar: b\r\n", false},
        {"Vary: Foo\r\nVary: Bar", "Foo: 1\r\nBar: a\r\n", "Foo: 1\r\nBar: a\r\n", true},
        {"Vary: Foo", "Foo: 1\r\nFoo: 2\r\n", "Foo: 1, 2\r\n", true},
        {"Vary: Foo", "Foo: 1, 2\r\n", "Foo: 2, 1\r\n", false},
        {"Vary: Foo", "Foo: a  b\r\n", "Foo: a b\r\n", true},
        {"Vary: Foo", "Foo: a\r\n", "Foo: A\r\n", false},
        {"Vary: Accept-Language", "Accept-Language: de, en\r\n", "Accept-Language: DE,en\r\n",
         true},
        {"Vary: Accept-Language", "Accept-Language: de\r\n", "Accept-Language: en\r\n", false},
        {"Vary: User-Agent", "User-Agent: a\r\n", "User-Agent: b\r\n", true}, /* none is sent on */
        {"Vary: Range", "", "", true},
        {"Vary: *", "", "", false},
        {"Vary: Foo, *", "", "", false},
        {"Vary: *, Foo", "Foo: 1\r\n", "Foo: 1\r\n", false},
        {"Vary: Foo\r\nVary: *", "", "", false},
        {"Vary: Foo Bar", "", "", false},
        {"Vary:", "", "", true},
        {"Vary: ,", "Foo: 1\r\n", "Foo: 2\r\n", true},
        {"Vary: a,b,c,d,e,f,g", "", "", true},
        {"Vary: a,b,c,d,e,f,g,h,i", "", "", false},
        {"Vary: Cookie", "", "", true},
        {"Vary: Cookie", "Cookie: a=1\r\n", "",
         true}, /* as if it had sent none: it fetched alone */
        {"Vary: Cookie", "", "Cookie: a=1\r\n", false},
        {"Vary: Cookie", "Cookie: a=1\r\n", "Cookie: a=1\r\n", false},
    };
    char fields[512] = "";
    struct origin_file *f = page(NULL, 1, fields);
    uint64_t passed = 0;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        snprintf(fields, sizeof(fields), "%s\r\nCache-Control: max-age=600\r\n", table[i].vary);
        purge(0);
        if (WORLD_COUNT(&w, 0, proxy_pass_total) != passed)
            world_run(&w, 61000); /* what is known as uncacheable is forgotten */
        passed = WORLD_COUNT(&w, 0, proxy_pass_total);
        expect(table[i].first, 1, NULL);
        unsigned before = f->requests;
        expect(table[i].second, 1, NULL);
        if (table[i].hit && strstr(table[i].first, "Cookie")) /* this one may fill */
            cr_assert_leq(f->requests, before + 1);
        else
            cr_assert_eq(f->requests == before, table[i].hit, "%s: %s then %s", table[i].vary,
                         table[i].first, table[i].second);
    }
    nothing_is_left();
}

Test(vary, what_a_fill_sends_is_what_it_is_stored_by)
{
    struct origin_file *de =
        page("anguage: de\r\n", 1,
             "Cache-Control: max-age=60\r\nVary: Accept-Language\r\nContent-Encoding: br\r\n");
    struct origin_file *none =
        page(NULL, 2, "Cache-Control: max-age=60\r\nVary: Accept-Language\r\n");
    expect("Accept-Language: de\r\nX-Other: 1\r\nAccept: text/html\r\nCookie: a=b\r\n"
           "X-Forwarded-Host: evil.test\r\nX-Original-URL: /b\r\nIf-Match: \"x\"\r\n" CHROME,
           1, "fwd=miss");
    cr_assert_eq(none->requests, 0, "the first has what it asked for");
    cr_assert_eq(de->requests, 1);
    cr_assert(strstr(de->last_request, BR) && !strstr(de->last_request, "zstd"));
    cr_assert(strstr(de->last_request, "X-Other: 1\r\n") &&
              strstr(de->last_request, "Accept: text/html\r\n"));
    cr_assert(!strstr(de->last_request, "Cookie") && !strstr(de->last_request, "evil") &&
                  !strstr(de->last_request, "Original") && !strstr(de->last_request, "If-Match"),
              "what makes it somebody's own, or another URL's");
    expect("Accept-Language: DE\r\n" CHROME, 1, "coral; hit");
    expect(CHROME, 2, "fwd=vary-miss");
    expect("Accept-Language: de\r\n" PLAIN, 1, "fwd=vary-miss");
    cr_assert(strstr(de->last_request, "accept-language: de\r\n"), "as the key has it");
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_vary_again_total), 0);
    nothing_is_left();
}

Test(vary, what_is_coded_is_told_apart_though_the_origin_does_not_say_so)
{
    page(BR, 1, "Cache-Control: max-age=60\r\nContent-Encoding: br\r\n");
    page(NULL, 2, "Cache-Control: max-age=60\r\nContent-Encoding: identity\r\n");
    expect(CHROME, 1, "fwd=miss");
    expect(PLAIN, 2, "fwd=vary-miss");
    expect(SAFARI, 1, "coral; hit");
    purge(0);
    world_run(&w, 100);
    expect(PLAIN, 2, "fwd=miss"); /* not coded, and no Vary: for everybody */
    expect(CHROME, 2, "coral; hit");
    nothing_is_left();
}

/* --- what is shared though it says Vary --------------------------------------------------------
 */

Test(vary, who_accepts_fewer_codings_shares_what_is_in_none)
{
    struct origin_file *f = page(NULL, 1, "Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n");
    expect(CHROME, 1, "fwd=miss");
    expect(ONLY_GZIP, 1, "coral; hit");
    expect(PLAIN, 1, "coral; hit");
    expect("Accept-Encoding: br\r\n", 1, "coral; hit");
    struct client c;
    client_get(&w, &c, 0, 0, "www.site.test", "/a", PLAIN "Range: bytes=10-19,4000-\r\n");
    cr_assert(client_wait(&c, 1000) && c.head.status == 206);
    client_free(&c);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(cached(0), 2);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_variants_shared_total), 4);
    nothing_is_left();
}

Test(vary, who_accepts_fewer_codings_shares_what_he_can_read)
{
    page(BR, 1, "Cache-Control: max-age=60\r\nContent-Encoding: gzip\r\n");
    struct origin_file *others = page(NULL, 2, "Cache-Control: max-age=60\r\n");
    expect(CHROME, 1, "fwd=miss");
    expect(ONLY_GZIP, 1, "coral; hit");
    expect("Accept-Encoding: br\r\n", 2, "fwd=vary-miss");
    expect(PLAIN, 2, "fwd=vary-miss");
    expect(PLAIN, 2, "coral; hit");
    cr_assert_eq(others->requests, 2);
    nothing_is_left();
}

Test(vary, who_accepts_more_codings_does_not_share)
{
    struct origin_file *f = page(NULL, 1, "Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n");
    expect(PLAIN, 1, "fwd=miss");
    expect(ONLY_GZIP, 1, "fwd=vary-miss");
    expect(CHROME, 1, "fwd=vary-miss");
    expect(ONLY_GZIP, 1, "coral; hit");
    cr_assert_eq(f->requests, 3);
}

/* Nor a peer, what is stale, what is of other values elsewhere, or who will not have it stored. */
Test(vary, what_is_not_shared)
{
    struct origin_file *f = page(
        NULL, 1, "Cache-Control: max-age=60\r\nVary: Accept-Language, Accept-Encoding, Foo\r\n");
    expect("Accept-Language: de\r\nFoo: 1\r\n" CHROME, 1, "fwd=miss");
    expect("Accept-Language: de\r\n" PLAIN "Foo: 1\r\n", 1, "coral; hit");
    expect("Accept-Language: en\r\n" PLAIN "Foo: 1\r\n", 1, "fwd=vary-miss");
    expect("Accept-Language: de\r\n" PLAIN "Foo: 2\r\n", 1, "fwd=vary-miss");
    cr_assert_eq(f->requests, 3);
    expect("Accept-Language: de\r\nFoo: 1\r\nCache-Control: no-cache\r\n" ONLY_GZIP, 1, "fwd=");
    cr_assert_eq(f->requests, 4);
    world_run(&w, 61000);
    expect("Accept-Language: de\r\nFoo: 1\r\n" PLAIN, 1, "fwd=vary-miss");
    cr_assert_eq(f->requests, 5);
    nothing_is_left();
}

Test(vary, errors_are_told_apart_too)
{
    struct client c;
    struct origin_file *f = page(BR, 1, "Content-Encoding: br\r\n"), *g = page(NULL, 2, "");
    f->status = g->status = 503;
    f->delay_ms = g->delay_ms = 50;
    for (unsigned i = 0; i < MANY; i++)
        client_get(&w, &many[i], 0, i % 2, "www.site.test", "/a", i % 3 ? CHROME : PLAIN);
    world_run(&w, 500);
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert(client_parse(&many[i]) && many[i].head.status == 503);
        cr_assert(client_body_is(&many[i], i % 3 ? 1 : 2, 0, 5000));
        client_free(&many[i]);
    }
    cr_assert_leq(f->requests + g->requests, 3);
    f->status = g->status = 404;
    f->fields = "Content-Encoding: br\r\nVary: Accept-Encoding\r\n";
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", CHROME), 404);
    client_free(&c);
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", SAFARI), 404);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "coral; hit; ttl="));
    client_free(&c);
    nothing_is_left();
}

/* --- collapsing ------------------------------------------------------------------------------ */

Test(vary, a_crowd_is_one_request_a_variant)
{
    static const char *const who[] = {CHROME, SAFARI, ONLY_GZIP, PLAIN, "Accept-Encoding: br\r\n"};
    static const uint64_t salt[] = {1, 1, 2, 3, 4};
    coded_pages();
    page("accept-encoding: br\r\n", 4, CODED("br"));
    struct origin_file *f = w.origin[0].file;
    f[4] = f[2]; /* the plain one last */
    f[2] = f[3];
    f[3] = f[4];
    w.origin[0].files = 4;
    for (unsigned i = 0; i < 4; i++)
        f[i].delay_ms = 100, f[i].rate = 100;
    for (unsigned i = 0; i < MANY; i++)
        client_get(&w, &many[i], 0, i % 2, "www.site.test", "/a", who[i % 5]);
    world_run(&w, 120); /* heads are there, bodies are not */
    for (unsigned i = 0; i < 5; i++)
        client_leave(&many[i]);
    world_run(&w, 1000);
    for (unsigned i = 5; i < MANY; i++) {
        cr_assert(client_parse(&many[i]) && many[i].whole, "%u", i);
        cr_assert(client_body_is(&many[i], salt[i % 5], 0, 5000), "%u", i);
    }
    for (unsigned i = 0; i < MANY; i++)
        client_free(&many[i]);
    cr_assert_eq(w.origin[0].requests, 4);
    cr_assert_eq(cached(0), 5);
    nothing_is_left();
}

Test(vary, nobody_gets_what_varies_by_anything)
{
    struct origin_file *f = page(NULL, 1, "Cache-Control: max-age=60\r\nVary: Accept, *\r\n");
    f->delay_ms = 20;
    for (unsigned i = 0; i < 10; i++)
        client_get(&w, &many[i], 0, i % 2, "www.site.test", "/a", "Accept: a/b\r\n");
    world_run(&w, 500);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert(client_parse(&many[i]) && client_body_is(&many[i], 1, 0, 5000));
        cr_assert(strstr(client_field(&many[i], "Cache-Status"), "stored=?0"));
        client_free(&many[i]);
    }
    cr_assert_eq(f->requests, 10); /* the first was for who began it, each other for one */
    cr_assert_eq(cached(0), 0);
    nothing_is_left();
}

Test(vary, what_is_private_goes_to_whom_it_was_selected_for)
{
    struct origin_file *f =
        page("kind: 1\r\n", 1, "Cache-Control: private\r\nVary: Kind, Accept-Encoding\r\n");
    struct origin_file *g =
        page(NULL, 2, "Cache-Control: private\r\nVary: Kind, Accept-Encoding\r\n");
    expect("kind: 1\r\n", 1, "stored=?0");
    cr_assert(f->requests == 1 && g->requests == 0);
    world_run(&w, 61000);
    expect(CHROME, 2, "stored=?0");
    cr_assert_eq(g->requests, 1);
    nothing_is_left();
}

/* --- what is done with any object ------------------------------------------------------------ */

Test(vary, ranges_heads_and_conditions)
{
    struct client c;
    coded_pages();
    expect(CHROME, 1, NULL);
    expect(PLAIN, 3, NULL);
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", CHROME "Range: bytes=100-199\r\n"),
                 206);
    cr_assert(client_body_is(&c, 1, 100, 100));
    client_free(&c);
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", "Range: bytes=100-199\r\n"), 206);
    cr_assert(client_body_is(&c, 3, 100, 100));
    client_free(&c);
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", SAFARI "If-None-Match: \"1\"\r\n"),
                 304);
    cr_assert_str_eq(client_field(&c, "Vary"), "Accept-Encoding");
    client_free(&c);
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", "If-None-Match: \"1\"\r\n"), 200);
    client_free(&c);
    client_send(&w, &c, 0, 1,
                "HEAD /a HTTP/1.1\r\nHost: www.site.test\r\nAccept-Encoding: br, gzip\r\n\r\n");
    cr_assert(client_wait(&c, 1000) && c.head.status == 200);
    cr_assert_str_eq(client_field(&c, "ETag"), "\"1\"");
    client_free(&c);
    cr_assert_eq(w.origin[0].requests, 2);
    nothing_is_left();
}

Test(vary, each_variant_is_confirmed_by_itself)
{
    coded_pages();
    struct origin_file *br = &w.origin[0].file[0], *gzip = &w.origin[0].file[1];
    br->fields = "Cache-Control: max-age=2, stale-while-revalidate=60\r\nVary: Accept-Encoding\r\n"
                 "Content-Encoding: br\r\n";
    gzip->fields =
        "Cache-Control: max-age=2\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n";
    expect(CHROME, 1, NULL);
    expect(ONLY_GZIP, 2, NULL);
    world_run(&w, 4000);
    expect(CHROME, 1, "stale-while-revalidate");
    world_run(&w, 100);
    cr_assert_eq(br->not_modified, 1);
    cr_assert(strstr(br->last_request, BR));
    expect(CHROME, 1, "coral; hit");
    expect(ONLY_GZIP, 2, "fwd=stale; fwd-status=304"); /* confirmed, before it is sent */
    cr_assert_eq(gzip->not_modified, 1);
    expect(ONLY_GZIP, 2, "coral; hit");
    world_run(&w, 4000);
    w.origin[0].up = false;
    expect(ONLY_GZIP, 2, "detail=stale");
    cr_assert_eq(cached(0), 3);
    nothing_is_left();
}

Test(vary, a_variant_that_may_not_be_stored_any_more_goes_alone)
{
    coded_pages();
    struct origin_file *br = &w.origin[0].file[0];
    br->fields = CODED("br") "CDN-Cache-Control: max-age=2, stale-while-revalidate=600\r\n";
    expect(CHROME, 1, NULL);
    expect(ONLY_GZIP, 2, NULL);
    world_run(&w, 4000);
    br->etag = "\"9\"";
    br->fields = "Cache-Control: no-store\r\nVary: Accept-Encoding\r\n";
    expect(CHROME, 1, "stale-while-revalidate");
    world_run(&w, 100);
    expect(CHROME, 3, "stored=?0"); /* passed on as it came, which this origin does not know */
    expect(ONLY_GZIP, 2, "coral; hit");
    cr_assert_eq(cached(0), 2);
    nothing_is_left();
}

Test(vary, a_304_that_names_more_is_not_enough)
{
    struct origin_file *f = page(NULL, 1, "Cache-Control: max-age=2\r\n");
    expect(CHROME, 1, NULL);
    world_run(&w, 4000);
    f->fields = "Cache-Control: max-age=2\r\nVary: Foo\r\n";
    unsigned before = f->requests;
    expect(CHROME, 1, "fwd=");
    cr_assert_eq(f->not_modified, 1);
    cr_assert_eq(f->requests, before + 2);
    expect(CHROME, 1, "coral; hit");
    expect("Foo: 1\r\n" CHROME, 1, "fwd=vary-miss");
    cr_assert_eq(cached(0), 3);
    nothing_is_left();
}

Test(vary, the_names_of_a_url_grow)
{
    page("foo: 1\r\n", 2, "Cache-Control: max-age=60\r\nVary: Foo\r\n");
    struct origin_file *f = page(NULL, 1, "Cache-Control: max-age=60\r\nVary: Accept-Encoding\r\n");
    expect(CHROME, 1, NULL);
    expect("Foo: 1\r\n" CHROME, 1, "coral; hit"); /* nobody said that it counts */
    expect(PLAIN, 1, "coral; hit");               /* it is not coded */
    cr_assert_eq(cached(0), 2);
    world_run(&w, 61000);
    f->fields = "Cache-Control: max-age=60\r\nVary: Foo\r\n";
    f->etag = "\"x\"";
    expect(CHROME, 1, "fwd=");
    expect("Foo: 1\r\n" CHROME, 2, "fwd=vary-miss");
    expect(CHROME, 1, "coral; hit");
    f->fields = "Cache-Control: max-age=60\r\n"; /* some responses leave it out */
    expect("Foo: 2\r\n", 1, "fwd=vary-miss");
    expect(CHROME, 1, "coral; hit");
    expect("Foo: 1\r\n" CHROME, 2, "coral; hit");
    nothing_is_left();
}

Test(vary, a_purge_takes_all_variants)
{
    struct origin_file *f;
    coded_pages();
    f = w.origin[0].file;
    expect(CHROME, 1, NULL);
    expect(ONLY_GZIP, 2, NULL);
    expect(PLAIN, 3, NULL);
    cr_assert(purge(0));
    cr_assert(!purge(0));
    for (unsigned i = 0; i < 3; i++)
        f[i].salt += 10, f[i].etag = NULL;
    expect(ONLY_GZIP, 12, "fwd=miss");
    expect(CHROME, 11, "fwd=vary-miss");
    expect(PLAIN, 13, "fwd=vary-miss");
    cr_assert_eq(w.origin[0].requests, 6);
    nothing_is_left();
}

Test(vary, an_unsafe_request_takes_all_variants)
{
    struct client c;
    coded_pages();
    expect(CHROME, 1, NULL);
    expect(ONLY_GZIP, 2, NULL);
    client_send(&w, &c, 0, 1,
                "POST /a HTTP/1.1\r\nHost: www.site.test\r\nContent-Length: 0\r\n\r\n");
    cr_assert(client_wait(&c, 1000) && c.head.status == 200);
    client_free(&c);
    expect(ONLY_GZIP, 2, "fwd=miss");
    expect(CHROME, 1, "fwd=vary-miss");
    nothing_is_left();
}

Test(vary, a_purge_takes_variants_that_are_on_their_way)
{
    coded_pages();
    struct origin_file *f = w.origin[0].file;
    expect(ONLY_GZIP, 2, NULL);
    f[0].rate = 50; /* 100 ms */
    client_get(&w, &many[0], 0, 0, "www.site.test", "/a", CHROME);
    client_get(&w, &many[1], 0, 1, "www.site.test", "/a", CHROME);
    world_run(&w, 50);
    cr_assert(purge(0));
    world_run(&w, 300);
    for (unsigned i = 0; i < 2; i++) { /* who waited has it */
        cr_assert(client_parse(&many[i]) && client_body_is(&many[i], 1, 0, 5000));
        client_free(&many[i]);
    }
    f[0].salt = 11;
    expect(CHROME, 11, "fwd=miss");
    cr_assert_eq(f[0].requests, 2);
    nothing_is_left();
}

/* Between a worker's look and the owner's, before and after the head: what was stored before is
 * never found again. */
Test(vary, a_purge_at_any_moment_is_one)
{
    coded_pages();
    struct origin_file *gzip = &w.origin[0].file[1], *plain = &w.origin[0].file[2];
    gzip->etag = NULL;
    plain->delay_ms = 8;
    plain->rate = 500;
    for (unsigned i = 0; i < 60; i++) {
        expect(CHROME, 1, NULL);
        expect(ONLY_GZIP, gzip->salt, NULL);
        client_get(&w, &many[0], 0, i % 2, "www.site.test", "/a", PLAIN);
        w.ring_room = i % 4 < 2 ? WORLD_RING : 0; /* what is on its way to the owner stays there */
        world_run(&w, i / 2);
        cr_assert(purge(0));
        w.ring_room = WORLD_RING;
        gzip->salt++;
        cr_assert(client_wait(&many[0], 1000) && client_body_is(&many[0], 3, 0, 5000));
        client_free(&many[0]);
        expect(ONLY_GZIP, gzip->salt, "fwd=");
        purge(0);
        gzip->salt++;
    }
    nothing_is_left();
}

Test(vary, variants_have_a_bound)
{
    char fields[64];
    struct origin_file *f = page(NULL, 1, "Cache-Control: max-age=600\r\nVary: Foo\r\n");
    for (unsigned i = 0; i < 80; i++) {
        snprintf(fields, sizeof(fields), "Foo: %u\r\n", i);
        expect(fields, 1, i < CACHE_VARIANTS ? NULL : "stored=?0");
    }
    cr_assert_eq(cached(0), CACHE_VARIANTS + 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_variants_full_total), 80 - CACHE_VARIANTS);
    unsigned before = f->requests;
    expect("Foo: 0\r\n", 1, "coral; hit");
    cr_assert_eq(f->requests, before);
    nothing_is_left();
}

Test(vary, values_that_are_too_long_are_not_stored)
{
    char fields[1200];
    page(NULL, 1, "Cache-Control: max-age=600\r\nVary: Foo\r\n");
    expect(PLAIN, 1, NULL);
    snprintf(fields, sizeof(fields), "Foo: %0*d\r\n", 1100, 7);
    expect(fields, 1, "stored=?0");
    expect(fields, 1, "stored=?0");
    cr_assert_eq(cached(0), 2);
    nothing_is_left();
}

/* --- peers ----------------------------------------------------------------------------------- */

Test(vary, a_peer_gives_the_variant_that_it_is_asked_for)
{
    coded_pages();
    expect_at(0, CHROME, 1, NULL);
    expect_at(0, ONLY_GZIP, 2, NULL);
    world_run(&w, 200);
    expect_at(1, ONLY_GZIP, 2, "detail=peer");
    expect_at(1, CHROME, 1, "detail=peer");
    expect_at(1, PLAIN, 3, "detail=origin"); /* it has none for that */
    expect_at(1, SAFARI, 1, "coral; hit");
    cr_assert_eq(w.origin[0].requests, 3);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_peer_bad_mac_total), 0);
    nothing_is_left();
}

Test(vary, references_of_what_was_purged_go)
{
    coded_pages();
    expect_at(0, CHROME, 1, NULL);
    expect_at(0, ONLY_GZIP, 2, NULL);
    world_run(&w, 200);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 2);
    cr_assert(purge(0));
    world_run(&w, 200);
    expect_at(1, CHROME, 1, "detail=origin");
    cr_assert_eq(WORLD_COUNT(&w, 1, proxy_peer_asks_total), 0);
    world_run(&w, 40000); /* past their renewal: an orphan's is not renewed */
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 0);
    expect_at(0, CHROME, 1, "detail=origin"); /* a peer may have what was purged here */
    nothing_is_left();
}

/* --- what one has said is in nobody else's answer --------------------------------------------- */

Test(vary, what_a_peer_was_not_sent_is_in_no_key)
{
    page("anguage: fr\r\n", 1, "Cache-Control: max-age=600\r\nVary: Accept-Language\r\n");
    page(NULL, 2, "Cache-Control: max-age=600\r\nVary: Accept-Language\r\n");
    expect_at(0, CHROME, 2, "detail=origin");
    world_run(&w, 500);
    expect_at(1, "Accept-Language: fr\r\n" CHROME, 1, NULL);
    expect_at(1, "Accept-Language: fr\r\n" CHROME, 1, "coral; hit");
    expect_at(1, CHROME, 2, NULL);
    nothing_is_left();
}

Test(vary, a_private_answer_is_for_who_asked_first)
{
    struct origin_file *mine = page("X-Mine: 1\r\n", 1, "Cache-Control: private\r\n");
    struct origin_file *other = page(NULL, 2, "Cache-Control: private\r\n");
    mine->delay_ms = 50;
    for (unsigned first = 0; first < 2; first++) { /* without a cookie of its own, and with */
        client_get(&w, &many[0], 0, 0, "www.site.test", "/a",
                   first ? "X-Mine: 1\r\nCookie: a=b\r\n" : "X-Mine: 1\r\n");
        world_run(&w, 10);
        for (unsigned i = 1; i < 6; i++)
            client_get(&w, &many[i], 0, i % 2, "www.site.test", "/a", NULL);
        world_run(&w, 500);
        for (unsigned i = 0; i < 6; i++) {
            cr_assert(client_parse(&many[i]) && client_body_is(&many[i], i ? 2 : 1, 0, 5000),
                      "%u %u", first, i);
            client_free(&many[i]);
        }
        world_run(&w, 61000);
    }
    cr_assert_eq(other->requests, 10);
    nothing_is_left();
}

Test(vary, who_shows_a_credential_fetches_for_himself)
{
    static const char *const secret[] = {"X-Auth-Token: t\r\n", "Api_Key: k\r\n",
                                         "X-Session-Id: s\r\n"};
    struct origin_file *f = page(NULL, 1, "Cache-Control: max-age=600\r\n");
    for (unsigned i = 0; i < 3; i++)
        expect(secret[i], 1, "stored=?0");
    cr_assert_eq(f->requests, 3);
    expect("X-Other: o\r\n", 1, "fwd=miss");
    expect(secret[0], 1, "coral; hit"); /* it is for everybody */
    nothing_is_left();
}

Test(vary, an_error_for_one_s_fields_makes_nobody_bypass_the_cache)
{
    struct origin_file *bad = page("X-Odd: 1\r\n", 1, "");
    struct origin_file *good = page(NULL, 2, "Cache-Control: max-age=600\r\n");
    struct client c;
    bad->status = 431;
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", "X-Odd: 1\r\n"), 431);
    client_free(&c);
    expect(NULL, 2, "fwd=miss; ttl=600; stored; detail=origin");
    expect(NULL, 2, "coral; hit");
    cr_assert_eq(good->requests, 1);
    nothing_is_left();
}
