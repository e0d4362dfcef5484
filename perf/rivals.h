/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CORAL_PERF_RIVALS_H
#define CORAL_PERF_RIVALS_H

/* argv[0] is "rivals". Becomes another program; returns the exit status where it can't. */
int rivals_main(int argc, char **argv);

#endif
