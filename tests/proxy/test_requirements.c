/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What RFC 9110, 9111 and 9112 require of a cache and gateway, as a client and an origin see it of
 * a whole node: what no other story tells. Each test is named after its section.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <strings.h>

#include "world.h"

#define SEED  20261130u
#define SITE  "Host: www.site.test\r\n"
#define FRESH "Cache-Control: max-age=60\r\n"

static struct world w;

static void open_world(void)
{
    world_open(&w, 1, 2, SEED);
}
static void close_world(void)
{
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_requests), 0, "nothing is left behind");
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
    world_close(&w);
}
TestSuite(rfc9110, .init = open_world, .fini = close_world);
TestSuite(rfc9111, .init = open_world, .fini = close_world);
TestSuite(rfc9112, .init = open_world, .fini = close_world);
TestSuite(rfc9211, .init = open_world, .fini = close_world);

static struct origin_file *page(const char *path, const char *fields)
{
    return origin_add(&w.origin[0],
                      (struct origin_file){.path = path, .length = 300, .fields = fields});
}

static struct origin_file *raw(const char *path, const char *answer)
{
    return origin_add(&w.origin[0],
                      (struct origin_file){.path = path, .raw = answer, .raw_len = strlen(answer)});
}

/* "/0" to "/9"; a file's path has to last. */
static const char *numbered(unsigned i)
{
    static const char all[] = "/0\0/1\0/2\0/3\0/4\0/5\0/6\0/7\0/8\0/9";
    return all + 3 * i;
}

static unsigned get(struct client *c, const char *path, const char *fields)
{
    return world_get(&w, c, 0, "www.site.test", path, fields);
}

static unsigned get_only(const char *path, const char *fields)
{
    struct client c;
    unsigned status = get(&c, path, fields);
    client_free(&c);
    return status;
}

static unsigned send(struct client *c, const char *request)
{
    client_send(&w, c, 0, 0, request);
    return client_wait(c, 5000) ? c->head.status : 0;
}

/* How many lines of that name there are in a head. */
static unsigned lines(const char *head, const char *name)
{
    unsigned n = 0;
    for (const char *p = head; (p = strstr(p, "\r\n")) && strncmp(p, "\r\n\r\n", 4) != 0; p += 2)
        n += strncasecmp(p + 2, name, strlen(name)) == 0 && p[2 + strlen(name)] == ':';
    return n;
}

/* 5.3: lines of one name stay apart and in order; 5.1: unknown ones go on; passed, fetched, stored.
 */
Test(rfc9110, s5_3_lines_of_one_name_stay_in_order)
{
    static const char three[] = "X-A: 1\r\nLink: <a>\r\nX-A: 2, 3\r\nX-A: 4\r\n";
    char fields[256];
    struct client c;
    for (unsigned i = 0; i < 2; i++) {
        const char *path = i ? "/stored" : "/passed";
        snprintf(fields, sizeof(fields), "%s%s", three, i ? FRESH : "Cache-Control: no-store\r\n");
        struct origin_file *f = page(path, fields);
        for (unsigned again = 0; again < 2; again++) {
            cr_assert_eq(get(&c, path, "X-B: 1\r\nX-C: 0\r\nX-B: 2\r\n"), 200);
            const char *one = strstr(c.data, "X-A: 1\r\n"), *two = strstr(c.data, "X-A: 2, 3\r\n"),
                       *last = strstr(c.data, "X-A: 4\r\n");
            cr_expect(one && one < two && two < last, "%s", path);
            one = strstr(f->last_request, "X-B: 1\r\n");
            cr_expect(one && one < strstr(f->last_request, "X-B: 2\r\n"), "%s", path);
            client_free(&c);
        }
    }
}

