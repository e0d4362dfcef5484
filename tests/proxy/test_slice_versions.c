/* SPDX-License-Identifier: BSD-3-Clause */
/* Slices of a file that changes, gets stale, or is purged: no body is of two versions. */
#include "slices.h"

TestSuite(slice_versions, .init = open_world, .fini = close_world);

/* --- versions -------------------------------------------------------------------------------- */

Test(slice_versions, a_version_that_changes_between_slices_is_never_mixed)
{
    struct origin_file *f = large();
    struct client c;
    expect(MIB, MIB);
    f->etag = "\"2\"";
    f->salt = 10;
    ask(&many[0], 0, 0, range_of(MIB, 4 * MIB));
    ask(&many[1], 0, 1, NULL);
    for (unsigned i = 0; i < 2; i++) {
        client_wait(&many[i], 5000);
        if (many[i].whole) /* what began when the first had told */
            cr_assert(client_body_is(&many[i], 10, 0, LARGE));
        else
            cr_assert(many[i].closed);
    }
    cr_assert(!many[0].whole);
    for (uint64_t i = 0; i < many[0].body_len; i++)
        cr_assert_eq(many[0].body[i], origin_byte(9, MIB + i));
    for (unsigned i = 0; i < 2; i++)
        client_free(&many[i]);
    expect_at(0, 0, 10, MIB, 4 * MIB, LARGE);
    cr_assert_eq(get(&c, NULL), 200);
    cr_assert(client_body_is(&c, 10, 0, LARGE));
    client_free(&c);
    nothing_is_left();
}

Test(slice_versions, a_file_that_is_no_more_takes_its_slices_along)
{
    struct origin_file *f = large();
    struct client c;
    expect(MIB, MIB);
    f->status = 404;
    f->no_range = true;
    f->length = 3;
    cr_assert_eq(get(&c, "Range: bytes=3000000-3000000\r\n"), 404);
    client_free(&c);
    cr_assert_eq(get(&c, "Range: bytes=1048576-1048576\r\n"), 404);
    client_free(&c);
    cr_assert_eq(f->requests, 2);
    world_run(&w, 61000);
    f->status = 200;
    f->length = LARGE;
    f->no_range = false;
    expect(MIB, MIB);
    nothing_is_left();
}

Test(slice_versions, an_error_for_one_slice_is_no_end_of_the_others)
{
    struct origin_file *f = large();
    struct client c;
    expect(MIB, MIB);
    f->status = 503;
    f->no_range = true;
    f->fields = "";
    cr_assert_eq(get(&c, "Range: bytes=3000000-3000000\r\n"), 503);
    client_free(&c);
    expect(MIB + 5, MIB + 6);
    f->status = 200;
    f->no_range = false;
    f->fields = "Cache-Control: max-age=60\r\n";
    expect(3000000, 3000000);
    nothing_is_left();
}

Test(slice_versions, stale_slices_are_confirmed_by_themselves)
{
    struct origin_file *f = large();
    f->fields = "Cache-Control: max-age=2\r\n";
    expect(MIB, 2 * MIB + 9);
    cr_assert_eq(f->requests, 2);
    world_run(&w, 4000);
    expect(MIB, MIB + 9);
    cr_assert_eq(f->not_modified, 1);
    cr_assert_str_eq(f->last_range, "bytes=1048576-2097151");
    expect(2 * MIB, 2 * MIB + 9);
    cr_assert_eq(f->not_modified, 2);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_origin_in_bytes_total), 2 * MIB);
    world_run(&w, 4000);
    f->etag = "\"2\"";
    f->salt = 10;
    expect_at(0, 0, 10, MIB, MIB + 9, LARGE);
    expect_at(0, 0, 10, 2 * MIB, 2 * MIB + 9, LARGE);
    world_run(&w, 4000);
    w.origin[0].up = false; /* stale is better than an error */
    expect_at(0, 1, 10, MIB, 2 * MIB + 9, LARGE);
    nothing_is_left();
}

Test(slice_versions, one_goes_out_stale_and_is_confirmed_behind)
{
    struct origin_file *f = large();
    f->fields = "Cache-Control: max-age=2, stale-while-revalidate=60\r\n";
    expect(MIB, 2 * MIB + 9);
    world_run(&w, 4000);
    expect(MIB, 2 * MIB + 9);
    world_run(&w, 100);
    cr_assert_eq(f->not_modified, 2);
    cr_assert_eq(f->requests, 4);
    nothing_is_left();
}

Test(slice_versions, if_range_and_conditions)
{
    struct client c;
    large();
    expect(MIB, MIB);
    cr_assert_eq(get(&c, "Range: bytes=1048576-1048577\r\nIf-Range: \"1\"\r\n"), 206);
    cr_assert(client_body_is(&c, 9, MIB, 2));
    client_free(&c);
    expect_whole("Range: bytes=1048576-1048577\r\nIf-Range: \"2\"\r\n", 9, LARGE);
    expect_whole("Range: bytes=1048576-1048577\r\n"
                 "If-Range: Tue, 14 Nov 2023 22:13:20 GMT\r\n",
                 9, LARGE);
    cr_assert_eq(get(&c, "If-None-Match: \"1\"\r\n"), 304);
    cr_assert_str_eq(client_field(&c, "Content-Range"), "");
    client_free(&c);
    cr_assert_eq(get(&c, "Range: bytes=1048576-1048577\r\nIf-None-Match: \"1\"\r\n"), 304);
    client_free(&c);
    nothing_is_left();
}

