/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests for the origin alone: methods and bodies go through, and what they change is forgotten.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define SEED 20261128u
#define SITE "Host: www.site.test\r\n"

static struct world w;

static void open_world(void)
{
    world_open(&w, 1, 2, SEED);
}
static void close_world(void)
{
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_requests), 0, "nothing is left behind");
    cr_expect_eq(WORLD_COUNT(&w, 0, proxy_fills), 0);
    world_close(&w);
}
TestSuite(upload, .init = open_world, .fini = close_world);

static struct origin_file *page(const char *path, uint64_t length, const char *fields)
{
    return origin_add(
        &w.origin[0],
        (struct origin_file){.path = path, .length = length, .salt = 7, .fields = fields});
}

#define FRESH "Cache-Control: max-age=600\r\n"

/* Sends the head, then `length` bytes of a body in pieces of `each`, one a step. */
static void send_slowly(struct client *c, unsigned worker, const char *head, uint64_t length,
                        size_t each, bool chunked)
{
    client_send(&w, c, 0, worker, head);
    for (uint64_t at = 0; at < length && c->pipe;) {
        uint8_t piece[20000];
        char line[32];
        size_t n = length - at < each ? (size_t)(length - at) : each;
        for (size_t i = 0; i < n; i++)
            piece[i] = origin_byte(7, at + i);
        while (c->pipe && stream_queued(&c->pipe->a.s) > PIPE_QUEUE / 2)
            world_step(&w);
        if (!c->pipe)
            return;
        if (chunked)
            stream_copy(&c->pipe->a.s, line, (size_t)snprintf(line, sizeof(line), "%zx\r\n", n));
        cr_assert_eq(stream_copy(&c->pipe->a.s, piece, n), n);
        if (chunked)
            stream_copy(&c->pipe->a.s, "\r\n", 2);
        at += n;
        world_step(&w);
    }
    if (chunked && c->pipe)
        stream_copy(&c->pipe->a.s, "0\r\n\r\n", 5);
}

