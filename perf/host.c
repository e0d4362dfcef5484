/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <rte_mbuf.h>

#include "dataplane/worker/steer.h"
#include "perf/flow.h"

#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define AHEAD        4 /* frames */

unsigned host_send(struct host *h, struct rte_mbuf **m, unsigned n)
{
    return h->port ? port_tx(h->port, 0, m, n) : port_link_send(h->link, 1 + 2 * h->queue, m, n);
}

unsigned host_receive(struct host *h, struct rte_mbuf **m, unsigned n)
{
    return h->port ? port_rx(h->port, 0, m, n) : port_link_receive(h->link, 1 + 2 * h->queue, m, n);
}

void host_flush(struct host *h)
{
    unsigned sent = host_send(h, h->out, h->n);
    memmove(h->out, h->out + sent, (h->n - sent) * sizeof(h->out[0]));
    h->n -= sent;
}

/* Its header, and the lines that headers and a request take. */
static void frame_prefetch(const struct rte_mbuf *m)
{
    const uint8_t *data = (const uint8_t *)m + sizeof(*m) + PORT_PRIVATE + RTE_PKTMBUF_HEADROOM;
    port_prefetch_write(m);
    for (unsigned i = 0; i < 3; i++)
        port_prefetch_write(data + i * RTE_CACHE_LINE_SIZE);
}

struct rte_mbuf *host_frame(struct host *h)
{
    if (h->n == HOST_OUT)
        host_flush(h);
    if (h->n == HOST_OUT)
        return NULL;
    if (h->spares == 0 && rte_mempool_get_bulk(h->pool, (void **)h->spare, HOST_SPARE) == 0)
        h->spares = HOST_SPARE;
    if (h->spares == 0)
        return NULL;
    struct rte_mbuf *m = h->spare[--h->spares];
    if (h->spares >= AHEAD)
        frame_prefetch(h->spare[h->spares - AHEAD]);
    rte_pktmbuf_reset(m);
    return m;
}

void host_put(struct host *h, struct rte_mbuf *m)
{
    h->out[h->n++] = m;
}

static bool send_frame(void *ctx, const void *frame, size_t len)
{
    struct host *h = ctx;
    struct rte_mbuf *m = host_frame(h);
    char *to = m ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;

    if (!to) {
        rte_pktmbuf_free(m);
        return false;
    }
    memcpy(to, frame, len);
    host_put(h, m);
    return true;
}

static void learned(void *ctx, const struct addr *ip, const uint8_t mac[6])
{
    (void)ctx, (void)ip, (void)mac; /* one thread, one table */
}

static void refused(void *ctx, const struct net_icmp_datagram *why)
{
    struct host *h = ctx;
    if (h->udp_refused && why->port_unreachable)
        h->udp_refused(h->udp_ctx, why);
}

static unsigned write_tcp(uint8_t *h, const struct tcp_out *o)
{
    const uint32_t seq = htonl(o->seq), ack = htonl(o->ack);
    const uint16_t ports[2] = {htons(o->sport), htons(o->dport)}, window = htons(o->window);
    unsigned len = 20u + o->option_len;

    memcpy(h, ports, 4);
    memcpy(h + 4, &seq, 4);
    memcpy(h + 8, &ack, 4);
    h[12] = (uint8_t)(len / 4 << 4);
    h[13] = o->flags;
    memcpy(h + 14, &window, 2);
    memset(h + 16, 0, 4);
    memcpy(h + 20, o->option, o->option_len);
    return len;
}

static bool emit(void *ctx, const struct tcp_out *o)
{
    struct host *h = ctx;
    struct rte_mbuf *m = host_frame(h);

    if (!m)
        return false;
    uint8_t *l4 = rte_pktmbuf_mtod(m, uint8_t *);
    size_t len = write_tcp(l4, o);
    for (unsigned i = 0; i < o->refs; i++) {
        memcpy(l4 + len, o->ref[i].data, o->ref[i].len);
        len += o->ref[i].len;
    }
    if (!h->offload) {
        uint64_t sum = net_sum_pseudo(&o->src, &o->dst, PROTOCOL_TCP, len);
        uint16_t field = net_sum_finish(net_sum(l4, len, sum));
        memcpy(l4 + 16, &field, 2);
    }
    uint8_t *frame = net_output(h->net, l4, len, &o->src, &o->dst, PROTOCOL_TCP, h->now);
    if (!frame) { /* the first SYNs wait for ARP: TCP sends them again */
        rte_pktmbuf_free(m);
        return false;
    }
    rte_pktmbuf_append(m, (uint16_t)len);
    rte_pktmbuf_prepend(m, (uint16_t)(l4 - frame));
    host_put(h, m);
    return true;
}

