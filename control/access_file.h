/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The access log's file: appended to by whole lines, opened anew when it was moved away, rotated by
 * size if it may have one. A disk that is full or fails costs lines, which are counted, and is told
 * once; it is tried again with each batch. One thread's.
 */
#ifndef CORAL_CONTROL_ACCESS_FILE_H
#define CORAL_CONTROL_ACCESS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/counters.h"

struct access_file {
    const char *path;
    uint64_t max_bytes; /* 0: it is not rotated here */
    unsigned keep;      /* rotated files: path.1, the newest, to path.<keep> */
    struct log_counters *counters;
    int fd; /* -1: not open */
    uint64_t size;
    bool torn;           /* it ends in half a line that could not be taken back */
    bool failing;        /* and it was told */
    uint64_t lost;       /* lines since then */
    bool rotation_fails; /* and it was told */
};

/* Opens it, in place of what was open; where that fails, what was open stays. False with a sentence
 * in `error`. */
bool access_file_open(struct access_file *f, char *error, size_t len);
void access_file_close(struct access_file *f);
/* Whole lines. */
void access_file_write(struct access_file *f, const char *lines, size_t len);

#endif
