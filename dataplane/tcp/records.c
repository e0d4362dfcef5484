/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of records of a flight, and the pools that blocks and records come from. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

#define SACKED TCP_RECORD_SACKED
#define LOST   TCP_RECORD_LOST
#define AGAIN  TCP_RECORD_AGAIN

bool tcp_records_create(struct tcp_engine *e)
{
    uint32_t blocks = e->config.flights, n = e->config.records;
    e->recoveries = calloc(blocks + 1, sizeof(*e->recoveries)); /* + 1: none may be configured */
    e->records = calloc(n + 1, sizeof(*e->records));
    if (!e->recoveries || !e->records)
        return false;
    for (uint32_t i = blocks; i-- > 0;) {
        e->recoveries[i].next_free = e->free_recovery;
        e->free_recovery = &e->recoveries[i];
    }
    e->free_record = TCP_NONE;
    for (uint32_t i = n; i-- > 0;) {
        e->records[i].next = e->free_record;
        e->free_record = i;
    }
    e->recoveries_free = blocks;
    e->records_free = n;
    return true;
}

void tcp_records_destroy(struct tcp_engine *e)
{
    free(e->recoveries);
    free(e->records);
}

static uint32_t record_take(struct tcp_engine *e, struct tcp_recovery *r)
{
    uint32_t i = e->free_record;
    if (i == TCP_NONE || r->count >= TCP_RECORDS_MAX) {
        counter_inc(&e->counters.tcp_no_record_total);
        return TCP_NONE;
    }
    e->free_record = e->records[i].next;
    e->records_free--;
    r->count++;
    return i;
}

/* Takes record i out of the list. */
static void record_remove(struct tcp_engine *e, struct tcp_recovery *r, uint32_t i)
{
    struct tcp_record *x = &e->records[i];
    if (x->prev == TCP_NONE)
        r->first = x->next;
    else
        e->records[x->prev].next = x->next;
    if (x->next == TCP_NONE)
        r->last = x->prev;
    else
        e->records[x->next].prev = x->prev;
    x->next = e->free_record;
    e->free_record = i;
    e->records_free++;
    r->count--;
}

bool tcp_recovery_open(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_recovery *r = e->free_recovery;
    if (!r || e->free_record == TCP_NONE) {
        counter_inc(&e->counters.tcp_no_recovery_total);
        return false;
    }
    e->free_recovery = r->next_free;
    e->recoveries_free--;
    memset(r, 0, offsetof(struct tcp_recovery, undo.cc));
    r->first = r->last = TCP_NONE;
    r->rack.fack = c->snd_una;
    c->rec = r;
    return true;
}

void tcp_recovery_begin(struct tcp_engine *e, struct tcp_conn *c)
{
    assert(c->lone && !c->rec);
    c->lone = false;
    if (tcp_recovery_open(e, c)) {
        tcp_record_append(e, c, c->snd_max, false);
        e->records[c->rec->last].sent_us = c->tx->lone_us;
        return;
    }
    c->soon_armed = false;
    c->timing = true;
    c->tx->rtt_seq = c->snd_max;
    c->tx->rtt_us = c->tx->lone_us;
}

void tcp_recovery_close(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_recovery *r = c->rec;
    c->lone = c->soon_armed = false;
    if (!r)
        return;
    while (r->first != TCP_NONE)
        record_remove(e, r, r->first);
    r->next_free = e->free_recovery;
    e->free_recovery = r;
    e->recoveries_free++;
    c->rec = NULL;
}

uint32_t tcp_record_start(const struct tcp_engine *e, const struct tcp_conn *c, uint32_t i)
{
    uint32_t prev = e->records[i].prev;
    return prev == TCP_NONE ? c->snd_una : e->records[prev].end;
}

void tcp_record_append(struct tcp_engine *e, struct tcp_conn *c, uint32_t end, bool large)
{
    struct tcp_recovery *r = c->rec;
    uint32_t now = (uint32_t)e->now.mono_us;
    struct tcp_record *last = r->last == TCP_NONE ? NULL : &e->records[r->last];
    if (last && !large && last->flags == 0 && last->sent_us == now) { /* the same burst */
        last->end = end;
        return;
    }
    uint32_t i = record_take(e, r);
    if (i != TCP_NONE) {
        e->records[i] =
            (struct tcp_record){TCP_NONE, r->last, end, now, large ? TCP_RECORD_LARGE : 0};
        if (last)
            last->next = i;
        else
            r->first = i;
        r->last = i;
        return;
    }
    /* No record is left: the last one grows, and knows less. (There is one: the block came with
     * the first.) What was lost stays lost, what was SACKED is in flight again. */
    assert(last);
    uint32_t len = last->end - tcp_record_start(e, c, r->last);
    if (last->flags & SACKED) {
        r->sacked -= len;
        memset(r->seen, 0, sizeof(r->seen));
    }
    if (last->flags & LOST)
        r->lost += end - last->end;
    last->flags = (uint8_t)((last->flags & LOST) | AGAIN);
    last->end = end;
    last->sent_us = now;
}

