/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CUBIC: RFC 9438, in integers. Time is microseconds where it is kept and 1024ths of a second
 * where it is cubed; windows are bytes, with 2^-16 of a byte carried from ACK to ACK.
 *
 *   W(t) = C (t - K)^3 + W_max            K = cbrt((W_max - cwnd_epoch) / C)
 *
 * with C = 0.4 segments / s^3. t counts only the time in which the window was what limited the
 * sender (RFC 9438 5.8): it is summed from ACK to ACK, so it neither jumps over a quiet time nor
 * wraps with the clock.
 *
 * The first slow start is HyStart++'s (RFC 9406). It needs no word of the cubic, which begins
 * where it ends: the two share their memory.
 */
#include <assert.h>
#include <string.h>

#include "dataplane/tcp/cc.h"
#include "dataplane/tcp/hystart.h"

#define BETA_PERCENT     70u
#define BETA_ECN_PERCENT 85u /* RFC 8511 3.1 */
/* alpha_cubic = 3 (1 - beta) / (1 + beta) = 9/17, RFC 9438 4.3 */
#define ALPHA_NUM 9u
#define ALPHA_DEN 17u
#define TICKS_MAX (1u << 18) /* 256 s: 0.4 * 256^3 segments are beyond any window */
#define T_MAX_US  300000000u /* where t stops */

struct cubic {
    uint8_t first_slow_start; /* `hystart` is meant, not the rest */
    uint8_t in_epoch;         /* congestion avoidance has begun: k, t, w_est are set */
    uint8_t from_here;        /* the next epoch has K = 0 and W_max = cwnd (RFC 9438 4.8, 4.10) */
    union {
        struct hystart hystart;
        struct {
            uint32_t w_max;
            uint32_t cwnd_prior; /* cwnd when ssthresh was last set */
            uint32_t k;          /* K, 1024ths of a second */
            uint32_t t_us;       /* time in this epoch that counts */
            uint32_t last_us;    /* clock at the last ACK */
            uint32_t w_est;      /* what Reno would have, RFC 9438 4.3 */
            uint16_t w_est_rest; /* 2^-16 bytes not yet in w_est */
            uint16_t cwnd_rest;  /* 2^-16 bytes not yet in cwnd */
        };
    };
};
static_assert(sizeof(struct cubic) <= sizeof(((struct cc *)0)->u), "fits the controller's words");

static struct cubic *own(struct cc *c)
{
    return (struct cubic *)(void *)c->u;
}

static void init(struct cc *c, uint32_t mss, uint32_t now_us)
{
    (void)now_us;
    *c = (struct cc){.cwnd = cc_initial_window(mss), .ssthresh = UINT32_MAX, .ops = &cc_cubic};
    own(c)->first_slow_start = true;
    tcp_hystart_init(&own(c)->hystart);
}

/* The first slow start is over; the words are the cubic's from now on. */
static void first_slow_start_ends(struct cubic *q)
{
    if (!q->first_slow_start)
        return;
    memset(q, 0, sizeof(*q));
    q->from_here = true;
}

/* Largest x with x^3 <= v: a bit at a time (Warren, Hacker's Delight 11-2). */
static uint32_t cube_root(uint64_t v)
{
    uint64_t root = 0;
    for (int shift = 63; shift >= 0; shift -= 3) {
        root *= 2;
        uint64_t step = 3 * root * (root + 1) + 1;
        if (v >> shift >= step) {
            v -= step << shift;
            root++;
        }
    }
    return (uint32_t)root;
}

static uint32_t ticks(uint32_t us)
{
    return cc_min((uint32_t)((uint64_t)us * 1024 / 1000000), TICKS_MAX);
}

/* RFC 9438 4.2, equation 2: K^3 = (W_max - cwnd) / mss / 0.4, here in 2^-30 s^3 */
static uint32_t k_of(uint32_t below, uint32_t mss)
{
    return cc_min(cube_root(((uint64_t)below * 5 << 29) / mss), TICKS_MAX);
}

/* RFC 9438 4.2, equation 1 */
static uint32_t w_cubic(const struct cubic *q, uint32_t t_us, uint32_t mss)
{
    uint32_t t = ticks(t_us);
    uint64_t d = t < q->k ? q->k - t : t - q->k;
    uint64_t away = ((d * d * d >> 10) * mss * 2 / 5) >> 20;
    if (t < q->k)
        return away < q->w_max ? (uint32_t)(q->w_max - away) : 0;
    return away < CC_CWND_MAX - cc_min(q->w_max, CC_CWND_MAX) ? (uint32_t)(q->w_max + away)
                                                              : CC_CWND_MAX;
}

static void epoch_begin(struct cc *c, const struct cc_ack *a)
{
    struct cubic *q = own(c);
    /* past W_max already, by slow start: there is no way back up to it */
    if (q->from_here || c->cwnd >= q->w_max)
        q->w_max = c->cwnd;
    q->k = k_of(q->w_max - c->cwnd, a->mss);
    q->t_us = 0;
    q->last_us = a->now_us;
    q->w_est = c->cwnd;
    q->w_est_rest = q->cwnd_rest = 0;
    q->in_epoch = true;
    q->from_here = false;
}

/* A limited sender hears an ACK each round trip, delayed ones at twice that: a longer gap was
 * quiet. */
