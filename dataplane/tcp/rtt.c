/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/rtt.h"

void tcp_rtt_sample(struct rtt *r, uint32_t sample_us)
{
    if (sample_us == 0)
        sample_us = 1;
    if (sample_us > TCP_RTO_MAX_US)
        sample_us = TCP_RTO_MAX_US;
    if (r->srtt8_us == 0) { /* RFC 6298 2.2 */
        r->srtt8_us = sample_us * 8;
        r->var4_us = sample_us * 2;
        return;
    }
    /* RFC 6298 2.3: RTTVAR with the old SRTT first, alpha 1/8, beta 1/4 */
    uint32_t srtt = r->srtt8_us / 8;
    uint32_t delta = srtt > sample_us ? srtt - sample_us : sample_us - srtt;
    r->var4_us = r->var4_us - r->var4_us / 4 + delta;
    r->srtt8_us = r->srtt8_us - srtt + sample_us;
}

void tcp_rtt_syn_expired(struct rtt *r)
{
    if (r->srtt8_us == 0)
        r->var4_us = TCP_RTO_SYN_EXPIRED_US;
}

uint32_t tcp_rtt_rto_us(const struct rtt *r, unsigned backoff)
{
    uint64_t rto = r->var4_us ? r->var4_us : TCP_RTO_INITIAL_US; /* RFC 6298 5.7, 2.1 */
    if (r->srtt8_us) {
        uint32_t margin = r->var4_us > TCP_RTO_MARGIN_US ? r->var4_us : TCP_RTO_MARGIN_US;
        rto = (uint64_t)r->srtt8_us / 8 + margin;
    }
    rto <<= backoff < 16 ? backoff : 16; /* 5.5 */
    return rto < TCP_RTO_MAX_US ? (uint32_t)rto : TCP_RTO_MAX_US;
}
