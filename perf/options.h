/* SPDX-License-Identifier: BSD-3-Clause */
/* Of the command line: what options.c has taken, options_check.c holds together. */
#ifndef CORAL_PERF_OPTIONS_H
#define CORAL_PERF_OPTIONS_H

#include "perf/perf.h"

#define OPTIONS_CONNECTIONS_HTTP 1200000 /* as many as the clients' addresses have ports for */

/* Do they go together, and with the command? Fills in what was not said. -1: well; else the exit
 * status, and it is said. */
int options_check(struct perf_options *o);

#endif
