/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to the TCP engine and its tests: the connection, the engine around it, and what the
 * files here offer one another.
 *
 * A connection is one entry of an array, found by a keyed hash of its tuple. Idle it owns nothing
 * else, at most 288 bytes with its share of the table; it borrows from bounded pools, none of
 * which grows with the number of connections
 *
 *   send:     a tcp_tx while anything is queued, with a chain of tcp_items, references to what is
 *             queued, from snd_una on
 *   receive:  a tcp_store, a map of 2 KiB blocks for what is in order but not yet consumed and
 *             for what came out of order, unless the application has a place for it
 *
 *            consumed | kept, in order | gap and ranges out of order |
 *   receive: ---------+----------------+-----------------------------+------->
 *                  app_nxt          rcv_nxt                       rcv_edge
 *
 *            acked | sent            | queued        | (FIN)
 *   send:    ------+-----------------+---------------+------->
 *               snd_una  snd_nxt  snd_max         snd_end
 *
 * With SACK the flight has records (recovery.h) and snd_nxt is snd_max. Without, snd_nxt falls
 * back to snd_una when the retransmission timer expires (go-back-N); snd_max is the highest ever
 * sent.
 *
 * Two lists hold connections with work to do: `events` those with a deferred event, `ready`
 * those that may have something to send. tcp_input calls the application for received data and
 * for finished handshakes only; everything else waits for tcp_poll. A connection is freed in one
 * place, after its closed event.
 */
#ifndef CORAL_TCP_CONN_H
#define CORAL_TCP_CONN_H

#include <assert.h>
#include <emmintrin.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "dataplane/tcp/cc.h"
#include "dataplane/tcp/cookie.h"
#include "dataplane/tcp/pacer.h"
#include "dataplane/tcp/pmtu.h"
#include "dataplane/tcp/prefix.h"
#include "dataplane/tcp/recovery.h"
#include "dataplane/tcp/rtt.h"
#include "dataplane/tcp/tcp.h"

#define TCP_NONE          UINT32_MAX
#define TCP_BLOCK_BYTES   2048u
#define TCP_STORE_SLOTS   256u /* a power of two: slots are sequence numbers / 2048, modulo */
#define TCP_STORE_RANGES  64u
#define TCP_STORE_PLACES  48u
#define TCP_WINDOW_MAX    (448u * 1024) /* what a store can hold, with room for rounding */
#define TCP_ITEMS         10u
#define TCP_IDLE_BYTES    288u /* what an idle connection may cost, all told */
#define TCP_SLOTS         10u  /* connections in a bucket, */
#define TCP_SLOTS_USED    6u   /* of which so many are taken when the table is full */
#define TCP_LISTENERS     16u
#define TCP_MSS_MIN       64u /* a smaller offer would only cost us (CVE-2019-11479) */
#define TCP_HEADER        20u
#define TCP_ACK_DELAY_MS  40u
#define TCP_QUANTUM       16u /* segments a connection sends before the next one's turn */
#define TCP_TIMERS        64u /* timers a poll */
#define TCP_STARVING      32u /* connections a poll that are asked again whether a pool has room */
#define TCP_REFUSALS      8u  /* refusals in a row before a poll gives up */
#define TCP_FIN_WAIT_2_MS 75000u /* longer than any RTO: what the peer lost may come yet */

/* Sequence numbers compare modulo 2^32 (RFC 9293 3.4). */
static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}
static inline bool seq_leq(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}
static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? b : a;
}

/* LISTEN is an entry of engine.listener, SYN-RECEIVED a tcp_syn unless we had sent a SYN of our
 * own (simultaneous open), TIME-WAIT a tcp_tw. */
enum tcp_state {
    TCP_CLOSED, /* off the wire; the closed event is due */
    TCP_SYN_SENT,
    TCP_SYN_RECEIVED,
    TCP_ESTABLISHED,
    TCP_FIN_WAIT_1,
    TCP_FIN_WAIT_2,
    TCP_CLOSE_WAIT,
    TCP_CLOSING,
    TCP_LAST_ACK,
};

enum tcp_event {
    TCP_EVENT_RESUME = 1,
    TCP_EVENT_EOF = 2,
    TCP_EVENT_WRITABLE = 4,
    TCP_EVENT_CLOSED = 8,
};

/* A connection is on at most one of events and starving, and on ready or not. */
enum tcp_link_id { TCP_LINK_READY, TCP_LINK_EVENT, TCP_LINKS };

struct tcp_link {
    uint32_t next, prev; /* indices into engine.conns */
};

struct tcp_list {
    uint32_t head, tail, count;
    enum tcp_link_id link;
};

/* Elements of one size. Those from `top` on were never taken, so that nothing is touched, or
 * costs memory, before it is needed. */
struct tcp_pool {
    uint8_t *base;
    uint32_t size, link; /* bytes of an element; where in a free one the link of the list lies */
    uint32_t odd, shift; /* size is 2^shift times what `odd` is the inverse of, modulo 2^32 */
    uint32_t count, top, left;
    uint32_t first; /* of those given back: index + 1, 0: none */
};

/* A deadline in the wheel; see wheel.c. Links are connections' indices + 1. */
struct tcp_timer {
    uint32_t next; /* 0: the last of its slot */
    uint32_t prev; /* 0: not armed; TCP_TIMER_HEAD + slot: the first of it */
    uint32_t due_ms;
};
#define TCP_TIMER_HEAD  0x80000000u
#define TCP_WHEEL_RINGS 4u
#define TCP_WHEEL_SLOTS 256u
#define TCP_YOUNG       16384u /* deadlines that wait to be filed; a power of two */
#define TCP_YOUNG_MS    16u    /* how long */
#define TCP_YOUNG_RUN   256u   /* filed in one poll */
#define TCP_WHEEL_MOVES 256u   /* timers that one call moves down a ring */

struct tcp_wheel {
    uint64_t tick; /* milliseconds; slots up to and with this one have fired */
    size_t armed;
    uint32_t slot[TCP_WHEEL_RINGS * TCP_WHEEL_SLOTS]; /* index + 1 */
    uint64_t used[TCP_WHEEL_RINGS][TCP_WHEEL_SLOTS / 64];
};

