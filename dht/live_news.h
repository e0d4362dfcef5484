/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * News of who lives, as nodes tell one another (SWIM, Das, Gupta and Motivala, DSN 2002, section
 * 4.1), and the ring of what this node has lately heard and passes on.
 *
 * The ring knows items by all their fields and puts them in no order: what is out of date the
 * members' own records tell. So nobody keeps true news back by telling false ones of a higher
 * incarnation first.
 */
#ifndef CORAL_DHT_LIVE_NEWS_H
#define CORAL_DHT_LIVE_NEWS_H

#include <stdbool.h>

#include "dht/dht.h"

#define LIVE_NEWS_RING 64 /* items remembered; also the most hearsay passed on in 15 s */

enum live_state {
    LIVE_ALIVE = DHT_NEWS_ALIVE,
    LIVE_SUSPECT = DHT_NEWS_SUSPECT,
    LIVE_DEAD = DHT_NEWS_DEAD,
    LIVE_LEAVING = DHT_NEWS_LEAVING,
};

struct live_item {
    struct dht_news news;
    uint8_t left;      /* packets that it may still ride in */
    uint64_t heard_us; /* when it was new to us; 0: free */
};
struct live_ring {
    struct live_item item[LIVE_NEWS_RING];
};

enum live_taken { LIVE_TAKEN, LIVE_KNOWN, LIVE_FULL };
/* Takes an item that it does not know, to be told `sends` times. Full: it is hearsay, and all
 * others are too young to be forgotten; what we found out on our `own` always finds a place. */
enum live_taken live_ring_add(struct live_ring *r, const struct dht_news *news, unsigned sends,
                              bool own, struct now now);
/* Up to `room` items for a packet, those told least and then the newest first, none about `skip`
 * (may be NULL); each counts as told. Returns how many. */
unsigned live_ring_take(struct live_ring *r, const struct dht_id *skip, struct dht_news *out,
                        unsigned room, struct now now);

#endif
