/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to the TCP engine and its tests: the connection, the engine around it, and what the
 * files here offer one another.
 *
 * A connection is one entry of an array taken at start, found by a keyed hash of its tuple. Idle
 * it owns nothing else; it borrows from bounded pools
 *
 *   send:     a chain of tcp_items, references to what is queued, from snd_una on
 *   receive:  a tcp_store, a map of 2 KiB blocks for what is in order but not yet consumed and
 *             for what came out of order
 *
 *            consumed | kept, in order | gap and ranges out of order |
 *   receive: ---------+----------------+-----------------------------+------->
 *                  app_nxt          rcv_nxt                       rcv_edge
 *
 *            acked | sent            | queued        | (FIN)
 *   send:    ------+-----------------+---------------+------->
 *               snd_una  snd_nxt  snd_max         snd_end
 *
 * snd_nxt falls back to snd_una when the retransmission timer expires (go-back-N); snd_max is
 * the highest ever sent.
 *
 * Two lists hold connections with work to do: `events` those with a deferred event, `ready`
 * those that may have something to send. tcp_input calls the application for received data and
 * for finished handshakes only; everything else waits for tcp_poll. A connection is freed in one
 * place, after its closed event.
 */
#ifndef CORAL_TCP_CONN_H
#define CORAL_TCP_CONN_H

#include <assert.h>

#include "base/rng.h"
#include "base/wheel.h"
#include "dataplane/tcp/reno.h"
#include "dataplane/tcp/rtt.h"
#include "dataplane/tcp/tcp.h"

#define TCP_NONE          UINT32_MAX
#define TCP_BLOCK_BYTES   2048u
#define TCP_STORE_SLOTS   256u /* a power of two: slots are sequence numbers / 2048, modulo */
#define TCP_STORE_RANGES  64u
#define TCP_WINDOW_MAX    (448u * 1024) /* what a store can hold, with room for rounding */
#define TCP_ITEMS         10u
#define TCP_LISTENERS     16u
#define TCP_MSS_MIN       64u /* a smaller offer would only cost us (CVE-2019-11479) */
#define TCP_HEADER        20u
#define TCP_ACK_DELAY_MS  40u
#define TCP_QUANTUM       16u /* segments a connection sends before the next one's turn */
#define TCP_TIMERS        64u /* timers a poll */
#define TCP_REFUSALS      8u  /* refusals in a row before a poll gives up */
#define TCP_FIN_WAIT_2_MS 60000u

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

/* LISTEN is an entry of engine.listener, TIME-WAIT a tcp_tw. */
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

/* A connection is on at most one of events and half_open, and on ready or not. */
enum tcp_link_id { TCP_LINK_READY, TCP_LINK_EVENT, TCP_LINKS };

struct tcp_link {
    uint32_t next, prev; /* indices into engine.conns */
};

struct tcp_list {
    uint32_t head, tail, count;
    enum tcp_link_id link;
};

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

struct tcp_range {
    uint32_t start, end; /* sequence numbers */
};

/* Received bytes that wait. Byte `seq` lies in block slot[seq / 2048 % 256] at seq % 2048, so
 * that small segments share blocks and the window bounds the memory. Kept in a block itself. */
struct tcp_store {
    uint32_t slot[TCP_STORE_SLOTS]; /* block numbers, TCP_NONE */
    uint32_t ranges;
    struct tcp_range range[TCP_STORE_RANGES]; /* out of order: ascending, disjoint, not touching */
};
static_assert(sizeof(struct tcp_store) <= TCP_BLOCK_BYTES, "a store fits a block");

struct tcp_conn {
    struct stream stream;
    struct tcp_engine *engine;
    uint32_t hash;      /* of the tuple; its low bits choose the bucket */
    uint32_t hash_next; /* next in the bucket, or next free entry */
    struct tcp_link link[TCP_LINKS];

