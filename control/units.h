/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes and times with units, as people write and read them. */
#ifndef CORAL_CONTROL_UNITS_H
#define CORAL_CONTROL_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT 32

enum units_result {
    UNITS_OK,
    UNITS_NONSENSE,
    UNITS_MISSING, /* a number without unit (0 needs none) */
    UNITS_HUGE,    /* does not fit in 64 bits */
};

/* "4GiB", "64 KiB", "512B": bytes. */
enum units_result units_size_parse(const char *text, uint64_t *bytes);
/* "500ms", "30s", "5min", "5m", "12h", "1d": milliseconds. */
enum units_result units_time_parse(const char *text, uint64_t *ms);

/* Exact, in the largest unit that divides: "4GiB", "90s". */
const char *units_size_exact(uint64_t bytes, char out[static UNITS_TEXT]);
const char *units_time_exact(uint64_t ms, char out[static UNITS_TEXT]);

/* Rounded, for tables: "3.1 GiB", "182 k", "0.09 ms", "3 h 12 min". */
const char *units_size_round(uint64_t bytes, char out[static UNITS_TEXT]);
const char *units_count_round(double n, char out[static UNITS_TEXT]);
const char *units_latency_round(uint64_t us, char out[static UNITS_TEXT]);
const char *units_span_round(uint64_t seconds, char out[static UNITS_TEXT]);

#endif
