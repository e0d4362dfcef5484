/* SPDX-License-Identifier: BSD-3-Clause */
/* Large objects by parts: what a range costs the origin, and what origins may answer. */
#include "slices.h"

TestSuite(slice, .init = open_world, .fini = close_world);

/* --- what is fetched ------------------------------------------------------------------------- */

Test(slice, a_range_in_the_middle_fetches_its_slice_alone)
{
    struct origin_file *f = large();
    struct client c;
    expect(1500000, 1500099);
    cr_assert_eq(f->requests, 1);
    cr_assert_str_eq(f->last_range, "bytes=1048576-2097151");
    expect(MIB, 2 * MIB - 1);
    cr_assert_eq(get(&c, "Range: bytes=1048576-1048576\r\n"), 206);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "coral; hit; ttl="));
    client_free(&c);
    cr_assert_eq(get(&c, "Range: bytes=3000000-3000000\r\n"), 206);
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=origin"));
    client_free(&c);
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(cached(), 3);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_slices_total), 2);
    nothing_is_left();
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_origin_in_bytes_total), 2 * MIB);
}

Test(slice, a_range_goes_on_from_slice_to_slice)
{
    struct origin_file *f = large();
    expect(MIB - 10, 3 * MIB + 9);
    cr_assert_eq(f->requests, 4);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_client_bytes_total), 2 * (2 * MIB + 20));
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_hits_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_from_origin_total), 1);
    expect(MIB - 1, MIB);
    cr_assert_eq(f->requests, 4);
    nothing_is_left();
}

/* A hit is what needs nobody else; where that is not known it says neither. */
Test(slice, cache_status_says_whether_all_of_it_is_there)
{
    static const struct {
        const char *range;
        const char *says;
    } t[] = {
        {"Range: bytes=1048576-1048580\r\n", "coral; hit; ttl="},
        {"Range: bytes=1048576-2097152\r\n", "coral; fwd=partial; ttl="}, /* and fetches it */
        {"Range: bytes=1048576-2097152\r\n", "coral; hit; ttl="},
        {"Range: bytes=1048576-1048580,2097152-2097160\r\n", "coral; hit; ttl="},
        {"Range: bytes=1048576-1048580,4194304-4194305\r\n", "detail=sliced"},
        {"Range: bytes=1048576-1048580,4194304-4194305\r\n", "coral; hit; ttl="},
    };
    struct client c;
    large();
    expect(MIB, MIB + 99);
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        cr_assert_eq(get(&c, t[i].range), 206);
        cr_expect(strstr(client_field(&c, "Cache-Status"), t[i].says), "%zu: %s", i,
                  client_field(&c, "Cache-Status"));
        client_free(&c);
        world_run(&w, 100);
    }
    nothing_is_left();
}

Test(slice, the_whole_is_made_of_what_is_there_and_what_is_missing)
{
    struct origin_file *f = large();
    expect(2 * MIB, 2 * MIB);
    expect_whole(NULL, 9, LARGE);
    cr_assert_eq(f->requests, 6);
    cr_assert_str_eq(f->last_range, "bytes=5242880-6291455");
    cr_assert_gt(WORLD_COUNT(&w, 0, proxy_slices_ahead_total), 2);
    expect_whole(NULL, 9, LARGE);
    expect_whole("Range: bytes=5-6,9-x\r\n", 9, LARGE);
    expect(100, LARGE - 1);
    cr_assert_eq(f->requests, 6);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_origin_in_bytes_total), LARGE);
    nothing_is_left();
}

Test(slice, the_end_is_found_when_the_length_is_known)
{
    struct origin_file *f = large();
    struct client c;
    expect(MIB, MIB);
    cr_assert_eq(get(&c, "Range: bytes=-100\r\n"), 206);
    cr_assert(client_body_is(&c, 9, LARGE - 100, 100));
    client_free(&c);
    cr_assert_str_eq(f->last_range, "bytes=5242880-6291455");
    cr_assert_eq(get(&c, "Range: bytes=5242900-\r\n"), 206);
    cr_assert(client_body_is(&c, 9, 5242900, LARGE - 5242900));
    client_free(&c);
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

Test(slice, what_fits_into_one_slice_is_kept_whole)
{
    struct origin_file *f = page((struct origin_file){.length = 5000}); /* also without an ETag */
    expect_at(0, 0, 9, 0, 99, 5000);
    expect_at(0, 1, 9, 4000, 4999, 5000);
    expect_whole(NULL, 9, 5000);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(f->ranged, 1);
    cr_assert_eq(cached(), 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_slices_total), 0);
    nothing_is_left();
}

