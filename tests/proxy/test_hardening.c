/* SPDX-License-Identifier: BSD-3-Clause */
/* What wears a node down or makes it say what is not so: origins that answer by parts, clients
 * that do not read, purges in the middle of a fill, names of tarpits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

#define SEED       20261124u
#define MANY       290
#define TARPITTED  60
#define UNCACHED   "Cache-Control: no-store\r\n"
#define LONG_PATH  4070
#define LONG_VALUE 4060

static struct world w;
static struct client many[MANY];

static void open_world(void)
{
    world_open(&w, 1, 2, SEED);
}
static void open_few_fills(void)
{
    world_open_sized(&w, 1, 2, SEED, 0, 0, 4);
}
static void open_many_fills(void)
{
    world_open_sized(&w, 1, 2, SEED, 0, 0, 256);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(hardening, .init = open_world, .fini = close_world);
TestSuite(many_fills, .init = open_many_fills, .fini = close_world);
TestSuite(few_fills, .init = open_few_fills, .fini = close_world);

static struct origin_file *page(struct origin_file f)
{
    if (!f.fields)
        f.fields = "Cache-Control: max-age=60\r\n";
    f.salt = 9;
    return origin_add(&w.origin[0], f);
}

static unsigned get(struct client *c, const char *path, const char *fields)
{
    return world_get(&w, c, 0, "www.site.test", path, fields);
}

static bool purge(const char *url)
{
    bool found = false;
    for (unsigned i = 0; i < 2; i++)
        found |= proxy_purge(w.node[0].worker[i].proxy, url, strlen(url), false, w.now);
    return found;
}

static void end_many(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        client_free(&many[i]);
}

/* --- lengths that nobody has said yet ------------------------------------- */

Test(hardening, resume_from_a_chunked_origin_by_parts_is_whole)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){.path = "/a",
                                                      .length = 200000,
                                                      .etag = "\"1\"",
                                                      .mode = ORIGIN_RESETS,
                                                      .cut = 50000,
                                                      .cuts = 1,
                                                      .rate = 2000,
                                                      .chunked = true});
    cr_assert_eq(get(&c, "/a", NULL), 200);
    cr_assert(client_body_is(&c, 9, 0, 200000), "%zu bytes", c.body_len);
    client_free(&c);
    cr_assert_gt(f->ranged, 1); /* a part, and the parts after it */
    cr_assert_eq(get(&c, "/a", NULL), 200);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "coral; hit; ttl="));
    cr_assert(client_body_is(&c, 9, 0, 200000), "%zu bytes", c.body_len);
    client_free(&c);
}

Test(hardening, a_length_beyond_32_bits_is_said_as_it_is)
{
    struct client c;
    page((struct origin_file){.path = "/u", .length = 5ull << 30, .fields = UNCACHED});
    client_send(&w, &c, 0, 0,
                "HEAD /u HTTP/1.1\r\nHost: www.site.test\r\nAuthorization: x\r\n\r\n");
    client_wait(&c, 3000);
    cr_assert_eq(c.head.status, 200);
    cr_assert_str_eq(client_field(&c, "Content-Length"), "5368709120");
    client_free(&c);
}

Test(hardening, the_longest_request_we_take_reaches_the_origin)
{
    struct client c;
    static char path[LONG_PATH + 1], request[LONG_PATH + LONG_VALUE + 200];
    static const char end[] = "\r\n\r\n";
    memset(path, 'a', LONG_PATH);
    path[0] = '/';
    page((struct origin_file){.path = path, .length = 10, .fields = UNCACHED});
    int n =
        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: www.site.test\r\nAuthorization: x\r\nCookie: ", path);
    memset(request + n, 'c', LONG_VALUE);
    memcpy(request + n + LONG_VALUE, end, sizeof(end));
    client_send(&w, &c, 0, 0, request);
    cr_assert(client_wait(&c, 3000));
    cr_assert_eq(c.head.status, 200);
    cr_assert(client_body_is(&c, 9, 0, 10));
    client_free(&c);
}

/* --- who takes more than a share ------------------------------------------ */

Test(many_fills, clients_that_do_not_read_leave_blocks_for_who_does)
{
    struct client c;
    page((struct origin_file){.path = "/u", .length = 1 << 20, .fields = UNCACHED});
    page((struct origin_file){.path = "/v", .length = 10, .fields = UNCACHED});
    for (unsigned i = 0; i < MANY; i++) {
        client_get(&w, &many[i], 0, i % 2, "www.site.test", "/u", "Authorization: x\r\n");
        many[i].paused = true;
        world_run(&w, 5);
    }
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(get(&c, "/v", "Authorization: x\r\n"), 200);
        cr_assert(client_body_is(&c, 9, 0, 10));
        client_free(&c);
    }
    end_many(MANY);
}

