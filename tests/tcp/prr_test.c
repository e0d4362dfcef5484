/* SPDX-License-Identifier: BSD-3-Clause */
/* The equations of RFC 9937. */
#include <criterion/criterion.h>

#include "dataplane/tcp/prr.h"

#define MSS 1000u

Test(prr, sends_ssthresh_for_each_flight_delivered)
{
    struct prr p;
    uint32_t flight = 20 * MSS, ssthresh = 10 * MSS, pipe = 19 * MSS;
    prr_start(&p, flight, MSS);
    for (unsigned i = 0; i < 8; i++) { /* each ACK delivers one segment; cwnd allows half of it */
        pipe -= MSS;
        uint32_t cwnd = prr_ack(&p, MSS, ssthresh, pipe, MSS, false);
        uint32_t n = (cwnd - pipe) / MSS * MSS;
        prr_sent(&p, n);
        pipe += n;
        cr_assert(p.out <= (p.delivered + 1) / 2 + MSS, "%u of %u", p.out, p.delivered);
    }
    cr_assert(p.delivered == 8 * MSS && p.out == 4 * MSS, "%u", p.out);
}

Test(prr, the_first_retransmission_goes_even_if_nothing_is_due)
{
    struct prr p;
    prr_start(&p, 100 * MSS, MSS);
    p.delivered = 0;
    cr_assert(prr_ack(&p, MSS, 50 * MSS, 99 * MSS, 1, false) == 99 * MSS + 1); /* ceil(0.5) */
    prr_start(&p, 10 * MSS, MSS);
    cr_assert(prr_ack(&p, MSS, 5 * MSS, 5 * MSS, MSS, false) == 6 * MSS);
    prr_sent(&p, MSS);
    cr_assert(prr_ack(&p, MSS, 5 * MSS, 5 * MSS, 0, false) == 5 * MSS); /* a timer, no ACK */
}

Test(prr, below_ssthresh_it_sends_what_was_delivered)
{
    struct prr p;
    prr_start(&p, 20 * MSS, MSS);
    /* heavy loss: most of the flight is gone at once */
    cr_assert(prr_ack(&p, MSS, 10 * MSS, 2 * MSS, MSS, false) == 3 * MSS);
    prr_sent(&p, MSS);
    /* an ACK that is safe sends one more: slow start */
    cr_assert(prr_ack(&p, MSS, 10 * MSS, 2 * MSS, MSS, true) == 4 * MSS);
    prr_sent(&p, 2 * MSS);
    /* and never beyond ssthresh */
    cr_assert(prr_ack(&p, MSS, 10 * MSS, 9 * MSS, 5 * MSS, true) == 10 * MSS);
}

Test(prr, split_acknowledgements_earn_nothing)
{
    struct prr p, q;
    uint32_t cwnd = 0;
    prr_start(&p, 20 * MSS, MSS);
    prr_start(&q, 20 * MSS, MSS);
    prr_sent(&p, MSS);
    prr_sent(&q, MSS);
    for (unsigned i = 0; i < 10; i++) /* bytes count, not ACKs */
        cwnd = prr_ack(&p, MSS, 10 * MSS, 15 * MSS, MSS / 10, false);
    cr_assert(cwnd == prr_ack(&q, MSS, 10 * MSS, 15 * MSS, MSS, false));
}

Test(prr, large_windows_do_not_overflow)
{
    struct prr p;
    prr_start(&p, 1u << 30, MSS);
    cr_assert(prr_ack(&p, MSS, 1u << 29, (1u << 30) - (1u << 28), 1u << 28, false) ==
              (1u << 30) - (1u << 28) + (1u << 27));
    prr_start(&p, 0, MSS); /* never a division by nothing */
    cr_assert(prr_ack(&p, MSS, 2 * MSS, 3 * MSS, MSS, false) >= 3 * MSS);
}
