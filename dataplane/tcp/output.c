/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a connection sends: its SYN, what was lost, new data as the windows allow, its FIN, and the
 * ACKs it owes when nothing else carried them. State moves only after the host took the segment.
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
    o->ecn = TCP_ECN_NONE;
    o->option_len = 0;
    o->refs = 0;
    o->len = 0;
    o->window = tcp_conn_window_field(e, c);
    if (c->ts_on)
        tcp_option_ts(o, tcp_ts_now(e, c->ts_offset), c->ts_recent);
    tcp_sack_write(c, o);
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
    o.flags |= tcp_ecn_syn_flags(e, c);
    if (active || c->sack_on)
        tcp_option_sack_permitted(&o);
    if (!tcp_emit(e, &o))
        return REFUSED;
    c->syn_due = false;
    c->ack_now = false;
    c->ack_sent = c->rcv_nxt;
    if (c->retries == 0) {
        c->timing = true;
        c->syn_us = (uint32_t)e->now.mono_us;
    } else {
        counter_inc(&e->counters.tcp_retransmit_total);
    }
    return SENT;
}

/* The segment [seq, seq + o->len) with or without FIN has gone out. `record`: what it repeats. */
static void segment_sent(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_out *o,
                         struct tcp_place after, uint32_t record)
{
    uint32_t end = o->seq + o->len + ((o->flags & TCP_FIN) ? 1 : 0);
    bool first = tcp_conn_flight(c) == 0;
    uint32_t now = (uint32_t)e->now.mono_us;
    bool probe = o->mss > c->mss;
    tcp_path_sent(e, c, o); /* compares with snd_max as it was */
    if (first)
        c->tx->began_ms = e->now_ms;
    if (first && c->sack_on && !probe && !e->plain) {
        c->lone = true;
        c->tx->lone_us = now;
    } else if (first && c->sack_on) {
        tcp_recovery_open(e, c);
    } else if (c->lone && (probe || c->tx->lone_us != now)) {
        tcp_recovery_begin(e, c);
    }
    if (seq_lt(o->seq, c->snd_max)) {
        counter_inc(&e->counters.tcp_retransmit_total);
    } else if (!c->rec && !c->lone && !c->timing && o->len > 0) {
        c->timing = true;
        c->tx->rtt_seq = end;
        c->tx->rtt_us = now;
    }
    if (c->rec)
        tcp_recovery_sent(e, c, record, o->seq, end);
    if (seq_lt(c->snd_nxt, end)) {
        c->snd_nxt = end;
        tcp_conn_next_set(c, after);
    }
    c->snd_max = seq_max(c->snd_max, end);
    c->sent_ms = e->now_ms;
    c->ack_now = false;
    c->ack_armed = false;
    c->ack_sent = c->rcv_nxt;
    tcp_sack_reported(c);
    if (first || c->probing || !c->rtx_armed) /* RFC 6298 5.1 */
        tcp_timer_rtx(e, c, false);
}

/* Up to `max` bytes from *at. What was to be a burst of segments, but comes from too many pieces,
 * ends with a whole segment. */
static void gather(const struct tcp_conn *c, struct tcp_out *o, struct tcp_place *at, uint32_t max)
{
    struct tcp_place from = *at;
    uint32_t len = tcp_queue_gather(at, c, o, max);
    if (len == max || len <= o->mss || len % o->mss == 0)
        return;
    o->len = o->refs = 0;
    *at = from;
    tcp_queue_gather(at, c, o, len - len % o->mss);
}

/* Sends up to `max` bytes from `at`, in segments of `mss`, with FIN where the queue ends and it is
 * queued. */
static enum sent send_from(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq,
                           struct tcp_place at, uint32_t max, uint32_t mss, uint32_t record)
{
    struct tcp_out o;
    uint32_t edge = c->rcv_edge;
    out_start(e, c, &o, seq);
    o.mss = mss;
    if (max > 0)
        gather(c, &o, &at, max);
    if (o.seq + o.len == c->snd_end) {
        o.flags |= o.len ? TCP_PSH : 0;
        if (c->fin_queued)
            o.flags |= TCP_FIN;
    }
    tcp_ecn_send(c, &o);
    if (!tcp_emit(e, &o)) {
        c->rcv_edge = edge;
        return REFUSED;
    }
    tcp_ecn_sent(c, &o);
    if (o.len > 0)
        tcp_pace_sent(e, c, o.len);
    segment_sent(e, c, &o, at, record);
    return SENT;
}

