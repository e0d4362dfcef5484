/* SPDX-License-Identifier: BSD-3-Clause */
/* Configurations as text, and all that is said about them. */
#ifndef CORAL_TESTS_CONTROL_GOLDEN_H
#define CORAL_TESTS_CONTROL_GOLDEN_H

#include <criterion/criterion.h>
#include <stdlib.h>

#include "control/config.h"

/* the least that works */
#define GOLDEN_PORT "ports: [{device: eth1, addresses: [192.0.2.10/24]}]\n"

/* Reads `text` as corald.yaml; returns what is printed (caller frees). The configuration, if it is
 * good, in *out. */
static inline char *golden_said(const char *text, struct config *out, bool *good)
{
    struct report *report = calloc(1, sizeof(*report));
    char *said = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&said, &len);

    *good = config_read_text("corald.yaml", text, strlen(text), out, report);
    report_print(report, to);
    fclose(to);
    cr_assert_eq(*good, report->errors == 0);
    report_free(report);
    free(report);
    return said;
}

/* Exactly this is said, and nothing is read. */
static inline void golden_bad(const char *text, const char *expected)
{
    struct config c;
    bool good;
    char *said = golden_said(text, &c, &good);

    cr_expect(!good);
    cr_expect_str_eq(said, expected, "\n--- text\n%s--- said\n%s--- expected\n%s", text, said,
                     expected);
    config_free(&c);
    free(said);
}

/* Nothing is said; the caller frees *out. */
static inline void golden_good(const char *text, struct config *out)
{
    bool good;
    char *said = golden_said(text, out, &good);

    cr_assert(good && *said == '\0', "\n--- text\n%s--- said\n%s", text, said);
    free(said);
}

#endif
