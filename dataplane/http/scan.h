/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs of characters, 16 at a time (SSE2: every x86-64 has it, and Hyperscan makes that our
 * machine). Each function returns the first place in [p, end) that is not of its kind, `end` if
 * all are: behind the end come zeros, which are of no kind.
 */
#ifndef CORAL_HTTP_SCAN_H
#define CORAL_HTTP_SCAN_H

#include <emmintrin.h>
#include <string.h>

#include "dataplane/http/syntax.h"

#define SCAN_STEP 16

/* Fewer bytes than a step, by two loads that overlap. */
static inline __m128i scan_load_rest(const char *p, size_t n)
{
    uint64_t low = 0, high = 0;
    uint32_t first, last;
    if (n >= 8) {
        memcpy(&low, p, 8);
        memcpy(&high, p + n - 8, 8);
        high = n > 8 ? high >> (8 * (16 - n)) : 0;
    } else if (n >= 4) {
        memcpy(&first, p, 4);
        memcpy(&last, p + n - 4, 4);
        low = (uint64_t)last << (8 * (n - 4)) | first;
    } else if (n > 0) {
        low = (uint64_t)(uint8_t)p[n - 1] << (8 * (n - 1)) |
              (uint64_t)(uint8_t)p[n / 2] << (8 * (n / 2)) | (uint8_t)p[0];
    }
    return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

static inline __m128i scan_load(const char *p, const char *end)
{
    if (end - p < SCAN_STEP)
        return scan_load_rest(p, (size_t)(end - p));
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Of each byte: is it from `low` to `high`? Is it `c`? */
static inline __m128i scan_between(__m128i x, uint8_t low, uint8_t high)
{
    __m128i y = _mm_sub_epi8(x, _mm_set1_epi8((char)low));
    return _mm_cmpeq_epi8(_mm_min_epu8(y, _mm_set1_epi8((char)(high - low))), y);
}

static inline __m128i scan_is(__m128i x, char c)
{
    return _mm_cmpeq_epi8(x, _mm_set1_epi8(c));
}

static inline __m128i scan_letter(__m128i x)
{
    return scan_between(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'z');
}

/* Bit i: byte i. */
static inline unsigned scan_bits(__m128i mask)
{
    return (unsigned)_mm_movemask_epi8(mask);
}

static inline unsigned scan_not(__m128i mask)
{
    return ~scan_bits(mask) & 0xffff;
}

/* A token (RFC 9110 5.6.2): letters and '-', of which names are, at once; the rest one by one. */
static inline const char *scan_token(const char *p, const char *end)
{
    for (;; p += SCAN_STEP) {
        __m128i x = scan_load(p, end);
        unsigned stop = scan_not(_mm_or_si128(scan_letter(x), scan_is(x, '-')));
        if (!stop)
            continue;
        p += __builtin_ctz(stop);
        while (p < end && http_is(*p, HTTP_CH_TOKEN))
            p++;
        return p;
    }
}

/* RFC 9110 5.5: all but controls; tab is one that may stand there. */
static inline const char *scan_value(const char *p, const char *end)
{
    for (;; p += SCAN_STEP) {
        __m128i x = scan_load(p, end);
        __m128i control = _mm_or_si128(scan_between(x, 0, 0x1f), scan_is(x, 0x7f));
        unsigned stop = scan_bits(_mm_andnot_si128(scan_is(x, '\t'), control));
        if (stop)
            return p + __builtin_ctz(stop);
    }
}

/* Visible ASCII, but '#'. */
static inline const char *scan_target(const char *p, const char *end)
{
    for (;; p += SCAN_STEP) {
        __m128i x = scan_load(p, end);
        unsigned stop = scan_not(_mm_andnot_si128(scan_is(x, '#'), scan_between(x, 0x21, 0x7e)));
        if (stop)
            return p + __builtin_ctz(stop);
    }
}

/* A path and query that are their own normal form: no encoding, no fragment, and no segment that
 * begins with a dot. */
static inline const char *scan_plain(const char *p, const char *end)
{
    unsigned slash = 0; /* the byte before was one */
    for (;; p += SCAN_STEP) {
        __m128i x = scan_load(p, end);
        unsigned slashes = scan_bits(scan_is(x, '/')), dots = scan_bits(scan_is(x, '.'));
        unsigned stop = scan_not(scan_between(x, 0x21, 0x7e)) | scan_bits(scan_is(x, '%')) |
                        scan_bits(scan_is(x, '#')) | (dots & (slashes << 1 | slash));
        if (stop)
            return p + __builtin_ctz(stop);
        slash = slashes >> (SCAN_STEP - 1);
    }
}

/* Labels of a host's name (letters, digits, '-', '_') and dots between them; an empty label ends
 * it. Writes it in lower case to `out`, which has room for SCAN_STEP more than `room`. Returns
 * its length, at most `room` + SCAN_STEP. */
static inline size_t scan_host(const char *p, const char *end, char *out, size_t room)
{
    unsigned dot = 1; /* the byte before was one: or it would begin with an empty label */
    size_t n = 0;
    do {
        __m128i x = scan_load(p + n, end), letter = scan_letter(x);
        __m128i rest = _mm_or_si128(scan_between(x, '-', '.'), scan_is(x, '_'));
        __m128i good = _mm_or_si128(_mm_or_si128(letter, rest), scan_between(x, '0', '9'));
        __m128i lower = _mm_or_si128(x, _mm_and_si128(letter, _mm_set1_epi8(0x20)));
        unsigned dots = scan_bits(scan_is(x, '.'));
        unsigned stop = scan_not(good) | (dots & (dots << 1 | dot));
        _mm_storeu_si128((__m128i *)(void *)(out + n), lower);
        if (stop)
            return n + (unsigned)__builtin_ctz(stop);
        dot = dots >> (SCAN_STEP - 1);
        n += SCAN_STEP;
    } while (n <= room);
    return n;
}

#endif
