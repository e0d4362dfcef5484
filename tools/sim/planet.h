/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulated planet: where nodes are, how long packets take between them, which are lost and who
 * cannot talk to whom. All is a function of (parameters, number of nodes, seed) and of what is
 * asked; asking changes nothing, so threads may share a planet.
 *
 *   node i is at site i mod sites; a site is about 16 nodes of one metro, one provider's
 *   rtt(a, b)  = base(metros) x lognormal(0, 0.15) by the pair of sites + both heights
 *   one way    = rtt / 2 + exponential jitter of 3 % by (source, counter)
 *   height     = a server's site's, or a home's own, way to the exchange; no path between two
 *                servers of a site has any
 *
 * Factors by pair make the triangle violations of the real Internet. In a clear world they cannot
 * carry a pair over a threshold, and heights are bounded: rtt < 20 ms iff planet_cluster(.., 2) is
 * the same, rtt < 60 ms iff planet_cluster(.., 1) is.
 *
 * Decisions are made in integers; tables are made at the start out of IEEE's basic operations
 * (real.h) and rounded to 16 us, 1/16384 and 1/65536: the same on all machines.
 */
#ifndef CORAL_TOOLS_SIM_PLANET_H
#define CORAL_TOOLS_SIM_PLANET_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/sim/metros.h"

#define PLANET_FAULTS 16

/* In which direction packets between a fault's metros and the rest are cut. */
enum planet_cut {
    PLANET_CUT_BOTH,
    PLANET_CUT_OUT, /* what the metros say is not heard outside */
    PLANET_CUT_IN,  /* what is said outside is not heard in them */
};

/* A partition: metros cut from the rest of the world for a while. */
struct planet_fault {
    uint64_t from_us, until_us; /* [from, until) */
    uint64_t metros;            /* bit i: metro i */
    enum planet_cut cut;
};

/* Shares are in millionths (ppm) of what they are shares of. */
struct planet_params {
    enum metro_world world;
    uint32_t site_nodes; /* nodes a site */
    uint32_t home_ppm;   /* of sites: homes behind one provider, else servers in one house */
    double server_height_ms, home_height_ms; /* medians */
    double height_sigma;                     /* of their lognormal */
    double path_sigma;                       /* of the pairs of sites' lognormal factor, <= 0.35 */
    uint32_t jitter_ppm;                     /* mean, of the one-way delay; <= 100,000 */

    uint32_t loss_ppm;       /* of packets, anywhere */
    uint32_t burst_ppm;      /* of (ordered pair, 10 s): time in a burst of loss */
    uint32_t burst_loss_ppm; /* of packets in a burst */

    /* Non-transitive reachability (Freedman et al., WORLDS 2005), each of unordered pairs at any
     * time; 80 % of it is decided by the pair of sites, 20 % by the pair of nodes. */
    uint32_t transient_ppm; /* in both directions for transient_min_s to _max_s */
    uint32_t transient_min_s, transient_max_s;
    uint32_t permanent_ppm; /* in both directions for ever */
    uint32_t one_way_ppm;   /* in one of the two directions for ever */

    uint32_t v4_only_ppm, v6_only_ppm; /* of sites; the rest has both */

    unsigned faults;
    struct planet_fault fault[PLANET_FAULTS];
};

#define PLANET_V4 1u
#define PLANET_V6 2u

enum planet_fate {
    PLANET_ARRIVES,
    PLANET_LOST,    /* this packet; the next may arrive */
    PLANET_BLOCKED, /* no packet of this pair arrives now */
};

struct planet;

/* The Internet of research 6.4 and 6.5: 2.3 % of pairs broken for a while, 0.3 % for ever, 0.2 %
 * one way, 0.3 % loss, a fifth homes, 40 % IPv4 only, 1 % IPv6 only. */
struct planet_params planet_params_default(void);
/* As default, but no packet is lost and nobody blocked. */
struct planet_params planet_params_faultless(void);

/* NULL: no memory. 8 bytes a node. */
struct planet *planet_create(const struct planet_params *params, uint32_t nodes, uint64_t seed);
void planet_destroy(struct planet *p);

/* The truth that clusters are measured against: microseconds without jitter, the same for (b, a).
 */
uint32_t planet_rtt_us(const struct planet *p, uint32_t a, uint32_t b);
/* What becomes of packet number `counter` of `from` (of its own count, so that no number comes
 * twice), sent now. delay_us is set for PLANET_ARRIVES only; never 0. */
enum planet_fate planet_send(const struct planet *p, uint32_t from, uint32_t to, uint64_t time_us,
                             uint32_t counter, uint32_t *delay_us);
/* Does no packet from `from` reach `to` at this time? */
bool planet_blocked(const struct planet *p, uint32_t from, uint32_t to, uint64_t time_us);

uint32_t planet_nodes(const struct planet *p);
uint32_t planet_sites(const struct planet *p);
unsigned planet_metro(const struct planet *p, uint32_t node);
uint32_t planet_site(const struct planet *p, uint32_t node);
/* PLANET_V4, PLANET_V6 or both */
unsigned planet_families(const struct planet *p, uint32_t node);
bool planet_home(const struct planet *p, uint32_t node);
/* The node's true cluster at Coral's level 2 (20 ms) or 1 (60 ms) by its metro, named by a metro;
 * level 0: 0. */
unsigned planet_cluster(const struct planet *p, uint32_t node, unsigned level);
/* between metros, without heights and factors */
uint32_t planet_base_us(const struct planet *p, unsigned metro_a, unsigned metro_b);

#endif
