/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NewReno: RFC 5681 with RFC 6582, counted in bytes (RFC 3465), so that a peer that splits its
 * ACKs gains nothing.
 */
#include <assert.h>

#include "dataplane/tcp/cc.h"

struct newreno {
    uint32_t acked; /* bytes acknowledged in congestion avoidance since cwnd last grew */
};
static_assert(sizeof(struct newreno) <= sizeof(((struct cc *)0)->u), "fits the controller's words");

static struct newreno *own(struct cc *c)
{
    return (struct newreno *)(void *)c->u;
}

static void init(struct cc *c, uint32_t mss, uint32_t now_us)
{
    (void)now_us;
    *c = (struct cc){.cwnd = cc_initial_window(mss), .ssthresh = UINT32_MAX, .ops = &cc_newreno};
}

static void ack(struct cc *c, const struct cc_ack *a)
{
    struct newreno *r = own(c);
    if (!a->cwnd_limited || c->cwnd >= CC_CWND_MAX)
        return;
    if (c->cwnd < c->ssthresh) { /* RFC 5681 equation 2, RFC 3465 2.2 */
        cc_slow_start(c, cc_min(a->acked, CC_SLOW_START_LIMIT * a->mss));
        return;
    }
    /* RFC 3465 2.1: one MSS a window's worth of ACKs, and that is whole segments: halving leaves a
     * part of one that nobody sends, and waiting for its ACK takes more than the round trip */
    uint32_t window = cc_max(c->cwnd - c->cwnd % a->mss, a->mss);
    r->acked += cc_min(a->acked, window);
    if (r->acked >= window) {
        r->acked -= window;
        c->cwnd += a->mss;
    }
}

static void loss(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)now_us;
    c->ssthresh = cc_reduced(flight, 50, mss);
    own(c)->acked = 0;
}

static void timeout(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us, bool first)
{
    if (first)
        loss(c, mss, flight, now_us);
    c->cwnd = mss;
    own(c)->acked = 0;
}

/* RFC 8511 3.1: beta_ecn = 0.8 */
static void ecn(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)now_us;
    c->ssthresh = cc_reduced(flight, 80, mss);
    c->cwnd = cc_min(c->cwnd, c->ssthresh);
    own(c)->acked = 0;
}

static void recovered(struct cc *c, uint32_t mss, uint32_t flight, uint32_t now_us)
{
    (void)mss;
    (void)flight;
    (void)now_us;
    c->cwnd = c->ssthresh;
    own(c)->acked = 0;
}

static void idle(struct cc *c, uint32_t mss, uint32_t now_us)
{
    (void)now_us;
    cc_restart(c, mss);
    own(c)->acked = 0;
}

const struct cc_ops cc_newreno = {
    .name = "newreno",
    .init = init,
    .ack = ack,
    .loss = loss,
    .timeout = timeout,
    .ecn = ecn,
    .recovered = recovered,
    .idle = idle,
};
