/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold after every call of the engine. Tests ask after each event. */
#include "dataplane/tcp/tcp_conn.h"

static const char *check_send(const struct tcp_engine *e, const struct tcp_conn *c)
{
    uint32_t fin = c->fin_queued && c->snd_max == c->snd_end + 1;
    if (seq_lt(c->snd_nxt, c->snd_una) || seq_lt(c->snd_max, c->snd_nxt))
        return "snd_una <= snd_nxt <= snd_max";
    if (seq_lt(c->snd_end + fin, c->snd_max))
        return "snd_max within what is queued";
    if (c->snd_una != c->snd_end + 1 && c->snd_end - c->snd_una != c->queued)
        return "queued == snd_end - snd_una";
    bool open = c->state > TCP_SYN_RECEIVED;
    if (!c->tx && (c->queued > 0 || (open && tcp_conn_flight(c) > 0)))
        return "who sends has a tx";
    if ((tcp_conn_head(c).items != NULL) != (c->queued > 0))
        return "an empty queue has no items";
    if (open && c->tx && (c->tx->cc.cwnd < c->mss || c->tx->cc.ssthresh < 2u * c->mss))
        return "cwnd >= 1 MSS, ssthresh >= 2 MSS";
    /* the next byte to send is where the place says */
    uint32_t at = c->snd_una;
    struct tcp_place p = tcp_conn_head(c), next = tcp_conn_next(c);
    uint64_t sum = 0;
    for (const struct tcp_items *i = p.items; i; i = i == c->tx->tail ? NULL : i->next) {
        uint32_t used = i == c->tx->tail ? c->tx->tail_n : TCP_ITEMS;
        for (uint32_t k = i == p.items ? p.i : 0; k < used; k++) {
            uint32_t off = i == p.items && k == p.i ? p.offset : 0;
            if (i == next.items && k == next.i &&
                at + (next.offset - off) !=
                    (seq_lt(c->snd_end, c->snd_nxt) ? c->snd_end : c->snd_nxt))
                return "the place of snd_nxt";
            at += i->ref[k].len - off;
            sum += i->ref[k].len - off;
        }
    }
    if (sum != c->queued)
        return "items sum up to queued";
    /* liveness: whatever is left to do has a timer or a turn */
    bool unsent = seq_lt(c->snd_nxt, c->snd_end) || (c->fin_queued && c->snd_nxt == c->snd_end);
    if ((tcp_conn_flight(c) > 0 || unsent) && !c->rtx_armed && !c->on_ready)
        return "work left without a timer or a turn";
    (void)e;
    return NULL;
}

/* the records of the flight */
static const char *check_records(const struct tcp_engine *e, const struct tcp_conn *c)
{
    const struct tcp_recovery *r = c->rec;
    if (c->soon_armed && !r && !c->lone)
        return "what may time out soon is known";
    if (c->soon_armed && c->rtx_armed && (int32_t)(c->tx->soon_ms - c->rtx_ms) > 0)
        return "no probe after the RTO";
    if (c->lone && (r || tcp_conn_flight(c) == 0))
        return "a lone flight has no records";
    if (!r)
        return NULL;
    if (tcp_conn_flight(c) == 0)
        return "a recovery block goes back with its flight";
    uint32_t at = c->snd_una, prev = TCP_NONE, n = 0, sacked = 0, lost = 0;
    for (uint32_t i = r->first; i != TCP_NONE; prev = i, i = e->records[i].next) {
        const struct tcp_record *x = &e->records[i];
        if (x->prev != prev || !seq_lt(at, x->end) || n++ > TCP_RECORDS_MAX)
            return "records ascend";
        if ((x->flags & TCP_RECORD_SACKED) && (x->flags & TCP_RECORD_LOST))
            return "what is SACKed is not lost";
        sacked += x->flags & TCP_RECORD_SACKED ? x->end - at : 0;
        lost += x->flags & TCP_RECORD_LOST ? x->end - at : 0;
        at = x->end;
    }
    if (at != c->snd_max || r->last != prev || n != r->count)
        return "records tile the flight";
    if (sacked != r->sacked || lost != r->lost)
        return "sums of the records";
    if (sacked + lost > tcp_conn_flight(c))
        return "pipe >= 0";
    if (!c->rtx_armed && !c->on_ready)
        return "a flight has its timer";
    if (tcp_records_congested(e, c) && !c->recovering && !c->in_rto && !c->on_ready)
        return "what is lost belongs to an episode";
    return NULL;
}

