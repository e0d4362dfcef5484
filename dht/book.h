/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contacts that the engines of the control thread name by number: those in the table, and those
 * met on the way (candidates, members of foreign clusters). When it is full, the one unheard for
 * longest that is in no table makes room, and everybody who may have noted its number is told.
 */
#ifndef CORAL_DHT_BOOK_H
#define CORAL_DHT_BOOK_H

#include "base/hash.h"
#include "dht/dht.h"

#define BOOK_NONE UINT32_MAX

struct book_note {
    uint32_t incarnation;
    uint16_t sequence;
    uint16_t tables; /* that it is in */
    uint32_t next;   /* in its bucket; number + 1, 0: the end */
    uint32_t heard_s;
};

struct dht_book {
    struct hash_secret secret;
    uint32_t room, used;
    uint32_t bucket_mask, *bucket;
    struct dht_contact *contact;
    struct book_note *note;
    uint32_t hand; /* where the last search for one to give up ended */
};

/* BOOK_NONE: not in the book. */
uint32_t book_find(const struct dht_book *b, const struct dht_id *id);
/* Finds or makes. *gone is the number whose contact was given up for it, or BOOK_NONE. BOOK_NONE
 * when all are in tables. */
uint32_t book_take(struct dht_book *b, const struct dht_contact *contact, uint32_t *gone,
                   struct now now);
/* Is what a sender says no older than what it said before? Notes it. Incarnations that fall back,
 * and sequences of the same one, are late packets, unless it `answers` a question of ours. */
bool book_fresh(struct dht_book *b, uint32_t peer, const struct dht_sender *who, bool answers);

#endif
