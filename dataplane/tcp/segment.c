/* SPDX-License-Identifier: BSD-3-Clause */
/* A segment arrives for a connection: RFC 9293 3.10.7.3 and 3.10.7.4, in their order. */
#include "dataplane/tcp/tcp_conn.h"

#define PAWS_MAX_AGE_MS (24u * 86400 * 1000) /* RFC 7323 5.5 */

/* Both sides have closed: a record waits in the connection's stead. The ACK goes now; if the
 * port does not take it, the peer's next FIN is answered by the record. */
static void time_wait(struct tcp_engine *e, struct tcp_conn *c)
{
    tcp_send_ack(e, c);
    tcp_time_wait_add(e, c);
    tcp_conn_end(e, c, STREAM_DONE);
}

/* our FIN is acknowledged */
static bool fin_acked(const struct tcp_conn *c)
{
    return c->fin_queued && c->snd_una == c->snd_end + 1;
}

/* The handshake is complete: RFC 9293 3.10.7.4, SYN-RECEIVED, or 3.10.7.3. */
static bool established(struct tcp_engine *e, struct tcp_conn *c)
{
    c->state = c->fin_queued ? TCP_FIN_WAIT_1 : TCP_ESTABLISHED;
    if (c->tx) /* bytes are queued already */
        tcp_tx_start(e, c);
    c->active_ms = c->sent_ms = e->now_ms;
    tcp_timer_rtx_stop(c);
    if (c->retries > 0)
        tcp_rtt_syn_expired(&c->rtt);
    c->retries = c->backoff = 0;
    if (c->owned) {
        counter_inc(&e->counters.tcp_connected_total);
        if (c->stream.events && c->stream.events->opened)
            c->stream.events->opened(&c->stream, e->now);
        return c->state != TCP_CLOSED;
    }
    struct tcp_listener *l = &e->listener[c->listener];
    c->owned = true;
    if (l->port != c->stream.local.port || !l->accept(l->ctx, &c->stream, e->now)) {
        counter_inc(&e->counters.tcp_accept_refused_total);
        tcp_send_rst(e, c);
        tcp_conn_free(e, c);
        return false;
    }
    counter_inc(&e->counters.tcp_accepted_total);
    return c->state != TCP_CLOSED;
}

static void handshake_sample(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->timing)
        tcp_rtt_sample(&c->rtt, (uint32_t)e->now.mono_us - c->syn_us);
    c->timing = false;
}

/* RFC 9293 3.10.7.3 */
static void syn_sent(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    bool ack = s->flags & TCP_ACK;
    if (ack && s->ack != c->snd_una + 1) {
        tcp_answer_rst(e, s);
        return;
    }
    if (s->flags & TCP_RST) {
        if (ack)
            tcp_conn_end(e, c, STREAM_REFUSED);
        return;
    }
    if (!(s->flags & TCP_SYN))
        return;
    tcp_conn_negotiate(e, c, s);
    if (!ack) { /* simultaneous open */
        c->state = TCP_SYN_RECEIVED;
        c->syn_due = true;
        tcp_conn_ready(c);
        return;
    }
    handshake_sample(e, c);
    c->snd_una = s->ack;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    c->snd_wnd = c->snd_wnd_max = s->window;
    c->ack_now = true;
    tcp_conn_ready(c);
    established(e, c);
}

/* First check. False: not acceptable, and answered. A segment that is in place but finds no
 * window keeps its ACK: only its text is cut off. */
