/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A token bucket counted in time: when the next segment may go. Sending moves that moment on by
 * the segment's length at the rate; a sender that was late may catch up by `burst` bytes, no more.
 *
 *        now - burst/rate            now
 *   ----------+-----------------------+---------------->
 *     due_us is raised to here    due_us here or before: send; after: wait
 */
#ifndef CORAL_TCP_PACER_H
#define CORAL_TCP_PACER_H

#include <stdint.h>

/* No segment waits longer, whatever the rate: what looks later is a clock gone round. */
#define TCP_PACER_WAIT_MAX_US 1000000u

struct tcp_pacer {
    uint32_t due_us; /* when the next segment may go, modulo 2^32 */
    uint32_t rest;   /* of the last division by the rate, in bytes * us / s */
};

void tcp_pacer_init(struct tcp_pacer *p, uint32_t now_us);
/* Bytes a second for a window: 2 cwnd / srtt in slow start (it doubles each round), 1.2 cwnd /
 * srtt after (so that pacing never is what holds the window back). 0, unpaced: no srtt yet. */
uint32_t tcp_pacer_rate(uint32_t cwnd, uint32_t ssthresh, uint32_t srtt_us);
/* How long the next segment has to wait; 0: it may go. */
uint32_t tcp_pacer_wait_us(const struct tcp_pacer *p, uint32_t now_us);
/* `len` bytes went at `now_us`. rate 0: nothing waits. */
void tcp_pacer_sent(struct tcp_pacer *p, uint32_t len, uint32_t rate, uint32_t burst,
                    uint32_t now_us);

#endif
