/* SPDX-License-Identifier: BSD-3-Clause */
#include "pipe.h"

#include <stdlib.h>
#include <string.h>

static uint64_t sum_of(struct ref r)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r.len; i++)
        sum = sum * 0x100000001b3 + r.data[i];
    return sum;
}

static bool op_send(struct stream *s, struct ref r)
{
    struct pipe_end *e = (struct pipe_end *)s;
    if (e->aborted || e->closed || e->shut)
        return true;
    if (e->out_len + r.len > PIPE_QUEUE || e->holds == PIPE_HOLDS) {
        e->wants_writable = true;
        return false;
    }
    memcpy(e->out + e->out_len, r.data, r.len);
    e->out_len += r.len;
    e->sent += r.len;
    ref_hold(&r);
    e->held[e->holds].ref = r;
    e->held[e->holds].sum = sum_of(r);
    e->held[e->holds++].end = e->sent;
    return true;
}

static size_t op_copy(struct stream *s, const void *data, size_t len)
{
    struct pipe_end *e = (struct pipe_end *)s;
    if (e->aborted || e->closed || e->shut)
        return len;
    size_t n = PIPE_QUEUE - e->out_len < len ? PIPE_QUEUE - e->out_len : len;
    memcpy(e->out + e->out_len, data, n);
    e->out_len += n;
    e->sent += n;
    if (n < len)
        e->wants_writable = true;
    return n;
}

static size_t op_queued(const struct stream *s)
{
    return ((const struct pipe_end *)s)->out_len;
}

static void op_resume(struct stream *s)
{
    ((struct pipe_end *)s)->resumed = true;
}

static void op_shut(struct stream *s)
{
    ((struct pipe_end *)s)->shut = true;
}

static void op_abort(struct stream *s)
{
    ((struct pipe_end *)s)->aborted = true;
}

static bool picks(ref_choice *which, struct ref r)
{
    return r.hold && which(r.hold);
}

/* Nothing is on the way here: what the peer has not taken was never sent. */
static size_t op_unsend(struct stream *s, ref_choice *which)
{
    struct pipe_end *e = (struct pipe_end *)s;
    size_t n = 0;
    while (e->holds && e->held[e->holds - 1].end == e->sent &&
           picks(which, e->held[e->holds - 1].ref)) {
        struct ref r = e->held[e->holds - 1].ref;
        size_t keep = e->out_len > r.len ? 0 : r.len - e->out_len + 1; /* taken, and one more */
        e->out_len -= r.len - keep;
        e->sent -= r.len - keep;
        n += r.len - keep;
        e->held[e->holds - 1].ref.len = (uint32_t)keep;
        e->held[e->holds - 1].sum = sum_of(e->held[e->holds - 1].ref);
        e->held[e->holds - 1].end = e->sent;
        if (keep)
            break;
        e->holds--;
        ref_release(&r);
    }
    return n;
}

/* The bytes are a copy already. */
static bool op_own(struct stream *s, ref_choice *which, size_t most)
{
    struct pipe_end *e = (struct pipe_end *)s;
    struct ref r[PIPE_HOLDS];
    size_t bytes = 0;
    unsigned n = 0, kept = 0;
    for (unsigned i = 0; i < e->holds; i++)
        bytes += picks(which, e->held[i].ref) ? e->held[i].ref.len : 0;
    if (bytes > most)
        return false;
    for (unsigned i = 0; i < e->holds; i++) {
        if (picks(which, e->held[i].ref))
            r[n++] = e->held[i].ref;
        else
            e->held[kept++] = e->held[i];
    }
    e->holds = kept;
    while (n > 0)
        ref_release(&r[--n]);
    return true;
}

static const struct stream_ops ops = {.send = op_send,
                                      .copy = op_copy,
                                      .queued = op_queued,
                                      .unsend = op_unsend,
                                      .own = op_own,
                                      .resume = op_resume,
                                      .shut = op_shut,
                                      .abort = op_abort};

static void end_init(struct pipe_end *e, struct pipe_end *peer, const struct endpoint *local,
                     const struct endpoint *remote, const bool *up)
{
    e->s.ops = &ops;
    e->s.local = *local;
    e->s.remote = *remote;
    e->peer = peer;
    e->up = up;
    e->out = malloc(PIPE_QUEUE);
    e->in = malloc(PIPE_WINDOW);
}

struct pipe *pipe_new(const struct endpoint *from, const struct endpoint *to, const bool *from_up,
                      const bool *to_up)
{
    struct pipe *p = calloc(1, sizeof(*p));
    end_init(&p->a, &p->b, from, to, from_up);
    end_init(&p->b, &p->a, to, from, to_up);
    p->a.opening = true;
    return p;
}

static void release(struct pipe_end *e, bool all)
{
    unsigned n = 0;
    while (n < e->holds && (all || e->held[n].end <= e->moved)) {
        struct ref r = e->held[n].ref;
        if (!all && sum_of(r) != e->held[n].sum)
            abort();
        n++;
        ref_release(&r);
    }
    memmove(e->held, e->held + n, (e->holds - n) * sizeof(e->held[0]));
    e->holds -= n;
}