/* 6.6.1: a Date is not changed, and one that is missing is that of the receipt, then and later. */
Test(rfc9110, s6_6_1_a_date_is_kept_or_added)
{
    static const char then[] = "Tue, 14 Nov 2023 10:00:00 GMT";
    char now[30], first[30] = "";
    int64_t age;
    struct client c;
    raw("/dated", "HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 10:00:00 GMT\r\n"
                  "Cache-Control: max-age=99999999\r\nContent-Length: 1\r\n\r\nx");
    raw("/undated", "HTTP/1.1 200 OK\r\nCache-Control: max-age=99\r\nContent-Length: 1\r\n\r\nx");
    raw("/passed", "HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 1\r\n\r\nx");
    for (unsigned i = 0; i < 2; i++) {
        get(&c, "/dated", NULL);
        cr_expect_str_eq(client_field(&c, "Date"), then);
        cr_expect_eq(lines(c.data, "Date"), 1);
        client_free(&c);
        get(&c, "/undated", NULL);
        if (i == 0)
            snprintf(first, sizeof(first), "%s", client_field(&c, "Date"));
        cr_expect_str_eq(client_field(&c, "Date"), first);
        client_free(&c);
        age = w.now.wall_s - http_date_parse((struct http_text){first, 29});
        cr_expect(i ? age >= 20 : age <= 1);
        world_run(&w, 20000);
    }
    get(&c, "/passed", NULL);
    snprintf(now, sizeof(now), "%s", client_field(&c, "Date"));
    age = w.now.wall_s - http_date_parse((struct http_text){now, 29});
    cr_expect(age >= 0 && age <= 1);
    client_free(&c);
}

/* 7.2: of an absolute-form target the host goes before Host, which is replaced. */
Test(rfc9110, s7_2_the_target_names_the_host)
{
    struct client c;
    struct origin_file *f = page("/a?b", FRESH);
    cr_expect_eq(send(&c, "GET http://www.site.test/a?b HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n"),
                 200);
    client_free(&c);
    cr_expect(strstr(f->last_request, "GET /a?b HTTP/1.1\r\nHost: www.site.test\r\n"));
    cr_expect_not(strstr(f->last_request, "elsewhere"));
    cr_expect_eq(get_only("/a?b", NULL), 200);
    cr_expect_eq(f->requests, 1, "and it is the same resource");
}

/* 7.6.1, 11.7, RFC 9111 3.1: what is between a client and a proxy goes no further, and is not
 * stored.
 */
Test(rfc9110, s7_6_1_fields_for_one_hop_alone)
{
    static const char *const hops[] = {"Connection",
                                       "Keep-Alive",
                                       "Proxy-Connection",
                                       "Proxy-Authenticate",
                                       "Proxy-Authentication-Info",
                                       "Proxy-Authorization",
                                       "TE",
                                       "Trailer",
                                       "Upgrade",
                                       "X-Named"};
    char fields[512] = "", answer[600];
    struct client c;
    for (unsigned i = 0; i < sizeof(hops) / sizeof(hops[0]); i++)
        snprintf(fields + strlen(fields), sizeof(fields) - strlen(fields), "%s: %s\r\n", hops[i],
                 i ? "x" : "x-named");
    for (unsigned stored = 0; stored < 2; stored++) {
        const char *path = stored ? "/stored" : "/passed";
        snprintf(answer, sizeof(answer), "%s%s", fields,
                 stored ? FRESH : "Cache-Control: private\r\n");
        struct origin_file *f = page(path, answer);
        for (unsigned again = 0; again < 2; again++) {
            cr_assert_eq(get(&c, path, fields), 200);
            c.data[c.head.head_len - 1] = '\0';
            for (unsigned i = 0; i < sizeof(hops) / sizeof(hops[0]); i++) {
                cr_expect_eq(lines(c.data, hops[i]), 0, "%s: %s", path, hops[i]);
                cr_expect_eq(lines(f->last_request, hops[i]), 0, "%s: %s", path, hops[i]);
            }
            client_free(&c);
        }
    }
}

/* 7.6.2: checked and updated, however large it is; TRACE is not forwarded at all. */
Test(rfc9110, s7_6_2_max_forwards)
{
    struct client c;
    struct origin_file *f = page("/a", "");
    static const char *const value[][2] = {{"1", "Max-Forwards: 0\r\n"},
                                           {"0012", "Max-Forwards: 11\r\n"},
                                           {"99999999999999999999", "Max-Forwards: 2147483646\r\n"},
                                           {"x", NULL}};
    for (unsigned i = 0; i < 4; i++) {
        char request[128];
        snprintf(request, sizeof(request),
                 "OPTIONS /a HTTP/1.1\r\n" SITE "Max-Forwards: %s\r\n\r\n", value[i][0]);
        cr_expect_eq(send(&c, request), 200);
        cr_expect_eq(f->requests, i + 1);
        cr_expect(value[i][1] ? strstr(f->last_request, value[i][1]) != NULL
                              : lines(f->last_request, "Max-Forwards") == 0,
                  "%s", f->last_request);
        client_free(&c);
    }
    cr_expect_eq(send(&c, "TRACE /a HTTP/1.1\r\n" SITE "Max-Forwards: 5\r\n\r\n"), 405);
    client_free(&c);
    cr_expect_eq(f->requests, 4);
}

