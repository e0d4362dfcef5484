/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/access_recent.h"

#include <stdlib.h>
#include <string.h>

static unsigned units_at(const struct access_recent *r, uint64_t unit)
{
    uint16_t units;
    memcpy(&units, r->unit[unit % ACCESS_RECENT_UNITS], sizeof(units)); /* its first member */
    return units;
}

bool access_recent_add(struct access_recent *r, const struct access_record *a)
{
    if (!r->unit)
        r->unit = calloc(ACCESS_RECENT_UNITS, ACCESS_UNIT);
    if (!r->unit)
        return false;
    while (r->end - r->first + a->units > ACCESS_RECENT_UNITS) {
        r->first += units_at(r, r->first);
        r->first_number++;
    }
    for (unsigned i = 0; i < a->units; i++)
        memcpy(r->unit[(r->end + i) % ACCESS_RECENT_UNITS], (const char *)a + i * ACCESS_UNIT,
               ACCESS_UNIT);
    if (r->number % ACCESS_RECENT_STEP == 0)
        r->mark[r->number / ACCESS_RECENT_STEP % ACCESS_RECENT_MARKS] = r->end;
    r->end += a->units;
    r->number++;
    return true;
}

void access_recent_free(struct access_recent *r)
{
    free(r->unit);
    *r = (struct access_recent){0};
}

/* The nearest place before number `from` that is known. */
static struct access_recent_at begin(const struct access_recent *r, uint64_t from)
{
    uint64_t last = from < r->number ? from : r->number, step = last / ACCESS_RECENT_STEP;
    if (last < r->number && step * ACCESS_RECENT_STEP >= r->first_number)
        return (struct access_recent_at){step * ACCESS_RECENT_STEP,
                                         r->mark[step % ACCESS_RECENT_MARKS], true};
    if (last == r->number)
        return (struct access_recent_at){r->number, r->end, true};
    return (struct access_recent_at){r->first_number, r->first, true};
}

bool access_recent_next(const struct access_recent *r, struct access_recent_at *at, uint64_t from,
                        struct access_record *out)
{
    if (!at->begun)
        *at = begin(r, from);
    for (; at->number < from && at->number < r->number; at->number++)
        at->unit += units_at(r, at->unit);
    if (at->number >= r->number)
        return false;
    unsigned units = units_at(r, at->unit);
    for (unsigned i = 0; i < units; i++)
        memcpy((char *)out + i * ACCESS_UNIT, r->unit[(at->unit + i) % ACCESS_RECENT_UNITS],
               ACCESS_UNIT);
    at->unit += units;
    at->number++;
    return true;
}
