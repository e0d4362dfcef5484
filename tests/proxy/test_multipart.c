/* SPDX-License-Identifier: BSD-3-Clause */
/* Several ranges at once (RFC 9110 14.6): from what is whole, still comes, or is in slices. */
#include <strings.h>

#include "slices.h"

#define TYPE "Content-Type: text/plain; charset=utf-8\r\nCache-Control: max-age=60\r\n"

TestSuite(multipart, .init = open_world, .fini = close_world);

static struct origin_file *small(void)
{
    return page((struct origin_file){.length = 50000, .etag = "\"1\"", .fields = TYPE});
}

/* Takes `text` off the front. */
static bool take(const char **at, const char *end, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(end - *at) < n || memcmp(*at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

/* The body is these parts, to the byte, and the head says so. */
static void check_parts(struct client *c, const char *type, uint64_t salt, uint64_t length,
                        const struct http_span *span, unsigned n)
{
    static const char kind[] = "multipart/byteranges; boundary=";
    char boundary[80], text[300];
    cr_assert(c->whole && c->head.status == 206, "%u", c->head.status);
    cr_assert_str_eq(client_field(c, "Content-Range"), "");
    cr_assert_eq(strncmp(client_field(c, "Content-Type"), kind, strlen(kind)), 0, "%s",
                 client_field(c, "Content-Type"));
    snprintf(boundary, sizeof(boundary), "--%s", client_field(c, "Content-Type") + strlen(kind));
    const char *at = (const char *)c->body, *end = at + c->body_len;
    for (unsigned i = 0; i < n; i++) {
        snprintf(text, sizeof(text), "%s%s\r\n%s%s%sContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
                 i ? "\r\n" : "", boundary, *type ? "Content-Type: " : "", type,
                 *type ? "\r\n" : "", (unsigned long long)span[i].first,
                 (unsigned long long)span[i].last, (unsigned long long)length);
        cr_assert(take(&at, end, text), "part %u: %.200s, not %s", i, at, text);
        uint64_t len = span[i].last - span[i].first + 1;
        cr_assert_geq((uint64_t)(end - at), len);
        for (uint64_t k = 0; k < len; k++)
            cr_assert_eq((uint8_t)at[k], origin_byte(salt, span[i].first + k));
        at += len;
    }
    snprintf(text, sizeof(text), "\r\n%s--\r\n", boundary);
    cr_assert(take(&at, end, text) && at == end);
}

#define SPANS(...)                                                                                 \
    (const struct http_span[]){__VA_ARGS__},                                                       \
        sizeof((const struct http_span[]){__VA_ARGS__}) / sizeof(struct http_span)

static void expect_parts(const char *fields, uint64_t length, const struct http_span *span,
                         unsigned n)
{
    struct client c;
    get(&c, fields);
    check_parts(&c, length == 50000 ? "text/plain; charset=utf-8" : "", 9, length, span, n);
    client_free(&c);
}

/* --- of a whole ------------------------------------------------------------------------------ */

Test(multipart, ranges_in_their_order)
{
    struct origin_file *f = small();
    expect_whole(NULL, 9, 50000);
    expect_parts("Range: bytes=0-9,20000-29999\r\n", 50000, SPANS({0, 9}, {20000, 29999}));
    expect_parts("Range: bytes=20000-29999, 0-9,-1\r\n", 50000,
                 SPANS({20000, 29999}, {0, 9}, {49999, 49999}));
    expect_parts("Range: bytes=0-9,90000-,1000-1009\r\n", 50000, SPANS({0, 9}, {1000, 1009}));
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_multipart_total), 3);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_ranges_total), 3);
    nothing_is_left();
}

Test(multipart, what_the_head_keeps_and_what_it_has_anew)
{
    struct client a, b;
    small();
    expect_whole(NULL, 9, 50000);
    get(&a, "Range: bytes=0-9,20000-29999\r\n");
    get(&b, "Range: bytes=0-9,20000-29999\r\n");
    cr_assert_str_eq(client_field(&a, "ETag"), "\"1\"");
    cr_assert(strstr(client_field(&a, "Cache-Status"), "coral; hit"));
    cr_assert_eq(a.body_len, b.body_len);
    cr_assert_neq(memcmp(a.body, b.body, a.body_len), 0, "each response has its own boundary");
    client_free(&a);
    client_free(&b);
}

