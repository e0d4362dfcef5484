/* SPDX-License-Identifier: BSD-3-Clause */
/* The events of a life: segments made from where the connection is, time, a port that refuses. */
#include "tests/tcp/twins_play.h"

#include <string.h>

#include "base/cursor.h"

struct tcp_conn *twins_conn(const struct twins *p, unsigned k)
{
    const struct twin *t = &p->twin[0];
    if (t->app[k].stream)
        return tcp_conn_of(t->app[k].stream);
    for (uint32_t i = 0; i < t->e->conn_pool.top; i++) {
        struct tcp_conn *c = &t->e->conns[i];
        if (c->used && c->in_table && c->stream.remote.port % CONNS == k)
            return c;
    }
    return NULL;
}

static bool same_stream(const struct tcp_packet *a, const struct tcp_packet *b)
{
    return memcmp(a->segment, b->segment, 4) == 0;
}

/* What waits comes in one burst; for the plain one, if it is all one connection's, one by one:
 * what a burst shares must not be seen either. */
void twins_deliver(struct twins *p)
{
    bool one = true;
    for (unsigned i = 1; i < p->waiting; i++)
        one = one && same_stream(&p->burst[0], &p->burst[i]);
    if (p->waiting > 0)
        tcp_input(p->twin[0].e, p->burst, p->waiting, p->now);
    for (unsigned i = 0; i < p->waiting; i += one ? 1 : p->waiting)
        tcp_input(p->twin[1].e, p->burst + i, one ? 1 : p->waiting, p->now);
    p->waiting = 0;
}

void twins_queue(struct twins *p, const struct peer_segment *g)
{
    uint8_t *bytes = p->wire[p->waiting];
    struct writer w = writer_of(bytes, WIRE);
    unsigned words = 5 + g->raw_len / 4u + (g->ts ? 3 : 0);
    write_u16(&w, g->rport);
    write_u16(&w, g->lport);
    write_u32(&w, g->seq);
    write_u32(&w, g->ack);
    write_u8(&w, (uint8_t)(words << 4));
    write_u8(&w, g->flags);
    write_u16(&w, g->window);
    write_u32(&w, 0);
    if (g->ts) {
        write_u32(&w, 0x0101080a);
        write_u32(&w, g->tsval);
        write_u32(&w, g->tsecr);
    }
    write_bytes(&w, g->raw, g->raw_len);
    for (uint32_t i = 0; i < g->len; i++)
        write_u8(&w, (uint8_t)((g->seq + i) * 2654435761u >> 24));
    p->burst[p->waiting++] = (struct tcp_packet){.src = addr_v4(THERE),
                                                 .dst = addr_v4(HERE),
                                                 .segment = bytes,
                                                 .len = (uint32_t)(w.p - bytes),
                                                 .ecn = g->ecn};
    if (p->twin[0].trace)
        fprintf(p->twin[0].trace,
                "  %.6f < %u flags %02x seq %u(%u) ack %u win %u%s sack %u ecn %u\n",
                (double)p->now.mono_us / 1e6, g->rport, g->flags, g->seq, g->len, g->ack, g->window,
                g->ts ? " ts" : "", g->raw_len, g->ecn);
}

static void put32(uint8_t *p, uint32_t v)
{
    struct writer w = writer_of(p, 4);
    write_u32(&w, v);
}

/* One or two blocks, by eighths and sixteenths of what is in flight, or below it. */
static void sack_option(struct peer_segment *g, const struct tcp_conn *c, const uint8_t *b)
{
    uint32_t una = c ? c->snd_una : 0, flight = c ? c->snd_max - una : 1000;
    uint32_t block[4] = {una + flight * (b[6] & 7) / 8, una + flight * ((b[6] >> 3 & 7) + 1) / 8,
                         una + flight * (b[7] & 15) / 16, una + flight * ((b[7] >> 4) + 1) / 16};
    bool two = b[6] & 64;
    if (b[6] & 128) { /* a duplicate, first */
        block[2] = block[0];
        block[3] = block[1];
        block[0] = una - 300;
        block[1] = una - (b[7] & 1 ? 0 : 200);
        two = b[7] & 2;
    }
    static const uint8_t kind[2][4] = {{1, 1, 5, 10}, {1, 1, 5, 18}};
    memcpy(g->raw, kind[two], 4);
    for (unsigned i = 0; i < (two ? 4 : 2); i++)
        put32(g->raw + 4 + (size_t)i * 4, block[i]);
    g->raw_len = two ? 20 : 12;
}

struct peer_segment twins_segment(const struct twins *p, const struct tcp_conn *c, unsigned k)
{
    const struct twin *t = &p->twin[0];
    struct peer_segment g = {
        .rport = (uint16_t)(PORT + k),
        .lport = 80,
        .seq = t->sack,
        .ack = t->iss + 1,
        .window = 0x7000,
        .flags = TCP_ACK,
        .ts = p->head[0] & 8,
        .tsval = 5000,
        .tsecr = t->tsval,
    };
    if (!c)
        return g;
    g.rport = c->stream.remote.port;
    g.lport = c->stream.local.port;
    g.seq = c->rcv_nxt;
    g.ack = c->snd_max;
    g.tsval = c->ts_recent;
    g.tsecr = (uint32_t)(p->now.mono_us / 1000) + c->ts_offset;
    return g;
}

/*
 *   1  flags: PSH, now and then FIN    2  seq: in place below 200, else off by a little
 *   3  ack: all below 100, nothing below 180, else a part   4  length   5  timestamps
 *   6  window, or SACK blocks          7  the same
 */
