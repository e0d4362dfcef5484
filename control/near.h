/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is near an address that nobody has measured (nodes(.., target) of NSDI 2004, section 4.1):
 * the last routers towards it are traced, and the index is asked, key after key, who put itself
 * under its prefix or theirs; the first key that names anybody is the answer. A question per prefix
 * is asked once and its answer kept.
 *
 *   near_find -> trace (hints.c) -> near_traced -> NODE_LOOKUP ... near_looked_up -> kept, job told
 *                                                     ^-- nobody: the next key --'
 */
#ifndef CORAL_CONTROL_NEAR_H
#define CORAL_CONTROL_NEAR_H

#include <jansson.h>

#include "base/now.h"
#include "dht/hint.h"
#include "dht/trace.h"

#define NEAR_SEARCHES 16  /* at once; of lookups each has at most one in flight */
#define NEAR_KEPT     256 /* answers, by prefix */

struct control;
struct node_lookup;

/* The answer for a prefix. */
struct near_found {
    struct addr prefix;  /* dht_hint_prefix of what was asked; zeros: free */
    uint64_t until_us;   /* how long it is believed */
    struct addr hint_of; /* the router or the prefix that the nodes have put themselves under */
    uint8_t hint_kind;   /* enum dht_hint_kind: PREFIX or ROUTER */
    bool self;           /* this node is one of them */
    uint8_t n;           /* others; 0 and not self: nobody is known to be near */
    struct dht_value node[2 * DHT_VALUES];
};

/* A question that is being answered. */
struct near_search {
    enum near_state { NEAR_FREE, NEAR_TRACES, NEAR_WANTS, NEAR_LOOKS } state;
    struct addr prefix;
    struct dht_trace_result trace; /* from NEAR_WANTS on */
    unsigned keys, next;           /* looked up in turn */
    struct dht_id key[DHT_HINT_LOOKUP];
};

struct near {
    struct near_search search[NEAR_SEARCHES];
    struct near_found kept[NEAR_KEPT];
};

enum near_answer {
    NEAR_KNOWN,   /* *out has it, until the control thread's next turn */
    NEAR_WAITING, /* control_near_done will have it, in seconds */
    NEAR_REFUSED, /* hints are off, the address means nothing elsewhere, or too many are asked */
};
/* All of these are called by the control thread. */
enum near_answer near_find(struct control *c, const struct addr *target,
                           const struct near_found **out, struct now now);
/* A trace towards an address is over. */
void near_traced(struct control *c, const struct dht_trace_result *trace, struct now now);
/* The search's lookup is over. */
void near_looked_up(struct control *c, struct near_search *s, const struct node_lookup *lookup,
                    struct now now);
/* Begins lookups that found no place before. */
void near_poll(struct control *c);
uint64_t near_deadline_us(const struct control *c, uint64_t now_us);
/* The answer to `near`: whom `found` (NULL: there is none) names, else members of our own cluster
 * of the highest level that has any. */
json_t *near_json(const struct control *c, const struct addr *target,
                  const struct near_found *found);

#endif
