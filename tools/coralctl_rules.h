/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb `rules`: its words, what it shows. */
#ifndef CORAL_TOOLS_CORALCTL_RULES_H
#define CORAL_TOOLS_CORALCTL_RULES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* False with a sentence: these words (the verb first) mean nothing. */
bool rules_words(int argc, char **argv, char *wrong, size_t len);
void rules_question(int argc, char **argv, json_t *q);
void rules_show(const char *word, const json_t *answer, FILE *out);

#endif
