/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the sender knows of its flight when the peer sends SACK: one list of records tiles
 * [snd_una, snd_max) in sequence order. A record is what was sent at one instant, a whole burst
 * if it went out in one poll; a SACK that covers a part splits it. Record i reaches from the end
 * of the one before it, or from snd_una, to its own.
 *
 *    snd_una                                                      snd_max
 *      |  again   | sacked          | lost  | sacked | in flight    |
 *      +----------+-----------------+-------+--------+--------------+
 *
 * `pipe`, what the network still holds, is the flight less what is sacked and what is lost.
 * A flight that is one burst, as most answers are, is `lone`: when it went is all there is to know,
 * and it has neither block nor record unless more goes out, or an ACK does not cover it whole, or a
 * deadline passes. Others borrow them until all is acknowledged. When the records run out, the last
 * one grows instead and SACKs that would split one are not used: coarser, never wrong. Without a
 * block the flight is NewReno's (dupack.c). A long list takes whole segments only, so that what is
 * lost is worth sending again.
 */
#ifndef CORAL_TCP_RECOVERY_H
#define CORAL_TCP_RECOVERY_H

#include "dataplane/tcp/cc.h"
#include "dataplane/tcp/prr.h"
#include "dataplane/tcp/rack.h"
#include "dataplane/tcp/tcp.h"

#define TCP_SACKS        4u    /* blocks in a segment, at most */
#define TCP_RECORDS_MAX  1024u /* of one connection: bounds the walk of an ACK */
#define TCP_RECORDS_FINE 64u   /* beyond so many, SACKs count by whole segments */

enum tcp_record_flag {
    TCP_RECORD_SACKED = 1,
    TCP_RECORD_LOST = 2,  /* to be sent again; cleared when it is */
    TCP_RECORD_AGAIN = 4, /* sent more than once: gives no round-trip time (Karn) */
    TCP_RECORD_LARGE = 8, /* perhaps larger than the path carries: if lost, no sign of congestion */
};

struct tcp_record {
    uint32_t next, prev; /* indices into engine.records */
    uint32_t end;
    uint32_t sent_us;
    uint8_t flags; /* enum tcp_record_flag */
};

/* Sequence numbers [start, end). */
struct tcp_range {
    uint32_t start, end;
};

/* What may have been reduced for nothing: undo.c. */
struct tcp_undo {
    uint32_t mark;  /* snd_una at the first reduction of the episode */
    uint32_t bytes; /* sent again since, and not reported as duplicates */
    uint32_t ts;    /* our timestamp when the first was sent again */
    bool armed;
    bool sent;    /* something was sent again: bytes and ts count */
    struct cc cc; /* as it was before that reduction, while `armed`; the last thing of a recovery */
};

struct tcp_recovery {
    struct tcp_recovery *next_free;
    uint32_t first, last, count; /* records */
    uint32_t sacked, lost;       /* bytes of records with that flag */
    struct rack rack;
    struct prr prr;
    struct tcp_range seen[TCP_SACKS]; /* SACK blocks already worked in */
    uint32_t seen_next;
    uint32_t mixed_end; /* until snd_una passes it, records are not in the order of sending */
    bool mixed;
    uint32_t lost_news; /* bytes marked lost since the controller last heard */
    bool tlp_due;       /* a probe is to be sent */
    uint8_t frto;       /* F-RTO is watching the first ACKs after an RTO (RFC 5682) */
    uint8_t frto_new;   /* new segments that it may send instead of lost ones */
    struct tcp_undo undo;
};

struct tcp_conn;
struct tcp_segment;

/* What one ACK brought. */
struct tcp_ack_news {
    uint32_t now_us;
    uint32_t delivered; /* bytes newly acknowledged or SACKed */
    uint32_t sacked;    /* of these, SACKed */
    uint32_t rtt_us;    /* of the earliest segment sent once; 0: none */
    uint32_t late_us;   /* of the latest */
    uint32_t age_us;    /* of what snd_una passes, since when the oldest of it went */
    bool again;         /* of what snd_una passes, something was sent more than once */
    bool original;      /* delivered from before the last RTO, sent once (RFC 5682 3.1) */
    bool has_dsack;
    struct tcp_range dsack;
    const struct tcp_segment *segment;
};

