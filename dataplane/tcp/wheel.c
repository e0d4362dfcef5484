/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connections' timers: base/wheel.h's rings, with links of four bytes instead of eight and
 * deadlines of 32 bits. 4 rings of 256 slots, tick 1 ms; a deadline is never more than 2^31 ms
 * away, so that the last ring, half of which it may pass, goes round without an end. Arming and
 * stopping are O(1).
 */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

void tcp_wheel_init(struct tcp_wheel *w, uint64_t mono_us)
{
    memset(w, 0, sizeof(*w));
    w->tick = mono_us / 1000;
}

/* Files a timer by the highest byte in which its due tick differs from the next tick. */
static void file(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_wheel *w = &e->wheel;
    int32_t wait = (int32_t)(c->timer.due_ms - (uint32_t)w->tick);
    uint64_t due = w->tick + (uint64_t)(wait > 0 ? wait : 0);
    uint64_t differ = due ^ w->tick;
    unsigned ring = differ < 1u << 8 ? 0 : differ < 1u << 16 ? 1 : differ < 1u << 24 ? 2 : 3;
    unsigned at = (unsigned)(due >> (8 * ring)) & 0xff;
    unsigned slot = ring * TCP_WHEEL_SLOTS + at;

    uint32_t self = tcp_conn_index(e, c) + 1;
    c->timer.next = w->slot[slot];
    c->timer.prev = TCP_TIMER_HEAD + slot;
    if (c->timer.next)
        e->conns[c->timer.next - 1].timer.prev = self;
    w->slot[slot] = self;
    w->used[ring][at / 64] |= 1ull << (at % 64);
    w->armed++;
}

void tcp_wheel_stop(struct tcp_engine *e, struct tcp_conn *c)
{
    struct tcp_timer *t = &c->timer;
    if (!tcp_timer_armed(t))
        return;
    if (t->prev & TCP_TIMER_HEAD)
        e->wheel.slot[t->prev - TCP_TIMER_HEAD] = t->next;
    else
        e->conns[t->prev - 1].timer.next = t->next;
    if (t->next)
        e->conns[t->next - 1].timer.prev = t->prev;
    t->prev = t->next = 0;
    e->wheel.armed--;
    /* the slot's bit may be stale now: that costs one look when the slot comes up */
}

void tcp_wheel_arm(struct tcp_engine *e, struct tcp_conn *c, uint32_t due_ms)
{
    tcp_wheel_stop(e, c);
    c->timer.due_ms = due_ms;
    file(e, c);
}

/* first slot of a ring in [from, 256) whose bit is set, or 256 */
static unsigned next_used(const struct tcp_wheel *w, unsigned ring, unsigned from)
{
    while (from < TCP_WHEEL_SLOTS) {
        uint64_t word = w->used[ring][from / 64] >> (from % 64);
        if (word)
            return from + (unsigned)__builtin_ctzll(word);
        from = (from / 64 + 1) * 64;
    }
    return TCP_WHEEL_SLOTS;
}

/* The next tick starts a new turn of ring 0: what waited for it above moves down, at most `moves`
 * of it, since a minute's idle connections may wait in one slot. False: there is more, and the tick
 * stays where it is. */
static bool cascade(struct tcp_engine *e, uint32_t moves)
{
    struct tcp_wheel *w = &e->wheel;
    for (unsigned ring = TCP_WHEEL_RINGS - 1; ring > 0; ring--) {
        if ((w->tick & ((1ull << (8 * ring)) - 1)) != 0)
            continue;
        unsigned at = (unsigned)(w->tick >> (8 * ring)) & 0xff;
        const uint32_t *head = &w->slot[ring * TCP_WHEEL_SLOTS + at];
        while (*head) {
            struct tcp_conn *c = &e->conns[*head - 1];
            if (moves-- == 0)
                return false;
            tcp_wheel_stop(e, c);
            if (*head)
                __builtin_prefetch(&e->conns[*head - 1].timer);
            file(e, c);
        }
        w->used[ring][at / 64] &= ~(1ull << (at % 64));
    }
    return true;
}

size_t tcp_wheel_advance(struct tcp_engine *e, uint64_t mono_us, size_t limit)
{
    struct tcp_wheel *w = &e->wheel;
    uint64_t target = mono_us / 1000;
    size_t fired = 0;

    while (w->tick <= target && w->armed > 0) {
        uint64_t tick = w->tick;
        unsigned at = (unsigned)tick & 0xff;
        if (at == 0 && !cascade(e, TCP_WHEEL_MOVES))
            return fired;
        unsigned used = next_used(w, 0, at);
        if (used != at) { /* skip to the next used slot, or to the next turn */
            tick = (tick & ~0xffull) + used;
            w->tick = tick <= target ? tick : target + 1;
            continue;
        }
        w->tick = tick + 1; /* what a fired timer arms is due from the next tick on */
        while (w->slot[at]) {
            if (fired == limit) {
                w->tick = tick;
                return fired;
            }
            struct tcp_conn *c = &e->conns[w->slot[at] - 1];
            tcp_wheel_stop(e, c);
            fired++;
            tcp_timer_fire(e, c);
        }
        w->used[0][at / 64] &= ~(1ull << (at % 64));
    }
    if (w->tick <= target)
        w->tick = target + 1;
    return fired;
}

uint64_t tcp_wheel_next_us(const struct tcp_engine *e)
{
    const struct tcp_wheel *w = &e->wheel;
    uint64_t next = UINT64_MAX;

    if (w->armed == 0)
        return UINT64_MAX;
    for (unsigned ring = 0; ring < TCP_WHEEL_RINGS; ring++) {
        unsigned shift = 8 * ring;
        unsigned at = (unsigned)(w->tick >> shift) & 0xff;
        /* Above ring 0, the slot that the tick stands in was emptied when the tick entered it;
         * at the very border that is yet to come, and a lower ring may hold later timers. */
        bool entered = (w->tick & ((1ull << shift) - 1)) != 0;
        unsigned slot = next_used(w, ring, entered ? at + 1 : at);
        uint64_t turn = (w->tick >> shift) & ~0xffull;
        if (slot == TCP_WHEEL_SLOTS && ring + 1 == TCP_WHEEL_RINGS) {
            slot = next_used(w, ring, 0);
            turn += TCP_WHEEL_SLOTS;
        }
        if (slot == TCP_WHEEL_SLOTS)
            continue;
        uint64_t us = ((turn | slot) << shift) * 1000;
        if (us < next)
            next = us;
    }
    return next;
}
