/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TIME-WAIT: small records in order of age, so that expiry looks at the oldest only. All wait
 * equally long; when the table is full the oldest goes early.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

bool tcp_time_wait_create(struct tcp_time_wait *t, uint32_t records)
{
    uint32_t buckets = 16;
    while (buckets < records)
        buckets *= 2;
    t->record = calloc(records, sizeof(*t->record));
    t->bucket = malloc(buckets * sizeof(*t->bucket));
    if (!t->record || !t->bucket)
        return false;
    memset(t->bucket, 0xff, buckets * sizeof(*t->bucket)); /* TCP_NONE */
    t->mask = buckets - 1;
    t->free = t->oldest = t->newest = TCP_NONE;
    for (uint32_t i = records; i-- > 0;) {
        t->record[i].hash_next = t->free;
        t->free = i;
    }
    return true;
}

void tcp_time_wait_destroy(struct tcp_time_wait *t)
{
    free(t->record);
    free(t->bucket);
}

static void age_remove(struct tcp_time_wait *t, const struct tcp_tw *w)
{
    if (w->prev == TCP_NONE)
        t->oldest = w->next;
    else
        t->record[w->prev].next = w->next;
    if (w->next == TCP_NONE)
        t->newest = w->prev;
    else
        t->record[w->next].prev = w->prev;
}

static void age_append(struct tcp_time_wait *t, struct tcp_tw *w)
{
    uint32_t self = (uint32_t)(w - t->record);
    w->prev = t->newest;
    w->next = TCP_NONE;
    if (t->newest == TCP_NONE)
        t->oldest = self;
    else
        t->record[t->newest].next = self;
    t->newest = self;
}

static void record_free(struct tcp_engine *e, struct tcp_tw *w)
{
    struct tcp_time_wait *t = &e->tw;
    uint32_t self = (uint32_t)(w - t->record);
    uint32_t *at = &t->bucket[w->tag & t->mask];
    while (*at != self)
        at = &t->record[*at].hash_next;
    *at = w->hash_next;
    age_remove(t, w);
    w->tag = 0;
    w->hash_next = t->free;
    t->free = self;
    counter_set(&e->counters.tcp_time_wait, --t->count);
}

static struct tcp_tw *record_find(const struct tcp_engine *e, uint64_t tag)
{
    const struct tcp_time_wait *t = &e->tw;
    for (uint32_t i = t->bucket[tag & t->mask]; i != TCP_NONE; i = t->record[i].hash_next)
        if (t->record[i].tag == tag)
            return &t->record[i];
    return NULL;
}

bool tcp_time_wait_has(const struct tcp_engine *e, uint64_t tag)
{
    return record_find(e, tag) != NULL;
}

void tcp_time_wait_add(struct tcp_engine *e, const struct tcp_conn *c)
{
    struct tcp_time_wait *t = &e->tw;
    if (e->config.time_wait_ms == 0)
        return;
    if (t->free == TCP_NONE) {
        counter_inc(&e->counters.tcp_time_wait_dropped_total);
        record_free(e, &t->record[t->oldest]);
    }
    struct tcp_tw *w = &t->record[t->free];
    t->free = w->hash_next;
    *w = (struct tcp_tw){
        .tag = tcp_tuple_tag(e, &c->stream.local.ip, c->stream.local.port, &c->stream.remote.ip,
                             c->stream.remote.port),
        .rcv_nxt = c->rcv_nxt,
        .snd_nxt = c->snd_max,
        .ts_recent = c->ts_recent,
        .ts_on = c->ts_on,
        .due_ms = e->now_ms + e->config.time_wait_ms,
    };
    uint32_t *at = &t->bucket[w->tag & t->mask];
    w->hash_next = *at;
    *at = (uint32_t)(w - t->record);
    age_append(t, w);
    counter_set(&e->counters.tcp_time_wait, ++t->count);
}

void tcp_time_wait_expire(struct tcp_engine *e)
{
    struct tcp_time_wait *t = &e->tw;
    /* a bounded number a poll; who is looked up meanwhile waits a little longer */
    for (unsigned n = 0; n < TCP_TIMERS && t->oldest != TCP_NONE; n++) {
        struct tcp_tw *w = &t->record[t->oldest];
        if ((int32_t)(e->now_ms - w->due_ms) < 0)
            return;
        record_free(e, w);
    }
}

/* RFC 6191: a SYN that cannot belong to the old connection starts a new one */
static bool syn_is_new(const struct tcp_tw *w, const struct tcp_segment *s)
{
    if (w->ts_on && s->opt.has_ts && (int32_t)(s->opt.tsval - w->ts_recent) > 0)
        return true;
    if (!w->ts_on && s->opt.has_ts)
        return true;
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
        uint32_t floor = w->snd_nxt + 65535 + 2; /* beyond all that the old one could have sent */
        counter_inc(&e->counters.tcp_time_wait_reused_total);
        record_free(e, w);
        tcp_open_passive(e, s, floor, true);
        return true;
    }
    if ((s->flags & (TCP_SYN | TCP_FIN)) == 0 && s->len == 0 && s->seq == w->rcv_nxt)
        return true;          /* a bare ACK in place */
    if (s->flags & TCP_FIN) { /* RFC 9293 3.10.7.4, eighth check: 2 MSL start again */
        w->due_ms = e->now_ms + e->config.time_wait_ms;
        age_remove(&e->tw, w);
        age_append(&e->tw, w);
    }
    tcp_answer_ack(e, s, w->snd_nxt, w->rcv_nxt, w->ts_on, w->ts_recent);
    return true;
}
