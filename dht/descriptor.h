/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a node says of its cluster at a level above 0, in every RPC (NSDI 2004, section 3):
 *
 *   cid    which one: a random number; level 0's is 0. The paper's has 160 bits; nothing is asked
 *          of it but "the same?" and "lower?", so 64 do, and fit the wire twice. 0: in none
 *   size   how many members it thinks there are, as 8 * log2 (0..255)
 *   age    since the cluster was founded, as far as this node knows: a duration, not a date, so
 * that clocks that step or differ do no harm
 */
#ifndef CORAL_DHT_DESCRIPTOR_H
#define CORAL_DHT_DESCRIPTOR_H

#include <stdint.h>

#define DHT_LEVELS        3  /* 0: the planet; 1, 2: clusters */
#define DHT_AGE_UNIT_S    4u /* of the 24 bits on the wire: 776 days */
#define DHT_AGE_MAX_UNITS 0xffffffu

struct dht_descriptor {
    uint64_t cid;
    uint8_t size;   /* 8 * log2 of the number of members */
    uint32_t age_s; /* a multiple of DHT_AGE_UNIT_S once it went over the wire */
};

#endif