static void epoch_time(struct cubic *q, const struct cc_ack *a)
{
    uint32_t gap = a->now_us - q->last_us;
    if (a->srtt_us > 0)
        gap = cc_min(gap, cc_min(a->srtt_us, T_MAX_US) * 2);
    q->t_us = cc_min(q->t_us + cc_min(gap, T_MAX_US), T_MAX_US);
    q->last_us = a->now_us;
}

/* *value += times * acked / by, keeping what is less than a byte in *rest */
static void grow(uint32_t *value, uint16_t *rest, uint64_t times, uint32_t acked, uint64_t by)
{
    uint64_t whole = times * acked / by, part = times * acked % by;
    uint64_t sum = (part << 16) / by + *rest;
    *value = (uint32_t)(*value + whole + (sum >> 16));
    *rest = (uint16_t)sum;
}

/* RFC 9438 4.3: as fast as Reno would be on average; from the window of the last reduction on,
 * one segment a round trip */
static void reno_estimate(struct cubic *q, const struct cc_ack *a, uint32_t acked, uint32_t cwnd)
{
    if (q->w_est >= CC_CWND_MAX)
        return;
    if (q->w_est >= q->cwnd_prior)
        grow(&q->w_est, &q->w_est_rest, a->mss, acked, cwnd);
    else
        grow(&q->w_est, &q->w_est_rest, (uint64_t)a->mss * ALPHA_NUM, acked,
             (uint64_t)cwnd * ALPHA_DEN);
}

/* RFC 9438 4.3 to 4.5 */
static void avoid(struct cc *c, const struct cc_ack *a)
{
    struct cubic *q = own(c);
    if (!q->in_epoch)
        epoch_begin(c, a);
    else
        epoch_time(q, a);
    uint32_t acked = cc_min(a->acked, c->cwnd);
    reno_estimate(q, a, acked, c->cwnd);
    if (w_cubic(q, q->t_us, a->mss) < q->w_est) { /* the Reno-friendly region */
        c->cwnd = cc_min(cc_max(c->cwnd, q->w_est), CC_CWND_MAX);
        return;
    }
    uint32_t target = w_cubic(q, q->t_us + cc_min(a->srtt_us, T_MAX_US), a->mss);
    target = cc_max(cc_min(target, c->cwnd + c->cwnd / 2), c->cwnd);
    grow(&c->cwnd, &q->cwnd_rest, target - c->cwnd, acked, c->cwnd);
}

static void slow_start(struct cc *c, const struct cc_ack *a)
{
    struct cubic *q = own(c);
    if (!q->first_slow_start) {
        if (a->cwnd_limited)
            cc_slow_start(c, cc_min(a->acked, CC_SLOW_START_LIMIT * a->mss));
        return;
    }
    if (tcp_hystart_ack(&q->hystart, a->rtt_us, a->round_start) == HYSTART_DONE) {
        first_slow_start_ends(q);
        c->ssthresh = cc_max(c->cwnd, 2 * a->mss);
        q->cwnd_prior = c->cwnd;
        return;
    }
    if (a->cwnd_limited)
        cc_slow_start(c, tcp_hystart_growth(&q->hystart, a->acked, a->mss));
}

static void ack(struct cc *c, const struct cc_ack *a)
{
    if (c->cwnd < c->ssthresh)
        slow_start(c, a);
    else if (a->cwnd_limited && c->cwnd < CC_CWND_MAX)
        avoid(c, a);
    else
        own(c)->last_us = a->now_us;
}

/* RFC 9438 4.6, and 4.7: who loses before it is back at W_max leaves room for a newcomer. Of the
 * two bases that 4.6 allows for ssthresh this is the flight size, which is right for a sender
 * whose window was not full, too. */
static void reduce(struct cc *c, uint32_t mss, uint32_t flight, uint32_t percent)
{
    struct cubic *q = own(c);
    first_slow_start_ends(q);
    q->cwnd_prior = c->cwnd;
    q->w_max =
        c->cwnd < q->w_max ? (uint32_t)((uint64_t)c->cwnd * (100 + BETA_PERCENT) / 200) : c->cwnd;
    q->in_epoch = false;
    q->from_here = false;
    c->ssthresh = cc_reduced(flight, percent, mss);
}

static void loss(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)now_us;
    reduce(c, mss, flight, BETA_PERCENT);
}

static void ecn(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)now_us;
    reduce(c, mss, flight, BETA_ECN_PERCENT);
    c->cwnd = cc_min(c->cwnd, c->ssthresh);
}

/* RFC 9438 4.8 */
static void timeout(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us, bool first)
{
    (void)now_us;
    if (first)
        reduce(c, mss, flight, BETA_PERCENT);
    own(c)->from_here = true;
    own(c)->in_epoch = false;
    c->cwnd = mss;
}

static void recovered(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)mss;
    (void)flight;
    (void)now_us;
    c->cwnd = c->ssthresh;
}

static void idle(struct cc *c, uint32_t mss, uint32_t now_us)
{
    struct cubic *q = own(c);
    if (q->first_slow_start) {
        tcp_hystart_idle(&q->hystart);
        c->cwnd = cc_min(c->cwnd, cc_initial_window(mss));
        return;
    }
    cc_restart(c, mss);
    q->in_epoch = false; /* one begins where slow start ends */
    q->last_us = now_us;
}

const struct cc_ops cc_cubic = {
    .name = "cubic",
    .init = init,
    .ack = ack,
    .loss = loss,
    .timeout = timeout,
    .ecn = ecn,
    .recovered = recovered,
    .idle = idle,
};
