/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A resolver's worth of clients: questions of names, picked uniformly or by Zipf's law, a fixed
 * number of them in flight, or by schedule. One thread runs it.
 *
 * Of each answer who sends it, its ID and its header are looked at; of one in 64 all that is in
 * it: the checksum, the question, and that its records can be read to the end.
 *
 * A client has to cost less than a server: a query is a template with its question, its ID and its
 * port put in.
 */
#ifndef CORAL_PERF_DNS_LOAD_H
#define CORAL_PERF_DNS_LOAD_H

#include "perf/dns_names.h"
#include "perf/perf.h"
#include "perf/schedule.h"
#include "perf/keys.h"

#define DNS_PLACES 16384 /* most queries in flight */

struct slot {           /* for a query in flight */
    uint64_t asked_tsc; /* from here on it is timed: by schedule, it may have been sent later, */
    uint64_t sent_tsc;  /* and from here on it is waited for */
    uint32_t name;
    uint16_t round; /* its ID */
    bool busy;
};

struct dns_load {
    const struct perf_options *options;
    struct host host; /* its wire; and it speaks ARP and ND */
    struct dns_names names;
    struct endpoint from, to;
    /* The answers' addresses are these, of IPv4 and nothing else; 0: they are not known. */
    uint32_t first_member, members;
    uint64_t hz;
    /* a query: its frame, with zeros where each has its own; where UDP's header stands in it */
    uint8_t frame[NET_HEADROOM + 512];
    uint32_t frame_len, udp_at;
    bool v4;
    struct slot slot[DNS_PLACES];
    uint16_t unused[DNS_PLACES]; /* places, as they came free */
    uint32_t places, first_unused, unused_n;
    uint64_t checked_tsc;
    uint64_t state; /* of the names' generator */
    struct keys keys;
    struct schedule schedule;
    bool began, found; /* found: the server's neighbour has answered, the template is made */
    struct latency latency;
    struct perf_errors errors;
    uint64_t ops, verified, given_up;
};

/* `names` are the load's from here on; the host is made by the caller, before the first turn.
 * False: no memory. */
bool dns_load_open(struct dns_load *d, const struct perf_options *o, const struct dns_names *names,
                   const struct endpoint *from, const struct endpoint *to);
void dns_load_close(struct dns_load *d);
/* A perf_thread's turn, whose ctx is the load. */
bool dns_load_turn(void *ctx);
/* Main waits here until answers come and all is warm. False with `error`. */
bool dns_load_wait(void *ctx, char *error, size_t error_len);
/* What the load knows of a measured run, once its thread has ended. */
void dns_load_result(const struct dns_load *d, struct perf_result *r);

#endif