static bool acceptable(struct tcp_engine *e, struct tcp_conn *c, struct tcp_segment *s)
{
    uint32_t len = s->len + ((s->flags & TCP_FIN) ? 1 : 0) + ((s->flags & TCP_SYN) ? 1 : 0);
    uint32_t wnd = c->rcv_edge - c->rcv_nxt;
    bool first = s->seq - c->rcv_nxt < wnd;
    bool last = len > 0 && s->seq + len - 1 - c->rcv_nxt < wnd;
    if (first || last || (len == 0 && s->seq == c->rcv_nxt))
        return true;
    if (wnd == 0 && s->seq == c->rcv_nxt && !(s->flags & TCP_SYN)) {
        c->ack_now = true;
        tcp_conn_ready(c);
        if (s->len > 0) {
            s->len = 0;
            s->flags &= (uint8_t)~TCP_FIN;
        }
        return true;
    }
    counter_inc(&e->counters.tcp_out_of_window_total);
    if (s->len > 0 || (s->flags & TCP_FIN)) { /* the peer's retransmission: our ACK was lost */
        if (seq_lt(s->seq, c->rcv_nxt) && c->state != TCP_SYN_RECEIVED)
            tcp_sack_duplicate(c, s->seq,
                               seq_lt(c->rcv_nxt, s->seq + s->len) ? c->rcv_nxt : s->seq + s->len);
        c->ack_now = true;
        tcp_conn_ready(c);
    } else {
        tcp_send_challenge(e, c);
    }
    return false;
}

/* RFC 7323 5.3 R1 */
static bool paws_drops(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (!c->ts_on || !s->opt.has_ts || (int32_t)(s->opt.tsval - c->ts_recent) >= 0)
        return false;
    if (e->now_ms - c->ts_recent_ms > PAWS_MAX_AGE_MS)
        return false;
    counter_inc(&e->counters.tcp_paws_total);
    if (s->len > 0) {
        c->ack_now = true;
        tcp_conn_ready(c);
    } else {
        tcp_send_challenge(e, c);
    }
    return true;
}

/* Second check, by RFC 5961 3.2: only the exact number resets; near it, the peer is asked. A
 * peer that had sent its FIN may reset without counting it. */
static void reset(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    bool exact = s->seq == c->rcv_nxt || (tcp_conn_fin_received(c) && s->seq == c->rcv_nxt - 1);
    if (exact) {
        counter_inc(&e->counters.tcp_reset_in_total);
        tcp_conn_end(e, c, c->state == TCP_SYN_RECEIVED ? STREAM_REFUSED : STREAM_RESET);
    } else if (s->seq - c->rcv_nxt < c->rcv_edge - c->rcv_nxt) {
        tcp_send_challenge(e, c);
    } else {
        counter_inc(&e->counters.tcp_out_of_window_total);
    }
}

/* RFC 7323 4.3 (2) */
static void ts_update(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (c->ts_on && s->opt.has_ts && seq_leq(s->seq, c->ack_sent)) {
        c->ts_recent = s->opt.tsval;
        c->ts_recent_ms = e->now_ms;
    }
}

/* Fifth check, SYN-RECEIVED */
static bool syn_received_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s,
                             bool crossed)
{
    if (s->ack != c->snd_una + 1) {
        tcp_answer_rst(e, s);
        return false;
    }
    handshake_sample(e, c);
    c->snd_una = s->ack;
    c->snd_wl1 = s->seq - 1; /* so that this segment's window counts */
    c->snd_wl2 = s->ack;
    tcp_conn_window(c, s);
    if (crossed) /* a SYN's window is not scaled */
        c->snd_wnd = c->snd_wnd_max = s->window;
    return established(e, c);
}

/* What the ACK of our FIN leads to. False: the connection is gone. */
static bool fin_ack_states(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!fin_acked(c))
        return true;
    if (c->state == TCP_FIN_WAIT_1) {
        c->state = TCP_FIN_WAIT_2;
    } else if (c->state == TCP_CLOSING) {
        tcp_time_wait_add(e, c);
        tcp_conn_end(e, c, STREAM_DONE);
        return false;
    } else if (c->state == TCP_LAST_ACK) {
        tcp_conn_end(e, c, STREAM_DONE);
        return false;
    }
    return true;
}

/* When the peer hears of what it sent: at once every second full segment, for what was short and
 * pushed (its Nagle may wait for us), and when something was missing; else within 40 ms, or with
 * our next data (RFC 9293 3.8.6.3, RFC 5681 4.2). */
