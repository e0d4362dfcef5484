/* SPDX-License-Identifier: BSD-3-Clause */
/* The operator's rules, each action as clients, peers and the origin see it. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../rules/hand.h"
#include "world.h"

#define SEED 20261129u
#define HOST "www.site.test"

static struct world w;
static struct rules_set *sets[16];
static unsigned n_sets;
static struct client c;

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
}
static void close_world(void)
{
    world_close(&w);
    while (n_sets > 0)
        rules_free(sets[--n_sets]);
}
TestSuite(rules, .init = open_world, .fini = close_world);

/* They are in force at once, and those before them stay until the end. */
static void rules(unsigned node, const char *text)
{
    static char told[4096];
    told[0] = 0;
    struct rules_set *s = hand_set(text, told);
    cr_assert(s, "%s", told);
    sets[n_sets++] = s;
    w.node[node].policy.rules = s;
}

static struct origin_file *page(const char *path, const char *fields)
{
    return origin_add(
        &w.origin[0],
        (struct origin_file){
            .path = path, .length = 5000, .salt = 9, .etag = "\"1\"", .fields = fields});
}

static unsigned get(const char *path, const char *fields)
{
    return world_get(&w, &c, 0, HOST, path, fields);
}

/* Its answer: the status, and what is in Cache-Status. */
static void expect(const char *path, const char *fields, unsigned status, const char *says)
{
    cr_expect_eq(get(path, fields), status, "%s: %u", path, c.head.status);
    cr_expect(strstr(client_field(&c, "Cache-Status"), says), "%s: %s", path,
              client_field(&c, "Cache-Status"));
    client_free(&c);
}

Test(rules, deny_and_allow)
{
    struct origin_file *f = page("/admin/open/a", "Cache-Control: max-age=60\r\n");
    rules(0, HOST " path /admin/open/ allow\n" HOST " path /admin/ deny 451\n"
                  "*.example.com deny 404\n");
    expect("/admin/open/a", NULL, 200, "detail=origin");
    expect("/admin/x", NULL, 451, "detail=proxy");
    expect("/%61dmin/./x", NULL, 451, "detail=proxy"); /* in its normal form */
    cr_assert_eq(world_get(&w, &c, 0, "www.example.com.coral.test", "/", NULL), 404);
    client_free(&c);
    client_send(&w, &c, 0, 0,
                "POST /admin/x HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 0\r\n\r\n");
    cr_assert(client_wait(&c, 1000));
    cr_assert_eq(c.head.status, 451);
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_rules_denied_total), 4);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(w.origin[0].requests, 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
}

