/* SPDX-License-Identifier: BSD-3-Clause */
/* Fills of one node: collapsing, workers, origins that misbehave, what can't be cached. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SEED 20261124u
#define MANY 100

static struct world w;
static struct client many[MANY];

static void open_world(void)
{
    world_open(&w, 1, 2, SEED); /* two workers: most requests are not the owner's */
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(fill, .init = open_world, .fini = close_world);

static struct origin_file *page(struct origin_file f)
{
    if (!f.fields)
        f.fields = "Cache-Control: max-age=60\r\n";
    if (!f.salt)
        f.salt = 9;
    return origin_add(&w.origin[0], f);
}

static unsigned get(struct client *c, const char *path, const char *fields)
{
    return world_get(&w, c, 0, "www.site.test", path, fields);
}

static void start_many(unsigned n, const char *path, const char *fields)
{
    for (unsigned i = 0; i < n; i++)
        client_get(&w, &many[i], 0, i % 2, "www.site.test", path, fields);
}

/* How many of them got `status` with a whole body; ends them. */
static unsigned end_many(unsigned n, unsigned status, uint64_t salt, uint64_t length)
{
    unsigned good = 0;
    for (unsigned i = 0; i < n; i++) {
        client_parse(&many[i]);
        good += many[i].whole && many[i].head.status == status &&
                (status != 200 || client_body_is(&many[i], salt, 0, length));
        client_free(&many[i]);
    }
    return good;
}

static void nothing_is_left(void)
{
    world_run(&w, 50);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_requests), 0);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
    uint64_t held = 0;
    for (int i = 0; i < 2; i++)
        held += counter_read(&cache_counters(w.node[0].cache, (unsigned)i)->cache_held_objects) -
                counter_read(&cache_counters(w.node[0].cache, (unsigned)i)->cache_objects);
    cr_assert_eq(held, 0); /* nothing unlinked is still pinned */
}

Test(fill, a_hundred_requests_on_two_workers_are_one_at_the_origin)
{
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .length = 200000, .rate = 1000, .delay_ms = 50, .etag = "\"1\""});
    start_many(MANY, "/a", NULL);
    world_run(&w, 120);
    cr_assert_gt(many[0].len, 50000); /* cut-through, on both workers */
    cr_assert_gt(many[1].len, 50000);
    cr_assert_lt(many[1].len, 150000);
    world_run(&w, 400);
    cr_assert_eq(end_many(MANY, 200, 9, 200000), MANY);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_collapsed_total), MANY - 1);
    nothing_is_left();
}

Test(fill, a_ring_that_is_nearly_always_full_only_delays)
{
    w.ring_room = 1;
    page((struct origin_file){.path = "/a", .length = 300000, .rate = 2000});
    start_many(MANY, "/a", NULL);
    world_run(&w, 2000);
    cr_assert_eq(end_many(MANY, 200, 9, 300000), MANY);
    cr_assert_gt(WORLD_COUNT(&w, 0, proxy_messages_kept_total), 0);
    cr_assert_eq(w.origin[0].requests, 1);
    nothing_is_left();
}

Test(fill, readers_that_leave_and_readers_that_crawl)
{
    page((struct origin_file){.path = "/a", .length = 1 << 20, .rate = 4000});
    start_many(20, "/a", NULL);
    many[3].paused = many[4].paused = true;
    world_run(&w, 100);
    for (unsigned i = 10; i < 20; i++)
        client_leave(&many[i]);
    world_run(&w, 1000);
    for (unsigned i = 3; i < 5; i++) {
        many[i].paused = false;
        stream_resume(&many[i].pipe->a.s);
    }
    world_run(&w, 300);
    cr_assert_eq(end_many(20, 200, 9, 1 << 20), 10);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_gone_total), 10);
    cr_assert_eq(w.origin[0].requests, 1);
    nothing_is_left();
}

