/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that come back: CDN-Loop by the sections of RFC 8586, and the signs that were before it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/loop.h"
#include "world.h"

#define SEED 20261130u
#define HOST "www.site.test"
#define OWN  "CDN-Loop: coral.test\r\n"

static struct world w;

static struct origin_file *page_of(unsigned origin, struct origin_file f)
{
    f.length = f.length ? f.length : 1000;
    f.salt = 7;
    f.fields = f.fields ? f.fields : "Cache-Control: max-age=60\r\n";
    return origin_add(&w.origin[origin], f);
}

static struct origin_file *page(const char *path)
{
    return page_of(0, (struct origin_file){.path = path});
}

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(loop, .init = open_world, .fini = close_world);

static unsigned get(const char *path, const char *fields)
{
    struct client c;
    unsigned status = world_get(&w, &c, 0, HOST, path, fields);
    client_free(&c);
    return status;
}

static unsigned send(const char *request)
{
    struct client c;
    client_send(&w, &c, 0, 1, request);
    client_wait(&c, 30000);
    unsigned status = c.whole ? c.head.status : 0;
    client_free(&c);
    return status;
}

/* The one line with that the last request came to the origin. */
static const char *said(const struct origin_file *f)
{
    static char line[1200];
    const char *at = strstr(f->last_request, "CDN-Loop: ");
    line[0] = '\0';
    if (at && !strstr(at + 1, "CDN-Loop"))
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\r"), at);
    return line;
}

/* --- 2: the field ----------------------------------------------------------------------------- */

static const char *ids(const char *value)
{
    static char out[256];
    struct http_text rest = {value, (uint32_t)strlen(value)}, id;
    out[0] = '\0';
    while (loop_next(&rest, &id))
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%.*s|", (int)id.len, id.p);
    if (rest.len)
        strcat(out, "!");
    return out;
}

Test(loop_field, rfc8586_2_is_a_list_of_ids_with_parameters)
{
    static const struct {
        const char *value, *ids;
    } is[] = {
        {"", ""},
        {"foo123.foocdn.example, barcdn.example; trace=\"abcdef\"",
         "foo123.foocdn.example|barcdn.example|"},
        {"AnotherCDN; abc=123; def=\"456\"", "AnotherCDN|"},
        {" , a ,, b,", "a|b|"},
        {"foo; x=\"a, b; c\", d", "foo|d|"},
        {"foo;x=\"a\\\", b\" , d", "foo|d|"},
        {"foo; x=\"\"", "foo|"},
        {"a:8080, [2001:db8::1]:80,192.0.2.1", "a:8080|[2001:db8::1]:80|192.0.2.1|"},
        {"foo\t;\ta=b\t,\tc", "foo|c|"},
        {"foo; x=\"a, b", "!"}, /* malformed, all of them: */
        {"a, foo; x=\"a\\\"", "a|!"},
        {"foo;", "!"},
        {"foo; x", "!"},
        {"foo; x=", "!"},
        {"foo; x = 1", "!"},
        {"foo; =1", "!"},
        {"foo bar", "!"},
        {"\"foo\"", "!"},
        {"a, ;x=1", "a|!"},
        {"foo; x=\"1\"2", "!"},
    };
    for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++)
        cr_expect_str_eq(ids(is[i].value), is[i].ids, "%s: %s", is[i].value, ids(is[i].value));
}

Test(loop_field, rfc8586_2_ours_is_found_in_it)
{
    static const struct {
        const char *value;
        bool ours;
    } is[] = {
        {"coral.test", true},
        {"a, Coral.TEST; x=1, b", true},
        {"xcoral.test", false},
        {"coral.test:80", false},
        {"a.coral.test, coral.test.b", false},
        {"a; x=\"b, coral.test, c\"", false},
        {"a; x=coral.test", false},
        {"a; x=\"b, coral.test", true}, /* hidden by who does not close what he opens */
        {"a b, coral.test", true},
        {"a b, ccoral.test", false},
        {"coral.test\"", true},
    };
    for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        struct http_text v = {is[i].value, (uint32_t)strlen(is[i].value)};
        cr_expect_eq(loop_names(v, (struct http_text){"coral.test", 10}), is[i].ours, "%s",
                     is[i].value);
    }
}

/* --- 2: "add a value to all requests they generate or forward" ---------------------------------
 */

