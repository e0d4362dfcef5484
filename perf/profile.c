/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "perf/document.h"
#include "perf/perf.h"
#include "perf/profile.h"

#define ARGUMENTS 64

static const struct {
    const char *name, *text;
} stages[] = {
#define X(name, text) {#name, text},
    PROFILE_STAGES(X)
#undef X
};

static const struct {
    const char *name, *field, *column;
} events[PROFILE_EVENTS] = {
    [PROFILE_CYCLES] = {"cycles", "cycles_per_op", "cycles/op"},
    [PROFILE_NS] = {"ns", "ns_per_op", "ns/op"},
    [PROFILE_INSTRUCTIONS] = {"instructions", "instructions_per_op", "instr./op"},
};

static uint64_t all_of(const uint64_t count[PROFILE_STAGE_COUNT])
{
    uint64_t all = 0;
    for (unsigned i = 0; i < PROFILE_STAGE_COUNT; i++)
        all += count[i];
    return all;
}

/* Of which shares are told: the first that there is. */
static const uint64_t *main_count(const struct profile *p)
{
    unsigned e = 0;
    while (e + 1 < PROFILE_EVENTS && all_of(p->count[e]) == 0)
        e++;
    return p->count[e];
}

/* --- what is said ----------------------------------------------------------------------------- */

static json_t *stage_json(const struct profile *p, unsigned i)
{
    const uint64_t *count = main_count(p);
    json_t *row = json_pack("{s:s, s:f}", "stage", stages[i].name, "share",
                            (double)count[i] / (double)all_of(count));
    for (unsigned e = 0; e < PROFILE_EVENTS && p->ops > 0; e++)
        if (all_of(p->count[e]) > 0)
            json_object_set_new(row, events[e].field, json_real((double)p->count[e][i] / p->ops));
    return row;
}

static json_t *profile_json(const struct profile *p)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < PROFILE_STAGE_COUNT; i++)
        if (main_count(p)[i] > 0)
            json_array_append_new(list, stage_json(p, i));
    json_t *result = json_pack("{s:o}", "stages", list);
    if (p->samples > 0)
        json_object_set_new(result, "samples", json_integer((json_int_t)p->samples));
    for (unsigned e = 0; e < PROFILE_EVENTS; e++) {
        uint64_t all = all_of(p->count[e]);
        if (all > 0)
            json_object_set_new(result, events[e].name, json_integer((json_int_t)all));
        if (all > 0 && p->ops > 0)
            json_object_set_new(result, events[e].field, json_real((double)all / p->ops));
    }
    return result;
}

/* A row: of a stage, or of all. */
static void print_costs(const struct profile *p, int stage)
{
    for (unsigned e = 0; e < PROFILE_EVENTS; e++) {
        uint64_t all = all_of(p->count[e]);
        if (all > 0 && p->ops > 0)
            printf(" %12.1f", (double)(stage < 0 ? all : p->count[e][stage]) / p->ops);
    }
}

static void print(const struct profile *p)
{
    const uint64_t *count = main_count(p);
    uint64_t all = all_of(count);
    printf("%-8s %8s", "stage", "share");
    for (unsigned e = 0; e < PROFILE_EVENTS && p->ops > 0; e++)
        if (all_of(p->count[e]) > 0)
            printf(" %12s", events[e].column);
    putchar('\n');
    for (unsigned i = 0; i < PROFILE_STAGE_COUNT; i++) {
        if (count[i] == 0)
            continue;
        printf("%-8s %7.1f%%", stages[i].name, 100 * (double)count[i] / (double)all);
        print_costs(p, (int)i);
        printf("  %s\n", stages[i].text);
    }
    if (p->ops > 0) {
        printf("%-8s %8s", "all", "");
        print_costs(p, -1);
        printf("  of %.0f operations", p->ops);
        if (p->samples > 0)
            printf(", of %llu samples", (unsigned long long)p->samples);
        putchar('\n');
    }
    if (10 * count[PROFILE_other] > all)
        printf(
            "Much is not known: a build with -Ddebug=true knows the source of each instruction.\n");
}

