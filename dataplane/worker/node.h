/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node as a value: its workers, their ports and engines, and the three paths between them and
 * the control thread (DESIGN decision 2). N nodes live in one process. Nothing here starts a
 * thread but node_start.
 */
#ifndef CORAL_NODE_H
#define CORAL_NODE_H

#include <stdatomic.h>

#include "base/hist.h"
#include "base/message.h"
#include "base/now.h"
#include "cache/cache.h"
#include "dataplane/net/net.h"
#include "dataplane/port/port.h"
#include "dataplane/proxy/proxy.h"
#include "dataplane/tcp/show.h"
#include "dataplane/tcp/tcp.h"
#include "dht/dht.h"
#include "dns/dns.h"

#define NODE_WORKERS 16
#define NODE_PORTS   4

/*
 * The view: a root of pointers to immutable parts. The control thread builds a new root, sharing
 * the parts that did not change, publishes it with a release store and frees what was replaced
 * after a QSBR grace period. Workers acquire-load the root once a poll and keep no part of it
 * beyond.
 */
struct view {
    uint64_t version;
    const struct proxy_policy *policy;
    const struct dns_zone *zone; /* NULL: no DNS */
    const struct dht_routes *routes;
    const struct proxy_shares *shares; /* NULL: nobody is over its share */
};

struct node_config {
    char name[64];
    unsigned workers;
    unsigned ports;
    struct port_config port[NODE_PORTS];
    bool spin; /* never sleep */
    size_t cache_bytes;
    bool verify;          /* what clients get, too */
    uint32_t connections; /* per worker */
    uint16_t http_port;
    const struct cc_ops *cc; /* of TCP; NULL: CUBIC */
    /* tcp_config's prefix_limit, floor_bytes_s and keepalive_ms */
    uint32_t network_limit, reader_floor, keepalive_ms;
    struct dht_config dht;
    struct dht_keys keys;
    struct dht_contact self;
    struct resolver_config resolver;
    uint8_t seed[32];
};

struct node;

/* Commands: control -> a worker, MESSAGE_CONTROL + these. */
enum node_command {
    NODE_PING = MESSAGE_CONTROL, /* ptr[0]: struct dht_ping, answered by NODE_PINGED: it is sent */
    NODE_FIND,    /* ptr[0]: struct node_find, answered by NODE_FOUND at the walk's end */
    NODE_LOOKUP,  /* ptr[0]: struct node_lookup, answered by NODE_LOOKED_UP */
    NODE_PUT,     /* body: struct node_put; nobody is told what came of it */
    NODE_FORGET,  /* body: struct dht_id: a node is dead, its values are not told of */
    NODE_PURGE,   /* ptr[0]: struct node_purge, answered by NODE_PURGED with the same pointer */
    NODE_FILLS,   /* ptr[0]: struct node_fills, answered by NODE_FILLED */
    NODE_ORIGINS, /* ptr[0]: struct node_origins, answered by NODE_ORIGINS_SHOWN */
    NODE_DRAIN,   /* accept no more, finish what runs */
    NODE_CUT,     /* reset the client connections that are left */
    NODE_TCP,     /* ptr[0]: struct node_tcp, answered by NODE_TCP_SHOWN */
    NODE_PROBE,   /* body: struct node_probe; NODE_PROBED comes, or nothing */
    NODE_SAVE,    /* ptr[0]: struct node_save, answered by NODE_SAVED */
    NODE_LOAD,    /* ptr[0]: struct node_load, to all workers; each answers NODE_LOADED */
};
struct node_put { /* this node, under a key of the index */
    struct dht_id key;
    uint32_t ttl_ms;
};
struct node_probe { /* a datagram that a router on the way, or its target, is to complain about */
    struct addr to;
    uint16_t token; /* dht/trace.h */
    uint8_t hop_limit;
};
/* Owned by control; lent to the worker between command and event. Pointers to others of their kind
 * and to the worker are the worker's: what is over waits in a list until the event has room. */
struct node_lent {
    struct node_lent *next;
    struct worker *worker;
    uint16_t answer; /* enum node_event_type */
};
struct node_find {
    struct node_lent lent; /* first */
    struct dht_find find;
    struct dht_result result;
};
struct node_lookup {       /* a get that shows its path */
    struct node_lent lent; /* first */
    struct dht_id key;
    struct dht_path path;
    struct dht_result result;
};
struct node_purge { /* of a URL */
    bool soft;
    enum proxy_purged found;
    size_t len;
    char url[];
};
struct node_fills {
    unsigned n;
    struct proxy_fill_info fill[32];
};
#define NODE_ORIGIN_INFO 64
struct node_origins {
    char site[256]; /* "": of all */
    unsigned n;
    struct proxy_origin_info info[NODE_ORIGIN_INFO];
};
#define NODE_TCP_INFO 64
struct node_tcp {
    struct node_tcp *next; /* the worker's: it looks at some connections a turn */
    struct tcp_filter filter;
    uint32_t cursor;
    uint32_t matched; /* of these the first `n` are in info */
    uint32_t n;
    struct tcp_info info[NODE_TCP_INFO];
};

/* Objects that a worker shows to be saved. They stay pinned, and may be read by one thread of
 * control's, until the batch goes to the worker again, which it must. Zeros: the first one. */
#define NODE_SAVE_OBJECTS 64
#define NODE_SAVE_BYTES   (1u << 20) /* of bodies; the last one may be longer */
struct node_save {
    unsigned heat;        /* cache_walk's class */
    bool enough;          /* show no more: only take the pins back */
    struct cache_walk at; /* .over: there are no more of this class */
    unsigned n;
    uint64_t bytes;
    const struct cache_object *object[NODE_SAVE_OBJECTS];
    uint8_t heat_of[NODE_SAVE_OBJECTS]; /* cache_heat, which is the owner's to read */
};
/* Pieces of objects of an earlier run, for all workers, who change nothing but their `at`. At most
 * two batches are out at a time, and objects go on from one to the next. */
