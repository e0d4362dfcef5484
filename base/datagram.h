/* SPDX-License-Identifier: BSD-3-Clause */
/* UDP as engines see it: what came in, and a way out that the host supplies. */
#ifndef CORAL_BASE_DATAGRAM_H
#define CORAL_BASE_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define DATAGRAM_BURST 32

/* A datagram received, its checksum already verified. */
struct datagram {
    struct endpoint from, to;
    const uint8_t *data;
    uint16_t len;
    uint16_t room;      /* bytes that a reply may have */
    uint8_t *reply;     /* where an engine writes the reply; may be the same memory as `data` only
                           for engines that say so */
    uint16_t reply_len; /* 0: no reply. Set by the engine */
};

/* The host's way out. The address of ours that a datagram leaves from is the host's choice, the
 * port is the engine's. */
struct datagram_out {
    void *ctx;
    /* False: not taken (no memory, no route, no neighbour yet and no room to wait); the engine's
     * timer repeats what matters. */
    bool (*send)(void *ctx, uint16_t from_port, const struct endpoint *to, const void *data,
                 size_t len);
};

#endif
