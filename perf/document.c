/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <rte_version.h>

#include "perf/document.h"
#include "perf/perf.h"
#include "version.h"

#define FORMAT 1

/* The value of the first line of a file that begins with `name`, behind what separates them. */
static void line_of(const char *path, const char *name, char *out, size_t len)
{
    char line[512];
    FILE *f = fopen(path, "r");
    out[0] = 0;
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, name, strlen(name)) == 0) {
            const char *value = line + strlen(name);
            value += strspn(value, " \t:=\"");
            snprintf(out, len, "%.*s", (int)strcspn(value, "\"\n"), value);
            break;
        }
    if (f)
        fclose(f);
}

static json_t *machine(void)
{
    char model[128], flags[512];
    line_of("/proc/cpuinfo", "model name", model, sizeof(model));
    line_of("/proc/cpuinfo", "flags", flags, sizeof(flags));
    return json_pack("{s:s, s:i, s:b, s:I}", "cpu", model, "cpus",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "virtual",
                     strstr(flags, " hypervisor") != NULL, "memory_bytes",
                     (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
}

static json_t *versions(void)
{
    char system[128];
    line_of("/etc/os-release", "PRETTY_NAME", system, sizeof(system));
    return json_pack("{s:s, s:s, s:s, s:s}", "coral", CORAL_VERSION, "dpdk", rte_version(),
                     "compiler",
#ifdef __clang__
                     "clang " __clang_version__,
#else
                     "gcc " __VERSION__,
#endif
                     "system", system);
}

json_t *document_command(int argc, char **argv)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fputs("coral-perf", out);
    for (int i = 1; i < argc; i++) {
        bool plain =
            argv[i][0] && strspn(argv[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                                          "WXYZ0123456789-_./=,:") == strlen(argv[i]);
        fputs(plain ? " " : " '", out);
        for (const char *p = argv[i]; *p; p++)
            fputs(*p == '\'' ? "'\\''" : (char[]){*p, 0}, out);
        fputs(plain ? "" : "'", out);
    }
    fclose(out);
    json_t *s = json_string(text);
    free(text);
    return s ? s : json_string("(not UTF-8)");
}

json_t *document_make(json_t *command, const char *name, json_t *results)
{
    struct utsname u;
    uname(&u);
    return json_pack("{s:i, s:s, s:o, s:s, s:o, s:s, s:o, s:o}", "format", FORMAT, "name", name,
                     "command", command, "revision", CORAL_REVISION, "machine", machine(), "kernel",
                     u.release, "versions", versions(), "results", results);
}

json_t *document_summary(const json_t *results)
{
    json_t *summary = json_object(), *first = json_array_get(results, 0), *value;
    const char *name;
    json_object_foreach(first, name, value)
    {
        double v[PERF_REPEATS];
        unsigned n = 0;
        for (size_t i = 0; i < json_array_size(results) && n < PERF_REPEATS; i++) {
            const json_t *x = json_object_get(json_array_get(results, i), name);
            if (json_is_number(x))
                v[n++] = json_number_value(x);
        }
        if (n < json_array_size(results) || strcmp(name, "began_s") == 0)
            continue;
        double median = measure_median(v, n); /* sorts */
        json_object_set_new(
            summary, name,
            json_pack("{s:f, s:f, s:f}", "median", median, "least", v[0], "most", v[n - 1]));
    }
    return summary;
}

void document_print(const json_t *document)
{
    json_dumpf(document, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(13));
    putchar('\n');
}

void document_print_summary(const json_t *summary, unsigned runs)
{
    const char *name;
    json_t *value;
    printf("%-34s %14s %14s %14s\n", "", "median", "least", "most");
    json_object_foreach((json_t *)summary, name, value)
    {
        double median = json_number_value(json_object_get(value, "median")),
               least = json_number_value(json_object_get(value, "least")),
               most = json_number_value(json_object_get(value, "most"));
        if (least < most)
            printf("%-34s %14.6g %14.6g %14.6g\n", name, median, least, most);
    }
    printf("of %u runs\n", runs);
}