/* A line of the table. An entry lies in the first bucket from its own on that had a slot free;
 * `passed` counts those that went by, so that a search knows when to stop. */
struct tcp_bucket {
    uint16_t tag[TCP_SLOTS];   /* of the hash, bits that do not choose the bucket */
    uint32_t entry[TCP_SLOTS]; /* a connection's index + 1, or a tcp_syn's with TCP_ENTRY_SYN;
                                * 0: free */
    uint32_t passed;
};
static_assert(sizeof(struct tcp_bucket) == 64, "a bucket is a cache line");
#define TCP_ENTRY_SYN 0x80000000u

/* 2 KiB for copied bytes (then `hold` counts the queue and every frame that refers to it), for
 * received bytes, or for a tcp_store. */
struct tcp_block {
    struct hold hold;
    struct tcp_engine *engine;
    uint32_t next_free;
    uint32_t used; /* copied bytes */
    uint8_t data[TCP_BLOCK_BYTES];
};

struct tcp_items {
    struct tcp_items *next;
    struct ref ref[TCP_ITEMS];
};

/* A place in the send queue: byte `offset` of reference `i`; offset may be the reference's end. */
struct tcp_place {
    struct tcp_items *items;
    uint32_t i, offset;
};

/* What a connection needs to send: its queue, and what it has learnt of the path. Taken with the
 * first byte; stays when the queue is empty until another connection wants it, the one taken
 * longest ago first. Who sends again after that starts as a new connection does, which RFC 5681
 * 4.1 asks of a sender that was idle in any case. */
struct tcp_tx {
    struct tcp_place head; /* place of snd_una; items NULL: the queue is empty */
    struct tcp_place next; /* place of snd_nxt */
    struct tcp_items *tail;
    uint32_t tail_n;          /* references used in tail */
    uint32_t next_free;       /* in the pool */
    uint32_t rtt_seq, rtt_us; /* the ACK that covers rtt_seq gives a sample since rtt_us */

    uint32_t conn;           /* whose it is, an index */
    struct reordering order; /* of the path, as learnt so far */
    uint32_t min_rtt_us;     /* of the last minutes, since min_rtt_ms; 0: none */
    uint32_t min_rtt_ms;
    uint32_t round_end; /* the round trip ends when snd_una passes it */
    uint32_t lone_us;   /* when the burst went that is all of the flight, if `lone` */
    uint32_t began_ms;  /* when the first segment of the flight went */
    uint32_t soon_ms;   /* reordering window or probe time-out, not after the RTO, if soon_armed */
    uint32_t cwr_end;   /* snd_max at a reduction without an episode */
    uint32_t tlp_end;   /* snd_max when the last probe was sent */
    uint32_t recover;   /* snd_max when the last loss was found (RFC 6582) */
    uint32_t progress_una, progress_ms; /* what snd_una was; when it is looked at again */
    struct pmtu pmtu;                   /* mss is what fits its size */
    struct tcp_pacer pacer;
    uint32_t pace_ms; /* when it lets the next segment go, if `paced` */
    struct cc cc;
};
static_assert(offsetof(struct tcp_tx, order) <= 64, "the queue is a cache line");

/* Received bytes that wait. Byte `seq` lies in block slot[seq / 2048 % 256] at seq % 2048, so
 * that small segments share blocks and the window bounds the memory; or, if it is in `place`,
 * where the application wants it (stream_events.place). Kept in a block itself. */
struct tcp_store {
    uint32_t slot[TCP_STORE_SLOTS]; /* block numbers, TCP_NONE */
    uint64_t place_of;              /* stream_place.of of all that is in `place` */
    uint32_t ranges, places;
    /* both ascending, disjoint, not touching: what came out of order; what lies in its place, in
     * order or not, from app_nxt on */
    struct tcp_range range[TCP_STORE_RANGES];
    struct tcp_range place[TCP_STORE_PLACES];
    struct tcp_range recent[TCP_SACKS]; /* of `range`, those that grew last, last first */
    uint8_t recents;
    uint8_t unreported; /* ranges begun since the last ACK: it must not miss one */
};
static_assert(sizeof(struct tcp_store) <= TCP_BLOCK_BYTES, "a store fits a block");

/*
 * In the order of use: 0 to 63 what identifies it and whom it calls, 64 to 127 what every segment
 * looks at, 128 to 191 what most do, from there on what a loss, a list or a reader in arrears do.
 * stream.transport is the hash of the tuple, which chooses the bucket.
 */
struct tcp_conn {
    struct stream stream;

    uint32_t snd_una, snd_nxt, snd_max, snd_end;
    uint32_t rcv_nxt, rcv_edge, app_nxt;
    uint32_t snd_wnd;          /* in bytes, scaled up */
    uint32_t snd_wl1, snd_wl2; /* SEQ and ACK of the last window update */
    uint32_t queued;           /* bytes in the queue: [snd_una, snd_end) */
    uint32_t ack_sent;         /* the last ACK sent: Last.ACK.sent of RFC 7323 */
    uint8_t state;             /* enum tcp_state */
    uint8_t events;            /* enum tcp_event, due */
    uint8_t rcv_scale, snd_scale;

    /* Bytes of their own, since each segment changes them: bits that are written one by one and
     * read together wait for the stores before them, a frame's among those (300 cycles). */
    bool on_ready;
    bool ack_now;
    bool timing;             /* tx->rtt_seq and tx->rtt_us are set; in a handshake, syn_us is */
    bool rtx_armed, probing; /* rtx_ms is set; it is for a window probe */
    bool ack_armed;