/* 7.6.3: each that has forwarded the message, in order, with the version that it was received in.
 */
Test(rfc9110, s7_6_3_via)
{
    struct client c;
    struct origin_file *f = page("/a", "Via: 1.0 inner\r\nCache-Control: no-store\r\n");
    cr_assert_eq(send(&c, "POST /a HTTP/1.1\r\n" SITE "Via: 1.1 x\r\nVia: 2 y\r\n\r\n"), 200);
    const char *first = strstr(f->last_request, "Via: 1.1 x\r\n"),
               *second = strstr(f->last_request, "Via: 2 y\r\n"),
               *ours = strstr(f->last_request, "Via: 1.1 node0 (Coral)\r\n");
    cr_expect(first && first < second && second < ours, "%s", f->last_request);
    const char *inner = strstr(c.data, "Via: 1.0 inner\r\n");
    cr_expect(inner && inner < strstr(c.data, "Via: 1.1 node0 (Coral)\r\n"));
    client_free(&c);
    cr_assert_eq(send(&c, "DELETE /a HTTP/1.0\r\n" SITE "\r\n"), 200);
    cr_expect(strstr(f->last_request, "Via: 1.0 node0 (Coral)\r\n"));
    client_free(&c);
    get_only("/a", "Via: 1.1 x\r\n"); /* a fetch for many came through nobody */
    cr_expect_eq(lines(f->last_request, "Via"), 1);
}

/* 8.6: no length in a 204, nor in a 304 but that of what it stands for. */
Test(rfc9110, s8_6_no_length_where_there_is_no_body)
{
    struct client c;
    raw("/204", "HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\n\r\n");
    raw("/none", "HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n\r\n");
    page("/a", FRESH)->etag = "\"1\"";
    static const char *const path[] = {"/204", "/none", "/a"};
    for (unsigned i = 0; i < 9; i++) {
        get(&c, path[i % 3], "If-None-Match: \"1\"\r\n");
        cr_expect_eq(c.head.status, i % 3 < 2 ? 204 : 304);
        cr_expect_eq(lines(c.data, "Content-Length") + lines(c.data, "Transfer-Encoding"), 0,
                     "%s: %s", path[i % 3], c.data);
        client_free(&c);
    }
}

/* 11.6.1, 11.6.2: neither a challenge nor credentials are changed. */
Test(rfc9110, s11_6_challenges_and_credentials_go_as_they_are)
{
    struct client c;
    static const char challenge[] = "WWW-Authenticate: Basic realm=\"a, b\", X y==\r\n"
                                    "WWW-Authenticate: Newauth  a=\"\\\"\"\r\n",
                      credentials[] = "Authorization:  Newauth  a=\"\\\"\", b = c\t\r\n";
    struct origin_file *f = page("/a", challenge);
    f->status = 401;
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(get(&c, "/a", credentials), 401);
        cr_expect(strstr(c.data, challenge));
        cr_expect(strstr(f->last_request, "\r\nAuthorization: Newauth  a=\"\\\"\", b = c\r\n"));
        client_free(&c);
    }
}

