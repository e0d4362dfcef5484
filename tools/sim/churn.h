/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is up when. Nodes alternate between up and down for Weibull-distributed times, sites fail as
 * a whole, and scripted storms hit many at once. No state a node: the caller keeps whether a node
 * is up and how often it changed, and asks for the next change, which is a hash of (seed, node,
 * number of the change).
 *
 * Times are whole milliseconds out of tables of 4096 quantiles, scaled so that the table's mean is
 * the mean asked for; nothing lasts longer than the last quantile (shape 0.5: 40 means).
 */
#ifndef CORAL_TOOLS_SIM_CHURN_H
#define CORAL_TOOLS_SIM_CHURN_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/sim/planet.h"

#define CHURN_STORMS 16
#define CHURN_NEVER  UINT64_MAX

/* A share of the nodes of some metros goes down at_us + U(0, spread_us) and is back down_us later.
 *   10 % die at one instant:       share_ppm 100000, spread_us 0
 *   a metro without power:         metros 1 << i, share_ppm 1000000, spread_us 0
 *   all restart within a minute:   share_ppm 1000000, spread_us 60000000, down_us 5000000
 * A node that is down when it would be hit stays down until then. */
struct churn_storm {
    uint64_t at_us;
    uint64_t spread_us;
    uint64_t down_us; /* > 0 */
    uint64_t metros;  /* bit i: metro i; UINT64_MAX: everywhere */
    uint32_t share_ppm;
};

struct churn_params {
    /* Of a node's sessions and absences. Mean 0: it never leaves by itself (a static world, or one
     * of storms alone). Shape 1 is exponential; below 1 has a heavy tail. */
    uint64_t up_mean_ms, down_mean_ms;
    double up_shape, down_shape;
    /* This share of a node's failures, in millionths, are its whole site's: all its nodes go down
     * and come back together. up_mean_ms is kept: own failures become rarer by it. */
    uint32_t site_ppm;
    unsigned storms;
    struct churn_storm storm[CHURN_STORMS];
};

/* Nobody leaves. */
struct churn_params churn_params_static(void);
/* Machines in houses: MTBF 14 days, down 2 minutes, 5 % of failures take the site. */
struct churn_params churn_params_server(void);
/* Weibull of shape 0.5 for both (measured: 0.34 to 0.59). The median is 0.24 of the mean: 15,000 s
 * for a median session of 1 h. */
struct churn_params churn_params_volunteer(uint64_t up_mean_ms, uint64_t down_mean_ms);
/* OverSim's: exponential, 10,000 s. */
struct churn_params churn_params_exponential(uint64_t up_mean_ms, uint64_t down_mean_ms);

struct churn;

/* The planet (for sites and metros) must outlive it. NULL: no memory. */
struct churn *churn_create(const struct churn_params *params, const struct planet *planet,
                           uint64_t seed);
void churn_destroy(struct churn *c);

/* A node at time 0 in a world that has run for ever: up with the share of time that it is up; in
 * *up. Returns when that ends (the rest of a session, not a whole one), or CHURN_NEVER. */
uint64_t churn_start(const struct churn *c, uint32_t node, bool *up);
/* The node went up or down (`up`: what it now is) at time_us, its change number `counter`, from 1.
 * Returns when it changes next, > time_us, or CHURN_NEVER. */
uint64_t churn_next(const struct churn *c, uint32_t node, bool up, uint64_t time_us,
                    uint32_t counter);

#endif
