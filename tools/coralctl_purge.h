/* SPDX-License-Identifier: BSD-3-Clause */
/* coralctl purge: what its words name, the question, and what is printed when it is done. */
#ifndef CORAL_TOOLS_CORALCTL_PURGE_H
#define CORAL_TOOLS_CORALCTL_PURGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "control/request.h"

struct coralctl_purge {
    bool soft;
    unsigned named; /* things that were named: there must be one */
    enum request_purge kind;
    const char *text;
    const char
        *option; /* the first of its options, one that is not --host if there is such a one */
};

/* An option: 'S' for --soft, else what it names by enum request_purge. */
void purge_option(struct coralctl_purge *p, int option, const char *text);
/* After the options: the word behind the verb, NULL when there is none, and --all. */
void purge_words(struct coralctl_purge *p, const char *url, bool all);
/* NULL, or what is wrong. */
const char *purge_wrong(const struct coralctl_purge *p);
void purge_question(const struct coralctl_purge *p, json_t *question);
void purge_show(const struct coralctl_purge *p, FILE *out);

#endif
