/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The wire form of a segment's header and options.
 *
 *    0       2       4               8              12  13  14      16      18      20
 *   +-------+-------+---------------+---------------+---+---+-------+-------+-------+---
 *   | sport | dport |      seq      |      ack      |off|flg|window | sum   |urgent | options
 *   +-------+-------+---------------+---------------+---+---+-------+-------+-------+---
 */
#include "base/cursor.h"
#include "dataplane/tcp/tcp_conn.h"

enum option_kind {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_MSS = 2,
    OPTION_SCALE = 3,
    OPTION_SACK_PERMITTED = 4,
    OPTION_SACK = 5,
    OPTION_TIMESTAMPS = 8,
};

/* RFC 7323 appendix A: before the two numbers */
static const uint8_t timestamps[] = {OPTION_NOP, OPTION_NOP, OPTION_TIMESTAMPS, 10};

/* RFC 9293 3.1: kinds 0 and 1 are one byte, all others carry their length (MUST-7: a length that
 * cannot be is the segment's end). An option of a known kind and the wrong length is ignored. */
static bool options_parse(struct tcp_options *o, struct reader r)
{
    while (reader_left(&r) > 0) {
        uint8_t kind = read_u8(&r);
        if (kind == OPTION_END)
            return true;
        if (kind == OPTION_NOP)
            continue;
        uint8_t len = read_u8(&r);
        if (r.bad || len < 2)
            return false;
        const uint8_t *body = read_bytes(&r, len - 2u);
        if (!body)
            return false;
        struct reader v = reader_of(body, len - 2u);
        if (kind == OPTION_MSS && len == 4) {
            o->has_mss = true;
            o->mss = read_u16(&v);
        } else if (kind == OPTION_SCALE && len == 3) {
            o->has_scale = true;
            o->scale = read_u8(&v);
            if (o->scale > 14) /* RFC 7323 2.3 */
                o->scale = 14;
        } else if (kind == OPTION_TIMESTAMPS && len == 10) {
            o->has_ts = true;
            o->tsval = read_u32(&v);
            o->tsecr = read_u32(&v);
        } else if (kind == OPTION_SACK_PERMITTED && len == 2) {
            o->sack_permitted = true;
        } else if (kind == OPTION_SACK && len >= 10 && (len - 2) % 8 == 0) { /* RFC 2018 3 */
            o->sacks = (uint8_t)((len - 2) / 8 < (int)TCP_SACKS ? (len - 2) / 8 : (int)TCP_SACKS);
            for (unsigned i = 0; i < o->sacks; i++) {
                o->sack[i].start = read_u32(&v);
                o->sack[i].end = read_u32(&v);
            }
        }
    }
    return true;
}

/* What nearly each segment has and nothing else. */
static bool lone_timestamps(struct tcp_options *o, const uint8_t *p, uint32_t len)
{
    if (len != 12 || memcmp(p, timestamps, sizeof(timestamps)) != 0)
        return false;
    struct reader r = reader_of(p + sizeof(timestamps), 8);
    o->has_ts = true;
    o->tsval = read_u32(&r);
    o->tsecr = read_u32(&r);
    return true;
}

bool tcp_segment_parse(struct tcp_segment *s, const struct tcp_packet *p)
{
    memset(s, 0, offsetof(struct tcp_segment, opt.sack));
    s->packet = p;
    s->bad = true;
    if (p->len < TCP_HEADER)
        return false;
    struct reader r = reader_of(p->segment, TCP_HEADER);
    s->rport = read_u16(&r);
    s->lport = read_u16(&r);
    s->seq = read_u32(&r);
    s->ack = read_u32(&r);
    uint32_t header = (uint32_t)(read_u8(&r) >> 4) * 4;
    s->flags = read_u8(&r);
    s->window = read_u16(&r);
    /* checksum: verified by the host. Urgent pointer: ignored (RFC 6093) */
    if (header < TCP_HEADER || header > p->len)
        return false;
    const uint8_t *options = p->segment + TCP_HEADER;
    if (!lone_timestamps(&s->opt, options, header - TCP_HEADER) &&
        !options_parse(&s->opt, reader_of(options, header - TCP_HEADER)))
        return false;
    s->data = p->segment + header;
    s->len = p->len - header;
    s->bad = false;
    return true;
}

void tcp_option_ts(struct tcp_out *o, uint32_t tsval, uint32_t tsecr)
{
    assert(o->option_len + 12 <= TCP_OPTION_MAX);
    struct writer w = writer_of(o->option + o->option_len, 12);
    write_bytes(&w, timestamps, sizeof(timestamps));
    write_u32(&w, tsval);
    write_u32(&w, tsecr);
    o->option_len = (uint8_t)(o->option_len + 12);
}

void tcp_option_sack_permitted(struct tcp_out *o)
{
    struct writer w = writer_of(o->option + o->option_len, TCP_OPTION_MAX - o->option_len);
    write_u8(&w, OPTION_NOP);
    write_u8(&w, OPTION_NOP);
    write_u8(&w, OPTION_SACK_PERMITTED);
    write_u8(&w, 2);
    o->option_len = (uint8_t)(o->option_len + 4);
}

void tcp_option_sack(struct tcp_out *o, const struct tcp_range *b, uint32_t n)
{
    struct writer w = writer_of(o->option + o->option_len, TCP_OPTION_MAX - o->option_len);
    if (n == 0)
        return;
    write_u8(&w, OPTION_NOP);
    write_u8(&w, OPTION_NOP);
    write_u8(&w, OPTION_SACK);
    write_u8(&w, (uint8_t)(2 + 8 * n));
    for (uint32_t i = 0; i < n; i++) {
        write_u32(&w, b[i].start);
        write_u32(&w, b[i].end);
    }
    o->option_len = (uint8_t)(o->option_len + 4 + 8 * n);
}

void tcp_option_syn(struct tcp_out *o, uint16_t mss, int scale, bool ts, uint32_t tsval,
                    uint32_t tsecr)
{
    struct writer w = writer_of(o->option, TCP_OPTION_MAX);
    write_u8(&w, OPTION_MSS);
    write_u8(&w, 4);
    write_u16(&w, mss);
    o->option_len = 4;
    if (scale >= 0) {
        write_u8(&w, OPTION_NOP);
        write_u8(&w, OPTION_SCALE);
        write_u8(&w, 3);
        write_u8(&w, (uint8_t)scale);
        o->option_len = 8;
    }
    if (ts)
        tcp_option_ts(o, tsval, tsecr);
}
