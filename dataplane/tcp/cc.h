/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Congestion control behind one small table. A controller is a value without a connection: it
 * hears of acknowledgements, losses and time-outs and keeps two windows. Recovery (RACK, PRR)
 * finds the losses and drives cwnd while it repairs them; the controller says where to land.
 *
 *             ack                  loss, ecn                recovered
 *   growing -------> growing   -------------> reduced  ---------------> growing from ssthresh
 *                              timeout: cwnd = 1 MSS, slow start up to ssthresh
 *
 * All windows and lengths are bytes; times are microseconds modulo 2^32. A copy of the struct is
 * the whole state: whoever finds a reduction spurious puts the copy back (RFC 4015, RFC 9438 4.9).
 */
#ifndef CORAL_TCP_CC_H
#define CORAL_TCP_CC_H

#include <stdbool.h>
#include <stdint.h>

#define CC_WORDS 20 /* what BBR needs; CUBIC takes 8 */
/* Half of the largest window that RFC 7323 allows: no sum of two overflows. */
#define CC_CWND_MAX (1u << 29)
/* Most segments that one ACK may add in slow start. RFC 5681 counts one, for peers that
 * acknowledge every second segment; those that merge segments before they acknowledge would
 * crawl. RFC 9406 4.2: L = 8 for a sender that does not pace. */
#define CC_SLOW_START_LIMIT 8u

struct cc_ops;

struct cc {
    uint32_t cwnd;     /* >= 1 MSS */
    uint32_t ssthresh; /* >= 2 MSS; UINT32_MAX until the first reduction or exit of slow start */
    const struct cc_ops *ops;
    uint32_t u[CC_WORDS]; /* the controller's own */
};

/* An acknowledgement of new data, outside of recovery. */
struct cc_ack {
    uint32_t now_us;
    uint32_t mss;
    uint32_t acked;      /* bytes newly acknowledged, by ACK or SACK */
    uint32_t flight;     /* bytes in flight before this ACK */
    uint32_t rtt_us;     /* the sample of this ACK; 0: none */
    uint32_t srtt_us;    /* 0: no sample yet */
    uint32_t min_rtt_us; /* over minutes; 0: no sample yet */
    /* The window, not the application nor the peer, was what held the sender back. In slow
     * start using half of it is enough (RFC 7661 1: else a doubling could not go on). */
    bool cwnd_limited;
    /* The first ACK of a round: snd_una passed what was snd_nxt when the last round began. */
    bool round_start;
    /* For controllers that model the path (BBR); others don't look. */
    bool app_limited; /* at some time in this round there was nothing to send */
    uint32_t lost;    /* bytes found lost since the last call */
};

struct cc_ops {
    const char *name; /* as a configuration spells it */
    void (*init)(struct cc *, uint32_t mss, uint32_t now_us);
    void (*ack)(struct cc *, const struct cc_ack *);
    /* A loss found by SACK, RACK or duplicate ACKs: sets ssthresh. cwnd stays: PRR (RFC 9937)
     * brings it down to ssthresh. `flight`: bytes out, lost ones included. Once an episode. */
    void (*loss)(struct cc *, uint32_t mss, uint32_t flight, uint32_t now_us);
    /* The retransmission timer expired: cwnd is one segment. `first`: not one of a row of
     * expiries, which reduce ssthresh only once (RFC 5681 3.1). */
    void (*timeout)(struct cc *, uint32_t mss, uint32_t flight, uint32_t now_us, bool first);
    /* ECE, at most once a round trip: as a loss, with the milder factor of RFC 8511, and cwnd
     * falls at once. */
    void (*ecn)(struct cc *, uint32_t mss, uint32_t flight, uint32_t now_us);
    /* All that was out when the loss was found is acknowledged: cwnd = ssthresh. */
    void (*recovered)(struct cc *, uint32_t mss, uint32_t flight, uint32_t now_us);
    /* Nothing was sent for longer than an RTO, and now something will be (RFC 5681 4.1). */
    void (*idle)(struct cc *, uint32_t mss, uint32_t now_us);
    /* Bytes a second to pace at; NULL: tcp_pacer_rate does. 0: not known yet. */
    uint32_t (*rate)(const struct cc *);
    /* It wants `ack` in recovery too, in place of PRR. */
    bool every_ack;
};

extern const struct cc_ops cc_newreno, cc_cubic, cc_bbr;

static inline uint32_t cc_min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t cc_max(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* RFC 6928 2: min(10 MSS, max(2 MSS, 14600)) */
static inline uint32_t cc_initial_window(uint32_t mss)
{
    return cc_min(10 * mss, cc_max(2 * mss, 14600));
}

/* flight * percent / 100, but two segments at least: RFC 5681 equation 4 with another factor */
static inline uint32_t cc_reduced(uint32_t flight, uint32_t percent, uint32_t mss)
{
    return cc_max((uint32_t)((uint64_t)flight * percent / 100), 2 * mss);
}

/* Slow start adds `grow` bytes, not past ssthresh. */
static inline void cc_slow_start(struct cc *c, uint32_t grow)
{
    uint32_t room = cc_min(c->ssthresh, CC_CWND_MAX) - cc_min(c->cwnd, CC_CWND_MAX);
    c->cwnd += cc_min(grow, room);
}

/* What of RFC 5681 4.1 and RFC 7661 4.4.2 all controllers share: the window starts anew, and
 * ssthresh remembers three quarters of what was reached. */
static inline void cc_restart(struct cc *c, uint32_t mss)
{
    if (c->cwnd <= cc_initial_window(mss))
        return;
    c->ssthresh = cc_max(c->ssthresh, c->cwnd - c->cwnd / 4);
    c->cwnd = cc_initial_window(mss);
}

#endif
