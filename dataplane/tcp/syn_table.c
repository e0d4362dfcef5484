/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Half-open connections: entries of a cache line in the table of tuples, and their time-outs. A
 * SYN,ACK waits 1, 2, 4 ... 60 s for its answer (RFC 6298 2.1, 5.5), the same for every peer, so
 * each wait has a list in order of deadlines, and nothing is sorted or swept.
 */
#include "dataplane/tcp/tcp_conn.h"

bool tcp_syn_create(struct tcp_engine *e)
{
    struct tcp_syn_table *t = &e->syn;
    rng_bytes(&e->rng, t->key.of_tuple, sizeof(t->key.of_tuple));
    rng_bytes(&e->rng, t->key.of_minute, sizeof(t->key.of_minute));
    for (unsigned i = 0; i < TCP_SYN_LISTS; i++)
        t->list[i] = (struct tcp_syn_list){TCP_NONE, TCP_NONE, 0};
    bool ok = tcp_pool_init(&t->pool, e->config.syn_entries, sizeof(struct tcp_syn),
                            offsetof(struct tcp_syn, next));
    t->entry = (struct tcp_syn *)(void *)t->pool.base;
    return ok || e->config.syn_entries == 0;
}

void tcp_syn_destroy(struct tcp_engine *e)
{
    tcp_pool_fini(&e->syn.pool);
}

static struct tcp_syn_list *list_of(struct tcp_engine *e, const struct tcp_syn *y)
{
    unsigned wait = y->retries < TCP_SYN_WAITS ? y->retries : TCP_SYN_WAITS - 1;
    return &e->syn.list[y->unsent ? TCP_SYN_UNSENT : wait];
}

static uint32_t wait_us(const struct tcp_syn *y)
{
    return tcp_rtt_rto_us(&(struct rtt){0}, y->retries);
}

static void push(struct tcp_engine *e, struct tcp_syn *y)
{
    struct tcp_syn_list *l = list_of(e, y);
    uint32_t self = (uint32_t)(y - e->syn.entry);
    y->prev = l->tail;
    y->next = TCP_NONE;
    if (l->tail == TCP_NONE)
        l->head = self;
    else
        e->syn.entry[l->tail].next = self;
    l->tail = self;
    l->count++;
}

static void take(struct tcp_engine *e, const struct tcp_syn *y)
{
    struct tcp_syn_list *l = list_of(e, y);
    if (y->prev == TCP_NONE)
        l->head = y->next;
    else
        e->syn.entry[y->prev].next = y->next;
    if (y->next == TCP_NONE)
        l->tail = y->prev;
    else
        e->syn.entry[y->next].prev = y->prev;
    l->count--;
}

static uint32_t table_entry(const struct tcp_engine *e, const struct tcp_syn *y)
{
    return TCP_ENTRY_SYN | ((uint32_t)(y - e->syn.entry) + 1);
}

struct tcp_syn *tcp_syn_find(const struct tcp_engine *e, uint64_t tag, const struct addr *local,
                             uint16_t lport, const struct addr *remote, uint16_t rport)
{
    uint32_t entry = tcp_table_find(e, tag, local, lport, remote, rport);
    return entry & TCP_ENTRY_SYN ? &e->syn.entry[(entry & ~TCP_ENTRY_SYN) - 1] : NULL;
}

/* Options of RFC 7323 and 2018: only what the peer's SYN had. */
bool tcp_syn_answer(struct tcp_engine *e, const struct tcp_syn *y, uint32_t tsval)
{
    struct tcp_out o = {
        .src = y->local,
        .dst = y->remote,
        .sport = e->listener[y->listener].port,
        .dport = y->rport,
        .seq = y->iss,
        .ack = y->irs + 1,
        .flags = TCP_SYN | TCP_ACK,
        .window = (uint16_t)tcp_first_window(e), /* never scaled in a SYN (RFC 7323 2.2) */
    };
    tcp_option_syn(&o, addr_is_v4(&y->local) ? e->config.mss_v4 : e->config.mss_v6,
                   y->scale_on ? tcp_window_scale(e) : -1, y->ts_on, tsval, y->ts_recent);
    if (y->ecn_on)
        o.flags |= TCP_ECE; /* RFC 3168 6.1.1 */
    if (y->sack_on)
        tcp_option_sack_permitted(&o);
    return tcp_emit(e, &o);
}

static bool answer(struct tcp_engine *e, const struct tcp_syn *y)
{
    uint32_t offset = y->ts_on ? tcp_ts_offset(e, &y->local, &y->remote) : 0;
    return tcp_syn_answer(e, y, tcp_ts_now(e, offset));
}

bool tcp_syn_add(struct tcp_engine *e, const struct tcp_syn *y, uint64_t tag)
{
    struct tcp_syn *entry = tcp_pool_take(&e->syn.pool);
    if (!entry)
        return false;
    *entry = *y;
    entry->at_us = (uint32_t)e->now.mono_us;
    entry->unsent = !answer(e, entry);
    push(e, entry);
    tcp_table_put(e, table_entry(e, entry), tag);
    counter_set(&e->counters.tcp_half_open, tcp_syn_count(e));
    return true;
}

