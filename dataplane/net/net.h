/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ethernet, ARP (RFC 826), IPv6 neighbour discovery (RFC 4861), IPv4 (RFC 791), IPv6 (RFC 8200),
 * ICMP (RFC 792, 1122) and ICMPv6 (RFC 4443), UDP (RFC 768): the part of a host that is
 * the same for every protocol above. It does no I/O: frames are (pointer, length), what it wants
 * sent goes through `net_host`. One `struct net` a worker and port.
 *
 * Dropped and counted, by reason: IP fragments, IPv4 source routes, unknown IPv6 extension headers,
 * bad checksums, bad lengths, frames that are not for us.
 */
#ifndef CORAL_NET_H
#define CORAL_NET_H

#include <endian.h>

#include "base/addr.h"
#include "base/now.h"
#include "dataplane/net/counters.h"

#define NET_BURST      32
#define NET_HEADROOM   64 /* Ethernet 14 + VLAN 4 + IPv6 40, rounded */
#define NET_ADDRESSES  16 /* of ours on one port */
#define NET_NEIGHBOURS 1024

/* What net_input found in a frame. */
enum net_kind {
    NET_DROP,     /* counted; nothing to do */
    NET_CONSUMED, /* ARP, ND, ICMP: answered or taken in */
    NET_UDP,
    NET_TCP,
    NET_NOT_OURS, /* for an address that is not ours: the exception path's, later */
};

struct net_packet {
    uint8_t *frame;     /* in: from the Ethernet header on */
    uint32_t frame_len; /* in */
    bool checksum_good; /* in: the port has verified IP and L4 checksums */
    enum net_kind kind; /* out */
    struct addr src, dst;
    uint16_t sport, dport; /* UDP and TCP; host order */
    uint8_t *payload;      /* UDP: data; TCP: the TCP header */
    uint32_t payload_len;  /* exact, by the IP header; Ethernet padding left out */
    uint8_t tos, hop_limit;
};

struct net_address {
    struct addr ip;
    uint8_t prefix; /* in bits of its family */
};

struct net_config {
    uint8_t mac[6];
    uint16_t mtu;
    unsigned addresses;
    struct net_address address[NET_ADDRESSES];
    struct addr gateway_v4, gateway_v6; /* zero: none */
};

enum net_icmp_kind { NET_ICMP_UNREACHABLE, NET_ICMP_TOO_BIG, NET_ICMP_TIME, NET_ICMP_PARAMETER };

/* An ICMP error about a TCP segment of ours, as its quote has it. Anybody can forge one: whoever
 * takes it compares with what it really sent (RFC 5927 4). */
struct net_icmp_error {
    struct endpoint local, remote; /* local: an address of ours */
    uint32_t seq;                  /* the quoted segment's */
    uint16_t mtu;                  /* TOO_BIG: the next hop's; 0: not told, or no packet size */
    uint8_t kind;                  /* enum net_icmp_kind */
    bool hard;                     /* RFC 9293 3.9.2.2: the peer will not be reached by this */
};

/* What a router or the far end says of a datagram of ours, as its quote has it: its time was
 * exceeded on the way (RFC 792 type 11 code 0, RFC 4443 3.3 code 0), or nobody listens there. Can
 * be forged as the above. */
struct net_icmp_datagram {
    struct addr from;         /* who says so */
    struct endpoint remote;   /* where the datagram went */
    uint16_t local_port, len; /* its source port and UDP length, header included */
    bool port_unreachable;    /* else its time was exceeded */
};

struct net_host {
    void *ctx;
    /* Sends a frame that net made (ARP, ND, ICMP): copied by the host. May be refused. */
    bool (*send)(void *ctx, const void *frame, size_t len);
    /* A neighbour answered: the host tells the other workers, who call net_neighbour_set. */
    void (*learned)(void *ctx, const struct addr *ip, const uint8_t mac[6]);
    /* An ICMP error quotes a TCP segment of ours; at most 1000 a second come. NULL: none wanted. */
    void (*icmp)(void *ctx, const struct net_icmp_error *error);
    /* The same of a datagram, two kinds only; at most 100 a second come. NULL: none wanted. */
    void (*icmp_datagram)(void *ctx, const struct net_icmp_datagram *error);
};

