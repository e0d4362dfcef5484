/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A world that has run for long enough: tables full, clusters found. Made in a moment, for sizes at
 * which finding them takes longer than one waits. Its contacts are marked: nobody reached them
 * directly.
 */
#ifndef CORAL_TOOLS_SIM_ORACLE_H
#define CORAL_TOOLS_SIM_ORACLE_H

#include "tools/sim/world.h"

/* Gives every node that is up its true clusters (planet_cluster) and, at each level, k members a
 * bucket, spread by the next three bits, and the 2k nearest. */
void oracle_fill(struct world *w);

#endif
