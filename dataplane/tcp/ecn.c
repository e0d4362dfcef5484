/* SPDX-License-Identifier: BSD-3-Clause */
/* Explicit congestion notification, RFC 3168 6.1: routers mark, the receiver echoes until the
 * sender says that it has reduced. */
#include "dataplane/tcp/tcp_conn.h"

#define BITS (TCP_ECE | TCP_CWR)

/* 6.1.1. A peer that asks for accurate ECN sets both flags too and takes this answer
 * (RFC 9768 3.1.2). */
bool tcp_ecn_granted(const struct tcp_engine *e, const struct tcp_segment *s)
{
    return e->config.ecn_passive && (s->flags & BITS) == BITS;
}

void tcp_ecn_negotiate(struct tcp_conn *c, const struct tcp_segment *s)
{
    /* a reflection of our own SYN is no answer */
    c->ecn_on = c->ecn_asked && (s->flags & TCP_ACK) && (s->flags & BITS) == TCP_ECE;
}

uint8_t tcp_ecn_syn_flags(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->state != TCP_SYN_SENT)
        return c->ecn_on ? TCP_ECE : 0;
    /* 6.1.1.1: maybe it was dropped for the flags, so only the first has them */
    c->ecn_asked = e->config.ecn_active && c->retries == 0;
    return c->ecn_asked ? BITS : 0;
}

/* 6.1.3. The sender's word comes before the router's: both may be in one segment. */
void tcp_ecn_received(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    if (!c->ecn_on || s->len == 0)
        return;
    bool before = c->ecn_echo;
    if (s->flags & TCP_CWR)
        c->ecn_echo = false;
    if (s->packet->ecn == TCP_ECN_CE) {
        counter_inc(&e->counters.tcp_ecn_ce_in_total);
        c->ecn_echo = true;
    }
    if (c->ecn_echo != before)
        c->ack_now = true; /* the sender hears of it at once */
}

/* 6.1.2. One reduction a window; an episode is one already, and a mark in it means that there is
 * congestion indeed. */
void tcp_ecn_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s)
{
    c->ecn_echoed = c->ecn_on && (s->flags & TCP_ECE);
    if (!c->ecn_echoed)
        return;
    counter_inc(&e->counters.tcp_ecn_echo_in_total);
    if (c->rec)
        c->rec->undo.armed = false;
    tcp_conn_reduce(e, c, true);
}

/* Only data sent for the first time is marked as capable (6.1.5). */
void tcp_ecn_send(const struct tcp_conn *c, struct tcp_out *o)
{
    if (!c->ecn_on)
        return;
    if (c->ecn_echo)
        o->flags |= TCP_ECE;
    if (o->len > 0 && o->seq == c->snd_max) {
        o->ecn = TCP_ECN_ECT0;
        if (c->ecn_cwr_due)
            o->flags |= TCP_CWR;
    }
}

void tcp_ecn_sent(struct tcp_conn *c, const struct tcp_out *o)
{
    if (o->flags & TCP_CWR)
        c->ecn_cwr_due = false;
}
