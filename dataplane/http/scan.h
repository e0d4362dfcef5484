/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs of characters, 16 at a time where the machine has SSE2 (every x86-64 has): a head is read
 * at a byte a cycle or better. Each returns the first place in [p, end) that is not of its kind,
 * `end` if all are.
 */
#ifndef CORAL_HTTP_SCAN_H
#define CORAL_HTTP_SCAN_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "dataplane/http/syntax.h"

static inline const char *scan_class(const char *p, const char *end, unsigned class)
{
    while (p < end && http_is(*p, class))
        p++;
    return p;
}

#ifdef __SSE2__

/* Bit i: byte i is above `low`, and at most `high` above it. */
static inline __m128i scan_between(__m128i x, uint8_t low, uint8_t high)
{
    __m128i y = _mm_sub_epi8(x, _mm_set1_epi8((char)low));
    return _mm_cmpeq_epi8(_mm_min_epu8(y, _mm_set1_epi8((char)(high - low))), y);
}

static inline __m128i scan_is(__m128i x, char c)
{
    return _mm_cmpeq_epi8(x, _mm_set1_epi8(c));
}

/* A token (RFC 9110 5.6.2): letters and '-', of which field names are, at once; the rest one by
 * one. */
static inline const char *scan_token(const char *p, const char *end)
{
    while (end - p >= 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i letters = scan_between(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'z');
        unsigned good = (unsigned)_mm_movemask_epi8(_mm_or_si128(letters, scan_is(x, '-')));
        if (good != 0xffff) {
            p += __builtin_ctz(~good);
            break;
        }
        p += 16;
    }
    return scan_class(p, end, HTTP_CH_TOKEN);
}

/* RFC 9110 5.5: all but controls; tab is one that may stand there. */
static inline const char *scan_value(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i control = _mm_or_si128(scan_between(x, 0, 0x1f), scan_is(x, 0x7f));
        unsigned stop = (unsigned)_mm_movemask_epi8(_mm_andnot_si128(scan_is(x, '\t'), control));
        if (stop)
            return p + __builtin_ctz(stop);
    }
    return scan_class(p, end, HTTP_CH_VALUE);
}

/* Visible ASCII. */
static inline const char *scan_target(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned good = (unsigned)_mm_movemask_epi8(scan_between(x, 0x21, 0x7e));
        if (good != 0xffff)
            return p + __builtin_ctz(~good);
    }
    return scan_class(p, end, HTTP_CH_TARGET);
}

#else

static inline const char *scan_token(const char *p, const char *end)
{
    return scan_class(p, end, HTTP_CH_TOKEN);
}

static inline const char *scan_value(const char *p, const char *end)
{
    return scan_class(p, end, HTTP_CH_VALUE);
}

static inline const char *scan_target(const char *p, const char *end)
{
    return scan_class(p, end, HTTP_CH_TARGET);
}

#endif

/* A part of a path or query that is its own normal form: no encoding, no fragment, and no segment
 * that begins with a dot. `p` is where a path begins, or goes on after a character other than '/'.
 */
static inline const char *scan_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    unsigned slash = 0; /* the byte before was one */
    for (; end - p >= 16; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned good = (unsigned)_mm_movemask_epi8(scan_between(x, 0x21, 0x7e));
        unsigned special =
            (unsigned)_mm_movemask_epi8(_mm_or_si128(scan_is(x, '%'), scan_is(x, '#')));
        unsigned slashes = (unsigned)_mm_movemask_epi8(scan_is(x, '/'));
        unsigned dots = (unsigned)_mm_movemask_epi8(scan_is(x, '.'));
        unsigned stop = (~good & 0xffff) | special | (dots & (slashes << 1 | slash));
        if (stop)
            return p + __builtin_ctz(stop);
        slash = slashes >> 15;
    }
    if (slash && p < end && *p == '.')
        return p;
#endif
    for (const char *begin = p; p < end; p++)
        if (!http_is(*p, HTTP_CH_TARGET) || *p == '%' || *p == '#' ||
            (*p == '.' && p > begin && p[-1] == '/'))
            break;
    return p;
}

#endif