    uint8_t state;  /* enum tcp_state */
    uint8_t end;    /* enum stream_end, once CLOSED */
    uint8_t events; /* enum tcp_event, due */
    uint8_t rcv_scale, snd_scale;
    uint8_t backoff;  /* RTOs or probes in a row: the next waits 2^backoff as long */
    uint8_t retries;  /* the same, but set back by any sign of life */
    uint8_t dupacks;  /* duplicate ACKs in a row */
    uint8_t ack_owed; /* ACKs to send for segments out of order, one each (RFC 5681 4.2) */
    uint8_t listener; /* index, passive opens until accepted */

    bool used : 1;
    bool on_ready : 1, on_event : 1, on_half_open : 1, in_table : 1;
    bool passive : 1;
    bool owned : 1;      /* the application has it, and is owed a closed event */
    bool ts_on : 1;      /* timestamps negotiated */
    bool scale_on : 1;   /* the peer offered window scale */
    bool syn_due : 1;    /* send SYN or SYN,ACK */
    bool fin_queued : 1; /* shut was called: FIN after snd_end */
    bool fin_seen : 1;   /* the peer's FIN is at fin_seq, perhaps behind a gap */
    bool eof_told : 1;
    bool ack_now : 1;
    bool head_due : 1;               /* retransmit one segment from snd_una */
    bool force : 1;                  /* send though the window allows less than a full segment */
    bool recovering : 1;             /* fast recovery, until snd_una >= recover */
    bool timing : 1;                 /* rtt_seq and rtt_us are set */
    bool want_write : 1;             /* send or copy took less than given */
    bool want_block : 1;             /* for lack of a block */
    bool tail_copy : 1;              /* the last item is a block of ours that may take more bytes */
    bool rtx_armed : 1, probing : 1; /* rtx_ms is set; it is for a window probe */
    bool ack_armed : 1;

    /* send */
    uint32_t snd_una, snd_nxt, snd_max, snd_end;
    uint32_t snd_wnd, snd_wnd_max; /* in bytes, scaled up */
    uint32_t snd_wl1, snd_wl2;     /* SEQ and ACK of the last window update */
    uint32_t queued;               /* bytes in the queue: [snd_una, snd_end) */
    uint32_t recover;              /* snd_max when the last loss was found (RFC 6582) */
    uint16_t mss;                  /* largest payload we send, options subtracted */
    uint16_t rcv_mss;              /* largest payload seen: what a full segment of the peer is */
    struct reno cc;
    struct rtt rtt;
    uint32_t rtt_seq, rtt_us; /* the ACK that covers rtt_seq gives a sample since rtt_us */
    struct tcp_place head;    /* place of snd_una; items NULL: the queue is empty */
    struct tcp_place next;    /* place of snd_nxt */
    struct tcp_items *tail;
    uint32_t tail_n; /* references used in tail */

    /* receive */
    uint32_t app_nxt, rcv_nxt, rcv_edge;
    uint32_t offered; /* end of what the application was last offered */
    uint32_t fin_seq;
    uint32_t ack_sent; /* the last ACK sent: Last.ACK.sent of RFC 7323 */
    uint32_t ts_recent, ts_recent_ms;
    uint32_t ts_offset; /* of our timestamp clock, by address pair */
    struct tcp_store *store;

    /* timers, in milliseconds of engine.now_ms; one wheel timer, lazy, for the earliest */
    uint32_t rtx_ms, ack_ms;
    uint32_t active_ms;    /* when a byte or an acknowledgement last came */
    uint32_t sent_ms;      /* when data last went */
    uint32_t challenge_ms; /* when the last challenge ACK went */
    bool challenged;
    struct timer timer;
};

/* What is left of a connection in TIME-WAIT: every answer there goes to a packet that carries
 * the addresses. */
struct tcp_tw {
    uint64_t tag; /* hash of the tuple; 0: free */
    uint32_t rcv_nxt, snd_nxt, ts_recent;
    uint32_t due_ms;
    uint32_t hash_next;  /* in the bucket, or next free */
    uint32_t next, prev; /* by age */
    bool ts_on;
};

struct tcp_time_wait {
    struct tcp_tw *record;
    uint32_t *bucket;
    uint32_t mask, free, oldest, newest, count;
};

