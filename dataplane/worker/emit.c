/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP segments and datagrams into frames. The L4 packet starts where an empty frame's data start
 * (RTE_PKTMBUF_HEADROOM, 128 bytes, before it: more than NET_HEADROOM), net writes its headers in
 * front.
 *
 * A burst of segments that the port does not cut is cut here: its headers are made once and copied,
 * since from one to the next only the number differs, and at the end length and flags.
 *
 * A span of more than WORKER_COPY bytes goes by reference where the port takes several segments
 * (reference.c). Elsewhere spans are copied, and summed while copying when the port does no sums.
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

/* What is being sent: a segment, or a burst of them. */
struct burst {
    struct worker *w;
    uint8_t port;
    bool v4;
    const struct tcp_out *out;
    uint16_t header, front;        /* bytes of TCP's, and of what net puts in front of it */
    uint64_t pseudo;               /* the sum of the pseudo header, but for the length */
    uint64_t ol_flags, tx_offload; /* what the port is to do */
    uint32_t half_of;              /* length of the segment whose */
    uint16_t half;                 /* sum this is, as the port wants it */
    unsigned ref;                  /* the next byte is in that reference, */
    uint32_t offset;               /* so far from its beginning */
};

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

static unsigned leading_small(const struct ref *ref, unsigned refs)
{
    unsigned small = 0;

    for (uint32_t len = 0; small < refs && ref[small].len <= WORKER_COPY; small++)
        if ((len += ref[small].len) > 2 * WORKER_COPY) /* a burst's: they fit the frame */
            break;
    return small;
}

/* Does a segment of the frame that chain_refs makes begin at an odd place? */
static bool odd_parts(const struct ref *ref, unsigned refs)
{
    uint32_t at = 0;

    for (unsigned i = 0, small = leading_small(ref, refs); i < refs; i++) {
        if (i >= small && (at & 1))
            return true;
        at += ref[i].len;
    }
    return false;
}

/* Leading small spans are copied behind the header, the rest is chained. False: no buffer. */
static bool chain_refs(struct burst *b, struct payload *p, struct rte_mbuf *m,
                       const struct ref *ref, unsigned refs)
{
    unsigned small = leading_small(ref, refs);

    copy_refs(p, m, ref, small);
    struct rte_mbuf *last = m;
    for (unsigned i = small; i < refs; i++) {
        struct rte_mbuf *seg = reference_frame(b->w, b->port, &ref[i]);
        if (!seg)
            return false;
        if (!p->summed)
            add_sum(p, net_sum(ref[i].data, ref[i].len, 0), ref[i].len);
        last->next = seg;
        last = seg;
        m->nb_segs++;
        m->pkt_len += ref[i].len;
    }
    return true;
}

/* What the port is to do with each segment: its sum (RFC 9293 3.1), and to cut it (TSO), with each
 * one's length, sums and numbers. */
