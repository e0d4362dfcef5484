/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --repeat: each run is a process of its own, so that none finds what another left (EAL, caches of
 * memory, where pages lie), and what comes of it goes to the parent by a pipe. A single run stays
 * in this process, where profilers find it.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "perf/perf.h"

static json_t *run_here(const struct perf_options *o, bool *good)
{
    char error[512] = "";
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    json_t *result = json_pack("{s:f}", "began_s", (double)t.tv_sec + (double)t.tv_nsec / 1e9);
    *good = perf_commands[o->command].run(o, result, error, sizeof(error));
    if (!*good)
        fprintf(stderr, "coral-perf: %s\n", error);
    fflush(NULL);
    return result;
}

static void run_child(const struct perf_options *o, int to)
{
    bool good;
    json_t *result = run_here(o, &good);
    FILE *f = fdopen(to, "w");
    if (!f || json_dumpf(result, f, 0) != 0 || fclose(f) != 0)
        good = false;
    _exit(good ? STATUS_DONE : STATUS_FAILED);
}

json_t *perf_run_apart(const struct perf_options *o, bool *good)
{
    int fd[2], status = 0;
    json_t *result = NULL;
    *good = false;
    fflush(NULL);
    pid_t child = pipe(fd) == 0 ? fork() : -1;
    if (child < 0) {
        fprintf(stderr, "coral-perf: no process for a run: %m\n");
        return NULL;
    }
    if (child == 0) {
        close(fd[0]);
        run_child(o, fd[1]);
    }
    close(fd[1]);
    FILE *f = fdopen(fd[0], "r");
    if (f) {
        result = json_loadf(f, 0, NULL);
        fclose(f);
    }
    waitpid(child, &status, 0);
    *good = result && WIFEXITED(status) && WEXITSTATUS(status) == STATUS_DONE;
    if (WIFSIGNALED(status))
        fprintf(stderr, "coral-perf: a run was ended by signal %d\n", WTERMSIG(status));
    return result;
}

json_t *perf_repeat(struct perf_options *o, bool *good)
{
    json_t *results = json_array();
    *good = true;
    for (o->round = 0; o->round < o->repeat; o->round++) {
        bool good_run;
        json_t *result =
            o->repeat == 1 && !o->find_max ? run_here(o, &good_run) : perf_run_apart(o, &good_run);
        *good = *good && good_run;
        if (result)
            json_array_append_new(results, result);
    }
    return results;
}