/* What is refused has its reason in the log, and an ID where the site gives IDs, in both. */
Test(rules, who_is_refused_is_told_his_id_and_the_log_why)
{
    static const char list[] = "^http://[^/]*/listed$\n";
    static const struct {
        const char *head;
        unsigned status;
        enum access_reason reason;
        bool id;
    } t[] = {
        {"GET /denied HTTP/1.1\r\nHost: " HOST "\r\n", 451, ACCESS_RULE_DENY, true},
        {"GET /moved HTTP/1.1\r\nHost: " HOST "\r\n", 302, ACCESS_RULE_REDIRECT, true},
        {"GET /slow HTTP/1.1\r\nHost: " HOST "\r\n", 404, ACCESS_NO_REASON, true},
        {"GET /slow HTTP/1.1\r\nHost: " HOST "\r\n", 429, ACCESS_RULE_RATE, true},
        {"GET /listed HTTP/1.1\r\nHost: " HOST "\r\n", 403, ACCESS_DENY_LIST, true},
        {"GET //x/..%2Flisted HTTP/1.1\r\nHost: " HOST "\r\n", 403, ACCESS_DENY_LIST, true},
        {"GET / HTTP/1.1\r\nHost: " HOST "\r\nCDN-Loop: coral.test\r\n", 508, ACCESS_LOOP, true},
        {"TRACE / HTTP/1.1\r\nHost: " HOST "\r\n", 405, ACCESS_METHOD_REFUSED, true},
        {"OPTIONS * HTTP/1.1\r\nHost: " HOST "\r\n", 200, ACCESS_NO_REASON, true},
        {"GET / HTTP/1.1\r\nHost: other.test\r\n", 421, ACCESS_NOT_SERVED, false},
        {"GET / HTTP/1.1\r\nHost: coral.test\r\n", 404, ACCESS_NOT_SERVED, false},
    };
    struct node *n = &w.node[0];
    char error[256];
    rules(0, HOST " path /denied deny 451\n" HOST " path /moved redirect 302 http://x.test/\n" HOST
                  " path /slow rate r\nrate r 1/min burst 1\n");
    struct proxy_policy with = n->policy;
    for (unsigned i = 0; i < 2; i++)
        n->site[i].tells |= PROXY_REQUEST_ID;
    with.deny = proxy_deny_compile(list, strlen(list), error, sizeof(error));
    cr_assert(with.deny, "%s", error);
    proxy_view(n->worker[0].proxy, &with, n->routes);
    proxy_access(n->worker[0].proxy, ACCESS_WANTED);
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char request[256];
        unsigned before = n->accesses;
        snprintf(request, sizeof(request), "%s\r\n", t[i].head);
        client_send(&w, &c, 0, 0, request);
        cr_assert(client_wait(&c, 5000), "%s", t[i].head);
        const char *id = client_field(&c, "X-Request-ID");
        const char *noted = n->access.text;
        for (unsigned k = 0; k < ACCESS_ID; k++)
            noted += n->access.len[k];
        cr_expect_eq(c.head.status, t[i].status, "%s: %u", t[i].head, c.head.status);
        cr_expect(n->accesses == before + 1 && n->access.status == t[i].status &&
                      n->access.reason == t[i].reason,
                  "%s: reason %u", t[i].head, n->access.reason);
        cr_expect_eq(strlen(id), t[i].id ? 32u : 0u, "%s: \"%s\"", t[i].head, id);
        cr_expect(n->access.len[ACCESS_ID] == strlen(id) && memcmp(noted, id, strlen(id)) == 0,
                  "%s", t[i].head);
        client_free(&c);
    }
    proxy_view(n->worker[0].proxy, &n->policy, n->routes);
    proxy_deny_free(with.deny);
}

/* Its status is the rule's: nothing is wrong with the head. */
Test(rules, denied_heads_are_no_malformed_ones)
{
    rules(0, HOST " path /a deny 400\n" HOST " path /b deny 431\n");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(get(i ? "/b" : "/a", NULL), i ? 431 : 400);
        cr_assert_str_empty(client_field(&c, "Connection"));
        client_free(&c);
    }
}

/* As an origin may read it that merges slashes and decodes before it resolves dots. */
Test(rules, no_spelling_goes_round_a_rule_that_denies)
{
    static const char *const same[] = {"//admin/x",
                                       "/admin%2Fx",
                                       "/x/..%2Fadmin/x",
                                       "/%2fadmin/x",
                                       "/x/%2e%2e%2Fadmin/",

                                       "/admin/open/..%2Fsecret",
                                       "/admin%5Cx",
                                       "/admin\\x",
                                       "//a%28b%29/",
                                       "/.%2Fadmin/x",
                                       "/x?y=1/../&z=%2F&bad=1",
                                       "/admin/open/%2e%2F..%2fsecret"};
    rules(0, HOST " path /admin/open/ allow\n" HOST " path /admin/ deny 451\n" HOST
                  " path /a(b)/ deny 451\n" HOST " match bad= deny 451\n" HOST
                  " path /live/ pass\nrate slow 1/min burst 1\n" HOST " path /login rate slow\n");
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        expect(same[i], NULL, 451, "detail=proxy");
    page("/admin/open//a", "Cache-Control: max-age=60\r\n");
    expect("/admin/open//a", NULL, 200, "detail=origin");
    page("/other%2Fadmin", "Cache-Control: max-age=60\r\n");
    expect("/other%2Fadmin", NULL, 200, "detail=origin");
    page("//live/a", "Cache-Control: max-age=60\r\n");
    expect("//live/a", NULL, 200, "fwd=bypass");
    page("//login", NULL);
    page("/%2Flogin", NULL);
    expect("//login", NULL, 200, "coral");
    expect("/%2Flogin", NULL, 429, "detail=proxy");
}

