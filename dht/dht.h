/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Coral's index: a distributed sloppy hash table (Freedman and Mazieres, IPTPS 2003; Freedman,
 * Freudenthal and Mazieres, NSDI 2004), as engines without I/O.
 *
 *   dht_member  (control thread)  who is there, which clusters are ours: bootstrap, pings, the
 *        |                        routing table of all levels; publishes immutable `dht_routes`
 *        v
 *   dht_serve   (any worker)      answers RPCs from the store and the routes
 *   dht_asker   (each worker)     lookups of its own: get, put, remove, find
 *        |
 *   dht_arena   (one a thread)    what all askers and stores of a thread share: RPC slots,
 *                                 lookups, timers, holders, secrets, counters
 *
 * Level 0 is the planet; at levels 1 and 2 a node belongs to one cluster each, of nodes within a
 * round-trip time (descriptor.h). One ID serves all levels, and one table: a contact says of which
 * levels it is. A lookup goes through the levels from 2 to 0 and never starts over.
 *
 * The store's shards are owned as the cache's are: RPCs about a key are handled by the worker
 * that owns the key's shard, to which the worker that received them hands them over.
 */
#ifndef CORAL_DHT_H
#define CORAL_DHT_H

#include <assert.h>

#include "base/addr.h"
#include "base/datagram.h"
#include "base/now.h"
#include "base/rng.h"
#include "dht/cluster.h"
#include "dht/counters.h"
#include "dht/descriptor.h"

#define DHT_ID_BYTES   20
#define DHT_VALUES     4 /* l, most values under a key */
#define DHT_PATH_MAX   8
#define DHT_ALL_LEVELS ((1u << DHT_LEVELS) - 1)

struct dht_id {
    uint8_t b[DHT_ID_BYTES];
};

/* The data key of a URL: the first 160 bits of BLAKE2b (libsodium). */
struct dht_id dht_key(const void *url, size_t len);
/* A node's ID: the hash of its address, so that nobody picks a place. */
struct dht_id dht_node_id(const struct endpoint *e);
const char *dht_id_text(const struct dht_id *id, char out[static 2 * DHT_ID_BYTES + 1]);
/* Of 40 hexadecimal digits; false when it is none. */
bool dht_id_parse(const char *text, struct dht_id *out);

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

/* What every RPC says of its sender. */
struct dht_sender {
    struct dht_contact contact;
    struct dht_descriptor level[DHT_LEVELS]; /* [0]: zeros */
    uint32_t incarnation;                    /* higher after each restart */
    uint16_t sequence;                       /* of the descriptors, within an incarnation; wraps */
    bool leaving;                            /* about to stop: no DNS, no new values */
};

/* A value: "this proxy has, or is fetching, this URL". */
struct dht_value {
    struct dht_id node;
    struct endpoint http; /* the proxy's */
    uint32_t ttl_ms;      /* what remains */
    uint32_t age_ms;      /* since the holder first stored it: who is older in put's reply */
};

/* --- message authentication ------------------------------------------------------------------ */

/* Up to two keys valid at once, named by an ID byte in every packet. The ID also names the
 * algorithm: 0 to 127 AES-128-CMAC (RFC 4493), 128 to 255 SipHash-2-4-128. Immutable after
 * creation; per-thread state is in `dht_mac`. */
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

/* --- news: who was found alive or not, from node to node (live.h) ----------------------------- */

#define DHT_NEWS 6 /* in a packet, at most */
enum dht_news_state {
    DHT_NEWS_ALIVE,
    DHT_NEWS_SUSPECT, /* did not answer: out of DNS answers, asked again and again */
    DHT_NEWS_DEAD,    /* suspected until the time-out */
    DHT_NEWS_LEAVING, /* says so itself; still answers for a while */
    /* no news of a node's life but an answer to a VIA: did it answer? */
    DHT_NEWS_REACHED,
    DHT_NEWS_NOT_REACHED,
};
struct dht_news {
    struct dht_id id;
    uint32_t incarnation;
    uint8_t state; /* enum dht_news_state */
};

