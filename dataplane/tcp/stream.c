/* SPDX-License-Identifier: BSD-3-Clause */
/* The application's side of a connection: base/stream.h. No op calls an event; what an op leads
 * to waits for the next poll. */
#include "dataplane/tcp/tcp_conn.h"

static void count_end(struct tcp_engine *e, enum stream_end why, bool connecting)
{
    struct tcp_counters *n = &e->counters;
    if (connecting && why != STREAM_ABORTED)
        counter_inc(&n->tcp_connect_failed_total);
    else if (why == STREAM_DONE)
        counter_inc(&n->tcp_done_total);
    else if (why == STREAM_TIMEOUT)
        counter_inc(&n->tcp_timeout_total);
    else if (why == STREAM_ABORTED)
        counter_inc(&n->tcp_aborted_total);
}

void tcp_conn_end(struct tcp_engine *e, struct tcp_conn *c, enum stream_end why)
{
    if (c->state == TCP_CLOSED) { /* done on the wire, but the reader has not come to the end */
        if (c->end == STREAM_DONE)
            c->end = (uint8_t)why;
        tcp_conn_event(c, TCP_EVENT_CLOSED);
        return;
    }
    bool connecting = c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED;
    count_end(e, why, connecting);
    c->state = TCP_CLOSED;
    c->end = (uint8_t)why;
    tcp_conn_unhash(e, c);
    tcp_list_remove(e, &e->ready, c);
    tcp_timer_rtx_stop(c);
    c->ack_armed = false;
    tcp_queue_clear(e, c);
    tcp_tx_close(e, c);
    tcp_recovery_close(e, c);
    tcp_conn_event(c, TCP_EVENT_CLOSED);
}

/* what was received may still be read: the connection lives, or it closed in order */
static bool readable(const struct tcp_conn *c)
{
    return c->state != TCP_CLOSED || c->end == STREAM_DONE;
}

static bool writable(const struct tcp_conn *c)
{
    return c->state != TCP_CLOSED && !c->fin_queued;
}

static void event_writable(struct tcp_engine *e, struct tcp_conn *c)
{
    if (!writable(c) || !c->want_write)
        return;
    bool block = tcp_blocks_free(e) > (c->queued ? e->blocks_reserve : 0);
    if (!tcp_queue_room(e, c) || (c->want_block && !block)) {
        /* there is room in the queue, but not in the pools */
        c->events |= TCP_EVENT_WRITABLE;
        if (!c->on_event) /* another event of this round put it there: it looks again then */
            tcp_list_push(e, &e->starving, c);
        return;
    }
    c->want_write = false;
    if (c->stream.events->writable)
        c->stream.events->writable(&c->stream, e->now);
}

void tcp_conn_events(struct tcp_engine *e, struct tcp_conn *c)
{
    const struct stream_events *ev = c->stream.events;
    uint8_t due = c->events;
    c->events = 0;

    if ((due & TCP_EVENT_RESUME) && readable(c) && tcp_conn_kept(c) > 0)
        tcp_conn_offer(e, c);
    if ((due & TCP_EVENT_EOF) && readable(c) && !c->eof_told) {
        c->eof_told = true;
        if (ev && ev->eof)
            ev->eof(&c->stream, e->now);
        if (c->state == TCP_CLOSED)
            due |= TCP_EVENT_CLOSED;
    }
    if (due & TCP_EVENT_WRITABLE)
        event_writable(e, c);
    /* closed in order, with bytes that the reader was not yet offered: after them */
    if (!(due & TCP_EVENT_CLOSED) || (c->end == STREAM_DONE && !c->eof_told))
        return;
    if (ev && ev->closed)
        ev->closed(&c->stream, (enum stream_end)c->end, e->now);
    tcp_conn_free(e, c);
}

/* Less was taken than given: writable follows, when ACKs have made room or, if only the pools
 * are short, when they have some again. */
static void refused(struct tcp_conn *c, bool block)
{
    c->want_block = block;
    c->want_write = true;
    if (c->queued <= tcp_conn_engine(c)->config.send_queue_bytes / 2)
        tcp_conn_event(c, TCP_EVENT_WRITABLE);
}

static bool op_send(struct stream *s, struct ref r)
{
    struct tcp_conn *c = tcp_conn_of(s);
    if (!writable(c) || r.len > 1u << 29)
        return false;
    if (r.len == 0)
        return true;
    /* a reference is taken whole: the queue may pass its limit by one */
    if (c->queued >= tcp_conn_engine(c)->config.send_queue_bytes ||
        !tcp_queue_push(tcp_conn_engine(c), c, r)) {
        refused(c, false);
        return false;
    }
    tcp_conn_ready(c);
    return true;
}

static size_t op_copy(struct stream *s, const void *data, size_t len)
{
    struct tcp_conn *c = tcp_conn_of(s);
    if (!writable(c) || len == 0)
        return 0;
    uint32_t limit = tcp_conn_engine(c)->config.send_queue_bytes;
    size_t room = c->queued < limit ? limit - c->queued : 0;
    uint32_t n = tcp_queue_copy(tcp_conn_engine(c), c, data, (uint32_t)(len < room ? len : room));
    if (n < len)
        refused(c, n < room);
    if (n > 0)
        tcp_conn_ready(c);
    return n;
}

static size_t op_queued(const struct stream *s)
{
    return tcp_conn_of(s)->queued;
}

static size_t op_unsend(struct stream *s, ref_choice *which)
{
    struct tcp_conn *c = tcp_conn_of(s);
    return writable(c) ? tcp_queue_unsend(tcp_conn_engine(c), c, which) : 0;
}

static bool op_own(struct stream *s, ref_choice *which, size_t most)
{
    struct tcp_conn *c = tcp_conn_of(s);
    return tcp_queue_own(tcp_conn_engine(c), c, which, most);
}

static void op_resume(struct stream *s)
{
    tcp_conn_event(tcp_conn_of(s), TCP_EVENT_RESUME);
}

/* RFC 9293 3.10.4: the state changes now, the FIN goes after what is queued */
static void op_shut(struct stream *s)
{
    struct tcp_conn *c = tcp_conn_of(s);
    if (c->fin_queued || c->state == TCP_CLOSED)
        return;
    c->fin_queued = true;
    if (c->state == TCP_ESTABLISHED)
        c->state = TCP_FIN_WAIT_1;
    else if (c->state == TCP_CLOSE_WAIT)
        c->state = TCP_LAST_ACK;
    tcp_conn_ready(c);
}

/* RFC 9293 3.10.5 */
static void op_abort(struct stream *s)
{
    struct tcp_conn *c = tcp_conn_of(s);
    if (c->state != TCP_CLOSED)
        tcp_send_rst(tcp_conn_engine(c), c);
    tcp_conn_end(tcp_conn_engine(c), c, STREAM_ABORTED);
}

const struct stream_ops tcp_stream_ops = {
    .send = op_send,
    .copy = op_copy,
    .queued = op_queued,
    .unsend = op_unsend,
    .own = op_own,
    .resume = op_resume,
    .shut = op_shut,
    .abort = op_abort,
};