static void decent(struct twins *p, unsigned k, const uint8_t *b)
{
    static const uint16_t length[] = {0, 0, 0, 1, 100, 536, 1000, 1448};
    const struct tcp_conn *c = twins_conn(p, k);
    struct peer_segment g = twins_segment(p, c, k);
    uint32_t flight = c ? c->snd_max - c->snd_una : 0;
    g.flags |= (b[1] & 1 ? TCP_PSH : 0) | (b[1] >= 250 ? TCP_FIN : 0) |
               (b[1] >= 240 && b[1] < 245 ? TCP_ECE : 0) |
               (b[1] >= 245 && b[1] < 250 ? TCP_CWR : 0);
    if (b[2] >= 200)
        g.seq += (uint32_t)((int32_t)b[2] - 216) * 500;
    if (b[3] >= 180)
        g.ack -= flight * (b[3] - 179u) / 76;
    else if (b[3] >= 100)
        g.ack -= flight;
    g.len = length[b[4] & 7];
    g.tsval += b[5] & 3;
    g.tsecr -= b[5] >> 2 & 15;
    if (b[5] >= 0xf8) {
        g.ts = !g.ts;
    } else if (b[5] >= 0xf0) {
        g.tsval -= 8;
    }
    g.ecn = b[0] >> 6;
    if (b[0] & 32)
        sack_option(&g, c, b);
    else if (b[6] >= 200)
        g.window = (uint16_t)(b[7] << (b[6] & 7));
    twins_queue(p, &g);
}

static void any(struct twins *p, unsigned k, const uint8_t *b)
{
    const struct tcp_conn *c = twins_conn(p, k);
    struct peer_segment g = twins_segment(p, c, k);
    g.flags = b[1];
    g.seq += (uint32_t)(int16_t)(b[2] << 8 | b[3]);
    g.ack = (c ? c->snd_una : g.ack) + (uint32_t)(int16_t)(b[4] << 8 | b[5]);
    g.len = (uint32_t)b[6] * 16;
    g.window = (uint16_t)(b[7] << 8);
    g.ts = b[6] & 1;
    g.tsval += b[6] & 2 ? 1 : 0;
    g.ecn = b[0] >> 6;
    if (b[0] & 32)
        sack_option(&g, c, b);
    twins_queue(p, &g);
}

/* The peer has had everything, a while later. */
static void acknowledge(struct twins *p, unsigned k, const uint8_t *b)
{
    const struct tcp_conn *c = twins_conn(p, k);
    struct peer_segment g = twins_segment(p, c, k);
    g.tsval += 1;
    if (b[2] & 1)
        g.window = 0xffff;
    twins_queue(p, &g);
}

static void icmp(struct twins *p, unsigned k, const uint8_t *b)
{
    const struct tcp_conn *c = twins_conn(p, k);
    if (!c)
        return;
    const struct tcp_icmp i = {
        .local = c->stream.local,
        .remote = c->stream.remote,
        .seq = c->snd_una + (uint32_t)b[2] * b[3],
        .mtu = (uint16_t)(b[4] << 8 | b[5]),
        .too_big = b[1] & 4,
        .hard = b[1] & 8,
    };
    for (unsigned n = 0; n < 2; n++)
        tcp_icmp(p->twin[n].e, &i, p->now);
}

void twins_pass(struct twins *p, uint64_t us)
{
    p->now.mono_us += us;
    p->now.wall_s = (int64_t)(p->now.mono_us / 1000000);
    p->twin[0].now = p->twin[1].now = p->now;
}

/* A day at most: what waits longer than that is not waited for. */
static void pass_to_deadline(struct twins *p)
{
    uint64_t at = tcp_deadline_us(p->twin[0].e);
    if (at > p->now.mono_us && at - p->now.mono_us < 86400000000ull)
        twins_pass(p, at - p->now.mono_us);
}

void twins_poll(struct twins *p)
{
    for (unsigned n = 0; n < 2; n++)
        twins_note(&p->twin[n], 'P', tcp_poll(p->twin[n].e, p->now));
}

/* Which of the two connections: bit 7 of a byte that the event uses least. */
void twins_event(struct twins *p, const uint8_t *b)
{
    unsigned what = b[0] & 7, k = what >= 3 && what != 6 ? b[5] >> 7 : p->head[7] & b[7] & 1;
    bool more = (b[0] & 16) && p->waiting < TCP_BURST - 1;
    if (what == 6)
        twins_pass(p, (uint64_t)b[1] * 400);
    if (what <= 1)
        decent(p, k, b);
    else if (what == 2)
        any(p, k, b);
    else if (what == 6)
        acknowledge(p, k, b);
    if (what <= 2 && more)
        return;
    twins_deliver(p);
    if (what == 3) {
        twins_act(&p->twin[0], k, b);
        twins_act(&p->twin[1], k, b);
    } else if (what == 4) {
        twins_pass(p, (uint64_t)b[1] * b[1] * (b[2] & 1 ? 10000 : 100) + 1);
    } else if (what == 5) {
        pass_to_deadline(p);
    } else if (what == 7 && (b[1] & 1)) {
        p->twin[0].takes = p->twin[1].takes = b[1] & 2 ? b[2] & 15 : UINT32_MAX;
    } else if (what == 7) {
        icmp(p, k, b);
    }
    if ((b[0] & 8) || what >= 4)
        twins_poll(p);
}
