/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What we report as a receiver: RFC 2018 4, RFC 2883 4. Every ACK says which ranges are here
 * beyond a hole, the one that came last first, then those reported before it; a segment that was
 * here already is reported once, in front of all.
 */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

/* The range of the store that has `seq`. */
static const struct tcp_range *range_of(const struct tcp_store *s, uint32_t seq)
{
    for (uint32_t i = 0; i < s->ranges; i++)
        if (seq_leq(s->range[i].start, seq) && seq_lt(seq, s->range[i].end))
            return &s->range[i];
    return NULL;
}

void tcp_sack_kept(struct tcp_conn *c, uint32_t seq)
{
    struct tcp_store *s = c->store;
    const struct tcp_range *r = range_of(s, seq);
    if (!c->sack_on || !r)
        return;
    struct tcp_range next[TCP_SACKS] = {*r};
    uint32_t n = 1, parts = 0;
    for (uint32_t i = 0; i < s->recents; i++) {
        if (seq_leq(r->start, s->recent[i].start) && seq_leq(s->recent[i].end, r->end))
            parts++;
        else if (n < TCP_SACKS)
            next[n++] = s->recent[i];
    }
    if (parts == 0 && s->unreported < UINT8_MAX)
        s->unreported++;
    memcpy(s->recent, next, sizeof(next));
    s->recents = (uint8_t)n;
}

void tcp_sack_advanced(struct tcp_conn *c)
{
    struct tcp_store *s = c->store;
    uint8_t n = 0;
    for (uint32_t i = 0; i < s->recents; i++)
        if (seq_lt(c->rcv_nxt, s->recent[i].start))
            s->recent[n++] = s->recent[i];
    s->recents = n;
}

void tcp_sack_duplicate(struct tcp_conn *c, uint32_t start, uint32_t end)
{
    if (!c->sack_on || !seq_lt(start, end))
        return;
    c->dsack_due = true;
    c->dsack = (struct tcp_range){start, end};
}

void tcp_sack_overlap(struct tcp_conn *c, uint32_t seq, uint32_t end)
{
    const struct tcp_store *s = c->store;
    for (uint32_t i = 0; s && i < s->ranges; i++) {
        if (seq_leq(s->range[i].end, seq))
            continue;
        tcp_sack_duplicate(c, seq_max(seq, s->range[i].start),
                           seq_lt(end, s->range[i].end) ? end : s->range[i].end);
        return;
    }
}

static uint32_t blocks(const struct tcp_conn *c, struct tcp_range out[TCP_SACKS])
{
    uint32_t n = 0, max = c->ts_on ? 3 : 4; /* 40 bytes of options */
    if (!c->sack_on)
        return 0;
    if (c->dsack_due)
        out[n++] = c->dsack;
    for (uint32_t i = 0; c->store && i < c->store->recents && n < max; i++)
        out[n++] = c->store->recent[i];
    return n;
}

uint32_t tcp_sack_bytes(const struct tcp_conn *c)
{
    struct tcp_range b[TCP_SACKS];
    if (!c->dsack_due && !c->store) /* what nearly every segment finds */
        return 0;
    uint32_t n = blocks(c, b);
    return n ? 4 + 8 * n : 0;
}

void tcp_sack_write(const struct tcp_conn *c, struct tcp_out *o)
{
    struct tcp_range b[TCP_SACKS];
    if (c->dsack_due || c->store)
        tcp_option_sack(o, b, blocks(c, b));
}

void tcp_sack_reported(struct tcp_conn *c)
{
    c->dsack_due = false;
    if (c->store)
        c->store->unreported = 0;
}

bool tcp_sack_crowded(const struct tcp_conn *c)
{
    return c->sack_on && c->store && c->store->unreported >= 3;
}
