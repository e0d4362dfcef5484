/* SPDX-License-Identifier: BSD-3-Clause */
/* coralctl trace: one request's story, made of its record in the access log. */
#ifndef CORAL_TOOLS_CORALCTL_TRACE_H
#define CORAL_TOOLS_CORALCTL_TRACE_H

#include "tools/coralctl_log.h"

/* The record that was waited for; NULL: not yet, or there is none. It is the answer's. */
const json_t *trace_found(const struct coralctl_log *l, const json_t *answer);
/* Of --no-wait, when nothing was found: why, and what helps. */
const char *trace_none(const json_t *answer);
/* The record as JSON, or the story for people. Only what the record says: of a fetch that another
 * request began it is not known what it waited for. */
void trace_show(const json_t *record, bool json, FILE *out);

#endif
