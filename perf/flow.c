/* SPDX-License-Identifier: BSD-3-Clause */
#include "perf/flow.h"

#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>

#include "base/memory.h"
#include "dataplane/worker/steer.h"

#define SCALE   3      /* of the window */
#define WINDOW  32768u /* on the wire: 256 KiB, never closed, since all is consumed at once */
#define MSS     1460u
#define TS_WORD 0x0101080au /* two times nothing, then timestamps (RFC 7323 A) */

enum state { IDLE, SYN_SENT, OPEN, CLOSED };

struct front {
    struct rte_ether_hdr ether;
    struct rte_ipv4_hdr ip;
} __rte_packed __rte_aligned(2);

struct segment {
    struct front front;
    struct rte_tcp_hdr tcp;
    uint8_t option[];
} __rte_packed __rte_aligned(2);

/* What all frames between two addresses begin with; the length is zero, and not in the sum. */
struct pair {
    bool known; /* the server's MAC */
    uint64_t sum;
    struct front front;
};

struct flow {
    struct stream stream; /* a line of its own */
    uint32_t snd_nxt, rcv_nxt;
    uint32_t ts_recent;
    uint32_t request_len; /* that waits; 0: none does */
    const uint8_t *request;
    uint8_t state; /* enum state */
    uint8_t pair;  /* of addresses */
    bool ack_due;
    bool waits;                  /* in `waiting` */
    bool aborted;                /* its closed event is due */
    uint32_t old_start, old_end; /* came again, and the next ACK says so */
} __rte_cache_aligned;

struct flows {
    struct stream_ops ops; /* of their streams: the way from one to us */
    struct host *host;
    struct perf_errors *errors;
    unsigned clients, servers;
    uint32_t client_first, server[FLOW_SERVERS]; /* clients' addresses follow each other */
    uint16_t server_port;                        /* network order */
    struct pair pair[FLOW_CLIENTS * FLOW_SERVERS];
    uint32_t connections, opened; /* numbers: there are, were tried */
    struct flow *flow;
    uint32_t *waiting; /* numbers, in turn: a ring */
    uint32_t waiting_first, waiting_n;
    unsigned acks;
    struct flow *ack[NET_BURST]; /* who may owe one */
};

static struct flows *flows_of(const struct stream *s)
{
    return (struct flows *)(uintptr_t)((const uint8_t *)s->ops - offsetof(struct flows, ops));
}

static uint32_t number_of(const struct flows *f, const struct flow *c)
{
    return (uint32_t)(c - f->flow);
}

/* --- out -------------------------------------------------------------------------------------- */

/* The MAC is learnt by the engine's ARP, with the first frame. */
static bool pair_ask(struct flows *f, struct pair *p, const struct flow *c)
{
    uint8_t room[NET_HEADROOM], *l4 = room + NET_HEADROOM;
    const uint8_t *frame = net_output(f->host->net, l4, 0, &c->stream.local.ip,
                                      &c->stream.remote.ip, IPPROTO_TCP, f->host->now);
    if (!frame)
        return false;
    memcpy(&p->front, frame, sizeof(p->front));
    p->front.ip.total_length = p->front.ip.hdr_checksum = 0;
    p->sum = net_sum(&p->front.ip, sizeof(p->front.ip), 0);
    p->known = true;
    return true;
}

/* Word by word: read back as one they would wait for the stores before them, a frame's. */
static unsigned put_times(const struct flows *f, const struct flow *c, uint8_t *o)
{
    const rte_be32_t word = htonl(TS_WORD), ours = htonl((uint32_t)(f->host->now.mono_us / 1000)),
                     theirs = htonl(c->ts_recent);
    memcpy(o, &word, 4);
    memcpy(o + 4, &ours, 4);
    memcpy(o + 8, &theirs, 4);
    return 12;
}

static unsigned put_options(const struct flows *f, struct flow *c, uint8_t flags, uint8_t *o)
{
    if (flags & RTE_TCP_SYN_FLAG) {
        const uint8_t syn[8] = {2, 4, MSS >> 8, MSS & 0xff, 1, 3, 3, SCALE}, sack[4] = {1, 1, 4, 2};
        memcpy(o, syn, 8);
        memcpy(o + 8, sack, 4);
        return 12 + put_times(f, c, o + 12);
    }
    unsigned len = put_times(f, c, o);
    if (c->old_start != c->old_end) {
        const uint8_t kind[4] = {1, 1, 5, 10};
        const rte_be32_t block[2] = {htonl(c->old_start), htonl(c->old_end)};
        memcpy(o + len, kind, 4);
        memcpy(o + len + 4, block, 8);
        len += 12;
        c->old_start = c->old_end;
    }
    return len;
}

