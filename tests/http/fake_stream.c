/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/http/fake_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *p, size_t *room, size_t need)
{
    if (need <= *room)
        return p;
    *room = need * 2 + 1024;
    p = realloc(p, *room);
    assert(p);
    return p;
}

static void release(struct fake_stream *f)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < f->holds; i++) {
        if (f->held[i].end <= f->read)
            ref_release(&f->held[i].ref);
        else
            f->held[kept++] = f->held[i];
    }
    f->holds = kept;
}

static void sent(struct fake_stream *f, const void *data, size_t len)
{
    f->out = grow(f->out, &f->out_room, f->out_len + len + 1);
    memcpy(f->out + f->out_len, data, len);
    f->out_len += len;
    f->out[f->out_len] = 0;
}

static size_t room(const struct fake_stream *f)
{
    size_t queued = f->out_len - f->read;
    return queued < f->queue_room ? f->queue_room - queued : 0;
}

static bool op_send(struct stream *s, struct ref r)
{
    struct fake_stream *f = (struct fake_stream *)s;
    assert(!f->closed && !f->shut);
    if (f->aborted)
        return true;
    if (room(f) == 0 || f->holds == FAKE_STREAM_REFS) {
        f->wants_writable = true;
        return false;
    }
    sent(f, r.data, r.len);
    ref_hold(&r);
    f->held[f->holds].ref = r;
    f->held[f->holds++].end = f->out_len;
    return true;
}

static size_t op_copy(struct stream *s, const void *data, size_t len)
{
    struct fake_stream *f = (struct fake_stream *)s;
    assert(!f->closed && !f->shut);
    if (f->aborted)
        return len;
    size_t n = len < room(f) ? len : room(f);
    if (n < len)
        f->wants_writable = true;
    sent(f, data, n);
    return n;
}

static size_t op_queued(const struct stream *s)
{
    const struct fake_stream *f = (const struct fake_stream *)s;
    assert(!f->closed);
    return f->out_len - f->read;
}

static void op_resume(struct stream *s)
{
    struct fake_stream *f = (struct fake_stream *)s;
    assert(!f->closed);
    f->wants_resume = true;
}

static void op_shut(struct stream *s)
{
    struct fake_stream *f = (struct fake_stream *)s;
    assert(!f->closed);
    f->shut = true;
}

static void op_abort(struct stream *s)
{
    struct fake_stream *f = (struct fake_stream *)s;
    assert(!f->closed);
    f->aborted = true;
}

static bool picks(ref_choice *which, struct ref r)
{
    return r.hold && which(r.hold);
}

/* What the peer has not acknowledged was never sent. */
static size_t op_unsend(struct stream *s, ref_choice *which)
{
    struct fake_stream *f = (struct fake_stream *)s;
    size_t n = 0;
    while (f->holds && f->held[f->holds - 1].end == f->out_len &&
           f->out_len - f->read > f->held[f->holds - 1].ref.len &&
           picks(which, f->held[f->holds - 1].ref)) {
        struct ref r = f->held[--f->holds].ref;
        f->out_len -= r.len;
        n += r.len;
        ref_release(&r);
    }
    f->out[f->out_len] = 0;
    return n;
}

/* All is a copy here. */
static bool op_own(struct stream *s, ref_choice *which, size_t most)
{
    struct fake_stream *f = (struct fake_stream *)s;
    size_t bytes = 0;
    unsigned kept = 0;
    for (unsigned i = 0; i < f->holds; i++)
        bytes += picks(which, f->held[i].ref) ? f->held[i].ref.len : 0;
    if (bytes > most)
        return false;
    for (unsigned i = 0; i < f->holds; i++) {
        if (picks(which, f->held[i].ref))
            ref_release(&f->held[i].ref);
        else
            f->held[kept++] = f->held[i];
    }
    f->holds = kept;
    return true;
}

static const struct stream_ops fake_ops = {.send = op_send,
                                           .copy = op_copy,
                                           .queued = op_queued,
                                           .unsend = op_unsend,
                                           .own = op_own,
                                           .resume = op_resume,
                                           .shut = op_shut,
                                           .abort = op_abort};

void fake_stream_init(struct fake_stream *f, struct now now)
{
    memset(f, 0, sizeof(*f));
    f->s.ops = &fake_ops;
    f->now = now;
    f->queue_room = SIZE_MAX;
    sent(f, "", 0);
}

void fake_stream_free(struct fake_stream *f)
{
    f->read = f->out_len;
    release(f);
    free(f->in);
    free(f->out);
    f->in = NULL;
    f->out = NULL;
}

static void offer(struct fake_stream *f)
{
    if (f->closed || f->aborted || f->in_len == 0)
        return;
    /* an exact copy, so that the sanitizer sees every read past the end */
    size_t len = f->in_len < STREAM_LOOKAHEAD ? f->in_len : STREAM_LOOKAHEAD;
    uint8_t *view = malloc(len);
    assert(view);
    memcpy(view, f->in, len);
    f->in_event = true;
    size_t n = f->s.events->received(&f->s, view, len, f->now);
    f->in_event = false;
    free(view);
    assert(n <= len);
    f->in_len -= n;
    memmove(f->in, f->in + n, f->in_len);
    if (n > 0 && f->in_len > 0 && len == STREAM_LOOKAHEAD)
        f->wants_resume = true; /* what did not fit into the view */
}

void fake_stream_feed(struct fake_stream *f, const void *data, size_t len)
{
    if (f->closed || f->aborted || len == 0)
        return;
    if (!f->slow) /* who answers has read */
        fake_stream_read(f, SIZE_MAX);
    f->in = grow(f->in, &f->in_room, f->in_len + len);
    memcpy(f->in + f->in_len, data, len);
    f->in_len += len;
    offer(f);
}

void fake_stream_feed_text(struct fake_stream *f, const char *text)
{
    fake_stream_feed(f, text, strlen(text));
}

void fake_stream_open(struct fake_stream *f)
{
    if (!f->closed && !f->aborted)
        f->s.events->opened(&f->s, f->now);
}

void fake_stream_fin(struct fake_stream *f)
{
    if (f->closed || f->aborted || f->peer_fin)
        return;
    f->peer_fin = true;
    f->s.events->eof(&f->s, f->now);
}

void fake_stream_close(struct fake_stream *f, enum stream_end why)
{
    if (f->closed)
        return;
    f->s.events->closed(&f->s, why, f->now);
    f->closed = true;
    f->read = f->out_len;
    release(f);
}

void fake_stream_read(struct fake_stream *f, size_t n)
{
    size_t left = f->out_len - f->read;
    f->read += n < left ? n : left;
    release(f);
}

void fake_stream_poll(struct fake_stream *f)
{
    for (unsigned i = 0; i < 1000 && !f->closed; i++) {
        if (!f->slow)
            fake_stream_read(f, SIZE_MAX);
        if (f->aborted || (f->shut && f->peer_fin && f->read == f->out_len)) {
            fake_stream_close(f, f->aborted ? STREAM_ABORTED : STREAM_DONE);
        } else if (f->wants_resume) {
            f->wants_resume = false;
            offer(f);
        } else if (f->wants_writable && room(f) > 0) {
            f->wants_writable = false;
            f->s.events->writable(&f->s, f->now);
        } else {
            return;
        }
    }
}

const char *fake_stream_text(struct fake_stream *f)
{
    return f->out;
}

void fake_stream_forget(struct fake_stream *f)
{
    fake_stream_read(f, SIZE_MAX);
    f->out_len = f->read = 0;
    f->out[0] = 0;
}
