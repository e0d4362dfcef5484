/* SPDX-License-Identifier: BSD-3-Clause */
/* Odd messages, made of those of vectors.c and of plain ones by a few changes. A seed gives the
 * same ones each time. */
#ifndef CORAL_TESTS_ODD_H
#define CORAL_TESTS_ODD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/rng.h"

#define ODD_MAX 20000

struct odd {
    bool request, to_head; /* to_head: a response to a HEAD */
    bool plain;            /* valid by the RFCs: every parser must take it */
    size_t len;
    char text[ODD_MAX + 1]; /* never filled: a NUL ends it */
};

/* Number i of those that are made of nothing; false: there are no more. */
bool odd_base(unsigned i, struct odd *out);
void odd_make(struct rng *r, struct odd *out);

#endif