Test(fill, all_leave_and_the_object_is_still_filled)
{
    struct client c;
    page((struct origin_file){.path = "/a", .length = 100000, .rate = 1000, .delay_ms = 20});
    start_many(4, "/a", NULL);
    world_run(&w, 5); /* before the head */
    end_many(4, 0, 0, 0);
    world_run(&w, 300);
    cr_assert_eq(get(&c, "/a", NULL), 200);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "coral; hit; ttl="));
    client_free(&c);
    cr_assert_eq(w.origin[0].requests, 1);
    nothing_is_left();
}

/* --- origins that misbehave ----------------------------------------------- */

Test(fill, an_origin_that_is_down_is_a_502_at_once_and_left_alone_for_a_second)
{
    struct client c;
    page((struct origin_file){.path = "/a", .length = 10});
    w.origin[0].up = false;
    start_many(20, "/a", NULL);
    world_run(&w, 100);
    cr_assert_eq(end_many(20, 502, 0, 0), 20);
    uint64_t asked = WORLD_COUNT(&w, 0, proxy_origin_requests_total);
    cr_assert_eq(asked, 1);
    w.origin[0].up = true;
    cr_assert_eq(get(&c, "/a", NULL), 502);
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_origin_requests_total), asked);
    world_run(&w, 1000);
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
    nothing_is_left();
}

Test(fill, the_next_origin_of_a_site_helps_out)
{
    struct client c;
    struct proxy_site *site = &w.node[0].site[0];
    site->origins = 2;
    site->origin[1] = site->origin[0];
    site->origin[0].address = addr_v4(0x0a0900fe); /* nobody is there */
    snprintf(site->origin[0].host, sizeof(site->origin[0].host), "10.9.0.254");
    page((struct origin_file){.path = "/a", .length = 1000});
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
}

Test(fill, a_silent_origin_is_a_504)
{
    struct client c;
    page((struct origin_file){.path = "/a", .length = 10, .mode = ORIGIN_SILENT});
    cr_assert_eq(get(&c, "/a", NULL), 504);
    client_free(&c);
    nothing_is_left();
}

Test(fill, garbage_is_a_502)
{
    struct client c;
    page((struct origin_file){.path = "/a", .length = 10, .mode = ORIGIN_GARBAGE});
    cr_assert_eq(get(&c, "/a", NULL), 502);
    client_free(&c);
    nothing_is_left();
}

/* A body that ends early is never passed off as whole, whatever the framing. */
static void broken(struct origin_file f)
{
    f.path = "/a";
    f.length = 100000;
    page(f);
    start_many(10, "/a", NULL);
    world_run(&w, 3000);
    cr_assert_eq(end_many(10, 200, 9, 100000), 0);
    nothing_is_left();
    struct client c;
    w.origin[0].file[0].mode = ORIGIN_WELL;
    cr_assert_eq(get(&c, "/a", NULL), 200); /* and nothing of it stayed */
    cr_assert(client_body_is(&c, 9, 0, 100000));
    client_free(&c);
}

Test(fill, an_early_close_breaks_the_readers)
{
    broken((struct origin_file){.mode = ORIGIN_CLOSES, .cut = 30000});
}

Test(fill, an_early_close_in_chunks_breaks_the_readers)
{
    broken((struct origin_file){.mode = ORIGIN_CLOSES, .cut = 30000, .chunked = true});
}

Test(fill, a_reset_breaks_the_readers)
{
    broken((struct origin_file){.mode = ORIGIN_RESETS, .cut = 30000});
}

Test(fill, a_version_that_changed_meanwhile_breaks_the_readers)
{
    struct origin_file *f = page((struct origin_file){.path = "/a",
                                                      .length = 100000,
                                                      .etag = "\"1\"",
                                                      .mode = ORIGIN_RESETS,
                                                      .cut = 50000,
                                                      .cuts = 1,
                                                      .rate = 1000});
    start_many(4, "/a", NULL);
    world_run(&w, 20);
    f->etag = "\"2\"";
    f->salt = 10;
    world_run(&w, 2000);
    cr_assert_eq(end_many(4, 200, 9, 100000) + end_many(0, 200, 10, 100000), 0);
    nothing_is_left();
}

