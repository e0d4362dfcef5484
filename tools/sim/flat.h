/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A world once more, under a flat Kademlia (kademlia.h): the same planet, churn, IDs and keys, the
 * same nodes that put and get at the same moments, so that each figure of the index has one beside
 * it. What is put on random keys by pauses comes as often, not at the same moments.
 *
 * It notes what a load asks for while that is said, and runs when the index's world is over and its
 * memory free. Tables are an oracle's, made anew each 15 minutes out of the nodes that are up: no
 * deployed one is refreshed as well.
 */
#ifndef CORAL_TOOLS_SIM_FLAT_H
#define CORAL_TOOLS_SIM_FLAT_H

#include "tools/sim/world.h"

struct load;
struct flat;

/* Notes all that the load is told from now on; its first keys alone, asked for as often each.
 * NULL: no memory. */
struct flat *flat_create(struct load *l, uint32_t keys);
void flat_destroy(struct flat *f);

/* load.c's: what was asked of the load. */
void flat_put_at(struct flat *f, uint32_t node, uint32_t key, uint64_t at_us);
void flat_get_at(struct flat *f, uint32_t node, uint32_t key, uint64_t at_us);
void flat_puts(struct flat *f, uint32_t node, uint64_t pause_us);
void flat_gets(struct flat *f, uint32_t node, uint64_t pause_us);

/* Runs it, up to a virtual time as world_run()'s; what begins before measure_us (the load's) counts
 * for nothing. A new object for the report: "success", "gets" and "puts" (kademlia_row_json),
 * "busiest" (STOREs a minute at the node of a key that had most of them, the first minute left out;
 * of 16 keys), ...; NULL: no memory. */
json_t *flat_run(struct flat *f, const struct load *l, uint64_t until_us);

#endif