    bool used : 1;
    bool on_event : 1, on_starving : 1, in_table : 1;
    bool passive : 1;
    bool owned : 1;      /* the application has it, and is owed a closed event */
    bool ts_on : 1;      /* timestamps negotiated */
    bool scale_on : 1;   /* the peer offered window scale */
    bool syn_due : 1;    /* send SYN or SYN,ACK */
    bool fin_queued : 1; /* shut was called: FIN after snd_end */
    bool fin_seen : 1;   /* the peer's FIN is at fin_seq, perhaps behind a gap */
    bool eof_told : 1;
    bool head_due : 1;                 /* retransmit one segment from snd_una */
    bool force : 1;                    /* send though the window allows less than a full segment */
    bool recovering : 1;               /* fast recovery, until snd_una >= recover */
    bool in_rto : 1;                   /* an RTO expired: the same, but cwnd slow-starts */
    bool sack_on : 1;                  /* SACK negotiated (RFC 2018) */
    bool dsack_due : 1;                /* report `dsack` with the next segment */
    bool app_limited : 1;              /* there was nothing to send in this round */
    bool limited : 1, was_limited : 1; /* cwnd held back the sender: this round, the last one */
    /* In one byte, as the bytes above: read together, after bits of the next one were written. */
    bool tlp_out : 1, tlp_again : 1; /* a probe up to tlp_end is out; it repeats old data */
    bool tlp_unsampled : 1;          /* no round-trip time since the last probe */
    bool cwr : 1;                    /* reduced without an episode, for what is below cwr_end */
    bool lone : 1;                     /* the flight is one burst, sent once (recovery.h) */
    bool young : 1;                    /* its deadlines wait for the wheel in engine.young */
    bool soon_armed : 1, soon_is_tlp : 1; /* tx->soon_ms is set; it is for a probe */
    bool ecn_on : 1, ecn_asked : 1;       /* negotiated; our SYN asked for it */
    bool ecn_echo : 1;                    /* a mark came and the peer has not yet sent CWR */
    bool ecn_echoed : 1;                  /* the segment at hand carried ECE */
    bool ecn_cwr_due : 1;                 /* CWR with the next new data (RFC 3168 6.1.2) */
    bool want_write : 1;                  /* send or copy took less than given */
    bool want_block : 1;                  /* for lack of a block */
    bool tail_copy : 1;  /* the last item is a block of ours that may take more bytes */
    bool challenged : 1; /* challenge_ms is set */
    bool prefixed : 1;   /* counted in engine.prefixes */
    bool paced : 1;      /* the pacer holds data back until tx->pace_ms */
    bool echo_dead : 1;  /* the path takes our timestamps away: the peer echoes an old one */
    bool searched : 1;   /* the search for a larger MTU rests until search_s */

    uint8_t backoff;  /* RTOs or probes in a row: the next waits 2^backoff as long */
    uint8_t retries;  /* the same, but set back by any sign of life */
    uint8_t dupacks;  /* duplicate ACKs in a row */
    uint8_t ack_owed; /* without SACK: ACKs to send for segments out of order, one each */

    uint32_t ts_recent, ts_recent_ms;
    uint32_t ts_offset;       /* of our timestamp clock, by address pair */
    struct tcp_tx *tx;        /* there while anything is queued or in flight after the handshake */
    struct tcp_recovery *rec; /* of a flight that is not `lone`, when the peer sends SACK */
    struct tcp_store *store;
    /* timers, in milliseconds of engine.now_ms; one wheel timer, lazy, for the earliest */
    uint32_t rtx_ms, ack_ms;
    uint32_t active_ms; /* when a byte or an acknowledgement last came */
    uint32_t sent_ms;   /* when data last went */
    uint16_t mss;       /* largest payload we send, options subtracted */
    uint16_t rcv_mss;   /* largest payload seen: what a full segment of the peer is */
    uint16_t mtu;       /* what our port and the peer's MSS allow */
    uint16_t search_s;  /* pmtu.search_s while there is no tx, if `searched` */
    struct rtt rtt;
    uint32_t last_echo; /* TSecr of the last sample: an echo that stands still tells nothing */
    uint32_t syn_us;    /* in a handshake: when the SYN went, if timing */
    struct tcp_link link[TCP_LINKS];
    struct tcp_timer timer;

    struct tcp_range dsack;
    uint32_t snd_wnd_max;
    uint32_t offered; /* end of what the application was last offered */
    uint32_t fin_seq;
    uint32_t challenge_ms; /* when the last challenge ACK went */
    uint8_t end;           /* enum stream_end, once CLOSED */
    uint8_t listener;      /* index, passive opens until accepted */
    uint8_t keepalives;    /* sent and not answered, in a row */
};
static_assert(offsetof(struct tcp_conn, snd_una) == 64 && offsetof(struct tcp_conn, backoff) <= 128,
              "what every segment looks at is two cache lines");
static_assert(sizeof(struct tcp_conn) + sizeof(struct tcp_bucket) / TCP_SLOTS_USED + 1 <=
                  TCP_IDLE_BYTES,
              "an idle connection with its share of the table");

/*
 * A handshake that a peer began, in SYN-RECEIVED: a cache line, until the third segment makes it a
 * connection. It waits on one list by the time at which its SYN,ACK is due again.
 *
 *    0            16           32    34    36    40    44         48     52    56    60
 *   +------------+------------+-----+-----+-----+-----+----------+------+-----+-----+----------+
 *   | remote     | local      |rport| mss | irs | iss |ts_recent | at_us|next |prev | bits     |
 *   +------------+------------+-----+-----+-----+-----+----------+------+-----+-----+----------+
 */
struct tcp_syn {
    struct addr remote, local;
    uint16_t rport;
    uint16_t mss;      /* agreed, options not subtracted */
    uint32_t irs, iss; /* first numbers: the peer's, ours */
    uint32_t ts_recent;
    uint32_t at_us;      /* when the SYN,ACK went last, or should have */
    uint32_t next, prev; /* indices in its list; TCP_NONE */
    uint8_t listener;    /* index: it knows the local port */
    uint8_t retries;     /* times that the SYN,ACK was due again */
    uint8_t snd_scale;
    bool ts_on : 1, scale_on : 1, sack_on : 1, ecn_on : 1;
    bool unsent : 1; /* the port did not take the SYN,ACK */
    bool again : 1;  /* it went more than once: an answer is no sample (Karn) */
};
static_assert(sizeof(struct tcp_syn) == 64, "a half-open connection is a cache line");

/* Those that wait equally long are in order of their deadlines: a list for each back-off, the
 * last one for all that are longer; one more for what the port refused. */
