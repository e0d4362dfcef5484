/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two engines that live the same life: one as it is shipped, the other `plain`, without header
 * prediction and without lone flights (tcp_conn.h). Same seed, configuration, clock, segments and
 * applications. Short cuts must not be seen: after every event the two have sent the same bytes
 * with the same fields and options, told their applications the same, counted the same, and wait
 * for the same deadline.
 *
 * The life is a list of bytes. The first TWINS_HEAD choose configuration and handshake, then
 * TWINS_STEP each are one event:
 *
 *   byte 0  low 3 bits: what happens; bit 3: tcp_poll after it; bit 4: a segment waits for the
 *           next one, to come in one burst with it; bit 5: with SACK; top two bits: ECN field
 *   1..7    what it is made of; segments count from where their connection is, so that deep
 *           states are near
 *
 *   0, 1  a decent segment: in order, or nearly; it acknowledges all, nothing or a part
 *   2     any segment: flags, numbers, window as they are given
 *   3     the application: send, copy, shut, abort, resume, read less, take places back, connect
 *   4     time passes       5  time passes up to the next deadline
 *   6     all is acknowledged after a round trip
 *   7     the port refuses, or an ICMP error comes
 *
 * Pools of records are never short here: where they are, a flight without records is meant to be
 * better off than one that needs some.
 */
#ifndef CORAL_TESTS_TCP_TWINS_H
#define CORAL_TESTS_TCP_TWINS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TWINS_HEAD 8u
#define TWINS_STEP 8u
#define TWINS_MAX  400u /* events */

/* Lives the life. NULL, or what differs, or what is wrong with one of them; `trace` unless NULL
 * gets what both did. The text is valid until the next call. */
const char *twins_live(const uint8_t *data, size_t size, FILE *trace);

/* A life drawn from a seed, of decent peers more often than not; returns its size. */
size_t twins_draw(uint64_t seed, uint8_t *data, size_t max);

#endif