/* The largest payload of the next segment: what SACK reports takes its part. */
static uint32_t payload_max(const struct tcp_conn *c)
{
    return c->mss - tcp_sack_bytes(c);
}

/* Sends a part of a record again, from `seq` on. */
static enum sent send_again(struct tcp_engine *e, struct tcp_conn *c, uint32_t record, uint32_t seq)
{
    uint32_t end = e->records[record].end;
    uint32_t data = seq_lt(c->snd_end, end) ? c->snd_end - seq : end - seq; /* less the FIN */
    struct tcp_place at = tcp_queue_at(c, seq - c->snd_una);
    uint32_t mss = payload_max(c);
    return send_from(e, c, seq, at, min32(data, mss), mss, record);
}

/* The first lost segment, if cwnd has room for it or it is `due` in any case. */
static enum sent send_lost(struct tcp_engine *e, struct tcp_conn *c, bool due)
{
    uint32_t i = tcp_record_first_lost(e, c);
    if (i == TCP_NONE)
        return NOTHING;
    uint32_t seq = tcp_record_start(e, c, i);
    if (!due && tcp_recovery_pipe(c) + min32(e->records[i].end - seq, c->mss) > c->tx->cc.cwnd)
        return NOTHING;
    if (!due && tcp_pace_holds(e, c))
        return NOTHING;
    return send_again(e, c, i, seq);
}

static enum sent send_head(struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t flight = tcp_conn_flight(c);
    enum sent r = SENT;
    if (flight > 0 && c->rec) {
        r = send_lost(e, c, true);
    } else if (flight > 0) {
        uint32_t mss = payload_max(c), len = min32(min32(c->queued, flight), mss);
        r = send_from(e, c, c->snd_una, tcp_conn_head(c), len, mss, TCP_NONE);
    }
    if (r == REFUSED)
        return REFUSED;
    c->head_due = false;
    return SENT;
}

/* Data or FIN that was never sent, or is to be sent again. */
static bool unsent(const struct tcp_conn *c)
{
    return seq_lt(c->snd_nxt, c->snd_end) || (c->fin_queued && c->snd_nxt == c->snd_end);
}

/* What cwnd allows beyond what is in the network. */
static uint32_t cwnd_room(const struct tcp_conn *c)
{
    uint32_t cwnd = c->tx->cc.cwnd, out = c->snd_nxt - c->snd_una;
    if (c->rec) {
        out = tcp_recovery_pipe(c);
        if (c->rec->frto_new > 0 || c->rec->tlp_due)
            return cwnd > out + c->mss ? cwnd - out : c->mss;
    } else if (!c->recovering && c->dupacks < 3) {
        cwnd += (uint32_t)c->dupacks * c->mss; /* limited transmit, RFC 3042 */
    }
    return cwnd > out ? cwnd - out : 0;
}

/* A full segment may go: how many more with it at once, where the host cuts them? No more than
 * pacing allows in a millisecond. */
static uint32_t burst_size(const struct tcp_engine *e, const struct tcp_conn *c, uint32_t full,
                           uint32_t avail, uint32_t usable)
{
    uint32_t most = e->config.burst_bytes;
    const struct tcp_recovery *r = c->rec;
    /* one segment where one is meant: CWR goes with the first new one (RFC 3168 6.1.2), F-RTO and
     * probes count (RFC 5682 2.1, RFC 8985 7.3) */
    if (most <= full || usable < 2 * full || c->ecn_cwr_due ||
        (r && (r->frto_new > 0 || r->tlp_due)))
        return full;
    most = min32(min32(most, TCP_QUANTUM * full), tcp_pace_burst(c));
    uint32_t len = min32(min32(most, usable), avail);
    if (e->host.room && len > full)
        len = min32(len, full * e->host.room(e->host.ctx, &c->stream.local.ip, &c->stream.remote.ip,
                                             len / full + 1));
    return len <= full ? full : len == avail ? len : len - len % full;
}