/* Anybody may name an origin that answers a byte a millisecond; the site has its fills still. */
Test(few_fills, a_tarpit_in_open_mode_holds_no_more_than_its_share)
{
    static char path[15][8];
    struct client c;
    char host[100];
    w.node[0].policy.open = true;
    world_name(&w, (struct name){"www.example.com", RESOLVER_OK, 1, {w.origin[1].at.ip}});
    page((struct origin_file){.path = "/v", .length = 10, .etag = "\"1\""});
    for (unsigned i = 0; i < 15; i++) {
        snprintf(path[i], sizeof(path[i]), "/t%u", i);
        origin_add(&w.origin[1], (struct origin_file){.path = path[i],
                                                      .salt = 1,
                                                      .length = 1 << 20,
                                                      .rate = 1,
                                                      .fields = "Cache-Control: max-age=60\r\n"});
    }
    snprintf(host, sizeof(host), "www.example.com.%u.coral.test", w.origin[1].at.port);
    for (unsigned i = 0; i < TARPITTED; i++)
        client_get(&w, &many[i], 0, i % 2, host, path[i % 15], NULL);
    world_run(&w, 1000);
    cr_assert_gt(w.origin[1].requests, 0); /* slow, but not refused */
    cr_assert_leq(w.origin[1].requests, 4);
    cr_assert_eq(get(&c, "/v", NULL), 200);
    client_free(&c);
    end_many(TARPITTED);
}

/* --- purges and losses while a fill runs ---------------------------------- */

Test(hardening, who_comes_after_a_purge_does_not_join_the_fill_from_before)
{
    struct client before, after;
    struct origin_file *f =
        page((struct origin_file){.path = "/a", .length = 300000, .rate = 1000, .etag = "\"1\""});
    client_get(&w, &before, 0, 0, "www.site.test", "/a", NULL);
    world_run(&w, 50);
    cr_assert(purge("http://www.site.test/a"));
    f->etag = "\"2\"";
    cr_assert_eq(get(&after, "/a", NULL), 200);
    cr_assert_str_eq(client_field(&after, "ETag"), "\"2\"");
    cr_assert_eq(f->requests, 2);
    client_free(&before);
    client_free(&after);
    world_run(&w, 1000);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
}

Test(hardening, what_was_purged_is_not_served_stale)
{
    struct client c, d;
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .length = 100, .etag = "\"1\"", .fields = "Cache-Control: max-age=2\r\n"});
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
    world_run(&w, 4000);
    f->mode = ORIGIN_SILENT;
    client_get(&w, &c, 0, 0, "www.site.test", "/a", NULL);
    world_run(&w, 100); /* being validated */
    cr_assert(purge("http://www.site.test/a"));
    client_get(&w, &d, 0, 0, "www.site.test", "/a", NULL);
    client_wait(&d, 30000);
    client_wait(&c, 30000);
    cr_assert_eq(c.head.status, 504);
    cr_assert_eq(d.head.status, 504);
    client_free(&c);
    client_free(&d);
}

Test(hardening, an_object_unlinked_while_it_fills_is_not_kept_for_good)
{
    struct client c;
    struct cache *cache = w.node[0].cache;
    struct cache_probe probe = {.key = "http://www.site.test/a", .key_len = 22};
    uint64_t held = 0;
    page((struct origin_file){.path = "/a", .length = 300000, .rate = 1000, .etag = "\"1\""});
    client_get(&w, &c, 0, 0, "www.site.test", "/a", NULL);
    world_run(&w, 50);
    cache_prepare(cache, &probe, 1);
    cache_touch(cache, &probe, 1);
    cache_act(cache, &probe, 1);
    cr_assert_not_null(probe.found);
    cache_unlink(cache, probe.found); /* as when damage is found */
    client_wait(&c, 3000);
    cr_assert(client_body_is(&c, 9, 0, 300000));
    client_free(&c);
    world_run(&w, 200);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_references), 0);
    for (unsigned i = 0; i < 2; i++)
        held += counter_read(&cache_counters(cache, i)->cache_held_objects);
    cr_assert_eq(held, 0);
}

/* In open mode a site's host at a port is another origin, and its URL stays what it is. */
Test(hardening, a_url_with_a_port_is_purged_under_the_name_it_is_kept_by)
{
    struct proxy_policy *policy = &w.node[0].policy;
    static const char kept[] = "http://www.site.test:8080/x";
    char asked[300], key[512], again[512];
    policy->open = true;
    snprintf(asked, sizeof(asked), "http://www.site.test.8080.%s/x", policy->zone);
    size_t n = proxy_url(policy, asked, strlen(asked), key, sizeof(key));
    cr_assert(n == strlen(kept) && memcmp(key, kept, n) == 0, "%.*s", (int)n, key);
    size_t m = proxy_url(policy, key, n, again, sizeof(again));
    cr_assert(m == n && memcmp(again, kept, n) == 0, "%.*s", (int)m, again);
}
