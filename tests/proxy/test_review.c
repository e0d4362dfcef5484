/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings of a review, each a test that fails where the finding is true. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SEED  20261201u
#define MIB   (1u << 20)
#define LARGE (5 * MIB + 123)

static struct world w;

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(review, .init = open_world, .fini = close_world);

static struct origin_file *large(void)
{
    return origin_add(&w.origin[0],
                      (struct origin_file){.path = "/a",
                                           .length = LARGE,
                                           .salt = 9,
                                           .etag = "\"1\"",
                                           .fields = "Cache-Control: max-age=600\r\n"});
}

/* A peer's slices are of the version before, and fresh by its own lifetime; ours and the origin's
 * are of the next. Each attempt takes the peer's version, then meets the origin's, and is reset. */
Test(review, versions_of_peer_and_origin_do_not_take_turns_for_ever)
{
    struct client c;
    struct origin_file *f = large();
    unsigned whole = 0;
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", "Range: bytes=1048576-3145727\r\n"),
                 206);
    client_free(&c);
    world_run(&w, 1000);
    f->etag = "\"2\"";
    f->salt = 10;
    for (unsigned i = 0; i < 8; i++) {
        unsigned before = f->requests;
        unsigned s = world_get(&w, &c, 1, "www.site.test", "/a", "Range: bytes=1048576-4194400\r\n");
        printf("attempt %u: status %u whole %d body %zu origin +%u\n", i, s, c.whole, c.body_len,
               f->requests - before);
        whole += c.whole;
        client_free(&c);
        world_run(&w, 2000);
    }
    cr_assert_gt(whole, 0);
}

/* RFC 9111 5.2.1.7: what is stored, or 504; not a head whose body is broken off. */
Test(review, only_if_cached_of_a_part_that_is_not_there)
{
    struct client c;
    large();
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", "Range: bytes=1048576-1048577\r\n"),
                 206);
    client_free(&c);
    world_run(&w, 100);
    world_get(&w, &c, 0, "www.site.test", "/a",
              "Cache-Control: only-if-cached\r\nRange: bytes=1048576-3000000\r\n");
    cr_assert(c.whole, "status %u, %zu bytes, closed %d", c.head.status, c.body_len, c.closed);
    client_free(&c);
}

/* A date is no validator of a coded body: the next copy may be plain (a reload, no coder left). */
Test(review, a_date_joins_no_two_codings)
{
    struct client c;
    char fields[256];
    struct proxy_site *site = &w.node[0].site[0];
    const char *date = "Tue, 14 Nov 2023 22:13:20 GMT";
    site->compress = 1;
    snprintf(site->compress_type[0], sizeof(site->compress_type[0]), "text/*");
    origin_add(&w.origin[0],
               (struct origin_file){.path = "/t",
                                    .length = 100000,
                                    .salt = 9,
                                    .etag = "\"1\"",
                                    .fields = "Content-Type: text/html\r\nCache-Control: "
                                              "max-age=600\r\nLast-Modified: Tue, 14 Nov 2023 "
                                              "22:13:20 GMT\r\n"});
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/t", "Accept-Encoding: gzip\r\n"), 200);
    cr_assert_str_eq(client_field(&c, "Content-Encoding"), "gzip");
    cr_assert_str_eq(client_field(&c, "ETag"), "W/\"1\"");
    client_free(&c);
    for (unsigned i = 0; i < 2; i++)
        proxy_purge(w.node[0].worker[i].proxy, "http://www.site.test/t", 22, false, w.now);
    site->compress = 0;
    snprintf(fields, sizeof(fields),
             "Accept-Encoding: gzip\r\nRange: bytes=5000-5999\r\nIf-Range: %s\r\n", date);
    world_get(&w, &c, 0, "www.site.test", "/t", fields);
    printf("plain now: %u, coding \"%s\"\n", c.head.status, client_field(&c, "Content-Encoding"));
    unsigned plain = c.head.status;
    client_free(&c);
    site->compress = 1;
    for (unsigned i = 0; i < 2; i++)
        proxy_purge(w.node[0].worker[i].proxy, "http://www.site.test/t", 22, false, w.now);
    world_get(&w, &c, 0, "www.site.test", "/t", fields);
    world_run(&w, 100);
    client_free(&c);
    world_get(&w, &c, 0, "www.site.test", "/t", fields);
    printf("coded again: %u, coding \"%s\" etag %s\n", c.head.status,
           client_field(&c, "Content-Encoding"), client_field(&c, "ETag"));
    cr_assert_eq(c.head.status, 200, "coded part for a date");
    cr_assert_eq(plain, 206, "of the plain one it may hold");
    client_free(&c);
}

/* RFC 9110 14.2: Range is for GET. */
Test(review, head_with_range)
{
    struct client c;
    large();
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", "Range: bytes=1048576-1048577\r\n"),
                 206);
    client_free(&c);
    client_send(&w, &c, 0, 1,
                "HEAD /a HTTP/1.1\r\nHost: www.site.test\r\nRange: bytes=1048576-1048577\r\n\r\n");
    client_wait(&c, 5000);
    cr_assert_eq(c.head.status, 200, "%u", c.head.status);
    client_free(&c);
}

/* An orphan that is evicted takes back, by the same name, what the slice in its place has put. */
Test(review, an_orphan_does_not_withdraw_its_successor)
{
    static const char url[] = "http://www.site.test/a";
    struct client c;
    world_close(&w);
    world_open_sized(&w, 2, 2, SEED, 12u << 20, 0, 0);
    large();
    const char *range = "Range: bytes=1048576-1048577\r\n";
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", range), 206);
    client_free(&c);
    world_run(&w, 100);
    for (unsigned i = 0; i < 2; i++)
        proxy_purge(w.node[0].worker[i].proxy, url, sizeof(url) - 1, false, w.now);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", range), 206);
        client_free(&c);
        world_run(&w, 100);
    }
    static char path[30][8];
    for (unsigned i = 0; i < 30; i++) {
        snprintf(path[i], sizeof(path[i]), "/x%u", i);
        origin_add(&w.origin[0],
                   (struct origin_file){.path = path[i],
                                        .length = 700000,
                                        .salt = i,
                                        .fields = "Cache-Control: max-age=600\r\n"});
        world_get(&w, &c, 0, "www.site.test", path[i], NULL);
        client_free(&c);
        world_run(&w, 50);
    }
    world_get(&w, &c, 0, "www.site.test", "/a", range);
    bool has = strstr(client_field(&c, "Cache-Status"), "hit");
    client_free(&c);
    world_run(&w, 1000);
    world_get(&w, &c, 1, "www.site.test", "/a", range);
    printf("node 0 has it: %d; node 1: %s\n", has, client_field(&c, "Cache-Status"));
    cr_assert(!has || strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    client_free(&c);
}
