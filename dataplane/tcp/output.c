/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a connection sends: its SYN, one retransmission from the head, new data as the windows
 * allow, its FIN, and the ACKs it owes when nothing else carried them. State moves only after
 * the host took the segment.
 */
#include "dataplane/tcp/tcp_conn.h"

enum sent { SENT, NOTHING, REFUSED };

static uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t window_step(const struct tcp_engine *e, const struct tcp_conn *c)
{
    uint32_t mss = addr_is_v4(&c->stream.local.ip) ? e->config.mss_v4 : e->config.mss_v6;
    return min32(e->config.receive_window_bytes / 2, mss);
}

/* where the right edge could be: the window less what the application has not consumed */
static uint32_t window_edge(const struct tcp_engine *e, const struct tcp_conn *c)
{
    uint32_t kept = tcp_conn_kept(c), all = e->config.receive_window_bytes;
    return c->rcv_nxt + (kept < all ? all - kept : 0);
}

bool tcp_conn_window_opens(const struct tcp_engine *e, const struct tcp_conn *c)
{
    uint32_t gain = window_edge(e, c) - c->rcv_edge;
    uint32_t open = c->rcv_edge - c->rcv_nxt;
    return (int32_t)gain >= (int32_t)window_step(e, c) &&
           (open < window_step(e, c) || gain >= open);
}

/* RFC 9293 3.8.6.2.2: the edge moves by a segment or half the window at least, and never back.
 * Scaling rounds down, so a window that would pull the edge back is rounded up instead. */
uint16_t tcp_conn_window_field(struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t edge = window_edge(e, c);
    if ((int32_t)(edge - c->rcv_edge) < (int32_t)window_step(e, c))
        edge = c->rcv_edge;
    uint32_t field = (edge - c->rcv_nxt) >> c->rcv_scale;
    if (seq_lt(c->rcv_nxt + (field << c->rcv_scale), c->rcv_edge))
        field++;
    field = min32(field, UINT16_MAX);
    c->rcv_edge = seq_max(c->rcv_edge, c->rcv_nxt + (field << c->rcv_scale));
    return (uint16_t)field;
}

static void out_start(struct tcp_engine *e, struct tcp_conn *c, struct tcp_out *o, uint32_t seq)
{
    o->src = c->stream.local.ip;
    o->dst = c->stream.remote.ip;
    o->sport = c->stream.local.port;
    o->dport = c->stream.remote.port;
    o->seq = seq;
    o->ack = c->rcv_nxt;
    o->flags = TCP_ACK;
    o->option_len = 0;
    o->refs = 0;
    o->len = 0;
    o->window = tcp_conn_window_field(e, c);
    if (c->ts_on)
        tcp_option_ts(o, tcp_ts_now(e, c->ts_offset), c->ts_recent);
}

/* RFC 9293 3.5, options of RFC 7323: only what the peer's SYN had, in a SYN,ACK */
static enum sent send_syn(struct tcp_engine *e, struct tcp_conn *c)
{
    bool active = c->state == TCP_SYN_SENT;
    bool v4 = addr_is_v4(&c->stream.local.ip);
    struct tcp_out o = {
        .src = c->stream.local.ip,
        .dst = c->stream.remote.ip,
        .sport = c->stream.local.port,
        .dport = c->stream.remote.port,
        .seq = c->snd_una,
        .ack = active ? 0 : c->rcv_nxt,
        .flags = active ? TCP_SYN : TCP_SYN | TCP_ACK,
        /* never scaled in a SYN (RFC 7323 2.2) */
        .window = (uint16_t)min32(e->config.receive_window_bytes, UINT16_MAX),
    };
    tcp_option_syn(&o, v4 ? e->config.mss_v4 : e->config.mss_v6,
                   active || c->scale_on ? c->rcv_scale : -1, active || c->ts_on,
                   tcp_ts_now(e, c->ts_offset), active ? 0 : c->ts_recent);
    if (!tcp_emit(e, &o))
        return REFUSED;
    c->syn_due = false;
    c->ack_now = false;
    c->ack_sent = c->rcv_nxt;
    if (c->retries == 0) {
        c->timing = true;
        c->rtt_seq = c->snd_una + 1;
        c->rtt_us = (uint32_t)e->now.mono_us;
    } else {
        counter_inc(&e->counters.tcp_retransmit_total);
    }
    return SENT;
}

/* The segment [seq, seq + o->len) with or without FIN has gone out. */
static void segment_sent(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_out *o,
                         struct tcp_place after)
{
    uint32_t end = o->seq + o->len + ((o->flags & TCP_FIN) ? 1 : 0);
    bool first = tcp_conn_flight(c) == 0;
    if (seq_lt(o->seq, c->snd_max)) {
        counter_inc(&e->counters.tcp_retransmit_total);
    } else if (!c->timing && o->len > 0) {
        c->timing = true;
        c->rtt_seq = end;
        c->rtt_us = (uint32_t)e->now.mono_us;
    }
    if (seq_lt(c->snd_nxt, end)) {
        c->snd_nxt = end;
        c->next = after;
    }
    c->snd_max = seq_max(c->snd_max, end);
    c->sent_ms = e->now_ms;
    c->ack_now = false;
    c->ack_armed = false;
    c->ack_sent = c->rcv_nxt;
    if (first || c->probing || !c->rtx_armed) /* RFC 6298 5.1 */
        tcp_timer_rtx(e, c, false);
}

