/* SPDX-License-Identifier: BSD-3-Clause */
/* coral-hop's command line. */
#ifndef CORAL_TOOLS_HOP_OPTIONS_H
#define CORAL_TOOLS_HOP_OPTIONS_H

#include "tools/hop_way.h"

enum hop_status { HOP_DONE = 0, HOP_FAILED = 1, HOP_USAGE = 2, HOP_NOT_PERMITTED = 5 };

struct hop_options {
    struct hop_config way[2]; /* from the first interface to the second, and back */
    const char *interface[2];
    uint64_t seed;
    bool seed_given;
    uint32_t frames; /* in flight a direction */
    bool json;
};

/* -1: go on; else the exit status, with what is wrong said on standard error. */
int hop_options_read(int argc, char **argv, struct hop_options *o);

#endif
