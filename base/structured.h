/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Structured field values (RFC 9651, which replaces RFC 8941), parsed strictly and without
 * memory: what is found are spans of the input.
 *
 *   struct sf_reader r;
 *   struct sf_member m;
 *   sf_begin(&r, value, len);
 *   while (sf_dictionary_next(&r, &m))
 *       take what is known of m into a draft;
 *   if (r.bad)
 *       forget the draft: a field that fails to parse is ignored whole (4.2);
 *
 * A key that comes again overwrites what it said before (4.2.2): so who takes members in order, and
 * lets the later one win, has it right. A field of several lines is parsed line by line; when
 * one of them is bad, or empty, all of it is (joined by commas they would not parse either).
 *
 *   dictionary  member, member      list  member, member      item  bare;params
 *   member      key=bare;params   key=(item item);params   key;params (the value is true)
 */
#ifndef CORAL_BASE_STRUCTURED_H
#define CORAL_BASE_STRUCTURED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sf_type {
    SF_INTEGER, /* `number` */
    SF_DECIMAL, /* `number`, in thousandths */
    SF_STRING,  /* span: between the quotes, escapes as they came (sf_string_copy undoes them) */
    SF_TOKEN,   /* span */
    SF_BYTES,   /* span: the base64 between the colons */
    SF_BOOLEAN, /* `number` 0, 1 */
    SF_DATE,    /* `number`, seconds since 1970 */
    SF_DISPLAY, /* span: between the quotes, percent-encoded UTF-8, checked */
    SF_LIST,    /* span: an inner list, between its parentheses; sf_inner_next walks it */
};

struct sf_value {
    enum sf_type type;
    int64_t number;
    const char *p;
    size_t len;
};

struct sf_member {
    const char *key; /* of a dictionary's member or a parameter; lower case by the grammar */
    size_t key_len;
    struct sf_value value;
    const char *params; /* span, from the first ';' on; sf_param_next walks it */
    size_t params_len;
};

struct sf_reader {
    const char *p, *end;
    bool bad, begun;
};

/* One field line. */
void sf_begin(struct sf_reader *r, const char *value, size_t len);

/* The next member. False: there is none any more, or the field is malformed (`bad`). */
bool sf_dictionary_next(struct sf_reader *r, struct sf_member *out); /* 4.2.2 */
bool sf_list_next(struct sf_reader *r, struct sf_member *out);       /* 4.2.1, key_len 0 */
/* The whole field is one item (4.2.3). False: malformed. */
bool sf_item(struct sf_reader *r, struct sf_member *out);

/* Inside a member that was found: begin a reader on its span with sf_begin. */
bool sf_inner_next(struct sf_reader *r, struct sf_member *out); /* 4.2.1.2 */
bool sf_param_next(struct sf_reader *r, struct sf_member *out); /* 4.2.3.2 */

bool sf_key_is(const struct sf_member *m, const char *key);

/* The string without its escapes, at most `room` bytes, no NUL added; returns its length, which is
 * never more than v->len. SIZE_MAX: it is no string, or too long. */
size_t sf_string_copy(const struct sf_value *v, char *out, size_t room);

#endif
