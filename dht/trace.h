/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which routers are on the way to an address: datagrams with a small TTL, to ports where nobody
 * listens, each of which makes the router where its TTL ends say "time exceeded" (RFC 792, RFC 4443
 * 3.3), as traceroute does. Two kinds:
 *
 *   near    our own surroundings: the first five hops of a path
 *   towards the last five hops before a target: all TTLs from 1 until the target or somebody in its
 *           prefix answers, three hops in a row keep silent, or TTL 30
 *
 * Strangers' routers are asked for a favour, so it asks little: two probes in flight a trace, one
 * repetition, a token bucket over all traces; and it asks once an hour for a whole prefix. An
 * engine without I/O: probes leave through the host, answers come in by their tokens.
 *
 * A token is 12 bits, `flow` << 6 | `step`. All probes of one trace have one flow, which is to be
 * their UDP ports, so that routers with several equal paths send all of them on the same one
 * (Augustin et al., IMC 2006); `step` numbers them and must be found elsewhere in the first 8 bytes
 * of UDP, all that an error need quote: in its length.
 */
#ifndef CORAL_DHT_TRACE_H
#define CORAL_DHT_TRACE_H

#include "base/addr.h"
#include "base/now.h"

#define DHT_TRACE_ROUTERS 5
#define DHT_TRACE_TTL_MAX 30
#define DHT_TRACE_RUNS    4   /* at once */
#define DHT_TRACE_QUEUE   16  /* that wait for one of these to end */
#define DHT_TRACE_CACHE   256 /* results kept, by prefix */
#define DHT_TRACE_FLOWS   64u
#define DHT_TRACE_STEPS   64u

struct dht_trace_config {
    uint32_t probes_per_s; /* over all traces; 0: nothing is ever traced */
    uint32_t burst;        /* probes that may go at once after a quiet time */
    uint32_t cache_ms;     /* how long a result is good */
    bool special;          /* as dht_hint_usable has it, for targets and routers */
};
struct dht_trace_config dht_trace_config_default(void); /* 10/s, 5, 1 h, none */

struct dht_trace_router {
    struct addr ip;
    uint8_t hop; /* 1: the first router */
    uint32_t rtt_us;
};
struct dht_trace_result {
    struct addr target;
    bool near;    /* of our own surroundings */
    bool reached; /* the target, or somebody in its prefix, answered */
    unsigned n;   /* routers that answered and may be named, in the order of the path, each once */
    struct dht_trace_router router[DHT_TRACE_ROUTERS];
};

struct dht_trace_host {
    void *ctx;
    /* Sends a probe. One that is not sent is as good as lost: it is repeated once. */
    void (*probe)(void *ctx, const struct addr *to, uint8_t ttl, uint16_t token);
    /* A trace is over; of its target's prefix, whoever asked. From dht_trace_poll; may ask. */
    void (*done)(void *ctx, const struct dht_trace_result *result, struct now now);
};

struct dht_trace;
/* NULL: no memory. `seed` hides the first flow. One thread's. */
struct dht_trace *dht_trace_create(const struct dht_trace_config *config,
                                   const struct dht_trace_host *host, const uint8_t seed[32],
                                   struct now now);
void dht_trace_destroy(struct dht_trace *t);

enum dht_trace_answer {
    DHT_TRACE_KNOWN,   /* *out has it, until the next call */
    DHT_TRACE_WAITING, /* host.done will have it */
    DHT_TRACE_REFUSED, /* turned off, no address to trace to, or too many wait */
};
/* The last hops towards an address. */
enum dht_trace_answer dht_trace_towards(struct dht_trace *t, const struct addr *target,
                                        const struct dht_trace_result **out, struct now now);
/* The first hops of the path to an address; never KNOWN. */
enum dht_trace_answer dht_trace_near(struct dht_trace *t, const struct addr *target,
                                     struct now now);

/* A router's "time exceeded", or "port unreachable" by the target, about the probe with this token.
 * Tokens of no probe are ignored: anybody can send such messages. */
void dht_trace_time_exceeded(struct dht_trace *t, uint16_t token, const struct addr *router,
                             uint32_t rtt_us);
void dht_trace_port_unreachable(struct dht_trace *t, uint16_t token);

void dht_trace_poll(struct dht_trace *t, struct now now);
/* When to poll again, mono_us; UINT64_MAX: nothing to do. To be asked anew after each answer. */
uint64_t dht_trace_deadline_us(const struct dht_trace *t);

#endif
