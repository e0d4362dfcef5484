/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Membership's insides, the control thread's:
 *
 *   member.c          events from the workers, bootstrap, walks that fill the table; snapshots
 *   member_table.c    who is kept in the table, pinged, given up: routing's failure detector
 *   member_cluster.c  the clusters of levels 1 and 2: what is heard goes to their machines
 *                     (cluster.h), what those decide is carried out; sizes
 *   member_check.c    reports of dead nodes are looked into, deaths are told to the stores
 *   member_live.c     who is fit for DNS (live.h), and the pings that others ask of us
 *
 * The table is kept ready to be looked up by workers (`routes`); corald publishes copies of it.
 */
#ifndef CORAL_DHT_MEMBER_H
#define CORAL_DHT_MEMBER_H

#include "dht/cluster.h"
#include "dht/coordinate.h"
#include "dht/live.h"
#include "dht/size.h"
#include "dht/table.h"

#define SUSPECTS   8
#define CANDIDATES 8
#define VIAS       8
#define CHECKS     16

/* Somebody of the table that did not answer: pinged again soon. */
struct suspect {
    uint32_t peer; /* BOOK_NONE: free */
    uint64_t at_us;
};

/* Somebody that was only heard: pinged once, and in if it answers. */
struct candidate {
    uint32_t peer; /* BOOK_NONE: free */
    bool pinged;
    uint64_t since_us;
};

/* A ping by way of a third: one that we asked for, or one that we were asked for. */
struct via {
    uint32_t peer; /* the helper, or who asked; BOOK_NONE: free */
    uint32_t token;
    struct dht_id target;
    uint64_t since_us;
};

/* A node that is said to be dead: pinged until it answers, or is silent while others are not. */
struct check {
    unsigned pings; /* so far; 0: free */
    struct dht_id id;
    struct endpoint rpc;
    uint64_t since_us, at_us; /* began; the next step */
};

struct walks {
    uint64_t at_us, pause_us; /* the next one, the pause after it */
    unsigned n;               /* done so far */
};

struct dht_member {
    const struct dht_config *config;
    struct dht_member_host host;
    struct dht_book *book;
    uint64_t random; /* splitmix64's state */
    bool changed;
    struct dht_routes routes;
    struct table table;
    /* bootstrap */
    const struct endpoint *bootstrap;
    unsigned bootstraps;
    uint64_t bootstrap_us, bootstrap_pause_us;
    struct endpoint *lost; /* a ring: who was in the table once, or before we were restarted */
    unsigned losts;        /* ever put into it */
    /* detector */
    uint64_t answered_us; /* the last answer of anybody, 0: none yet */
    uint64_t refresh_us;
    unsigned refresh_level;
    struct suspect suspect[SUSPECTS];
    struct candidate candidate[CANDIDATES];
    struct walks find[DHT_LEVELS];
    /* clusters */
    struct cluster *cluster[DHT_LEVELS]; /* [0]: NULL */
    struct size size[DHT_LEVELS];
    uint64_t described_us; /* when the descriptors were last written into routes */
    struct coordinate coordinate;
    uint64_t moved_us; /* the last update of the coordinate */
    /* liveness; NULL: the routing detector's word is taken */
    struct live *live;
    struct now live_now; /* for its callbacks */
    bool live_stale;     /* the table has changed since it was told whom to watch */
    unsigned watches, asks;
    uint32_t *watched;
    struct via *asked, *helping;
    struct check *check; /* CHECKS of them; NULL: nobody wants to know (host.forget) */
};

uint64_t member_random(struct dht_member *m);
/* Somebody to be asked again some day: the half of a network that was cut off is found by it. */
void member_lose(struct dht_member *m, const struct endpoint *rpc);
void member_ping(struct dht_member *m, uint32_t peer);
struct dht_find member_find_near(struct dht_member *m, unsigned level, unsigned prefix);

/* --- member_table.c --------------------------------------------------------------------------- */

/* The levels at which a sender is of one cluster with us. */
unsigned member_shared(const struct dht_member *m, const struct dht_sender *who);
void member_keep(struct dht_member *m, uint32_t peer, const struct dht_sender *who, uint32_t rtt_us,
                 struct now now);
/* It answered us: it did not come into the table by hearsay. */
void member_reached(struct dht_member *m, uint32_t peer);
void member_miss(struct dht_member *m, uint32_t peer, struct now now);
void member_forget(struct dht_member *m, uint32_t peer);
void member_consider(struct dht_member *m, uint32_t peer, const struct dht_sender *who,
                     struct now now);
void member_detect(struct dht_member *m, struct now now);
uint64_t member_detect_us(const struct dht_member *m);

/* --- member_cluster.c ------------------------------------------------------------------------- */

bool member_clusters_create(struct dht_member *m, struct now now);
void member_clusters_destroy(struct dht_member *m);
void member_clusters_heard(struct dht_member *m, uint32_t peer, const struct dht_sender *who,
                           uint32_t rtt_us, struct now now);
void member_clusters_gone(struct dht_member *m, uint32_t peer);
void member_clusters_poll(struct dht_member *m, struct now now);
uint64_t member_clusters_us(const struct dht_member *m);

/* --- member_check.c --------------------------------------------------------------------------- */

bool member_check_create(struct dht_member *m);
void member_check_destroy(struct dht_member *m);
/* Somebody says that this node, whose proxy is at `http`, is dead. */
void member_check_asked(struct dht_member *m, const struct dht_id *id, const struct endpoint *http,
                        struct now now);
/* It lives. */
void member_check_heard(struct dht_member *m, const struct dht_id *id);
/* It is dead, by what our own detectors found out. */
void member_dead(struct dht_member *m, uint32_t peer);
void member_check_poll(struct dht_member *m, struct now now);
uint64_t member_check_us(const struct dht_member *m);

/* --- member_live.c ---------------------------------------------------------------------------- */

bool member_live_create(struct dht_member *m, struct now now);
void member_live_destroy(struct dht_member *m);
/* The contact at this index of the table answered. */
void member_live_keep(struct dht_member *m, uint32_t at);
void member_live_forget(struct dht_member *m, uint32_t peer);
void member_live_heard(struct dht_member *m, uint32_t peer, const struct dht_sender *who,
                       const struct dht_tidings *t, struct now now);
void member_live_poll(struct dht_member *m, struct now now);
uint64_t member_live_us(const struct dht_member *m);

#endif