static void ack_plan(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s,
                     uint32_t full, bool was_gap)
{
    bool two = c->rcv_nxt - c->ack_sent >= 2 * (uint32_t)c->rcv_mss;
    bool lone = (s->flags & TCP_PSH) && full < c->rcv_mss;
    if (was_gap || two || lone || tcp_conn_window_opens(e, c))
        c->ack_now = true;
    else
        tcp_timer_ack(e, c);
    tcp_conn_ready(c);
}

/* Seventh check: the text, cut to the window. */
static void text(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    uint32_t seq = s->seq, len = s->len, right = c->rcv_edge;
    const uint8_t *data = s->data;
    if (c->fin_seen && seq_lt(c->fin_seq, right))
        right = c->fin_seq; /* nothing comes after a FIN */
    if (seq_lt(seq, c->rcv_nxt)) {
        uint32_t old = c->rcv_nxt - seq;
        tcp_sack_duplicate(c, seq, old < len ? c->rcv_nxt : seq + len);
        if (old >= len) {
            c->ack_now = true;
            tcp_conn_ready(c);
            return;
        }
        data += old;
        len -= old;
        seq = c->rcv_nxt;
    }
    if (!seq_lt(seq, right)) {
        c->ack_now = true;
        tcp_conn_ready(c);
        return;
    }
    if (len > right - seq)
        len = right - seq;
    if (s->len > c->rcv_mss)
        c->rcv_mss = (uint16_t)(s->len < UINT16_MAX ? s->len : UINT16_MAX);
    c->active_ms = e->now_ms;

    uint32_t before = c->rcv_nxt;
    bool gap = c->store && c->store->ranges > 0;
    tcp_conn_data(e, c, seq, data, len);
    if (c->state == TCP_CLOSED)
        return;
    if (c->rcv_nxt == before) { /* out of order, or no room for it */
        if (!c->sack_on && c->ack_owed < TCP_BURST)
            c->ack_owed++; /* RFC 5681 4.2: that peer counts them */
        c->ack_now = true;
        tcp_conn_ready(c);
        return;
    }
    c->ack_owed = 0;
    ack_plan(e, c, s, s->len, gap || seq + len != c->rcv_nxt);
}

/* Remembers where the peer's FIN is. One that would lie before data already here is a lie. */
static void fin_note(struct tcp_conn *c, uint32_t seq)
{
    const struct tcp_store *st = c->store;
    if (c->fin_seen || seq_lt(seq, c->rcv_nxt) || seq_lt(c->rcv_edge, seq))
        return;
    if (st && st->ranges > 0 && seq_lt(seq, st->range[st->ranges - 1].end))
        return;
    c->fin_seen = true;
    c->fin_seq = seq;
}

/* Eighth check. The FIN counts once all before it has arrived. */
static void fin(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!c->fin_seen || c->fin_seq != c->rcv_nxt || tcp_conn_fin_received(c))
        return;
    c->rcv_nxt++;
    c->active_ms = e->now_ms;
    if (seq_lt(c->rcv_edge, c->rcv_nxt))
        c->rcv_edge = c->rcv_nxt;
    c->ack_now = true;
    c->ack_owed = 0;
    tcp_conn_ready(c);
    if (c->app_nxt == c->fin_seq || c->offered == c->fin_seq)
        tcp_conn_event(c, TCP_EVENT_EOF);
    if (c->state == TCP_ESTABLISHED)
        c->state = TCP_CLOSE_WAIT;
    else if (c->state == TCP_FIN_WAIT_1)
        c->state = TCP_CLOSING;
    else if (c->state == TCP_FIN_WAIT_2)
        time_wait(e, c);
}

static bool may_receive(const struct tcp_conn *c)
{
    return c->state == TCP_ESTABLISHED || c->state == TCP_FIN_WAIT_1 || c->state == TCP_FIN_WAIT_2;
}