/* The length is exact: the next response is found behind it. */
Test(multipart, on_a_connection_that_stays)
{
    struct client c;
    small();
    get(&c, "Range: bytes=0-9,20000-29999\r\n");
    for (unsigned i = 0; i < 3; i++) {
        client_more(&c, "GET /a HTTP/1.1\r\nHost: www.site.test\r\n"
                        "Range: bytes=100-100,300-300,-5\r\n\r\n");
        cr_assert(client_wait(&c, 1000));
        check_parts(&c, "text/plain; charset=utf-8", 9, 50000,
                    SPANS({100, 100}, {300, 300}, {49995, 49999}));
    }
    client_free(&c);
}

Test(multipart, for_http_1_0)
{
    struct client c;
    small();
    client_send(&w, &c, 0, 0,
                "GET /a HTTP/1.0\r\nHost: www.site.test\r\nRange: bytes=0-9,200-209\r\n\r\n");
    client_wait(&c, 2000);
    check_parts(&c, "text/plain; charset=utf-8", 9, 50000, SPANS({0, 9}, {200, 209}));
    client_free(&c);
}

Test(multipart, one_part_is_a_plain_one)
{
    static const char *const fields[] = {"Range: bytes=100-199,90000-\r\n",
                                         "Range: bytes=150-199,100-149\r\n",
                                         "Range: bytes=100-110,190-199,105-190\r\n"};
    small();
    for (unsigned i = 0; i < 3; i++) {
        struct client c;
        cr_assert_eq(get(&c, fields[i]), 206);
        cr_assert_str_eq(client_field(&c, "Content-Range"), "bytes 100-199/50000");
        cr_assert_str_eq(client_field(&c, "Content-Type"), "text/plain; charset=utf-8");
        cr_assert(client_body_is(&c, 9, 100, 100));
        client_free(&c);
    }
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_multipart_total), 0);
}

Test(multipart, none_that_can_be_satisfied)
{
    struct client c;
    small();
    cr_assert_eq(get(&c, "Range: bytes=50000-,60000-70000,-0\r\n"), 416);
    cr_assert_str_eq(client_field(&c, "Content-Range"), "bytes */50000");
    client_free(&c);
}

Test(multipart, what_is_answered_with_the_whole)
{
    char many_ranges[400] = "Range: bytes=0-0", *at = many_ranges;
    small();
    for (unsigned i = 1; i <= HTTP_RANGES; i++)
        sprintf(at += strlen(at), ",%u-%u", 200 * i, 200 * i);
    strcat(at, "\r\n");
    expect_whole(many_ranges, 9, 50000); /* one more than there may be */
    expect_whole("Range: bytes=0-9,200-100\r\n", 9, 50000);
    expect_whole("Range: bytes=0-9,200-209\r\nIf-Range: \"0\"\r\n", 9, 50000);
    expect_parts("Range: bytes=0-9,200-209\r\nIf-Range: \"1\"\r\n", 50000,
                 SPANS({0, 9}, {200, 209}));
    struct client c;
    client_send(&w, &c, 0, 0,
                "HEAD /a HTTP/1.1\r\nHost: www.site.test\r\nRange: bytes=0-9,200-209\r\n\r\n");
    cr_assert(client_wait(&c, 1000) && c.head.status == 200);
    cr_assert_str_eq(client_field(&c, "Content-Length"), "50000");
    client_free(&c);
    cr_assert_eq(get(&c, "Range: bytes=0-9,200-209\r\nIf-None-Match: \"1\"\r\n"), 304);
    client_free(&c);
}

