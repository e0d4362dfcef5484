/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams to the engines, and their replies back out, written straight into frames. */
#include <string.h>

#include "dataplane/worker/worker.h"

#define UDP_HEADER 8

struct replies {
    struct datagram at[DATAGRAM_BURST];
    struct rte_mbuf *frame[DATAGRAM_BURST];
    uint8_t port[DATAGRAM_BURST];
    unsigned n;
};

static void add(const struct worker *w, struct replies *r, const struct udp_packet *p,
                struct rte_mbuf *m)
{
    const struct net_packet *in = p->packet;
    r->frame[r->n] = m;
    r->port[r->n] = p->port;
    r->at[r->n++] = (struct datagram){
        .from = {in->src, in->sport},
        .to = {in->dst, in->dport},
        .data = in->payload,
        .len = (uint16_t)in->payload_len,
        .room = (uint16_t)(w->port[p->port].port->mtu - 40 - UDP_HEADER),
        .reply = rte_pktmbuf_mtod_offset(m, uint8_t *, UDP_HEADER),
    };
}

/* Gives each packet a frame for its reply; those that get none are dropped, and counted by
 * tx_frame. */
static void prepare(struct worker *w, struct replies *r, const struct udp_packet *p, unsigned n)
{
    r->n = 0;
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = tx_frame(w, p[i].port);
        if (m)
            add(w, r, &p[i], m);
    }
}

static void send_all(struct worker *w, struct replies *r)
{
    for (unsigned i = 0; i < r->n; i++) {
        const struct datagram *d = &r->at[i];
        if (d->reply_len)
            emit_udp(w, r->port[i], r->frame[i], &d->to, &d->from, d->reply_len);
        else
            rte_pktmbuf_free(r->frame[i]);
    }
}

/* A frame with the query in it, where its answer will be written: its own, or a copy of ours. NULL:
 * none, which is counted. */
static struct rte_mbuf *answer_frame(struct worker *w, const struct udp_packet *p)
{
    const struct net_packet *in = p->packet;
    if (tx_reuse(p->frame, in->payload - UDP_HEADER, UDP_HEADER + DNS_UDP_MAX))
        return p->frame;
    struct rte_mbuf *m = tx_frame(w, p->port);
    if (m && UDP_HEADER + in->payload_len <= rte_pktmbuf_tailroom(m)) {
        memcpy(rte_pktmbuf_mtod_offset(m, void *, UDP_HEADER), in->payload, in->payload_len);
    } else if (m) {
        counter_inc(&w->counters.worker_tx_dropped_total);
        rte_pktmbuf_free(m);
        m = NULL;
    }
    return m;
}

void udp_dns(struct worker *w, const struct udp_packet *p, unsigned n)
{
    struct replies r;

    if (!w->view->zone) {
        for (unsigned i = 0; i < n; i++) {
            udp_other(w, &p[i]);
            rte_pktmbuf_free(p[i].frame);
        }
        return;
    }
    r.n = 0;
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = answer_frame(w, &p[i]);
        if (m) {
            add(w, &r, &p[i], m);
            r.at[r.n - 1].data = r.at[r.n - 1].reply;
        }
        if (m != p[i].frame)
            rte_pktmbuf_free(p[i].frame); /* with its packet, if another worker parsed it */
    }
    dns_answer(w->view->zone, r.at, r.n, &w->rng, &w->dns_counters, w->now);
    send_all(w, &r);
}

void udp_dht(struct worker *w, const struct udp_packet *p, unsigned n)
{
    struct udp_packet request[NET_BURST];
    struct replies r;
    unsigned requests = 0;

    for (unsigned i = 0; i < n; i++) {
        const struct net_packet *in = p[i].packet;
        const struct datagram d = {
            .from = {in->src, in->sport},
            .to = {in->dst, in->dport},
            .data = in->payload,
            .len = (uint16_t)in->payload_len,
        };
        struct dht_peek peek;
        if (!dht_peek(in->payload, in->payload_len, &peek))
            continue;
        if (peek.reply)
            dht_asker_input(w->asker, &d, w->now);
        else
            request[requests++] = p[i];
    }
    if (requests == 0)
        return;
    prepare(w, &r, request, requests);
    dht_serve(w->store, w->mac, w->view->routes, r.at, r.n, event_heard, w, w->now);
    send_all(w, &r);
}

void udp_other(struct worker *w, const struct udp_packet *p)
{
    const struct net_packet *in = p->packet;

    if (resolver_owns_port(w->resolver, in->dport)) {
        const struct datagram d = {
            .from = {in->src, in->sport},
            .to = {in->dst, in->dport},
            .data = in->payload,
            .len = (uint16_t)in->payload_len,
        };
        resolver_input(w->resolver, &d, w->now);
        return;
    }
    counter_inc(&w->counters.worker_udp_no_port_total);
    if (in->frame)
        net_unreachable(w->port[p->port].net, in, w->now);
}
