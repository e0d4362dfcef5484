/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a node's control socket and lock are: /run/coral/NAME, or $CORAL_RUN/NAME. */
#ifndef CORAL_CONTROL_RUNDIR_H
#define CORAL_CONTROL_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>

#define RUNDIR_PATH 90 /* with the socket's name it fits sockaddr_un (108) */
#define RUNDIR_TEXT 256

/* "edge-1" or "demo/n1": letters, digits, "._-", and "/" between parts; no part begins with a
 * dot. */
bool rundir_name_valid(const char *name);
/* The folder of all nodes: $CORAL_RUN or /run/coral. */
const char *rundir_base(void);
/* The folder of the node called `name`. False: too long. */
bool rundir_path(const char *name, char out[static RUNDIR_PATH]);

struct rundir {
    char path[RUNDIR_PATH];
    int lock; /* -1: not taken */
};

/* Makes the folder (with those above it) and takes its lock. 0, or an exit status of UX with one
 * line in `error`: 1 already running or not possible, 5 not permitted. */
int rundir_take(struct rundir *r, const char *path, char *error, size_t len);
/* PATH/control.sock */
void rundir_socket(const struct rundir *r, char out[static 108]);
/* Removes lock, socket and what folders were made and are empty now. */
void rundir_leave(struct rundir *r);

#endif
