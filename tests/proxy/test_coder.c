/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies that are gzipped on their way into the cache: who gets them, and that they are right. */
#include <criterion/criterion.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SEED   20261129u
#define MANY   40
#define CHROME "Accept-Encoding: gzip, deflate, br, zstd\r\n"
#define GZIP   "Accept-Encoding: gzip\r\n"
#define PLAIN  ""
#define TEXT   "Content-Type: text/html; charset=utf-8\r\nCache-Control: max-age=60\r\n"

static struct world w;
static struct client many[MANY];

static void compress(unsigned node)
{
    struct proxy_site *site = &w.node[node].site[0];
    site->compress = 2;
    snprintf(site->compress_type[0], sizeof(site->compress_type[0]), "text/*");
    snprintf(site->compress_type[1], sizeof(site->compress_type[1]), "application/*+json");
}

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
    compress(0);
    compress(1);
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(coder, .init = open_world, .fini = close_world);

static struct origin_file *page(struct origin_file f)
{
    if (!f.path)
        f.path = "/a";
    if (!f.fields)
        f.fields = TEXT;
    if (!f.length)
        f.length = 100000;
    f.salt = 5;
    return origin_add(&w.origin[0], f);
}

/* The body is the gzip of the origin's. */
static bool is_gzip_of(const struct client *c, uint64_t length)
{
    static struct inflate_state z;
    uint8_t *out = malloc(length + 1);
    isal_inflate_init(&z);
    z.crc_flag = ISAL_GZIP;
    z.next_in = c->body;
    z.avail_in = (uint32_t)c->body_len;
    z.next_out = out;
    z.avail_out = (uint32_t)length + 1;
    bool good = isal_inflate(&z) == ISAL_DECOMP_OK && z.block_state == ISAL_BLOCK_FINISH &&
                z.avail_in == 0 && z.total_out == length;
    for (uint64_t i = 0; good && i < length; i++)
        good = out[i] == origin_byte(5, i);
    free(out);
    return good;
}

static void get(struct client *c, unsigned node, const char *path, const char *fields)
{
    cr_assert_eq(world_get(&w, c, node, "www.site.test", path, fields), 200, "%s %s", path, fields);
}

static bool field_is(const struct client *c, const char *name, const char *value)
{
    const char *is = client_field(c, name);
    return is ? strcmp(is, value) == 0 : !*value;
}

static void expect_gzip(unsigned node, const char *path, const char *fields, uint64_t length,
                        const char *cache_status)
{
    struct client c;
    get(&c, node, path, fields);
    cr_assert(field_is(&c, "Content-Encoding", "gzip"), "%s %s", path, fields);
    cr_assert(field_is(&c, "Vary", "Accept-Encoding"), "%s", client_field(&c, "Vary"));
    cr_assert(is_gzip_of(&c, length), "%s %s", path, fields);
    cr_assert(strstr(client_field(&c, "Cache-Status"), cache_status), "%s",
              client_field(&c, "Cache-Status"));
    client_free(&c);
}

static void expect_plain(unsigned node, const char *path, const char *fields, uint64_t length,
                         const char *vary)
{
    struct client c;
    get(&c, node, path, fields);
    cr_assert(field_is(&c, "Content-Encoding", ""), "%s %s", path, fields);
    cr_assert(field_is(&c, "Vary", vary), "%s: %s", path, client_field(&c, "Vary"));
    cr_assert(client_body_is(&c, 5, 0, length), "%s %s", path, fields);
    client_free(&c);
}

static uint64_t counter(unsigned node, size_t at)
{
    return world_count(&w, node, at);
}
#define COUNT(node, name) counter(node, offsetof(struct proxy_counters, name))

/* --- who gets it ------------------------------------------------------------------------------ */

Test(coder, once_for_all_who_accept_it)
{
    struct origin_file *f = page((struct origin_file){.etag = "\"1\""});
    expect_gzip(0, "/a", CHROME, 100000, "; fwd=miss");
    expect_gzip(0, "/a", CHROME, 100000, "; hit");
    expect_gzip(0, "/a", "Accept-Encoding: br;q=1, gzip;q=0.5\r\n", 100000, "; hit");
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(COUNT(0, proxy_coded_total), 1);
    cr_assert_eq(COUNT(0, proxy_coded_in_bytes_total), 100000);
    expect_gzip(0, "/a", GZIP, 100000, "; hit");
    cr_assert_eq(f->requests, 1);
}