Test(multipart, a_type_that_is_longer_than_any_is_not_told)
{
    struct client c;
    char fields[300];
    snprintf(fields, sizeof(fields), "Content-Type: x/%0*d\r\nCache-Control: max-age=60\r\n", 150,
             1);
    page((struct origin_file){.length = 5000, .fields = fields});
    get(&c, "Range: bytes=0-9,200-209\r\n");
    check_parts(&c, "", 9, 5000, SPANS({0, 9}, {200, 209}));
    client_free(&c);
}

/* Wherever the queue is full: also within what stands between two parts. */
Test(multipart, who_reads_slowly)
{
    page((struct origin_file){.length = 400000, .etag = "\"1\"", .fields = TYPE});
    expect_whole(NULL, 9, 400000);
    for (unsigned i = 0; i < 120; i++) {
        struct client c;
        char fields[128];
        struct http_span s[] = {{0, PIPE_QUEUE - 600 + 10 * i}, {200000, 200000}, {300000, 399999}};
        snprintf(fields, sizeof(fields), "Range: bytes=0-%llu,200000-200000,300000-\r\n",
                 (unsigned long long)s[0].last);
        ask(&c, 0, i % 2, fields);
        c.paused = true;
        world_run(&w, 5);
        c.paused = false;
        stream_resume(&c.pipe->a.s);
        client_wait(&c, 1000);
        check_parts(&c, "text/plain; charset=utf-8", 9, 400000, s, 3);
        client_free(&c);
    }
    nothing_is_left();
}

/* --- of what still comes --------------------------------------------------------------------- */

Test(multipart, while_it_comes)
{
    struct origin_file *f =
        page((struct origin_file){.length = 400000, .etag = "\"1\"", .fields = TYPE, .rate = 4000});
    ask(&many[2], 0, 0, NULL);
    world_run(&w, 10);
    for (unsigned i = 0; i < 2; i++)
        ask(&many[i], 0, i, "Range: bytes=300000-399999,0-9,200000-250000\r\n");
    for (unsigned i = 0; i < 2; i++) {
        client_wait(&many[i], 1000);
        check_parts(&many[i], "text/plain; charset=utf-8", 9, 400000,
                    SPANS({300000, 399999}, {0, 9}, {200000, 250000}));
    }
    cr_assert(client_wait(&many[2], 1000) && client_body_is(&many[2], 9, 0, 400000));
    for (unsigned i = 0; i < 3; i++)
        client_free(&many[i]);
    cr_assert_eq(f->requests, 1);
    nothing_is_left();
}

Test(multipart, what_comes_without_a_length_goes_whole)
{
    page((struct origin_file){.length = 400000, .fields = TYPE, .rate = 4000, .chunked = true});
    ask(&many[0], 0, 0, NULL);
    world_run(&w, 10);
    expect_whole("Range: bytes=0-9,200-209\r\n", 9, 400000);
    client_free(&many[0]);
    struct client c;
    get(&c, "Range: bytes=0-9,200-209\r\n");
    check_parts(&c, "text/plain; charset=utf-8", 9, 400000, SPANS({0, 9}, {200, 209}));
    client_free(&c);
    nothing_is_left();
}

Test(multipart, a_source_that_breaks_off_breaks_the_response)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){
        .length = 400000, .fields = TYPE, .rate = 4000, .mode = ORIGIN_RESETS, .cut = 250000});
    ask(&c, 0, 0, NULL);
    world_run(&w, 10);
    ask(&many[0], 0, 1, "Range: bytes=0-9,200000-299999\r\n");
    client_wait(&many[0], 3000);
    cr_assert(many[0].closed && !many[0].whole);
    cr_assert_geq(f->requests, 1);
    client_free(&c);
    client_free(&many[0]);
    nothing_is_left();
}

/* The origin, asked for the same, says what it likes. */
Test(multipart, what_is_far_ahead_is_passed_on)
{
    struct client c;
    world_close(&w);
    world_open_sized(&w, 1, 2, SLICES_SEED, 64u << 20, 0, 0);
    struct origin_file *f =
        page((struct origin_file){.length = 14 * MIB, .etag = "\"1\"", .rate = 20000});
    ask(&c, 0, 0, NULL);
    world_run(&w, 50);
    ask(&many[0], 0, 1, "Range: bytes=0-9,13000000-13000009\r\n");
    world_run(&w, 20);
    cr_assert_str_eq(f->last_range, "bytes=0-9,13000000-13000009");
    cr_assert_eq(f->requests, 2);
    client_free(&many[0]);
    client_free(&c);
    nothing_is_left();
}

