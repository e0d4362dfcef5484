/* SPDX-License-Identifier: BSD-3-Clause */
/* Request heads: no crash, spans inside the input, and an accepted head is incomplete at every
 * shorter length. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(const char *data, size_t size, struct http_text t)
{
    if (t.len && (t.p < data || t.p + t.len > data + size) && !(t.len == 1 && *t.p == '/'))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head h;
    const char *text = (const char *)data;
    enum http_error e = http_parse_request(text, size, &h);
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
        if (http_parse_request(text, n, &h) != HTTP_AGAIN)
            abort();
    return 0;
}
