/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/wheel.h"

#include <string.h>

#define SPAN_MASK 0xffffffffull /* ticks that the four rings tell apart */
#define MOVES     256           /* timers that one call moves down a ring */

void wheel_init(struct wheel *w, uint64_t mono_us)
{
    memset(w, 0, sizeof(*w));
    w->tick = mono_us / WHEEL_TICK_US;
}

/* Files a timer by the highest byte in which its due tick differs from the next tick. */
static void file(struct wheel *w, struct timer *t)
{
    uint64_t due = (t->due_us + WHEEL_TICK_US - 1) / WHEEL_TICK_US;
    if (due < w->tick)
        due = w->tick;
    if ((due ^ w->tick) > SPAN_MASK) /* beyond the span: looked at again at its end */
        due = w->tick | SPAN_MASK;
    uint64_t differ = due ^ w->tick;
    unsigned level = differ < 1u << 8 ? 0 : differ < 1u << 16 ? 1 : differ < 1u << 24 ? 2 : 3;
    unsigned slot = (unsigned)(due >> (8 * level)) & 0xff;

    struct timer **head = &w->slot[level][slot];
    t->next = *head;
    t->prev = head;
    if (t->next)
        t->next->prev = &t->next;
    *head = t;
    w->used[level][slot / 64] |= 1ull << (slot % 64);
    w->armed++;
}

void wheel_stop(struct wheel *w, struct timer *t)
{
    if (!timer_armed(t))
        return;
    *t->prev = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->prev = NULL;
    t->next = NULL;
    w->armed--;
    /* the slot's bit may be stale now: that costs one look when the slot comes up */
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t due_us)
{
    wheel_stop(w, t);
    t->due_us = due_us;
    file(w, t);
}

/* first slot of a level in [from, 256) whose bit is set, or 256 */
static unsigned next_used(const struct wheel *w, unsigned level, unsigned from)
{
    while (from < WHEEL_SLOTS) {
        uint64_t word = w->used[level][from / 64] >> (from % 64);
        if (word)
            return from + (unsigned)__builtin_ctzll(word);
        from = (from / 64 + 1) * 64;
    }
    return WHEEL_SLOTS;
}

/* The next tick starts a new turn of ring 0: what waited for it above moves down, at most `moves`
 * of it. False: there is more, and the tick stays where it is. */
static bool cascade(struct wheel *w, unsigned moves)
{
    for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
        if ((w->tick & ((1ull << (8 * level)) - 1)) != 0)
            continue;
        unsigned slot = (unsigned)(w->tick >> (8 * level)) & 0xff;
        struct timer *t;
        while ((t = w->slot[level][slot]) != NULL) {
            if (moves-- == 0)
                return false;
            wheel_stop(w, t);
            if (w->slot[level][slot])
                __builtin_prefetch(w->slot[level][slot]);
            file(w, t);
        }
        w->used[level][slot / 64] &= ~(1ull << (slot % 64));
    }
    return true;
}

size_t wheel_advance(struct wheel *w, uint64_t mono_us, size_t limit, wheel_fire *fire, void *ctx)
{
    uint64_t target = mono_us / WHEEL_TICK_US;
    size_t fired = 0;

    while (w->tick <= target && w->armed > 0) {
        uint64_t tick = w->tick;
        unsigned slot = (unsigned)tick & 0xff;
        if (slot == 0 && !cascade(w, MOVES))
            return fired;
        unsigned used = next_used(w, 0, slot);
        if (used != slot) { /* skip to the next used slot, or to the next turn */
            tick = (tick & ~0xffull) + used;
            w->tick = tick <= target ? tick : target + 1;
            continue;
        }
        w->tick = tick + 1; /* what fire() arms is due from the next tick on */
        struct timer *t;
        while ((t = w->slot[0][slot]) != NULL) {
            if (fired == limit) {
                w->tick = tick;
                return fired;
            }
            wheel_stop(w, t);
            fired++;
            fire(ctx, t);
        }
        w->used[0][slot / 64] &= ~(1ull << (slot % 64));
    }
    if (w->tick <= target)
        w->tick = target + 1;
    return fired;
}

uint64_t wheel_next_us(const struct wheel *w)
{
    uint64_t next = UINT64_MAX;

    if (w->armed == 0)
        return UINT64_MAX;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = 8 * level;
        unsigned at = (unsigned)(w->tick >> shift) & 0xff;
        /* Above ring 0, the slot that the tick stands in was emptied when the tick entered it;
         * at the very border that is yet to come, and a lower ring may hold later timers. */
        bool entered = (w->tick & ((1ull << shift) - 1)) != 0;
        unsigned slot = next_used(w, level, entered ? at + 1 : at);
        if (slot == WHEEL_SLOTS)
            continue;
        uint64_t us = ((((w->tick >> shift) & ~0xffull) | slot) << shift) * WHEEL_TICK_US;
        if (us < next)
            next = us;
    }
    return next;
}
