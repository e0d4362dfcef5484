/* SPDX-License-Identifier: BSD-3-Clause */
/* The response in progress: framing, what the queue did not take, and the guard that a response
 * is either as long as it says or visibly broken. */
#include "dataplane/http/conn.h"

#include <stdio.h>
#include <string.h>

#define ERROR_MAX 1024 /* head and text of a response made here */

static bool owes(const struct http_conn *c)
{
    return c->frame_len || c->spill || c->pending.len;
}

static size_t give(struct http_conn *c, const void *data, size_t len)
{
    size_t n = stream_copy(c->stream, data, len);
    c->given += n;
    return n;
}

static bool give_ref(struct http_conn *c, struct ref r)
{
    if (!stream_send(c->stream, r))
        return false;
    c->given += r.len;
    return true;
}

/* Our own promise can't be kept: reset. */
static void break_off(struct http_conn *c)
{
    counter_inc(&c->server->counters.http_responses_aborted_total);
    http_conn_kill(c);
}

static void spill_free(struct http_conn *c)
{
    c->spill->next = c->server->spill_free;
    c->server->spill_free = c->spill;
    c->spill = NULL;
}

void http_response_drop(struct http_conn *c)
{
    if (c->spill)
        spill_free(c);
    if (c->pending.len)
        ref_release(&c->pending);
    c->pending.len = 0;
    c->frame_len = 0;
}

void http_response_begin(struct http_conn *c, const struct http_head *h)
{
    c->request = NULL;
    c->keep_alive = h && h->keep_alive;
    c->minor0 = h && h->minor == 0;
    c->to_head = h && h->method == HTTP_HEAD_METHOD;
    c->head_sent = c->until_close = c->chunked = c->chunks_begun = c->last_chunk = false;
    c->ended = c->wants = false;
    c->left = c->chunk_left = 0;
}

bool http_response_flush(struct http_conn *c)
{
    if (c->frame_len) {
        size_t n = give(c, c->frame + c->frame_at, c->frame_len);
        c->frame_at = (uint8_t)(c->frame_at + n);
        c->frame_len = (uint8_t)(c->frame_len - n);
        if (c->frame_len)
            return false;
    }
    if (c->spill) {
        struct http_spill *s = c->spill;
        size_t n = give(c, s->bytes + s->at, s->len);
        s->at += (uint32_t)n;
        s->len -= (uint32_t)n;
        if (s->len)
            return false;
        spill_free(c);
    }
    if (c->pending.len) {
        if (!give_ref(c, c->pending))
            return false;
        ref_release(&c->pending);
        c->pending.len = 0;
    }
    return true;
}

/* Keeps what the queue did not take of a head. */
static void spill(struct http_conn *c, const char *rest, size_t len)
{
    struct http_spill *s = c->server->spill_free;
    if (!s || len > sizeof(s->bytes)) {
        counter_inc(&c->server->counters.http_spill_full_total);
        break_off(c);
        return;
    }
    c->server->spill_free = s->next;
    memcpy(s->bytes, rest, len);
    s->at = 0;
    s->len = (uint32_t)len;
    c->spill = s;
}

/* Queues a chunk's size line, or the last chunk; true when it is queued whole. */
static bool put_frame(struct http_conn *c, uint64_t size)
{
    int n = http_chunk_line(c->frame, size, c->chunks_begun);
    c->chunks_begun = true;
    c->frame_at = 0;
    c->frame_len = (uint8_t)n;
    return http_response_flush(c);
}

/* The head is queued, as far as there was room. */
static void head_begun(struct http_conn *c, int64_t length)
{
    c->head_sent = true;
    if (c->upload) /* the head says so (http_conn_keeps_alive) */
        c->keep_alive = false;
    if (c->to_head) {
        c->left = 0;
    } else if (length >= 0) {
        c->left = (uint64_t)length;
    } else if (!c->minor0) {
        c->chunked = true;
    } else {
        c->until_close = true;
        c->keep_alive = false;
    }
}

