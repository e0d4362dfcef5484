/* SPDX-License-Identifier: BSD-3-Clause */
/* Range (RFC 9110 14.1.2, 14.2) and Content-Range (14.4). */
#include "dataplane/http/syntax.h"

#include <string.h>

static bool split(struct http_text t, char at, struct http_text *left, struct http_text *right)
{
    const char *p = t.len ? memchr(t.p, at, t.len) : NULL;
    if (!p)
        return false;
    *left = (struct http_text){t.p, (uint32_t)(p - t.p)};
    *right = (struct http_text){p + 1, t.len - left->len - 1};
    return true;
}

/* Digits alone, at least one; what does not fit is as good as infinite. */
static bool position(struct http_text t, uint64_t *out)
{
    for (uint32_t i = 0; i < t.len; i++)
        if (!http_is_digit(t.p[i]))
            return false;
    if (t.len == 0)
        return false;
    if (!http_text_number(t, out))
        *out = INT64_MAX;
    return true;
}

enum http_range http_range(struct http_text value, uint64_t length, uint64_t *first, uint64_t *last)
{
    struct http_text unit, spec, from, to;
    uint64_t a, b;
    if (!split(value, '=', &unit, &spec) || !http_text_is(unit, "bytes") ||
        !split(spec, '-', &from, &to))
        return HTTP_RANGE_NONE;

    if (from.len == 0) { /* the last b bytes */
        if (!position(to, &b))
            return HTTP_RANGE_NONE;
        if (b == 0 || length == 0)
            return HTTP_RANGE_UNSATISFIABLE;
        *first = b < length ? length - b : 0;
        *last = length - 1;
        return HTTP_RANGE_OK;
    }
    if (!position(from, &a))
        return HTTP_RANGE_NONE;
    b = INT64_MAX;
    if (to.len && (!position(to, &b) || b < a))
        return HTTP_RANGE_NONE;
    if (a >= length)
        return HTTP_RANGE_UNSATISFIABLE;
    *first = a;
    *last = b < length ? b : length - 1;
    return HTTP_RANGE_OK;
}

bool http_content_range(struct http_text value, uint64_t *first, uint64_t *last, int64_t *length)
{
    struct http_text unit, rest, range, size, from, to;
    uint64_t a, b, n;
    if (!split(value, ' ', &unit, &rest) || !http_text_is(unit, "bytes") ||
        !split(rest, '/', &range, &size) || !split(range, '-', &from, &to) ||
        !http_text_number(from, &a) || !http_text_number(to, &b) || b < a)
        return false;
    if (size.len == 1 && size.p[0] == '*') {
        *length = -1;
    } else {
        if (!http_text_number(size, &n) || b >= n)
            return false;
        *length = (int64_t)n;
    }
    *first = a;
    *last = b;
    return true;
}
