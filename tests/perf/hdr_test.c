/* SPDX-License-Identifier: BSD-3-Clause */
#include <criterion/criterion.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

#include "perf/hdr.h"

static struct hdr h;

Test(hdr, indices_go_up_by_one_and_keep_two_digits)
{
    uint32_t last = 0;
    for (uint64_t v = 0; v <= 1 << 20; v++) {
        uint32_t i = hdr_index(v);
        cr_assert(i == last || i == last + 1);
        cr_assert(hdr_value(i) >= v && (double)(hdr_value(i) - v) <= (double)v / 128, "%llu",
                  (unsigned long long)v);
        last = i;
    }
    cr_assert_eq(hdr_index(HDR_MOST), HDR_COUNTS - 1);
    cr_assert_eq(hdr_index(UINT64_MAX), HDR_COUNTS - 1);
    cr_assert_eq(hdr_value(HDR_COUNTS - 1), HDR_MOST);
}

Test(hdr, quantiles)
{
    cr_assert_eq(hdr_quantile(&h, 0.5), 0, "of nothing");
    for (uint64_t v = 1; v <= 200; v++)
        hdr_add(&h, v);
    cr_assert_eq(hdr_total(&h), 200);
    cr_assert_eq(hdr_quantile(&h, 0), 1);
    cr_assert_eq(hdr_quantile(&h, 0.5), 100);
    cr_assert_eq(hdr_quantile(&h, 0.99), 198);
    cr_assert_eq(hdr_quantile(&h, 1), 200);
}

static char *text_of(bool (*write)(const struct hdr *, FILE *))
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    cr_assert(write(&h, f));
    fclose(f);
    return text;
}

Test(hdr, percentiles_as_viewers_read_them)
{
    for (uint64_t v = 1; v <= 200; v++)
        hdr_add(&h, v);
    char *csv = text_of(hdr_write_csv), *hgrm = text_of(hdr_write_hgrm);
    cr_assert(strstr(csv, "\n0.001,0.005000000000,1,1.01\n"));
    cr_assert(strstr(csv, "\n0.100,0.500000000000,100,2.00\n"));
    cr_assert(strstr(csv, "\n0.200,1.000000000000,200,Infinity\n"));
    cr_assert(strstr(hgrm, "       0.100 0.500000000000        100           2.00\n"));
    cr_assert(strstr(hgrm, "#[Mean    =        0.101"));
    cr_assert(strstr(hgrm, "#[Max     =        0.200, Total count    =          200]\n"));
    free(csv);
    free(hgrm);
}

static size_t base64(const char *in, uint8_t *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0, bits = 0;
    for (uint32_t v = 0; *in && strchr(digit, *in); in++) {
        v = v << 6 | (uint32_t)(strchr(digit, *in) - digit);
        bits += 6;
        if (bits >= 8)
            out[n++] = (uint8_t)(v >> (bits -= 8));
    }
    return n;
}

/* The log, taken apart by the format's description. */
Test(hdr, log_has_its_counts)
{
    char *text = NULL;
    size_t len;
    uint8_t raw[4096], out[65536];
    hdr_add(&h, 3);
    hdr_add(&h, 3);
    hdr_add(&h, 70000);
    FILE *f = open_memstream(&text, &len);
    cr_assert(hdr_write_hlog(&h, 1000.5, 2, f));
    fclose(f);
    char *line = strstr(text, "\n1000.500,2.000,0.070,");
    cr_assert(line, "%s", text);
    size_t n = base64(strrchr(line, ',') + 1, raw);
    const uint8_t cookie[] = {0x1c, 0x84, 0x93, 0x14};
    cr_assert_arr_eq(raw, cookie, 4);
    cr_assert_eq(raw[4] << 24 | raw[5] << 16 | raw[6] << 8 | raw[7], (int)n - 8);
    struct inflate_state z;
    isal_inflate_init(&z);
    z.crc_flag = IGZIP_ZLIB;
    z.next_in = raw + 8;
    z.avail_in = (uint32_t)n - 8;
    z.next_out = out;
    z.avail_out = sizeof(out);
    cr_assert_eq(isal_inflate(&z), ISAL_DECOMP_OK);
    /* 3 zeros; 2; zeros up to the count of 70000; 1: in ZigZag, seven bits a byte, low ones first
     */
    const uint32_t zeros = 2 * (hdr_index(70000) - 4) - 1;
    const uint8_t wanted[] = {5, 4, (uint8_t)(zeros | 128), (uint8_t)(zeros >> 7), 2};
    cr_assert_eq(z.total_out, 40 + sizeof(wanted));
    cr_assert_arr_eq(out, ((uint8_t[]){0x1c, 0x84, 0x93, 0x13, 0, 0, 0, sizeof(wanted)}), 8);
    cr_assert_arr_eq(out + 40, wanted, sizeof(wanted));
    cr_assert_eq(out[15], HDR_DIGITS);
    free(text);
}
