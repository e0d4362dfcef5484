/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 64 metros of the Earth: where nodes are, and the round trips between them. The path is the great
 * circle at 10 us/km there and back, times 1.6 for cables that do not follow it, times a detour
 * between some continents, fitted to what RIPE Atlas and cloud regions measure (Frankfurt-London
 * 13 ms, -Virginia 89, -Tokyo 223; Virginia-Tokyo 146).
 *
 * Round trips are in units of 16 us, about one kilometre of such a path: coarse, so that a last bit
 * in floating point could not show even on a machine that computed one differently.
 */
#ifndef CORAL_TOOLS_SIM_METROS_H
#define CORAL_TOOLS_SIM_METROS_H

#include <stdint.h>

#define METROS        64u
#define METRO_UNIT_US 16u

/* The two cluster thresholds of Coral, 20 and 60 ms, and the bands round them. */
#define METRO_NEAR_LOW    937u  /* 15 ms */
#define METRO_NEAR        1250u /* 20 ms */
#define METRO_NEAR_HIGH   1563u /* 25 ms */
#define METRO_REGION_LOW  3125u /* 50 ms */
#define METRO_REGION      3750u /* 60 ms */
#define METRO_REGION_HIGH 4375u /* 70 ms */

enum metro_world {
    METRO_EARTH, /* as computed: western Europe straddles 20 ms */
    METRO_CLEAR, /* no round trip in 15..25 or 50..70 ms: everybody agrees who is near whom */
    METRO_EDGE,  /* those of 10..30 and 40..80 ms squeezed into 15..25 and 50..70 */
};

struct metros {
    uint16_t rtt[METROS][METROS]; /* units; the diagonal: between sites of one metro */
    /* In a clear world the metros' clusters by complete linkage, and the truth: two metros are
     * within 15 ms iff near[] is the same, within 50 ms iff region[] is. Each is named after its
     * first metro. Elsewhere only the partition that linkage finds. */
    uint8_t near[METROS], region[METROS];
};

void metros_make(struct metros *m, enum metro_world world);
/* NULL: no such metro. */
const char *metro_name(unsigned metro);
/* METROS: unknown. */
unsigned metro_find(const char *name);
/* Its share of the nodes is weight / the sum of all. */
uint32_t metro_weight(unsigned metro);

#endif