/* --- what sites use of a node (usage.h) ------------------------------------------------------- */

#define DHT_USAGE 8 /* in a packet, at most */
struct dht_usage {
    uint64_t site;          /* a hash of its name that all nodes of a network compute alike */
    uint32_t kib, requests; /* asked of the sender in a minute: KiB of bodies, requests */
};

/* --- routes: the workers' immutable view of the table ---------------------------------------- */

/* A contact in the table: 8 bytes, since a simulation has hundreds of millions of them. */
struct dht_route {
    uint32_t peer : 24;  /* index into dht_routes.contact */
    uint32_t levels : 4; /* bit L: a member of our cluster of level L, in the table for it */
    uint32_t alive : 1;  /* answered its last RPC: fit as the next hop */
    uint32_t live : 1;   /* fit for DNS answers (live.h) */
    uint32_t zero : 2;
    uint32_t rtt_us : 24; /* smoothed */
    uint32_t prefix : 8;  /* leading bits that its ID shares with ours */
};
static_assert(sizeof(struct dht_route) == 8, "eight to a cache line");

struct dht_level {
    struct dht_descriptor is; /* level 0: cid 0, the planet's size */
    uint64_t previous;        /* the cluster that we left less than a grace time ago, 0: none */
    uint8_t epoch;            /* counts switches: older values are of another cluster */
};

struct dht_routes {
    struct dht_contact self;
    uint32_t incarnation;
    uint16_t sequence;
    bool leaving;
    struct dht_level level[DHT_LEVELS];
    bool has_coordinate;
    uint8_t coordinate[24]; /* ours, as coordinate.h packs it: rides on pings */
    uint8_t populated; /* levels at which there is anybody but us, a bit each; level 0 always */
    uint32_t n;
    const struct dht_route *route;     /* by XOR distance from self, nearest first */
    const struct dht_contact *contact; /* what route[i].peer names */
};

static inline const struct dht_contact *dht_route_contact(const struct dht_routes *r, uint32_t i)
{
    return &r->contact[r->route[i].peer];
}

/* --- config --------------------------------------------------------------------------------- */

/* Defaults are Coral's; the letter is the paper's. */
struct dht_config {
    uint16_t port;   /* UDP, the same on every node */
    unsigned bucket; /* k = 8 contacts a bucket and level */
    unsigned beta;   /* 12 walks a minute through a loaded key */
    unsigned copies; /* of a value at its last level: on so many nodes near the key */
    uint8_t prefix_bits[DHT_LEVELS];           /* b: bits of the prefix corrected a hop: 3, 2, 1 */
    unsigned levels;                           /* 1..3: how many levels are used */
    struct cluster_config cluster[DHT_LEVELS]; /* thresholds: -, 60 ms, 20 ms */
    uint32_t store_keys;        /* bound of keys held by a store, so by each worker */
    uint32_t holders;           /* bound of different nodes named in an arena's stores */
    uint32_t lookups;           /* bound of lookups in flight in an arena */
    uint32_t peers;             /* contacts whose RTT and cookie an asker remembers */
    uint32_t pings;             /* bound of pings in flight in an arena */
    uint32_t rpc_timeout_ms;    /* 500 without an RTT sample */
    uint32_t ping_interval_ms;  /* 600: of the liveness probes (live.h) */
    uint32_t refresh_ms;        /* 5000: a ping each to the longest unheard, by level */
    uint32_t find_ms;           /* 120000: a walk each to fill the table, by level */
    uint32_t prefix_rate;       /* requests a second from a /24 or /48; 0: no limit */
    unsigned source_percent;    /* of the values held that may be one node\'s; 0: no limit */
    unsigned prefix_percent;    /* ... one /24\'s or /48\'s */
    bool replay_filter;         /* refuse repeated STOREs and REMOVEs */
    bool liveness;              /* probe for DNS */
    uint32_t lost;              /* contacts given up that are asked again some day */
    uint32_t negative_ms;       /* 1000: a key that was not found is not looked for again */
    struct dht_mitigations {    /* of networks that are not transitive; all on by default */
        bool hedge;             /* a second contact beside a slow one */
        bool unreachable;       /* who did not answer is not asked for a while */
        bool direct_only;       /* tables take only who answered us */
        bool runner_up;         /* a get that found nothing asks the second closest */
        bool measured_timeouts; /* from RTTs, not a constant */
        bool bound;             /* IDs that others name are checked against addresses */
        bool own;               /* a walk that ends too far from the key asks our own table */
        bool relay;             /* who does not answer is asked through the one that named it */
    } mitigate;
};
struct dht_config dht_config_default(void);

