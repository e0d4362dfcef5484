/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP (RFC 792, RFC 1122 3.2.2) and ICMPv6 (RFC 4443): echo, "port unreachable", and what routers
 * and hosts say about segments and datagrams of ours. */
#include <string.h>

#include "dataplane/net/private.h"

enum { ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_ECHO = 8, ICMP_CODE_PORT = 3 };
enum { ICMPV6_UNREACHABLE = 1, ICMPV6_ECHO = 128, ICMPV6_ECHO_REPLY = 129, ICMPV6_CODE_PORT = 4 };

enum { ICMP_TIME = 11, ICMP_PARAMETER = 12, ICMP_CODE_FRAGMENT = 4 };
enum { ICMPV6_TOO_BIG = 2, ICMPV6_TIME = 3, ICMPV6_PARAMETER = 4 };

/* all that RFC 792 promises: of TCP ports and sequence number, of UDP the header */
#define QUOTE_L4 8

/* largest error packets: RFC 1812 4.3.2.3, RFC 4443 2.4 c */
#define ICMP_ERROR_V4 576
#define ICMP_ERROR_V6 1280

/* Sums and sends the ICMP message of `len` bytes that stands in scratch. */
static void icmp_send(struct net *n, size_t len, const struct addr *src, const struct addr *dst,
                      uint64_t *sent, struct now now)
{
    uint8_t *m = n->scratch + NET_HEADROOM;
    bool v4 = addr_is_v4(dst);
    uint8_t protocol = v4 ? PROTO_ICMP : PROTO_ICMPV6;

    put16(m + 2, 0);
    uint16_t sum =
        net_sum_finish(net_sum(m, len, v4 ? 0 : net_sum_pseudo(src, dst, protocol, len)));
    memcpy(m + 2, &sum, 2);
    /* a solicitation for an unknown hop is built in scratch too: then nothing is sent */
    uint8_t *frame = net_output(n, m, len, src, dst, protocol, now);
    if (frame)
        net_send(n, frame, len + (size_t)(m - frame), sent);
}

/* RFC 9293 3.9.2.2: unreachable 2 to 4 are hard; the rest, source quench (RFC 6633) apart, is
 * advice. */
static bool kind_v4(const uint8_t *m, struct net_icmp_error *e)
{
    switch (m[0]) {
    case ICMP_UNREACHABLE:
        e->hard = m[1] >= 2 && m[1] <= 4;
        e->kind = NET_ICMP_UNREACHABLE;
        if (m[1] == ICMP_CODE_FRAGMENT) { /* RFC 1191 4 */
            e->kind = NET_ICMP_TOO_BIG;
            e->mtu = get16(m + 6);
        }
        return true;
    case ICMP_TIME:
        e->kind = NET_ICMP_TIME;
        return true;
    case ICMP_PARAMETER:
        e->kind = NET_ICMP_PARAMETER;
        return true;
    default:
        return false;
    }
}

/* RFC 4443 3; administratively prohibited (1) and port unreachable (4) are hard */
static bool kind_v6(const uint8_t *m, struct net_icmp_error *e)
{
    uint32_t mtu = get32(m + 4);

    switch (m[0]) {
    case ICMPV6_UNREACHABLE:
        e->hard = m[1] == 1 || m[1] == ICMPV6_CODE_PORT;
        e->kind = NET_ICMP_UNREACHABLE;
        return true;
    case ICMPV6_TOO_BIG:
        e->kind = NET_ICMP_TOO_BIG;
        e->mtu = mtu <= UINT16_MAX ? (uint16_t)mtu : 0;
        return true;
    case ICMPV6_TIME:
        e->kind = NET_ICMP_TIME;
        return true;
    case ICMPV6_PARAMETER:
        e->kind = NET_ICMP_PARAMETER;
        return true;
    default:
        return false;
    }
}

/* The packet that an error quotes. */
struct quote {
    struct endpoint local, remote; /* local: an address of ours */
    uint8_t protocol;              /* TCP or UDP */
    const uint8_t *l4;             /* QUOTE_L4 bytes of it */
};

/* Reads `len` bytes of a quoted packet: one of ours, its first fragment (we send no IP options and
 * no extension headers, but a router may have added the former). */
static bool quote_read(const struct net *n, const uint8_t *ip, size_t len, bool v4, struct quote *q)
{
    size_t header = v4 ? IPV4_LEN : IPV6_LEN;

    if (len < header + QUOTE_L4 || ip[0] >> 4 != (v4 ? 4 : 6))
        return false;
    if (v4) {
        header = (ip[0] & 15u) * 4u;
        if (header < IPV4_LEN || len < header + QUOTE_L4 || (get16(ip + 6) & 0x1fff) != 0)
            return false;
        q->protocol = ip[9];
        q->local.ip = addr_v4(get32(ip + 12));
        q->remote.ip = addr_v4(get32(ip + 16));
    } else {
        q->protocol = ip[6];
        memcpy(q->local.ip.b, ip + 8, 16);
        memcpy(q->remote.ip.b, ip + 24, 16);
    }
    q->l4 = ip + header;
    q->local.port = get16(q->l4);
    q->remote.port = get16(q->l4 + 2);
    /* a mapped address in an IPv6 quote would be taken for IPv4 */
    return (q->protocol == PROTO_TCP || q->protocol == PROTO_UDP) && q->local.port != 0 &&
           q->remote.port != 0 && addr_is_v4(&q->local.ip) == v4 &&
           addr_is_v4(&q->remote.ip) == v4 && net_is_ours(n, &q->local.ip);
}