bool host_udp(struct host *h, const struct endpoint *from, const struct endpoint *to,
              const void *data, size_t len)
{
    struct rte_mbuf *m = host_frame(h);

    if (!m)
        return false;
    uint8_t *l4 = rte_pktmbuf_mtod(m, uint8_t *);
    memcpy(l4 + 8, data, len);
    net_udp_header(l4, from->port, to->port, &from->ip, &to->ip, len, !h->offload);
    uint8_t *frame = net_output(h->net, l4, 8 + len, &from->ip, &to->ip, PROTOCOL_UDP, h->now);
    if (!frame) {
        rte_pktmbuf_free(m);
        return false;
    }
    rte_pktmbuf_append(m, (uint16_t)(8 + len));
    rte_pktmbuf_prepend(m, (uint16_t)(l4 - frame));
    host_put(h, m);
    return true;
}

/* Ports from which segments go to our queue, as the node's port spreads them. */
static uint16_t port_try(void *ctx, const struct addr *local, const struct endpoint *remote,
                         uint32_t n)
{
    const struct host *h = ctx;
    const struct endpoint mine = {*local, (uint16_t)(STEER_PORT_FIRST + n % STEER_PORT_COUNT)};
    return !h->steer || steer_worker(h->steer, remote, &mine) == h->queue ? mine.port : 0;
}

/* All but the wire and its pool. */
static bool make_engines(struct host *h, const struct net_config *n, uint32_t connections,
                         struct now now)
{
    const struct net_host nh = {
        .ctx = h, .send = send_frame, .learned = learned, .icmp_datagram = refused};
    struct tcp_config t = tcp_config_default();
    const struct tcp_host th = {.ctx = h, .emit = emit, .port_try = port_try};
    static const uint8_t seed[32] = "coral-perf, the load generator";

    t.connections = connections + 16;
    t.idle_timeout_ms = 0;
    h->now = now;
    h->net = net_create(n, &nh);
    h->tcp = tcp_create(&t, &th, seed, now);
    return h->pool && h->net && h->tcp;
}

bool host_new(struct host *h, struct port_link *link, const struct net_address *ip,
              unsigned addresses, uint32_t connections, bool offload, struct now now)
{
    struct net_config n = {.mac = {2, 0, 0, 0, 0, 9}, .mtu = 1500, .addresses = addresses};
    memcpy(n.address, ip, addresses * sizeof(*ip));
    char pool[RTE_MEMPOOL_NAMESIZE];
    *h = (struct host){.link = link, .offload = offload};
    snprintf(pool, sizeof(pool), "host%p", (void *)h);
    h->pool = rte_pktmbuf_pool_create(pool, 16383, 256, PORT_PRIVATE, RTE_MBUF_DEFAULT_BUF_SIZE,
                                      SOCKET_ID_ANY);
    return make_engines(h, &n, connections, now);
}

bool host_new_port(struct host *h, struct port *port, const struct net_address *ip,
                   uint32_t connections, struct now now)
{
    struct net_config n = {.mtu = port->mtu, .addresses = 1, .address = {*ip}};
    memcpy(n.mac, port->mac, sizeof(n.mac));
    *h = (struct host){.port = port, .pool = port->pool[0]};
    return make_engines(h, &n, connections, now);
}

void host_free(struct host *h)
{
    rte_pktmbuf_free_bulk(h->out, h->n);
    if (h->spares)
        rte_mempool_put_bulk(h->pool, (void **)h->spare, h->spares);
    if (h->tcp)
        tcp_destroy(h->tcp);
    if (h->net)
        net_destroy(h->net);
}

void host_input(struct host *h, struct rte_mbuf **m, unsigned n)
{
    struct net_packet p[NET_BURST];
    struct tcp_packet t[TCP_BURST];
    unsigned k = 0;

    for (unsigned i = 0; i < n; i++) {
        p[i].frame = rte_pktmbuf_mtod(m[i], uint8_t *);
        rte_pktmbuf_linearize(m[i]); /* the node's frames fit one buffer */
        p[i].frame_len = m[i]->data_len;
        p[i].checksum_good = h->offload;
    }
    net_input(h->net, p, n, h->now);
    for (unsigned i = 0; i < n; i++)
        if (p[i].kind == NET_UDP && h->udp)
            h->udp(h->udp_ctx, &p[i]);
        else if (p[i].kind == NET_TCP)
            t[k++] = (struct tcp_packet){p[i].src, p[i].dst, p[i].payload, p[i].payload_len, 0};
    tcp_input(h->tcp, t, k, h->now);
    rte_pktmbuf_free_bulk(m, n);
}

bool host_turn(struct host *h)
{
    return host_turn_at(h, perf_now());
}

bool host_turn_at(struct host *h, struct now now)
{
    struct rte_mbuf *m[NET_BURST];

    h->now = now;
    if (h->flows)
        flows_turn(h->flows);
    unsigned n = host_receive(h, m, NET_BURST);
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
    unsigned rest = h->flows ? flows_receive(h->flows, m, n) : n;
    if (rest)
        host_input(h, m, rest);
    tcp_poll(h->tcp, h->now);
    const unsigned waiting = h->n;
    host_flush(h);
    return n + waiting - h->n > 0;
}
