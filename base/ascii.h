/* SPDX-License-Identifier: BSD-3-Clause */
/* Letters of protocols, which no locale changes. */
#ifndef CORAL_BASE_ASCII_H
#define CORAL_BASE_ASCII_H

#include <stdbool.h>
#include <string.h>

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* tchar, RFC 9110 5.6.2 */
static inline bool ascii_is_tchar(char c)
{
    char l = ascii_lower(c);
    return (c >= '0' && c <= '9') || (l >= 'a' && l <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

#endif
