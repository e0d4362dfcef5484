/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loss recovery with SACK: what an ACK says about the flight (RFC 2018, 2883), what is lost
 * (RACK, RFC 8985), and how fast to repair it (PRR, RFC 9937). An episode begins with the first
 * loss or with an RTO and lasts until snd_una passes what was sent before; it reduces the
 * congestion window once.
 */
#include "dataplane/tcp/tcp_conn.h"

#define MIN_RTT_WINDOW_MS 300000u /* a path may change: the minimum is of the last minutes */

uint32_t tcp_recovery_pipe(const struct tcp_conn *c)
{
    return tcp_conn_flight(c) - c->rec->sacked - c->rec->lost;
}

static uint32_t reo_wnd(const struct tcp_conn *c)
{
    uint32_t segments = (c->rec->sacked + c->mss - 1) / c->mss;
    return rack_reo_wnd_us(&c->tx->order, c->recovering || c->in_rto, segments, c->tx->min_rtt_us,
                           c->rtt.srtt8_us / 8);
}

/* RFC 8985 6.2 step 5. Returns the longest wait of what may yet turn out lost; 0: nothing. */
static uint32_t detect(struct tcp_engine *e, struct tcp_conn *c, bool *any)
{
    struct tcp_recovery *r = c->rec;
    uint32_t now = (uint32_t)e->now.mono_us, longest = 0;
    *any = false;
    if (r->mixed && seq_leq(r->mixed_end, c->snd_una))
        r->mixed = false;
    if (!r->rack.any || (r->sacked == 0 && !r->mixed))
        return 0; /* all that is left was sent after what was delivered */
    uint32_t wnd = reo_wnd(c);
    for (uint32_t i = r->first; i != TCP_NONE; i = e->records[i].next) {
        const struct tcp_record *x = &e->records[i];
        uint32_t wait;
        if (x->flags & (TCP_RECORD_SACKED | TCP_RECORD_LOST))
            continue;
        if (rack_lost(&r->rack, x->sent_us, x->end, now, wnd, &wait)) {
            if (x->flags & TCP_RECORD_LARGE)
                tcp_path_lost(e, c, tcp_record_start(e, c, i));
            else
                *any = true;
            tcp_record_lost(e, c, i);
        } else if (wait > longest) {
            longest = wait;
        }
    }
    return longest;
}

/* The reordering window, else the probe time-out; neither after the RTO. */
static void soon_arm(struct tcp_engine *e, struct tcp_conn *c, uint32_t wait_us, bool advanced)
{
    if (wait_us > 0) {
        c->soon_armed = true;
        c->soon_is_tlp = false;
        c->tx->soon_ms = (uint32_t)((e->now.mono_us + wait_us + 999) / 1000);
        if (c->rtx_armed && (int32_t)(c->tx->soon_ms - c->rtx_ms) > 0)
            c->tx->soon_ms = c->rtx_ms;
    } else if (advanced) {
        c->soon_armed = false;
        tcp_tlp_arm(e, c);
    } else if (!c->soon_is_tlp || c->rec->sacked > 0) {
        c->soon_armed = false;
    }
}

/* `flight`: when it was found; `flight_fs`: RecoverFS of RFC 9937. What earlier ACKs SACKed and
 * nothing new has replaced counts as delivered in the episode: when three come in one burst nothing
 * is sent between them, and without a segment behind it the loss of the retransmission would be
 * found by the RTO only. */
static void episode_enter(struct tcp_engine *e, struct tcp_conn *c, uint32_t flight,
                          uint32_t flight_fs)
{
    struct tcp_recovery *r = c->rec;
    uint32_t cwnd = c->tx->cc.cwnd;
    uint32_t unused = cc_min(flight - flight_fs, cwnd > flight_fs ? cwnd - flight_fs : 0);
    counter_inc(&e->counters.tcp_fast_retransmit_total);
    if (!c->cwr || !seq_lt(c->snd_una, c->tx->cwr_end)) { /* else this window is reduced already */
        tcp_undo_save(c);
        /* while RACK waits for what may be late, what is SACKed lets new data out: with it in the
         * base a loss would raise the window */
        c->tx->cc.ops->loss(&c->tx->cc, c->mss, cc_min(flight, c->tx->cc.cwnd),
                            (uint32_t)e->now.mono_us);
        c->ecn_cwr_due = true;
    }
    prr_start(&r->prr, flight_fs + unused, c->mss);
    r->prr.delivered = unused;
    c->recovering = true;
    c->tx->recover = c->snd_max;
    c->head_due = true; /* the fast retransmission goes whatever cwnd says (RFC 9937 6.2) */
    c->tlp_out = false;
    r->tlp_due = false;
    r->frto_new = r->frto = 0;
}

static void episode_end(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->recovering)
        c->tx->cc.ops->recovered(&c->tx->cc, c->mss, tcp_recovery_pipe(c),
                                 (uint32_t)e->now.mono_us);
    c->recovering = c->in_rto = false;
    c->rec->frto = c->rec->frto_new = 0;
    rack_recovered(&c->tx->order);
}