/* What strip-query and rewrite make is judged, too. */
Test(rules, no_detour_leads_to_a_url_that_is_denied)
{
    char error[256];
    static const char list[] = "^http://[^/]*/evil$\n";
    page("/evil", "Cache-Control: max-age=60\r\n");
    page("/bad", "Cache-Control: max-age=60\r\n");
    page("/good", "Cache-Control: max-age=60\r\n");
    rules(0, HOST " strip-query utm_*\n" HOST " match ^/bad$ deny 404\n" HOST
                  " path /r/ rewrite /$rest\n");
    struct proxy_policy with = w.node[0].policy;
    with.deny = proxy_deny_compile(list, strlen(list), error, sizeof(error));
    cr_assert(with.deny, "%s", error);
    for (unsigned i = 0; i < 2; i++)
        proxy_view(w.node[0].worker[i].proxy, &with, w.node[0].routes);
    expect("/evil", NULL, 403, "detail=proxy");
    expect("/evil?utm_x=1", NULL, 403, "detail=proxy");
    expect("/r/evil", NULL, 403, "detail=proxy");
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_denied_total), 3);
    expect("/bad?utm_x=1", NULL, 404, "detail=proxy");
    expect("/r/bad", NULL, 404, "detail=proxy");
    expect("/r//bad", NULL, 404, "detail=proxy");
    expect("/r/good?utm_x=1", NULL, 200, "detail=origin");
    cr_assert_eq(w.origin[0].requests, 1);
    for (unsigned i = 0; i < 2; i++)
        proxy_view(w.node[0].worker[i].proxy, &w.node[0].policy, w.node[0].routes);
    proxy_deny_free(with.deny);
}

Test(rules, redirect)
{
    rules(0,
          HOST " path /old/ redirect 301 https://new.test/x/$rest\n" HOST " redirect 308 /n$uri\n");
    cr_assert_eq(get("/old/a/b?c=d", NULL), 301);
    cr_assert_str_eq(client_field(&c, "Location"), "https://new.test/x/a/b?c=d");
    cr_assert_gt(c.body_len, 0);
    client_free(&c);
    cr_assert_eq(get("/z", NULL), 308);
    cr_assert_str_eq(client_field(&c, "Location"), "/n/z");
    client_free(&c);
    /* the next refusal has no more of it */
    client_send(&w, &c, 0, 0, "TRACE / HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
    cr_assert(client_wait(&c, 1000));
    cr_assert_eq(c.head.status, 405);
    cr_assert_str_empty(client_field(&c, "Location"));
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_rules_redirected_total), 2);
}

Test(rules, rewritten_and_stripped_urls_are_one_object)
{
    struct origin_file *f = page("/new/a", "Cache-Control: max-age=60\r\n");
    rules(0, HOST " path /old/ rewrite /x/../new/$rest\n" HOST " strip-query utm_*\n");
    expect("/old/a", NULL, 200, "detail=origin");
    expect("/new/a", NULL, 200, "hit");
    expect("/old/a?utm_source=x&utm_b", NULL, 200, "hit");
    cr_assert_eq(f->requests, 1);
    cr_assert(strstr(f->last_request, "GET /new/a HTTP/1.1\r\n"));
}

Test(rules, a_peer_is_asked_for_the_new_url_and_does_not_judge)
{
    struct origin_file *f = page("/new/a", "Cache-Control: max-age=60\r\n");
    rules(0, HOST " path /old/ rewrite /new/$rest\n" HOST " path /new/ rewrite /lost/$rest\n");
    rules(1, HOST " path /new/ rewrite /lost/$rest\n" HOST " path /old/ rewrite /new/$rest\n");
    expect("/old/a", NULL, 200, "detail=origin");
    world_run(&w, 3000);
    rules(0, "* deny 403\n");
    cr_assert_eq(world_get(&w, &c, 1, HOST, "/old/a", NULL), 200);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    client_free(&c);
    cr_assert_eq(f->requests, 1);
    rules(1, "* path /new/ deny 403\n");
    cr_assert_eq(world_get(&w, &c, 1, HOST, "/new/a", NULL), 403);
    client_free(&c);
}

Test(rules, pass_goes_past_the_cache)
{
    struct origin_file *f = page("/live/a", "Cache-Control: max-age=60\r\n");
    page("/live/kept/a", "Cache-Control: max-age=60\r\n");
    rules(0, HOST " path /live/kept/ cache\n" HOST " path /live/ pass\n");
    expect("/live/a", NULL, 200, "fwd=bypass");
    expect("/live/a", NULL, 200, "fwd=bypass");
    expect("/live/kept/a", NULL, 200, "fwd=miss");
    expect("/live/kept/a", NULL, 200, "hit");
    cr_assert_eq(f->requests, 2);
}