static bool in_blocks(const struct tcp_store *s, uint32_t at, uint32_t end)
{
    for (; seq_lt(at, end); at += TCP_BLOCK_BYTES - at % TCP_BLOCK_BYTES)
        if (s->slot[at / TCP_BLOCK_BYTES % TCP_STORE_SLOTS] == TCP_NONE)
            return false;
    return true;
}

/* Each byte of [at, end) is in its place or in a block. */
static bool is_here(const struct tcp_store *s, uint32_t at, uint32_t end)
{
    for (uint32_t i = 0; i < s->places && seq_lt(s->place[i].start, end); i++) {
        if (!in_blocks(s, at, s->place[i].start))
            return false;
        at = seq_max(at, s->place[i].end);
    }
    return in_blocks(s, at, end);
}

static const char *check_kept(const struct tcp_conn *c)
{
    const struct tcp_store *s = c->store;
    for (uint32_t i = 0; i < s->places; i++) {
        const struct tcp_range *p = &s->place[i];
        if (seq_lt(p->start, i > 0 ? s->place[i - 1].end + 1 : c->app_nxt) ||
            !seq_lt(p->start, p->end))
            return "places ascend from app_nxt on and do not touch";
    }
    if (!is_here(s, c->app_nxt, tcp_conn_data_end(c)))
        return "kept bytes are in a block or in their place";
    for (uint32_t i = 0; i < s->ranges; i++)
        if (!is_here(s, s->range[i].start, s->range[i].end))
            return "bytes out of order are in a block or in their place";
    return NULL;
}

static const char *check_receive(const struct tcp_engine *e, const struct tcp_conn *c)
{
    if (seq_lt(c->rcv_nxt, c->app_nxt))
        return "app_nxt <= rcv_nxt";
    if (c->state != TCP_CLOSED && seq_lt(c->rcv_edge, c->rcv_nxt))
        return "rcv_nxt <= rcv_edge";
    if (tcp_conn_kept(c) > 0 && !c->store)
        return "kept bytes have a store";
    if (!c->store)
        return NULL;
    if (tcp_conn_kept(c) == 0 && c->store->ranges == 0)
        return "an empty store is given back";
    uint32_t at = c->rcv_nxt;
    for (uint32_t i = 0; i < c->store->ranges; i++) {
        const struct tcp_range *r = &c->store->range[i];
        if (!seq_lt(at, r->start) || !seq_lt(r->start, r->end))
            return "ranges ascend and do not touch";
        at = r->end;
    }
    for (uint32_t i = 0; i < c->store->recents; i++) {
        uint32_t k = 0;
        while (k < c->store->ranges && c->store->range[k].start != c->store->recent[i].start)
            k++;
        if (k == c->store->ranges || c->store->range[k].end != c->store->recent[i].end)
            return "what SACK reports is what is here";
    }
    (void)e;
    return check_kept(c);
}

static const char *check_timer(const struct tcp_engine *e, const struct tcp_conn *c)
{
    bool any = c->rtx_armed || c->ack_armed;
    if (c->young)
        return e->young_head == e->young_tail ? "a young deadline is in the ring" : NULL;
    if (any && !tcp_timer_armed(&c->timer) && !c->on_ready)
        return "a deadline is filed in the wheel";
    if (c->rtx_armed && tcp_timer_armed(&c->timer) && seq_lt(e->now_ms, c->timer.due_ms) &&
        seq_lt(c->rtx_ms, c->timer.due_ms) && seq_lt(e->now_ms, c->rtx_ms))
        return "the wheel's time is not after the deadline";
    return NULL;
}