/* --- the arena ------------------------------------------------------------------------------- */

/*
 * Shared by the askers and stores that one thread drives. `seed` is the same for all workers of a
 * node: cookies and shards of one worker are good at the others; `own` differs.
 */
struct dht_arena;
struct dht_arena *dht_arena_create(const struct dht_config *config, unsigned worker,
                                   const uint8_t seed[32], const uint8_t own[32], struct now now);
void dht_arena_destroy(struct dht_arena *a);
/* Fires the timers of all askers. */
void dht_arena_poll(struct dht_arena *a, struct now now);
uint64_t dht_arena_deadline_us(const struct dht_arena *a);
/* This node is dead: its values are not told of until it stores one again. */
void dht_forget(struct dht_arena *a, const struct dht_id *node);
/* Of asking and of serving. */
struct dht_counters *dht_arena_counters(struct dht_arena *a);

/* --- serving ------------------------------------------------------------------------------- */

/*
 * One a worker: the shards it owns, which it alone writes. GETs are read from whosever store the
 * key belongs to, by the worker that they came to, without a lock (store.h): so the stores of a
 * node are made known to one another before the first request, and destroyed after the last one.
 */
#define DHT_SHARDS 64
struct dht_store;
struct dht_store *dht_store_create(struct dht_arena *arena, uint32_t keys);
/* `shard`: whose each of them is; the caller's, as long as the store. Without it all are this
 * one's. The arenas have the same `seed`. */
void dht_store_share(struct dht_store *s, struct dht_store *const shard[DHT_SHARDS]);
void dht_store_destroy(struct dht_store *s);
/* Gives back a little of what has expired, once a millisecond at most; to be called where nobody
 * asks, too. A million keys are gone through in five minutes. */
void dht_store_poll(struct dht_store *s, struct now now);

/*
 * Peeks at a packet without trusting it: where it must go. False: too short or wrong version.
 * A request that may change what is stored under a key goes to the owner of `shard` (from the key,
 * under no secret: all workers agree), any other is served where it is; a reply goes to the worker
 * that asked (`asker` is from the tid; DHT_ASKER_CONTROL: a worker turns it into an event).
 */
#define DHT_ASKER_CONTROL 63
struct dht_peek {
    bool reply, owned;
    uint8_t shard, asker;
};
bool dht_peek(const void *data, size_t len, struct dht_peek *out);

/* What an authenticated packet tells the control thread beside its sender. */
struct dht_tidings {
    uint32_t rtt_us; /* 0: this was a request */
    bool ping;       /* an answer to a PING: says all that there is to say */
    bool has_coordinate;
    uint8_t coordinate[24];
    unsigned n_news;
    struct dht_news news[DHT_NEWS];
    bool has_usage; /* else it says nothing of it */
    unsigned n_usage;
    struct dht_usage usage[DHT_USAGE];
    bool asks_via; /* "ping `via` for me", by one that receives where it says */
    struct dht_id via;
    struct endpoint via_rpc;
    bool asks_check; /* "`suspect`, whose proxy you named, does not answer" */
    struct dht_id suspect;
    struct endpoint suspect_http;
    /* Nothing but this: "ask one for me that I do not reach", for dht_relay of the same thread, and
     * not for control. NULL: this is none. */
    const struct rpc *relay;
};

