/* SPDX-License-Identifier: BSD-3-Clause */
/* What is stored as gzip, for who does not accept it: unpacked, whole or visibly not. */
#include <criterion/criterion.h>
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SEED   20261129u
#define MANY   80
#define CHROME "Accept-Encoding: gzip, deflate, br, zstd\r\n"
#define GZIP   "Accept-Encoding: gzip\r\n"
#define PLAIN  "Accept-Encoding: identity\r\n"
#define TEXT   "Content-Type: text/html; charset=utf-8\r\nCache-Control: max-age=60\r\n"
#define CODED  TEXT "Content-Encoding: gzip\r\nAccept-Ranges: bytes\r\n"
#define LENGTH 300000u

static struct world w;
static struct client many[MANY];
static uint8_t text[LENGTH], packed[2 * LENGTH]; /* text, and its gzip */
static uint32_t packed_len;

/* Returns the length. */
static uint32_t pack(const uint8_t *data, uint32_t len, uint8_t *out, uint32_t room)
{
    static struct isal_zstream z;
    isal_deflate_init(&z);
    z.gzip_flag = IGZIP_GZIP;
    z.end_of_stream = 1;
    z.next_in = (uint8_t *)(uintptr_t)data;
    z.avail_in = len;
    z.next_out = out;
    z.avail_out = room;
    cr_assert_eq(isal_deflate(&z), COMP_OK);
    cr_assert_eq(z.avail_in, 0);
    return room - z.avail_out;
}

static void open_world(void)
{
    world_open(&w, 2, 2, SEED);
    for (unsigned i = 0; i < 2; i++) {
        struct proxy_site *site = &w.node[i].site[0];
        site->compress = 1;
        snprintf(site->compress_type[0], sizeof(site->compress_type[0]), "text/*");
    }
    for (uint32_t i = 0; i < LENGTH; i++) /* some of it repeats */
        text[i] = i / 1000 % 2 ? origin_byte(5, i) : (uint8_t)('a' + i % 7 + i / 1000 % 11);
    packed_len = pack(text, LENGTH, packed, sizeof(packed));
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(gunzip, .init = open_world, .fini = close_world);

static struct origin_file *page(struct origin_file f)
{
    if (!f.path)
        f.path = "/a";
    if (!f.fields)
        f.fields = CODED;
    if (!f.body)
        f.body = packed;
    if (!f.length)
        f.length = packed_len;
    return origin_add(&w.origin[0], f);
}

static bool field_is(const struct client *c, const char *name, const char *value)
{
    const char *is = client_field(c, name);
    return is ? strcmp(is, value) == 0 : !*value;
}

static bool body_is(const struct client *c, const uint8_t *body, size_t len)
{
    return c->whole && c->body_len == len && memcmp(c->body, body, len) == 0;
}

static void ask(struct client *c, unsigned worker, const char *fields)
{
    client_get(&w, c, 0, worker, "www.site.test", "/a", fields);
}

static unsigned get(struct client *c, const char *fields)
{
    return world_get(&w, c, 0, "www.site.test", "/a", fields);
}

static void expect_plain(const char *fields, const uint8_t *body, size_t len)
{
    struct client c;
    cr_assert_eq(get(&c, fields), 200);
    cr_assert(body_is(&c, body, len));
    cr_assert(field_is(&c, "Content-Encoding", ""));
    cr_assert(field_is(&c, "Vary", "Accept-Encoding"));
    client_free(&c);
}

static void expect_packed(const char *fields)
{
    struct client c;
    cr_assert_eq(get(&c, fields), 200);
    cr_assert(body_is(&c, packed, packed_len));
    cr_assert(field_is(&c, "Content-Encoding", "gzip"));
    client_free(&c);
}

static uint64_t counter(size_t at)
{
    return world_count(&w, 0, at);
}
#define COUNT(name) counter(offsetof(struct proxy_counters, name))

static void nothing_is_left(void)
{
    world_run(&w, 200);
    uint64_t held = 0;
    for (unsigned i = 0; i < 2; i++)
        held += counter_read(&cache_counters(w.node[0].cache, i)->cache_held_objects) -
                counter_read(&cache_counters(w.node[0].cache, i)->cache_objects);
    cr_assert_eq(COUNT(proxy_requests), 0);
    cr_assert_eq(COUNT(proxy_fills), 0);
    cr_assert_eq(held, 0);
}

static void purge(void)
{
    static const char url[] = "http://www.site.test/a";
    for (unsigned i = 0; i < 2; i++)
        proxy_purge(w.node[0].worker[i].proxy, url, strlen(url), false, w.now);
    world_run(&w, 20);
}

/* --- for whom -------------------------------------------------------------------------------- */

Test(gunzip, who_does_not_accept_it_is_a_hit)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){.etag = "\"1\""});
    expect_packed(CHROME);
    expect_packed(GZIP);
    expect_plain(PLAIN, text, LENGTH);
    expect_plain("", text, LENGTH);
    expect_plain("Accept-Encoding: gzip;q=0\r\n", text, LENGTH);
    cr_assert_eq(get(&c, PLAIN), 200);
    cr_assert(field_is(&c, "ETag", "W/\"1\""));
    cr_assert(field_is(&c, "Accept-Ranges", ""));
    cr_assert(field_is(&c, "Content-Length", ""));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "coral; hit"));
    client_free(&c);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(COUNT(proxy_decoded_total), 4);
    nothing_is_left();
}