static void prr_apply(struct tcp_conn *c, uint32_t delivered, bool safe)
{
    uint32_t cwnd =
        prr_ack(&c->rec->prr, c->mss, c->tx->cc.ssthresh, tcp_recovery_pipe(c), delivered, safe);
    c->tx->cc.cwnd = cwnd > c->mss ? cwnd : c->mss;
}

/* RFC 2883 4: the first block lies below the ACK, or inside of the second. */
void tcp_dsack_find(const struct tcp_conn *c, struct tcp_ack_news *n)
{
    const struct tcp_options *o = &n->segment->opt;
    if (o->sacks == 0)
        return;
    struct tcp_range b = o->sack[0];
    bool below = seq_leq(b.end, n->segment->ack);
    bool within =
        o->sacks > 1 && seq_leq(o->sack[1].start, b.start) && seq_leq(b.end, o->sack[1].end);
    /* of something that was sent, and lately */
    if ((below || within) && seq_lt(b.start, b.end) && seq_leq(b.end, c->snd_max) &&
        c->snd_max - b.start <= c->snd_wnd_max + tcp_conn_flight(c) + UINT16_MAX) {
        n->has_dsack = true;
        n->dsack = b;
    }
}

/* In ascending order: the newest block comes first (RFC 2018 4), and one ACK that tells of two
 * holes would look as if what lies between them had been overtaken. */
static void sacks_apply(struct tcp_engine *e, struct tcp_conn *c, struct tcp_ack_news *n)
{
    const struct tcp_options *o = &n->segment->opt;
    struct tcp_range sorted[TCP_SACKS];
    uint32_t blocks = 0;
    for (uint32_t i = n->has_dsack ? 1 : 0; i < o->sacks; i++) {
        struct tcp_range b = o->sack[i];
        if (!seq_lt(c->snd_una, b.start) || !seq_lt(b.start, b.end) || !seq_leq(b.end, c->snd_max))
            continue;
        uint32_t at = blocks++;
        for (; at > 0 && seq_lt(b.start, sorted[at - 1].start); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = b;
    }
    for (uint32_t i = 0; i < blocks; i++)
        tcp_records_sack(e, c, sorted[i], n);
}

static void min_rtt(struct tcp_engine *e, struct tcp_conn *c, uint32_t sample)
{
    if (sample == 0)
        return;
    if (c->tx->min_rtt_us == 0 || sample <= c->tx->min_rtt_us ||
        e->now_ms - c->tx->min_rtt_ms > MIN_RTT_WINDOW_MS) {
        c->tx->min_rtt_us = sample;
        c->tx->min_rtt_ms = e->now_ms;
    }
}

/* Frees what `ack` covers. */
static void advance(struct tcp_engine *e, struct tcp_conn *c, uint32_t ack)
{
    uint32_t acked = ack - c->snd_una;
    tcp_queue_release(e, c, acked < c->queued ? acked : c->queued); /* the rest is the FIN */
    c->snd_una = ack;
    if (seq_leq(c->snd_nxt, ack)) {
        c->snd_nxt = ack;
        tcp_queue_rewind(c);
    }
    c->retries = 0;
    c->active_ms = e->now_ms;
}

/* What the ACK means for the congestion window. */
static void react(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_ack_news *n,
                  uint32_t flight, uint32_t flight_fs, bool safe)
{
    bool begins = !c->recovering && !c->in_rto && tcp_records_congested(e, c);
    if (begins)
        episode_enter(e, c, flight, flight_fs);
    if (n->delivered == 0)
        return;
    if (c->recovering && !c->tx->cc.ops->every_ack)
        prr_apply(c, n->delivered, safe && !begins);
    else if (!c->ecn_echoed)
        tcp_conn_grow(e, c, n->delivered, flight, n->late_us);
}

void tcp_recovery_lone_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    uint32_t flight = tcp_conn_flight(c), rtt = (uint32_t)e->now.mono_us - c->tx->lone_us;
    struct tcp_ack_news n = {.segment = s};
    rtt += rtt == 0;
    advance(e, c, s->ack);
    tcp_path_acked(e, c);
    min_rtt(e, c, rtt);
    tcp_echo_judge(e, c, s, rtt);
    tcp_conn_sample(e, c, s, rtt, true);
    tcp_tlp_ack(e, c, &n, true);
    if (!c->ecn_echoed)
        tcp_conn_grow(e, c, flight, flight, rtt);
    tcp_timer_rtx_stop(c);
    tcp_recovery_close(e, c);
    tcp_conn_ready(c);
}