Test(upload, a_body_comes_to_the_origin_byte_for_byte)
{
    static const uint64_t lengths[] = {1, 1000, 200000};
    struct origin_file *f = page("/form", 30, FRESH);
    uint64_t bodies = 0, bytes = 0;
    for (unsigned i = 0; i < 3; i++)
        for (unsigned chunked = 0; chunked < 2; chunked++) {
            struct client c;
            char head[256];
            if (chunked)
                snprintf(head, sizeof(head),
                         "POST /form HTTP/1.1\r\n" SITE "Transfer-Encoding: chunked\r\n\r\n");
            else
                snprintf(head, sizeof(head),
                         "POST /form HTTP/1.1\r\n" SITE "Content-Length: %llu\r\n\r\n",
                         (unsigned long long)lengths[i]);
            send_slowly(&c, i & 1, head, lengths[i], 7777, chunked);
            cr_assert(client_wait(&c, 10000), "%llu %u: %llu", (unsigned long long)lengths[i],
                      chunked, (unsigned long long)f->body_bytes);
            cr_assert_eq(c.head.status, 200);
            cr_assert(client_body_is(&c, 7, 0, 30));
            cr_assert_str_eq(client_field(&c, "Cache-Status"),
                             "coral; fwd=method; stored=?0; detail=pass");
            cr_assert_str_eq(client_field(&c, "Connection"), "", "it lives on");
            client_free(&c);
            bodies++;
            bytes += lengths[i];
            cr_assert(f->bodies == bodies && f->body_bytes == bytes && f->body_wrong == 0);
            cr_assert(strncmp(f->last_request, "POST /form HTTP/1.1\r\n", 21) == 0);
            cr_assert(strstr(f->last_request,
                             chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: "));
        }
    cr_assert_eq(f->requests, 6, "none came from the cache");
}

Test(upload, other_methods_go_through_as_they_are)
{
    static const char *const methods[] = {"PUT",     "DELETE",   "PATCH",
                                          "OPTIONS", "PROPFIND", "X-UNHEARD-OF"};
    struct origin_file *f = page("/a", 30, FRESH);
    for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct client c;
        char head[256], line[64];
        snprintf(head, sizeof(head),
                 "%s /a HTTP/1.1\r\n" SITE
                 "Content-Length: 0\r\nX-Mine: yes\r\nCookie: a=b\r\n\r\n",
                 methods[i]);
        client_send(&w, &c, 0, 0, head);
        cr_assert(client_wait(&c, 1000), "%s", methods[i]);
        cr_assert_eq(c.head.status, 200);
        snprintf(line, sizeof(line), "%s /a HTTP/1.1\r\n", methods[i]);
        cr_assert_eq(strncmp(f->last_request, line, strlen(line)), 0);
        cr_assert(strstr(f->last_request, "Content-Length: 0\r\n"));
        cr_assert(strstr(f->last_request, "X-Mine: yes\r\n") &&
                  strstr(f->last_request, "Cookie: a=b\r\n"));
        client_free(&c);
    }
}

Test(upload, some_are_refused)
{
    static const struct {
        const char *request;
        unsigned status;
    } t[] = {
        {"CONNECT www.site.test:80 HTTP/1.1\r\n" SITE "\r\n", 405},
        {"TRACE / HTTP/1.1\r\n" SITE "\r\n", 405},
        {"POST / HTTP/1.1\r\nHost: www.open.test.coral.test\r\nContent-Length: 3\r\n\r\nabc", 405},
        {"GET / HTTP/1.1\r\nHost: www.open.test.coral.test\r\nContent-Length: 3\r\n\r\nabc", 413},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1\r\n" SITE "\r\n", 501},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct client c;
        client_send(&w, &c, 0, 0, t[i].request);
        cr_assert(client_wait(&c, 1000), "%s", t[i].request);
        cr_expect_eq(c.head.status, t[i].status, "%s: %u", t[i].request, c.head.status);
        client_free(&c);
    }
    cr_assert_eq(w.origin[0].requests, 0);
}

static unsigned fetch(unsigned worker, const char *path, char *status, size_t room)
{
    struct client c;
    client_get(&w, &c, 0, worker, "www.site.test", path, NULL);
    cr_assert(client_wait(&c, 5000));
    unsigned code = c.head.status;
    snprintf(status, room, "%s", client_field(&c, "Cache-Status"));
    client_free(&c);
    return code;
}

static bool hits(const char *path)
{
    char status[128];
    fetch(0, path, status, sizeof(status));
    return strncmp(status, "coral; hit", 10) == 0;
}

static unsigned send(const char *method, const char *path, unsigned worker)
{
    struct client c;
    char head[256];
    snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\n" SITE "Content-Length: 1\r\n\r\n%c", method,
             path, origin_byte(7, 0));
    client_send(&w, &c, 0, worker, head);
    cr_assert(client_wait(&c, 5000));
    unsigned status = c.head.status;
    client_free(&c);
    return status;
}

Test(upload, what_worked_is_not_served_any_more_and_what_failed_or_is_safe_is)
{
    static const char *const paths[] = {"/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7"};
    for (unsigned i = 0; i < 8; i++) {
        struct origin_file *f = page(paths[i], 30, FRESH);
        const char *path = paths[i];
        fetch(0, path, (char[128]){0}, 128);
        cr_assert(hits(path));
        cr_assert_eq(send("OPTIONS", path, i & 1), 200);
        cr_assert(hits(path), "OPTIONS changes nothing");
        f->status = 500;
        cr_assert_eq(send("POST", path, i & 1), 500);
        cr_assert(hits(path), "an error changes nothing");
        f->status = i & 2 ? 303 : 200;
        cr_assert_eq(send(i & 4 ? "DELETE" : "POST", path, i & 1), f->status);
        f->status = 200;
        cr_assert_not(hits(path), "the very next one sees what is new");
        cr_assert(hits(path));
    }
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_invalidations_total), 8);
}

