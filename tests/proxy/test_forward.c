/* SPDX-License-Identifier: BSD-3-Clause */
/* What a site has origins told of clients, and clients of responses; and that it chooses nothing
 * for others. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define SEED   20261201u
#define HOST   "www.site.test"
#define CLIENT "10.100.0.1"

static struct world w;
static struct node *n; /* node 0 */

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
    n = &w.node[0];
    for (unsigned i = 0; i < w.nodes; i++)
        for (unsigned k = 0; k < w.node[i].workers; k++)
            proxy_access(w.node[i].worker[k].proxy, ACCESS_WANTED | ACCESS_WANT_PEERS);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(forward, .init = open_world, .fini = close_world);

static void site_tells(unsigned what)
{
    for (unsigned i = 0; i < w.nodes; i++)
        w.node[i].site[0].tells = (uint8_t)what;
}

static void trust(uint32_t net, uint8_t bits)
{
    n->site[0].trusted_prefix[n->site[0].trusted++] = (struct proxy_prefix){addr_v4(net), bits};
}

static struct origin_file *page(struct origin_file f)
{
    f.length = f.length ? f.length : 1000;
    f.salt = 7;
    f.fields = f.fields ? f.fields : "Cache-Control: max-age=60\r\n";
    return origin_add(&w.origin[0], f);
}

static unsigned get(const char *path, const char *fields)
{
    struct client c;
    unsigned status = world_get(&w, &c, 0, HOST, path, fields);
    client_free(&c);
    return status;
}

/* A field of the response; "" when there is none, or two. */
static const char *got(unsigned node, const char *path, const char *fields, const char *name)
{
    static char value[1024];
    struct client c;
    unsigned lines = 0;
    world_get(&w, &c, node, HOST, path, fields);
    snprintf(value, sizeof(value), "%s", client_field(&c, name));
    for (unsigned i = 0; i < c.head.fields; i++)
        lines += c.head.field[i].name.len == strlen(name) &&
                 strncasecmp(c.head.field[i].name.p, name, strlen(name)) == 0;
    client_free(&c);
    return lines == 1 ? value : "";
}

/* Exactly this many lines of a name came to the origin last, the first of them with that value. */
static bool told(const struct origin_file *f, unsigned lines, const char *name, const char *value)
{
    char line[600];
    unsigned found = 0;
    snprintf(line, sizeof(line), "%s: %s\r\n", name, value);
    const char *first = strcasestr(f->last_request, name);
    for (const char *at = first; at; at = strcasestr(at + 1, name))
        found += at[-1] == '\n' && at[strlen(name)] == ':';
    bool good = found == lines && (!lines || strncmp(first, line, strlen(line)) == 0);
    if (!good)
        fprintf(stderr, "%u lines of %s: %s\n", found, name, f->last_request);
    return good;
}

/* --- the client's address ----------------------------------------------------------------------
 */

