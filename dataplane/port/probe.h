/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to port/: making ethdevs, and what the kernel knows about an interface. */
#ifndef CORAL_PORT_PROBE_H
#define CORAL_PORT_PROBE_H

#include "dataplane/port/port.h"

#define PROBE_SOCKETS 256

/*
 * Claims a kernel interface for this process: an abstract socket's name, which belongs to the
 * network namespace as the interface does and goes with the process however it ends. Without
 * it a second node's start would take the first one's XDP program away before it fails. Returns the
 * descriptor to close in the end, or -1: taken.
 */
int probe_claim(const char *device);

/* Sockets of one family that this process has open. */
struct sockets {
    unsigned n;
    int fd[PROBE_SOCKETS];
};
void probe_sockets(int family, struct sockets *out);
/* The first `room` sockets of `after` that are not in `before`; returns how many. */
unsigned probe_sockets_new(const struct sockets *before, const struct sockets *after, int *fd,
                           unsigned room);

struct interface {
    bool exists, up;
    unsigned mtu, channels; /* combined channels: AF_XDP's queues; at least 1 */
};
void probe_merge_off(const char *device); /* GRO and LRO: AF_PACKET's slots hold 2 KiB */
void probe_interface(const char *device, struct interface *out);
/* Whether this process may do what a kernel-bound driver does, else what it lacks in `text`. */
bool probe_may(enum port_driver driver, char *text, size_t len);

/* Makes the virtual device "<driver><first free number>". 0 and ethdev's number, or -1. */
int probe_device(const char *driver, const char *args, uint16_t *id);
/* The same of a device in DPDK's own words, "net_memif0,role=server" or "0000:01:00.0". */
int probe_devargs(const char *devargs, uint16_t *id);

#endif