/* Serves a burst of requests: MACs verified together, store and routes consulted, replies built
 * and signed together. reply_len is 0 for what gets none; `reply` may be the same memory as `data`,
 * and wants DHT_REPLY_MAX bytes of room. `from` must be exact: an ID is bound to its address.
 * `heard`, if not NULL, is called about once a second for each authenticated sender but this node
 * itself, and whenever there is more to tell. */
#define DHT_REPLY_MAX 800
typedef void dht_heard(void *ctx, const struct dht_sender *from, const struct dht_tidings *t);
void dht_serve(struct dht_store *s, struct dht_mac *mac, const struct dht_routes *routes,
               struct datagram *requests, unsigned n, dht_heard *heard, void *ctx, struct now now);

/* --- asking --------------------------------------------------------------------------------- */

struct rpc;
struct dht_asker;
struct dht_asker_host {
    struct datagram_out udp;
    /* The simulator's: takes an RPC as it is, in udp.send's place. */
    bool (*send_rpc)(void *ctx, const struct endpoint *to, const struct rpc *rpc);
    void *ctx;
    /* An authenticated reply, or a time-out, of a contact: for the control thread. */
    void (*answered)(void *ctx, const struct dht_sender *who, const struct dht_tidings *t,
                     struct now now);
    void (*timed_out)(void *ctx, const struct dht_id *who, struct now now);
};

enum dht_end {
    DHT_FOUND, /* get: values; put: stored; find: reached the closest */
    DHT_NOT_FOUND,
    DHT_FAILED, /* nobody answered, or too many in flight */
};

#define DHT_NEAREST 8
struct dht_result {
    enum dht_end end;
    unsigned hops;  /* RPCs answered on the path */
    unsigned asks;  /* RPCs sent */
    unsigned level; /* get: where it was found; put: the lowest level where it was stored */
    unsigned n;     /* values */
    struct dht_value value[DHT_VALUES * 2]; /* get: what was found; put: what was there already */
    struct dht_id teller; /* get, put: who told the values, or the last of those who did */
    /* find: the upper 64 bits of the distances of the closest that answered, ascending */
    unsigned nearest;
    uint64_t distance[DHT_NEAREST];
};
typedef void dht_done(void *ctx, const struct dht_result *result, struct now now);

/* A lookup's path, hop by hop, for those who want to see it. */
enum dht_hop_end {
    DHT_HOP_CLOSER,
    DHT_HOP_FOUND,
    DHT_HOP_NOT_MEMBER,
    DHT_HOP_TIMED_OUT,
    DHT_HOP_RELAYED, /* it answered another, who asked for us */
};
struct dht_hop {
    struct dht_id id;
    struct endpoint rpc;
    uint32_t rtt_us;
    uint8_t level, prefix; /* asked at; leading bits that its ID shares with the key */
    uint8_t end;           /* enum dht_hop_end */
};
#define DHT_PATH_HOPS 64
struct dht_path {
    unsigned n;
    struct dht_hop hop[DHT_PATH_HOPS];
};

/*
 * The node itself takes part in its own lookups, as their first step and, where it is the closest,
 * as the one that stores; but the asker's worker need not own the key's shard. So it is asked as
 * others are, by a datagram to self.rpc: the host must bring what is sent to that address back in
 * (from and to are self.rpc, through dht_peek to the shard's owner), and never from inside `send`.
 * Input should be handled before dht_arena_poll: an answer that waits in a queue is no time-out.
 */
struct dht_asker *dht_asker_create(struct dht_arena *arena, struct dht_mac *mac,
                                   const struct dht_asker_host *host);
void dht_asker_destroy(struct dht_asker *a); /* its lookups end without a word */
/* Routes are borrowed until the next call of this (the view's grace period covers lookups: they
 * copy the contacts that they use). */
void dht_asker_routes(struct dht_asker *a, const struct dht_routes *routes);

