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

/* "5-9", "5-" or "-5". */
static enum http_range spec_read(struct http_text spec, uint64_t length, struct http_span *out)
{
    struct http_text from, to;
    uint64_t a, b = INT64_MAX;
    if (!split(spec, '-', &from, &to))
        return HTTP_RANGE_NONE;
    if (from.len == 0) { /* the last b bytes */
        if (!position(to, &b))
            return HTTP_RANGE_NONE;
        if (b == 0 || length == 0)
            return HTTP_RANGE_UNSATISFIABLE;
        *out = (struct http_span){b < length ? length - b : 0, length - 1};
        return HTTP_RANGE_OK;
    }
    if (!position(from, &a) || (to.len && (!position(to, &b) || b < a)))
        return HTTP_RANGE_NONE;
    if (a >= length)
        return HTTP_RANGE_UNSATISFIABLE;
    *out = (struct http_span){a, b < length ? b : length - 1};
    return HTTP_RANGE_OK;
}

static bool is_near(const struct http_span *a, const struct http_span *b)
{
    return a->first <= b->last + HTTP_RANGE_GAP && b->first <= a->last + HTTP_RANGE_GAP;
}

/* Puts one more to the others, together with those that it is near to: it stands where the first of
 * them did. */
static void span_add(struct http_span *out, unsigned *n, struct http_span s)
{
    unsigned at = *n;
    for (unsigned i = 0; i < *n;) {
        if (!is_near(&out[i], &s)) {
            i++;
            continue;
        }
        s.first = s.first < out[i].first ? s.first : out[i].first;
        s.last = s.last > out[i].last ? s.last : out[i].last;
        at = at < i ? at : i;
        memmove(&out[i], &out[i + 1], (--*n - i) * sizeof(*out));
        i = 0; /* it has grown */
    }
    memmove(&out[at + 1], &out[at], (*n - at) * sizeof(*out));
    out[at] = s;
    ++*n;
}

enum http_range http_ranges(struct http_text value, uint64_t length,
                            struct http_span out[static HTTP_RANGES], unsigned *n)
{
    struct http_text unit, list, spec;
    unsigned specs = 0;
    *n = 0;
    if (!split(value, '=', &unit, &list) || !http_text_is(unit, "bytes"))
        return HTTP_RANGE_NONE;
    while (http_list_next(&list, &spec)) {
        struct http_span span;
        if (!spec.len)
            continue;
        enum http_range is =
            ++specs > HTTP_RANGES ? HTTP_RANGE_NONE : spec_read(spec, length, &span);
        if (is == HTTP_RANGE_NONE) {
            *n = 0;
            return HTTP_RANGE_NONE;
        }
        if (is == HTTP_RANGE_OK)
            span_add(out, n, span);
    }
    return !specs ? HTTP_RANGE_NONE : *n ? HTTP_RANGE_OK : HTTP_RANGE_UNSATISFIABLE;
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
