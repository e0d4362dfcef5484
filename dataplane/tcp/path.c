/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection's path MTU (pmtu.h): where size becomes mss, which segment probes, what its fate
 * says. Probes carry data that had to go anyway, only more of it at once; no padding, no clock of
 * their own.
 */
#include "dataplane/tcp/tcp_conn.h"

#define PROBE_BEHIND 4u /* full segments that must follow a probe: their ACKs tell its loss */

static uint32_t now_s(const struct tcp_engine *e)
{
    return (uint32_t)(e->now.mono_us / 1000000);
}

static bool is_v4(const struct tcp_conn *c)
{
    return addr_is_v4(&c->stream.local.ip);
}

/* of every data segment: IP, TCP, timestamps */
static uint32_t headers(const struct tcp_conn *c)
{
    return (is_v4(c) ? 20u : 40u) + TCP_HEADER + (c->ts_on ? 12u : 0u);
}

static void mss_set(struct tcp_conn *c)
{
    c->mss = (uint16_t)(c->tx->pmtu.size - headers(c));
}

void tcp_path_start(struct tcp_conn *c, uint32_t mss)
{
    c->mtu = (uint16_t)(mss + (is_v4(c) ? 20u : 40u) + TCP_HEADER);
    c->mss = (uint16_t)(c->mtu - headers(c));
}

void tcp_path_open(struct tcp_conn *c)
{
    struct pmtu *p = &c->tx->pmtu;
    pmtu_init(p, c->mtu);
    p->size = (uint16_t)(c->mss + headers(c));
    p->search_s = c->search_s;
    p->waits = c->searched;
}

void tcp_path_close(struct tcp_conn *c)
{
    c->search_s = c->tx->pmtu.search_s;
    c->searched = c->tx->pmtu.waits;
}

/* First byte behind the probe. */
static uint32_t probe_end(const struct tcp_conn *c)
{
    return c->tx->pmtu.at + c->tx->pmtu.probe - headers(c);
}

void tcp_path_acked(struct tcp_engine *e, struct tcp_conn *c)
{
    struct pmtu *p = &c->tx->pmtu;

    if (!p->probe || seq_leq(c->snd_una, p->at))
        return;
    if (seq_lt(c->snd_una, probe_end(c))) {
        if (!c->rec)
            c->head_due = true; /* its first part has come; the rest is as lost as it was */
        return;
    }
    if (p->repair) {
        pmtu_probe_over(p);
        return;
    }
    pmtu_probe_acked(p);
    mss_set(c); /* cwnd, in bytes, stays as it is (RFC 8899 3) but for its minimum */
    if (c->tx->cc.ssthresh < 2u * c->mss)
        c->tx->cc.ssthresh = 2u * c->mss;
    if (c->tx->cc.cwnd < c->mss)
        c->tx->cc.cwnd = c->mss;
    counter_inc(&e->counters.tcp_pmtu_raised_total);
}

bool tcp_path_lost(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq)
{
    struct pmtu *p = &c->tx->pmtu;

    if (!p->probe || seq_lt(seq, p->at) || !seq_lt(seq, probe_end(c)))
        return false;
    if (!p->repair) {
        counter_inc(&e->counters.tcp_pmtu_probe_lost_total);
        pmtu_probe_lost(p, now_s(e));
    }
    return true;
}

void tcp_path_rto(struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t flight = tcp_conn_flight(c), floor = pmtu_floor(is_v4(c)) - headers(c);
    bool full = (flight < c->mss ? flight : c->mss) > floor;

    if (tcp_path_lost(e, c, c->snd_una)) {
        pmtu_probe_over(&c->tx->pmtu); /* all is sent again, cut to mss */
        return;
    }
    pmtu_probe_over(&c->tx->pmtu);
    if (!pmtu_rto(&c->tx->pmtu, c->snd_una, full, is_v4(c)))
        return;
    mss_set(c);
    counter_inc(&e->counters.tcp_pmtu_black_hole_total);
}

/* RFC 4821 7.4: no probes while losses are sorted out. */
static bool in_order(const struct tcp_conn *c)
{
    const struct tcp_recovery *r = c->rec;
    return !c->recovering && !c->in_rto && c->dupacks == 0 && c->snd_nxt == c->snd_max &&
           tcp_sack_bytes(c) == 0 && (!r || (r->sacked == 0 && r->lost == 0 && !r->tlp_due));
}

uint32_t tcp_path_segment(const struct tcp_engine *e, const struct tcp_conn *c, uint32_t avail,
                          uint32_t usable)
{
    if (c->tx->pmtu.size >= c->tx->pmtu.most) /* nearly always */
        return c->mss;
    uint32_t size = pmtu_next(&c->tx->pmtu, now_s(e));
    uint32_t len = size - headers(c), behind = len + PROBE_BEHIND * c->mss;
    /* enough behind it to tell that it was lost */
    if (size == 0 || !in_order(c) || usable < len || avail < behind || c->snd_wnd < behind ||
        c->tx->cc.cwnd < behind)
        return c->mss;
    return len;
}

void tcp_path_sent(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_out *o)
{
    uint32_t len = o->len < o->mss ? o->len : o->mss;
    uint32_t size = (is_v4(c) ? 20u : 40u) + TCP_HEADER + o->option_len + len;

    if (size > c->tx->pmtu.largest)
        c->tx->pmtu.largest = (uint16_t)size;
    if (len <= c->mss || o->seq != c->snd_max)
        return;
    pmtu_probe_sent(&c->tx->pmtu, o->seq, size);
    counter_inc(&e->counters.tcp_pmtu_probe_total);
}

bool tcp_path_too_big(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq, uint32_t mtu)
{
    if (!c->tx)
        return false;
    struct pmtu *p = &c->tx->pmtu;

    if (p->probe && seq == p->at && mtu >= p->size && mtu < p->probe) {
        p->tries = PMTU_PROBES - 1; /* no more of this size; the loss is found as any other */
        return true;
    }
    /* from the quoted byte on there must be more in flight than fits the hop (RFC 5927 7.2) */
    if (mtu < headers(c) || c->snd_max - seq <= mtu - headers(c) ||
        !pmtu_too_big(p, mtu, is_v4(c), now_s(e)))
        return false;
    mss_set(c);
    /* What is in flight was cut too large: it goes again at once rather than by RTO. A hop said
     * so, not a full queue: the congestion window stays. */
    c->head_due = true;
    if (c->lone)
        tcp_recovery_begin(e, c);
    if (c->rec) {
        tcp_recovery_all_lost(e, c, true);
    } else {
        c->tx->recover = c->snd_max;
        c->recovering = false;
        c->dupacks = 0;
        c->timing = false;
        c->snd_nxt = c->snd_una;
        tcp_queue_rewind(c);
    }
    tcp_conn_ready(c);
    return true;
}
