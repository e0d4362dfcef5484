/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What arrives. In-order bytes go to the application where they lie in the packet. What it does
 * not consume, and what comes out of order, is kept: where it belongs if the application knows that
 * (place.c), else in the connection's store, in blocks, which are made contiguous, up to
 * STREAM_LOOKAHEAD, only while they are offered. No packet is held beyond its own poll. A byte
 * counts as received (rcv_nxt) once it is consumed or kept, never before, so nothing acknowledged
 * is lost.
 */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

static uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t slot_of(uint32_t seq)
{
    return seq / TCP_BLOCK_BYTES % TCP_STORE_SLOTS;
}

static struct tcp_block *store_block(const struct tcp_store *s)
{
    return (struct tcp_block *)(uintptr_t)((const uint8_t *)s - offsetof(struct tcp_block, data));
}

static bool store_open(struct tcp_engine *e, struct tcp_conn *c, uint32_t reserve)
{
    if (c->store)
        return true;
    struct tcp_block *b = tcp_block_take(e, reserve);
    if (!b)
        return false;
    c->store = (struct tcp_store *)(void *)b->data;
    memset(c->store->slot, 0xff, sizeof(c->store->slot)); /* TCP_NONE */
    c->store->ranges = c->store->places = 0;
    c->store->recents = c->store->unreported = 0;
    return true;
}

static void slot_free(struct tcp_engine *e, struct tcp_store *s, uint32_t slot)
{
    if (s->slot[slot] != TCP_NONE)
        tcp_block_give(e, &e->blocks[s->slot[slot]]);
    s->slot[slot] = TCP_NONE;
}

void tcp_store_clear(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!c->store)
        return;
    for (uint32_t i = 0; i < TCP_STORE_SLOTS; i++)
        slot_free(e, c->store, i);
    tcp_block_give(e, store_block(c->store));
    c->store = NULL;
}

/* Keeps bytes in blocks; returns how many of the first ones found room. */
static uint32_t store_put(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq,
                          const uint8_t *data, uint32_t len, uint32_t reserve)
{
    /* the slots are a ring: never so far ahead of app_nxt that it would lap it */
    uint32_t ahead = seq - c->app_nxt;
    uint32_t room = (TCP_STORE_SLOTS - 1) * TCP_BLOCK_BYTES;
    if (ahead >= room)
        return 0;
    len = min32(len, room - ahead);
    uint32_t done = 0;
    while (done < len) {
        uint32_t at = (seq + done) % TCP_BLOCK_BYTES;
        uint32_t *slot = &c->store->slot[slot_of(seq + done)];
        if (*slot == TCP_NONE) {
            struct tcp_block *b = tcp_block_take(e, reserve);
            if (!b)
                break;
            *slot = (uint32_t)(b - e->blocks);
        }
        uint32_t n = min32(len - done, TCP_BLOCK_BYTES - at);
        memcpy(e->blocks[*slot].data + at, data + done, n);
        done += n;
    }
    return done;
}

/* Keeps bytes in their place or in blocks; returns how many of the first ones. */
static uint32_t keep(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
                     uint32_t len, uint32_t reserve)
{
    if (!store_open(e, c, reserve))
        return 0;
    for (uint32_t done = 0; done < len;) {
        uint32_t n = tcp_place_put(e, c, seq + done, data + done, len - done);
        if (n == 0) /* nor is it known, then, of what follows */
            return done + store_put(e, c, seq + done, data + done, len - done, reserve);
        done += n;
    }
    return len;
}

/* The application has consumed `n` bytes: the blocks behind them go back. */
static void consumed(struct tcp_engine *e, struct tcp_conn *c, uint32_t n)
{
    uint32_t from = c->app_nxt;
    c->app_nxt += n;
    counter_add(&e->counters.tcp_bytes_in_total, n);
    struct tcp_store *s = c->store;
    if (!s)
        return;
    tcp_place_consumed(c);
    uint32_t steps = c->app_nxt / TCP_BLOCK_BYTES - from / TCP_BLOCK_BYTES;
    steps = min32(steps % (1u << 21), TCP_STORE_SLOTS); /* 2^32 / 2048: the number wraps too */
    for (uint32_t i = 0; i < steps; i++)
        slot_free(e, s, (slot_of(from) + i) % TCP_STORE_SLOTS);
}

/* Nothing is kept any more: the last, half-used block and the map go back. */
static void store_close_if_empty(struct tcp_engine *e, struct tcp_conn *c)
{
    if (c->store && c->store->ranges == 0 && tcp_conn_kept(c) == 0)
        tcp_store_clear(e, c);
}

bool tcp_range_add(struct tcp_range *list, uint32_t *n, uint32_t max, uint32_t start, uint32_t end)
{
    uint32_t i = 0;
    while (i < *n && seq_lt(list[i].end, start))
        i++;
    uint32_t j = i; /* [i, j): those that touch the new one */
    while (j < *n && seq_leq(list[j].start, end)) {
        if (seq_lt(list[j].start, start))
            start = list[j].start;
        end = seq_max(end, list[j].end);
        j++;
    }
    if (i == j && *n == max)
        return false;
    memmove(&list[i + 1], &list[j], (*n - j) * sizeof(*list));
    list[i] = (struct tcp_range){start, end};
    *n = *n - (j - i) + 1;
    return true;
}

