/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The routing table of all levels: contacts that have answered us, sorted by distance from this
 * node. A contact has a bit for each level at which it is of our cluster and has a place:
 *
 *   a bucket  those of a level that share a prefix of one length with us: k of them. An old contact
 *             that answers gives way only to one that makes the bucket more even (by the next three
 *             bits of their IDs, so that a step of b = 3 finds somebody) or is a fifth faster
 *   siblings  the nearest 2k of a level stay whatever their buckets hold: who is responsible for a
 *             key near this node must know who else is
 *
 * One without a bit goes. A node near us, in all our clusters, so takes one entry and not three.
 */
#ifndef CORAL_DHT_TABLE_H
#define CORAL_DHT_TABLE_H

#include "dht/book.h"
#include "dht/closer.h"

#define TABLE_MAX 2048

/* What the control thread alone wants to know of a contact. */
struct table_note {
    uint32_t heard_ms; /* when it last answered; wraps */
    uint8_t fails;     /* RPCs unanswered in a row */
    bool reached;      /* it answered us; every one has, but an oracle's in a simulation */
    bool oracle;       /* put there by a simulation */
    uint8_t zero;
};

struct table {
    struct dht_book *book;
    struct dht_routes *routes; /* the owner's: n, route and contact are kept here */
    unsigned k;
    uint32_t room;
    struct dht_route *route;
    struct table_note *note;
};

void table_init(struct table *t, struct dht_book *book, struct dht_routes *routes, unsigned k);
void table_free(struct table *t);
/* The index of a contact, routes->n when it is not there. */
uint32_t table_find(const struct table *t, uint32_t peer);
/* At which of these levels would it be taken? */
unsigned table_wants(const struct table *t, uint32_t peer, unsigned levels, uint32_t rtt_us);
/* Takes a contact, or more or fewer levels for one that is there; others may go for it. Returns its
 * index, routes->n when it has no place. Others move. */
uint32_t table_put(struct table *t, uint32_t peer, unsigned levels, uint32_t rtt_us,
                   struct now now);
void table_remove(struct table *t, uint32_t at);
/* Nobody is of our cluster at a level any more: we changed it. */
void table_clear_level(struct table *t, unsigned level);
/* How many are of a level, alive or not. */
unsigned table_count(const struct table *t, unsigned level);
/* For a simulation that knows what the table would look like: contacts nearest first, all new. */
bool table_fill(struct table *t, const struct dht_route *route, uint32_t n);

#endif
