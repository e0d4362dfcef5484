/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP (RFC 792, RFC 1122 3.2.2) and ICMPv6 (RFC 4443): echo, "port unreachable". */
#include <string.h>

#include "dataplane/net/private.h"

enum { ICMP_ECHO_REPLY = 0, ICMP_UNREACHABLE = 3, ICMP_ECHO = 8, ICMP_CODE_PORT = 3 };
enum { ICMPV6_UNREACHABLE = 1, ICMPV6_ECHO = 128, ICMPV6_ECHO_REPLY = 129, ICMPV6_CODE_PORT = 4 };

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