/* Sends up to `max` bytes from `at`, with FIN where the queue ends and it is queued. */
static enum sent send_from(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq,
                           struct tcp_place at, uint32_t max)
{
    struct tcp_out o;
    uint32_t edge = c->rcv_edge;
    out_start(e, c, &o, seq);
    if (max > 0)
        tcp_queue_gather(&at, c, &o, max);
    if (o.seq + o.len == c->snd_end) {
        o.flags |= o.len ? TCP_PSH : 0;
        if (c->fin_queued)
            o.flags |= TCP_FIN;
    }
    if (!tcp_emit(e, &o)) {
        c->rcv_edge = edge;
        return REFUSED;
    }
    segment_sent(e, c, &o, at);
    return SENT;
}

static enum sent send_head(struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t flight = tcp_conn_flight(c);
    if (flight > 0) {
        uint32_t len = min32(min32(c->queued, flight), c->mss);
        if (send_from(e, c, c->snd_una, c->head, len) == REFUSED)
            return REFUSED;
    }
    c->head_due = false;
    return SENT;
}

/* Data or FIN that was never sent, or is to be sent again. */
static bool unsent(const struct tcp_conn *c)
{
    return seq_lt(c->snd_nxt, c->snd_end) || (c->fin_queued && c->snd_nxt == c->snd_end);
}

/* How much the next segment carries; false when it has to wait. */
static bool segment_size(const struct tcp_conn *c, uint32_t *len)
{
    uint32_t out = c->snd_nxt - c->snd_una, avail = c->snd_end - c->snd_nxt;
    uint32_t cwnd = c->cc.cwnd;
    if (!c->recovering && c->dupacks < 3)
        cwnd += (uint32_t)c->dupacks * c->mss; /* limited transmit, RFC 3042 */
    uint32_t limit = min32(c->snd_wnd, cwnd);
    uint32_t usable = limit > out ? limit - out : 0;
    *len = min32(min32(avail, c->mss), usable);
    if (*len == avail || *len == c->mss)
        return true; /* a FIN alone needs no window: a receiver has nothing to store */
    /* RFC 9293 3.8.6.2.1: what the peer's window cuts short waits, unless it is half of the
     * largest window seen or the override time is over; what cwnd cuts short waits for ACKs */
    bool by_peer = c->snd_wnd <= cwnd;
    return by_peer && *len > 0 && (c->force || *len >= c->snd_wnd_max / 2);
}

static enum sent send_next(struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t len;
    if (!unsent(c) || !segment_size(c, &len))
        return NOTHING;
    if (tcp_conn_flight(c) == 0 && e->now_ms - c->sent_ms > tcp_rto_ms(c))
        tcp_reno_idle(&c->cc, c->mss);
    enum sent r = send_from(e, c, c->snd_nxt, c->next, len);
    if (r == SENT)
        c->force = false;
    return r;
}

/* ACKs that no data carried. Each segment out of order has its own, since the peer counts them
 * (RFC 5681 4.2); for all else one does. */
static enum sent send_acks(struct tcp_engine *e, struct tcp_conn *c)
{
    while (c->ack_owed > 0 || c->ack_now) {
        if (!tcp_send_ack(e, c))
            return REFUSED;
        if (c->ack_owed > 0)
            c->ack_owed--;
    }
    return SENT;
}

static enum sent send_all(struct tcp_engine *e, struct tcp_conn *c, bool *more)
{
    if (c->head_due && send_head(e, c) == REFUSED)
        return REFUSED;
    for (unsigned n = 0;; n++) {
        if (n == TCP_QUANTUM) {
            *more = true;
            break;
        }
        enum sent r = send_next(e, c);
        if (r == REFUSED)
            return REFUSED;
        if (r == NOTHING)
            break;
    }
    return send_acks(e, c);
}

bool tcp_conn_output(struct tcp_engine *e, struct tcp_conn *c, bool *more)
{
    if (c->state == TCP_CLOSED)
        return true;
    if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) {
        if (c->syn_due)
            return send_syn(e, c) == SENT;
        return !c->ack_now || tcp_send_ack(e, c);
    }
    bool taken = send_all(e, c, more) != REFUSED;
    /* whatever is left to do has a timer: a closed window is probed, a port that takes nothing
     * for minutes ends the connection */
    if (!c->rtx_armed && (unsent(c) || tcp_conn_flight(c) > 0) && !*more)
        tcp_timer_rtx(e, c, taken && tcp_conn_flight(c) == 0);
    return taken;
}
