/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rules of freshness do in the proxy: stale copies while they are revalidated or when the
 * origin fails, what requests ask for, fields that are meant for this cache. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SEED 20261125u
#define MANY 40

static struct world w;
static struct client many[MANY];

static void open_world(void)
{
    world_open(&w, 1, 2, SEED);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(stale, .init = open_world, .fini = close_world);

static struct origin_file *page(const char *fields)
{
    return origin_add(
        &w.origin[0],
        (struct origin_file){
            .path = "/a", .length = 5000, .salt = 9, .etag = "\"1\"", .fields = fields});
}

/* Gets it; the body must be whole and of `salt`. */
static unsigned get(struct client *c, const char *fields, uint64_t salt)
{
    unsigned status = world_get(&w, c, 0, "www.site.test", "/a", fields);
    if (status == 200)
        cr_assert(client_body_is(c, salt, 0, 5000));
    return status;
}

static void expect(const char *fields, unsigned status, const char *cache_status)
{
    struct client c;
    cr_assert_eq(get(&c, fields, 9), status);
    if (cache_status)
        cr_assert(strstr(client_field(&c, "Cache-Status"), cache_status), "%s",
                  client_field(&c, "Cache-Status"));
    client_free(&c);
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

/* --- RFC 5861 3 --------------------------------------------------------------------------- */

Test(stale, a_crowd_gets_the_old_copy_while_one_fill_confirms_it)
{
    struct origin_file *f = page("Cache-Control: max-age=2, stale-while-revalidate=60\r\n");
    expect(NULL, 200, "fwd=miss");
    world_run(&w, 4000);
    f->delay_ms = 300;
    for (unsigned i = 0; i < MANY; i++)
        client_get(&w, &many[i], 0, i % 2, "www.site.test", "/a", NULL);
    world_run(&w, 100); /* well before the origin answers */
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert(client_parse(&many[i]) && many[i].whole);
        cr_assert(client_body_is(&many[i], 9, 0, 5000));
        cr_assert(strstr(client_field(&many[i], "Cache-Status"), "detail=stale-while-revalidate"),
                  "%s", client_field(&many[i], "Cache-Status"));
        cr_assert(strstr(client_field(&many[i], "Cache-Status"), "hit; ttl=-"));
        client_free(&many[i]);
    }
    cr_assert_eq(f->requests, 2);
    world_run(&w, 500);
    cr_assert_eq(f->not_modified, 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_behind_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_stale_total), MANY);
    expect(NULL, 200, "coral; hit"); /* fresh again */
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

Test(stale, a_fill_behind_carries_no_secret_of_who_began_it)
{
    struct origin_file *f = page("Cache-Control: max-age=2, stale-while-revalidate=60\r\n");
    expect(NULL, 200, NULL);
    world_run(&w, 4000);
    expect("X-Auth-Token: t\r\nX-Mine: yes\r\n", 200, "stale-while-revalidate");
    world_run(&w, 200);
    cr_assert_eq(f->requests, 2);
    cr_assert(strstr(f->last_request, "X-Mine: yes\r\n"));
    cr_assert_not(strstr(f->last_request, "Token"), "%s", f->last_request);
    nothing_is_left();
}

Test(stale, what_has_changed_comes_with_the_next_request)
{
    struct client c;
    struct origin_file *f = page("Cache-Control: max-age=2, stale-while-revalidate=60\r\n");
    expect(NULL, 200, NULL);
    world_run(&w, 4000);
    f->etag = "\"2\"";
    f->salt = 10;
    expect(NULL, 200, "stale-while-revalidate");
    world_run(&w, 200);
    cr_assert_eq(get(&c, NULL, 10), 200);
    client_free(&c);
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

Test(stale, after_the_window_the_origin_is_asked_first)
{
    struct origin_file *f = page("Cache-Control: max-age=2, stale-while-revalidate=5\r\n");
    expect(NULL, 200, NULL);
    world_run(&w, 8000);
    expect(NULL, 200, "fwd=");
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_behind_total), 0);
    nothing_is_left();
}

