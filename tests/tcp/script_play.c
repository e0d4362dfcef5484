/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine on virtual time, a port that keeps what it sends, and an application. */
#include "tests/tcp/script_play.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool play_fail(struct script *p, const char *format, ...)
{
    if (p->error[0])
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(p->error, sizeof(p->error), format, args);
    va_end(args);
    return false;
}

struct addr script_addr(const struct script *p, bool ours)
{
    if (!p->v6)
        return addr_v4(ours ? 0x0a000001u : 0x0a000002u);
    return (struct addr){{0x20, 0x01, 0x0d, 0xb8, [15] = ours ? 1 : 2}};
}

static void learn(struct script *p, const struct tcp_out *o)
{
    uint32_t ts;
    if ((o->flags & TCP_SYN) && (!p->base.ours_known || o->seq != p->base.ours)) {
        p->base.ours = o->seq;
        p->base.ours_known = true;
    }
    uint32_t end = o->seq + o->len + ((o->flags & (TCP_SYN | TCP_FIN)) ? 1 : 0);
    if ((o->flags & TCP_SYN) || (int32_t)(end - p->base.sent) > 0)
        p->base.sent = end;
    if ((o->flags & TCP_RST) || !script_tsval(o, &ts))
        return;
    if (!p->base.ts_known)
        p->base.ts = ts;
    p->base.ts_known = true;
    p->base.ts_last = ts;
}

static bool emit(void *ctx, const struct tcp_out *o)
{
    struct script *p = ctx;
    if (p->refuse)
        return false;
    learn(p, o);
    uint32_t at = o->seq - p->base.ours - 1;
    for (unsigned i = 0; i < o->refs; i++) {
        for (uint32_t k = 0; k < o->ref[i].len; k++)
            if (o->ref[i].data[k] != script_byte(true, at + k))
                p->app.wrong = "the engine sent other bytes than the application gave";
        at += o->ref[i].len;
    }
    if (p->outputs == SCRIPT_OUTPUTS) {
        play_fail(p, "more segments than a script can hold");
        return true;
    }
    p->output[p->outputs] = (struct script_output){p->now.mono_us, *o};
    p->output[p->outputs++].out.refs = 0; /* the bytes may go away */
    return true;
}

static void on_opened(struct stream *s, struct now now)
{
    (void)now;
    struct script *p = s->user;
    p->app.opened = true;
}

static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    (void)now;
    struct script *p = s->user;
    struct script_app *a = &p->app;
    for (size_t i = 0; i < len; i++)
        if (data[i] != script_byte(false, a->got + (uint32_t)i))
            a->wrong = "the application received other bytes than the peer sent";
    if (a->closed)
        a->wrong = "bytes after it was closed";
    size_t n = a->appetite == KEPT_ALL || len < (size_t)a->appetite ? len : (size_t)a->appetite;
    if (a->appetite != KEPT_ALL)
        a->appetite -= (int32_t)n;
    a->got += (uint32_t)n;
    return n;
}

static void on_writable(struct stream *s, struct now now)
{
    (void)now;
    struct script *p = s->user;
    p->app.writable = true;
}

static void on_eof(struct stream *s, struct now now)
{
    (void)now;
    struct script *p = s->user;
    if (p->app.eof)
        p->app.wrong = "a second end of the peer's data";
    p->app.eof = true;
}

static void on_closed(struct stream *s, enum stream_end why, struct now now)
{
    (void)now;
    struct script *p = s->user;
    if (p->app.closed)
        p->app.wrong = "closed twice";
    p->app.closed = true;
    p->app.why = why;
    p->app.stream = NULL;
}

static const struct stream_events events = {on_opened, on_received, on_writable,
                                            on_eof,    on_closed,   NULL};

static bool on_accept(void *ctx, struct stream *s, struct now now)
{
    (void)now;
    struct script *p = ctx;
    int32_t appetite = p->app.appetite;
    p->app = (struct script_app){.stream = s, .appetite = appetite, .accepted = true};
    s->events = &events;
    s->user = p;
    return true;
}

bool play_listen(struct script *p)
{
    return tcp_listen(p->engine, p->our_port, on_accept, p) || play_fail(p, "cannot listen");
}

static bool create(struct script *p)
{
    static const uint8_t seed[32] = {7};
    struct tcp_host host = {.ctx = p, .emit = emit};
    p->now.mono_us = p->start_us;
    p->engine = tcp_create(&p->config, &host, seed, p->now);
    return p->engine != NULL;
}

