/* SPDX-License-Identifier: BSD-3-Clause */
/* URLs, authorities, ranges, dates. A normal form is its own normal form. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void url(struct http_text t)
{
    static char once[HTTP_URL_MAX], twice[HTTP_URL_MAX];
    char host[256];
    uint16_t port;
    struct http_text a = {"a.example", 9};
    size_t n = http_url_normalise(a, 8080, t, once, sizeof(once));
    if (n > sizeof(once) || (n && n < 22))
        abort();
    if (n) {
        struct http_text path = {once + 21, (uint32_t)n - 21};
        size_t m = http_url_normalise(a, 8080, path, twice, sizeof(twice));
        if (m != n || memcmp(once, twice, n) != 0)
            abort();
    }
    if (http_authority(t, host, &port) && (host[0] == 0 || strlen(host) > 255))
        abort();
    http_url_normalise(t, 1, (struct http_text){"/", 1}, once, t.len);
}

/* They are within it, and apart. */
static void ranges(struct http_text t, uint64_t length)
{
    struct http_span s[HTTP_RANGES];
    unsigned n;
    enum http_range is = http_ranges(t, length, s, &n);
    if ((is == HTTP_RANGE_OK) != (n > 0) || n > HTTP_RANGES)
        abort();
    for (unsigned i = 0; i < n; i++) {
        if (s[i].first > s[i].last || s[i].last >= length)
            abort();
        for (unsigned k = 0; k < i; k++)
            if (s[i].first <= s[k].last + HTTP_RANGE_GAP &&
                s[k].first <= s[i].last + HTTP_RANGE_GAP)
                abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t first, last;
    int64_t length;
    if (size > HTTP_URL_MAX)
        return 0;
    struct http_text t = {(const char *)data, (uint32_t)size};
    url(t);
    ranges(t, size);
    ranges(t, 1000);
    ranges(t, INT64_MAX);
    if (http_content_range(t, &first, &last, &length) &&
        (first > last || (length >= 0 && last >= (uint64_t)length)))
        abort();
    int64_t when = http_date_parse(t);
    if (when < -1)
        abort();
    if (when >= 0) {
        char out[30];
        http_date_write(when, out);
        if (http_date_parse((struct http_text){out, 29}) != when)
            abort();
    }
    return 0;
}
