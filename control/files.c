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

static void complain(struct report *report, const char *path, const char *what, int why)
{
    report_add(report, nowhere, path, "%s: %s", what, strerror(why));
    if (why == EACCES || why == EPERM || why == EROFS)
        report->denied++;
}

/* `kept`: it is written to as it is; else another takes its place. */
static void check_file(const char *file, bool kept, const char *path, struct report *report)
{
    char folder[CONFIG_TEXT + 2], what[CONFIG_TEXT + 64];
    const char *name = strrchr(file, '/');
    struct stat st;

    snprintf(folder, sizeof(folder), "%.*s", name ? (int)(name - file) + 1 : 1, name ? file : ".");
    if (stat(folder, &st) < 0 || access(folder, X_OK) < 0) {
        snprintf(what, sizeof(what), "its folder %s is not there, or not for us", folder);
        complain(report, path, what, errno);
    } else if (stat(file, &st) == 0 && !S_ISREG(st.st_mode)) {
        report_add(report, nowhere, path, "%s is no file; name another", file);
    } else if (kept && stat(file, &st) == 0) {
        if (access(file, W_OK) < 0) {
            snprintf(what, sizeof(what), "%s cannot be written", file);
            complain(report, path, what, errno);
        }
    } else if (access(folder, W_OK) < 0) {
        snprintf(what, sizeof(what), "nothing can be written in its folder %s", folder);
        complain(report, path, what, errno);
    }
}

void files_check(const struct config *c, struct report *report)
{
    if (*c->log_access.file)
        check_file(c->log_access.file, true, "log.access.file", report);
    if (c->restart && *c->restart_file)
        check_file(c->restart_file, false, "cache.restart_file", report);
    if (c->log_access.journal && access(ACCESS_JOURNAL, F_OK) < 0)
        report_add(report, nowhere, "log.access.journal",
                   "there is no journal here (" ACCESS_JOURNAL "); log.access.file names a file");
}
