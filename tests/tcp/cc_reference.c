/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/tcp/cc_reference.h"

#include <math.h>

#define C     0.4
#define BETA  0.7
#define ALPHA (3.0 * (1.0 - BETA) / (1.0 + BETA))

double reference_w(const struct reference *r, double t)
{
    return C * pow(t - r->k, 3) + r->w_max;
}

void reference_loss(struct reference *r)
{
    r->cwnd_prior = r->cwnd;
    r->w_max = r->cwnd < r->w_max ? r->cwnd * (1 + BETA) / 2 : r->cwnd;
    r->cwnd = fmax(r->cwnd * BETA, 2);
    r->in_epoch = false;
}

void reference_ack(struct reference *r, double acked, double dt, double rtt)
{
    if (!r->in_epoch) {
        r->in_epoch = true;
        r->k = r->w_max > r->cwnd ? cbrt((r->w_max - r->cwnd) / C) : 0;
        r->w_max = fmax(r->w_max, r->cwnd);
        r->w_est = r->cwnd;
        r->t = 0;
    } else {
        r->t += dt;
    }
    r->w_est += (r->w_est >= r->cwnd_prior ? 1.0 : ALPHA) * acked / r->cwnd;
    if (reference_w(r, r->t) < r->w_est) {
        r->cwnd = fmax(r->cwnd, r->w_est);
        return;
    }
    double target = fmin(fmax(reference_w(r, r->t + rtt), r->cwnd), 1.5 * r->cwnd);
    r->cwnd += (target - r->cwnd) * acked / r->cwnd;
}