Test(stale, must_revalidate_forbids_it)
{
    struct origin_file *f =
        page("Cache-Control: max-age=2, must-revalidate, stale-while-revalidate=60\r\n");
    expect(NULL, 200, NULL);
    world_run(&w, 4000);
    w.origin[0].up = false;
    expect(NULL, 502, NULL); /* not even now */
    w.origin[0].up = true;
    world_run(&w, 1500);
    expect(NULL, 200, "fwd=");
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

Test(stale, an_origin_that_fails_behind_changes_nothing)
{
    struct origin_file *f = page("Cache-Control: max-age=2, stale-while-revalidate=600\r\n");
    f->etag = NULL;
    expect(NULL, 200, NULL);
    world_run(&w, 4000);
    f->status = 503;
    uint64_t asked = f->requests;
    for (int i = 0; i < 5; i++) {
        expect(NULL, 200, "stale-while-revalidate");
        world_run(&w, 100);
    }
    cr_assert_eq(f->requests, asked + 1, "once a second at most");
    w.origin[0].up = false;
    expect(NULL, 200, "stale-while-revalidate");
    world_run(&w, 5000);
    w.origin[0].up = true;
    f->status = 0;
    expect(NULL, 200, "stale-while-revalidate");
    world_run(&w, 1500);
    expect(NULL, 200, "coral; hit");
    nothing_is_left();
}

Test(stale, what_may_not_be_stored_any_more_is_not_served_on)
{
    struct origin_file *f = page("Cache-Control: max-age=2, stale-while-revalidate=600\r\n");
    struct client c;
    expect(NULL, 200, NULL);
    world_run(&w, 4000);
    f->etag = "\"2\"";
    f->salt = 10;
    f->fields = "Cache-Control: no-store\r\n";
    expect(NULL, 200, "stale-while-revalidate");
    world_run(&w, 200);
    cr_assert_eq(get(&c, NULL, 10), 200);
    client_free(&c);
    nothing_is_left();
}

Test(stale, a_304_that_says_private_is_shared_with_nobody)
{
    struct origin_file *f = page("Cache-Control: max-age=2\r\n");
    expect(NULL, 200, NULL);
    world_run(&w, 4000);
    f->fields = "Cache-Control: private\r\n";
    expect(NULL, 200, "fwd=");
    world_run(&w, 100);
    expect("Cache-Control: max-stale\r\n", 200, "fwd=");
    nothing_is_left();
}

Test(stale, clients_that_leave_at_once_leave_nothing_behind)
{
    page("Cache-Control: max-age=2, stale-while-revalidate=600\r\n");
    expect(NULL, 200, NULL);
    world_run(&w, 4000);
    for (unsigned i = 0; i < MANY; i++) {
        client_get(&w, &many[i], 0, i % 2, "www.site.test", "/a", NULL);
        if (i % 3 == 0)
            world_step(&w);
        client_leave(&many[i]);
    }
    world_run(&w, 1000);
    cr_assert_geq(WORLD_COUNT(&w, 0, proxy_behind_total), 1);
    for (unsigned i = 0; i < MANY; i++)
        client_free(&many[i]);
    nothing_is_left();
}

/* --- RFC 5861 4 --------------------------------------------------------------------------- */

Test(stale, the_origins_own_window_for_errors_counts)
{
    struct origin_file *f = page("Cache-Control: max-age=2, stale-if-error=10\r\n");
    f->etag = NULL;
    expect(NULL, 200, NULL);
    f->status = 503;
    world_run(&w, 6000);
    expect(NULL, 200, "detail=stale");
    world_run(&w, 10000);
    struct client c;
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", NULL), 503);
    client_free(&c);
    nothing_is_left();
}

Test(stale, an_error_is_kept_for_as_long_as_the_origin_says_and_no_longer)
{
    struct origin_file *f = page("Cache-Control: max-age=5\r\n");
    struct client c;
    f->etag = NULL;
    f->status = 503;
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", NULL), 503);
        client_free(&c);
    }
    cr_assert_eq(f->requests, 1);
    world_run(&w, 6000);
    f->status = 200;
    expect(NULL, 200, "fwd=stale; ttl=5; stored");
    f->status = 503;
    world_run(&w, 6000);
    expect(NULL, 200, "detail=stale"); /* a page is better than an error that may be kept */
    f->fields = "";
    w.now.wall_s += 200000; /* out of all use */
    w.now.mono_us += 200000ull * 1000000;
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", NULL), 503);
        client_free(&c);
    }
    cr_assert_eq(f->requests, 5, "for nobody else where it says nothing");
    nothing_is_left();
}

/* --- 304s (RFC 9111 3.2) ------------------------------------------------------------------ */

Test(stale, a_304_that_says_no_lifetime_leaves_the_one_that_was)
{
    struct origin_file *f = page("Cache-Control: max-age=2\r\n");
    expect(NULL, 200, NULL);
    world_run(&w, 4000);
    f->fields = "X-New: 1\r\n";
    expect(NULL, 200, "fwd=");
    expect(NULL, 200, "coral; hit");
    world_run(&w, 4000);
    expect(NULL, 200, "fwd=");
    cr_assert_eq(f->not_modified, 2);
    nothing_is_left();
}

/* --- requests (RFC 9111 5.2.1) ------------------------------------------------------------ */

