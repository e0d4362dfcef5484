/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the liveness detector: what it keeps of each member, and the probing of one (live_probe.c)
 * as the rest (live.c: hearing, news, accusers) starts and ends it.
 *
 *   IDLE --ping--> DIRECT --srtt + 4 rttvar--> INDIRECT --twice that, at least 200 ms--> verdict
 *                    |                         (3 helpers ping too)
 *                    +-- accused by another: verdict at once
 */
#ifndef CORAL_DHT_LIVE_PROBE_H
#define CORAL_DHT_LIVE_PROBE_H

#include "dht/id.h"
#include "dht/live.h"

#define LIVE_HEALTH_MAX    7
#define LIVE_CONFIRMATIONS 2 /* k = mult - 2 in memberlist: more do not shorten a suspicion */
#define LIVE_ACCUSERS      64
#define LIVE_HELPERS_MAX   8
#define LIVE_NOBODY        UINT32_MAX /* an index */

enum live_phase { LIVE_IDLE, LIVE_DIRECT, LIVE_INDIRECT };

struct live_member {
    uint64_t heard_us; /* the last sign of life */
    uint64_t start_us; /* of the phase */
    uint64_t due_us;   /* the phase ends; of an idle suspect, the next ping. UINT64_MAX: never */
    uint64_t suspected_us; /* ALIVE: when last an accusation proved false; else when withdrawn */
    struct dht_id id;
    uint32_t peer;
    uint32_t incarnation;            /* as it said itself */
    uint32_t srtt_us, rttvar_us;     /* RFC 6298; srtt 0: no sample */
    uint32_t token;                  /* of the last probe */
    uint32_t accuser;                /* peer that named it, while `accused` */
    uint32_t by[LIVE_CONFIRMATIONS]; /* peers that confirm the suspicion */
    uint8_t state, phase;            /* enum live_state, enum live_phase */
    uint8_t asked, nacks;            /* helpers, and those that did not reach it */
    uint8_t confirmations, pings;    /* of a suspect; pings double their distance */
    bool accused;                    /* the ping under way checks an accusation */
};

/* One that named members of ours, in a window of time. */
struct live_accuser {
    uint64_t since_us; /* 0: free */
    uint32_t peer;
    uint16_t named;   /* members, less those that indeed did not answer */
    uint16_t relayed; /* news of others, passed on for it */
};

struct live {
    struct live_config config;
    struct live_host host;
    struct rng rng;
    struct live_counters counters;
    struct dht_id self;
    uint32_t incarnation;
    bool leaving;
    uint8_t health;
    uint64_t heard_us;   /* the last packet of anybody */
    uint64_t refuted_us; /* our last refutation, 0: none */
    uint64_t tick_us;    /* the next probe in turn */
    uint64_t next_us;    /* nothing is due before */
    uint32_t token;
    uint32_t retry;  /* peer whose verdict was withheld: first in turn; LIVE_NOBODY */
    uint32_t cursor; /* in `order` */
    uint32_t n;
    uint16_t order[LIVE_MEMBERS]; /* members in their turn, shuffled each round */
    struct live_accuser accuser[LIVE_ACCUSERS];
    struct live_ring ring;
    struct live_member member[];
};

uint32_t live_find_peer(const struct live *l, uint32_t peer); /* LIVE_NOBODY: none */

/* Up to `want` (at most LIVE_HELPERS_MAX) random members that are alive, `but` left out: indices.
 */
unsigned live_pick(struct live *l, uint32_t but, unsigned want, uint32_t *out);
/* News that we found out or pass on: told to some now, and with other packets later. */
void live_spread(struct live *l, const struct dht_news *news, struct now now);
/* In how many packets an item rides. */
unsigned live_retell(const struct live *l);
void live_health_change(struct live *l, int by);
/* What this one said of a member is true: it is not held against it. */
void live_accuser_right(struct live *l, uint32_t peer, struct now now);

/* Asks the member now; `accuser` (with accused) named it. It must be idle. */
void live_probe_begin(struct live *l, struct live_member *m, struct now now);
/* First hand: it lives. */
void live_probe_alive(struct live *l, struct live_member *m, struct now now);
/* Neither we nor helpers hear it. */
void live_probe_verdict(struct live *l, struct live_member *m, struct now now);
/* It did not answer us, helpers are asked, and another says that it is gone: the verdict, now. */
void live_probe_accused(struct live *l, struct live_member *m, struct now now);
/* One more peer says so of a suspect. */
void live_probe_confirm(struct live_member *m, uint32_t by);

#endif
