/* SPDX-License-Identifier: BSD-3-Clause */
/* What --json writes: one document a command, with all that a stranger needs to know of it. */
#ifndef CORAL_PERF_DOCUMENT_H
#define CORAL_PERF_DOCUMENT_H

#include <stdbool.h>

#include <jansson.h>

/* {format, command, revision, machine, kernel, versions, results}, which takes `command` and
 * `results`. */
json_t *document_make(json_t *command, const char *name, json_t *results);
/* A command line as a shell would read it; to be asked for before getopt moves its words. */
json_t *document_command(int argc, char **argv);
/* Of several results, for each number that they all have: its median, least and most. */
json_t *document_summary(const json_t *results);
/* A file of documents, one behind the other: the first of them, and the results of all; both are
 * the caller's. False, and said on standard error: it is none. */
bool document_read(const char *path, json_t **first, json_t **results);
/* On standard output. */
void document_print(const json_t *document);
/* The same for people: a line a number that differs. */
void document_print_summary(const json_t *summary, unsigned runs);

#endif
