/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several ranges in one response (RFC 9110 14.6, 15.3.7.2; RFC 2046 5.1.1):
 *
 *   --boundary CRLF Content-Type, Content-Range CRLF CRLF bytes    for each, a CRLF between them
 *   CRLF --boundary-- CRLF
 *
 * The bytes go by reference, in the order that they were asked for in, from a whole or from its
 * slices; the text between them is copied, and made anew when there was no room for all of it.
 */
#include <stdio.h>

#include "dataplane/proxy/proxy_internal.h"

#define TEXT_MAX 320u /* a type of 128 bytes, three numbers of 20, and what is about them */

/* What stands before a part; behind the last one, the end. Returns its length. */
static size_t write_text(const struct request *r, unsigned part, char out[static TEXT_MAX])
{
    const struct multipart *m = &r->multipart;
    struct head_writer w = {out, 0, TEXT_MAX, false};
    head_printf(&w, "%s--%016llx", part ? "\r\n" : "", (unsigned long long)m->boundary);
    if (part == r->parts) {
        head_text(&w, "--\r\n");
        return w.len;
    }
    if (m->type_len)
        head_printf(&w, "\r\nContent-Type: %.*s", (int)m->type_len, m->type);
    head_printf(&w, "\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
                (unsigned long long)m->span[part].first, (unsigned long long)m->span[part].last,
                (unsigned long long)m->total);
    return w.len;
}

static void take_part(struct request *r, unsigned part)
{
    const struct http_span *s = &r->multipart.span[part];
    r->part = (uint8_t)part;
    r->part_text = true;
    r->text_out = 0;
    r->offset = part < r->parts ? s->first : r->end;
    r->end = part < r->parts ? s->last + 1 : r->end;
}

int64_t multipart_begin(struct proxy *p, struct request *r, unsigned parts, struct http_text type,
                        int64_t total)
{
    struct multipart *m = &r->multipart;
    char text[TEXT_MAX];
    uint64_t length = 0;
    m->boundary = rng_u64(&p->rng); /* no body can have been made to have it */
    m->total = (uint64_t)total;
    m->type_len = (uint8_t)(type.len <= sizeof(m->type) ? type.len : 0);
    memcpy(m->type, type.p, m->type_len);
    r->parts = (uint8_t)parts;
    for (unsigned i = 0; i < parts; i++)
        length += write_text(r, i, text) + m->span[i].last - m->span[i].first + 1;
    take_part(r, 0);
    return (int64_t)(length + write_text(r, parts, text));
}

void multipart_write_type(const struct request *r, struct head_writer *w)
{
    head_printf(w, "Content-Type: multipart/byteranges; boundary=%016llx\r\n",
                (unsigned long long)r->multipart.boundary);
}

bool multipart_next(struct request *r)
{
    char text[TEXT_MAX];
    if (r->offset == r->end && !r->part_text && r->part < r->parts)
        take_part(r, r->part + 1u);
    if (!r->part_text)
        return true;
    size_t len = write_text(r, r->part, text), left = len - r->text_out;
    size_t n = http_respond_copy(r->conn, text + r->text_out, left);
    r->text_out = (uint16_t)(r->text_out + n);
    r->body_out += n;
    r->part_text = n < left;
    return !r->part_text;
}
