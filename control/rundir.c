/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int refusal(int reason)
{
    return reason == EACCES || reason == EPERM || reason == EROFS ? 5 : 1;
}

/* mkdir -p */
static bool make_folder(const char *path)
{
    char part[RUNDIR_PATH];
    size_t n = strlen(path);

    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        char end = part[i];
        part[i] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return false;
        part[i] = end;
    }
    return true;
}

int rundir_take(struct rundir *r, const char *path, char *error, size_t len)
{
    char lock[RUNDIR_TEXT], pid[32] = "";

    r->lock = -1;
    snprintf(r->path, sizeof(r->path), "%s", path);
    if (!make_folder(path)) {
        int reason = errno;
        snprintf(error, len, "cannot make the run folder %s: %s%s", path, strerror(reason),
                 refusal(reason) == 5 ? "; run as root, or set CORAL_RUN to a folder of yours"
                                      : "");
        return refusal(reason);
    }
    snprintf(lock, sizeof(lock), "%s/lock", path);
    r->lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (r->lock < 0) {
        int reason = errno;
        snprintf(error, len, "cannot open %s: %s", lock, strerror(reason));
        return refusal(reason);
    }
    if (flock(r->lock, LOCK_EX | LOCK_NB) < 0) {
        ssize_t n = read(r->lock, pid, sizeof(pid) - 1);
        pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
        snprintf(error, len,
                 "a node is already running in %s, pid %s, or just ending; \"coralctl stop\" waits "
                 "for its end, -n NAME gives this one another name",
                 path, *pid ? pid : "unknown");
        close(r->lock);
        r->lock = -1;
        return 1;
    }
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(r->lock, 0) < 0 || pwrite(r->lock, pid, (size_t)n, 0) != n) {
        snprintf(error, len, "cannot write %s: %s", lock, strerror(errno));
        rundir_leave(r);
        return 1;
    }
    return 0;
}

void rundir_socket(const struct rundir *r, char out[static 108])
{
    snprintf(out, 108, "%s/control.sock", r->path);
}

void rundir_leave(struct rundir *r)
{
    char path[RUNDIR_TEXT];

    if (r->lock < 0)
        return;
    rundir_socket(r, path);
    unlink(path);
    /* the lock's file goes while it is still held: who waits for it finds a new one */
    snprintf(path, sizeof(path), "%s/lock", r->path);
    unlink(path);
    close(r->lock);
    r->lock = -1;
    rmdir(r->path); /* only if it is empty: systemd, or an operator, may keep things there */
}
