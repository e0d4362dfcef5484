/* SPDX-License-Identifier: BSD-3-Clause */
/* Our verdict, and how verdicts are written. */
#include "tests/http/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/syntax.h"

void verdict_put(struct verdict *v, const void *p, size_t n)
{
    if (v->len + n > sizeof(v->text))
        abort();
    memcpy(v->text + v->len, p, n);
    v->len += n;
}

void verdict_put_start(struct verdict *v, const char *first, size_t first_len, const char *second,
                       size_t second_len, bool minor)
{
    verdict_put(v, first, first_len);
    if (second) {
        verdict_put(v, " ", 1);
        verdict_put(v, second, second_len);
    }
    verdict_put(v, minor ? " 1\n" : " 0\n", 3);
}

void verdict_put_field(struct verdict *v, const char *name, size_t name_len, const char *value,
                       size_t value_len)
{
    const char *end = value + value_len;
    for (size_t i = 0; i < name_len; i++)
        verdict_put(v, &(char){ascii_lower(name[i])}, 1);
    verdict_put(v, ":", 1);
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (value < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    verdict_put(v, value, (size_t)(end - value));
    verdict_put(v, "\n", 1);
}

/* Of a chunked body that ends at `end`: the last line but the empty one is a field, no size. */
static bool has_trailers(const char *end)
{
    const char *line = end - 4;
    while (line[-1] != '\n')
        line--;
    size_t n = strcspn(line, ";:\r");
    return line[n] == ':';
}

/* The body as upload.c and client.c read it. */
static void our_body(const struct http_head *h, const char *text, size_t len, bool fin,
                     struct verdict *v)
{
    size_t left = len - v->end, used;
    struct http_chunked chunks;
    struct http_text span;
    enum http_error e = HTTP_AGAIN;
    switch (h->framing) {
    case HTTP_BODY_NONE:
        break;
    case HTTP_BODY_LENGTH:
        if (left < h->content_length) {
            v->what = VERDICT_UNFINISHED;
            return;
        }
        verdict_put(v, text + v->end, h->content_length);
        v->end += h->content_length;
        break;
    case HTTP_BODY_CHUNKED:
        http_chunked_init(&chunks);
        while (e == HTTP_AGAIN && v->end < len) {
            e = http_chunked_next(&chunks, (const uint8_t *)text + v->end, len - v->end, &used,
                                  &span);
            verdict_put(v, span.p ? span.p : "", span.len);
            v->end += used;
        }
        v->trailers = e == HTTP_OK && has_trailers(text + v->end);
        v->what = e == HTTP_OK      ? VERDICT_TAKEN
                  : e == HTTP_AGAIN ? VERDICT_UNFINISHED
                                    : VERDICT_REFUSED;
        break;
    case HTTP_BODY_CLOSE:
        verdict_put(v, text + v->end, left);
        v->end = len;
        v->closes = true;
        v->what = fin ? VERDICT_TAKEN : VERDICT_UNFINISHED;
    }
}

/* As a server does, who may have seen the fields before; and they say the same by themselves. */
static enum http_error our_request(const char *text, size_t len, struct http_head *h)
{
    static struct http_recent recent;
    const struct http_head *again;
    enum http_error e = http_parse_request(text, len, h);
    if (http_parse_again(&recent, text, len, &again) != e ||
        http_parse_again(&recent, text, len, &again) != e) {
        fprintf(stderr, "known fields are read in another way: %.*s\n", (int)len, text);
        abort();
    }
    *h = *again;
    return e;
}

void verdict_ours(const struct odd *o, size_t at, struct verdict *v)
{
    static struct http_head h;
    const char *text = o->text + at;
    size_t len = o->len - at;
    enum http_error e =
        o->request ? our_request(text, len, &h) : http_parse_response(text, len, o->to_head, &h);
    v->len = 0;
    v->closes = v->trailers = false;
    v->what = e == HTTP_OK ? VERDICT_TAKEN : e == HTTP_AGAIN ? VERDICT_UNFINISHED : VERDICT_REFUSED;
    if (e == HTTP_OK && !o->request && h.status == 101) /* client.c asks for no other protocol */
        v->what = VERDICT_REFUSED;
    if (v->what != VERDICT_TAKEN)
        return;
    if (o->request) {
        verdict_put_start(v, h.method_text.p, h.method_text.len, h.target.p, h.target.len, h.minor);
    } else {
        char status[16];
        int n = snprintf(status, sizeof(status), "%u", h.status);
        verdict_put_start(v, status, (size_t)n, NULL, 0, h.minor);
    }
    for (unsigned i = 0; i < h.fields; i++)
        verdict_put_field(v, h.field[i].name.p, h.field[i].name.len, h.field[i].value.p,
                          h.field[i].value.len);
    verdict_put(v, "\n", 1);
    v->keeps = h.keep_alive;
    v->end = h.head_len;
    our_body(&h, text, len, !o->request, v);
}
