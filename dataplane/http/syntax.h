/* SPDX-License-Identifier: BSD-3-Clause */
/* Characters and small tokens of HTTP (RFC 9110 5.6), shared by this folder's parsers. */
#ifndef CORAL_HTTP_SYNTAX_H
#define CORAL_HTTP_SYNTAX_H

#include "base/ascii.h"
#include "dataplane/http/http.h"

enum {
    HTTP_CH_TOKEN = 1,       /* tchar, RFC 9110 5.6.2 */
    HTTP_CH_VALUE = 2,       /* field-vchar, SP, HTAB, RFC 9110 5.5 */
    HTTP_CH_TARGET = 4,      /* what a request target may be made of: visible ASCII */
    HTTP_CH_HOST = 8,        /* letters, digits, '-', '.', '_' */
    HTTP_CH_UNRESERVED = 16, /* RFC 3986 2.3 */
};

extern const uint8_t http_char[256];

static inline bool http_is(char c, unsigned classes)
{
    return (http_char[(uint8_t)c] & classes) != 0;
}

static inline bool http_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* value of a hex digit, -1 for anything else */
static inline int http_hex(char c)
{
    if (http_is_digit(c))
        return c - '0';
    char l = ascii_lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Compares in any case with a lower-case literal. */
bool http_text_is(struct http_text t, const char *lower);
/* Reads digits alone, at least one; larger numbers than INT64_MAX fail. */
bool http_text_number(struct http_text t, uint64_t *out);
/* Next member of a comma list without its white space (maybe empty); false at the end. */
bool http_list_next(struct http_text *rest, struct http_text *member);
/* Which field it is by name, HTTP_OTHER when it is none of ours. */
enum http_known http_known_find(struct http_text name);
/* A chunk's size line with what goes before it, or the last chunk; `begun`: it is not the first. */
#define HTTP_FRAME_MAX 24 /* CR LF, 16 digits, CR LF */
int http_chunk_line(char out[static HTTP_FRAME_MAX], uint64_t size, bool begun);
/* Gives back the last `n` bytes of the span just handed out, to be fed again. */
void http_chunked_unread(struct http_chunked *c, size_t n);

#endif
