/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/perf.h"
#include "perf/plot.h"

void plot_text(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'')
            fputc('\'', script);
        if ((unsigned char)*text >= ' ')
            fputc(*text, script);
    }
    fputc('\'', script);
}

void plot_name(const char *path, char *out, size_t len)
{
    const char *name = strrchr(path, '/');
    snprintf(out, len, "%s", name ? name + 1 : path);
    char *end = strrchr(out, '.');
    if (end && end != out)
        *end = 0;
}

const char *plot_colour(unsigned i)
{
    static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                          "#e69f00", "#56b4e9", "#000000", "#999999"};
    return colours[i % (sizeof(colours) / sizeof(colours[0]))];
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_percentiles(const char *path)
{
    return ends_with(path, ".hgrm") || ends_with(path, ".csv");
}

static void write_frame(const struct plot *p, FILE *script)
{
    fputs(
        "set terminal svg noenhanced size 760,480 font \"Helvetica,13\" background \"white\"\n"
        "set grid xtics ytics linecolor rgb \"#dddddd\" linetype 1\n"
        "set border 3\nset tics nomirror\nset key outside bottom center horizontal Left reverse\n",
        script);
    if (p->output) {
        fputs("set output ", script);
        plot_text(script, p->output);
        fputc('\n', script);
    }
    if (p->title) {
        fputs("set title ", script);
        plot_text(script, p->title);
        fputc('\n', script);
    }
}

static bool run_gnuplot(const char *script)
{
    fflush(stdout);
    signal(SIGPIPE, SIG_IGN); /* a shell that finds none is gone before it is written to */
    FILE *gnuplot = popen("gnuplot", "w");
    if (gnuplot)
        fputs(script, gnuplot);
    int status = gnuplot ? pclose(gnuplot) : -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    fprintf(stderr, "coral-perf: plot: gnuplot ended with status %d%s\n", WEXITSTATUS(status),
            WEXITSTATUS(status) == 127 ? ": it is not installed (package gnuplot-nox)" : "");
    return false;
}

static int read_arguments(int argc, char **argv, struct plot *p)
{
    static const struct option options[] = {{"x", required_argument, NULL, 'x'},
                                            {"y", required_argument, NULL, 'y'},
                                            {"title", required_argument, NULL, 't'},
                                            {"output", required_argument, NULL, 'o'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == '?')
            return STATUS_USAGE;
        *(c == 'x' ? &p->x : c == 'y' ? &p->y : c == 't' ? &p->title : &p->output) = optarg;
    }
    for (; optind < argc; optind++) {
        if (p->files == PLOT_FILES)
            return perf_refuse("plot", argv[optind],
                               "is one file more than the 16 that there may be");
        p->file[p->files++] = argv[optind];
    }
    if (p->files == 0)
        return perf_refuse("plot", "", "is no file: it takes what --json, --hgrm or --csv wrote");
    for (unsigned i = 1; i < p->files; i++)
        if (is_percentiles(p->file[i]) != is_percentiles(p->file[0]))
            return perf_refuse(
                "plot", p->file[i],
                "is of another kind than the first file: .hgrm and .csv have times by "
                "percentile, others are documents of --json");
    if (is_percentiles(p->file[0]) && (p->x || p->y))
        return perf_refuse(p->x ? "--x" : "--y", p->x ? p->x : p->y,
                           "goes with documents of --json, not with percentiles");
    return -1;
}

int plot_main(int argc, char **argv)
{
    struct plot p = {0};
    char *script = NULL;
    size_t len;
    int status = read_arguments(argc, argv, &p);
    if (status >= 0)
        return status;
    FILE *out = open_memstream(&script, &len);
    write_frame(&p, out);
    bool ok = is_percentiles(p.file[0]) ? plot_percentiles(&p, out) : plot_points(&p, out);
    fclose(out);
    ok = ok && run_gnuplot(script);
    free(script);
    return ok ? STATUS_DONE : STATUS_FAILED;
}