Test(gunzip, what_was_gzipped_here)
{
    struct client c;
    struct origin_file *f =
        origin_add(&w.origin[0],
                   (struct origin_file){.path = "/a", .length = 100000, .salt = 5, .fields = TEXT});
    cr_assert_eq(get(&c, CHROME), 200);
    cr_assert(field_is(&c, "Content-Encoding", "gzip"));
    client_free(&c);
    for (unsigned i = 0; i < 2; i++) {
        ask(&c, i, PLAIN);
        cr_assert(client_wait(&c, 1000) && client_body_is(&c, 5, 0, 100000));
        client_free(&c);
    }
    cr_assert_eq(f->requests, 1);
    nothing_is_left();
}

/* An origin that always says gzip. */
Test(gunzip, the_first_who_asks)
{
    struct origin_file *f = page((struct origin_file){0});
    expect_plain(PLAIN, text, LENGTH);
    expect_plain(PLAIN, text, LENGTH);
    cr_assert_eq(f->requests, 1);
    expect_packed(GZIP);
    nothing_is_left();
}

Test(gunzip, old_clients_and_heads_and_conditions)
{
    struct client c;
    page((struct origin_file){.etag = "\"1\""});
    expect_packed(CHROME);
    client_send(&w, &c, 0, 0, "GET /a HTTP/1.0\r\nHost: www.site.test\r\n\r\n");
    cr_assert(client_wait(&c, 1000) && c.eof);
    cr_assert(body_is(&c, text, LENGTH) && field_is(&c, "Transfer-Encoding", ""));
    client_free(&c);
    client_send(&w, &c, 0, 0, "HEAD /a HTTP/1.1\r\nHost: www.site.test\r\n\r\n");
    cr_assert(client_wait(&c, 1000) && c.head.status == 200);
    cr_assert(field_is(&c, "ETag", "W/\"1\"") && field_is(&c, "Content-Encoding", "") &&
              field_is(&c, "Content-Length", ""));
    client_more(&c, "GET /a HTTP/1.1\r\nHost: www.site.test\r\nIf-None-Match: W/\"1\"\r\n\r\n");
    c.to_head = false;
    cr_assert(client_wait(&c, 1000) && c.head.status == 304);
    cr_assert(field_is(&c, "ETag", "W/\"1\"") && field_is(&c, "Vary", "Accept-Encoding"));
    client_more(&c, "GET /a HTTP/1.1\r\nHost: www.site.test\r\n\r\n");
    cr_assert(client_wait(&c, 1000) && body_is(&c, text, LENGTH));
    client_more(&c, "GET /a HTTP/1.1\r\nHost: www.site.test\r\n" GZIP "\r\n");
    cr_assert(client_wait(&c, 1000) && body_is(&c, packed, packed_len));
    client_free(&c);
    nothing_is_left();
}

