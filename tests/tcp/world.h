/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two engines and a link between them, on virtual time. The link delays, loses, reorders and
 * duplicates by a seed; a test may look at, change or drop each segment on its way. After every
 * step the invariants of both engines are checked.
 */
#ifndef CORAL_TESTS_TCP_WORLD_H
#define CORAL_TESTS_TCP_WORLD_H

#include <stdio.h>

#include "dataplane/tcp/tcp_conn.h"

#define WORLD_WIRE  8192
#define WORLD_FRAME 2048
#define CLIENT      0
#define SERVER      1

struct frame {
    uint64_t due_us;
    uint64_t order;
    unsigned to;
    uint32_t len;
    struct tcp_packet packet;
    uint8_t bytes[WORLD_FRAME];
};

/* One end's application: sends `send_total` bytes of a pattern and checks what it gets. */
struct app {
    struct world *world;
    struct stream *stream;
    struct hold hold;
    uint8_t *source;
    uint64_t send_total, sent, got;
    uint64_t salt, peer_salt; /* what each side's pattern starts from */
    uint32_t piece;           /* bytes a send; 0: 4096 */
    bool by_copy, shut_after, shut_on_eof, refuse_accept;
    uint32_t consume_max; /* consumes at most this much an event; 0: all */
    bool consume_whole;   /* consumes records of consume_max bytes, never a part of one */
    bool paused;
    bool opened, eof, closed, wrong, shut;
    bool in_event;
    unsigned received_calls;
    uint64_t closed_us;
    enum stream_end why;
};

struct world {
    struct tcp_engine *engine[2];
    struct app app[2];
    struct now now;
    struct rng rng;
    uint64_t seed;
    uint64_t delay_us, jitter_us;
    uint32_t loss_permille, duplicate_permille, reorder_permille;
    bool refuse[2]; /* the port takes nothing */
    uint32_t refuse_permille;
    bool no_sack, no_ts; /* the path takes these options out of SYNs */
    /* returns false to drop; may change the segment */
    bool (*tap)(struct world *w, unsigned from, struct tcp_out *o);
    void *tap_ctx;
    struct frame *wire;
    uint32_t frames;
    uint64_t order, sent[2];
    struct tcp_out last[2]; /* the last segment each end sent; its references may be gone */
    const char *broken;     /* the first invariant that failed */
};

struct world_host {
    struct world *world;
    unsigned side;
};

extern const struct stream_events app_events;

/* Creates the engines; the server listens on port 80. */
struct world *world_new(uint64_t seed, const struct tcp_config *client,
                        const struct tcp_config *server);
void world_free(struct world *w);
struct tcp_config world_config(void);
struct addr world_addr(unsigned side);
/* The client connects; its app gets the stream. */
void world_connect(struct world *w);
/* Runs until nothing is due or until `us` have passed. */
void world_run(struct world *w, uint64_t us);
/* Runs until both apps have closed, at most `us`. */
bool world_run_closed(struct world *w, uint64_t us);
void world_poll(struct world *w);
/* Hands a segment to an engine as if the other had sent it. */
void world_inject(struct world *w, unsigned to, const struct tcp_out *o);
void app_push(struct app *a);
uint8_t pattern(uint64_t salt, uint64_t at);
struct tcp_conn *world_conn(struct world *w, unsigned side);

#endif
