/* SPDX-License-Identifier: BSD-3-Clause */
/* Heads that responses share: who asks for no more than an object gets the head of the second, and
 * who asks for more one of his own. The pipe sees that none changes while it is on its way. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define SEED     20261201u
#define HOST     "www.site.test"
#define LARGE    150000u /* more than who takes nothing receives, and not more than waits for him */
#define LIFETIME 600

static struct world w;

static void open_world(void)
{
    world_open(&w, 1, 1, SEED);
}
static void open_few(void)
{
    world_open_sized(&w, 1, 1, SEED, 0, 1, 4);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(plain, .init = open_world, .fini = close_world);
TestSuite(few, .init = open_few, .fini = close_world);

static void next_second(void)
{
    int64_t s = w.now.wall_s;
    while (w.now.wall_s == s)
        world_step(&w);
}

static void page(const char *path, uint64_t length)
{
    origin_add(&w.origin[0], (struct origin_file){.path = path,
                                                  .length = length,
                                                  .salt = 3,
                                                  .etag = "\"1\"",
                                                  .fields = "Cache-Control: max-age=600\r\n"
                                                            "Content-Type: text/x\r\n"});
    struct client c;
    cr_assert_eq(world_get(&w, &c, 0, HOST, path, NULL), 200);
    client_free(&c);
}

static void expect(struct client *c, uint64_t length, int age)
{
    char status[64];
    snprintf(status, sizeof(status), "coral; hit; ttl=%d", LIFETIME - age);
    cr_assert(client_wait(c, 1000));
    cr_expect_eq(c->head.status, 200);
    cr_expect_eq(atoi(client_field(c, "Age")), age);
    cr_expect_str_eq(client_field(c, "Cache-Status"), status);
    cr_expect_str_eq(client_field(c, "Content-Type"), "text/x");
    cr_expect_str_eq(client_field(c, "ETag"), "\"1\"");
    cr_expect_eq(strtoull(client_field(c, "Content-Length"), NULL, 10), length);
    cr_expect(c->to_head || client_body_is(c, 3, 0, length));
}

static void hit(const char *path, uint64_t length, int age)
{
    struct client c;
    client_get(&w, &c, 0, 0, HOST, path, NULL);
    expect(&c, length, age);
    client_free(&c);
}

Test(plain, age_and_lifetime_count_seconds)
{
    page("/a", 1000);
    page("/tiny", 10);
    page("/empty", 0);
    for (int s = 0; s < 5; s++) {
        for (int i = 0; i < 3; i++) {
            hit("/a", 1000, s);
            hit("/tiny", 10, s);
            hit("/empty", 0, s);
        }
        next_second();
    }
}

Test(plain, who_asks_for_more_has_a_head_of_his_own)
{
    static const struct {
        const char *request, *field, *value;
        unsigned status;
    } other[] = {
        {"GET /a HTTP/1.1\r\nHost: " HOST "\r\nConnection: close\r\n\r\n", "Connection", "close",
         200},
        {"GET /a HTTP/1.0\r\nHost: " HOST "\r\nConnection: keep-alive\r\n\r\n", "Connection",
         "keep-alive", 200},
        {"GET /a HTTP/1.1\r\nHost: " HOST "\r\nRange: bytes=1-2\r\n\r\n", "Content-Length", "2",
         206},
        {"GET /a HTTP/1.1\r\nHost: " HOST "\r\nIf-None-Match: \"1\"\r\n\r\n", "ETag", "\"1\"", 304},
        {"GET /a HTTP/1.1\r\nHost: " HOST
         "\r\nIf-Modified-Since: Sun, 29 Nov 2099 00:00:00 GMT\r\n\r\n",
         "ETag", "\"1\"", 304},
    };
    page("/a", 1000);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        struct client c;
        hit("/a", 1000, 0);
        client_send(&w, &c, 0, 0, other[i].request);
        cr_assert(client_wait(&c, 1000));
        cr_expect_eq(c.head.status, other[i].status);
        cr_expect_str_eq(client_field(&c, other[i].field), other[i].value);
        client_free(&c);
    }
    struct client c;
    client_send(&w, &c, 0, 0, "HEAD /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
    expect(&c, 1000, 0);
    cr_expect_eq(c.body_len, 0);
    client_more(&c, "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
    c.to_head = false;
    expect(&c, 1000, 0);
    client_free(&c);
    http_server_drain(w.node[0].worker[0].server);
    client_get(&w, &c, 0, 0, HOST, "/a", NULL);
    expect(&c, 1000, 0);
    cr_expect_str_eq(client_field(&c, "Connection"), "close");
    client_free(&c);
}

/* Asks for what fills his buffers and for /a, and takes nothing yet. */
static void wait_behind(struct client *c)
{
    client_send(&w, c, 0, 0,
                "GET /large HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
                "GET /a HTTP/1.1\r\nHost: " HOST "\r\n\r\n");
    c->paused = true;
    world_run(&w, 20);
    cr_assert_gt(stream_queued(&c->pipe->b.s), LARGE - PIPE_WINDOW + 1000, "/a is queued, too");
}

/* Takes both: the second is of when it was queued. */
static void take_both(struct client *c, int age)
{
    c->paused = false;
    stream_resume(&c->pipe->a.s);
    world_run(&w, 100);
    client_parse(c);
    size_t all = c->len, first = c->head.head_len + LARGE;
    cr_assert_gt(all, first);
    c->len = first;
    expect(c, LARGE, age);
    memmove(c->data, c->data + first, all - first);
    c->len = all - first;
    expect(c, 1000, age);
    client_free(c);
}

Test(plain, one_that_is_on_its_way_stays_as_it_is)
{
    struct client slow[2];
    page("/a", 1000);
    page("/large", LARGE);
    for (int s = 0; s < 2; s++) {
        hit("/a", 1000, s);
        wait_behind(&slow[s]);
        next_second();
    }
    hit("/a", 1000, 2);
    take_both(&slow[1], 1);
    take_both(&slow[0], 0);
    hit("/a", 1000, 2);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_plain_full_total), 0);
}

