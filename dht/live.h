/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is alive now, for DNS answers: SWIM (Das, Gupta and Motivala, DSN 2002) with the local health
 * of Lifeguard (Dadgar, Phillips and Currey, DSN 2018), among the members of this node's level-2
 * cluster that it monitors: those in its routing table, of which each is in many others' too. An
 * engine of the control thread; routing has its own detector.
 *
 *               no answer, directly nor through helpers;             time-out,
 *               or accused, and no answer to us directly             sooner when confirmed
 *        ALIVE ------------------------------------------> SUSPECT -------------------> DEAD
 *          ^                                                  |                          |
 *          +---------------- heard first hand ----------------+--------------------------+
 *          |
 *          +-- says so itself --> LEAVING -- heard with a higher incarnation --> ALIVE
 *
 * Only ALIVE is fit for an answer: who is wrongly withdrawn costs a proxy for a moment, who is
 * wrongly kept fails a user.
 *
 * What others say changes nothing by itself: it makes us ask the named peer at once, and that
 * tells. A lie thus costs a ping, and an accuser whose names answer is not listened to for a while.
 * The one exception is a helper's word that it reaches whom we do not, so that a broken path
 * between two does not look like a death: it keeps a member that is alive so, and restores none.
 *
 * An incarnation is a number that a node never lowers while others know it: its start in seconds
 * since 1970 does. It rises by one when the node refutes a suspicion, at most each 2 s, so that a
 * restart never falls behind.
 */
#ifndef CORAL_DHT_LIVE_H
#define CORAL_DHT_LIVE_H

#include "base/counter.h"
#include "base/now.h"
#include "dht/live_news.h"

#define LIVE_MEMBERS 256 /* bound of config.members */

/* For the room's counters.h. */
#define LIVE_COUNTERS(X)                                                                           \
    X(live_probes_total, "requests", "liveness: members pinged in their turn")                     \
    X(live_probes_indirect_total, "requests", "liveness: pings asked of helpers")                  \
    X(live_checks_total, "requests", "liveness: members pinged because others named them")         \
    X(live_suspects_total, "nodes", "liveness: members withdrawn because they did not answer")     \
    X(live_restored_total, "nodes", "liveness: withdrawn members that were heard again")           \
    X(live_dead_total, "nodes", "liveness: suspects that stayed silent until the time-out")        \
    X(live_leaving_total, "nodes", "liveness: members that said that they leave")                  \
    X(live_withheld_total, "nodes", "liveness: verdicts put off: nobody is heard, so it is us")    \
    X(live_accusations_true_total, "messages", "liveness: accusations that a ping confirmed")      \
    X(live_accusations_false_total, "messages", "liveness: accusations that an answer disproved")  \
    X(live_accusations_ignored_total, "messages", "liveness: accusers that name too many")         \
    X(live_accused_total, "messages", "liveness: accusations of this node refuted")                \
    X(live_rumours_total, "messages", "liveness: packets sent to spread news at once")             \
    X(live_news_dropped_total, "messages", "liveness: hearsay not passed on: teller or ring full")

COUNTER_STRUCT(live_counters, LIVE_COUNTERS)

struct live_config {
    uint32_t members;          /* bound of members monitored, 1..LIVE_MEMBERS (256) */
    uint32_t interval_us;      /* between probes (500,000) */
    uint32_t timeout_min_us;   /* a direct ping's time-out is srtt + 4 rttvar (RFC 6298) ... */
    uint32_t timeout_max_us;   /* ... within these (100,000 and 400,000); max without a sample */
    uint32_t helpers;          /* asked to ping who did not answer us (3) */
    uint32_t fanout;           /* members to whom a rumour is told at once (3) */
    uint32_t mult;             /* SWIM's lambda: scales time to death and retelling (4) */
    uint32_t suspicion_factor; /* unconfirmed, death comes so many times later (6) */
    uint32_t accuser_percent; /* of our members one may name falsely (20, at least 2 members) ... */
    uint32_t accuser_window_us; /* ... in this time, before it is ignored (10,000,000) */
};
struct live_config live_config_default(void);

/* What the embedder does. None of these may call back, but for live_news_out and readers. */
struct live_host {
    void *ctx;
    /* Ping the peer, with live_news_out in it; its answer comes as live_heard. No report of a
     * time-out is needed. */
    void (*ping)(void *ctx, uint32_t peer);
    /* Ask the helper to ping the target for us. It should say "not reached" after timeout_min_us,
     * which tells that we are not cut off ourselves. Comes back as live_helped with the token. */
    void (*ping_via)(void *ctx, uint32_t helper, uint32_t target, uint32_t token);
    /* Send these news (1..DHT_NEWS of them) to a member now. */
    void (*rumour)(void *ctx, uint32_t to, const struct dht_news *news, unsigned n);
    /* The member's state is another now. */
    void (*changed)(void *ctx, uint32_t peer, enum live_state state);
    /* We were accused, and our packets must carry this incarnation from now on. */
    void (*self_accused)(void *ctx, uint32_t incarnation);
};

/* All of this is called by one thread, the control thread. Peers are handles of the embedder's
 * book: any number but UINT32_MAX that is one node's. */
struct live;
/* NULL: no memory, or a configuration out of bounds. One allocation, under 32 KiB. */
struct live *live_create(const struct live_config *config, const struct dht_id *self,
                         uint32_t incarnation, const struct live_host *host, const uint8_t seed[32],
                         struct now now);
void live_destroy(struct live *l);

/* Monitors a peer that just answered us; it counts as alive. False: known already, ourselves, or no
 * room. */
bool live_add(struct live *l, uint32_t peer, const struct dht_id *id, uint32_t incarnation,
              struct now now);
/* Forgets a peer: who left the cluster, or is dead and out of the routing table. */
void live_remove(struct live *l, uint32_t peer);

/* An authenticated packet came from a peer, monitored or not. rtt_us: when it is the answer to a
 * question of ours, the time it took; else 0, and a lower incarnation than known is a late packet
 * of an earlier life. Call this before live_news_in of the same packet. */
void live_heard(struct live *l, uint32_t peer, uint32_t incarnation, uint32_t rtt_us,
                struct now now);
/* A helper's word about the ping_via with this token. The embedder makes sure that it is from the
 * helper that was asked. */
void live_helped(struct live *l, uint32_t token, bool reached, struct now now);
/* News in an authenticated packet of `from`, monitored or not. */
void live_news_in(struct live *l, uint32_t from, const struct dht_news *news, unsigned n,
                  struct now now);
/* News to put into a packet to `to`; returns how many. An accusation of `to` comes first, so that
 * it can refute, and before it that we leave, if we do. */
unsigned live_news_out(struct live *l, uint32_t to, struct dht_news out[static DHT_NEWS],
                       struct now now);
/* Says that we leave; so does all that we send from now on. Stay for a second to answer. */
void live_leave(struct live *l, struct now now);

/* Does what is due. Input should be handled before: an answer in a queue is no silence. Called late
 * it takes that for our own slowness, and waits once more for what is due. */
void live_poll(struct live *l, struct now now);
uint64_t live_deadline_us(const struct live *l);

uint32_t live_self_incarnation(const struct live *l);
/* False: not monitored. */
bool live_get(const struct live *l, uint32_t peer, enum live_state *state);
/* 0 (well) to 7: Lifeguard's local health; probes come so many times more rarely, plus one. */
unsigned live_health(const struct live *l);
const struct live_counters *live_counters(const struct live *l);

#endif
