/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A send queue lets go of what it refers to: what never went is taken back, the rest is copied. For
 * an owner that wants its memory back from connections that do not say when they will be done.
 */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

/* The reference at `at`, less what is acknowledged of it, and on to the next; false: the end. */
static bool next_ref(const struct tcp_conn *c, struct tcp_place *at, struct ref *r)
{
    if (!at->items)
        return false;
    bool tail = at->items == c->tx->tail;
    *r = at->items->ref[at->i];
    r->data += at->offset;
    r->len -= at->offset;
    at->offset = 0;
    if (++at->i == (tail ? c->tx->tail_n : TCP_ITEMS))
        *at = (struct tcp_place){tail ? NULL : at->items->next, 0, 0};
    return true;
}

static bool picks(ref_choice *which, const struct ref *r)
{
    return r->hold && which(r->hold);
}

/* Of the queue, counted from snd_una. */
static uint32_t next_offset(const struct tcp_conn *c)
{
    return (seq_lt(c->snd_end, c->snd_nxt) ? c->snd_end : c->snd_nxt) - c->snd_una;
}

/* Drops what is behind byte `cut` of the queue, which is not 0. */
static void truncate(struct tcp_engine *e, struct tcp_conn *c, uint32_t cut)
{
    struct tcp_tx *tx = c->tx;
    struct tcp_place at = tcp_queue_at(c, cut - 1), from = at; /* its last byte */
    struct ref r;
    next_ref(c, &from, &r);
    while (next_ref(c, &from, &r))
        ref_release(&r);
    for (struct tcp_items *i = at.items; i != tx->tail;) {
        struct tcp_items *gone = i->next;
        i->next = gone->next;
        if (gone == tx->tail)
            tx->tail = i;
        tcp_items_give(e, gone);
    }
    at.items->ref[at.i].len = at.offset + 1;
    tx->tail_n = at.i + 1;
    c->tail_copy = false;
    c->snd_end -= c->queued - cut;
    c->queued = cut;
    tx->next = tcp_queue_at(c, next_offset(c));
}

uint32_t tcp_queue_unsend(struct tcp_engine *e, struct tcp_conn *c, ref_choice *which)
{
    struct tcp_place at = tcp_conn_head(c);
    struct ref r;
    /* Timers and turns stand for what is queued: it is never emptied by us. */
    uint32_t cut = c->snd_max - c->snd_una, offset = 0, keep = 0;
    if (c->queued == 0 || c->fin_queued)
        return 0;
    cut = cut ? cut : 1;
    for (; next_ref(c, &at, &r); offset += r.len)
        if (!picks(which, &r))
            keep = offset + r.len;
    cut = keep > cut ? keep : cut;
    uint32_t n = c->queued - cut;
    if (n > 0)
        truncate(e, c, cut);
    return n;
}

struct chain {
    struct tcp_items *first, *last;
    uint32_t n; /* references in the last */
};

static void chain_add(struct tcp_engine *e, struct chain *k, struct ref r)
{
    if (!k->last || k->n == TCP_ITEMS) {
        struct tcp_items *i = tcp_items_take(e);
        assert(i); /* tcp_queue_own has counted */
        *(k->last ? &k->last->next : &k->first) = i;
        k->last = i;
        k->n = 0;
    }
    k->last->ref[k->n++] = r;
}

static void chain_copy(struct tcp_engine *e, struct chain *k, const struct ref *r)
{
    for (uint32_t done = 0; done < r->len;) {
        struct tcp_block *b = tcp_block_take(e, 0);
        assert(b); /* counted, too */
        uint32_t n = r->len - done < TCP_BLOCK_BYTES ? r->len - done : TCP_BLOCK_BYTES;
        memcpy(b->data, r->data + done, n);
        b->used = n;
        chain_add(e, k, (struct ref){b->data, n, &b->hold});
        done += n;
    }
}

/* What the copies need, of a pool that is there for others too: they get no more than a half. */
static bool has_room(const struct tcp_engine *e, uint32_t blocks, uint32_t refs)
{
    return tcp_blocks_free(e) >= blocks + e->config.blocks / 2 &&
           e->items_pool.left >= refs / TCP_ITEMS + 1;
}

bool tcp_queue_own(struct tcp_engine *e, struct tcp_conn *c, ref_choice *which, size_t most)
{
    struct tcp_place at = tcp_conn_head(c);
    uint32_t blocks = 0, refs = 0, next = next_offset(c);
    size_t bytes = 0;
    struct chain k = {0};
    struct ref r;
    bool copied = false;

    while (next_ref(c, &at, &r)) {
        uint32_t n = picks(which, &r) ? (r.len + TCP_BLOCK_BYTES - 1) / TCP_BLOCK_BYTES : 0;
        bytes += n ? r.len : 0;
        blocks += n;
        refs += n ? n : 1;
    }
    if (bytes == 0)
        return true;
    if (bytes > most || !has_room(e, blocks, refs))
        return false;
    struct tcp_items *old = c->tx->head.items, *end = c->tx->tail->next;
    for (at = tcp_conn_head(c); next_ref(c, &at, &r);) {
        if ((copied = picks(which, &r))) {
            chain_copy(e, &k, &r);
            ref_release(&r);
        } else {
            chain_add(e, &k, r);
            copied = c->tail_copy;
        }
    }
    while (old != end) {
        struct tcp_items *gone = old;
        old = gone->next;
        tcp_items_give(e, gone);
    }
    c->tx->head = (struct tcp_place){k.first, 0, 0};
    c->tx->tail = k.last;
    c->tx->tail_n = k.n;
    c->tail_copy = copied; /* the last block may take more */
    c->tx->next = tcp_queue_at(c, next);
    return true;
}
