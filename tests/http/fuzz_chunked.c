/* SPDX-License-Identifier: BSD-3-Clause */
/* The chunked decoder: whole and in pieces, the body must be the same. The first byte chooses the
 * pieces. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http_error run(const uint8_t *data, size_t size, size_t step, uint64_t *sum,
                           size_t *body)
{
    struct http_chunked c;
    enum http_error e = HTTP_AGAIN;
    size_t at = 0;
    http_chunked_init(&c);
    *sum = 0;
    *body = 0;
    while (at < size && e == HTTP_AGAIN) {
        size_t part = size - at < step ? size - at : step, used;
        struct http_text span;
        e = http_chunked_next(&c, data + at, part, &used, &span);
        if (used > part || span.len > used || (used == 0 && e == HTTP_AGAIN))
            abort();
        for (uint32_t i = 0; i < span.len; i++)
            *sum = *sum * 31 + (uint8_t)span.p[i];
        *body += span.len;
        at += used;
    }
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t a, b;
    size_t n, m;
    if (size < 1)
        return 0;
    enum http_error whole = run(data + 1, size - 1, size, &a, &n);
    enum http_error parts = run(data + 1, size - 1, 1u + data[0] % 16, &b, &m);
    if (whole != parts || a != b || n != m)
        abort();
    return 0;
}
