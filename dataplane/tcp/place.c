/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes that cannot be offered yet, but whose place the application knows (stream_events.place): a
 * body that is written into the cache. They are copied there as they come and offered there in
 * their turn, so a body that comes out of order is copied once, as one that comes in order is.
 *
 * What is remembered is sequence numbers, never a pointer: the place is asked for again when the
 * bytes are offered, and what it is part of must be what it was. So whatever the application did
 * meanwhile, no memory is touched but what it has just named, and no byte is taken for another's.
 * If the place is gone the bytes are, though the peer was told that they are here: the connection
 * is reset.
 *
 * A byte that is here already may come again and is written again; what was offered never is, since
 * a place is asked for from app_nxt on only. In-order bytes are offered from the packet even if
 * they were placed before. An honest peer sends the same each time; which copy of another's counts
 * is open, as it is with blocks.
 */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

static struct stream_place ask(const struct tcp_engine *e, struct tcp_conn *c, uint32_t ahead,
                               uint32_t len)
{
    const struct stream_events *ev = c->stream.events;
    if (!ev || !ev->place)
        return (struct stream_place){0};
    struct stream_place p = ev->place(&c->stream, ahead, len, e->now);
    p.len = p.len < len ? p.len : len;
    return p;
}

uint32_t tcp_place_put(struct tcp_engine *e, struct tcp_conn *c, uint32_t seq, const uint8_t *data,
                       uint32_t len)
{
    struct tcp_store *s = c->store;
    if (s->places == TCP_STORE_PLACES)
        return 0;
    struct stream_place p = ask(e, c, seq - c->app_nxt, len);
    if (!p.at || p.len == 0 || (s->places > 0 && p.of != s->place_of))
        return 0;
    memcpy(p.at, data, p.len);
    s->place_of = p.of;
    tcp_range_add(s->place, &s->places, TCP_STORE_PLACES, seq, seq + (uint32_t)p.len);
    counter_add(&e->counters.tcp_placed_bytes_total, p.len);
    return (uint32_t)p.len;
}

uint32_t tcp_place_ahead(const struct tcp_conn *c)
{
    return c->store->places > 0 ? c->store->place[0].start - c->app_nxt : UINT32_MAX;
}

const uint8_t *tcp_place_get(struct tcp_engine *e, struct tcp_conn *c, uint32_t *len)
{
    const struct tcp_store *s = c->store;
    uint32_t placed = s->place[0].end - c->app_nxt;
    struct stream_place p = ask(e, c, 0, placed < *len ? placed : *len);
    if (!p.at || p.len == 0 || p.of != s->place_of)
        return NULL;
    *len = (uint32_t)p.len;
    return p.at;
}

void tcp_place_consumed(struct tcp_conn *c)
{
    struct tcp_store *s = c->store;
    uint32_t n = 0;
    while (n < s->places && seq_leq(s->place[n].end, c->app_nxt))
        n++;
    s->places -= n;
    memmove(&s->place[0], &s->place[n], s->places * sizeof(s->place[0]));
    if (s->places > 0 && seq_lt(s->place[0].start, c->app_nxt))
        s->place[0].start = c->app_nxt;
}
