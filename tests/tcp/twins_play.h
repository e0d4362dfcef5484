/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the twins (twins.h): who they are, and what happens to both. */
#ifndef CORAL_TESTS_TCP_TWINS_PLAY_H
#define CORAL_TESTS_TCP_TWINS_PLAY_H

#include "dataplane/tcp/tcp_conn.h"
#include "tests/tcp/twins.h"

#define CONNS 2u
#define SHELF 32768u /* more than the window */
#define WIRE  (60u + 8192u)
#define PORT  1234u
#define HERE  0x0a000002u
#define THERE 0x0a000001u

struct twin;

/* An application: it reads up to its appetite, answers what it reads if it is to, and writes on
 * when there is room. */
struct app {
    struct twin *twin;
    struct stream *stream;
    size_t appetite;
    uint32_t answer; /* bytes it sends for each piece that it reads */
    bool hang_up;    /* it shuts when the peer has */
    uint64_t got;
    uint8_t *shelf; /* places for bytes out of order; NULL: none */
    uint64_t shelves;
};

/* What one engine did in an event. */
struct record {
    uint8_t bytes[1u << 18];
    size_t len;
};

struct twin {
    struct tcp_engine *e;
    const char *name;
    struct app app[CONNS];
    uint32_t takes;     /* segments that the port takes before it refuses */
    uint32_t iss, sack; /* of the last SYN or SYN,ACK that went out: SEQ, ACK */
    uint32_t tsval;
    struct record did;
    FILE *trace;
    struct now now;
};

struct twins {
    struct twin twin[2]; /* [1] is plain */
    struct now now;
    const uint8_t *head;
    uint8_t wire[TCP_BURST][WIRE];
    struct tcp_packet burst[TCP_BURST];
    unsigned waiting;
    char why[256];
};

extern uint8_t twins_text[1u << 17]; /* all that is ever sent */
extern const struct stream_events twins_events;

/* twins_app.c: what the engine calls */
/* A mark and a number of what happened. */
void twins_note(struct twin *t, char what, uint64_t n);
bool twins_emit(void *ctx, const struct tcp_out *o);
bool twins_accept(void *ctx, struct stream *s, struct now now);
void twins_app_begin(struct app *a, struct stream *s);
/* Places anew, if it is to have `some`; the old ones are taken back. */
void twins_shelf(struct app *a, bool some);
/* What an application does by itself; TWINS_STEP bytes. */
void twins_act(struct twin *t, unsigned k, const uint8_t *b);

/* twins_event.c: what happens to both */
/* A segment of the peer's, all fields given; `len` bytes of text that depend on where they are. */
struct peer_segment {
    uint16_t rport, lport, window;
    uint32_t seq, ack, len, tsval, tsecr;
    uint8_t flags, ecn;
    bool ts;
    uint8_t raw[24], raw_len; /* options before the timestamps, whole words */
};

/* The first one's connection k; NULL. */
struct tcp_conn *twins_conn(const struct twins *p, unsigned k);
/* A segment that says nothing new. */
struct peer_segment twins_segment(const struct twins *p, const struct tcp_conn *c, unsigned k);
void twins_queue(struct twins *p, const struct peer_segment *g);
/* What waits comes in one burst. */
void twins_deliver(struct twins *p);
void twins_pass(struct twins *p, uint64_t us);
void twins_poll(struct twins *p);
void twins_event(struct twins *p, const uint8_t *b);

#endif