/* There are two, as there are pins. */
Test(few, where_none_is_left_each_has_one_of_its_own)
{
    struct client slow[2];
    page("/a", 1000);
    page("/large", LARGE);
    for (int s = 0; s < 2; s++) {
        wait_behind(&slow[s]);
        next_second();
    }
    hit("/a", 1000, 2);
    cr_expect_gt(WORLD_COUNT(&w, 0, proxy_plain_full_total), 0);
    take_both(&slow[0], 0);
    take_both(&slow[1], 1);
    world_run(&w, 100);
    uint64_t before = WORLD_COUNT(&w, 0, proxy_plain_full_total);
    for (int i = 0; i < 5; i++)
        hit("/a", 1000, 2);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_plain_full_total), before, "they have come back");
}

/* A head that is too long to be shared, and one that just is not. */
Test(plain, long_heads)
{
    char path[16], fields[2200];
    struct client c;
    for (unsigned n = 1000; n < 2000; n += 20) { /* a body has room behind some of them */
        int len = snprintf(fields, sizeof(fields), "Cache-Control: max-age=600\r\nX-Long: ");
        memset(fields + len, 'x', n / 2);
        len += (int)n / 2;
        len += snprintf(fields + len, sizeof(fields) - (size_t)len, "\r\nX-More: ");
        memset(fields + len, 'y', n / 2);
        memcpy(fields + len + n / 2, "\r\n", 3);
        snprintf(path, sizeof(path), "/%u", n);
        w.origin[0].files = 0;
        origin_add(&w.origin[0],
                   (struct origin_file){.path = path, .length = 700, .salt = 3, .fields = fields});
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(world_get(&w, &c, 0, HOST, path, NULL), 200);
            cr_expect_eq(strlen(client_field(&c, "X-Long")), n / 2);
            cr_expect_eq(strlen(client_field(&c, "X-More")), n / 2);
            cr_expect(client_body_is(&c, 3, 0, 700));
            client_free(&c);
        }
    }
}

static void change(const char *path, uint64_t salt, uint64_t length)
{
    w.origin[0].files = 0;
    origin_add(&w.origin[0], (struct origin_file){.path = path,
                                                  .length = length,
                                                  .salt = salt,
                                                  .fields = "Cache-Control: max-age=600\r\n"});
}

/* Sent from beside the object, and not a byte of it after that has gone. */
Test(plain, a_whole_answer_goes_with_its_object)
{
    static const char url[] = "http://" HOST "/a";
    struct client c;
    page("/a", 1000);
    for (int i = 0; i < 5; i++)
        hit("/a", 1000, 0);
    change("/a", 4, 900);
    hit("/a", 1000, 0);
    cr_assert_eq(proxy_purge(w.node[0].worker[0].proxy, url, strlen(url), false, w.now),
                 PROXY_PURGED);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(world_get(&w, &c, 0, HOST, "/a", NULL), 200);
        cr_expect(client_body_is(&c, 4, 0, 900));
        client_free(&c);
    }
    change("/a", 5, 800);
    cr_assert_eq(proxy_purge(w.node[0].worker[0].proxy, url, strlen(url), true, w.now),
                 PROXY_PURGED);
    cr_assert_eq(world_get(&w, &c, 0, HOST, "/a", NULL), 200);
    cr_expect(client_body_is(&c, 5, 0, 800), "it was stale");
    client_free(&c);
}

/* What the same fields mean is asked anew when the configuration is another. */
Test(plain, known_fields_mean_what_the_policy_says)
{
    struct node *n = &w.node[0];
    struct proxy_policy none = n->policy;
    struct client c;
    none.sites = 0;
    none.open = false;
    none.number++;
    page("/a", 1000);
    for (int i = 0; i < 6; i++) {
        bool served = i % 2 == 0;
        proxy_view(n->worker[0].proxy, served ? &n->policy : &none, n->routes);
        for (int j = 0; j < 3; j++) {
            cr_expect_eq(world_get(&w, &c, 0, HOST, "/a", NULL), served ? 200 : 421);
            client_free(&c);
        }
    }
}
