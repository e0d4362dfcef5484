/* SPDX-License-Identifier: BSD-3-Clause */
/* What a seed decides: configurations, the link's faults, the flows. */
#include <string.h>

#include "dataplane/tcp/cc.h"
#include "tests/tcp/simulation.h"

#define SECOND_US 1000000ull

static uint32_t below(struct sim *s, uint32_t n)
{
    return rng_below(&s->rng, n);
}

static bool one_in(struct sim *s, uint32_t n)
{
    return below(s, n) == 0;
}

/* up to `max`, small ones more often than large ones */
static uint32_t skewed(struct sim *s, uint32_t max)
{
    return below(s, (max >> below(s, 5)) + 1);
}

static void config_draw(struct sim *s, struct tcp_config *c)
{
    static const uint16_t mss[] = {536, 1000, 1220, 1440, 1460};
    *c = tcp_config_default();
    static const struct cc_ops *const controller[] = {&cc_newreno, &cc_cubic, &cc_bbr};
    c->cc = controller[s->seed % 3];
    c->connections = one_in(s, 20) ? 4 + below(s, 8) : 8 * SIM_FLOWS;
    c->syn_entries = s->seed % 7 == 0 ? (uint32_t)(s->seed / 7 % 4) : 64;
    c->time_wait_records = s->seed % 11 == 0 ? 1 + (uint32_t)(s->seed / 11 % 4) : 64;
    c->burst_bytes = s->seed % 5 == 0 ? 600 + (uint32_t)(s->seed * 2654435761u % 64000) : 0;
    c->blocks = one_in(s, 10) ? 24 + below(s, 64) : 512;
    c->receive_window_bytes = 2048u << (one_in(s, 2) ? 7 : below(s, 8));
    c->send_queue_bytes = 2048u << (one_in(s, 2) ? 8 : below(s, 9));
    c->mss_v4 = mss[below(s, 5)];
    c->mss_v6 = mss[2 + below(s, 2)];
    c->time_wait_ms = 1000 + below(s, 20000);
    c->idle_timeout_ms = 120000;
}

static void faults_draw(struct sim *s, struct link_config *c)
{
    if (one_in(s, 3)) {
        c->loss_ppm = skewed(s, 200000);
        s->lossy = true;
    }
    if (one_in(s, 6)) {
        c->burst_enter_ppm = skewed(s, 50000);
        c->burst_leave_ppm = 20000 + below(s, 400000);
        c->burst_loss_ppm = 500000 + below(s, 500000);
        s->lossy = true;
    }
    if (one_in(s, 3)) {
        c->reorder_ppm = skewed(s, 300000);
        c->reorder_us = 1 + skewed(s, 2 * c->delay_us + 1000);
    }
    if (one_in(s, 3))
        c->jitter_us = 1 + skewed(s, c->delay_us + 1000);
    if (one_in(s, 4))
        c->duplicate_ppm = skewed(s, 200000);
    if (one_in(s, 6)) {
        c->corrupt_ppm = skewed(s, 50000);
        s->lossy = true;
    }
    if (one_in(s, 6))
        c->thin = 1 + below(s, 8);
    for (unsigned i = 0; one_in(s, 3) && i < LINK_BLACKOUTS; i++) {
        c->blackout[i].from_us = s->now.mono_us + below(s, 10000000);
        c->blackout[i].to_us = c->blackout[i].from_us + skewed(s, 8000000);
        s->lossy = true;
    }
}

/* What of a link is no fault: it stays when the rest has healed. */
static void path_draw(struct sim *s, struct link_config *c, bool v4)
{
    if (one_in(s, 4)) {
        c->rate_bps = 1000000ull << below(s, 8);
        c->buffer_bytes = 3000 + skewed(s, 1000000);
        s->lossy = true; /* what overflows */
    }
    if (one_in(s, 10))
        c->mtu = v4 ? 576 + below(s, 925) : 1280 + below(s, 221);
    if (one_in(s, 8))
        c->strip = (uint8_t)below(s, 8);
    if (one_in(s, 20))
        c->strip_ts_after = 1 + below(s, 100);
}

/* A quarter of the clocks go round soon: microseconds or milliseconds in 32 bits. */
static uint64_t start_draw(struct sim *s)
{
    uint32_t soon = below(s, 10000000);
    switch (below(s, 8)) {
    case 0:
        return (1ull << 32) - soon;
    case 1:
        return (1000ull << 32) - soon;
    default:
        return SECOND_US + soon;
    }
}

void sim_draw(struct sim *s)
{
    bool v4 = !one_in(s, 3), perfect = one_in(s, 8);
    uint32_t delay = 50 + skewed(s, 150000);
    s->now.mono_us = start_draw(s);
    s->heal_us = s->now.mono_us + below(s, 30000000);
    for (unsigned i = 0; i < 2; i++) {
        static const uint8_t net[16] = {0x20, 0x01, 0x0d, 0xb8};
        config_draw(s, &s->config[i]);
        s->addr[i] = addr_v4(0x0a000001u + i);
        if (!v4) {
            memcpy(s->addr[i].b, net, sizeof(net));
            s->addr[i].b[15] = (uint8_t)(1 + i);
        }
        struct link_config *c = &s->link->way[i].config;
        c->delay_us = one_in(s, 4) ? 50 + skewed(s, 150000) : delay;
        path_draw(s, c, v4);
        if (!perfect)
            faults_draw(s, c);
    }
    if (one_in(s, 6))
        s->refuse_ppm = skewed(s, 300000);
    if (one_in(s, 3))
        s->late_us = 1 + skewed(s, 5000);
    s->flows = 1 + skewed(s, SIM_FLOWS - 1);
    uint32_t window = s->config[0].receive_window_bytes;
    if (window > s->config[1].receive_window_bytes)
        window = s->config[1].receive_window_bytes;
    uint64_t bytes = 300ull * window / s->flows; /* a bound on the round trips */
    if (bytes > 3000000)
        bytes = 3000000;
    for (unsigned i = 0; i < s->flows; i++)
        flow_draw(&s->flow[i], &s->rng, bytes, s->now.mono_us + skewed(s, 5000000));
}
