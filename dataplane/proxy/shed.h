/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker refuses when it has more to do than it can, so that what is cheap stays quick.
 *
 * The sign is CoDel's (RFC 8289): a queue that is found short now and then is a good one, however
 * long it was between; one in which everybody has waited for longer than `target_us` for
 * SHED_INTERVAL_US on end stands, and more work only makes it longer. Then pressure rises:
 *
 *   pressure   0         1         2         3         4         5
 *   clients    | fetches |  waits  |         |  hits   |         |
 *   peers      |         |         |  waits  |         |  hits   |
 *
 * In each step a share of such requests is refused that grows from none to all, drawn for each, and
 * so pressure settles where what is admitted is what can be done: nothing is switched on and off.
 * It rises by a step in a third of a second at the fastest, and falls, as long as the queue is
 * found short, by a step in six seconds at first and twice as fast with each second of calm: so the
 * queue stands for a twentieth of the time when there is always too much to do, and a burst of
 * traffic is forgotten five seconds after its end. Where less than one turn in SHED_ASKED has a
 * request (a flood of frames, one large transfer) nothing is gained by refusing them, and none is.
 * Peers come after clients of their class: each of them asks for many, and goes to the origin where
 * we refuse it.
 *
 * One a worker, no clock: a pure function of what it is told.
 */
#ifndef CORAL_PROXY_SHED_H
#define CORAL_PROXY_SHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/now.h"
#include "base/rng.h"

enum shed_class {
    SHED_FETCH, /* begins a fetch: a miss, an uncacheable one, a body for the origin */
    SHED_WAIT,  /* waits for a fetch, or costs more than a hit: several ranges, a decoder */
    SHED_HIT,   /* of a connection that has had no answer yet */
    SHED_CLASSES
};

#define SHED_INTERVAL_US 100000u /* RFC 8289 4.3: the worst of usual round trips */
/* Between two rises while something is refused already: there is less doubt, and the queue that
 * has begun to stand again is to stand no longer than that. */
#define SHED_AGAIN_US 20000u
#define SHED_ASKED    4u
#define SHED_STEP     65536u
#define SHED_RISE     (SHED_STEP / 16)
#define SHED_FALL     10u /* a millisecond */
#define SHED_FASTEST  6u  /* times that it is doubled */
#define SHED_STEPS    5u

/* Of zeros: nothing is refused. */
struct shed {
    uint64_t turn_us;  /* when the last turn began */
    uint64_t empty_us; /* when the rings were last found empty */
    uint64_t above_us; /* since when the wait was above the target; 0: it is not */
    uint64_t rose_us;  /* pressure, the last time, */
    uint64_t fell_us;  /* and up to when it has fallen */
    uint32_t gap;      /* between turns, smoothed, in 1/16 us */
    uint32_t pressure; /* SHED_STEP a step */
    uint32_t turns;    /* since `above_us`, */
    uint32_t asked;    /* and of those, with requests */
};

/* What a worker knows at a turn, when it has taken what it takes of its rings, and no request has
 * been answered yet. */
struct shed_turn {
    bool busy;          /* it came from a turn that had work, not from a rest */
    uint32_t behind;    /* turns that the rings are long, at most; 0: they were emptied */
    bool asked;         /* there is a request to be answered */
    uint64_t oldest_us; /* how long the request that is next has waited since it was read */
};

/* Takes that into account. `target_us` 0: nothing is refused, and pressure is forgotten. Returns
 * how long requests wait now, by what is known: in microseconds. */
uint64_t shed_note(struct shed *s, const struct shed_turn *t, uint64_t target_us, struct now now);
/* Is a request of this class refused now? `peer`: it is a node's of ours. Pressure is not 0. */
bool shed_refuses(const struct shed *s, enum shed_class which, bool peer, struct rng *rng);
/* Of how many classes something is refused, for people. */
unsigned shed_level(const struct shed *s);

#endif