static void close_end(struct pipe_end *e, enum stream_end why, struct now now)
{
    release(e, true);
    e->closed = true;
    e->out_len = 0;
    if (e->s.events && e->s.events->closed)
        e->s.events->closed(&e->s, why, now);
}

/* The peer's first n bytes have been taken. */
static void taken(struct pipe_end *from, size_t n)
{
    memmove(from->out, from->out + n, from->out_len - n);
    from->out_len -= n;
    from->moved += n;
    release(from, false);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes what the peer sent, up to what has come already. True when something came. */
static bool take(struct pipe_end *e)
{
    struct pipe_end *from = e->peer;
    size_t n = least(PIPE_WINDOW - e->in_len, from->out_len);
    if (e->aheads)
        n = least(n, e->ahead[0].from - from->moved);
    if (n == 0 || !*from->up)
        return false;
    memcpy(e->in + e->in_len, from->out, n);
    e->in_len += n;
    taken(from, n);
    return true;
}

/* Some of what is on the way overtakes the rest: each second piece of a segment's size. */
static void overtake(struct pipe_end *e, struct now now)
{
    struct pipe_end *from = e->peer;
    uint64_t piece = 700 + from->moved % 1500, consumed = from->moved - e->in_len;
    for (uint64_t at = from->moved + piece; at < from->moved + from->out_len &&
                                            at - consumed < PIPE_WINDOW &&
                                            e->aheads < PIPE_AHEAD;) {
        size_t len = least(piece, from->moved + from->out_len - at);
        struct stream_place p = e->s.events->place(&e->s, at - consumed, len, now);
        if (!p.at) { /* perhaps further on */
            at += piece;
            continue;
        }
        memcpy(p.at, from->out + (at - from->moved), p.len);
        e->ahead[e->aheads].from = at;
        e->ahead[e->aheads].len = p.len;
        e->ahead[e->aheads++].of = p.of;
        e->placed += p.len;
        at += p.len + (e->aheads % 3 ? piece : 0); /* some touch */
    }
}

/* Offers what lies in its place and whose turn it is. */
static void offer_placed(struct pipe_end *e, struct now now)
{
    while (!e->in_len && !e->aborted && e->aheads && e->ahead[0].from == e->peer->moved) {
        struct stream_place p = e->s.events->place(&e->s, 0, e->ahead[0].len, now);
        if (!p.at || p.of != e->ahead[0].of || memcmp(p.at, e->peer->out, p.len) != 0)
            abort(); /* a place was taken back, and the stream not aborted */
        size_t n = e->s.events->received(&e->s, p.at, p.len, now);
        if (n == 0 || e->aborted)
            return;
        taken(e->peer, n);
        e->ahead[0].from += n;
        e->ahead[0].len -= n;
        if (e->ahead[0].len == 0)
            memmove(e->ahead, e->ahead + 1, --e->aheads * sizeof(e->ahead[0]));
    }
}

void pipe_step(struct pipe_end *e, struct now now)
{
    if (e->closed || !*e->up)
        return;
    if (e->aborted) {
        e->peer->reset = true;
        close_end(e, STREAM_ABORTED, now);
        return;
    }
    if (e->refused || e->reset) {
        close_end(e, e->refused ? STREAM_REFUSED : STREAM_RESET, now);
        return;
    }
    if (e->opening) {
        if (!*e->peer->up)
            return; /* no answer */
        e->opening = false;
        e->s.events->opened(&e->s, now);
        return;
    }
    if (!e->s.events)
        return;
    if (e->s.events->place && !e->aheads && e->in_len == 0 && *e->peer->up && e->steps++ % 2) {
        overtake(e, now);
        e->wait = e->steps % 4;
    }
    if (e->aheads && e->wait && e->wait--)
        return; /* what is in front of them was lost, and comes again */
    while (!e->aborted && (take(e) || e->resumed)) {
        if (e->in_len || e->aheads)
            e->resumed = false;
        if (e->in_len) {
            size_t n = e->s.events->received(&e->s, e->in, e->in_len, now);
            memmove(e->in, e->in + n, e->in_len - n);
            e->in_len -= n;
        }
        offer_placed(e, now);
        if (!e->aheads)
            break;
    }
    if (e->wants_writable && e->out_len <= PIPE_QUEUE / 2 && !e->aborted) {
        e->wants_writable = false;
        e->s.events->writable(&e->s, now);
    }
    if (e->peer->shut && e->peer->out_len == 0 && !e->eof && !e->aborted && *e->peer->up) {
        e->eof = true;
        e->s.events->eof(&e->s, now);
    }
    if (e->eof && e->shut && e->out_len == 0 && !e->aborted)
        close_end(e, STREAM_DONE, now);
}

bool pipe_over(const struct pipe *p)
{
    return p->a.closed && p->b.closed;
}

void pipe_free(struct pipe *p)
{
    free(p->a.out);
    free(p->a.in);
    free(p->b.out);
    free(p->b.in);
    free(p);
}