/* False: no room now. */
static bool put(struct flows *f, struct flow *c, uint8_t flags, const uint8_t *data, uint32_t len)
{
    struct pair *p = &f->pair[c->pair];
    if (!p->known && !pair_ask(f, p, c))
        return false;
    struct rte_mbuf *m = host_frame(f->host);
    if (!m)
        return false;
    struct segment *s = rte_pktmbuf_mtod(m, struct segment *);
    s->front = p->front;
    unsigned options = put_options(f, c, flags, s->option);
    unsigned header = (unsigned)sizeof(s->tcp) + options;
    unsigned total = (unsigned)sizeof(s->front.ip) + header + len;
    s->front.ip.total_length = htons((uint16_t)total);
    s->front.ip.hdr_checksum = net_sum_finish(p->sum + htons((uint16_t)total));
    s->tcp = (struct rte_tcp_hdr){.src_port = htons(c->stream.local.port),
                                  .dst_port = f->server_port,
                                  .sent_seq = htonl(c->snd_nxt),
                                  .recv_ack = htonl(c->rcv_nxt),
                                  .data_off = (uint8_t)(header / 4 << 4),
                                  .tcp_flags = flags,
                                  .rx_win = htons(WINDOW)};
    if (len > 0)
        memcpy(s->option + options, data, len);
    if (!f->host->offload) {
        uint64_t pseudo =
            net_sum_pseudo(&c->stream.local.ip, &c->stream.remote.ip, IPPROTO_TCP, header + len);
        s->tcp.cksum = net_sum_finish(net_sum(&s->tcp, header + len, pseudo));
    }
    m->data_len = (uint16_t)(sizeof(s->front.ether) + total);
    m->pkt_len = m->data_len;
    host_put(f->host, m);
    c->snd_nxt += len + ((flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG)) ? 1 : 0);
    c->ack_due = false;
    return true;
}

static void wait_turn(struct flows *f, struct flow *c)
{
    if (c->waits)
        return;
    c->waits = true;
    f->waiting[(f->waiting_first + f->waiting_n++) % f->connections] = number_of(f, c);
}

/* What it has to say. False: no room now. */
static bool say(struct flows *f, struct flow *c)
{
    if (c->state == IDLE) {
        if (!put(f, c, RTE_TCP_SYN_FLAG, NULL, 0))
            return false;
        c->state = SYN_SENT;
    } else if (c->state == OPEN && c->request_len > 0) {
        if (!put(f, c, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, c->request, c->request_len))
            return false;
        c->request_len = 0;
    }
    return c->state == CLOSED || !c->ack_due || put(f, c, RTE_TCP_ACK_FLAG, NULL, 0);
}

void flows_turn(struct flows *f)
{
    for (unsigned i = 0; i < f->acks; i++)
        if (f->ack[i]->ack_due && !say(f, f->ack[i]))
            wait_turn(f, f->ack[i]);
    f->acks = 0;
    while (f->waiting_n > 0) {
        struct flow *c = &f->flow[f->waiting[f->waiting_first]];
        if (!say(f, c))
            return;
        c->waits = false;
        f->waiting_first = (f->waiting_first + 1) % f->connections;
        f->waiting_n--;
    }
}

/* --- streams ---------------------------------------------------------------------------------- */

static bool op_send(struct stream *s, struct ref r)
{
    struct flow *c = (struct flow *)s;
    struct flows *f = flows_of(s);
    if (c->request_len > 0 || c->state != OPEN || r.hold)
        return false;
    c->request = r.data;
    c->request_len = r.len;
    if (c->waits || !say(f, c))
        wait_turn(f, c);
    return true;
}

static void op_abort(struct stream *s)
{
    struct flow *c = (struct flow *)s;
    if (c->state == OPEN)
        put(flows_of(s), c, RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG, NULL, 0);
    c->state = CLOSED;
    c->aborted = true;
}

static void over(struct flows *f, struct flow *c, enum stream_end why)
{
    c->state = CLOSED;
    c->stream.events->closed(&c->stream, why, f->host->now);
}

