/* SPDX-License-Identifier: BSD-3-Clause */
/* coralctl log: what its words ask for, the questions, and lines as people read them. */
#ifndef CORAL_TOOLS_CORALCTL_LOG_H
#define CORAL_TOOLS_CORALCTL_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "control/access_filter.h"

struct coralctl_log {
    const char *filter[ACCESS_FILTER_KEYS]; /* as given; NULL: none */
    const char *option; /* the first of its options, for a verb that takes none; --host apart */
    const char *again;  /* the value of a filter that was given twice; NULL: none was */
    unsigned twice;     /* which */
    bool reopen;
    bool trace, latest; /* one record is wanted (coralctl_trace.h): the next, or the latest */
    json_int_t next;    /* number of the next record; -1: not asked yet */
};

/* An option, by enum access_filter_key. */
void log_option(struct coralctl_log *l, unsigned key, const char *text);
/* After the options: false with what is wrong in `why`. `word`: behind the verb, or NULL; of
 * a trace a URL. */
bool log_words(struct coralctl_log *l, const char *word, char *why, size_t len);
void log_question(const struct coralctl_log *l, json_t *question);
/* For a terminal, what clients wrote: without its control characters. */
void log_put(const char *text, FILE *out);
/* A line a record, of JSON or for people; says on stderr if some could not be shown. */
void log_show(const json_t *answer, bool json, FILE *out);
/* The answer to --no-wait is empty since nothing was noted before it was asked for: says so. */
void log_hint(const json_t *answer);
/* What to ask for next; true when there is more to be had already. */
bool log_next(struct coralctl_log *l, const json_t *answer);

#endif
