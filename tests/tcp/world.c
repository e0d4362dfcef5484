/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/tcp/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

uint8_t pattern(uint64_t salt, uint64_t at)
{
    return (uint8_t)((salt + at) * 2654435761u >> 11);
}

struct addr world_addr(unsigned side)
{
    return addr_v4(0x0a000001u + side);
}

struct tcp_config world_config(void)
{
    struct tcp_config c = tcp_config_default();
    c.connections = 16;
    c.blocks = 1024;
    c.time_wait_ms = 1000;
    return c;
}

static void wire_write(struct frame *f, const struct tcp_out *o)
{
    struct writer w = writer_of(f->bytes, sizeof(f->bytes));
    write_u16(&w, o->sport);
    write_u16(&w, o->dport);
    write_u32(&w, o->seq);
    write_u32(&w, o->ack);
    write_u8(&w, (uint8_t)((20 + o->option_len) / 4 << 4));
    write_u8(&w, o->flags);
    write_u16(&w, o->window);
    write_u32(&w, 0);
    write_bytes(&w, o->option, o->option_len);
    for (unsigned i = 0; i < o->refs; i++)
        write_bytes(&w, o->ref[i].data, o->ref[i].len);
    assert(!w.bad);
    f->len = (uint32_t)(w.p - f->bytes);
}

static void wire_push(struct world *w, unsigned to, const struct tcp_out *o, uint64_t delay)
{
    if (w->frames == WORLD_WIRE)
        return; /* a queue that overflows loses */
    struct frame *f = &w->wire[w->frames++];
    f->due_us = w->now.mono_us + delay;
    f->order = w->order++;
    f->to = to;
    f->packet.src = o->src;
    f->packet.dst = o->dst;
    f->packet.ecn = o->ecn;
    wire_write(f, o);
}

static bool permille(struct world *w, uint32_t p)
{
    return p > 0 && rng_below(&w->rng, 1000) < p;
}

/* A middlebox that does not like an option. */
static void strip(struct tcp_out *o, uint8_t kind)
{
    for (unsigned i = 0; (o->flags & TCP_SYN) && i < o->option_len;) {
        unsigned len = o->option[i] == 1 ? 1 : o->option[i + 1];
        if (o->option[i] == kind)
            memset(o->option + i, 1, len); /* no-operation */
        i += len;
    }
}

static bool emit(void *ctx, const struct tcp_out *out)
{
    struct world_host *h = ctx;
    struct world *w = h->world;
    if (w->refuse[h->side] || permille(w, w->refuse_permille))
        return false;
    struct tcp_out o = *out;
    uint32_t sum = 0;
    for (unsigned i = 0; i < o.refs; i++)
        sum += o.ref[i].len;
    assert(sum == o.len && o.option_len % 4 == 0 && o.option_len <= TCP_OPTION_MAX);
    w->sent[h->side]++;
    if (w->no_sack)
        strip(&o, 4);
    if (w->no_ts)
        strip(&o, 8);
    w->last[h->side] = o;
    if (w->tap && !w->tap(w, h->side, &o))
        return true;
    if (permille(w, w->loss_permille))
        return true;
    unsigned copies = permille(w, w->duplicate_permille) ? 2 : 1;
    for (unsigned i = 0; i < copies; i++) {
        uint64_t delay = w->delay_us;
        if (w->jitter_us && permille(w, w->reorder_permille))
            delay += rng_below(&w->rng, (uint32_t)w->jitter_us);
        wire_push(w, !h->side, &o, delay);
    }
    return true;
}

void world_inject(struct world *w, unsigned to, const struct tcp_out *o)
{
    struct frame f = {.to = to, .packet = {.src = o->src, .dst = o->dst}};
    wire_write(&f, o);
    f.packet.segment = f.bytes;
    f.packet.len = f.len;
    tcp_input(w->engine[to], &f.packet, 1, w->now);
    const char *bad = tcp_check(w->engine[to]);
    if (bad && !w->broken)
        w->broken = bad;
}

static void source_free(struct hold *h)
{
    (void)h;
}