/* 13.1.1, 13.1.4, RFC 9111 4.3.2: these are for the origin; a cache does not evaluate them. */
Test(rfc9110, s13_1_conditions_for_the_origin_alone)
{
    struct client c;
    static const char early[] = "If-Unmodified-Since: Tue, 14 Nov 1994 10:00:00 GMT\r\n";
    struct origin_file *f = page("/a", "Last-Modified: Tue, 14 Nov 2023 10:00:00 GMT\r\n" FRESH);
    f->etag = "\"1\"";
    get_only("/a", NULL);
    cr_expect_eq(get_only("/a", "If-Match: \"2\"\r\n"), 200);
    cr_expect_eq(get_only("/a", early), 200);
    cr_expect_eq(f->requests, 1);
    cr_assert_eq(send(&c, "PUT /a HTTP/1.1\r\n" SITE "If-Match: \"2\", \"3\"\r\n"
                          "If-None-Match: *\r\nIf-Unmodified-Since: Tue, 14 Nov 1994 10:00:00 "
                          "GMT\r\nContent-Length: 1\r\n\r\nx"),
                 200);
    client_free(&c);
    cr_expect(strstr(f->last_request, "If-Match: \"2\", \"3\"\r\n") &&
              strstr(f->last_request, "If-None-Match: *\r\n") && strstr(f->last_request, early));
}

/* 13.2.2: If-None-Match goes before If-Modified-Since. */
Test(rfc9110, s13_2_2_precedence)
{
    static const char later[] = "If-Modified-Since: Tue, 14 Nov 2023 11:00:00 GMT\r\n";
    char both[128];
    page("/a", "Last-Modified: Tue, 14 Nov 2023 10:00:00 GMT\r\n" FRESH)->etag = "\"1\"";
    get_only("/a", NULL);
    cr_expect_eq(get_only("/a", later), 304);
    snprintf(both, sizeof(both), "%sIf-None-Match: \"2\"\r\n", later);
    cr_expect_eq(get_only("/a", both), 200);
    cr_expect_eq(get_only("/a", "If-Modified-Since: yesterday\r\n"), 200);
    cr_expect_eq(get_only("/a", "If-None-Match: *\r\n"), 304);
}

/* 13.1.2: weak comparison of the members of a list; a malformed ETag is known by its bytes. */
Test(rfc9110, s13_1_2_if_none_match)
{
    static const struct {
        const char *etag, *condition;
        bool same;
    } table[] = {{"\"1\"", "\"1\"", true},
                 {"\"1\"", "W/\"1\"", true},
                 {"W/\"1\"", "\"1\"", true},
                 {"\"1\"", "\"0\", ,W/\"1\",\"2\"", true},
                 {"\"1\"", "\"0\", \"11\"", false},
                 {"\"1\"", "1", false},
                 {"x1", "x1", true},
                 {"x1", "\"x1\"", false},
                 {"w/\"1\"", "w/\"1\"", true}};
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *path = numbered(i);
        char condition[64];
        page(path, FRESH)->etag = table[i].etag;
        get_only(path, NULL);
        snprintf(condition, sizeof(condition), "If-None-Match: %s\r\n", table[i].condition);
        cr_expect_eq(get_only(path, condition), table[i].same ? 304 : 200, "%s of %s", condition,
                     table[i].etag);
    }
}

/* 13.1.5: strong comparison; 8.8.2.2: a date is a strong validator if it is earlier than Date. */
Test(rfc9110, s13_1_5_if_range)
{
    static const char then[] = "Last-Modified: Tue, 14 Nov 2023 10:00:00 GMT\r\n" FRESH;
    char range[160];
    page("/a", then);
    page("/weak", then)->etag = "W/\"1\"";
    page("/strong", then)->etag = "\"1\"";
    raw("/young", "HTTP/1.1 200 OK\r\nDate: Tue, 14 Nov 2023 10:00:00 GMT\r\n"
                  "Last-Modified: Tue, 14 Nov 2023 10:00:00 GMT\r\n"
                  "Cache-Control: max-age=99999999\r\nContent-Length: 11\r\n\r\n0123456789a");
    static const struct {
        const char *path, *condition;
        unsigned status;
    } table[] = {
        {"/a", "Tue, 14 Nov 2023 10:00:00 GMT", 206},
        {"/a", "Tuesday, 14-Nov-23 10:00:00 GMT", 206}, /* 5.6.7: the same, as it may be written */
        {"/a", "Tue, 14 Nov 2023 10:00:01 GMT", 200},
        {"/a", "Tue, 14 Nov 2023 09:59:59 GMT", 200},
        {"/a", "soon", 200},
        {"/a", "\"1\"", 200},
        {"/weak", "W/\"1\"", 200},
        {"/weak", "\"1\"", 200},
        {"/strong", "\"1\"", 206},
        {"/strong", "W/\"1\"", 200},
        {"/strong", "\"2\"", 200},
        {"/young", "Tue, 14 Nov 2023 10:00:00 GMT", 200},
    };
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        get_only(table[i].path, NULL);
        snprintf(range, sizeof(range), "Range: bytes=0-9\r\nIf-Range: %s\r\n", table[i].condition);
        cr_expect_eq(get_only(table[i].path, range), table[i].status, "%s: %s", table[i].path,
                     range);
    }
}

