/* SPDX-License-Identifier: BSD-3-Clause */
/* The proxy's own sizes and times. */
#ifndef CORAL_PROXY_LIMITS_H
#define CORAL_PROXY_LIMITS_H

#include "cache/cache.h"

#define PROXY_PRODUCT   "Coral"
#define PROXY_SHED_TEXT "this node has too much to do; try again"

enum {
    PROXY_BURST = 32,
    PROXY_WORKERS = CACHE_WORKERS,
    PROXY_REQUEST_HEAD = 4096, /* bytes of a request's head kept for an uncacheable response */
    PROXY_FORWARD = 2560,      /* of the lines that forward.c makes */
    LOOP_MAX = 1024,           /* of a client's CDN-Loop, */
    FORWARD_BEFORE = 1024,     /* and of what proxies before us say of his address */
    PROXY_RETRY_AFTER_S = 4,   /* at most, of a 503 */
    PROXY_ID = 32,             /* digits of a request's ID */
    PROXY_CANDIDATES = 8,      /* peers remembered for one fill */
    PROXY_ROUNDS = 16,         /* times that a fill looks for another source */
    PROXY_BARREN_ROUNDS = 4,   /* of them in a row without a byte */
    PROXY_TRIES = 4,           /* times that a request is sent back to look again, */
    PROXY_DOUBTS = 2,          /* and for a 503 that may be another client's */
    PROXY_BLOCK_BYTES = 16384,
    PROXY_BLOCK_WINDOW = 8,     /* blocks of one passed response on their way to the client */
    PROXY_BLOCKS = 1024,        /* a worker's, for all passed responses */
    PROXY_FORGETS = 256,        /* a worker's: of unsafe requests in flight, and what they name */
    PROXY_REFS = 65536,         /* references renewed by one worker */
    PROXY_PASS_KNOWN = 4096,    /* URLs remembered as uncacheable */
    PROXY_DROPPED_KNOWN = 4096, /* URLs whose copies elsewhere may be what was purged here */
    PROXY_BEHIND_KNOWN = 256,   /* URLs that were revalidated behind a stale copy a moment ago */
    PROXY_TROUBLE_KNOWN = 64,   /* failures of sites' origins that the operator was told of */
    PROXY_DOWN_KNOWN = 1024,    /* origins that are down by their probes */
    PROXY_SITES_USED = 256,     /* sites of which a worker counts the use at a time */
    PROXY_RETRIES = 1024,       /* places to count a host's retries in */
    PROXY_RETRY_LEAST = 10,     /* of a host, beside a fifth of its first tries */
    PROXY_BREAKER_FAILURES = 5, /* in a row, of an origin that can be connected to */
    PROXY_INLINE = 512, /* a body up to this is cheaper copied behind its head than referred to */
    PROXY_VIA = 128,
    PROXY_HEAD_ROOM = CACHE_HEAD_MAX + 8192, /* with a key, and what rules add */
    PROXY_LINGERING = 256,                   /* pins that nobody uses, a worker's, */
    PROXY_LINGERING_HOT = 4096,              /* and of what was asked for again */
    PROXY_ROUTES = 64,                       /* what hosts mean, as it was found */
    PROXY_PLAIN_HEADS = 8192,                /* heads that responses share, a worker's at most, */
    PROXY_PLAIN_HEAD = 1984,                 /* and bytes of one, with a small body */
    PROXY_ASKS = 16,                         /* objects that a poll asks others to let go of */
    PROXY_LOOKS = 64,                        /* connections that a poll looks at for those */
    PROXY_OWN_BYTES = 65536,                 /* copied at once for who is to let go */
    PROXY_SLICE_BYTES = 1 << 20, /* the same on all nodes, which give each other slices */
    PROXY_FAR_BYTES = 8 << 20,   /* ahead of what has come of a whole: not waited for */
};

/* Times, in microseconds. */
#define PROXY_WAIT_US         (20ull * 1000000) /* a client waits for a head: then 504 */
#define PROXY_STALL_US        (40ull * 1000000) /* a response waits for its object's next byte */
#define PROXY_INDEX_US        (1000ull * 1000)  /* index get, put */
#define PROXY_LISTEN_US       (40ull * 1000)    /* for a get when the claim beside it named nobody */
#define PROXY_AGE_MARGIN_US   (20ull * 1000)    /* ages of references are this uncertain */
#define PROXY_PEER_HEAD_US    (5ull * 1000000)  /* a peer may itself wait for the origin's head */
#define PROXY_PEER_HURRY_US   (300ull * 1000) /* where another has it whole, and some round trips */
#define PROXY_PEER_RTT_US     (100ull * 1000) /* where it is not known: beyond our table */
#define PROXY_PEER_STALL_US   (10ull * 1000000) /* a live peer may be without progress itself */
#define PROXY_ORIGIN_US       (60ull * 1000000) /* backstop behind the HTTP client's time-outs */
#define PROXY_MARGIN_MS       10000u            /* where a site's time-outs move such a limit */
#define PROXY_BODY_US         (90ull * 1000000) /* and behind the server's, for a request's body */
#define PROXY_MEMORY_US       (5ull * 1000)     /* between tries to append to a full cache */
#define PROXY_MEMORY_LIMIT_US (2ull * 1000000)  /* then the fill fails */
#define PROXY_LINGER_US       (10ull * 1000)    /* an object stays pinned after its last use here */
#define PROXY_LET_GO_US       (1000ull * 1000)  /* who takes nothing for so long is cut off */
#define PROXY_LOOK_US         (100ull * 1000)   /* between two rounds over the connections */
#define PROXY_BETWEEN_US      1000ull           /* O is looked at for the request's end there */
#define PROXY_PASS_KNOWN_US   (60ull * 1000000)
#define PROXY_DROPPED_US      (3600ull * 1000000) /* as long as others may be named as holders */
#define PROXY_TROUBLE_US      (60ull * 1000000)   /* between two words of the same trouble */
#define PROXY_BEHIND_US       1000000ull          /* between two fills behind a stale copy */
#define PROXY_QUEUE_US        (PROXY_WAIT_US / 2) /* from its birth a fill may wait for its turn, */
#define PROXY_QUEUE_LOOK_US   (100ull * 1000)     /* and while somebody is found to wait for it */
#define PROXY_RETRY_US        (10ull * 1000000)   /* in which tries are counted */
#define PROXY_OPEN_FIRST_US                                                                        \
    (1ull * 1000000) /* CORAL.md 4 has 15 s; one lost SYN must not                                 \
                        take an origin away for that long */
#define PROXY_OPEN_LAST_US (900ull * 1000000)
#define PROXY_OPEN_SITE_US (30ull * 1000000) /* of a site's origin: it is wanted back */
/* The index is not asked again later: half of what a client waits is the origin's. */
#define PROXY_AGAIN_US (PROXY_WAIT_US / 2)

#endif