Test(loop, rfc8586_2_each_request_to_an_origin_has_been_here)
{
    struct origin_file *f = page_of(0, (struct origin_file){.path = "/a", .etag = "\"1\""});
    cr_assert_eq(get("/a", NULL), 200);
    cr_expect_str_eq(said(f), "CDN-Loop: coral.test", "a fill");
    world_run(&w, 61000);
    cr_assert_eq(get("/a", NULL), 200);
    cr_expect_eq(f->not_modified, 1);
    cr_expect_str_eq(said(f), "CDN-Loop: coral.test", "a conditional one");
    cr_assert_eq(get("/a", "Authorization: x\r\n"), 200);
    cr_expect_eq(f->requests, 3);
    cr_expect_str_eq(said(f), "CDN-Loop: coral.test", "one that is passed");
    cr_assert_eq(send("POST /a HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 2\r\n\r\nhi"), 200);
    cr_expect(strstr(f->last_request, "POST /a") && strstr(f->last_request, OWN), "an upload");

    struct origin_file *big =
        page_of(0, (struct origin_file){.path = "/b", .length = 3000000, .etag = "\"1\""});
    cr_assert_eq(get("/b", "Range: bytes=1500000-1500009\r\nCDN-Loop: a\r\n"), 206);
    cr_expect(strstr(big->last_request, "Range: bytes=1048576-2097151") != NULL);
    cr_expect_str_eq(said(big), "CDN-Loop: a, coral.test", "a slice");

    struct client c;
    world_name(&w, (struct name){"any.test", RESOLVER_OK, 1, {w.origin[1].at.ip}});
    f = page_of(1, (struct origin_file){.path = "/o"});
    cr_assert_eq(world_get(&w, &c, 0, "any.test.coral.test", "/o", "CDN-Loop: a\r\n"), 200);
    client_free(&c);
    cr_expect_str_eq(said(f), "CDN-Loop: a, coral.test", "of the open mode");
}

Test(loop, rfc8586_2_what_the_client_says_is_kept)
{
    static char fields[8000];
    struct origin_file *f = page("/a");
    cr_assert_eq(get("/a", "CDN-Loop: a.example,  b; t=\"x, y\"\r\nCDN-Loop: c\r\n"), 200);
    cr_expect_str_eq(said(f), "CDN-Loop: a.example,  b; t=\"x, y\", c, coral.test");
    cr_assert_eq(get("/a", "CDN-Loop: d\r\nAuthorization: x\r\n"), 200);
    cr_expect_str_eq(said(f), "CDN-Loop: d, coral.test");
    /* what was malformed stays so, and ours is not behind a quotation mark that is open */
    cr_assert_eq(get("/a", "CDN-Loop: e; x=\"\r\nCDN-Loop: f\r\nAuthorization: x\r\n"), 200);
    cr_expect_str_eq(said(f), "CDN-Loop: f, coral.test, e; x=\"");
    /* a head too long to be kept as it came */
    snprintf(fields, sizeof(fields),
             "GET /a HTTP/1.1\r\nHost: " HOST "\r\nCDN-Loop: g\r\nAuthorization: x\r\n"
             "User-Agent: %0*d\r\nCDN-Loop: h\r\n\r\n",
             5000, 1);
    cr_assert_eq(send(fields), 200);
    cr_expect_str_eq(said(f), "CDN-Loop: g, h, coral.test");
    /* it may not be cut, so it has to end somewhere */
    snprintf(fields, sizeof(fields), "CDN-Loop: %0*d\r\n", 1100, 1);
    cr_expect_eq(get("/a", fields), 431);
    snprintf(fields, sizeof(fields), "CDN-Loop: %0*d\r\nAuthorization: x\r\n", 1000, 1);
    cr_expect_eq(get("/a", fields), 200);
    cr_expect_eq(strlen(said(f)), strlen("CDN-Loop: , coral.test") + 1000);
}

/* --- a loop ------------------------------------------------------------------------------------
 */

Test(loop, a_request_that_has_been_here_is_refused)
{
    struct origin_file *f = page("/a");
    struct node *n = &w.node[0];
    for (unsigned i = 0; i < n->workers; i++)
        proxy_access(n->worker[i].proxy, ACCESS_WANTED);
    cr_expect_eq(get("/a", "CDN-Loop: a, coral.test\r\n"), 508);
    cr_expect(n->access.reason == ACCESS_LOOP && n->access.served == ACCESS_ERROR &&
              n->access.status == 508);
    cr_expect_eq(get("/a", "CDN-Loop: a\r\nCDN-Loop: Coral.Test; x=1\r\n"), 508);
    cr_expect_eq(get("/a", "CDN-Loop: a; x=\"\r\nCDN-Loop: coral.test\r\n"), 508);
    cr_expect_eq(get("/a", "CDN-Loop: a; x=\", coral.test\r\n"), 508);
    cr_expect_eq(send("POST /a HTTP/1.1\r\nHost: " HOST "\r\nCDN-Loop: coral.test\r\n"
                      "Content-Length: 0\r\n\r\n"),
                 508);
    cr_expect_eq(f->requests, 0);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_loops_total), 5);
    cr_expect_eq(get("/a", "CDN-Loop: a; x=\"b, coral.test\"\r\n"), 200);
    cr_expect_eq(n->access.reason, ACCESS_NO_REASON);
    cr_expect_eq(get("/a", "CDN-Loop: coral.test\r\n"), 508,
                 "a hit would be no loop, but who asks");
}

