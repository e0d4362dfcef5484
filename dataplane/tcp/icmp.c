/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the network says about a segment: RFC 9293 3.9.2.2, with RFC 5927's doubts. A quote counts
 * only when it names a byte in flight: who does not see the path has to guess tuple and window.
 */
#include "dataplane/tcp/tcp_conn.h"

static bool in_flight(const struct tcp_conn *c, uint32_t seq)
{
    return seq_leq(c->snd_una, seq) && seq_lt(seq, c->snd_max);
}

static bool handshake(const struct tcp_conn *c)
{
    return c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED;
}

static void too_big(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_icmp *i)
{
    /* a SYN is smaller than every floor */
    bool taken = !handshake(c) && tcp_path_too_big(e, c, i->seq, i->mtu);
    counter_inc(taken ? &e->counters.tcp_icmp_too_big_total
                      : &e->counters.tcp_icmp_mtu_refused_total);
}

void tcp_icmp(struct tcp_engine *e, const struct tcp_icmp *i, struct now now)
{
    tcp_time_set(e, now);
    uint64_t tag = tcp_tuple_tag(e, &i->local.ip, i->local.port, &i->remote.ip, i->remote.port);
    const struct endpoint *local = &i->local, *remote = &i->remote;
    const struct tcp_syn *y =
        tcp_syn_find(e, tag, &local->ip, local->port, &remote->ip, remote->port);
    if (y && i->seq == y->iss) { /* the peer may ask again; what is not answered expires */
        counter_inc(i->too_big ? &e->counters.tcp_icmp_mtu_refused_total
                               : &e->counters.tcp_icmp_soft_total);
        return;
    }
    struct tcp_conn *c = tcp_conn_find(e, tag, &local->ip, local->port, &remote->ip, remote->port);
    if (!c || c->state == TCP_CLOSED || !in_flight(c, i->seq)) {
        counter_inc(&e->counters.tcp_icmp_unmatched_total);
        return;
    }
    if (i->too_big) {
        too_big(e, c, i);
    } else if (i->hard && c->state == TCP_SYN_SENT) {
        counter_inc(&e->counters.tcp_icmp_aborted_total);
        tcp_conn_end(e, c, STREAM_REFUSED);
    } else {
        counter_inc(&e->counters.tcp_icmp_soft_total); /* never a reason to end (MUST-56) */
    }
}