Test(slice, from_the_first_byte_to_the_end_is_the_whole)
{
    struct origin_file *f = large();
    struct client c;
    cr_assert_eq(get(&c, "Range: bytes=0-\r\n"), 206);
    cr_assert(client_body_is(&c, 9, 0, LARGE));
    client_free(&c);
    cr_assert_eq(get(&c, "Range: bytes=-5\r\n"), 206);
    client_free(&c);
    expect(3 * MIB, 3 * MIB);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(f->ranged, 0);
    cr_assert_eq(cached(), 1);
    nothing_is_left();
}

Test(slice, those_who_ask_at_once_share)
{
    struct origin_file *f = large();
    f->delay_ms = 30;
    for (unsigned i = 0; i < MANY; i++) { /* two slices, on two workers */
        uint64_t first = i / 2 % 2 ? 4 * MIB : MIB;
        ask(&many[i], 0, i % 2, range_of(first, first + 99));
    }
    world_run(&w, 500);
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert(client_parse(&many[i]) &&
                  client_body_is(&many[i], 9, i / 2 % 2 ? 4 * MIB : MIB, 100));
        client_free(&many[i]);
    }
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

Test(slice, a_slice_that_breaks_off_goes_on_at_its_byte)
{
    struct origin_file *f = large();
    f->mode = ORIGIN_RESETS;
    f->cut = 300000;
    f->cuts = 1;
    expect(MIB + 500000, MIB + 500099);
    cr_assert_eq(f->requests, 2);
    cr_assert(strncmp(f->last_range, "bytes=13", 8) == 0 && strstr(f->last_range, "-2097151"));
    cr_assert(strstr(f->last_request, "If-Range: \"1\"\r\n"));
    nothing_is_left();
}

Test(slice, a_client_that_crawls_and_one_that_leaves)
{
    struct origin_file *f = large();
    for (unsigned i = 0; i < 2; i++)
        ask(&many[i], 0, i, range_of(1, LARGE - 1));
    for (unsigned i = 0; i < 2; i++)
        many[i].paused = true;
    world_run(&w, 500);
    cr_assert_lt(f->requests, 4);
    client_leave(&many[1]);
    many[0].paused = false;
    stream_resume(&many[0].pipe->a.s);
    cr_assert(client_wait(&many[0], 10000) && client_body_is(&many[0], 9, 1, LARGE - 1));
    for (unsigned i = 0; i < 2; i++)
        client_free(&many[i]);
    cr_assert_eq(f->requests, 6);
    nothing_is_left();
}

Test(slice, at_each_moment_a_client_may_leave)
{
    struct origin_file *f = large();
    f->rate = 100000;
    for (unsigned ms = 1; ms < 60; ms += 4) {
        w.ring_room = ms % 3 ? WORLD_RING : 1;
        for (unsigned i = 0; i < 4; i++)
            ask(&many[i], 0, i % 2, range_of(MIB - 1000 * ms, 3 * MIB + 1));
        world_run(&w, ms);
        client_leave(&many[ms % 4]);
        world_run(&w, 600);
        for (unsigned i = 0; i < 4; i++) {
            client_parse(&many[i]);
            cr_assert(i == ms % 4 ||
                          client_body_is(&many[i], 9, MIB - 1000 * ms, 2 * MIB + 2 + 1000 * ms),
                      "%u %u", ms, i);
            client_free(&many[i]);
        }
        const char *url = "http://www.site.test/a";
        for (unsigned i = 0; i < 2; i++)
            proxy_purge(w.node[0].worker[i].proxy, url, strlen(url), false, w.now);
        nothing_is_left();
        world_run(&w, 1);
    }
}

