/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/tcp/link.h"

#include <assert.h>
#include <stdlib.h>

#include "base/cursor.h"

struct link *link_new(uint64_t seed)
{
    struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    rng_init_u64(&l->rng, seed);
    l->all = malloc(LINK_FRAMES * sizeof(*l->all));
    l->free = malloc(LINK_FRAMES * sizeof(*l->free));
    for (unsigned i = 0; i < 2; i++)
        l->way[i].heap = malloc(LINK_FRAMES * sizeof(*l->way[i].heap));
    if (!l->all || !l->free || !l->way[0].heap || !l->way[1].heap) {
        link_free(l);
        return NULL;
    }
    for (uint32_t i = LINK_FRAMES; i-- > 0;)
        l->free[l->frees++] = &l->all[i];
    return l;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    free(l->way[0].heap);
    free(l->way[1].heap);
    free(l->free);
    free(l->all);
    free(l);
}

static bool chance(struct link *l, uint32_t ppm)
{
    return ppm > 0 && rng_below(&l->rng, 1000000) < ppm;
}

static bool before(const struct link_frame *a, const struct link_frame *b)
{
    return a->due_us < b->due_us || (a->due_us == b->due_us && a->order < b->order);
}

static void heap_push(struct link_way *w, struct link_frame *f)
{
    uint32_t at = w->frames++;
    for (; at > 0 && before(f, w->heap[(at - 1) / 2]); at = (at - 1) / 2)
        w->heap[at] = w->heap[(at - 1) / 2];
    w->heap[at] = f;
}

static struct link_frame *heap_pop(struct link_way *w)
{
    struct link_frame *top = w->heap[0], *last = w->heap[--w->frames];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= w->frames)
            break;
        if (child + 1 < w->frames && before(w->heap[child + 1], w->heap[child]))
            child++;
        if (!before(w->heap[child], last))
            break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return top;
}

/* A TCP header, options and data; the checksum stays 0, which no engine looks at. */
static void frame_write(struct link_frame *f, const struct tcp_out *o)
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
    f->packet.src = o->src;
    f->packet.dst = o->dst;
    f->packet.segment = f->bytes;
    f->packet.len = (uint32_t)(w.p - f->bytes);
    f->sport = o->sport;
    f->dport = o->dport;
    f->swallowed = false;
    f->pure_ack = o->len == 0 && o->flags == TCP_ACK;
}

/* Options of these kinds become no-operations, as middleboxes do it. */
static void strip(struct link_frame *f, unsigned what)
{
    uint8_t *p = f->bytes + 20, *end = f->bytes + (size_t)(f->bytes[12] >> 4) * 4;
    while (p < end && *p != 0) {
        if (*p == 1) {
            p++;
            continue;
        }
        uint8_t kind = p[0], len = p[1];
        bool goes = (kind == 8 && (what & LINK_STRIP_TS)) ||
                    ((kind == 4 || kind == 5) && (what & LINK_STRIP_SACK)) ||
                    (kind == 3 && (what & LINK_STRIP_SCALE));
        for (unsigned i = 0; goes && i < len; i++)
            p[i] = 1;
        p += len;
    }
}

/* ns until `bytes` have left at the rate */
static uint64_t send_ns(const struct link_config *c, uint64_t bytes)
{
    return bytes * 8 * 1000000000u / c->rate_bps;
}

#define NEVER UINT64_MAX

/* When it arrives; NEVER: the buffer is full. */
static uint64_t arrival(struct link *l, struct link_way *w, uint32_t size, uint64_t now_us)
{
    const struct link_config *c = &w->config;
    uint64_t at = now_us;
    if (c->rate_bps) {
        uint64_t start = w->busy_ns > now_us * 1000 ? w->busy_ns : now_us * 1000;
        if (start - now_us * 1000 + send_ns(c, size) > send_ns(c, c->buffer_bytes + 1514u))
            return NEVER;
        w->busy_ns = start + send_ns(c, size);
        at = w->busy_ns / 1000;
    }
    at += c->delay_us;
    if (c->jitter_us)
        at += rng_below(&l->rng, c->jitter_us);
    at = at > w->last_us ? at : w->last_us;
    if (c->reorder_us && chance(l, c->reorder_ppm))
        return at + rng_below(&l->rng, c->reorder_us);
    w->last_us = at;
    return at;
}

