/* SPDX-License-Identifier: BSD-3-Clause */
/* One try of one question: a random port, a random ID, random case (RFC 5452; 0x20), then UDP,
 * or TCP (RFC 7766) when the answer was cut. */
#include "dns/resolver.h"

#define PORT_FIRST 32768
#define PORT_LAST  60999
#define PORT_TRIES 2000 /* for one that comes back to this worker */
#define PORT_USES  64   /* then another is drawn */
#define UNSENT_US  50000

static void choose_port(struct resolver *r, unsigned server, struct port_slot *slot)
{
    const struct endpoint *to = &r->config.server[server];

    slot->uses = 0;
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        uint16_t port = (uint16_t)(PORT_FIRST + rng_below(&r->rng, PORT_LAST - PORT_FIRST + 1));
        if (!resolver_owns_port(r, port) &&
            (!r->host.port_fits || r->host.port_fits(r->host.ctx, port, to))) {
            slot->port = port;
            return;
        }
    }
}

void resolver_ports_choose(struct resolver *r)
{
    for (unsigned s = 0; s < r->config.servers; s++)
        for (unsigned i = 0; i < RESOLVER_PORTS; i++)
            choose_port(r, s, &r->port[s][i]);
}

bool resolver_owns_port(const struct resolver *r, uint16_t port)
{
    bool found = false;
    for (unsigned s = 0; s < r->config.servers; s++)
        for (unsigned i = 0; i < RESOLVER_PORTS; i++)
            found |= r->port[s][i].port == port;
    return found && port != 0;
}

/* The question in a case of its own: an answer must spell it the same. */
static void spell(struct resolver *r, struct question *q, const struct entry *e)
{
    uint8_t bits[(DNS_NAME_MAX + 7) / 8];

    rng_bytes(&r->rng, bits, sizeof(bits));
    q->qname_len = e->name_len;
    for (unsigned i = 0; i < e->name_len; i++) {
        uint8_t c = e->name[i];
        bool letter = (uint8_t)(c - 'a') < 26;
        q->qname[i] = letter && (bits[i / 8] >> (i % 8) & 1) ? (uint8_t)(c - 0x20) : c;
    }
}

static size_t write_query(const struct question *q, uint8_t *out)
{
    struct writer w = writer_of(out, RESOLVER_QUERY_MAX);

    write_u16(&w, q->id);
    write_u16(&w, DNS_RD);
    write_u16(&w, 1);
    write_u32(&w, 0);
    write_u16(&w, !q->plain);
    write_bytes(&w, q->qname, q->qname_len);
    write_u16(&w, q->qtype);
    write_u16(&w, DNS_IN);
    if (!q->plain) { /* RFC 6891 6.1.2 */
        write_u8(&w, 0);
        write_u16(&w, DNS_OPT);
        write_u16(&w, DNS_UDP_MAX);
        write_u32(&w, 0);
        write_u16(&w, 0);
    }
    return (size_t)(w.p - out);
}

void question_send(struct resolver *r, struct question *q, struct now now)
{
    uint8_t query[RESOLVER_QUERY_MAX];

    q->server = (uint8_t)((r->preferred + q->tries) % r->config.servers);
    q->port_slot = (uint8_t)rng_below(&r->rng, RESOLVER_PORTS);
    struct port_slot *slot = &r->port[q->server][q->port_slot];
    if (slot->in_flight == 0 && (slot->uses >= PORT_USES || slot->port == 0))
        choose_port(r, q->server, slot);
    q->id = (uint16_t)rng_u32(&r->rng);
    q->port = slot->port;
    spell(r, q, q->lookup->entry);

    size_t len = write_query(q, query);
    if (q->port == 0 ||
        !r->host.udp.send(r->host.udp.ctx, q->port, &r->config.server[q->server], query, len)) {
        q->state = QUESTION_UNSENT;
        q->due_us = now.mono_us + UNSENT_US;
        return;
    }
    counter_inc(&r->counters.resolver_sent_total);
    slot->uses++;
    slot->in_flight++;
    q->tries++;
    q->state = QUESTION_UDP;
    q->due_us = now.mono_us + r->config.timeout_ms * 1000ull;
    LIST_INSERT_HEAD(&r->by_id[q->id & r->id_mask], q, by_id);
}

