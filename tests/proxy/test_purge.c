/* SPDX-License-Identifier: BSD-3-Clause */
/* Purges by rule, and soft ones, as clients, peers and the origin see them. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "world.h"

#define SEED 20261128u
#define HOST "www.site.test"
#define URL  "http://www.site.test/a"

static struct world w;

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(purge, .init = open_world, .fini = close_world);

static struct origin_file *page(const char *fields)
{
    return origin_add(
        &w.origin[0],
        (struct origin_file){
            .path = "/a", .length = 5000, .salt = 9, .etag = "\"1\"", .fields = fields});
}

/* Gets it from a node; the body must be whole and of `salt`. */
static void expect(unsigned node, uint64_t salt, const char *cache_status)
{
    struct client c;
    cr_assert_eq(world_get(&w, &c, node, HOST, "/a", NULL), 200);
    cr_assert(client_body_is(&c, salt, 0, 5000));
    cr_expect(strstr(client_field(&c, "Cache-Status"), cache_status), "%s",
              client_field(&c, "Cache-Status"));
    cr_expect_str_empty(client_field(&c, "Surrogate-Key"));
    cr_expect_str_empty(client_field(&c, "Cache-Tag"));
    client_free(&c);
}

static void purge(unsigned node, enum cache_purge_kind kind, const char *text, bool soft)
{
    uint64_t token;
    struct cache_purge what = {kind, soft, text, strlen(text)};
    cr_assert_eq(cache_purge(w.node[node].cache, &what, &token), CACHE_PURGE_TAKEN);
    for (int i = 0; i < 3 && !cache_purge_in_force(w.node[node].cache, token); i++)
        world_step(&w);
    cr_assert(cache_purge_in_force(w.node[node].cache, token));
}

/* As the control thread does it. */
static bool purge_url(unsigned node, const char *url, bool soft)
{
    enum proxy_purged found = PROXY_PURGED_NOTHING;
    for (unsigned i = 0; i < w.node[node].workers; i++)
        found |= proxy_purge(w.node[node].worker[i].proxy, url, strlen(url), soft, w.now);
    if (found == PROXY_PURGED_BY_RULE)
        purge(node, CACHE_PURGE_URL, url, soft);
    return found != PROXY_PURGED_NOTHING;
}

static uint64_t cache_count(unsigned node, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w.node[node].workers; i++)
        sum += counter_read(
            (const uint64_t *)(const void *)((const char *)cache_counters(w.node[node].cache, i) +
                                             offset));
    return sum;
}
#define CACHE_COUNT(node, name) cache_count(node, offsetof(struct cache_counters, name))

static void nothing_is_held(unsigned node)
{
    world_run(&w, 100);
    cr_expect_eq(WORLD_COUNT(&w, node, proxy_fills), 0);
    cr_expect_eq(CACHE_COUNT(node, cache_held_objects), CACHE_COUNT(node, cache_objects));
}

Test(purge, what_a_rule_names_is_fetched_again)
{
    static const struct {
        enum cache_purge_kind kind;
        const char *text;
    } all[] = {{CACHE_PURGE_TAG, "news"},
               {CACHE_PURGE_TAG, "front"},
               {CACHE_PURGE_PREFIX, "http://www.site.test/"},
               {CACHE_PURGE_PREFIX, URL},
               {CACHE_PURGE_ALL, ""}};
    struct origin_file *f = page("Surrogate-Key: news today\r\nCache-Control: max-age=600\r\n"
                                 "Cache-Tag: front\r\n");
    expect(0, 9, "detail=origin");
    purge(0, CACHE_PURGE_TAG, "yesterday", false);
    purge(0, CACHE_PURGE_PREFIX, "http://www.site.test/ab", false);
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        expect(0, 9 + i, "hit");
        world_run(&w, 50);
        cr_expect_eq(WORLD_COUNT(&w, 0, proxy_references), 1);
        f->salt = 10 + i;
        f->etag = i % 2 ? "\"1\"" : "\"2\"";
        purge(0, all[i].kind, all[i].text, false);
        if (i % 2) { /* nobody asks: it goes by itself */
            world_run(&w, 50);
            cr_expect_eq(CACHE_COUNT(0, cache_held_objects), 0);
            cr_expect_eq(WORLD_COUNT(&w, 0, proxy_references), 0);
        }
        expect(0, 10 + i, "detail=origin");
        cr_expect_eq(f->requests, 2 + i);
        cr_expect_eq(CACHE_COUNT(0, cache_purged_total), 1 + i);
    }
    nothing_is_held(0);
}

