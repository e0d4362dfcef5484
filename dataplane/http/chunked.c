/* SPDX-License-Identifier: BSD-3-Clause */
/* The chunked transfer coding, decoded (RFC 9112 7.1). Extensions and trailers are checked for
 * their characters, bounded and dropped. */
#include <stdio.h>

#include "dataplane/http/syntax.h"

#define CHUNK_LINE_MAX 256u  /* size and extensions of one chunk */
#define TRAILER_MAX    8192u /* the whole trailer section */

enum state {
    SIZE_FIRST, /* the first digit of a size */
    SIZE,
    SPACE, /* before an extension's ';' (RFC 9112 7.1.1), and nothing else */
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START, /* at the start of a trailer line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    END,
};

void http_chunked_init(struct http_chunked *c)
{
    *c = (struct http_chunked){.state = SIZE_FIRST};
}

void http_chunked_unread(struct http_chunked *c, size_t n)
{
    c->left += n;
    if (n > 0)
        c->state = DATA;
}

static bool step_digit(struct http_chunked *c, int digit)
{
    if (c->left >> 59) /* the next digit would make it 2^63 or more */
        return false;
    c->left = c->left << 4 | (unsigned)digit;
    c->state = SIZE;
    return true;
}

/* A byte of a size line. */
static bool step_size(struct http_chunked *c, char b)
{
    if (++c->line > CHUNK_LINE_MAX)
        return false;
    if (c->state == SIZE_LF) {
        c->state = c->left ? DATA : TRAILER_START;
        c->line = 0;
        return b == '\n';
    }
    if (c->state <= SIZE && http_hex(b) >= 0)
        return step_digit(c, http_hex(b));
    if (c->state == SIZE_FIRST)
        return false;
    if (b == '\r' && c->state != SPACE) {
        c->state = SIZE_LF;
        return true;
    }
    if (c->state == EXTENSION)
        return http_is(b, HTTP_CH_VALUE);
    c->state = b == ';' ? EXTENSION : SPACE;
    return b == ';' || b == ' ' || b == '\t';
}

static bool step_trailer(struct http_chunked *c, char b)
{
    if (++c->line > TRAILER_MAX)
        return false;
    switch (c->state) {
    case TRAILER_START:
        c->state = b == '\r' ? END_LF : TRAILER_NAME;
        return b == '\r' || http_is(b, HTTP_CH_TOKEN);
    case TRAILER_NAME:
        if (b == ':')
            c->state = TRAILER_VALUE;
        return b == ':' || http_is(b, HTTP_CH_TOKEN);
    case TRAILER_VALUE:
        if (b == '\r')
            c->state = TRAILER_LF;
        return b == '\r' || http_is(b, HTTP_CH_VALUE);
    case TRAILER_LF:
        c->state = TRAILER_START;
        return b == '\n';
    default:
        c->state = END;
        return b == '\n';
    }
}

static bool step(struct http_chunked *c, char b)
{
    if (c->state <= SIZE_LF)
        return step_size(c, b);
    if (c->state == DATA_CR) {
        c->state = DATA_LF;
        return b == '\r';
    }
    if (c->state == DATA_LF) {
        c->state = SIZE_FIRST;
        c->line = 0;
        return b == '\n';
    }
    return step_trailer(c, b);
}

enum http_error http_chunked_next(struct http_chunked *c, const uint8_t *data, size_t len,
                                  size_t *consumed, struct http_text *span)
{
    size_t at = 0;
    *span = (struct http_text){NULL, 0};
    while (at < len && c->state != DATA && c->state != END) {
        if (!step(c, (char)data[at])) {
            *consumed = at;
            return HTTP_BAD_BODY;
        }
        at++;
    }
    /* the span is the last of what a call consumes, so that http_chunked_unread can undo it */
    if (c->state == DATA && at < len) {
        size_t n = len - at < c->left ? len - at : (size_t)c->left;
        if (n > UINT32_MAX)
            n = UINT32_MAX;
        *span = (struct http_text){(const char *)data + at, (uint32_t)n};
        c->left -= n;
        at += n;
        if (c->left == 0)
            c->state = DATA_CR;
    }
    *consumed = at;
    return c->state == END ? HTTP_OK : HTTP_AGAIN;
}

int http_chunk_line(char out[static HTTP_FRAME_MAX], uint64_t size, bool begun)
{
    const char *before = begun ? "\r\n" : "";
    if (size)
        return snprintf(out, HTTP_FRAME_MAX, "%s%llx\r\n", before, (unsigned long long)size);
    return snprintf(out, HTTP_FRAME_MAX, "%s0\r\n\r\n", before);
}
