/* SPDX-License-Identifier: BSD-3-Clause */
/* Mistakes in a text, gathered and then printed in order, each with its line and a caret. */
#ifndef CORAL_CONTROL_REPORT_H
#define CORAL_CONTROL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define REPORT_ERRORS 100 /* more are counted, not kept */
#define REPORT_PATH   320

/* Where a thing stands: line and column from 1, in characters; line 0: nowhere. */
struct place {
    unsigned line, column, length;
};

struct report_error {
    struct place at;
    bool warning;
    char path[REPORT_PATH]; /* "cache.memory"; may be empty */
    char *message;
};

struct report {
    const char *file; /* as people named it; borrowed */
    char *text;       /* owned */
    size_t len;
    unsigned n, errors, warnings; /* kept; found */
    unsigned denied;              /* errors that are files which we may not read */
    unsigned failed;              /* errors that are no mistakes: another try may not have them */
    bool broken;                  /* no YAML: what is there can't be known */
    struct report_error error[REPORT_ERRORS];
};

/* `text` is copied. */
void report_init(struct report *r, const char *file, const char *text, size_t len);
void report_free(struct report *r);
void report_add(struct report *r, struct place at, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_warn(struct report *r, struct place at, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Whether something was said about this path or what is below it. */
bool report_has(const struct report *r, const char *path);
/* Prints all, in the order of the text:
 *
 *   corald.yaml:4:19: cache.memory: "12 parrots" is not a size; write it like 4GiB
 *       4 | cache:   {memory: 12 parrots}
 *         |                   ^~~~~~~~~~
 */
void report_print(struct report *r, FILE *to);

#endif