#define TCP_SYN_WAITS  7u
#define TCP_SYN_UNSENT TCP_SYN_WAITS
#define TCP_SYN_LISTS  (TCP_SYN_WAITS + 1)

struct tcp_syn_list {
    uint32_t head, tail, count;
};

struct tcp_syn_table {
    struct tcp_pool pool;
    struct tcp_syn *entry; /* pool's */
    struct tcp_syn_list list[TCP_SYN_LISTS];
    struct tcp_cookie_key key;
    uint64_t cookie_until_us; /* so long an ACK may answer one: some were sent lately */
};

/*
 * What is left of a connection in TIME-WAIT: every answer there goes to a packet that carries the
 * addresses.
 *
 *    0          8         12        16          20       24            28     32
 *   +----------+---------+---------+-----------+--------+-------------+------+
 *   | tag      | rcv_nxt | snd_nxt | ts_recent | due_ms | next, ts_on | prev |
 *   +----------+---------+---------+-----------+--------+-------------+------+
 */
struct tcp_tw {
    uint64_t tag; /* hash of the tuple */
    uint32_t rcv_nxt, snd_nxt, ts_recent;
    uint32_t due_ms;
    uint32_t next : 31; /* by age; TCP_TW_NONE */
    uint32_t ts_on : 1;
    uint32_t prev; /* by age */
};
static_assert(sizeof(struct tcp_tw) == 32, "two to a cache line");
#define TCP_TW_NONE 0x7fffffffu

struct tcp_time_wait {
    struct tcp_pool pool;
    struct tcp_tw *record; /* pool's */
    uint32_t *slot;        /* index + 1 of a record, by tag; 0: free */
    uint32_t mask, oldest, newest;
};

/* A rate limit: `left` of this second's allowance. */
struct tcp_budget {
    uint64_t second;
    uint32_t left;
};

struct tcp_options {
    bool has_mss, has_scale, has_ts, sack_permitted;
    uint8_t scale;
    uint8_t sacks; /* blocks in `sack`, as they came */
    uint16_t mss;
    uint32_t tsval, tsecr;
    struct tcp_range sack[TCP_SACKS]; /* the last thing of a segment: not cleared for each */
};

/* A segment parsed. `local` is the destination. */
struct tcp_segment {
    const struct tcp_packet *packet;
    uint64_t tag;
    uint16_t lport, rport;
    uint32_t seq, ack;
    uint16_t window;
    uint8_t flags;
    bool bad;
    const uint8_t *data;
    uint32_t len;
    struct tcp_options opt;
};

struct tcp_listener {
    uint16_t port; /* 0: free */
    bool stopped;  /* takes no SYN any more; handshakes that were begun are accepted yet */
    tcp_accept *accept;
    void *ctx;
};

struct tcp_young {
    uint32_t conn, at_ms;
};

struct tcp_engine {
    struct tcp_config config;
    struct tcp_host host;
    struct now now;
    uint32_t now_ms;
    struct tcp_counters counters;
    struct rng rng;
    struct hash_secret secret;
    uint8_t key[16]; /* SipHash: sequence numbers, ports, timestamp offsets */

    struct stream_ops ops; /* of its streams: the way from one to the engine */

    struct tcp_conn *conns; /* conn_pool's */
    struct tcp_pool conn_pool;
    struct tcp_bucket *bucket;
    uint32_t buckets;
    struct tcp_list ready, events;
    struct tcp_list starving; /* they may send more, and wait for a pool, in turn */
    bool plain;               /* tests: no short cuts, no lone flights, no header prediction */
    bool fed;                 /* in the last poll one of them found what it waited for */
    bool refused;             /* the last poll had output refused */

    struct tcp_block *blocks; /* block_pool's */
    uint32_t blocks_reserve;
    struct tcp_pool block_pool, items_pool, tx_pool;
    struct tcp_prefix prefixes;
    uint32_t tx_hand; /* which tx is looked at next when one must go */
    struct tcp_recovery *recoveries, *free_recovery;
    struct tcp_record *records;
    uint32_t free_record, recoveries_free, records_free;

    struct tcp_syn_table syn;
    struct tcp_time_wait tw;
    struct tcp_listener listener[TCP_LISTENERS];
    uint32_t port_counter;
    struct tcp_budget rst_budget, challenge_budget;
    struct tcp_wheel wheel;
    uint32_t young_head, young_tail; /* entries of the ring, counted up */
    struct tcp_young young[TCP_YOUNG];
    uint8_t scratch[STREAM_LOOKAHEAD]; /* makes kept bytes contiguous while they are offered */
};

static inline struct tcp_conn *tcp_conn_of(const struct stream *s)
{
    return (struct tcp_conn *)(uintptr_t)((const uint8_t *)s - offsetof(struct tcp_conn, stream));
}
static inline struct tcp_engine *tcp_conn_engine(const struct tcp_conn *c)
{
    return (struct tcp_engine *)((uintptr_t)c->stream.ops - offsetof(struct tcp_engine, ops));
}
static inline uint32_t tcp_conn_index(const struct tcp_engine *e, const struct tcp_conn *c)
{
    return (uint32_t)(c - e->conns);
}
static inline bool tcp_conn_is(const struct tcp_conn *c, const struct addr *local, uint16_t lport,
                               const struct addr *remote, uint16_t rport)
{
    const struct stream *s = &c->stream;
    return s->local.port == lport && s->remote.port == rport && addr_eq(&s->remote.ip, remote) &&
           addr_eq(&s->local.ip, local);
}
/* no entry is left for another connection */
static inline bool tcp_conn_full(const struct tcp_engine *e)
{
    return e->conn_pool.left == 0;
}
static inline bool tcp_timer_armed(const struct tcp_timer *t)
{
    return t->prev != 0;
}
/* Place of snd_una, place of snd_nxt; items NULL: the queue is empty. */
static inline struct tcp_place tcp_conn_head(const struct tcp_conn *c)
{
    return c->tx ? c->tx->head : (struct tcp_place){NULL, 0, 0};
}
static inline struct tcp_place tcp_conn_next(const struct tcp_conn *c)
{
    return c->tx ? c->tx->next : (struct tcp_place){NULL, 0, 0};
}
static inline void tcp_conn_next_set(struct tcp_conn *c, struct tcp_place at)
{
    if (c->tx)
        c->tx->next = at;
}
static inline uint32_t tcp_conn_flight(const struct tcp_conn *c)
{
    return c->snd_max - c->snd_una;
}
/* the peer's FIN has arrived in order */
static inline bool tcp_conn_fin_received(const struct tcp_conn *c)
{
    return c->fin_seen && seq_lt(c->fin_seq, c->rcv_nxt);
}
/* end of the peer's data: the FIN's own sequence number counts for none */
static inline uint32_t tcp_conn_data_end(const struct tcp_conn *c)
{
    return tcp_conn_fin_received(c) ? c->rcv_nxt - 1 : c->rcv_nxt;
}
/* bytes in order that the application has not consumed */
static inline uint32_t tcp_conn_kept(const struct tcp_conn *c)
{
    return tcp_conn_data_end(c) - c->app_nxt;
}
static inline uint32_t tcp_ts_now(const struct tcp_engine *e, uint32_t offset)
{
    return e->now_ms + offset;
}

