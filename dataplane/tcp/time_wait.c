/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TIME-WAIT: 32 bytes of what was a connection, in a list by age, so that expiry looks at the
 * oldest only. All wait equally long; when the records are used up the oldest goes early, counted.
 *
 * Records are found through slots of four bytes, twice as many as records at least, searched from
 * the one that the tag names up to the first that is free. Who leaves does not leave a hole: those
 * behind it that are not in their place move up.
 */
#include "dataplane/tcp/tcp_conn.h"

#define REUSE_AFTER_MS 1000u /* our timestamp clock has moved on, the last ACK has arrived */

bool tcp_time_wait_create(struct tcp_time_wait *t, uint32_t records)
{
    uint32_t slots = 16;
    while (slots < 2 * records)
        slots *= 2;
    t->mask = slots - 1;
    t->oldest = t->newest = TCP_TW_NONE;
    t->slot = memory_new(slots, sizeof(*t->slot));
    bool ok = tcp_pool_init(&t->pool, records, sizeof(*t->record), offsetof(struct tcp_tw, prev));
    t->record = (struct tcp_tw *)(void *)t->pool.base;
    return ok && t->slot;
}

void tcp_time_wait_destroy(struct tcp_time_wait *t)
{
    tcp_pool_fini(&t->pool);
    memory_free(t->slot, t->mask + 1, sizeof(*t->slot));
}

static void age_remove(struct tcp_time_wait *t, const struct tcp_tw *w)
{
    if (w->prev == TCP_TW_NONE)
        t->oldest = w->next;
    else
        t->record[w->prev].next = w->next;
    if (w->next == TCP_TW_NONE)
        t->newest = w->prev;
    else
        t->record[w->next].prev = w->prev;
}

static void age_append(struct tcp_time_wait *t, struct tcp_tw *w)
{
    uint32_t self = (uint32_t)(w - t->record);
    w->prev = t->newest;
    w->next = TCP_TW_NONE;
    if (t->newest == TCP_TW_NONE)
        t->oldest = self;
    else
        t->record[t->newest].next = self & TCP_TW_NONE;
    t->newest = self;
}

/* The slot of a record, or the free one where the search for `tag` ends. */
static uint32_t slot_of(const struct tcp_time_wait *t, uint64_t tag)
{
    uint32_t at = (uint32_t)tag & t->mask;
    while (t->slot[at] && t->record[t->slot[at] - 1].tag != tag)
        at = (at + 1) & t->mask;
    return at;
}

static void slot_free(struct tcp_time_wait *t, uint32_t hole)
{
    for (uint32_t at = (hole + 1) & t->mask; t->slot[at]; at = (at + 1) & t->mask) {
        uint32_t home = (uint32_t)t->record[t->slot[at] - 1].tag & t->mask;
        if (((at - home) & t->mask) < ((at - hole) & t->mask))
            continue; /* its search does not pass the hole */
        t->slot[hole] = t->slot[at];
        hole = at;
    }
    t->slot[hole] = 0;
}

static void count(struct tcp_engine *e)
{
    counter_set(&e->counters.tcp_time_wait, e->tw.pool.count - e->tw.pool.left);
}

static void record_free(struct tcp_engine *e, struct tcp_tw *w)
{
    struct tcp_time_wait *t = &e->tw;
    slot_free(t, slot_of(t, w->tag));
    age_remove(t, w);
    tcp_pool_give(&t->pool, w);
    count(e);
}

static struct tcp_tw *record_find(const struct tcp_engine *e, uint64_t tag)
{
    const struct tcp_time_wait *t = &e->tw;
    uint32_t i = t->slot[slot_of(t, tag)];
    return i ? &t->record[i - 1] : NULL;
}

/* beyond all that the old connection can have sent (RFC 6191 2) */
static uint32_t iss_floor(const struct tcp_tw *w)
{
    return w->snd_nxt + 65535 + 2;
}

