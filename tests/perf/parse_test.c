/* SPDX-License-Identifier: BSD-3-Clause */
/* Formats, and what is left out of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "perf/trace/parse.h"

struct heard {
    uint64_t number[16];
    unsigned n;
};

static void on_bad(void *ctx, uint64_t number, const char *why)
{
    struct heard *h = ctx;
    cr_assert(why && h->n < 16);
    h->number[h->n++] = number;
}

static struct parser p; /* of 4 KiB */

/* In pieces of so many bytes. */
static struct trace parsed(enum parse_format format, const void *data, size_t len, size_t piece,
                           struct heard *heard)
{
    struct trace t;
    *heard = (struct heard){0};
    trace_open(&t, 1000);
    parse_open(&p, format, &t);
    p.on_bad = on_bad;
    p.ctx = heard;
    for (size_t at = 0; at < len; at += piece)
        cr_assert(parse_feed(&p, (const char *)data + at, len - at < piece ? len - at : piece));
    cr_assert(parse_end(&p));
    cr_assert(trace_finish(&t));
    return t;
}

static void is_request(const struct trace *t, uint32_t i, uint32_t time_s, uint64_t id,
                       uint32_t size)
{
    cr_assert_lt(i, t->requests);
    cr_assert_eq(t->request[i].time_s, time_s);
    cr_assert_eq(t->id[t->request[i].object], id);
    cr_assert_eq(t->request[i].bytes, size);
}

Test(parse, text_in_its_ways)
{
    static const char text[] = "time,id,size\n"
                               "1,10,100\n"
                               "2 , 11 ,\t200\r\n"
                               "\n"
                               "# a comment\n"
                               "3.25\t10\t100\tGET\n"
                               "4,/a/path,0"; /* no end */
    for (size_t piece = 1; piece < sizeof(text); piece++) {
        struct heard heard;
        struct trace t = parsed(PARSE_TEXT, text, sizeof(text) - 1, piece, &heard);
        cr_assert_eq(heard.n, 0);
        cr_assert_eq(t.requests, 4);
        cr_assert_eq(t.objects, 3);
        is_request(&t, 0, 1, 10, 100);
        is_request(&t, 1, 2, 11, 200);
        is_request(&t, 2, 3, 10, 100);
        cr_assert_eq(t.request[3].bytes, 1, "nothing costs nothing");
        cr_assert_eq(t.next[0], 2);
        cr_assert_eq(t.next[1], TRACE_NONE);
        cr_assert_eq(t.objects_once, 2);
        trace_close(&t);
    }
}

Test(parse, bad_lines_have_their_numbers)
{
    static const char text[] = "1,10,100\n"
                               "x,10,100\n"                 /* 2: the time */
                               "2,10\n"                     /* 3: too few */
                               "2,,3\n"                     /* 4: no ID */
                               "2,10,-5\n"                  /* 5: a size below nothing */
                               "2,10,4294967296\n"          /* 6: a size of 4 GiB */
                               "2,10,9x\n"                  /* 7 */
                               "99999999999999999999,1,1\n" /* 8: no time fits it */
                               "5,18446744073709551616,7\n";
    struct heard heard;
    struct trace t = parsed(PARSE_TEXT, text, sizeof(text) - 1, 5, &heard);
    cr_assert_eq(heard.n, 7);
    for (unsigned i = 0; i < 7; i++)
        cr_assert_eq(heard.number[i], i + 2);
    cr_assert_eq(p.bad, 7);
    cr_assert_eq(t.requests, 2, "an ID of 2^64 is a word");
    trace_close(&t);
}

Test(parse, a_line_of_any_length)
{
    static char text[3 * PARSE_LINE_MAX];
    memset(text, '7', sizeof(text));
    memcpy(text + sizeof(text) - 7, "\n1,2,3\n", 7);
    for (size_t piece = 1000; piece <= sizeof(text); piece += 1777) {
        struct heard heard;
        struct trace t = parsed(PARSE_TEXT, text, sizeof(text), piece, &heard);
        cr_assert_eq(heard.n, 1);
        cr_assert_eq(heard.number[0], 1);
        cr_assert_eq(t.requests, 1);
        is_request(&t, 0, 1, 2, 3);
        trace_close(&t);
    }
}

