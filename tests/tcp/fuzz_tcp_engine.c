/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection against a peer that does anything. The input is a list of 8-byte steps; sequence
 * and acknowledgement numbers count from where the connection is, so that deep states are near;
 * while there is none, from what the last SYN,ACK said. A size that is no multiple of two has no
 * SYN table: all handshakes go by cookies.
 *
 *   byte 0  what to do: low 3 bits segment, application, time, port; bit 5: with SACK;
 *           the top two bits are the ECN field
 *   byte 1  flags of the segment
 *   2..3    seq - rcv_nxt (signed)      4..5  ack - snd_una (signed)
 *   6       length / 16, timestamp wobble                7  window
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "dataplane/tcp/tcp_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
    struct tcp_engine *e;
    struct stream *stream;
    struct now now;
    bool refuse, closed, nibble;
    uint32_t begun_seq, begun_ack,
        begun_ts; /* of the last SYN,ACK: our number, the peer's, TSval */
    uint64_t got;
    uint8_t *shelf; /* places for bytes out of order; NULL: none */
    uint64_t shelves;
};

#define SHELF 32768u /* more than the window */

/* A byte that is here and was never written there is not 0. */
static void shelf_new(struct fuzz *f)
{
    free(f->shelf);
    f->shelf = malloc(SHELF);
    memset(f->shelf, 0xff, SHELF);
    f->shelves++;
}

static struct stream_place place(struct stream *s, size_t ahead, size_t len, struct now now)
{
    (void)now;
    struct fuzz *f = s->user;
    size_t at = (f->got + ahead) % SHELF, room = 512 - at % 512;
    if (!f->shelf)
        return (struct stream_place){0};
    return (struct stream_place){f->shelf + at, room < len ? room : len, f->shelves};
}

static const uint8_t zeros[8192];

static bool emit(void *ctx, const struct tcp_out *out)
{
    struct fuzz *f = ctx;
    uint32_t sum = 0;
    for (unsigned i = 0; i < out->refs; i++)
        sum += out->ref[i].len;
    if (sum != out->len || out->option_len % 4)
        abort();
    if (!f->refuse && (out->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK)) {
        f->begun_seq = out->seq + 1;
        f->begun_ack = out->ack;
        for (unsigned i = 4; i + 12 <= out->option_len; i += 4)
            if (memcmp(out->option + i, "\1\1\10\12", 4) == 0) {
                struct reader r = reader_of(out->option + i + 4, 4);
                f->begun_ts = read_u32(&r);
            }
    }
    return !f->refuse;
}

static size_t received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    (void)now;
    struct fuzz *f = s->user;
    uint8_t touch = 0;
    for (size_t i = 0; i < len; i++)
        touch |= data[i];
    if (touch) /* the peer sends zeros only: anything else came from elsewhere */
        abort();
    if (f->nibble)
        len = (len + 1) / 2;
    for (size_t i = 0; f->shelf && i < len; i++)
        f->shelf[(f->got + i) % SHELF] = 0xff;
    f->got += len;
    return len;
}

static void closed(struct stream *s, enum stream_end why, struct now now)
{
    (void)why, (void)now;
    struct fuzz *f = s->user;
    if (f->closed)
        abort();
    f->closed = true;
    f->stream = NULL;
}

static const struct stream_events events = {.received = received, .closed = closed, .place = place};

static bool accept_one(void *ctx, struct stream *s, struct now now)
{
    (void)now;
    struct fuzz *f = ctx;
    if (f->stream)
        return false;
    f->stream = s;
    f->closed = false;
    s->user = f;
    s->events = &events;
    return true;
}