/* Of two nodes, each other's origin. */
Test(loop, a_loop_through_two_nodes_of_ours_is_one)
{
    struct origin_file *f = page("/a");
    cr_assert_eq(get("/a", NULL), 200);
    struct client c;
    char line[1300];
    snprintf(line, sizeof(line), "%s\r\n", said(f));
    cr_expect_eq(world_get(&w, &c, 1, HOST, "/b", line), 508);
    client_free(&c);
    /* without a zone, too */
    for (unsigned i = 0; i < 2; i++)
        w.node[i].policy.zone[0] = '\0';
    cr_assert_eq(get("/a", "Authorization: x\r\n"), 200);
    snprintf(line, sizeof(line), "%s\r\n", said(f));
    cr_expect(strncmp(line, "CDN-Loop: coral-", 16) == 0 && strlen(line) == 16 + 16 + 2, "%s",
              line);
    cr_expect_eq(world_get(&w, &c, 1, HOST, "/b", line), 508);
    client_free(&c);
    cr_expect_eq(world_get(&w, &c, 1, HOST, "/a", OWN), 200, "which is not its name then");
    client_free(&c);
}

Test(loop, another_cluster_in_front_is_none)
{
    page("/a");
    cr_expect_eq(get("/a", "Via: 1.1 x (Coral)\r\nUser-Agent: Coral/0.1\r\n"
                           "CDN-Loop: coral.example\r\n"),
                 200);
    /* where somebody took the field away there are the signs alone */
    cr_expect_eq(get("/a", "Via: 1.0 y, 1.1 x (Coral)\r\n"), 508);
    cr_expect_eq(get("/a", "Via: 1.0 y\r\nVia: 1.1 x (Coral)\r\n"), 508);
    cr_expect_eq(get("/a", "User-Agent: Coral/0.1\r\n"), 508);
    cr_expect_eq(get("/a", "Via: 1.1 x (coral-reef)\r\nUser-Agent: Coralreef\r\n"), 200);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_loops_total), 3);
}

Test(loop, a_peers_request_is_none)
{
    struct origin_file *f = page("/a");
    struct client c;
    cr_assert_eq(get("/a", "CDN-Loop: a\r\n"), 200);
    world_run(&w, 1000);
    cr_assert_eq(world_get(&w, &c, 1, HOST, "/a", "CDN-Loop: a, b\r\n"), 200);
    cr_expect(strstr(client_field(&c, "Cache-Status"), "coral-peer") != NULL);
    client_free(&c);
    cr_expect_eq(f->requests, 1);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_peer_requests_total), 1);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_loops_total) + WORLD_COUNT(&w, 1, proxy_loops_total), 0);
}

/* --- 3: "its contents cannot be trusted" --------------------------------------------------------
 */

Test(loop, rfc8586_3_it_chooses_nothing_for_others)
{
    struct client c;
    struct origin_file *f = page("/a");
    cr_assert_eq(get("/a", "CDN-Loop: a\r\n"), 200);
    cr_assert_eq(world_get(&w, &c, 0, HOST, "/a", "CDN-Loop: b\r\n"), 200);
    cr_expect(strstr(client_field(&c, "Cache-Status"), "coral; hit") != NULL);
    client_free(&c);
    cr_expect_eq(f->requests, 1);
    /* who varies by it answers each alone */
    f = page_of(0, (struct origin_file){.path = "/v",
                                        .fields = "Cache-Control: max-age=60\r\n"
                                                  "Vary: CDN-Loop\r\n"});
    for (unsigned i = 1; i < 4; i++) {
        cr_assert_eq(get("/v", i > 1 ? "CDN-Loop: a\r\n" : NULL), 200);
        cr_expect_eq(f->requests, i);
    }
}

/* Or anybody could have others refused by the network behind this one. */
Test(loop, rfc8586_3_an_error_that_it_may_have_brought_is_for_who_sent_it)
{
    static const struct {
        const char *path;
        unsigned status;
    } is[] = {{"/400", 400}, {"/403", 403}, {"/503", 503}, {"/508", 508}};
    struct client bad, good;
    struct origin_file *f, *well;
    for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        const char *path = is[i].path;
        f = page_of(
            0, (struct origin_file){
                   .path = path, .when = "CDN-Loop: next", .status = is[i].status, .delay_ms = 50});
        well = page(path);
        client_get(&w, &bad, 0, 0, HOST, path, "CDN-Loop: next\r\n");
        world_run(&w, 20);
        client_get(&w, &good, 0, 1, HOST, path, NULL);
        cr_expect(client_wait(&bad, 5000) && bad.head.status == is[i].status);
        cr_expect((good.whole || client_wait(&good, 5000)) && good.head.status == 200, "%u: %u",
                  is[i].status, good.head.status);
        client_free(&bad);
        client_free(&good);
        cr_expect_eq(get(path, NULL), 200);
        cr_expect(f->requests == 1 && well->requests >= 1, "%u %u", f->requests, well->requests);
    }
}
