/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static json_t *profile_json(const uint64_t *instructions, double ops)
{
    uint64_t all = 0;
    json_t *list = json_array();
    for (unsigned i = 0; i < PROFILE_STAGE_COUNT; i++)
        all += instructions[i];
    for (unsigned i = 0; i < PROFILE_STAGE_COUNT; i++) {
        if (instructions[i] == 0)
            continue;
        json_t *row = json_pack("{s:s, s:f}", "stage", stages[i].name, "share",
                                (double)instructions[i] / (double)all);
        if (ops > 0)
            json_object_set_new(row, "instructions_per_op",
                                json_real((double)instructions[i] / ops));
        json_array_append_new(list, row);
    }
    json_t *result = json_pack("{s:I, s:o}", "instructions", (json_int_t)all, "stages", list);
    if (ops > 0)
        json_object_set_new(result, "instructions_per_op", json_real((double)all / ops));
    return result;
}

static void print(const uint64_t *instructions, double ops)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < PROFILE_STAGE_COUNT; i++)
        all += instructions[i];
    printf("%-8s %8s %12s\n", "stage", "share", ops > 0 ? "instr./op" : "");
    for (unsigned i = 0; i < PROFILE_STAGE_COUNT; i++) {
        if (instructions[i] == 0)
            continue;
        printf("%-8s %7.1f%%", stages[i].name, 100 * (double)instructions[i] / (double)all);
        if (ops > 0)
            printf(" %12.1f", (double)instructions[i] / ops);
        else
            printf(" %12s", "");
        printf("  %s\n", stages[i].text);
    }
    if (ops > 0)
        printf("%-8s %8s %12.1f  of %.0f operations\n", "all", "", (double)all / ops, ops);
    if (10 * instructions[PROFILE_other] > all)
        printf(
            "Much is not known: a build with -Ddebug=true knows the source of each instruction.\n");
}

/* Runs coral-perf with these words under callgrind, worker and load in turns on one core. False: it
 * failed, and has said why. */
static bool run_valgrind(int argc, char **argv, const char *out, double *ops)
{
    char file[96], self[256] = "";
    const char *words[ARGUMENTS + 16] = {"valgrind",
                                         "-q",
                                         "--tool=callgrind",
                                         file,
                                         "--collect-atstart=no",
                                         "--toggle-collect=worker_poll",
                                         self};
    int n = 7, fd[2];
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 || pipe(fd) != 0)
        return false;
    snprintf(file, sizeof(file), "--callgrind-out-file=%s", out);
    for (int i = 0; i < argc; i++)
        words[n++] = argv[i];
    const char *const ours[] = {"--cores", "1", "--no-huge", "--json"};
    for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        words[n++] = ours[i];
    pid_t child = fork();
    if (child == 0) {
        dup2(fd[1], STDOUT_FILENO);
        close(fd[0]);
        execvp(words[0], (char *const *)words);
        fprintf(stderr, "coral-perf: profile: valgrind can't be run: %m (package valgrind)\n");
        _exit(127);
    }
    close(fd[1]);
    FILE *f = fdopen(fd[0], "r");
    json_t *d = f ? json_loadf(f, 0, NULL) : NULL;
    int status = 0;
    waitpid(child, &status, 0);
    bool ok = d && require_field(d, "results.0.ops_total", ops);
    if (f)
        fclose(f);
    json_decref(d);
    ok = ok && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok)
        fprintf(stderr, "coral-perf: profile: the run under valgrind gave no result\n");
    return ok;
}

static bool profile_run(int argc, char **argv, bool json, json_t *command)
{
    char out[] = "/tmp/coral-profile-XXXXXX";
    uint64_t instructions[PROFILE_STAGE_COUNT] = {0};
    double ops = 0;
    int fd = mkstemp(out);
    if (fd < 0) {
        fprintf(stderr, "coral-perf: %s: %m\n", out);
        return false;
    }
    close(fd);
    bool ok = run_valgrind(argc, argv, out, &ops) && profile_read(out, instructions);
    unlink(out);
    if (ok && json) {
        json_t *results = json_pack("[o]", profile_json(instructions, ops));
        json_t *d = document_make(json_incref(command), "profile", results);
        document_print(d);
        json_decref(d);
    } else if (ok) {
        print(instructions, ops);
    }
    return ok;
}

static bool profile_file(const char *path, bool json)
{
    uint64_t instructions[PROFILE_STAGE_COUNT] = {0};
    if (!profile_read(path, instructions))
        return false;
    if (json) {
        json_t *result = profile_json(instructions, 0);
        document_print(result);
        json_decref(result);
    } else {
        print(instructions, 0);
    }
    return true;
}

int profile_main(int argc, char **argv)
{
    char *word[ARGUMENTS];
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
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else
            word[n++] = argv[i];
    json_t *command = document_command(argc + 1, argv - 1);
    bool ok = profile_run(n, word, json, command);
    json_decref(command);
    return ok ? STATUS_DONE : STATUS_FAILED;
}
