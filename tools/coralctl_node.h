/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the node behind a control socket lives, and its end, without asking it. */
#ifndef CORAL_TOOLS_CORALCTL_NODE_H
#define CORAL_TOOLS_CORALCTL_NODE_H

#include <stdbool.h>

/* False: the socket is what a killed node left behind. One that may not be used counts as alive. */
bool node_alive(const char *socket_path);

/* The file beside the socket that a node holds locked while it has its name, ports and memory; to
 * be opened while it lives, since a node that ends removes it. -1: there is none. */
int node_lock_open(const char *socket_path);
/* Waits until nobody holds it, and closes it. False: somebody still did after `seconds`. */
bool node_lock_wait(int lock, unsigned seconds);

#endif