bool http_respond_head(struct http_conn *c, const char *head, size_t len, int64_t length)
{
    if (c->phase != HTTP_CONN_BUSY)
        return true; /* nobody listens any more; `gone` comes */
    if (c->head_sent) {
        break_off(c);
        return true;
    }
    size_t n = owes(c) ? 0 : give(c, head, len); /* an interim one may be owed */
    if (n == 0) {
        c->wants = true;
        return false;
    }
    head_begun(c, length);
    if (n < len)
        spill(c, head + n, len - n);
    return true;
}

bool http_respond_head_ref(struct http_conn *c, struct ref head, int64_t length)
{
    if (c->phase != HTTP_CONN_BUSY)
        return true;
    if (c->head_sent) {
        break_off(c);
        return true;
    }
    if (owes(c) || !give_ref(c, head)) {
        c->wants = true;
        return false;
    }
    head_begun(c, length);
    return true;
}

bool http_respond_whole(struct http_conn *c, struct ref answer, struct now now)
{
    if (c->phase != HTTP_CONN_BUSY || c->head_sent || c->upload || owes(c) || !give_ref(c, answer))
        return false;
    c->handed = false;
    c->head_sent = c->ended = true;
    http_conn_answered(c, now);
    return true;
}

void http_respond_interim(struct http_conn *c, const char *head, size_t len)
{
    if (c->phase != HTTP_CONN_BUSY || c->head_sent || c->minor0 || owes(c))
        return;
    size_t n = give(c, head, len);
    if (n > 0 && n < len)
        spill(c, head + n, len - n);
}

bool http_conn_chunks(const struct http_conn *c)
{
    return !c->minor0;
}

/* Chunked: the rest of a chunk that was begun, then a chunk of its own. */
static bool chunk_ref(struct http_conn *c, struct ref r)
{
    if (c->chunk_left) {
        struct ref part = r;
        if (part.len > c->chunk_left)
            part.len = (uint32_t)c->chunk_left;
        if (!give_ref(c, part))
            return false;
        c->chunk_left -= part.len;
        r.data += part.len;
        r.len -= part.len;
        if (r.len == 0)
            return true;
    }
    if (!put_frame(c, r.len) || !give_ref(c, r)) {
        ref_hold(&r); /* its size is said: now it is ours to deliver */
        c->pending = r;
    }
    return true;
}

bool http_respond_ref(struct http_conn *c, struct ref r)
{
    if (c->phase != HTTP_CONN_BUSY || c->to_head || r.len == 0)
        return true;
    if (!c->head_sent || (!c->chunked && !c->until_close && r.len > c->left)) {
        break_off(c);
        return true;
    }
    bool taken = !owes(c) && (c->chunked ? chunk_ref(c, r) : give_ref(c, r));
    if (!taken)
        c->wants = true;
    else if (!c->chunked && !c->until_close)
        c->left -= r.len;
    return taken;
}

static size_t chunk_copy(struct http_conn *c, const uint8_t *data, size_t len)
{
    size_t done = 0;
    while (done < len && !owes(c)) {
        if (c->chunk_left == 0) {
            c->chunk_left = len - done;
            if (!put_frame(c, c->chunk_left))
                break;
        }
        size_t ask = len - done < c->chunk_left ? len - done : (size_t)c->chunk_left;
        size_t n = give(c, data + done, ask);
        c->chunk_left -= n;
        done += n;
        if (n < ask)
            break;
    }
    return done;
}

size_t http_respond_copy(struct http_conn *c, const void *data, size_t len)
{
    if (c->phase != HTTP_CONN_BUSY || c->to_head || len == 0)
        return len;
    if (!c->head_sent || (!c->chunked && !c->until_close && len > c->left)) {
        break_off(c);
        return len;
    }
    size_t n = owes(c) ? 0 : c->chunked ? chunk_copy(c, data, len) : give(c, data, len);
    if (!c->chunked && !c->until_close)
        c->left -= n;
    if (n < len)
        c->wants = true;
    return n;
}

