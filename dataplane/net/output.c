/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers in front of what leaves: next hop, Ethernet, IP, UDP. */
#include <endian.h>
#include <string.h>

#include "dataplane/net/private.h"

uint8_t *net_write_ether(uint8_t *ip, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
    uint8_t *frame = ip - ETHER_LEN;
    memcpy(frame, dst, 6);
    memcpy(frame + 6, src, 6);
    put16(frame + 12, type);
    return frame;
}

uint8_t *net_write_ip(uint8_t *l4, size_t l4_len, const struct addr *src, const struct addr *dst,
                      uint8_t protocol, uint8_t hop_limit)
{
    if (!addr_is_v4(dst)) {
        uint8_t *ip = l4 - IPV6_LEN;
        memset(ip, 0, 4);
        ip[0] = 0x60;
        put16(ip + 4, (unsigned)l4_len);
        ip[6] = protocol;
        ip[7] = hop_limit;
        memcpy(ip + 8, src->b, 16);
        memcpy(ip + 24, dst->b, 16);
        return ip;
    }
    uint8_t *ip = l4 - IPV4_LEN;
    ip[0] = 0x45;
    ip[1] = 0;
    put16(ip + 2, (unsigned)(l4_len + IPV4_LEN));
    put16(ip + 4, 0);      /* RFC 6864 4.1: with DF the identification has no meaning */
    put16(ip + 6, 0x4000); /* DF */
    ip[8] = hop_limit;
    ip[9] = protocol;
    const uint32_t from = addr_get_v4_be(src), to = addr_get_v4_be(dst);
    memcpy(ip + 12, &from, 4);
    memcpy(ip + 16, &to, 4);
    /* of the words as they are at hand: to read back what was just written in other sizes has to
     * wait for it */
    uint64_t words = htobe16(0x4500) + htobe16((uint16_t)(l4_len + IPV4_LEN)) + htobe16(0x4000) +
                     htobe16((uint16_t)(hop_limit << 8 | protocol));
    uint16_t sum = net_sum_finish(words + from + to);
    memcpy(ip + 10, &sum, 2);
    return ip;
}

/* The next hop: the destination on our link, else the gateway of its family; NULL: no route. */
static const struct addr *next_hop(struct net *n, const struct addr *dst)
{
    if (addr_is_v4(dst) ? dst->b[12] >= 224 : dst->b[0] == 0xff)
        return NULL; /* no service of ours speaks to groups */
    if (net_on_link(n, dst))
        return dst;
    const struct addr *gateway = addr_is_v4(dst) ? &n->config.gateway_v4 : &n->config.gateway_v6;
    return addr_is_zero(gateway) ? NULL : gateway;
}

/* The next hop's entry, made if there is none; NULL: no route. Where somebody is reached does not
 * change but with the table, and of the few that are written to most are asked for again. */
static struct neighbour *route(struct net *n, const struct addr *dst, struct now now)
{
    struct route *r = &n->route[dst->b[15] % NET_ROUTES];
    if (r->hop && addr_eq(&r->dst, dst))
        return r->hop;
    const struct addr *hop = next_hop(n, dst);
    if (!hop)
        return NULL;
    struct neighbour *e = neighbour_take(n, hop, now); /* which may forget routes */
    *r = (struct route){*dst, e};
    return e;
}

bool net_resolved(const struct net *n, const struct addr *dst)
{
    const struct route *r = &n->route[dst->b[15] % NET_ROUTES];
    return r->hop && addr_eq(&r->dst, dst) && r->hop->state != NEIGHBOUR_INCOMPLETE;
}

uint8_t *net_output(struct net *n, uint8_t *l4, size_t l4_len, const struct addr *src,
                    const struct addr *dst, uint8_t protocol, struct now now)
{
    struct neighbour *e = route(n, dst, now);
    bool v4 = addr_is_v4(dst);

    if (!e || l4_len + (v4 ? IPV4_LEN : IPV6_LEN) > 65535) {
        counter_inc(&n->counters.net_no_route_total);
        return NULL;
    }
    e->used_us = now.mono_us;
    if (e->state == NEIGHBOUR_INCOMPLETE) {
        counter_inc(&n->counters.net_unresolved_total);
        neighbour_ask(n, e, now);
        return NULL;
    }
    uint8_t *ip = net_write_ip(l4, l4_len, src, dst, protocol, NET_HOP_LIMIT);
    return net_write_ether(ip, e->mac, n->config.mac, v4 ? ETHER_IPV4 : ETHER_IPV6);
}

static void sum_again(uint8_t *ip)
{
    put16(ip + 10, 0);
    uint16_t sum = net_sum_finish(net_sum(ip, IPV4_LEN, 0));
    memcpy(ip + 10, &sum, 2);
}

void net_set_length(uint8_t *l4, bool v4, size_t l4_len)
{
    if (!v4) {
        put16(l4 - IPV6_LEN + 4, (unsigned)l4_len);
        return;
    }
    put16(l4 - IPV4_LEN + 2, (unsigned)(l4_len + IPV4_LEN));
    sum_again(l4 - IPV4_LEN);
}

void net_mark_ecn(uint8_t *l4, bool v4, uint8_t ecn)
{
    if (ecn == 0)
        return;
    if (!v4) {
        l4[1 - IPV6_LEN] |= (uint8_t)(ecn << 4);
        return;
    }
    uint8_t *ip = l4 - IPV4_LEN;
    ip[1] |= ecn;
    sum_again(ip);
}

void net_mark_hop_limit(uint8_t *l4, bool v4, uint8_t hop_limit)
{
    if (!v4) {
        l4[7 - IPV6_LEN] = hop_limit;
        return;
    }
    uint8_t *ip = l4 - IPV4_LEN;
    ip[8] = hop_limit;
    sum_again(ip);
}

void net_udp_header(uint8_t *udp, uint16_t sport, uint16_t dport, const struct addr *src,
                    const struct addr *dst, size_t len, bool checksum)
{
    put16(udp, sport);
    put16(udp + 2, dport);
    put16(udp + 4, (unsigned)(len + UDP_LEN));
    put16(udp + 6, 0);
    if (!checksum)
        return;
    /* of the words at hand, as above */
    uint64_t sum = net_sum_pseudo(src, dst, PROTO_UDP, len + UDP_LEN) + htobe16(sport) +
                   (uint64_t)htobe16(dport) + htobe16((uint16_t)(len + UDP_LEN));
    uint16_t field = net_sum_finish(net_sum(udp + UDP_LEN, len, sum));
    if (field == 0)
        field = 0xffff;
    memcpy(udp + 6, &field, 2);
}