static void segment(struct fuzz *f, const uint8_t *b)
{
    uint8_t bytes[20 + 40 + 4096] = {0};
    struct tcp_conn *c = f->stream ? tcp_conn_of(f->stream) : NULL;
    for (uint32_t i = 0; !c && i < f->e->conn_pool.top; i++)
        if (f->e->conns[i].used && f->e->conns[i].in_table)
            c = &f->e->conns[i];
    int16_t seq = (int16_t)(b[2] << 8 | b[3]), ack = (int16_t)(b[4] << 8 | b[5]);
    uint32_t len = (uint32_t)b[6] * 16;
    bool ts = b[6] & 1, sack = b[0] & 32, permitted = b[1] & TCP_SYN;
    unsigned words = 5 + (ts ? 3 : 0) + (sack ? permitted ? 1 : 5 : 0);
    struct writer w = writer_of(bytes, sizeof(bytes));
    write_u16(&w, 1234);
    write_u16(&w, c ? c->stream.local.port : 80);
    uint32_t next = f->begun_ack ? f->begun_ack : 1000;
    write_u32(&w, (c ? c->rcv_nxt : b[1] & TCP_SYN ? 999 : next) + (uint32_t)seq);
    write_u32(&w, (c ? c->snd_una : f->begun_seq) + (uint32_t)ack);
    write_u8(&w, (uint8_t)(words << 4));
    write_u8(&w, b[1]);
    write_u16(&w, (uint16_t)(b[7] << 8));
    write_u32(&w, 0);
    if (ts) {
        write_u32(&w, 0x0101080a);
        write_u32(&w, (c ? c->ts_recent : 0) + (b[6] & 2 ? 1u : 0u));
        write_u32(&w, c ? tcp_ts_now(f->e, c->ts_offset) : f->begun_ts);
    }
    if (sack && permitted) {
        write_u32(&w, 0x01010402);
    } else if (sack) { /* two blocks near what is in flight */
        uint32_t una = c ? c->snd_una : 0, max = c ? c->snd_max - una + 64 : 64;
        write_u32(&w, 0x01010512);
        write_u32(&w, una + b[2] * max / 256 - (b[7] & 1 ? 700 : 0));
        write_u32(&w, una + b[3] * max / 256);
        write_u32(&w, una + b[4] * max / 256);
        write_u32(&w, una + b[5] * max / 256);
    }
    struct tcp_packet p = {.src = addr_v4(0x0a000001),
                           .dst = addr_v4(0x0a000002),
                           .segment = bytes,
                           .ecn = b[0] >> 6,
                           .len = (uint32_t)(w.p - bytes) + len};
    if (c) {
        p.src = c->stream.remote.ip;
        p.dst = c->stream.local.ip;
        bytes[0] = (uint8_t)(c->stream.remote.port >> 8);
        bytes[1] = (uint8_t)c->stream.remote.port;
    }
    tcp_input(f->e, &p, 1, f->now);
}

static void application(struct fuzz *f, const uint8_t *b)
{
    struct stream *s = f->stream;
    if (!s) {
        struct addr local = addr_v4(0x0a000002);
        struct endpoint peer = {addr_v4(0x0a000001), 1234};
        f->closed = false;
        f->stream = tcp_connect(f->e, &local, &peer, &events, f, f->now);
        return;
    }
    switch (b[1] % 8) {
    case 0:
    case 1:
        stream_send(s, (struct ref){zeros, (uint32_t)b[2] * 32 + 1, NULL});
        break;
    case 2:
    case 3:
        stream_copy(s, zeros, (size_t)b[2] * 32 + 1);
        break;
    case 4:
        stream_resume(s);
        break;
    case 5:
        stream_shut(s);
        break;
    case 6:
        f->nibble = b[2] & 1;
        if (b[2] & 2) { /* takes back what it gave */
            free(f->shelf);
            f->shelf = NULL;
        }
        if (b[2] & 4)
            shelf_new(f);
        break;
    default:
        if (b[2] > 240)
            stream_abort(s);
    }
}

/* An ICMP error about a segment near those in flight. */
static void icmp(struct fuzz *f, const uint8_t *b)
{
    if (!f->stream)
        return;
    const struct tcp_conn *c = tcp_conn_of(f->stream);
    struct tcp_icmp i = {
        .local = f->stream->local,
        .remote = f->stream->remote,
        .seq = c->snd_una + (uint32_t)(int8_t)b[2] * b[3],
        .mtu = (uint16_t)(b[4] << 8 | b[5]),
        .too_big = b[1] & 4,
        .hard = b[1] & 8,
    };
    tcp_icmp(f->e, &i, f->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz f = {.now = {.mono_us = 1000000}};
    struct tcp_config config = tcp_config_default();
    config.connections = 8;
    config.syn_entries = size & 1 ? 0 : 4;
    config.time_wait_records = 2;
    config.active = 8;
    config.blocks = 64;
    config.send_queue_bytes = 16384;
    config.flights = 3; /* so that records run out */
    config.records = 12;
    config.ecn_active = true;
    config.receive_window_bytes = 20000;
    struct tcp_host host = {.ctx = &f, .emit = emit};
    uint8_t seed[32] = {1};
    f.e = tcp_create(&config, &host, seed, f.now);
    if (!f.e)
        return 0;
    tcp_listen(f.e, 80, accept_one, &f);
    for (size_t i = 0; i + 8 <= size && i < 8 * 400; i += 8) {
        const uint8_t *b = data + i;
        switch (b[0] & 7) {
        case 0:
        case 1:
        case 2:
        case 3:
            segment(&f, b);
            break;
        case 4:
        case 5:
            application(&f, b);
            break;
        case 6:
            f.now.mono_us += (uint64_t)b[1] * b[1] * 100 + 1;
            break;
        default:
            if (b[1] & 2)
                icmp(&f, b);
            else
                f.refuse = b[1] & 1;
        }
        if (b[0] & 8)
            tcp_poll(f.e, f.now);
        const char *bad = tcp_check(f.e);
        if (bad) {
            fprintf(stderr, "step %zu: %s\n", i / 8, bad);
            abort();
        }
    }
    tcp_destroy(f.e);
    free(f.shelf);
    return 0;
}
