/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests with Authorization (RFC 9111 3.5): whose answers are for others, and who may have what
 * is stored. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "dataplane/http/conn.h"
#include "world.h"

#define SEED   20261129u
#define ANN    "Authorization: Ann\r\n"
#define BOB    "Authorization: Bob\r\n"
#define PUBLIC "Cache-Control: public, max-age=60\r\n"
#define PLAIN  "Cache-Control: max-age=60\r\n"

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
TestSuite(credentials, .init = open_world, .fini = close_world);

static struct origin_file *page(const char *path, const char *when, uint64_t salt,
                                const char *fields)
{
    return origin_add(&w.origin[0], (struct origin_file){.path = path,
                                                         .when = when,
                                                         .length = 300,
                                                         .salt = salt,
                                                         .etag = "\"v1\"",
                                                         .fields = fields});
}

/* "/0" to "/9"; a file's path has to last. */
static const char *numbered(unsigned i)
{
    static const char all[] = "/0\0/1\0/2\0/3\0/4\0/5\0/6\0/7\0/8\0/9";
    return all + 3 * i;
}

/* The status, and whether it is the body of that salt; on either worker in turn. */
static unsigned get(const char *path, const char *fields, uint64_t salt, bool *hit)
{
    static unsigned worker;
    struct client c;
    client_get(&w, &c, 0, worker++ % 2, "www.site.test", path, fields);
    cr_assert(client_wait(&c, 60000), "%s %s", path, fields);
    unsigned status = c.head.status;
    if (salt)
        cr_expect(client_body_is(&c, salt, 0, 300), "%s %s", path, fields);
    *hit = strstr(client_field(&c, "Cache-Status"), "; hit") != NULL;
    client_free(&c);
    return status;
}

Test(credentials, an_answer_that_permits_it_is_for_all)
{
    static const char *const permits[] = {PUBLIC, "Cache-Control: s-maxage=60\r\n",
                                          "Cache-Control: max-age=60, must-revalidate\r\n",
                                          "CDN-Cache-Control: max-age=60, public\r\n"};
    bool hit;
    for (unsigned i = 0; i < sizeof(permits) / sizeof(permits[0]); i++) {
        const char *path = numbered(i);
        struct origin_file *f = page(path, NULL, 7, permits[i]);
        cr_expect_eq(get(path, ANN, 7, &hit), 200);
        cr_expect(strstr(f->last_request, ANN), "it goes with them, as they are");
        cr_expect_eq(get(path, NULL, 7, &hit), 200);
        cr_expect(hit, "%s", permits[i]);
        cr_expect_eq(get(path, BOB, 7, &hit), 200);
        cr_expect(hit, "%s", permits[i]);
        cr_expect_eq(f->requests, 1, "%s", permits[i]);
    }
}

Test(credentials, any_other_is_for_who_asked_alone)
{
    bool hit;
    struct origin_file *ann = page("/a", ANN, 1, PLAIN), *bob = page("/a", BOB, 2, PLAIN),
                       *all = page("/a", NULL, 3, PLAIN);
    for (unsigned i = 0; i < 4; i++) {
        get("/a", ANN, 1, &hit);
        cr_expect(!hit);
        get("/a", NULL, 3, &hit);
        cr_expect_eq(hit, i > 0, "who has none shares as ever");
        get("/a", BOB, 2, &hit);
        cr_expect(!hit);
    }
    cr_expect_eq(ann->requests, 4);
    cr_expect_eq(bob->requests, 4);
    cr_expect_eq(all->requests, 1);
}

Test(credentials, nobody_waits_for_what_may_be_anothers)
{
    struct client c[6];
    static const char *const who[] = {ANN, BOB, NULL};
    page("/a", ANN, 1, PLAIN)->delay_ms = 500;
    page("/a", BOB, 2, PUBLIC)->delay_ms = 500;
    page("/a", NULL, 3, PLAIN)->delay_ms = 500;
    for (unsigned i = 0; i < 6; i++)
        client_get(&w, &c[i], 0, i / 3, "www.site.test", "/a", who[i % 3]);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert(client_wait(&c[i], 900), "%u", i);
        cr_expect(client_body_is(&c[i], i % 3 + 1, 0, 300), "%u", i);
        client_free(&c[i]);
    }
}

Test(credentials, an_error_for_them_is_for_nobody_else)
{
    bool hit;
    static const unsigned status[] = {401, 403, 404, 500, 503};
    for (unsigned i = 0; i < 5; i++) {
        const char *path = numbered(i);
        struct origin_file *bad = page(path, ANN, 1, PUBLIC);
        bad->status = status[i];
        page(path, NULL, 3, PLAIN);
        cr_expect_eq(get(path, ANN, 1, &hit), status[i]);
        cr_expect_eq(get(path, NULL, 3, &hit), 200);
        cr_expect_eq(get(path, ANN, 1, &hit), status[i]);
        cr_expect_eq(get(path, NULL, 3, &hit), 200);
        cr_expect(hit);
        cr_expect_eq(bad->requests, 2);
    }
}

