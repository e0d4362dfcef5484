/* SPDX-License-Identifier: BSD-3-Clause */
/* The ACK field: RFC 9293 3.10.7.4 fifth check, RFC 5681 3.2, RFC 6298. What it says about losses
 * is recovery.c's with SACK and dupack.c's without. */
#include "dataplane/tcp/tcp_conn.h"

void tcp_conn_window(struct tcp_conn *c, const struct tcp_segment *s)
{
    bool newer =
        seq_lt(c->snd_wl1, s->seq) || (c->snd_wl1 == s->seq && seq_leq(c->snd_wl2, s->ack));
    if (!newer)
        return;
    c->snd_wnd = (uint32_t)s->window << ((s->flags & TCP_SYN) ? 0 : c->snd_scale);
    if (c->snd_wnd > c->snd_wnd_max)
        c->snd_wnd_max = c->snd_wnd;
    c->snd_wl1 = s->seq;
    c->snd_wl2 = s->ack;
    if (c->probing && c->snd_wnd > 0)
        c->backoff = 0;
    tcp_conn_ready(c);
}

void tcp_echo_judge(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s,
                    uint32_t age_us)
{
    uint32_t began_ms = c->tx->began_ms;
    if (!c->ts_on || !s->opt.has_ts)
        return;
    if (age_us > 0)
        began_ms = (uint32_t)((e->now.mono_us - age_us) / 1000);
    if ((int32_t)(s->opt.tsecr - (began_ms + c->ts_offset)) < 0)
        c->echo_dead = true;
    else if (age_us > 0)
        c->echo_dead = false;
}

/* Exact for a segment that was sent once, else from the timestamp that the peer echoes (Karn's
 * rule, RFC 6298 3). */
void tcp_conn_sample(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s,
                     uint32_t exact_us, bool advanced)
{
    if (exact_us > 0) {
        if (c->ts_on && s->opt.has_ts)
            c->last_echo = s->opt.tsecr;
        tcp_rtt_sample(&c->rtt, exact_us);
    } else if (advanced && c->ts_on && s->opt.has_ts && s->opt.tsecr != 0) {
        int32_t ms = (int32_t)(tcp_ts_now(e, c->ts_offset) - s->opt.tsecr);
        if (ms < 0)
            return; /* an echo of nothing that we sent */
        if (c->echo_dead || s->opt.tsecr == c->last_echo) {
            c->backoff = 0;
            return;
        }
        if (ms > (int32_t)(TCP_RTO_MAX_US / 1000))
            return;
        c->last_echo = s->opt.tsecr;
        tcp_rtt_sample(&c->rtt, (uint32_t)(ms > 0 ? ms : 1) * 1000);
    } else {
        return;
    }
    c->tlp_unsampled = false;
    if (advanced)
        c->backoff = 0;
}

/* cwnd held the sender back in the round before or in this one; in slow start, when half of it
 * is used: it doubles (RFC 7661 4.1 in the form of RFC 2861). */
static bool limited(const struct tcp_conn *c, uint32_t flight)
{
    return c->limited || c->was_limited ||
           (c->tx->cc.cwnd < c->tx->cc.ssthresh && flight >= c->tx->cc.cwnd / 2);
}

void tcp_conn_grow(struct tcp_engine *e, struct tcp_conn *c, uint32_t acked, uint32_t flight,
                   uint32_t rtt_us)
{
    struct cc_ack a = {
        .now_us = (uint32_t)e->now.mono_us,
        .mss = c->mss,
        .acked = acked,
        .flight = flight,
        .rtt_us = rtt_us,
        .srtt_us = c->rtt.srtt8_us / 8,
        .min_rtt_us = c->tx->min_rtt_us,
        .cwnd_limited = limited(c, flight),
        .round_start = seq_leq(c->tx->round_end, c->snd_una),
        .app_limited = c->app_limited,
        .lost = c->rec ? c->rec->lost_news : 0,
    };
    if (c->rec)
        c->rec->lost_news = 0;
    if (c->cwr && seq_leq(c->tx->cwr_end, c->snd_una))
        c->cwr = false;
    if (a.round_start) {
        c->tx->round_end = c->snd_max;
        c->was_limited = c->limited;
        c->limited = c->app_limited = false;
    }
    c->tx->cc.ops->ack(&c->tx->cc, &a);
}