static void segment_error(struct net *n, const struct quote *q, struct net_icmp_error *e,
                          struct now now)
{
    struct net_counters *c = &n->counters;

    if (!rate_take(&n->quotes, now)) {
        counter_inc(&c->net_icmp_quote_limited_total);
        return;
    }
    counter_inc(&c->net_icmp_quotes_total);
    e->local = q->local;
    e->remote = q->remote;
    e->seq = get32(q->l4 + 4);
    if (n->host.icmp)
        n->host.icmp(n->host.ctx, e);
}

static void datagram_error(struct net *n, const struct net_packet *p, const struct parsed *in,
                           const struct quote *q, struct now now)
{
    struct net_counters *c = &n->counters;
    uint8_t type = in->l4[0], code = in->l4[1];
    bool expired = type == (in->v4 ? ICMP_TIME : ICMPV6_TIME) && code == 0;
    bool port = type == (in->v4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE) &&
                code == (in->v4 ? ICMP_CODE_PORT : ICMPV6_CODE_PORT);

    if (!n->host.icmp_datagram || (!expired && !port)) {
        counter_inc(&c->net_icmp_ignored_total);
        return;
    }
    if (!rate_take(&n->datagram_quotes, now)) {
        counter_inc(&c->net_icmp_quote_limited_total);
        return;
    }
    counter_inc(&c->net_icmp_datagram_quotes_total);
    const struct net_icmp_datagram e = {
        .from = p->src,
        .remote = q->remote,
        .local_port = q->local.port,
        .len = get16(q->l4 + 4),
        .port_unreachable = port,
    };
    n->host.icmp_datagram(n->host.ctx, &e);
}

/* True: the message is an error, and dealt with. */
static bool error_input(struct net *n, const struct net_packet *p, const struct parsed *in,
                        struct now now)
{
    struct net_icmp_error e = {0};
    struct quote q;

    if (!(in->v4 ? kind_v4(in->l4, &e) : kind_v6(in->l4, &e)))
        return false;
    if (in->group || (p->frame[0] & 1) ||
        !quote_read(n, in->l4 + ICMP_LEN, in->l4_len - ICMP_LEN, in->v4, &q))
        counter_inc(&n->counters.net_icmp_quote_bad_total);
    else if (q.protocol == PROTO_TCP)
        segment_error(n, &q, &e, now);
    else
        datagram_error(n, p, in, &q, now);
    return true;
}

void net_icmp_input(struct net *n, const struct net_packet *p, const struct parsed *in,
                    struct now now)
{
    struct net_counters *c = &n->counters;

    if (in->l4_len < ICMP_LEN) {
        counter_inc(&c->net_drop_l4_total);
        return;
    }
    uint8_t type = in->l4[0];
    if (!in->v4 && (type == 135 || type == 136)) {
        net_nd_input(n, p, in, now);
        return;
    }
    if (error_input(n, p, in, now))
        return;
    if (type != (in->v4 ? ICMP_ECHO : ICMPV6_ECHO) || in->l4[1] != 0) {
        counter_inc(&c->net_icmp_ignored_total);
        return;
    }
    /* RFC 1122 3.2.2.6 lets a host ignore broadcast echo; we do, for multicast too (smurf) */
    if (in->group || (p->frame[0] & 1) || addr_is_zero(&p->src)) {
        counter_inc(&c->net_drop_group_total);
        return;
    }
    if (in->l4_len > n->scratch_size - NET_HEADROOM) {
        counter_inc(&c->net_icmp_ignored_total);
        return;
    }
    uint8_t *m = n->scratch + NET_HEADROOM;
    memcpy(m, in->l4, in->l4_len);
    m[0] = in->v4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY;
    icmp_send(n, in->l4_len, &p->dst, &p->src, &c->net_echo_replies_total, now);
}

void net_unreachable(struct net *n, const struct net_packet *p, struct now now)
{
    if (p->kind != NET_UDP && p->kind != NET_TCP)
        return;
    if (!rate_take(&n->errors, now)) {
        counter_inc(&n->counters.net_icmp_errors_limited_total);
        return;
    }
    bool v4 = addr_is_v4(&p->dst);
    uint8_t *m = n->scratch + NET_HEADROOM;
    const uint8_t *ip = p->frame + ETHER_LEN;
    size_t most = v4 ? ICMP_ERROR_V4 - IPV4_LEN - ICMP_LEN : ICMP_ERROR_V6 - IPV6_LEN - ICMP_LEN;
    size_t quote = v4 ? get16(ip + 2) : (size_t)get16(ip + 4) + IPV6_LEN;

    if (quote > most)
        quote = most;
    memset(m, 0, ICMP_LEN);
    m[0] = v4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE;
    m[1] = v4 ? ICMP_CODE_PORT : ICMPV6_CODE_PORT;
    memcpy(m + ICMP_LEN, ip, quote);
    icmp_send(n, ICMP_LEN + quote, &p->dst, &p->src, &n->counters.net_icmp_errors_total, now);
}
