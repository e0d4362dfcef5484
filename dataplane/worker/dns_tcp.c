/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS over TCP (RFC 7766): each message behind its length in two bytes, answered in order. A
 * connection that sends nothing whole for ten seconds is closed (6.2.3), and so is one whose reply
 * does not fit the queue: who does not read gets no more.
 */
#include <stdlib.h>

#include "base/cursor.h"
#include "dataplane/worker/worker.h"

#define DNS_TCP_CONNECTIONS 256
#define DNS_TCP_IDLE_US     10000000u
#define DNS_TCP_SCAN_US     1000000u
#define DNS_TCP_QUERY       4096 /* nobody honest asks for more */
#define DNS_TCP_REPLY       16384

struct dns_tcp_conn {
    struct stream *stream; /* NULL: free */
    struct dns_tcp *all;
    uint64_t last_us;
};

struct dns_tcp {
    struct worker *worker;
    unsigned n;
    uint64_t scan_us;
    struct dns_tcp_conn conn[DNS_TCP_CONNECTIONS];
    uint8_t reply[2 + DNS_TCP_REPLY];
};

struct dns_tcp *dns_tcp_create(struct worker *w)
{
    struct dns_tcp *d = calloc(1, sizeof(*d));
    if (d)
        d->worker = w;
    return d;
}

void dns_tcp_destroy(struct dns_tcp *d)
{
    free(d);
}

/* Answers one message; false: the connection is not worth keeping. */
static bool answer(struct dns_tcp *d, struct stream *s, const uint8_t *query, size_t len)
{
    struct worker *w = d->worker;

    if (!w->view->zone)
        return false;
    size_t n = dns_answer_tcp(w->view->zone, &s->remote, query, len, d->reply + 2, DNS_TCP_REPLY,
                              &w->rng, &w->dns_counters, w->now);
    if (n == 0)
        return false;
    struct writer out = writer_of(d->reply, 2);
    write_u16(&out, (uint16_t)n);
    return stream_copy(s, d->reply, n + 2) == n + 2;
}

static size_t received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct dns_tcp_conn *c = s->user;
    size_t used = 0;

    while (len - used >= 2) {
        struct reader r = reader_of(data + used, 2);
        size_t n = read_u16(&r);
        if (n <= DNS_TCP_QUERY && len - used < n + 2)
            break;
        if (n > DNS_TCP_QUERY || !answer(c->all, s, data + used + 2, n)) {
            stream_abort(s);
            return len;
        }
        used += n + 2;
        c->last_us = now.mono_us;
    }
    return used;
}

static void eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static void closed(struct stream *s, enum stream_end why, struct now now)
{
    struct dns_tcp_conn *c = s->user;
    (void)why;
    (void)now;
    c->stream = NULL;
    c->all->n--;
}

/* The one that has said nothing for longest makes room for who comes next: silent connections
 * must not shut out those whose answer did not fit a datagram. */
static void drop_idlest(struct dns_tcp *d, struct now now)
{
    struct dns_tcp_conn *idlest = &d->conn[0];

    for (unsigned i = 1; i < DNS_TCP_CONNECTIONS; i++)
        if (d->conn[i].last_us < idlest->last_us)
            idlest = &d->conn[i];
    idlest->last_us = now.mono_us; /* closed() comes later */
    stream_abort(idlest->stream);
}

bool dns_tcp_accept(void *ctx, struct stream *s, struct now now)
{
    static const struct stream_events events = {.received = received, .eof = eof, .closed = closed};
    struct dns_tcp *d = ctx;
    struct worker_counters *counters = &d->worker->counters;

    if (d->n == DNS_TCP_CONNECTIONS || !d->worker->view || !d->worker->view->zone) {
        counter_inc(&counters->worker_dns_tcp_refused_total);
        if (d->n == DNS_TCP_CONNECTIONS)
            drop_idlest(d, now);
        return false;
    }
    struct dns_tcp_conn *c = d->conn;
    while (c->stream)
        c++;
    *c = (struct dns_tcp_conn){s, d, now.mono_us};
    d->n++;
    s->events = &events;
    s->user = c;
    counter_inc(&counters->worker_dns_tcp_connections_total);
    return true;
}

void dns_tcp_poll(struct dns_tcp *d, struct now now)
{
    if (d->n == 0 || now.mono_us < d->scan_us)
        return;
    d->scan_us = now.mono_us + DNS_TCP_SCAN_US;
    for (unsigned i = 0; i < DNS_TCP_CONNECTIONS; i++) {
        struct dns_tcp_conn *c = &d->conn[i];
        if (c->stream && now.mono_us - c->last_us > DNS_TCP_IDLE_US) {
            counter_inc(&d->worker->counters.worker_dns_tcp_idle_total);
            c->last_us = now.mono_us; /* closed() comes later */
            stream_abort(c->stream);
        }
    }
}

uint64_t dns_tcp_deadline_us(const struct dns_tcp *d)
{
    return d->n ? d->scan_us : UINT64_MAX;
}