void app_push(struct app *a)
{
    while (a->stream && a->opened && !a->closed && a->sent < a->send_total) {
        uint64_t at = a->sent;
        uint32_t n = a->piece ? a->piece : 4096;
        if (n > a->send_total - at)
            n = (uint32_t)(a->send_total - at);
        if (a->by_copy) {
            size_t took = stream_copy(a->stream, a->source + at, n);
            a->sent += took;
            if (took < n)
                return;
        } else {
            if (!stream_send(a->stream, (struct ref){a->source + at, n, &a->hold}))
                return;
            a->sent += n;
        }
    }
    if (a->stream && a->opened && !a->closed && a->shut_after && !a->shut) {
        a->shut = true;
        stream_shut(a->stream);
    }
}

static void enter(struct app *a)
{
    if (a->in_event)
        a->wrong = true; /* an event inside of an event */
    a->in_event = true;
}

static void on_opened(struct stream *s, struct now now)
{
    (void)now;
    struct app *a = s->user;
    enter(a);
    a->opened = true;
    app_push(a);
    a->in_event = false;
}

static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    (void)now;
    struct app *a = s->user;
    enter(a);
    a->received_calls++;
    if (!a->opened || a->closed || len == 0)
        a->wrong = true;
    size_t n = len;
    if (a->consume_whole)
        n = len - len % a->consume_max;
    else if (a->consume_max && n > a->consume_max)
        n = a->consume_max;
    if (a->paused)
        n = 0;
    for (size_t i = 0; i < len; i++)
        if (data[i] != pattern(a->peer_salt, a->got + i))
            a->wrong = true;
    a->got += n;
    app_push(a);
    a->in_event = false;
    return n;
}

static void on_writable(struct stream *s, struct now now)
{
    (void)now;
    struct app *a = s->user;
    enter(a);
    app_push(a);
    a->in_event = false;
}

static void on_eof(struct stream *s, struct now now)
{
    (void)now;
    struct app *a = s->user;
    enter(a);
    if (a->eof || a->closed)
        a->wrong = true;
    a->eof = true;
    if (a->shut_on_eof && a->sent == a->send_total && !a->shut) {
        a->shut = true;
        stream_shut(s);
    }
    a->in_event = false;
}

static void on_closed(struct stream *s, enum stream_end why, struct now now)
{
    (void)s;
    struct app *a = s->user;
    enter(a);
    if (a->closed)
        a->wrong = true;
    a->closed = true;
    a->closed_us = now.mono_us;
    a->why = why;
    a->stream = NULL;
    a->in_event = false;
}

const struct stream_events app_events = {on_opened, on_received, on_writable,
                                         on_eof,    on_closed,   NULL};

static bool on_accept(void *ctx, struct stream *s, struct now now)
{
    (void)now;
    struct world *w = ctx;
    struct app *a = &w->app[SERVER];
    if (a->refuse_accept)
        return false;
    a->stream = s;
    s->events = &app_events;
    s->user = a;
    a->opened = true;
    app_push(a);
    return true;
}

#define SOURCE_BYTES (8u << 20)
static uint8_t source[2][SOURCE_BYTES]; /* what the applications send */

static void app_init(struct world *w, unsigned side)
{
    struct app *a = &w->app[side];
    *a =
        (struct app){.world = w, .salt = 1000003u * (side + 1), .peer_salt = 1000003u * (2 - side)};
    a->hold = (struct hold){1, source_free};
    a->source = source[side];
    if (a->source[0] == pattern(a->salt, 0) && a->source[1] == pattern(a->salt, 1))
        return; /* an earlier world of this test filled it */
    for (size_t i = 0; i < SOURCE_BYTES; i++)
        a->source[i] = pattern(a->salt, i);
}

