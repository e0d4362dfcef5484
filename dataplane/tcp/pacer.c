/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/pacer.h"

#define SECOND_US 1000000u

void tcp_pacer_init(struct tcp_pacer *p, uint32_t now_us)
{
    *p = (struct tcp_pacer){.due_us = now_us};
}

uint32_t tcp_pacer_rate(uint32_t cwnd, uint32_t ssthresh, uint32_t srtt_us)
{
    if (srtt_us == 0)
        return 0;
    uint32_t percent = cwnd < ssthresh ? 200 : 120;
    uint64_t rate = (uint64_t)cwnd * percent * (SECOND_US / 100) / srtt_us;
    return rate == 0 ? 1 : rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
}

uint32_t tcp_pacer_wait_us(const struct tcp_pacer *p, uint32_t now_us)
{
    uint32_t wait = p->due_us - now_us;
    return wait <= TCP_PACER_WAIT_MAX_US ? wait : 0; /* above: due in the past */
}

void tcp_pacer_sent(struct tcp_pacer *p, uint32_t len, uint32_t rate, uint32_t burst,
                    uint32_t now_us)
{
    if (rate == 0) {
        tcp_pacer_init(p, now_us);
        return;
    }
    uint64_t allowance = (uint64_t)burst * SECOND_US / rate;
    if (allowance > TCP_PACER_WAIT_MAX_US)
        allowance = TCP_PACER_WAIT_MAX_US;
    uint32_t late = now_us - p->due_us;
    if (tcp_pacer_wait_us(p, now_us) == 0 && late > allowance) {
        p->due_us = now_us - (uint32_t)allowance;
        p->rest = 0;
    }
    uint64_t cost = (uint64_t)len * SECOND_US + (p->rest < rate ? p->rest : 0);
    uint64_t step = cost / rate, ahead = (uint64_t)tcp_pacer_wait_us(p, now_us) + step;
    p->rest = (uint32_t)(cost % rate);
    if (ahead > TCP_PACER_WAIT_MAX_US) /* slower than a segment a second */
        p->due_us = now_us + TCP_PACER_WAIT_MAX_US;
    else
        p->due_us += (uint32_t)step;
}