/* The same of what we send: a rest is asked for by a strong validator alone (RFC 9111 3.4), and
 * without one what breaks off is broken off. */
Test(rfc9110, s13_1_5_if_range_that_is_sent)
{
    static const struct {
        const char *etag, *fields, *asks;
    } table[] = {
        {"\"1\"", "Last-Modified: Tue, 14 Nov 2023 10:00:00 GMT\r\n" FRESH, "If-Range: \"1\"\r\n"},
        {NULL, "Last-Modified: Tue, 14 Nov 2023 10:00:00 GMT\r\n" FRESH,
         "If-Range: Tue, 14 Nov 2023 10:00:00 GMT\r\n"},
        {"W/\"1\"", "Last-Modified: Tue, 14 Nov 2023 10:00:00 GMT\r\n" FRESH, NULL},
        {NULL, "Last-Modified: Wed, 14 Nov 2035 10:00:00 GMT\r\n" FRESH, NULL},
        {NULL, FRESH, NULL},
    };
    struct client c;
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct origin_file *f =
            origin_add(&w.origin[0], (struct origin_file){.path = numbered(i),
                                                          .length = 300000,
                                                          .salt = 7,
                                                          .etag = table[i].etag,
                                                          .fields = table[i].fields,
                                                          .mode = ORIGIN_CLOSES,
                                                          .cut = 100000,
                                                          .cuts = 1,
                                                          .any_range = true});
        client_get(&w, &c, 0, 0, "www.site.test", numbered(i), NULL);
        cr_expect_eq(client_wait(&c, 60000) && c.whole, table[i].asks != NULL, "%u", i);
        if (table[i].asks)
            cr_expect(client_body_is(&c, 7, 0, 300000) && f->ranged == 1 &&
                          strstr(f->last_request, table[i].asks),
                      "%s", f->last_request);
        else
            cr_expect_eq(f->ranged, 0, "%u", i);
        client_free(&c);
    }
}

/* 14.2: a Range counts in a GET alone, and only in a unit that is known. */
Test(rfc9110, s14_2_ranges_that_are_ignored)
{
    struct client c;
    page("/a", FRESH);
    get_only("/a", NULL);
    cr_expect_eq(get_only("/a", "Range: bytes=0-9\r\n"), 206);
    static const char *const ignored[] = {"lines=0-9", "bytes=9-0", "bytes",
                                          "bytes=",    "bytes=a-b", "bytes=0-9;x"};
    for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        char range[64];
        snprintf(range, sizeof(range), "Range: %s\r\n", ignored[i]);
        cr_expect_eq(get_only("/a", range), 200, "%s", range);
    }
    cr_expect_eq(send(&c, "HEAD /a HTTP/1.1\r\n" SITE "Range: bytes=0-9\r\n\r\n"), 200);
    cr_expect_str_eq(client_field(&c, "Content-Length"), "300");
    client_free(&c);
}

/* 15.2: an interim response goes on to whose request it answers, whichever worker has fetched it.
 */