/* It was nobody who was refused. */
Test(credentials, an_error_without_them_is_not_for_who_has_some)
{
    bool hit;
    static const unsigned status[] = {401, 403, 404};
    for (unsigned i = 0; i < 3; i++) {
        const char *path = numbered(i);
        page(path, ANN, 1, PUBLIC);
        page(path, NULL, 3, PUBLIC)->status = status[i];
        cr_expect_eq(get(path, NULL, 3, &hit), status[i]);
        cr_expect_eq(get(path, NULL, 3, &hit), status[i]);
        cr_expect(hit);
        cr_expect_eq(get(path, ANN, 1, &hit), 200, "%u", status[i]);
    }
}

/* What may be given to others when the origin says so is not while it comes, either. */
Test(credentials, what_is_to_be_confirmed_is_nobodys_before_that)
{
    static const char *const asks[] = {"Cache-Control: max-age=0, must-revalidate\r\n",
                                       "Cache-Control: no-cache, must-revalidate\r\n",
                                       "Cache-Control: s-maxage=0\r\n"};
    struct client c;
    bool hit;
    for (unsigned i = 0; i < 3; i++) {
        const char *path = numbered(i);
        page(path, ANN, 1, asks[i])->rate = 1;
        page(path, BOB, 2, PLAIN);
        page(path, NULL, 3, PLAIN)->status = 401;
        client_get(&w, &c, 0, i % 2, "www.site.test", path, ANN);
        for (unsigned ms = 0; ms < 1000 && c.body_len == 0; ms++)
            client_wait(&c, 1);
        cr_assert(c.body_len > 0 && c.body_len < 300);
        cr_expect_eq(get(path, NULL, 3, &hit), 401, "%s", asks[i]);
        cr_expect_eq(get(path, BOB, 2, &hit), 200, "%s", asks[i]);
        cr_expect_eq(get(path, NULL, 3, &hit), 401, "%s", asks[i]);
        cr_assert(client_wait(&c, 1000));
        cr_expect(client_body_is(&c, 1, 0, 300));
        client_free(&c);
    }
}

/* By the operator's lifetime it would be for all without a question. */
Test(credentials, another_lifetime_permits_nothing)
{
    bool hit;
    w.node[0].site[0].ttl_override_s = 600;
    page("/a", ANN, 1, "Cache-Control: no-cache, must-revalidate\r\n");
    page("/a", NULL, 3, "Cache-Control: no-cache, must-revalidate\r\n");
    page("/b", NULL, 7, PUBLIC);
    for (unsigned i = 0; i < 2; i++) {
        get("/a", ANN, 1, &hit);
        cr_expect(!hit);
        get("/a", NULL, 3, &hit);
        cr_expect_eq(hit, i > 0);
        get("/b", i ? NULL : ANN, 7, &hit);
        cr_expect_eq(hit, i > 0);
    }
}

Test(credentials, what_varies_by_them_is_not_shared)
{
    bool hit;
    struct origin_file *ann = page("/a", ANN, 1, PUBLIC "Vary: Authorization\r\n"),
                       *bob = page("/a", BOB, 2, PUBLIC "Vary: Authorization\r\n"),
                       *all = page("/a", NULL, 3, PUBLIC "Vary: Authorization\r\n");
    for (unsigned i = 0; i < 3; i++) {
        get("/a", ANN, 1, &hit);
        get("/a", BOB, 2, &hit);
        get("/a", NULL, 3, &hit);
    }
    cr_expect_eq(ann->requests, 3);
    cr_expect_eq(bob->requests, 3);
    cr_expect_eq(all->requests, 1);
}

Test(credentials, what_is_stale_is_confirmed_with_them)
{
    bool hit;
    struct origin_file *f = page("/a", NULL, 7, PUBLIC);
    get("/a", ANN, 7, &hit);
    world_run(&w, 61000);
    get("/a", BOB, 7, &hit);
    cr_expect(strstr(f->last_request, BOB) && strstr(f->last_request, "If-None-Match: \"v1\"\r\n"));
    cr_expect_eq(f->not_modified, 1);
    get("/a", NULL, 7, &hit);
    cr_expect(hit);
    /* and what is not for them is left as it is */
    struct origin_file *plain = page("/b", NULL, 7, PLAIN);
    get("/b", NULL, 7, &hit);
    get("/b", ANN, 7, &hit);
    cr_expect(!hit && !strstr(plain->last_request, "If-None-Match"));
    get("/b", NULL, 7, &hit);
    cr_expect(hit);
}

