/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time as engines see it: read once a burst by whoever drives them, and handed down. No engine
 * reads a clock, so a test moves time at will and a seed replays a run.
 */
#ifndef CORAL_BASE_NOW_H
#define CORAL_BASE_NOW_H

#include <stdint.h>

struct now {
    uint64_t mono_us; /* monotonic, microseconds since some start; every time-out counts in it */
    int64_t wall_s;   /* seconds since 1970, only for Date, Age and the like; it may step */
};

#endif
