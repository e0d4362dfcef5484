/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream without a transport: a test plays the peer. It keeps base/stream.h's promises: an op
 * called from inside an event leads to another event only at fake_stream_poll, closed comes last,
 * unconsumed bytes are offered again with what follows.
 */
#ifndef CORAL_TESTS_FAKE_STREAM_H
#define CORAL_TESTS_FAKE_STREAM_H

#include "base/stream.h"

#define FAKE_STREAM_REFS 256

struct fake_stream {
    struct stream s; /* first */
    struct now now;  /* handed to events */
    /* towards the application */
    uint8_t *in;
    size_t in_len, in_room;
    /* what the application sent so far, as on the wire */
    char *out;
    size_t out_len, out_room;
    size_t read;       /* bytes of out that the peer has acknowledged */
    size_t queue_room; /* bytes that may be sent and not acknowledged */
    bool slow;         /* the peer acknowledges only by fake_stream_read */
    struct {
        struct ref ref;
        size_t end; /* released when `read` reaches it */
    } held[FAKE_STREAM_REFS];
    unsigned holds;
    bool in_event, wants_writable, wants_resume;
    bool shut, aborted, peer_fin, closed;
};

void fake_stream_init(struct fake_stream *f, struct now now);
/* Releases what is held; a stream that is not closed yet gets no further event. */
void fake_stream_free(struct fake_stream *f);
/* Bytes from the peer, offered at once; they acknowledge what it was sent, unless it is slow. */
void fake_stream_feed(struct fake_stream *f, const void *data, size_t len);
void fake_stream_feed_text(struct fake_stream *f, const char *text);
void fake_stream_open(struct fake_stream *f);                       /* an active open succeeds */
void fake_stream_fin(struct fake_stream *f);                        /* the peer's FIN */
void fake_stream_close(struct fake_stream *f, enum stream_end why); /* the transport ends it */
/* A slow peer takes at most n bytes. */
void fake_stream_read(struct fake_stream *f, size_t n);
/* Deferred events. A stream that both sides have shut, or that was aborted, closes here. */
void fake_stream_poll(struct fake_stream *f);
/* The application's bytes as a string. */
const char *fake_stream_text(struct fake_stream *f);
void fake_stream_forget(struct fake_stream *f); /* drops what was sent so far (and read) */

#endif