/* One who accepts more may be given what one who accepts less was not. */
Test(coder, who_accepts_more_asks_anew)
{
    struct origin_file *f = page((struct origin_file){.etag = "\"1\""});
    expect_gzip(0, "/a", GZIP, 100000, "; fwd=miss");
    expect_gzip(0, "/a", CHROME, 100000, "; fwd=vary-miss");
    cr_assert_eq(f->requests, 2);
}

Test(coder, etags_are_weak_for_what_is_coded_and_confirm_it)
{
    struct client c;
    page((struct origin_file){.etag = "\"1\""});
    get(&c, 0, "/a", GZIP);
    cr_assert(field_is(&c, "ETag", "W/\"1\""), "%s", client_field(&c, "ETag"));
    client_free(&c);
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a", GZIP "If-None-Match: W/\"1\"\r\n"),
                 304);
    cr_assert(field_is(&c, "Vary", "Accept-Encoding"));
    client_free(&c);
    get(&c, 0, "/a", PLAIN "Cache-Control: no-transform\r\n");
    cr_assert(field_is(&c, "ETag", "\"1\""), "the plain one's is as strong as it was");
    client_free(&c);
}

Test(coder, what_is_left_as_it_is)
{
    static const struct {
        const char *fields;
        unsigned length;
    } t[] = {
        {"Cache-Control: max-age=60\r\n", 0}, /* of no type */
        {"Content-Type: image/png\r\nCache-Control: max-age=60\r\n", 0},
        {"Content-Type: application/json\r\nCache-Control: max-age=60\r\n", 0},
        {"Content-Type: text/html\r\nCache-Control: max-age=60, no-transform\r\n", 0},
        {"Content-Type: text/html\r\nDigest: sha-256=x\r\nCache-Control: max-age=60\r\n", 0},
        {"Content-Type: text/html\r\nContent-MD5: x\r\nCache-Control: max-age=60\r\n", 0},
        {TEXT, 859},
        {"Content-Type: text/html\r\nCache-Control: no-store\r\n", 0},
    };
    static char path[8][8];
    for (unsigned i = 0; i < 8; i++) {
        snprintf(path[i], sizeof(path[i]), "/%u", i);
        page((struct origin_file){.path = path[i], .fields = t[i].fields, .length = t[i].length});
        expect_plain(0, path[i], GZIP, t[i].length ? t[i].length : 100000, "");
    }
    cr_assert_eq(COUNT(0, proxy_coded_total), 0);
}

Test(coder, types_and_least_lengths_that_are_coded)
{
    page((struct origin_file){.path = "/least", .length = 860});
    expect_gzip(0, "/least", GZIP, 860, "; fwd=miss");
    page((struct origin_file){.path = "/json",
                              .fields = "content-type: Application/LD+JSON ;x=y\r\n"
                                        "Cache-Control: max-age=60\r\n"});
    expect_gzip(0, "/json", GZIP, 100000, "; fwd=miss");
    page((struct origin_file){.path = "/told", .length = 10, .chunked = true});
    expect_gzip(0, "/told", GZIP, 10, "; fwd=miss"); /* of no length */
    page((struct origin_file){.path = "/empty", .length = 1, .chunked = true});
    expect_gzip(0, "/empty", GZIP, 1, "; fwd=miss");
}

/* RFC 9111 5.2.1.6, in a request. */
Test(coder, who_wants_nothing_transformed)
{
    static const char unchanged[] = GZIP "Cache-Control: no-transform\r\n";
    struct origin_file *f = page((struct origin_file){.etag = "\"1\""});
    page((struct origin_file){.path = "/b"});
    expect_gzip(0, "/a", GZIP, 100000, "; fwd=miss");
    expect_plain(0, "/a", unchanged, 100000, "Accept-Encoding");
    expect_plain(0, "/a", PLAIN, 100000, "Accept-Encoding");
    expect_gzip(0, "/a", GZIP, 100000, "; hit");
    world_run(&w, 500);
    expect_plain(1, "/a", unchanged, 100000, "Accept-Encoding");
    cr_assert_eq(f->requests, 2);
    expect_plain(0, "/b", unchanged, 100000, "Accept-Encoding");
    expect_gzip(0, "/b", GZIP, 100000, "; fwd");
}

