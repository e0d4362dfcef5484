/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a simulation writes down: distributions, one hash over all that happened, a JSON object a
 * run and TSV rows for gnuplot. Every file names the command line, the revision and the seed.
 */
#ifndef CORAL_TOOLS_SIM_REPORT_H
#define CORAL_TOOLS_SIM_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/hist.h"
#include "tools/sim/queue.h"

/* A distribution of whole numbers: hops, microseconds, bytes. {0} is an empty one; 7 KiB. */
struct summary {
    struct hist hist; /* log buckets, within 3.1 %; numbers below 32 are exact */
    uint64_t n, sum, min, max;
};

void summary_add(struct summary *s, uint64_t value);
void summary_merge(struct summary *dst, const struct summary *src);
/* The value below which a share q (0 to 1) of the samples lie; 0 without samples. */
uint64_t summary_quantile(const struct summary *s, double q);
/* {"n", "mean", "min", "p1", "p10", "p50", "p90", "p99", "p999", "max"}, or {"n": 0}. A new
 * reference. */
json_t *summary_json(const struct summary *s);

/* Over all events in the order in which they were handled; equal iff the runs were equal. Begin
 * with 0. A parallel run keeps one a node and folds them in the nodes' order. */
uint64_t report_hash_event(uint64_t hash, const struct event *e);
uint64_t report_hash_number(uint64_t hash, uint64_t number);

/* {"command", "revision", "seed"} of a run, to which the caller adds what it found. A new
 * reference; NULL: no memory. */
json_t *report_create(int argc, char *const *argv, uint64_t seed);
/* 64 bits as JSON, whose numbers are signed: "0x0123456789abcdef". */
json_t *report_hex(uint64_t value);
/* Writes the object and a line's end; "-" is standard output. False: errno says why. */
bool report_write(const json_t *report, const char *path);
/* The same for people: a row a figure, then whether all held, or what did not ("broken"). */
void report_say(const json_t *report, FILE *to);

/* Rows for gnuplot. The head is a comment with the command, the seed and the columns' names. */
struct tsv {
    FILE *file;
    unsigned columns;
};

/* columns: names with tabs between. "-" is standard output. False: errno says why. */
bool tsv_open(struct tsv *t, const char *path, const json_t *report, const char *columns);
/* As many values as columns. */
void tsv_row(struct tsv *t, const double *value, unsigned n);
/* False: something could not be written. */
bool tsv_close(struct tsv *t);

#endif