/* While the whole comes: a seek far ahead is not made to wait for all before it. */
Test(slice, who_seeks_far_ahead_of_what_has_come_fetches_for_himself)
{
    struct client c;
    world_close(&w);
    world_open_sized(&w, 1, 2, SLICES_SEED, 64u << 20, 0, 0);
    struct origin_file *f =
        page((struct origin_file){.length = 14 * MIB, .etag = "\"1\"", .rate = 20000});
    ask(&c, 0, 0, NULL);
    world_run(&w, 50);
    ask(&many[0], 0, 1, range_of(13 * MIB, 13 * MIB + 99));
    ask(&many[1], 0, 1, range_of(2 * MIB, 2 * MIB + 99));
    cr_assert(client_wait(&many[0], 50) && client_body_is(&many[0], 9, 13 * MIB, 100));
    cr_assert(strstr(client_field(&many[0], "Cache-Status"), "detail=pass"));
    cr_assert(client_wait(&many[1], 500) && client_body_is(&many[1], 9, 2 * MIB, 100));
    cr_assert(strstr(client_field(&many[1], "Cache-Status"), "coral; hit"));
    cr_assert_eq(f->requests, 2);
    cr_assert(client_wait(&c, 5000) && client_body_is(&c, 9, 0, 14 * MIB));
    client_free(&c);
    for (unsigned i = 0; i < 2; i++)
        client_free(&many[i]);
    expect_at(0, 1, 9, 13 * MIB, 13 * MIB + 99, 14 * MIB);
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

/* --- origins --------------------------------------------------------------------------------- */

Test(slice, an_origin_that_ignores_ranges_gives_the_whole)
{
    struct origin_file *f = large();
    f->no_range = true;
    expect(MIB, MIB + 99);
    expect_whole(NULL, 9, LARGE);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(cached(), 1);
    nothing_is_left();
}

/* Parts without a strong ETag can't be combined: the whole is fetched, as without ranges. */
Test(slice, without_a_strong_validator_there_are_no_slices)
{
    static const char *const etag[] = {NULL, "W/\"1\""};
    for (unsigned i = 0; i < 2; i++) {
        w.origin[0].files = 0;
        struct origin_file *f =
            page((struct origin_file){.path = i ? "/a" : "/b", .etag = etag[i]});
        f->path = "/a";
        for (unsigned k = 0; k < 4; k++)
            ask(&many[k], 0, k % 2, range_of((k + 1) * MIB, (k + 1) * MIB + 99));
        for (unsigned k = 0; k < 4; k++) {
            cr_assert(client_wait(&many[k], 5000) && many[k].head.status == 206);
            cr_assert(client_body_is(&many[k], 9, (k + 1) * MIB, 100));
            client_free(&many[k]);
        }
        cr_assert_eq(f->requests, 2);
        cr_assert_str_eq(f->last_range, "");
        cr_assert_eq(WORLD_COUNT(&w, 0, proxy_slices_refused_total), i + 1);
        cr_assert_eq(WORLD_COUNT(&w, 0, proxy_slices_total), 0);
        world_run(&w, 2);
        const char *url = "http://www.site.test/a";
        for (unsigned k = 0; k < 2; k++)
            proxy_purge(w.node[0].worker[k].proxy, url, strlen(url), false, w.now);
    }
    nothing_is_left();
}

Test(slice, what_is_too_large_to_be_kept_whole_either_is_passed_by_ranges)
{
    struct origin_file *f = page((struct origin_file){.length = 20 * MIB});
    for (unsigned k = 0; k < 4; k++)
        ask(&many[k], 0, k % 2, range_of((k + 1) * MIB, (k + 1) * MIB + 99));
    for (unsigned k = 0; k < 4; k++) {
        cr_assert(client_wait(&many[k], 5000) && many[k].head.status == 206);
        cr_assert(client_body_is(&many[k], 9, (k + 1) * MIB, 100));
        client_free(&many[k]);
    }
    cr_assert_eq(f->requests, 5);
    expect_at(0, 0, 9, 7 * MIB, 7 * MIB, 20 * MIB);
    cr_assert_eq(f->requests, 6); /* it is remembered */
    nothing_is_left();
}

Test(slice, with_an_etag_it_may_be_larger_than_any_object)
{
    struct origin_file *f = page((struct origin_file){.length = 20 * MIB, .etag = "\"1\""});
    expect_at(0, 0, 9, 17 * MIB + 5, 18 * MIB + 4, 20 * MIB);
    expect_at(0, 1, 9, 17 * MIB + 5, 18 * MIB + 4, 20 * MIB);
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

/* Two of a third of the memory fill, for the third there is no room: who wants a part gets that. */
Test(slice, a_part_of_what_has_no_place_beside_others_is_passed)
{
    struct client others[2], c;
    world_close(&w);
    world_open_sized(&w, 1, 1, SLICES_SEED, 16 * MIB, 0, 0);
    for (unsigned i = 0; i < 2; i++) {
        origin_add(&w.origin[0], (struct origin_file){.path = i ? "/1" : "/2",
                                                      .length = LARGE,
                                                      .salt = 9,
                                                      .rate = 1000,
                                                      .fields = "Cache-Control: max-age=60\r\n"});
        client_get(&w, &others[i], 0, 0, "www.site.test", i ? "/1" : "/2", NULL);
    }
    struct origin_file *f = page((struct origin_file){.path = "/a"});
    world_run(&w, 100);
    cr_assert_eq(get(&c, "Range: bytes=-100\r\n"), 206);
    cr_assert(client_body_is(&c, 9, LARGE - 100, 100));
    client_free(&c);
    cr_assert_str_eq(f->last_range, "bytes=-100");
    expect_whole(NULL, 9, LARGE);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(client_wait(&others[i], 60000) && client_body_is(&others[i], 9, 0, LARGE));
        client_free(&others[i]);
    }
    expect_whole(NULL, 9, LARGE);
    expect_whole(NULL, 9, LARGE);
    cr_assert_eq(f->requests, 4, "two to find out, one for each");
    nothing_is_left();
}

Test(slice, what_varies_is_not_sliced)
{
    struct origin_file *f = large();
    f->fields = "Cache-Control: max-age=60\r\nVary: Origin\r\n";
    expect(MIB, MIB + 99);
    cr_assert_eq(f->requests, 2);
    cr_assert_str_eq(f->last_range, "");
    expect_whole(NULL, 9, LARGE);
    cr_assert_eq(f->requests, 2);
    nothing_is_left();
}

/* A site's types that are gzipped here are so whatever is asked for first. */
Test(slice, what_is_gzipped_here_is_not_sliced)
{
    struct proxy_site *site = &w.node[0].site[0];
    struct client c;
    site->compress = 1;
    snprintf(site->compress_type[0], sizeof(site->compress_type[0]), "text/*");
    for (unsigned i = 0; i < 2; i++) {
        struct origin_file *f = page((struct origin_file){
            .path = i ? "/large" : "/small",
            .etag = "\"1\"",
            .length = i ? LARGE : 5000,
            .fields = "Cache-Control: max-age=60\r\nContent-Type: text/plain\r\n"});
        cr_assert_eq(world_get(&w, &c, 0, "www.site.test", f->path, range_of(10, 19)), 206);
        cr_assert(client_body_is(&c, 9, 10, 10));
        client_free(&c);
        cr_assert_eq(f->requests, i + 1);
        cr_assert_eq(world_get(&w, &c, 0, "www.site.test", f->path, "Accept-Encoding: gzip\r\n"),
                     200);
        cr_assert_str_eq(client_field(&c, "Content-Encoding"), "gzip");
        client_free(&c);
    }
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_slices_total), 0);
    nothing_is_left();
}

