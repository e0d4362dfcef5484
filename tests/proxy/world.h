/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whole proxies in one process on virtual time: each node has a cache, an index store and one or
 * two workers with their HTTP server, HTTP client, index asker and proxy, as shipped. Streams and
 * datagrams go through memory, names through a table; a step is a millisecond.
 */
#ifndef CORAL_TESTS_PROXY_WORLD_H
#define CORAL_TESTS_PROXY_WORLD_H

#include "dataplane/proxy/proxy.h"
#include "dht/id.h"
#include "dht/rpc.h"
#include "origin.h"
#include "pipe.h"

#define WORLD_NODES   6
#define WORLD_WORKERS 2
#define WORLD_ORIGINS 3
#define WORLD_RING    1024
#define WORLD_DEAD_MS 1500 /* from a node's death to the routes that say so */

struct world;
struct node;

struct worker {
    struct node *node;
    unsigned number;
    struct proxy *proxy;
    struct http_server *server;
    struct http_client *client;
    struct dht_arena *arena;
    struct dht_asker *asker;
    struct dht_mac *mac;
    struct message ring[WORLD_RING]; /* to this worker */
    unsigned ring_len;
};

struct node {
    struct world *world;
    unsigned number, workers, accepts;
    unsigned damaged;            /* objects that an operator was told of */
    unsigned accesses;           /* exchanges that the access log was told of, */
    struct access_record access; /* the last one */
    unsigned troubles;           /* with origins that the operator was told of, */
    char trouble[600];           /* the last one: site, origin, enum access_reason */
    struct proxy_found found;    /* and what its probe had found */
    unsigned usages;             /* sites whose use was told, */
    struct proxy_usage usage;    /* the last one */
    bool up;
    uint64_t dead_us;
    uint32_t behind; /* proxy_load's */
    uint32_t rtt_us; /* by which others know it; 0: a ms */
    struct dht_contact self;
    struct cache *cache;
    struct rte_rcu_qsbr *qsbr;
    void *memory;
    struct dht_store *store; /* of all shards: its arena is worker 0's */
    uint8_t store_seed[32];
    struct dht_routes *routes;
    struct proxy_policy policy;
    struct proxy_site site[2];
    struct worker worker[WORLD_WORKERS];
};

struct packet {
    struct packet *next;
    struct endpoint from, to;
    size_t len;
    uint8_t data[1500];
};

struct name {
    const char *name;
    enum resolver_result result;
    unsigned n;
    struct addr address[4];
};

struct world {
    struct now now;
    struct rng rng;
    uint64_t seed;
    unsigned nodes, ring_room; /* ring_room: messages a ring takes */
    size_t cache_bytes;
    uint32_t requests, fills;
    bool verify;
    struct node node[WORLD_NODES];
    struct dht_contact contact[WORLD_NODES];
    struct origin origin[WORLD_ORIGINS]; /* 0: of the site; 1: public, by name; 2: of nobody */
    struct pipe *pipes;
    struct packet *packets, **packets_tail;
    unsigned names;
    bool names_known, names_silent; /* the resolver answers at once, never */
    struct name name[8];
    struct resolution *resolutions;
    bool clients_up;
    bool full;          /* no node has room for a connection to another */
    struct addr client; /* of those who ask; zero: 10.100.0.1 */
    struct addr hole;   /* what is sent there vanishes; zero: nowhere */
    /* Not NULL: changes what a node answers to another one's question about a key. */
    void (*says)(struct world *w, unsigned node, struct rpc *answer);
};

/* What a client got. */
struct client {
    struct world *world;
    struct pipe *pipe;
    char *data; /* everything received, and a NUL */
    size_t len, room;
    bool eof, closed, paused, to_head; /* to_head: it asked with HEAD */
    enum stream_end why;
    /* by client_parse */
    struct http_head head;
    uint8_t *body;
    size_t body_len;
    bool whole; /* a complete response */
};

/* `workers` of each node. All nodes know each other. */
void world_open(struct world *w, unsigned nodes, unsigned workers, uint64_t seed);
/* The same with other sizes, 0: as usual. */
void world_open_sized(struct world *w, unsigned nodes, unsigned workers, uint64_t seed,
                      size_t cache_bytes, uint32_t requests, uint32_t fills);
/* The same, and clients get verified chunks, too. */
void world_open_verifying(struct world *w, unsigned nodes, unsigned workers, uint64_t seed);
void world_close(struct world *w);
void world_step(struct world *w);
void world_run(struct world *w, unsigned ms);
/* A node's scrub goes to the end of its round, and one more, at once. */
void world_scrub(struct world *w, unsigned node);
/* Makes them anew, for all nodes. */
void world_routes(struct world *w);
void world_kill(struct world *w, unsigned node);
/* A connection to a node or an origin; worker -1: whose turn it is. */
struct pipe *world_connect(struct world *w, const struct endpoint *from, const bool *from_up,
                           const struct endpoint *to, int worker,
                           const struct stream_events *events, void *user);
void world_name(struct world *w, struct name name);

/* Opens a connection to a node's worker and sends `request` as it stands. */
void client_send(struct world *w, struct client *c, unsigned node, unsigned worker,
                 const char *request);
/* GET of http://<host>/<path>, with further field lines. */
void client_get(struct world *w, struct client *c, unsigned node, unsigned worker, const char *host,
                const char *path, const char *fields);
void client_more(struct client *c, const char *request); /* on the same connection */
void client_leave(struct client *c);
/* Runs until the response is whole or the connection ended, at most `ms`. */
bool client_wait(struct client *c, unsigned ms);
bool client_parse(struct client *c);
void client_free(struct client *c);
bool client_body_is(const struct client *c, uint64_t salt, uint64_t from, uint64_t length);
const char *client_field(const struct client *c, const char *name);
/* One whole request. Returns the status, 0 when no whole response came. */
unsigned world_get(struct world *w, struct client *c, unsigned node, const char *host,
                   const char *path, const char *fields);

uint64_t world_count(const struct world *w, unsigned node, size_t offset);
#define WORLD_COUNT(w, node, name) world_count(w, node, offsetof(struct proxy_counters, name))

#endif
