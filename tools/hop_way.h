/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One direction of coral-hop: what happens to a frame, and when it comes out. A value without I/O
 * or clock, times are the caller's.
 *
 *   hop_way_put -> list, loss, bursts -> corruption -> duplication -> rate and buffer
 *               -> delay, jitter, reordering -> hop_way_take
 *
 * A frame draws the same number of random words whatever is configured, so the nth frame of a
 * direction meets the same fate under the same seed, at whatever time it comes.
 */
#ifndef CORAL_TOOLS_HOP_WAY_H
#define CORAL_TOOLS_HOP_WAY_H

#include <stdbool.h>
#include <stdint.h>

#define HOP_DROPS  32           /* ranges of one --drop */
#define HOP_ALWAYS (1ull << 32) /* the chance of what is certain */

struct hop_range {
    uint32_t first, last;
};

/* Chances are parts of HOP_ALWAYS, for each frame. */
struct hop_config {
    uint64_t delay_ns;
    uint64_t jitter_ns; /* up to this much more, in order all the same */
    uint64_t loss;
    /* Gilbert's model: a frame may lead into a bad state or out of it, in which some are lost */
    uint64_t burst_enter, burst_leave, burst_loss;
    uint64_t reorder, reorder_ns; /* these wait longer, and others overtake them */
    uint64_t duplicate;
    uint64_t corrupt;      /* one bit behind the Ethernet header flips */
    uint64_t rate_bps;     /* bits of frames a second; 0: no limit */
    uint64_t buffer_bytes; /* waiting for the rate, the frame on the wire included; 0: any */
    /* Frames to lose, by number from 1, of those longer than drop_over bytes; ascending */
    struct hop_range drop[HOP_DROPS];
    uint32_t drops, drop_over;
};

#define HOP_COUNTERS(X)                                                                            \
    X(received, "frames that came")                                                                \
    X(received_bytes, "their bytes, Ethernet headers included")                                    \
    X(sent, "frames that went on")                                                                 \
    X(sent_bytes, "their bytes")                                                                   \
    X(lost, "lost by --loss")                                                                      \
    X(burst_lost, "lost in a burst")                                                               \
    X(listed, "lost by --drop")                                                                    \
    X(overflowed, "lost, the buffer before the rate was full")                                     \
    X(no_room, "lost, more in flight than --frames")                                               \
    X(corrupted, "with a bit flipped")                                                             \
    X(duplicated, "sent twice")                                                                    \
    X(reordered, "held back by --reorder")

struct hop_stats {
#define X(name, text) uint64_t name;
    HOP_COUNTERS(X)
#undef X
};

struct hop_frame {
    const uint8_t *bytes;
    uint32_t len;
};

struct hop_way;

/* Holds up to `frames` frames of `frame_bytes` bytes; memory is touched when it is first needed.
 * NULL: not enough memory. */
struct hop_way *hop_way_new(const struct hop_config *config, uint64_t seed, uint32_t frames,
                            uint32_t frame_bytes);
void hop_way_free(struct hop_way *w);
/* A frame of at most frame_bytes, which is copied. Times never go back. */
void hop_way_put(struct hop_way *w, const void *bytes, uint32_t len, uint64_t now_ns);
/* When the next frame is due; UINT64_MAX: nothing waits. */
uint64_t hop_way_next_ns(const struct hop_way *w);
/* Up to n frames due by now, in their order; they stay valid until the next call. */
unsigned hop_way_take(struct hop_way *w, uint64_t now_ns, struct hop_frame *out, unsigned n);
const struct hop_stats *hop_way_stats(const struct hop_way *w);

#endif
