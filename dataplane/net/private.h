/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of dataplane/net share. */
#ifndef CORAL_NET_PRIVATE_H
#define CORAL_NET_PRIVATE_H

#include <assert.h>

#include "dataplane/net/net.h"
#include "dataplane/net/wire.h"

#define NET_HOP_LIMIT 64

/* An address of ours and its subnet, as words: a match is one masked comparison. */
struct own {
    struct addr ip;
    uint64_t net[2], mask[2];
    bool v4, link_local;
    uint8_t prefix; /* in bits of its family */
};

/* One of IPv4, all in network order, as packets have it. */
struct own_v4 {
    uint32_t ip, mask, broadcast; /* of the subnet (RFC 922); 0: it has none */
};

/* A token bucket: `per_s` a second, saved up to `per_s`. */
struct rate {
    uint32_t per_s;
    uint64_t micro_tokens, last_us;
};
bool rate_take(struct rate *r, struct now now);

enum neighbour_state {
    NEIGHBOUR_FREE,
    NEIGHBOUR_INCOMPLETE, /* asked, MAC not known */
    NEIGHBOUR_REACHABLE,  /* confirmed less than NEIGHBOUR_FRESH_US ago */
    NEIGHBOUR_STALE,      /* usable; asked again while in use */
};

struct neighbour {
    struct addr ip;
    uint8_t mac[6];
    uint8_t state;
    uint8_t asked; /* solicitations since the last answer */
    uint16_t next; /* in its bucket, or in the free list; NEIGHBOUR_NIL ends */
    uint64_t confirmed_us, asked_us, used_us;
};

#define NEIGHBOUR_NIL 0xffffu
static_assert(NET_NEIGHBOURS < NEIGHBOUR_NIL && (NET_NEIGHBOURS & (NET_NEIGHBOURS - 1)) == 0,
              "table indices are 16 bits and the table's size masks a hash");

struct neighbour_table {
    struct neighbour entry[NET_NEIGHBOURS];
    uint16_t bucket[NET_NEIGHBOURS];
    uint16_t free;
    uint16_t hand; /* where the search for one to displace goes on */
    uint64_t seed;
};

#define NET_ROUTES 64

/* Who stands for `dst` on our link; hop NULL: not known. */
struct route {
    struct addr dst;
    struct neighbour *hop;
};

struct net {
    struct net_config config;
    struct net_host host;
    unsigned owns;
    struct own own[NET_ADDRESSES + 1]; /* the configured ones, then our link-local */
    unsigned v4s;
    struct own_v4 v4[NET_ADDRESSES]; /* of the same, those of IPv4 */
    struct rate errors, solicitations;
    struct rate quotes, datagram_quotes; /* ICMP errors handed on */
    struct neighbour_table table;
    struct route route[NET_ROUTES]; /* by the address's last byte; none outlives an entry */
    struct net_counters counters;
    size_t scratch_size;
    uint8_t scratch[]; /* frames of our own making are built here */
};

/* What an IPv4 address is to us. */
enum v4_kind { V4_OTHER, V4_OURS, V4_BROADCAST };

/* `ip` in network order, not 0. */
static inline enum v4_kind v4_kind(const struct net *n, uint32_t ip)
{
    enum v4_kind kind = V4_OTHER;

    for (unsigned i = 0; i < n->v4s; i++) {
        if (n->v4[i].ip == ip)
            return V4_OURS;
        if (n->v4[i].broadcast == ip) /* the all-ones address of a subnet (RFC 922) */
            kind = V4_BROADCAST;
    }
    return kind;
}

/* The frame as parse.c hands it to the rest: what the face's net_packet does not say. */
struct parsed {
    uint8_t protocol;
    bool group; /* to an IP multicast group of ours (neighbour discovery only) */
    bool v4;
    uint8_t *l4;
    uint32_t l4_len;
};

/* parse.c: sets kind and addresses. kind stays NET_CONSUMED for ARP (protocol 0, l4 = the ARP
 * packet) and ICMP. */
void net_parse(struct net *n, struct net_packet *p, struct parsed *out);

/* arp.c, nd.c, icmp.c: one verified message */
void net_arp_input(struct net *n, const uint8_t *arp, uint32_t len, struct now now);
void net_arp_ask(struct net *n, const struct addr *ip);
void net_arp_announce(struct net *n, const struct addr *ip);
void net_nd_input(struct net *n, const struct net_packet *p, const struct parsed *in,
                  struct now now);
void net_nd_ask(struct net *n, const struct addr *ip);
void net_nd_announce(struct net *n, const struct addr *ip);
void net_icmp_input(struct net *n, const struct net_packet *p, const struct parsed *in,
                    struct now now);

/* net.c */
/* True when `ip` is on our link by the configured prefixes, or link-local. */
bool net_on_link(const struct net *n, const struct addr *ip);
/* Hands a frame in scratch to the host; counts `sent` or the refusal. */
void net_send(struct net *n, const uint8_t *frame, size_t len, uint64_t *sent);

/* output.c: headers in front of `l4` */
uint8_t *net_write_ip(uint8_t *l4, size_t l4_len, const struct addr *src, const struct addr *dst,
                      uint8_t protocol, uint8_t hop_limit);
uint8_t *net_write_ether(uint8_t *ip, const uint8_t dst[6], const uint8_t src[6], uint16_t type);

/* neighbour.c */
void neighbour_init(struct net *n);
struct neighbour *neighbour_find(struct net *n, const struct addr *ip);
/* Finds or makes an entry; never fails: a full table displaces one. */
struct neighbour *neighbour_take(struct net *n, const struct addr *ip, struct now now);
/* The neighbour answered: records its MAC and tells the host. */
void neighbour_confirm(struct net *n, struct neighbour *e, const uint8_t mac[6], bool reachable,
                       struct now now);
/* Asks for the entry's MAC unless that was done within a second. */
void neighbour_ask(struct net *n, struct neighbour *e, struct now now);

static inline bool ip_is_link_local(const struct addr *ip)
{
    return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

#endif
