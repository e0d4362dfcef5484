/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 64-byte message between workers, and between workers and control. Rooms define their own
 * types above their base; payloads are structs of at most 56 bytes laid over `body`.
 *
 * A pointer in a message hands over what its type says: exclusive ownership, or a promise that
 * the bytes stay until the answering message. rte_ring's release and acquire order both.
 */
#ifndef CORAL_BASE_MESSAGE_H
#define CORAL_BASE_MESSAGE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MESSAGE_BODY 56

enum message_base {
    MESSAGE_WORKER = 0x000, /* dataplane/worker's own: neighbours */
    MESSAGE_PROXY = 0x100,  /* dataplane/proxy: want, progress, ... */
    MESSAGE_DHT = 0x200,
    MESSAGE_CONTROL = 0x300, /* commands down, events up */
};

struct message {
    uint16_t type;
    uint16_t from; /* worker's number; 0xffff: control */
    uint32_t tag;  /* free for the type's use */
    union {
        uint8_t body[MESSAGE_BODY];
        uint64_t word[MESSAGE_BODY / 8];
        void *ptr[MESSAGE_BODY / 8];
    };
};
static_assert(sizeof(struct message) == 64, "a message is one cache line");

/* How an engine posts to another worker. False: that ring is full; keep the message and try
 * again at the next poll, never spin. */
struct message_out {
    void *ctx;
    bool (*post)(void *ctx, unsigned worker, const struct message *m);
};

#endif
