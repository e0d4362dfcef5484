/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tcp/prr.h"

void prr_start(struct prr *p, uint32_t flight, uint32_t mss)
{
    *p = (struct prr){.recover_fs = flight > mss ? flight : mss};
}

/* RFC 9937 6.2 */
uint32_t prr_ack(struct prr *p, uint32_t mss, uint32_t ssthresh, uint32_t inflight,
                 uint32_t delivered, bool safe)
{
    p->delivered += delivered;
    int64_t n;
    if (inflight > ssthresh) {
        uint64_t due = (uint64_t)p->delivered * ssthresh;
        n = (int64_t)((due + p->recover_fs - 1) / p->recover_fs) - p->out;
    } else {
        n = (int64_t)p->delivered - p->out;
        if (n < (int64_t)delivered)
            n = delivered;
        n += safe ? mss : 0;
        if (n > (int64_t)(ssthresh - inflight))
            n = ssthresh - inflight;
    }
    if (n < 0)
        n = 0;
    if (n == 0 && p->out == 0 && delivered > 0)
        n = mss; /* the fast retransmission itself */
    return inflight + (uint32_t)n;
}

void prr_sent(struct prr *p, uint32_t bytes)
{
    p->out += bytes;
}
