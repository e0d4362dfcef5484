/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters. A room lists its own in <room>/counters.h as an X-macro:
 *
 *   #define DNS_COUNTERS(X) \
 *       X(dns_queries_total, "queries", "DNS queries received") \
 *       ...
 *   COUNTER_STRUCT(dns_counters, DNS_COUNTERS)
 *
 * Names follow Prometheus; one ending in _total only grows, any other is a gauge. The control
 * thread joins the lists into the table that statistics and man page come from.
 *
 * Each struct has one writer, the worker that embeds it; the control thread reads it at any
 * time. Both sides are relaxed atomics of one 64-bit word (plain instructions on x86): a reader
 * may see a burst half counted, never a torn number.
 */
#ifndef CORAL_BASE_COUNTER_H
#define CORAL_BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

#define COUNTER_FIELD(name, unit, text) uint64_t name;
#define COUNTER_STRUCT(tag, LIST)                                                                  \
    struct tag {                                                                                   \
        LIST(COUNTER_FIELD)                                                                        \
    };

static inline void counter_add(uint64_t *c, uint64_t n)
{
    __atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

static inline void counter_inc(uint64_t *c)
{
    counter_add(c, 1);
}

static inline void counter_set(uint64_t *c, uint64_t value)
{
    __atomic_store_n(c, value, __ATOMIC_RELAXED);
}

static inline uint64_t counter_read(const uint64_t *c)
{
    return __atomic_load_n(c, __ATOMIC_RELAXED);
}

#endif