/* The other half of a simultaneous open: the peer's SYN again, now with the ACK of ours. */
static bool crossed_synack(const struct tcp_conn *c, const struct tcp_segment *s)
{
    return c->state == TCP_SYN_RECEIVED && !c->passive && (s->flags & TCP_SYN) &&
           (s->flags & TCP_ACK) && s->seq == c->rcv_nxt - 1 && s->ack == c->snd_una + 1;
}

/*
 * Header prediction (Jacobson, 1988): the next bytes in order, or an ACK of all that is out, or
 * both, where nothing is missing, doubtful or closing: on a server nearly every segment. All
 * checks below would let it pass unchanged. tests/tcp/fuzz_tcp_plain.c holds them to that.
 */
static bool predicted(const struct tcp_conn *c, const struct tcp_segment *s)
{
    bool acks = c->lone && s->ack == c->snd_max;
    return c->state == TCP_ESTABLISHED && (s->flags & ~TCP_PSH) == TCP_ACK &&
           s->seq == c->rcv_nxt && (acks || (s->len > 0 && s->ack == c->snd_una)) &&
           (acks || c->lone || tcp_conn_flight(c) == 0) && s->len <= c->rcv_edge - c->rcv_nxt &&
           c->rcv_edge != c->rcv_nxt && !c->store && !c->fin_seen && c->keepalives == 0 &&
           !c->probing && c->snd_wnd > 0 && !c->tlp_out && s->opt.sacks == 0 &&
           s->packet->ecn != TCP_ECN_CE && c->ts_on == s->opt.has_ts &&
           (!c->ts_on || (int32_t)(s->opt.tsval - c->ts_recent) >= 0);
}

static void as_predicted(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    ts_update(e, c, s);
    c->ecn_echoed = false;
    tcp_conn_window(c, s);
    if (s->ack != c->snd_una) {
        tcp_recovery_lone_ack(e, c, s);
        tcp_conn_writable(e, c);
    }
    if (s->len > 0)
        text(e, c, s);
}

void tcp_conn_segment(struct tcp_engine *e, struct tcp_conn *c, struct tcp_segment *s)
{
    if (!e->plain && predicted(c, s)) {
        as_predicted(e, c, s);
        return;
    }
    if (c->state == TCP_SYN_SENT) {
        syn_sent(e, c, s);
        return;
    }
    tcp_stay_heard(e, c);
    if (s->flags & TCP_RST) {
        reset(e, c, s);
        return;
    }
    if (c->state == TCP_SYN_RECEIVED && (s->flags & TCP_SYN) && s->seq == c->rcv_nxt - 1 &&
        !(s->flags & TCP_ACK)) { /* simultaneous open: our SYN,ACK was lost */
        c->syn_due = true;
        tcp_conn_ready(c);
        return;
    }
    if (paws_drops(e, c, s))
        return;
    bool crossed = crossed_synack(c, s);
    if ((s->flags & TCP_SYN) && !crossed) {
        tcp_send_challenge(e, c); /* fourth check, by RFC 5961 4.2 */
        return;
    }
    if (crossed) {
        /* simultaneous open: the SYN,ACK acknowledges ours; its own SYN is known */
        s->seq++;
        s->flags &= (uint8_t)~TCP_SYN;
        c->ack_now = true;
    }
    if (!acceptable(e, c, s))
        return;
    if (!(s->flags & TCP_ACK) || (s->flags & TCP_SYN))
        return;
    ts_update(e, c, s);
    if (c->state == TCP_SYN_RECEIVED) {
        if (!syn_received_ack(e, c, s, crossed))
            return;
    } else if (!tcp_conn_ack(e, c, s) || !fin_ack_states(e, c)) {
        return;
    }
    if (!may_receive(c))
        return;
    if (s->flags & TCP_FIN)
        fin_note(c, s->seq + s->len);
    tcp_ecn_received(e, c, s);
    if (s->len > 0) {
        text(e, c, s);
    } else if ((s->flags & TCP_FIN) && s->seq != c->rcv_nxt) { /* it came before what it ends */
        c->ack_now = true;
        tcp_conn_ready(c);
    }
    if (c->state != TCP_CLOSED)
        fin(e, c);
}
