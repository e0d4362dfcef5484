/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Coral's index: a distributed sloppy hash table (Freedman and Mazieres, IPTPS 2003; Freedman,
 * Freudenthal and Mazieres, NSDI 2004), as engines without I/O.
 *
 *   dht_member  (control thread)  who is there: bootstrap, pings, the routing table; publishes
 *        |                        immutable `dht_routes`
 *        v
 *   dht_serve   (any worker)      answers RPCs from the store and the routes
 *   dht_asker   (each worker)     lookups of its own: get, put, find
 *
 * The store's shards are owned as the cache's are: RPCs about a key are handled by the worker
 * that owns the key's shard, to which the worker that received them hands them over.
 */
#ifndef CORAL_DHT_H
#define CORAL_DHT_H

#include "base/addr.h"
#include "base/datagram.h"
#include "base/now.h"
#include "base/rng.h"
#include "dht/counters.h"

#define DHT_ID_BYTES 20
#define DHT_VALUES   4 /* l, most values under a key */
#define DHT_PATH_MAX 8

struct dht_id {
    uint8_t b[DHT_ID_BYTES];
};

/* The data key of a URL: the first 160 bits of BLAKE2b (libsodium). */
struct dht_id dht_key(const void *url, size_t len);
/* A node's ID: the hash of its address, so that nobody picks a place. */
struct dht_id dht_node_id(const struct endpoint *e);
const char *dht_id_text(const struct dht_id *id, char out[static 2 * DHT_ID_BYTES + 1]);

enum dht_service {
    DHT_SERVICE_HTTP = 1,
    DHT_SERVICE_DNS = 2,
};

/* Somebody that answered us. */
struct dht_contact {
    struct dht_id id;
    struct endpoint rpc; /* where RPCs go: the address that the ID is the hash of */
    struct addr v4, v6;  /* service addresses; zero: none */
    uint16_t http_port;
    uint8_t services;
};

/* A value: "this proxy has, or is fetching, this URL". */
struct dht_value {
    struct dht_id node;
    struct endpoint http; /* the proxy's */
    uint32_t ttl_ms;      /* what remains */
    uint32_t age_ms;      /* since the holder first stored it: who is older in put's reply */
};

/* --- message authentication ------------------------------------------------------------------ */

/* Up to two keys valid at once, named by an ID byte in every packet. The ID also names the algorithm:
 * 0 to 127 AES-128-CMAC (RFC 4493), 128 to 255 SipHash-2-4-128. Immutable after creation; per-thread
 * state is in `dht_mac`. */
struct dht_keys {
    unsigned n;
    struct {
        uint8_t id, key[16];
    } key[2]; /* [0] signs */
};
struct dht_mac; /* one a thread */
struct dht_mac *dht_mac_create(const struct dht_keys *keys);
void dht_mac_destroy(struct dht_mac *m);
/* tag of 16 bytes over data, with the signing key */
void dht_mac_sign(struct dht_mac *m, const void *data, size_t len, uint8_t tag[16]);
bool dht_mac_verify(struct dht_mac *m, uint8_t key_id, const void *data, size_t len,
                    const uint8_t tag[16]);
uint8_t dht_mac_key_id(const struct dht_mac *m);

/* --- routes: the workers' immutable view of the table ---------------------------------------- */

struct dht_route {
    struct dht_contact contact;
    uint32_t rtt_us;
    bool alive; /* answered its last pings: fit for DNS answers and as next hop */
};
struct dht_routes {
    struct dht_contact self;
    uint32_t n;
    struct dht_route route[]; /* by XOR distance from self, nearest first */
};

/* --- config --------------------------------------------------------------------------------- */

/* Defaults are Coral's; the letter is the paper's. */
struct dht_config {
    uint16_t port;             /* UDP, the same on every node */
    unsigned bucket;           /* k = 8 contacts a bucket */
    unsigned beta;             /* 12 walks a minute through a loaded key */
    unsigned prefix_bits;      /* b = 1 bit of the prefix corrected a hop */
    uint32_t store_keys;       /* bound of keys held by a store, so by each worker */
    uint32_t lookups;          /* bound of lookups in flight a worker */
    uint32_t ping_interval_ms; /* 500 */
    uint32_t ping_misses;      /* 2 unanswered in a row: not alive */
    uint32_t rpc_timeout_ms;   /* 500 without an RTT sample */
};
struct dht_config dht_config_default(void);

/* --- serving ------------------------------------------------------------------------------- */

/* One a worker: the shards it owns. All workers of a node get the same seed, or they would not take
 * each other's cookies. */
struct dht_store;
struct dht_store *dht_store_create(const struct dht_config *config, const uint8_t seed[32]);
void dht_store_destroy(struct dht_store *s);

/*
 * Peeks at a packet without trusting it: where it must go. False: too short or wrong version.
 * A request about a key goes to the owner of `shard` (0..63, from the key's hash under no
 * secret: all workers agree); a reply to the worker that asked (`asker` is from the tid;
 * DHT_ASKER_CONTROL: a worker turns it into an event).
 */
#define DHT_ASKER_CONTROL 63
struct dht_peek {
    bool reply, keyed;
    uint8_t shard, asker;
};
bool dht_peek(const void *data, size_t len, struct dht_peek *out);

