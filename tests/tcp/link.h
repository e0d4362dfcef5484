/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A link between two TCP engines, on virtual time, with everything that links do to segments. A
 * seed decides; the same seed and the same calls give the same link.
 *
 *   link_send -> blackout, loss, corruption, MTU hole -> (duplicate) -> rate and buffer
 *             -> delay, jitter, reordering -> options stripped, ACKs merged -> link_take
 *
 * Both directions are configured apart.
 */
#ifndef CORAL_TESTS_TCP_LINK_H
#define CORAL_TESTS_TCP_LINK_H

#include "base/rng.h"
#include "dataplane/tcp/tcp.h"

#define LINK_FRAME     2048u
#define LINK_FRAMES    16384u /* in flight at once; more are lost */
#define LINK_BLACKOUTS 3
#define LINK_BURST_US  500000u /* a bad state ends then, though nobody sends */

enum link_strip { LINK_STRIP_TS = 1, LINK_STRIP_SACK = 2, LINK_STRIP_SCALE = 4 };

/* Chances are parts of a million, for each segment. */
struct link_config {
    uint32_t delay_us;
    uint32_t jitter_us; /* up to this much more, in order all the same */
    uint32_t loss_ppm;
    /* Gilbert's model: segments lead into a bad state and out of it, in which some are lost */
    uint32_t burst_enter_ppm, burst_leave_ppm, burst_loss_ppm;
    uint32_t reorder_ppm, reorder_us; /* these wait longer, and others overtake them */
    uint32_t duplicate_ppm;
    uint32_t corrupt_ppm;    /* one bit flips, which the checksum of the receiving host finds */
    uint32_t mtu;            /* IP packets above this vanish without a word; 0: none do */
    uint64_t rate_bps;       /* 0: none */
    uint32_t buffer_bytes;   /* in front of the rate; what overflows it is lost */
    uint8_t strip;           /* enum link_strip: options that SYNs lose */
    uint32_t strip_ts_after; /* timestamps vanish from the nth segment on; 0: never */
    uint32_t thin;           /* pure ACKs that a later one swallows, in a row */
    struct {
        uint64_t from_us, to_us;
    } blackout[LINK_BLACKOUTS];
};

struct link_stats {
    uint64_t sent, delivered, lost, corrupted, too_big, overflowed, dark, duplicated, thinned;
};

struct link_frame {
    uint64_t due_us, order;
    struct tcp_packet packet;
    uint16_t sport, dport;
    bool pure_ack, swallowed;
    uint8_t bytes[LINK_FRAME];
};

/* One direction. */
struct link_way {
    struct link_config config;
    struct link_stats stats;
    bool bad;                    /* Gilbert's state */
    uint64_t bad_us;             /* since when */
    uint64_t busy_ns;            /* when the rate limit is done with what it has */
    uint64_t last_us;            /* arrival of the last segment that kept the order */
    uint32_t in_a_row;           /* ACKs swallowed */
    struct link_frame *last_ack; /* still on its way; NULL: none */
    struct link_frame **heap;    /* by arrival */
    uint32_t frames;
};

struct link {
    struct rng rng;
    struct link_way way[2]; /* by sender */
    uint64_t order;
    struct link_frame *all;
    struct link_frame **free;
    uint32_t frees;
    struct link_frame *taken[TCP_BURST];
    unsigned takens;
};

/* NULL when memory is short. Configure way[].config before or after. */
struct link *link_new(uint64_t seed);
void link_free(struct link *l);
/* Engine `from` sends. */
void link_send(struct link *l, unsigned from, const struct tcp_out *o, uint64_t now_us);
/* What has arrived for engine `to`, at most `max`, in order of arrival; valid until the next
 * call. */
unsigned link_take(struct link *l, unsigned to, uint64_t now_us, struct tcp_packet *packets,
                   unsigned max);
/* When something arrives next; UINT64_MAX: nothing is on its way. */
uint64_t link_next_us(const struct link *l);
/* From now on it only delays and limits the rate. An MTU hole and stripped options stay: they are
 * the path's, not a fault that passes. */
void link_heal(struct link *l);

#endif
