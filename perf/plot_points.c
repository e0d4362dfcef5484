/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "perf/document.h"
#include "perf/perf.h"
#include "perf/plot.h"

/* What is likely to have been changed from run to run, the first that was is x. */
static const char *const conditions[] = {"rate", "connections", "active", "objects",
                                         "size", "cores",       "batch",  "zipf"};
#define CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

static bool varies(const json_t *results, const char *field)
{
    double first, v;
    bool known = false, other = false;
    for (size_t i = 0; i < json_array_size(results); i++)
        if (require_field(json_array_get(results, i), field, &v)) {
            other |= known && (v < first || v > first);
            first = known ? first : v;
            known = true;
        }
    return other;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* For each x, in order: x, and median, least and most of y. */
static unsigned write_series(const json_t *results, const char *x, const char *y, FILE *script)
{
    size_t n = json_array_size(results);
    double *at = calloc(n + 1, sizeof(*at)), *value = calloc(n + 1, sizeof(*value)), v;
    unsigned places = 0, points = 0;
    for (size_t i = 0; at && i < n; i++)
        places += require_field(json_array_get(results, i), x, &at[places]);
    if (at)
        qsort(at, places, sizeof(*at), by_value);
    for (unsigned k = 0; value && k < places; k++) {
        unsigned m = 0;
        if (k > 0 && at[k] <= at[k - 1])
            continue;
        for (size_t i = 0; i < n; i++) {
            const json_t *r = json_array_get(results, i);
            if (require_field(r, x, &v) && v <= at[k] && v >= at[k])
                m += require_field(r, y, &value[m]);
        }
        if (m == 0)
            continue;
        double median = measure_median(value, m); /* sorts */
        fprintf(script, "%.12g %.12g %.12g %.12g\n", at[k], median, value[0], value[m - 1]);
        points++;
    }
    free(at);
    free(value);
    return points;
}

static bool write_all(const struct plot *p, const char *x, const char *y, json_t *const results[],
                      FILE *script)
{
    char name[128];
    for (unsigned i = 0; i < p->files; i++) {
        fprintf(script, "$f%u << EOD\n", i);
        unsigned points = write_series(results[i], x, y, script);
        fputs("EOD\n", script);
        if (points == 0) {
            fprintf(stderr, "coral-perf: %s: no result has both \"%s\" and \"%s\"\n", p->file[i], x,
                    y);
            return false;
        }
    }
    fputs("set xlabel ", script);
    plot_text(script, x);
    fputs("\nset ylabel ", script);
    plot_text(script, y);
    fputs("\nset yrange [0:]\nset offsets graph 0.03, graph 0.03, graph 0.05, 0\nplot ", script);
    for (unsigned i = 0; i < p->files; i++) {
        plot_name(p->file[i], name, sizeof(name));
        fprintf(script,
                "%s$f%u using 1:2:3:4 with yerrorbars lw 1 lc rgb \"%s\" notitle, $f%u using 1:2 "
                "with linespoints lw 2 pt 7 ps 0.5 lc rgb \"%s\" title ",
                i ? ", " : "", i, plot_colour(i), i, plot_colour(i));
        plot_text(script, name);
    }
    fputc('\n', script);
    return true;
}

bool plot_points(const struct plot *p, FILE *script)
{
    json_t *first[PLOT_FILES] = {0}, *results[PLOT_FILES] = {0}, *all = json_array();
    const char *x = p->x, *y = p->y ? p->y : "ops_per_s";
    bool ok = true;
    for (unsigned i = 0; i < p->files && ok; i++) {
        ok = document_read(p->file[i], &first[i], &results[i]);
        json_array_extend(all, results[i]);
    }
    for (unsigned i = 0; i < CONDITIONS && ok && !x; i++)
        if (varies(all, conditions[i]))
            x = conditions[i];
    if (ok && !x) {
        fprintf(stderr, "coral-perf: plot: nothing was varied in these files (rate, connections, "
                        "objects, size, cores...); say what to plot against by --x FIELD\n");
        ok = false;
    }
    ok = ok && write_all(p, x, y, results, script);
    for (unsigned i = 0; i < p->files; i++) {
        json_decref(first[i]);
        json_decref(results[i]);
    }
    json_decref(all);
    return ok;
}