Test(fill, a_reset_origin_goes_on_by_range)
{
    struct origin_file *f = page((struct origin_file){.path = "/a",
                                                      .length = 100000,
                                                      .etag = "\"1\"",
                                                      .mode = ORIGIN_RESETS,
                                                      .cut = 50000,
                                                      .cuts = 1});
    start_many(10, "/a", NULL);
    world_run(&w, 2000);
    cr_assert_eq(end_many(10, 200, 9, 100000), 10);
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(f->ranged, 1);
    cr_assert(strstr(f->last_request, "Range: bytes=50000-\r\nIf-Range: \"1\"\r\n"));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_fills_resumed_total), 1);
    nothing_is_left();
}

Test(fill, an_origin_without_ranges_sends_again_and_the_start_is_skipped)
{
    page((struct origin_file){.path = "/a",
                              .length = 100000,
                              .etag = "\"1\"",
                              .mode = ORIGIN_CLOSES,
                              .cut = 50000,
                              .cuts = 1,
                              .no_range = true});
    start_many(4, "/a", NULL);
    world_run(&w, 2000);
    cr_assert_eq(end_many(4, 200, 9, 100000), 4);
    nothing_is_left();
}

Test(fill, more_than_was_said_is_cut_off)
{
    struct client c;
    page((struct origin_file){.path = "/a", .length = 5000, .mode = ORIGIN_LONG});
    cr_assert_eq(get(&c, "/a", NULL), 200);
    cr_assert(client_body_is(&c, 9, 0, 5000));
    client_free(&c);
    nothing_is_left();
}

/* --- freshness ------------------------------------------------------------ */

Test(fill, a_stale_copy_is_confirmed_with_304)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .length = 5000, .etag = "\"1\"", .fields = "Cache-Control: max-age=2\r\n"});
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
    world_run(&w, 4000);
    start_many(10, "/a", NULL);
    world_run(&w, 100);
    cr_assert_eq(end_many(10, 200, 9, 5000), 10);
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(f->not_modified, 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_revalidated_total), 1);
    nothing_is_left();
}

Test(fill, a_stale_copy_is_replaced_when_it_changed)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .length = 5000, .etag = "\"1\"", .fields = "Cache-Control: max-age=2\r\n"});
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
    world_run(&w, 4000);
    f->etag = "\"2\"";
    f->salt = 10;
    f->length = 70000;
    f->rate = 1000;
    start_many(10, "/a", NULL);
    world_run(&w, 500);
    cr_assert_eq(end_many(10, 200, 10, 70000), 10);
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

Test(fill, a_stale_copy_is_better_than_an_error)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .length = 5000, .fields = "Cache-Control: max-age=2\r\n"});
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
    world_run(&w, 4000);
    w.origin[0].up = false;
    cr_assert_eq(get(&c, "/a", NULL), 200);
    cr_assert(client_body_is(&c, 9, 0, 5000));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "stale"), "%s Age %s",
              client_field(&c, "Cache-Status"), client_field(&c, "Age"));
    client_free(&c);
    world_run(&w, 12000);
    w.origin[0].up = true;
    f->status = 503;
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_stale_total), 2);
    nothing_is_left();
}

Test(fill, an_error_is_shared_by_those_who_wait_and_kept_for_nobody)
{
    struct client c;
    struct origin_file *f =
        page((struct origin_file){.path = "/a", .length = 300, .status = 503, .delay_ms = 20});
    f->fields = ""; /* it says nothing of how long */
    start_many(20, "/a", NULL);
    world_run(&w, 100);
    cr_assert_eq(end_many(20, 503, 0, 0), 20);
    cr_assert_eq(f->requests, 1);
    f->status = 200;
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
    nothing_is_left();
}

/* --- what can't be cached ------------------------------------------------- */