/* What is one object takes no rule; what has variants one, however often it is purged. */
Test(purge, one_url_is_made_stale_as_often_as_one_likes)
{
    struct origin_file *f = page("Cache-Control: max-age=600\r\n");
    expect(0, 9, "detail=origin");
    for (unsigned i = 0; i < 5000; i++)
        cr_assert(purge_url(0, URL, true), "%u", i);
    world_run(&w, 50);
    cr_expect_eq(CACHE_COUNT(0, cache_purge_rules), 0);
    cr_expect_eq(CACHE_COUNT(0, cache_purges_total), 0);
    expect(0, 9, "fwd=stale");
    expect(0, 9, "hit");
    cr_expect_eq(f->requests, 2);
    nothing_is_held(0);
    f->fields = "Cache-Control: max-age=600\r\nVary: X-A\r\n";
    f->etag = "\"vary\"";
    cr_assert(purge_url(0, URL, false));
    expect(0, 9, "detail=origin");
    for (unsigned i = 0; i < 5000; i++)
        cr_assert(purge_url(0, URL, true), "%u", i);
    world_run(&w, 50);
    cr_expect_eq(CACHE_COUNT(0, cache_purges_refused_total), 0);
    cr_expect_eq(CACHE_COUNT(0, cache_purge_rules), 1);
    expect(0, 9, "fwd=stale");
    nothing_is_held(0);
}

/* Tags go along to peers, so that what came from one can be purged too; never to clients. */
Test(purge, tags_reach_peers_and_no_clients)
{
    struct origin_file *f = page("Cache-Control: max-age=600\r\nCache-Tag: news\r\n");
    expect(0, 9, "detail=origin");
    world_run(&w, 200);
    expect(1, 9, "detail=peer");
    world_run(&w, 200);
    purge(1, CACHE_PURGE_TAG, "news", false);
    expect(1, 9, "detail=origin"); /* not from the other node, which was not told */
    cr_expect_eq(f->requests, 2);
    purge(1, CACHE_PURGE_TAG, "news", false);
    purge(0, CACHE_PURGE_TAG, "news", false);
    f->salt = 10;
    f->etag = "\"2\"";
    expect(1, 10, "detail=origin");
    cr_expect_eq(f->requests, 3);
    nothing_is_held(1);
}

Test(purge, tags_of_what_is_not_stored_are_not_shown)
{
    page("Cache-Control: no-store\r\nSurrogate-Key: news\r\n");
    expect(0, 9, "detail=pass");
}

/* Who waits gets what comes; who asks later does not, and it is not kept. */
static void a_fill_in_flight(bool soft)
{
    struct client before, after;
    struct origin_file *f = page("Cache-Control: max-age=600\r\n");
    f->rate = 50;
    client_get(&w, &before, 0, 0, HOST, "/a", NULL);
    world_run(&w, 60);
    cr_assert(f->requests == 1 && !client_parse(&before));
    purge(0, CACHE_PURGE_PREFIX, "http://www.site.test/", soft);
    f->etag = "\"2\"";
    client_get(&w, &after, 0, 1, HOST, "/a", NULL);
    cr_assert(client_wait(&before, 3000) && client_wait(&after, 3000));
    cr_expect_str_eq(client_field(&before, "ETag"), "\"1\"");
    cr_expect_str_eq(client_field(&after, "ETag"), "\"2\"");
    cr_expect(client_body_is(&before, 9, 0, 5000) && client_body_is(&after, 9, 0, 5000));
    cr_expect_eq(f->requests, 2);
    client_free(&before);
    client_free(&after);
    cr_assert_eq(world_get(&w, &after, 0, HOST, "/a", NULL), 200);
    cr_expect_str_eq(client_field(&after, "ETag"), "\"2\"");
    cr_expect_eq(f->requests, 2);
    client_free(&after);
    nothing_is_held(0);
}

