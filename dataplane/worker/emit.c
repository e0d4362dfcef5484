/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP segments and datagrams into frames. The L4 packet starts where an empty frame's data start
 * (RTE_PKTMBUF_HEADROOM, 128 bytes, before it: more than NET_HEADROOM), net writes its headers in
 * front.
 *
 * A span of more than WORKER_COPY bytes goes by reference where the port takes several segments:
 * a second mbuf is attached to the bytes where they rest. Its shared info lies in its own private
 * area with a count of 1, so that nothing is atomic and no 16-bit count overflows on a hot chunk;
 * whoever frees the mbuf, maybe another thread, puts the hold into its worker's `returns`
 * ring, which has a slot for each frame that worker can have out. Elsewhere spans are copied,
 * and summed while copying when the port does no sums.
 */
#include <assert.h>
#include <endian.h>
#include <string.h>

#include "dataplane/worker/worker.h"

static_assert(RTE_PKTMBUF_HEADROOM >= NET_HEADROOM, "room for the headers in front");

#define TCP_HEADER 20
#define UDP_HEADER 8

bool emit_route(struct worker *w, const struct addr *dst, uint8_t *port, struct addr *src)
{
    const struct node_config *c = &w->node->config;
    bool v4 = addr_is_v4(dst), found = false;

    for (unsigned i = 0; i < c->ports && !found; i++)
        for (unsigned k = 0; k < c->port[i].addresses && !found; k++)
            if (addr_in_prefix(dst, &c->port[i].address[k].ip, c->port[i].address[k].prefix)) {
                *port = (uint8_t)i;
                found = true;
            }
    for (unsigned i = 0; i < c->ports && !found; i++)
        if (!addr_is_zero(v4 ? &c->port[i].gateway_v4 : &c->port[i].gateway_v6)) {
            *port = (uint8_t)i;
            found = true;
        }
    return found && net_source(w->port[*port].net, dst, src);
}

uint8_t emit_port(const struct worker *w, const struct addr *ours)
{
    for (uint8_t i = 1; i < w->node->config.ports; i++)
        if (net_is_ours(w->port[i].net, ours))
            return i;
    return 0;
}

static void put16(uint8_t *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
}

static void put32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
}

/* RFC 9293 3.1; the checksum is left zero. Returns the header's length. */
static unsigned write_tcp(uint8_t *h, const struct tcp_out *o)
{
    unsigned len = TCP_HEADER + o->option_len;

    put16(h, o->sport);
    put16(h + 2, o->dport);
    put32(h + 4, o->seq);
    put32(h + 8, o->ack);
    h[12] = (uint8_t)(len / 4 << 4);
    h[13] = o->flags;
    put16(h + 14, o->window);
    put32(h + 16, 0);
    /* by the words in which they were written a moment ago */
    for (unsigned i = 0; i < o->option_len; i += 4)
        memcpy(h + TCP_HEADER + i, o->option + i, 4);
    return len;
}

/* --- references ------------------------------------------------------------------------------- */

static void reference_done(void *addr, void *opaque)
{
    struct frame_reference *r = opaque;
    (void)addr;
    if (r->hold)
        rte_ring_mp_enqueue(r->home, r->hold); /* never full: a slot for each frame */
}

/* A frame's segment that is the span itself. NULL: no buffer. */
static struct rte_mbuf *reference_frame(struct worker *w, uint8_t port, const struct ref *ref)
{
    struct rte_mbuf *m = tx_reference(w, port);
    if (!m)
        return NULL;
    struct frame_reference *r = rte_mbuf_to_priv(m);
    r->shared.free_cb = reference_done;
    r->shared.fcb_opaque = r;
    rte_mbuf_ext_refcnt_set(&r->shared, 1);
    r->hold = ref->hold;
    r->home = w->returns;
    ref_hold(ref);
    /* IOVA as VA: what --no-huge and --in-memory give, and all that virtual ports want */
    rte_pktmbuf_attach_extbuf(m, (void *)(uintptr_t)ref->data, (uintptr_t)ref->data,
                              (uint16_t)ref->len, &r->shared);
    m->data_len = (uint16_t)ref->len;
    m->pkt_len = ref->len;
    counter_inc(&w->counters.worker_tx_references_total);
    return m;
}

/* --- payload ---------------------------------------------------------------------------------- */

struct payload {
    uint64_t sum;
    uint32_t at; /* bytes so far: a part at an odd place is summed with its bytes swapped */
    bool summed;
};

static void add_sum(struct payload *p, uint64_t part, uint32_t len)
{
    p->sum += p->at & 1 ? net_sum_odd(part) : part;
    p->at += len;
}

