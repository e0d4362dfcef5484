/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Proportional Rate Reduction, RFC 9937: while a loss is repaired, sending follows delivery, so
 * that the flight comes down to ssthresh smoothly and never in a burst. Bytes throughout.
 */
#ifndef CORAL_TCP_PRR_H
#define CORAL_TCP_PRR_H

#include <stdbool.h>
#include <stdint.h>

struct prr {
    uint32_t delivered;  /* since the episode began */
    uint32_t out;        /* sent since then, new or again */
    uint32_t recover_fs; /* RecoverFS: the flight at its begin */
};

/* `flight`: snd_nxt - snd_una, less what was SACKed before the ACK that began the episode, plus
 * what that ACK acknowledged (RFC 9937 6.1). */
void prr_start(struct prr *p, uint32_t flight, uint32_t mss);
/* An ACK that delivered `delivered` > 0 bytes; `safe`: it moved snd_una and showed no new loss.
 * Returns cwnd. */
uint32_t prr_ack(struct prr *p, uint32_t mss, uint32_t ssthresh, uint32_t inflight,
                 uint32_t delivered, bool safe);
void prr_sent(struct prr *p, uint32_t bytes);

#endif