/* --- the command line ------------------------------------------------------------------------- */

static bool write_flame(const struct flame *f, FILE *out, const char *path, const char *title)
{
    bool ok = flame_write(f, title, out);
    ok = fclose(out) == 0 && ok;
    if (!ok)
        fprintf(stderr, "coral-perf: --flame: %s: %m\n", path);
    return ok;
}

/* Counters where there are any; else instructions, of which valgrind knows each, but for a flame
 * graph, which needs time. */
static bool profile_run(int argc, char **argv, const char *flame_path, bool json, json_t *command)
{
    static struct profile p;
    struct flame flame = {0};
    FILE *out = flame_path ? fopen(flame_path, "w") : NULL; /* now: else a run is for nothing */
    if (flame_path && !out) {
        fprintf(stderr, "coral-perf: --flame: %s: %m\n", flame_path);
        return false;
    }
    bool ok = flame_path || profile_counters()
                  ? profile_perf(argc, argv, &p, flame_path ? &flame : NULL)
                  : profile_callgrind(argc, argv, &p);
    if (ok && out)
        ok = write_flame(&flame, out, flame_path, json_string_value(command));
    else if (out)
        fclose(out);
    flame_free(&flame);
    if (ok && json) {
        json_t *d =
            document_make(json_incref(command), "profile", json_pack("[o]", profile_json(&p)));
        document_print(d);
        json_decref(d);
    } else if (ok) {
        print(&p);
    }
    return ok;
}

static bool profile_file(const char *path, bool json)
{
    static struct profile p;
    if (!profile_read(path, p.count[PROFILE_INSTRUCTIONS]))
        return false;
    if (all_of(p.count[PROFILE_INSTRUCTIONS]) == 0) {
        fprintf(stderr, "coral-perf: profile: %s: no function in it has a cost\n", path);
        return false;
    }
    if (json) {
        json_t *result = profile_json(&p);
        document_print(result);
        json_decref(result);
    } else {
        print(&p);
    }
    return true;
}

int profile_main(int argc, char **argv)
{
    char *word[ARGUMENTS];
    const char *flame = NULL;
    int n = 0;
    bool json = false;
    if (argc < 2 || argc > ARGUMENTS)
        return perf_refuse("profile", "",
                           "is no command line: it takes http or dns with their "
                           "options, or --file CALLGRIND.OUT");
    if (strcmp(argv[1], "--file") == 0) {
        json = argc == 4 && strcmp(argv[3], "--json") == 0;
        if (argc != 3 && !json)
            return perf_refuse("profile --file", argc > 2 ? argv[argc - 1] : "",
                               "is not one file, and perhaps --json");
        return profile_file(argv[2], json) ? STATUS_DONE : STATUS_FAILED;
    }
    if (strcmp(argv[1], "http") != 0 && strcmp(argv[1], "dns") != 0)
        return perf_refuse("profile", argv[1],
                           "has no worker to be profiled: there are http and dns");
    for (int i = 1; i < argc; i++) {
        static const char *const others[] = {"--repeat", "--find-max", "--wire", "--serve"};
        for (unsigned k = 0; k < sizeof(others) / sizeof(others[0]); k++)
            if (strncmp(argv[i], others[k], strlen(others[k])) == 0)
                return perf_refuse(
                    "profile", argv[i],
                    "has no place there: it is of one run of a worker in this process");
        if (strcmp(argv[i], "--flame") == 0 && i + 1 == argc)
            return perf_refuse("--flame", "", "needs a file: --flame FILE.svg");
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--flame") == 0)
            flame = argv[++i];
        else
            word[n++] = argv[i];
    }
    json_t *command = document_command(argc + 1, argv - 1);
    bool ok = profile_run(n, word, flame, json, command);
    json_decref(command);
    return ok ? STATUS_DONE : STATUS_FAILED;
}
