/* SPDX-License-Identifier: BSD-3-Clause */
/* One node: what it serves, how it answers from its cache, and what it refuses. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hist.h"
#include "world.h"

#define SEED 20261123u

static struct world w;

static struct origin_file *page(const char *path, uint64_t length)
{
    return origin_add(&w.origin[0], (struct origin_file){.path = path,
                                                         .length = length,
                                                         .salt = 7,
                                                         .etag = "\"v1\"",
                                                         .fields = "Cache-Control: max-age=60\r\n"
                                                                   "Content-Type: text/x\r\n"});
}

static void open_world(void)
{
    world_open(&w, 1, 1, SEED);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(serve, .init = open_world, .fini = close_world);

static unsigned get(struct client *c, const char *host, const char *path, const char *fields)
{
    return world_get(&w, c, 0, host, path, fields);
}

Test(serve, a_miss_fills_and_the_next_is_a_hit)
{
    struct client c;
    struct origin_file *f = page("/a", 100000);
    cr_assert_eq(get(&c, "www.site.test.coral.test", "/a", NULL), 200);
    cr_assert(client_body_is(&c, 7, 0, 100000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=origin"));
    cr_assert_str_eq(client_field(&c, "Content-Type"), "text/x");
    cr_assert_str_eq(client_field(&c, "ETag"), "\"v1\"");
    cr_assert_str_eq(client_field(&c, "Via"), "1.1 node0 (Coral)");
    cr_assert(strstr(f->last_request, "Host: www.site.test\r\n"));
    cr_assert(strstr(f->last_request, "User-Agent: Coral/"));
    cr_assert(strstr(f->last_request, "Via: 1.1 node0 (Coral)\r\n"));
    client_free(&c);
    world_run(&w, 3000);
    cr_assert_eq(get(&c, "www.site.test", "/a", NULL), 200); /* the site's own name: same object */
    cr_assert(client_body_is(&c, 7, 0, 100000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "coral; hit; ttl="));
    cr_assert_geq(atoi(client_field(&c, "Age")), 3);
    client_free(&c);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_hits_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_from_origin_total), 1);
    cr_assert_eq(hist_total(proxy_latency(w.node[0].worker[0].proxy)), 2);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
}

Test(serve, the_empty_and_the_tiny_and_the_chunked)
{
    struct client c;
    page("/empty", 0);
    page("/tiny", 10);
    page("/chunked", 50000)->chunked = true;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(get(&c, "www.site.test", "/empty", NULL), 200);
        cr_assert(client_body_is(&c, 7, 0, 0));
        client_free(&c);
        cr_assert_eq(get(&c, "www.site.test", "/tiny", NULL), 200);
        cr_assert(client_body_is(&c, 7, 0, 10));
        client_free(&c);
        cr_assert_eq(get(&c, "www.site.test", "/chunked", NULL), 200);
        cr_assert(client_body_is(&c, 7, 0, 50000));
        client_free(&c);
    }
    cr_assert_eq(w.origin[0].requests, 3);
}

Test(serve, head_has_no_body_and_the_same_fields)
{
    struct client c;
    page("/a", 5000);
    for (int i = 0; i < 2; i++) {
        client_send(&w, &c, 0, 0, "HEAD /a HTTP/1.1\r\nHost: www.site.test\r\n\r\n");
        cr_assert(client_wait(&c, 1000));
        cr_assert_eq(c.head.status, 200);
        cr_assert_str_eq(client_field(&c, "Content-Length"), "5000");
        cr_assert_eq(c.body_len, 0);
        client_free(&c);
    }
    cr_assert_eq(w.origin[0].requests, 1);
}

