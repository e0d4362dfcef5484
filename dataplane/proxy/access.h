/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of an exchange with a client when it is over: the record of the access log, made by
 * the proxy and given to its host (struct proxy_log). Of a fixed layout and without pointers, so
 * that it goes through a ring as it stands; what is sent of it is a multiple of 16 bytes.
 *
 *    0 units status minor served flags cut
 *    8 start_us        16 duration_us       24 bytes
 *   32 client
 *   48 len[ACCESS_TEXTS]  60 worker reason why none
 *   64 head_us index_us peer_us origin_us
 *   80 text: the texts one behind the other, as they came; nothing in them is safe to print
 */
#ifndef CORAL_PROXY_ACCESS_H
#define CORAL_PROXY_ACCESS_H

#include <assert.h>
#include <stddef.h>

#include "base/addr.h"

enum access_text {
    ACCESS_METHOD,
    ACCESS_HOST,   /* with a port, if one was said */
    ACCESS_TARGET, /* of the request line */
    ACCESS_REFERER,
    ACCESS_AGENT,
    ACCESS_ID, /* X-Request-ID, as we made it */
    ACCESS_TEXTS
};
/* Bytes kept of each; a longer one is cut and marked. */
#define ACCESS_METHOD_MAX  24
#define ACCESS_HOST_MAX    264
#define ACCESS_TARGET_MAX  2048
#define ACCESS_REFERER_MAX 1024
#define ACCESS_AGENT_MAX   512
#define ACCESS_ID_MAX      32
#define ACCESS_TEXT_MAX                                                                            \
    (ACCESS_METHOD_MAX + ACCESS_HOST_MAX + ACCESS_TARGET_MAX + ACCESS_REFERER_MAX +                \
     ACCESS_AGENT_MAX + ACCESS_ID_MAX)

enum access_served {
    ACCESS_NOT,       /* the client left, or was reset, before there was an answer */
    ACCESS_HIT,       /* this node's cache, fresh */
    ACCESS_STALE,     /* ... or not */
    ACCESS_PEER,      /* a fill from a peer, begun for this request */
    ACCESS_ORIGIN,    /* ... from the origin */
    ACCESS_COLLAPSED, /* a fill that ran already */
    ACCESS_PASS,      /* the origin, uncached */
    ACCESS_ERROR,     /* made here: refused, or nothing could be had */
    ACCESS_SERVED
};

/* Why no origin helped, of the last one that was tried, or why none was tried; why the request was
 * refused; or what was wrong with it. */
enum access_reason {
    ACCESS_NO_REASON,
    ACCESS_NO_NAME,   /* its name does not exist, or has no address */
    ACCESS_DNS,       /* its name could not be resolved: the resolver fails, or is silent */
    ACCESS_FORBIDDEN, /* its address is not allowed */
    ACCESS_REFUSED,   /* it refuses to connect, or is unreachable */
    ACCESS_CONNECT,   /* no connection in time */
    ACCESS_CLOSED,    /* it closed before it had answered */
    ACCESS_NONSENSE,  /* what it says is no HTTP */
    ACCESS_BROKE_OFF, /* its answer ended before its end */
    ACCESS_TIMEOUT,   /* it did not answer, or go on, in time */
    ACCESS_BACKOFF,   /* not asked: it failed a moment ago */
    ACCESS_LOOP,      /* none was to be: the request has been through this network */
    ACCESS_SHARE,     /* nor here: the site is over its share of the network */
    ACCESS_DOWN,      /* its health probes fail: for the operator, as is */
    ACCESS_UP,        /* they don't any more */
    ACCESS_SHED,      /* none was asked: this node has too much to do */
    /* refused, though there is nothing wrong with it */
    ACCESS_NOT_SERVED,     /* its host is not served here */
    ACCESS_METHOD_REFUSED, /* or its method is not, */
    ACCESS_BODY_REFUSED,   /* or a body */
    ACCESS_BUSY,           /* there are too many */
    ACCESS_DENY_LIST,      /* open.deny_file has its URL */
    ACCESS_RULE_DENY,      /* the operator's rules */
    ACCESS_RULE_REDIRECT,
    ACCESS_RULE_RATE,
    ACCESS_RULE_FAILS, /* they make no URL of it, or can't be looked at */
    /* of the request, in the order of enum http_error */
    ACCESS_BAD_LINE,
    ACCESS_BAD_TARGET,
    ACCESS_BAD_FIELD,
    ACCESS_BAD_HOST,
    ACCESS_BAD_LENGTH,
    ACCESS_BAD_FRAMING,
    ACCESS_BAD_BODY,
    ACCESS_SHORT_BODY,
    ACCESS_SLOW_HEAD,
    ACCESS_SLOW_BODY,
    ACCESS_LONG_TARGET,
    ACCESS_BAD_EXPECT,
    ACCESS_LARGE_HEAD,
    ACCESS_BAD_CODING,
    ACCESS_BAD_VERSION,
    ACCESS_REASONS
};

/* Why it was no hit (RFC 9211 2.2), or why one that is stale was sent all the same. */
enum access_why {
    ACCESS_NO_WHY,
    ACCESS_WHY_MISS, /* the first ones in the order of enum forward_why */
    ACCESS_WHY_VARY_MISS,
    ACCESS_WHY_PARTIAL,
    ACCESS_WHY_STALE,
    ACCESS_WHY_REQUEST,
    ACCESS_WHY_BYPASS,
    ACCESS_WHY_METHOD,
    ACCESS_WHY_REVALIDATE, /* stale-while-revalidate */
    ACCESS_WHY_MAX_STALE,  /* the request takes it, or the origin lets it */
    ACCESS_WHY_IF_ERROR,   /* nobody could be asked */
    ACCESS_WHYS
};

enum access_flag {
    ACCESS_OF_PEER = 1,    /* a node of ours asked */
    ACCESS_LEFT = 2,       /* the client was gone before the end */
    ACCESS_BROKEN = 4,     /* we reset the connection before the end */
    ACCESS_REVALIDATED = 8 /* the origin said that what was stored still holds (304) */
};

#define ACCESS_NO_VERSION 255 /* of `minor`: the request could not be read */
/* What nginx writes for a client that left before it was answered. */
#define ACCESS_STATUS_LEFT 499

struct access_record {
    uint16_t units; /* of 16 bytes, that are used */
    uint16_t status;
    uint8_t minor; /* of HTTP/1.minor */
    uint8_t served, flags;
    uint8_t cut;          /* bit i: text i was longer */
    uint64_t start_us;    /* now.mono_us when the request's head had come */
    uint64_t duration_us; /* from then to the last byte that was queued */
    uint64_t bytes;       /* of the body, as queued */
    struct addr client;
    uint16_t len[ACCESS_TEXTS];
    uint8_t worker;
    uint8_t reason; /* enum access_reason */
    uint8_t why;    /* enum access_why */
    uint8_t none;
    uint32_t head_us; /* from then until the response's head was queued; 0: at once, or never */
    uint32_t index_us, peer_us, origin_us; /* what it waited for, of a fill of its own; 0: did not,
                                            * or not known */
    char text[ACCESS_TEXT_MAX];
};
#define ACCESS_UNIT 16
static_assert(offsetof(struct access_record, text) == 80, "no holes");
static_assert(sizeof(struct access_record) % ACCESS_UNIT == 0, "whole units");

/* What a host asks for, bits; 0: nothing is gathered. */
enum access_want {
    ACCESS_WANTED = 1,
    ACCESS_WANT_FIELDS = 2, /* Referer and User-Agent too */
    ACCESS_WANT_PEERS = 4   /* requests of our nodes too */
};

#endif
