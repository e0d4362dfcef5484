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

#define LIVE_NEWS_BYTES  25
#define LIVE_NEWS_PACKET 6  /* items that ride in one packet */
#define LIVE_NEWS_RING   64 /* items remembered; also the most hearsay passed on in 10 s */

enum live_state {
    LIVE_ALIVE,
    LIVE_SUSPECT, /* did not answer: out of DNS answers, asked again and again */
    LIVE_DEAD,    /* suspected until the time-out */
    LIVE_LEAVING, /* says so itself; still answers for a while */
};
#define LIVE_STATES 4

struct live_news {
    struct dht_id id;
    uint32_t incarnation; /* of the named, as the teller knows it */
    enum live_state state;
};

/*
 *  0                    20          24      25
 * +--------------------+-----------+-------+
 * | ID                 |incarnation| state |   network order; 0 alive, 1 suspect, 2 dead, 3 leaving
 * +--------------------+-----------+-------+
 */
/* Writes n items; returns the bytes written, 0 when `size` is too small (or n is 0). */
size_t live_news_pack(const struct live_news *news, unsigned n, uint8_t *out, size_t size);
/* Reads exactly n items from len bytes. False: the length is another, n is above LIVE_NEWS_PACKET,
 * or a state is unknown; `out` is then unspecified. */
bool live_news_unpack(const uint8_t *data, size_t len, unsigned n,
                      struct live_news out[static LIVE_NEWS_PACKET]);

struct live_item {
    struct live_news news;
    uint8_t left;      /* packets that it may still ride in */
    uint64_t heard_us; /* when it was new to us; 0: free */
};
struct live_ring {
    struct live_item item[LIVE_NEWS_RING];
};

enum live_taken { LIVE_TAKEN, LIVE_KNOWN, LIVE_FULL };
/* Takes an item that it does not know, to be told `sends` times. Full: it is hearsay, and all
 * others are too young to be forgotten; what we found out on our `own` always finds a place. */
enum live_taken live_ring_add(struct live_ring *r, const struct live_news *news, unsigned sends,
                              bool own, struct now now);
/* Up to `room` items for a packet, those told least and then the newest first, none about `skip`
 * (may be NULL); each counts as told. Returns how many. */
unsigned live_ring_take(struct live_ring *r, const struct dht_id *skip, struct live_news *out,
                        unsigned room, struct now now);

#endif
