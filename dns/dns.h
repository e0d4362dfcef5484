/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS: the authoritative answer to one query, and the stub resolver. Both are engines without
 * I/O: the first a pure function of (zone, live members, query), the second a state machine.
 */
#ifndef CORAL_DNS_H
#define CORAL_DNS_H

#include "base/addr.h"
#include "base/datagram.h"
#include "base/now.h"
#include "base/rng.h"
#include "base/stream.h"
#include "dns/counters.h"

#define DNS_NAME_MAX 255 /* wire bytes, RFC 1035 2.3.4 */
#define DNS_UDP_MAX  1232
#define DNS_ANSWERS  4  /* proxies in one answer */
#define DNS_HEAD     12 /* bytes of a record before its data, its name being a pointer */

/* --- authoritative ------------------------------------------------------------------------ */

/*
 * The zone (RFC 1034, 1035): apex SOA and NS; every name below the apex that is no nameserver's
 * is a Coralized name and answers A and AAAA with live proxies. Nameserver i is named
 * "<label_i>.ns.<zone>". Immutable; the control thread builds it and swaps it in the view.
 */
struct dns_member {
    struct addr v4, v6; /* zero: none */
    char label[32];     /* of the node as a nameserver: first 8 hex digits of its ID, in lower
                           case; empty: none */
};

struct dns_zone {
    uint8_t apex[DNS_NAME_MAX + 1]; /* wire form, lower case */
    uint8_t apex_len, apex_labels;
    uint32_t serial;
    uint32_t soa_ttl_s, ns_ttl_s, proxy_ttl_s, negative_ttl_s;
    uint32_t members; /* live now: proxies and nameservers */

    /* dns_zone_finish's, for answers to copy from. Records' heads: name, type, class, TTL, length
     */
    uint8_t head_a[DNS_HEAD], head_aaaa[DNS_HEAD];
    uint32_t v4s, v6s; /* members that have an address of the family; */
    uint8_t (*v4)[4];  /* the addresses, behind the members */
    struct addr *v6;
    /* The apex in words counted from its end, and what of them counts: all but the bit that tells
     * a capital from a small letter */
    unsigned apex_words;
    struct {
        uint64_t name, mask;
    } apex_word[(DNS_NAME_MAX + 7) / 8];

    struct dns_member member[]; /* this node among them */
};

/* A new zone with room for `members` and none in it yet: the caller fills member[] and sets
 * `members`, may change the TTLs and the serial, and then calls dns_zone_finish. NULL when `name`
 * is no domain name, or memory is short. Freed by free(). */
struct dns_zone *dns_zone_new(const char *name, uint32_t members);
/* Prepares what is the same in many answers. After any change, and before the zone is used. */
void dns_zone_finish(struct dns_zone *z);

/*
 * Answers a burst of up to DATAGRAM_BURST queries. Sets reply_len of each (0: dropped: not a query,
 * or not worth an answer). Never writes more than `room`, nor more than the asker's EDNS size
 * (RFC 6891): what does not fit is an empty answer with TC. Outside the zone: REFUSED. A reply may
 * be written over its query, `reply` being `data`; else they must not overlap. Stateless; any
 * worker.
 */
void dns_answer(const struct dns_zone *zone, struct datagram *queries, unsigned n, struct rng *rng,
                struct dns_counters *counters, struct now now);
/* The same for one message of DNS over TCP, without its 2-byte length. Returns its length. */
size_t dns_answer_tcp(const struct dns_zone *zone, const struct endpoint *from, const void *query,
                      size_t len, void *reply, size_t room, struct rng *rng,
                      struct dns_counters *counters, struct now now);

/* --- stub resolver -------------------------------------------------------------------------- */

/*
 * Asks the configured recursive servers for A and AAAA. Random ports and IDs, mixed case (0x20),
 * question and server checked, CNAME chains followed within one answer and its bailiwick, TC
 * taken to TCP, retried over servers, positive and negative answers kept by TTL (RFC 2308; cap
 * 5 min, floor 1 s). One a worker; bounded: `queries` in flight, `names` kept.
 */
struct resolver;

struct resolver_config {
    struct endpoint server[4];
    unsigned servers;
    uint32_t queries, names;
    uint32_t timeout_ms; /* of one try; 3 tries over the servers */
};

struct resolver_host {
    struct datagram_out udp;
    /* for TC: an active open, as tcp_connect. NULL result: not possible now */
    void *ctx;
    struct stream *(*connect)(void *ctx, const struct endpoint *to,
                              const struct stream_events *events, void *user, struct now now);
    /* True when replies to this local port come back to this worker; NULL: any does. */
    bool (*port_fits)(void *ctx, uint16_t port, const struct endpoint *server);
};

enum resolver_result {
    RESOLVER_OK,
    RESOLVER_NONE,   /* the name, or addresses of it, do not exist */
    RESOLVER_FAILED, /* SERVFAIL, refused, nonsense */
    RESOLVER_TIMEOUT,
    RESOLVER_BUSY, /* too many in flight */
};

#define RESOLVER_ADDRESSES 8
typedef void resolver_done(void *ctx, enum resolver_result result, const struct addr *addresses,
                           unsigned n, struct now now);

struct resolver *resolver_create(const struct resolver_config *config,
                                 const struct resolver_host *host, const uint8_t seed[32],
                                 struct now now);
/* Tells nobody and touches no stream: the transport that gave its streams ends beside it. */
void resolver_destroy(struct resolver *r);
/* Resolves `name` (text, any case). done may be called before this returns (kept answers). IPv4
 * addresses come first. When one family is late, done tells the other's addresses after 50 ms
 * (RFC 8305 3), and who asks again later gets both. Returns a ticket for resolver_cancel, 0 when
 * already done. */
uint64_t resolver_resolve(struct resolver *r, const char *name, resolver_done *done, void *ctx,
                          struct now now);
void resolver_cancel(struct resolver *r, uint64_t ticket);
/* A datagram to a port for which resolver_owns_port() is true. */
bool resolver_owns_port(const struct resolver *r, uint16_t port);
void resolver_input(struct resolver *r, const struct datagram *d, struct now now);
void resolver_poll(struct resolver *r, struct now now);
uint64_t resolver_deadline_us(const struct resolver *r);
const struct resolver_counters *resolver_counters(const struct resolver *r);

#endif
