/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to port/: what a link is made of. */
#ifndef CORAL_PORT_LINK_H
#define CORAL_PORT_LINK_H

#include <rte_ring.h>

#include "dataplane/port/port.h"

struct link_way { /* what end e receives, and its sleep */
    struct rte_ring *ring;
    int fd;
    uint32_t asleep;
} __rte_cache_aligned;

struct port_link {
    unsigned queues;
    struct link_way way[2 * PORT_QUEUES]; /* queue by queue, both ends of each */
};

#endif