/* There are none of what is unpacked; the origin may have them. */
Test(gunzip, ranges_are_the_origins)
{
    struct client c;
    page((struct origin_file){.etag = "\"1\"", .when = "gzip"});
    struct origin_file *plain =
        page((struct origin_file){.etag = "\"2\"", .fields = TEXT, .body = text, .length = LENGTH});
    expect_packed(CHROME);
    cr_assert_eq(get(&c, PLAIN "Range: bytes=1000-1999\r\n"), 206);
    cr_assert(body_is(&c, text + 1000, 1000) && field_is(&c, "ETag", "\"2\""));
    client_free(&c);
    cr_assert_eq(plain->requests, 1);
    cr_assert_eq(COUNT(proxy_decoded_total), 0);
    nothing_is_left();
}
Test(gunzip, of_what_is_unpacked_there_is_no_range)
{
    struct client c;
    page((struct origin_file){.etag = "\"1\""});
    expect_plain(PLAIN, text, LENGTH);
    cr_assert_eq(get(&c, PLAIN "Range: bytes=1000-1999\r\n"), 200);
    cr_assert(body_is(&c, text, LENGTH));
    client_free(&c);
    cr_assert_eq(get(&c, GZIP "Range: bytes=1000-1999\r\n"), 206);
    cr_assert(body_is(&c, packed + 1000, 1000));
    client_free(&c);
}

Test(gunzip, what_is_left_as_it_is)
{
    static const struct {
        const char *fields, *asks;
    } t[] = {
        {"Content-Type: image/x\r\nCache-Control: max-age=60\r\nContent-Encoding: gzip\r\n", PLAIN},
        {"Cache-Control: max-age=60\r\nContent-Encoding: gzip\r\n", PLAIN},
        {CODED "Cache-Control: no-transform\r\n", PLAIN},
        {CODED "Repr-Digest: sha-256=:x:\r\n", PLAIN},
        {CODED "Content-MD5: x\r\n", PLAIN},
        {CODED, PLAIN "Cache-Control: no-transform\r\n"},
        {TEXT "Content-Encoding: gzip, gzip\r\n", PLAIN},
        {TEXT "Content-Encoding: br\r\nContent-Encoding: gzip\r\n", PLAIN},
        {CODED, PLAIN}, /* of a site that does not list the type */
    };
    static char path[9][8];
    for (unsigned i = 0; i < 9; i++) {
        struct client c;
        snprintf(path[i], sizeof(path[i]), "/%u", i);
        struct origin_file *f = page((struct origin_file){.path = path[i], .fields = t[i].fields});
        if (i == 8)
            w.node[0].site[0].compress = 0;
        for (unsigned k = 0; k < 3; k++) {
            cr_assert_eq(world_get(&w, &c, 0, "www.site.test", path[i], k ? t[i].asks : CHROME),
                         200);
            cr_assert(body_is(&c, packed, packed_len), "%u", i);
            client_free(&c);
        }
        cr_assert_eq(f->requests, 2, "%u", i); /* there is a variant for each */
    }
    cr_assert_eq(COUNT(proxy_decoded_total), 0);
    nothing_is_left();
}

/* Peers get what is stored. */
Test(gunzip, nothing_is_unpacked_for_a_peer)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){.etag = "\"1\""});
    expect_packed(CHROME);
    world_run(&w, 500);
    cr_assert_eq(world_get(&w, &c, 1, "www.site.test", "/a", PLAIN), 200);
    cr_assert(body_is(&c, text, LENGTH));
    client_free(&c);
    cr_assert_eq(COUNT(proxy_decoded_total), 0);
    cr_assert_eq(f->requests, 2);
    cr_assert_eq(world_get(&w, &c, 1, "www.site.test", "/a", CHROME), 200);
    cr_assert(body_is(&c, packed, packed_len));
    client_free(&c);
    cr_assert_eq(f->requests, 2);
}
Test(gunzip, a_peer_unpacks_for_its_own_clients)
{
    struct client c;
    struct origin_file *f = page((struct origin_file){.etag = "\"1\""});
    expect_plain(PLAIN, text, LENGTH);
    world_run(&w, 500);
    cr_assert_eq(world_get(&w, &c, 1, "www.site.test", "/a", PLAIN), 200);
    cr_assert(body_is(&c, text, LENGTH));
    cr_assert(strstr(client_field(&c, "Cache-Status"), "detail=peer"));
    client_free(&c);
    cr_assert_eq(f->requests, 1);
    cr_assert_eq(COUNT(proxy_decoded_total), 1);
    cr_assert_eq(WORLD_COUNT(&w, 1, proxy_decoded_total), 1);
}

