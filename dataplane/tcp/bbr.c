/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BBR, version 3: draft-ietf-ccwg-bbr. It models the path by the most it delivered in the last
 * two probing cycles and the least round-trip time of ten seconds, sends at that rate, and asks
 * now and then for more:
 *
 *   STARTUP -> DRAIN -> DOWN -> CRUISE -> REFILL -> UP -> DOWN ...    any -> PROBE_RTT -> DOWN
 *
 * Delivery is measured a round at a time (bytes acknowledged over the round's length), where the
 * draft keeps a sample with each segment: nothing has to be kept per segment, and a round is what
 * the draft's sample spans as well. Loss counts only above 2 % of a round.
 */
#include <assert.h>

#include "dataplane/tcp/cc.h"

#define SECOND_US          1000000u
#define MIN_RTT_FILTER_US  (10 * SECOND_US)
#define PROBE_RTT_EVERY_US (5 * SECOND_US)
#define PROBE_RTT_US       200000u
#define MIN_CWND           4u /* segments */
#define LOSS_PERCENT       2u
#define BETA_PERCENT       70u
#define HEADROOM_PERCENT   15u
#define FULL_BW_ROUNDS     3u
#define FULL_BW_PERCENT    125u
#define WAIT_ROUNDS_MAX    63u /* between probes, as often as Reno would lose on a short path */
#define NONE               UINT32_MAX

enum phase { STARTUP, DRAIN, DOWN, CRUISE, REFILL, UP, PROBE_RTT, PHASES };

/* percent */
static const uint16_t pacing_gain[PHASES] = {277, 50, 90, 100, 100, 125, 100};
static const uint16_t cwnd_gain[PHASES] = {200, 200, 200, 200, 200, 225, 50};

struct bbr {
    uint8_t phase;
    uint8_t full_bw_reached, full_bw_rounds;
    uint8_t rounds;          /* since the last probe for bandwidth, saturating */
    uint8_t app_limited;     /* this round was */
    uint8_t probe_rtt_timed; /* the queue is empty; phase_us says when PROBE_RTT ends */
    uint8_t new_round;       /* one began with this ACK */
    uint8_t too_much;        /* the last round lost more than 2 % */
    uint32_t max_bw[2];      /* bytes a second: of this probing cycle and the one before */
    uint32_t full_bw;        /* what STARTUP last grew to */
    uint32_t bw_lo;          /* bounds learned from loss since the last probe; NONE */
    uint32_t inflight_lo;
    uint32_t inflight_hi; /* what the path bore at the last probe; NONE */
    uint32_t min_rtt_us;  /* NONE: no sample */
    uint32_t min_rtt_stamp;
    uint32_t probe_min_us, probe_min_stamp; /* least of five seconds, which PROBE_RTT refreshes */
    uint32_t round_us, round_acked, round_lost;
    uint32_t phase_us, wait_us; /* when the phase began; how long until the next probe */
    uint32_t prior_cwnd;        /* before a loss, a time-out or PROBE_RTT */
    uint32_t mss;
};
static_assert(sizeof(struct bbr) <= sizeof(((struct cc *)0)->u), "fits the controller's words");

static struct bbr *own(struct cc *c)
{
    return (struct bbr *)(void *)c->u;
}

static const struct bbr *own_const(const struct cc *c)
{
    return (const struct bbr *)(const void *)c->u;
}

static uint32_t percent(uint32_t v, uint32_t p)
{
    uint64_t r = (uint64_t)v * p / 100;
    return r < UINT32_MAX ? (uint32_t)r : UINT32_MAX;
}

static uint32_t bandwidth(const struct bbr *b)
{
    return cc_min(cc_max(b->max_bw[0], b->max_bw[1]), b->bw_lo);
}

/* `gain` percent of the bandwidth-delay product */
static uint32_t inflight(const struct bbr *b, uint32_t bw, uint32_t gain)
{
    uint64_t bdp = (uint64_t)bw * cc_min(b->min_rtt_us, SECOND_US) / SECOND_US;
    bdp = bdp * gain / 100 + 2ull * b->mss;
    return cc_max(bdp < CC_CWND_MAX ? (uint32_t)bdp : CC_CWND_MAX, MIN_CWND * b->mss);
}

static uint32_t max_bandwidth(const struct bbr *b)
{
    return cc_max(b->max_bw[0], b->max_bw[1]);
}

static void enter(struct bbr *b, enum phase phase, uint32_t now_us)
{
    b->phase = (uint8_t)phase;
    b->phase_us = now_us;
    if (phase == DOWN) { /* a probing cycle is over: the filter keeps two */
        b->max_bw[1] = b->max_bw[0] ? b->max_bw[0] : b->max_bw[1];
        b->max_bw[0] = 0;
        b->rounds = 0;
        b->wait_us = 2 * SECOND_US + now_us % SECOND_US; /* 2 to 3 s, not all flows at once */
    } else if (phase == REFILL) { /* what loss taught is forgotten before a probe */
        b->bw_lo = b->inflight_lo = NONE;
    }
}

static void init(struct cc *c, uint32_t mss, uint32_t now_us)
{
    *c = (struct cc){.cwnd = cc_initial_window(mss), .ssthresh = UINT32_MAX, .ops = &cc_bbr};
    struct bbr *b = own(c);
    b->bw_lo = b->inflight_lo = b->inflight_hi = b->min_rtt_us = b->probe_min_us = NONE;
    b->min_rtt_stamp = b->probe_min_stamp = b->round_us = now_us;
    b->mss = mss;
    enter(b, STARTUP, now_us);
}

/* STARTUP ends when three rounds in a row brought less than a quarter more, or when one lost
 * too much. */
static void check_full(struct bbr *b, uint32_t flight)
{
    if (b->full_bw_reached || b->app_limited)
        return;
    if (b->too_much) {
        b->full_bw_reached = true;
        b->inflight_hi = cc_max(inflight(b, max_bandwidth(b), 100), flight);
    } else if (b->max_bw[0] >= percent(b->full_bw, FULL_BW_PERCENT)) {
        b->full_bw = b->max_bw[0];
        b->full_bw_rounds = 0;
    } else if (++b->full_bw_rounds >= FULL_BW_ROUNDS) {
        b->full_bw_reached = true;
    }
}

/* Loss while not probing lowers the bounds, to what was delivered in spite of it at the most. */
static void lower_bounds(struct bbr *b, uint32_t bw, uint32_t cwnd)
{
    if (b->round_lost == 0 || b->phase == STARTUP || b->phase == REFILL || b->phase == UP)
        return;
    if (b->bw_lo == NONE)
        b->bw_lo = max_bandwidth(b);
    if (b->inflight_lo == NONE)
        b->inflight_lo = cwnd;
    b->bw_lo = cc_max(bw, percent(b->bw_lo, BETA_PERCENT));
    b->inflight_lo = cc_max(b->round_acked, percent(b->inflight_lo, BETA_PERCENT));
}

/* The round that ends with this ACK gives one sample of delivery and one of loss. */
static void round_end(struct bbr *b, const struct cc_ack *a, uint32_t cwnd)
{
    uint32_t span = cc_max(a->now_us - b->round_us, 1);
    uint64_t rate = (uint64_t)b->round_acked * SECOND_US / span;
    uint32_t bw = rate < UINT32_MAX ? (uint32_t)rate : UINT32_MAX;
    if (!b->app_limited || bw > max_bandwidth(b))
        b->max_bw[0] = cc_max(b->max_bw[0], bw);
    b->too_much = (uint64_t)b->round_lost * 100 >
                  (uint64_t)LOSS_PERCENT * ((uint64_t)b->round_acked + b->round_lost);
    check_full(b, a->flight);
    lower_bounds(b, bw, cwnd);
    if (b->rounds < UINT8_MAX)
        b->rounds++;
    b->round_us = a->now_us;
    b->round_acked = b->round_lost = 0;
    b->app_limited = false;
}

/* False: five seconds without as short a round trip, PROBE_RTT is due. */
static bool update_min_rtt(struct bbr *b, const struct cc_ack *a)
{
    bool fresh = a->now_us - b->probe_min_stamp <= PROBE_RTT_EVERY_US;
    if (a->rtt_us > 0 && (a->rtt_us <= b->probe_min_us || !fresh)) {
        b->probe_min_us = a->rtt_us;
        b->probe_min_stamp = a->now_us;
    }
    if (b->probe_min_us <= b->min_rtt_us || a->now_us - b->min_rtt_stamp > MIN_RTT_FILTER_US) {
        b->min_rtt_us = b->probe_min_us;
        b->min_rtt_stamp = b->probe_min_stamp;
    }
    return fresh || b->min_rtt_us == NONE;
}

static bool time_to_probe(const struct bbr *b, uint32_t now_us)
{
    uint32_t segments = inflight(b, bandwidth(b), 100) / b->mss;
    return now_us - b->phase_us >= b->wait_us || b->rounds >= cc_min(segments, WAIT_ROUNDS_MAX);
}

static uint32_t with_headroom(const struct bbr *b)
{
    if (b->inflight_hi == NONE)
        return NONE;
    return cc_max(percent(b->inflight_hi, 100 - HEADROOM_PERCENT), MIN_CWND * b->mss);
}

static void probe_up(struct bbr *b, const struct cc_ack *a)
{
    if (b->new_round && b->too_much) {
        uint32_t floor = percent(inflight(b, bandwidth(b), 100), BETA_PERCENT);
        b->inflight_hi = cc_max(a->flight, floor);
        enter(b, DOWN, a->now_us);
        return;
    }
    if (b->inflight_hi != NONE && a->flight + b->mss >= b->inflight_hi)
        b->inflight_hi += a->acked; /* the path bore it: twice as much a round at the most */
    if (a->now_us - b->phase_us > b->min_rtt_us && a->flight > inflight(b, max_bandwidth(b), 125))
        enter(b, DOWN, a->now_us);
}

static void probe_rtt(struct cc *c, const struct cc_ack *a)
{
    struct bbr *b = own(c);
    if (!b->probe_rtt_timed) {
        if (a->flight > inflight(b, bandwidth(b), cwnd_gain[PROBE_RTT]) + a->acked)
            return;
        b->probe_rtt_timed = true;
        b->phase_us = a->now_us;
    } else if (a->now_us - b->phase_us > PROBE_RTT_US + cc_min(b->min_rtt_us, SECOND_US)) {
        b->probe_min_stamp = a->now_us;
        c->cwnd = cc_max(c->cwnd, b->prior_cwnd);
        enter(b, b->full_bw_reached ? DOWN : STARTUP, a->now_us);
    }
}

static void phases(struct cc *c, const struct cc_ack *a, bool rtt_fresh)
{
    struct bbr *b = own(c);
    if (!rtt_fresh && b->phase != PROBE_RTT) {
        b->prior_cwnd = c->cwnd;
        b->probe_rtt_timed = false;
        enter(b, PROBE_RTT, a->now_us);
    }
    uint32_t bdp = inflight(b, max_bandwidth(b), 100);
    switch (b->phase) {
    case STARTUP:
        if (b->full_bw_reached)
            enter(b, DRAIN, a->now_us);
        break;
    case DRAIN:
        if (a->flight <= bdp)
            enter(b, DOWN, a->now_us);
        break;
    case DOWN:
        if (a->flight <= cc_min(bdp, with_headroom(b)))
            b->phase = CRUISE; /* the wait goes on */
        /* fall through */
    case CRUISE:
        if (time_to_probe(b, a->now_us)) {
            enter(b, REFILL, a->now_us);
            b->rounds = 0;
        }
        break;
    case REFILL:
        if (b->new_round && b->rounds > 0)
            enter(b, UP, a->now_us);
        break;
    case UP:
        probe_up(b, a);
        break;
    default:
        probe_rtt(c, a);
    }
}

/* What the path bore, what it bears now, or room for others, by phase. */
static uint32_t bound(const struct bbr *b)
{
    if (b->phase == CRUISE || b->phase == PROBE_RTT)
        return cc_min(b->inflight_lo, with_headroom(b));
    if (b->phase == STARTUP || b->phase == DRAIN)
        return b->inflight_lo;
    return cc_min(b->inflight_lo, b->inflight_hi);
}

static void set_cwnd(struct cc *c, const struct cc_ack *a)
{
    struct bbr *b = own(c);
    bool blind = bandwidth(b) == 0 || b->min_rtt_us == NONE;
    uint32_t target = inflight(b, bandwidth(b), cwnd_gain[b->phase]);
    if (b->phase == PROBE_RTT)
        c->cwnd = cc_min(c->cwnd, target);
    else if (blind || (!b->full_bw_reached && c->cwnd < target))
        c->cwnd += cc_min(a->acked, CC_CWND_MAX);
    else if (b->full_bw_reached)
        c->cwnd = cc_min(c->cwnd + cc_min(a->acked, CC_CWND_MAX), target);
    c->cwnd = cc_max(cc_min(cc_min(c->cwnd, bound(b)), CC_CWND_MAX), MIN_CWND * a->mss);
}

static void ack(struct cc *c, const struct cc_ack *a)
{
    struct bbr *b = own(c);
    b->mss = a->mss;
    b->round_acked = cc_min(b->round_acked, CC_CWND_MAX) + cc_min(a->acked, CC_CWND_MAX);
    b->round_lost = cc_min(b->round_lost, CC_CWND_MAX) + cc_min(a->lost, CC_CWND_MAX);
    b->app_limited |= a->app_limited;
    bool rtt_fresh = update_min_rtt(b, a);
    b->new_round = a->round_start;
    if (a->round_start)
        round_end(b, a, c->cwnd);
    phases(c, a, rtt_fresh);
    set_cwnd(c, a);
}

/* No answer to one loss: the round's share of losses decides. PRR has nothing to reduce. */
static void loss(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)flight;
    (void)now_us;
    own(c)->prior_cwnd = c->cwnd;
    c->ssthresh = cc_max(c->cwnd, 2 * mss);
}

