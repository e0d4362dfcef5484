/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "perf/plot.h"

/* Value and percentile of a line of either form; the head and notes are none. */
static bool read_line(char *line, double *us, double *share)
{
    for (char *p = line; *p; p++)
        if (*p == ',')
            *p = ' ';
    return sscanf(line, "%lf %lf", us, share) == 2 && *share >= 0 && *share <= 1;
}

/* The last line has all answers, and no place on an axis of 1/(1-share): it stands where its rest
 * would be half an answer. */
static bool write_series(const char *path, unsigned i, FILE *script)
{
    char line[256];
    double us, share, total = 0, most = 0;
    unsigned n = 0;
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "coral-perf: %s: %m\n", path);
        return false;
    }
    fprintf(script, "$f%u << EOD\n", i);
    while (fgets(line, sizeof(line), f)) {
        if (!read_line(line, &us, &share))
            continue;
        sscanf(line, "%*f %*f %lf", &total);
        most = us;
        n++;
        if (share < 1)
            fprintf(script, "%.12g %.12g\n", 1 / (1 - share), us);
    }
    if (n > 0)
        fprintf(script, "%.12g %.12g\n", 2 * total, most);
    fputs("EOD\n", script);
    fclose(f);
    if (n == 0)
        fprintf(stderr,
                "coral-perf: %s: there is no percentile in it; it takes what --hgrm or --csv "
                "wrote\n",
                path);
    return n > 0;
}

bool plot_percentiles(const struct plot *p, FILE *script)
{
    char name[128];
    for (unsigned i = 0; i < p->files; i++)
        if (!write_series(p->file[i], i, script))
            return false;
    fputs("set logscale xy\nset xlabel \"share of answers, %\"\nset ylabel \"microseconds\"\n"
          "set xtics (\"0\" 1, \"50\" 2, \"90\" 10, \"99\" 100, \"99.9\" 1e3, \"99.99\" 1e4, "
          "\"99.999\" 1e5, \"99.9999\" 1e6, \"99.99999\" 1e7)\nset xrange [1:]\nplot ",
          script);
    for (unsigned i = 0; i < p->files; i++) {
        plot_name(p->file[i], name, sizeof(name));
        fprintf(script, "%s$f%u using 1:2 with steps lw 2 lc rgb \"%s\" title ", i ? ", " : "", i,
                plot_colour(i));
        plot_text(script, name);
    }
    fputc('\n', script);
    return true;
}
