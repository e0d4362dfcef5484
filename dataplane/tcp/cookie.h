/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SYN cookies (RFC 4987 3.6): a SYN,ACK whose own number says all that is to be remembered of the
 * SYN, so that a flood of SYNs costs no memory. Pure functions; the caller has the clock, and
 * decides when cookies go out and for how long after that their answers are believed.
 *
 *   our number = H(tuple) + the peer's number + minute * 2^24
 *                + (H(tuple, minute) + size * 2^21) mod 2^24
 *
 * `size` is an index into eight segment sizes. The minute lets a cookie age; the peer's number
 * makes ours rise with it, so that a tuple's next connection starts above the one before
 * (RFC 6191). Who guesses hits one of two minutes and one of eight sizes: 2^-28 a try.
 *
 * Sizes lie further apart than a first window is wide. Side by side, a segment a few bytes into
 * the peer's data would read as the answer to a cookie of another size and a later first number,
 * and open a connection without those bytes when the segments before it are lost.
 *
 * A peer that sent timestamps echoes ours, and the lowest six bits of that keep what else its SYN
 * asked for; they make the clock up to 64 ms late, never early.
 *
 *    31                                 6     5      4     3        0
 *   +------------------------------------+-----+------+-------------+
 *   | milliseconds, less the last 64     | ECN | SACK | scale or 15 |
 *   +------------------------------------+-----+------+-------------+
 */
#ifndef CORAL_TCP_COOKIE_H
#define CORAL_TCP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

#define TCP_COOKIE_MINUTES 2u /* the minute it was made in and the next */
#define TCP_COOKIE_LIFE_US (TCP_COOKIE_MINUTES * 60u * 1000000u)

/* Two SipHash keys, drawn once an engine. They need not change: the minute does, and with it what
 * the second one gives. */
struct tcp_cookie_key {
    uint8_t of_tuple[16], of_minute[16];
};

struct tcp_cookie_tuple {
    struct addr local, remote;
    uint16_t lport, rport;
};

/* What the peer's SYN asked for and we grant. */
struct tcp_cookie_options {
    bool scale_on, sack_on, ecn_on;
    uint8_t scale; /* 0 to 14 */
};

/* Our number in answer to a SYN numbered `irs`. `mss`: agreed; the largest of the eight sizes that
 * is not above it is kept, or the least, 64. `minute`: of a clock that does not go back. */
uint32_t tcp_cookie_make(const struct tcp_cookie_key *k, const struct tcp_cookie_tuple *t,
                         uint32_t irs, uint16_t mss, uint64_t minute);
/* Whether `cookie` was made for this tuple and `irs` in this minute or the one before; *mss is
 * then what it keeps. */
bool tcp_cookie_check(const struct tcp_cookie_key *k, const struct tcp_cookie_tuple *t,
                      uint32_t irs, uint32_t cookie, uint64_t minute, uint16_t *mss);

/* The timestamp that keeps the options: not after `clock_ms`, and less than 64 before it. */
uint32_t tcp_cookie_ts_make(uint32_t clock_ms, const struct tcp_cookie_options *o);
/* Reads them back from an echo. False: it is later than `clock_ms`, or older than a cookie can
 * be, so no timestamp of a cookie. */
bool tcp_cookie_ts_check(uint32_t ts, uint32_t clock_ms, struct tcp_cookie_options *o);

#endif