struct world *world_new(uint64_t seed, const struct tcp_config *client,
                        const struct tcp_config *server)
{
    struct world *w = calloc(1, sizeof(*w));
    struct tcp_config standard = world_config();
    w->seed = seed;
    rng_init_u64(&w->rng, seed);
    w->now.mono_us = 1000000;
    w->delay_us = 500;
    w->wire = calloc(WORLD_WIRE, sizeof(*w->wire));
    for (unsigned side = 0; side < 2; side++) {
        const struct tcp_config *c = side == CLIENT ? client : server;
        uint8_t key[32];
        rng_bytes(&w->rng, key, sizeof(key));
        struct world_host *h = malloc(sizeof(*h));
        *h = (struct world_host){w, side};
        struct tcp_host host = {.ctx = h, .emit = emit};
        w->engine[side] = tcp_create(c ? c : &standard, &host, key, w->now);
        app_init(w, side);
    }
    tcp_listen(w->engine[SERVER], 80, on_accept, w);
    return w;
}

void world_free(struct world *w)
{
    for (unsigned side = 0; side < 2; side++) {
        free(w->engine[side]->host.ctx);
        tcp_destroy(w->engine[side]);
    }
    free(w->wire);
    free(w);
}

void world_connect(struct world *w)
{
    struct addr from = world_addr(CLIENT);
    struct endpoint to = {world_addr(SERVER), 80};
    struct app *a = &w->app[CLIENT];
    a->stream = tcp_connect(w->engine[CLIENT], &from, &to, &app_events, a, w->now);
}

struct tcp_conn *world_conn(struct world *w, unsigned side)
{
    return w->app[side].stream ? tcp_conn_of(w->app[side].stream) : NULL;
}

static void check(struct world *w)
{
    for (unsigned side = 0; side < 2; side++) {
        const char *bad = tcp_check(w->engine[side]);
        if (bad && !w->broken)
            w->broken = bad;
    }
}

static void frame_remove(struct world *w, uint32_t i)
{
    w->wire[i] = w->wire[--w->frames];
}

/* Hands one engine what is due for it, as one burst in order of arrival. */
static void deliver(struct world *w, unsigned side)
{
    static struct frame burst[TCP_BURST];
    struct tcp_packet packets[TCP_BURST];
    unsigned n = 0;
    while (n < TCP_BURST) {
        uint32_t best = UINT32_MAX;
        for (uint32_t i = 0; i < w->frames; i++) {
            const struct frame *f = &w->wire[i];
            if (f->to != side || f->due_us > w->now.mono_us)
                continue;
            if (best == UINT32_MAX || f->due_us < w->wire[best].due_us ||
                (f->due_us == w->wire[best].due_us && f->order < w->wire[best].order))
                best = i;
        }
        if (best == UINT32_MAX)
            break;
        burst[n] = w->wire[best];
        frame_remove(w, best);
        packets[n] = burst[n].packet;
        packets[n].segment = burst[n].bytes;
        packets[n].len = burst[n].len;
        n++;
    }
    if (n > 0)
        tcp_input(w->engine[side], packets, n, w->now);
}

void world_poll(struct world *w)
{
    for (unsigned side = 0; side < 2; side++) {
        deliver(w, side);
        check(w);
        tcp_poll(w->engine[side], w->now);
        check(w);
    }
}

static uint64_t next_due(const struct world *w)
{
    uint64_t at = UINT64_MAX;
    for (unsigned side = 0; side < 2; side++) {
        uint64_t d = tcp_deadline_us(w->engine[side]);
        at = d < at ? d : at;
    }
    for (uint32_t i = 0; i < w->frames; i++)
        at = w->wire[i].due_us < at ? w->wire[i].due_us : at;
    return at;
}

static bool step(struct world *w, uint64_t end)
{
    world_poll(w);
    uint64_t at = next_due(w);
    if (at <= w->now.mono_us)
        at = w->now.mono_us + 10;
    if (at > end) {
        w->now.mono_us = end;
        return false;
    }
    w->now.mono_us = at;
    return true;
}

void world_run(struct world *w, uint64_t us)
{
    uint64_t end = w->now.mono_us + us;
    while (step(w, end)) {
    }
    world_poll(w);
}

bool world_run_closed(struct world *w, uint64_t us)
{
    uint64_t end = w->now.mono_us + us;
    while (!(w->app[0].closed && w->app[1].closed) && step(w, end)) {
    }
    return w->app[0].closed && w->app[1].closed;
}
