/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tricks of tests/http/vectors.c through a whole node: what of them reaches an origin is a
 * request of our own writing, no answer goes to another request, and nothing odd is kept for who
 * comes after.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/http/vectors.h"
#include "world.h"

#define SEED 20261130u
#define NEXT 11 /* salts, and lengths in thousands */
#define OWN  12

static struct world w;
static unsigned heard;
static const char *doing;

/* --- what reaches the origin --------------------------------------------------------------------
 */

static bool in(const char *set, char c)
{
    return c && strchr(set, c);
}

static bool is_line_clean(const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    if (!colon || colon == line || colon[1] != ' ')
        return false;
    for (const char *p = line; p < colon; p++)
        if (!in("-_.!#$%&'*+^`|~0123456789", *p) && !((*p | 32) >= 'a' && (*p | 32) <= 'z'))
            return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 32 && line[i] != '\t')
            return false;
    return true;
}

static bool begins(const char *line, const char *name)
{
    return strncasecmp(line, name, strlen(name)) == 0;
}

/* Strictly what RFC 9112 lets a client send, of one reading, and of no field that was for us. */
static void hears(const char *head, size_t len)
{
    static const char *const ours[] = {
        "connection:", "keep-alive:", "upgrade:", "te:", "trailer:", "proxy-", "http2-settings:"};
    unsigned hosts = 0, framings = 0;
    const char *end = head + len, *line = memchr(head, '\n', len);
    heard++;
    cr_expect(
        line && line - head > 12 && memcmp(line - 10, " HTTP/1.1\r", 10) == 0 &&
            !memchr(strchr(head, ' ') + 1, ' ', (size_t)(line - 10 - strchr(head, ' ') - 1)) &&
            strchr(head, ' ')[1] == '/',
        "%s: %.*s", doing, (int)len, head);
    for (line++; line < end - 2;) {
        const char *cr = memchr(line, '\r', (size_t)(end - line));
        cr_assert(cr && cr[1] == '\n', "%s: %.*s", doing, (int)len, head);
        cr_expect(is_line_clean(line, (size_t)(cr - line)), "%s: %.*s", doing, (int)len, head);
        hosts += begins(line, "host: " VECTOR_HOST "\r\n");
        framings += begins(line, "content-length:") || begins(line, "transfer-encoding:");
        for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
            cr_expect_not(begins(line, ours[i]), "%s: %.*s", doing, (int)len, head);
        line = cr + 2;
    }
    cr_expect(hosts == 1 && framings <= 1, "%s: %.*s", doing, (int)len, head);
    cr_expect_null(memmem(head, len, "/y", 2), "%s: a request in a body was taken for one", doing);
}

static void open_world(void)
{
    world_open(&w, 1, 2, SEED);
    w.origin[0].hears = hears;
    for (unsigned i = 0; i < 2; i++)
        origin_add(&w.origin[0], (struct origin_file){.path = i ? "/own" : "/next",
                                                      .length = 1000 * (i ? OWN : NEXT),
                                                      .salt = i ? OWN : NEXT,
                                                      .fields = "Cache-Control: no-store\r\n"});
    heard = 0;
}
static void close_world(void)
{
    world_close(&w);
}
TestSuite(smuggling, .init = open_world, .fini = close_world);

/* Somebody else gets what is his. */
static void expect_own(unsigned worker)
{
    struct client c;
    client_get(&w, &c, 0, worker, VECTOR_HOST, "/own", NULL);
    cr_expect(client_wait(&c, 5000) && c.head.status == 200 &&
                  client_body_is(&c, OWN, 0, 1000 * OWN),
              "%s: another client got %u", doing, c.head.status);
    client_free(&c);
}

/* --- requests -----------------------------------------------------------------------------------
 */

/* Takes the first response out of what came; false: there is none that is whole. */
static bool take_response(struct client *c, bool to_head)
{
    static struct http_head h;
    if (http_parse_response(c->data, c->len, to_head, &h) != HTTP_OK)
        return false;
    size_t len = h.head_len;
    cr_assert(h.framing != HTTP_BODY_CHUNKED && h.framing != HTTP_BODY_CLOSE, "%s", doing);
    if (h.framing == HTTP_BODY_LENGTH)
        len += h.content_length;
    if (len > c->len)
        return false;
    size_t all = c->len;
    c->len = len;
    c->to_head = to_head;
    cr_assert(client_parse(c));
    c->len = all - len;
    memmove(c->data, c->data + len, c->len);
    return true;
}