/* A rate limit: `left` of this second's allowance. */
struct tcp_budget {
    uint64_t second;
    uint32_t left;
};

struct tcp_options {
    bool has_mss, has_scale, has_ts;
    uint8_t scale;
    uint16_t mss;
    uint32_t tsval, tsecr;
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
    struct tcp_options opt;
    const uint8_t *data;
    uint32_t len;
};

struct tcp_listener {
    uint16_t port; /* 0: free */
    tcp_accept *accept;
    void *ctx;
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

    struct tcp_conn *conns;
    uint32_t *bucket;
    uint32_t bucket_mask, free_conn, half_open_max;
    struct tcp_list ready, events, half_open;
    uint32_t starved; /* connections on `events` that wait for a pool */
    bool refused;     /* the last poll had output refused */

    struct tcp_block *blocks;
    uint32_t free_block, blocks_free, blocks_reserve;
    struct tcp_items *items, *free_items;
    uint32_t items_free, items_total;

    struct tcp_time_wait tw;
    struct tcp_listener listener[TCP_LISTENERS];
    uint32_t port_counter;
    struct tcp_budget rst_budget, challenge_budget;
    struct wheel wheel;
    uint8_t scratch[STREAM_LOOKAHEAD]; /* makes kept bytes contiguous while they are offered */
};

static inline struct tcp_conn *tcp_conn_of(const struct stream *s)
{
    return (struct tcp_conn *)(uintptr_t)((const uint8_t *)s - offsetof(struct tcp_conn, stream));
}
static inline uint32_t tcp_conn_index(const struct tcp_engine *e, const struct tcp_conn *c)
{
    return (uint32_t)(c - e->conns);
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

/* table.c: entries, tuple table, lists */
uint64_t tcp_tuple_tag(const struct tcp_engine *e, const struct addr *local, uint16_t lport,
                       const struct addr *remote, uint16_t rport);
struct tcp_conn *tcp_conn_find(const struct tcp_engine *e, uint64_t tag, const struct addr *local,
                               uint16_t lport, const struct addr *remote, uint16_t rport);
/* A zeroed entry in the table, or NULL when all are taken. */
struct tcp_conn *tcp_conn_new(struct tcp_engine *e, uint64_t tag);
/* Takes it off the wire: no segment finds it any more. */
void tcp_conn_unhash(struct tcp_engine *e, struct tcp_conn *c);
void tcp_conn_free(struct tcp_engine *e, struct tcp_conn *c);
void tcp_list_init(struct tcp_list *l, enum tcp_link_id link);
void tcp_list_push(struct tcp_engine *e, struct tcp_list *l, struct tcp_conn *c);
void tcp_list_remove(struct tcp_engine *e, struct tcp_list *l, struct tcp_conn *c);
void tcp_conn_ready(struct tcp_conn *c);
void tcp_conn_event(struct tcp_conn *c, enum tcp_event what);

/* pool.c */
bool tcp_pool_create(struct tcp_engine *e);
void tcp_pool_destroy(struct tcp_engine *e);
/* NULL when none is free, or when no more than `reserve` are. */
struct tcp_block *tcp_block_take(struct tcp_engine *e, uint32_t reserve);
void tcp_block_give(struct tcp_engine *e, struct tcp_block *b);
struct tcp_items *tcp_items_take(struct tcp_engine *e);
void tcp_items_give(struct tcp_engine *e, struct tcp_items *i);

/* options.c */
/* False: malformed. Fills everything but tag. */
bool tcp_segment_parse(struct tcp_segment *s, const struct tcp_packet *p);
void tcp_option_syn(struct tcp_out *o, uint16_t mss, int scale, bool ts, uint32_t tsval,
                    uint32_t tsecr);
void tcp_option_ts(struct tcp_out *o, uint32_t tsval, uint32_t tsecr);

/* open.c */
/* A SYN for no connection. */
void tcp_open_passive(struct tcp_engine *e, const struct tcp_segment *s, uint32_t iss_floor,
                      bool floor);
/* What the SYN of the peer said. */
void tcp_conn_negotiate(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s);
uint32_t tcp_ts_offset(const struct tcp_engine *e, const struct addr *local,
                       const struct addr *remote);
struct tcp_listener *tcp_listener_find(struct tcp_engine *e, uint16_t port);

/* segment.c: RFC 9293 3.10.7; ack.c: its fifth check */
void tcp_conn_segment(struct tcp_engine *e, struct tcp_conn *c, struct tcp_segment *s);
/* False: the segment goes no further. */
bool tcp_conn_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s);
void tcp_conn_window(struct tcp_conn *c, const struct tcp_segment *s);