struct stream *flow_connect(struct flows *f, const struct stream_events *events, void *user)
{
    const unsigned pairs = f->clients * f->servers;
    struct endpoint local, remote;
    uint32_t i;
    do {
        if (f->opened == f->connections)
            return NULL;
        i = f->opened++;
        local = (struct endpoint){addr_v4(f->client_first + i % f->clients),
                                  (uint16_t)(STEER_PORT_FIRST + i / pairs)};
        remote = (struct endpoint){addr_v4(f->server[i / f->clients % f->servers]),
                                   ntohs(f->server_port)};
    } while (f->host->steer && steer_worker(f->host->steer, &remote, &local) != f->host->queue);
    struct flow *c = &f->flow[i];
    c->stream = (struct stream){
        .ops = &f->ops, .events = events, .user = user, .local = local, .remote = remote};
    c->pair = (uint8_t)(i % pairs);
    c->snd_nxt = i * 2654435761u;
    if (!say(f, c))
        wait_turn(f, c);
    return &c->stream;
}

/* --- in --------------------------------------------------------------------------------------- */

/* Whose a frame is; NULL: none of ours. */
static struct flow *whose(const struct flows *f, const struct rte_mbuf *m)
{
    const struct segment *s = rte_pktmbuf_mtod(m, const struct segment *);
    if (m->data_len < sizeof(*s) || s->front.ether.ether_type != htons(RTE_ETHER_TYPE_IPV4) ||
        s->front.ip.version_ihl != RTE_IPV4_VHL_DEF || s->front.ip.next_proto_id != IPPROTO_TCP ||
        s->tcp.src_port != f->server_port)
        return NULL;
    uint32_t from = ntohl(s->front.ip.src_addr), server = 0;
    uint32_t client = ntohl(s->front.ip.dst_addr) - f->client_first;
    uint32_t port = ntohs(s->tcp.dst_port) - STEER_PORT_FIRST;
    while (server < f->servers && f->server[server] != from)
        server++;
    uint32_t i = (port * f->servers + server) * f->clients + client;
    if (client >= f->clients || server == f->servers || port >= STEER_PORT_COUNT || i >= f->opened)
        return NULL;
    return &f->flow[i];
}

static bool sums_good(const struct flow *c, struct rte_mbuf *m)
{
    if (rte_pktmbuf_linearize(m) < 0)
        return false;
    const struct segment *s = rte_pktmbuf_mtod(m, const struct segment *);
    uint32_t len = ntohs(s->front.ip.total_length) - (uint32_t)sizeof(s->front.ip);
    return len <= m->data_len - sizeof(s->front) &&
           net_sum_finish(net_sum(&s->front.ip, sizeof(s->front.ip), 0)) == 0 &&
           net_sum_finish(net_sum(
               &s->tcp, len,
               net_sum_pseudo(&c->stream.remote.ip, &c->stream.local.ip, IPPROTO_TCP, len))) == 0;
}

/* The peer's timestamp; false: there is none. */
static bool times(const struct segment *s, unsigned header, uint32_t *tsval)
{
    const uint8_t *o = s->option, *end = (const uint8_t *)&s->tcp + header;
    while (o < end && *o != 0) {
        if (*o == 1) {
            o++;
            continue;
        }
        if (end - o < 2 || o[1] < 2 || o[1] > end - o)
            return false;
        if (o[0] == 8 && o[1] == 10) {
            rte_be32_t word;
            memcpy(&word, o + 2, 4);
            *tsval = ntohl(word);
            return true;
        }
        o += o[1];
    }
    return false;
}

static void answered(struct flows *f, struct flow *c, const struct segment *s, unsigned header)
{
    if ((s->tcp.tcp_flags & RTE_TCP_ACK_FLAG) == 0 || ntohl(s->tcp.recv_ack) != c->snd_nxt ||
        !times(s, header, &c->ts_recent)) {
        over(f, c, STREAM_REFUSED);
        return;
    }
    c->rcv_nxt = ntohl(s->tcp.sent_seq) + 1;
    c->state = OPEN;
    c->stream.events->opened(&c->stream, f->host->now);
}

/* The text of a segment, in the pieces in which it lies in memory, from byte `at` on. */
static bool deliver(struct flows *f, struct flow *c, const struct rte_mbuf *m, unsigned at,
                    uint32_t len)
{
    for (; len > 0; m = m->next, at = 0) {
        if (!m || at > m->data_len)
            return false; /* it says that it is longer than it is */
        uint32_t n = RTE_MIN(len, (uint32_t)m->data_len - at);
        const uint8_t *data = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
        if (n > 0 && c->stream.events->received(&c->stream, data, n, f->host->now) != n)
            return false;
        len -= n;
    }
    return true;
}

