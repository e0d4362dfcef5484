/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARP for Ethernet and IPv4 (RFC 826):
 *
 *   0      2      4     5     6    8            14          18           24          28
 *   | hw 1 | 0800 | 6   | 4   | op | sender MAC | sender IP | target MAC | target IP |
 */
#include <string.h>

#include "dataplane/net/private.h"

enum { ARP_REQUEST = 1, ARP_REPLY = 2 };

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void arp_send(struct net *n, unsigned op, const struct addr *sender, const uint8_t to_mac[6],
                     const struct addr *target, uint64_t *sent)
{
    static const uint8_t start[6] = {0, 1, 8, 0, 6, 4};
    static const uint8_t unknown[6];
    uint8_t *arp = n->scratch + NET_HEADROOM;

    memcpy(arp, start, 6);
    put16(arp + 6, op);
    memcpy(arp + 8, n->config.mac, 6);
    memcpy(arp + 14, sender->b + 12, 4);
    memcpy(arp + 18, op == ARP_REPLY ? to_mac : unknown, 6);
    memcpy(arp + 24, target->b + 12, 4);
    uint8_t *frame = net_write_ether(arp, to_mac, n->config.mac, ETHER_ARP);
    net_send(n, frame, ETHER_LEN + ARP_LEN, sent);
}

void net_arp_ask(struct net *n, const struct addr *ip)
{
    struct addr source;
    if (net_source(n, ip, &source))
        arp_send(n, ARP_REQUEST, &source, broadcast, ip, &n->counters.net_solicitations_total);
}

/* RFC 5227 2.3: an announcement is a request for one's own address */
void net_arp_announce(struct net *n, const struct addr *ip)
{
    arp_send(n, ARP_REQUEST, ip, broadcast, ip, &n->counters.net_solicitations_total);
}

void net_arp_input(struct net *n, const uint8_t *arp, uint32_t len, struct now now)
{
    static const uint8_t start[6] = {0, 1, 8, 0, 6, 4};
    const uint8_t *mac = arp + 8;

    if (len < ARP_LEN || memcmp(arp, start, 6) != 0 || (mac[0] & 1) || get16(arp + 6) < 1 ||
        get16(arp + 6) > 2) {
        counter_inc(&n->counters.net_drop_arp_total);
        return;
    }
    struct addr sender = addr_v4(get32(arp + 14)), target = addr_v4(get32(arp + 24));
    if (net_is_ours(n, &sender)) {
        counter_inc(&n->counters.net_conflicts_total);
        return;
    }
    /* RFC 826, packet reception: update who is known; add who talks to us. A probe (RFC 5227)
     * has no sender address. */
    bool for_us = net_is_ours(n, &target);
    if (arp[14] != 0 && arp[14] != 127 && arp[14] < 224 && net_on_link(n, &sender)) {
        struct neighbour *e = for_us ? neighbour_take(n, &sender, now) : neighbour_find(n, &sender);
        if (e)
            neighbour_confirm(n, e, mac, true, now);
    }
    if (for_us && get16(arp + 6) == ARP_REQUEST)
        arp_send(n, ARP_REPLY, &target, mac, &sender, &n->counters.net_arp_replies_total);
}
