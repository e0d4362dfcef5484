/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TCP engine: (connection, segment or event, now) in, segments out. No I/O, no clock, no
 * packet buffers: what arrives is spans, what leaves is a `tcp_out` record that the host turns
 * into a frame. One engine belongs to one worker.
 *
 * A host drives it once a poll, in this order:
 *
 *   tcp_input(e, packets, n, now)   a burst: prepare, touch, act (dataplane/tcp/input.c)
 *   ... the application sends on its streams ...
 *   tcp_poll(e, now)                deferred events, timers, then what may be sent
 */
#ifndef CORAL_TCP_H
#define CORAL_TCP_H

#include "base/addr.h"
#include "base/hash.h"
#include "base/now.h"
#include "base/ref.h"
#include "base/stream.h"
#include "dataplane/tcp/counters.h"

struct cc_ops;

#define TCP_BURST      32
#define TCP_OUT_REFS   8 /* references a segment, or a burst, may be gathered from */
#define TCP_OPTION_MAX 40
#define TCP_BURST_MAX  65000u /* of config.burst_bytes: with headers it is an IP packet */

enum tcp_flag {
    TCP_FIN = 0x01,
    TCP_SYN = 0x02,
    TCP_RST = 0x04,
    TCP_PSH = 0x08,
    TCP_ACK = 0x10,
    TCP_URG = 0x20,
    TCP_ECE = 0x40,
    TCP_CWR = 0x80,
};

/* The ECN field of the IP header (RFC 3168 5). */
enum tcp_ecn { TCP_ECN_NONE, TCP_ECN_ECT1, TCP_ECN_ECT0, TCP_ECN_CE };

/* A segment received: addresses by the host, `segment` from the TCP header on. The host has
 * verified the checksum. */
struct tcp_packet {
    struct addr src, dst;
    const uint8_t *segment; /* TCP header, options, data */
    uint32_t len;
    uint8_t ecn; /* enum tcp_ecn, from the IP header */
};

/* A segment to send. All integers in host order. */
struct tcp_out {
    struct addr src, dst;
    uint16_t sport, dport;
    uint32_t seq, ack;
    uint16_t window; /* as on the wire, already scaled */
    uint8_t flags;
    uint8_t ecn;        /* enum tcp_ecn, for the IP header */
    uint8_t option_len; /* a multiple of 4 */
    uint8_t option[TCP_OPTION_MAX];
    uint8_t refs;
    uint32_t len; /* sum of the references */
    uint32_t mss; /* where len is more, the host cuts it into segments of so many bytes, or has its
                   * port do so (TSO): FIN and PSH go with the last of them */
    struct ref ref[TCP_OUT_REFS];
};

struct tcp_host {
    void *ctx;
    /* Sends a segment. The references are valid until return; a host that keeps them longer
     * takes holds. False: not taken (port full, no memory, neighbour unknown); the engine has
     * not advanced snd_nxt and tries again at the next poll. */
    bool (*emit)(void *ctx, const struct tcp_out *out);
    /* The n-th local port to try, from 32768 to 60999, whose replies come back to this worker; 0:
     * none by this number. The engine counts n up, from a start by destination that nobody can
     * guess, until one is free. NULL: any port does. */
    uint16_t (*port_try)(void *ctx, const struct addr *local, const struct endpoint *remote,
                         uint32_t n);
    /* How many segments with data, of `wanted`, the host would take now from `local` to `remote`: a
     * burst is no longer, so that it need not wait for room behind those who send single ones.
     * NULL: all. */
    unsigned (*room)(void *ctx, const struct addr *local, const struct addr *remote,
                     unsigned wanted);
};

