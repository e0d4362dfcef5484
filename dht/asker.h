/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The asker's insides. Three layers, and one more thing:
 *
 *   lookup.c   get, put, remove, report, find, level by level: what follows, when is it over
 *   path.c     the contacts that a lookup knows, and which of them is next
 *   asker.c    RPC slots: sending, replies, cookies, time-outs, what is known of peers
 *   relay.c    beside them: questions put for others
 *
 * A slot is named by its number in the tid, 40 random bits beside it. One whose time ran out goes
 * to the end of the free list and keeps its tid until it is used again: an answer that comes late
 * still says that the contact lives, though the lookup went on without it.
 */
#ifndef CORAL_DHT_ASKER_H
#define CORAL_DHT_ASKER_H

#include "dht/arena.h"
#include "dht/id.h"
#include "dht/peers.h"
#include "dht/rpc.h"

#define LOOKUP_NONE     UINT32_MAX
#define LOOKUP_HOPS     48 /* contacts that a lookup knows */
#define LOOKUP_ASKS     64 /* RPCs that it sends at most */
#define LOOKUP_INFLIGHT 2
#define NOBODY          (-1)
#define BY_NOBODY       UINT8_MAX

/* For whom a question was put that is not ours. */
struct slot_relay {
    bool is; /* is there anybody? Then the slot is among the asker's relays */
    struct rpc_contact asker;
    uint64_t tid; /* of its RELAY */
};

/* An RPC of ours. */
struct slot {
    struct timer timer; /* time-out */
    struct slot *next;  /* in the free list; in the asker's relays */
    struct dht_asker *asker;
    uint64_t tid; /* 0: was answered */
    uint64_t sent_us;
    struct dht_id id;
    struct endpoint rpc;
    uint32_t lookup; /* LOOKUP_NONE: a ping, or the lookup is over */
    uint8_t hop;
    uint8_t target; /* RELAY: the hop that is to be asked through this one */
    uint8_t type;
    bool proven;      /* as the hop was */
    bool waiting;     /* not answered, not timed out */
    bool has_cookied; /* was repeated with a fresh cookie already */
    struct slot_relay relay;
};

enum hop_state {
    HOP_NEW,
    HOP_ASKED,    /* in flight */
    HOP_MISSED,   /* timed out: asked again when there is nobody else */
    HOP_ANSWERED, /* a put may store here, at the present level */
    HOP_HOLDS,    /* stored here, at a higher level: seen at this one too */
    HOP_SEEN,     /* answered at a higher level: may take a copy */
    HOP_SPENT,    /* answered, and no use for storing */
    HOP_DEAD,
    HOP_FALSE, /* that was not its address: not asked, and the place is free */
};

/* A contact in a lookup: known by hearsay until it answers. */
struct hop {
    struct dht_id id;
    struct endpoint rpc;
    struct dht_distance distance;
    uint64_t cookie; /* what it gave us, 0: did not answer yet */
    uint8_t state;   /* enum hop_state */
    uint8_t levels;  /* at which it was named, a bit each, */
    uint8_t not_of;  /* and those of which it says that it is none, whoever names it */
    uint8_t told;    /* the level of the contacts that it named */
    uint8_t misses, store_misses;
    uint8_t by;   /* the hop that named it, BY_NOBODY: none did but we ourselves */
    bool holds;   /* stored here, though it was asked again since */
    bool relayed; /* was asked through that one */
    bool proven;  /* its ID is known to be its address's, by the hash or by our table; who is not
                     was not asked yet */
};

enum lookup_kind { LOOKUP_GET, LOOKUP_PUT, LOOKUP_REMOVE, LOOKUP_REPORT, LOOKUP_FIND };
enum lookup_phase {
    PHASE_WALK,     /* towards the key, at one level */
    PHASE_RUNNER,   /* get, remove, report: the next closest; who just came in front of them has
                       nothing */
    PHASE_STRAIGHT, /* claim: a STORE in a WALK's place */
    PHASE_STORE,    /* put: at the closest that takes it */
    PHASE_COPY,     /* put: at the next closest, so that it outlives the first */
};