Test(rules, ttl_overrides_what_the_origin_says)
{
    struct origin_file *f = page("/a", "Cache-Control: max-age=1\r\n");
    page("/b", "Cache-Control: max-age=600\r\n");
    rules(0, HOST " path /a ttl 10min\n" HOST " path /b ttl 5s\n");
    expect("/a", NULL, 200, "ttl=600");
    expect("/b", NULL, 200, "ttl=5");
    world_run(&w, 9000);
    expect("/a", NULL, 200, "hit; ttl=59");
    expect("/b", NULL, 200, "fwd=stale");
    cr_assert_eq(f->requests, 1);
}

Test(rules, no_ttl_is_an_exception_from_the_sites)
{
    page("/a", "Cache-Control: max-age=60\r\n");
    page("/b", "Cache-Control: max-age=60\r\n");
    w.node[0].site[0].ttl_override_s = 600;
    rules(0, HOST " path /a ttl none\n");
    expect("/a", NULL, 200, "ttl=60;");
    expect("/b", NULL, 200, "ttl=600");
}

Test(rules, without_cookies_one_answer_does_for_all)
{
    struct origin_file *f =
        page("/a", "Cache-Control: max-age=60\r\nVary: Cookie\r\nSet-Cookie: s=1\r\n");
    struct origin_file *g = page("/b", "Cache-Control: private\r\nSet-Cookie: s=1\r\n");
    rules(0, HOST " strip-cookies\n");
    expect("/a", "Cookie: x=1\r\nX-Other: 2\r\n", 200, "detail=origin");
    cr_assert(!strstr(f->last_request, "Cookie") && strstr(f->last_request, "X-Other: 2"));
    expect("/a", "Cookie: x=2\r\n", 200, "hit");
    expect("/a", NULL, 200, "hit");
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(get("/b", "Cookie: x=1\r\n"), 200); /* uncacheable: it is passed on without them */
    cr_assert_str_empty(client_field(&c, "Set-Cookie"));
    client_free(&c);
    cr_assert(!strstr(g->last_request, "Cookie"));
}

Test(rules, tags_are_for_purges)
{
    struct origin_file *f = page("/shop/a", "Cache-Control: max-age=60\r\nCache-Tag: theirs\r\n");
    rules(0, HOST " path /shop/ tag shop\n* tag all\n");
    uint64_t token;
    for (unsigned i = 0; i < 3; i++) {
        static const char *const tags[] = {"shop", "all", "theirs"};
        struct cache_purge what = {CACHE_PURGE_TAG, false, tags[i], strlen(tags[i])};
        expect("/shop/a", NULL, 200, i ? "fwd=miss" : "detail=origin");
        cr_assert_eq(get("/shop/a", NULL), 200);
        cr_assert(strstr(client_field(&c, "Cache-Status"), "hit"));
        cr_assert_str_empty(client_field(&c, "Coral-Tag"));
        client_free(&c);
        cr_assert_eq(cache_purge(w.node[0].cache, &what, &token), CACHE_PURGE_TAKEN);
        world_run(&w, 10);
    }
    expect("/shop/a", NULL, 200, "fwd=miss");
    cr_assert_eq(f->requests, 4);
}

Test(rules, tags_are_there_when_the_origin_confirms)
{
    struct origin_file *f = page("/a", "Cache-Control: max-age=1\r\nCache-Tag: theirs\r\n");
    rules(0, HOST " tag ours\n");
    uint64_t token;
    expect("/a", NULL, 200, "detail=origin");
    world_run(&w, 3000);
    expect("/a", NULL, 200, "fwd-status=304");
    struct cache_purge what = {CACHE_PURGE_TAG, false, "ours", 4};
    cr_assert_eq(cache_purge(w.node[0].cache, &what, &token), CACHE_PURGE_TAKEN);
    world_run(&w, 10);
    expect("/a", NULL, 200, "fwd=miss");
    cr_assert_eq(f->not_modified, 1);
    rules(0, HOST " tag newer\n"); /* and one that has come meanwhile is added */
    world_run(&w, 3000);
    expect("/a", NULL, 200, "fwd-status=304");
    what.text = "newer";
    what.len = 5;
    cr_assert_eq(cache_purge(w.node[0].cache, &what, &token), CACHE_PURGE_TAKEN);
    world_run(&w, 10);
    expect("/a", NULL, 200, "fwd=miss");
}

