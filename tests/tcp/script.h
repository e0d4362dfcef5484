/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small language for stories about one TCP connection: it feeds segments to the real engine on
 * virtual time and asserts what the engine answers, line by line. The peer is the script; the
 * application is a few verbs. Sequence numbers are relative to each side's initial one.
 *
 *   TIME < SEGMENT      the peer sends it         TIME <+ SEGMENT   ... in one burst with the next
 *   TIME > SEGMENT      the engine sends it       TIME none         until then it sends nothing
 *
 *   TIME     0.250 | +0.250 after the line before | ~0.9-1.2 between | * within ten minutes
 *            (left out: now)
 *   SEGMENT  FLAGS SEQ:END(LEN) [ack N] [win N] [urg N] [doff N] [<OPTION,...>]
 *            FLAGS of S F R P U E W and . for ACK, - for none; SEQ(LEN) is the same as above;
 *            =N is absolute, * is any number. What an expectation leaves out may be anything.
 *   OPTION   mss N | ws N | sackOK | sack A:B C:D | TS VAL [ECR] | nop | eol | unk KIND LENGTH |
 *            raw HEX | ... (others may follow). The peer's ECR is by default the last TSval seen,
 *            a number counts from the engine's first TSval, =N is absolute; the engine's VAL
 *            counts from its first one, and its ECR is the peer's plain number.
 *
 *   before the engine starts:  config NAME N, iss N (the peer's), ouriss N (the engine's)
 *   the application:           listen, connect, send N, shut, abort, read stop | N | all,
 *                              refuse on | off (the port), deaf (no listener any more)
 *   shorter:                   passive OPTIONS | THIRD, active OPTIONS | THIRD: a handshake that
 *                              takes 100 ms; what the peer's SYN and its next segment carry
 *   the script:                port N (another peer port), rebase (a new connection's numbers),
 *                              autots (the peer puts timestamps where no option is given),
 *                              warm N (N full segments in order, answers unseen), drain
 *                              grow N (N round trips of 50 ms: all is acknowledged, unseen)
 *   assertions:                flight >= N (sent and not acknowledged), accepted, opened, received
 * N, eof, writable, closed REASON, live, state NAME, cwnd >= N, cwnd <= N, counter NAME [>=] N, isn
 * above N (the connection's before), isn differs N
 *
 * A segment that no line expects fails the script, at the next line that moves on or at its end.
 */
#ifndef CORAL_TESTS_TCP_SCRIPT_H
#define CORAL_TESTS_TCP_SCRIPT_H

#include "dataplane/tcp/tcp.h"

#define SCRIPT_OPTIONS 12
#define SCRIPT_OUTPUTS 256
#define SCRIPT_WIRE    9216

/* A number of the script: `any` for *, `absolute` for =N. */
struct script_number {
    bool given, any, absolute;
    int64_t value;
};

struct script_option {
    int kind; /* -1: raw bytes */
    struct script_number a, b;
    unsigned count; /* bytes of raw, pairs of sack */
    uint8_t raw[40];
    int64_t block[8];
};

struct script_segment {
    uint8_t flags;
    struct script_number seq, ack, win, urg, doff;
    uint32_t len;
    bool options_given, options_open;
    unsigned options;
    struct script_option option[SCRIPT_OPTIONS];
};

/* What relative numbers count from. */
struct script_base {
    bool ours_known, ts_known;
    uint32_t ours, ours_before; /* the engine's initial number, and that of the connection before */
    uint32_t peer;
    uint32_t ts, ts_last; /* the engine's first and last TSval */
    uint32_t sent, acked; /* what the engine sent up to, and what the peer last acknowledged */
    uint16_t window;      /* in the peer's last segment */
};

/* What the engine sent. */
struct script_output {
    uint64_t at_us;
    struct tcp_out out;
};

struct script;

/* script_segment.c */
/* False: not a segment; `why` says what is wrong. Changes the text. */
bool script_segment_read(struct script_segment *s, char *text, const char **why);
/* The segment on the wire, from the peer; returns its length. */
uint32_t script_segment_write(const struct script_segment *s, const struct script_base *b,
                              uint16_t sport, uint16_t dport, uint8_t *wire);
/* Whether the engine's segment is what the script expects; NULL, or what differs. */
const char *script_segment_differs(const struct script_segment *s, const struct script_base *b,
                                   const struct tcp_out *o);
void script_segment_print(const struct script_base *b, const struct tcp_out *o, char *text,
                          size_t size);
/* The bytes either side sends: byte `at` of its stream. */
uint8_t script_byte(bool ours, uint32_t at);
/* Finds TSval in the options of a segment. */
bool script_tsval(const struct tcp_out *o, uint32_t *tsval);

/* script.c */
struct script *script_new(void);
void script_free(struct script *p);
/* Plays one line. False: the story does not hold; script_error says why. */
bool script_line(struct script *p, const char *line);
/* Nothing may be left unexpected. */
bool script_end(struct script *p);
const char *script_error(const struct script *p);
/* What the engine sent and no line has expected yet; `take` forgets it. */
unsigned script_outputs(const struct script *p, const struct script_output **out);
void script_take(struct script *p);
const struct script_base *script_base(const struct script *p);
const char *script_state(const struct script *p);
int64_t script_received(const struct script *p);
/* Lets time pass; what is sent meanwhile stays to be looked at. */
void script_run(struct script *p, uint64_t us);

#endif
