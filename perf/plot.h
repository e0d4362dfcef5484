/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coral-perf plot: files in, a script for gnuplot out, which makes an SVG of it.
 *
 *   plot.c               the command line, gnuplot
 *   plot_points.c        documents: a field against another; a series a file
 *   plot_percentiles.c   times of answers by percentile, of .hgrm and .csv files
 */
#ifndef CORAL_PERF_PLOT_H
#define CORAL_PERF_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#define PLOT_FILES 16

struct plot {
    const char *x, *y, *title, *output; /* NULL: not given */
    const char *file[PLOT_FILES];
    unsigned files;
};

/* argv[0] is "plot". Returns the exit status. */
int plot_main(int argc, char **argv);

/* What is plotted, behind what plot.c wrote for both. False, and said on standard error: the files
 * have nothing of it. */
bool plot_points(const struct plot *p, FILE *script);
bool plot_percentiles(const struct plot *p, FILE *script);

/* --- for these --- */

/* Text in gnuplot's single quotes: in double ones it runs what stands in backquotes. */
void plot_text(FILE *script, const char *text);
/* A file's name without its folder and ending. */
void plot_name(const char *path, char *out, size_t len);
/* The colour of the i-th series (Okabe and Ito, 2008: told apart by all eyes). */
const char *plot_colour(unsigned i);

#endif