static void ask_port(struct burst *b, const struct port *p, uint8_t *l4, bool cut)
{
    static const uint8_t zero[2];
    if (p->tx_checksum)
        b->ol_flags = RTE_MBUF_F_TX_TCP_CKSUM | (b->v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
    if (cut)
        b->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
    if (cut && b->v4) {
        b->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
        memcpy(l4 - 20 + 10, zero, 2);
    }
    b->tx_offload = rte_mbuf_tx_offload(RTE_ETHER_HDR_LEN, b->v4 ? 20 : 40, b->header,
                                        cut ? b->out->mss : 0, 0, 0, 0);
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

/* The port does the sum: the field holds the pseudo header's, not inverted. */
static void leave_sum(struct burst *b, struct rte_mbuf *m, uint8_t *l4, uint32_t len)
{
    if (b->half_of != len) { /* all but the last have the same */
        size_t counted = len > b->out->mss ? 0 : b->header + len; /* cut: it adds each one's own */
        b->half = (uint16_t)~net_sum_finish(b->pseudo + net_sum_length(counted));
        b->half_of = len;
    }
    memcpy(l4 + 16, &b->half, 2);
    m->ol_flags |= b->ol_flags;
    m->tx_offload = b->tx_offload;
}

/* A segment whose headers are in `m`: its data and its sum. False: no buffer. */
static bool finish_segment(struct burst *b, struct rte_mbuf *m, const struct ref *ref,
                           unsigned refs, uint32_t len)
{
    const struct port *p = b->w->port[b->port].port;
    uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, b->front);
    bool chain = p->multi_seg && len > WORKER_COPY;
    struct payload pay = {.summed =
                              p->tx_checksum && !(p->even_parts && chain && odd_parts(ref, refs))};

    if (pay.summed) {
        leave_sum(b, m, l4, len);
    } else {
        memset(l4 + 16, 0, 2);
        pay.sum = b->pseudo + net_sum_length(b->header + len);
        add_sum(&pay, net_sum(l4, b->header, 0), b->header);
    }
    if (!chain)
        copy_refs(&pay, m, ref, refs);
    else if (!chain_refs(b, &pay, m, ref, refs))
        return false;
    if (!pay.summed) {
        uint16_t sum = net_sum_finish(pay.sum);
        memcpy(l4 + 16, &sum, 2);
    }
    tx_send(b->w, b->port, m);
    return true;
}

/* Takes the spans of the next `len` bytes of a burst. Returns how many there are. */
static unsigned next_spans(struct burst *b, uint32_t len, struct ref *span)
{
    unsigned n = 0;

    while (len > 0) {
        const struct ref *ref = &b->out->ref[b->ref];
        uint32_t part = RTE_MIN(len, ref->len - b->offset);
        span[n++] = (struct ref){ref->data + b->offset, part, ref->hold};
        len -= part;
        b->offset += part;
        if (b->offset == ref->len) {
            b->ref++;
            b->offset = 0;
        }
    }
    return n;
}

/* Headers are in place, from `front` bytes before `l4` on. */
static void begin_segment(const struct burst *b, struct rte_mbuf *m)
{
    m->data_off = (uint16_t)(m->data_off - b->front);
    m->data_len = (uint16_t)(b->front + b->header);
    m->pkt_len = m->data_len;
}

/* Cuts a burst for which there is room. What finds no buffer all the same counts as lost. */
static void cut_burst(struct burst *b, struct rte_mbuf *m, uint8_t *l4)
{
    enum { HEADERS = NET_HEADROOM + TCP_HEADER + TCP_OPTION_MAX }; /* the most that there may be */
    const struct tcp_out *o = b->out;
    uint8_t head[HEADERS];
    struct ref span[TCP_OUT_REFS];

    l4[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH); /* the last one's */
    memcpy(head, l4 - NET_HEADROOM, HEADERS);
    for (uint32_t at = 0; m;) {
        uint32_t len = RTE_MIN(o->mss, o->len - at);
        if (at + len == o->len) {
            l4[13] = o->flags;
            if (len != o->mss)
                net_set_length(l4, b->v4, b->header + len);
        }
        begin_segment(b, m);
        if (!finish_segment(b, m, span, next_spans(b, len, span), len)) {
            rte_pktmbuf_free(m);
            return;
        }
        at += len;
        if (at == o->len || !(m = tx_frame(b->w, b->port)))
            return;
        l4 = rte_pktmbuf_mtod(m, uint8_t *);
        memcpy(l4 - NET_HEADROOM, head, HEADERS);
        put32(l4 + 4, o->seq + at);
    }
}

/* While the next hop is not known, segments go one by one, as copies that wait for it. */
unsigned emit_room(void *ctx, const struct addr *src, const struct addr *dst, unsigned wanted)
{
    struct worker *w = ctx;
    uint8_t port = emit_port(w, src);
    if (!net_resolved(w->port[port].net, dst))
        return 1;
    if (w->port[port].port->tso)
        return tx_room_data(w, port, 1) ? wanted : 0;
    return tx_room_data(w, port, RTE_MIN(wanted, (unsigned)WORKER_CUT));
}

bool emit_segment(void *ctx, const struct tcp_out *o)
{
    struct worker *w = ctx;
    struct burst b = {.w = w,
                      .port = emit_port(w, &o->src),
                      .v4 = addr_is_v4(&o->dst),
                      .out = o,
                      .half_of = UINT32_MAX};
    const struct worker_port *wp = &w->port[b.port];
    bool burst = o->len > o->mss, cut = burst && !wp->port->tso;
    unsigned segments = cut ? (o->len + o->mss - 1) / o->mss : 1;

    if (o->len > 0 ? tx_room_data(w, b.port, segments) < segments : !tx_room(w, b.port))
        return false;
    struct rte_mbuf *m = tx_frame(w, b.port);
    if (!m)
        return false;
    uint8_t *l4 = rte_pktmbuf_mtod(m, uint8_t *);
    b.header = (uint16_t)write_tcp(l4, o);
    if (b.header + RTE_MIN(o->len, o->mss) >
        rte_pktmbuf_tailroom(m)) { /* the MSS is the MTU's, and less */
        counter_inc(&w->counters.worker_tx_dropped_total);
        rte_pktmbuf_free(m);
        return true;
    }
    uint8_t *frame = net_output(wp->net, l4, b.header + (cut ? o->mss : o->len), &o->src, &o->dst,
                                PROTOCOL_TCP, w->now);
    if (!frame && burst) { /* again when the neighbour is known */
        rte_pktmbuf_free(m);
        return false;
    }
    if (!frame && rte_pktmbuf_append(m, b.header))
        return wait_segment(w, b.port, m, o, l4, b.header);
    net_mark_ecn(l4, b.v4, o->ecn);
    b.front = (uint16_t)(l4 - frame);
    b.pseudo = net_sum_pseudo(&o->src, &o->dst, PROTOCOL_TCP, 0);
    ask_port(&b, wp->port, l4, burst && !cut);
    if (cut) {
        cut_burst(&b, m, l4);
        return true;
    }
    begin_segment(&b, m);
    if (finish_segment(&b, m, o->ref, o->refs, o->len))
        return true;
    rte_pktmbuf_free(m);
    return false;
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
