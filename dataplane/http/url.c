/* SPDX-License-Identifier: BSD-3-Clause */
/* URLs: authorities (RFC 3986 3.2) and the normal form that cache keys are made of (6.2.2). */
#include "dataplane/http/scan.h"

#include <string.h>

#define HOST_MAX 255

/* "[" IPv6 address "]": characters alone, who needs the address parses it */
static uint32_t literal_len(struct http_text t)
{
    uint32_t i = 1;
    while (i < t.len && (http_hex(t.p[i]) >= 0 || t.p[i] == ':' || t.p[i] == '.'))
        i++;
    return i > 2 && i < t.len && t.p[i] == ']' ? i + 1 : 0;
}

/* Lower-cases a host to `out`; a name's final dot is dropped, an empty label is refused. Returns
 * the bytes of `t` that are host, 0 when it begins with none. */
static uint32_t host_write(struct http_text t, char out[static HOST_MAX + 1])
{
    char wide[HOST_MAX + 1 + SCAN_STEP]; /* scan_host writes whole steps */
    char *name = t.len <= HOST_MAX + 1 - SCAN_STEP ? out : wide;
    uint32_t n, len;
    if (t.len && t.p[0] == '[') {
        n = len = literal_len(t);
        for (uint32_t i = 0; i < len && len <= HOST_MAX; i++)
            name[i] = ascii_lower(t.p[i]);
    } else {
        n = len = (uint32_t)scan_host(t.p, t.p + t.len, name, HOST_MAX);
        if (len < t.len && t.p[len] == '.')
            return 0;
        if (len > 0 && t.p[len - 1] == '.')
            n--;
    }
    if (n == 0 || len > HOST_MAX)
        return 0;
    if (name == wide)
        memcpy(out, wide, n);
    out[n] = 0;
    return len;
}

bool http_authority(struct http_text in, char host[static 256], uint16_t *port)
{
    uint32_t at = host_write(in, host);
    *port = 0;
    if (at == 0) {
        host[0] = 0; /* it was written in place */
        return false;
    }
    if (at == in.len)
        return true;
    if (in.p[at] != ':')
        return false;
    struct http_text digits = {in.p + at + 1, in.len - at - 1};
    uint64_t n;
    if (digits.len == 0) /* RFC 3986 3.2.3: an empty port is the default one */
        return true;
    if (digits.len > 5 || !http_text_number(digits, &n) || n == 0 || n > UINT16_MAX)
        return false;
    *port = (uint16_t)n;
    return true;
}

struct output {
    char *p;
    size_t len, room;
};

static bool put(struct output *o, char c)
{
    if (o->len == o->room)
        return false;
    o->p[o->len++] = c;
    return true;
}

static bool put_text(struct output *o, const char *text, size_t len)
{
    if (o->room - o->len < len)
        return false;
    memcpy(o->p + o->len, text, len);
    o->len += len;
    return true;
}

/* One percent-encoded byte: decoded where it is unreserved, else in upper case (6.2.2.1, .2). */
static bool put_encoded(struct output *o, const char *p, const char *end)
{
    static const char hex[] = "0123456789ABCDEF";
    if (end - p < 3 || http_hex(p[1]) < 0 || http_hex(p[2]) < 0)
        return false;
    unsigned v = (unsigned)(http_hex(p[1]) << 4 | http_hex(p[2]));
    if (v < 128 && http_is((char)v, HTTP_CH_UNRESERVED))
        return put(o, (char)v);
    return put(o, '%') && put(o, hex[v >> 4]) && put(o, hex[v & 15]);
}

/* Removes dot segments in place (6.2.2.3, 5.2.4); `path` begins with '/'. Returns the length. */
static size_t remove_dots(char *path, size_t len)
{
    size_t to = 0, at = 0;
    while (at < len) { /* path[at] is '/' */
        size_t end = at + 1;
        while (end < len && path[end] != '/')
            end++;
        size_t n = end - at - 1;
        bool dot = n == 1 && path[at + 1] == '.';
        bool dots = n == 2 && path[at + 1] == '.' && path[at + 2] == '.';
        if (dots)
            while (to > 0 && path[--to] != '/')
                ;
        if (!dot && !dots) {
            memmove(path + to, path + at, n + 1);
            to += n + 1;
        } else if (end == len) {
            path[to++] = '/';
        }
        at = end;
    }
    return to;
}

/* Path and query, encodings normalised; `query`: where the query begins in the output. */
static bool put_path(struct output *o, struct http_text path, size_t *query)
{
    const char *p = path.p, *end = path.p + path.len;
    bool in_query = false;
    *query = 0;
    if (path.len == 0 || *p != '/') { /* "http://host?query" */
        if ((path.len && *p != '?' && *p != '#') || !put(o, '/'))
            return false;
    }
    for (; p < end && *p != '#'; p++) {
        if (*p == '?' && !in_query) {
            in_query = true;
            *query = o->len;
        }
        if (!http_is(*p, HTTP_CH_TARGET))
            return false;
        if (*p != '%') {
            if (!put(o, *p))
                return false;
            continue;
        }
        if (!put_encoded(o, p, end))
            return false;
        p += 2;
    }
    if (!in_query)
        *query = o->len;
    return true;
}

static bool put_port(struct output *o, uint16_t port)
{
    char digits[6];
    size_t at = sizeof(digits);
    for (unsigned v = port; v; v /= 10)
        digits[--at] = (char)('0' + v % 10);
    digits[--at] = ':';
    return put_text(o, digits + at, sizeof(digits) - at);
}

size_t http_url_normalise(struct http_text host, uint16_t port, struct http_text path, char *out,
                          size_t room)
{
    char name[HOST_MAX + 1];
    if (host.len == 0 || host_write(host, name) != host.len)
        return 0;
    struct http_text written = {name, (uint32_t)strlen(name)};
    return http_url_write(written, port, path, out, room);
}

size_t http_url_write(struct http_text host, uint16_t port, struct http_text path, char *out,
                      size_t room)
{
    struct output o = {out, 0, room};
    if (!put_text(&o, "http://", 7) || !put_text(&o, host.p, host.len))
        return 0;
    if (port != 0 && port != 80 && !put_port(&o, port))
        return 0;
    return http_url_path(path, out, o.len, room);
}

size_t http_url_path(struct http_text path, char *out, size_t len, size_t room)
{
    struct output o = {out, len, room};
    size_t query, start = len;
    /* most are as they should be */
    if (path.len && path.p[0] == '/' && scan_plain(path.p, path.p + path.len) == path.p + path.len)
        return put_text(&o, path.p, path.len) ? o.len : 0;
    if (!put_path(&o, path, &query))
        return 0;
    size_t path_len = remove_dots(out + start, query - start);
    memmove(out + start + path_len, out + query, o.len - query);
    return start + path_len + (o.len - query);
}
