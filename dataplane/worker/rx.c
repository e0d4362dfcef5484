/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames in. A burst is parsed by net, then each packet goes to the worker that owns it: this
 * one, in arrays sorted by protocol, or another one through its hand-over ring, parse included.
 *
 *   TCP                  owner of the tuple: by the port's RSS where its key and table are known,
 *                        so that the port has brought it here already; else by a keyed hash
 *   UDP 53               whoever received it: answering needs no state
 *   UDP index, request   owner of the key's shard where that writes; others whoever received it
 *              reply     the worker that asked
 *   UDP other            resolver: worker (port mod workers)
 *
 * Within a burst DNS and index go before TCP, so that a flood of HTTP does not starve them
 * (DESIGN decision 10).
 */
#include <string.h>

#include "dataplane/worker/worker.h"

#define RX_PROBE_US 20000u

struct sorted {
    unsigned dns, dht, other, tcp, frames;
    struct udp_packet dns_at[NET_BURST], dht_at[NET_BURST], other_at[NET_BURST];
    struct tcp_packet tcp_at[TCP_BURST];
    struct rte_mbuf *frame[NET_BURST]; /* to free in the end; DNS keeps its own */
};

unsigned worker_of_tuple(const struct worker *w, const struct endpoint *local,
                         const struct endpoint *remote)
{
    const struct node *n = w->node;
    if (n->workers == 1)
        return 0;
    const struct steer *s = n->steer[emit_port(w, &local->ip)];
    return s ? steer_worker(s, local, remote)
             : tcp_tuple_hash(&n->steering, local, remote) % n->workers;
}

unsigned worker_of_shard(const struct node *n, unsigned shard)
{
    /* cache_shard's six highest bits: the store's shards are owned as the cache's are */
    return cache_owner(n->cache, (struct hash128){0, (uint64_t)shard << 58});
}

static int owner_of_rpc(struct worker *w, const struct net_packet *p)
{
    struct dht_peek peek;
    if (!dht_peek(p->payload, p->payload_len, &peek))
        return -1;
    if (peek.reply)
        return peek.asker < w->node->workers ? peek.asker : -1;
    return peek.owned ? (int)worker_of_shard(w->node, peek.shard) : (int)w->id;
}

int rx_owner(struct worker *w, const struct net_packet *p)
{
    if (p->kind == NET_TCP) {
        const struct endpoint remote = {p->src, p->sport}, local = {p->dst, p->dport};
        return (int)worker_of_tuple(w, &local, &remote);
    }
    if (p->dport == WORKER_DNS_PORT)
        return (int)w->id;
    if (p->dport == w->node->config.dht.port) {
        int owner = owner_of_rpc(w, p);
        if (owner < 0)
            counter_inc(&w->counters.worker_dht_malformed_total);
        return owner;
    }
    return (int)(p->dport % w->node->workers);
}

void rx_hand_over(struct worker *w, unsigned to, struct rte_mbuf *m, const struct net_packet *p,
                  uint8_t port)
{
    struct frame_parsed *parsed = rte_mbuf_to_priv(m);

    parsed->packet = *p;
    parsed->port = port;
    if (rte_ring_mp_enqueue(w->node->worker[to]->handover, m) != 0) {
        counter_inc(&w->counters.worker_handover_full_total);
        rte_pktmbuf_free(m);
        return;
    }
    counter_inc(&w->counters.worker_handed_over_total);
    w->wake |= 1u << to;
}

/* Files a packet that is ours to handle, and its frame. `p` stays where it is until the burst's
 * end. */
static void sort(struct worker *w, struct sorted *s, const struct net_packet *p, struct rte_mbuf *m,
                 uint8_t port)
{
    const struct udp_packet udp = {p, m, port};

    if (p->kind == NET_UDP && p->dport == WORKER_DNS_PORT) {
        s->dns_at[s->dns++] = udp;
        return;
    }
    s->frame[s->frames++] = m;
    if (p->kind == NET_TCP)
        s->tcp_at[s->tcp++] =
            (struct tcp_packet){p->src, p->dst, p->payload, p->payload_len, .ecn = p->tos & 3};
    else if (p->dport == w->node->config.dht.port)
        s->dht_at[s->dht++] = udp;
    else
        s->other_at[s->other++] = udp;
}

static void act(struct worker *w, struct sorted *s)
{
    if (s->dns)
        udp_dns(w, s->dns_at, s->dns);
    if (s->dht)
        udp_dht(w, s->dht_at, s->dht);
    for (unsigned i = 0; i < s->other; i++)
        udp_other(w, &s->other_at[i]);
    if (s->tcp)
        tcp_input(w->tcp, s->tcp_at, s->tcp, w->now);
    rte_pktmbuf_free_bulk(s->frame, s->frames);
}

