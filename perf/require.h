/* SPDX-License-Identifier: BSD-3-Clause */
/* --assert: what a field of the results has to be. */
#ifndef CORAL_PERF_REQUIRE_H
#define CORAL_PERF_REQUIRE_H

#include <stdbool.h>

#include <jansson.h>

enum require_order { REQUIRE_LT, REQUIRE_LE, REQUIRE_GT, REQUIRE_GE, REQUIRE_EQ, REQUIRE_NE };

struct requirement {
    char field[64]; /* names and list positions, joined by dots: costs.3.cycles_per_op */
    enum require_order order;
    double than;
};

/* FIELD<NUMBER. False: it is not that. */
bool require_parse(const char *text, struct requirement *out);
/* A number in a JSON value, found by its path. False: there is none. */
bool require_field(const json_t *in, const char *path, double *out);
/* The same of each result that has it, PERF_REPEATS at most. Returns how many. */
unsigned require_values(const json_t *results, const char *path, double *out);
/* Is the field's median over the results so? Says on standard error of what is not which, and what
 * it is; of a field that does not exist, which ones there are. */
bool require_check(const struct requirement *r, const json_t *results);

#endif
