/* SPDX-License-Identifier: BSD-3-Clause */
/* The routes of a node that is fuzzed: to neighbours at all levels, one of whom is dead. */
#ifndef CORAL_TESTS_DHT_FUZZ_ROUTES_H
#define CORAL_TESTS_DHT_FUZZ_ROUTES_H

#include "dht/dht.h"

#define FUZZ_CONTACTS 12
#define FUZZ_DEAD     3 /* of them, by distance */

struct fuzz_routes {
    struct dht_routes routes; /* of contact 1 */
    struct dht_contact contact[FUZZ_CONTACTS];
    struct dht_route route[FUZZ_CONTACTS];
};

/* 10.0.0.0 + i, port 8053, its proxy at port 80. */
struct dht_contact fuzz_contact(unsigned i);
/* To n contacts from number `first` on, n <= FUZZ_CONTACTS. In clusters 11 and 12; in 21 and 22
 * before the last switch. `f` stays where it is. */
void fuzz_routes_init(struct fuzz_routes *f, unsigned first, unsigned n);

#endif