void tcp_conn_reduce(struct tcp_engine *e, struct tcp_conn *c, bool ecn)
{
    uint32_t flight = tcp_conn_flight(c), now = (uint32_t)e->now.mono_us;
    if (!c->tx)
        return;
    bool done = c->cwr && seq_lt(c->snd_una, c->tx->cwr_end);
    if (done || c->recovering || c->in_rto)
        return;
    if (flight < c->tx->cc.cwnd / 2)
        flight = c->tx->cc.cwnd / 2; /* the flight in which it happened is gone */
    if (ecn) {
        c->tx->cc.ops->ecn(&c->tx->cc, c->mss, flight, now);
    } else {
        c->tx->cc.ops->loss(&c->tx->cc, c->mss, flight, now);
        c->tx->cc.ops->recovered(&c->tx->cc, c->mss, flight, now);
    }
    c->cwr = true;
    c->tx->cwr_end = c->snd_max;
    c->ecn_cwr_due = true;
}

/* An ACK of new data, on a flight without records. */
static void new_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    uint32_t flight = tcp_conn_flight(c), exact = 0;
    uint32_t acked = s->ack - c->snd_una;
    uint32_t data = acked < c->queued ? acked : c->queued; /* the rest is the FIN */

    if (c->timing && seq_leq(c->tx->rtt_seq, s->ack)) {
        /* before the queue is empty and what it needs has gone */
        c->timing = false;
        exact = (uint32_t)e->now.mono_us - c->tx->rtt_us;
        exact += exact == 0;
    }
    tcp_queue_release(e, c, data);
    c->snd_una = s->ack;
    if (seq_leq(c->snd_nxt, c->snd_una)) {
        c->snd_nxt = c->snd_una;
        tcp_queue_rewind(c);
    }
    tcp_echo_judge(e, c, s, 0);
    tcp_conn_sample(e, c, s, exact, true);
    tcp_path_acked(e, c);
    c->retries = 0;
    tcp_dupack_advanced(e, c, acked, flight);
    if (tcp_conn_flight(c) > 0) /* RFC 6298 5.3, 5.2 */
        tcp_timer_rtx(e, c, false);
    else
        tcp_timer_rtx_stop(c);
    c->active_ms = e->now_ms;
    tcp_conn_ready(c);
}

/* RFC 5681 2: a duplicate ACK has no data, the same window, and something is out */
static bool duplicate(const struct tcp_conn *c, const struct tcp_segment *s)
{
    return s->len == 0 && !(s->flags & TCP_FIN) && tcp_conn_flight(c) > 0 &&
           (uint32_t)s->window << c->snd_scale == c->snd_wnd;
}

void tcp_conn_writable(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->want_write && c->queued <= e->config.send_queue_bytes / 2)
        tcp_conn_event(c, TCP_EVENT_WRITABLE);
}

bool tcp_conn_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (seq_lt(c->snd_max, s->ack)) { /* of something not yet sent */
        tcp_send_challenge(e, c);
        return false;
    }
    if (seq_lt(s->ack, c->snd_una)) {
        if (seq_lt(s->ack, c->snd_una - c->snd_wnd_max)) { /* RFC 5961 5.2 */
            tcp_send_challenge(e, c);
            return false;
        }
        return true; /* old: its data may still be new */
    }
    if (c->probing || c->snd_wnd == 0) /* the peer lives, and answers probes (MUST-37) */
        c->retries = 0;
    tcp_ecn_ack(e, c, s);
    if (c->lone && s->opt.sacks == 0) {
        if (s->ack == c->snd_max) {
            tcp_conn_window(c, s);
            tcp_recovery_lone_ack(e, c, s);
            tcp_conn_writable(e, c);
            return true;
        }
        if (s->ack == c->snd_una && s->len > 0) { /* it says nothing of the flight */
            tcp_conn_window(c, s);
            tcp_conn_ready(c); /* turns are taken as with records */
            return true;
        }
    }
    if (c->lone)
        tcp_recovery_begin(e, c);
    if (c->rec) {
        bool moves = s->ack != c->snd_una;
        tcp_conn_window(c, s); /* first: F-RTO asks for room */
        tcp_recovery_ack(e, c, s);
        if (moves) /* else who waits for a pool would pass those before it by talking */
            tcp_conn_writable(e, c);
        return true;
    }
    if (c->tlp_out) { /* the probe's flight is over, its verdict may come now */
        struct tcp_ack_news n = {.segment = s};
        tcp_dsack_find(c, &n);
        if (n.has_dsack)
            counter_inc(&e->counters.tcp_dsack_in_total);
        tcp_tlp_ack(e, c, &n, s->ack != c->snd_una);
    }
    if (s->ack != c->snd_una) {
        new_ack(e, c, s);
        tcp_conn_writable(e, c);
    } else if (duplicate(c, s)) {
        tcp_dupack(e, c);
    }
    tcp_conn_window(c, s);
    return true;
}