/* It could never be ours there: what the origin codes is welcome. */
Test(coder, nothing_transformed_where_nothing_would_be)
{
    struct client c;
    w.node[0].site[0].compress = 0;
    page((struct origin_file){.fields = TEXT "Content-Encoding: br\r\n", .when = "br, gzip"});
    get(&c, 0, "/a", CHROME "Cache-Control: no-transform\r\n");
    cr_assert(field_is(&c, "Content-Encoding", "br"));
    client_free(&c);
}

/* The origin's own coding is its affair, also where it varies by more. */
Test(coder, what_the_origin_codes_or_varies)
{
    struct client c;
    page((struct origin_file){.fields = TEXT "Content-Encoding: br\r\n", .when = "br, gzip"});
    page((struct origin_file){.fields = TEXT "Vary: Kind\r\n"});
    get(&c, 0, "/a", CHROME);
    cr_assert(field_is(&c, "Content-Encoding", "br"));
    cr_assert(client_body_is(&c, 5, 0, 100000));
    client_free(&c);
    get(&c, 0, "/a", GZIP "Kind: a\r\n");
    cr_assert(field_is(&c, "Content-Encoding", "gzip") && is_gzip_of(&c, 100000));
    client_free(&c);
    cr_assert_eq(COUNT(0, proxy_coded_total), 1);
}

Test(coder, sites_that_do_not_ask_for_it_and_open_mode)
{
    w.node[0].site[0].compress = 0;
    page((struct origin_file){0});
    expect_plain(0, "/a", GZIP, 100000, "");
    origin_add(&w.origin[1],
               (struct origin_file){.path = "/b", .length = 5000, .salt = 5, .fields = TEXT});
    struct client c;
    w.node[1].policy.open = true;
    if (world_get(&w, &c, 1, "www.public.test.coral.test", "/b", GZIP) == 200)
        cr_assert(client_body_is(&c, 5, 0, 5000));
    client_free(&c);
}

/* --- on the way ------------------------------------------------------------------------------- */

Test(coder, many_wait_for_one_and_get_the_same_bytes)
{
    struct origin_file *f = page((struct origin_file){.length = 3000000, .chunked = true});
    for (unsigned i = 0; i < MANY; i++)
        client_get(&w, &many[i], 0, i % 2, "www.site.test", "/a", GZIP);
    world_run(&w, 2000);
    for (unsigned i = 0; i < MANY; i++) {
        cr_assert(client_wait(&many[i], 5000));
        cr_assert_eq(many[i].body_len, many[0].body_len);
        cr_assert_arr_eq(many[i].body, many[0].body, many[0].body_len);
    }
    cr_assert(is_gzip_of(&many[0], 3000000));
    for (unsigned i = 0; i < MANY; i++)
        client_free(&many[i]);
    cr_assert_eq(f->requests, 1);
}

/* However it comes, the same body makes the same bytes: a range of one may be put to another's. Its
 * length is one at which it is flushed. */
Test(coder, the_same_bytes_in_whatever_pieces)
{
    static const unsigned rates[] = {0, 13, 1000, 4095, 4096, 16385, 30000};
    static char path[7][8];
    struct client first, c;
    for (unsigned i = 0; i < 7; i++) {
        snprintf(path[i], sizeof(path[i]), "/%u", i);
        page((struct origin_file){
            .path = path[i], .length = (28 + 5 * 32) * 1024, .rate = rates[i], .chunked = i % 2});
        get(i ? &c : &first, i % 2, path[i], GZIP);
        if (!i)
            continue;
        cr_assert(is_gzip_of(&c, (28 + 5 * 32) * 1024));
        cr_assert_eq(c.body_len, first.body_len);
        cr_assert_arr_eq(c.body, first.body, first.body_len, "%u bytes a ms", rates[i]);
        client_free(&c);
    }
    client_free(&first);
}

