/* SPDX-License-Identifier: BSD-3-Clause */
/* Tail loss probes, RFC 8985 7: when a flight's last segments are lost nothing comes after them
 * that could show it, so one segment is sent early, to provoke an ACK. */
#include "dataplane/tcp/tcp_conn.h"

void tcp_tlp_arm(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->soon_armed && !c->soon_is_tlp)
        return; /* new data puts off a probe, not the end of a wait for what is late */
    if (c->recovering || c->in_rto || (c->rec && c->rec->sacked > 0) || c->tlp_out ||
        c->tlp_unsampled || tcp_conn_flight(c) == 0) {
        c->soon_armed = false;
        return; /* 7.2 */
    }
    uint32_t pto = rack_pto_us(c->rtt.srtt8_us / 8, tcp_conn_flight(c) <= c->mss);
    c->soon_armed = true;
    c->soon_is_tlp = true;
    c->tx->soon_ms = (uint32_t)((e->now.mono_us + pto + 999) / 1000);
    if (c->rtx_armed && (int32_t)(c->tx->soon_ms - c->rtx_ms) > 0)
        c->tx->soon_ms = c->rtx_ms;
}

void tcp_tlp_sent(struct tcp_conn *c, bool again)
{
    c->tlp_out = true;
    c->tlp_again = again;
    c->tlp_unsampled = true;
    c->tx->tlp_end = c->snd_max;
    c->rec->tlp_due = false;
}

/* 7.4.2: did the probe repair a loss? Then the loss counts, though nobody saw it. */
void tcp_tlp_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_ack_news *n,
                 bool advanced)
{
    const struct tcp_segment *s = n->segment;
    if (!c->tlp_out || seq_lt(s->ack, c->tx->tlp_end))
        return;
    if (!c->tlp_again || (n->has_dsack && n->dsack.end == c->tx->tlp_end)) {
        c->tlp_out = false;
    } else if (seq_lt(c->tx->tlp_end, s->ack)) {
        c->tlp_out = false;
        counter_inc(&e->counters.tcp_tlp_repaired_total);
        tcp_conn_reduce(e, c, false);
    } else if (!advanced && s->opt.sacks == 0 && s->len == 0) {
        c->tlp_out = false; /* both came: the last two ACKs are for one segment */
    }
}
