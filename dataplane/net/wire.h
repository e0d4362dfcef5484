/* SPDX-License-Identifier: BSD-3-Clause */
/* Constants of the wire formats, and integers in network order. Private to dataplane/net. */
#ifndef CORAL_NET_WIRE_H
#define CORAL_NET_WIRE_H

#include <stdint.h>

#define ETHER_LEN    14
#define ETHER_IPV4   0x0800
#define ETHER_ARP    0x0806
#define ETHER_VLAN   0x8100 /* 802.1Q */
#define ETHER_QINQ   0x88a8 /* 802.1ad */
#define ETHER_IPV6   0x86dd
#define IPV4_LEN     20 /* without options */
#define IPV6_LEN     40
#define UDP_LEN      8
#define TCP_LEN      20 /* without options */
#define ICMP_LEN     8
#define ARP_LEN      28 /* Ethernet and IPv4 */
#define ND_LEN       24 /* solicitation and advertisement without options */
#define PROTO_HOPOPT 0
#define PROTO_ICMP   1
#define PROTO_TCP    6
#define PROTO_UDP    17
#define PROTO_ROUTE  43
#define PROTO_FRAG   44
#define PROTO_ICMPV6 58
#define PROTO_DSTOPT 60

static inline uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

#endif