/* A body that comes slowly is heard of while it comes, by those who read along here and by those
 * who have it from us, though nobody could go on for them with the same bytes. */
static void read_along(unsigned rate, unsigned first_ms)
{
    struct client c[2];
    page((struct origin_file){.length = 30000u * rate, .rate = rate, .etag = "\"1\""});
    client_get(&w, &c[0], 0, 0, "www.site.test", "/a", GZIP);
    world_run(&w, first_ms);
    client_parse(&c[0]);
    cr_assert_gt(c[0].body_len, 1000);
    client_get(&w, &c[1], 1, 0, "www.site.test", "/a", GZIP);
    world_run(&w, 200);
    client_parse(&c[1]);
    cr_assert_gt(c[1].body_len, 1000);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert(client_wait(&c[i], 60000), "at node %u", i);
        cr_assert(is_gzip_of(&c[i], 30000u * rate));
        client_free(&c[i]);
    }
    cr_assert_eq(w.origin[0].file[0].requests, 1);
    cr_assert_eq(COUNT(1, proxy_peer_asks_total), 1);
}
Test(coder, a_slow_body_is_heard_of_while_it_comes)
{
    read_along(5, 1000);
}
Test(coder, a_very_slow_body_is_heard_of_while_it_comes)
{
    read_along(1, 4500);
}

/* The rest of the origin's bytes goes on where the coder is. */
Test(coder, a_source_that_dies_is_resumed)
{
    struct origin_file *f = page((struct origin_file){
        .etag = "\"1\"", .length = 500000, .mode = ORIGIN_RESETS, .cut = 123457, .cuts = 2});
    expect_gzip(0, "/a", GZIP, 500000, "; fwd=miss");
    cr_assert_geq(f->ranged, 1);
    expect_gzip(0, "/a", GZIP, 500000, "; hit");
}

Test(coder, a_source_that_is_cut_for_good_is_nobody_s_whole)
{
    struct client c;
    page((struct origin_file){.length = 500000, .mode = ORIGIN_CLOSES, .cut = 123457});
    cr_assert_neq(world_get(&w, &c, 0, "www.site.test", "/a", GZIP), 200);
    client_free(&c);
    world_run(&w, 100);
    cr_assert_eq(COUNT(0, proxy_fills), 0);
}

Test(coder, a_304_leaves_it_as_it_is)
{
    struct origin_file *f = page((struct origin_file){
        .etag = "\"1\"", .fields = "Content-Type: text/css\r\nCache-Control: max-age=1\r\n"});
    struct client c;
    expect_gzip(0, "/a", GZIP, 100000, "; fwd=miss");
    world_run(&w, 3000);
    expect_gzip(0, "/a", GZIP, 100000, "");
    cr_assert_eq(f->not_modified, 1);
    cr_assert(strstr(f->last_request, "If-None-Match: W/\"1\""));
    get(&c, 0, "/a", GZIP);
    cr_assert(field_is(&c, "ETag", "W/\"1\""), "%s", client_field(&c, "ETag"));
    client_free(&c);
    cr_assert_eq(COUNT(0, proxy_coded_total), 1);
}

/* RFC 9111 4.3.4: another strong ETag than the one that it was made of confirms nothing. */
Test(coder, a_304_of_something_else_is_refused)
{
    struct client c;
    struct origin_file *f = page(
        (struct origin_file){.etag = "\"1\"",
                             .says_etag = "\"2\"",
                             .fields = "Content-Type: text/css\r\nCache-Control: max-age=1\r\n"});
    expect_gzip(0, "/a", GZIP, 100000, "; fwd=miss");
    world_run(&w, 3000);
    get(&c, 0, "/a", GZIP);
    cr_assert(field_is(&c, "ETag", "W/\"1\""), "%s", client_field(&c, "ETag"));
    cr_assert(is_gzip_of(&c, 100000));
    client_free(&c);
    cr_assert_eq(f->not_modified, 1);
    cr_assert_eq(f->requests, 3);
}

