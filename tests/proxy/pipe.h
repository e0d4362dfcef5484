/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams in memory, in pairs, that keep base/stream.h's promises: events come only from
 * pipe_step, closed comes last, unconsumed bytes are offered again with what follows. An
 * application that changes bytes which it has sent by reference, before they were taken, ends the
 * program.
 *
 * Bytes come out of order to whoever has a place for them: of what is on the way a piece goes
 * ahead of those before it, which take a few steps more. An application that does not keep its
 * word about a place ends the program.
 */
#ifndef CORAL_TESTS_PROXY_PIPE_H
#define CORAL_TESTS_PROXY_PIPE_H

#include "base/stream.h"

#define PIPE_QUEUE  131072u /* bytes sent and not taken yet */
#define PIPE_WINDOW 65536u  /* bytes received and not consumed */
#define PIPE_HOLDS  256u

#define PIPE_AHEAD 16u /* pieces that came before their turn */

struct pipe_end {
    struct stream s; /* first */
    struct pipe_end *peer;
    const bool *up; /* the host is alive; else nothing happens here any more */
    uint8_t *out, *in;
    size_t out_len, in_len;
    uint64_t sent, moved; /* bytes ever queued, ever taken by the peer */
    struct {
        struct ref ref;
        uint64_t end;
        uint64_t sum; /* of its bytes when it was sent */
    } held[PIPE_HOLDS];
    unsigned holds;
    struct {
        uint64_t from, len; /* of all that the peer sent */
        uint64_t of;
    } ahead[PIPE_AHEAD]; /* ascending; they lie in their places, and still in the peer's `out` */
    unsigned aheads, steps, wait;
    uint64_t placed; /* bytes that went ahead */
    bool in_event, opening, refused, wants_writable, resumed, offered, shut, eof, aborted, reset,
        closed;
};

struct pipe {
    struct pipe *next;
    struct pipe_end a, b; /* a connects to b */
};

/* A connection from a to b, which is open as soon as `opening` of a is handled. */
struct pipe *pipe_new(const struct endpoint *from, const struct endpoint *to, const bool *from_up,
                      const bool *to_up);
void pipe_step(struct pipe_end *e, struct now now);
bool pipe_over(const struct pipe *p);
void pipe_free(struct pipe *p);

#endif
