/* SPDX-License-Identifier: BSD-3-Clause */
/* A set from a text, compiled and loaded on the spot. */
#ifndef CORAL_TESTS_RULES_HAND_H
#define CORAL_TESTS_RULES_HAND_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/rules/rules.h"

static inline void hand_tell(void *ctx, unsigned line, unsigned column, unsigned length,
                             const char *message)
{
    char *out = ctx;
    size_t at = strlen(out);
    (void)length;
    if (at < 3000)
        snprintf(out + at, 4096 - at, "%u:%u: %s\n", line, column, message);
}

struct hand_wrong {
    const struct rules_set *set;
    char *out;
};

static inline void hand_wrong(void *ctx, unsigned i, const char *why)
{
    struct hand_wrong *w = ctx;
    rules_expression_wrong(w->set, i, why, hand_tell, w->out);
}

/* The bytes of its expressions' database, freed by free(). */
static inline bool hand_compile(const struct rules_set *s, char *told, char **bytes, size_t *len)
{
    unsigned n = rules_size(s).expressions;
    const char **e = calloc(n + 1, sizeof(*e));
    struct hand_wrong w = {s, told};
    for (unsigned i = 0; i < n; i++)
        e[i] = rules_expression(s, i);
    bool good = n == 0 || rules_compile(e, n, bytes, len, hand_wrong, &w);
    free(e);
    return good;
}

/* NULL: `told` (4096 bytes) has the mistakes. */
static inline struct rules_set *hand_set(const char *text, char *told)
{
    struct rules_set *s = rules_parse(text, strlen(text), hand_tell, told);
    char *bytes = NULL;
    size_t len = 0;
    if (s && (!hand_compile(s, told, &bytes, &len) || !rules_load(s, bytes, len, 2))) {
        rules_free(s);
        s = NULL;
    }
    free(bytes);
    return s;
}

#endif
