/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of corald as people read them. What an answer lacks is left out. */
#ifndef CORAL_TOOLS_CORALCTL_TABLE_H
#define CORAL_TOOLS_CORALCTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

void table_status(const json_t *answer, FILE *to);
/* Counters whose names hold `word` (NULL: any); those that are 0 only if `all`. */
void table_stats(const json_t *answer, const char *word, bool all, FILE *to);
/* Groups of counters; those that are 0 only if `all`. */
void table_tcp_counters(const json_t *answer, bool all, FILE *to);
/* Connections, each in three lines. */
void table_tcp(const json_t *answer, FILE *to);
/* What sites use of the network, a line each. */
void table_shares(const json_t *answer, FILE *to);
/* A site with its origins, a line each. */
void table_origins(const json_t *answer, FILE *to);
/* The routing table, a node a line. */
void table_peers(const json_t *answer, FILE *to);
/* A level a line, and why the cluster was changed last. */
void table_clusters(const json_t *answer, FILE *to);
/* A hop a line, then the values. */
void table_lookup(const json_t *answer, FILE *to);
/* What the answer rests on, then a node a line. */
void table_near(const json_t *answer, FILE *to);
void table_drain(const json_t *answer, unsigned seconds, FILE *to);
void table_stop(const json_t *answer, FILE *to);
/* What a reload did, and what it could not. */
void table_reload(const json_t *answer, FILE *to);

/* "" for one, "s" for any other number. */
static inline const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

#endif
