/* SPDX-License-Identifier: BSD-3-Clause */
/* The clusters that nodes found, beside those that there are. */
#ifndef CORAL_TOOLS_SIM_TRUTH_H
#define CORAL_TOOLS_SIM_TRUTH_H

#include "tools/sim/world.h"

struct truth {
    double purity; /* of pairs in one cluster: the share within the level's threshold */
    double recall; /* of pairs within half of it: the share in one cluster */
    uint32_t clusters, largest, singletons;
    double size_error; /* mean of |log2 of the estimate - log2 of the size|, over nodes */
    double size_bias;  /* the same with its sign: negative where they are too low */
};

/* By a sample of pairs that the seed draws. */
struct truth truth_of(const struct world *w, unsigned level, uint32_t pairs);
json_t *truth_json(const struct truth *t);
/* The node that is up and closest to a key, `skip` of the closest left out. O(n). */
uint32_t truth_closest(const struct world *w, const struct dht_id *key, unsigned skip);

#endif
