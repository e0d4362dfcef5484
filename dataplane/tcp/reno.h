/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reno congestion control: RFC 5681, with the NewReno fast recovery of RFC 6582, counted in
 * bytes. A value without a connection, so that it is tested alone and another controller fits in
 * its place. All lengths are bytes; `flight` is what is sent and not acknowledged.
 */
#ifndef CORAL_TCP_RENO_H
#define CORAL_TCP_RENO_H

#include <stdbool.h>
#include <stdint.h>

struct reno {
    uint32_t cwnd;
    uint32_t ssthresh;
    uint32_t acked; /* bytes acknowledged in congestion avoidance since cwnd last grew */
};

/* The initial window of RFC 6928 2: min(10 MSS, max(2 MSS, 14600)). */
uint32_t tcp_reno_initial(uint32_t mss);
void tcp_reno_init(struct reno *r, uint32_t mss);
/* An ACK of `acked` new bytes outside of recovery; `flight` as before that ACK. Grows only when
 * the window was what limited the sender. */
void tcp_reno_ack(struct reno *r, uint32_t mss, uint32_t acked, uint32_t flight);
/* The third duplicate ACK: a loss. */
void tcp_reno_enter(struct reno *r, uint32_t mss, uint32_t flight);
/* A further duplicate ACK in recovery: a segment has left the network. */
void tcp_reno_duplicate(struct reno *r, uint32_t mss);
/* An ACK in recovery that does not cover all that was out when the loss was found. */
void tcp_reno_partial(struct reno *r, uint32_t mss, uint32_t acked);
/* Recovery ends; `flight` is what is still out. */
void tcp_reno_exit(struct reno *r, uint32_t mss, uint32_t flight);
/* The retransmission timer expired; `first`: not one of a row of expiries. */
void tcp_reno_timeout(struct reno *r, uint32_t mss, uint32_t flight, bool first);
/* The connection was idle for longer than an RTO (RFC 5681 4.1). */
void tcp_reno_idle(struct reno *r, uint32_t mss);

#endif
