/* SPDX-License-Identifier: BSD-3-Clause */
/* CUBIC as RFC 9438 writes it down: windows in segments, times in seconds, double precision. */
#ifndef CORAL_TESTS_TCP_CC_REFERENCE_H
#define CORAL_TESTS_TCP_CC_REFERENCE_H

#include <stdbool.h>

struct reference {
    double cwnd, w_max, cwnd_prior, k, t, w_est;
    bool in_epoch;
};

/* A loss with the whole window out (4.6, 4.7); cwnd becomes ssthresh. */
void reference_loss(struct reference *r);
/* An ACK of `acked` segments in congestion avoidance, `dt` after the one before (4.2 to 4.5). */
void reference_ack(struct reference *r, double acked, double dt, double rtt);
/* W_cubic(t), equation 1 */
double reference_w(const struct reference *r, double t);

#endif
