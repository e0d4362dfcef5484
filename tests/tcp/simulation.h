/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A world drawn from a seed: two engines with odd configurations, a link with faults that heal
 * after a while, flows between them in both directions. It runs on virtual time; after every call
 * of an engine both are asked for their invariants.
 */
#ifndef CORAL_TESTS_TCP_SIMULATION_H
#define CORAL_TESTS_TCP_SIMULATION_H

#include <stdio.h>

#include "dataplane/tcp/tcp_conn.h"
#include "tests/tcp/flow.h"
#include "tests/tcp/link.h"

#define SIM_FLOWS 32

struct sim;

struct sim_host {
    struct sim *sim;
    unsigned side;
    uint64_t cookies; /* accepted, when a connection last came */
};

struct sim {
    uint64_t seed;
    struct rng rng;
    struct now now;
    uint64_t start_us;
    struct tcp_config config[2];
    struct sim_host host[2];
    struct tcp_engine *engine[2];
    struct addr addr[2];
    struct link *link;
    struct flow flow[SIM_FLOWS];
    unsigned flows;
    uint32_t refuse_ppm; /* segments that a port does not take at once */
    uint64_t bursts;     /* that a host cut into segments */
    uint32_t late_us;    /* hosts poll up to this much too late */
    uint64_t heal_us;    /* when faults end */
    bool lossy, unchecked;
    uint64_t steps;
    char broken[256]; /* the first thing that was wrong; "": nothing */
};

/* Engines and a link, without flows: `configure` may set config, link and addresses before the
 * engines are made. */
struct sim *sim_new(uint64_t seed, void (*configure)(struct sim *s));
/* Draws everything from the seed; for sim_new. */
void sim_draw(struct sim *s);
void sim_free(struct sim *s);
/* One step: deliver, let applications act, poll, advance to what is due next, at most to `end`.
 * False: `end` is reached. */
bool sim_step(struct sim *s, uint64_t end_us);
/* Runs the flows to their end and the engines to rest. NULL, or what was wrong. */
const char *sim_run(struct sim *s);
/* What was drawn and what came of it. */
void sim_print(const struct sim *s, FILE *to);

#endif
