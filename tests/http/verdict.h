/* SPDX-License-Identifier: BSD-3-Clause */
/* What a parser makes of the first message in a text, in one form for all parsers. Here is no name
 * of theirs: two of them have the same ones. */
#ifndef CORAL_TESTS_VERDICT_H
#define CORAL_TESTS_VERDICT_H

#include "tests/http/odd.h"

enum verdict_what { VERDICT_REFUSED, VERDICT_UNFINISHED, VERDICT_TAKEN };

struct verdict {
    enum verdict_what what;
    bool keeps;    /* the connection, for the next one */
    bool closes;   /* it ends with the connection, and so with the text */
    bool trailers; /* ours alone: fields behind the chunks, of which no more is said */
    size_t end;    /* where the next one begins, if TAKEN */
    size_t len;
    /* The start line, "GET /x 1" or "200 1", without a reason and with HTTP/1.0's 0 or else 1;
     * a line a field, names in lower case, white space around values gone; an empty line; the body.
     */
    char text[2 * ODD_MAX];
};

void verdict_ours(const struct odd *o, size_t at, struct verdict *v);
void verdict_http_parser(const struct odd *o, size_t at, struct verdict *v);
/* A request's method is one that http_parser knows. */
bool verdict_method_known(const char *method, size_t len);

/* For those who give verdicts. */
void verdict_put(struct verdict *v, const void *p, size_t n);
void verdict_put_start(struct verdict *v, const char *first, size_t first_len, const char *second,
                       size_t second_len, bool minor);
void verdict_put_field(struct verdict *v, const char *name, size_t name_len, const char *value,
                       size_t value_len);

#endif
