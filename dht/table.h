/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routing table: contacts that have answered, sorted by distance from this node. A bucket is
 * those that share a prefix of the same length with it; it holds k, and an old contact that answers
 * is never given up for a new one. The nearest 2k stay whatever their buckets hold: who is
 * responsible for a key near this node must know its siblings.
 */
#ifndef CORAL_DHT_TABLE_H
#define CORAL_DHT_TABLE_H

#include "dht/id.h"

#define TABLE_MAX 1024

struct member {
    struct dht_contact contact;
    struct dht_distance distance; /* from this node */
    uint32_t rtt_us;
    bool alive;
    unsigned misses;     /* unanswered in a row */
    uint64_t pinged_us;  /* a ping is under way since, 0: none */
    uint64_t ping_us;    /* the next one */
    uint64_t backoff_us; /* between pings to a dead one */
    uint64_t missed_us;  /* the last miss */
    uint64_t dead_us;    /* since when it is not alive */
};

struct table {
    struct dht_id self;
    unsigned k;
    uint32_t n;
    struct member member[TABLE_MAX];
};

struct member *table_find(struct table *t, const struct dht_id *id);
/* Would a contact with this ID be taken? */
bool table_wants(const struct table *t, const struct dht_id *id);
/* Takes a contact that is not in the table; NULL when it is not wanted. Other members move. */
struct member *table_insert(struct table *t, const struct dht_contact *contact);
void table_remove(struct table *t, uint32_t at);

#endif