Test(fill, uncacheable_responses_are_not_collapsed_and_that_is_remembered)
{
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .length = 400000, .delay_ms = 20, .fields = "Cache-Control: no-store\r\n"});
    start_many(10, "/a", NULL);
    world_run(&w, 1000);
    cr_assert_eq(end_many(10, 200, 9, 400000), 10);
    cr_assert_eq(f->requests, 10); /* the first got the response that told */
    start_many(4, "/a", NULL);
    world_run(&w, 5);
    cr_assert_eq(f->requests, 14); /* no wait this time */
    world_run(&w, 1000);
    cr_assert_eq(end_many(4, 200, 9, 400000), 4);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_pass_total), 14);
    nothing_is_left();
}

Test(fill, a_passed_response_waits_for_a_slow_client_and_ends_with_one_that_leaves)
{
    page((struct origin_file){
        .path = "/a", .length = 2 << 20, .chunked = true, .fields = "Cache-Control: private\r\n"});
    start_many(4, "/a", NULL);
    many[0].paused = many[1].paused = true;
    world_run(&w, 2000);
    cr_assert_lt(WORLD_COUNT(&w, 0, proxy_origin_in_bytes_total), 5u << 20); /* bounded */
    client_leave(&many[1]);
    many[0].paused = false;
    stream_resume(&many[0].pipe->a.s);
    world_run(&w, 2000);
    cr_assert_eq(end_many(4, 200, 9, 2 << 20), 3);
    nothing_is_left();
}

Test(fill, a_passed_response_that_breaks_off_is_visibly_broken)
{
    page((struct origin_file){.path = "/a",
                              .length = 100000,
                              .mode = ORIGIN_RESETS,
                              .cut = 40000,
                              .chunked = true,
                              .fields = "Vary: Accept\r\n"});
    start_many(4, "/a", NULL);
    world_run(&w, 1000);
    cr_assert_eq(end_many(4, 200, 9, 100000), 0);
    nothing_is_left();
}

Test(fill, cookies_and_credentials_reach_the_site_they_are_for)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){
        .path = "/a", .length = 100, .fields = "Set-Cookie: s=2\r\nCache-Control: private\r\n"});
    cr_assert_eq(get(&c, "/a", "Cookie: s=1\r\nX-Mine: 5\r\nConnection: close\r\n"), 200);
    cr_assert_str_eq(client_field(&c, "Set-Cookie"), "s=2");
    client_free(&c);
    cr_assert(strstr(f->last_request, "Cookie: s=1\r\n") && strstr(f->last_request, "X-Mine: 5"));
    cr_assert_eq(f->requests, 2); /* the first went without the cookie, and told */
    cr_assert_eq(get(&c, "/a", "Authorization: Basic eA==\r\n"), 200);
    client_free(&c);
    cr_assert(strstr(f->last_request, "Authorization: Basic eA==\r\n"));
    nothing_is_left();
}

/* RFC 9110 7.6.1: in any case of letters, on each way, stored or not. */
Test(fill, what_connection_names_goes_no_further)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){
        .path = "/a",
        .length = 100,
        .fields = "Connection: x-HOP, x-a-name-that-is-longer-than-any-buffer-that-we-would-have-"
                  "for-a-name\r\nX-Hop: 1\r\nX-End: 2\r\nX-A-Name-That-Is-Longer-Than-Any-Buffer-"
                  "That-We-Would-Have-For-A-Name: 3\r\nCache-Control: max-age=60\r\n"});
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(get(&c, "/a", "Connection: x-mine\r\nX-Mine: 5\r\nX-Ours: 6\r\n"), 200);
        cr_expect_str_empty(client_field(&c, "X-Hop"));
        cr_expect_str_eq(client_field(&c, "X-End"), "2");
        cr_expect_not(memmem(c.data, c.len, "X-A-Name", 8));
        client_free(&c);
        cr_expect(strstr(f->last_request, "X-Ours: 6") && !strstr(f->last_request, "X-Mine"));
        f->fields = "Connection: X-hop\r\nX-Hop: 1\r\nX-End: 2\r\nCache-Control: no-store\r\n";
        world_run(&w, 61000);
    }
    nothing_is_left();
}

