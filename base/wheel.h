/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hierarchical timer wheel (Varghese and Lauck 1987): 4 rings of 256 slots, tick 1 ms, spans
 * 49 days; later deadlines wait in the last slot and are filed again. Timers are embedded in
 * what they belong to; arming and stopping are O(1).
 *
 * Deadlines may be lazy: an owner whose deadline moves later need only remember it and, when
 * the timer fires early, arm it again. A wheel belongs to one thread.
 */
#ifndef CORAL_BASE_WHEEL_H
#define CORAL_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_TICK_US 1000u
#define WHEEL_LEVELS  4
#define WHEEL_SLOTS   256

struct timer {
    struct timer *next, **prev; /* prev == NULL: not armed */
    uint64_t due_us;
};

struct wheel {
    uint64_t tick; /* slots up to and with this tick have fired */
    size_t armed;
    struct timer *slot[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t used[WHEEL_LEVELS][WHEEL_SLOTS / 64]; /* a bit a non-empty slot */
};

typedef void wheel_fire(void *ctx, struct timer *t);

void wheel_init(struct wheel *w, uint64_t mono_us);
/* Arms, or moves, a timer. It fires at the first tick not before due_us. */
void wheel_arm(struct wheel *w, struct timer *t, uint64_t due_us);
void wheel_stop(struct wheel *w, struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
    return t->prev != NULL;
}
/* Fires what is due, at most `limit` timers (the rest fire at the next call, and so does what waits
 * behind more far timers than one call files anew: wheel_next_us says at once); a timer is
 * disarmed before `fire` sees it, and `fire` may arm and stop any timer. Returns how many. */
size_t wheel_advance(struct wheel *w, uint64_t mono_us, size_t limit, wheel_fire *fire, void *ctx);
/* A time not later than the next deadline, UINT64_MAX when nothing is armed. */
uint64_t wheel_next_us(const struct wheel *w);

#endif