Test(forward, nothing_is_told_of_the_client_unless_it_is_wanted)
{
    struct origin_file *f = page((struct origin_file){.path = "/a"});
    cr_assert_eq(get("/a", "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n"), 200);
    cr_expect(told(f, 0, "X-Forwarded-For", "") && told(f, 0, "Forwarded", ""));
    cr_expect(told(f, 0, "X-Request-ID", ""));
    cr_assert_eq(get("/a", "X-Forwarded-For: 1.2.3.4\r\nAuthorization: x\r\n"), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", "1.2.3.4"), "what is passed goes as it came");
}

Test(forward, x_forwarded_for_is_the_connections_address)
{
    struct origin_file *f = page((struct origin_file){.path = "/a", .etag = "\"1\""});
    static const char lie[] = "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\n"
                              "x-forwarded-for: 5.6.7.8\r\nConnection: X-Forwarded-For\r\n"
                              "X-Forwarded-For: 1.1.1.1\r\n";
    char fields[512];
    site_tells(PROXY_X_FORWARDED_FOR);
    cr_assert_eq(get("/a", lie), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", CLIENT) && told(f, 0, "Forwarded", ""));
    world_run(&w, 61000);
    cr_assert_eq(get("/a", NULL), 200);
    cr_expect(f->not_modified == 1 && told(f, 1, "X-Forwarded-For", CLIENT));
    snprintf(fields, sizeof(fields), "%sAuthorization: x\r\nCDN-Loop: x\r\n", lie);
    cr_assert_eq(get("/a", fields), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", CLIENT) && told(f, 0, "Forwarded", ""));
    struct client c;
    snprintf(fields, sizeof(fields),
             "POST /a HTTP/1.1\r\nHost: " HOST "\r\nContent-Length: 2\r\n%s\r\nhi", lie);
    client_send(&w, &c, 0, 0, fields);
    cr_expect(client_wait(&c, 5000));
    client_free(&c);
    cr_expect(told(f, 1, "X-Forwarded-For", CLIENT) && told(f, 0, "Forwarded", ""));
}

/* A gateway to CGI makes one variable of both. */
Test(forward, an_underscore_is_no_other_name)
{
    struct origin_file *f = page((struct origin_file){.path = "/a"});
    static const char lie[] =
        "Authorization: x\r\nX_Forwarded_For: 6.6.6.6\r\nx-forwarded_for: 7\r\n"
        "X_Request-ID: 00112233445566778899aabbccddeeff\r\nA_B: c\r\n";
    site_tells(PROXY_X_FORWARDED_FOR | PROXY_REQUEST_ID);
    cr_assert_eq(get("/a", lie), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", CLIENT) && told(f, 0, "X_Forwarded_For", ""));
    cr_expect(told(f, 0, "x-forwarded_for", "") && told(f, 0, "X_Request-ID", ""));
    cr_expect(told(f, 1, "A_B", "c"), "what is not made here goes as it came");
}

Test(forward, what_a_trusted_proxy_says_stands_before_it)
{
    static char fields[2000];
    struct origin_file *f = page((struct origin_file){.path = "/a"});
    site_tells(PROXY_X_FORWARDED_FOR);
    trust(0x0a640000, 16);
    cr_assert_eq(get("/a", "X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\nX-Forwarded-For: ::1\r\n"
                           "Forwarded: for=1.2.3.4\r\n"),
                 200);
    cr_expect(told(f, 1, "X-Forwarded-For", "1.2.3.4, 5.6.7.8, ::1, " CLIENT));
    cr_expect(told(f, 0, "Forwarded", ""));
    cr_assert_eq(get("/a", "Authorization: x\r\nX-Forwarded-For: 9.9.9.9\r\n"), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", "9.9.9.9, " CLIENT));
    cr_assert_eq(get("/a", "Authorization: x\r\nX-Forwarded-For:\r\n"), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", CLIENT));
    snprintf(fields, sizeof(fields), "Authorization: x\r\nX-Forwarded-For: %0*d\r\n", 1100, 1);
    cr_assert_eq(get("/a", fields), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", CLIENT), "too long, left out");
    w.client = addr_v4(0x0a650001);
    cr_assert_eq(get("/a", "Authorization: x\r\nX-Forwarded-For: 9.9.9.9\r\n"), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", "10.101.0.1"));
}

Test(forward, rfc7239_4_and_6_forwarded)
{
    struct origin_file *f = page((struct origin_file){.path = "/a"});
    site_tells(PROXY_FORWARDED);
    cr_assert_eq(get("/a", "Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n"), 200);
    cr_expect(told(f, 1, "Forwarded", "for=" CLIENT) && told(f, 0, "X-Forwarded-For", ""));
    trust(0x0a640000, 16);
    cr_assert_eq(get("/a", "Authorization: x\r\nForwarded: for=\"_a,b\";proto=https\r\n"), 200);
    cr_expect(told(f, 1, "Forwarded", "for=\"_a,b\";proto=https, for=" CLIENT));
    cr_assert_eq(get("/a",
                     "Authorization: x\r\nForwarded: for=\"a\r\nForwarded: for=\"\\\"\\\\\"\r\n"
                     "Forwarded: for=\"b\\\"\r\n"),
                 200);
    cr_expect(told(f, 1, "Forwarded", "for=\"\\\"\\\\\", for=" CLIENT),
              "a string that is open hides");
    addr_parse("2001:db8::7", &w.client);
    cr_assert_eq(get("/a", "Authorization: x\r\nForwarded: for=1.2.3.4\r\n"), 200);
    cr_expect(told(f, 1, "Forwarded", "for=\"[2001:db8::7]\""), "6: in brackets and quoted");
    site_tells(PROXY_X_FORWARDED_FOR);
    cr_assert_eq(get("/a", "Authorization: x\r\n"), 200);
    cr_expect(told(f, 1, "X-Forwarded-For", "2001:db8::7"));
}

Test(forward, the_address_chooses_nothing_for_others)
{
    struct origin_file *f = page((struct origin_file){.path = "/a"});
    site_tells(PROXY_X_FORWARDED_FOR);
    cr_assert_eq(get("/a", NULL), 200);
    w.client = addr_v4(0x0a650001);
    cr_assert_eq(get("/a", "X-Forwarded-For: 1.2.3.4\r\n"), 200);
    cr_expect_eq(f->requests, 1);
    /* who says that it does answers each client alone */
    static const char *const by[] = {"X-Forwarded-For", "Forwarded, Accept"};
    for (unsigned i = 0; i < 2; i++) {
        char fields[2][100];
        static const char *const path[] = {"/v0", "/v1"};
        snprintf(fields[i], sizeof(fields[i]), "Cache-Control: max-age=60\r\nVary: %s\r\n", by[i]);
        f = page((struct origin_file){.path = path[i], .fields = strdup(fields[i])});
        for (unsigned k = 1; k < 4; k++) {
            w.client = addr_v4(0x0a650000 + k);
            cr_assert_eq(get(path[i], k == 3 ? "X-Forwarded-For: 10.101.0.1\r\n" : NULL), 200);
            cr_expect_eq(f->requests, k);
        }
        free((void *)(uintptr_t)f->fields);
    }
}

/* Two who want one page that is slow to come: the first is somebody the origin treats apart. */
static void two(const char *path, unsigned first, unsigned second)
{
    struct client a, b;
    w.client = addr_v4(0x0a650063); /* .99 */
    client_get(&w, &a, 0, 0, HOST, path, NULL);
    world_run(&w, 20);
    w.client = addr_v4(0x0a650001);
    client_get(&w, &b, 0, 1, HOST, path, NULL);
    client_wait(&a, 5000);
    if (!b.whole)
        client_wait(&b, 5000);
    cr_expect(a.head.status == first && b.head.status == second, "%s: %u %u", path, a.head.status,
              b.head.status);
    client_free(&a);
    client_free(&b);
}

Test(forward, what_is_for_one_address_goes_to_nobody_else)
{
    static const struct {
        const char *path, *fields;
        unsigned status, others;
    } is[] = {
        {"/banned", NULL, 403, 200},
        {"/limited", NULL, 429, 200},
        {"/busy", "Cache-Control: max-age=60\r\n", 503,
         200}, /* that one's limit, for all we know */
        {"/private", "Cache-Control: private\r\n", 201, 200},
        {"/down", NULL, 502, 502},                            /* an outage: shared as ever */
        {"/none", "Cache-Control: max-age=60\r\n", 404, 404}, /* and what is not there */
    };
    site_tells(PROXY_X_FORWARDED_FOR);
    for (unsigned i = 0; i < sizeof(is) / sizeof(is[0]); i++) {
        struct origin_file *f =
            page((struct origin_file){.path = is[i].path,
                                      .when = "X-Forwarded-For: 10.101.0.99",
                                      .status = is[i].status,
                                      .fields = is[i].fields ? is[i].fields : "X: y\r\n",
                                      .delay_ms = 50});
        struct origin_file *well = page((struct origin_file){.path = is[i].path});
        two(is[i].path, is[i].status, is[i].others);
        cr_expect_eq(f->requests, 1);
        cr_expect_eq(well->requests, is[i].others == 200 ? 1 : 0, "%s", is[i].path);
    }
}

/* Each 503 may be one client's: the others ask anew, together, but not for ever. */
Test(forward, an_origin_with_too_much_to_do_is_asked_three_times)
{
    static struct client c[20];
    unsigned theirs = 0;
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .status = 503, .length = 99, .fields = "X-By: origin\r\n", .delay_ms = 50});
    site_tells(PROXY_X_FORWARDED_FOR);
    for (unsigned i = 0; i < 20; i++) {
        w.client = addr_v4(0x0a650001 + i);
        client_get(&w, &c[i], 0, i % 2, HOST, "/a", NULL);
    }
    for (unsigned i = 0; i < 20; i++) {
        cr_expect(client_parse(&c[i]) || client_wait(&c[i], 5000));
        cr_expect_eq(c[i].head.status, 503);
        bool the_origins = *client_field(&c[i], "X-By");
        cr_expect(the_origins || *client_field(&c[i], "Retry-After"), "%u", i);
        theirs += the_origins;
        client_free(&c[i]);
    }
    cr_expect(theirs == 3 && f->requests == 3, "%u, %u", theirs, f->requests);
}

/* Whoever is limited and asks all the time is in nobody's way. */
Test(forward, who_is_limited_does_not_have_the_others_refused)
{
    static struct client c[12];
    struct origin_file *limited = page((struct origin_file){
        .path = "/a", .when = "X-Forwarded-For: 10.101.0.1\r", .status = 503, .delay_ms = 50});
    struct origin_file *well = page((struct origin_file){.path = "/a", .delay_ms = 50});
    site_tells(PROXY_X_FORWARDED_FOR);
    for (unsigned i = 0; i < 12; i++) { /* the first, and then each third of them */
        w.client = addr_v4(0x0a650001 + (i % 3 ? i : 0));
        client_get(&w, &c[i], 0, i % 2, HOST, "/a", "Cache-Control: no-cache\r\n");
        world_run(&w, 2);
    }
    for (unsigned i = 0; i < 12; i++) {
        cr_expect(client_parse(&c[i]) || client_wait(&c[i], 5000));
        if (i % 3)
            cr_expect_eq(c[i].head.status, 200, "%u: %u", i, c[i].head.status);
        client_free(&c[i]);
    }
    cr_expect(limited->requests <= 3 && well->requests == 1, "%u, %u", limited->requests,
              well->requests);
}

Test(forward, nor_when_who_asked_first_has_left)
{
    struct client a, b;
    struct origin_file *f = page((struct origin_file){.path = "/a",
                                                      .when = "X-Forwarded-For: 10.101.0.99",
                                                      .length = 99,
                                                      .fields = "Cache-Control: private\r\n",
                                                      .delay_ms = 50});
    page((struct origin_file){.path = "/a"});
    site_tells(PROXY_X_FORWARDED_FOR);
    w.client = addr_v4(0x0a650063);
    client_get(&w, &a, 0, 0, HOST, "/a", "Cookie: who he is\r\n");
    world_run(&w, 20);
    w.client = addr_v4(0x0a650001);
    client_get(&w, &b, 0, 1, HOST, "/a", NULL);
    world_run(&w, 10);
    client_leave(&a);
    cr_expect(client_wait(&b, 5000) && client_body_is(&b, 7, 0, 1000), "%zu", b.body_len);
    cr_expect_eq(f->requests, 1);
    client_free(&a);
    client_free(&b);
}

/* --- IDs ---------------------------------------------------------------------------------------
 */

static const char *noted_id(const struct node *at)
{
    static char id[ACCESS_ID_MAX + 1];
    const char *p = at->access.text;
    for (unsigned i = 0; i < ACCESS_ID; i++)
        p += at->access.len[i];
    snprintf(id, sizeof(id), "%.*s", (int)at->access.len[ACCESS_ID], p);
    return id;
}

static bool is_id(const char *id)
{
    return strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32;
}

Test(forward, an_id_is_told_to_all_whom_the_request_meets)
{
    static const char mine[] = "X-Request-ID: 00112233445566778899aabbccddeeff\r\n";
    char id[64], before[64], line[128];
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .fields = "Cache-Control: max-age=60\r\nX-Request-ID: of the origin\r\n"});
    cr_expect_str_eq(got(0, "/a", mine, "X-Request-ID"), "of the origin", "as it comes, when off");
    cr_expect(told(f, 1, "X-Request-ID", "00112233445566778899aabbccddeeff"));
    cr_expect_str_eq(noted_id(n), "");
    site_tells(PROXY_REQUEST_ID);
    snprintf(before, sizeof(before), "%s", got(0, "/a", NULL, "X-Request-ID"));
    cr_expect(is_id(before), "a hit, of something stored before: %s", before);
    cr_expect_str_eq(noted_id(n), before);
    cr_expect_eq(f->requests, 1);
    snprintf(id, sizeof(id), "%s", got(0, "/a", NULL, "X-Request-ID"));
    cr_expect(is_id(id) && strcmp(id, before) != 0, "each its own");

    f = page((struct origin_file){.path = "/b"});
    snprintf(id, sizeof(id), "%s", got(0, "/b", mine, "X-Request-ID"));
    cr_expect(is_id(id) && !strstr(mine, id), "a client's is not taken over");
    cr_expect(told(f, 1, "X-Request-ID", id));
    snprintf(id, sizeof(id), "%s", got(0, "/b", "Authorization: x\r\n", "X-Request-ID"));
    cr_expect(is_id(id) && told(f, 1, "X-Request-ID", id), "passed");
    snprintf(line, sizeof(line), "%sAuthorization: x\r\n", mine);
    snprintf(id, sizeof(id), "%s", got(0, "/b", line, "X-Request-ID"));
    cr_expect(is_id(id) && told(f, 1, "X-Request-ID", id));
    cr_expect_str_eq(noted_id(n), id);
    w.origin[0].up = false;
    snprintf(id, sizeof(id), "%s", got(0, "/c", NULL, "X-Request-ID"));
    cr_expect(is_id(id) && n->access.status >= 500, "an error: %u", n->access.status);
    cr_expect_str_eq(noted_id(n), id);
}

Test(forward, a_node_of_ours_goes_on_with_the_id)
{
    char id[64];
    struct origin_file *f = page((struct origin_file){.path = "/a"});
    site_tells(PROXY_REQUEST_ID);
    cr_assert_eq(get("/a", NULL), 200);
    world_run(&w, 1000);
    unsigned before = n->accesses;
    snprintf(id, sizeof(id), "%s", got(1, "/a", NULL, "X-Request-ID"));
    cr_expect(is_id(id), "%s", id);
    cr_expect_eq(f->requests, 1);
    cr_expect_str_eq(noted_id(&w.node[1]), id);
    cr_assert(n->accesses == before + 1 && n->access.flags & ACCESS_OF_PEER);
    cr_expect_str_eq(noted_id(n), id);
    char again[64];
    snprintf(again, sizeof(again), "%s", got(1, "/a", NULL, "X-Request-ID"));
    cr_expect(is_id(again) && strcmp(again, id) != 0, "what came from a peer is stored without");
}

Test(forward, who_varies_by_the_id_is_not_stored)
{
    struct origin_file *f = page((struct origin_file){
        .path = "/v", .fields = "Cache-Control: max-age=60\r\nVary: X-Request-ID\r\n"});
    site_tells(PROXY_REQUEST_ID);
    cr_assert_eq(get("/v", NULL), 200);
    cr_assert_eq(get("/v", NULL), 200);
    cr_expect_eq(f->requests, 2);
}

/* --- what clients are told ----------------------------------------------------------------------
 */

/* Milliseconds of a metric; -1: there is none. */
static double metric(const char *timing, const char *name)
{
    const char *at = strstr(timing, name), *dur = at ? strstr(at, "dur=") : NULL;
    return dur ? strtod(dur + 4, NULL) : -1;
}

Test(forward, server_timing_says_what_was_waited_for)
{
    char t[256];
    page((struct origin_file){.path = "/a", .delay_ms = 70});
    cr_expect_str_eq(got(0, "/a", NULL, "Server-Timing"), "", "off");
    page((struct origin_file){.path = "/b", .delay_ms = 70});
    site_tells(PROXY_SERVER_TIMING);
    cr_expect_str_eq(got(0, "/a", NULL, "Server-Timing"), "cache;desc=hit;dur=0.000");
    snprintf(t, sizeof(t), "%s", got(0, "/b", NULL, "Server-Timing"));
    cr_expect(strncmp(t, "cache;desc=miss;dur=", 20) == 0, "%s", t);
    double all = metric(t, "cache"), index = metric(t, "index"), origin = metric(t, "origin");
    cr_expect(origin >= 70 && origin < 90 && index >= 0 && metric(t, "peer") < 0, "%s", t);
    cr_expect(all >= origin + index && all < origin + index + 5, "%s", t);
    world_run(&w, 1000);
    snprintf(t, sizeof(t), "%s", got(1, "/b", NULL, "Server-Timing"));
    cr_expect(metric(t, "peer") > 0 && metric(t, "index") > 0 && metric(t, "origin") < 0 &&
                  metric(t, "cache") < 70,
              "%s", t);
    snprintf(t, sizeof(t), "%s", got(0, "/b", "Authorization: x\r\n", "Server-Timing"));
    cr_expect(strncmp(t, "cache;desc=bypass;dur=", 22) == 0 && metric(t, "origin") >= 70, "%s", t);
}

Test(forward, who_joins_waited_for_less)
{
    struct client a, b;
    page((struct origin_file){.path = "/a", .delay_ms = 100});
    site_tells(PROXY_SERVER_TIMING);
    client_get(&w, &a, 0, 0, HOST, "/a", NULL);
    world_run(&w, 60);
    client_get(&w, &b, 0, 1, HOST, "/a", NULL);
    client_wait(&a, 5000);
    if (!b.whole)
        client_wait(&b, 5000);
    cr_expect(metric(client_field(&a, "Server-Timing"), "origin") >= 100);
    const char *t = client_field(&b, "Server-Timing");
    cr_expect(metric(t, "cache") > 20 && metric(t, "cache") < 90 && metric(t, "origin") < 0, "%s",
              t);
    client_free(&a);
    client_free(&b);
}

Test(forward, rfc9211_2_7_the_key)
{
    struct origin_file *f = page((struct origin_file){.path = "/a?b"});
    cr_expect(!strstr(got(0, "/a?b", NULL, "Cache-Status"), "key"));
    site_tells(PROXY_CACHE_KEY);
    struct client c;
    cr_assert_eq(world_get(&w, &c, 0, HOST ".coral.test", "/x/../a?b", NULL), 200);
    const char *s = client_field(&c, "Cache-Status"), *key = strstr(s, "; key=");
    cr_expect(key && strncmp(s, "coral; hit; ttl=", 16) == 0, "%s", s);
    cr_expect_str_eq(key, "; key=\"http://www.site.test/a?b\"");
    client_free(&c);
    cr_expect_eq(f->requests, 1);
    s = got(0, "/a?b", "Authorization: x\r\n", "Cache-Status");
    cr_expect(strstr(s, "detail=pass; key=\"http://www.site.test/a?b\""), "%s", s);
    page((struct origin_file){.path = "/a?\\\""});
    s = got(0, "/a?\\\"", NULL, "Cache-Status");
    cr_expect(!strstr(s, "key=") || strstr(s, "key=\"http://www.site.test/a?\\\\\\\"\"") ||
                  strstr(s, "key=\"http://www.site.test/a?%5C%22\""),
              "an sf-string: %s", s);
}

Test(forward, all_at_once)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){.path = "/a"});
    site_tells(0xff & ~PROXY_FORWARDED);
    cr_assert_eq(world_get(&w, &c, 0, HOST, "/a", "CDN-Loop: x\r\n"), 200);
    cr_expect(is_id(client_field(&c, "X-Request-ID")));
    cr_expect(told(f, 1, "X-Request-ID", client_field(&c, "X-Request-ID")));
    cr_expect(strstr(client_field(&c, "Cache-Status"), "; key=\"http://www.site.test/a\""));
    cr_expect(metric(client_field(&c, "Server-Timing"), "cache") > 0);
    cr_expect(client_body_is(&c, 7, 0, 1000));
    client_free(&c);
    cr_expect(told(f, 1, "CDN-Loop", "x, coral.test") && told(f, 1, "X-Forwarded-For", CLIENT));
}