/*
 * get: values under the key, at the highest of the levels (a bit each) that has some; a get of a
 * key that is being looked for joins in, and one that just found nothing is told so at once. put:
 * stores {self, http, ttl}, level by level downwards until one is loaded for the key; the result
 * has the live values that were there, this node's own left out, with their ages; DHT_NOT_FOUND:
 * every node on the path has enough of them already, which is no error.
 * done may be called before return only with DHT_FAILED, or with DHT_NOT_FOUND by negative memory.
 * Tickets are never 0 while running.
 */
uint64_t dht_get(struct dht_asker *a, const struct dht_id *key, unsigned levels, dht_done *done,
                 void *ctx, struct now now);
uint64_t dht_put(struct dht_asker *a, const struct dht_id *key, unsigned levels, uint32_t ttl_ms,
                 dht_done *done, void *ctx, struct now now);
/* A put by one that is about to fetch the object, and wants to know whether another is before it:
 * it goes on downwards only while it finds nobody. So of a cluster only the first one shows itself
 * at the next level, and there is one order at each: those who wait for one another, for whom their
 * claims named and for nobody else, never do so in a ring. A get's word has no such order: it sees
 * references of higher levels too, whose holders are yet to come to this one. DHT_NOT_FOUND: others
 * hold all places; the result names them. */
uint64_t dht_claim(struct dht_asker *a, const struct dht_id *key, unsigned levels, uint32_t ttl_ms,
                   dht_done *done, void *ctx, struct now now);
uint64_t dht_remove(struct dht_asker *a, const struct dht_id *key, unsigned levels, struct now now);
/* Tells those who may name `node` under the key that it could not be reached. They do not take our
 * word for it: they ping it. */
uint64_t dht_report(struct dht_asker *a, const struct dht_id *key, const struct dht_id *node,
                    struct now now);
/* A get that notes its path; `trace` is the caller's until done. */
uint64_t dht_path_get(struct dht_asker *a, const struct dht_id *key, unsigned levels,
                      struct dht_path *trace, dht_done *done, void *ctx, struct now now);

/* Nodes that were of no use in a get: who told values whose holders have nothing, and the holders.
 */
#define DHT_USELESS 24
struct dht_useless {
    unsigned n;
    struct dht_id id[DHT_USELESS];
};
/* Adds what a get found, when none of the holders has the object. What has no room is left out. */
void dht_useless_add(struct dht_useless *u, const struct dht_result *found);
/* A get once more: the useless are not asked, and values that name them are none. The index cannot
 * tell whether a value is true, who asks the holder can. A walk of its own, that joins no other and
 * leaves no negative memory; it does not end with the first who names holders, who may lie too, but
 * with the fourth, the last or after 0.9 s, and has two holders of each. */
uint64_t dht_get_again(struct dht_asker *a, const struct dht_id *key, unsigned levels,
                       const struct dht_useless *useless, dht_done *done, void *ctx,
                       struct now now);

/* Walks to the closest to a target, in our cluster of a level, or as a guest in that of the seeds.
 */
#define DHT_SEEDS 4
struct dht_find {
    struct dht_id target;
    uint8_t level;
    bool guest;
    uint8_t seeds; /* 0: our own table */
    struct {
        struct dht_id id;
        struct endpoint rpc;
    } seed[DHT_SEEDS];
};
uint64_t dht_find(struct dht_asker *a, const struct dht_find *find, dht_done *done, void *ctx,
                  struct now now);
void dht_cancel(struct dht_asker *a, uint64_t ticket);
/* It goes on, but its end is told to nobody. */
void dht_let_go(struct dht_asker *a, uint64_t ticket);
/* One ping on behalf of control, to an address (bootstrap: no `who`) or a contact, with news in it
 * and what sites use of us; or a request that the contact ping somebody for us. The result comes as
 * answered or timed_out. */
