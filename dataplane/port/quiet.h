/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to port/: silence while EAL or a driver runs, and what it said meanwhile. */
#ifndef CORAL_PORT_QUIET_H
#define CORAL_PORT_QUIET_H

#include "dataplane/port/port.h"

struct quiet {
    int out, err, file; /* -1: could not be had, then the noise goes where it went before */
};

/* stdout and stderr go to a memory file from begin to end. At start only: other threads that
 * print meanwhile lose their words. */
void quiet_begin(struct quiet *q);
/* `keep`: when no error line was logged, the file's last line becomes it. */
void quiet_end(struct quiet *q, bool keep);

void port_said_set(const char *text, size_t len);
void port_said_clear(void);

#endif