uint64_t http_respond_take_back(struct http_conn *c, ref_choice *which)
{
    /* the head stands before this response's bytes in the queue, and is not picked: no others are
     * met */
    if (c->phase != HTTP_CONN_BUSY || !c->head_sent || c->chunked || c->ended || owes(c))
        return 0;
    size_t n = stream_unsend(c->stream, which);
    c->given -= n;
    if (!c->until_close)
        c->left += n;
    return n;
}

/* What is pending is behind a frame, where a spill has its place; a head's rest is not there then,
 * since nothing is taken while one is owed. */
static bool own_pending(struct http_conn *c, size_t most)
{
    struct http_spill *s = c->server->spill_free;
    if (c->spill || !s || c->pending.len > most || c->pending.len > sizeof(s->bytes))
        return false;
    c->server->spill_free = s->next;
    memcpy(s->bytes, c->pending.data, c->pending.len);
    s->at = 0;
    s->len = c->pending.len;
    c->spill = s;
    ref_release(&c->pending);
    c->pending.len = 0;
    return true;
}

bool http_conn_own(struct http_conn *c, ref_choice *which, size_t most)
{
    if (c->pending.len && c->pending.hold && which(c->pending.hold) && !own_pending(c, most))
        return false;
    return stream_own(c->stream, which, most);
}

size_t http_respond_room(const struct http_conn *c)
{
    if (c->phase != HTTP_CONN_BUSY || owes(c))
        return 0;
    size_t queued = stream_queued(c->stream);
    return queued < HTTP_ROOM_HINT ? HTTP_ROOM_HINT - queued : 0;
}

void http_response_finish(struct http_conn *c, struct now now)
{
    if (owes(c))
        return;
    if (c->chunked && !c->last_chunk) {
        c->last_chunk = true;
        if (!put_frame(c, 0))
            return;
    }
    http_conn_answered(c, now);
}

void http_respond_end(struct http_conn *c, struct now now)
{
    c->handed = false;
    if (c->phase != HTTP_CONN_BUSY)
        return;
    if (!c->head_sent || c->left || c->chunk_left) {
        break_off(c);
        return;
    }
    if (c->upload) { /* nobody reads the rest, and what is behind it can't be found */
        c->keep_alive = false;
        http_upload_drop(c);
    }
    c->ended = true;
    http_response_finish(c, now);
}

void http_respond_abort(struct http_conn *c)
{
    c->handed = false;
    if (c->phase == HTTP_CONN_BUSY)
        break_off(c);
}

void http_respond_error(struct http_conn *c, unsigned status, const char *text,
                        uint32_t retry_after_s, bool close, struct now now)
{
    char out[ERROR_MAX], date[30], retry[40] = "";
    size_t body = strnlen(text, ERROR_MAX / 2);
    if (c->phase != HTTP_CONN_BUSY || c->head_sent) {
        http_respond_abort(c);
        return;
    }
    if (close)
        c->keep_alive = false;
    if (retry_after_s)
        snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", retry_after_s);
    http_date_write(now.wall_s, date);
    int n = snprintf(out, sizeof(out),
                     "HTTP/1.1 %u %s\r\nDate: %s\r\nContent-Type: text/plain\r\n"
                     "Content-Length: %zu\r\n%s%s\r\n%.*s",
                     status, http_reason(status), date, body, retry,
                     !http_conn_keeps_alive(c) ? "Connection: close\r\n"
                     : c->minor0               ? "Connection: keep-alive\r\n"
                                               : "",
                     c->to_head ? 0 : (int)body, text);
    if (owes(c)) { /* half of an interim one, to who reads nothing */
        http_respond_abort(c);
        return;
    }
    size_t taken = give(c, out, (size_t)n);
    c->head_sent = true;
    if (taken < (size_t)n)
        spill(c, out + taken, (size_t)n - taken);
    http_respond_end(c, now);
}