/* engine.c */
void tcp_time_set(struct tcp_engine *e, struct now now);
/* Takes one of at most `rate` a second; false when they are used up. */
bool tcp_budget_take(struct tcp_engine *e, struct tcp_budget *b, uint32_t rate);

/* input.c */
/* An address that one end of a connection can have. */
bool tcp_unicast(const struct addr *a);

/* table.c: entries, tuple table, lists */
uint64_t tcp_tuple_tag(const struct tcp_engine *e, const struct addr *local, uint16_t lport,
                       const struct addr *remote, uint16_t rport);
/* The entry of a tuple, as a bucket has it: a connection's, a tcp_syn's, or 0. */
uint32_t tcp_table_find(const struct tcp_engine *e, uint64_t tag, const struct addr *local,
                        uint16_t lport, const struct addr *remote, uint16_t rport);
void tcp_table_put(struct tcp_engine *e, uint32_t entry, uint64_t tag);
/* `hash`: the tag's lower half. The entry must be there. */
void tcp_table_remove(struct tcp_engine *e, uint32_t entry, uint32_t hash);
void tcp_table_replace(struct tcp_engine *e, uint32_t entry, uint32_t by, uint32_t hash);
/* NULL: none, or but a tcp_syn. */
struct tcp_conn *tcp_conn_find(const struct tcp_engine *e, uint64_t tag, const struct addr *local,
                               uint16_t lport, const struct addr *remote, uint16_t rport);
/* The bucket where the search for `hash` begins. */
static inline struct tcp_bucket *tcp_bucket_of(const struct tcp_engine *e, uint32_t hash)
{
    return &e->bucket[(uint64_t)hash * e->buckets >> 32];
}
static inline uint16_t tcp_bucket_tag(uint64_t tag)
{
    return (uint16_t)(tag >> 48);
}
/* Which slots have the tag, a bit each, be they free or not: without a jump for each. */
static inline unsigned tcp_bucket_match(const struct tcp_bucket *b, uint16_t tag)
{
    const __m128i t = _mm_set1_epi16((int16_t)tag);
    __m128i first = _mm_load_si128((const __m128i *)(const void *)b->tag);
    uint32_t rest; /* tags 8 and 9 */
    memcpy(&rest, b->tag + 8, sizeof(rest));
    __m128i low = _mm_cmpeq_epi16(first, t);
    __m128i high = _mm_cmpeq_epi16(_mm_cvtsi32_si128((int)rest), t);
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high)) & ((1u << TCP_SLOTS) - 1);
}
/* A zeroed entry, or NULL when all are taken. */
struct tcp_conn *tcp_conn_take(struct tcp_engine *e);
/* The same, in the table. */
struct tcp_conn *tcp_conn_new(struct tcp_engine *e, uint64_t tag);
/* Puts it into the table under its tuple's tag. */
void tcp_conn_hash(struct tcp_engine *e, struct tcp_conn *c, uint64_t tag);
/* Takes it off the wire: no segment finds it any more. */
void tcp_conn_unhash(struct tcp_engine *e, struct tcp_conn *c);
void tcp_conn_free(struct tcp_engine *e, struct tcp_conn *c);
void tcp_list_init(struct tcp_list *l, enum tcp_link_id link);
void tcp_list_push(struct tcp_engine *e, struct tcp_list *l, struct tcp_conn *c);
void tcp_list_remove(struct tcp_engine *e, struct tcp_list *l, struct tcp_conn *c);
void tcp_conn_ready(struct tcp_conn *c);
void tcp_conn_event(struct tcp_conn *c, enum tcp_event what);

/* pool.c */
bool tcp_pool_init(struct tcp_pool *p, uint32_t count, size_t size, size_t link);
void tcp_pool_fini(struct tcp_pool *p);
/* An element as it was given back, or zeroed when it is new; NULL when none is left. */
void *tcp_pool_take(struct tcp_pool *p);
void tcp_pool_give(struct tcp_pool *p, void *element);
bool tcp_pools_create(struct tcp_engine *e);
void tcp_pools_destroy(struct tcp_engine *e);
static inline uint32_t tcp_blocks_free(const struct tcp_engine *e)
{
    return e->block_pool.left;
}
/* NULL when none is free, or when no more than `reserve` are. */
struct tcp_block *tcp_block_take(struct tcp_engine *e, uint32_t reserve);
void tcp_block_give(struct tcp_engine *e, struct tcp_block *b);
struct tcp_items *tcp_items_take(struct tcp_engine *e);
void tcp_items_give(struct tcp_engine *e, struct tcp_items *i);
/* Those that a burst of `n` segments may take a tcp_tx from. */
void tcp_tx_prefetch(const struct tcp_engine *e, unsigned n);
/* Gives the connection a tcp_tx, if it has none. False: too many are busy. */
bool tcp_tx_open(struct tcp_engine *e, struct tcp_conn *c);
/* The handshake is over: the path is known, and what it carries begins. */
void tcp_tx_start(struct tcp_engine *e, struct tcp_conn *c);
void tcp_tx_close(struct tcp_engine *e, struct tcp_conn *c);