/* A later pure ACK of the same connection makes the one before it, still on its way, vanish. */
static void thin(struct link_way *w, struct link_frame *f)
{
    struct link_frame *old = w->last_ack;
    w->last_ack = f->pure_ack ? f : NULL;
    if (old && f->pure_ack && old->sport == f->sport && old->dport == f->dport &&
        w->in_a_row < w->config.thin) {
        old->swallowed = true;
        w->in_a_row++;
        w->stats.thinned++;
    } else {
        w->in_a_row = 0;
    }
}

static void transmit(struct link *l, struct link_way *w, const struct tcp_out *o, uint32_t size,
                     uint64_t now_us)
{
    uint64_t due = l->frees > 0 ? arrival(l, w, size, now_us) : NEVER;
    if (due == NEVER) {
        w->stats.overflowed++;
        return;
    }
    struct link_frame *f = l->free[--l->frees];
    frame_write(f, o);
    f->due_us = due;
    f->order = l->order++;
    /* A SYN,ACK without what the SYN had leaves two ends of two minds: with timestamps TCP bears
     * that, with scales and SACK none does. */
    if (o->flags & TCP_SYN)
        strip(f, w->config.strip & ((o->flags & TCP_ACK) ? LINK_STRIP_TS : 0xff));
    else if (w->config.strip_ts_after && w->stats.sent >= w->config.strip_ts_after)
        strip(f, LINK_STRIP_TS);
    if (w->config.thin)
        thin(w, f);
    heap_push(w, f);
}

static bool dark(const struct link_config *c, uint64_t now_us)
{
    for (unsigned i = 0; i < LINK_BLACKOUTS; i++)
        if (now_us >= c->blackout[i].from_us && now_us < c->blackout[i].to_us)
            return true;
    return false;
}

static bool lost(struct link *l, struct link_way *w, uint64_t now_us)
{
    const struct link_config *c = &w->config;
    if (w->bad && now_us - w->bad_us > LINK_BURST_US)
        w->bad = false;
    if (chance(l, w->bad ? c->burst_leave_ppm : c->burst_enter_ppm)) {
        w->bad = !w->bad;
        w->bad_us = now_us;
    }
    return chance(l, c->loss_ppm) || (w->bad && chance(l, c->burst_loss_ppm));
}

void link_send(struct link *l, unsigned from, const struct tcp_out *o, uint64_t now_us)
{
    struct link_way *w = &l->way[from];
    uint32_t size = (addr_is_v4(&o->dst) ? 20 : 40) + 20 + o->option_len + o->len;
    w->stats.sent++;
    if (dark(&w->config, now_us)) {
        w->stats.dark++;
    } else if (lost(l, w, now_us)) {
        w->stats.lost++;
    } else if (chance(l, w->config.corrupt_ppm)) {
        w->stats.corrupted++;
    } else if (w->config.mtu && size > w->config.mtu) {
        w->stats.too_big++;
    } else {
        transmit(l, w, o, size, now_us);
        if (!chance(l, w->config.duplicate_ppm))
            return;
        w->stats.duplicated++;
        transmit(l, w, o, size, now_us);
    }
}

unsigned link_take(struct link *l, unsigned to, uint64_t now_us, struct tcp_packet *packets,
                   unsigned max)
{
    struct link_way *w = &l->way[!to];
    while (l->takens > 0)
        l->free[l->frees++] = l->taken[--l->takens];
    while (w->frames > 0 && w->heap[0]->due_us <= now_us && l->takens < max) {
        struct link_frame *f = heap_pop(w);
        if (w->last_ack == f)
            w->last_ack = NULL;
        if (f->swallowed) {
            l->free[l->frees++] = f;
            continue;
        }
        w->stats.delivered++;
        packets[l->takens] = f->packet;
        l->taken[l->takens++] = f;
    }
    return l->takens;
}

uint64_t link_next_us(const struct link *l)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < 2; i++)
        if (l->way[i].frames > 0 && l->way[i].heap[0]->due_us < at)
            at = l->way[i].heap[0]->due_us;
    return at;
}

void link_heal(struct link *l)
{
    for (unsigned i = 0; i < 2; i++) {
        struct link_config *c = &l->way[i].config;
        *c = (struct link_config){.delay_us = c->delay_us,
                                  .rate_bps = c->rate_bps,
                                  .buffer_bytes = c->buffer_bytes,
                                  .mtu = c->mtu,
                                  .strip = c->strip,
                                  .strip_ts_after = c->strip_ts_after};
    }
}
