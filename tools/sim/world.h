/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index at the scale of a planet: as many nodes as memory holds, each the engines that corald
 * runs (dht_member, dht_store, dht_asker), on virtual time, between them the planet (planet.h).
 *
 *   queue --event--> a node's packet, timer or turn to ask --> engine --> packets, timers --> queue
 *
 * All nodes share one arena and one book (dht.h): a node's number is its contact's. RPCs travel as
 * structs; one in `codec_each` of them is also written, signed, checked and read.
 *
 * One thread and one order of events, so that a seed replays a run on any machine. Chance comes
 * from the seed and what is asked (mix.h), or from the arena's generator, which draws in the order
 * of events.
 */
#ifndef CORAL_TOOLS_SIM_WORLD_H
#define CORAL_TOOLS_SIM_WORLD_H

#include <sys/queue.h>

#include "dht/dht.h"
#include "tools/sim/churn.h"
#include "tools/sim/planet.h"
#include "tools/sim/queue.h"
#include "tools/sim/report.h"

struct world;

struct world_params {
    uint32_t nodes;
    uint64_t seed;
    struct planet_params planet;
    struct churn_params churn;
    struct dht_config dht; /* lookups, pings, holders: of all nodes together */
    uint32_t codec_each;   /* 0: never */
    uint64_t join_us;      /* cold start: nodes come up spread over this; 0: all at once */
    bool oracle;           /* tables and clusters are made, not found */
};

struct world_params world_params_default(uint32_t nodes, uint64_t seed);

struct world_node {
    struct world *world;
    struct dht_member *member;
    struct dht_store *store;
    struct dht_asker *asker;
    uint64_t member_us; /* when the member is polled next */
    uint32_t counter;   /* of events caused */
    uint32_t incarnation;
    uint32_t changes; /* up and down */
    bool up;
};

/* What happened, of all nodes. */
struct world_totals {
    uint64_t events, packets, bytes; /* bytes with Ethernet, IP and UDP */
    uint64_t lost, blocked, codec;
    uint64_t switches[DHT_LEVELS];
    uint64_t violations; /* of invariants; the first few are printed */
};

struct world {
    struct world_params params;
    struct planet *planet;
    struct churn *churn;
    struct queue *queue;
    struct dht_arena *arena;
    struct dht_book *book;
    struct dht_config config;
    struct world_node *node;
    struct dht_contact *contact; /* node i's, which is the book's too */
    uint64_t time_us;
    uint64_t tick_us; /* the arena's timers have fired up to this */
    uint64_t hash;
    struct world_totals totals;
    struct endpoint bootstrap[8];
    struct message *free_message;
    LIST_HEAD(, walk) walks; /* that run, or whose node went down */
    struct dht_mac *mac;
    /* the scenario's: node's turn to do something; `detail` and `payload` are its own */
    void (*turn)(struct world *w, uint32_t node, uint16_t detail, uint64_t payload);
    void (*served)(struct world *w, uint32_t at, const struct rpc *ask); /* before it is */
    void (*came)(struct world *w, uint32_t node, bool up);
    void (*switched)(struct world *w, uint32_t node, const struct dht_switch *why);
    /* Before an RPC leaves its node, which may so say what is not true (liar.h). `ask`: what it
     * answers, or NULL. False: it does not leave. */
    bool (*says)(void *liars, uint32_t from, uint32_t to, const struct rpc *ask, struct rpc *rpc);
    void *liars;
    void (*progress)(struct world *w);
    uint64_t progress_us; /* between two calls of it */
    void *ctx;
};

/* NULL: no memory, which stderr says. */
struct world *world_create(const struct world_params *params);
void world_destroy(struct world *w);
/* Handles all events up to a virtual time. */
void world_run(struct world *w, uint64_t until_us);
struct now world_now(const struct world *w);
/* A turn of a node at a time. */
void world_turn(struct world *w, uint32_t node, uint64_t at_us, uint16_t detail, uint64_t payload);
void world_up(struct world *w, uint32_t node);
void world_down(struct world *w, uint32_t node);
const struct dht_routes *world_routes(const struct world *w, uint32_t node);
/* The number of the node with this RPC address. */
uint32_t world_number(const struct world *w, const struct endpoint *e);
void world_violation(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Looks at every node: stores and tables within bounds, contacts reached directly. */
void world_check(struct world *w);
/* Resident bytes of this process. */
uint64_t world_resident(void);

#endif