static void copy_refs(struct payload *p, struct rte_mbuf *m, const struct ref *ref, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char *to = rte_pktmbuf_append(m, (uint16_t)ref[i].len);
        if (p->summed) {
            memcpy(to, ref[i].data, ref[i].len);
            p->at += ref[i].len;
        } else {
            add_sum(p, net_sum_copy(to, ref[i].data, ref[i].len, 0), ref[i].len);
        }
    }
}

static unsigned leading_small(const struct tcp_out *o)
{
    unsigned small = 0;

    for (uint32_t len = 0; small < o->refs && o->ref[small].len <= WORKER_COPY; small++)
        if ((len += o->ref[small].len) > 2 * WORKER_COPY) /* a burst's: they fit the frame */
            break;
    return small;
}

/* Does a segment of the frame that chain_refs makes begin at an odd place? */
static bool odd_parts(const struct tcp_out *o)
{
    uint32_t at = 0;

    for (unsigned i = 0, small = leading_small(o); i < o->refs; i++) {
        if (i >= small && (at & 1))
            return true;
        at += o->ref[i].len;
    }
    return false;
}

/* Leading small spans are copied behind the header, the rest is chained. False: no buffer. */
static bool chain_refs(struct worker *w, uint8_t port, struct payload *p, struct rte_mbuf *m,
                       const struct tcp_out *o)
{
    unsigned small = leading_small(o);

    copy_refs(p, m, o->ref, small);
    struct rte_mbuf *last = m;
    for (unsigned i = small; i < o->refs; i++) {
        struct rte_mbuf *seg = reference_frame(w, port, &o->ref[i]);
        if (!seg)
            return false;
        if (!p->summed)
            add_sum(p, net_sum(o->ref[i].data, o->ref[i].len, 0), o->ref[i].len);
        last->next = seg;
        last = seg;
        m->nb_segs++;
        m->pkt_len += o->ref[i].len;
    }
    return true;
}

