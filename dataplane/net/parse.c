/* SPDX-License-Identifier: BSD-3-Clause */
/* From the Ethernet header to the L4 header. Touches headers only; sums come later, when the
 * whole burst has been parsed and its lines are on the way. */
#include <string.h>

#include "dataplane/net/private.h"

#define EXTENSIONS 4 /* IPv6 extension headers that are followed */

static void drop(struct net_packet *p, uint64_t *counter)
{
    counter_inc(counter);
    p->kind = NET_DROP;
}

/* RFC 791 3.1 options. Source routes are refused (RFC 7126 4.3), the others have no effect. */
static uint64_t *check_options(struct net_counters *c, const uint8_t *o, unsigned len)
{
    while (len > 0) {
        if (o[0] == 0) /* end of list */
            return NULL;
        unsigned n = 1; /* no operation */
        if (o[0] != 1) {
            if (len < 2 || o[1] < 2 || o[1] > len)
                return &c->net_drop_header_total;
            if (o[0] == 131 || o[0] == 137)
                return &c->net_drop_source_route_total;
            n = o[1];
        }
        o += n;
        len -= n;
    }
    return NULL;
}

static void parse_ipv4(struct net *n, struct net_packet *p, struct parsed *out)
{
    struct net_counters *c = &n->counters;
    uint8_t *ip = p->frame + ETHER_LEN;
    uint32_t left = p->frame_len - ETHER_LEN;

    if (left < IPV4_LEN || ip[0] >> 4 != 4)
        return drop(p, &c->net_drop_header_total);
    unsigned header = (ip[0] & 15u) * 4;
    unsigned total = get16(ip + 2);
    if (header < IPV4_LEN || header > total || total > left)
        return drop(p, &c->net_drop_header_total);
    if (!p->checksum_good && net_sum_finish(net_sum(ip, header, 0)) != 0)
        return drop(p, &c->net_drop_ip_checksum_total);
    uint64_t *why = check_options(c, ip + IPV4_LEN, header - IPV4_LEN);
    if (why)
        return drop(p, why);
    if (get16(ip + 6) & 0x3fff) /* more fragments, or an offset */
        return drop(p, &c->net_drop_fragment_total);

    p->src = addr_mapped(ip + 12);
    p->dst = addr_mapped(ip + 16);
    p->tos = ip[1];
    p->hop_limit = ip[8];
    out->v4 = true;
    out->protocol = ip[9];
    out->l4 = ip + header;
    out->l4_len = total - header;

    /* RFC 1122 3.2.1.3: what no source may be */
    uint32_t src, dst;
    memcpy(&src, ip + 12, 4);
    memcpy(&dst, ip + 16, 4);
    if (ip[12] == 0 || ip[12] == 127 || ip[12] >= 224 || v4_kind(n, src) != V4_OTHER)
        return drop(p, &c->net_drop_source_total);
    enum v4_kind to = dst ? v4_kind(n, dst) : V4_OTHER;
    if (to == V4_OURS)
        return;
    if (to == V4_BROADCAST || ip[16] >= 224)
        return drop(p, &c->net_drop_group_total);
    counter_inc(&c->net_not_ours_total);
    p->kind = NET_NOT_OURS;
}

/* RFC 8200 4.2: an option not known is skipped when the top two bits of its type are 0, else
 * the packet is dropped. */
static bool options_skippable(const uint8_t *o, unsigned len)
{
    while (len > 0) {
        if (o[0] == 0) { /* Pad1 */
            o++;
            len--;
            continue;
        }
        if (len < 2 || o[1] > len - 2 || o[0] >> 6 != 0)
            return false;
        len -= 2u + o[1];
        o += 2u + o[1];
    }
    return true;
}

static uint64_t *skip_extensions(struct net_counters *c, struct parsed *out)
{
    for (unsigned i = 0;; i++) {
        switch (out->protocol) {
        case PROTO_TCP:
        case PROTO_UDP:
        case PROTO_ICMPV6:
            return NULL;
        case PROTO_ROUTE:
            return &c->net_drop_source_route_total;
        case PROTO_FRAG:
            return &c->net_drop_fragment_total;
        case PROTO_HOPOPT: /* only right behind the IPv6 header, RFC 8200 4.1 */
            if (i > 0)
                return &c->net_drop_extension_total;
            break;
        case PROTO_DSTOPT:
            break;
        default:
            return &c->net_drop_extension_total;
        }
        if (i == EXTENSIONS)
            return &c->net_drop_extension_total;
        if (out->l4_len < 8)
            return &c->net_drop_header_total;
        unsigned len = 8u * (out->l4[1] + 1u);
        if (len > out->l4_len)
            return &c->net_drop_header_total;
        if (!options_skippable(out->l4 + 2, len - 2))
            return &c->net_drop_extension_total;
        out->protocol = out->l4[0];
        out->l4 += len;
        out->l4_len -= len;
    }
}