Test(upload, what_the_answer_names_is_forgotten_too_if_it_is_of_the_same_origin)
{
    static const struct {
        const char *fields, *path;
        bool goes;
    } t[] = {
        {"Location: /d/0\r\n", "/d/0", true},
        {"Location: http://www.site.test/d/1\r\n", "/d/1", true},
        {"Content-Location: 2\r\n", "/d/2", true},
        {"Content-Location: //www.site.test/d/3#part\r\n", "/d/3", true},
        {"Location: ../d/x/../4\r\n", "/d/4", true},
        {"Location: http://www.other.test/d/5\r\n", "/d/5", false},
        {"Location: https://www.site.test/d/6\r\n", "/d/6", false},
        {"Location: http://www.site.test:8080/d/7\r\n", "/d/7", false},
    };
    struct origin_file *form = page("/d/form", 30, "");
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        page(t[i].path, 30, FRESH);
        hits(t[i].path);
        cr_assert(hits(t[i].path));
        form->fields = t[i].fields;
        cr_assert_eq(send("POST", "/d/form", i & 1), 200);
        cr_expect_eq(hits(t[i].path), !t[i].goes, "%s", t[i].fields);
    }
}

Test(upload, is_sent_once_whatever_becomes_of_it)
{
    struct origin_file *f = page("/a", 30, "");
    f->mode = ORIGIN_RESETS;
    f->cuts = 1;
    cr_assert_eq(send("POST", "/b", 0), 404); /* a connection is pooled */
    struct client c;
    client_send(&w, &c, 0, 0, "POST /a HTTP/1.1\r\n" SITE "Content-Length: 0\r\n\r\n");
    cr_assert_not(client_wait(&c, 5000));
    cr_assert(c.closed, "broken off, not repeated");
    cr_assert_eq(f->requests, 1);
    client_free(&c);
    f->mode = ORIGIN_GARBAGE;
    f->cuts = 0;
    cr_assert_eq(send("PUT", "/a", 0), 502);
    cr_assert_eq(f->requests, 2);
}

Test(upload, an_answer_that_comes_early_ends_it)
{
    struct origin_file *f = page("/a", 30, "");
    struct client c;
    f->early = true;
    f->status = 413;
    client_send(&w, &c, 0, 0, "POST /a HTTP/1.1\r\n" SITE "Content-Length: 100000\r\n\r\n123");
    cr_assert(client_wait(&c, 5000));
    cr_assert_eq(c.head.status, 413);
    cr_assert_str_eq(client_field(&c, "Connection"), "close");
    client_free(&c);
}

Test(upload, a_client_that_leaves_in_the_middle_leaves_nothing_whole_at_the_origin)
{
    struct origin_file *f = page("/a", 30, "");
    struct client c;
    for (unsigned worker = 0; worker < 2; worker++) {
        client_send(&w, &c, 0, worker,
                    "PUT /a HTTP/1.1\r\n" SITE "Content-Length: 100000\r\n\r\n123");
        world_run(&w, 50);
        client_leave(&c);
        world_run(&w, 50);
        client_free(&c);
        cr_assert_null(w.origin[0].conns, "its connection is reset");
    }
    cr_assert_eq(f->bodies, 0);
}

Test(upload, a_get_with_a_body_is_for_the_origin_alone)
{
    struct origin_file *f = page("/search", 30, FRESH);
    for (unsigned i = 1; i <= 2; i++) {
        cr_assert_eq(send("GET", "/search", 0), 200);
        cr_assert_eq(f->requests, i);
    }
    hits("/search");
    cr_assert(hits("/search"));
    cr_assert_eq(send("GET", "/search", 0), 200);
    cr_assert(hits("/search"), "it is safe");
}

