/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/http/syntax.h"

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
        if (lower[i] == 0 || ascii_lower(t.p[i]) != lower[i])
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

/* Found by first letter, last letter and length, which together are different for all of ours: a
 * new name that is not gets the compiler's warning of an initialiser twice; then choose other
 * factors. */
#define SLOTS                  128u
#define SLOT(first, last, len) (((uint8_t)(first) + 5u * (uint8_t)(last) + (unsigned)(len)) % SLOTS)

static const struct {
    const char *name;
    uint8_t len, which;
} known[SLOTS] = {
#define K(first, name, last, which)                                                                \
    [SLOT(first, last, sizeof(name) - 1)] = {name, sizeof(name) - 1, which}
    K('t', "te", 'e', HTTP_TE),
    K('a', "age", 'e', HTTP_AGE),
    K('v', "via", 'a', HTTP_VIA),
    K('d', "date", 'e', HTTP_DATE),
    K('e', "etag", 'g', HTTP_ETAG),
    K('h', "host", 't', HTTP_HOST),
    K('v', "vary", 'y', HTTP_VARY),
    K('r', "range", 'e', HTTP_RANGE),
    K('c', "cookie", 'e', HTTP_COOKIE),
    K('e', "expect", 't', HTTP_EXPECT),
    K('p', "pragma", 'a', HTTP_PRAGMA),
    K('e', "expires", 's', HTTP_EXPIRES),
    K('t', "trailer", 'r', HTTP_TRAILER),
    K('u', "upgrade", 'e', HTTP_UPGRADE),
    K('i', "if-range", 'e', HTTP_IF_RANGE),
    K('l', "location", 'n', HTTP_LOCATION),
    K('c', "cdn-loop", 'p', HTTP_CDN_LOOP),
    K('c', "connection", 'n', HTTP_CONNECTION),
    K('k', "keep-alive", 'e', HTTP_KEEP_ALIVE),
    K('s', "set-cookie", 'e', HTTP_SET_COOKIE),
    K('u', "user-agent", 't', HTTP_USER_AGENT),
    K('c', "coral-peer", 'r', HTTP_CORAL_PEER),
    K('r', "retry-after", 'r', HTTP_RETRY_AFTER),
    K('c', "content-type", 'e', HTTP_CONTENT_TYPE),
    K('a', "authorization", 'n', HTTP_AUTHORIZATION),
    K('c', "cache-control", 'l', HTTP_CACHE_CONTROL),
    K('c', "content-range", 'e', HTTP_CONTENT_RANGE),
    K('i', "if-none-match", 'h', HTTP_IF_NONE_MATCH),
    K('l', "last-modified", 'd', HTTP_LAST_MODIFIED),
    K('c', "content-length", 'h', HTTP_CONTENT_LENGTH),
    K('p', "proxy-connection", 'n', HTTP_PROXY_CONNECTION),
    K('i', "if-modified-since", 'e', HTTP_IF_MODIFIED_SINCE),
    K('t', "transfer-encoding", 'g', HTTP_TRANSFER_ENCODING),
    K('p', "proxy-authenticate", 'e', HTTP_PROXY_AUTHENTICATE),
    K('p', "proxy-authorization", 'n', HTTP_PROXY_AUTHORIZATION),
#undef K
};

/* Is a token the lower-case name of letters and '-'? A token has no byte that differs from one of
 * these in the bit 0x20 alone, but for the letters' other case. */
static bool name_is(const char *p, const char *lower, uint32_t len)
{
    uint64_t x, y;
    uint32_t a, b, c, d;
    if (len < sizeof(a)) {
        for (uint32_t i = 0; i < len; i++)
            if ((p[i] | 0x20) != lower[i])
                return false;
        return true;
    }
    if (len < sizeof(x)) {
        memcpy(&a, p, sizeof(a));
        memcpy(&b, p + len - sizeof(b), sizeof(b));
        memcpy(&c, lower, sizeof(c));
        memcpy(&d, lower + len - sizeof(d), sizeof(d));
        return (((a | 0x20202020) ^ c) | ((b | 0x20202020) ^ d)) == 0;
    }
    for (uint32_t at = 0;; at = at + 2 * sizeof(x) <= len ? at + sizeof(x) : len - sizeof(x)) {
        memcpy(&x, p + at, sizeof(x));
        memcpy(&y, lower + at, sizeof(y));
        if ((x | 0x2020202020202020) != y)
            return false;
        if (at + sizeof(x) == len)
            return true;
    }
}

enum http_known http_known_find(struct http_text name)
{
    if (name.len == 0)
        return HTTP_OTHER;
    unsigned i = SLOT(name.p[0] | 0x20, name.p[name.len - 1] | 0x20, name.len);
    return known[i].len == name.len && name_is(name.p, known[i].name, name.len)
               ? (enum http_known)known[i].which
               : HTTP_OTHER;
}

unsigned http_error_status(enum http_error e)
{
    static const uint16_t status[HTTP_ERRORS] = {
        [HTTP_SLOW_HEAD] = 408,   [HTTP_SLOW_BODY] = 408,      [HTTP_URI_TOO_LONG] = 414,
        [HTTP_BAD_EXPECT] = 417,  [HTTP_HEAD_TOO_LARGE] = 431, [HTTP_BAD_CODING] = 501,
        [HTTP_BAD_VERSION] = 505,
    };
    return status[e] ? status[e] : 400;
}

const char *http_reason(unsigned status)
{
    static const struct {
        uint16_t status;
        const char *text;
    } reason[] = {
        {100, "Continue"},
        {102, "Processing"},
        {103, "Early Hints"},
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
