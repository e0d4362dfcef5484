/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hints (NSDI 2004, section 4.2; CORAL.md 2): a node stores its address in the index under what
 * stands near it in the network, so that somebody who looks for nodes near an address that nobody
 * has measured finds it there.
 *
 *       us --- r1 --- r2 --- r3 --- ... --- s3 --- s2 --- s1 --- target
 *       |      |      |                     |      |      |      |
 *       puts under: our subnets; r1..r5     looks up: the target's prefix; s1..s5, nearest to
 *       and their prefixes                  it first, and their prefixes
 *
 * A prefix is the /24 of an IPv4 address and the /48 of an IPv6 one. Here are the keys, what this
 * node has to put and when, and what to look up; dht/trace.h finds the routers. The puts themselves
 * are the caller's.
 */
#ifndef CORAL_DHT_HINT_H
#define CORAL_DHT_HINT_H

#include "base/rng.h"
#include "dht/dht.h"

#define DHT_HINT_OWN    16 /* subnets of ours: as many as a node has addresses */
#define DHT_HINT_HOPS   5  /* routers up to so far out are our surroundings */
#define DHT_HINT_KEYS   48 /* ours and those of some 16 routers: paths part after the first hops */
#define DHT_HINT_LOOKUP (1 + 2 * DHT_HINT_HOPS)

struct dht_trace_result; /* dht/trace.h */

/* The address with what is beyond its /24 or /48 cleared. */
struct addr dht_hint_prefix(const struct addr *a);
/* The key of that prefix: all of its addresses have the same. */
struct dht_id dht_hint_prefix_key(const struct addr *a);
struct dht_id dht_hint_router_key(const struct addr *router);

/* May an address be named in the index? Never what means nothing beyond one link or host (loopback,
 * link-local, multicast); private and other special ranges (addr_is_special) only with `special`,
 * for clusters that live in them: elsewhere everybody's 192.168.0.1 would be one key. */
bool dht_hint_usable(const struct addr *a, bool special);

/* --- what we put ------------------------------------------------------------------------------ */

enum dht_hint_kind { DHT_HINT_SUBNET, DHT_HINT_ROUTER, DHT_HINT_PREFIX };

/* A key that we are to be found under. */
struct dht_hint {
    struct dht_id key;
    struct addr of;   /* an address of ours, or the router's */
    uint8_t kind;     /* enum dht_hint_kind */
    uint8_t hop;      /* how far out: 0 ours, 1 the first router */
    uint64_t seen_us; /* when a trace last met the router; of ours: unused */
    uint64_t due_us;  /* when it is to be put */
};

struct dht_hint_config {
    uint32_t ttl_ms; /* of the values that are put */
    bool special;    /* as dht_hint_usable has it */
};

/* All that is known of our surroundings. A value; no memory of its own. One thread's. */
struct dht_hints {
    struct dht_hint_config config;
    struct rng rng;
    unsigned n;
    struct dht_hint hint[DHT_HINT_KEYS];
};

/* TTL 1 h, special ranges left out. */
struct dht_hint_config dht_hint_config_default(void);
/* `own`: our service addresses, `n` <= DHT_HINT_OWN of them. */
void dht_hints_init(struct dht_hints *h, const struct dht_hint_config *config,
                    const struct addr *own, unsigned n, const uint8_t seed[32], struct now now);
/* A trace met `router` at `hop`, 1..DHT_HINT_HOPS; others and unusable ones are left out. A new one
 * is put within 10 s; one that no trace met for three hours is forgotten. When there is no room
 * the farthest goes. */
void dht_hints_router(struct dht_hints *h, const struct addr *router, unsigned hop, struct now now);
/*
 * The next key to put with this TTL; false: none is due now. To be called until then. What it gives
 * counts as put, and is due again at half the TTL, 10 % more or less, so that the whole of a node's
 * hints, and of many nodes that started together, do not come in one burst.
 */
bool dht_hints_due(struct dht_hints *h, struct dht_id *key, uint32_t *ttl_ms, struct now now);
/* A put of that key came to nothing: due again in a minute. */
void dht_hints_failed(struct dht_hints *h, const struct dht_id *key, struct now now);
/* When dht_hints_due will have something, mono_us; UINT64_MAX: never. */
uint64_t dht_hints_deadline_us(const struct dht_hints *h);

/* --- what we look up -------------------------------------------------------------------------- */

/* Keys under which nodes near the trace's target may be found, the most specific first: the
 * target's prefix, the last router and its prefix, the one before it. Each once. Returns how many.
 */
unsigned dht_hint_lookup(const struct dht_trace_result *trace, bool special,
                         struct dht_id key[DHT_HINT_LOOKUP]);

#endif