Test(fill, an_object_larger_than_the_cache_goes_past_it)
{
    world_close(&w);
    world_open_sized(&w, 1, 2, SEED, 1u << 20, 0, 0);
    struct origin_file *f = page((struct origin_file){.path = "/a", .length = 3 << 20});
    page((struct origin_file){.path = "/b", .length = 3 << 20, .chunked = true});
    start_many(3, "/a", NULL);
    world_run(&w, 3000);
    cr_assert_eq(end_many(3, 200, 9, 3 << 20), 3);
    cr_assert_geq(f->requests, 1);
    /* without a length it shows only on the way: that one breaks, the next goes past */
    start_many(1, "/b", NULL);
    world_run(&w, 4000);
    cr_assert_eq(end_many(1, 200, 9, 3 << 20), 0);
    start_many(2, "/b", NULL);
    world_run(&w, 4000);
    cr_assert_eq(end_many(2, 200, 9, 3 << 20), 2);
    nothing_is_left();
}

/* --- purge, status -------------------------------------------------------- */

static bool purge(const char *url)
{
    bool found = false;
    for (unsigned i = 0; i < 2; i++)
        found |= proxy_purge(w.node[0].worker[i].proxy, url, strlen(url), false, w.now);
    return found;
}

Test(fill, a_purged_url_is_fetched_again)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){.path = "/a", .length = 5000});
    cr_assert(!purge("http://www.site.test/a"));
    cr_assert_eq(get(&c, "/a", NULL), 200);
    client_free(&c);
    cr_assert(purge("HTTP://www.site.test.coral.test/x/../a"));
    f->salt = 11;
    cr_assert_eq(get(&c, "/a", NULL), 200);
    cr_assert(client_body_is(&c, 11, 0, 5000));
    client_free(&c);
    cr_assert(!purge("no url") && !purge("http://elsewhere.test/a"));
    nothing_is_left();
}

Test(fill, a_purge_in_the_middle_of_a_fill_leaves_nothing_behind)
{
    struct client c;
    struct origin_file *f =
        page((struct origin_file){.path = "/a", .length = 100000, .rate = 1000});
    start_many(6, "/a", NULL);
    world_run(&w, 40);
    cr_assert(purge("http://www.site.test/a"));
    world_run(&w, 300);
    cr_assert_eq(end_many(6, 200, 9, 100000), 6);
    nothing_is_left();
    f->salt = 11;
    cr_assert_eq(get(&c, "/a", NULL), 200);
    cr_assert(client_body_is(&c, 11, 0, 100000));
    client_free(&c);
}

Test(fill, fills_in_flight_can_be_listed)
{
    struct proxy_fill_info info[4];
    page((struct origin_file){.path = "/a", .length = 100000, .rate = 1000});
    start_many(2, "/a", NULL);
    world_run(&w, 40);
    unsigned n = proxy_fills(w.node[0].worker[0].proxy, info, 4);
    n += proxy_fills(w.node[0].worker[1].proxy, info + n, 4 - n);
    cr_assert_eq(n, 1);
    cr_assert_str_eq(info[0].url, "http://www.site.test/a");
    cr_assert_str_eq(info[0].source, "origin 10.9.0.1:80");
    cr_assert_eq(info[0].length, 100000);
    cr_assert(info[0].bytes > 10000 && info[0].bytes < 90000);
    world_run(&w, 300);
    end_many(2, 200, 9, 100000);
}

/* --- bytes that come before their turn ------------------------------------ */

static uint64_t in_place(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 2; i++)
        n += counter_read(&cache_counters(w.node[0].cache, i)->cache_placed_bytes_total);
    return n;
}

static uint64_t counter_sum(size_t at)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 2; i++)
        n +=
            counter_read((const uint64_t *)((const char *)cache_counters(w.node[0].cache, i) + at));
    return n;
}

