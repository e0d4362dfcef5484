/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The seam between a byte-stream transport (TCP; TLS would fit between) and what speaks on it
 * (HTTP, DNS over TCP). Both sides run on one worker; nothing here blocks.
 *
 *   transport -> application: stream_events      application -> transport: stream_ops
 *
 * Order of events: opened (active opens; passive ones are born open, by the listener's accept),
 * then received and writable in any number, eof at most once, and closed exactly once, last:
 * after it the transport has forgotten the stream. closed follows every stream, whoever ended
 * it; the application frees its state there. Any op may be called from inside any event but
 * closed; an op called from inside an event never leads to another event before that one
 * returns (the transport defers it to its next poll).
 */
#ifndef CORAL_BASE_STREAM_H
#define CORAL_BASE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/now.h"
#include "base/ref.h"

/* A transport offers unconsumed bytes again, contiguous, up to this many. */
#define STREAM_LOOKAHEAD 16384u

enum stream_end {
    STREAM_DONE,    /* both directions closed in order */
    STREAM_RESET,   /* the peer reset it */
    STREAM_TIMEOUT, /* the peer does not answer */
    STREAM_REFUSED, /* an active open was refused or unreachable */
    STREAM_ABORTED, /* stream_abort by us */
    STREAM_EVICTED, /* the transport needed its memory */
};

struct stream;

/* Memory of the application's for bytes that have not been offered yet. */
struct stream_place {
    uint8_t *at; /* NULL: not known, or not given */
    size_t len;  /* how many of the bytes asked for lie there in one piece */
    uint64_t of; /* what the memory is part of: another body, another number */
};

struct stream_events {
    void (*opened)(struct stream *s, struct now now);
    /*
     * In-order bytes, in place in the receive buffer: valid until return. Returns how many were
     * consumed. The rest is kept, the window closes by it, and it is offered again together
     * with what follows when more arrives, or after stream_resume.
     */
    size_t (*received)(struct stream *s, const uint8_t *data, size_t len, struct now now);
    /* Queue space is free again after send or copy took less than it was given. */
    void (*writable)(struct stream *s, struct now now);
    /* The peer sends no more (FIN); all its bytes were offered, and consumed or refused. */
    void (*eof)(struct stream *s, struct now now);
    void (*closed)(struct stream *s, enum stream_end why, struct now now);
    /*
     * Optional, for bytes that are here before those in front of them: where do `len` bytes belong
     * that lie `ahead` after the last one consumed? The transport writes them there, perhaps more
     * than once, and offers them in their turn by received() with `data` at that very place, where
     * they need no copy. Such offers are as short as the pieces that the place came in.
     *
     * The transport keeps no pointer: it asks again before it offers. As long as a byte is not
     * consumed it must have the same place, of the same thing; where it has not, what the peer will
     * not send again is gone, and the stream ends with closed(ABORTED). So whoever takes a place
     * back aborts the stream, and need not do more. Called outside of the other events; no op is
     * called from it.
     */
    struct stream_place (*place)(struct stream *s, size_t ahead, size_t len, struct now now);
};

struct stream_ops {
    /* Queues a reference (a hold is taken). False: the queue is full, nothing was taken. */
    bool (*send)(struct stream *s, struct ref r);
    /* Queues a copy of at most `len` bytes; returns how many were taken. */
    size_t (*copy)(struct stream *s, const void *data, size_t len);
    /* Bytes queued and not yet acknowledged: what a slow reader holds. */
    size_t (*queued)(const struct stream *s);
    /* Takes back of the last bytes queued what is references that `which` picks and was never sent,
     * but not the last byte that is queued. Returns how many. */
    size_t (*unsend)(struct stream *s, ref_choice *which);
    /* Puts copies in the place of the queued references that `which` picks. False: they are more
     * than `most` bytes, or there is no memory for them; then all is as before. With `most` 0 it
     * tells whether there are none. */
    bool (*own)(struct stream *s, ref_choice *which, size_t most);
    /* Offers unconsumed bytes again at the next poll, without waiting for more. */
    void (*resume)(struct stream *s);
    /* No more bytes from us: FIN after what is queued. */
    void (*shut)(struct stream *s);
    /* RST now, both directions; what is queued is dropped. closed(ABORTED) follows later. */
    void (*abort)(struct stream *s);
};

struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events;
    void *user; /* the application's */
    struct endpoint local, remote;
    uint32_t transport; /* the transport's */
};

static inline bool stream_send(struct stream *s, struct ref r)
{
    return s->ops->send(s, r);
}
static inline size_t stream_copy(struct stream *s, const void *data, size_t len)
{
    return s->ops->copy(s, data, len);
}
static inline size_t stream_queued(const struct stream *s)
{
    return s->ops->queued(s);
}
static inline size_t stream_unsend(struct stream *s, ref_choice *which)
{
    return s->ops->unsend(s, which);
}
static inline bool stream_own(struct stream *s, ref_choice *which, size_t most)
{
    return s->ops->own(s, which, most);
}
static inline void stream_resume(struct stream *s)
{
    s->ops->resume(s);
}
static inline void stream_shut(struct stream *s)
{
    s->ops->shut(s);
}
static inline void stream_abort(struct stream *s)
{
    s->ops->abort(s);
}

#endif
