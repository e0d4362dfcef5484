/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The latest records, as many as 8 MiB hold, each with a number that counts from 0. One writer and
 * one reader, under the owner's lock.
 */
#ifndef CORAL_CONTROL_ACCESS_RECENT_H
#define CORAL_CONTROL_ACCESS_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/proxy/access.h"

#define ACCESS_RECENT_UNITS ((8u << 20) / ACCESS_UNIT) /* a power of two */
/* Who asks on is near the end: each so many records it is noted where one is. No more of these are
 * kept at a time than there are places, since a record has more than four units. */
#define ACCESS_RECENT_STEP  256u
#define ACCESS_RECENT_MARKS (ACCESS_RECENT_UNITS / 4 / ACCESS_RECENT_STEP)

struct access_recent {
    uint8_t (*unit)[ACCESS_UNIT];  /* NULL until the first record; a record's lie one behind the
                                    * other, around the end */
    uint64_t first_number, number; /* of the oldest one, and of the next to come */
    uint64_t first, end;           /* the same, in units that ever were */
    uint64_t mark[ACCESS_RECENT_MARKS];
};

/* False: no memory. */
bool access_recent_add(struct access_recent *r, const struct access_record *a);
void access_recent_free(struct access_recent *r);

/* Walks from the oldest to the latest: zeros at first. */
struct access_recent_at {
    uint64_t number, unit;
    bool begun;
};
/* The next one, from number `from` on; false: there are no more. */
bool access_recent_next(const struct access_recent *r, struct access_recent_at *at, uint64_t from,
                        struct access_record *out);

#endif
