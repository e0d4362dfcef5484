/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients on keep-alive connections that ask for objects, each again as soon as it has the last
 * answer, or by schedule. One thread runs them.
 *
 * Each answer's status and length are checked, and each byte of the body of one in 64.
 */
#ifndef CORAL_PERF_HTTP_LOAD_H
#define CORAL_PERF_HTTP_LOAD_H

#include "base/rng.h"
#include "perf/keys.h"
#include "perf/perf.h"
#include "perf/schedule.h"

#define HTTP_BODIES  64
#define HTTP_REQUEST 112 /* bytes of one for one of many objects */

/* Who asks whom for what. */
struct http_target {
    struct net_address client[NET_ADDRESSES];
    unsigned clients;
    struct endpoint server[4];
    unsigned servers;
    const char *host, *path; /* path NULL: /00000000 and so on, as many as there are objects */
    bool unknown; /* what it answers is not known: the first answer is what all others have to be */
    const char *memcached; /* NULL: HTTP; else that key is got by memcached's text protocol */
};

struct http_load;

struct client {
    struct http_load *all;
    struct stream *stream; /* NULL: none yet */
    uint64_t asked_tsc;
    uint64_t rested_tsc; /* --think: when it may ask again */
    uint64_t size, left; /* of the body; what is to come of it */
    uint32_t object;     /* which it asks for */
    bool in_body, sampled, busy;
    bool miss, refused; /* it asks for what is not there; the answer was 503 */
} __rte_cache_aligned;

struct http_load {
    const struct perf_options *options;
    struct host host;
    struct client *client;
    uint32_t opened, live;
    struct http_target target;
    uint64_t size; /* of the object; --trace: of the largest */
    /* Objects' bodies: the i-th one's begins i % HTTP_BODIES further on, so that one is not
     * another; of an unknown server the first answer's. */
    uint8_t *body;
    char request[512];
    char (
        *own_request)[HTTP_REQUEST]; /* each client's, with its object; NULL: there is one object */
    uint32_t request_len;
    uint32_t fetched; /* objects asked for to fill the cache */
    struct keys keys;
    uint64_t heads; /* of answers that were no refusals: the body of one in 64 is looked at */
    /* A good answer's head, as most that follow have it, and the length that it gives. */
    uint8_t known_head[512];
    size_t known_head_len;
    uint64_t known_length;
    bool warm; /* the object is in the cache: all clients may go */
    /* --rate, --think: the clients that wait for their next request, in turn, and the schedule */
    struct client **waiting;
    uint32_t first_waiting, waiting_n;
    bool scheduled; /* set by main when all stand */
    struct schedule schedule;
    bool began;
    uint64_t issued;              /* of the first requests, --active's and --think's */
    uint64_t think_tsc, next_tsc; /* --think; when the next of the first requests may go */
    bool picked;                  /* --active: the first requests are on their way */
    struct rng rng;
    /* counted by the generator, read by main */
    uint64_t ops, verified, ready, given_up;
    struct perf_errors errors;
    uint64_t measured_tsc;                /* since when; 0: not yet */
    struct latency latency, miss_latency; /* --misses: of hits, and of the others */
    uint64_t refused;                     /* while times are counted */
    uint32_t asked;                       /* misses, so far: a URL each */
};

/* False: no memory. `host` has to be made by the caller, from the target's clients, before the
 * first turn. */
bool http_load_open(struct http_load *h, const struct perf_options *o,
                    const struct http_target *target);
void http_load_close(struct http_load *h);
/* A perf_thread's turn, whose ctx is the load. */
bool http_load_turn(void *ctx);
/* Main waits here until all connections stand and all objects were answered; then the schedule
 * begins, and all is warm. False with `error`. */
bool http_load_wait(void *ctx, char *error, size_t error_len);
/* Requests a second that there are at least, unless it stalls; 0: as many as answers come. */
double http_load_slowest(const struct http_load *h);
/* The measured time; main's. */
void http_load_begin(void *ctx);
void http_load_end(void *ctx);
/* What the load knows of a measured run, once its thread has ended. */
void http_load_result(const struct http_load *h, struct perf_result *r);

#endif