struct lookup {
    struct timer timer; /* hedge, or the end */
    struct dht_asker *asker;
    uint32_t generation, next_free;
    bool used, hedged;
    bool asked, answered; /* somebody else than ourselves */
    bool over;            /* put: came to a node that is full and loaded */
    bool loaded;          /* put: the present level's closest was loaded */
    bool stored;          /* put: at some level */
    bool guest;
    bool claim;          /* put: no further down once others were found */
    bool winding;        /* claim: its PHASE_STRAIGHT found nobody, so it walks */
    uint8_t kind, phase; /* enums */
    uint8_t level, lo;   /* at which it walks; the last one */
    uint8_t levels;
    uint8_t copies;  /* put: stored so often at the last level; get: the closest that were asked */
    uint8_t tries;   /* to make that more */
    uint8_t strays;  /* asked because the walk ended too far from the key */
    uint8_t relays;  /* asked through others */
    uint8_t tellers; /* get: who named holders */
    bool last;       /* get: those that missed are asked again */
    struct dht_id key;
    uint32_t ttl_ms;
    struct dht_id dead;    /* report: of whom */
    struct dht_distance d; /* where the walk is */
    dht_done *done;
    void *ctx;
    struct dht_path *trace;
    /* gets of one key that run as one: the first does the work */
    struct lookup *next_joined, *prev_joined;
    uint32_t next_get; /* in arena->get_bucket's chain, index + 1 */
    uint64_t end_us, hedge_us;
    int again; /* a hop to be asked anew, at a lower level; NOBODY: none */
    unsigned asks, inflight, hops;
    struct slot *slot[LOOKUP_INFLIGHT];
    struct dht_useless useless;  /* get: not asked, not believed */
    struct hop hop[LOOKUP_HOPS]; /* [0]: this node itself, but in a find */
    struct dht_result result;
};

struct dht_asker {
    struct dht_arena *arena;
    struct dht_mac *mac;
    struct dht_asker_host host;
    const struct dht_routes *routes;
    uint32_t lookups, waiting; /* of the arena's lookups and slots that are ours */
    struct slot *relays;       /* questions that we put for others */
    uint32_t relay_leak_us;    /* GCRA of these */
    struct peers peers;
};

/* --- asker.c ---------------------------------------------------------------------------------- */

/* Sends an RPC of a type to a lookup's hop; its slot is set. target: the hop that a RELAY is about,
 * else 0. False: no slot. What the port does not take is lost like on the way. */
bool asker_send(struct dht_asker *a, uint8_t type, struct lookup *l, unsigned hop, unsigned target,
                struct now now);
/* A slot that no lookup was promised; NULL: none. */
struct slot *asker_spare_slot(struct dht_asker *a);
/* Sends what it stands for: `ask` of another, in our name. */
void asker_send_for(struct dht_asker *a, struct slot *s, const struct rpc *ask, struct now now);
/* Hands an RPC to the host. False: it did not take it. */
bool asker_emit(struct dht_asker *a, const struct endpoint *to, const struct rpc *rpc);
/* Lets the lookup's RPCs go on without it: their answers count as signs of life only. */
void asker_detach(struct dht_asker *a, struct lookup *l);
/* Nor for what somebody says of this hop, which has answered itself. */
void asker_detach_relay(struct dht_asker *a, struct lookup *l, unsigned hop);
void slot_fire(void *now, struct timer *t);
/* Is the ID that of the address? Asked before the first question: to name a true node under an
 * address where nobody is would make its silence count against it. */
bool asker_is_bound(struct dht_asker *a, const struct dht_id *id, const struct endpoint *rpc);

/* --- relay.c ---------------------------------------------------------------------------------- */

/* What came of a question that we put for another; NULL: nothing. */
void relay_answered(struct dht_asker *a, const struct slot_relay *to, const struct rpc *answer,
                    struct now now);
/* Its slot is free again. */
void relay_unlink(struct slot *s);

/* --- path.c ----------------------------------------------------------------------------------- */

