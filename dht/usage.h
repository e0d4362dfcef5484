/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What sites use of a whole network, as one of its nodes may know it (CORAL.md 4: fair shares by
 * site). Each node's pings tell the most used sites of its last minute; of each that pings us the
 * latest report is kept. A node's ID is a hash, so those whom we hear are a fair sample of all:
 * what others use is what these do, times as many as there are. Where everybody is heard, it is
 * exact.
 *
 * Control's thread alone. A site that a report does not name counts for nothing there.
 */
#ifndef CORAL_DHT_USAGE_H
#define CORAL_DHT_USAGE_H

#include "base/now.h"
#include "dht/dht.h"

#define USAGE_NODES  512        /* whose reports are kept; of more, the latest */
#define USAGE_OLD_US 180000000u /* a report is of no more use */

struct usage;
struct usage *usage_create(void); /* NULL: no memory */
void usage_destroy(struct usage *u);
/* A report of 0..DHT_USAGE sites, in the place of the one before. */
void usage_heard(struct usage *u, const struct dht_id *who, const struct dht_usage *site,
                 unsigned n, struct now now);
/* What the other nodes of a network of `nodes` (us included, an estimate) use a site for, in KiB
 * and requests a minute. */
struct usage_total {
    double kib, requests;
    unsigned heard; /* nodes whose reports are known */
};
struct usage_total usage_others(const struct usage *u, uint64_t site, uint64_t nodes,
                                struct now now);

#endif