struct net; /* with its neighbour table */

struct net *net_create(const struct net_config *config, const struct net_host *host);
void net_destroy(struct net *n);

/* Parses a burst; answers ARP, ND and echo requests through the host. count <= NET_BURST. */
void net_input(struct net *n, struct net_packet *packets, unsigned count, struct now now);

bool net_is_ours(const struct net *n, const struct addr *ip);
/* Our address that talks to `dst`: the one in its subnet, else the first of its family. False:
 * we have none of that family. */
bool net_source(const struct net *n, const struct addr *dst, struct addr *out);

/*
 * Writes Ethernet and IP headers in front of an L4 packet: `l4` points at the L4 header and has
 * NET_HEADROOM writable bytes before it; `l4_len` counts L4 header and data. TCP and UDP
 * checksums are the caller's (net_l4_checksum). Returns the frame's start, or NULL when the next
 * hop's MAC is not known yet: a solicitation has been sent (rate-limited), try again later.
 */
uint8_t *net_output(struct net *n, uint8_t *l4, size_t l4_len, const struct addr *src,
                    const struct addr *dst, uint8_t protocol, struct now now);

/* Does net_output know at once where packets to `dst` go? Of somebody not written to yet it says
 * false. */
bool net_resolved(const struct net *n, const struct addr *dst);
/* Sets the length of what follows in the IP header that net_output wrote before `l4`. */
void net_set_length(uint8_t *l4, bool v4, size_t l4_len);
/* Sets the ECN field (RFC 3168 5) in the IP header that net_output wrote before `l4`. */
void net_mark_ecn(uint8_t *l4, bool v4, uint8_t ecn);
/* Sets the TTL or hop limit there. */
void net_mark_hop_limit(uint8_t *l4, bool v4, uint8_t hop_limit);

/* One's-complement sum of the pseudo header of (src, dst, protocol, l4_len); RFC 793, RFC 8200
 * 8.1. And of bytes. Sums are partial (not folded, not inverted) and can be added; a part with an
 * odd length must be the last, or be followed by net_sum_odd. */
uint64_t net_sum_pseudo(const struct addr *src, const struct addr *dst, uint8_t protocol,
                        size_t l4_len);
uint64_t net_sum(const void *data, size_t len, uint64_t sum);
/* What the length adds to a pseudo header's sum that was made with 0. */
static inline uint64_t net_sum_length(size_t l4_len)
{
    return htobe16((uint16_t)l4_len); /* in the memory's order, as all sums are */
}
/* Copies and sums in one pass over the data. */
uint64_t net_sum_copy(void *to, const void *from, size_t len, uint64_t sum);
/* The sum of a part that stands at an odd offset: its bytes swapped. */
uint64_t net_sum_odd(uint64_t part);
/* Folds and inverts, in network order as stored in a header. */
uint16_t net_sum_finish(uint64_t sum);

/* Fills a UDP header in front of `len` bytes of data, checksum included (RFC 768: 0 becomes
 * 0xffff). `udp` is the header's place. */
void net_udp_header(uint8_t *udp, uint16_t sport, uint16_t dport, const struct addr *src,
                    const struct addr *dst, size_t len, bool checksum);

/*
 * Answers a UDP or TCP packet from net_input that no service of ours takes with "port
 * unreachable" (RFC 1122 3.2.2.1, RFC 4443 3.1), quoting it. Rate-limited (RFC 4443 2.4 f); the
 * frame must still be as net_input left it. TCP answers with a reset of its own instead.
 */
void net_unreachable(struct net *n, const struct net_packet *p, struct now now);

void net_neighbour_set(struct net *n, const struct addr *ip, const uint8_t mac[6], struct now now);
/* Announces our addresses (gratuitous ARP, unsolicited NA), at start. */
void net_announce(struct net *n);
/* Re-asks ageing neighbours; call about once a second. */
void net_tick(struct net *n, struct now now);

const struct net_counters *net_counters(const struct net *n);

#endif