Test(purge, a_fill_in_flight_is_for_those_who_wait)
{
    a_fill_in_flight(false);
}

Test(purge, a_soft_one_keeps_no_fill_in_flight_either)
{
    a_fill_in_flight(true);
}

/* Before its head is here it may bring any tag: who comes after the purge does not wait for it. */
Test(purge, a_fill_without_a_head_may_have_any_tag)
{
    struct client before, after;
    struct origin_file *f = page("Cache-Control: max-age=600\r\nCache-Tag: news\r\n");
    f->delay_ms = 300;
    client_get(&w, &before, 0, 0, HOST, "/a", NULL);
    world_run(&w, 100);
    cr_assert_eq(f->requests, 1);
    purge(0, CACHE_PURGE_TAG, "news", false);
    client_get(&w, &after, 0, 1, HOST, "/a", NULL);
    cr_assert(client_wait(&before, 3000) && client_wait(&after, 3000));
    cr_expect_eq(f->requests, 2);
    client_free(&before);
    client_free(&after);
    expect(0, 9, "coral; hit");
    nothing_is_held(0);
}

/* Nobody comes after the purge; what the fill brings is not kept all the same. */
Test(purge, a_fill_that_nobody_joins_is_not_kept)
{
    struct client c;
    struct origin_file *f = page("Cache-Control: max-age=600\r\nCache-Tag: news\r\n");
    f->delay_ms = 300;
    client_get(&w, &c, 0, 0, HOST, "/a", NULL);
    world_run(&w, 100);
    purge(0, CACHE_PURGE_TAG, "news", false);
    cr_assert(client_wait(&c, 3000));
    cr_expect(client_body_is(&c, 9, 0, 5000));
    client_free(&c);
    nothing_is_held(0);
    cr_expect_eq(CACHE_COUNT(0, cache_objects), 0);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_references), 0);
    expect(0, 9, "detail=origin");
}

/* --- soft ---------------------------------------------------------------------------------- */

static void soft_purge(unsigned how)
{
    if (how == 0)
        cr_assert(purge_url(0, URL, true));
    else
        purge(0, how == 1 ? CACHE_PURGE_TAG : CACHE_PURGE_ALL, how == 1 ? "news" : "", true);
}

Test(purge, a_soft_one_has_it_revalidated)
{
    struct origin_file *f = page("Cache-Control: max-age=600\r\nCache-Tag: news\r\n");
    expect(0, 9, "detail=origin");
    for (unsigned how = 0; how < 3; how++) {
        soft_purge(how);
        cr_expect_eq(WORLD_COUNT(&w, 0, proxy_references), 0);
        expect(0, 9, "fwd=stale; fwd-status=304");
        cr_expect_eq(f->not_modified, how + 1);
        world_run(&w, 50);
        expect(0, 9, "coral; hit");
        cr_expect_eq(f->requests, how + 2);
    }
    nothing_is_held(0);
}