static void timeout(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us, bool first)
{
    if (first)
        loss(c, mss, flight, now_us);
    c->cwnd = mss;
}

/* A mark is a round with too much loss. */
static void ecn(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)mss;
    (void)now_us;
    struct bbr *b = own(c);
    b->round_lost = cc_max(b->round_lost, flight / 16);
}

static void recovered(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)mss;
    (void)flight;
    (void)now_us;
    if (own(c)->phase != PROBE_RTT)
        c->cwnd = cc_max(c->cwnd, own(c)->prior_cwnd);
}

/* Silence has drained the queue as PROBE_RTT would; the model stays, and pacing sends the first
 * window at its rate. */
static void idle(struct cc *c, uint32_t mss, uint32_t now_us)
{
    (void)mss;
    struct bbr *b = own(c);
    b->probe_min_stamp = b->round_us = now_us;
    b->round_acked = b->round_lost = 0;
    b->app_limited = true;
}

/* STARTUP never paces below what the window asks for: its first rounds measure the window. */
static uint32_t startup_rate(const struct bbr *b, uint32_t cwnd)
{
    if (b->min_rtt_us == NONE)
        return 0;
    uint64_t window = (uint64_t)cwnd * SECOND_US / cc_max(b->min_rtt_us, 1);
    uint32_t bw = cc_max(bandwidth(b), window < UINT32_MAX ? (uint32_t)window : UINT32_MAX);
    return cc_max(percent(bw, pacing_gain[STARTUP]), 1);
}

/* One percent below, so that a standing queue drains. */
static uint32_t rate(const struct cc *c)
{
    const struct bbr *b = own_const(c);
    if (bandwidth(b) == 0 || b->phase == STARTUP)
        return startup_rate(b, c->cwnd);
    return cc_max(percent(percent(bandwidth(b), pacing_gain[b->phase]), 99), 1);
}

const struct cc_ops cc_bbr = {
    .name = "bbr",
    .init = init,
    .ack = ack,
    .loss = loss,
    .timeout = timeout,
    .ecn = ecn,
    .recovered = recovered,
    .idle = idle,
    .rate = rate,
    .every_ack = true,
};
