/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HdrHistogram's log of intervals. An interval's counts are encoded as its V2 has them: a header of
 * 40 bytes in network order, then each count as a ZigZag LEB128 number of at most 9 bytes, a run of
 * zeros as its negative length. That is deflated (RFC 1950) behind 8 bytes, and written in base 64.
 *
 *   0  cookie 0x1c849313       16 lowest value          32 double: ratio of the unit, 1
 *   4  bytes of the counts     24 highest value         40 counts
 *   8  normalising offset, 0
 *  12  significant digits
 */
#include <stdlib.h>
#include <string.h>

#include <isa-l/igzip_lib.h>
#include <sodium.h>

#include "base/cursor.h"
#include "perf/hdr.h"

#define COOKIE          0x1c849313u
#define COOKIE_DEFLATED 0x1c849314u
#define HEADER          40
#define ENCODED_MOST    (HEADER + 9 * HDR_COUNTS)
#define DEFLATED_MOST   (8 + ENCODED_MOST + 1024)

static void write_zigzag(struct writer *w, int64_t x)
{
    uint64_t v = (uint64_t)x << 1 ^ (uint64_t)(x >> 63);
    for (unsigned i = 0; i < 8; i++, v >>= 7) {
        if (v < 128) {
            write_u8(w, (uint8_t)v);
            return;
        }
        write_u8(w, (uint8_t)(v | 128));
    }
    write_u8(w, (uint8_t)v); /* the ninth has all its bits */
}

static void write_counts(struct writer *w, const struct hdr *h)
{
    uint32_t end = HDR_COUNTS;
    while (end > 0 && h->count[end - 1] == 0)
        end--;
    for (uint32_t i = 0; i < end;) {
        uint32_t zeros = 0;
        while (h->count[i + zeros] == 0)
            zeros++;
        write_zigzag(w, zeros ? -(int64_t)zeros : (int64_t)h->count[i]);
        i += zeros ? zeros : 1;
    }
}

static size_t encode(const struct hdr *h, uint8_t *out)
{
    struct writer w = writer_of(out + HEADER, 9 * HDR_COUNTS), head = writer_of(out, HEADER);
    const double one = 1;
    uint64_t bits;
    memcpy(&bits, &one, 8);
    write_counts(&w, h);
    size_t n = (size_t)(w.p - out);
    write_u32(&head, COOKIE);
    write_u32(&head, (uint32_t)(n - HEADER));
    write_u32(&head, 0);
    write_u32(&head, HDR_DIGITS);
    write_u64(&head, 1);
    write_u64(&head, HDR_MOST);
    write_u64(&head, bits);
    return n;
}

/* 0: it did not fit, which it does. */
static size_t deflate_counts(uint8_t *in, size_t n, uint8_t *out)
{
    struct isal_zstream z;
    struct writer head = writer_of(out, 8);
    isal_deflate_stateless_init(&z);
    z.gzip_flag = IGZIP_ZLIB;
    z.end_of_stream = 1;
    z.next_in = in;
    z.avail_in = (uint32_t)n;
    z.next_out = out + 8;
    z.avail_out = DEFLATED_MOST - 8;
    if (isal_deflate_stateless(&z) != COMP_OK)
        return 0;
    write_u32(&head, COOKIE_DEFLATED);
    write_u32(&head, z.total_out);
    return 8 + z.total_out;
}

static bool write_base64(const uint8_t *in, size_t n, FILE *f)
{
    size_t room = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(room);
    bool ok =
        text && fputs(sodium_bin2base64(text, room, in, n, sodium_base64_VARIANT_ORIGINAL), f) >= 0;
    free(text);
    return ok;
}

bool hdr_write_hlog(const struct hdr *h, double began_s, double seconds, FILE *f)
{
    uint8_t *encoded = malloc(ENCODED_MOST), *deflated = malloc(DEFLATED_MOST);
    size_t n = encoded && deflated ? deflate_counts(encoded, encode(h, encoded), deflated) : 0;
    bool ok = false;
    if (n > 0) {
        fprintf(f,
                "#[Histogram log format version 1.3]\n"
                "#[StartTime: %.3f (seconds since epoch)]\n"
                "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                "\"Interval_Compressed_Histogram\"\n"
                "%.3f,%.3f,%.3f,",
                began_s, began_s, seconds, (double)hdr_quantile(h, 1) / 1e6);
        ok = write_base64(deflated, n, f);
        fputc('\n', f);
    }
    free(encoded);
    free(deflated);
    return ok && !ferror(f);
}
