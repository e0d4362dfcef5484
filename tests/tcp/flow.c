/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/tcp/flow.h"

#include <stdlib.h>
#include <string.h>

#define NOISE     (1u << 20)
#define PIECE_MAX 65536u

static uint8_t noise[NOISE + PIECE_MAX]; /* the end repeats the beginning */

void flow_noise_init(void)
{
    struct rng r;
    rng_init_u64(&r, 1);
    rng_bytes(&r, noise, NOISE);
    memcpy(noise + NOISE, noise, PIECE_MAX);
}

static void wrong(struct flow_side *s, const char *what)
{
    if (!s->wrong)
        s->wrong = what;
}

static struct flow_side *other(const struct flow_side *s)
{
    return &s->flow->side[s == &s->flow->side[0]];
}

static void push(struct flow_side *s)
{
    if (!s->stream || !s->opened || s->closed || s->shut || s->aborted)
        return;
    while (s->sent < s->total) {
        uint64_t n = s->total - s->sent < s->piece ? s->total - s->sent : s->piece;
        if (s->send_step && n > s->may_send)
            n = s->may_send;
        if (n == 0)
            return; /* until the next tick */
        const uint8_t *p = noise + (s->salt + s->sent) % NOISE;
        if (s->by_copy) {
            size_t took = stream_copy(s->stream, p, n);
            s->sent += took;
            s->may_send -= s->send_step ? took : 0;
            if (took < n)
                return;
        } else {
            if (!stream_send(s->stream, (struct ref){p, (uint32_t)n, &s->hold}))
                return;
            s->sent += n;
            s->may_send -= s->send_step ? n : 0;
        }
    }
    if (s->shut_early || s->eof) {
        s->shut = true;
        stream_shut(s->stream);
    }
}

static void enter(struct flow_side *s)
{
    if (s->in_event)
        wrong(s, "an event inside of an event");
    if (s->closed)
        wrong(s, "an event after closed");
    s->in_event = true;
}

static void on_opened(struct stream *stream, struct now now)
{
    (void)now;
    struct flow_side *s = stream->user;
    enter(s);
    if (s->opened)
        wrong(s, "opened twice");
    s->opened = true;
    push(s);
    s->in_event = false;
}

static void abort_stream(struct flow_side *s)
{
    s->aborted = true;
    stream_abort(s->stream);
}

static void compare(struct flow_side *s, const uint8_t *data, size_t len)
{
    uint64_t at = s->got, end = s->got + len;
    if (end > other(s)->sent)
        wrong(s, "bytes that the peer never sent");
    while (at < end) {
        uint64_t from = (other(s)->salt + at) % NOISE, n = end - at;
        if (n > PIECE_MAX)
            n = PIECE_MAX;
        if (memcmp(data + (at - s->got), noise + from, n) != 0) {
            wrong(s, "bytes differ from what the peer sent");
            return;
        }
        at += n;
    }
}

static size_t on_received(struct stream *stream, const uint8_t *data, size_t len, struct now now)
{
    (void)now;
    struct flow_side *s = stream->user;
    enter(s);
    if (!s->opened || len == 0)
        wrong(s, "received out of turn");
    if (s->eof && s->got + len > s->seen)
        wrong(s, "more after the end");
    compare(s, data, len);
    s->seen = s->got + len > s->seen ? s->got + len : s->seen;
    size_t n = len;
    if (s->read_step) {
        n = n < s->may_read ? n : s->may_read;
        s->may_read -= n;
    }
    s->got += n;
    if (s->got >= s->abort_at && !s->aborted)
        abort_stream(s);
    else
        push(s);
    s->in_event = false;
    return n;
}

/* In pieces up to a border of 4 KiB. What lies there and has not been offered yet is no secret: a
 * byte that was not written there would be an old one of this ring, and differ. */
static struct stream_place on_place(struct stream *stream, size_t ahead, size_t len, struct now now)
{
    (void)now;
    struct flow_side *s = stream->user;
    uint64_t at = s->got + ahead;
    enter(s);
    s->in_event = false;
    if (!s->shelf || s->got < s->shelf_from || at >= s->shelf_to)
        return (struct stream_place){0};
    uint64_t room = 4096 - at % 4096, left = s->shelf_to - at;
    room = room < left ? room : left;
    return (struct stream_place){s->shelf + at % FLOW_SHELF, room < len ? room : len, s->salt};
}

static void on_writable(struct stream *stream, struct now now)
{
    (void)now;
    struct flow_side *s = stream->user;
    enter(s);
    push(s);
    s->in_event = false;
}

static void on_eof(struct stream *stream, struct now now)
{
    (void)now;
    struct flow_side *s = stream->user;
    enter(s);
    if (s->eof)
        wrong(s, "a second end");
    if (!other(s)->shut || s->seen != other(s)->sent)
        wrong(s, "an end before the end");
    s->eof = true;
    push(s);
    s->in_event = false;
}

static void on_closed(struct stream *stream, enum stream_end why, struct now now)
{
    (void)now;
    struct flow_side *s = stream->user;
    enter(s);
    s->closed = true;
    s->why = why;
    s->stream = NULL;
    s->in_event = false;
}

const struct stream_events flow_events = {on_opened, on_received, on_writable,
                                          on_eof,    on_closed,   on_place};