Test(serve, one_range_from_the_cache)
{
    struct client c;
    page("/a", 50000);
    get(&c, "www.site.test", "/a", NULL);
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "Range: bytes=10000-19999\r\n"), 206);
    cr_assert(client_body_is(&c, 7, 10000, 10000));
    cr_assert_str_eq(client_field(&c, "Content-Range"), "bytes 10000-19999/50000");
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "Range: bytes=-5\r\n"), 206);
    cr_assert(client_body_is(&c, 7, 49995, 5));
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "Range: bytes=50000-\r\n"), 416);
    cr_assert_str_eq(client_field(&c, "Content-Range"), "bytes */50000");
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "Range: bytes=1-2\r\nIf-Range: \"v0\"\r\n"), 200);
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "Range: bytes=1-2\r\nIf-Range: \"v1\"\r\n"), 206);
    client_free(&c);
    cr_assert_eq(w.origin[0].requests, 1);
}

Test(serve, conditions)
{
    struct client c;
    origin_add(&w.origin[0],
               (struct origin_file){.path = "/a",
                                    .length = 500,
                                    .etag = "\"v1\"",
                                    .fields = "Last-Modified: Tue, 14 Nov 2023 10:00:00 GMT\r\n"
                                              "Cache-Control: max-age=60\r\n"});
    get(&c, "www.site.test", "/a", NULL);
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "If-None-Match: \"x\", W/\"v1\"\r\n"), 304);
    cr_assert_str_eq(client_field(&c, "ETag"), "\"v1\"");
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "If-None-Match: \"x\"\r\n"), 200);
    client_free(&c);
    cr_assert_eq(
        get(&c, "www.site.test", "/a", "If-Modified-Since: Tue, 14 Nov 2023 10:00:00 GMT\r\n"),
        304);
    client_free(&c);
    cr_assert_eq(
        get(&c, "www.site.test", "/a", "If-Modified-Since: Tue, 14 Nov 2023 09:59:59 GMT\r\n"),
        200);
    client_free(&c);
}

Test(serve, what_names_no_change_was_made_when_it_was_sent_at_the_latest)
{
    struct client c;
    char since[80], date[30];
    page("/a", 500);
    get(&c, "www.site.test", "/a", NULL);
    snprintf(since, sizeof(since), "If-Modified-Since: %s\r\n", client_field(&c, "Date"));
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", since), 304);
    client_free(&c);
    http_date_write(w.now.wall_s - 100, date);
    snprintf(since, sizeof(since), "If-Modified-Since: %s\r\n", date);
    cr_assert_eq(get(&c, "www.site.test", "/a", since), 200);
    client_free(&c);
}

Test(serve, what_is_passed_on_is_as_old_as_it_was)
{
    struct client c;
    page("/a", 500)->fields = "Cache-Control: max-age=60\r\nAge: 100\r\n";
    cr_assert_eq(get(&c, "www.site.test", "/a", NULL), 200);
    cr_assert_str_eq(client_field(&c, "Age"), "100");
    client_free(&c);
}

Test(serve, keep_alive_and_pipelining_stay_in_order)
{
    struct client c;
    page("/a", 3000);
    page("/b", 4000);
    client_send(&w, &c, 0, 0,
                "GET /a HTTP/1.1\r\nHost: www.site.test\r\n\r\n"
                "GET /b HTTP/1.1\r\nHost: www.site.test\r\n\r\n");
    world_run(&w, 200);
    cr_assert_eq(http_parse_response(c.data, c.len, false, &c.head), HTTP_OK);
    size_t first = c.head.head_len + 3000;
    cr_assert_eq(c.head.content_length, 3000);
    cr_assert_eq(http_parse_response(c.data + first, c.len - first, false, &c.head), HTTP_OK);
    cr_assert_eq(c.head.content_length, 4000);
    cr_assert_eq(c.len, first + c.head.head_len + 4000);
    client_free(&c);
}

Test(serve, methods_other_than_get_and_head_are_refused_in_open_mode)
{
    struct client c;
    client_send(&w, &c, 0, 0, "DELETE /a HTTP/1.1\r\nHost: www.open.test.coral.test\r\n\r\n");
    cr_assert(client_wait(&c, 1000));
    cr_assert_eq(c.head.status, 405);
    cr_assert_str_eq(client_field(&c, "Allow"), "GET, HEAD");
    client_free(&c);
}