/* The number the engine would start from now, by asking one that is then thrown away. */
static void shift_clock(struct script *p, bool active)
{
    create(p);
    if (active) {
        play_connect(p);
    } else {
        struct script_segment syn = {.flags = TCP_SYN, .seq = {.given = true}};
        play_listen(p);
        play_feed(p, &syn, false);
    }
    play_settle(p);
    uint32_t shift = p->ouriss - p->base.ours; /* the clock of sequence numbers ticks every 4 us */
    p->start_us += (uint64_t)shift * 4;
    tcp_destroy(p->engine);
    p->base = (struct script_base){.peer = p->base.peer};
    p->app = (struct script_app){.appetite = KEPT_ALL};
    p->outputs = 0;
}

bool play_start(struct script *p, bool active)
{
    if (p->engine)
        return true;
    if (p->ouriss_given)
        shift_clock(p, active);
    p->last_us = p->start_us;
    return create(p);
}

bool play_connect(struct script *p)
{
    struct addr local = script_addr(p, true);
    struct endpoint remote = {script_addr(p, false), p->peer_port};
    p->app.stream = tcp_connect(p->engine, &local, &remote, &events, p, p->now);
    if (!p->app.stream)
        return play_fail(p, "connect was refused");
    p->our_port = p->app.stream->local.port;
    return true;
}

static void look(struct script *p)
{
    const char *bad = look_invariants(p);
    if (bad)
        play_fail(p, "invariant broken: %s", bad);
    if (p->app.wrong)
        play_fail(p, "%s", p->app.wrong);
}

void play_settle(struct script *p)
{
    for (unsigned n = 0; n < 200; n++) {
        tcp_poll(p->engine, p->now);
        look(p);
        if (tcp_deadline_us(p->engine) > p->now.mono_us)
            return;
    }
}

void play_feed(struct script *p, const struct script_segment *s, bool more)
{
    if (p->bursts == TCP_BURST) {
        play_fail(p, "a burst longer than the engine takes");
        return;
    }
    struct script_segment with = *s;
    if (p->auto_ts && !s->options_given) {
        with.options = 1;
        with.option[0] = (struct script_option){.kind = 8};
        with.option[0].a.value = (int64_t)(1000 + (p->now.mono_us - p->start_us) / 1000);
    }
    p->burst_len[p->bursts] =
        script_segment_write(&with, &p->base, p->peer_port, p->our_port, p->burst[p->bursts]);
    p->bursts++;
    if (s->flags & TCP_ACK)
        p->base.acked = p->base.ours + (uint32_t)s->ack.value;
    p->base.window = (uint16_t)(s->win.given ? s->win.value : 65535);
    if (more)
        return;
    struct tcp_packet packet[TCP_BURST];
    for (unsigned i = 0; i < p->bursts; i++) {
        packet[i] = (struct tcp_packet){.src = script_addr(p, false), .dst = script_addr(p, true)};
        packet[i].segment = p->burst[i];
        packet[i].len = p->burst_len[i];
    }
    tcp_input(p->engine, packet, p->bursts, p->now);
    p->bursts = 0;
    look(p);
}

/* One step towards `us`. False: arrived. */
static bool step(struct script *p, uint64_t us)
{
    uint64_t at = tcp_deadline_us(p->engine);
    if (at > us) {
        p->now.mono_us = us;
        play_settle(p);
        return false;
    }
    p->now.mono_us = at > p->now.mono_us ? at : p->now.mono_us + 10;
    play_settle(p);
    return true;
}

void play_until(struct script *p, uint64_t us)
{
    while (p->now.mono_us < us && !p->error[0] && step(p, us)) {
    }
}

void play_until_output(struct script *p, uint64_t us)
{
    while (p->outputs == 0 && p->now.mono_us < us && !p->error[0] && step(p, us)) {
    }
}

/* What applications send: the same for all scripts. */
static const uint8_t *source(void)
{
    static uint8_t bytes[SCRIPT_STREAM];
    if (bytes[0] != script_byte(true, 0))
        for (uint32_t i = SCRIPT_STREAM; i-- > 0;)
            bytes[i] = script_byte(true, i);
    return bytes;
}

void play_send(struct script *p, uint32_t n)
{
    if (!p->app.stream || p->app.sent + n > SCRIPT_STREAM) {
        play_fail(p, "no stream to send on");
        return;
    }
    if (!stream_send(p->app.stream, (struct ref){source() + p->app.sent, n, NULL}))
        play_fail(p, "send was refused");
    p->app.sent += n;
}
