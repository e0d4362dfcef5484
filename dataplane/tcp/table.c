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

static bool entry_is(const struct tcp_engine *e, uint32_t entry, const struct addr *local,
                     uint16_t lport, const struct addr *remote, uint16_t rport)
{
    if (entry & TCP_ENTRY_SYN) {
        const struct tcp_syn *y = &e->syn.entry[(entry & ~TCP_ENTRY_SYN) - 1];
        return e->listener[y->listener].port == lport && y->rport == rport &&
               addr_eq(&y->remote, remote) && addr_eq(&y->local, local);
    }
    return tcp_conn_is(&e->conns[entry - 1], local, lport, remote, rport);
}

uint32_t tcp_table_find(const struct tcp_engine *e, uint64_t tag, const struct addr *local,
                        uint16_t lport, const struct addr *remote, uint16_t rport)
{
    const struct tcp_bucket *b = tcp_bucket_of(e, (uint32_t)tag), *end = e->bucket + e->buckets;
    for (uint32_t n = e->buckets; n > 0; n--) {
        for (unsigned m = tcp_bucket_match(b, tcp_bucket_tag(tag)); m; m &= m - 1) {
            uint32_t entry = b->entry[__builtin_ctz(m)];
            if (entry && entry_is(e, entry, local, lport, remote, rport))
                return entry;
        }
        if (b->passed == 0)
            break;
        b = b + 1 == end ? e->bucket : b + 1;
    }
    return 0;
}

struct tcp_conn *tcp_conn_find(const struct tcp_engine *e, uint64_t tag, const struct addr *local,
                               uint16_t lport, const struct addr *remote, uint16_t rport)
{
    uint32_t entry = tcp_table_find(e, tag, local, lport, remote, rport);
    return entry == 0 || (entry & TCP_ENTRY_SYN) ? NULL : &e->conns[entry - 1];
}

/* Buckets have room for more than there are entries: the loop ends. */
void tcp_table_put(struct tcp_engine *e, uint32_t entry, uint64_t tag)
{
    struct tcp_bucket *b = tcp_bucket_of(e, (uint32_t)tag), *end = e->bucket + e->buckets;
    for (;;) {
        for (unsigned i = 0; i < TCP_SLOTS; i++) {
            if (b->entry[i])
                continue;
            b->tag[i] = tcp_bucket_tag(tag);
            b->entry[i] = entry;
            return;
        }
        b->passed++;
        b = b + 1 == end ? e->bucket : b + 1;
    }
}

void tcp_table_remove(struct tcp_engine *e, uint32_t entry, uint32_t hash)
{
    struct tcp_bucket *b = tcp_bucket_of(e, hash), *end = e->bucket + e->buckets;
    for (;;) {
        for (unsigned i = 0; i < TCP_SLOTS; i++) {
            if (b->entry[i] != entry)
                continue;
            b->entry[i] = 0;
            return;
        }
        b->passed--;
        b = b + 1 == end ? e->bucket : b + 1;
    }
}

void tcp_table_replace(struct tcp_engine *e, uint32_t entry, uint32_t by, uint32_t hash)
{
    struct tcp_bucket *b = tcp_bucket_of(e, hash), *end = e->bucket + e->buckets;
    for (;;) {
        for (unsigned i = 0; i < TCP_SLOTS; i++) {
            if (b->entry[i] != entry)
                continue;
            b->entry[i] = by;
            return;
        }
        b = b + 1 == end ? e->bucket : b + 1;
    }
}

void tcp_conn_hash(struct tcp_engine *e, struct tcp_conn *c, uint64_t tag)
{
    tcp_table_put(e, tcp_conn_index(e, c) + 1, tag);
    c->stream.transport = (uint32_t)tag;
    c->in_table = true;
}

void tcp_conn_unhash(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!c->in_table)
        return;
    tcp_table_remove(e, tcp_conn_index(e, c) + 1, c->stream.transport);
    c->in_table = false;
}

struct tcp_conn *tcp_conn_take(struct tcp_engine *e)
{
    struct tcp_conn *c = tcp_pool_take(&e->conn_pool);
    if (!c)
        return NULL;
    memset(c, 0, sizeof(*c));
    c->used = true;
    c->stream.ops = &e->ops;
    c->active_ms = e->now_ms;
    counter_set(&e->counters.tcp_connections, e->counters.tcp_connections + 1);
    return c;
}

struct tcp_conn *tcp_conn_new(struct tcp_engine *e, uint64_t tag)
{
    struct tcp_conn *c = tcp_conn_take(e);
    if (c)
        tcp_conn_hash(e, c, tag);
    return c;
}

void tcp_conn_free(struct tcp_engine *e, struct tcp_conn *c)
{
    tcp_conn_unhash(e, c);
    tcp_list_remove(e, &e->ready, c);
    tcp_list_remove(e, &e->events, c);
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
    return l == &e->ready ? c->on_ready : l == &e->events ? c->on_event : c->on_starving;
}

static void mark(const struct tcp_engine *e, const struct tcp_list *l, struct tcp_conn *c, bool on)
{
    if (l == &e->ready)
        c->on_ready = on;
    else if (l == &e->events)
        c->on_event = on;
    else
        c->on_starving = on;
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
    if (c->on_ready) /* most are, by the first of what a segment does */
        return;
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