/* queue.c: the send queue */
bool tcp_queue_push(struct tcp_engine *e, struct tcp_conn *c, struct ref r);
uint32_t tcp_queue_copy(struct tcp_engine *e, struct tcp_conn *c, const uint8_t *p, uint32_t len);
/* Gathers up to `max` bytes from `at` into `out`; returns how many, and moves `at` past them. */
uint32_t tcp_queue_gather(struct tcp_place *at, const struct tcp_conn *c, struct tcp_out *out,
                          uint32_t max);
/* Releases `n` bytes at the head. */
void tcp_queue_release(struct tcp_engine *e, struct tcp_conn *c, uint32_t n);
void tcp_queue_clear(struct tcp_engine *e, struct tcp_conn *c);

/* reassembly.c: the receive side */
/* In-window data: delivers, keeps, or both. The application may abort inside. */
void tcp_conn_data(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
                   uint32_t len);
/* Offers what is kept. */
void tcp_conn_offer(struct tcp_engine *e, struct tcp_conn *c);
void tcp_store_clear(struct tcp_engine *e, struct tcp_conn *c);

/* output.c */
/* Sends what the connection may send now. False: the host refused. Sets *more when its quantum
 * ended before its work. */
bool tcp_conn_output(struct tcp_engine *e, struct tcp_conn *c, bool *more);
/* The window field of the next segment; moves rcv_edge. */
uint16_t tcp_conn_window_field(struct tcp_engine *e, struct tcp_conn *c);
/* The right edge has room to move enough that the peer should hear of it. */
bool tcp_conn_window_opens(const struct tcp_engine *e, const struct tcp_conn *c);
bool tcp_emit(struct tcp_engine *e, const struct tcp_out *o);

/* control.c: segments without data, sent at once */
bool tcp_send_ack(struct tcp_engine *e, struct tcp_conn *c);
void tcp_send_probe(struct tcp_engine *e, struct tcp_conn *c);
void tcp_send_rst(struct tcp_engine *e, struct tcp_conn *c);
void tcp_send_challenge(struct tcp_engine *e, struct tcp_conn *c);
/* RST in answer to a segment of no connection (RFC 9293 3.10.7.1). */
void tcp_answer_rst(struct tcp_engine *e, const struct tcp_segment *s);
void tcp_answer_ack(struct tcp_engine *e, const struct tcp_segment *s, uint32_t seq, uint32_t ack,
                    bool ts_on, uint32_t ts_recent);

/* timers.c */
uint32_t tcp_rto_ms(const struct tcp_conn *c);
void tcp_timer_rtx(struct tcp_engine *e, struct tcp_conn *c, bool probing);
void tcp_timer_rtx_stop(struct tcp_conn *c);
void tcp_timer_ack(struct tcp_engine *e, struct tcp_conn *c);
/* Files the wheel timer for the earliest deadline. */
void tcp_timer_update(struct tcp_engine *e, struct tcp_conn *c);
void tcp_timer_fire(void *engine, struct timer *t);

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
bool tcp_time_wait_has(const struct tcp_engine *e, uint64_t tag);
/* True: the segment belonged to a TIME-WAIT record and is answered. */
bool tcp_time_wait_segment(struct tcp_engine *e, const struct tcp_segment *s);
void tcp_time_wait_expire(struct tcp_engine *e);

/* check.c: the invariants, for tests. NULL, or what is wrong with which connection. */
const char *tcp_check(const struct tcp_engine *e);

#endif