void question_stop(struct resolver *r, struct question *q)
{
    if (q->state == QUESTION_UDP) {
        LIST_REMOVE(q, by_id);
        r->port[q->server][q->port_slot].in_flight--;
    } else if (q->state == QUESTION_TCP) {
        q->tcp->question = NULL; /* the slot is free again after closed */
        stream_abort(q->tcp->stream);
        q->tcp = NULL;
    }
    q->state = QUESTION_UNSENT;
}

/* --- TCP ------------------------------------------------------------------------------------ */

static void tcp_write(struct tcp_query *t)
{
    t->sent = (uint16_t)(t->sent + stream_copy(t->stream, t->query + t->sent,
                                               t->query_len - (size_t)t->sent));
}

static void on_opened(struct stream *s, struct now now)
{
    (void)now;
    tcp_write(s->user);
}

static void on_writable(struct stream *s, struct now now)
{
    struct tcp_query *t = s->user;
    (void)now;
    if (t->question && t->sent < t->query_len)
        tcp_write(t);
}

/* The whole answer is there: hands it on; the question is done with this connection. */
static void tcp_answered(struct tcp_query *t, struct now now)
{
    struct resolver *r = t->resolver;
    struct question *q = t->question;
    const uint8_t *m = t->answer + 2;
    size_t len = t->got - 2u;
    struct reply reply;

    if (!reply_matches(m, len, q->id, q->qname, q->qname_len, q->qtype)) {
        question_stop(r, q);
        question_answered(r, q, NULL, now);
        return;
    }
    reply_read(&reply, m, len, q->qtype);
    question_stop(r, q);
    question_answered(r, q, &reply, now);
}

static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    struct tcp_query *t = s->user;
    size_t used = 0;

    while (t->question && used < len) {
        size_t want = t->got < 2 ? 2 : 2u + ((size_t)t->answer[0] << 8 | t->answer[1]);
        size_t n = want - t->got;
        if (n > len - used)
            n = len - used;
        memcpy(t->answer + t->got, data + used, n);
        t->got = (uint16_t)(t->got + n);
        used += n;
        if (t->got < 2)
            continue;
        want = 2u + ((size_t)t->answer[0] << 8 | t->answer[1]);
        struct question *q = t->question;
        if (want > sizeof(t->answer) || want < 2 + DNS_HEADER_LEN) {
            question_stop(t->resolver, q);
            question_answered(t->resolver, q, NULL, now);
        } else if (t->got == want) {
            tcp_answered(t, now);
        }
    }
    return len; /* what follows an answer is nobody's */
}

static void on_eof(struct stream *s, struct now now)
{
    struct tcp_query *t = s->user;
    struct question *q = t->question;

    if (!q)
        return;
    question_stop(t->resolver, q);
    question_answered(t->resolver, q, NULL, now);
}

static void on_closed(struct stream *s, enum stream_end why, struct now now)
{
    struct tcp_query *t = s->user;
    struct question *q = t->question;

    (void)why;
    t->stream = NULL;
    t->question = NULL;
    if (!q)
        return;
    q->tcp = NULL;
    q->state = QUESTION_UNSENT;
    question_answered(t->resolver, q, NULL, now);
}

bool question_to_tcp(struct resolver *r, struct question *q, struct now now)
{
    static const struct stream_events events = {on_opened, on_received, on_writable,
                                                on_eof,    on_closed,   NULL};
    struct tcp_query *t = NULL;

    for (unsigned i = 0; i < RESOLVER_TCP && !t; i++)
        if (!r->tcp[i].stream)
            t = &r->tcp[i];
    if (!t || !r->host.connect)
        return false;
    t->resolver = r;
    t->question = q;
    t->sent = t->got = 0;
    size_t len = write_query(q, t->query + 2);
    t->query[0] = (uint8_t)(len >> 8);
    t->query[1] = (uint8_t)len;
    t->query_len = (uint16_t)(len + 2);
    t->stream = r->host.connect(r->host.ctx, &r->config.server[q->server], &events, t, now);
    if (!t->stream)
        return false;
    counter_inc(&r->counters.resolver_tcp_total);
    q->tcp = t;
    q->state = QUESTION_TCP;
    q->due_us = now.mono_us + r->config.timeout_ms * 1000ull;
    return true;
}