static const char *check_conn(const struct tcp_engine *e, const struct tcp_conn *c)
{
    const char *bad;
    if (c->state == TCP_CLOSED)
        return c->rec        ? "a closed connection holds no recovery block"
               : c->lone     ? "a closed connection has no flight"
               : c->queued   ? "a closed connection holds no queue"
               : c->in_table ? "closed in table"
                             : NULL;
    if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED)
        return c->rtx_armed || c->on_ready ? NULL : "a handshake has its timer";
    if ((bad = check_send(e, c)) || (bad = check_records(e, c)) || (bad = check_receive(e, c)) ||
        (bad = check_timer(e, c)))
        return bad;
    return NULL;
}

static uint32_t store_blocks(const struct tcp_conn *c)
{
    uint32_t n = c->store ? 1 : 0;
    for (uint32_t i = 0; c->store && i < TCP_STORE_SLOTS; i++)
        n += c->store->slot[i] != TCP_NONE;
    return n;
}

static const char *check_syn(const struct tcp_engine *e)
{
    uint32_t n = 0;
    for (unsigned k = 0; k < TCP_SYN_LISTS; k++) {
        const struct tcp_syn_list *l = &e->syn.list[k];
        uint32_t prev = TCP_NONE, in = 0;
        for (uint32_t i = l->head; i != TCP_NONE; prev = i, i = e->syn.entry[i].next) {
            const struct tcp_syn *y = &e->syn.entry[i];
            if (y->prev != prev || in++ > e->syn.pool.count)
                return "half-open connections are linked both ways";
            if (y->unsent != (k == TCP_SYN_UNSENT))
                return "what the port refused is on its list";
            if (k < TCP_SYN_WAITS && prev != TCP_NONE && seq_lt(y->at_us, e->syn.entry[prev].at_us))
                return "deadlines ascend";
        }
        if (in != l->count || l->tail != prev)
            return "a list of half-open connections adds up";
        n += in;
    }
    return n == tcp_syn_count(e) && n == e->counters.tcp_half_open ? NULL : "half-open ones add up";
}

const char *tcp_check(const struct tcp_engine *e)
{
    uint32_t used = 0, blocks = 0, items = 0, queues = 0, ready = 0, events = 0;
    uint32_t starving = 0, recoveries = 0, records = 0;
    for (uint32_t i = 0; i < e->conn_pool.top; i++) {
        const struct tcp_conn *c = &e->conns[i];
        if (!c->used)
            continue;
        used++;
        const char *bad = check_conn(e, c);
        if (bad)
            return bad;
        blocks += store_blocks(c);
        recoveries += c->rec != NULL;
        records += c->rec ? c->rec->count : 0;
        ready += c->on_ready;
        events += c->on_event;
        starving += c->on_starving;
        queues += c->tx != NULL;
        if (c->tx && &e->conns[c->tx->conn] != c)
            return "a tx knows its connection";
        for (const struct tcp_items *p = tcp_conn_head(c).items; p;
             p = p == c->tx->tail ? NULL : p->next)
            items++;
    }
    if (used != tcp_connections(e))
        return "entries add up";
    if (items + e->items_pool.left != e->items_pool.count)
        return "queue items add up";
    if (queues + e->tx_pool.left != e->tx_pool.count)
        return "queues add up";
    if (recoveries + e->recoveries_free != e->config.flights ||
        records + e->records_free != e->config.records)
        return "recovery blocks and records add up";
    if (blocks + tcp_blocks_free(e) > e->config.blocks)
        return "blocks add up"; /* the rest are copies in queues and on the wire */
    if (ready != e->ready.count || events != e->events.count || starving != e->starving.count)
        return "lists add up";
    return check_syn(e);
}
