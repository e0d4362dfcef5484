/* SPDX-License-Identifier: BSD-3-Clause */
/* The rooms' counters joined to one table, and sums over workers. */
#ifndef CORAL_CONTROL_STATS_H
#define CORAL_CONTROL_STATS_H

#include <jansson.h>

#include "dataplane/worker/node.h"

struct stats_counter {
    const char *name, *unit, *text;
    size_t part;   /* of the struct's pointer in worker_stats */
    size_t part2;  /* of a second such struct, added; 0: none */
    size_t offset; /* of the counter in it */
};
extern const struct stats_counter stats_table[];
extern const size_t stats_count;

uint64_t stats_read(const struct worker_stats *w, const struct stats_counter *c);
/* Sum over n workers of the counter called `name`; 0 when there is none. */
uint64_t stats_sum(const struct worker_stats *w, unsigned n, const char *name);
/* The highest of theirs; 0 likewise. */
uint64_t stats_most(const struct worker_stats *w, unsigned n, const char *name);
/* {"name": {"unit", "kind", "text", "value", "workers": [...] if each}, ...}; a value is the sum,
 * but of what is called ..._level the highest. */
json_t *stats_json(const struct worker_stats *w, unsigned n, bool each);

#endif
