/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/port/quiet.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void quiet_begin(struct quiet *q)
{
    fflush(stdout);
    fflush(stderr);
    q->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    q->err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    q->file = memfd_create("coral-eal", MFD_CLOEXEC);
    if (q->out < 0 || q->err < 0 || q->file < 0)
        return;
    dup2(q->file, STDOUT_FILENO);
    dup2(q->file, STDERR_FILENO);
}

static void keep_last_line(int file)
{
    char said[8], text[1024];
    port_eal_said(said, sizeof(said));
    off_t end = lseek(file, 0, SEEK_END);
    if (said[0] || end <= 0)
        return;
    off_t from = end > (off_t)sizeof(text) ? end - (off_t)sizeof(text) : 0;
    ssize_t n = pread(file, text, sizeof(text), from);
    while (n > 0 && text[n - 1] == '\n')
        n--;
    if (n <= 0)
        return;
    const char *line = memrchr(text, '\n', (size_t)n);
    line = line ? line + 1 : text;
    port_said_set(line, (size_t)(text + n - line));
}

void quiet_end(struct quiet *q, bool keep)
{
    fflush(stdout);
    fflush(stderr);
    if (q->out >= 0 && q->err >= 0 && q->file >= 0) {
        dup2(q->out, STDOUT_FILENO);
        dup2(q->err, STDERR_FILENO);
        if (keep)
            keep_last_line(q->file);
    }
    if (q->out >= 0)
        close(q->out);
    if (q->err >= 0)
        close(q->err);
    if (q->file >= 0)
        close(q->file);
}
