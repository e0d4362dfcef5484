/* SPDX-License-Identifier: BSD-3-Clause */
#include "origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART 10000u /* of a ranged answer where the whole is chunked */

struct origin_conn {
    struct origin_conn *next;
    struct origin *origin;
    struct stream *s;
    struct origin_file *file;                /* being sent */
    uint64_t at, end, sent, starts_us, salt; /* of the file when it was asked for */
    bool head_sent, ranged, head_only, not_modified, unsatisfied, cut, ended;
    enum http_framing taking; /* a request's body comes */
    struct origin_file *into;
    uint64_t to_take, taken;
    struct http_chunked chunks;
    char head[20000];
};

uint8_t origin_byte(uint64_t salt, uint64_t i)
{
    uint64_t x = (salt * 1000003 + i / 8 + 1) * 0x9e3779b97f4a7c15u;
    return (uint8_t)((x ^ x >> 29) >> (8 * (i % 8)));
}

struct origin_file *origin_add(struct origin *o, struct origin_file f)
{
    struct origin_file *at = &o->file[o->files++];
    *at = f;
    if (!at->status)
        at->status = 200;
    if (!at->fields)
        at->fields = "";
    return at;
}

static struct origin_file *find(struct origin *o, const struct http_head *h, const char *text)
{
    for (unsigned i = 0; i < o->files; i++) {
        struct origin_file *f = &o->file[i];
        bool any = strcmp(f->path, "*") == 0;
        if ((any ||
             (strlen(f->path) == h->path.len && memcmp(f->path, h->path.p, h->path.len) == 0)) &&
            (!f->when || memmem(text, h->head_len, f->when, strlen(f->when))))
            return f;
    }
    return NULL;
}

static bool field_is(const struct http_head *h, enum http_known which, const char *value)
{
    const struct http_field *f = http_known(h, which);
    return f && value && f->value.len == strlen(value) && !memcmp(f->value.p, value, f->value.len);
}

/* RFC 9110 13.1.2: by weak comparison. */
static bool is_none_match(const struct http_head *h, const char *etag)
{
    struct http_head weak = *h;
    const struct http_field *f = http_known(&weak, HTTP_IF_NONE_MATCH);
    if (f && f->value.len > 2 && f->value.p[0] == 'W') {
        struct http_field *own = (struct http_field *)(uintptr_t)f;
        own->value.p += 2;
        own->value.len -= 2;
    }
    return field_is(&weak, HTTP_IF_NONE_MATCH, etag);
}

/* Of several it knows nothing. */
static enum http_range one_range(struct http_text value, uint64_t length, uint64_t *first,
                                 uint64_t *last)
{
    struct http_span s[HTTP_RANGES];
    unsigned n;
    if (memchr(value.p, ',', value.len))
        return HTTP_RANGE_NONE;
    enum http_range is = http_ranges(value, length, s, &n);
    if (n) {
        *first = s[0].first;
        *last = s[0].last;
    }
    return is;
}

static void answer(struct origin_conn *c, const struct http_head *h, const char *text,
                   struct now now)
{
    static _Thread_local struct origin_file missing = {
        .path = "", .status = 404, .fields = "", .length = 3};
    struct origin_file *f = find(c->origin, h, text);
    uint64_t first, last;
    const struct http_field *range = http_known(h, HTTP_RANGE);
    const struct http_field *if_range = http_known(h, HTTP_IF_RANGE);
    c->origin->requests++;
    if (c->origin->hears)
        c->origin->hears(text, h->head_len);
    if (!f)
        f = &missing;
    f->requests++;
    snprintf(f->last_request, sizeof(f->last_request), "%.*s", (int)h->head_len, text);
    c->file = f;
    c->salt = f->salt;
    c->at = 0;
    c->end = f->length;
    c->sent = 0;
    c->head_sent = c->ranged = c->unsatisfied = false;
    f->last_range[0] = 0;
    c->head_only = h->method == HTTP_HEAD_METHOD;
    c->not_modified = is_none_match(h, f->etag);
    c->starts_us = now.mono_us + f->delay_ms * 1000;
    enum http_range what = HTTP_RANGE_NONE;
    if (range && !f->no_range && (!if_range || f->any_range || field_is(h, HTTP_IF_RANGE, f->etag)))
        what = one_range(range->value, f->length, &first, &last);
    if (range)
        snprintf(f->last_range, sizeof(f->last_range), "%.*s", (int)range->value.len,
                 range->value.p);
    c->unsatisfied = what == HTTP_RANGE_UNSATISFIABLE;
    if (c->unsatisfied)
        c->end = 0;
    if (what == HTTP_RANGE_OK) {
        c->at = first;
        c->end = last + 1;
        if (f->chunked && c->end - c->at > PART) /* one that answers by parts, as it may */
            c->end = c->at + PART;
        c->ranged = true;
        f->ranged++;
    }
    f->not_modified += c->not_modified;
    f->heads += c->head_only;
    c->cut = f->mode != ORIGIN_WELL && (!f->cuts || f->requests <= f->cuts);
}