Test(slice, what_may_not_be_stored_is_passed_to_each)
{
    struct origin_file *f = large();
    f->fields = "Cache-Control: no-store\r\n";
    f->delay_ms = 10;
    for (unsigned k = 0; k < 4; k++)
        ask(&many[k], 0, k % 2, range_of((k + 1) * MIB, (k + 1) * MIB + 99));
    for (unsigned k = 0; k < 4; k++) {
        cr_assert(client_wait(&many[k], 5000) && many[k].head.status == 206);
        cr_assert(client_body_is(&many[k], 9, (k + 1) * MIB, 100));
        client_free(&many[k]);
    }
    cr_assert_eq(f->requests, 5);
    cr_assert_eq(cached(), 0);
    nothing_is_left();
}

Test(slice, behind_the_end_there_is_nothing)
{
    struct origin_file *f = large();
    struct client c;
    cr_assert_eq(get(&c, "Range: bytes=99999999-\r\n"), 416);
    cr_assert_str_eq(client_field(&c, "Content-Range"), "bytes */5243003");
    client_free(&c);
    cr_assert_eq(f->requests, 2); /* nothing was known of it */
    expect(0, 9);
    cr_assert_eq(get(&c, "Range: bytes=5243003-\r\n"), 416);
    cr_assert_str_eq(client_field(&c, "Content-Range"), "bytes */5243003");
    client_free(&c);
    cr_assert_eq(f->requests, 3);
    nothing_is_left();
}

