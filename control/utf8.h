/* SPDX-License-Identifier: BSD-3-Clause */
/* Is it text? What comes from outside need not be. */
#ifndef CORAL_CONTROL_UTF8_H
#define CORAL_CONTROL_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the UTF-8 character at p (RFC 3629), 0 when there is none. */
static inline unsigned utf8_character(const unsigned char *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned n = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    uint32_t code = n > 1 ? p[0] & (0x7fu >> n) : p[0];

    if (n == 0 || n > left)
        return 0;
    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return n;
}

#endif
