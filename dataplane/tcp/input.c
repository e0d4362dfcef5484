/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A burst of segments, in passes, so that the memory which one pass asks for has come when
 * the next one needs it: two cold misses a segment in turn cost over a thousand cycles, side by
 * side a hundred.
 *
 *   prepare   parse, hash, prefetch the bucket
 *   touch     prefetch the connection that the bucket names
 *   reach     prefetch what it owns: its application's state, its queue, the queue's first piece,
 *             and what that piece holds (an acknowledgement gives it back, an answer takes it)
 *   act       the segments of one connection back to back, in their order; the ACK for all of
 *             them goes out with tcp_poll
 */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

#define LINE       64u
#define TEXT_LINES 4u /* of a segment: a request's head, most are no longer */

bool tcp_unicast(const struct addr *a)
{
    if (!addr_is_v4(a))
        return a->b[0] != 0xff && !addr_is_zero(a);
    uint32_t v4 = addr_get_v4(a);
    return v4 != 0 && v4 >> 28 < 0xe;
}

/* What no connection can have sent. */
static bool sane(struct tcp_engine *e, const struct tcp_segment *s)
{
    const struct tcp_packet *p = s->packet;
    uint8_t f = s->flags;
    if (s->lport == 0 || s->rport == 0 || !tcp_unicast(&p->src) || !tcp_unicast(&p->dst) ||
        (s->lport == s->rport && addr_eq(&p->src, &p->dst))) {
        counter_inc(&e->counters.tcp_bad_address_total);
        return false;
    }
    if (((f & TCP_SYN) && (f & (TCP_FIN | TCP_RST))) || !(f & (TCP_SYN | TCP_RST | TCP_ACK))) {
        counter_inc(&e->counters.tcp_bad_flags_total);
        return false;
    }
    return true;
}

static void prepare(struct tcp_engine *e, struct tcp_segment *s, const struct tcp_packet *p)
{
    counter_inc(&e->counters.tcp_segments_in_total);
    if (!tcp_segment_parse(s, p)) {
        counter_inc(&e->counters.tcp_bad_header_total);
        return;
    }
    if (!sane(e, s)) {
        s->bad = true;
        return;
    }
    s->tag = tcp_tuple_tag(e, &p->dst, s->lport, &p->src, s->rport);
    __builtin_prefetch(tcp_bucket_of(e, (uint32_t)s->tag));
    for (uint32_t at = 0; at < s->len && at < TEXT_LINES * LINE; at += LINE)
        __builtin_prefetch(s->data + at);
}

#define CHAINS      64u
#define USER_LINES  4u /* of the application's state */
#define BLOCK_LINES 5u /* of a copied head: most are no longer */

static struct tcp_conn *touch(const struct tcp_engine *e, const struct tcp_segment *s)
{
    if (s->bad)
        return NULL;
    const struct tcp_bucket *b = tcp_bucket_of(e, (uint32_t)s->tag);
    for (unsigned m = tcp_bucket_match(b, tcp_bucket_tag(s->tag)); m; m &= m - 1) {
        uint32_t entry = b->entry[__builtin_ctz(m)];
        if (entry == 0)
            continue;
        if (entry & TCP_ENTRY_SYN) {
            __builtin_prefetch(&e->syn.entry[(entry & ~TCP_ENTRY_SYN) - 1]);
            continue;
        }
        struct tcp_conn *c = &e->conns[entry - 1];
        for (size_t line = 0; line < sizeof(struct tcp_conn); line += LINE)
            __builtin_prefetch((const uint8_t *)c + line);
        return c;
    }
    return NULL;
}

static void prefetch_lines(const void *p, unsigned lines)
{
    for (unsigned i = 0; p && i < lines; i++)
        __builtin_prefetch((const uint8_t *)p + i * LINE);
}

