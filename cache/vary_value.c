/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of the fields that responses vary by, so written that what means the same is the same. */
#include <string.h>
#include <strings.h>

#include "base/ascii.h"
#include "cache/vary.h"

/* With the control characters that no parser of heads lets through: they must not end a value. */
static bool is_blank(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

static bool name_is(const struct cache_name *name, const char *text)
{
    return name->len == strlen(text) && memcmp(name->p, text, name->len) == 0;
}

static void trim(const char **p, size_t *len)
{
    while (*len && is_blank(**p))
        (*p)++, (*len)--;
    while (*len && is_blank((*p)[*len - 1]))
        (*len)--;
}

/* --- Accept-Encoding (RFC 9110 12.5.3) -------------------------------------------------------- */

/* Is there a weight of zero among these parameters ("0", "0." and up to three zeros, 12.4.2)? */
static bool refused(const char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        const char *at = p + i, *semicolon = memchr(at, ';', len - i);
        size_t n = semicolon ? (size_t)(semicolon - at) : len - i;
        i += n + 1;
        trim(&at, &n);
        if (n < 2 || (*at != 'q' && *at != 'Q'))
            continue;
        at++, n--;
        trim(&at, &n);
        if (!n || *at != '=')
            continue;
        at++, n--;
        trim(&at, &n);
        bool zero = n && *at == '0';
        for (size_t k = 1; k < n; k++)
            zero = zero && (at[k] == '0' || (k == 1 && at[k] == '.'));
        if (zero)
            return true;
    }
    return false;
}

enum wish { WISH_UNSAID, WISH_YES, WISH_NO };

static void wish(enum wish *of, bool no)
{
    if (*of != WISH_NO) /* of two that differ the stricter */
        *of = no ? WISH_NO : WISH_YES;
}

static void write_codings(struct writer *w, const char *p, size_t len)
{
    enum wish br = WISH_UNSAID, gzip = WISH_UNSAID, other = WISH_UNSAID;
    for (size_t i = 0; i < len;) {
        const char *at = p + i, *comma = memchr(at, ',', len - i);
        size_t n = comma ? (size_t)(comma - at) : len - i;
        i += n + 1;
        const char *params = memchr(at, ';', n);
        bool no = params && refused(params + 1, n - (size_t)(params + 1 - at));
        if (params)
            n = (size_t)(params - at);
        trim(&at, &n);
        if (n == 2 && strncasecmp(at, "br", 2) == 0)
            wish(&br, no);
        else if ((n == 4 && strncasecmp(at, "gzip", 4) == 0) ||
                 (n == 6 && strncasecmp(at, "x-gzip", 6) == 0)) /* 8.4.1.3 */
            wish(&gzip, no);
        else if (n == 1 && *at == '*')
            wish(&other, no);
    }
    bool has_br = (br ? br : other) == WISH_YES, has_gzip = (gzip ? gzip : other) == WISH_YES;
    const char *text = has_br ? (has_gzip ? "br, gzip" : "br") : (has_gzip ? "gzip" : "identity");
    write_bytes(w, text, strlen(text));
}

/* --- others ----------------------------------------------------------------------------------- */

/* The end of the quoted string that begins at `i`, behind its quote; the end of all without one. */
static size_t quoted_end(const char *p, size_t len, size_t i)
{
    for (i++; i < len && p[i] != '"'; i++)
        if (p[i] == '\\' && i + 1 < len)
            i++;
    return i < len ? i + 1 : len;
}

static void write_quoted(struct writer *w, const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        write_u8(w, (uint8_t)(is_blank(p[i]) && p[i] != '\t' ? ' ' : p[i]));
}

static void write_text(struct writer *w, const char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        if (p[i] == '"') {
            size_t end = quoted_end(p, len, i);
            write_quoted(w, p + i, end - i);
            i = end;
        } else if (is_blank(p[i])) {
            while (i < len && is_blank(p[i]))
                i++;
            write_u8(w, ' ');
        } else {
            write_u8(w, (uint8_t)p[i++]);
        }
    }
}

/* Where the next `separator` outside of quoted strings stands, from `i` on. */
static size_t separator_at(const char *p, size_t len, size_t i, char separator)
{
    while (i < len && p[i] != separator)
        i = p[i] == '"' ? quoted_end(p, len, i) : i + 1;
    return i;
}

static void write_member(struct writer *w, const char *p, size_t len)
{
    for (size_t i = 0; i <= len;) {
        size_t end = separator_at(p, len, i, ';');
        const char *part = p + i;
        size_t n = end - i;
        trim(&part, &n);
        if (i)
            write_u8(w, ';');
        write_text(w, part, n);
        i = end + 1;
    }
}

static void write_list(struct writer *w, const char *p, size_t len)
{
    bool first = true;
    for (size_t i = 0; i < len;) {
        size_t end = separator_at(p, len, i, ',');
        const char *member = p + i;
        size_t n = end - i;
        i = end + 1;
        trim(&member, &n);
        if (!n)
            continue;
        if (!first)
            write_u8(w, ',');
        first = false;
        write_member(w, member, n);
    }
}

static void lower(uint8_t *p, const uint8_t *end)
{
    for (; p < end; p++)
        *p = (uint8_t)ascii_lower((char)*p);
}

void cache_value_write(struct writer *w, const struct cache_name *name, const char *raw, size_t len)
{
    bool codings = name_is(name, "accept-encoding"), present = raw != NULL || codings;
    write_bytes(w, present ? "\n=" : "\n-", 2);
    if (raw)
        trim(&raw, &len);
    uint8_t *from = w->p;
    bool language = name_is(name, "accept-language");
    if (codings)
        write_codings(w, raw, raw ? len : 0);
    else if (raw && (language || name_is(name, "accept")))
        write_list(w, raw, len);
    else if (raw)
        write_text(w, raw, len);
    if (language)
        lower(from, w->p);
}

bool cache_value_next(const char *values, size_t len, size_t *at, struct cache_value *out)
{
    if (len < 2 || *at > len - 2)
        return false;
    const char *p = values + *at + 2, *end = memchr(p, '\n', len - *at - 2);
    out->present = p[-1] == '=';
    out->p = p;
    out->len = (end ? (size_t)(end - values) : len) - (*at + 2);
    *at += 2 + out->len;
    return true;
}
