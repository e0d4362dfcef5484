/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tags, as origins of Fastly's and Cloudflare's customers send them: Surrogate-Key: a b, Cache-Tag:
 * a, b. Both are split at spaces and commas, so that either may be written either way; letters
 * count as they are.
 */
#include <string.h>
#include <strings.h>

#include "cache/private.h"

bool cache_tag_field(const char *name, size_t len)
{
    static const char key[] = "Surrogate-Key", tag[] = "Cache-Tag", ours[] = CACHE_TAG_OURS;
    static_assert(sizeof(tag) == sizeof(ours), "one length for both");
    return (len == sizeof(key) - 1 && strncasecmp(name, key, len) == 0) ||
           (len == sizeof(tag) - 1 &&
            (strncasecmp(name, tag, len) == 0 || strncasecmp(name, ours, len) == 0));
}

/* Bytes of the line at the begin of `head` that names tags; 0: it is another. `value` is behind the
 * colon. */
static size_t tag_line(const char *head, size_t len, size_t *value)
{
    const char *end = memchr(head, '\n', len);
    size_t n = end ? (size_t)(end - head) + 1 : len;
    const char *colon = memchr(head, ':', n);
    if (!colon || !cache_tag_field(head, (size_t)(colon - head)))
        return 0;
    *value = (size_t)(colon - head) + 1;
    return n;
}

size_t cache_tag_lines(const char *head, size_t len)
{
    size_t at = 0, n, value;
    while (at < len && (n = tag_line(head + at, len - at, &value)) > 0)
        at += n;
    return at;
}

static bool separates(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '\r' || c == '\n';
}

/* *at: where a line begins, or a separator within one, or behind its colon. */
bool cache_tag_next(const char *head, size_t len, size_t *at, const char **tag, size_t *tag_len)
{
    size_t i = *at, value;
    while (i < len) {
        if (i == 0 || head[i - 1] == '\n') { /* a line: is it one of tags? */
            if (tag_line(head + i, len - i, &value) == 0)
                break;
            i += value;
        }
        if (i < len && !separates(head[i])) {
            *tag = head + i;
            while (i < len && !separates(head[i]))
                i++;
            *tag_len = (size_t)(head + i - *tag);
            *at = i;
            return true;
        }
        i++;
    }
    *at = len;
    return false;
}

bool cache_tags_exceed(const char *head, size_t len)
{
    const char *tag;
    size_t at = 0, n;
    for (unsigned i = 0; cache_tag_next(head, len, &at, &tag, &n); i++)
        if (i == CACHE_TAGS_MAX || n > CACHE_TAG_MAX)
            return true;
    return false;
}
