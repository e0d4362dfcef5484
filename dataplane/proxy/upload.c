/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests that are for the origin alone, on sites of the operator: other methods than GET and
 * HEAD, and whatever has a body. Each goes past the cache, as one that is passed (pass.c), on the
 * worker that has the client; its body goes from connection to connection as there is room, and
 * nothing of it is kept. So it is sent once only (RFC 9110 9.2.2): another address or origin is
 * tried where none has stood, and not after that.
 */
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

bool upload_take(struct request *r, const struct http_head *h)
{
    if (h->method_text.len >= sizeof(r->method))
        return false;
    memcpy(r->method, h->method_text.p, h->method_text.len);
    r->method[h->method_text.len] = 0;
    r->other = true;
    r->safe = h->method != HTTP_OTHER_METHOD || text_equals(h->method_text, "OPTIONS");
    r->framing = (uint8_t)h->framing;
    r->body_length = h->content_length;
    r->has_body = http_has_body(h);
    r->expects = r->has_body && h->minor > 0 && http_known(h, HTTP_EXPECT);
    return true;
}

void upload_write_fields(const struct request *r, struct head_writer *w)
{
    if (r->framing == HTTP_BODY_CHUNKED)
        head_text(w, "Transfer-Encoding: chunked\r\n");
    else if (r->framing == HTTP_BODY_LENGTH)
        head_printf(w, "Content-Length: %llu\r\n", (unsigned long long)r->body_length);
    if (r->max_forwards >= 0)
        head_printf(w, "Max-Forwards: %lld\r\n", (long long)r->max_forwards - 1);
    if (r->expects) /* who waits for 100 gets it from the origin (10.1.1) */
        head_text(w, "Expect: 100-continue\r\n");
}

unsigned upload_how(const struct request *r)
{
    unsigned how = HTTP_SEND_ONCE;
    if (r->has_body)
        how |= HTTP_SEND_BODY | (r->framing == HTTP_BODY_CHUNKED ? HTTP_SEND_CHUNKED : 0);
    return how;
}

/* Its fill, while that still works for it. */
static struct fill *upload_fill(const struct request *r)
{
    struct fill *f = r->upload;
    return f && f->streaming == r ? f : NULL;
}

/* For the origin; or for the client, whom the server gives up before this alarm goes off. */
static void upload_wait(struct proxy *p, struct request *r, uint64_t wait_us, struct now now)
{
    alarm_set(p, &r->alarm,
              now.mono_us + (r->state == REQUEST_WAITING ? wait_us : request_stall_us(r)));
}

bool upload_pending(const struct request *r)
{
    return r->has_body && !r->body_ended && (r->body_begun || !r->expects);
}

size_t upload_body(struct proxy *p, struct request *r, const uint8_t *data, size_t len,
                   struct now now)
{
    struct fill *f = upload_fill(r);
    r->body_begun = true;
    if (!f)
        return 0;
    size_t n = f->x ? http_exchange_body(f->x, data, len, now) : 0; /* no connection stands yet */
    if (n)
        f->progress_us = now.mono_us;
    upload_wait(p, r, n == len ? PROXY_BODY_US : request_wait_us(r), now);
    return n;
}

void upload_body_end(struct proxy *p, struct request *r, struct now now)
{
    struct fill *f = upload_fill(r);
    r->body_ended = true;
    if (f)
        upload_wait(p, r, request_wait_us(r), now);
    if (f && f->x)
        http_exchange_body_end(f->x);
}

void upload_writable(struct fill *f, struct http_exchange *x)
{
    struct request *r = f->streaming;
    if (!r || !r->has_body)
        return;
    if (r->body_ended) /* an empty one, before the connection stood */
        http_exchange_body_end(x);
    else if (r->conn)
        http_conn_resume(r->conn);
}

/* The client left in the middle of its body: the origin must not take a part for the whole. */
void upload_gone(struct request *r)
{
    struct fill *f = upload_fill(r);
    if (!f || !r->has_body || r->body_ended || f->state == FILL_ENDED)
        return;
    f->broken = true;
    fill_agenda(f);
}

/* An interim response (RFC 9110 15.2) goes on to those of this worker's clients who wait for the
 * final one, and to the one whose request it answers, wherever that is. Those who have joined at
 * other workers do without. */
void upload_interim(struct fill *f, const struct http_head *h)
{
    char out[PROXY_REQUEST_HEAD];
    struct head_writer w = {out, 0, sizeof(out), false};
    head_printf(&w, "HTTP/1.1 %u %s\r\n", h->status, http_reason(h->status));
    size_t fields = w.len;
    for (unsigned i = 0; i < h->fields; i++)
        if (!field_dropped(h, &h->field[i], false))
            head_field_write(&w, &h->field[i]);
    obey_interim(f, &w, fields);
    head_text(&w, "\r\n");
    if (w.bad)
        return;
    struct request *first = f->streaming ? f->streaming : f->waiting;
    for (struct request *r = first; r; r = f->streaming ? NULL : r->o.next)
        if (r->o.worker != f->proxy->config.worker && !r->o.joined)
            pass_interim(f, r, out, w.len);
        else if (r->o.worker == f->proxy->config.worker && r->conn && r->state == REQUEST_WAITING)
            http_respond_interim(r->conn, out, w.len);
}