Test(rfc9110, s15_2_interim_responses_go_on)
{
    struct client c;
    char path[16];
    static const char answer[] = "HTTP/1.1 102 Processing\r\n\r\n"
                                 "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
                                 "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nX-A: 1\r\n"
                                 "Content-Length: 1\r\n\r\nx";
    origin_add(&w.origin[0],
               (struct origin_file){.path = "*", .raw = answer, .raw_len = sizeof(answer) - 1});
    for (unsigned i = 0; i < 16; i++) {
        snprintf(path, sizeof(path), "/%u", i / 2);
        client_get(&w, &c, 0, i / 2 % 2, "www.site.test", path, NULL);
        world_run(&w, 1000);
        const char *hints = strstr(c.data, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>"),
                   *last = strstr(c.data, "HTTP/1.1 200 OK\r\n");
        cr_expect(last, "%s", path);
        if (i % 2 == 0)
            cr_expect(hints && hints < last && strstr(c.data, "HTTP/1.1 102 "), "%s: %s", path,
                      c.data);
        else /* RFC 9111 3: they are not stored, nor their fields */
            cr_expect(!hints && !strstr(c.data, "Link"), "%s: %s", path, c.data);
        client_free(&c);
    }
    cr_expect_eq(w.origin[0].requests, 8);
    /* who speaks HTTP/1.0 gets none */
    client_send(&w, &c, 0, 0, "GET /old HTTP/1.0\r\n" SITE "\r\n");
    world_run(&w, 1000);
    cr_expect(strncmp(c.data, "HTTP/1.1 200 OK\r\n", 17) == 0, "%s", c.data);
    client_free(&c);
}

/* 15.4.5: what a 304 has to carry. */
Test(rfc9110, s15_4_5_fields_of_a_304)
{
    struct client c;
    page("/a", "Cache-Control: max-age=60\r\nContent-Location: /b\r\nVary: X-A\r\n"
               "Expires: Tue, 14 Nov 2034 10:00:00 GMT\r\n")
        ->etag = "\"1\"";
    static const char *const needed[] = {
        "Cache-Control", "Content-Location", "Date", "ETag", "Expires", "Vary", "Age"};
    get_only("/a", NULL);
    cr_expect_eq(get(&c, "/a", "If-None-Match: \"1\"\r\n"), 304);
    for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        cr_expect_eq(lines(c.data, needed[i]), 1, "%s", needed[i]);
    client_free(&c);
}

/* 15.1: 501 may be kept where it says nothing, and any that says public. */
Test(rfc9110, s15_1_errors_that_may_be_kept)
{
    static const struct {
        unsigned status;
        const char *fields;
        bool kept;
    } table[] = {{501, "", true},
                 {501, "Cache-Control: no-store\r\n", false},
                 {500, "", false},
                 {503, "", false},
                 {599, "", false},
                 {599, "Cache-Control: public\r\n", true},
                 {503, "Cache-Control: public\r\n", true},
                 {503, "Cache-Control: public, no-cache\r\n", false},
                 {503, "Cache-Control: max-age=9\r\n", true},
                 {404, "", true}};
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *path = numbered(i);
        struct origin_file *f = page(path, table[i].fields);
        f->status = table[i].status;
        cr_expect_eq(get_only(path, NULL), table[i].status);
        cr_expect_eq(get_only(path, NULL), table[i].status);
        cr_expect_eq(f->requests, table[i].kept ? 1 : 2, "%u %s", table[i].status, table[i].fields);
        world_run(&w, 11000);
        cr_expect_eq(get_only(path, NULL), table[i].status);
        cr_expect_eq(f->requests, table[i].kept ? 2 : 3, "ten seconds at most");
    }
}

/* 3.1: all fields are stored, unknown ones too; 3.2: a 304 replaces them, but not the length, and
 * leaves those that it does not name. */
Test(rfc9111, s3_2_a_304_renews_fields)
{
    struct client c;
    struct origin_file *f = page("/a", "Content-Foo: 1\r\nX-A: 1\r\nX-A: 1b\r\nX-B: 1\r\n" FRESH);
    f->etag = "\"1\"";
    get_only("/a", NULL);
    f->fields = "X-A: 2\r\nX-C: 2\r\nContent-Length: 5\r\nCache-Control: max-age=600\r\n";
    world_run(&w, 61000);
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(get(&c, "/a", NULL), 200);
        cr_expect(strstr(c.data, "Content-Foo: 1\r\n") && strstr(c.data, "X-B: 1\r\n") &&
                  strstr(c.data, "X-C: 2\r\n"));
        cr_expect(lines(c.data, "X-A") == 1 && strstr(c.data, "X-A: 2\r\n"));
        cr_expect_str_eq(client_field(&c, "Content-Length"), "300");
        cr_expect_str_eq(client_field(&c, "Cache-Control"), "max-age=600");
        client_free(&c);
        world_run(&w, 61000); /* and the lifetime is the new one */
    }
    cr_expect_eq(f->not_modified, 1);
}