Test(rules, fields_of_requests_to_the_origin)
{
    struct origin_file *f = page("/a", "Cache-Control: max-age=60\r\n");
    struct origin_file *g = page("/p", "Cache-Control: no-store\r\n");
    rules(0, HOST " set-request X-Key secret remove-request x-drop\n" HOST
                  " set-request x-key other set-request X-Mine \"a b\"\n");
    const char *fields = "X-Key: mine\r\nX-Drop: 1\r\nX-Stay: 1\r\n";
    expect("/a", fields, 200, "detail=origin");
    cr_assert(strstr(f->last_request, "\r\nX-Key: secret\r\n"));
    cr_assert(strstr(f->last_request, "\r\nX-Mine: a b\r\n"));
    cr_assert(strstr(f->last_request, "\r\nX-Stay: 1\r\n"));
    cr_assert(strstr(f->last_request, "\r\nHost: " HOST "\r\n"));
    cr_assert(!strstr(f->last_request, "X-Drop") && !strstr(f->last_request, "mine"));
    cr_assert(!strstr(f->last_request, "other"));
    expect("/p", fields, 200, "stored=?0");
    cr_assert(strstr(g->last_request, "\r\nX-Key: secret\r\n"));
    cr_assert(!strstr(g->last_request, "X-Drop") && !strstr(g->last_request, "mine"));
}

Test(rules, fields_of_responses)
{
    page("/a", "Cache-Control: max-age=60\r\nServer: x\r\nX-Powered-By: y\r\n");
    page("/p", "Cache-Control: no-store\r\nServer: x\r\n");
    rules(0, HOST " remove-response Server set-response X-A 1\n" HOST
                  " match ^/[ap]$ set-response Cache-Control max-age=5\n");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(get(i == 2 ? "/p" : "/a", NULL), 200);
        cr_assert(client_body_is(&c, 9, 0, 5000));
        cr_assert_str_empty(client_field(&c, "Server"));
        cr_assert_str_eq(client_field(&c, "X-A"), "1");
        cr_assert_str_eq(client_field(&c, "Cache-Control"), "max-age=5");
        cr_assert_str_eq(client_field(&c, "X-Powered-By"), i == 2 ? "" : "y");
        client_free(&c);
    }
    cr_assert_eq(get("/a", "If-None-Match: \"1\"\r\n"), 304);
    cr_assert_str_eq(client_field(&c, "X-A"), "1");
    client_free(&c);
    cr_assert_eq(get("/a", "Range: bytes=0-9\r\n"), 206);
    cr_assert_str_eq(client_field(&c, "X-A"), "1");
    cr_assert(client_body_is(&c, 9, 0, 10));
    client_free(&c);
}

Test(rules, fields_of_interim_responses)
{
    static const char raw[] = "HTTP/1.1 103 Early Hints\r\nServer: x\r\nLink: </a>\r\n\r\n"
                              "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 0\r\n\r\n";
    origin_add(&w.origin[0],
               (struct origin_file){.path = "/a", .raw = raw, .raw_len = sizeof(raw) - 1});
    rules(0, HOST " remove-response Server\n");
    client_get(&w, &c, 0, 0, HOST, "/a", NULL);
    world_run(&w, 500);
    cr_assert(memmem(c.data, c.len, "HTTP/1.1 103 ", 13));
    cr_assert(memmem(c.data, c.len, "Link: </a>\r\n", 12));
    cr_assert(memmem(c.data, c.len, "HTTP/1.1 200 ", 13));
    cr_assert(!memmem(c.data, c.len, "Server: x", 9));
    client_free(&c);
}