Test(stale, a_reload_is_confirmed_by_the_origin)
{
    struct origin_file *f = page("Cache-Control: max-age=60\r\n");
    expect(NULL, 200, NULL);
    expect("Cache-Control: no-cache\r\n", 200, "fwd=");
    cr_assert_eq(f->not_modified, 1);
    expect("Pragma: no-cache\r\n", 200, "fwd=");
    cr_assert_eq(f->not_modified, 2);
    world_run(&w, 2000);
    expect("Cache-Control: max-age=0\r\n", 200, "fwd=");
    cr_assert_eq(f->not_modified, 3);
    expect("Cache-Control: max-age=10\r\n", 200, "coral; hit");
    expect("Cache-Control: min-fresh=100\r\n", 200, "fwd=");
    cr_assert_eq(f->requests, 5);
    w.origin[0].up = false; /* it only prefers: better this than an error */
    expect("Cache-Control: no-cache\r\n", 200, "detail=stale");
    nothing_is_left();
}

Test(stale, many_reloads_are_one_at_the_origin)
{
    struct origin_file *f = page("Cache-Control: max-age=60\r\n");
    expect(NULL, 200, NULL);
    f->delay_ms = 100;
    for (unsigned i = 0; i < MANY; i++)
        client_get(&w, &many[i], 0, i % 2, "www.site.test", "/a", "Cache-Control: no-cache\r\n");
    world_run(&w, 500);
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert(client_parse(&many[i]) && many[i].whole && many[i].head.status == 200);
        client_free(&many[i]);
    }
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

Test(stale, only_if_cached_never_asks)
{
    struct origin_file *f = page("Cache-Control: max-age=2\r\n");
    expect("Cache-Control: only-if-cached\r\n", 504, NULL);
    cr_assert_eq(f->requests, 0);
    expect(NULL, 200, NULL);
    expect("Cache-Control: only-if-cached\r\n", 200, "coral; hit");
    world_run(&w, 4000);
    expect("Cache-Control: only-if-cached\r\n", 504, NULL);
    expect("Cache-Control: only-if-cached, max-stale=60\r\n", 200, "detail=max-stale");
    cr_assert_eq(f->requests, 1);
    nothing_is_left();
}

Test(stale, no_store_leaves_nothing_stored)
{
    struct origin_file *f = page("Cache-Control: max-age=60\r\n");
    expect("Cache-Control: no-store\r\n", 200, "stored=?0");
    expect("Cache-Control: no-store\r\n", 200, "stored=?0");
    cr_assert_eq(f->requests, 2);
    expect(NULL, 200, "fwd=miss");
    expect("Cache-Control: no-store\r\n", 200, "coral; hit");
    cr_assert_eq(f->requests, 3);
    nothing_is_left();
}

Test(stale, immutable_is_not_asked_about_again)
{
    struct origin_file *f = page("Cache-Control: max-age=60, immutable\r\n");
    expect(NULL, 200, NULL);
    world_run(&w, 2000);
    expect("Cache-Control: max-age=0\r\n", 200, "coral; hit");
    cr_assert_eq(f->requests, 1);
    nothing_is_left();
}

/* --- RFC 9213 ----------------------------------------------------------------------------- */

Test(stale, a_field_for_this_cache_governs_and_is_sent_on)
{
    struct client c;
    struct origin_file *f = page("Cache-Control: no-store\r\nCDN-Cache-Control: max-age=60\r\n");
    expect(NULL, 200, NULL);
    cr_assert_eq(get(&c, NULL, 9), 200);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "coral; hit; ttl="));
    cr_assert_str_eq(client_field(&c, "Cache-Control"), "no-store");
    cr_assert_str_eq(client_field(&c, "CDN-Cache-Control"), "max-age=60");
    client_free(&c);
    cr_assert_eq(f->requests, 1);
    nothing_is_left();
}

/* RFC 9211: what each answer says of itself. */
Test(stale, cache_status_gives_the_reason)
{
    static const struct {
        unsigned after_s;
        const char *fields, *says;
    } rows[] = {
        {0, NULL, "coral; fwd=miss; ttl=60; stored; detail=origin"},
        {20, NULL, "coral; hit; ttl=40"},
        {1, "Cache-Control: no-cache\r\n",
         "coral; fwd=request; fwd-status=304; ttl=60; detail=origin"},
        {61, NULL, "coral; fwd=stale; fwd-status=304; ttl=60; detail=origin"},
        {1, "Cache-Control: no-store\r\n", "coral; hit; ttl=59"},
        {1, "Authorization: Basic QQ==\r\n", "coral; fwd=bypass; stored=?0; detail=pass"},
    };
    struct client c;
    origin_add(&w.origin[0], (struct origin_file){.path = "/a",
                                                  .length = 1000,
                                                  .salt = 9,
                                                  .etag = "\"1\"",
                                                  .fields = "Cache-Control: max-age=60\r\n"});
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        world_run(&w, rows[i].after_s * 1000);
        cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", rows[i].fields), 200);
        cr_assert_str_eq(client_field(&c, "Cache-Status"), rows[i].says, "%u: %s", i,
                         client_field(&c, "Cache-Status"));
        client_free(&c);
    }
}