/* records.c */
bool tcp_records_create(struct tcp_engine *e);
void tcp_records_destroy(struct tcp_engine *e);
/* A lone flight gets its block and its record; where none is free it goes on as NewReno's. */
void tcp_recovery_begin(struct tcp_engine *e, struct tcp_conn *c);
/* Borrows a block for [snd_una, end) to be. False: none is free. */
bool tcp_recovery_open(struct tcp_engine *e, struct tcp_conn *c);
void tcp_recovery_close(struct tcp_engine *e, struct tcp_conn *c);
uint32_t tcp_record_start(const struct tcp_engine *e, const struct tcp_conn *c, uint32_t i);
/* [snd_max, end) was sent now. `large`: it probes the path, and has a record of its own. */
void tcp_record_append(struct tcp_engine *e, struct tcp_conn *c, uint32_t end, bool large);
/* [seq, end) of record i was sent again now. */
void tcp_record_again(struct tcp_engine *e, struct tcp_conn *c, uint32_t i, uint32_t seq,
                      uint32_t end);
void tcp_record_lost(struct tcp_engine *e, struct tcp_conn *c, uint32_t i);
/* Is anything lost that was not too large for the path? */
bool tcp_records_congested(const struct tcp_engine *e, const struct tcp_conn *c);
/* The first record marked lost, TCP_NONE. */
uint32_t tcp_record_first_lost(const struct tcp_engine *e, const struct tcp_conn *c);
/* Removes what `ack` covers; snd_una is still as before. */
void tcp_records_ack(struct tcp_engine *e, struct tcp_conn *c, uint32_t ack,
                     struct tcp_ack_news *n);
void tcp_records_sack(struct tcp_engine *e, struct tcp_conn *c, struct tcp_range r,
                      struct tcp_ack_news *n);
/* Nothing is lost, nothing SACKed: after an undo, after reneging. */
void tcp_records_forget(struct tcp_engine *e, struct tcp_conn *c, uint8_t flag);

/* recovery.c */
uint32_t tcp_recovery_pipe(const struct tcp_conn *c);
/* Does the ACK report a duplicate? Sets has_dsack and dsack. */
void tcp_dsack_find(const struct tcp_conn *c, struct tcp_ack_news *n);
/* A lone flight is acknowledged whole, and the ACK says nothing else. */
void tcp_recovery_lone_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s);
/* An acceptable ACK of a connection with a recovery block. */
void tcp_recovery_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_segment *s);
void tcp_recovery_rto(struct tcp_engine *e, struct tcp_conn *c);
/* The reordering window or the probe time-out has passed. */
void tcp_recovery_soon(struct tcp_engine *e, struct tcp_conn *c);
/* Everything that is not SACKed goes again; `large`: because the path does not carry its size. */
void tcp_recovery_all_lost(struct tcp_engine *e, struct tcp_conn *c, bool large);
/* A segment [seq, end) went out; `record`: the one it repeats, TCP_NONE. snd_max is as before. */
void tcp_recovery_sent(struct tcp_engine *e, struct tcp_conn *c, uint32_t record, uint32_t seq,
                       uint32_t end);

/* tlp.c */
/* Arms the probe time-out, if one is allowed now. */
void tcp_tlp_arm(struct tcp_engine *e, struct tcp_conn *c);
void tcp_tlp_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_ack_news *n,
                 bool advanced);
void tcp_tlp_sent(struct tcp_conn *c, bool again);

/* undo.c */
void tcp_undo_save(struct tcp_conn *c);
void tcp_undo_sent(struct tcp_engine *e, struct tcp_conn *c, uint32_t bytes);
/* Takes back the reductions of an episode if this ACK shows that it was none. */
bool tcp_undo_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_ack_news *n,
                  bool advanced);
/* RFC 5682, after an RTO. True: it was spurious and is undone. */
bool tcp_frto_ack(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_ack_news *n,
                  bool advanced);

#endif