#define NODE_LOAD_PIECES 256
#define NODE_LOAD_BYTES  (1u << 20)
struct node_load_at {
    uint32_t piece;
    size_t byte;
};
struct node_load {
    const _Atomic bool *cancel; /* set by control: take no more of it */
    bool last;                  /* what is begun after it has no end */
    unsigned n;
    struct proxy_piece piece[NODE_LOAD_PIECES];
    struct node_load_at at[NODE_WORKERS];
    uint8_t data[NODE_LOAD_BYTES]; /* keys, heads and bodies of the pieces */
};

/* Events: a worker -> control. */
enum node_event_type {
    NODE_ANSWERED,      /* heard; tidings.rtt_us */
    NODE_TIMED_OUT,     /* id */
    NODE_HEARD,         /* heard */
    NODE_PINGED,        /* ptr */
    NODE_FOUND,         /* ptr */
    NODE_LOOKED_UP,     /* ptr */
    NODE_PURGED,        /* ptr */
    NODE_FILLED,        /* ptr */
    NODE_TCP_SHOWN,     /* ptr */
    NODE_ORIGINS_SHOWN, /* ptr */
    NODE_PROBED,        /* probed */
    NODE_DAMAGED,       /* damaged */
    NODE_SAVED,         /* ptr */
    NODE_LOADED,        /* ptr */
    NODE_ORIGIN,        /* origin */
    NODE_USAGE,         /* usage */
};
struct node_heard {
    struct dht_sender who;
    struct dht_tidings tidings;
};
struct node_probed {
    struct addr from; /* who complained */
    uint32_t rtt_us;
    uint16_t token;
    bool reached; /* nobody listens there; else its hop limit was too small */
};
struct node_damaged { /* an object that was dropped for a wrong checksum */
    uint16_t len;
    char url[254]; /* the first bytes */
};
struct node_origin { /* one of a site that failed; names may be cut */
    uint8_t why;     /* enum access_reason */
    uint16_t port;
    struct proxy_found found;
    char site[120], host[120];
};
struct node_event {
    uint16_t type, worker;
    union {
        void *ptr;
        struct node_heard heard;
        struct dht_id id;
        struct node_probed probed;
        struct node_damaged damaged;
        struct node_origin origin;
        struct proxy_usage usage;
    };
};

/* After port_eal_start. On failure NULL, with one clear line in `error`. `view` is the first one.
 */
struct node *node_create(const struct node_config *config, const struct view *view, struct now now,
                         char *error, size_t error_len);
void node_destroy(struct node *n); /* workers stopped */

/* One turn of a worker's loop: rx, protocols, messages, timers, tx. Returns whether it found
 * work. On the worker's own thread (or the test's only one). */
bool worker_poll(struct node *n, unsigned worker, struct now now);
/* When the worker must be polled again though nothing arrives, mono_us. */
uint64_t worker_deadline_us(struct node *n, unsigned worker);
/* Runs a worker until node_stop: worker_poll, and sleep when idle (DESIGN decision 12). The calling
 * thread registers itself with EAL. */
void worker_run(struct node *n, unsigned worker);
/* Starts a thread a worker, each pinned if `pin`; node_stop ends and joins them. */
bool node_start(struct node *n, bool pin);
void node_stop(struct node *n);

/* Publishes; returns a token for node_view_done. The old root may be freed when that is true. */
uint64_t node_view_publish(struct node *n, const struct view *view);
bool node_view_done(struct node *n, uint64_t token);
/* False: that worker's ring is full, try later. Wakes it if it sleeps. */
bool node_command(struct node *n, unsigned worker, const struct message *m);
/* The next event, false when there is none. node_event_fd becomes readable when there is one. */
bool node_event(struct node *n, struct node_event *out);
int node_event_fd(struct node *n);

/* What a worker's NODE_SAVE does, one step, for when the workers have stopped. True: the batch is
 * as full as it gets. */
bool node_save_step(struct node *n, unsigned worker, struct node_save *s, struct now now);
/* Which worker owns a URL: its purge goes there. */
unsigned node_owner(struct node *n, const char *url, size_t len);
/* Other purges: cache_purge, and workers that sleep are woken to walk through their objects. */
enum cache_purge_end node_purge(struct node *n, const struct cache_purge *what, uint64_t *token);
/* A token for what is so now, and whether every worker has been between two turns, or asleep,
 * since. Then no turn is left that began before it. */
uint64_t node_mark(struct node *n);
bool node_passed(struct node *n, uint64_t token);

/* What workers are to note of exchanges with clients from about now on: bits of enum access_want.
 */
void node_access_want(struct node *n, unsigned want);
/* The oldest record of a worker that was not taken yet; false: there is none. One thread's, any. */
bool node_access_take(struct node *n, unsigned worker, struct access_record *out);

/* Statistics: counters of one worker, read while it runs. */
struct worker_stats {
    const struct tcp_counters *tcp;
    const struct net_counters *net;
    const struct http_counters *http, *http_client;
    const struct proxy_counters *proxy;
    const struct cache_counters *cache;
    const struct dns_counters *dns;
    const struct resolver_counters *resolver;
    const struct dht_counters *dht; /* serving and asking */
    const struct worker_counters *worker;
    const struct log_counters *log; /* control's: NULL here */
    const struct hist *latency;
};
void node_stats(struct node *n, unsigned worker, struct worker_stats *out);
uint32_t node_connections(struct node *n); /* open server connections: drain waits for 0 */
const struct port *node_port(struct node *n, unsigned i);

#endif
