/* SPDX-License-Identifier: BSD-3-Clause */
/* While it is measured, on a terminal: a line a second, in the place of the last one, of what was
 * in that second. */
#ifndef CORAL_PERF_PROGRESS_H
#define CORAL_PERF_PROGRESS_H

#include "perf/perf.h"

struct progress {
    double seconds; /* that it will take */
    uint64_t began_us, last_us, ops, busy_tsc;
    struct hdr seen; /* of the latency, by the last line */
};

void progress_begin(struct progress *p, double seconds, const struct measured *m, uint64_t now_us);
/* May be called as often as one likes; writes on standard error. */
void progress_show(struct progress *p, const struct measured *m, uint64_t now_us);
/* Takes the line away. */
void progress_end(void);

#endif
