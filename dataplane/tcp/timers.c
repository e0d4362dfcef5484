/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection's deadlines: retransmission or window probe, delayed ACK, pacing, and what stay.c
 * adds. They are
 * plain fields; one timer in the wheel stands for the earliest and is moved only when a deadline
 * comes earlier. When it fires too early it is filed again.
 *
 * Most deadlines never come: a request is answered, the answer acknowledged, and all is as before.
 * So one that is not near waits in a ring first, in the order of time, and goes to the wheel some
 * milliseconds later, if it still stands then: among a million connections a request would else
 * touch four strangers in the wheel's lists and have a time-out of its own.
 */
#include "dataplane/tcp/tcp_conn.h"

uint32_t tcp_rto_ms(const struct tcp_conn *c)
{
    return (tcp_rtt_rto_us(&c->rtt, c->backoff) + 999) / 1000;
}

void tcp_timer_rtx(struct tcp_engine *e, struct tcp_conn *c, bool probing)
{
    c->rtx_armed = true;
    c->probing = probing;
    c->rtx_ms = e->now_ms + tcp_rto_ms(c) + 1; /* now_ms was rounded down */
}

void tcp_timer_rtx_stop(struct tcp_conn *c)
{
    c->rtx_armed = false;
    c->probing = false;
}

void tcp_timer_ack(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->ack_armed)
        return;
    c->ack_armed = true;
    c->ack_ms = e->now_ms + TCP_ACK_DELAY_MS;
}

static void sooner(uint32_t now_ms, int32_t *best, uint32_t due_ms)
{
    int32_t wait = (int32_t)(due_ms - now_ms);
    if (wait < *best)
        *best = wait;
}

static void update(struct tcp_engine *e, struct tcp_conn *c, bool may_wait)
{
    if (!c->used)
        return;
    int32_t wait = tcp_stay_wait_ms(e, c);
    if (c->rtx_armed)
        sooner(e->now_ms, &wait, c->rtx_ms);
    if (c->soon_armed)
        sooner(e->now_ms, &wait, c->tx->soon_ms);
    if (c->ack_armed)
        sooner(e->now_ms, &wait, c->ack_ms);
    if (c->paced)
        sooner(e->now_ms, &wait, c->tx->pace_ms);
    if (wait == INT32_MAX)
        return;
    uint32_t due = e->now_ms + (uint32_t)(wait > 0 ? wait : 0);
    if (tcp_timer_armed(&c->timer) && !seq_lt(due, c->timer.due_ms))
        return;
    if (!may_wait || wait <= (int32_t)TCP_YOUNG_MS || e->young_tail - e->young_head == TCP_YOUNG) {
        tcp_wheel_arm(e, c, due);
    } else if (!c->young) {
        c->young = true;
        e->young[e->young_tail++ % TCP_YOUNG] = (struct tcp_young){tcp_conn_index(e, c), e->now_ms};
    }
}

void tcp_timer_update(struct tcp_engine *e, struct tcp_conn *c)
{
    update(e, c, true);
}

/* An entry is a hint: its connection may have gone, and another have taken its place. */
bool tcp_timer_young(struct tcp_engine *e)
{
    for (uint32_t n = 0; e->young_head != e->young_tail; n++) {
        const struct tcp_young *y = &e->young[e->young_head % TCP_YOUNG];
        if (e->now_ms - y->at_ms < TCP_YOUNG_MS)
            return false;
        if (n == TCP_YOUNG_RUN)
            return true;
        __builtin_prefetch(&e->conns[e->young[(e->young_head + 8) % TCP_YOUNG].conn].backoff);
        struct tcp_conn *c = &e->conns[y->conn];
        e->young_head++;
        if (!c->young)
            continue;
        c->young = false;
        update(e, c, false);
    }
    return false;
}

uint64_t tcp_timer_young_us(const struct tcp_engine *e)
{
    if (e->young_head == e->young_tail)
        return UINT64_MAX;
    uint32_t age = e->now_ms - e->young[e->young_head % TCP_YOUNG].at_ms;
    return age < TCP_YOUNG_MS ? (e->now.mono_us / 1000 + TCP_YOUNG_MS - age) * 1000 : 0;
}

static void handshake_expired(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->retries >= e->config.syn_retries) {
        tcp_conn_end(e, c, STREAM_TIMEOUT);
        return;
    }
    c->retries++;
    c->backoff++;
    c->syn_due = true;
    c->timing = false; /* Karn: no sample from what was sent twice */
    tcp_conn_ready(c);
    tcp_timer_rtx(e, c, false);
}

/* RFC 6298 5.4 to 5.6, RFC 5681 3.1 */
static void rto_expired(struct tcp_engine *e, struct tcp_conn *c)
{
    bool first = c->backoff == 0;
    c->retries++;
    c->backoff = (uint8_t)(c->backoff < 32 ? c->backoff + 1 : 32);
    if (tcp_conn_flight(c) > 0) {
        tcp_path_rto(e, c);
        counter_inc(&e->counters.tcp_rto_total);
        if (c->lone)
            tcp_recovery_begin(e, c);
        if (c->rec)
            tcp_recovery_rto(e, c);
        else
            tcp_dupack_rto(e, c, first);
    } else {
        tcp_timer_rtx(e, c, false); /* the host refused what there is to send, all the time */
    }
    tcp_conn_ready(c);
}

/* RFC 9293 3.8.6.1: the window is closed, or too small for a segment worth sending */
static void probe_expired(struct tcp_engine *e, struct tcp_conn *c)
{
    c->retries++;
    c->backoff = (uint8_t)(c->backoff < 32 ? c->backoff + 1 : 32);
    if (c->snd_wnd > 0) { /* SWS avoidance ends: RFC 9293 3.8.6.2.1, the override timeout */
        c->force = true;
        tcp_conn_ready(c);
    } else {
        counter_inc(&e->counters.tcp_probe_total);
        tcp_send_probe(e, c);
    }
    tcp_timer_rtx(e, c, true);
}

static void rtx_expired(struct tcp_engine *e, struct tcp_conn *c)
{
    bool probing = c->probing;
    tcp_timer_rtx_stop(c);
    if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED)
        handshake_expired(e, c);
    else if (c->retries >= e->config.data_retries)
        tcp_conn_end(e, c, STREAM_TIMEOUT);
    else if (probing)
        probe_expired(e, c);
    else
        rto_expired(e, c);
}

void tcp_timer_fire(struct tcp_engine *e, struct tcp_conn *c)
{
    if (tcp_stay_fire(e, c))
        return;
    if (c->ack_armed && (int32_t)(e->now_ms - c->ack_ms) >= 0) {
        c->ack_armed = false;
        c->ack_now = true;
        tcp_conn_ready(c);
    }
    if (c->paced && (int32_t)(e->now_ms - c->tx->pace_ms) >= 0) {
        c->paced = false;
        tcp_conn_ready(c);
    }
    if (c->soon_armed && (int32_t)(e->now_ms - c->tx->soon_ms) >= 0) {
        if (c->lone)
            tcp_recovery_begin(e, c);
        if (c->soon_armed)
            tcp_recovery_soon(e, c); /* before the RTO, which it may put off */
    }
    if (c->rtx_armed && (int32_t)(e->now_ms - c->rtx_ms) >= 0)
        rtx_expired(e, c);
    if (c->used)
        tcp_timer_update(e, c);
}
