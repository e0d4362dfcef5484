/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a connection's next data segment may go. A first window goes as it is; what exceeds it is
 * spread over the round trip, so that a queue on the way need not hold a whole window at once
 * (RFC 9002 7.7 for QUIC; draft-ietf-ccwg-bbr 4.6.2 for BBR, which names its own rate). The wheel
 * ticks in milliseconds, so a held connection wakes that often and sends what has come due;
 * round trips of a few ticks are not paced at all.
 */
#include "dataplane/tcp/tcp_conn.h"

#define PACE_RTT_US 3000u /* from here on */

static uint32_t rate(const struct tcp_conn *c)
{
    const struct cc *cc = &c->tx->cc;
    uint32_t srtt = c->rtt.srtt8_us / 8;
    if (srtt < PACE_RTT_US)
        return 0;
    if (cc->ops->rate)
        return cc->ops->rate(cc);
    return cc->cwnd > cc_initial_window(c->mss) ? tcp_pacer_rate(cc->cwnd, cc->ssthresh, srtt) : 0;
}

bool tcp_pace_holds(const struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t wait = 0;
    if (c->tx && rate(c) > 0)
        wait = tcp_pacer_wait_us(&c->tx->pacer, (uint32_t)e->now.mono_us);
    c->paced = wait > 0;
    if (c->paced)
        c->tx->pace_ms = (uint32_t)((e->now.mono_us + wait + 999) / 1000);
    return c->paced;
}

uint32_t tcp_pace_burst(const struct tcp_conn *c)
{
    uint32_t r = rate(c), two = 2 * (uint32_t)c->mss;
    return r == 0 ? UINT32_MAX : r / 1000 > two ? r / 1000 : two;
}

void tcp_pace_sent(const struct tcp_engine *e, struct tcp_conn *c, uint32_t len)
{
    uint32_t r = rate(c), first = cc_initial_window(c->mss);
    if (r == 0)
        return;
    /* late by two ticks: no bytes are lost to the wheel */
    uint32_t burst = r / 500 > first ? r / 500 : first;
    tcp_pacer_sent(&c->tx->pacer, len, r, burst, (uint32_t)e->now.mono_us);
}
