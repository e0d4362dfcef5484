/* SPDX-License-Identifier: BSD-3-Clause */
/* coral-perf rivals: perf/rivals/rivals.py, beside which the rivals' configurations lie; of the
 * source tree, if this program lies in a build folder of it, else as installed. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/perf.h"
#include "perf/rivals.h"
#include "version.h"

static const struct {
    const char *script, *corald; /* from this program's folder */
} places[] = {
    {"../../perf/rivals/rivals.py", "../control/corald"},
    {"../libexec/coral/rivals/rivals.py", "../sbin/corald"},
};

int rivals_main(int argc, char **argv)
{
    char program[256] = "", self[256], script[320], corald[320], *words[64] = {"python3", script};
    const ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    memcpy(self, program, sizeof(self));
    const char *folder = length > 0 ? dirname(self) : ".";
    if (argc > 60)
        return perf_refuse("rivals", argv[60], "is one word too many");
    for (int i = 1; i < argc; i++)
        words[i + 1] = argv[i];
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        snprintf(script, sizeof(script), "%s/%s", folder, places[i].script);
        snprintf(corald, sizeof(corald), "%s/%s", folder, places[i].corald);
        if (access(script, R_OK) == 0)
            break;
    }
    setenv("CORALD", corald, 0);
    setenv("CORAL_PERF", program, 1);
    setenv("CORAL_REVISION", CORAL_REVISION, 1);
    setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
    execvp(words[0], words);
    fprintf(stderr, "coral-perf: rivals: python3 can't be run: %m\n");
    return STATUS_FAILED;
}