/* --- of slices ------------------------------------------------------------------------------- */

Test(multipart, of_what_nobody_knows_its_slices_alone_are_fetched)
{
    struct origin_file *f = large();
    expect_parts("Range: bytes=4500000-4500009,1500000-1500009\r\n", LARGE,
                 SPANS({4500000, 4500009}, {1500000, 1500009}));
    cr_assert_eq(f->requests, 2);
    expect_parts("Range: bytes=1500000-1500009,4500000-4500009\r\n", LARGE,
                 SPANS({1500000, 1500009}, {4500000, 4500009}));
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_slices_total), 2);
    nothing_is_left();
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_origin_in_bytes_total), 2 * MIB);
}

Test(multipart, from_slice_to_slice_within_a_part_and_back)
{
    struct origin_file *f = large();
    expect_parts("Range: bytes=1048000-3146000,5-6,-100,4000000-4000000\r\n", LARGE,
                 SPANS({1048000, 3146000}, {5, 6}, {LARGE - 100, LARGE - 1}, {4000000, 4000000}));
    cr_assert_leq(f->requests, 6);
    expect_parts("Range: bytes=0-0,1048576-1048576,2097152-2097152,3145728-3145728\r\n", LARGE,
                 SPANS({0, 0}, {MIB, MIB}, {2 * MIB, 2 * MIB}, {3 * MIB, 3 * MIB}));
    nothing_is_left();
}

Test(multipart, several_in_one_slice)
{
    struct origin_file *f = large();
    expect_parts("Range: bytes=1048576-1048576,2000000-2000000,1500000-1500000\r\n", LARGE,
                 SPANS({MIB, MIB}, {2000000, 2000000}, {1500000, 1500000}));
    cr_assert_eq(f->requests, 1);
    struct client c;
    cr_assert_eq(get(&c, "Range: bytes=5300000-,6000000-\r\n"), 416);
    cr_assert_str_eq(client_field(&c, "Content-Range"), "bytes */5243003");
    client_free(&c);
    nothing_is_left();
}

Test(multipart, parts_are_never_of_two_versions)
{
    struct client c;
    struct origin_file *f = large();
    expect(MIB, MIB);
    f->etag = "\"2\"";
    f->salt = 10;
    get(&c, "Range: bytes=1048576-1048576,4500000-4500009\r\n");
    cr_assert(c.closed && !c.whole);
    client_free(&c);
    get(&c, "Range: bytes=1048576-1048576,4500000-4500009\r\n");
    check_parts(&c, "", 10, LARGE, SPANS({MIB, MIB}, {4500000, 4500009}));
    client_free(&c);
    nothing_is_left();
}

Test(multipart, who_leaves_at_any_moment)
{
    struct origin_file *f = large();
    f->rate = 100000;
    for (unsigned ms = 1; ms < 60; ms += 4) {
        w.ring_room = ms % 3 ? WORLD_RING : 1;
        for (unsigned i = 0; i < 4; i++)
            ask(&many[i], 0, i % 2, "Range: bytes=4000000-4500000,0-99,1048000-2048000\r\n");
        world_run(&w, ms);
        client_leave(&many[ms % 4]);
        world_run(&w, 600);
        for (unsigned i = 0; i < 4; i++) {
            client_parse(&many[i]);
            if (i != ms % 4)
                check_parts(&many[i], "", 9, LARGE,
                            SPANS({4000000, 4500000}, {0, 99}, {1048000, 2048000}));
            client_free(&many[i]);
        }
        const char *url = "http://www.site.test/a";
        for (unsigned i = 0; i < 2; i++)
            proxy_purge(w.node[0].worker[i].proxy, url, strlen(url), false, w.now);
        nothing_is_left();
        world_run(&w, 1);
    }
}