Test(upload, an_options_goes_as_far_as_it_says)
{
    struct origin_file *f = page("/a", 30, "");
    struct client c;
    client_send(&w, &c, 0, 0, "OPTIONS /a HTTP/1.1\r\n" SITE "Max-Forwards: 0\r\n\r\n");
    cr_assert(client_wait(&c, 1000));
    cr_assert_eq(c.head.status, 200);
    cr_assert_str_eq(client_field(&c, "Allow"), "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    client_free(&c);
    cr_assert_eq(f->requests, 0);
    client_send(&w, &c, 0, 0, "OPTIONS /a HTTP/1.1\r\n" SITE "Max-Forwards: 7\r\n\r\n");
    cr_assert(client_wait(&c, 1000));
    cr_assert(strstr(f->last_request, "Max-Forwards: 6\r\n"));
    client_free(&c);
    client_send(&w, &c, 0, 0, "OPTIONS * HTTP/1.1\r\n" SITE "\r\n");
    cr_assert(client_wait(&c, 1000));
    cr_assert(c.head.status == 200 && c.head.keep_alive && client_field(&c, "Allow")[0]);
    client_free(&c);
}

Test(upload, a_slow_client_is_waited_for_and_its_origin_not_blamed)
{
    struct origin_file *f = page("/a", 30, "");
    struct client c;
    uint8_t rest[2] = {origin_byte(7, 1), origin_byte(7, 2)};
    char head[160];
    snprintf(head, sizeof(head), "POST /a HTTP/1.1\r\n" SITE "Content-Length: 3\r\n\r\n%c",
             origin_byte(7, 0));
    client_send(&w, &c, 0, 0, head);
    for (unsigned i = 0; i < 2; i++) {
        world_run(&w, 25000); /* longer than a head is waited for */
        cr_assert(c.pipe && stream_copy(&c.pipe->a.s, &rest[i], 1) == 1);
    }
    cr_assert(client_wait(&c, 1000));
    cr_assert_eq(c.head.status, 200);
    cr_assert(f->bodies == 1 && f->body_wrong == 0);
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_origin_failures_total), 0);
    client_free(&c);
}

Test(upload, a_client_whose_body_stalls_is_told_so)
{
    static const char *const begun[] = {"", "1"};
    page("/a", 30, "");
    for (unsigned i = 0; i < 2; i++) {
        struct client c;
        char head[160];
        snprintf(head, sizeof(head), "POST /a HTTP/1.1\r\n" SITE "Content-Length: 3\r\n\r\n%s",
                 begun[i]);
        client_send(&w, &c, 0, i, head);
        world_run(&w, 29000);
        cr_assert_not(client_parse(&c), "the server waits for 30 s");
        cr_assert(client_wait(&c, 10000));
        cr_assert_eq(c.head.status, 408);
        cr_assert_str_eq(client_field(&c, "Connection"), "close");
        client_free(&c);
    }
    cr_assert_eq(WORLD_COUNT(&w, 0, proxy_origin_failures_total), 0);
}

/* Nor one who waits for its 100 before he sends. */
Test(upload, an_origin_that_does_not_say_continue_is_who_is_late)
{
    struct origin_file *f = page("/a", 30, "");
    f->delay_ms = 60000;
    struct client c;
    client_send(&w, &c, 0, 0,
                "POST /a HTTP/1.1\r\n" SITE "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    cr_assert(client_wait(&c, 21000));
    cr_assert_eq(c.head.status, 504);
    client_free(&c);
    world_run(&w, 50);
}

Test(upload, an_origin_that_does_not_answer_a_whole_body_is_not_waited_for_as_long)
{
    struct origin_file *f = page("/a", 30, "");
    f->delay_ms = 60000;
    struct client c;
    client_send(&w, &c, 0, 0, "POST /a HTTP/1.1\r\n" SITE "Content-Length: 3\r\n\r\n123");
    cr_assert(client_wait(&c, 21000));
    cr_assert_eq(c.head.status, 504);
    client_free(&c);
    world_run(&w, 50);
}
