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

static struct ref *last_item(const struct tcp_conn *c)
{
    return c->head.items ? &c->tail->ref[c->tail_n - 1] : NULL;
}

static void grew(struct tcp_conn *c, uint32_t len)
{
    c->queued += len;
    c->snd_end += len;
}

/* The caller has taken the hold. */
static bool append(struct tcp_engine *e, struct tcp_conn *c, struct ref r)
{
    if (!c->head.items || c->tail_n == TCP_ITEMS) {
        struct tcp_items *i = tcp_items_take(e);
        if (!i)
            return false;
        if (!c->head.items) {
            c->head = (struct tcp_place){i, 0, 0};
            c->next = c->head;
        } else {
            c->tail->next = i;
        }
        c->tail = i;
        c->tail_n = 0;
    }
    c->tail->ref[c->tail_n++] = r;
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
    while (out->len < max && out->refs < TCP_OUT_REFS && at->items) {
        uint32_t used = at->items == c->tail ? c->tail_n : TCP_ITEMS;
        const struct ref *item = &at->items->ref[at->i];
        if (at->offset == item->len) { /* its end: on to the next reference, if there is one */
            if (at->i + 1 < used)
                at->i++;
            else if (at->items != c->tail)
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

void tcp_queue_release(struct tcp_engine *e, struct tcp_conn *c, uint32_t n)
{
    assert(n <= c->queued);
    c->queued -= n;
    while (n > 0) {
        struct tcp_items *items = c->head.items;
        struct ref *item = &items->ref[c->head.i];
        uint32_t left = item->len - c->head.offset;
        if (n < left) {
            c->head.offset += n;
            return;
        }
        n -= left;
        ref_release(item);
        c->head.offset = 0;
        c->head.i++;
        if (items == c->tail && c->head.i == c->tail_n) { /* the queue is empty */
            tcp_items_give(e, items);
            c->head = c->next = (struct tcp_place){NULL, 0, 0};
            c->tail = NULL;
            c->tail_n = 0;
            c->tail_copy = false;
            assert(n == 0);
            return;
        }
        if (c->head.i == TCP_ITEMS) {
            c->head = (struct tcp_place){items->next, 0, 0};
            tcp_items_give(e, items);
        }
    }
}

void tcp_queue_clear(struct tcp_engine *e, struct tcp_conn *c)
{
    tcp_queue_release(e, c, c->queued);
}
