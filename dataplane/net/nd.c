/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neighbour discovery (RFC 4861), the host's half without routers: solicitations and
 * advertisements.
 *
 *   0      1      2          4                 8          24
 *   | type | code | checksum | flags, reserved | target   | options {type, length/8, ...} ...
 */
#include <string.h>

#include "dataplane/net/private.h"

enum { ND_SOLICIT = 135, ND_ADVERTISE = 136 };
enum { ND_SOLICITED = 0x40, ND_OVERRIDE = 0x20 };
enum { ND_SOURCE_MAC = 1, ND_TARGET_MAC = 2 };

#define ND_OPTION_LEN 8 /* with an Ethernet address */

static const struct addr all_nodes = {{0xff, 2, [15] = 1}};

/* Sends a message with a link-layer option to a group or a known MAC. */
static void nd_send(struct net *n, uint8_t type, uint8_t flags, const struct addr *src,
                    const struct addr *dst, const struct addr *target, const uint8_t to_mac[6],
                    uint64_t *sent)
{
    uint8_t *m = n->scratch + NET_HEADROOM;
    const size_t len = ND_LEN + ND_OPTION_LEN;

    memset(m, 0, 8);
    m[0] = type;
    m[4] = flags;
    memcpy(m + 8, target->b, 16);
    m[24] = type == ND_SOLICIT ? ND_SOURCE_MAC : ND_TARGET_MAC;
    m[25] = 1;
    memcpy(m + 26, n->config.mac, 6);
    uint16_t sum = net_sum_finish(net_sum(m, len, net_sum_pseudo(src, dst, PROTO_ICMPV6, len)));
    memcpy(m + 2, &sum, 2);
    uint8_t *ip = net_write_ip(m, len, src, dst, PROTO_ICMPV6, 255);
    uint8_t *frame = net_write_ether(ip, to_mac, n->config.mac, ETHER_IPV6);
    net_send(n, frame, ETHER_LEN + IPV6_LEN + len, sent);
}

/* RFC 2464 7 */
static void group_mac(const struct addr *group, uint8_t mac[6])
{
    mac[0] = mac[1] = 0x33;
    memcpy(mac + 2, group->b + 12, 4);
}

void net_nd_ask(struct net *n, const struct addr *ip)
{
    struct addr source, group = {{0xff, 2, [11] = 1, [12] = 0xff}};
    uint8_t mac[6];

    if (!net_source(n, ip, &source))
        return;
    memcpy(group.b + 13, ip->b + 13, 3);
    group_mac(&group, mac);
    nd_send(n, ND_SOLICIT, 0, &source, &group, ip, mac, &n->counters.net_solicitations_total);
}

void net_nd_announce(struct net *n, const struct addr *ip)
{
    uint8_t mac[6];
    group_mac(&all_nodes, mac);
    nd_send(n, ND_ADVERTISE, ND_OVERRIDE, ip, &all_nodes, ip, mac,
            &n->counters.net_nd_replies_total);
}

/* The MAC in the option of one type, if any. False: the options are malformed (RFC 4861 4.6). */
static bool find_mac(const uint8_t *options, uint32_t len, uint8_t type, const uint8_t **mac)
{
    *mac = NULL;
    while (len > 0) {
        if (len < 8 || options[1] == 0 || options[1] * 8u > len)
            return false;
        if (options[0] == type && options[1] == 1)
            *mac = options + 2;
        len -= options[1] * 8u;
        options += options[1] * 8u;
    }
    return !*mac || !((*mac)[0] & 1);
}

/* RFC 4861 7.2.3, 7.2.4. False: not valid. */
static bool solicited(struct net *n, const struct net_packet *p, const struct addr *target,
                      const uint8_t *mac, struct now now)
{
    bool probe = addr_is_zero(&p->src); /* duplicate address detection, RFC 4862 5.4 */

    if (probe && (mac || p->dst.b[0] != 0xff || p->dst.b[11] != 1))
        return false;
    if (!net_is_ours(n, target))
        return true; /* someone else's business */
    if (probe) {
        uint8_t to[6];
        group_mac(&all_nodes, to);
        nd_send(n, ND_ADVERTISE, ND_OVERRIDE, target, &all_nodes, target, to,
                &n->counters.net_nd_replies_total);
        return true;
    }
    if (mac && net_on_link(n, &p->src)) {
        struct neighbour *e = neighbour_take(n, &p->src, now);
        if (e->state == NEIGHBOUR_INCOMPLETE || memcmp(e->mac, mac, 6) != 0)
            neighbour_confirm(n, e, mac, false, now);
    }
    nd_send(n, ND_ADVERTISE, ND_SOLICITED | ND_OVERRIDE, target, &p->src, target,
            mac ? mac : p->frame + 6, &n->counters.net_nd_replies_total);
    return true;
}

/* RFC 4861 7.1.2, 7.2.5. False: not valid. */
static bool advertised(struct net *n, const struct net_packet *p, uint8_t flags,
                       const struct addr *target, const uint8_t *mac, struct now now)
{
    bool group = p->dst.b[0] == 0xff;

    if ((group && (flags & ND_SOLICITED)) || addr_is_zero(&p->src))
        return false;
    if (net_is_ours(n, target)) {
        counter_inc(&n->counters.net_conflicts_total);
        return true;
    }
    struct neighbour *e = neighbour_find(n, target);
    /* another worker may have asked: an answer to us makes an entry, an announcement none */
    if (!e && (flags & ND_SOLICITED) && mac && net_on_link(n, target))
        e = neighbour_take(n, target, now);
    if (!e)
        return true;
    if (e->state == NEIGHBOUR_INCOMPLETE) {
        if (mac)
            neighbour_confirm(n, e, mac, (flags & ND_SOLICITED) != 0, now);
        return true;
    }
    bool same = !mac || memcmp(mac, e->mac, 6) == 0;
    if (!same && !(flags & ND_OVERRIDE))
        e->state = NEIGHBOUR_STALE;
    else if (!same || (flags & ND_SOLICITED))
        neighbour_confirm(n, e, mac ? mac : e->mac, (flags & ND_SOLICITED) != 0, now);
    return true;
}

void net_nd_input(struct net *n, const struct net_packet *p, const struct parsed *in,
                  struct now now)
{
    const uint8_t *m = in->l4, *mac;
    struct addr target;
    bool ask = m[0] == ND_SOLICIT;

    /* RFC 4861 7.1.1: 255 proves that no router was in between */
    if (p->hop_limit != 255 || m[1] != 0 || in->l4_len < ND_LEN || m[8] == 0xff ||
        !find_mac(m + ND_LEN, in->l4_len - ND_LEN, ask ? ND_SOURCE_MAC : ND_TARGET_MAC, &mac))
        goto bad;
    memcpy(target.b, m + 8, 16);
    if (addr_is_v4(&target))
        goto bad;
    if (ask ? solicited(n, p, &target, mac, now) : advertised(n, p, m[4], &target, mac, now))
        return;
bad:
    counter_inc(&n->counters.net_drop_nd_total);
}
