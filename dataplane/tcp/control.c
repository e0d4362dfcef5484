/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments without data that go out at once, and the limits on those that strangers provoke. */
#include "dataplane/tcp/tcp_conn.h"

#define CHALLENGE_GAP_MS    500u  /* a connection's challenge ACKs */
#define CHALLENGES_A_SECOND 1000u /* RFC 5961 7 asks for a limit; all connections together */
#define RSTS_A_SECOND       1000u

bool tcp_emit(struct tcp_engine *e, const struct tcp_out *o)
{
    if (!e->host.emit(e->host.ctx, o)) {
        counter_inc(&e->counters.tcp_emit_refused_total);
        return false;
    }
    counter_add(&e->counters.tcp_segments_out_total,
                o->len <= o->mss || o->mss == 0 ? 1 : (o->len + o->mss - 1) / o->mss);
    counter_add(&e->counters.tcp_bytes_out_total, o->len);
    if (o->flags & TCP_RST)
        counter_inc(&e->counters.tcp_rst_out_total);
    return true;
}

static struct tcp_out to_peer(const struct tcp_conn *c, uint8_t flags, uint32_t seq)
{
    return (struct tcp_out){
        .src = c->stream.local.ip,
        .dst = c->stream.remote.ip,
        .sport = c->stream.local.port,
        .dport = c->stream.remote.port,
        .seq = seq,
        .ack = c->rcv_nxt,
        .flags = flags,
    };
}

static bool send_bare(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq)
{
    struct tcp_out o = to_peer(c, TCP_ACK, seq);
    uint32_t edge = c->rcv_edge;
    o.window = tcp_conn_window_field(e, c);
    if (c->ts_on)
        tcp_option_ts(&o, tcp_ts_now(e, c->ts_offset), c->ts_recent);
    tcp_sack_write(c, &o);
    tcp_ecn_send(c, &o);
    if (!tcp_emit(e, &o)) {
        c->rcv_edge = edge; /* the peer has not heard of it */
        return false;
    }
    tcp_sack_reported(c);
    c->ack_sent = c->rcv_nxt;
    return true;
}

bool tcp_send_ack(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!send_bare(e, c, c->snd_max))
        return false;
    c->ack_now = false;
    c->ack_armed = false;
    return true;
}

void tcp_send_probe(struct tcp_engine *e, struct tcp_conn *c)
{
    /* an old sequence number and no data: every receiver answers what is not acceptable with an
     * ACK (RFC 9293 3.10.7.4), and nothing enters the window */
    send_bare(e, c, c->snd_una - 1);
}

void tcp_send_rst(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->state == TCP_SYN_SENT) /* RFC 9293 3.10.5: nobody to tell */
        return;
    struct tcp_out o = to_peer(c, TCP_RST | TCP_ACK, c->snd_max);
    tcp_emit(e, &o);
}

void tcp_send_challenge(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->challenged) { /* the first goes out in any case */
        if (e->now_ms - c->challenge_ms < CHALLENGE_GAP_MS ||
            !tcp_budget_take(e, &e->challenge_budget, CHALLENGES_A_SECOND)) {
            counter_inc(&e->counters.tcp_challenge_limited_total);
            return;
        }
    }
    c->challenged = true;
    c->challenge_ms = e->now_ms;
    counter_inc(&e->counters.tcp_challenge_ack_total);
    send_bare(e, c, c->snd_max);
}

static struct tcp_out answer(const struct tcp_segment *s, uint8_t flags)
{
    return (struct tcp_out){
        .src = s->packet->dst,
        .dst = s->packet->src,
        .sport = s->lport,
        .dport = s->rport,
        .flags = flags,
    };
}

void tcp_answer_rst(struct tcp_engine *e, const struct tcp_segment *s)
{
    if (s->flags & TCP_RST)
        return;
    if (!tcp_budget_take(e, &e->rst_budget, RSTS_A_SECOND)) {
        counter_inc(&e->counters.tcp_rst_limited_total);
        return;
    }
    struct tcp_out o = answer(s, TCP_RST);
    if (s->flags & TCP_ACK) {
        o.seq = s->ack;
    } else {
        o.flags = TCP_RST | TCP_ACK;
        o.ack = s->seq + s->len + ((s->flags & TCP_SYN) ? 1 : 0) + ((s->flags & TCP_FIN) ? 1 : 0);
    }
    tcp_emit(e, &o);
}

bool tcp_answer_ack(struct tcp_engine *e, const struct tcp_segment *s, const struct tcp_bare *a)
{
    if (!tcp_budget_take(e, &e->challenge_budget, CHALLENGES_A_SECOND)) {
        counter_inc(&e->counters.tcp_challenge_limited_total);
        return false;
    }
    struct tcp_out o = answer(s, TCP_ACK);
    o.seq = a->seq;
    o.ack = a->ack;
    o.window = a->window;
    if (a->ts_on)
        tcp_option_ts(&o, tcp_ts_now(e, tcp_ts_offset(e, &o.src, &o.dst)), a->ts_recent);
    return tcp_emit(e, &o);
}
