/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generic cell rate algorithm (ITU-T I.371): one each `each`, and as many before their time as
 * fit `burst`. All that is kept is when the next one is due. Times are 32 bits that wrap, in
 * whatever unit: a due time that is over, also where they wrapped, counts as now.
 */
#ifndef CORAL_BASE_GCRA_H
#define CORAL_BASE_GCRA_H

#include <stdbool.h>
#include <stdint.h>

/* May one more pass? Then it is counted; one that may not leaves no trace. */
static inline bool gcra_pass(uint32_t *due, uint32_t now, uint32_t each, uint32_t burst)
{
    uint32_t ahead = *due - now;
    ahead &= -(uint32_t)(ahead <= burst + each); /* without a branch, which nobody could foretell */
    if (ahead > burst)
        return false;
    *due = now + ahead + each;
    return true;
}

#endif