/* Other fields that it varies by must be the same. */
Test(gunzip, of_its_own_variant_alone)
{
    static uint8_t other[1000];
    uint32_t len = pack(text + 1000, 500, other, sizeof(other));
    page((struct origin_file){
        .when = "Kind: b\r\n", .fields = CODED "Vary: Kind\r\n", .body = other, .length = len});
    page((struct origin_file){.fields = CODED "Vary: Kind\r\n"});
    struct client c;
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(get(&c, i ? PLAIN "Kind: b\r\n" : CHROME "Kind: b\r\n"), 200);
        cr_assert(i ? body_is(&c, text + 1000, 500) : body_is(&c, other, len));
        client_free(&c);
        cr_assert_eq(get(&c, i ? PLAIN "Kind: a\r\n" : CHROME "Kind: a\r\n"), 200);
        cr_assert(i ? body_is(&c, text, LENGTH) : body_is(&c, packed, packed_len));
        client_free(&c);
    }
    cr_assert_eq(w.origin[0].requests, 2);
    nothing_is_left();
}

/* --- what is no gzip ------------------------------------------------------------------------- */

/* `len` bytes at `body` are never taken for a whole; whoever accepts gzip gets them as they are. */
static void expect_broken(const uint8_t *body, uint32_t len, const char *what)
{
    struct client c;
    page((struct origin_file){.body = body, .length = len});
    for (unsigned i = 0; i < 2; i++) {
        ask(&c, i, PLAIN);
        client_wait(&c, 5000);
        cr_assert(!c.whole && c.closed && c.why == STREAM_RESET, "%s", what);
        client_free(&c);
    }
    cr_assert_eq(get(&c, GZIP), 200);
    cr_assert(body_is(&c, body, len));
    client_free(&c);
    purge();
    w.origin[0].files = 0;
    nothing_is_left();
}

Test(gunzip, what_is_damaged_never_looks_whole)
{
    static uint8_t bad[sizeof(packed)];
    for (unsigned i = 1; i <= 8; i++) { /* its CRC, its length */
        memcpy(bad, packed, packed_len);
        bad[packed_len - i] ^= 0x10;
        expect_broken(bad, packed_len, "a trailer");
    }
    for (unsigned i = 1; i < packed_len; i = i * 3 + 1)
        expect_broken(packed, packed_len - i, "truncated");
    for (unsigned i = 100; i < packed_len; i = i * 3) {
        memcpy(bad, packed, packed_len);
        bad[i] ^= 0x04;
        expect_broken(bad, packed_len, "a bit");
    }
    memcpy(bad, packed, packed_len);
    memcpy(bad + packed_len, "more", 4);
    expect_broken(bad, packed_len + 4, "more behind it");
    expect_broken(text, LENGTH, "no gzip at all");
    memcpy(bad + packed_len, packed, 20);
    expect_broken(bad, packed_len + 20, "a second member that is truncated");
}

Test(gunzip, a_source_that_breaks_off)
{
    struct client c;
    page((struct origin_file){.mode = ORIGIN_RESETS, .cut = packed_len / 2});
    ask(&c, 0, PLAIN);
    client_wait(&c, 5000);
    cr_assert(!c.whole && c.closed);
    client_free(&c);
    nothing_is_left();
}

/* --- what is ---------------------------------------------------------------------------------- */

Test(gunzip, members_fields_and_nothing)
{
    static uint8_t body[3 * LENGTH];
    static const uint8_t head[] = {
        0x1f, 0x8b, 8, 0x1e, 0, 0,   0, 0,   0,   3, 4,
        0,    1,    2, 3,    4, 'n', 0, 'c', 'o', 0}; /* EXTRA, NAME, COMMENT, HCRC */
    uint32_t len = packed_len;
    memcpy(body, packed, packed_len);
    len += pack(text, 10, body + len, 1000);
    len += pack(text, 0, body + len, 1000);
    len += pack(text + 10, LENGTH - 10, body + len, LENGTH);
    page((struct origin_file){.body = body, .length = len});
    static uint8_t twice[2 * LENGTH];
    memcpy(twice, text, LENGTH);
    memcpy(twice + LENGTH, text, LENGTH);
    expect_plain(PLAIN, twice, 2 * LENGTH);
    purge();
    w.origin[0].files = 0;

    memcpy(body, head, sizeof(head));
    uint32_t crc = crc32_gzip_refl(0, head, sizeof(head));
    memcpy(body + sizeof(head), &crc, 2);
    memcpy(body + sizeof(head) + 2, packed + 10, packed_len - 10);
    page((struct origin_file){.body = body, .length = sizeof(head) + 2 + packed_len - 10});
    expect_plain(PLAIN, text, LENGTH);
    purge();
    w.origin[0].files = 0;

    page((struct origin_file){.body = body, .length = pack(text, 0, body, 1000)});
    expect_plain(PLAIN, text, 0);
    purge();
    w.origin[0].files = 0;
    struct origin_file *f = page((struct origin_file){0});
    f->length = 0; /* says gzip, and has no body */
    expect_plain(PLAIN, text, 0);
    nothing_is_left();
}

