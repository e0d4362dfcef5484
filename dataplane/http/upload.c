/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request's body on its way to the handler: its framing undone (RFC 9112 6), at the handler's
 * pace. What the handler does not take stays with the stream, whose window closes by it.
 */
#include <assert.h>

#include "dataplane/http/conn.h"

bool http_conn_read_body(struct http_conn *c, const struct http_head *h, struct now now)
{
    struct http_server *s = c->server;
    struct http_upload *u = s->upload_free;
    assert(http_has_body(h) && s->handler.body && s->handler.body_end);
    if (!u) {
        counter_inc(&s->counters.http_body_full_total);
        return false;
    }
    s->upload_free = u->next;
    *u = (struct http_upload){.progress_us = now.mono_us,
                              .left = h->content_length,
                              .chunked = h->framing == HTTP_BODY_CHUNKED};
    http_chunked_init(&u->chunks);
    c->upload = u;
    c->keep_alive = c->persists;
    counter_inc(&s->counters.http_bodies_total);
    return true;
}

void http_upload_drop(struct http_conn *c)
{
    struct http_upload *u = c->upload;
    if (!u)
        return;
    c->upload = NULL;
    u->next = c->server->upload_free;
    c->server->upload_free = u;
}

void http_upload_fail(struct http_conn *c, enum http_error why, struct now now)
{
    struct http_server *s = c->server;
    counter_inc(&s->counters.http_body_broken_total);
    http_server_count(s, why);
    c->keep_alive = false;
    if (c->handed) {
        c->handed = false;
        c->refused = c->head_sent || c->phase != HTTP_CONN_BUSY ? HTTP_OK : (uint8_t)why;
        s->handler.gone(s->handler.ctx, c, c->request, now);
        c->request = NULL;
    }
    if (c->head_sent || c->phase != HTTP_CONN_BUSY) {
        http_conn_kill(c);
        return;
    }
    http_respond_error(c, http_error_status(why), HTTP_BODY_REFUSED, 0, true, now);
}

/* Hands out; returns what was taken. The connection may be dead after it, or its answer over. */
static size_t hand_over(struct http_conn *c, const uint8_t *data, size_t len, struct now now)
{
    struct http_server *s = c->server;
    size_t n = s->handler.body(s->handler.ctx, c, c->request, data, len, now);
    assert(n <= len);
    counter_add(&s->counters.http_body_bytes_total, n);
    if (c->upload && n < len)
        c->upload->paused = true;
    return n;
}

static size_t read_chunks(struct http_conn *c, const uint8_t *data, size_t len, bool *end,
                          struct now now)
{
    struct http_upload *u = c->upload;
    size_t used;
    struct http_text span;
    enum http_error e = http_chunked_next(&u->chunks, data, len, &used, &span);
    if (e == HTTP_BAD_BODY) {
        http_upload_fail(c, e, now);
        return len;
    }
    *end = e == HTTP_OK;
    if (span.len == 0)
        return used;
    size_t n = hand_over(c, (const uint8_t *)span.p, span.len, now);
    if (!c->upload) /* answered from inside: nobody wants the rest */
        return len;
    http_chunked_unread(&u->chunks, span.len - n);
    *end = *end && n == span.len;
    return used - (span.len - n);
}

static size_t read_length(struct http_conn *c, const uint8_t *data, size_t len, bool *end,
                          struct now now)
{
    struct http_upload *u = c->upload;
    size_t n = hand_over(c, data, len < u->left ? len : (size_t)u->left, now);
    if (!c->upload)
        return len;
    u->left -= n;
    *end = u->left == 0;
    return n;
}

size_t http_upload_read(struct http_conn *c, const uint8_t *data, size_t len, struct now now)
{
    struct http_server *s = c->server;
    bool end = false;
    if (c->upload->paused)
        return 0;
    c->upload->progress_us = now.mono_us;
    size_t n = c->upload->chunked ? read_chunks(c, data, len, &end, now)
                                  : read_length(c, data, len, &end, now);
    if (end && c->upload) {
        http_upload_drop(c);
        s->handler.body_end(s->handler.ctx, c, c->request, now);
    }
    return n;
}

void http_conn_resume(struct http_conn *c)
{
    if (!c->upload || !c->upload->paused)
        return;
    c->upload->paused = false;
    stream_resume(c->stream);
}