/* Has it this node itself as its first hop? */
static inline bool path_has_self(const struct lookup *l)
{
    return l->kind != LOOKUP_FIND;
}
/* proven: by our table. Else a contact is hashed when its turn comes to be asked: a false one costs
 * no question, and until then moves nothing, pushes nobody out and takes no other address's place.
 * Returns its place, NOBODY when there is none. */
int path_add(struct dht_asker *a, struct lookup *l, const struct rpc_contact *c, unsigned levels,
             bool proven);
/* What others say, by: the hop that did. True: at least one of them is known to be true. */
bool path_learn(struct dht_asker *a, struct lookup *l, const struct rpc *answer, unsigned by);
/* Else: was anybody named that is true? Hashes until one is found: not ourselves, nobody under an
 * address that is not its own. */
bool path_vouch(struct dht_asker *a, struct lookup *l, const struct rpc *answer);
/* Was it of no use before? */
static inline bool path_shuns(const struct lookup *l, const struct dht_id *id)
{
    for (unsigned i = 0; i < l->useless.n; i++)
        if (id_eq(&l->useless.id[i], id))
            return true;
    return false;
}
/* Whom to ask next; NOBODY: the walk is at its end. */
int path_next(struct dht_asker *a, struct lookup *l, struct now now);
/* When there is nobody else: the nearest of those that missed. */
int path_missed(struct dht_asker *a, const struct lookup *l);
/* The nearest, nearer than where the walk is, that does not answer us and was named by one that
 * does: to be asked through it. */
int path_unreached(struct dht_asker *a, struct lookup *l, struct now now);
/* Where the walk is, if that must be asked once more at the present level. */
int path_again(const struct lookup *l);
/* The nearest that was not asked yet, closer than where the walk is or not. */
int path_runner_up(struct dht_asker *a, struct lookup *l, struct now now);
/* The nearest of our own table that was not asked yet. */
int path_own(struct dht_asker *a, struct lookup *l, struct now now);
/* put: the nearest that has no copy and was not refused one. */
int path_copy_next(struct dht_asker *a, struct lookup *l, struct now now);
/* put: the nearest that may take the value, or has it. */
int path_store_next(const struct lookup *l);
/* After which time a second one is asked beside a hop. */
uint64_t path_hedge_us(struct dht_asker *a, const struct lookup *l, const struct hop *h);

/* --- lookup.c --------------------------------------------------------------------------------- */

/* What lookups hear of their RPCs. */
void lookup_answered(struct dht_asker *a, struct lookup *l, unsigned hop, const struct rpc *answer,
                     uint32_t rtt_us, struct now now);
/* The target was asked through another, which says this. */
void lookup_relayed(struct dht_asker *a, struct lookup *l, unsigned target,
                    const struct rpc *answer, struct now now);
void lookup_timed_out(struct dht_asker *a, struct lookup *l, unsigned hop, uint8_t type,
                      struct now now);
void lookup_fire(void *now, struct timer *t);
/* Asks as many as may be in flight, and turns to what follows when none is. The lookup may be over,
 * and gone, after that. */
void lookup_step(struct dht_asker *a, struct lookup *l, struct now now);
void lookup_free(struct lookup *l);

/* --- lookup_start.c --------------------------------------------------------------------------- */

/* Ends it without a word, with the asker. */
void lookup_drop(struct lookup *l);

/* --- lookup_chain.c --------------------------------------------------------------------------- */

/* index + 1 in the arena */
uint32_t lookup_number(const struct lookup *l);
/* A get that others may join. */
bool lookup_is_shared(const struct lookup *l);
/* Found by its key: gets that others may join, and puts that a remove ends. */
bool lookup_is_chained(const struct lookup *l);
struct lookup *chain_find(const struct dht_asker *a, enum lookup_kind kind,
                          const struct dht_id *key, unsigned levels);
void chain_enter(struct lookup *l);
void chain_leave(struct lookup *l);
/* Its key was not found: it is not looked for again for a moment ... */
void negative_note(struct dht_asker *a, const struct lookup *l, struct now now);
bool negative_is(struct dht_asker *a, const struct dht_id *key, unsigned levels, struct now now);
/* ... unless we put it ourselves: others may be told of us from now on. */
void negative_forget(struct dht_asker *a, const struct dht_id *key);

#endif
