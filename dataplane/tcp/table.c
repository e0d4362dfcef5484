/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection array, the table that finds an entry by its tuple, and the lists of entries. */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

uint64_t tcp_tuple_tag(const struct tcp_engine *e, const struct addr *local, uint16_t lport,
                       const struct addr *remote, uint16_t rport)
{
    uint8_t tuple[36];
    memcpy(tuple, local->b, 16);
    memcpy(tuple + 16, remote->b, 16);
    memcpy(tuple + 32, &lport, 2);
    memcpy(tuple + 34, &rport, 2);
    uint64_t tag = hash64(&e->secret, tuple, sizeof(tuple));
    return tag ? tag : 1;
}

uint32_t tcp_tuple_hash(const struct hash_secret *s, const struct endpoint *x,
                        const struct endpoint *y)
{
    uint8_t a[18], b[18], tuple[36];
    memcpy(a, x->ip.b, 16);
    memcpy(a + 16, &x->port, 2);
    memcpy(b, y->ip.b, 16);
    memcpy(b + 16, &y->port, 2);
    bool swap = memcmp(a, b, 18) > 0; /* the lesser endpoint first, whoever sends */
    memcpy(tuple, swap ? b : a, 18);
    memcpy(tuple + 18, swap ? a : b, 18);
    return (uint32_t)hash64(s, tuple, sizeof(tuple));
}

struct tcp_conn *tcp_conn_find(const struct tcp_engine *e, uint64_t tag, const struct addr *local,
                               uint16_t lport, const struct addr *remote, uint16_t rport)
{
    uint32_t hash = (uint32_t)tag;
    for (uint32_t i = e->bucket[hash & e->bucket_mask]; i != TCP_NONE;) {
        struct tcp_conn *c = &e->conns[i];
        if (c->hash == hash && c->stream.local.port == lport && c->stream.remote.port == rport &&
            addr_eq(&c->stream.remote.ip, remote) && addr_eq(&c->stream.local.ip, local))
            return c;
        i = c->hash_next;
    }
    return NULL;
}

struct tcp_conn *tcp_conn_new(struct tcp_engine *e, uint64_t tag)
{
    uint32_t i = e->free_conn;
    if (i == TCP_NONE)
        return NULL;
    struct tcp_conn *c = &e->conns[i];
    e->free_conn = c->hash_next;
    memset(c, 0, sizeof(*c));
    c->used = true;
    c->engine = e;
    c->stream.ops = &tcp_stream_ops;
    c->hash = (uint32_t)tag;
    c->hash_next = e->bucket[c->hash & e->bucket_mask];
    e->bucket[c->hash & e->bucket_mask] = i;
    c->in_table = true;
    c->active_ms = e->now_ms;
    counter_set(&e->counters.tcp_connections, e->counters.tcp_connections + 1);
    return c;
}

void tcp_conn_unhash(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!c->in_table)
        return;
    uint32_t self = tcp_conn_index(e, c);
    uint32_t *at = &e->bucket[c->hash & e->bucket_mask];
    while (*at != self)
        at = &e->conns[*at].hash_next;
    *at = c->hash_next;
    c->in_table = false;
}

void tcp_conn_free(struct tcp_engine *e, struct tcp_conn *c)
{
    tcp_conn_unhash(e, c);
    tcp_list_remove(e, &e->ready, c);
    tcp_list_remove(e, &e->events, c);
    tcp_list_remove(e, &e->half_open, c);
    wheel_stop(&e->wheel, &c->timer);
    tcp_queue_clear(e, c);
    tcp_store_clear(e, c);
    c->used = false;
    c->state = TCP_CLOSED;
    c->hash_next = e->free_conn;
    e->free_conn = tcp_conn_index(e, c);
    counter_set(&e->counters.tcp_connections, e->counters.tcp_connections - 1);
}

void tcp_list_init(struct tcp_list *l, enum tcp_link_id link)
{
    *l = (struct tcp_list){TCP_NONE, TCP_NONE, 0, link};
}

static bool on_list(const struct tcp_engine *e, const struct tcp_list *l, const struct tcp_conn *c)
{
    return l == &e->ready ? c->on_ready : l == &e->events ? c->on_event : c->on_half_open;
}

static void mark(const struct tcp_engine *e, const struct tcp_list *l, struct tcp_conn *c, bool on)
{
    if (l == &e->ready)
        c->on_ready = on;
    else if (l == &e->events)
        c->on_event = on;
    else
        c->on_half_open = on;
}

void tcp_list_push(struct tcp_engine *e, struct tcp_list *l, struct tcp_conn *c)
{
    if (on_list(e, l, c))
        return;
    uint32_t self = tcp_conn_index(e, c);
    c->link[l->link] = (struct tcp_link){TCP_NONE, l->tail};
    if (l->tail == TCP_NONE)
        l->head = self;
    else
        e->conns[l->tail].link[l->link].next = self;
    l->tail = self;
    l->count++;
    mark(e, l, c, true);
}

void tcp_list_remove(struct tcp_engine *e, struct tcp_list *l, struct tcp_conn *c)
{
    if (!on_list(e, l, c))
        return;
    struct tcp_link at = c->link[l->link];
    if (at.prev == TCP_NONE)
        l->head = at.next;
    else
        e->conns[at.prev].link[l->link].next = at.next;
    if (at.next == TCP_NONE)
        l->tail = at.prev;
    else
        e->conns[at.next].link[l->link].prev = at.prev;
    l->count--;
    mark(e, l, c, false);
}

void tcp_conn_ready(struct tcp_conn *c)
{
    tcp_list_push(c->engine, &c->engine->ready, c);
}

void tcp_conn_event(struct tcp_conn *c, enum tcp_event what)
{
    c->events |= (uint8_t)what;
    tcp_list_push(c->engine, &c->engine->events, c);
}