Test(slice, in_open_mode_there_are_none)
{
    struct client c;
    struct origin_file *f =
        origin_add(&w.origin[1],
                   (struct origin_file){.path = "/a", .length = LARGE, .salt = 9, .etag = "\"1\""});
    world_name(&w, (struct name){"example.test", RESOLVER_OK, 1, {w.origin[1].at.ip}});
    cr_assert_eq(world_get(&w, &c, 0, "example.test.coral.test", "/a", "Range: bytes=5-6\r\n"),
                 206);
    cr_assert(client_body_is(&c, 9, 5, 2));
    client_free(&c);
    cr_assert(f->requests == 1 && f->ranged == 0);
    nothing_is_left();
}

/* What they say is not believed: right bytes, or none. */
Test(slice, origins_that_lie_about_ranges)
{
    static const char *const says[] = {"",
                                       "Content-Range: bytes 0-1048575/5243003\r\n",
                                       "Content-Range: bytes 1048576-2097151/*\r\n",
                                       "Content-Range: bytes 1048576-2097150/5243003\r\n",
                                       "Content-Range: bytes 1048576-2097152/5243003\r\n",
                                       "Content-Range: bytes 1048576-2097151/2000000\r\n",
                                       "Content-Range: bytes 1048576-2097151/1048577\r\n",
                                       "Content-Range: bytes 2097151-1048576/5243003\r\n",
                                       "Content-Range: bytes */5243003\r\n",
                                       "Content-Range: pages 1048576-2097151/5243003\r\n",
                                       "Content-Range: 1\r\n",
                                       "Content-Type: multipart/byteranges; boundary=x\r\n"};
    struct origin_file *f = large();
    struct client c;
    for (unsigned i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        char path[16];
        snprintf(path, sizeof(path), "/%u", i);
        f->path = path;
        f->says_range = says[i];
        client_get(&w, &c, 0, i % 2, "www.site.test", path, "Range: bytes=1048600-1048699\r\n");
        client_wait(&c, 5000);
        cr_assert(c.whole && c.head.status == 206, "%s", says[i]);
        cr_assert(client_body_is(&c, 9, 1048600, 100), "%s", says[i]);
        client_free(&c);
        nothing_is_left();
    }
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_slices_total), 0);
}

/* A total that is a lie makes a slice of another version than the next one: reset, and no loop. */
Test(slice, an_origin_whose_length_changes_with_each_answer)
{
    struct origin_file *f = large();
    struct client c;
    f->says_range = "Content-Range: bytes 1048576-2097151/99999999999\r\n";
    cr_assert_eq(get(&c, "Range: bytes=1048600-1048699\r\n"), 206);
    client_free(&c);
    f->says_range = NULL;
    cr_assert_eq(get(&c, "Range: bytes=1048600-4000000\r\n"), 0);
    cr_assert(c.closed);
    client_free(&c);
    expect(1048600, 4000000);
    nothing_is_left();
}

/* RFC 9111 5.2.1.7 is kept for the head; a body whose rest is not here is fetched, not broken off.
 */
Test(slice, only_if_cached_of_a_part_whose_rest_is_not_here)
{
    struct client c;
    large();
    expect(MIB, MIB + 1);
    cr_assert_eq(get(&c, "Cache-Control: only-if-cached\r\nRange: bytes=1048576-3000000\r\n"), 206);
    cr_assert(client_body_is(&c, 9, MIB, 3000001 - MIB));
    client_free(&c);
    cr_assert_eq(get(&c, "Cache-Control: only-if-cached\r\nRange: bytes=4194304-4194305\r\n"), 504);
    client_free(&c);
    nothing_is_left();
}

/* RFC 9110 14.2 */
Test(slice, a_range_is_a_gets_alone)
{
    struct client c;
    large();
    expect(MIB, MIB + 1);
    client_send(&w, &c, 0, 1,
                "HEAD /a HTTP/1.1\r\nHost: www.site.test\r\nRange: bytes=1048576-1048577\r\n\r\n");
    client_wait(&c, 5000);
    cr_assert_eq(c.head.status, 200);
    cr_assert_str_eq(client_field(&c, "Content-Range"), "");
    cr_assert_str_eq(client_field(&c, "Content-Length"), "5243003");
    client_free(&c);
    nothing_is_left();
}