/* The status of the first response, 0: none came; *then: is it followed by that of VECTOR_NEXT? */
static unsigned ask(const char *text, size_t len, bool *then)
{
    struct client c;
    client_send(&w, &c, 0, 0, "");
    stream_copy(&c.pipe->a.s, text, len);
    stream_copy(&c.pipe->a.s, VECTOR_NEXT, strlen(VECTOR_NEXT));
    unsigned status = 0;
    bool to_head = len > 4 && memcmp(text, "HEAD", 4) == 0;
    *then = false;
    for (unsigned ms = 0; ms < 5000 && !c.closed && !c.eof && !*then; ms++) {
        world_step(&w);
        if (!status && c.len && take_response(&c, to_head))
            status = c.head.status < 200 ? 0 : c.head.status;
        *then = status && c.len && take_response(&c, false);
    }
    if (status && !*then && c.len)
        *then = take_response(&c, false);
    cr_expect(!*then || client_body_is(&c, NEXT, 0, 1000 * NEXT), "%s: %u for the next", doing,
              c.head.status);
    cr_expect(*then || c.eof || c.closed, "%s: neither closed nor answered", doing);
    cr_expect_eq(c.len, 0, "%s: more answers than requests", doing);
    client_free(&c);
    return status;
}

Test(smuggling, requests)
{
    for (unsigned i = 0; i < vector_requests_n; i++) {
        const struct vector_request *v = &vector_requests[i];
        bool then;
        unsigned before = heard;
        doing = v->what;
        unsigned status = ask(v->text, v->len, &then);
        cr_expect(status && (!v->status || status == v->status), "%s: %u", doing, status);
        cr_expect(!then || v->open, "%s: the next one was answered", doing);
        cr_expect(!v->status || heard == before, "%s: the origin heard of it", doing);
        if (v->open && (status == 200 || status == 404))
            cr_expect(then, "%s: the next one was not answered", doing);
        expect_own(i % 2);
    }
}

Test(smuggling, chunks_of_requests)
{
    static char text[20000];
    for (unsigned i = 0; i < vector_chunks_n; i++) {
        bool then;
        doing = vector_chunks[i].what;
        size_t len = vector_chunked_request(&vector_chunks[i], text, sizeof(text));
        unsigned status = ask(text, len, &then);
        cr_expect(status == 400 && !then, "%s: %u", doing, status);
        expect_own(i % 2);
    }
}

/* --- responses ----------------------------------------------------------------------------------
 */

/* Until the final response is whole, or the connection is over. */
static void wait_final(struct client *c)
{
    for (unsigned ms = 0; ms < 5000; ms++) {
        world_step(&w);
        while (c->len && http_parse_response(c->data, c->len, c->to_head, &c->head) == HTTP_OK &&
               c->head.status < 200) {
            c->len -= c->head.head_len;
            memmove(c->data, c->data + c->head.head_len, c->len);
        }
        if (c->len && (client_parse(c) || c->closed))
            return;
    }
}

/* An origin answers `v`: the client gets it as it was read, or none; nothing bad is kept, and the
 * next one on that connection or another gets what is his. */
static void expect_answered(const struct vector_response *v, unsigned i)
{
    static struct origin_file *f;
    static char path[32];
    struct client c;
    bool bad = v->got[0] == 'm' || v->got[0] == 't';
    if (i == 0) /* the world is a new one */
        f = origin_add(&w.origin[0], (struct origin_file){.path = path, .length = 3000, .salt = 3});
    doing = v->what;
    snprintf(path, sizeof(path), "/evil%u", i);
    f->raw = v->text;
    f->raw_len = v->len;
    f->raw_end = v->how & VECTOR_FIN;
    char request[200];
    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: " VECTOR_HOST "\r\n%s\r\n",
             v->how & VECTOR_HEAD ? "HEAD" : "GET", path,
             v->how & VECTOR_HEAD ? "Authorization: x\r\n" : "");
    client_send(&w, &c, 0, i % 2, request);
    wait_final(&c);
    if (bad)
        cr_expect(c.head.status == 502 || !c.whole, "%s: %u, whole", doing, c.head.status);
    else if (strncmp(v->got, "304", 3) != 0) /* nobody asked for that one */
        cr_expect(c.whole && c.head.status == (unsigned)atoi(v->got) &&
                      c.body_len == strlen(v->got + 4) &&
                      memcmp(c.body, v->got + 4, c.body_len) == 0,
                  "%s: %u, %zu bytes", doing, c.head.status, c.body_len);
    client_free(&c);
    expect_own(i % 2);
    f->raw = NULL;
    unsigned before = f->requests;
    client_get(&w, &c, 0, i % 2, VECTOR_HOST, path, NULL);
    client_wait(&c, 5000);
    if (bad)
        cr_expect(f->requests == before + 1 && client_body_is(&c, 3, 0, 3000), "%s: %u is kept",
                  doing, c.head.status);
    client_free(&c);
}

Test(smuggling, responses)
{
    for (unsigned i = 0; i < vector_responses_n; i++)
        expect_answered(&vector_responses[i], i);
}

Test(smuggling, chunks_of_responses)
{
    static char text[20000];
    for (unsigned i = 0; i < vector_chunks_n; i++) {
        const struct vector_chunks *v = &vector_chunks[i];
        struct vector_response r = {
            .what = v->what, .text = text, .how = VECTOR_FIN, .got = "malformed"};
        r.len = vector_chunked_response(v, text, sizeof(text));
        expect_answered(&r, i);
    }
}
