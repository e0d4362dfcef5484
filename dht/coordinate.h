/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Network coordinates: round trips to nodes never measured, from a point that each node moves by
 * those that it does measure. Vivaldi (SIGCOMM 2004), figure 3, with height (section 5.4): four
 * dimensions and the length of the access line, which every path of the node has in it.
 *
 * Coordinates rank candidates and set time-outs, where being wrong costs a little time; they never
 * decide who belongs to a cluster. Hence floats, which need not be the same on all machines.
 *
 * A liar is held by three things: claims out of bounds are refused; no update moves us by more than
 * a quarter of the round trip that *we* measured; and one claim cannot make us unsure of ourselves
 * at once. The caller gives at most five measurements a second.
 */
#ifndef CORAL_DHT_COORDINATE_H
#define CORAL_DHT_COORDINATE_H

#include <stdbool.h>
#include <stdint.h>

#define COORDINATE_DIMENSIONS    4
#define COORDINATE_BYTES         24
#define COORDINATE_FAR_US        2000000.0f /* no point is farther from the origin, no height higher */
#define COORDINATE_HEIGHT_MIN_US 10.0f
#define COORDINATE_ERROR_MAX     1.5f
#define COORDINATE_RTT_MAX_US    10000000u

struct coordinate {
    float x_us[COORDINATE_DIMENSIONS];
    float height_us; /* from COORDINATE_HEIGHT_MIN_US */
    float error;     /* how far off it tends to be, as a share of a round trip; at the start 1.5 */
};

enum coordinate_outcome {
    COORDINATE_MOVED,
    COORDINATE_REFUSED, /* a claim or a measurement out of bounds: nothing changed */
    COORDINATE_RESET,   /* our own had gone out of bounds: begun anew */
};

/* The origin, unsure. */
struct coordinate coordinate_start(void);

/* A round trip to `other`, who claimed that coordinate. `random`: some bits of chance, for the
 * direction in which two nodes at the same point part. */
enum coordinate_outcome coordinate_update(struct coordinate *self, const struct coordinate *other,
                                          uint32_t rtt_us, uint64_t random);

/* The round trip expected between two valid coordinates. */
uint32_t coordinate_estimate_us(const struct coordinate *a, const struct coordinate *b);

/* Every number finite and within the bounds above. */
bool coordinate_valid(const struct coordinate *c);

/*
 *   0      4      8      12     16       20     24
 *   | x[0] | x[1] | x[2] | x[3] | height | error |    IEEE 754 single precision, big-endian
 */
void coordinate_pack(const struct coordinate *c, uint8_t out[static COORDINATE_BYTES]);
/* False: out of bounds (NaN and infinity too); `out` is undefined. */
bool coordinate_unpack(const uint8_t in[static COORDINATE_BYTES], struct coordinate *out);

#endif