enum tcp_port_state tcp_time_wait_port(const struct tcp_engine *e, uint64_t tag)
{
    const struct tcp_tw *w = record_find(e, tag);
    if (!w)
        return TCP_PORT_FREE;
    uint32_t age = e->config.time_wait_ms - (w->due_ms - e->now_ms);
    return w->ts_on && age >= REUSE_AFTER_MS ? TCP_PORT_REUSABLE : TCP_PORT_TAKEN;
}

bool tcp_time_wait_take(struct tcp_engine *e, uint64_t tag, uint32_t *floor)
{
    struct tcp_tw *w = record_find(e, tag);
    if (!w)
        return false;
    *floor = iss_floor(w);
    counter_inc(&e->counters.tcp_time_wait_reused_total);
    record_free(e, w);
    return true;
}

void tcp_time_wait_add(struct tcp_engine *e, const struct tcp_conn *c)
{
    struct tcp_time_wait *t = &e->tw;
    if (e->config.time_wait_ms == 0)
        return;
    if (t->pool.left == 0) {
        counter_inc(&e->counters.tcp_time_wait_dropped_total);
        record_free(e, &t->record[t->oldest]);
    }
    struct tcp_tw *w = tcp_pool_take(&t->pool);
    *w = (struct tcp_tw){
        .tag = tcp_tuple_tag(e, &c->stream.local.ip, c->stream.local.port, &c->stream.remote.ip,
                             c->stream.remote.port),
        .rcv_nxt = c->rcv_nxt,
        .snd_nxt = c->snd_max,
        .ts_recent = c->ts_recent,
        .ts_on = c->ts_on,
        .due_ms = e->now_ms + e->config.time_wait_ms,
    };
    t->slot[slot_of(t, w->tag)] = (uint32_t)(w - t->record) + 1;
    age_append(t, w);
    count(e);
}

void tcp_time_wait_expire(struct tcp_engine *e)
{
    struct tcp_time_wait *t = &e->tw;
    /* a bounded number a poll; who is looked up meanwhile waits a little longer */
    for (unsigned n = 0; n < TCP_TIMERS && t->oldest != TCP_TW_NONE; n++) {
        struct tcp_tw *w = &t->record[t->oldest];
        if ((int32_t)(e->now_ms - w->due_ms) < 0)
            return;
        record_free(e, w);
    }
}

/* RFC 6191 2: a SYN that cannot belong to the old connection starts a new one. An older timestamp
 * is an old SYN, whatever its number: PAWS. */
static bool syn_is_new(const struct tcp_tw *w, const struct tcp_segment *s)
{
    if (!w->ts_on && s->opt.has_ts)
        return true;
    if (w->ts_on && s->opt.has_ts && s->opt.tsval != w->ts_recent)
        return (int32_t)(s->opt.tsval - w->ts_recent) > 0;
    return seq_lt(w->rcv_nxt, s->seq);
}

bool tcp_time_wait_segment(struct tcp_engine *e, const struct tcp_segment *s)
{
    struct tcp_tw *w = record_find(e, s->tag);
    if (!w)
        return false;
    if (s->flags & TCP_RST) /* RFC 1337: it does not cut TIME-WAIT short */
        return true;
    if ((s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && syn_is_new(w, s) &&
        tcp_listener_find(e, s->lport)) {
        uint32_t floor = iss_floor(w);
        if (tcp_open_passive(e, s, &floor)) {
            counter_inc(&e->counters.tcp_time_wait_reused_total);
            record_free(e, w);
        }
        return true;
    }
    if ((s->flags & (TCP_SYN | TCP_FIN)) == 0 && s->len == 0 && s->seq == w->rcv_nxt)
        return true;          /* a bare ACK in place */
    if (s->flags & TCP_FIN) { /* RFC 9293 3.10.7.4, eighth check: 2 MSL start again */
        w->due_ms = e->now_ms + e->config.time_wait_ms;
        age_remove(&e->tw, w);
        age_append(&e->tw, w);
    }
    const struct tcp_bare a = {w->snd_nxt, w->rcv_nxt, 0, w->ts_on, w->ts_recent};
    tcp_answer_ack(e, s, &a);
    return true;
}
