/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP (RFC 792, RFC 1122 3.2.2) and ICMPv6 (RFC 4443): echo, "port unreachable", and what routers
 * and hosts say about TCP segments of ours. */
#include <string.h>

#include "dataplane/net/private.h"

enum { ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_ECHO = 8, ICMP_CODE_PORT = 3 };
enum { ICMPV6_UNREACHABLE = 1, ICMPV6_ECHO = 128, ICMPV6_ECHO_REPLY = 129, ICMPV6_CODE_PORT = 4 };

enum { ICMP_TIME = 11, ICMP_PARAMETER = 12, ICMP_CODE_FRAGMENT = 4 };
enum { ICMPV6_TOO_BIG = 2, ICMPV6_TIME = 3, ICMPV6_PARAMETER = 4 };

#define QUOTE_TCP 8 /* ports and sequence number: all that RFC 792 promises */

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

/* The packet that an error quotes, `len` bytes of it: one of ours, TCP, its first fragment (we send
 * no IP options and no extension headers, but a router may have added the former). */
static bool quote_read(const struct net *n, const uint8_t *ip, size_t len, bool v4,
                       struct net_icmp_error *e)
{
    size_t header = v4 ? IPV4_LEN : IPV6_LEN;

    if (len < header + QUOTE_TCP || ip[0] >> 4 != (v4 ? 4 : 6))
        return false;
    if (v4) {
        header = (ip[0] & 15u) * 4u;
        if (header < IPV4_LEN || len < header + QUOTE_TCP || ip[9] != PROTO_TCP ||
            (get16(ip + 6) & 0x1fff) != 0)
            return false;
        e->local.ip = addr_v4(get32(ip + 12));
        e->remote.ip = addr_v4(get32(ip + 16));
    } else {
        if (ip[6] != PROTO_TCP)
            return false;
        memcpy(e->local.ip.b, ip + 8, 16);
        memcpy(e->remote.ip.b, ip + 24, 16);
    }
    const uint8_t *tcp = ip + header;
    e->local.port = get16(tcp);
    e->remote.port = get16(tcp + 2);
    e->seq = get32(tcp + 4);
    /* a mapped address in an IPv6 quote would be taken for IPv4 */
    return e->local.port != 0 && e->remote.port != 0 && addr_is_v4(&e->local.ip) == v4 &&
           addr_is_v4(&e->remote.ip) == v4 && net_is_ours(n, &e->local.ip);
}

/* True: the message is an error, and dealt with. */
static bool error_input(struct net *n, const struct net_packet *p, const struct parsed *in,
                        struct now now)
{
    struct net_counters *c = &n->counters;
    struct net_icmp_error e = {0};

    if (!(in->v4 ? kind_v4(in->l4, &e) : kind_v6(in->l4, &e)))
        return false;
    if (in->group || (p->frame[0] & 1) ||
        !quote_read(n, in->l4 + ICMP_LEN, in->l4_len - ICMP_LEN, in->v4, &e)) {
        counter_inc(&c->net_icmp_quote_bad_total);
        return true;
    }
    if (!rate_take(&n->quotes, now)) {
        counter_inc(&c->net_icmp_quote_limited_total);
        return true;
    }
    counter_inc(&c->net_icmp_quotes_total);
    if (n->host.icmp)
        n->host.icmp(n->host.ctx, &e);
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
