/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection of a simulated world as its two applications live it: each sends a stretch of a
 * noise that the other compares byte by byte, in pieces, with pauses, by copy or by reference;
 * reads at once or slowly; closes its half early or after the other; or aborts.
 */
#ifndef CORAL_TESTS_TCP_FLOW_H
#define CORAL_TESTS_TCP_FLOW_H

#include "base/rng.h"
#include "base/stream.h"

#define FLOW_OPENER   0
#define FLOW_ACCEPTOR 1
#define FLOW_NEVER    UINT64_MAX
#define FLOW_SHELF    (1u << 19) /* more than a window */

struct flow;

struct flow_side {
    struct flow *flow;
    struct stream *stream; /* NULL: not yet, or no more */
    struct hold hold;      /* of what it sends by reference */

    /* what it will do */
    uint64_t salt, total; /* where in the noise it begins, and how much of it it sends */
    uint32_t piece;       /* bytes a send */
    uint32_t read_step;   /* reads this much a tick; 0: all at once */
    uint32_t send_step;   /* sends this much a tick; 0: all at once */
    uint32_t tick_us;
    bool by_copy;
    bool shut_early;             /* closes its half when all is sent; else when the peer has, too */
    uint64_t abort_us, abort_at; /* aborts at this time, or when it has read so much */
    uint8_t *shelf; /* it has a place for bytes out of order: byte i at i % FLOW_SHELF, */
    uint64_t shelf_from, shelf_to; /* if i is between these; NULL: it has none */

    /* what came of it */
    uint64_t sent, got, seen; /* seen: offered, which a slow reader may leave at the end */
    uint64_t may_read, may_send, next_us;
    bool opened, accepted, eof, shut, aborted, closed, in_event;
    enum stream_end why;
    const char *wrong; /* the first thing that must not happen */
};

struct flow {
    struct flow_side side[2];
    uint64_t start_us;
    unsigned from; /* the engine that opens it */
    uint16_t port; /* of the opener; 0: not begun */
    bool refused;  /* the acceptor refuses it */
    bool begun, no_entry;
};

extern const struct stream_events flow_events;

/* Fills the noise; once, before all else. */
void flow_noise_init(void);
/* Draws a behaviour: at most about `bytes` each way, begun before `start_us`. */
void flow_draw(struct flow *f, struct rng *r, uint64_t bytes, uint64_t start_us);
/* The acceptor's stream has come. */
void flow_accepted(struct flow *f, struct stream *s, struct now now);
/* Gives back what it holds. */
void flow_free(struct flow *f);
/* What a side does by the clock. */
void flow_tick(struct flow_side *s, struct now now);
uint64_t flow_next_us(const struct flow_side *s);
/* NULL, or what is wrong with how it ended. `lossy`: the handshake may have failed for losses;
 * `tight`: the engines may have had no room. */
const char *flow_verdict(const struct flow *f, bool lossy, bool tight);

#endif
