/* SPDX-License-Identifier: BSD-3-Clause */
/* Stored heads: field lines that rest with the object and are sent again as they are. */
#include <string.h>
#include <strings.h>

#include "dataplane/proxy/proxy_internal.h"

bool text_equals(struct http_text t, const char *name)
{
    return strlen(name) == t.len && strncasecmp(t.p, name, t.len) == 0;
}

bool field_is_hops(const struct http_head *h, const struct http_field *f)
{
    switch (f->known) {
    case HTTP_CONNECTION:
    case HTTP_CONTENT_LENGTH:
    case HTTP_KEEP_ALIVE:
    case HTTP_PROXY_AUTHENTICATE:
    case HTTP_PROXY_AUTHORIZATION:
    case HTTP_PROXY_CONNECTION:
    case HTTP_TE:
    case HTTP_TRAILER:
    case HTTP_TRANSFER_ENCODING:
    case HTTP_UPGRADE:
    case HTTP_CORAL_PEER:
        return true;
    default: /* the last is between a client and the proxy that it has logged in to (11.7.3) */
        return http_connection_names(h, f->name) ||
               text_equals(f->name, "Proxy-Authentication-Info");
    }
}

bool field_dropped(const struct http_head *h, const struct http_field *f, bool cookies)
{
    switch (f->known) {
    case HTTP_AGE:
        return true;
    case HTTP_CONTENT_RANGE: /* elsewhere it says nothing, and is kept as any */
        return h->status == 206 || h->status == 304 || h->status == 416;
    case HTTP_SET_COOKIE:
        return !cookies;
    default:
        break;
    }
    return field_is_hops(h, f);
}

static bool names_tags(const struct http_field *f)
{
    return f->known == HTTP_OTHER && cache_tag_field(f->name.p, f->name.len);
}

void head_field_write(struct head_writer *w, const struct http_field *f)
{
    head_write(w, f->name.p, f->name.len);
    head_write(w, ": ", 2);
    head_write(w, f->value.p, f->value.len);
    head_write(w, "\r\n", 2);
}

size_t head_store(const struct http_head *h, bool cookies, struct now now, char *out, size_t room)
{
    struct head_writer w = {out, 0, room, false};
    for (unsigned i = 0; i < h->fields; i++)
        if (names_tags(&h->field[i]) && !field_dropped(h, &h->field[i], cookies))
            head_field_write(&w, &h->field[i]);
    for (unsigned i = 0; i < h->fields; i++)
        if (!names_tags(&h->field[i]) && !field_dropped(h, &h->field[i], cookies))
            head_field_write(&w, &h->field[i]);
    if (!http_known(h, HTTP_DATE)) { /* RFC 9110 6.6.1: a recipient with a clock adds it */
        char date[30];
        http_date_write(now.wall_s, date);
        head_printf(&w, "Date: %s\r\n", date);
    }
    return w.bad ? 0 : w.len;
}

bool head_line(const char *head, size_t len, size_t *at, struct http_text *name,
               struct http_text *line)
{
    if (*at >= len)
        return false;
    const char *start = head + *at;
    const char *end = memchr(start, '\n', len - *at);
    size_t n = end ? (size_t)(end - start) + 1 : len - *at;
    const char *colon = memchr(start, ':', n);
    *line = (struct http_text){start, (uint32_t)n};
    *name = (struct http_text){start, colon ? (uint32_t)(colon - start) : 0};
    *at += n;
    return true;
}

struct http_text head_field(const char *head, size_t len, const char *wanted)
{
    struct http_text name, line;
    for (size_t at = 0; head_line(head, len, &at, &name, &line);) {
        if (name.len == 0 || !text_equals(name, wanted))
            continue;
        struct http_text v = {name.p + name.len + 1, line.len - name.len - 1};
        while (v.len && (*v.p == ' ' || *v.p == '\t'))
            v.p++, v.len--;
        while (v.len && strchr(" \t\r\n", v.p[v.len - 1]))
            v.len--;
        return v;
    }
    return (struct http_text){"", 0};
}

static bool head_has(const char *head, size_t len, struct http_text wanted)
{
    struct http_text name, line;
    for (size_t at = 0; head_line(head, len, &at, &name, &line);)
        if (name.len == wanted.len && strncasecmp(name.p, wanted.p, name.len) == 0)
            return true;
    return false;
}

size_t head_merge(const char *old, size_t old_len, const char *fresh, size_t fresh_len, char *out,
                  size_t room)
{
    struct head_writer w = {out, 0, room, false};
    struct http_text name, line;
    size_t tags = cache_tag_lines(fresh, fresh_len);
    head_write(&w, fresh, tags);
    for (size_t at = 0; head_line(old, old_len, &at, &name, &line);)
        if (!head_has(fresh, fresh_len, name))
            head_write(&w, line.p, line.len);
    head_write(&w, fresh + tags, fresh_len - tags);
    return w.bad ? 0 : w.len;
}

struct http_text head_strong(struct http_text etag, struct http_text modified,
                             struct http_text date)
{
    int64_t since = http_date_parse(modified);
    if (etag.len)
        return etag.p[0] == '"' ? etag : (struct http_text){"", 0};
    return since >= 0 && since < http_date_parse(date) ? modified : (struct http_text){"", 0};
}

/* The same on every node, so without a secret: it only tells versions apart. */
static uint64_t mix(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

uint64_t head_validators(struct http_text etag, struct http_text modified)
{
    uint64_t v = 0;
    if (etag.len && etag.p[0] == '"')
        v = mix(etag.p, etag.len, 1);
    else if (modified.len)
        v = mix(modified.p, modified.len, 2);
    return v;
}

uint64_t head_version(uint64_t validators, int64_t length)
{
    return validators ? mix(&length, sizeof(length), validators) | 1 : 0;
}