/* Cuts record i at seq, which is inside of it. False: no record is left. */
static bool split(struct tcp_engine *e, struct tcp_conn *c, uint32_t i, uint32_t seq)
{
    struct tcp_recovery *r = c->rec;
    uint32_t j = record_take(e, r);
    if (j == TCP_NONE)
        return false;
    struct tcp_record *x = &e->records[i], *y = &e->records[j];
    *y = *x;
    y->prev = i;
    if (x->next == TCP_NONE)
        r->last = j;
    else
        e->records[x->next].prev = j;
    x->next = j;
    x->end = seq;
    return true;
}

static bool inside(const struct tcp_engine *e, const struct tcp_conn *c, uint32_t i, uint32_t seq)
{
    return seq_lt(tcp_record_start(e, c, i), seq) && seq_lt(seq, e->records[i].end);
}

void tcp_record_again(struct tcp_engine *e, struct tcp_conn *c, uint32_t i, uint32_t seq,
                      uint32_t end)
{
    /* a record that cannot be cut counts as sent again whole: what did not go is found missing
     * once more, a round trip later */
    if (inside(e, c, i, seq) && split(e, c, i, seq))
        i = e->records[i].next;
    if (inside(e, c, i, end))
        split(e, c, i, end);
    struct tcp_record *x = &e->records[i];
    if (x->flags & LOST)
        c->rec->lost -= x->end - tcp_record_start(e, c, i);
    x->flags = (uint8_t)((x->flags & ~(LOST | TCP_RECORD_LARGE)) | AGAIN);
    c->rec->mixed = true;
    c->rec->mixed_end = c->snd_max;
    x->sent_us = (uint32_t)e->now.mono_us;
}

void tcp_record_lost(struct tcp_engine *e, struct tcp_conn *c, uint32_t i)
{
    struct tcp_record *x = &e->records[i];
    assert(!(x->flags & (SACKED | LOST)));
    uint32_t len = x->end - tcp_record_start(e, c, i);
    x->flags |= LOST;
    c->rec->lost += len;
    c->rec->lost_news += x->flags & TCP_RECORD_LARGE ? 0 : len;
}

bool tcp_records_congested(const struct tcp_engine *e, const struct tcp_conn *c)
{
    if (c->rec->lost == 0)
        return false;
    for (uint32_t i = c->rec->first; i != TCP_NONE; i = e->records[i].next)
        if ((e->records[i].flags & (LOST | TCP_RECORD_LARGE)) == LOST)
            return true;
    return false;
}

uint32_t tcp_record_first_lost(const struct tcp_engine *e, const struct tcp_conn *c)
{
    uint32_t i = c->rec->first;
    while (i != TCP_NONE && !(e->records[i].flags & LOST))
        i = e->records[i].next;
    return i;
}

/* `len` bytes up to `end` of a record have arrived. */
static void delivered(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_record *x,
                      uint32_t end, uint32_t len, struct tcp_ack_news *n, bool in_order)
{
    const struct tcp_segment *s = n->segment;
    uint32_t age = n->now_us - x->sent_us;
    struct rack_segment d = {x->sent_us, end, x->flags & AGAIN, false};
    const struct rack *k = &c->rec->rack;
    bool old = k->any && rack_sent_after(k->sent_us, k->end, x->sent_us, end);
    /* the echo is of what moved the peer's left edge (RFC 7323 4.3): a SACK's tells nothing */
    if (d.again && in_order && c->ts_on && s->opt.has_ts) {
        uint32_t sent_ms = (uint32_t)((e->now.mono_us - age) / 1000);
        d.echo_older = !c->echo_dead && s->opt.tsecr != c->last_echo &&
                       (int32_t)(s->opt.tsecr - (sent_ms + c->ts_offset)) < 0;
    }
    n->delivered += len;
    n->again = n->again || (in_order && d.again);
    if (in_order && n->age_us <= age)
        n->age_us = age ? age : 1;
    if (!d.again && !old) { /* what is old news may have arrived long ago */
        n->late_us = age ? age : 1;
        if (n->rtt_us < n->late_us)
            n->rtt_us = n->late_us;
    }
    if (!d.again && c->in_rto && seq_leq(end, c->tx->recover))
        n->original = true;
    rack_delivered(&c->rec->rack, &c->tx->order, &d, n->now_us, c->tx->min_rtt_us);
}