/* It is sent stale while it is revalidated, from the first request on. */
Test(purge, a_soft_one_leaves_it_to_stale_while_revalidate)
{
    struct origin_file *f =
        page("Cache-Control: max-age=600, stale-while-revalidate=60\r\nCache-Tag: news\r\n");
    expect(0, 9, "detail=origin");
    world_run(&w, 100000);
    for (unsigned how = 0; how < 3; how++) {
        f->salt = 10 + how;
        f->etag = how % 2 ? "\"3\"" : "\"4\"";
        soft_purge(how);
        expect(0, 9 + how, "detail=stale-while-revalidate");
        world_run(&w, 1500);
        expect(0, 10 + how, "coral; hit");
        cr_expect_eq(f->requests, how + 2);
    }
    soft_purge(1);
    world_run(&w, 61000); /* the window began with the purge */
    expect(0, 12, "fwd=stale; fwd-status=304");
    cr_expect_eq(f->not_modified, 1);
    nothing_is_held(0);
}

Test(purge, a_soft_one_leaves_a_copy_for_when_the_origin_fails)
{
    struct client c;
    struct origin_file *f = page("Cache-Control: max-age=600\r\nCache-Tag: news\r\n");
    expect(0, 9, "detail=origin");
    soft_purge(1);
    f->status = 503;
    f->etag = NULL;
    expect(0, 9, "stale");
    purge(0, CACHE_PURGE_TAG, "news", false);
    world_get(&w, &c, 0, HOST, "/a", NULL);
    cr_expect_eq(c.head.status, 503);
    client_free(&c);
}

Test(purge, what_a_hard_one_takes_while_it_is_validated_is_not_served_stale)
{
    struct client c;
    struct origin_file *f = page("Cache-Control: max-age=2\r\nCache-Tag: news\r\n");
    expect(0, 9, "detail=origin");
    world_run(&w, 4000);
    f->mode = ORIGIN_SILENT;
    client_get(&w, &c, 0, 0, HOST, "/a", NULL);
    world_run(&w, 100);
    purge(0, CACHE_PURGE_TAG, "news", false);
    client_wait(&c, 30000);
    cr_expect_eq(c.head.status, 504);
    client_free(&c);
}

static void expect_coding(const char *coding, const char *cache_status)
{
    struct client c;
    char field[64];
    snprintf(field, sizeof(field), "Accept-Encoding: %s\r\n", coding);
    cr_assert_eq(world_get(&w, &c, 0, HOST, "/a", field), 200);
    cr_expect(strstr(client_field(&c, "Cache-Status"), cache_status), "%s: %s", coding,
              client_field(&c, "Cache-Status"));
    client_free(&c);
}

Test(purge, all_variants_are_taken)
{
    page("Cache-Control: max-age=600\r\nVary: Accept-Encoding\r\nCache-Tag: news\r\n");
    for (unsigned how = 0; how < 6; how++) {
        expect_coding("gzip", how <= 3 ? "detail=origin" : "coral; hit");
        expect_coding("br", how <= 3 ? "detail=origin" : "coral; hit");
        expect_coding("gzip", "coral; hit");
        expect_coding("br", "coral; hit");
        if (how % 3 == 0)
            cr_assert(purge_url(0, URL, how > 2));
        else
            purge(0, how % 3 == 1 ? CACHE_PURGE_TAG : CACHE_PURGE_PREFIX,
                  how % 3 == 1 ? "news" : "http://www.site.test/", how > 2);
        if (how > 2) { /* they are there yet, and asked about */
            expect_coding("br", "fwd=stale; fwd-status=304");
            expect_coding("gzip", "fwd=stale; fwd-status=304");
        }
    }
    expect_coding("br", "coral; hit");
    nothing_is_held(0);
}

Test(purge, of_a_url_that_is_not_here_is_counted)
{
    page("Cache-Control: max-age=600\r\n");
    cr_expect(!purge_url(0, URL, false));
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_purges_vain_total), 1);
    expect(0, 9, "detail=origin");
    cr_expect(purge_url(0, URL, true));
    cr_expect(purge_url(0, URL, false));
    cr_expect(!purge_url(0, URL, true));
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_purges_total), 2);
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_purges_vain_total), 2);
    nothing_is_held(0);
}
