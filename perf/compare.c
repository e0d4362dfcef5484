/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two files of documents that --json wrote, each perhaps several, one behind the other: for each
 * number of their results the ratio of B's to A's with its 95 % interval. Where A's and B's runs
 * took turns, what ran side by side is compared; else all of A's with all of B's, and it is said
 * that the machine may have changed in between. An interval that holds 1 is no finding.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "perf/compare.h"
#include "perf/document.h"
#include "perf/perf.h"
#include "perf/require.h"
#include "perf/statistics.h"

struct side {
    const char *path;
    json_t *first;   /* document */
    json_t *results; /* of all documents */
};

static double began(const json_t *results, size_t i)
{
    return json_number_value(json_object_get(json_array_get(results, i), "began_s"));
}

/* Of each pair one side's run begins before the next pair's. */
static bool took_turns(const struct side *a, const struct side *b)
{
    size_t n = json_array_size(a->results);
    if (n != json_array_size(b->results))
        return false;
    for (size_t i = 0; i + 1 < n; i++) {
        double next_a = began(a->results, i + 1), next_b = began(b->results, i + 1);
        double next = next_a < next_b ? next_a : next_b;
        if (!(began(a->results, i) < next && began(b->results, i) < next))
            return false;
    }
    return true;
}

/* --- fields: paths of all numbers in a result ------------------------------------------------- */

static void add_paths(const json_t *value, const char *at, json_t *paths)
{
    char path[64];
    const char *name;
    json_t *child;
    size_t i;
    if (json_is_number(value))
        json_array_append_new(paths, json_string(at));
    json_object_foreach((json_t *)value, name,
                        child) if (snprintf(path, sizeof(path), "%s%s%s", at, *at ? "." : "",
                                            name) < (int)sizeof(path))
        add_paths(child, path, paths);
    if (json_is_array(value))
        json_array_foreach((json_t *)value, i, child) if (snprintf(path, sizeof(path), "%s.%zu", at,
                                                                   i) < (int)sizeof(path))
            add_paths(child, path, paths);
}

static bool all_equal(const double *a, unsigned n, const double *b, unsigned m)
{
    for (unsigned i = 0; i < n; i++)
        if (a[i] < a[0] || a[i] > a[0])
            return false;
    for (unsigned i = 0; i < m; i++)
        if (b[i] < a[0] || b[i] > a[0])
            return false;
    return true;
}

static const char *verdict(const struct ratio *r)
{
    if (!r->known)
        return "can't tell";
    return r->low > 1 ? "more" : r->high < 1 ? "less" : "can't tell";
}

/* NULL: nothing to compare, as what was asked for. */
static json_t *compare_field(const char *path, const struct side *a, const struct side *b,
                             bool paired)
{
    static double x[PERF_REPEATS], y[PERF_REPEATS];
    unsigned n = require_values(a->results, path, x), m = require_values(b->results, path, y);
    if (n == 0 || m == 0 || all_equal(x, n, y, m) || strcmp(path, "began_s") == 0)
        return NULL;
    bool all = n == json_array_size(a->results) && m == json_array_size(b->results);
    struct ratio r = paired && all ? statistics_paired(x, y, n) : statistics_unpaired(x, n, y, m);
    json_t *row = json_pack("{s:s, s:s}", "field", path, "verdict", verdict(&r));
    if (r.known)
        json_object_update_new(
            row, json_pack("{s:f, s:f, s:f}", "ratio", r.is, "low", r.low, "high", r.high));
    json_object_update_new(row, json_pack("{s:f, s:f}", "a_median", measure_median(x, n),
                                          "b_median", measure_median(y, m)));
    return row;
}

/* --- what is said ----------------------------------------------------------------------------- */

static void add_difference(json_t *notes, const struct side *a, const struct side *b,
                           const char *field)
{
    const json_t *x = json_object_get(a->first, field), *y = json_object_get(b->first, field);
    if (x == y || json_equal(x, y))
        return;
    json_array_append_new(notes, json_is_string(x) && json_is_string(y)
                                     ? json_sprintf("the %ss differ: %s; %s", field,
                                                    json_string_value(x), json_string_value(y))
                                     : json_sprintf("the %ss differ: see the files", field));
}