/* Each loop reads what the one before asked for. */
static void reach(const struct tcp_engine *e, struct tcp_conn *const *c, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (!c[i])
            continue;
        prefetch_lines(c[i]->stream.user, USER_LINES);
        prefetch_lines(c[i]->tx, 1);
        tcp_wheel_prefetch(e, c[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        const struct tcp_tx *tx = c[i] ? c[i]->tx : NULL;
        if (tx && tx->head.items)
            prefetch_lines(&tx->head.items->ref[tx->head.i], 2);
    }
    for (unsigned i = 0; i < n; i++) {
        const struct tcp_tx *tx = c[i] ? c[i]->tx : NULL;
        if (tx && tx->head.items)
            prefetch_lines(tx->head.items->ref[tx->head.i].hold, BLOCK_LINES);
    }
}

/* RFC 9293 3.10.7.1 and 3.10.7.2: no connection has the segment. */
static void act_unknown(struct tcp_engine *e, struct tcp_segment *s)
{
    if (tcp_time_wait_segment(e, s))
        return;
    uint8_t kind = s->flags & (TCP_SYN | TCP_ACK | TCP_RST);
    if (kind == TCP_SYN) {
        tcp_open_passive(e, s, NULL);
        return;
    }
    if (kind == TCP_ACK && tcp_cookie_segment(e, s))
        return;
    counter_inc(&e->counters.tcp_no_connection_total);
    tcp_answer_rst(e, s);
}

/* `c`: whose it probably is, NULL. */
static void act(struct tcp_engine *e, struct tcp_conn *c, struct tcp_segment *s)
{
    const struct tcp_packet *p = s->packet;
    if (!c || !c->in_table || !tcp_conn_is(c, &p->dst, s->lport, &p->src, s->rport)) {
        uint32_t entry = tcp_table_find(e, s->tag, &p->dst, s->lport, &p->src, s->rport);
        if (entry == 0) {
            act_unknown(e, s);
            return;
        }
        if (entry & TCP_ENTRY_SYN) {
            tcp_syn_segment(e, &e->syn.entry[(entry & ~TCP_ENTRY_SYN) - 1], s);
            return;
        }
        c = &e->conns[entry - 1];
    }
    tcp_conn_segment(e, c, s);
    tcp_timer_update(e, c);
}

/* What comes next, of a burst, for the same connection, perhaps: chains by some bits of the tag. */
struct chains {
    uint8_t next[TCP_BURST]; /* index + 1; 0: none */
    uint8_t tail[CHAINS];    /* the same */
};

static void chain(struct chains *h, unsigned i, uint64_t tag)
{
    uint8_t *tail = &h->tail[tag % CHAINS];
    h->next[i] = 0;
    if (*tail)
        h->next[*tail - 1] = (uint8_t)(i + 1);
    *tail = (uint8_t)(i + 1);
}

void tcp_input(struct tcp_engine *e, const struct tcp_packet *packets, unsigned n, struct now now)
{
    struct tcp_segment s[TCP_BURST];
    struct tcp_conn *c[TCP_BURST];
    struct chains h;
    assert(n <= TCP_BURST);
    tcp_time_set(e, now);
    memset(h.tail, 0, sizeof(h.tail));

    for (unsigned i = 0; i < n; i++)
        prepare(e, &s[i], &packets[i]);
    for (unsigned i = 0; i < n; i++) {
        c[i] = touch(e, &s[i]);
        if (!s[i].bad)
            chain(&h, i, s[i].tag);
    }
    reach(e, c, n);
    tcp_tx_prefetch(e, n);
    for (unsigned i = 0; i < n; i++) {
        if (s[i].bad)
            continue;
        act(e, c[i], &s[i]);
        for (unsigned j = h.next[i]; j > 0; j = h.next[j - 1]) {
            if (s[j - 1].bad || s[j - 1].tag != s[i].tag)
                continue;
            act(e, c[j - 1], &s[j - 1]);
            s[j - 1].bad = true; /* had its turn */
        }
    }
}
