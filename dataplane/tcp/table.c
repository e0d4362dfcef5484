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
    const struct tcp_bucket *b = tcp_bucket_of(e, (uint32_t)tag), *end = e->bucket + e->buckets;
    for (uint32_t n = e->buckets; n > 0; n--) {
        for (unsigned i = 0; i < TCP_SLOTS; i++) {
            if (b->tag[i] != tcp_bucket_tag(tag) || b->conn[i] == 0)
                continue;
            struct tcp_conn *c = &e->conns[b->conn[i] - 1];
            if (c->stream.local.port == lport && c->stream.remote.port == rport &&
                addr_eq(&c->stream.remote.ip, remote) && addr_eq(&c->stream.local.ip, local))
                return c;
        }
        if (b->passed == 0)
            break;
        b = b + 1 == end ? e->bucket : b + 1;
    }
    return NULL;
}

/* Buckets have room for more than there are entries: the loop ends. */
void tcp_conn_hash(struct tcp_engine *e, struct tcp_conn *c, uint64_t tag)
{
    struct tcp_bucket *b = tcp_bucket_of(e, (uint32_t)tag), *end = e->bucket + e->buckets;
    for (;;) {
        for (unsigned i = 0; i < TCP_SLOTS; i++) {
            if (b->conn[i])
                continue;
            b->tag[i] = tcp_bucket_tag(tag);
            b->conn[i] = tcp_conn_index(e, c) + 1;
            c->stream.transport = (uint32_t)tag;
            c->in_table = true;
            return;
        }
        b->passed++;
        b = b + 1 == end ? e->bucket : b + 1;
    }
}

void tcp_conn_unhash(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!c->in_table)
        return;
    uint32_t self = tcp_conn_index(e, c) + 1;
    struct tcp_bucket *b = tcp_bucket_of(e, c->stream.transport), *end = e->bucket + e->buckets;
    for (;;) {
        for (unsigned i = 0; i < TCP_SLOTS; i++) {
            if (b->conn[i] != self)
                continue;
            b->conn[i] = 0;
            c->in_table = false;
            return;
        }
        b->passed--;
        b = b + 1 == end ? e->bucket : b + 1;
    }
}

struct tcp_conn *tcp_conn_new(struct tcp_engine *e, uint64_t tag)
{
    struct tcp_conn *c = tcp_pool_take(&e->conn_pool);
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    c->used = true;
    c->stream.ops = &e->ops;
    c->active_ms = e->now_ms;
    tcp_conn_hash(e, c, tag);
    counter_set(&e->counters.tcp_connections, e->counters.tcp_connections + 1);
    return c;
}

void tcp_conn_free(struct tcp_engine *e, struct tcp_conn *c)
{
    tcp_conn_unhash(e, c);
    tcp_list_remove(e, &e->ready, c);
    tcp_list_remove(e, &e->events, c);
    tcp_list_remove(e, &e->half_open, c);
    tcp_list_remove(e, &e->starving, c);
    tcp_wheel_stop(e, c);
    if (c->prefixed)
        tcp_prefix_give(&e->prefixes, &c->stream.remote.ip);
    tcp_queue_clear(e, c);
    tcp_tx_close(e, c);
    tcp_store_clear(e, c);
    tcp_recovery_close(e, c);
    c->used = false;
    c->state = TCP_CLOSED;
    tcp_pool_give(&e->conn_pool, c);
    counter_set(&e->counters.tcp_connections, e->counters.tcp_connections - 1);
}

void tcp_list_init(struct tcp_list *l, enum tcp_link_id link)
{
    *l = (struct tcp_list){TCP_NONE, TCP_NONE, 0, link};
}

static bool on_list(const struct tcp_engine *e, const struct tcp_list *l, const struct tcp_conn *c)
{
    return l == &e->ready      ? c->on_ready
           : l == &e->events   ? c->on_event
           : l == &e->starving ? c->on_starving
                               : c->on_half_open;
}

static void mark(const struct tcp_engine *e, const struct tcp_list *l, struct tcp_conn *c, bool on)
{
    if (l == &e->ready)
        c->on_ready = on;
    else if (l == &e->events)
        c->on_event = on;
    else if (l == &e->starving)
        c->on_starving = on;
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
    struct tcp_engine *e = tcp_conn_engine(c);
    tcp_list_push(e, &e->ready, c);
}

void tcp_conn_event(struct tcp_conn *c, enum tcp_event what)
{
    c->events |= (uint8_t)what;
    struct tcp_engine *e = tcp_conn_engine(c);
    tcp_list_remove(e, &e->starving, c);
    tcp_list_push(e, &e->events, c);
}