/* 4.3.4: a 304 with a strong validator renews what has that, and nothing else. */
Test(rfc9111, s4_3_4_a_304_is_about_what_it_names)
{
    static const struct {
        const char *stored, *says;
        bool renews;
    } table[] = {{"\"1\"", "\"1\"", true},
                 {"\"1\"", "\"2\"", false},
                 {"W/\"1\"", "W/\"1\"", true},
                 {"W/\"1\"", "\"1\"", false}};
    struct client c;
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *path = numbered(i);
        struct origin_file *f = page(path, FRESH);
        f->etag = table[i].stored;
        f->says_etag = table[i].says;
        f->salt = 1;
        get_only(path, NULL);
        world_run(&w, 61000);
        f->salt = 2;
        unsigned weak = f->etag[0] == 'W' ? 2 : 0; /* as the origin compares */
        f->etag += weak;
        cr_assert_eq(get(&c, path, NULL), 200);
        cr_expect_eq(f->not_modified, 1, "%s", path);
        cr_expect_eq(f->requests, table[i].renews ? 2 : 3, "%s", path);
        cr_expect(client_body_is(&c, table[i].renews ? 1 : 2, 0, 300), "%s", path);
        client_free(&c);
    }
}

/* 5.2: directives go on, whether they mean anything to us or not. */
Test(rfc9111, s5_2_directives_go_on)
{
    struct client c;
    struct origin_file *f =
        page("/a", "Cache-Control: max-age=60, x-new=\"a, b\"\r\nCDN-Cache-Control: max-age=9\r\n");
    static const char ask[] = "Cache-Control: max-age=5, x-mine, no-transform\r\n";
    get_only("/a", ask);
    cr_expect(strstr(f->last_request, ask));
    get(&c, "/a", ask);
    cr_expect(strstr(c.data, "Cache-Control: max-age=60, x-new=\"a, b\"\r\n") &&
              strstr(c.data, "CDN-Cache-Control: max-age=9\r\n"));
    client_free(&c);
    cr_assert_eq(send(&c, "POST /a HTTP/1.1\r\n" SITE "Cache-Control: no-store, x\r\n\r\n"), 200);
    cr_expect(strstr(f->last_request, "Cache-Control: no-store, x\r\n"));
    client_free(&c);
}

/* 3.2.4, RFC 9110 9.3.7: without a path and a query it is the server that is asked. */
Test(rfc9112, s3_2_4_options_of_the_server)
{
    struct client c;
    struct origin_file *f = page("/", "");
    cr_expect_eq(send(&c, "OPTIONS http://www.site.test HTTP/1.1\r\n" SITE "\r\n"), 200);
    cr_expect(client_field(&c, "Allow")[0]);
    client_free(&c);
    cr_expect_eq(f->requests, 0);
    cr_expect_eq(send(&c, "OPTIONS http://www.site.test/ HTTP/1.1\r\n" SITE "\r\n"), 200);
    client_free(&c);
    cr_expect_eq(send(&c, "GET http://www.site.test HTTP/1.1\r\n" SITE "\r\n"), 200);
    client_free(&c);
    cr_expect_eq(f->requests, 2, "and here the resource /");
}

/* 2: the members of those before us stay, closest to the origin first. */
Test(rfc9211, s2_members_of_other_caches_stay)
{
    struct client c;
    struct origin_file *f = page("/a", "Cache-Status: Inner; hit; ttl=9\r\n" FRESH);
    for (unsigned i = 0; i < 2; i++) {
        get(&c, "/a", NULL);
        const char *inner = strstr(c.data, "Cache-Status: Inner; hit; ttl=9\r\n");
        cr_expect(inner && inner < strstr(c.data, "Cache-Status: coral"), "%s", c.data);
        cr_expect_eq(lines(c.data, "Cache-Status"), 2);
        client_free(&c);
    }
    f->fields = "Cache-Status: Inner; fwd=miss\r\nCache-Control: private\r\n";
    world_run(&w, 61000);
    get(&c, "/a", NULL);
    cr_expect(strstr(c.data, "Cache-Status: Inner; fwd=miss\r\n"));
    client_free(&c);
}
