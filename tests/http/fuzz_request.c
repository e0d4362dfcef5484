/* SPDX-License-Identifier: BSD-3-Clause */
/* Request heads: no crash, spans inside the input, and an accepted head is incomplete at every
 * shorter length. A server's parser says the same of it, the first time and when it knows the
 * fields. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const char *data, size_t size, struct http_text t)
{
    if (t.len && (t.p < data || t.p + t.len > data + size) && !(t.len == 1 && *t.p == '/'))
        abort();
}

static bool equal(struct http_text a, struct http_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static bool alike(const struct http_head *a, const struct http_head *b)
{
    for (unsigned i = 0; i < a->fields && i < b->fields; i++)
        if (!equal(a->field[i].name, b->field[i].name) ||
            !equal(a->field[i].value, b->field[i].value) || a->field[i].known != b->field[i].known)
            return false;
    return a->request && b->request && a->method == b->method && a->minor == b->minor &&
           equal(a->method_text, b->method_text) && equal(a->target, b->target) &&
           equal(a->path, b->path) && equal(a->authority, b->authority) &&
           strcmp(a->host, b->host) == 0 && a->port == b->port && a->framing == b->framing &&
           a->content_length == b->content_length && a->keep_alive == b->keep_alive &&
           a->head_len == b->head_len && a->end == b->end && a->fields == b->fields &&
           memcmp(a->known, b->known, sizeof(a->known)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head h;
    static struct http_recent recent; /* what earlier inputs left makes no difference */
    const struct http_head *again;
    const char *text = (const char *)data;
    enum http_error e = http_parse_request(text, size, &h);
    for (unsigned i = 0; i < 2; i++)
        if (http_parse_again(&recent, text, size, &again) != e ||
            (e == HTTP_OK && !alike(&h, again)))
            abort();
    if (e != HTTP_OK)
        return 0;
    uint32_t len = h.head_len;
    if (len > size || h.fields > HTTP_FIELDS || h.framing == HTTP_BODY_CLOSE)
        abort();
    inside(text, len, h.target);
    inside(text, len, h.path);
    inside(text, len, h.authority);
    for (unsigned i = 0; i < h.fields; i++) {
        inside(text, len, h.field[i].name);
        inside(text, len, h.field[i].value);
    }
    for (uint32_t n = len > 64 ? len - 64 : 0; n < len; n++)
        if (http_parse_request(text, n, &h) != HTTP_AGAIN ||
            http_parse_again(&recent, text, n, &again) != HTTP_AGAIN)
            abort();
    return 0;
}
