/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/proxy/shed.h"

/* The step in which clients and peers of a class are refused. */
static const uint8_t step_of[SHED_CLASSES][2] = {
    [SHED_FETCH] = {0, 2}, [SHED_WAIT] = {1, 2}, [SHED_HIT] = {3, 4}};

/* How long the one that is taken last has waited: as long as the turn before took, if it came
 * while that ran; where rings were not emptied, as long as it takes to work through them, but none
 * has waited since before they were last empty. */
static uint64_t wait_of(struct shed *s, const struct shed_turn *t, struct now now)
{
    uint64_t wait_us = t->busy ? now.mono_us - s->turn_us : 0;
    uint64_t gap = wait_us < 1000000 ? wait_us : 1000000;

    s->turn_us = now.mono_us;
    if (t->busy)
        s->gap = (uint32_t)(s->gap + gap - s->gap / 16);
    if (t->behind == 0) {
        s->empty_us = now.mono_us;
    } else {
        uint64_t ring_us = t->behind * (uint64_t)s->gap / 16, most_us = now.mono_us - s->empty_us;
        ring_us = ring_us < most_us ? ring_us : most_us;
        wait_us = wait_us > ring_us ? wait_us : ring_us;
    }
    return wait_us > t->oldest_us ? wait_us : t->oldest_us;
}

/* Where turns are long, there are few of them to rise at; a worker that was put aside for seconds
 * rises by a step all the same. */
static void rise(struct shed *s, struct now now)
{
    uint64_t times = s->pressure ? (now.mono_us - s->above_us) / SHED_AGAIN_US : 1;
    uint64_t by = times * SHED_RISE < SHED_STEP ? times * SHED_RISE : SHED_STEP;
    uint64_t to = s->pressure + by, most = SHED_STEPS * SHED_STEP;
    s->pressure = (uint32_t)(to < most ? to : most);
    s->rose_us = s->fell_us = now.mono_us;
}

static void fall(struct shed *s, struct now now)
{
    uint64_t ms = (now.mono_us - s->fell_us) / 1000;
    uint64_t calm_s = (now.mono_us - s->rose_us) / 1000000;
    if (ms == 0)
        return;
    uint64_t by = ms * SHED_FALL << (calm_s < SHED_FASTEST ? calm_s : SHED_FASTEST);
    s->fell_us += ms * 1000;
    s->pressure = by < s->pressure ? s->pressure - (uint32_t)by : 0;
}

static void begin(struct shed *s, uint64_t at_us)
{
    s->above_us = at_us;
    s->turns = s->asked = 0;
}

uint64_t shed_note(struct shed *s, const struct shed_turn *t, uint64_t target_us, struct now now)
{
    uint64_t wait_us = wait_of(s, t, now);
    uint32_t after_us = s->pressure ? SHED_AGAIN_US : SHED_INTERVAL_US;

    s->turns++;
    s->asked += t->asked;
    if (target_us == 0) {
        s->pressure = 0;
        begin(s, 0);
    } else if (wait_us <= target_us) {
        begin(s, 0);
        if (s->pressure)
            fall(s, now);
    } else if (s->above_us == 0) {
        begin(s, now.mono_us);
    } else if (now.mono_us - s->above_us >= after_us) {
        if (s->asked * SHED_ASKED >= s->turns)
            rise(s, now);
        else if (s->pressure)
            fall(s, now);
        begin(s, now.mono_us);
    }
    return wait_us;
}

bool shed_refuses(const struct shed *s, enum shed_class which, bool peer, struct rng *rng)
{
    uint32_t from = step_of[which][peer] * SHED_STEP;
    if (s->pressure <= from)
        return false;
    uint32_t share = s->pressure - from;
    return share >= SHED_STEP || (rng_u32(rng) & (SHED_STEP - 1)) < share;
}

unsigned shed_level(const struct shed *s)
{
    unsigned level = 0;
    for (unsigned i = 0; i < SHED_CLASSES; i++)
        level += s->pressure > step_of[i][0] * SHED_STEP;
    return level;
}