Test(slice_versions, of_an_unknown_one_if_range_may_not_hold)
{
    struct origin_file *f = large();
    expect_whole("Range: bytes=1048576-1048577\r\nIf-Range: \"2\"\r\n", 9, LARGE);
    cr_assert_leq(f->requests, 7);
    nothing_is_left();
}

Test(slice_versions, heads)
{
    struct origin_file *f = large();
    struct client c;
    expect(MIB, MIB);
    client_send(&w, &c, 0, 1, "HEAD /a HTTP/1.1\r\nHost: www.site.test\r\n\r\n");
    cr_assert(client_wait(&c, 5000) && c.head.status == 200);
    cr_assert_str_eq(client_field(&c, "Content-Length"), "5243003");
    cr_assert_str_eq(client_field(&c, "Content-Range"), "");
    client_free(&c);
    cr_assert_leq(f->requests, 2);
    nothing_is_left();
}

/* --- what goes ------------------------------------------------------------------------------- */

Test(slice_versions, a_purge_takes_all)
{
    static const char url[] = "http://www.site.test/a";
    struct origin_file *f = large();
    for (unsigned turn = 0; turn < 3; turn++) {
        expect_at(0, 0, f->salt, MIB, 3 * MIB, LARGE);
        uint64_t token;
        struct cache_purge what = {turn == 2 ? CACHE_PURGE_ALL : CACHE_PURGE_PREFIX, false, url,
                                   sizeof(url) - 1};
        if (turn == 0)
            cr_assert(proxy_purge(w.node[0].worker[0].proxy, url, strlen(url), false, w.now) ||
                      proxy_purge(w.node[0].worker[1].proxy, url, strlen(url), false, w.now));
        else
            cr_assert_eq(cache_purge(w.node[0].cache, &what, &token), CACHE_PURGE_TAKEN);
        f->salt++;
        f->etag = NULL;
        world_run(&w, 20);
        f->etag = turn ? "\"3\"" : "\"2\"";
        expect_at(0, 1, f->salt, MIB, 3 * MIB, LARGE);
    }
    nothing_is_left();
}

Test(slice_versions, a_purge_in_the_middle_never_mixes)
{
    static const char url[] = "http://www.site.test/a";
    struct origin_file *f = large();
    f->rate = 20000;
    for (unsigned ms = 20; ms < 220; ms += 10) {
        ask(&many[0], 0, ms / 10 % 2, range_of(MIB, 4 * MIB - 1));
        world_run(&w, ms);
        for (unsigned i = 0; i < 2; i++)
            proxy_purge(w.node[0].worker[i].proxy, url, strlen(url), false, w.now);
        uint64_t before = f->salt++;
        f->etag = f->salt % 2 ? "\"1\"" : "\"2\"";
        client_wait(&many[0], 5000);
        if (many[0].whole)
            cr_assert(client_body_is(&many[0], before, MIB, 3 * MIB), "%u", ms);
        else
            for (uint64_t i = 0; i < many[0].body_len; i++)
                cr_assert_eq(many[0].body[i], origin_byte(before, MIB + i), "%u", ms);
        client_free(&many[0]);
        expect_at(0, 0, f->salt, 2 * MIB, 2 * MIB + 9, LARGE);
    }
    nothing_is_left();
}

Test(slice_versions, one_that_was_evicted_is_fetched_again)
{
    world_close(&w);
    world_open_sized(&w, 1, 2, SLICES_SEED, 8u << 20, 0, 0);
    struct origin_file *f = page((struct origin_file){.length = 12 * MIB, .etag = "\"1\""});
    expect_at(0, 0, 9, 0, 12 * MIB - 1, 12 * MIB); /* more than there is room for */
    unsigned before = f->requests;
    cr_assert_eq(before, 12);
    expect_at(0, 1, 9, 0, 12 * MIB - 1, 12 * MIB);
    cr_assert(f->requests > before && f->requests <= 24);
    nothing_is_left();
}

/* Whoever would not share a fill has the rest passed to him. */
Test(slice_versions, who_shows_a_credential_gets_the_rest_for_himself)
{
    struct origin_file *f = large();
    struct client c;
    expect(MIB, MIB);
    cr_assert_eq(get(&c, "X-Auth-Token: t\r\nRange: bytes=1048576-4000000\r\n"), 206);
    cr_assert(client_body_is(&c, 9, MIB, 4000001 - MIB));
    client_free(&c);
    cr_assert_eq(f->requests, 2);
    cr_assert_str_eq(f->last_range, "bytes=2097152-4000000");
    cr_assert_eq(cached(), 2);
    nothing_is_left();
}

/* The slice that is fetched ahead is refused: nobody has asked for the whole. */
Test(slice_versions, what_is_fetched_ahead_and_refused_is_left)
{
    struct client c;
    struct origin_file *f = large();
    f->rate = 1000;
    ask(&c, 0, 0, range_of(MIB, 4 * MIB));
    world_run(&w, 300);
    cr_assert_eq(f->requests, 1);
    f->says_range = "Content-Range: pages 1\r\n";
    for (unsigned i = 0; i < 100 && f->requests < 2; i++)
        world_run(&w, 10);
    cr_assert_eq(f->requests, 2);
    world_run(&w, 100);
    cr_assert_eq(f->requests, 2);
    client_free(&c);
    nothing_is_left();
}