/* What stands between the parts is in it. */
Test(rules, the_type_of_several_ranges_stays)
{
    static const char kind[] = "multipart/byteranges; boundary=";
    page("/a", "Cache-Control: max-age=60\r\nContent-Type: text/html\r\n");
    static const char *const edits[] = {"set-response content-type text/css set-response X-A 1",
                                        "remove-response Content-Type set-response X-A 1"};
    for (unsigned i = 0; i < 2; i++) {
        char text[128];
        snprintf(text, sizeof(text), HOST " %s\n", edits[i]);
        rules(0, text);
        cr_assert_eq(get("/a", NULL), 200);
        cr_assert_str_eq(client_field(&c, "Content-Type"), i ? "" : "text/css");
        client_free(&c);
        cr_assert_eq(get("/a", "Range: bytes=0-9, 4000-4009\r\n"), 206);
        cr_expect_eq(strncmp(client_field(&c, "Content-Type"), kind, strlen(kind)), 0, "%s",
                     client_field(&c, "Content-Type"));
        cr_assert_str_eq(client_field(&c, "X-A"), "1");
        client_free(&c);
    }
}

/* Nobody waits for room that there will never be. */
Test(rules, a_head_that_has_no_room_for_all_of_it_is_an_error)
{
    static char fields[2][9200], text[20000];
    size_t len = 0;
    for (unsigned i = 0; i < RULES_LIST; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, HOST " set-response X-%u %01000u\n",
                                i, i);
    for (unsigned i = 0; i < 2; i++) {
        len = (size_t)snprintf(fields[i], sizeof(fields[i]), "Cache-Control: %s\r\n",
                               i ? "no-store" : "max-age=60");
        for (unsigned k = 0; k < 9; k++)
            len += (size_t)snprintf(fields[i] + len, sizeof(fields[i]) - len, "Y-%u: %01000u\r\n",
                                    k, k);
        page(i ? "/pass" : "/kept", fields[i]);
    }
    for (unsigned i = 0; i < 2; i++)
        expect(i ? "/pass" : "/kept", NULL, 200, "coral");
    rules(0, text);
    for (unsigned i = 0; i < 4; i++) {
        client_get(&w, &c, 0, 0, HOST, i % 2 ? "/pass" : "/kept", NULL);
        cr_assert(client_wait(&c, 1000));
        cr_expect_eq(c.head.status, 502);
        client_free(&c);
    }
    world_run(&w, 100);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
}

/* Another set has other numbers: what an answer waited with is not taken for them. */
Test(rules, a_swap_while_requests_wait)
{
    struct origin_file *f = page("/a", "Cache-Control: max-age=60\r\n");
    struct client more[3];
    f->delay_ms = 500;
    rules(0, HOST " set-response X-A old\n");
    for (unsigned i = 0; i < 3; i++)
        client_get(&w, &more[i], 0, i % 2, HOST, "/a", NULL);
    world_run(&w, 100);
    rules(0, "*.other.test deny 403\n" HOST " path /b set-response X-B 1\n" HOST
             " set-response X-A new\n");
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(client_wait(&more[i], 2000));
        cr_assert_eq(more[i].head.status, 200);
        cr_assert(client_body_is(&more[i], 9, 0, 5000));
        cr_assert_str_eq(client_field(&more[i], "X-A"), "new");
        client_free(&more[i]);
    }
    w.node[0].policy.rules = NULL;
    cr_assert_eq(get("/a", NULL), 200);
    cr_assert_str_empty(client_field(&c, "X-A"));
    client_free(&c);
    cr_assert_eq(f->requests, 1);
}

/* A set a millisecond under load: nobody is refused, and each answer is of one of them. */
Test(rules, many_swaps_under_load)
{
    enum { CLIENTS = 200 };
    static struct client crowd[CLIENTS];
    page("/a", "Cache-Control: max-age=1\r\n");
    rules(0, HOST " set-response X-A 1\n");
    rules(0, HOST " path /old rewrite /a set-response X-A 2\n" HOST " match ^/a tag x\n");
    rules(0, HOST " match ^/a$ set-response X-A 3 set-response X-B 3 ttl 1s\n");
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_get(&w, &crowd[i], 0, i % 2, HOST, "/a", NULL);
        world_run(&w, 20);
        w.node[0].policy.rules = sets[i % 3];
        if (i % 7 == 0)
            w.node[0].policy.rules = NULL;
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        cr_assert(client_wait(&crowd[i], 2000));
        cr_assert_eq(crowd[i].head.status, 200);
        cr_assert(client_body_is(&crowd[i], 9, 0, 5000));
        client_free(&crowd[i]);
    }
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_refused_total), 0);
}

