/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/rundir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool rundir_name_valid(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strlen(name);
    bool begins = true; /* a part begins here */

    if (n == 0 || n > 64)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (name[i] == '/' ? begins : begins && (name[i] == '.' || name[i] == '-'))
            return false;
        if (name[i] != '/' && !strchr(letters, name[i]))
            return false;
        begins = name[i] == '/';
    }
    return !begins;
}

const char *rundir_base(void)
{
    const char *base = getenv("CORAL_RUN");
    return base && *base == '/' ? base : "/run/coral";
}

bool rundir_path(const char *name, char out[static RUNDIR_PATH])
{
    int n = snprintf(out, RUNDIR_PATH, "%s/%s", rundir_base(), name);
    return n > 0 && n < RUNDIR_PATH;
}
