/* SPDX-License-Identifier: BSD-3-Clause */
/* The applications of the twins, and the port that takes what they send: all of it is noted. */
#include "tests/tcp/twins_play.h"

#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

uint8_t twins_text[1u << 17];

static void note(struct twin *t, const void *p, size_t n)
{
    struct record *r = &t->did;
    if (n > sizeof(r->bytes) - r->len)
        n = sizeof(r->bytes) - r->len; /* both lose the same */
    memcpy(r->bytes + r->len, p, n);
    r->len += n;
}

/* A mark and a number of what happened. */
void twins_note(struct twin *t, char what, uint64_t n)
{
    uint8_t bytes[9] = {(uint8_t)what};
    memcpy(bytes + 1, &n, sizeof(n));
    note(t, bytes, sizeof(bytes));
    if (t->trace && what > ' ')
        fprintf(t->trace, "    %s: %c %llu\n", t->name, what, (unsigned long long)n);
}

static uint64_t sum(const uint8_t *p, size_t n)
{
    uint64_t h = 14695981039346656037ull;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211ull;
    return h;
}

/* ---- what the engine calls ---- */

static void remember_handshake(struct twin *t, const struct tcp_out *o)
{
    t->iss = o->seq;
    t->sack = o->ack;
    for (unsigned i = 4; i + 12 <= o->option_len; i += 4)
        if (memcmp(o->option + i, "\1\1\10\12", 4) == 0) {
            struct reader r = reader_of(o->option + i + 4, 4);
            t->tsval = read_u32(&r);
        }
}

bool twins_emit(void *ctx, const struct tcp_out *o)
{
    struct twin *t = ctx;
    if (t->takes == 0)
        return false;
    t->takes--;
    if (o->flags & TCP_SYN)
        remember_handshake(t, o);
    twins_note(t, '\1', (uint64_t)o->seq << 32 | o->ack);
    twins_note(t, '\2', (uint64_t)o->window << 32 | (uint32_t)o->flags << 16 | o->ecn);
    twins_note(t, '\3', (uint64_t)o->sport << 48 | (uint64_t)o->dport << 32 | o->len);
    if (t->trace)
        fprintf(t->trace, "    %s: > %u flags %02x seq %u(%u) ack %u win %u options %u ecn %u\n",
                t->name, o->dport, o->flags, o->seq, o->len, o->ack, o->window, o->option_len,
                o->ecn);
    note(t, &o->src, sizeof(o->src));
    note(t, &o->dst, sizeof(o->dst));
    note(t, o->option, o->option_len);
    for (unsigned i = 0; i < o->refs; i++)
        note(t, o->ref[i].data, o->ref[i].len);
    return true;
}

static void write_on(struct app *a, uint32_t n)
{
    struct stream *s = a->stream;
    if (n > 0 && s)
        twins_note(a->twin, 'w', stream_copy(s, twins_text, n));
}

static void on_opened(struct stream *s, struct now now)
{
    (void)now;
    struct app *a = s->user;
    twins_note(a->twin, 'o', s->remote.port);
}

static size_t on_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    (void)now;
    struct app *a = s->user;
    twins_note(a->twin, 'r', (uint64_t)s->remote.port << 32 | len);
    twins_note(a->twin, 'h', sum(data, len));
    size_t n = len < a->appetite ? len : a->appetite;
    for (size_t i = 0; a->shelf && i < n; i++)
        a->shelf[(a->got + i) % SHELF] = 0xee;
    a->got += n;
    write_on(a, a->answer);
    return n;
}

static void on_writable(struct stream *s, struct now now)
{
    (void)now;
    struct app *a = s->user;
    twins_note(a->twin, 'v', s->remote.port);
    write_on(a, 3000);
}

static void on_eof(struct stream *s, struct now now)
{
    (void)now;
    struct app *a = s->user;
    twins_note(a->twin, 'e', s->remote.port);
    if (a->hang_up)
        stream_shut(s);
}

static void on_closed(struct stream *s, enum stream_end why, struct now now)
{
    (void)now;
    struct app *a = s->user;
    twins_note(a->twin, 'c', (uint64_t)s->remote.port << 8 | why);
    a->stream = NULL;
}

static struct stream_place on_place(struct stream *s, size_t ahead, size_t len, struct now now)
{
    (void)now;
    struct app *a = s->user;
    size_t at = (a->got + ahead) % SHELF, room = 512 - at % 512;
    if (!a->shelf)
        return (struct stream_place){0};
    return (struct stream_place){a->shelf + at, room < len ? room : len, a->shelves};
}

const struct stream_events twins_events = {on_opened, on_received, on_writable,
                                           on_eof,    on_closed,   on_place};

void twins_app_begin(struct app *a, struct stream *s)
{
    a->stream = s;
    a->appetite = SIZE_MAX;
    a->got = 0;
    s->user = a;
    s->events = &twins_events;
}

bool twins_accept(void *ctx, struct stream *s, struct now now)
{
    (void)now;
    struct twin *t = ctx;
    struct app *a = &t->app[s->remote.port % CONNS];
    twins_note(t, 'a', s->remote.port);
    if (a->stream)
        return false;
    twins_app_begin(a, s);
    return true;
}

void twins_shelf(struct app *a, bool some)
{
    free(a->shelf);
    a->shelf = some ? malloc(SHELF) : NULL;
    if (a->shelf)
        memset(a->shelf, 0xff, SHELF);
    a->shelves++;
}

void twins_act(struct twin *t, unsigned k, const uint8_t *b)
{
    struct app *a = &t->app[k];
    struct stream *s = a->stream;
    if (!s) {
        struct addr local = addr_v4(HERE);
        struct endpoint peer = {addr_v4(THERE), (uint16_t)(PORT + 100 + k)};
        if (b[1] & 1)
            s = tcp_connect(t->e, &local, &peer, &twins_events, a, t->now);
        if (s)
            twins_app_begin(a, s);
        twins_note(t, 'C', s != NULL);
        return;
    }
    uint32_t n = (uint32_t)b[2] * b[3] + 1;
    switch (b[1] % 8) {
    case 0:
    case 1:
        twins_note(t, 'S', stream_send(s, (struct ref){twins_text + b[4], n, NULL}));
        break;
    case 2:
    case 3:
        twins_note(t, 'W', stream_copy(s, twins_text + b[4], n));
        break;
    case 4:
        stream_resume(s);
        break;
    case 5:
        if (b[2] > 127)
            stream_shut(s);
        else
            a->hang_up = b[2] & 1;
        break;
    case 6:
        a->appetite = b[2] & 1 ? SIZE_MAX : (size_t)b[3] * 8;
        a->answer = b[2] & 2 ? (uint32_t)b[3] * 20 : 0;
        if (b[2] & 4)
            twins_shelf(a, b[2] & 8);
        break;
    default:
        if (b[2] > 240)
            stream_abort(s);
        twins_note(t, 'Q', stream_queued(s));
    }
}