Test(rules, a_rate_is_for_who_asks)
{
    page("/a", "Cache-Control: max-age=60\r\n");
    rules(0, "rate slow 2/min burst 3\n" HOST " path /a rate slow\n");
    for (int i = 0; i < 3; i++)
        expect("/a", NULL, 200, "coral");
    cr_assert_eq(get("/a", NULL), 429);
    cr_assert_geq(atoi(client_field(&c, "Retry-After")), 29);
    cr_assert_leq(atoi(client_field(&c, "Retry-After")), 30);
    client_free(&c);
    cr_assert_neq(get("/b", NULL), 429);
    client_free(&c);
    world_run(&w, 30000);
    expect("/a", NULL, 200, "coral");
    expect("/a", NULL, 429, "detail=proxy");
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_rules_limited_total), 2);
}

/* Each client once a minute: whom the proxy names that the site trusts, not who named himself. */
Test(rules, a_rate_is_for_who_is_behind_a_trusted_proxy)
{
    static const struct {
        const char *fields;
        unsigned status;
        uint8_t tells;
    } asked[] = {
        {"X-Forwarded-For: 1.2.3.4\r\n", 200, PROXY_X_FORWARDED_FOR},
        {"X-Forwarded-For: 1.2.3.4\r\n", 429, PROXY_X_FORWARDED_FOR},
        {"X-Forwarded-For: 9.9.9.9, 1.2.3.4 , 10.100.0.7\r\n", 429, PROXY_X_FORWARDED_FOR},
        {"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.2.3.4\r\n", 429, PROXY_X_FORWARDED_FOR},
        {"X-Forwarded-For: 1.2.3.5:80\r\n", 200, PROXY_X_FORWARDED_FOR},
        {"Forwarded: for=1.2.3.6\r\n", 200, PROXY_X_FORWARDED_FOR}, /* not that one: the peer */
        {"X-Forwarded-For: 1.2.3.7, x\r\n", 429, PROXY_X_FORWARDED_FOR},
        {NULL, 429, PROXY_X_FORWARDED_FOR},
        {"Forwarded: for=\"x, For=1.2.3.4;proto=https\r\n", 429, PROXY_FORWARDED},
        {"Forwarded: for=1.2.3.4, proto=https; for=\"[2001:db8::1]:8\"\r\n", 200, PROXY_FORWARDED},
        {"Forwarded: for=\"[2001:db8::2]\"\r\n", 429, PROXY_FORWARDED},
        {"X-Forwarded-For: 1.2.3.8\r\n", 429, 0},
    };
    struct proxy_site *site = &w.node[0].site[0];
    page("/a", "Cache-Control: max-age=600\r\n");
    rules(0, "rate once 1/min burst 1\n" HOST " path /a rate once\n");
    site->trusted_prefix[site->trusted++] = (struct proxy_prefix){addr_v4(0x0a640000), 16};
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        site->tells = asked[i].tells;
        cr_expect_eq(get("/a", asked[i].fields), asked[i].status, "%zu: %u", i, c.head.status);
        client_free(&c);
    }
    site->tells = PROXY_X_FORWARDED_FOR;
    w.client = addr_v4(0x0a650001); /* nobody trusts this one */
    expect("/a", "X-Forwarded-For: 1.2.3.9\r\n", 200, "coral");
    expect("/a", "X-Forwarded-For: 1.2.3.10\r\n", 429, "detail=proxy");
}

Test(rules, what_cannot_be_looked_at_is_refused)
{
    static char told[4096];
    static const char text[] = HOST " match x pass\n";
    page("/a", "Cache-Control: max-age=60\r\n");
    sets[n_sets] = rules_parse(text, sizeof(text) - 1, hand_tell, told);
    w.node[0].policy.rules = sets[n_sets++]; /* it was never loaded */
    expect("/a", NULL, 503, "detail=proxy");
}

Test(rules, a_rewrite_that_makes_no_url_is_refused)
{
    static char path[2100] = "/old/";
    memset(path + 5, 'x', 2000);
    rules(0, HOST " path /old/ rewrite /$rest/$rest/$rest\n" HOST
                  " path /r/ redirect 301 /$rest$rest$rest\n");
    expect(path, NULL, 400, "detail=proxy");
    memcpy(path, "/r/xx", 5);
    expect(path, NULL, 414, "detail=proxy");
}
