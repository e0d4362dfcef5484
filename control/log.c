/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* the process has one stderr, and so one log */
static _Atomic unsigned log_least = LOG_LEVEL_INFO;
static bool log_prefix;

void log_open(enum log_level level)
{
    atomic_store_explicit(&log_least, level, memory_order_relaxed);
    /* systemd says so when stderr goes to its journal */
    log_prefix = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(enum log_level level, const char *format, ...)
{
    static const char *const prefix[] = {"<3>", "<4>", "<6>", "<7>"};
    static const char *const word[] = {"error: ", "warning: ", "", ""};
    char line[1024];
    va_list args;

    if (level > atomic_load_explicit(&log_least, memory_order_relaxed))
        return;
    int n = snprintf(line, sizeof(line), "%s", log_prefix ? prefix[level] : word[level]);
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
    va_end(args);
    if (m < 0)
        return;
    size_t len = (size_t)n + (size_t)m;
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    for (size_t i = 0; i < len; i++) /* names and URLs come from outside */
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[len++] = '\n';
    /* one write a line: lines of several processes do not mix */
    ssize_t done = write(STDERR_FILENO, line, len);
    (void)done;
}