/* wheel.c */
void tcp_wheel_init(struct tcp_wheel *w, uint64_t mono_us);
/* Arms, or moves, the connection's timer. It fires at the first tick not before due_ms. */
void tcp_wheel_arm(struct tcp_engine *e, struct tcp_conn *c, uint32_t due_ms);
void tcp_wheel_stop(struct tcp_engine *e, struct tcp_conn *c);
/* Its neighbours in its slot, strangers that moving it writes to. */
static inline void tcp_wheel_prefetch(const struct tcp_engine *e, const struct tcp_conn *c)
{
    if (c->timer.next)
        __builtin_prefetch(&e->conns[c->timer.next - 1].timer, 1);
    if (c->timer.prev && !(c->timer.prev & TCP_TIMER_HEAD))
        __builtin_prefetch(&e->conns[c->timer.prev - 1].timer, 1);
}
/* Calls tcp_timer_fire for what is due, at most `limit` times; returns how many. */
size_t tcp_wheel_advance(struct tcp_engine *e, uint64_t mono_us, size_t limit);
/* A time not later than the next deadline, UINT64_MAX when nothing is armed. */
uint64_t tcp_wheel_next_us(const struct tcp_engine *e);

/* options.c */
/* False: malformed. Fills everything but tag. */
bool tcp_segment_parse(struct tcp_segment *s, const struct tcp_packet *p);
void tcp_option_syn(struct tcp_out *o, uint16_t mss, int scale, bool ts, uint32_t tsval,
                    uint32_t tsecr);
void tcp_option_ts(struct tcp_out *o, uint32_t tsval, uint32_t tsecr);
void tcp_option_sack_permitted(struct tcp_out *o);
void tcp_option_sack(struct tcp_out *o, const struct tcp_range *b, uint32_t n);

/* syn_table.c: half-open connections, and their time-outs */
bool tcp_syn_create(struct tcp_engine *e);
void tcp_syn_destroy(struct tcp_engine *e);
static inline uint32_t tcp_syn_count(const struct tcp_engine *e)
{
    return e->syn.pool.count - e->syn.pool.left;
}
/* NULL: none, or a connection. */
struct tcp_syn *tcp_syn_find(const struct tcp_engine *e, uint64_t tag, const struct addr *local,
                             uint16_t lport, const struct addr *remote, uint16_t rport);
/* An entry like `y`, in the table, its SYN,ACK sent or due. False: all are taken. */
bool tcp_syn_add(struct tcp_engine *e, const struct tcp_syn *y, uint64_t tag);
void tcp_syn_drop(struct tcp_engine *e, struct tcp_syn *y);
/* The connection takes its place in the table, and the entry is free. */
void tcp_syn_replace(struct tcp_engine *e, struct tcp_syn *y, struct tcp_conn *c, uint64_t tag);
/* The SYN,ACK that `y` stands for. False: the port refused. */
bool tcp_syn_answer(struct tcp_engine *e, const struct tcp_syn *y, uint32_t tsval);
/* Sends the SYN,ACK again at once, out of turn. */
void tcp_syn_repeat(struct tcp_engine *e, struct tcp_syn *y);
/* Resets them all. */
void tcp_syn_abort_all(struct tcp_engine *e);
/* Due retransmissions and expiries, a bounded number. Sets *refused when the port refused. True:
 * more are due. */
bool tcp_syn_poll(struct tcp_engine *e, bool *refused);
/* The next deadline in mono_us, but for what the port refused; UINT64_MAX: none. */
uint64_t tcp_syn_next_us(const struct tcp_engine *e);

/* passive.c: what peers open */
/* A SYN for no connection: begins a handshake, with state or as a cookie, or refuses. `iss_floor`
 * unless NULL is the least number to start from. False: nothing could be begun. */
bool tcp_open_passive(struct tcp_engine *e, const struct tcp_segment *s, const uint32_t *iss_floor);
/* A segment for a half-open connection. */
void tcp_syn_segment(struct tcp_engine *e, struct tcp_syn *y, struct tcp_segment *s);
/* A segment for no connection, with ACK alone of SYN, RST and ACK. True: it completed a handshake
 * that was begun with a cookie, or had to be dropped for lack of a free entry. */
bool tcp_cookie_segment(struct tcp_engine *e, struct tcp_segment *s);

/* open.c */
/* A number to start from (RFC 6528 3): not below *floor unless that is NULL. */
uint32_t tcp_initial_seq(const struct tcp_engine *e, const struct addr *local, uint16_t lport,
                         const struct addr *remote, uint16_t rport, const uint32_t *floor);
/* The segment size agreed with a peer whose SYN is `s`, options not subtracted. */
uint16_t tcp_mss_agreed(const struct tcp_engine *e, const struct tcp_segment *s);
/* The right edge of the first window we offer, which no scale applies to. */
uint32_t tcp_first_window(const struct tcp_engine *e);
uint8_t tcp_window_scale(const struct tcp_engine *e);
/* What the SYN of the peer said to our own. */
void tcp_conn_negotiate(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s);
uint32_t tcp_ts_offset(const struct tcp_engine *e, const struct addr *local,
                       const struct addr *remote);
/* Who takes new connections at a port; NULL: nobody. */
struct tcp_listener *tcp_listener_find(struct tcp_engine *e, uint16_t port);

/* segment.c: RFC 9293 3.10.7; ack.c: its fifth check */
void tcp_conn_segment(struct tcp_engine *e, struct tcp_conn *c, struct tcp_segment *s);
/* False: the segment goes no further. */
bool tcp_conn_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s);
void tcp_conn_window(struct tcp_conn *c, const struct tcp_segment *s);
/* The application that found the queue full hears when half of it is free. */
void tcp_conn_writable(struct tcp_engine *e, struct tcp_conn *c);
/* An ACK that moves snd_una echoes a timestamp of what it covers (RFC 7323 4.3). If it is older
 * than that, something on the path takes ours away and the echo stands still: it is no round-trip
 * time, and no sign that an original arrived. `age_us`: how long ago the oldest of what is covered
 * went; 0: that is not known, but when the flight began is. */