Test(serve, hosts)
{
    static const struct {
        const char *host;
        unsigned status;
    } is[] = {
        {"elsewhere.test", 421},          /* not ours */
        {"coral.test", 404},              /* the zone itself */
        {"x.coral.test.coral.test", 403}, /* an origin in our own zone */
        {"coral.test.coral.test", 403},
        {"coral.test.80.coral.test", 403},
        {"a..b.coral.test", 400},
        {"www.example.com.0.coral.test", 400}, /* no such port */
        {"www.example.com.65536.coral.test", 400},
        {"www.site.test.coral.test.", 200},     /* the root's dot */
        {"WWW.Site.TEST.coral.test:8080", 200}, /* the port is the service's */
        {"10.9.0.1.coral.test", 403},           /* private, and no site */
        {"127.0.0.1.coral.test", 403},
        {"10.1.0.1.coral.test", 403}, /* this node */
    };
    struct client c;
    page("/a", 10);
    for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        unsigned status = get(&c, is[i].host, "/a", NULL);
        cr_expect_eq(status, is[i].status, "%s: %u, not %u", is[i].host, status, is[i].status);
        client_free(&c);
    }
    w.node[0].policy.open = false;
    cr_assert_eq(get(&c, "www.example.com.coral.test", "/a", NULL), 403);
    client_free(&c);
}

Test(serve, open_mode_asks_the_host_itself_at_its_port)
{
    struct client c;
    w.origin[1].at.port = 8080;
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 1, {w.origin[1].at.ip}});
    struct origin_file *f =
        origin_add(&w.origin[1], (struct origin_file){.path = "/x?q=1", .length = 2000, .salt = 3});
    cr_assert_eq(get(&c, "www.example.com.8080.coral.test", "/x?q=1", "Cookie: a=b\r\n"), 200);
    cr_assert(client_body_is(&c, 3, 0, 2000));
    client_free(&c);
    cr_assert(strstr(f->last_request, "Host: www.example.com:8080\r\n"));
    cr_assert(!strstr(f->last_request, "Cookie"));
    world_run(&w, 11 * 1000);
    cr_assert_eq(get(&c, "www.example.com.8080.coral.test", "/x?q=1", NULL), 200);
    cr_assert(strstr(client_field(&c, "Cache-Status"),
                     "coral; hit; ttl=")); /* 12 h where none is named */
    client_free(&c);
    cr_assert_eq(f->requests, 1);
}

Test(serve, a_name_that_points_inside_is_refused_after_resolution)
{
    struct client c;
    world_name(&w, (struct name){"rebind.example",
                                 RESOLVER_OK,
                                 3,
                                 {w.origin[2].at.ip, w.node[0].self.v4, addr_v4(0xa9fea9fe)}});
    origin_add(&w.origin[2], (struct origin_file){.path = "/secret", .length = 10});
    cr_assert_eq(get(&c, "rebind.example.coral.test", "/secret", NULL), 403);
    client_free(&c);
    cr_assert_eq(w.origin[2].requests, 0);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_origin_forbidden_total), 3);
    /* unless the operator allows it */
    w.node[0].policy.allow_prefix[0] = (struct proxy_prefix){addr_v4(0x7f000000), 8};
    w.node[0].policy.allow = 1;
    cr_assert_eq(get(&c, "rebind.example.coral.test", "/secret", NULL), 200);
    client_free(&c);
}

Test(serve, a_request_that_came_through_us_is_a_loop)
{
    struct client c;
    page("/a", 10);
    cr_assert_eq(get(&c, "www.site.test", "/a", "Via: 1.1 other, 1.1 node3 (Coral)\r\n"), 508);
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "User-Agent: Coral/0.1\r\n"), 508);
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", "User-Agent: coralreef\r\n"), 200);
    client_free(&c);
}

static void note_line(void *ctx, unsigned line, const char *pattern, const char *why)
{
    cr_assert(*pattern && *why);
    *(unsigned *)ctx |= 1u << line;
}

