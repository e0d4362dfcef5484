/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/reno.h"

/* Most that one ACK may add in slow start, in segments. RFC 5681 counts one, for peers that
 * acknowledge every second segment; those that merge segments before acknowledging would crawl.
 * RFC 9406 4.2 (L = 8 without pacing). */
#define SLOW_START_LIMIT 8u
#define CWND_MAX         (1u << 29) /* half of the largest window that RFC 7323 allows */

static uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t max32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

uint32_t tcp_reno_initial(uint32_t mss)
{
    return min32(10 * mss, max32(2 * mss, 14600));
}

void tcp_reno_init(struct reno *r, uint32_t mss)
{
    r->cwnd = tcp_reno_initial(mss);
    r->ssthresh = UINT32_MAX;
    r->acked = 0;
}

void tcp_reno_ack(struct reno *r, uint32_t mss, uint32_t acked, uint32_t flight)
{
    if (r->cwnd >= CWND_MAX)
        return;
    if (r->cwnd < r->ssthresh) { /* slow start, RFC 5681 3.1 */
        if (flight >= r->cwnd / 2)
            r->cwnd += min32(acked, SLOW_START_LIMIT * mss);
        return;
    }
    if (flight + mss < r->cwnd) /* the application, not the window, was the limit */
        return;
    r->acked += acked;
    if (r->acked >= r->cwnd) { /* one MSS a window's worth of ACKs */
        r->acked -= r->cwnd;
        r->cwnd += mss;
    }
}

/* RFC 5681 equation 4 */
static uint32_t half(uint32_t flight, uint32_t mss)
{
    return max32(flight / 2, 2 * mss);
}

void tcp_reno_enter(struct reno *r, uint32_t mss, uint32_t flight)
{
    r->ssthresh = half(flight, mss);
    r->cwnd = r->ssthresh + 3 * mss; /* RFC 5681 3.2 step 3 */
    r->acked = 0;
}

void tcp_reno_duplicate(struct reno *r, uint32_t mss)
{
    if (r->cwnd < CWND_MAX)
        r->cwnd += mss;
}

void tcp_reno_partial(struct reno *r, uint32_t mss, uint32_t acked)
{
    /* RFC 6582 3.2 step 3: deflate by what was acknowledged, add back one segment */
    r->cwnd = r->cwnd > acked ? r->cwnd - acked : 0;
    if (acked >= mss)
        r->cwnd += mss;
    r->cwnd = max32(r->cwnd, mss);
}

void tcp_reno_exit(struct reno *r, uint32_t mss, uint32_t flight)
{
    /* RFC 6582 3.2 step 3 option 1: no burst after a quiet recovery */
    r->cwnd = min32(r->ssthresh, max32(flight, mss) + mss);
    r->acked = 0;
}

void tcp_reno_timeout(struct reno *r, uint32_t mss, uint32_t flight, bool first)
{
    if (first) /* one reduction an episode, RFC 5681 3.1 */
        r->ssthresh = half(flight, mss);
    r->cwnd = mss;
    r->acked = 0;
}

void tcp_reno_idle(struct reno *r, uint32_t mss)
{
    r->cwnd = min32(r->cwnd, tcp_reno_initial(mss));
    r->acked = 0;
}