Test(parse, twitter_counts_what_is_asked_for)
{
    static const char text[] = "0,q:q:1:8WTfjZU14ee,17,213,4,get,0\n"
                               "0,yDqF:3q:1AJrrJ1nnCJKKrnGx1A,27,27,5,get,0\n"
                               "1,q:q:1:8WTfjZU14ee,17,213,8,gets,0\n"
                               "1,q:q:1:8WTfjZU14ee,17,0,8,set,600\n"
                               "2,q:q:1:8WTfjZU14ee,17,many,8,get,0\n"
                               "2,short\n";
    struct heard heard;
    struct trace t = parsed(PARSE_TWITTER, text, sizeof(text) - 1, 7, &heard);
    cr_assert_eq(t.requests, 3);
    cr_assert_eq(t.objects, 2);
    cr_assert_eq(t.request[0].bytes, 230);
    cr_assert_eq(t.request[0].object, t.request[2].object);
    cr_assert_eq(p.other, 1);
    cr_assert_eq(heard.n, 2);
    cr_assert_eq(heard.number[0], 5);
    trace_close(&t);
}

Test(parse, wiki_of_uploads_and_of_texts)
{
    static const char text[] =
        "relative_unix\thashed_path_query\timage_type\tresponse_size\ttime_firstbyte\n"
        "0\t833946053\tjpeg\t20666\t1.59E-4\n"
        "1\t-1679404160\tpng\t17799\t2.0E-4\n"
        "2\t833946053\tjpeg\t20666\t1.0E-4\n"
        "864000\t1714473446\t20546\t2.8E-4\n"
        "864001\t1714473446\tjpeg\tmany\t2.8E-4\n"
        "864001\t1714473446\t20546\n";
    for (size_t piece = 1; piece < sizeof(text); piece += 13) {
        struct heard heard;
        struct trace t = parsed(PARSE_WIKI, text, sizeof(text) - 1, piece, &heard);
        cr_assert_eq(t.requests, 4);
        cr_assert_eq(t.objects, 3);
        is_request(&t, 0, 0, 833946053, 20666);
        cr_assert_eq(t.request[1].bytes, 17799);
        cr_assert_eq(t.request[2].object, 0);
        is_request(&t, 3, 864000, 1714473446, 20546);
        cr_assert_eq(heard.n, 2);
        cr_assert_eq(heard.number[0], 6);
        cr_assert_eq(heard.number[1], 7);
        trace_close(&t);
    }
}

Test(parse, oracle_records)
{
    static const uint8_t bytes[] = {
        1, 0, 0, 0, 0xff, 0,    0,    0,    0,    0,    0,    0x80, 0, 1, 0, 0, 2, 0,
        0, 0, 0, 0, 0,    0,    2,    0,    0,    0,    0xff, 0,    0, 0, 0, 0, 0, 0x80,
        0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3, 0, 0}; /* a record that ends
                                                                                 early */
    for (size_t piece = 1; piece < sizeof(bytes); piece++) {
        struct heard heard;
        struct trace t = parsed(PARSE_ORACLE, bytes, sizeof(bytes), piece, &heard);
        cr_assert_eq(t.requests, 2);
        is_request(&t, 0, 1, 0x80000000000000ffu, 256);
        is_request(&t, 1, 2, 0x80000000000000ffu, 256);
        cr_assert_eq(heard.n, 1);
        cr_assert_eq(heard.number[0], 3);
        trace_close(&t);
    }
}

Test(parse, the_trace_says_when_it_is_full)
{
    struct trace t;
    trace_open(&t, 2);
    parse_open(&p, PARSE_TEXT, &t);
    cr_assert(parse_feed(&p, "1,1,1\n2,2,2\n", 12));
    cr_assert_not(parse_feed(&p, "3,3,3\n", 6));
    cr_assert_eq(t.requests, 2);
    trace_close(&t);
}

Test(parse, what_is_written_is_read)
{
    for (int oracle = 0; oracle < 2; oracle++) {
        struct trace t, back;
        char path[] = "/tmp/coral-trace-XXXXXX";
        int fd = mkstemp(path);
        cr_assert_geq(fd, 0);
        trace_open(&t, 300);
        for (uint32_t i = 0; i < 300; i++)
            cr_assert(trace_add(&t, i, (i * 7919u) % 50 + (1ull << 40), i + 1));
        cr_assert(trace_finish(&t) && trace_write(&t, path, oracle));
        static char data[300 * 64];
        FILE *f = fdopen(fd, "r");
        size_t len = fread(data, 1, sizeof(data), f);
        fclose(f);
        remove(path);
        struct heard heard;
        back = parsed(oracle ? PARSE_ORACLE : PARSE_TEXT, data, len, 100, &heard);
        cr_assert_eq(heard.n, 0);
        cr_assert_eq(back.requests, 300);
        for (uint32_t i = 0; i < 300; i++)
            is_request(&back, i, i, t.id[t.request[i].object], i + 1);
        if (oracle)
            cr_assert_eq(len, 300 * PARSE_RECORD_BYTES);
        trace_close(&t);
        trace_close(&back);
    }
}