Test(serve, each_wrong_pattern_of_a_deny_list_is_told)
{
    unsigned lines = 0;
    const char *bad = "(unclosed\n/good\n[a-\n# (comment\n*x\n";
    cr_expect_eq(proxy_deny_check(bad, strlen(bad), note_line, &lines), 3);
    cr_expect_eq(lines, 1u << 1 | 1u << 3 | 1u << 5);
    cr_expect_eq(proxy_deny_check("/good\n", 6, note_line, &lines), 0);
}

Test(serve, the_deny_list_refuses_and_can_be_swapped)
{
    struct client c;
    char error[256];
    struct proxy_policy other = w.node[0].policy;
    const char *bad = "# comment\n\n/good\n  (unclosed \n";
    page("/a", 10);
    page("/evil/b", 10);
    cr_assert_null(proxy_deny_compile(bad, strlen(bad), error, sizeof(error)));
    cr_assert(strstr(error, "line 4") && strstr(error, "(unclosed"), "%s", error);
    const char *list = "# comment\n^http://[^/]*/evil/\r\n\nnever\\.example\n";
    other.deny = proxy_deny_compile(list, strlen(list), error, sizeof(error));
    cr_assert_not_null(other.deny, "%s", error);

    cr_assert_eq(get(&c, "www.site.test", "/evil/b", NULL), 200);
    client_free(&c);
    proxy_view(w.node[0].worker[0].proxy, &other, w.node[0].routes);
    cr_assert_eq(get(&c, "www.site.test", "/evil/b", NULL), 403); /* also what is cached */
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/x/../%65vil/b", NULL), 403); /* normalised first */
    client_free(&c);
    cr_assert_eq(get(&c, "www.site.test", "/a", NULL), 200);
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_denied_total), 2);
    proxy_view(w.node[0].worker[0].proxy, &w.node[0].policy, w.node[0].routes);
    proxy_deny_free(other.deny);
}

/* What a host means is remembered, and forgotten with the policy that said so. */
Test(serve, hosts_mean_what_the_policy_in_force_says)
{
    static const char *const host[] = {"www.site.test", "WWW.Site.test:8080", "www.site.test.",
                                       "www.site.test.coral.test"};
    struct proxy_policy other = w.node[0].policy;
    page("/a", 10);
    other.sites = 0;
    other.open = false;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof(host) / sizeof(host[0]); i++) {
            struct client c;
            const bool served = round != 1;
            proxy_view(w.node[0].worker[0].proxy, served ? &w.node[0].policy : &other,
                       w.node[0].routes);
            for (int twice = 0; twice < 2; twice++) {
                unsigned refused = i == 3 ? 403 : 421;
                cr_expect_eq(get(&c, host[i], "/a", NULL), served ? 200 : refused, "%s", host[i]);
                client_free(&c);
            }
        }
    cr_expect_eq(w.origin[0].requests, 1, "one URL, however it is named");
    /* more of them than are remembered, each with an object of its own */
    for (int round = 0; round < 2; round++)
        for (unsigned i = 0; i < 200; i++) {
            struct client c;
            char name[300];
            snprintf(name, sizeof(name), "%0*u.coral.test", i % 2 ? 5 : 60, i);
            cr_expect_eq(get(&c, name, "/", NULL), 502, "%s: its name does not exist", name);
            client_free(&c);
        }
}

Test(serve, too_many_requests_are_answered_503)
{
    struct client c[8];
    world_close(&w);
    world_open_sized(&w, 1, 1, SEED, 0, 4, 4);
    page("/slow", 10)->delay_ms = 1000;
    unsigned served = 0, busy = 0;
    for (unsigned i = 0; i < 8; i++)
        client_get(&w, &c[i], 0, 0, "www.site.test", "/slow", NULL);
    world_run(&w, 2000);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert(client_parse(&c[i]));
        served += c[i].head.status == 200;
        busy += c[i].head.status == 503 && atoi(client_field(&c[i], "Retry-After")) >= 1;
        client_free(&c[i]);
    }
    cr_assert_eq(served, 4);
    cr_assert_eq(busy, 4);
}