static void text(struct flows *f, struct flow *c, const struct rte_mbuf *m, unsigned at,
                 uint32_t seq, uint32_t len)
{
    if (!c->ack_due)
        f->ack[f->acks++] = c;
    c->ack_due = true;
    if (seq != c->rcv_nxt) {
        if ((int32_t)(seq - c->rcv_nxt) > 0) { /* a gap */
            f->errors->n[PERF_ERROR_lost]++;
            op_abort(&c->stream);
            return;
        }
        c->old_start = seq;
        c->old_end = (int32_t)(seq + len - c->rcv_nxt) > 0 ? c->rcv_nxt : seq + len;
        if (c->old_end != c->rcv_nxt)
            return;
        at += c->rcv_nxt - seq;
        len -= c->rcv_nxt - seq;
    }
    c->rcv_nxt += len;
    if (!deliver(f, c, m, at, len) && c->state == OPEN) {
        f->errors->n[PERF_ERROR_head]++;
        op_abort(&c->stream);
    }
}

static void act(struct flows *f, struct flow *c, struct rte_mbuf *m)
{
    if (!f->host->offload && !sums_good(c, m))
        return;
    const struct segment *s = rte_pktmbuf_mtod(m, const struct segment *);
    unsigned header = s->tcp.data_off / 16 * 4u, front = (unsigned)sizeof(s->front.ip) + header;
    uint32_t total = ntohs(s->front.ip.total_length);
    uint8_t flags = s->tcp.tcp_flags;
    if (header < sizeof(s->tcp) || total < front || sizeof(s->front) + header > m->data_len ||
        c->state == CLOSED || c->state == IDLE)
        return;
    if (flags & RTE_TCP_RST_FLAG) {
        over(f, c, c->state == OPEN ? STREAM_RESET : STREAM_REFUSED);
    } else if (c->state == SYN_SENT) {
        answered(f, c, s, header);
    } else if (flags & RTE_TCP_SYN_FLAG) { /* again: our ACK is late */
        put(f, c, RTE_TCP_ACK_FLAG, NULL, 0);
    } else {
        if (ntohl(s->tcp.sent_seq) == c->rcv_nxt)
            times(s, header, &c->ts_recent);
        if (total > front)
            text(f, c, m, (unsigned)sizeof(s->front) + header, ntohl(s->tcp.sent_seq),
                 total - front);
        if ((flags & RTE_TCP_FIN_FLAG) && c->state == OPEN) {
            put(f, c, RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG, NULL, 0);
            over(f, c, STREAM_DONE);
        }
    }
    if (c->aborted) {
        c->aborted = false;
        over(f, c, STREAM_ABORTED);
    }
}

unsigned flows_receive(struct flows *f, struct rte_mbuf **m, unsigned n)
{
    struct flow *c[NET_BURST];
    struct rte_mbuf *ours[NET_BURST];
    unsigned k = 0, rest = 0;

    for (unsigned i = 0; i < n; i++) {
        struct flow *flow = whose(f, m[i]);
        if (!flow) {
            m[rest++] = m[i];
            continue;
        }
        rte_prefetch0(flow);
        rte_prefetch0(&flow->snd_nxt);
        rte_prefetch0(m[i]->next);
        c[k] = flow;
        ours[k++] = m[i];
    }
    for (unsigned i = 0; i < k; i++)
        rte_prefetch0(c[i]->stream.user);
    for (unsigned i = 0; i < k; i++)
        act(f, c[i], ours[i]);
    rte_pktmbuf_free_bulk(ours, k);
    return rest;
}

/* --- for the run ------------------------------------------------------------------------------ */

struct flows *flows_new(struct host *h, const struct net_address *client, unsigned clients,
                        const struct endpoint *server, unsigned servers, uint32_t connections,
                        struct perf_errors *errors)
{
    struct flows *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->ops = (struct stream_ops){.send = op_send, .abort = op_abort};
    f->host = h;
    f->errors = errors;
    f->clients = clients;
    f->servers = servers;
    f->client_first = addr_get_v4(&client[0].ip);
    for (unsigned i = 0; i < servers; i++)
        f->server[i] = addr_get_v4(&server[i].ip);
    f->server_port = htons(server[0].port);
    /* of several queues each gets its share of the numbers, more or less */
    f->connections = h->steer ? connections * PORT_WORKERS + 1024 : connections;
    if (f->connections > STEER_PORT_COUNT * clients * servers)
        f->connections = STEER_PORT_COUNT * clients * servers;
    f->flow = memory_new(f->connections, sizeof(f->flow[0]));
    f->waiting = calloc(f->connections, sizeof(f->waiting[0]));
    if (f->flow && f->waiting && connections <= f->connections)
        return f;
    flows_free(f);
    return NULL;
}

void flows_free(struct flows *f)
{
    if (!f)
        return;
    memory_free(f->flow, f->connections, sizeof(f->flow[0]));
    free(f->waiting);
    free(f);
}
