/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "perf/hdr.h"

#define TICKS 5 /* percentiles told each time that the rest halves */

uint64_t hdr_value(uint32_t index)
{
    if (index < HDR_SUB)
        return index;
    uint32_t octave = index / HDR_HALF - 1;
    return ((uint64_t)(index - octave * HDR_HALF + 1) << octave) - 1;
}

uint64_t hdr_total(const struct hdr *h)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < HDR_COUNTS; i++)
        n += h->count[i];
    return n;
}

uint64_t hdr_quantile(const struct hdr *h, double q)
{
    uint64_t total = hdr_total(h), n = 0;
    double wanted = ceil(q * (double)total);
    uint64_t rank = wanted < 1 ? 1 : (uint64_t)wanted;
    for (uint32_t i = 0; i < HDR_COUNTS && total > 0; i++) {
        n += h->count[i];
        if (n >= rank)
            return hdr_value(i);
    }
    return 0;
}

/* --- percentiles: both forms have the same lines ---------------------------------------------- */

static bool write_lines(const struct hdr *h, FILE *f, const char *line, const char *last)
{
    uint64_t total = hdr_total(h), n = 0;
    double level = 0; /* what is told next */
    for (uint32_t i = 0; i < HDR_COUNTS && n < total; i++) {
        n += h->count[i];
        if (h->count[i] == 0)
            continue;
        double share = (double)n / (double)total, us = (double)hdr_value(i) / 1000;
        if (n == total) {
            fprintf(f, last, us, 1.0, (unsigned long long)n);
            break;
        }
        if (share >= level)
            fprintf(f, line, us, share, (unsigned long long)n, 1 / (1 - share));
        while (level <= share) { /* half of the rest, cut in so many */
            double half = pow(2, floor(log2(1 / (1 - level))) + 1);
            level += 1 / (half * TICKS);
        }
    }
    return !ferror(f);
}

bool hdr_write_hgrm(const struct hdr *h, FILE *f)
{
    double sum = 0, squares = 0, n = (double)hdr_total(h), most = 0;
    fprintf(f, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    write_lines(h, f, "%12.3f %2.12f %10llu %14.2f\n", "%12.3f %2.12f %10llu\n");
    for (uint32_t i = 0; i < HDR_COUNTS; i++) {
        double us = (double)hdr_value(i) / 1000, k = (double)h->count[i];
        sum += us * k;
        most = k > 0 ? us : most;
    }
    double mean = n > 0 ? sum / n : 0;
    for (uint32_t i = 0; i < HDR_COUNTS; i++) {
        double off = (double)hdr_value(i) / 1000 - mean;
        squares += off * off * (double)h->count[i];
    }
    fprintf(f,
            "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n"
            "#[Max     = %12.3f, Total count    = %12.0f]\n"
            "#[Buckets = %12u, SubBuckets     = %12u]\n",
            mean, n > 0 ? sqrt(squares / n) : 0, most, n, HDR_BITS - 7, HDR_SUB);
    return !ferror(f);
}

bool hdr_write_csv(const struct hdr *h, FILE *f)
{
    fputs("\"Value\",\"Percentile\",\"TotalCount\",\"1/(1-Percentile)\"\n", f);
    return write_lines(h, f, "%.3f,%.12f,%llu,%.2f\n", "%.3f,%.12f,%llu,Infinity\n");
}
