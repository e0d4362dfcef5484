/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/units.h"

#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* largest first; of two names for one factor the first is the one we write */
static const struct unit sizes[] = {
    {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1},
};
static const struct unit times[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static enum units_result parse(const char *text, const struct unit *units, size_t n, uint64_t *out)
{
    uint64_t value = 0;
    const char *p = text;

    if (*p < '0' || *p > '9')
        return UNITS_NONSENSE;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return UNITS_HUGE;
    if (*p == ' ')
        p++;
    if (*p == '\0') {
        *out = value;
        return value == 0 ? UNITS_OK : UNITS_MISSING;
    }
    for (size_t i = 0; i < n; i++)
        if (strcmp(p, units[i].name) == 0)
            return __builtin_mul_overflow(value, units[i].factor, out) ? UNITS_HUGE : UNITS_OK;
    return UNITS_NONSENSE;
}

enum units_result units_size_parse(const char *text, uint64_t *bytes)
{
    return parse(text, sizes, sizeof(sizes) / sizeof(sizes[0]), bytes);
}

enum units_result units_time_parse(const char *text, uint64_t *ms)
{
    return parse(text, times, sizeof(times) / sizeof(times[0]), ms);
}

static const char *exact(uint64_t value, const struct unit *units, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        if (value && value % units[i].factor == 0) {
            snprintf(out, UNITS_TEXT, "%llu%s", (unsigned long long)(value / units[i].factor),
                     units[i].name);
            return out;
        }
    snprintf(out, UNITS_TEXT, "0");
    return out;
}

const char *units_size_exact(uint64_t bytes, char out[static UNITS_TEXT])
{
    return exact(bytes, sizes, sizeof(sizes) / sizeof(sizes[0]), out);
}

const char *units_time_exact(uint64_t ms, char out[static UNITS_TEXT])
{
    return exact(ms, times, sizeof(times) / sizeof(times[0]), out);
}

/* Three digits at least, and no more digits than say something: 0.09, 3.1, 182. */
static void digits(double v, const char *unit, char *out)
{
    int decimals = v != 0 && v < 1 ? 2 : v < 10 && v != 0 ? 1 : 0;
    snprintf(out, UNITS_TEXT, "%.*f%s%s", decimals, v, *unit ? " " : "", unit);
}

const char *units_size_round(uint64_t bytes, char out[static UNITS_TEXT])
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) - 1; i++)
        if (bytes >= sizes[i].factor) {
            digits((double)bytes / (double)sizes[i].factor, sizes[i].name, out);
            return out;
        }
    snprintf(out, UNITS_TEXT, "%llu B", (unsigned long long)bytes);
    return out;
}

const char *units_count_round(double n, char out[static UNITS_TEXT])
{
    if (n >= 1e9)
        digits(n / 1e9, "G", out);
    else if (n >= 1e6)
        digits(n / 1e6, "M", out);
    else if (n >= 1e4)
        digits(n / 1e3, "k", out);
    else
        snprintf(out, UNITS_TEXT, "%.0f", n);
    return out;
}

const char *units_latency_round(uint64_t us, char out[static UNITS_TEXT])
{
    double ms = (double)us / 1000;
    if (ms >= 10000)
        digits(ms / 1000, "s", out);
    else
        digits(ms, "ms", out);
    return out;
}

const char *units_span_round(uint64_t s, char out[static UNITS_TEXT])
{
    if (s >= 2 * 86400)
        snprintf(out, UNITS_TEXT, "%llu d %llu h", (unsigned long long)(s / 86400),
                 (unsigned long long)(s / 3600 % 24));
    else if (s >= 3600)
        snprintf(out, UNITS_TEXT, "%llu h %llu min", (unsigned long long)(s / 3600),
                 (unsigned long long)(s / 60 % 60));
    else if (s >= 60)
        snprintf(out, UNITS_TEXT, "%llu min %llu s", (unsigned long long)(s / 60),
                 (unsigned long long)(s % 60));
    else
        snprintf(out, UNITS_TEXT, "%llu s", (unsigned long long)s);
    return out;
}