void tcp_records_ack(struct tcp_engine *e, struct tcp_conn *c, uint32_t ack, struct tcp_ack_news *n)
{
    struct tcp_recovery *r = c->rec;
    uint32_t start = c->snd_una;
    while (r->first != TCP_NONE && seq_lt(start, ack)) {
        struct tcp_record *x = &e->records[r->first];
        uint32_t end = seq_lt(ack, x->end) ? ack : x->end;
        uint32_t len = end - start;
        if (x->flags & SACKED) {
            r->sacked -= len;
        } else {
            r->lost -= x->flags & LOST ? len : 0;
            delivered(e, c, x, end, len, n, true);
        }
        if (end == x->end)
            record_remove(e, r, r->first);
        start = end;
    }
    if (r->sacked == 0 && r->seen_next > 0) { /* all that was seen is behind */
        memset(r->seen, 0, sizeof(r->seen));
        r->seen_next = 0;
    }
}

/* Record i is SACKed; it and SACKed neighbours become one. Returns the one. */
static uint32_t mark_sacked(struct tcp_engine *e, struct tcp_conn *c, uint32_t i)
{
    struct tcp_recovery *r = c->rec;
    struct tcp_record *x = &e->records[i];
    uint32_t len = x->end - tcp_record_start(e, c, i);
    if (x->flags & LOST)
        r->lost -= len;
    r->sacked += len;
    x->flags = (uint8_t)((x->flags & AGAIN) | SACKED);
    uint32_t next = x->next, prev = x->prev;
    if (next != TCP_NONE && (e->records[next].flags & SACKED)) {
        x->end = e->records[next].end;
        x->flags |= e->records[next].flags;
        record_remove(e, r, next);
    }
    if (prev != TCP_NONE && (e->records[prev].flags & SACKED)) {
        e->records[prev].end = x->end;
        e->records[prev].flags |= x->flags;
        record_remove(e, r, i);
        return prev;
    }
    return i;
}

/* Where the edge of a block cuts a record that begins at `start`: at that byte while the list is
 * short; in a long one between segments only, towards the inside of the block. Else a peer that
 * reports single bytes has those between them sent again in a segment each, hundreds by one ACK. */
static uint32_t cut_at(const struct tcp_conn *c, uint32_t start, uint32_t edge, bool forward)
{
    uint32_t part = (edge - start) % c->mss;
    if (c->rec->count < TCP_RECORDS_FINE || part == 0)
        return edge;
    return forward ? edge + c->mss - part : edge - part;
}

void tcp_records_sack(struct tcp_engine *e, struct tcp_conn *c, struct tcp_range s,
                      struct tcp_ack_news *n)
{
    struct tcp_recovery *r = c->rec;
    for (uint32_t k = 0; k < TCP_SACKS; k++)
        if (r->seen[k].start == s.start && r->seen[k].end == s.end && s.start != s.end)
            return;
    bool whole = true, exact = true; /* and no edge was moved inside */
    for (uint32_t i = r->first; i != TCP_NONE; i = e->records[i].next) {
        uint32_t start = tcp_record_start(e, c, i), end = e->records[i].end;
        if (!seq_lt(start, s.end))
            break;
        if (seq_leq(end, s.start) || (e->records[i].flags & SACKED))
            continue;
        if (seq_lt(start, s.start)) {
            uint32_t at = cut_at(c, start, s.start, true);
            exact = exact && at == s.start;
            if (!seq_lt(at, end) || !seq_lt(at, s.end))
                continue; /* no whole segment of it */
            whole = whole && split(e, c, i, at);
            if (!whole)
                break;
            continue; /* with its second half */
        }
        if (seq_lt(s.end, end)) {
            uint32_t at = cut_at(c, start, s.end, false);
            exact = exact && at == s.end;
            if (at == start)
                break;
            whole = split(e, c, i, at);
            if (!whole)
                break;
        }
        uint32_t len = e->records[i].end - start;
        delivered(e, c, &e->records[i], e->records[i].end, len, n, false);
        n->sacked += len;
        i = mark_sacked(e, c, i);
    }
    if (whole && exact)
        r->seen[r->seen_next++ % TCP_SACKS] = s;
}

void tcp_records_forget(struct tcp_engine *e, struct tcp_conn *c, uint8_t flag)
{
    struct tcp_recovery *r = c->rec;
    for (uint32_t i = r->first; i != TCP_NONE; i = e->records[i].next)
        e->records[i].flags &= (uint8_t)~flag;
    if (flag & LOST)
        r->lost = 0;
    if (flag & SACKED) {
        r->sacked = 0;
        memset(r->seen, 0, sizeof(r->seen));
    }
}