/* The port's own sums (RFC 9293 3.1): the field holds the pseudo header's, not inverted. */
static void ask_checksum(struct rte_mbuf *m, unsigned header, bool v4, uint64_t pseudo,
                         uint8_t *field)
{
    uint16_t sum = (uint16_t)~net_sum_finish(pseudo);
    memcpy(field, &sum, 2);
    m->l2_len = RTE_ETHER_HDR_LEN;
    m->l3_len = v4 ? 20 : 40;
    m->l4_len = (uint8_t)header;
    m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | (v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
}

/* The port cuts it into segments (TSO): it makes each one's length, sums and numbers. */
static void ask_cut(struct rte_mbuf *m, uint8_t *l4, bool v4, uint32_t mss)
{
    static const uint8_t zero[2];
    m->tso_segsz = (uint16_t)mss;
    m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
    if (v4) {
        m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
        memcpy(l4 - 20 + 10, zero, 2);
    }
}

static bool wait_segment(struct worker *w, uint8_t port, struct rte_mbuf *m,
                         const struct tcp_out *o, uint8_t *header, unsigned header_len)
{
    /* not resolved yet: a copy with a checksum of ours waits, and counts as sent */
    struct payload p = {.sum = net_sum_pseudo(&o->src, &o->dst, PROTOCOL_TCP, header_len + o->len)};
    add_sum(&p, net_sum(header, header_len, 0), header_len);
    copy_refs(&p, m, o->ref, o->refs);
    uint16_t sum = net_sum_finish(p.sum);
    memcpy(header + 16, &sum, 2);
    wait_add(w, port, m, &o->src, &o->dst, PROTOCOL_TCP);
    return true;
}

bool emit_segment(void *ctx, const struct tcp_out *o)
{
    struct worker *w = ctx;
    uint8_t port = emit_port(w, &o->src);
    const struct port *p = w->port[port].port;

    bool cut = o->len > o->mss, v4 = addr_is_v4(&o->dst);
    if (!(o->len > 0 ? tx_room_data(w, port) : tx_room(w, port)))
        return false;
    struct rte_mbuf *m = tx_frame(w, port);
    if (!m)
        return false;
    uint8_t *l4 = rte_pktmbuf_mtod(m, uint8_t *);
    unsigned header = write_tcp(l4, o);
    rte_pktmbuf_append(m, (uint16_t)header);
    if (!cut && o->len > rte_pktmbuf_tailroom(m)) { /* the engine's MSS is the MTU's, and less */
        counter_inc(&w->counters.worker_tx_dropped_total);
        rte_pktmbuf_free(m);
        return true;
    }
    uint8_t *frame =
        net_output(w->port[port].net, l4, header + o->len, &o->src, &o->dst, PROTOCOL_TCP, w->now);
    if (!frame && cut) { /* again when the neighbour is known */
        rte_pktmbuf_free(m);
        return false;
    }
    if (!frame)
        return wait_segment(w, port, m, o, l4, header);
    net_mark_ecn(l4, v4, o->ecn);

    bool chain = p->multi_seg && o->len > WORKER_COPY;
    size_t counted = cut ? 0 : header + o->len; /* the port adds each segment's own length */
    struct payload pay = {.sum = net_sum_pseudo(&o->src, &o->dst, PROTOCOL_TCP, counted),
                          .summed = p->tx_checksum && !(p->even_parts && chain && odd_parts(o))};
    if (pay.summed)
        ask_checksum(m, header, v4, pay.sum, l4 + 16);
    if (cut)
        ask_cut(m, l4, v4, o->mss);
    if (!pay.summed)
        add_sum(&pay, net_sum(l4, header, 0), header);
    if (!chain) {
        copy_refs(&pay, m, o->ref, o->refs);
    } else if (!chain_refs(w, port, &pay, m, o)) {
        rte_pktmbuf_free(m);
        return false;
    }
    if (!pay.summed) {
        uint16_t sum = net_sum_finish(pay.sum);
        memcpy(l4 + 16, &sum, 2);
    }
    rte_pktmbuf_prepend(m, (uint16_t)(l4 - frame));
    tx_send(w, port, m);
    return true;
}

/* --- datagrams -------------------------------------------------------------------------------- */

/* To ourselves: as if it had come in, to the worker that it is for. */
static bool loop_back(struct worker *w, uint8_t port, struct rte_mbuf *m,
                      const struct endpoint *from, const struct endpoint *to, size_t len)
{
    const struct net_packet p = {
        .frame = NULL,
        .kind = NET_UDP,
        .src = from->ip,
        .dst = to->ip,
        .sport = from->port,
        .dport = to->port,
        .payload = rte_pktmbuf_mtod_offset(m, uint8_t *, UDP_HEADER),
        .payload_len = (uint32_t)len,
        .hop_limit = 64,
    };
    int owner = rx_owner(w, &p);
    if (owner < 0) {
        rte_pktmbuf_free(m);
        return false;
    }
    rx_hand_over(w, (unsigned)owner, m, &p, port);
    return true;
}

bool emit_udp(struct worker *w, uint8_t port, struct rte_mbuf *m, const struct endpoint *from,
              const struct endpoint *to, size_t len)
{
    const struct worker_port *wp = &w->port[port];

    if (net_is_ours(wp->net, &to->ip))
        return loop_back(w, port, m, from, to, len);
    if (!tx_room(w, port) || UDP_HEADER + len > rte_pktmbuf_tailroom(m)) {
        counter_inc(&w->counters.worker_tx_dropped_total);
        rte_pktmbuf_free(m);
        return false;
    }
    m->data_len = (uint16_t)(UDP_HEADER + len);
    m->pkt_len = m->data_len;
    uint8_t *l4 = rte_pktmbuf_mtod(m, uint8_t *);
    net_udp_header(l4, from->port, to->port, &from->ip, &to->ip, len, !wp->port->pretend);
    uint8_t *frame =
        net_output(wp->net, l4, UDP_HEADER + len, &from->ip, &to->ip, PROTOCOL_UDP, w->now);
    if (!frame)
        return wait_add(w, port, m, &from->ip, &to->ip, PROTOCOL_UDP);
    rte_pktmbuf_prepend(m, (uint16_t)(l4 - frame));
    tx_send(w, port, m);
    return true;
}

/* RPCs leave from the address that our ID is the hash of. */
static void rpc_source(const struct worker *w, uint16_t from_port, struct addr *src)
{
    const struct endpoint *self = &w->node->config.self.rpc;
    if (from_port == w->node->config.dht.port && addr_is_v4(src) == addr_is_v4(&self->ip) &&
        net_is_ours(w->port[emit_port(w, &self->ip)].net, &self->ip))
        *src = self->ip;
}

bool emit_datagram(void *ctx, uint16_t from_port, const struct endpoint *to, const void *data,
                   size_t len)
{
    struct worker *w = ctx;
    struct endpoint from = {.port = from_port};
    uint8_t port;

    if (!emit_route(w, &to->ip, &port, &from.ip))
        return false;
    rpc_source(w, from_port, &from.ip);
    if (len + UDP_HEADER + 40 > w->port[port].port->mtu)
        return false;
    struct rte_mbuf *m = tx_frame(w, port);
    if (!m)
        return false;
    memcpy(rte_pktmbuf_mtod_offset(m, void *, UDP_HEADER), data, len);
    return emit_udp(w, port, m, &from, to, len);
}