static json_t *notes_of(const struct side *a, const struct side *b, bool paired)
{
    json_t *notes = json_array();
    size_t n = json_array_size(a->results), m = json_array_size(b->results);
    if (n < 3 || m < 3)
        json_array_append_new(notes, json_string("fewer than 3 runs on a side say nothing about "
                                                 "their spread: --repeat"));
    if (!paired)
        json_array_append_new(
            notes, json_string("A's and B's runs did not take turns: the machine may have changed "
                               "in between, and no interval knows of that"));
    static const char *const fields[] = {"name", "machine", "kernel", "command"};
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        add_difference(notes, a, b, fields[i]);
    return notes;
}

static void print(const json_t *out)
{
    size_t i;
    json_t *row;
    printf("%-34s %12s %12s %8s %17s\n", "median", "A", "B", "B/A", "95 % interval");
    json_array_foreach(json_object_get(out, "fields"), i, row)
    {
        const char *word = json_string_value(json_object_get(row, "verdict"));
        printf("%-34s %12.6g %12.6g", json_string_value(json_object_get(row, "field")),
               json_number_value(json_object_get(row, "a_median")),
               json_number_value(json_object_get(row, "b_median")));
        if (json_object_get(row, "ratio"))
            printf(" %8.3f %7.3f to %6.3f  %s\n", json_number_value(json_object_get(row, "ratio")),
                   json_number_value(json_object_get(row, "low")),
                   json_number_value(json_object_get(row, "high")), word);
        else
            printf(" %8s %17s  %s\n", "", "", word);
    }
    json_array_foreach(json_object_get(out, "notes"), i, row)
        printf("note: %s\n", json_string_value(row));
}

static json_t *compare(const struct side *a, const struct side *b)
{
    bool paired = took_turns(a, b);
    json_t *paths = json_array(), *rows = json_array(), *path;
    size_t i;
    add_paths(json_array_get(a->results, 0), "", paths);
    json_array_foreach(paths, i, path)
    {
        json_t *row = compare_field(json_string_value(path), a, b, paired);
        if (row)
            json_array_append_new(rows, row);
    }
    json_decref(paths);
    return json_pack("{s:s, s:s, s:I, s:I, s:b, s:o, s:o}", "a", a->path, "b", b->path, "a_runs",
                     (json_int_t)json_array_size(a->results), "b_runs",
                     (json_int_t)json_array_size(b->results), "took_turns", paired, "fields", rows,
                     "notes", notes_of(a, b, paired));
}

int compare_main(int argc, char **argv)
{
    struct side side[2] = {0};
    unsigned n = 0;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (argv[i][0] == '-' && argv[i][1])
            return perf_refuse("compare", argv[i], "is no option of it; there is --json");
        else if (n == 2)
            return perf_refuse("compare", argv[i], "is one file too many: it takes A.json B.json");
        else
            side[n++].path = argv[i];
    }
    if (n < 2)
        return perf_refuse("compare", n ? side[0].path : "", "is not two files: A.json B.json");
    int status = STATUS_FAILED;
    if (document_read(side[0].path, &side[0].first, &side[0].results) &&
        document_read(side[1].path, &side[1].first, &side[1].results)) {
        json_t *out = compare(&side[0], &side[1]);
        if (json)
            document_print(out);
        else
            print(out);
        status = STATUS_DONE;
        if (json_array_size(json_object_get(out, "fields")) == 0) {
            fprintf(stderr, "coral-perf: %s, %s: no number differs, or none is in both\n",
                    side[0].path, side[1].path);
            status = STATUS_FAILED;
        }
        json_decref(out);
    }
    for (unsigned i = 0; i < 2; i++) {
        json_decref(side[i].first);
        json_decref(side[i].results);
    }
    return status;
}
