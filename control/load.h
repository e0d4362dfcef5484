/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration with all the files that it names, read and judged whole: at the start, and for a
 * node that runs. */
#ifndef CORAL_CONTROL_LOAD_H
#define CORAL_CONTROL_LOAD_H

#include <jansson.h>

#include "control/view.h"

struct load {
    const char *file, *instance;  /* as people named them; instance NULL: it was not */
    const struct config *running; /* what a node runs by, which must stay; NULL: none runs */
    bool has_rules;               /* ... and there are rules in force, */
    uint64_t rules_print;         /* of this text */

    struct config config;
    struct report report;        /* to be freed */
    struct proxy_policy *policy; /* NULL: there are mistakes in `report`, and no `config`; or none,
                                  * and no memory */
    bool rules_stay;             /* the rules in force are what is wanted; `policy` has none yet */
    json_t *kept; /* paths of what differs from `running` and stays as it is there; NULL without */
};

/* Reads it all; waits for the compilers of deny list and expressions. Any thread; reads clocks and
 * files, and has no state. */
void load_read(struct load *l);
/* The exit status that says what became of it: 0; 1 failed, 2 mistakes, 5 not permitted. */
int load_status(const struct load *l);

#endif
