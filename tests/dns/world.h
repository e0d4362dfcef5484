/* SPDX-License-Identifier: BSD-3-Clause */
/* A resolver in a world of the test's making: queries sent are kept, replies are built by hand,
 * TCP is a fake stream. */
#ifndef CORAL_TESTS_DNS_WORLD_H
#define CORAL_TESTS_DNS_WORLD_H

#include "tests/dns/text.h"

#define SENT_MAX 4096

struct sent {
    uint16_t from_port;
    struct endpoint to;
    uint8_t data[512];
    size_t len;
};

struct answer_seen {
    unsigned calls;
    enum resolver_result result;
    unsigned n;
    struct addr address[RESOLVER_ADDRESSES];
};

struct fake_stream {
    struct stream s;
    bool open, aborted;
    uint8_t out[512];
    size_t out_len, out_room;
};

struct world {
    struct resolver *r;
    struct now now;
    struct sent sent[SENT_MAX];
    unsigned n;
    bool refuse; /* the host takes no datagram */
    bool no_connect;
    unsigned odd_ports_only;
    unsigned streams;
    struct fake_stream stream[32];
};

static bool world_send(void *ctx, uint16_t from, const struct endpoint *to, const void *data,
                       size_t len)
{
    struct world *w = ctx;
    if (w->refuse)
        return false;
    cr_assert(w->n < SENT_MAX && len <= sizeof(w->sent[0].data));
    struct sent *s = &w->sent[w->n++];
    s->from_port = from;
    s->to = *to;
    s->len = len;
    memcpy(s->data, data, len);
    return true;
}

static size_t fake_copy(struct stream *s, const void *data, size_t len)
{
    struct fake_stream *f = (struct fake_stream *)s;
    size_t room = f->out_room - f->out_len;
    if (len > room)
        len = room;
    memcpy(f->out + f->out_len, data, len);
    f->out_len += len;
    return len;
}

static void fake_abort(struct stream *s)
{
    struct fake_stream *f = (struct fake_stream *)s;
    cr_assert(f->open);
    f->aborted = true;
}

static struct stream *world_connect(void *ctx, const struct endpoint *to,
                                    const struct stream_events *events, void *user, struct now now)
{
    static const struct stream_ops ops = {.copy = fake_copy, .abort = fake_abort};
    struct world *w = ctx;
    (void)now;
    if (w->no_connect)
        return NULL;
    cr_assert(w->streams < 32);
    struct fake_stream *f = &w->stream[w->streams++];
    *f = (struct fake_stream){.s = {.ops = &ops, .events = events, .user = user, .remote = *to},
                              .open = true,
                              .out_room = 512};
    return &f->s;
}

static bool world_fits(void *ctx, uint16_t port, const struct endpoint *server)
{
    struct world *w = ctx;
    (void)server;
    return !w->odd_ports_only || port % 2 == 1;
}

static UNUSED struct addr ip(const char *s)
{
    struct addr a;
    cr_assert(addr_parse(s, &a), "%s", s);
    return a;
}

static UNUSED void world_init_sized(struct world *w, unsigned servers, uint32_t queries,
                                    uint32_t names)
{
    struct resolver_config c = {
        .servers = servers, .queries = queries, .names = names, .timeout_ms = 1000};
    struct resolver_host h = {
        .udp = {w, world_send}, .ctx = w, .connect = world_connect, .port_fits = world_fits};
    uint8_t seed[32] = {42};
    unsigned odd = w->odd_ports_only;
    memset(w, 0, sizeof(*w));
    w->odd_ports_only = odd;
    w->now.mono_us = 5000000;
    for (unsigned i = 0; i < servers; i++)
        c.server[i] = (struct endpoint){addr_v4(0x0a000001 + i), 53};
    w->r = resolver_create(&c, &h, seed, w->now);
    cr_assert(w->r);
}

static UNUSED void world_done(struct world *w)
{
    resolver_destroy(w->r);
}

static UNUSED void on_answer(void *ctx, enum resolver_result result, const struct addr *a,
                             unsigned n, struct now now)
{
    struct answer_seen *s = ctx;
    (void)now;
    s->calls++;
    s->result = result;
    s->n = n;
    cr_assert(n <= RESOLVER_ADDRESSES && (n > 0) == (result == RESOLVER_OK));
    if (n)
        memcpy(s->address, a, n * sizeof(*a));
}

static UNUSED uint64_t world_ask(struct world *w, const char *name, struct answer_seen *s)
{
    memset(s, 0, sizeof(*s));
    return resolver_resolve(w->r, name, on_answer, s, w->now);
}

