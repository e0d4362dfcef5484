/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of corald as people read them. What an answer lacks is left out. */
#ifndef CORAL_TOOLS_CORALCTL_TABLE_H
#define CORAL_TOOLS_CORALCTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

void table_status(const json_t *answer, FILE *to);
/* Counters whose names hold `word` (NULL: any); those that are 0 only if `all`. */
void table_stats(const json_t *answer, const char *word, bool all, FILE *to);
void table_stop(const json_t *answer, FILE *to);

#endif
