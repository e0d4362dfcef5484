/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Probes of control's traces: datagrams with a small TTL, and what comes back about them. A token
 * (dht/trace.h) goes where every ICMP error quotes it, and no NAT touches it: its flow is the
 * destination port, from traceroute's first on, and its step the length.
 *
 *   source port  destination port  length           data
 *   ours alone   33434 + flow      8 + 8 + step     "coral", zeros
 *
 * An error counts once, within three seconds, and only when it quotes port, address and token of a
 * probe that we sent: others are forged, or about other datagrams of ours.
 */
#include "dataplane/worker/worker.h"
#include "dht/trace.h"

#define PROBE_PORT    33434
#define PROBE_DATA    8 /* bytes, of step 0 */
#define PROBE_LATE_US 3000000u
#define UDP_HEADER    8

#define DYNAMIC_PORT 49152 /* the first one, RFC 6335 6 */

void probe_init(struct worker *w)
{
    /* hard to guess, and by its remainder this worker's, as rx_owner has it */
    uint32_t port = DYNAMIC_PORT + rng_below(&w->rng, 65536 - DYNAMIC_PORT - NODE_WORKERS);
    w->probe_port = (uint16_t)(port - port % w->node->workers + w->id);
}

static bool write_probe(struct worker *w, uint8_t port, struct rte_mbuf *m, const struct addr *src,
                        const struct node_probe *p)
{
    const uint16_t flow = p->token / DHT_TRACE_STEPS, step = p->token % DHT_TRACE_STEPS;
    const size_t data = PROBE_DATA + (size_t)step;
    const struct worker_port *wp = &w->port[port];
    uint8_t *l4 = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(UDP_HEADER + data));

    if (!l4)
        return false;
    memset(l4 + UDP_HEADER, 0, data);
    memcpy(l4 + UDP_HEADER, "coral", 5);
    net_udp_header(l4, w->probe_port, (uint16_t)(PROBE_PORT + flow), src, &p->to, data,
                   !wp->port->pretend);
    uint8_t *frame = net_output(wp->net, l4, UDP_HEADER + data, src, &p->to, PROTOCOL_UDP, w->now);
    if (!frame) /* the next hop has been asked for its MAC; the trace repeats itself */
        return false;
    net_mark_hop_limit(l4, addr_is_v4(&p->to), p->hop_limit);
    rte_pktmbuf_prepend(m, (uint16_t)(l4 - frame));
    return true;
}

void probe_send(struct worker *w, const struct node_probe *p)
{
    struct addr src;
    uint8_t port;

    if (p->token >= DHT_TRACE_FLOWS * DHT_TRACE_STEPS || p->hop_limit == 0 ||
        !emit_route(w, &p->to, &port, &src) || net_is_ours(w->port[port].net, &p->to) ||
        !tx_room(w, port))
        return;
    struct rte_mbuf *m = tx_frame(w, port);
    if (!m)
        return;
    if (!write_probe(w, port, m, &src, p)) {
        rte_pktmbuf_free(m);
        return;
    }
    tx_send(w, port, m);
    counter_inc(&w->counters.worker_probes_total);
    w->probe[w->probes++ % WORKER_PROBES] =
        (struct worker_probe){.to = p->to, .token = p->token, .sent_us = w->now.mono_us};
}

static struct worker_probe *probe_find(struct worker *w, const struct net_icmp_datagram *e)
{
    unsigned flow = (unsigned)e->remote.port - PROBE_PORT;
    unsigned step = (unsigned)e->len - UDP_HEADER - PROBE_DATA;

    if (e->local_port != w->probe_port || flow >= DHT_TRACE_FLOWS || step >= DHT_TRACE_STEPS)
        return NULL;
    for (unsigned i = 0; i < WORKER_PROBES; i++) {
        struct worker_probe *p = &w->probe[i];
        if (p->sent_us && p->token == flow * DHT_TRACE_STEPS + step &&
            addr_eq(&p->to, &e->remote.ip) && w->now.mono_us - p->sent_us < PROBE_LATE_US)
            return p;
    }
    return NULL;
}

void probe_take(struct worker *w, const struct net_icmp_datagram *e)
{
    struct worker_probe *p = probe_find(w, e);

    if (!p) {
        counter_inc(&w->counters.worker_probes_unasked_total);
        return;
    }
    counter_inc(&w->counters.worker_probes_answered_total);
    event_post(w, &(struct node_event){
                      .type = NODE_PROBED,
                      .probed = {e->from, (uint32_t)(w->now.mono_us - p->sent_us), p->token,
                                 e->port_unreachable},
                  });
    p->sent_us = 0;
}

void probe_heard(void *ctx, const struct net_icmp_datagram *e)
{
    struct worker *w = ((struct worker_port *)ctx)->worker;
    unsigned owner = e->local_port % w->node->workers;
    struct message m = {.type = WORKER_ICMP_DATAGRAM, .from = (uint16_t)w->id};

    static_assert(sizeof(*e) <= MESSAGE_BODY, "fits a message");
    if (owner == w->id) {
        probe_take(w, e);
        return;
    }
    memcpy(m.body, e, sizeof(*e));
    if (message_post(w, owner, &m)) /* full: a silent router */
        counter_inc(&w->counters.worker_icmp_handed_over_total);
}