void tcp_recovery_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    struct tcp_recovery *r = c->rec;
    struct tcp_ack_news n = {.now_us = (uint32_t)e->now.mono_us, .segment = s};
    uint32_t flight = tcp_conn_flight(c);
    bool advanced = s->ack != c->snd_una, lost;
    uint32_t flight_fs = flight - r->sacked; /* RecoverFS, if this ACK begins an episode */

    tcp_dsack_find(c, &n);
    if (advanced) {
        tcp_records_ack(e, c, s->ack, &n);
        advance(e, c, s->ack);
        tcp_path_acked(e, c);
    }
    sacks_apply(e, c, &n);
    min_rtt(e, c, n.late_us);
    if (n.has_dsack) {
        counter_inc(&e->counters.tcp_dsack_in_total);
        rack_dsack(&r->rack, &c->tx->order, c->snd_una, c->snd_max);
    }
    if (advanced)
        tcp_echo_judge(e, c, s, n.again ? 0 : n.age_us);
    /* which of the sendings arrived, and when the others did, is not told (Karn) */
    tcp_conn_sample(e, c, s, n.again ? 0 : n.rtt_us, advanced);
    tcp_tlp_ack(e, c, &n, advanced);
    if (!tcp_undo_ack(e, c, &n, advanced) && !tcp_frto_ack(e, c, &n, advanced) &&
        (c->recovering || c->in_rto) && seq_leq(c->tx->recover, c->snd_una))
        episode_end(e, c);
    uint32_t wait = detect(e, c, &lost);
    react(e, c, &n, flight, flight_fs, advanced && !lost);

    if (tcp_conn_flight(c) == 0) {
        tcp_timer_rtx_stop(c);
        tcp_recovery_close(e, c);
    } else {
        if (advanced) /* RFC 6298 5.3; never by a duplicate */
            tcp_timer_rtx(e, c, false);
        soon_arm(e, c, wait, advanced);
    }
    tcp_conn_ready(c);
}

void tcp_recovery_all_lost(struct tcp_engine *e, struct tcp_conn *c, bool large)
{
    for (uint32_t i = c->rec->first; i != TCP_NONE; i = e->records[i].next) {
        struct tcp_record *x = &e->records[i];
        if (x->flags & (TCP_RECORD_SACKED | TCP_RECORD_LOST))
            continue;
        x->flags |= large ? TCP_RECORD_LARGE : 0;
        tcp_record_lost(e, c, i);
    }
}

/* RFC 8985 6.3, RFC 6675 5.1: the head is lost, the rest only if its time is over. A peer that
 * SACKed the head and never acknowledged it has thrown away what it had (RFC 2018 8). */
void tcp_recovery_rto(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_recovery *r = c->rec;
    uint32_t now = (uint32_t)e->now.mono_us;
    bool episode = (c->recovering || c->in_rto) && seq_lt(c->snd_una, c->tx->recover);
    bool reduced = c->cwr && seq_lt(c->snd_una, c->tx->cwr_end);

    if (!episode)
        tcp_undo_save(c);
    if (e->records[r->first].flags & TCP_RECORD_SACKED) {
        counter_inc(&e->counters.tcp_reneged_total);
        tcp_records_forget(e, c, TCP_RECORD_SACKED);
        tcp_recovery_all_lost(e, c, false);
    }
    uint32_t wnd = reo_wnd(c);
    for (uint32_t i = r->first; i != TCP_NONE; i = e->records[i].next) {
        const struct tcp_record *x = &e->records[i];
        if (!(x->flags & (TCP_RECORD_SACKED | TCP_RECORD_LOST)) &&
            (i == r->first || rack_lost_at_rto(&r->rack, x->sent_us, now, wnd)))
            tcp_record_lost(e, c, i);
    }
    c->tx->cc.ops->timeout(&c->tx->cc, c->mss, cc_min(tcp_conn_flight(c), c->tx->cc.cwnd), now,
                           !episode && !reduced);
    c->ecn_cwr_due = true;
    c->recovering = false;
    c->in_rto = true;
    c->tx->recover = c->snd_max;
    c->head_due = true;
    c->tlp_out = r->tlp_due = c->soon_armed = false;
    r->frto = !episode;
    r->frto_new = 0;
}

void tcp_recovery_soon(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_recovery *r = c->rec;
    c->soon_armed = false;
    if (c->soon_is_tlp) {
        r->tlp_due = true;
        tcp_timer_rtx(e, c, false); /* RFC 8985 7.3: after a probe, the RTO anew */
        tcp_conn_ready(c);
        return;
    }
    bool lost;
    uint32_t flight_fs = tcp_conn_flight(c) - r->sacked;
    uint32_t wait = detect(e, c, &lost);
    if (lost && !c->recovering && !c->in_rto)
        episode_enter(e, c, tcp_conn_flight(c), flight_fs);
    if (lost && c->recovering && !c->tx->cc.ops->every_ack)
        prr_apply(c, 0, false);
    soon_arm(e, c, wait, false);
    tcp_conn_ready(c);
}

void tcp_recovery_sent(struct tcp_engine *e, struct tcp_conn *c, uint32_t record, uint32_t seq,
                       uint32_t end)
{
    struct tcp_recovery *r = c->rec;
    if (record != TCP_NONE) {
        if (record == r->first && seq == c->snd_una) /* RFC 6298 5: not again before an RTO */
            tcp_timer_rtx(e, c, false);
        tcp_record_again(e, c, record, seq, end);
        if (c->recovering || c->in_rto)
            tcp_undo_sent(e, c, end - seq);
    }
    if (seq_lt(c->snd_max, end))
        tcp_record_append(e, c, end, c->tx->pmtu.probe > 0 && c->tx->pmtu.at == seq);
    if (c->recovering)
        prr_sent(&r->prr, end - seq);
}
