/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The send queue: references in a chain of pieces. Bytes leave it by acknowledgement only, so a
 * retransmission finds them where they were. A reference that goes on where the last one ended,
 * under the same hold, becomes part of it: a large object is a few items.
 */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

static uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

bool tcp_queue_room(struct tcp_engine *e, struct tcp_conn *c)
{
    return e->items_pool.left > 0 && tcp_tx_open(e, c);
}

void tcp_queue_rewind(struct tcp_conn *c)
{
    if (c->tx)
        c->tx->next = c->tx->head;
}

static struct ref *last_item(const struct tcp_conn *c)
{
    return c->queued > 0 ? &c->tx->tail->ref[c->tx->tail_n - 1] : NULL;
}

static void grew(struct tcp_conn *c, uint32_t len)
{
    c->queued += len;
    c->snd_end += len;
}

/* A further piece of the chain. */
static bool extend(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!tcp_tx_open(e, c)) {
        counter_inc(&e->counters.tcp_no_queue_total);
        return false;
    }
    struct tcp_items *i = tcp_items_take(e);
    if (!i)
        return false;
    if (c->queued == 0) {
        tcp_stay_queue(e, c);
        c->tx->head = c->tx->next = (struct tcp_place){i, 0, 0};
    } else {
        c->tx->tail->next = i;
    }
    c->tx->tail = i;
    c->tx->tail_n = 0;
    return true;
}

/* The caller has taken the hold. */
static bool append(struct tcp_engine *e, struct tcp_conn *c, struct ref r)
{
    if ((c->queued == 0 || c->tx->tail_n == TCP_ITEMS) && !extend(e, c))
        return false;
    c->tx->tail->ref[c->tx->tail_n++] = r;
    c->tail_copy = false;
    grew(c, r.len);
    return true;
}

bool tcp_queue_push(struct tcp_engine *e, struct tcp_conn *c, struct ref r)
{
    struct ref *last = last_item(c);
    if (last && !c->tail_copy && last->hold == r.hold && last->data + last->len == r.data &&
        last->len < (1u << 30) - r.len) {
        last->len += r.len;
        grew(c, r.len);
        return true;
    }
    if (!append(e, c, r))
        return false;
    ref_hold(&r);
    return true;
}

uint32_t tcp_queue_copy(struct tcp_engine *e, struct tcp_conn *c, const uint8_t *p, uint32_t len)
{
    uint32_t done = 0;
    while (done < len) {
        struct ref *last = last_item(c);
        if (last && c->tail_copy) {
            struct tcp_block *b =
                (struct tcp_block *)((uint8_t *)last->hold - offsetof(struct tcp_block, hold));
            uint32_t n = min32(len - done, TCP_BLOCK_BYTES - b->used);
            if (n > 0) {
                memcpy(b->data + b->used, p + done, n);
                b->used += n;
                last->len += n;
                grew(c, n);
                done += n;
                continue;
            }
        }
        struct tcp_block *b = tcp_block_take(e, c->queued ? e->blocks_reserve : 0);
        if (!b)
            break;
        uint32_t n = min32(len - done, TCP_BLOCK_BYTES);
        memcpy(b->data, p + done, n);
        b->used = n;
        if (!append(e, c, (struct ref){b->data, n, &b->hold})) {
            tcp_block_give(e, b);
            break;
        }
        c->tail_copy = true;
        done += n;
    }
    return done;
}

uint32_t tcp_queue_gather(struct tcp_place *at, const struct tcp_conn *c, struct tcp_out *out,
                          uint32_t max)
{
    const struct tcp_tx *tx = c->tx;
    while (out->len < max && out->refs < TCP_OUT_REFS && at->items) {
        uint32_t used = at->items == tx->tail ? tx->tail_n : TCP_ITEMS;
        const struct ref *item = &at->items->ref[at->i];
        if (at->offset == item->len) { /* its end: on to the next reference, if there is one */
            if (at->i + 1 < used)
                at->i++;
            else if (at->items != tx->tail)
                *at = (struct tcp_place){at->items->next, 0, 0};
            else
                break;
            at->offset = 0;
            continue;
        }
        uint32_t n = min32(item->len - at->offset, max - out->len);
        out->ref[out->refs++] = (struct ref){item->data + at->offset, n, item->hold};
        out->len += n;
        at->offset += n;
    }
    return out->len;
}

struct tcp_place tcp_queue_at(const struct tcp_conn *c, uint32_t offset)
{
    struct tcp_place p = tcp_conn_head(c);
    while (p.items) {
        uint32_t left = p.items->ref[p.i].len - p.offset;
        uint32_t used = p.items == c->tx->tail ? c->tx->tail_n : TCP_ITEMS;
        bool last = p.items == c->tx->tail && p.i + 1 == used;
        if (offset < left || (offset == left && last)) {
            p.offset += offset;
            break;
        }
        assert(!last);
        offset -= left;
        p = p.i + 1 < used ? (struct tcp_place){p.items, p.i + 1, 0}
                           : (struct tcp_place){p.items->next, 0, 0};
    }
    return p;
}

void tcp_queue_release(struct tcp_engine *e, struct tcp_conn *c, uint32_t n)
{
    assert(n <= c->queued);
    c->queued -= n;
    struct tcp_tx *tx = c->tx;
    while (n > 0) {
        struct tcp_items *items = tx->head.items;
        struct ref *item = &items->ref[tx->head.i];
        uint32_t left = item->len - tx->head.offset;
        if (n < left) {
            tx->head.offset += n;
            return;
        }
        n -= left;
        ref_release(item);
        tx->head.offset = 0;
        tx->head.i++;
        if (items == tx->tail && tx->head.i == tx->tail_n) { /* the queue is empty */
            tcp_items_give(e, items);
            tx->head = tx->next = (struct tcp_place){0};
            c->tail_copy = false;
            assert(n == 0);
            return;
        }
        if (tx->head.i == TCP_ITEMS) {
            tx->head = (struct tcp_place){items->next, 0, 0};
            tcp_items_give(e, items);
        }
    }
}

void tcp_queue_clear(struct tcp_engine *e, struct tcp_conn *c)
{
    tcp_queue_release(e, c, c->queued);
}
