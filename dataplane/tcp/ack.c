/* SPDX-License-Identifier: BSD-3-Clause */
/* The ACK field: RFC 9293 3.10.7.4 fifth check, RFC 5681 3.2, RFC 6582, RFC 6298. */
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

/* A round-trip time, if this ACK gives one: exact for a segment that was timed and sent once,
 * else from the timestamp that the peer echoes (Karn's rule, RFC 6298 3). */
static void sample(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (c->timing && seq_leq(c->rtt_seq, s->ack)) {
        c->timing = false;
        tcp_rtt_sample(&c->rtt, (uint32_t)e->now.mono_us - c->rtt_us);
    } else if (c->ts_on && s->opt.has_ts && s->opt.tsecr != 0) {
        int32_t ms = (int32_t)(tcp_ts_now(e, c->ts_offset) - s->opt.tsecr);
        if (ms < 0 || ms > (int32_t)(TCP_RTO_MAX_US / 1000))
            return; /* an echo of nothing that we sent */
        tcp_rtt_sample(&c->rtt, (uint32_t)(ms > 0 ? ms : 1) * 1000);
    } else {
        return;
    }
    c->backoff = 0;
}

static void new_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    uint32_t flight = tcp_conn_flight(c);
    uint32_t acked = s->ack - c->snd_una;
    uint32_t data = acked < c->queued ? acked : c->queued; /* the rest is the FIN */

    tcp_queue_release(e, c, data);
    c->snd_una = s->ack;
    if (seq_leq(c->snd_nxt, c->snd_una)) {
        c->snd_nxt = c->snd_una;
        c->next = c->head;
    }
    sample(e, c, s);
    c->retries = 0;
    if (c->recovering && seq_leq(c->recover, s->ack)) {
        tcp_reno_exit(&c->cc, c->mss, tcp_conn_flight(c));
        c->recovering = false;
        c->recover = s->ack - 1; /* the next loss may be found by duplicates again */
    } else if (c->recovering) {
        tcp_reno_partial(&c->cc, c->mss, acked);
        c->head_due = true;
    } else {
        tcp_reno_ack(&c->cc, c->mss, acked, flight);
    }
    c->dupacks = 0;
    if (tcp_conn_flight(c) > 0) /* RFC 6298 5.3, 5.2 */
        tcp_timer_rtx(e, c, false);
    else
        tcp_timer_rtx_stop(c);
    c->active_ms = e->now_ms;
    if (c->want_write && c->queued <= e->config.send_queue_bytes / 2)
        tcp_conn_event(c, TCP_EVENT_WRITABLE);
    tcp_conn_ready(c);
}

/* RFC 5681 2: a duplicate ACK has no data, the same window, and something is out */
static void duplicate_ack(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->recovering) {
        tcp_reno_duplicate(&c->cc, c->mss);
        tcp_conn_ready(c);
        return;
    }
    if (c->dupacks < UINT8_MAX)
        c->dupacks++;
    /* RFC 6582 3.2 step 1: not while what an RTO sent again is still being sorted out */
    if (c->dupacks == 3 && seq_lt(c->recover, c->snd_una)) {
        counter_inc(&e->counters.tcp_fast_retransmit_total);
        tcp_reno_enter(&c->cc, c->mss, tcp_conn_flight(c));
        c->recovering = true;
        c->recover = c->snd_max;
        c->timing = false;
        c->head_due = true;
    }
    tcp_conn_ready(c);
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
    if (s->ack != c->snd_una) {
        new_ack(e, c, s);
    } else if (s->len == 0 && !(s->flags & TCP_FIN) && tcp_conn_flight(c) > 0 &&
               (uint32_t)s->window << c->snd_scale == c->snd_wnd) {
        duplicate_ack(e, c);
    }
    tcp_conn_window(c, s);
    return true;
}
