/* SPDX-License-Identifier: BSD-3-Clause */
/* A report as people read it. */
#include <math.h>
#include <string.h>

#include "tools/sim/report.h"

/* A row: what a member of the report, or two, say; only where the first one is a number. */
struct line {
    const char *what, *path, *second; /* names with dots between */
    enum { COUNT, SHARE, TIME, RATE } kind;
};

static const struct line lines[] = {
    {"gets that found what is there", "get_success", NULL, SHARE},
    {"gets, found", "load.gets", "load.found", COUNT},
    {"puts, stored", "load.puts", "load.stored", COUNT},
    {"hops of a get, mean, p99", "hops_mean", "hops_p99", RATE},
    {"hops, mean expected", "hops_expected", NULL, RATE},
    {"hops of a put, mean, p99", "put_hops_mean", "put_hops_p99", RATE},
    {"time of a get, p50, p99", "load.get_us.p50", "load.get_us.p99", TIME},
    {"round trip to the holder, p50, p99", "load.holder_us.p50", "load.holder_us.p99", TIME},
    {"stores a minute at a key's root, p99, most", "root_rate_p99", "root_rate_max", RATE},
    {"the same, allowed in the p99", "root_rate_bound", NULL, RATE},
    {"objects, fetches from the origin", "objects", "origin_fetches", COUNT},
    {"fetches a cluster and object, mean, most", "of_a_cluster_and_object_mean",
     "of_a_cluster_and_object_max", RATE},
    {"until a proxy had it, p50, p99", "took_us.p50", "took_us.p99", TIME},
    {"packets a second and node", "packets_s_a_node", NULL, RATE},
    {"bits a second and node, headers counted", "bits_s_a_node", NULL, RATE},
    {"packets, lost", "packets", "lost", COUNT},
    {"violations of what must always hold", "violations", NULL, COUNT},
};

static const json_t *value_at(const json_t *j, const char *path)
{
    while (j && *path) {
        size_t n = strcspn(path, ".");
        j = json_object_getn(j, path, n);
        path += n + (path[n] == '.');
    }
    return json_is_number(j) ? j : NULL;
}

static void value_print(const json_t *j, int kind, FILE *to)
{
    double v = json_number_value(j);
    if (kind == SHARE)
        fprintf(to, "  %8.3f %%", 100 * v);
    else if (kind == TIME)
        fprintf(to, "  %7.1f ms", v / 1e3);
    else if (kind == RATE && v < 100 && v != floor(v))
        fprintf(to, "  %10.2f", v);
    else
        fprintf(to, "  %10.0f", v);
}

/* Purity and recall of a level's clusters at a time when they were looked at, and how many there
 * were. */
static void cluster_print(const char *when, int level, const json_t *l, FILE *to)
{
    fprintf(to, "  %-22s %5d  %7.3f  %7.3f  %8.0f  %7.0f\n", when, level,
            json_number_value(value_at(l, "purity")), json_number_value(value_at(l, "recall")),
            json_number_value(value_at(l, "clusters")), json_number_value(value_at(l, "largest")));
}

static void clusters_print(const json_t *report, FILE *to)
{
    static const char *const name[] = {"level_1", "level_2"};
    const char *when;
    json_t *found;
    bool headed = false;

    json_object_foreach((json_t *)(uintptr_t)report, when, found)
    {
        for (int i = 0; i < 2; i++) {
            const json_t *l = json_object_get(found, name[i]);
            if (!value_at(l, "purity"))
                continue;
            if (!headed)
                fprintf(to, "  %-22s %5s  %7s  %7s  %8s  %7s\n", "clusters", "level", "purity",
                        "recall", "number", "largest");
            headed = true;
            cluster_print(when, i + 1, l, to);
        }
    }
}

/* Beside Kademlia, and by lie: what else stands in a list. */
static void lists_print(const json_t *report, FILE *to)
{
    const json_t *row, *rows = json_object_get(report, "rows"),
                       *lies = json_object_get(report, "lies");
    size_t i;

    if (json_array_size(rows))
        fprintf(to, "  %-48s  %10s  %10s\n", "beside a flat Kademlia", "Coral", "Kademlia");
    json_array_foreach(rows, i, row)
        fprintf(to, "  %-48s  %10.5g  %10.5g\n", json_string_value(json_object_get(row, "what")),
                json_number_value(json_object_get(row, "coral")),
                json_number_value(json_object_get(row, "kademlia")));
    if (json_array_size(lies))
        fprintf(to, "  %-12s  %10s  %10s  %10s  %10s\n", "lie", "found", "p50", "p99",
                "violations");
    json_array_foreach(lies, i, row)
    {
        fprintf(to, "  %-12s", json_string_value(json_object_get(row, "lie")));
        value_print(json_object_get(row, "get_success"), SHARE, to);
        value_print(value_at(row, "get_us.p50"), TIME, to);
        value_print(value_at(row, "get_us.p99"), TIME, to);
        value_print(value_at(row, "violations"), COUNT, to);
        fputc('\n', to);
    }
}

void report_say(const json_t *report, FILE *to)
{
    const json_t *broken = json_object_get(report, "broken"), *sentence;
    size_t i;

    fprintf(to, "%s", json_string_value(json_object_get(report, "scenario")));
    if (value_at(report, "nodes"))
        fprintf(to, ": %.0f nodes, %.0f s of their time in %.1f s",
                json_number_value(value_at(report, "nodes")),
                json_number_value(value_at(report, "virtual_s")),
                json_number_value(value_at(report, "wall_s")));
    fputc('\n', to);
    for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const json_t *first = value_at(report, lines[i].path),
                     *second = lines[i].second ? value_at(report, lines[i].second) : NULL;
        bool asked = strcmp(lines[i].path, "load.gets") != 0 || value_at(report, "get_success");
        bool none = strncmp(lines[i].path, "load.", 5) == 0 && json_number_value(first) == 0;
        if (!first || !asked || none)
            continue;
        fprintf(to, "  %-48s", lines[i].what);
        value_print(first, lines[i].kind, to);
        if (second)
            value_print(second, lines[i].kind, to);
        fputc('\n', to);
    }
    clusters_print(report, to);
    lists_print(report, to);
    if (json_is_true(json_object_get(report, "good")))
        fprintf(to, "good: all held\n");
    else if (json_array_size(broken) == 0)
        fprintf(to, "not good: it could not be run; is there memory for it?\n");
    json_array_foreach(broken, i, sentence)
        fprintf(to, "does not hold: %s\n", json_string_value(sentence));
}