Test(gunzip, in_whatever_pieces_it_comes)
{
    static const unsigned rates[] = {1, 2, 7, 997, 4096, 50000};
    static uint8_t body[5000];
    for (unsigned i = 0; i < 6; i++) {
        struct client c[3];
        uint32_t n = rates[i] < 100 ? 3000 : LENGTH, len = packed_len;
        if (n < LENGTH)
            len = pack(text, n, body, sizeof(body));
        page((struct origin_file){
            .body = n < LENGTH ? body : packed, .length = len, .rate = rates[i], .chunked = i % 2});
        for (unsigned k = 0; k < 3; k++)
            ask(&c[k], k % 2, k == 2 ? CHROME : PLAIN);
        for (unsigned k = 0; k < 2; k++) {
            cr_assert(client_wait(&c[k], 20000), "%u", i);
            cr_assert(body_is(&c[k], text, n), "%u", i);
        }
        client_wait(&c[2], 1000);
        for (unsigned k = 0; k < 3; k++)
            client_free(&c[k]);
        purge();
        w.origin[0].files = 0;
    }
    nothing_is_left();
}

Test(gunzip, a_header_in_pieces)
{
    static const uint8_t named[] = "\x1f\x8b\x08\x08\0\0\0\0\0\x03index.html";
    static const uint8_t all[] = "\x1f\x8b\x08\x1e\0\0\0\0\0\x03\4\0\1\2\3\4name\0comment";
    static uint8_t part[1000], body[3000];
    const uint32_t n = pack(text, 500, part, sizeof(part)) - 10,
                   crc = crc32_gzip_refl(0, all, sizeof(all));
    uint32_t len = 0;
    for (unsigned i = 0; i < 2; i++) { /* two members of it */
        memcpy(body + len, named, sizeof(named));
        memcpy(body + len + sizeof(named), part + 10, n);
        len += (uint32_t)sizeof(named) + n;
        memcpy(body + len, all, sizeof(all));
        memcpy(body + len + sizeof(all), &crc, 2);
        memcpy(body + len + sizeof(all) + 2, part + 10, n);
        len += (uint32_t)sizeof(all) + 2 + n;
    }
    uint8_t four[2000];
    for (unsigned i = 0; i < 4; i++)
        memcpy(four + i * 500, text, 500);
    for (unsigned rate = 1; rate <= 20; rate++) {
        page((struct origin_file){.body = body, .length = len, .rate = rate});
        struct client c;
        ask(&c, 0, PLAIN);
        client_wait(&c, 5000);
        cr_assert(body_is(&c, four, sizeof(four)), "%u", rate);
        client_free(&c);
        purge();
        w.origin[0].files = 0;
    }
    nothing_is_left();
}

/* --- how much at once ------------------------------------------------------------------------- */

/* A thousand times as large as it comes: the memory is eight buffers all the same. */
Test(gunzip, what_is_large_only_when_it_is_unpacked)
{
    enum { BOMB = 16 << 20 };
    struct client c;
    uint8_t *zeros = calloc(BOMB, 1), *body = malloc(BOMB / 8);
    page((struct origin_file){.body = body, .length = pack(zeros, BOMB, body, BOMB / 8)});
    ask(&c, 0, PLAIN);
    c.paused = true;
    world_run(&w, 500);
    cr_assert_lt(COUNT(proxy_client_bytes_total), 3 * PIPE_QUEUE);
    cr_assert_gt(COUNT(proxy_client_bytes_total), 16384);
    c.paused = false;
    stream_resume(&c.pipe->a.s);
    world_run(&w, 2000);
    cr_assert(client_parse(&c) && body_is(&c, zeros, BOMB));
    client_free(&c);
    free(zeros);
    free(body);
    nothing_is_left();
}