static void source_free(struct hold *h)
{
    (void)h;
}

/* up to `max`, small ones as likely as large ones */
static uint64_t skewed(struct rng *r, uint64_t max)
{
    return rng_u64(r) % ((max >> rng_below(r, 12)) + 1);
}

static bool one_in(struct rng *r, uint32_t n)
{
    return rng_below(r, n) == 0;
}

static void side_draw(struct flow_side *s, struct rng *r, uint64_t bytes, uint64_t start_us)
{
    static const uint32_t piece[] = {1, 100, 536, 1448, 4096, 16384, 65536};
    s->hold = (struct hold){1, source_free};
    s->salt = rng_u32(r);
    s->total = one_in(r, 6) ? 0 : skewed(r, bytes);
    s->piece = piece[s->total < 2000 ? rng_below(r, 7) : 2 + rng_below(r, 5)];
    s->by_copy = one_in(r, 2);
    s->shut_early = one_in(r, 2);
    s->abort_us = s->abort_at = s->next_us = FLOW_NEVER;
    if (one_in(r, 5)) { /* slow, but through in ten seconds or so */
        s->tick_us = 1000 + rng_below(r, 200000);
        uint32_t steps = 1 + rng_below(r, 10000000 / s->tick_us);
        if (one_in(r, 2))
            s->read_step = 1 + (uint32_t)(bytes / steps);
        else
            s->send_step = 1 + (uint32_t)(s->total / steps);
        s->next_us = start_us;
    }
    if (s->salt % 3) { /* not drawn: a seed's other worlds stay what they were */
        s->shelf = malloc(FLOW_SHELF);
        s->shelf_from = s->salt % 5 ? 0 : s->salt / 5 % 5000;
        s->shelf_to = s->salt % 7 ? UINT64_MAX : s->salt / 7 % (bytes + 1);
    }
    if (one_in(r, 20))
        s->abort_us = start_us + skewed(r, 5000000);
    else if (one_in(r, 20))
        s->abort_at = skewed(r, bytes);
}

void flow_draw(struct flow *f, struct rng *r, uint64_t bytes, uint64_t start_us)
{
    *f = (struct flow){.start_us = start_us, .from = rng_below(r, 2), .refused = one_in(r, 40)};
    for (unsigned i = 0; i < 2; i++) {
        f->side[i].flow = f;
        side_draw(&f->side[i], r, bytes, start_us);
    }
    if (!f->side[0].shut_early && !f->side[1].shut_early)
        f->side[one_in(r, 2)].shut_early = true; /* someone has to begin */
}

void flow_free(struct flow *f)
{
    for (unsigned i = 0; i < 2; i++)
        free(f->side[i].shelf);
}

void flow_accepted(struct flow *f, struct stream *stream, struct now now)
{
    struct flow_side *s = &f->side[FLOW_ACCEPTOR];
    if (s->accepted)
        wrong(s, "accepted twice");
    stream->events = &flow_events;
    stream->user = s;
    s->stream = stream;
    s->accepted = s->opened = true;
    if (s->next_us != FLOW_NEVER)
        s->next_us = now.mono_us;
    push(s);
}

void flow_tick(struct flow_side *s, struct now now)
{
    if (!s->stream || s->closed || s->aborted)
        return;
    if (now.mono_us >= s->abort_us) {
        abort_stream(s);
    } else if (now.mono_us >= s->next_us) {
        s->next_us = now.mono_us + s->tick_us;
        s->may_read += s->read_step;
        s->may_send += s->send_step;
        if (s->read_step)
            stream_resume(s->stream);
        push(s);
    }
}

uint64_t flow_next_us(const struct flow_side *s)
{
    if (!s->stream || s->closed || s->aborted)
        return FLOW_NEVER;
    return s->abort_us < s->next_us ? s->abort_us : s->next_us;
}

static const char *side_verdict(const struct flow_side *s)
{
    if (s->wrong)
        return s->wrong;
    if (s->stream && !s->closed)
        return "not closed";
    if (s->hold.count != 1)
        return "references not given back";
    if (s->closed && s->why == STREAM_ABORTED && !s->aborted)
        return "aborted by nobody";
    return NULL;
}

/* Everything that this side sent was read, and its end was seen. */
static bool all_through(const struct flow_side *s)
{
    return s->shut && s->sent == s->total && other(s)->seen == s->total && other(s)->eof;
}

const char *flow_verdict(const struct flow *f, bool lossy, bool tight)
{
    const struct flow_side *a = &f->side[FLOW_OPENER], *b = &f->side[FLOW_ACCEPTOR];
    const char *bad = side_verdict(a);
    if (!bad)
        bad = side_verdict(b);
    if (bad || f->no_entry)
        return bad;
    if (!a->closed || (b->accepted && !b->closed))
        return "not closed";
    if (a->aborted || b->aborted || tight)
        return NULL;
    if (f->refused)
        return b->accepted ? "accepted though refused" : NULL;
    if (!a->opened || !b->accepted)
        return lossy ? NULL : "no handshake";
    if (!all_through(a) || !all_through(b))
        return "bytes or their end missing";
    /* With all through, the last ACK may have been lost until nobody knew the connection. */
    return NULL;
}
