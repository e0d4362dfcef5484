/* SPDX-License-Identifier: BSD-3-Clause */
/* What DNS's load asks for: one name with a number in it, or a file of names. */
#ifndef CORAL_PERF_DNS_NAMES_H
#define CORAL_PERF_DNS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DNS_NAMES_DIGITS   8
#define DNS_NAMES_QUESTION (255 + 4) /* bytes of a name, type and class */

struct dns_names {
    uint32_t count;
    uint32_t question_len;                /* the longest one's */
    uint8_t question[DNS_NAMES_QUESTION]; /* a pattern: with zeros where the number goes */
    uint32_t digits_at, digits;           /* there, at most DNS_NAMES_DIGITS */
    uint8_t *all;                         /* a file: all questions, one behind the other; */
    uint32_t *at;                         /* where each begins, and where the last one ends */
};

/* A of "n########.example.com": a run of '#' is the number's place, of `count` names; without one
 * it is one name. False with `error`. */
bool dns_names_pattern(struct dns_names *n, const char *pattern, uint32_t count, char *error,
                       size_t error_len);
/* A line a name, and its type behind a space, else A; as dnsperf and kxdpgun read them. */
bool dns_names_file(struct dns_names *n, const char *path, char *error, size_t error_len);
void dns_names_free(struct dns_names *n);

/* Writes the question with that number, below `count`. Returns its length. */
static inline uint32_t dns_names_write(const struct dns_names *n, uint32_t number, uint8_t *to)
{
    if (n->all) {
        const uint32_t len = n->at[number + 1] - n->at[number];
        memcpy(to, n->all + n->at[number], len);
        return len;
    }
    memcpy(to, n->question, n->question_len);
    for (uint8_t *digit = to + n->digits_at + n->digits, *first = to + n->digits_at; digit > first;
         number /= 10)
        *--digit = (uint8_t)('0' + number % 10);
    return n->question_len;
}

#endif