/* Engines read frames as one span: segments of a ring's neighbour are joined here. */
static bool linear(struct worker *w, struct rte_mbuf *m)
{
    if (m->nb_segs == 1)
        return true;
    if (rte_pktmbuf_linearize(m) < 0) {
        counter_inc(&w->counters.worker_drop_segments_total);
        return false;
    }
    counter_inc(&w->counters.worker_linearised_total);
    return true;
}

static void receive(struct worker *w, struct worker_port *wp, struct rte_mbuf **in, unsigned n)
{
    struct net_packet packet[NET_BURST];
    struct rte_mbuf *frame[NET_BURST];
    struct sorted s;
    unsigned k = 0;
    uint64_t bytes = 0;

    s.dns = s.dht = s.other = s.tcp = s.frames = 0;
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(in[i]);
    for (unsigned i = 0; i < n; i++) { /* headers, and what most requests have behind them */
        const uint8_t *data = rte_pktmbuf_mtod(in[i], const uint8_t *);
        rte_prefetch0(data);
        rte_prefetch0(data + RTE_CACHE_LINE_SIZE);
        rte_prefetch0(data + 2 * RTE_CACHE_LINE_SIZE);
    }
    for (unsigned i = 0; i < n; i++) {
        bytes += in[i]->pkt_len;
        if (!linear(w, in[i])) {
            rte_pktmbuf_free(in[i]);
            continue;
        }
        packet[k].frame = rte_pktmbuf_mtod(in[i], uint8_t *);
        packet[k].frame_len = in[i]->data_len;
        packet[k].checksum_good = port_checksum_good(wp->port, in[i]);
        frame[k++] = in[i];
    }
    counter_add(&w->counters.worker_rx_packets_total, n);
    counter_add(&w->counters.worker_rx_bytes_total, bytes);
    net_input(wp->net, packet, k, w->now);
    for (unsigned i = 0; i < k; i++) {
        bool up = packet[i].kind == NET_UDP || packet[i].kind == NET_TCP;
        int owner = up ? rx_owner(w, &packet[i]) : -1;
        if (owner >= 0 && (unsigned)owner != w->id) {
            if (packet[i].kind == NET_TCP && w->node->steer[wp->index])
                counter_inc(&w->counters.worker_rss_elsewhere_total);
            rx_hand_over(w, (unsigned)owner, frame[i], &packet[i], wp->index);
            continue;
        }
        if (owner >= 0)
            sort(w, &s, &packet[i], frame[i], wp->index);
        else
            s.frame[s.frames++] = frame[i];
    }
    act(w, &s);
}

/* What other workers, or this one's own engines, put into our ring: parsed and ours. */
static unsigned receive_handed_over(struct worker *w)
{
    struct rte_mbuf *frame[NET_BURST];
    struct sorted s;

    s.dns = s.dht = s.other = s.tcp = s.frames = 0;
    unsigned n = rte_ring_sc_dequeue_burst(w->handover, (void **)frame, NET_BURST, NULL);
    if (n == 0)
        return 0;
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(rte_mbuf_to_priv(frame[i]));
    for (unsigned i = 0; i < n; i++) {
        const struct frame_parsed *parsed = rte_mbuf_to_priv(frame[i]);
        rte_prefetch0(parsed->packet.payload);
        sort(w, &s, &parsed->packet, frame[i], parsed->port);
    }
    act(w, &s);
    return n;
}

/* A queue's next burst, or as many as its ring has room for. True: there may be more. */
static bool receive_queue(struct worker *w, struct worker_port *wp, uint16_t q, bool all,
                          bool *found)
{
    struct rte_mbuf *m[PORT_BURST];
    unsigned n = port_rx(wp->port, q, m, PORT_BURST);

    if (n)
        receive(w, wp, m, n);
    *found |= n > 0;
    for (unsigned i = 1; all && n == PORT_BURST && i < PORT_RX_FRAMES / PORT_BURST; i++) {
        w->probed_us = w->now.mono_us;
        proxy_flush(w->proxy, w->now); /* of each burst by itself, as in any turn */
        if ((n = port_rx(wp->port, q, m, PORT_BURST)) > 0)
            receive(w, wp, m, n);
    }
    return n == PORT_BURST;
}

/*
 * Ports don't say how long their rings are. So where a whole burst comes, as many as a ring has
 * room for are taken at once, every RX_PROBE_US. If it is empty then, it was not too long, however
 * many wait for their answers and then ask again.
 */
bool rx_poll(struct worker *w)
{
    bool found = false, more = false;
    bool probe = w->now.mono_us - w->probed_us >= RX_PROBE_US;

    for (unsigned i = 0; i < w->node->config.ports; i++) {
        struct worker_port *wp = &w->port[i];
        for (unsigned q = w->id; q < wp->port->rx_queues; q += w->node->workers)
            more |= receive_queue(w, wp, (uint16_t)q, probe, &found);
    }
    if (probe)
        w->full = more;
    w->behind = more && w->full ? PORT_RX_FRAMES / PORT_BURST : 0;
    return receive_handed_over(w) || found;
}
