/* SPDX-License-Identifier: BSD-3-Clause */
/* What coral-sim can show: a world, what happens in it, and what must come of it. */
#ifndef CORAL_TOOLS_SIM_SCENARIO_H
#define CORAL_TOOLS_SIM_SCENARIO_H

#include "tools/sim/flat.h"
#include "tools/sim/load.h"
#include "tools/sim/truth.h"

struct sim_options {
    uint32_t nodes; /* 0: the scenario's own */
    uint64_t seed;
    unsigned b;      /* prefix bits at level 0, 0: the default */
    unsigned levels; /* 0: the default */
    uint32_t keys;
    uint64_t minutes;         /* of virtual time; 0: the scenario's own */
    uint32_t liar_percent;    /* 0: the scenario's own */
    const char *lie;          /* this one alone, or NULL */
    uint32_t one_way_percent; /* of pairs, for ever; 0: the scenario's own */
    const char *without;      /* a mitigation that is switched off, or NULL */
    bool alone;               /* no Kademlia beside it */
    bool quiet;
};

struct scenario {
    const char *name, *what;
    uint32_t nodes;
    const char *takes; /* options that change it, beside those that are everybody's */
    /* Adds what it found to the report. False: a bound does not hold; stderr says which. */
    bool (*run)(const struct sim_options *o, json_t *report);
};

extern const struct scenario scenarios[];
extern const unsigned scenarios_n;

/* The options put into a world's parameters. */
struct world_params scenario_params(const struct sim_options *o);
/* Creates it, with progress on stderr. */
struct world *scenario_world(const struct sim_options *o, const struct world_params *p);
/* Adds what every report has (nodes, times, bytes a node, violations, event hash) and ends the
 * world. False: invariants were violated. */
bool scenario_end(struct world *w, json_t *report);
/* The load will be a flat Kademlia's, too; before it is told anything. False: no memory. */
bool scenario_beside(struct load *l, const struct sim_options *o, uint32_t keys);
/* Runs that, its world over, and adds it to the report as "kademlia". False: no memory. */
bool scenario_kademlia(struct load *l, uint64_t until_us, json_t *report);
/* Adds a row to the report's "rows", the index's figure beside Kademlia's (at a path of names with
 * dots in "kademlia"). Nothing where there is no Kademlia. False: `better`
 * was wanted and the index's is not the lower one. */
bool scenario_row(json_t *report, const char *what, double ours, const char *theirs, bool better);
/* The sentences of all expectations that did not hold; a new reference, of one run a process. */
json_t *scenario_broken(void);
/* Says so on stderr when it does not hold, and keeps it for that. */
bool scenario_expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool scenario_hops(const struct sim_options *o, json_t *report);
bool scenario_latency(const struct sim_options *o, json_t *report);
bool scenario_hammer(const struct sim_options *o, json_t *report);
bool scenario_cold(const struct sim_options *o, json_t *report);
bool scenario_heal(const struct sim_options *o, json_t *report);
bool scenario_half(const struct sim_options *o, json_t *report);
bool scenario_churn(const struct sim_options *o, json_t *report);
bool scenario_restart(const struct sim_options *o, json_t *report);
bool scenario_crowd(const struct sim_options *o, json_t *report);
bool scenario_planet(const struct sim_options *o, json_t *report);
bool scenario_idle(const struct sim_options *o, json_t *report);
bool scenario_liars(const struct sim_options *o, json_t *report);

#endif
