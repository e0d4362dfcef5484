/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HyStart++ (RFC 9406): leaves the first slow start when round trips grow longer, before the
 * bottleneck's buffer overflows. A rise in a round's least RTT leads to conservative slow start
 * (CSS), a quarter as fast; five rounds of it end slow start, unless the RTT falls back, for then
 * the rise was jitter.
 *
 *   SLOW_START --(rise)--> CSS --(5 rounds)--> DONE
 *              <-(fall)---
 */
#ifndef CORAL_TCP_HYSTART_H
#define CORAL_TCP_HYSTART_H

#include <stdbool.h>
#include <stdint.h>

#define HYSTART_NO_RTT UINT32_MAX

enum hystart_phase { HYSTART_SLOW_START, HYSTART_CSS, HYSTART_DONE };

struct hystart {
    uint32_t last_min_us;     /* least RTT of the round before; HYSTART_NO_RTT: none */
    uint32_t current_min_us;  /* least RTT of this round */
    uint32_t baseline_min_us; /* least RTT of the round in which CSS began */
    uint8_t samples;          /* of this round, saturating */
    uint8_t css_rounds;       /* rounds of CSS begun, the partial first one counted */
    uint8_t phase;            /* enum hystart_phase */
};

void tcp_hystart_init(struct hystart *h);
/* An ACK in slow start; rtt_us 0: no sample. Returns the phase from then on. */
enum hystart_phase tcp_hystart_ack(struct hystart *h, uint32_t rtt_us, bool round_start);
/* By how many bytes an ACK of `acked` bytes grows the window (RFC 9406 4.2). */
uint32_t tcp_hystart_growth(const struct hystart *h, uint32_t acked, uint32_t mss);
/* The connection was idle: what was measured is forgotten. */
void tcp_hystart_idle(struct hystart *h);

#endif