Test(credentials, heads_parts_and_cookies_go_by_themselves)
{
    bool hit;
    struct client c;
    struct origin_file *f = page("/a", NULL, 7, PUBLIC);
    cr_expect_eq(get("/a", ANN "Range: bytes=0-9\r\n", 0, &hit), 206);
    cr_expect_str_eq(f->last_range, "bytes=0-9");
    client_send(&w, &c, 0, 0, "HEAD /a HTTP/1.1\r\nHost: www.site.test\r\n" ANN "\r\n");
    cr_assert(client_wait(&c, 1000));
    client_free(&c);
    cr_expect_eq(f->heads, 1);
    get("/a", ANN "Cookie: a=b\r\n", 7, &hit);
    cr_expect(strstr(f->last_request, "Cookie: a=b\r\n"));
    get("/a", NULL, 7, &hit);
    cr_expect(!hit, "none of them has left anything");
    cr_expect_eq(get("/a", ANN "Range: bytes=0-9\r\n", 0, &hit), 206);
    cr_expect(hit, "but they are served from what is there");
    cr_expect_eq(f->requests, 4);
}

static uint64_t reused(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 2; i++)
        n += http_client_counters(w.node[0].worker[i].client)->http_client_reused_total;
    return n;
}

/* Those that log in the connection (RFC 4559, NTLM) are not for who comes next on it. */
Test(credentials, a_connection_that_is_logged_in_is_not_used_again)
{
    static const struct {
        const char *first, *then;
        bool again;
    } row[] = {{"Authorization: negotiate YII=\r\n", NULL, false},
               {"Authorization: Basic QQ==\r\n", NULL, true},
               {"Authorization: NTLM TlRM\r\nCookie: a=b\r\n", ANN "Cookie: a=b\r\n", false},
               {ANN "Cookie: a=b\r\n", BOB "Cookie: a=b\r\n", true}};
    struct client c;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t before = reused();
        page(numbered(i), NULL, 7, "Cache-Control: no-store\r\n");
        for (unsigned k = 0; k < 2; k++) {
            client_get(&w, &c, 0, 0, "www.site.test", numbered(i), k ? row[i].then : row[i].first);
            cr_assert(client_wait(&c, 1000));
            cr_expect(client_body_is(&c, 7, 0, 300));
            client_free(&c);
        }
        cr_expect_eq(reused() - before, row[i].again, "%s", row[i].first);
        world_run(&w, 60000); /* none is left */
    }
}

Test(credentials, only_if_cached_asks_nobody)
{
    bool hit;
    struct origin_file *f = page("/a", NULL, 7, PLAIN);
    get("/a", NULL, 7, &hit);
    cr_expect_eq(get("/a", ANN "Cache-Control: only-if-cached\r\n", 0, &hit), 504);
    cr_expect_eq(f->requests, 1);
}

Test(credentials, an_unsafe_request_overtakes_them)
{
    struct client c, d;
    bool hit;
    struct origin_file *f = page("/a", ANN, 7, PUBLIC);
    page("/a", "POST", 7, "");
    f->delay_ms = 500;
    client_get(&w, &c, 0, 0, "www.site.test", "/a", ANN);
    world_run(&w, 100);
    client_send(&w, &d, 0, 1, "POST /a HTTP/1.1\r\nHost: www.site.test\r\n\r\n");
    cr_assert(client_wait(&d, 300));
    client_free(&d);
    cr_assert(client_wait(&c, 1000));
    client_free(&c);
    get("/a", ANN, 7, &hit);
    cr_expect(!hit, "it was asked for before the change");
    cr_expect_eq(f->requests, 2);
}

/* Neither are such fields kept by the server that reads them (http.h), whatever they are called. */
Test(credentials, fields_that_tell_who_asks_are_read_anew)
{
    static const char *const field[] = {"X-Api-Key: abc\r\n", "X-Session: abc\r\n",
                                        "X-Plain: abc\r\n"};
    struct client c;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 2; j++) {
            client_get(&w, &c, 0, 0, "www.site.test", "/none", field[i]);
            cr_assert(client_wait(&c, 3000));
            client_free(&c);
        }
        const struct http_recent *recent = &w.node[0].worker[0].server->recent;
        unsigned kept = 0;
        for (unsigned j = 0; j < HTTP_RECENT; j++)
            kept += memmem(recent->set[j].bytes, recent->set[j].len, field[i], strlen(field[i])) !=
                    NULL;
        cr_expect_eq(kept, i == 2, "%s", field[i]);
    }
}