/* All nodes, or the solicited-node group of an address of ours (RFC 4291 2.7.1). */
static bool is_our_group(const struct net *n, const struct addr *dst)
{
    static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
    static const uint8_t solicited[13] = {0xff, 2, [11] = 1, [12] = 0xff};

    if (memcmp(dst->b, all_nodes, 16) == 0)
        return true;
    if (memcmp(dst->b, solicited, 13) != 0)
        return false;
    for (unsigned i = 0; i < n->owns; i++)
        if (!n->own[i].v4 && memcmp(dst->b + 13, n->own[i].ip.b + 13, 3) == 0)
            return true;
    return false;
}

static void parse_ipv6(struct net *n, struct net_packet *p, struct parsed *out)
{
    struct net_counters *c = &n->counters;
    uint8_t *ip = p->frame + ETHER_LEN;
    uint32_t left = p->frame_len - ETHER_LEN;

    if (left < IPV6_LEN || ip[0] >> 4 != 6 || get16(ip + 4) > left - IPV6_LEN)
        return drop(p, &c->net_drop_header_total);
    memcpy(p->src.b, ip + 8, 16);
    memcpy(p->dst.b, ip + 24, 16);
    p->tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
    p->hop_limit = ip[7];
    out->protocol = ip[6];
    out->l4 = ip + IPV6_LEN;
    out->l4_len = get16(ip + 4);

    /* RFC 4291 2.5.2, 2.5.3, 2.7; an IPv4-mapped address on the wire would be taken for IPv4 */
    static const uint8_t loopback[16] = {[15] = 1};
    if (p->src.b[0] == 0xff || memcmp(p->src.b, loopback, 16) == 0 || addr_is_v4(&p->src) ||
        net_is_ours(n, &p->src) || (addr_is_zero(&p->src) && out->protocol != PROTO_ICMPV6))
        return drop(p, &c->net_drop_source_total);
    if (addr_is_v4(&p->dst) || memcmp(p->dst.b, loopback, 16) == 0 || addr_is_zero(&p->dst))
        return drop(p, &c->net_drop_header_total);
    if (p->dst.b[0] == 0xff) {
        if (!is_our_group(n, &p->dst))
            return drop(p, &c->net_drop_group_total);
        out->group = true;
    } else if (!net_is_ours(n, &p->dst)) {
        counter_inc(&c->net_not_ours_total);
        p->kind = NET_NOT_OURS;
        return;
    }
    uint64_t *why = skip_extensions(c, out);
    if (why)
        return drop(p, why);
}

/* Ports and exact lengths of what goes to the services. */
static void parse_l4(struct net *n, struct net_packet *p, struct parsed *out)
{
    struct net_counters *c = &n->counters;
    bool group = out->group || (p->frame[0] & 1); /* RFC 1122 3.3.6: link broadcast too */

    switch (out->protocol) {
    case PROTO_UDP:
        if (group)
            return drop(p, &c->net_drop_group_total);
        if (out->l4_len < UDP_LEN || get16(out->l4 + 4) < UDP_LEN ||
            get16(out->l4 + 4) > out->l4_len)
            return drop(p, &c->net_drop_l4_total);
        out->l4_len = get16(out->l4 + 4); /* what trails is padding */
        p->kind = NET_UDP;
        p->payload = out->l4 + UDP_LEN;
        p->payload_len = out->l4_len - UDP_LEN;
        break;
    case PROTO_TCP:
        if (group)
            return drop(p, &c->net_drop_group_total);
        if (out->l4_len < TCP_LEN)
            return drop(p, &c->net_drop_l4_total);
        p->kind = NET_TCP;
        p->payload = out->l4;
        p->payload_len = out->l4_len;
        break;
    case PROTO_ICMP:
    case PROTO_ICMPV6:
        if ((out->protocol == PROTO_ICMP) != out->v4)
            return drop(p, &c->net_drop_protocol_total);
        return;
    default:
        return drop(p, &c->net_drop_protocol_total);
    }
    p->sport = get16(out->l4);
    p->dport = get16(out->l4 + 2);
}

void net_parse(struct net *n, struct net_packet *p, struct parsed *out)
{
    struct net_counters *c = &n->counters;

    out->protocol = 0;
    out->group = out->v4 = false;
    out->l4 = NULL;
    out->l4_len = 0;
    p->kind = NET_CONSUMED;
    p->payload = NULL;
    p->payload_len = 0;
    p->sport = p->dport = 0;
    if (p->frame_len < ETHER_LEN)
        return drop(p, &c->net_drop_frame_total);
    /* ours, or a group; never from a group, never our own frame come back */
    if ((!(p->frame[0] & 1) && memcmp(p->frame, n->config.mac, 6) != 0) || (p->frame[6] & 1) ||
        memcmp(p->frame + 6, n->config.mac, 6) == 0)
        return drop(p, &c->net_drop_mac_total);

    switch (get16(p->frame + 12)) {
    case ETHER_ARP:
        out->l4 = p->frame + ETHER_LEN;
        out->l4_len = p->frame_len - ETHER_LEN;
        return;
    case ETHER_IPV4:
        parse_ipv4(n, p, out);
        break;
    case ETHER_IPV6:
        parse_ipv6(n, p, out);
        break;
    case ETHER_VLAN:
    case ETHER_QINQ:
        return drop(p, &c->net_drop_vlan_total);
    default:
        return drop(p, &c->net_drop_frame_total);
    }
    if (p->kind == NET_CONSUMED)
        parse_l4(n, p, out);
}