static void give(struct tcp_engine *e, struct tcp_syn *y)
{
    take(e, y);
    tcp_pool_give(&e->syn.pool, y);
    counter_set(&e->counters.tcp_half_open, tcp_syn_count(e));
}

void tcp_syn_drop(struct tcp_engine *e, struct tcp_syn *y)
{
    uint16_t lport = e->listener[y->listener].port;
    uint64_t tag = tcp_tuple_tag(e, &y->local, lport, &y->remote, y->rport);
    tcp_table_remove(e, table_entry(e, y), (uint32_t)tag);
    give(e, y);
}

void tcp_syn_replace(struct tcp_engine *e, struct tcp_syn *y, struct tcp_conn *c, uint64_t tag)
{
    tcp_table_replace(e, table_entry(e, y), tcp_conn_index(e, c) + 1, (uint32_t)tag);
    c->stream.transport = (uint32_t)tag;
    c->in_table = true;
    give(e, y);
}

/* The SYN,ACK has gone: the wait begins. */
static void sent(struct tcp_engine *e, struct tcp_syn *y)
{
    take(e, y);
    y->unsent = false;
    y->at_us = (uint32_t)e->now.mono_us;
    push(e, y);
}

void tcp_syn_repeat(struct tcp_engine *e, struct tcp_syn *y)
{
    if (!answer(e, y))
        return; /* its time comes */
    if (y->unsent) {
        sent(e, y);
        return;
    }
    y->again = true;
    counter_inc(&e->counters.tcp_retransmit_total);
}

void tcp_syn_abort_all(struct tcp_engine *e)
{
    for (unsigned i = 0; i < TCP_SYN_LISTS; i++) {
        while (e->syn.list[i].head != TCP_NONE) {
            struct tcp_syn *y = &e->syn.entry[e->syn.list[i].head];
            struct tcp_out o = {.src = y->local,
                                .dst = y->remote,
                                .sport = e->listener[y->listener].port,
                                .dport = y->rport,
                                .seq = y->iss + 1,
                                .ack = y->irs + 1,
                                .flags = TCP_RST | TCP_ACK};
            tcp_emit(e, &o);
            counter_inc(&e->counters.tcp_aborted_total);
            tcp_syn_drop(e, y);
        }
    }
}

/* Its wait is over. False: so are its tries. */
static bool retry(struct tcp_engine *e, struct tcp_syn *y)
{
    if (y->retries >= e->config.syn_retries) {
        counter_inc(&e->counters.tcp_half_open_expired_total);
        tcp_syn_drop(e, y);
        return false;
    }
    take(e, y);
    y->retries++;
    y->at_us = (uint32_t)e->now.mono_us;
    push(e, y);
    return true;
}

/* What the port refused is tried again at each poll, in turn; the wait goes on meanwhile: what was
 * never sent counts as lost. */
static bool unsent_run(struct tcp_engine *e)
{
    uint32_t refusals = 0;
    for (uint32_t n = e->syn.list[TCP_SYN_UNSENT].count; n > 0 && refusals < TCP_REFUSALS; n--) {
        struct tcp_syn *y = &e->syn.entry[e->syn.list[TCP_SYN_UNSENT].head];
        if ((uint32_t)e->now.mono_us - y->at_us >= wait_us(y) && !retry(e, y))
            continue;
        if (answer(e, y)) {
            sent(e, y);
            continue;
        }
        refusals++;
        take(e, y); /* to the end: the refusal may be one neighbour's alone */
        push(e, y);
    }
    return refusals > 0;
}

bool tcp_syn_poll(struct tcp_engine *e, bool *refused)
{
    uint32_t left = TCP_TIMERS;
    *refused = unsent_run(e);
    for (unsigned i = 0; i < TCP_SYN_WAITS; i++) {
        const struct tcp_syn_list *l = &e->syn.list[i];
        while (l->head != TCP_NONE) {
            struct tcp_syn *y = &e->syn.entry[l->head];
            if ((uint32_t)e->now.mono_us - y->at_us < wait_us(y))
                break;
            if (left-- == 0)
                return true;
            if (!retry(e, y))
                continue;
            y->again = true;
            if (answer(e, y)) {
                counter_inc(&e->counters.tcp_retransmit_total);
                continue;
            }
            take(e, y);
            y->unsent = true;
            push(e, y);
            *refused = true;
        }
    }
    return false;
}

uint64_t tcp_syn_next_us(const struct tcp_engine *e)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < TCP_SYN_WAITS; i++) {
        if (e->syn.list[i].head == TCP_NONE)
            continue;
        const struct tcp_syn *y = &e->syn.entry[e->syn.list[i].head];
        uint32_t waited = (uint32_t)e->now.mono_us - y->at_us, wait = wait_us(y);
        uint64_t at = e->now.mono_us + (waited < wait ? wait - waited : 0);
        next = at < next ? at : next;
    }
    return next;
}