static uint64_t cell_bytes(void)
{
    return counter_sum(offsetof(struct cache_counters, cache_cell_bytes));
}

static uint64_t settlings(void)
{
    return counter_sum(offsetof(struct cache_counters, cache_settled_total));
}

/* While it grows it takes whole chunks; then it takes as little as if its length had been told. */
Test(fill, what_has_no_length_gives_back_what_it_does_not_need)
{
    struct client c;
    page((struct origin_file){.path = "/small", .length = 900, .chunked = true});
    page((struct origin_file){.path = "/large", .length = 300001, .chunked = true});
    page((struct origin_file){.path = "/told", .length = 900});
    static const char *const path[] = {"/small", "/large", "/told"};
    static const uint64_t length[] = {900, 300001, 900};
    for (unsigned i = 0; i < 3; i++) {
        uint64_t lines = cell_bytes(), settled = settlings();
        for (unsigned turn = 0; turn < 2; turn++) {
            cr_assert_eq(get(&c, path[i], NULL), 200);
            cr_assert(client_body_is(&c, 9, 0, length[i]), "%s", path[i]);
            client_free(&c);
        }
        nothing_is_left();
        cr_assert_eq(settlings() - settled, i < 2);
        cr_assert_gt(cell_bytes(), lines, "%s has its tail there", path[i]);
    }
    /* the large one's, and one for tails and a map of each worker */
    cr_assert_leq(counter_sum(offsetof(struct cache_counters, cache_chunks_used)), 73 + 2);
}

/* The pipe brings pieces out of order wherever it may: they are written to the object at once. */
Test(fill, out_of_order_bytes_are_copied_once_where_their_place_is_known)
{
    struct client c;
    page((struct origin_file){.path = "/plain", .length = 500001});
    page((struct origin_file){.path = "/chunked", .length = 500000, .chunked = true});
    page((struct origin_file){
        .path = "/passed", .length = 500000, .fields = "Cache-Control: no-store\r\n"});
    page((struct origin_file){.path = "/cut",
                              .length = 500000,
                              .etag = "\"1\"",
                              .mode = ORIGIN_RESETS,
                              .cut = 234567,
                              .cuts = 1});
    page((struct origin_file){.path = "/again",
                              .length = 500000,
                              .etag = "\"1\"",
                              .mode = ORIGIN_CLOSES,
                              .cut = 100001,
                              .cuts = 1,
                              .no_range = true});
    static const struct {
        const char *path;
        bool placed;
    } t[] = {{"/plain", true},
             {"/chunked", false},
             {"/passed", false},
             {"/cut", true},
             {"/again", true}};
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint64_t before = in_place(), length = i ? 500000 : 500001;
        cr_assert_eq(get(&c, t[i].path, NULL), 200, "%s", t[i].path);
        cr_assert(client_body_is(&c, 9, 0, length), "%s", t[i].path);
        client_free(&c);
        uint64_t n = in_place() - before;
        cr_assert(t[i].placed ? n > 30000 && n < 500000 : n == 0, "%s: %lu", t[i].path, n);
    }
    nothing_is_left();
}

/* The client leaves, the source dies for good, the object is purged, at each millisecond of a fill
 * whose bytes come out of order: the pipe ends the program if a place is taken back from a stream
 * that goes on. */
Test(fill, may_die_at_any_time_with_bytes_in_their_places)
{
    struct origin_file *f =
        page((struct origin_file){.path = "/a", .length = 200000, .rate = 9000});
    for (unsigned ms = 1; ms < 40; ms++)
        for (unsigned way = 0; way < 3; way++) {
            f->mode = way == 1 ? ORIGIN_RESETS : ORIGIN_WELL;
            f->cut = ms * 5000;
            start_many(2, "/a", NULL);
            world_run(&w, ms);
            if (way == 0)
                client_leave(&many[0]);
            purge("http://www.site.test/a");
            world_run(&w, 300);
            end_many(2, 0, 0, 0);
            nothing_is_left();
        }
    cr_assert_gt(in_place(), 1000000);
}