/* rcv_nxt moves over what had come out of order. */
static void ranges_join(struct tcp_conn *c)
{
    struct tcp_store *s = c->store;
    uint32_t n = 0;
    while (s && n < s->ranges && seq_leq(s->range[n].start, c->rcv_nxt)) {
        c->rcv_nxt = seq_max(c->rcv_nxt, s->range[n].end);
        n++;
    }
    if (n > 0) {
        memmove(&s->range[0], &s->range[n], (s->ranges - n) * sizeof(s->range[0]));
        s->ranges -= n;
        tcp_sack_advanced(c);
    }
}

static uint32_t deliver(struct tcp_engine *e, struct tcp_conn *c, const uint8_t *data, uint32_t len)
{
    const struct stream_events *ev = c->stream.events;
    c->offered = c->app_nxt + len;
    size_t n = ev && ev->received ? ev->received(&c->stream, data, len, e->now) : len;
    return n < len ? (uint32_t)n : len;
}

/* The first kept bytes, at most *len, contiguous: in their place, in their block, or gathered in
 * the engine's scratch. NULL: their place is lost. */
static const uint8_t *kept_bytes(struct tcp_engine *e, struct tcp_conn *c, uint32_t *len)
{
    uint32_t ahead = tcp_place_ahead(c), at = c->app_nxt % TCP_BLOCK_BYTES;
    if (ahead == 0)
        return tcp_place_get(e, c, len);
    *len = min32(*len, min32(ahead, STREAM_LOOKAHEAD));
    const uint8_t *first = e->blocks[c->store->slot[slot_of(c->app_nxt)]].data + at;
    if (at + *len <= TCP_BLOCK_BYTES)
        return first;
    uint32_t done = TCP_BLOCK_BYTES - at;
    memcpy(e->scratch, first, done);
    while (done < *len) {
        uint32_t n = min32(*len - done, TCP_BLOCK_BYTES);
        memcpy(e->scratch + done, e->blocks[c->store->slot[slot_of(c->app_nxt + done)]].data, n);
        done += n;
    }
    return e->scratch;
}

void tcp_conn_offer(struct tcp_engine *e, struct tcp_conn *c)
{
    for (;;) {
        uint32_t kept = tcp_conn_kept(c);
        if (kept == 0)
            break;
        uint32_t len = kept;
        const uint8_t *data = kept_bytes(e, c, &len);
        if (!data) { /* acknowledged, and gone: there is no way on */
            counter_inc(&e->counters.tcp_place_lost_total);
            stream_abort(&c->stream);
            return;
        }
        uint32_t n = deliver(e, c, data, len);
        if (c->state == TCP_CLOSED && c->end != STREAM_DONE)
            return; /* aborted inside */
        consumed(e, c, n);
        if (n == 0 || len == kept)
            break; /* all that there is was seen */
    }
    store_close_if_empty(e, c);
    if (c->state != TCP_CLOSED && tcp_conn_window_opens(e, c)) {
        c->ack_now = true;
        tcp_conn_ready(c);
    }
    if (tcp_conn_fin_received(c) && !c->eof_told && c->offered == tcp_conn_data_end(c))
        tcp_conn_event(c, TCP_EVENT_EOF);
}

static void data_in_order(struct tcp_engine *e, struct tcp_conn *c, const uint8_t *data,
                          uint32_t len)
{
    bool offer = true;
    if (c->app_nxt == c->rcv_nxt) { /* nothing kept before it: in place */
        uint32_t n = deliver(e, c, data, len);
        if (c->state == TCP_CLOSED)
            return;
        c->rcv_nxt += n;
        consumed(e, c, n);
        data += n;
        len -= n;
        offer = false; /* the rest was just refused */
    }
    if (len > 0)
        c->rcv_nxt += keep(e, c, c->rcv_nxt, data, len,
                           tcp_conn_kept(c) ? e->blocks_reserve : e->blocks_reserve / 2);
    uint32_t before = c->rcv_nxt;
    ranges_join(c);
    if (offer || c->rcv_nxt != before)
        tcp_conn_offer(e, c);
    else
        store_close_if_empty(e, c);
}

/* An entry is left for one more range, or this one grows another. */
static bool range_fits(const struct tcp_store *s, uint32_t start, uint32_t end)
{
    bool fits = !s || s->ranges < TCP_STORE_RANGES;
    for (uint32_t i = 0; !fits && i < s->ranges; i++)
        fits = seq_leq(s->range[i].start, end) && seq_leq(start, s->range[i].end);
    return fits;
}

void tcp_conn_data(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
                   uint32_t len)
{
    if (seq == c->rcv_nxt) {
        data_in_order(e, c, data, len);
        return;
    }
    if (tcp_sack_crowded(c))
        tcp_send_ack(e, c);
    tcp_sack_overlap(c, seq, seq + len);
    if (!range_fits(c->store, seq, seq + len)) { /* the peer sends them again */
        counter_inc(&e->counters.tcp_out_of_order_dropped_total);
        return;
    }
    uint32_t kept = keep(e, c, seq, data, len, e->blocks_reserve);
    struct tcp_store *s = c->store;
    /* what found room may touch no range, though all of it would have: then it is forgotten */
    if (kept > 0 && tcp_range_add(s->range, &s->ranges, TCP_STORE_RANGES, seq, seq + kept)) {
        counter_inc(&e->counters.tcp_out_of_order_total);
        tcp_sack_kept(c, seq);
    } else {
        store_close_if_empty(e, c);
    }
}
