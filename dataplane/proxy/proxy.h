/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request's life: own cache, a peer that the index names, the origin; collapsing over workers,
 * policy, and the care of origins. One `struct proxy` a worker; they talk by messages only.
 *
 *   R (has the client)                          O (owns the key's shard)
 *   parse, policy, normalise
 *   probe the cache (any shard) --hit--> send by reference
 *   miss: want{request} ----------------------> fill in flight? join : start one
 *                                               index get, and a claim (20 s) beside it: who
 *                                               has it whole, or was before us? else origin
 *         <------------- ready{object, pinned} -- head is there and cacheable
 *   send what is ready  <------- progress ------ at most one a poll and waiting worker
 *         <------------- pass{...} ------------- uncacheable: first waiter streamed with credit,
 *                                               the others released to fetch for themselves
 *         <------------- failed{status} --------- 502, 504
 */
#ifndef CORAL_PROXY_H
#define CORAL_PROXY_H

#include "base/addr.h"
#include "base/message.h"
#include "base/now.h"
#include "cache/cache.h"
#include "cache/saved.h"
#include "dataplane/http/http.h"
#include "dataplane/proxy/access.h"
#include "dataplane/proxy/counters.h"
#include "dataplane/rules/rules.h"
#include "dht/dht.h"
#include "dns/dns.h"

/* --- policy: the immutable part of the view that says what is served ------ */

struct proxy_origin {
    char host[256]; /* name, or the text of an address */
    bool is_address;
    struct addr address;
    uint16_t port;
    /* Its share of the requests. 0: it is asked where none that has one helps, in order */
    uint16_t weight;
};

struct proxy_prefix {
    struct addr net;
    uint8_t bits; /* of its family */
};

#define PROXY_TYPES 12
#define PROXY_TYPE  48 /* bytes of a media type, its NUL included */

/* What a site tells its origins of clients, and clients of its responses; bits. */
enum proxy_tells {
    PROXY_X_FORWARDED_FOR = 1,
    PROXY_FORWARDED = 2, /* RFC 7239 */
    PROXY_ADDRESS = PROXY_X_FORWARDED_FOR | PROXY_FORWARDED,
    PROXY_REQUEST_ID = 4,
    PROXY_SERVER_TIMING = 8,
    PROXY_CACHE_KEY = 16 /* in Cache-Status */
};

/* Origins of a site that has a path are asked for it (health.c). */
struct proxy_health {
    char path[256]; /* "": they are not */
    uint32_t interval_ms, timeout_ms;
    uint8_t fall, rise; /* bad ones in a row until it is down, good ones until it is up */
};
#define PROXY_HEALTHS 256 /* origins that a node asks so */

/* What a site may have of the whole network (share.c); control says who is over it. */
enum proxy_over { PROXY_OVER_REDIRECT, PROXY_OVER_REFUSE }; /* 302 to the origin; 403 */
struct proxy_fair {
    uint64_t bytes_s;    /* of bodies, 0: any number */
    uint32_t requests_s; /* 0: any number */
    uint8_t over;        /* enum proxy_over */
};
#define PROXY_HOME 272 /* bytes of HOST:PORT, its NUL included */

struct proxy_site {
    char host[256]; /* lower case */
    unsigned origins;
    struct proxy_origin origin[4];
    struct http_timeouts timeouts; /* of its origins */
    uint32_t connections;          /* of the node to each of them, in use at once; 0: any number */
    struct proxy_health health;
    int64_t ttl_override_s; /* -1: none */
    bool allow_special;     /* its origins are listed by address: those may be private ones */
    unsigned allow;         /* networks that it lists: an origin's name may resolve into them */
    struct proxy_prefix allow_prefix[8];
    struct proxy_fair fair;
    char home[PROXY_HOME]; /* where visitors are sent, HOST or HOST:PORT; "": nowhere */
    unsigned compress; /* types of bodies that are gzipped, lower case; one '*' matches any text */
    char compress_type[PROXY_TYPES][PROXY_TYPE];
    uint8_t tells;    /* enum proxy_tells */
    unsigned trusted; /* networks of proxies whose word on the client's address is kept */
    struct proxy_prefix trusted_prefix[8];
};

struct proxy_policy {
    /* Of the configuration that it comes from. Another number: other sites, another deny list;
     * memory may stand where that of an older one stood. */
    uint64_t number;
    char zone[256];                     /* Coralized names: host.<zone>, host.PORT.<zone> */
    bool open;                          /* open mode: any host */
    uint32_t open_default_lifetime_s;   /* 12 h where the origin names none */
    uint32_t open_min_lifetime_s;       /* 5 min */
    struct proxy_fair open_fair;        /* of each host in open mode */
    bool metered;                       /* a share is set: use is counted */
    uint32_t stale_s;                   /* 24 h */
    uint32_t short_ttl_ms, long_ttl_ms; /* references: 20 s, 1 h */
    /* How long requests may wait for a worker until it refuses some (shed.h); 0: for ever */
    uint32_t shed_us;
    unsigned sites;
    struct proxy_site *site; /* sorted by host; found by proxy_site_find */
    unsigned allow;          /* special prefixes that open-mode origins may have, by the operator */
    struct proxy_prefix allow_prefix[16];
    unsigned own; /* our own addresses: never an origin */
    struct addr own_address[64];
    void *deny;                    /* hs_database_t: URLs refused with 403; NULL: none */
    const struct rules_set *rules; /* the operator's, loaded for all workers; NULL: none */
};

const struct proxy_site *proxy_site_find(const struct proxy_policy *p, const char *host);
/* May a request for `site` (NULL: open mode) go to this address? Checked after resolution
 * (DESIGN decision 11). */
bool proxy_origin_allowed(const struct proxy_policy *p, const struct proxy_site *site,
                          const struct addr *a);

/* Sites that use more than their share of the network, by their hashes in ascending order: this
 * part of their clients is served. A part of the view, immutable. */
struct proxy_share {
    uint64_t site;     /* docs/wire.md, Usage */
    uint32_t admitted; /* of PROXY_ALL */
};
#define PROXY_ALL 65536u
struct proxy_shares {
    unsigned n;
    struct proxy_share share[];
};
/* What was asked for of a worker in the last PROXY_USAGE_US, at one site. */
#define PROXY_USAGE_US (10ull * 1000000)
struct proxy_usage {
    uint64_t site, bytes;       /* bytes: of bodies, of those served */
    uint32_t requests, refused; /* refused: of them, for the site's share */
    char name[PROXY_HOME];      /* its host, with :PORT if that is not 80 */
};

/* The cache's form of a URL that a person gives (the origin's own, or Coralized): what
 * proxy_purge, cache_hash and dht_key want. Returns its length, 0 when it is no URL of ours. */
size_t proxy_url(const struct proxy_policy *p, const char *url, size_t len, char *out, size_t room);

/* Compiles a deny list: one pattern a line, '#' comments. NULL with `error` naming the line. By the
 * control thread. proxy_deny_free in the end. */
void *proxy_deny_compile(const char *text, size_t len, char *error, size_t error_len);
/* Tells each pattern that is wrong, by its line; returns how many. */
typedef void proxy_deny_wrong(void *ctx, unsigned line, const char *pattern, const char *why);
unsigned proxy_deny_check(const char *text, size_t len, proxy_deny_wrong *told, void *ctx);
void proxy_deny_free(void *deny);

/* --- the engine ----------------------------------------------------------- */

struct proxy;

struct proxy_config {
    unsigned worker, workers;
    uint32_t requests; /* in flight a worker */
    uint32_t fills;    /* in flight a worker */
    uint32_t burst;    /* requests handled a poll, at most 32 */
    char node_name[64];
    struct dht_id node_id;
    uint16_t http_port; /* of ours and, in values, of peers */
    bool verify;        /* chunks that go to clients, too */
};

/* What an origin did when it was asked. */
struct proxy_found {
    uint8_t why;     /* enum access_reason; ACCESS_NO_REASON: it answered */
    uint16_t status; /* with that; 0: it was not asked yet */
    uint32_t ms;     /* after so long; of ACCESS_TIMEOUT the limit */
};

/* What an operator should hear of. May be NULL. */
struct proxy_log {
    void *ctx;
    void (*damaged)(void *ctx, const char *url, size_t len); /* dropped: a checksum was wrong */
    /* An exchange with a client is over (access.h): `a` is valid until return, its first `units`
     * units are set. The host counts what it has no room for. */
    void (*access)(void *ctx, const struct access_record *a);
    /* An origin of a site failed: once a minute each, and never in open mode, where anybody names
     * origins. `why`: enum access_reason; `found`: with ACCESS_DOWN and ACCESS_UP. */
    void (*origin)(void *ctx, const char *site, const char *host, uint16_t port, unsigned why,
                   const struct proxy_found *found);
    /* The most used sites of the last PROXY_USAGE_US, one by one, where the policy is metered. */
    void (*usage)(void *ctx, const struct proxy_usage *u);
};

struct proxy_parts { /* the worker's engines; all outlive the proxy */
    struct cache *cache;
    struct http_client *client;
    struct dht_asker *asker;
    struct dht_mac *mac; /* peer requests and heads */
    struct resolver *resolver;
    struct message_out out;
    struct proxy_log log;
};

struct proxy *proxy_create(const struct proxy_config *config, const struct proxy_parts *parts,
                           const uint8_t seed[32], struct now now);
void proxy_destroy(struct proxy *p);
/* The policy of the current view; a request keeps no pointer to it beyond a poll. `alive`: routes,
 * to skip dead holders. */
void proxy_view(struct proxy *p, const struct proxy_policy *policy,
                const struct dht_routes *routes);
/* Who is over its share from now on; NULL: nobody. Borrowed until the next call, as the policy. */
void proxy_shares(struct proxy *p, const struct proxy_shares *shares);
/* What proxy_log.access is to hear of from now on: bits of enum access_want, at first none. */
void proxy_access(struct proxy *p, unsigned want);
/* What http_server_create wants. */
struct http_handler proxy_handler(struct proxy *p);
/* The server that has the connections of these requests. Without it nothing that a slow reader
 * keeps is ever let go. */
void proxy_serve(struct proxy *p, struct http_server *server);
/* Before proxy_flush, in each turn that has work, and now and then: what the worker knows of its
 * load (shed.h). `busy`: it came from a turn that had work; `behind`: how many turns its rings are
 * long, at most. */
void proxy_load(struct proxy *p, bool busy, uint32_t behind, struct now now);
/* The requests collected since the last call: prepare, touch, act over the burst. Call after
 * tcp_input, before tcp_poll. */
void proxy_flush(struct proxy *p, struct now now);
void proxy_message(struct proxy *p, const struct message *m, struct now now);
/* Deadlines, retried messages, progress. */
void proxy_poll(struct proxy *p, struct now now);
uint64_t proxy_deadline_us(const struct proxy *p);

/* Removes a URL from this node, all its variants (owner worker only), and withdraws its reference;
 * what is being fetched is not kept. `soft`: makes it stale. Of what has variants or slices, or is
 * being fetched, that takes a rule, which is to follow (CACHE_PURGE_URL). Either way peers are not
 * asked for it for an hour. Other purges: cache_purge, of which the proxy's workers learn by the
 * cache. */
enum proxy_purged {
    PROXY_PURGED_NOTHING, /* there was nothing of it */
    PROXY_PURGED,
    PROXY_PURGED_BY_RULE, /* ... when the rule is there */
};
enum proxy_purged proxy_purge(struct proxy *p, const char *url, size_t len, bool soft,
                              struct now now);

/* --- what an earlier run left (restore.c) --------------------------------- */

/* A number for the policy under which a URL's objects are stored now, the operator's rules
 * included; an object that was stored under another is not taken over. `key`: a URL or that of a
 * variant. 0: this is no URL as it stands in the cache, or not served. Pure; any thread that has
 * the rules' part `worker` to itself (rules_apply). */
uint64_t proxy_policy_print(const struct proxy_policy *p, unsigned worker, const char *key,
                            size_t len);
/* Whether it is such as we store: head lines well-formed, without what is made anew; a primary's
 * names and nonce; a variant's values. Pure. */
bool proxy_stored_sane(const struct cache_meta *meta, const char *key, size_t key_len,
                       const char *head, size_t head_len);

/* A piece of an object that comes in the order of its bytes; all memory is the caller's. */
struct proxy_piece {
    const char *key, *head; /* of the first piece, with meta and heat */
    const uint8_t *data;
    size_t len;
    struct cache_meta meta;
    uint64_t policy; /* proxy_policy_print when it was saved */
    uint16_t key_len, head_len;
    uint8_t heat, owner; /* worker */
    bool first, last;
    bool good; /* of the last piece: it is what was saved; else it is dropped */
};
/* Takes a piece from its byte `from` on, at most `limit` bytes; returns how many, call again until
 * it has all. Owner worker only, one object at a time. An object is linked when its last piece has
 * said that it is good, unless one stands there already; what there is no room for is left out, and
 * all that comes after a purge or an invalidation of any key of this worker's. */
size_t proxy_restore(struct proxy *p, const struct proxy_piece *piece, size_t from, size_t limit,
                     struct now now);
void proxy_restore_stop(struct proxy *p); /* gives up what is begun */

/* Fills in flight, for `coralctl status`. */
struct proxy_fill_info {
    char url[256];
    char source[80]; /* "origin 192.0.2.1:80", "peer 192.0.2.2:80", "index" */
    uint64_t bytes;
    int64_t length;
};
unsigned proxy_fills(const struct proxy *p, struct proxy_fill_info *out, unsigned room);

/* How this worker sees an origin of a site, for `coralctl origins`. */
enum proxy_breaker { PROXY_CLOSED, PROXY_OPEN, PROXY_HALF_OPEN }; /* backend.c */
struct proxy_origin_info {
    char site[256], host[256];
    uint16_t port, weight; /* as of struct proxy_origin */
    uint8_t breaker;       /* enum proxy_breaker, */
    uint64_t since_us;     /* for so long; 0: it was not asked yet */
    uint64_t retry_us;     /* PROXY_OPEN: until one may try */
    uint32_t failures;     /* in a row */
    uint32_t in_flight, waiting;
    bool probed, down;         /* health.c; */
    bool asks;                 /* ... and this worker is the one that asks it: */
    struct proxy_found found;  /* the last time that it was not well */
    struct proxy_found failed; /* breaker: how it failed last; ms 0: not known */
};
/* Of this site, NULL: of all in order of their names, as far as there is room; returns how many. */
unsigned proxy_origins(struct proxy *p, const char *site, struct proxy_origin_info *out,
                       unsigned room, struct now now);

const struct proxy_counters *proxy_counters(const struct proxy *p);
const struct hist *proxy_latency(const struct proxy *p); /* request head to last byte queued */

#endif