/* Time passes in the steps that the resolver asks for. */
static UNUSED void world_pass(struct world *w, uint64_t us)
{
    uint64_t end = w->now.mono_us + us;
    while (w->now.mono_us < end) {
        uint64_t due = resolver_deadline_us(w->r);
        w->now.mono_us = due <= w->now.mono_us ? w->now.mono_us + 1000 : due < end ? due : end;
        resolver_poll(w->r, w->now);
    }
}

static UNUSED unsigned sent_type(const struct sent *s)
{
    size_t at = 12;
    while (s->data[at])
        at += 1u + s->data[at];
    return be(s->data + at + 1, 2);
}

static UNUSED size_t question_end(const struct sent *s)
{
    size_t at = 12;
    while (s->data[at])
        at += 1u + s->data[at];
    return at + 5;
}

/* The last query sent of a type. */
static UNUSED struct sent *last_sent(struct world *w, unsigned type)
{
    for (unsigned i = w->n; i-- > 0;)
        if (sent_type(&w->sent[i]) == type)
            return &w->sent[i];
    cr_assert(false, "no query of type %u was sent", type);
    return NULL;
}

/* --- replies ------------------------------------------------------------------------------- */

struct answer_bytes {
    uint8_t b[8192];
    size_t n;
};

/* The query's header and question with other flags: no records yet. */
static UNUSED void reply_start(struct answer_bytes *a, const struct sent *s, unsigned flags)
{
    a->n = question_end(s);
    memcpy(a->b, s->data, a->n);
    a->b[2] = (uint8_t)(0x81 | flags >> 8);
    a->b[3] = (uint8_t)(0x80 | flags);
    a->b[11] = 0;
}

/* section: 0 answer, 1 authority. An owner of NULL is a pointer to the question. */
static UNUSED void reply_add(struct answer_bytes *a, unsigned section, const char *owner,
                             unsigned type, unsigned ttl, const void *data, size_t len)
{
    if (owner) {
        a->n += wire_name(a->b + a->n, owner);
    } else {
        a->b[a->n++] = 0xc0;
        a->b[a->n++] = 12;
    }
    const uint8_t fixed[10] = {(uint8_t)(type >> 8),
                               (uint8_t)type,
                               0,
                               1,
                               (uint8_t)(ttl >> 24),
                               (uint8_t)(ttl >> 16),
                               (uint8_t)(ttl >> 8),
                               (uint8_t)ttl,
                               (uint8_t)(len >> 8),
                               (uint8_t)len};
    memcpy(a->b + a->n, fixed, 10);
    memcpy(a->b + a->n + 10, data, len);
    a->n += 10 + len;
    a->b[7 + 2 * section]++;
}

static UNUSED void reply_ip(struct answer_bytes *a, const char *owner, unsigned ttl,
                            const char *address)
{
    struct addr x = ip(address);
    if (addr_is_v4(&x))
        reply_add(a, 0, owner, 1, ttl, x.b + 12, 4);
    else
        reply_add(a, 0, owner, 28, ttl, x.b, 16);
}

static UNUSED void reply_cname(struct answer_bytes *a, const char *owner, unsigned ttl,
                               const char *to)
{
    uint8_t name[300];
    size_t n = wire_name(name, to);
    reply_add(a, 0, owner, 5, ttl, name, n);
}

static UNUSED void reply_soa(struct answer_bytes *a, const char *owner, unsigned ttl,
                             unsigned minimum)
{
    uint8_t d[64];
    size_t n = wire_name(d, "ns.x");
    n += wire_name(d + n, "h.x");
    memset(d + n, 0, 20);
    d[n + 18] = (uint8_t)(minimum >> 8);
    d[n + 19] = (uint8_t)minimum;
    reply_add(a, 1, owner, 6, ttl, d, n + 20);
}

static UNUSED void reply_from(struct world *w, const struct sent *s, struct endpoint from,
                              uint16_t to_port, const struct answer_bytes *a)
{
    uint8_t *copy = malloc(a->n ? a->n : 1);
    memcpy(copy, a->b, a->n);
    struct datagram d = {
        .from = from, .to = {ip("10.0.0.99"), to_port}, .data = copy, .len = (uint16_t)a->n};
    (void)s;
    resolver_input(w->r, &d, w->now);
    free(copy);
}

static UNUSED void reply_send(struct world *w, const struct sent *s, const struct answer_bytes *a)
{
    reply_from(w, s, s->to, s->from_port, a);
}

/* Answers the last query of a type: one address, or NODATA when it is NULL. */
static UNUSED void answer_with(struct world *w, unsigned type, const char *address, unsigned ttl)
{
    struct answer_bytes a;
    struct sent *s = last_sent(w, type);
    reply_start(&a, s, 0);
    if (address)
        reply_ip(&a, NULL, ttl, address);
    else
        reply_soa(&a, "", ttl, ttl);
    reply_send(w, s, &a);
}

#endif
