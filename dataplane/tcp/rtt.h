/* SPDX-License-Identifier: BSD-3-Clause */
/* The retransmission time-out of RFC 6298, in microseconds, from round-trip samples. */
#ifndef CORAL_TCP_RTT_H
#define CORAL_TCP_RTT_H

#include <stdint.h>

#define TCP_RTO_INITIAL_US 1000000u
/* Floor of the variance term. RFC 6298 2.4 asks for an RTO of 1 s at least; 200 ms over SRTT is
 * what common stacks ship, longer than any peer delays an ACK. */
#define TCP_RTO_MARGIN_US 200000u
#define TCP_RTO_MAX_US    60000000u
/* RFC 6298 5.7: the first one for data, when the handshake timed out and gave no sample */
#define TCP_RTO_SYN_EXPIRED_US 3000000u

struct rtt {
    uint32_t srtt8_us; /* SRTT * 8; 0: no sample yet */
    uint32_t var4_us;  /* RTTVAR * 4; without a sample the RTO to start from, 0: the usual one */
};

void tcp_rtt_sample(struct rtt *r, uint32_t sample_us);
/* The handshake is complete, but its timer had expired. */
void tcp_rtt_syn_expired(struct rtt *r);
/* RTO after `backoff` expiries in a row. */
uint32_t tcp_rtt_rto_us(const struct rtt *r, unsigned backoff);

#endif