void tcp_echo_judge(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s,
                    uint32_t age_us);
/* A round-trip time: `exact_us` if not 0, else from the timestamp of an ACK that advanced. */
void tcp_conn_sample(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s,
                     uint32_t exact_us, bool advanced);
/* cwnd after an ACK outside of recovery; `flight` as before it. */
void tcp_conn_grow(struct tcp_engine *e, struct tcp_conn *c, uint32_t acked, uint32_t flight,
                   uint32_t rtt_us);
/* Reduces cwnd once a window, without an episode: a repaired tail loss, or ECN's echo. */
void tcp_conn_reduce(struct tcp_engine *e, struct tcp_conn *c, bool ecn);

/* ecn.c */
/* What the answer to our SYN says of it. */
void tcp_ecn_negotiate(struct tcp_conn *c, const struct tcp_segment *s);
/* Whether we grant ECN to the peer whose SYN is `s`. */
bool tcp_ecn_granted(const struct tcp_engine *e, const struct tcp_segment *s);
/* What a SYN or SYN,ACK of ours says of ECN. */
uint8_t tcp_ecn_syn_flags(struct tcp_engine *e, struct tcp_conn *c);
/* Data in the window arrived. */
void tcp_ecn_received(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s);
/* An acceptable ACK, before it moves anything. */
void tcp_ecn_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s);
/* Flags and ECN field of a segment to send; what follows when it went out. */
void tcp_ecn_send(const struct tcp_conn *c, struct tcp_out *o);
void tcp_ecn_sent(struct tcp_conn *c, const struct tcp_out *o);

/* dupack.c: loss recovery without SACK */
void tcp_dupack(struct tcp_engine *e, struct tcp_conn *c);
/* snd_una moved by `acked` bytes; `flight` as before. */
void tcp_dupack_advanced(struct tcp_engine *e, struct tcp_conn *c, uint32_t acked, uint32_t flight);
void tcp_dupack_rto(struct tcp_engine *e, struct tcp_conn *c, bool first);

/* sack.c: what we report */
/* The store has taken bytes at `seq`, out of order. */
void tcp_sack_kept(struct tcp_conn *c, uint32_t seq);
/* rcv_nxt moved over ranges of the store. */
void tcp_sack_advanced(struct tcp_conn *c);
/* [start, end) came though it was here. */
void tcp_sack_duplicate(struct tcp_conn *c, uint32_t start, uint32_t end);
/* [seq, end) comes out of order: a part of it may be here. */
void tcp_sack_overlap(struct tcp_conn *c, uint32_t seq, uint32_t end);
/* What the option takes from a segment's payload now. */
uint32_t tcp_sack_bytes(const struct tcp_conn *c);
void tcp_sack_write(const struct tcp_conn *c, struct tcp_out *o);
/* A segment with the option has gone out. */
void tcp_sack_reported(struct tcp_conn *c);
/* One more range would not fit the next ACK. */
bool tcp_sack_crowded(const struct tcp_conn *c);

/* queue.c: the send queue */
/* The pools have what one more reference may need. */
bool tcp_queue_room(struct tcp_engine *e, struct tcp_conn *c);
/* What is queued goes again from snd_una on. */
void tcp_queue_rewind(struct tcp_conn *c);
bool tcp_queue_push(struct tcp_engine *e, struct tcp_conn *c, struct ref r);
uint32_t tcp_queue_copy(struct tcp_engine *e, struct tcp_conn *c, const uint8_t *p, uint32_t len);
/* Gathers up to `max` bytes from `at` into `out`; returns how many, and moves `at` past them. */
uint32_t tcp_queue_gather(struct tcp_place *at, const struct tcp_conn *c, struct tcp_out *out,
                          uint32_t max);
/* The place of byte `offset` of the queue, counted from snd_una. */
struct tcp_place tcp_queue_at(const struct tcp_conn *c, uint32_t offset);
/* Releases `n` bytes at the head. */
void tcp_queue_release(struct tcp_engine *e, struct tcp_conn *c, uint32_t n);
void tcp_queue_clear(struct tcp_engine *e, struct tcp_conn *c);

/* let_go.c: stream_unsend, stream_own */
uint32_t tcp_queue_unsend(struct tcp_engine *e, struct tcp_conn *c, ref_choice *which);
bool tcp_queue_own(struct tcp_engine *e, struct tcp_conn *c, ref_choice *which, size_t most);

/* reassembly.c: the receive side */
/* In-window data: delivers, keeps, or both. The application may abort inside. */
void tcp_conn_data(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
                   uint32_t len);
/* Offers what is kept. */
void tcp_conn_offer(struct tcp_engine *e, struct tcp_conn *c);
void tcp_store_clear(struct tcp_engine *e, struct tcp_conn *c);
/* Puts [start, end) into a list of `*n`, of at most `max`, ascending, disjoint, not touching.
 * False: no entry is left, nothing has changed. */
bool tcp_range_add(struct tcp_range *list, uint32_t *n, uint32_t max, uint32_t start, uint32_t end);

/* place.c: the application's memory. All of a connection with a store */
/* Copies bytes at `seq`, not before app_nxt, to where they belong; returns how many of the first
 * ones, 0: their place is not known. */
uint32_t tcp_place_put(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
                       uint32_t len);
/* How far from app_nxt the next placed byte is; UINT32_MAX: there is none. */
uint32_t tcp_place_ahead(const struct tcp_conn *c);
/* The byte at app_nxt is placed: where, and *len: at most how many there are asked for, and how
 * many are there. NULL: the place is not what it was. */
const uint8_t *tcp_place_get(struct tcp_engine *e, struct tcp_conn *c, uint32_t *len);
/* app_nxt has moved. */
void tcp_place_consumed(struct tcp_conn *c);

/* output.c */
/* Sends what the connection may send now. False: the host refused. Sets *more when its quantum
 * ended before its work. */