/* How much goes next, and in segments of what size; false when it has to wait. */
static bool segment_size(const struct tcp_engine *e, struct tcp_conn *c, uint32_t *len,
                         uint32_t *mss)
{
    uint32_t out = c->snd_nxt - c->snd_una, avail = c->snd_end - c->snd_nxt;
    uint32_t cwnd = cwnd_room(c), wnd = c->snd_wnd > out ? c->snd_wnd - out : 0;
    uint32_t usable = min32(wnd, cwnd), full = tcp_path_segment(e, c, avail, usable);
    bool probe = full > c->mss;
    if (!probe)
        full = min32(full, payload_max(c));
    *mss = full;
    *len = min32(min32(avail, full), usable);
    if (*len == full && !probe)
        *len = burst_size(e, c, full, avail, usable);
    if (*len == avail || *len >= full)
        return true; /* a FIN alone needs no window: a receiver has nothing to store */
    if (wnd > cwnd)
        c->limited = true;
    /* RFC 9293 3.8.6.2.1: what the peer's window cuts short waits, unless it is half of the
     * largest window seen or the override time is over; what cwnd cuts short waits for ACKs */
    return wnd <= cwnd && *len > 0 && (c->force || *len >= c->snd_wnd_max / 2);
}

static enum sent send_new(struct tcp_engine *e, struct tcp_conn *c)
{
    uint32_t len, mss;
    if (!unsent(c)) {
        if (c->tx && cwnd_room(c) >= c->mss)
            c->app_limited = true;
        return NOTHING;
    }
    if (!tcp_tx_open(e, c)) { /* for a FIN alone: its timer asks again */
        counter_inc(&e->counters.tcp_no_queue_total);
        return NOTHING;
    }
    if (!segment_size(e, c, &len, &mss) || (len > 0 && tcp_pace_holds(e, c)))
        return NOTHING;
    if (tcp_conn_flight(c) == 0 && e->now_ms - c->sent_ms > tcp_rto_ms(c)) {
        c->tx->cc.ops->idle(&c->tx->cc, c->mss, (uint32_t)e->now.mono_us);
        tcp_pacer_init(&c->tx->pacer, (uint32_t)e->now.mono_us);
    }
    enum sent r = send_from(e, c, c->snd_nxt, tcp_conn_next(c), len, mss, TCP_NONE);
    if (r == SENT)
        c->force = false;
    return r;
}

/* A tail loss probe: new data, though cwnd be full, else the last segment (RFC 8985 7.3). */
static enum sent send_probe(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_recovery *r = c->rec;
    enum sent sent = send_new(e, c);
    bool again = sent == NOTHING;
    if (again) {
        uint32_t start = tcp_record_start(e, c, r->last), end = e->records[r->last].end;
        uint32_t tail = (end - start) % c->mss ? (end - start) % c->mss : c->mss;
        sent = send_again(e, c, r->last, seq_max(start, end - tail));
    }
    if (sent != SENT)
        return sent;
    counter_inc(&e->counters.tcp_tlp_total);
    tcp_tlp_sent(c, again);
    return SENT;
}

/* What comes next: what was lost before what is new, except while F-RTO looks whether anything
 * was lost at all. */
static enum sent send_next(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_recovery *r = c->rec;
    if (r && r->tlp_due)
        return send_probe(e, c);
    if (r && r->frto == 2) {
        if (r->frto_new == 0)
            return NOTHING;
        enum sent sent = send_new(e, c);
        if (sent == SENT)
            r->frto_new--;
        return sent;
    }
    if (r && r->lost > 0)
        return send_lost(e, c, false);
    return send_new(e, c);
}

/* ACKs that no data carried. Without SACK each segment out of order has its own, since the peer
 * counts them (RFC 5681 4.2); for all else one does. */
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
    uint32_t before = c->snd_max;
    for (unsigned n = 0;; n++) {
        if (n == TCP_QUANTUM || c->snd_max - before >= TCP_QUANTUM * (uint32_t)c->mss) {
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
    uint32_t before = c->snd_max;
    bool taken = send_all(e, c, more) != REFUSED;
    if ((c->rec || c->lone) && c->snd_max != before)
        tcp_tlp_arm(e, c);
    /* whatever is left to do has a timer: a closed window is probed, a port that takes nothing
     * for minutes ends the connection */
    if (!c->rtx_armed && (unsent(c) || tcp_conn_flight(c) > 0) && !*more)
        tcp_timer_rtx(e, c, taken && tcp_conn_flight(c) == 0);
    return taken;
}
