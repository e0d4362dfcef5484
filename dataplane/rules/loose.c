/* SPDX-License-Identifier: BSD-3-Clause */
/* How lax origins read a path: what is encoded as if it were not, slashes in a row as one, and
 * dots only after that. */
#include "base/ascii.h"
#include "dataplane/http/http.h"
#include "dataplane/rules/rules_private.h"

static bool is_lax(const char *path, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (path[i] == '%' || path[i] == '\\' || (path[i] == '/' && i > 0 && path[i - 1] == '/'))
            return true;
    return false;
}

/* Of an encoding in its normal form. */
static unsigned hex(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* What may stand in a path as it is (RFC 3986 3.3), and the backslash. */
static bool is_plain(char c)
{
    char l = ascii_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~!$&'()*+,;=:@/\\", c));
}

size_t rules_loosen(const char *url, size_t len, char *out, size_t room)
{
    char path[HTTP_URL_MAX];
    struct rules_url u;
    size_t n = 0;
    if (!rules_url_split(url, len, &u) || !is_lax(u.path, u.query) || u.path_len > sizeof(path))
        return 0;
    for (size_t i = 0; i < u.query; i++) {
        char c = u.path[i];
        if (c == '%' && i + 2 < u.query) {
            char d = (char)((hex(u.path[i + 1]) << 4 | hex(u.path[i + 2])));
            if (is_plain(d)) {
                c = d;
                i += 2;
            }
        }
        c = c == '\\' ? '/' : c;
        if (c != '/' || n == 0 || path[n - 1] != '/')
            path[n++] = c;
    }
    memcpy(path + n, u.path + u.query, u.path_len - u.query);
    n += u.path_len - u.query;
    /* the port goes with the host */
    struct http_text host = {u.host, (uint32_t)(u.path - u.host)};
    n = http_url_write(host, 0, (struct http_text){path, (uint32_t)n}, out, room);
    return n == len && memcmp(out, url, n) == 0 ? 0 : n;
}