bool tcp_conn_output(struct tcp_engine *e, struct tcp_conn *c, bool *more);
/* The window field of the next segment; moves rcv_edge. */
uint16_t tcp_conn_window_field(struct tcp_engine *e, struct tcp_conn *c);
/* The right edge has room to move enough that the peer should hear of it. */
bool tcp_conn_window_opens(const struct tcp_engine *e, const struct tcp_conn *c);
bool tcp_emit(struct tcp_engine *e, const struct tcp_out *o);

/* path.c: the path's MTU, where it touches a connection. `mss`: as negotiated, less no options. */
void tcp_path_start(struct tcp_conn *c, uint32_t mss);
/* A tx begins with what is known of the path's MTU; what it has learnt stays when it goes. */
void tcp_path_open(struct tcp_conn *c);
void tcp_path_close(struct tcp_conn *c);
/* snd_una has moved. */
void tcp_path_acked(struct tcp_engine *e, struct tcp_conn *c);
/* The segment at `seq` is found lost otherwise than by RTO. True: it was a probe, too large for the
 * path perhaps; it is to be repaired, and says nothing about congestion (RFC 8899 3). */
bool tcp_path_lost(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq);
/* The retransmission timer has expired for the segment at snd_una. */
void tcp_path_rto(struct tcp_engine *e, struct tcp_conn *c);
/* How much the next new segment may carry: mss, or more when it is to probe. `avail` bytes wait,
 * `usable` ones may be sent now. */
uint32_t tcp_path_segment(const struct tcp_engine *e, const struct tcp_conn *c, uint32_t avail,
                          uint32_t usable);
/* The host took a segment with data. */
void tcp_path_sent(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_out *o);
/* ICMP says that the segment at `seq` was too big for a hop of MTU `mtu`. False: not credible. */
bool tcp_path_too_big(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq, uint32_t mtu);

/* pace.c */
/* Is it too early for the next data segment? Then pace_ms says when it may go. */
bool tcp_pace_holds(const struct tcp_engine *e, struct tcp_conn *c);
/* Bytes that may go at once. */
uint32_t tcp_pace_burst(const struct tcp_conn *c);
void tcp_pace_sent(const struct tcp_engine *e, struct tcp_conn *c, uint32_t len);

/* control.c: segments without data, sent at once */
bool tcp_send_ack(struct tcp_engine *e, struct tcp_conn *c);
void tcp_send_probe(struct tcp_engine *e, struct tcp_conn *c);
void tcp_send_rst(struct tcp_engine *e, struct tcp_conn *c);
void tcp_send_challenge(struct tcp_engine *e, struct tcp_conn *c);
/* RST in answer to a segment of no connection (RFC 9293 3.10.7.1). */
void tcp_answer_rst(struct tcp_engine *e, const struct tcp_segment *s);
/* An ACK where there is no connection yet, or no more, within the challenge ACKs' limit. */
struct tcp_bare {
    uint32_t seq, ack;
    uint16_t window; /* as on the wire */
    bool ts_on;
    uint32_t ts_recent;
};
/* False: it is withheld. */
bool tcp_answer_ack(struct tcp_engine *e, const struct tcp_segment *s, const struct tcp_bare *a);

/* timers.c */
uint32_t tcp_rto_ms(const struct tcp_conn *c);
/* These two set a deadline; whoever let the connection act files it in the end (tcp_timer_update).
 */
void tcp_timer_rtx(struct tcp_engine *e, struct tcp_conn *c, bool probing);
void tcp_timer_rtx_stop(struct tcp_conn *c);
void tcp_timer_ack(struct tcp_engine *e, struct tcp_conn *c);
/* Sees to it that the earliest deadline is kept: in the wheel, or soon. */
void tcp_timer_update(struct tcp_engine *e, struct tcp_conn *c);
void tcp_timer_fire(struct tcp_engine *e, struct tcp_conn *c);
/* Files deadlines that have waited, a bounded number. True: there are more. */
bool tcp_timer_young(struct tcp_engine *e);
/* When the next of them has; UINT64_MAX: none waits. */
uint64_t tcp_timer_young_us(const struct tcp_engine *e);

/* stay.c: deadlines of who does nothing */
/* Until the next of them, in ms; negative: it is over. INT32_MAX: there is none. */
int32_t tcp_stay_wait_ms(const struct tcp_engine *e, const struct tcp_conn *c);
/* True: the connection has ended. */
bool tcp_stay_fire(struct tcp_engine *e, struct tcp_conn *c);
/* The queue begins. */
void tcp_stay_queue(const struct tcp_engine *e, struct tcp_conn *c);
/* A segment of the peer's. */
void tcp_stay_heard(const struct tcp_engine *e, struct tcp_conn *c);

/* stream.c: what the application sees */
extern const struct stream_ops tcp_stream_ops;
/* Ends a connection: off the wire, closed(why) at the next poll; one that the application never
 * had is freed at once. */
void tcp_conn_end(struct tcp_engine *e, struct tcp_conn *c, enum stream_end why);
/* Delivers the due events of a connection. */
void tcp_conn_events(struct tcp_engine *e, struct tcp_conn *c);

/* time_wait.c */
bool tcp_time_wait_create(struct tcp_time_wait *t, uint32_t records);
void tcp_time_wait_destroy(struct tcp_time_wait *t);
void tcp_time_wait_add(struct tcp_engine *e, const struct tcp_conn *c);
/* What a record says about an active open of its tuple. */
enum tcp_port_state { TCP_PORT_FREE, TCP_PORT_REUSABLE, TCP_PORT_TAKEN };
enum tcp_port_state tcp_time_wait_port(const struct tcp_engine *e, uint64_t tag);
/* Takes the record away for a new connection; *floor is the least number for that to start from.
 * False: there is none. */
bool tcp_time_wait_take(struct tcp_engine *e, uint64_t tag, uint32_t *floor);
/* True: the segment belonged to a TIME-WAIT record and is answered. */
bool tcp_time_wait_segment(struct tcp_engine *e, const struct tcp_segment *s);
void tcp_time_wait_expire(struct tcp_engine *e);

/* check.c: the invariants, for tests. NULL, or what is wrong with which connection. */
const char *tcp_check(const struct tcp_engine *e);

#endif
