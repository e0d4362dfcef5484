/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside of the script driver: the engine, the virtual clock, the port and the application. */
#ifndef CORAL_TESTS_TCP_SCRIPT_PLAY_H
#define CORAL_TESTS_TCP_SCRIPT_PLAY_H

#include <stdbool.h>

#include "dataplane/tcp/tcp.h"
#include "tests/tcp/script.h"

#define SCRIPT_STREAM (1u << 20) /* bytes an application may send */

enum script_kept { KEPT_ALL = INT32_MAX };

struct script_app {
    struct stream *stream;
    uint32_t sent, got;
    int32_t appetite; /* bytes it still consumes */
    bool accepted, opened, eof, writable, closed;
    enum stream_end why;
    const char *wrong; /* what it saw that must not be */
};

struct script {
    struct tcp_engine *engine;
    struct tcp_config config;
    struct now now;
    uint64_t start_us;
    bool v6, auto_ts, refuse, ouriss_given, listening;
    uint32_t ouriss;
    uint16_t our_port, peer_port;
    struct script_base base;
    struct script_app app;

    uint8_t burst[TCP_BURST][SCRIPT_WIRE];
    uint32_t burst_len[TCP_BURST];
    unsigned bursts;

    struct script_output output[SCRIPT_OUTPUTS];
    unsigned outputs;
    uint64_t last_us; /* time of the line before */
    char error[640];
};

/* script_play.c */
struct addr script_addr(const struct script *p, bool ours);
/* Starts the engine, so that its first sequence number is the wanted one. */
bool play_start(struct script *p, bool active);
bool play_listen(struct script *p);
bool play_connect(struct script *p);
/* Adds a segment to the burst; `more`: the next one comes with it. */
void play_feed(struct script *p, const struct script_segment *s, bool more);
/* Runs until `us`. */
void play_until(struct script *p, uint64_t us);
/* Runs until the engine sends something, at most until `us`. */
void play_until_output(struct script *p, uint64_t us);
void play_settle(struct script *p);
void play_send(struct script *p, uint32_t n);
bool play_fail(struct script *p, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* script_assert.c: both fail the script when they do not hold */
bool script_silent(struct script *p);
bool script_assert(struct script *p, const char *verb, const char *a, const char *b, const char *c);

/* script_look.c: what assertions look at */
const char *look_state(const struct script *p);
bool look_counter(const struct script *p, const char *name, uint64_t *value);
uint32_t look_cwnd(const struct script *p);
const char *look_end(enum stream_end why);
const char *look_invariants(const struct script *p);

#endif