/* Serves a burst of requests: MACs verified together, store and routes consulted, replies built
 * and signed together. reply_len is 0 for what gets none; `reply` may be the same memory as `data`,
 * and wants 466 bytes of room. `from` must be exact: an ID is bound to its address. `heard`, if not
 * NULL, is called about once a second for each authenticated sender but this node itself (an event
 * for the control thread: "seen node"). */
typedef void dht_heard(void *ctx, const struct dht_contact *from);
void dht_serve(struct dht_store *s, struct dht_mac *mac, const struct dht_routes *routes,
               struct datagram *requests, unsigned n, dht_heard *heard, void *ctx,
               struct dht_counters *counters, struct now now);

/* --- asking --------------------------------------------------------------------------------- */

struct dht_asker;
struct dht_asker_host {
    struct datagram_out udp;
    void *ctx;
    /* An authenticated reply, or a time-out, of a contact: for the control thread. */
    void (*answered)(void *ctx, const struct dht_contact *who, uint32_t rtt_us, struct now now);
    void (*timed_out)(void *ctx, const struct dht_id *who, struct now now);
};

enum dht_end {
    DHT_FOUND, /* get: values; put: stored; find: reached the closest */
    DHT_NOT_FOUND,
    DHT_FAILED, /* nobody answered, or too many in flight */
};

struct dht_result {
    enum dht_end end;
    unsigned hops;                          /* RPCs answered on the path */
    unsigned n;                             /* values */
    struct dht_value value[DHT_VALUES * 2]; /* get: what was found; put: what was there already */
};
typedef void dht_done(void *ctx, const struct dht_result *result, struct now now);

/*
 * `worker` goes into every tid, so that replies find their way back.
 *
 * The node itself takes part in its own lookups, as their first step and, where it is the closest,
 * as the one that stores; but the asker's worker need not own the key's shard. So it is asked as
 * others are, by a datagram to self.rpc: the host must bring what is sent to that address back in
 * (from and to are self.rpc, through dht_peek to the shard's owner), and never from inside `send`.
 * Input should be handled before dht_asker_poll: an answer that waits in a queue is no time-out.
 */
struct dht_asker *dht_asker_create(const struct dht_config *config, unsigned worker,
                                   struct dht_mac *mac, const struct dht_asker_host *host,
                                   const uint8_t seed[32], struct now now);
void dht_asker_destroy(struct dht_asker *a);
/* Routes are borrowed until the next call of this (the view's grace period covers lookups: they
 * copy the contacts that they use). */
void dht_asker_routes(struct dht_asker *a, const struct dht_routes *routes);

/* get: values under the key. put: stores {self, http, ttl}; the result has the live values that
 * were there, this node's own left out, with their ages; DHT_NOT_FOUND: every node on the path
 * has enough of them already, which is no error. find: walks to the key (joining).
 * done may be called before return only with DHT_FAILED. Tickets are never 0 while running. */
uint64_t dht_get(struct dht_asker *a, const struct dht_id *key, dht_done *done, void *ctx,
                 struct now now);
uint64_t dht_put(struct dht_asker *a, const struct dht_id *key, uint32_t ttl_ms, dht_done *done,
                 void *ctx, struct now now);
uint64_t dht_remove(struct dht_asker *a, const struct dht_id *key, struct now now);
uint64_t dht_find(struct dht_asker *a, const struct dht_id *target, dht_done *done, void *ctx,
                  struct now now);
void dht_cancel(struct dht_asker *a, uint64_t ticket);
/* One ping on behalf of control: to an address (bootstrap) or a contact. The result comes as
 * answered or timed_out. */
void dht_ping(struct dht_asker *a, const struct endpoint *to, const struct dht_id *who,
              struct now now);

void dht_asker_input(struct dht_asker *a, const struct datagram *reply, struct now now);
void dht_asker_poll(struct dht_asker *a, struct now now);
uint64_t dht_asker_deadline_us(const struct dht_asker *a);
const struct dht_counters *dht_asker_counters(const struct dht_asker *a);

/* --- membership: the control thread's ----------------------------------------------------------
 */

struct dht_member;
struct dht_member_host {
    void *ctx;
    /* Have a worker ping: `who` NULL for a bootstrap address. */
    void (*ping)(void *ctx, const struct endpoint *to, const struct dht_id *who);
    /* Have a worker walk to a key, so that contacts on the way answer us. */
    void (*find)(void *ctx, const struct dht_id *target);
};
struct dht_member *dht_member_create(const struct dht_config *config,
                                     const struct dht_contact *self,
                                     const struct endpoint *bootstrap, unsigned n,
                                     const struct dht_member_host *host, const uint8_t seed[32],
                                     struct now now);
void dht_member_destroy(struct dht_member *m);
/* Events from workers. `heard` proves nothing about the return path: it only makes a candidate,
 * that is pinged; tables are filled by direct replies only. */
void dht_member_answered(struct dht_member *m, const struct dht_contact *who, uint32_t rtt_us,
                         struct now now);
void dht_member_timed_out(struct dht_member *m, const struct dht_id *who, struct now now);
void dht_member_heard(struct dht_member *m, const struct dht_contact *who, struct now now);
void dht_member_poll(struct dht_member *m, struct now now);
uint64_t dht_member_deadline_us(const struct dht_member *m);
/* True when the table differs from what dht_member_routes last gave. */
bool dht_member_changed(const struct dht_member *m);
/* A new snapshot (malloc); the caller frees it after the workers let go. */
struct dht_routes *dht_member_routes(struct dht_member *m);

#endif