struct dht_ping {
    struct endpoint to;
    bool has_who, is_via;
    struct dht_id who;
    struct dht_id via; /* whom the contact is to ping */
    struct endpoint via_rpc;
    unsigned n_news;
    struct dht_news news[DHT_NEWS];
    bool has_usage;
    unsigned n_usage;
    struct dht_usage usage[DHT_USAGE];
};
void dht_ping(struct dht_asker *a, const struct dht_ping *ping, struct now now);

void dht_asker_input(struct dht_asker *a, const struct datagram *reply, struct now now);
/* Puts an admitted RELAY's question, which shows a cookie of ours, to whom it names; the asker gets
 * what is answered, from here. */
void dht_relay(struct dht_asker *a, const struct rpc *ask, struct now now);

/* --- membership: the control thread's --------------------------------------------------------- */

/* The contacts that members' tables name by number: one for a node; a simulation's nodes share one.
 */
struct dht_book;
struct dht_book *dht_book_create(uint32_t contacts, const uint8_t seed[32]);
void dht_book_destroy(struct dht_book *b);

/* Why a node changed its cluster. */
struct dht_switch {
    unsigned level;
    struct dht_descriptor from, to;
    const char *reason;
    unsigned share_percent, measured; /* of the new cluster's members: under the threshold */
};

struct dht_member;
struct dht_member_host {
    void *ctx;
    /* Have a worker ping. */
    void (*ping)(void *ctx, const struct dht_ping *ping);
    /* Have a worker walk; its result comes back by dht_member_found. */
    void (*find)(void *ctx, const struct dht_find *find);
    /* May be NULL: for the log. */
    void (*switched)(void *ctx, const struct dht_switch *why);
    /* This node is dead: dht_forget at all arenas. May be NULL: then reports are not looked into.
     */
    void (*forget)(void *ctx, const struct dht_id *who);
};
struct dht_member *dht_member_create(const struct dht_config *config,
                                     const struct dht_contact *self, uint32_t incarnation,
                                     struct dht_book *book, const struct endpoint *bootstrap,
                                     unsigned n, const struct dht_member_host *host, uint64_t seed,
                                     struct now now);
void dht_member_destroy(struct dht_member *m);
/* Events from workers. What was only heard proves nothing about the return path: it makes a
 * candidate, that is pinged; tables are filled by direct replies only. */
void dht_member_answered(struct dht_member *m, const struct dht_sender *who,
                         const struct dht_tidings *t, struct now now);
void dht_member_timed_out(struct dht_member *m, const struct dht_id *who, struct now now);
void dht_member_heard(struct dht_member *m, const struct dht_sender *who,
                      const struct dht_tidings *t, struct now now);
void dht_member_found(struct dht_member *m, const struct dht_find *find,
                      const struct dht_result *result, struct now now);
void dht_member_poll(struct dht_member *m, struct now now);
uint64_t dht_member_deadline_us(const struct dht_member *m);
/* What a restart needs to be back in seconds: which clusters, whom to ask. */
#define DHT_SAVED 64
struct dht_saved {
    uint32_t incarnation;
    struct dht_descriptor level[DHT_LEVELS];
    unsigned n;
    struct endpoint contact[DHT_SAVED];
};
void dht_member_save(const struct dht_member *m, struct dht_saved *out, struct now now);
/* Before the first poll. Clusters of a state more than 600 s old are not trusted; its contacts are
 * asked like the bootstrap list. */
void dht_member_restore(struct dht_member *m, const struct dht_saved *saved, uint32_t age_s,
                        struct now now);
/* We stop soon: all RPCs say so. */
void dht_member_leave(struct dht_member *m, struct now now);
/* True when the table differs from what dht_member_routes last gave. */
bool dht_member_changed(const struct dht_member *m);
/* A new snapshot (malloc); the caller frees it after the workers let go. */
struct dht_routes *dht_member_routes(struct dht_member *m);
/* The table itself, for a host with one thread: valid until the member is destroyed. */
const struct dht_routes *dht_member_view(const struct dht_member *m);

#endif
