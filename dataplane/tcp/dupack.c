/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loss recovery without SACK: duplicate ACKs and partial ACKs, RFC 5681 3.2 and RFC 6582 (NewReno);
 * go-back-N after an RTO. For peers that do not offer SACK, and for a flight for which no recovery
 * block was free.
 */
#include "dataplane/tcp/tcp_conn.h"

#define CWND_MAX (1u << 29)

static void cwnd_inflate(struct tcp_conn *c)
{
    if (c->tx->cc.cwnd < CWND_MAX) /* a segment has left the network */
        c->tx->cc.cwnd += c->mss;
}

/* RFC 6582 3.2 step 3: deflate by what was acknowledged, add back one segment */
static void cwnd_partial(struct tcp_conn *c, uint32_t acked)
{
    uint32_t cwnd = c->tx->cc.cwnd > acked ? c->tx->cc.cwnd - acked : 0;
    if (acked >= c->mss)
        cwnd += c->mss;
    c->tx->cc.cwnd = cwnd > c->mss ? cwnd : c->mss;
}

static void leave(struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t flight = tcp_conn_flight(c);
    uint32_t limit = (flight > c->mss ? flight : c->mss) + c->mss;
    c->tx->cc.ops->recovered(&c->tx->cc, c->mss, flight, (uint32_t)e->now.mono_us);
    if (c->tx->cc.cwnd > limit) /* step 3 option 1: no burst after a quiet recovery */
        c->tx->cc.cwnd = limit;
    c->recovering = false;
    c->tx->recover = c->snd_una - 1; /* the next loss may be found by duplicates again */
}

void tcp_dupack_advanced(struct tcp_engine *e, struct tcp_conn *c, uint32_t acked, uint32_t flight)
{
    if (seq_leq(c->tx->recover, c->snd_una))
        c->in_rto = false;
    if (c->recovering && seq_leq(c->tx->recover, c->snd_una)) {
        leave(e, c);
    } else if (c->recovering) {
        cwnd_partial(c, acked);
        c->head_due = true;
    } else if (!c->ecn_echoed) {
        tcp_conn_grow(e, c, acked, flight, 0);
    }
    c->dupacks = 0;
}

void tcp_dupack(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->recovering) {
        cwnd_inflate(c);
        tcp_conn_ready(c);
        return;
    }
    if (c->dupacks < UINT8_MAX)
        c->dupacks++;
    /* RFC 6582 3.2 step 1: not while what an RTO sent again is still being sorted out */
    if (c->dupacks == 3 && tcp_path_lost(e, c, c->snd_una)) {
        c->head_due = true;
    } else if (c->dupacks == 3 && seq_lt(c->tx->recover, c->snd_una)) {
        counter_inc(&e->counters.tcp_fast_retransmit_total);
        c->tx->cc.ops->loss(&c->tx->cc, c->mss, tcp_conn_flight(c), (uint32_t)e->now.mono_us);
        c->tx->cc.cwnd = c->tx->cc.ssthresh + 3u * c->mss; /* RFC 5681 3.2 step 3 */
        c->ecn_cwr_due = true;
        c->recovering = true;
        c->tx->recover = c->snd_max;
        c->timing = false;
        c->head_due = true;
    }
    tcp_conn_ready(c);
}

/* RFC 5681 3.1, RFC 6582 4.1 */
void tcp_dupack_rto(struct tcp_engine *e, struct tcp_conn *c, bool first)
{
    c->tx->cc.ops->timeout(&c->tx->cc, c->mss, tcp_conn_flight(c), (uint32_t)e->now.mono_us,
                           first && !c->in_rto);
    c->ecn_cwr_due = true;
    c->in_rto = true;
    c->tx->recover = c->snd_max;
    c->recovering = false;
    c->dupacks = 0;
    c->timing = false;
    c->snd_nxt = c->snd_una;
    tcp_queue_rewind(c);
    c->head_due = true;
}
