/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/hystart.h"

#include "dataplane/tcp/cc.h"

/* RFC 9406 4.3 */
#define MIN_RTT_THRESH_US  4000u
#define MAX_RTT_THRESH_US  16000u
#define MIN_RTT_DIVISOR    8u
#define N_RTT_SAMPLE       8u
#define CSS_GROWTH_DIVISOR 4u
#define CSS_ROUNDS         5u

void tcp_hystart_init(struct hystart *h)
{
    *h = (struct hystart){.last_min_us = HYSTART_NO_RTT,
                          .current_min_us = HYSTART_NO_RTT,
                          .baseline_min_us = HYSTART_NO_RTT,
                          .phase = HYSTART_SLOW_START};
}

static void round_begin(struct hystart *h)
{
    h->last_min_us = h->current_min_us;
    h->current_min_us = HYSTART_NO_RTT;
    h->samples = 0;
    if (h->phase != HYSTART_CSS)
        return;
    if (h->css_rounds == CSS_ROUNDS)
        h->phase = HYSTART_DONE;
    else
        h->css_rounds++;
}

/* RttThresh of RFC 9406 4.2 */
static uint32_t threshold(uint32_t last_min_us)
{
    return cc_max(MIN_RTT_THRESH_US, cc_min(last_min_us / MIN_RTT_DIVISOR, MAX_RTT_THRESH_US));
}

static bool risen(const struct hystart *h)
{
    return h->last_min_us != HYSTART_NO_RTT &&
           h->current_min_us >= h->last_min_us + threshold(h->last_min_us);
}

enum hystart_phase tcp_hystart_ack(struct hystart *h, uint32_t rtt_us, bool round_start)
{
    if (round_start)
        round_begin(h);
    if (rtt_us > 0) {
        h->current_min_us = cc_min(h->current_min_us, rtt_us);
        if (h->samples < N_RTT_SAMPLE)
            h->samples++;
    }
    if (h->samples < N_RTT_SAMPLE)
        return h->phase;
    if (h->phase == HYSTART_SLOW_START && risen(h)) {
        h->baseline_min_us = h->current_min_us;
        h->css_rounds = 1;
        h->phase = HYSTART_CSS;
    } else if (h->phase == HYSTART_CSS && h->current_min_us < h->baseline_min_us) {
        h->baseline_min_us = HYSTART_NO_RTT;
        h->phase = HYSTART_SLOW_START;
    }
    return h->phase;
}

uint32_t tcp_hystart_growth(const struct hystart *h, uint32_t acked, uint32_t mss)
{
    uint32_t n = cc_min(acked, CC_SLOW_START_LIMIT * mss);
    return h->phase == HYSTART_CSS ? n / CSS_GROWTH_DIVISOR : n;
}

void tcp_hystart_idle(struct hystart *h)
{
    if (h->phase != HYSTART_DONE)
        tcp_hystart_init(h);
}
