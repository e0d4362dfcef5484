/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A line of the access log. What clients send is in it, so it is written such that nobody can forge
 * a line, or end a field, by what he asks for: see access_format.c. Pure but for the clock given.
 */
#ifndef CORAL_CONTROL_ACCESS_FORMAT_H
#define CORAL_CONTROL_ACCESS_FORMAT_H

#include "dataplane/proxy/access.h"

/* As log.access.format has them. */
enum access_format { ACCESS_COMMON, ACCESS_COMBINED, ACCESS_JSON };

/* Longest line: every byte of every text as \u00XX, and what stands around them. */
#define ACCESS_LINE_MAX (6 * ACCESS_TEXT_MAX + 1024)

/* Records have monotonic times; lines say the wall clock, in UTC. */
struct access_clock {
    int64_t ahead_us; /* wall clock minus monotonic, now */
    int64_t second;   /* of the two texts; at first 0, with none */
    char common[48];  /* 29/Nov/2026:02:13:04 +0000 */
    char iso[48];     /* 2026-11-29T02:13:04 */
};

/* Writes a line with its newline; returns its length. One writer a clock. */
size_t access_line(enum access_format format, const struct access_record *a,
                   struct access_clock *clock, char out[static ACCESS_LINE_MAX]);
/* Where a text of the record begins. */
const char *access_text(const struct access_record *a, enum access_text which);
extern const char *const access_served_words[ACCESS_SERVED];
extern const char *const access_reason_words[ACCESS_REASONS];
extern const char *const access_why_words[ACCESS_WHYS];

#endif
