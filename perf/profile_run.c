/* SPDX-License-Identifier: BSD-3-Clause */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "perf/profile.h"
#include "perf/require.h"

#define WORDS 96

/* A command line: coral-perf's own with worker and load in turns on one core, behind another
 * program's. */
struct line {
    const char *word[WORDS];
    unsigned n;
    char self[256];
};

static void add(struct line *l, const char *word)
{
    if (l->n + 1 < WORDS)
        l->word[l->n++] = word;
}

static bool make_line(struct line *l, const char *const *before, int argc, char **argv)
{
    static const char *const ours[] = {"--cores", "1", "--no-huge", "--json", NULL};
    bool scheduled = false;
    *l = (struct line){0};
    if (readlink("/proc/self/exe", l->self, sizeof(l->self) - 1) < 0)
        return false;
    for (unsigned i = 0; before[i]; i++)
        add(l, before[i]);
    add(l, l->self);
    for (int i = 0; i < argc; i++) {
        add(l, argv[i]);
        scheduled = scheduled || strncmp(argv[i], "--rate", 6) == 0;
    }
    if (!scheduled)
        add(l, "--closed"); /* a turn that finds nothing is no cost of an operation */
    for (unsigned i = 0; ours[i]; i++)
        add(l, ours[i]);
    return true;
}

/* Runs it to its end; `ops` are those of its document. */
static bool run(const struct line *l, const char *package, double *ops)
{
    int fd[2], status = 0;
    if (pipe(fd) != 0)
        return false;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(fd[1], STDOUT_FILENO);
        close(fd[0]);
        execvp(l->word[0], (char *const *)l->word);
        fprintf(stderr, "coral-perf: profile: %s can't be run: %m (package %s)\n", l->word[0],
                package);
        _exit(127);
    }
    close(fd[1]);
    FILE *f = fdopen(fd[0], "r");
    json_t *d = f ? json_loadf(f, 0, NULL) : NULL;
    if (child > 0)
        waitpid(child, &status, 0);
    bool ok = d && require_field(d, "results.0.ops_total", ops) && child > 0 && WIFEXITED(status) &&
              WEXITSTATUS(status) == 0;
    if (f)
        fclose(f);
    json_decref(d);
    if (!ok)
        fprintf(stderr, "coral-perf: profile: the run under %s gave no result\n", l->word[0]);
    return ok;
}

/* An empty file of that name. */
static bool make_file(char *path)
{
    int fd = mkstemp(path);
    if (fd < 0)
        fprintf(stderr, "coral-perf: %s: %m\n", path);
    else
        close(fd);
    return fd >= 0;
}

bool profile_callgrind(int argc, char **argv, struct profile *p)
{
    char out[] = "/tmp/coral-profile-XXXXXX", file[64];
    struct line l;
    if (!make_file(out))
        return false;
    snprintf(file, sizeof(file), "--callgrind-out-file=%s", out);
    const char *const before[] = {"valgrind",
                                  "-q",
                                  "--tool=callgrind",
                                  file,
                                  "--collect-atstart=no",
                                  "--toggle-collect=worker_poll",
                                  NULL};
    bool ok = make_line(&l, before, argc, argv) && run(&l, "valgrind", &p->ops) &&
              profile_read(out, p->count[PROFILE_INSTRUCTIONS]);
    unlink(out);
    return ok;
}

bool profile_counters(void)
{
    struct perf_event_attr a = {.type = PERF_TYPE_HARDWARE,
                                .size = sizeof(a),
                                .config = PERF_COUNT_HW_CPU_CYCLES,
                                .exclude_kernel = 1,
                                .exclude_hv = 1};
    long fd = syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
    if (fd >= 0)
        close((int)fd);
    return fd >= 0;
}

static bool read_samples(const char *path, struct profile *p, struct flame *flame)
{
    char command[128];
    snprintf(command, sizeof(command),
             "perf script -i %s --no-inline -F event,period,ip,sym,dso 2>/dev/null", path);
    FILE *f = popen(command, "r");
    bool ok = f && profile_read_samples(f, p, flame);
    ok = f && pclose(f) == 0 && ok;
    if (!ok || p->samples == 0)
        fprintf(stderr, "coral-perf: profile: perf has taken no sample of the worker%s\n",
                ok ? "; measure longer: --seconds" : "");
    return ok && p->samples > 0;
}

/* Stacks by copies of 16 KiB: no part of the build keeps frame pointers, and the largest frames
 * hold bursts of packets. */
bool profile_perf(int argc, char **argv, struct profile *p, struct flame *flame)
{
    char out[] = "/tmp/coral-profile-XXXXXX";
    struct line l;
    if (!make_file(out))
        return false;
    const char *const before[] = {"perf",
                                  "record",
                                  "-q",
                                  "-F",
                                  "1999",
                                  "-e",
                                  profile_counters() ? "cycles:u,instructions:u" : "cpu-clock:u",
                                  "--call-graph",
                                  "dwarf,16384",
                                  "-o",
                                  out,
                                  "--",
                                  NULL};
    bool ok = make_line(&l, before, argc, argv) && run(&l, "linux-perf", &p->ops) &&
              read_samples(out, p, flame);
    unlink(out);
    return ok;
}