/* Blocks of nothing are no reason to keep all others waiting: one turn a poll. */
Test(gunzip, what_is_large_only_when_it_is_packed)
{
    enum { EMPTY = 400000 };
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3},
                         empty[] = {0, 0, 0, 0xff, 0xff}, tail[] = {3, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    uint8_t *body = malloc(sizeof(head) + EMPTY * sizeof(empty) + sizeof(tail)), *at = body;
    memcpy(at, head, sizeof(head));
    at += sizeof(head);
    for (unsigned i = 0; i < EMPTY; i++, at += sizeof(empty))
        memcpy(at, empty, sizeof(empty));
    memcpy(at, tail, sizeof(tail));
    at += sizeof(tail);
    page((struct origin_file){.body = body, .length = (uint64_t)(at - body)});
    struct client c;
    cr_assert_eq(get(&c, CHROME), 200);
    client_free(&c);
    ask(&c, 0, PLAIN);
    world_run(&w, 3);
    cr_assert(!client_parse(&c), "not in one go");
    cr_assert(client_wait(&c, 1000) && body_is(&c, text, 0));
    client_free(&c);
    free(body);
    nothing_is_left();
}

/* The dearest: 10 bits a block. All decoders share what a poll takes in, and each has its turn. */
Test(gunzip, what_is_dear_to_unpack)
{
    enum { LEN = 40000, ALL = 8 };
    static uint8_t body[LEN + 32] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    size_t bits = 80;
    for (; bits < LEN * 8; bits += 10) /* not the last, fixed codes, the end of a block */
        body[bits / 8 + (bits % 8 == 7)] |= (uint8_t)(1u << (bits + 1) % 8);
    body[bits / 8] |= (uint8_t)(3u << bits % 8);
    page((struct origin_file){.body = body, .length = bits / 8 + 2 + 8});
    struct client c;
    cr_assert_eq(get(&c, CHROME), 200);
    client_free(&c);
    uint64_t out = COUNT(proxy_requests);
    for (unsigned i = 0; i < ALL; i++)
        ask(&many[i], 0, PLAIN);
    world_run(&w, LEN / 4096 * ALL * 3 / 4);
    cr_assert_gt(COUNT(proxy_requests), out, "not that fast");
    world_run(&w, LEN / 4096 * ALL / 2 + 20);
    for (unsigned i = 0; i < ALL; i++) {
        cr_assert(client_parse(&many[i]) && body_is(&many[i], text, 0), "%u", i);
        client_free(&many[i]);
    }
    nothing_is_left();
}

/* Who finds no decoder gets the origin's plain one, and so do all after him. */
Test(gunzip, more_than_there_are_decoders)
{
    page((struct origin_file){.when = "gzip"});
    struct origin_file *plain =
        page((struct origin_file){.fields = TEXT, .body = text, .length = LENGTH});
    expect_packed(GZIP);
    for (unsigned i = 0; i < MANY; i++) {
        ask(&many[i], 0, PLAIN);
        many[i].paused = true;
    }
    world_run(&w, 100);
    cr_assert_eq(COUNT(proxy_decoded_total), 32);
    cr_assert_gt(COUNT(proxy_decoders_full_total), 0);
    for (unsigned i = 0; i < MANY; i++) {
        many[i].paused = false;
        stream_resume(&many[i].pipe->a.s);
        cr_assert(client_wait(&many[i], 2000));
        cr_assert(body_is(&many[i], text, LENGTH), "%u", i);
        client_free(&many[i]);
    }
    cr_assert_eq(plain->requests, 1);
    expect_plain(PLAIN, text, LENGTH);
    cr_assert_eq(COUNT(proxy_decoded_total), 32, "a hit of its own");
    nothing_is_left();
}

Test(gunzip, who_leaves_at_any_moment)
{
    struct origin_file *f = page((struct origin_file){.rate = 5000});
    for (unsigned ms = 1; ms < 70; ms += 2) {
        for (unsigned i = 0; i < 6; i++) {
            ask(&many[i], i % 2, i < 4 ? PLAIN : GZIP);
            many[i].paused = i == 1;
        }
        world_run(&w, ms);
        client_leave(&many[ms / 2 % 4]);
        many[1].paused = false;
        if (many[1].pipe)
            stream_resume(&many[1].pipe->a.s);
        for (unsigned i = 0; i < 6; i++) {
            client_wait(&many[i], 1000);
            cr_assert(i == ms / 2 % 4 || i >= 4 || body_is(&many[i], text, LENGTH), "%u %u", ms, i);
            client_free(&many[i]);
        }
        purge();
        nothing_is_left();
    }
    cr_assert_gt(f->requests, 30);
    f->rate = 0;
    for (unsigned i = 0; i < 40; i++) /* all decoders are there again */
        expect_plain(PLAIN, text, LENGTH);
    cr_assert_eq(COUNT(proxy_decoders_full_total), 0);
}
