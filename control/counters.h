/* SPDX-License-Identifier: BSD-3-Clause */
/* What the access log's thread counts; it alone writes them (base/counter.h). */
#ifndef CORAL_CONTROL_COUNTERS_H
#define CORAL_CONTROL_COUNTERS_H

#include "base/counter.h"

#define LOG_COUNTERS(X)                                                                            \
    X(log_lines_total, "lines", "Lines of the access log written to its file")                     \
    X(log_bytes_total, "bytes", "Bytes of these lines")                                            \
    X(log_dropped_total, "lines", "Lines of the access log dropped: its disk is full or fails")    \
    X(log_rotations_total, "files", "Times that the access log's file had its largest size")       \
    X(log_journal_total, "lines", "Lines of the access log that the journal took")                 \
    X(log_journal_dropped_total, "lines", "Lines of the access log that the journal did not take")

COUNTER_STRUCT(log_counters, LOG_COUNTERS)

#endif
