/* SPDX-License-Identifier: BSD-3-Clause */
/* Our verdicts beside http_parser's. */
#ifndef CORAL_TESTS_COMPARE_H
#define CORAL_TESTS_COMPARE_H

#include "tests/http/odd.h"

#define COMPARE_MESSAGES 4 /* one behind the other */

/* Of all messages so far; `more`: taken, or taken for going on, by us alone; `wrong`: for no reason
 * that is on the list. */
struct comparison {
    unsigned both, neither, less, more, wrong;
};

/* The messages of a text, as long as both take them; shows what is wrong. */
void compare(const struct odd *o, struct comparison *all);
/* What is on the list, with how often it was the reason. */
void compare_allowed(void);

#endif
