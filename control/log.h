/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: a line each on stderr, a sentence and then key=value. Under systemd each has the
 * priority prefix of sd-daemon(3). Any thread but workers, once it is open.
 */
#ifndef CORAL_CONTROL_LOG_H
#define CORAL_CONTROL_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above `level` are left out; before this is called: above INFO. */
void log_open(enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