static void take_bytes(struct origin_conn *c, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        c->into->body_wrong += data[i] != origin_byte(c->into->salt, c->taken++);
    c->into->body_bytes += len;
}

/* Some of a request's body. */
static size_t take_body(struct origin_conn *c, const uint8_t *data, size_t len)
{
    bool whole;
    size_t used = len;
    if (c->taking == HTTP_BODY_CHUNKED) {
        struct http_text span;
        enum http_error e = http_chunked_next(&c->chunks, data, len, &used, &span);
        if (span.len)
            take_bytes(c, (const uint8_t *)span.p, span.len);
        c->into->body_wrong += e == HTTP_BAD_BODY;
        whole = e == HTTP_OK;
    } else {
        used = len < c->to_take ? len : (size_t)c->to_take;
        take_bytes(c, data, used);
        c->to_take -= used;
        whole = c->to_take == 0;
    }
    if (whole) {
        c->taking = HTTP_BODY_NONE;
        c->into->bodies++;
    }
    return used;
}

static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct origin_conn *c = s->user;
    static _Thread_local struct http_head h;
    size_t at = 0;
    while (c->taking != HTTP_BODY_NONE && at < len)
        at += take_body(c, data + at, len - at);
    if (at > 0)
        return at;
    if (c->file)
        return 0; /* one at a time */
    if (http_parse_request((const char *)data, len, &h) != HTTP_OK)
        return 0;
    answer(c, &h, (const char *)data, now);
    if (http_has_body(&h)) {
        c->taking = h.framing;
        c->into = c->file;
        c->to_take = h.content_length;
        c->taken = 0;
        http_chunked_init(&c->chunks);
        stream_resume(s);
    }
    return h.head_len;
}

static void send_head(struct origin_conn *c, struct now now)
{
    struct origin_file *f = c->file;
    char date[30], length[192] = "", etag[128] = "";
    http_date_write(now.wall_s, date);
    if (f->etag)
        snprintf(etag, sizeof(etag), "ETag: %s\r\n",
                 c->not_modified && f->says_etag ? f->says_etag : f->etag);
    if (c->not_modified) {
        c->end = c->at;
    } else if (c->unsatisfied) {
        snprintf(length, sizeof(length), "Content-Range: bytes */%llu\r\nContent-Length: 0\r\n",
                 (unsigned long long)f->length);
    } else if (c->ranged && f->says_range) {
        snprintf(length, sizeof(length), "%sContent-Length: %llu\r\n", f->says_range,
                 (unsigned long long)(c->end - c->at));
    } else if (c->ranged) {
        snprintf(length, sizeof(length),
                 "Content-Range: bytes %llu-%llu/%llu\r\nContent-Length: %llu\r\n",
                 (unsigned long long)c->at, (unsigned long long)c->end - 1,
                 (unsigned long long)f->length, (unsigned long long)(c->end - c->at));
    } else if (f->chunked) {
        snprintf(length, sizeof(length), "Transfer-Encoding: chunked\r\n");
    } else {
        snprintf(length, sizeof(length), "Content-Length: %llu\r\n", (unsigned long long)f->length);
    }
    int n = snprintf(c->head, sizeof(c->head), "HTTP/1.1 %u X\r\nDate: %s\r\n%s%s%s\r\n",
                     c->not_modified  ? 304
                     : c->unsatisfied ? 416
                     : c->ranged      ? 206
                                      : f->status,
                     date, etag, f->fields, length);
    stream_copy(c->s, c->head, (size_t)n);
    c->head_sent = true;
    if (c->head_only)
        c->end = c->at;
}

