/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the flat Kademlia: its state, and a lookup's steps (kademlia_lookup.c) apart from life,
 * messages and events (kademlia.c).
 *
 * A message is an event that names the lookup that it is of; what it says is read there when it
 * arrives, since a lookup is given back only after the last of its events. An answer to a FIND is
 * kept beside, as the answerer's table was.
 */
#ifndef CORAL_TOOLS_SIM_KADEMLIA_LOOKUP_H
#define CORAL_TOOLS_SIM_KADEMLIA_LOOKUP_H

#include "tools/sim/kademlia.h"

#define KADEMLIA_LIST 64u /* candidates a lookup knows: k that answer, and those that failed */

enum kademlia_event {
    EVENT_FIND,
    EVENT_STORE,
    EVENT_ANSWER,
    EVENT_FIND_TIMEOUT,
    EVENT_STORE_TIMEOUT
};

enum kademlia_state {
    NEW,
    ASKED, /* or a STORE is on its way */
    ANSWERED,
    FAILED, /* timed out, or was given up */
    STORED,
};

struct kademlia_candidate {
    uint64_t distance;
    uint32_t node;
    uint16_t depth; /* answers on the way to it; 1: from the asker's own table */
    uint8_t state;  /* enum kademlia_state */
};

struct kademlia_lookup {
    uint64_t key, tag, start_us;
    uint64_t ttl_us;     /* put: of the value */
    uint32_t node, life; /* who asks; its life then: when that is over, so is the lookup */
    uint32_t pending;    /* events that name it: it is given back after the last */
    uint32_t next;       /* free one */
    uint8_t what;        /* enum kademlia_what */
    bool ended;          /* and only waits for its events */
    bool storing;        /* put: its second half */
    uint32_t in_flight;  /* candidates that are ASKED */
    uint32_t asks, timeouts, answers, stores; /* so far */
    unsigned n;
    struct kademlia_candidate at[KADEMLIA_LIST]; /* closest first */
};

/* What an answer to a FIND says, from when it is given until it arrives. */
struct kademlia_answer {
    uint32_t next;   /* free one */
    uint32_t holder; /* of a value, or KADEMLIA_NOBODY */
    unsigned n;
    uint32_t closest[KADEMLIA_K_MAX];
};

struct kademlia_node {
    uint32_t counter; /* of its events and packets */
    uint32_t life;    /* one up each time it goes down */
    struct kademlia_load load;
};

struct kademlia {
    struct kademlia_params params;
    const struct planet *planet;
    uint64_t seed, now_us, hash;
    uint32_t nodes;
    struct kademlia_node *node; /* [nodes] */
    bool *up;                   /* [nodes] */
    struct kademlia_tables *tables;
    struct kademlia_store *store;
    struct queue *queue;
    struct kademlia_lookup *lookup;    /* [params.max_lookups] */
    struct kademlia_answer *answer;    /* a fixed number of them a lookup */
    uint32_t lookup_free, answer_free; /* KADEMLIA_NOBODY: none */
    unsigned watches;                  /* so many of watch[KADEMLIA_WATCHES] are in use */
    struct kademlia_watch *watch;
    struct kademlia_counters counters;
};

/* --- kademlia.c: messages --- */

/* The lookup's asker is told at time_us if the node has not answered. False: the queue is full. */
bool kademlia_timeout_set(struct kademlia *k, struct kademlia_lookup *l, uint64_t time_us,
                          enum kademlia_event kind, uint32_t node);
/* answer: its number, or KADEMLIA_NOBODY. False: it will not arrive. */
bool kademlia_message_send(struct kademlia *k, struct kademlia_lookup *l, uint32_t from,
                           uint32_t to, enum kademlia_event kind, uint32_t answer);
/* The lookup's STORE is at the node. */
void kademlia_store_arrived(struct kademlia *k, const struct kademlia_lookup *l, uint32_t node);

/* --- kademlia_lookup.c: steps --- */

/* What kademlia_find() and its like do. A JOIN's tag is a node that it asks besides. */
bool kademlia_lookup_begin(struct kademlia *k, enum kademlia_what what, uint32_t node, uint64_t key,
                           uint64_t ttl_us, uint64_t tag);
/* A node answered a FIND, or a STORE (a: NULL). */
void kademlia_lookup_answered(struct kademlia *k, struct kademlia_lookup *l, uint32_t node,
                              const struct kademlia_answer *a);
/* The time-out of an RPC, answered or not: that of a FIND says nothing of the STORE after it. */
void kademlia_lookup_timed_out(struct kademlia *k, struct kademlia_lookup *l, uint32_t node,
                               bool of_store);
/* Where it ended and no event names it any more. */
void kademlia_lookup_give_back(struct kademlia *k, struct kademlia_lookup *l);
/* The number that chooses among the values which a node has for this get. */
uint64_t kademlia_lookup_luck(const struct kademlia *k, const struct kademlia_lookup *l);

#endif