struct tcp_config {
    uint32_t connections; /* size of the table */
    uint32_t syn_entries; /* half-open connections; from three quarters on, and always with 0,
                           * SYNs are answered by cookies */
    uint32_t time_wait_records;
    uint32_t active;           /* connections that may have bytes to send at one time */
    uint32_t blocks;           /* 2 KiB blocks for copies and for what arrives out of order */
    uint32_t send_queue_bytes; /* what a stream may have queued: it bounds the flight */
    uint32_t receive_window_bytes;
    uint16_t mss_v4, mss_v6; /* what we announce: MTU less headers */
    uint32_t burst_bytes;    /* that the host takes at once and cuts; 0: it cannot cut */
    uint32_t time_wait_ms, syn_retries, data_retries;
    uint32_t idle_timeout_ms; /* no byte either way; 0: never. Applications have their own */
    uint32_t keepalive_ms;    /* silence before an idle peer is asked (RFC 9293 3.8.4); 0: never */
    uint32_t floor_bytes_s;   /* who takes less of what is queued is reset; 0: nobody is */
    uint32_t prefix_limit;    /* accepted connections of one IPv4 address or IPv6 /64; 0: any */
    uint32_t flights;         /* connections with data in flight at once that SACK serves well */
    uint32_t records;         /* bursts and retransmissions in flight, of all of them */
    const struct cc_ops *cc;  /* congestion control of new connections */
    bool ecn_active, ecn_passive; /* ask for ECN in our SYN; grant it to peers that ask */
};

/* Defaults that a node uses (worker) and tests start from. */
struct tcp_config tcp_config_default(void);

struct tcp_engine;

/* Called for each connection that the three-way handshake completed. Sets events and user, and
 * returns true; or false to have it reset. */
typedef bool tcp_accept(void *ctx, struct stream *s, struct now now);

/* NULL when memory is short. `seed`: randomness for sequence numbers, ports and hash keys. */
struct tcp_engine *tcp_create(const struct tcp_config *config, const struct tcp_host *host,
                              const uint8_t seed[32], struct now now);
/* Frees everything; streams get no further events. */
void tcp_destroy(struct tcp_engine *e);

/* Accepts connections to any local address at `port`. False: already listening, or too many. */
bool tcp_listen(struct tcp_engine *e, uint16_t port, tcp_accept *accept, void *ctx);
/* Stops accepting on all ports: a SYN is answered with RST, so that whoever asks goes elsewhere at
 * once; connections go on, and a handshake that was begun is accepted yet (drain). */
void tcp_listen_stop(struct tcp_engine *e);

/* Resets every connection, for an end that cuts what still runs: the peers must not wait for a
 * time-out. closed(ABORTED) follows at the next tcp_poll. */
void tcp_abort_all(struct tcp_engine *e);

/* Starts an active open from local address `local`. NULL: table full or no free port. The result
 * comes as opened or closed(REFUSED, TIMEOUT). */
struct stream *tcp_connect(struct tcp_engine *e, const struct addr *local,
                           const struct endpoint *remote, const struct stream_events *events,
                           void *user, struct now now);

/* n <= TCP_BURST segments, in order of arrival. */
void tcp_input(struct tcp_engine *e, const struct tcp_packet *packets, unsigned n, struct now now);
/* Deferred events, due timers, and everything that may be sent now. Returns whether there is
 * more to do at once (output that the host did not take). */
bool tcp_poll(struct tcp_engine *e, struct now now);
/* An ICMP error that quotes a segment of ours. */
struct tcp_icmp {
    struct endpoint local, remote;
    uint32_t seq; /* the quoted segment's */
    uint16_t mtu; /* too_big: the next hop's */
    bool too_big; /* fragmentation needed, packet too big */
    bool hard;    /* RFC 9293 3.9.2.2 */
};
/* Counted and forgotten unless a connection has that segment in flight (RFC 5927 4.1). Then: a hard
 * error ends an active open, closed(REFUSED); a smaller MTU is taken over; nothing else changes. */
void tcp_icmp(struct tcp_engine *e, const struct tcp_icmp *i, struct now now);
/* When tcp_poll must be called again though nothing arrived, in mono_us; UINT64_MAX: never. */
uint64_t tcp_deadline_us(const struct tcp_engine *e);

uint32_t tcp_connections(const struct tcp_engine *e);
const struct tcp_counters *tcp_counters(const struct tcp_engine *e);

/* The hash by which a one-queue port's worker 0 picks the owner of a tuple: the same for both
 * directions, so an engine can choose a local port for a reply. */
uint32_t tcp_tuple_hash(const struct hash_secret *s, const struct endpoint *x,
                        const struct endpoint *y);

#endif
