/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that corald is to write, looked at before it starts: some are written hours later. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/access.h"
#include "control/view.h"

static const struct place nowhere;

static void complain(struct report *report, const char *path, int why, const char *what,
                     const char *name)
{
    report_add(report, nowhere, path, "%s %s: %s", what, name, strerror(why));
    report->denied += why == EACCES || why == EPERM || why == EROFS;
}

/* An absolute one. `kept`: it is written to as it is; else another takes its place. */
static void check_file(const char *file, bool kept, const char *path, struct report *report)
{
    char folder[CONFIG_TEXT];
    struct stat st;

    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(file, '/') - file) + 1, file);
    if (access(folder, X_OK) < 0)
        complain(report, path, errno, "no way into its folder", folder);
    else if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
        report_add(report, nowhere, path, "%s is no file; name another", file);
    else if (kept && access(file, F_OK) == 0) {
        if (access(file, W_OK) < 0)
            complain(report, path, errno, "cannot write", file);
    } else if (access(folder, W_OK) < 0)
        complain(report, path, errno, "nothing can be written in its folder", folder);
}

void files_check(const struct config *c, struct report *report)
{
    if (*c->log_access.file)
        check_file(c->log_access.file, true, "log.access.file", report);
    if (c->restart && *c->restart_file)
        check_file(c->restart_file, false, "cache.restart_file", report);
    if (c->log_access.journal && access(ACCESS_JOURNAL, F_OK) < 0)
        report_add(report, nowhere, "log.access.journal", ACCESS_NO_JOURNAL);
}
