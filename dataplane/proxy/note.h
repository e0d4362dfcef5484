/* SPDX-License-Identifier: BSD-3-Clause */
/* What the proxy's workers tell each other, and its timers. */
#ifndef CORAL_PROXY_NOTE_H
#define CORAL_PROXY_NOTE_H

#include "base/message.h"
#include "base/wheel.h"
#include "dataplane/proxy/limits.h"
#include "dataplane/proxy/proxy.h"

/* --- messages ------------------------------------------------------------- */

/* What is answered, and why (enum access_reason). */
#define PROXY_FAILED_TAG(status, reason) ((uint32_t)(status) | (uint32_t)(reason) << 16)

enum proxy_message_type {
    PROXY_WANT = MESSAGE_PROXY, /* R->O request: find it */
    PROXY_READY,   /* O->R request, object, fill: send this; GOT when it is pinned. Terminal */
    PROXY_AGAIN,   /* O->R request: it is in the cache by now; tag not 0: or may be had. Terminal */
    PROXY_FAILED,  /* O->R request; tag: PROXY_FAILED_TAG. Terminal */
    PROXY_RELEASE, /* O->R request: uncacheable, fetch for yourself. Terminal */
    PROXY_GOT,     /* R->O fill: the object is pinned here */
    PROXY_FOLLOW,  /* R->O grip, object: tell me of progress */
    PROXY_FOLLOWED,  /* O->R grip: noted, or there is no such fill any more; look again */
    PROXY_PROGRESS,  /* O->R object: more bytes, or its end */
    PROXY_PASS,      /* O->R request, block: bytes of an uncacheable response, the head first */
    PROXY_PASS_END,  /* O->R request; tag: 1 whole, 0 broken off. Terminal */
    PROXY_INTERIM,   /* O->R request, block: an interim response's head */
    PROXY_PASS_STOP, /* R->O request, fill: the client needs no more */
    PROXY_BLOCK,     /* R->O block: sent, yours again */
    PROXY_DAMAGED,   /* R->O request, object: a checksum is wrong */
    PROXY_BEHIND,    /* R->O request, object: it went out stale, have it revalidated; NULL: the
                        slice of its key, which is not there, will be wanted */
    PROXY_DONE,      /* O->R request: DAMAGED, BEHIND is dealt with. Terminal */
    PROXY_FORGET,    /* R->O forget: its URL may have changed at the origin */
    PROXY_FORGOTTEN, /* O->R forget: yours again */
    PROXY_LET_GO,    /* O->R object: it is gone, and only readers keep its memory */
    PROXY_HEALTH,    /* to all, health_note: an origin is down, or up again */
};

struct request;
struct fill;
struct grip;
struct block;
struct forget;

struct proxy_note {
    struct request *request;
    const struct cache_object *object;
    union {
        struct fill *fill;
        uint64_t chain; /* FOLLOW: hash.lo of the URL, to find the fill by */
        struct forget *forget;
    };
    struct grip *grip;
    struct block *block;
    uint32_t fill_gen;
    uint8_t source;    /* enum source_kind, of READY */
    uint8_t collapsed; /* READY: joined a fill that ran; RELEASE: remember it */
    uint8_t stale;     /* READY: this is an old copy, the source failed */
    uint8_t refreshed; /* READY: our copy, which the origin has confirmed */
};
static_assert(sizeof(struct proxy_note) <= MESSAGE_BODY, "a note fits a message");

/* A message with a place in the queue to its worker: embedded in what it is about, so that no
 * message is ever lost for want of memory. */
struct post {
    struct post *next;
    void (*sent)(struct proxy *p, struct post *post); /* NULL: nobody waits for it */
    uint16_t to;
    bool queued;
    struct message m;
};
struct post_queue {
    struct post *head, **tail;
};

void post_init(struct proxy *p);
/* Sends `post`, or keeps it in order for the next poll. */
void post_send(struct proxy *p, struct post *post, unsigned to, uint16_t type, uint32_t tag,
               const struct proxy_note *note);
/* Retries what is kept, and delivers what this worker sent itself. */
void post_flush(struct proxy *p, struct now now);
bool post_waiting(const struct proxy *p);

/* --- timers --------------------------------------------------------------- */

enum alarm_kind { ALARM_REQUEST, ALARM_FILL, ALARM_RENEW, ALARM_REF, ALARM_HEALTH };
struct alarm {
    struct timer timer;
    uint8_t kind;
};

#endif