static void send_body(struct origin_conn *c, struct now now)
{
    struct origin_file *f = c->file;
    uint8_t data[8192];
    char size[16];
    uint64_t allowed = f->rate ? (now.mono_us - c->starts_us) / 1000 * f->rate + 1 : UINT64_MAX;
    while (c->at < c->end && c->sent < allowed && stream_queued(c->s) < 65536) {
        uint64_t n = c->end - c->at;
        n = n < sizeof(data) ? n : sizeof(data);
        n = n < allowed - c->sent ? n : allowed - c->sent;
        if (c->cut && f->mode != ORIGIN_LONG && c->sent + n > f->cut)
            n = f->cut - c->sent;
        for (uint64_t i = 0; i < n; i++)
            data[i] = f->body ? f->body[c->at + i] : origin_byte(c->salt, c->at + i);
        if (n && f->chunked && !c->ranged)
            stream_copy(c->s, size, (size_t)snprintf(size, sizeof(size), "%x\r\n", (unsigned)n));
        stream_copy(c->s, data, n);
        if (n && f->chunked && !c->ranged)
            stream_copy(c->s, "\r\n", 2);
        c->at += n;
        c->sent += n;
        if (c->cut && c->sent == f->cut && f->mode != ORIGIN_LONG) {
            if (f->mode == ORIGIN_RESETS)
                stream_abort(c->s);
            else if (f->mode != ORIGIN_STALLS)
                stream_shut(c->s);
            c->ended = true;
            return;
        }
    }
    if (c->at < c->end)
        return;
    if (f->chunked && !c->ranged && !c->unsatisfied && !c->not_modified && !c->head_only)
        stream_copy(c->s, "0\r\n\r\n", 5);
    if (c->cut && f->mode == ORIGIN_LONG)
        stream_copy(c->s, "more than was said", 18);
    c->file = NULL;
    stream_resume(c->s);
}

static void conn_step(struct origin_conn *c, struct now now)
{
    struct origin_file *f = c->file;
    if (!f || c->ended || now.mono_us < c->starts_us)
        return;
    if (c->taking != HTTP_BODY_NONE && !f->early)
        return;
    if (c->cut && f->mode == ORIGIN_SILENT)
        return;
    if (f->raw) {
        stream_copy(c->s, f->raw, f->raw_len);
        if (f->raw_end)
            stream_shut(c->s);
        c->ended = f->raw_end;
        c->file = NULL;
        stream_resume(c->s);
        return;
    }
    if (c->cut && f->mode == ORIGIN_GARBAGE) {
        stream_copy(c->s, "220 mail.example ESMTP\r\n\r\n", 26);
        c->ended = true;
        return;
    }
    if (!c->head_sent)
        send_head(c, now);
    send_body(c, now);
}

static void on_nothing(struct stream *s, struct now now)
{
    (void)s, (void)now;
}

static void on_eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static void on_closed(struct stream *s, enum stream_end why, struct now now)
{
    struct origin_conn *c = s->user, **at = &c->origin->conns;
    (void)why, (void)now;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c);
}

static const struct stream_events events = {on_nothing, on_received, on_nothing,
                                            on_eof,     on_closed,   NULL};

bool origin_accept(struct origin *o, struct stream *s)
{
    struct origin_conn *c = calloc(1, sizeof(*c));
    c->origin = o;
    c->s = s;
    c->next = o->conns;
    o->conns = c;
    s->events = &events;
    s->user = c;
    return true;
}

void origin_step(struct origin *o, struct now now)
{
    for (struct origin_conn *c = o->conns; c; c = c->next) {
        if (o->up)
            conn_step(c, now);
        else
            stream_abort(c->s);
    }
}

void origin_close(struct origin *o)
{
    while (o->conns) {
        struct origin_conn *c = o->conns;
        o->conns = c->next;
        free(c);
    }
}
