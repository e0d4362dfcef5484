/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CORAL_PERF_COMPARE_H
#define CORAL_PERF_COMPARE_H

/* coral-perf compare A.json B.json [--json]; argv[0] is "compare". Returns the exit status. */
int compare_main(int argc, char **argv);

#endif