Test(coder, peers_get_what_was_coded_once)
{
    struct origin_file *f = page((struct origin_file){.etag = "\"1\""});
    expect_gzip(0, "/a", GZIP, 100000, "; fwd=miss");
    world_run(&w, 500);
    expect_gzip(1, "/a", GZIP, 100000, "detail=peer");
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(COUNT(1, proxy_coded_total), 0);
    expect_gzip(1, "/a", GZIP, 100000, "; hit");
}

/* Fills wait for memory with a coder as without, also for its last bytes. */
Test(coder, a_cache_that_is_full_all_the_time)
{
    static char path[24][8];
    world_close(&w);
    world_open_sized(&w, 1, 1, SEED, 4u << 20, 0, 0);
    compress(0);
    for (unsigned i = 0; i < 24; i++) {
        snprintf(path[i], sizeof(path[i]), "/%u", i);
        page((struct origin_file){.path = path[i], .length = 600000 + i, .chunked = i % 2});
    }
    for (unsigned i = 0; i < 24; i += 3) {
        for (unsigned k = i; k < i + 3; k++)
            client_get(&w, &many[k], 0, 0, "www.site.test", path[k], GZIP);
        for (unsigned k = i; k < i + 3; k++) {
            cr_assert(client_wait(&many[k], 30000), "%s", path[k]);
            cr_assert(is_gzip_of(&many[k], 600000 + k), "%s", path[k]);
            client_free(&many[k]);
        }
    }
    cr_assert_gt(counter_read(&cache_counters(w.node[0].cache, 0)->cache_evicted_total), 10);
}

/* By its date two codings are the same, and parts of them do not fit together. */
Test(coder, a_date_is_no_validator_of_a_coded_body)
{
    struct client c;
    page((struct origin_file){.etag = "\"1\"",
                              .fields = TEXT "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n"});
    get(&c, 0, "/a", GZIP);
    cr_assert_str_eq(client_field(&c, "ETag"), "W/\"1\"");
    client_free(&c);
    get(&c, 0, "/a", GZIP "Range: bytes=50-99\r\nIf-Range: Tue, 14 Nov 2023 22:13:20 GMT\r\n");
    client_free(&c);
    get(&c, 0, "/a", PLAIN);
    client_free(&c);
    cr_assert_eq(world_get(&w, &c, 0, "www.site.test", "/a",
                           "Range: bytes=50-99\r\nIf-Range: Tue, 14 Nov 2023 22:13:20 GMT\r\n"),
                 206);
    client_free(&c);
}

/* What can't be stored after all goes through plain, and its coder is free for others. */
Test(coder, a_head_that_has_no_room_for_the_coding)
{
    static char fields[CACHE_HEAD_MAX];
    struct client c;
    size_t len = (size_t)snprintf(fields, sizeof(fields), TEXT "X: ");
    memset(fields + len, 'x', sizeof(fields) - 83 - len); /* with the others of the origin's */
    memcpy(fields + sizeof(fields) - 83, "\r\n", 3);
    struct origin_file *f = page((struct origin_file){.fields = fields, .length = 200000});
    for (unsigned i = 0; i < 40; i++) {
        client_get(&w, &c, 0, 0, "www.site.test", "/a", GZIP);
        world_run(&w, 500);
        const char *body = memmem(c.data, c.len, "\r\n\r\n", 4);
        cr_assert(body);
        cr_assert_eq((size_t)(c.data + c.len - (body + 4)), 200000);
        for (unsigned k = 0; k < 200000; k++)
            cr_assert_eq((uint8_t)body[4 + k], origin_byte(5, k));
        cr_assert(!memmem(c.data, (size_t)(body - c.data), "Content-Encoding", 16));
        client_free(&c);
    }
    cr_assert_eq(f->requests, 40);
    cr_assert_eq(COUNT(0, proxy_coded_total), 0);
    cr_assert_eq(COUNT(0, proxy_coders_full_total), 0);
    page((struct origin_file){.path = "/b"});
    expect_gzip(0, "/b", GZIP, 100000, "; fwd=miss");
    cr_assert_eq(COUNT(0, proxy_coded_total), 1);
}
