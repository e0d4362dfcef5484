/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/http/syntax.h"

#include <assert.h>
#include <string.h>

#define T HTTP_CH_TOKEN
#define V HTTP_CH_VALUE
#define G HTTP_CH_TARGET
#define H HTTP_CH_HOST
#define U HTTP_CH_UNRESERVED

const uint8_t http_char[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = T | V | G,
    ['"'] = V | G,
    ['#' ... '\''] = T | V | G,
    ['(' ... ')'] = V | G,
    ['*' ... '+'] = T | V | G,
    [','] = V | G,
    ['-' ... '.'] = T | V | G | H | U,
    ['/'] = V | G,
    ['0' ... '9'] = T | V | G | H | U,
    [':' ... '@'] = V | G,
    ['A' ... 'Z'] = T | V | G | H | U,
    ['[' ... ']'] = V | G,
    ['^'] = T | V | G,
    ['_'] = T | V | G | H | U,
    ['`'] = T | V | G,
    ['a' ... 'z'] = T | V | G | H | U,
    ['{'] = V | G,
    ['|'] = T | V | G,
    ['}'] = V | G,
    ['~'] = T | V | G | U,
    [0x80 ... 0xff] = V,
};

bool http_text_is(struct http_text t, const char *lower)
{
    for (uint32_t i = 0; i < t.len; i++)
        if (lower[i] == 0 || http_lower(t.p[i]) != lower[i])
            return false;
    return lower[t.len] == 0;
}

bool http_text_number(struct http_text t, uint64_t *out)
{
    uint64_t v = 0;
    if (t.len == 0)
        return false;
    for (uint32_t i = 0; i < t.len; i++) {
        if (!http_is_digit(t.p[i]))
            return false;
        unsigned digit = (unsigned)(t.p[i] - '0');
        if (v > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

static struct http_text trim(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct http_text){p, (uint32_t)(end - p)};
}

bool http_list_next(struct http_text *rest, struct http_text *member)
{
    if (!rest->p)
        return false;
    const char *end = rest->p + rest->len;
    const char *comma = memchr(rest->p, ',', rest->len);
    *member = trim(rest->p, comma ? comma : end);
    *rest = comma ? (struct http_text){comma + 1, (uint32_t)(end - comma - 1)}
                  : (struct http_text){NULL, 0};
    return true;
}

/* Sorted by length; start[n] is the first of length n. */
static const struct {
    const char *name;
    uint8_t len, which;
} known[] = {
#define K(name, which)                                                                             \
    {                                                                                              \
        name, sizeof(name) - 1, which                                                              \
    }
    K("te", HTTP_TE),
    K("age", HTTP_AGE),
    K("via", HTTP_VIA),
    K("date", HTTP_DATE),
    K("etag", HTTP_ETAG),
    K("host", HTTP_HOST),
    K("vary", HTTP_VARY),
    K("range", HTTP_RANGE),
    K("cookie", HTTP_COOKIE),
    K("expect", HTTP_EXPECT),
    K("pragma", HTTP_PRAGMA),
    K("expires", HTTP_EXPIRES),
    K("trailer", HTTP_TRAILER),
    K("upgrade", HTTP_UPGRADE),
    K("if-range", HTTP_IF_RANGE),
    K("location", HTTP_LOCATION),
    K("connection", HTTP_CONNECTION),
    K("keep-alive", HTTP_KEEP_ALIVE),
    K("set-cookie", HTTP_SET_COOKIE),
    K("user-agent", HTTP_USER_AGENT),
    K("coral-peer", HTTP_CORAL_PEER),
    K("retry-after", HTTP_RETRY_AFTER),
    K("content-type", HTTP_CONTENT_TYPE),
    K("authorization", HTTP_AUTHORIZATION),
    K("cache-control", HTTP_CACHE_CONTROL),
    K("content-range", HTTP_CONTENT_RANGE),
    K("if-none-match", HTTP_IF_NONE_MATCH),
    K("last-modified", HTTP_LAST_MODIFIED),
    K("content-length", HTTP_CONTENT_LENGTH),
    K("proxy-connection", HTTP_PROXY_CONNECTION),
    K("if-modified-since", HTTP_IF_MODIFIED_SINCE),
    K("transfer-encoding", HTTP_TRANSFER_ENCODING),
    K("proxy-authenticate", HTTP_PROXY_AUTHENTICATE),
    K("proxy-authorization", HTTP_PROXY_AUTHORIZATION),
#undef K
};
#define KNOWN_LEN_MAX 19
static_assert(sizeof(known) / sizeof(known[0]) == HTTP_KNOWN - 1, "each known field has its name");

static const uint8_t start[KNOWN_LEN_MAX + 2] = {0,  0,  0,  1,  3,  7,  8,  11, 14, 16, 16,
                                                 21, 22, 23, 28, 29, 29, 30, 32, 33, 34};

enum http_known http_known_find(struct http_text name)
{
    if (name.len > KNOWN_LEN_MAX)
        return HTTP_OTHER;
    for (unsigned i = start[name.len]; i < start[name.len + 1]; i++)
        if (http_lower(name.p[0]) == known[i].name[0] && http_text_is(name, known[i].name))
            return (enum http_known)known[i].which;
    return HTTP_OTHER;
}

unsigned http_error_status(enum http_error e)
{
    switch (e) {
    case HTTP_OK:
    case HTTP_AGAIN:
    case HTTP_BAD:
        break;
    case HTTP_URI_TOO_LONG:
        return 414;
    case HTTP_HEAD_TOO_LARGE:
        return 431;
    case HTTP_BAD_VERSION:
        return 505;
    case HTTP_BAD_CODING:
        return 501;
    }
    return 400;
}

const char *http_reason(unsigned status)
{
    static const struct {
        uint16_t status;
        const char *text;
    } reason[] = {
        {100, "Continue"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {508, "Loop Detected"},
    };
    for (size_t i = 0; i < sizeof(reason) / sizeof(reason[0]); i++)
        if (reason[i].status == status)
            return reason[i].text;
    return "Unknown";
}
