/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The proxy's own structures. R is the worker that has the client, O the one that owns the key's
 * shard; they may be the same, and then the same messages go over a local queue.
 *
 *   request (R's pool) --want--> fill (O's pool) --exchange--> peer or origin
 *      |                            |
 *      v                            v
 *   grip (R's pool) --pins--> cache object <--appends-- fill
 *
 * Ownership. A request is R's, but from `want` to its terminal answer (READY, AGAIN, FAILED,
 * RELEASE, PASS_END, DONE) the block `o` in it is O's, and R may not give the request's memory
 * back, even if the client is gone. O reads the immutable part (url, head, flags) meanwhile. A
 * grip is R's, but its `answer` is O's from FOLLOW to FOLLOWED. A fill is O's; READY hands R an
 * object that the fill keeps pinned until R's GOT. A block of passed bytes is O's, lent to R from
 * PASS to BLOCK.
 */
#ifndef CORAL_PROXY_INTERNAL_H
#define CORAL_PROXY_INTERNAL_H

#include <string.h>

#include "base/hist.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "cache/freshness.h"
#include "cache/vary.h"
#include "dataplane/proxy/loop.h"
#include "dataplane/proxy/peer.h"
#include "dataplane/proxy/proxy.h"
#include "version.h"

#define PROXY_PRODUCT "Coral"

enum {
    PROXY_BURST = 32,
    PROXY_WORKERS = CACHE_WORKERS,
    PROXY_REQUEST_HEAD = 4096, /* bytes of a request's head kept for an uncacheable response */
    PROXY_FORWARD = 2560,      /* of the lines that forward.c makes */
    LOOP_MAX = 1024,           /* of a client's CDN-Loop, */
    FORWARD_BEFORE = 1024,     /* and of what proxies before us say of his address */
    PROXY_ID = 32,             /* digits of a request's ID */
    PROXY_CANDIDATES = 8,      /* peers remembered for one fill */
    PROXY_ROUNDS = 16,         /* times that a fill looks for another source */
    PROXY_BARREN_ROUNDS = 4,   /* of them in a row without a byte */
    PROXY_TRIES = 4,           /* times that a request is sent back to look again */
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
    PROXY_RETRIES = 1024,       /* places to count a host's retries in */
    PROXY_RETRY_LEAST = 10,     /* of a host, beside a fifth of its first tries */
    PROXY_BREAKER_FAILURES = 5, /* in a row, of an origin that can be connected to */
    PROXY_INLINE = 512,         /* a body up to this is cheaper copied than referred to */
    PROXY_VIA = 128,
    PROXY_HEAD_ROOM = CACHE_HEAD_MAX + 2048,
    PROXY_LINGERING = 256,       /* pins that nobody uses, a worker's */
    PROXY_ASKS = 16,             /* objects that a poll asks others to let go of */
    PROXY_LOOKS = 64,            /* connections that a poll looks at for those */
    PROXY_OWN_BYTES = 65536,     /* copied at once for who is to let go */
    PROXY_SLICE_BYTES = 1 << 20, /* the same on all nodes, which give each other slices */
    PROXY_FAR_BYTES = 8 << 20,   /* ahead of what has come of a whole: not waited for */
};

/* Times, in microseconds. */
#define PROXY_WAIT_US         (20ull * 1000000) /* a client waits for a head: then 504 */
#define PROXY_STALL_US        (40ull * 1000000) /* a response waits for its object's next byte */
#define PROXY_INDEX_US        (1000ull * 1000)  /* index get, put */
#define PROXY_AGE_MARGIN_US   (20ull * 1000)    /* ages of references are this uncertain */
#define PROXY_PEER_HEAD_US    (5ull * 1000000)  /* a peer may itself wait for the origin's head */
#define PROXY_PEER_HURRY_US   (300ull * 1000) /* where another has it whole, and some round trips */
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
#define PROXY_QUEUE_US        (PROXY_WAIT_US / 2) /* a fill waits for its turn at an origin */
#define PROXY_RETRY_US        (10ull * 1000000)   /* in which tries are counted */
#define PROXY_OPEN_FIRST_US                                                                        \
    (1ull * 1000000) /* CORAL.md 4 has 15 s; one lost SYN must not                                 \
                        take an origin away for that long */
#define PROXY_OPEN_LAST_US (900ull * 1000000)
#define PROXY_OPEN_SITE_US (30ull * 1000000) /* of a site's origin: it is wanted back */
/* The index is not asked again later: half of what a client waits is the origin's. */
#define PROXY_AGAIN_US (PROXY_WAIT_US / 2)

/* --- messages ------------------------------------------------------------- */

/* What is answered, and why (enum access_reason). */
#define PROXY_FAILED_TAG(status, reason) ((uint32_t)(status) | (uint32_t)(reason) << 16)

enum proxy_message_type {
    PROXY_WANT = MESSAGE_PROXY, /* R->O request: find it */
    PROXY_READY,     /* O->R request, object, fill: send this; GOT when it is pinned. Terminal */
    PROXY_AGAIN,     /* O->R request: it is in the cache by now. Terminal */
    PROXY_FAILED,    /* O->R request; tag: PROXY_FAILED_TAG. Terminal */
    PROXY_RELEASE,   /* O->R request: uncacheable, fetch for yourself. Terminal */
    PROXY_GOT,       /* R->O fill: the object is pinned here */
    PROXY_FOLLOW,    /* R->O grip, object: tell me of progress */
    PROXY_FOLLOWED,  /* O->R grip: noted, or there is no such fill any more; look again */
    PROXY_PROGRESS,  /* O->R object: more bytes, or its end */
    PROXY_PASS,      /* O->R request, block: bytes of an uncacheable response, the head first */
    PROXY_PASS_END,  /* O->R request; tag: 1 whole, 0 broken off. Terminal */
    PROXY_PASS_STOP, /* R->O request, fill: the client needs no more */
    PROXY_BLOCK,     /* R->O block: sent, yours again */
    PROXY_DAMAGED,   /* R->O request, object: a checksum is wrong */
    PROXY_BEHIND,    /* R->O request, object: it went out stale, have it revalidated; NULL: the
                        slice of its key, which is not there, will be wanted */
    PROXY_DONE,      /* O->R request: DAMAGED, BEHIND is dealt with. Terminal */
    PROXY_FORGET,    /* R->O forget: its URL may have changed at the origin */
    PROXY_FORGOTTEN, /* O->R forget: yours again */
    PROXY_LET_GO,    /* O->R object: it is gone, and only readers keep its memory */
    PROXY_HEALTH,    /* to all, health_note: an origin is down, or up again */
};

struct request;
struct fill;
struct grip;
struct block;
struct forget;

struct proxy_note {
    struct request *request;
    const struct cache_object *object;
    union {
        struct fill *fill;
        uint64_t chain; /* FOLLOW: hash.lo of the URL, to find the fill by */
        struct forget *forget;
    };
    struct grip *grip;
    struct block *block;
    uint32_t fill_gen;
    uint8_t source;    /* enum source_kind, of READY */
    uint8_t collapsed; /* READY: joined a fill that ran; RELEASE: remember it */
    uint8_t stale;     /* READY: this is an old copy, the source failed */
    uint8_t refreshed; /* READY: our copy, which the origin has confirmed */
};
static_assert(sizeof(struct proxy_note) <= MESSAGE_BODY, "a note fits a message");

/* A message with a place in the queue to its worker: embedded in what it is about, so that no
 * message is ever lost for want of memory. */
struct post {
    struct post *next;
    void (*sent)(struct proxy *p, struct post *post); /* NULL: nobody waits for it */
    uint16_t to;
    bool queued;
    struct message m;
};
struct post_queue {
    struct post *head, **tail;
};

void post_init(struct proxy *p);
/* Sends `post`, or keeps it in order for the next poll. */
void post_send(struct proxy *p, struct post *post, unsigned to, uint16_t type, uint32_t tag,
               const struct proxy_note *note);
/* Retries what is kept, and delivers what this worker sent itself. */
void post_flush(struct proxy *p, struct now now);
bool post_waiting(const struct proxy *p);

/* --- timers --------------------------------------------------------------- */

enum alarm_kind { ALARM_REQUEST, ALARM_FILL, ALARM_RENEW, ALARM_REF, ALARM_HEALTH };
struct alarm {
    struct timer timer;
    uint8_t kind;
};

/* --- requests ------------------------------------------------------------- */

/* A bit each, of those that are told apart (cache/vary.h). */
enum coding { CODING_NONE, CODING_BR = 1, CODING_GZIP = 2, CODING_OTHER = 4 };

enum request_state {
    REQUEST_FREE,
    REQUEST_QUEUED,  /* in the burst */
    REQUEST_WAITING, /* want is out */
    REQUEST_SENDING, /* from a cache object */
    REQUEST_PASSING, /* bytes come by PASS */
    REQUEST_OVER,    /* the client has its answer or is gone; memory is still in use */
};

enum source_kind { SOURCE_NONE, SOURCE_INDEX, SOURCE_PEER, SOURCE_ORIGIN, SOURCE_KINDS };

/* Why a request is no hit (RFC 9211 2.2). */
enum forward_why {
    FORWARD_MISS,
    FORWARD_VARY_MISS, /* there is a primary, but not its variant, */
    FORWARD_PARTIAL,   /* or not its slice */
    FORWARD_STALE,
    FORWARD_REQUEST, /* asks for other than what is stored */
    FORWARD_BYPASS,
    FORWARD_METHOD,
};

struct request {
    struct request *next;   /* free list, burst */
    struct http_conn *conn; /* NULL: gone or answered */
    uint64_t started_us;
    uint8_t state;
    bool owned; /* by O: between want and its terminal answer */

    /* immutable from the handler on */
    bool head_only; /* HEAD */
    bool peer;      /* an authenticated node of ours */
    bool authorized, has_cookie;
    bool head_raw; /* head[] is as it came; else the lines of it that may go to an origin */
    bool open;     /* by the open mode's rules */
    bool looped;   /* a client's, with CDN-Loop */
    bool trusted;  /* through a proxy that the site trusts */
    uint8_t tells; /* enum proxy_tells */
    bool other;    /* for the origin alone (upload.c): `method`, and a body if it has one */
    bool safe, has_body, expects, counted;
    uint32_t wait_ms;     /* for a head, */
    uint32_t stall_ms;    /* between bytes: what its origin may take, and something */
    bool passes, bare;    /* by the rules: not from the cache; without its cookies */
    uint8_t edits;        /* fields of its response that they change: edit[] */
    uint64_t edits_by;    /* rules_print of the set that says so */
    uint8_t framing;      /* enum http_framing, of the body */
    int64_t max_forwards; /* of an OPTIONS, -1: none */
    uint64_t body_length;
    char method[24];
    uint16_t owner; /* O */
    uint16_t url_len, head_len;
    /* what it is looked up by: the URL, or if responses vary the variant's key that is made about
     * it; O's between want and answer */
    bool varies;
    bool sliced;    /* it is a slice's, */
    uint64_t slice; /* the number of which is this */
    uint16_t values_len;
    uint16_t coding_at; /* where in the values Accept-Encoding's begins, */
    uint8_t coding_len; /* and how long it is; 0: it is not among them */
    uint8_t accepts;    /* what that says of the client, of enum coding */
    uint16_t none_match_len;
    uint8_t range_len, if_range_len;
    bool asked;                /* `asks` says something */
    bool to_origin;            /* what peers have is too old for it */
    int64_t if_modified_since; /* -1: none */
    struct hash128 hash;       /* of its key */
    uint64_t chain;            /* hash.lo of its URL: where fills for it are */
    struct cache_request asks; /* what its Cache-Control says, as far as it is heard here */

    /* sending, passing: R's */
    uint8_t tries;
    uint8_t source;  /* enum source_kind: where READY says it came from; SOURCE_NONE: a hit */
    uint8_t why;     /* enum cache_reuse_reason of a hit that is `stale` */
    uint8_t forward; /* enum forward_why, of what is no hit */
    bool collapsed, stale, refreshed, waited, head_sent, verified, path_known;
    bool vary_miss; /* there is a primary, but not its variant */
    bool alone;     /* variants are not told apart by what it says: it fetches for itself */
    uint8_t path_len;
    bool pass_ended, pass_whole, pass_stopped;
    bool logged;    /* `access` is begun; for it: */
    bool made;      /* the answer is ours: respond_status */
    bool passed;    /* its head came by PASS */
    bool whole;     /* the answer is queued to its end */
    bool gone;      /* the client left before that */
    uint8_t reason; /* enum access_reason, of an answer that is ours */
    uint16_t status;
    uint64_t body_out;     /* bytes of the body that were queued */
    bool body_begun;       /* the client has sent some of it */
    bool body_ended;       /* the client has sent it whole */
    uint8_t forgetting;    /* of what it has invalidated: not answered yet */
    struct forget *forget; /* for its own URL, until the head comes */
    struct fill *upload;   /* that takes its body on */
    bool resumed;          /* passing: the rest of an object that was let go */
    bool between;          /* two slices; waits for O to be done with it */
    uint64_t validators;   /* of the object that it goes on without */
    uint64_t version;      /* of what its head said */
    uint64_t base;         /* where the object of `grip` begins in it: a slice; 0: the whole */
    uint64_t ahead;        /* the last slice that was asked for early */
    uint8_t parts, part;   /* of a multipart response, 0: it is none; the one at hand */
    bool part_text;        /* what stands before it is being sent, */
    uint16_t text_out;     /* so much of it is out */
    uint16_t pass_fill_worker;
    struct gunzip *gunzip; /* undoes the object's coding for it; NULL: it goes as it is */
    struct grip *grip;
    uint64_t offset, end;                   /* end: UINT64_MAX while the length is unknown */
    struct request *wait_next, **wait_prev; /* grip's list of those that wait for progress */
    struct block *blocks, **blocks_tail;    /* passed, not yet taken by the stream */
    struct fill *pass_fill;
    uint32_t pass_fill_gen;
    struct alarm alarm; /* deadline */

    /* from here on nothing is cleared for a new request: posts are never queued then, the rest is
     * set before it is used, texts are as long as their lengths say */
    struct post post;             /* R's messages */
    uint32_t edit[RULES_LIST];    /* numbers of actions */
    struct peer_field peer_field; /* of a peer */
    struct addr client;           /* if it `tells` anything, */
    char id[PROXY_ID + 1];        /* and that */
    struct {                      /* O's between want and answer */
        struct request *next;     /* the fill's list */
        struct post post;
        uint16_t worker; /* R */
        bool joined;     /* came while the fill ran */
        bool doubts;     /* ... and after a purge of tags, which may be the fill's */
        uint8_t path_len;
        uint32_t spent_us[SOURCE_KINDS];  /* by its fill, of READY; 0 of what it has joined */
        struct dht_id path[DHT_PATH_MAX]; /* of the fill, for peers */
    } o;
    union {
        char variant[CACHE_VARIANT_PREFIX + HTTP_URL_MAX];
        struct {
            char prefix[CACHE_VARIANT_PREFIX];
            char url[HTTP_URL_MAX]; /* and the values */
        };
    };
    struct multipart {
        struct http_span span[HTTP_RANGES];
        uint64_t boundary, total; /* total: bytes of the whole */
        uint8_t type_len;
        char type[128]; /* its Content-Type; one that is longer is not told */
    } multipart;
    char range[255], if_range[128], none_match[512];
    char head[PROXY_REQUEST_HEAD];
    struct access_record access; /* last: no page of it is touched while nobody wants one */
};

/* What it is looked up by. */
static inline struct http_text request_key(const struct request *r)
{
    return r->varies ? (struct http_text){r->variant, (uint32_t)CACHE_VARIANT_PREFIX + r->url_len +
                                                          r->values_len}
                     : (struct http_text){r->url, r->url_len};
}
static inline uint64_t request_wait_us(const struct request *r)
{
    return r->wait_ms * 1000ull > PROXY_WAIT_US ? r->wait_ms * 1000ull : PROXY_WAIT_US;
}
static inline uint64_t request_stall_us(const struct request *r)
{
    return r->stall_ms * 1000ull > PROXY_STALL_US ? r->stall_ms * 1000ull : PROXY_STALL_US;
}
struct request *request_new(struct proxy *p, struct http_conn *c, struct now now);
/* The client's part is over: detaches everything; frees when O and the queues let go. */
void request_over(struct proxy *p, struct request *r);
void request_release(struct proxy *p, struct request *r);
void request_timeout(struct proxy *p, struct request *r, struct now now);
/* The field lines that go to an origin when the answer is not for the cache. */
struct head_writer;
void request_write_fields(const struct request *r, const struct fill *f, struct head_writer *w);
/* Reads the head again, as far as it is kept; `text` has to last as long as `h`. */
bool request_head_parse(const struct request *r, char *text, size_t room, struct http_head *h);
/* May an origin choose a stored response by this field? It must reach it, and say more than which
 * part is wanted, or of which version. */
bool request_field_selects(const struct http_head *h, const struct http_field *f, bool open);
/* May it go to the origin of a site when the answer is for others, too? */
bool request_field_shared(const struct http_head *h, const struct http_field *f);
/* Has it something that looks like a credential? */
bool request_is_secret(const struct http_head *h);
/* Looks the request up again. Returns what is to be sent now; NULL: it has been acted upon. */
const struct cache_object *request_look(struct proxy *p, struct request *r, struct now now);
/* The same, and sends. */
void request_again(struct proxy *p, struct request *r, struct now now);

/* --- the access log (access.c) -------------------------------------------- */

/* Begins a record with what a head says; NULL: of none that could be read. `id`: or "". */
void access_begin(const struct proxy *p, struct access_record *a, const struct http_conn *c,
                  const struct http_head *h, const char *id, uint64_t start_us);
/* Of one that is `logged`: what became of it; gives the record away. */
void access_end(struct proxy *p, struct request *r);
/* A whole record at once, if one is wanted, of what never was a request. */
void access_refused(struct proxy *p, const struct http_conn *c, const struct http_head *h,
                    uint64_t start_us, bool peer, unsigned status, enum access_reason why,
                    uint64_t bytes);
/* Of what is wrong with a request, there and back. */
enum access_reason access_reason_of(enum http_error e);
enum http_error access_error(enum access_reason why);

/* --- requests for the origin alone (upload.c) ----------------------------- */

/* Takes what is `other` about it. False: its method is longer than any. */
bool upload_take(struct request *r, const struct http_head *h);
void upload_write_fields(const struct request *r, struct head_writer *w);
/* Of enum http_send. */
unsigned upload_how(const struct request *r);
/* As of struct http_handler. */
size_t upload_body(struct proxy *p, struct request *r, const uint8_t *data, size_t len,
                   struct now now);
void upload_body_end(struct proxy *p, struct request *r, struct now now);
/* Is it the client's turn to send? Not when he waits for 100 (RFC 9110 10.1.1). */
bool upload_pending(const struct request *r);
void upload_gone(struct request *r);
/* As of struct http_exchange_events. */
void upload_writable(struct fill *f, struct http_exchange *x);
void upload_interim(const struct fill *f, const struct http_head *h);

/* --- what unsafe requests invalidate (forget.c) --------------------------- */

/* R's, but O's from FORGET to FORGOTTEN. An unsafe request has one for its own URL before it goes
 * to the origin, so that it is never left out for want of memory. */
struct forget {
    struct post post, answer;
    struct forget *next; /* free list */
    struct request *request;
    struct hash128 hash;
    uint16_t url_len;
    char url[HTTP_URL_MAX];
};
struct forget *forget_take(struct proxy *p); /* NULL: none left */
void forget_give(struct proxy *p, struct forget *f);
/* The head of the answer has come: begins with what that invalidates. */
void forget_begin(struct proxy *p, struct request *r, const struct http_head *h);
void forget_key(struct proxy *p, unsigned from, struct forget *f, struct now now);
void forget_done(struct proxy *p, struct forget *f, struct now now);

/* --- grips: objects that this worker sends from --------------------------- */

/* One an object and worker, however many responses: one pin, one subscription. */
struct grip {
    struct hold hold; /* counts requests that use it and spans in send queues */
    struct proxy *proxy;
    const struct cache_object *object;
    struct grip *next;       /* chain of the table, free list */
    struct request *waiting; /* for progress */
    bool following;          /* O tells us of progress */
    bool asked;              /* FOLLOW is out */
    bool released;           /* no hold left; waits for FOLLOWED, or lingers */
    bool lingers;
    uint64_t idle_us;   /* when its last hold went */
    uint64_t let_go_us; /* when O wanted it back (let_go.c); 0: it did not */
    struct grip *linger_next, **linger_prev;
    struct post post, answer;
};

struct grip *grip_take(struct proxy *p, const struct cache_object *o); /* NULL: none left */
void grip_drop(struct grip *g);
struct grip *grip_find(struct proxy *p, const struct cache_object *o);
void grip_wait(struct proxy *p, struct grip *g, struct request *r);
void grip_unwait(struct request *r);

/* Undoes pins that nobody has used for a while. */
void grips_poll(struct proxy *p, struct now now);
/* Is it a grip's? */
bool grip_is(const struct hold *h);
/* O wants it back: at once if it lingers, else as soon as its last hold goes. */
void grip_let_go(struct proxy *p, struct grip *g, struct now now);

void grip_followed(struct proxy *p, struct grip *g, struct now now);
/* Runs the responses that wait for this object. */
void grip_progress(struct proxy *p, struct grip *g, struct now now);

/* --- objects to be let go of (let_go.c) ----------------------------------- */

/* O: asks every worker, R: has been asked; R: what is left of it. */
void let_go_ask(struct proxy *p, struct now now);
void let_go_asked(struct proxy *p, const struct cache_object *o, struct now now);
void let_go_poll(struct proxy *p, struct now now);
uint64_t let_go_deadline_us(const struct proxy *p);

/* --- fills ---------------------------------------------------------------- */

enum fill_state {
    FILL_FREE,
    FILL_GET,     /* index get */
    FILL_PUT,     /* short reference, and who is older? */
    FILL_AGAIN,   /* index get once more: who was named has nothing */
    FILL_QUEUE,   /* its origin has as many as it may have */
    FILL_RESOLVE, /* the origin's name */
    FILL_HEAD,    /* an exchange runs, no head yet */
    FILL_BODY,
    FILL_ENDED, /* waits for GOT and for full rings */
};

struct candidate {
    struct dht_id node;
    struct endpoint http;
    uint32_t rtt_us; /* UINT32_MAX: not known */
    bool whole;      /* it has all of it, and need not wait for anybody */
    bool tried;
    bool useless; /* tried, and not a byte came of it */
};

struct fill {
    struct fill *next;                   /* chain of the table, free list */
    struct fill *busy_next, **busy_prev; /* all that are in use */
    struct fill *agenda_next;            /* to be looked at this poll */
    bool on_agenda, tabled;
    struct proxy *proxy;
    uint32_t gen;
    uint8_t state;
    bool pass;           /* for one request, uncached */
    bool part;           /* of a slice: asks for that alone */
    bool part_named;     /* `key` is the slice's */
    bool once;           /* which must not be sent twice */
    bool to_origin;      /* who asked wants it from there */
    bool find_next;      /* agenda: the source is gone, take the next */
    bool find_origin;    /* agenda: addresses came, or one failed; go on with the origin */
    bool out_of_memory;  /* agenda: the cache stayed full */
    bool broken;         /* agenda: the object can't be whole any more */
    struct hash128 hash; /* of its key */
    uint64_t chain;      /* hash.lo of its URL: variants' fills are side by side */
    struct dht_id key;
    uint64_t base; /* the slice's first byte; 0: the whole */

    struct cache_object *object;      /* pinned once by us */
    const struct cache_object *stale; /* an old copy, pinned; NULL: none */
    bool linked, purged, share_only;  /* share_only: an error, for those who wait, not kept */
    uint32_t born;       /* cache_purge_clock when it began: what it brings is as old */
    bool refreshed;      /* 304: `object` is whole already */
    bool old_copy;       /* `object` is the stale copy, since nothing else helped */
    struct coder *coder; /* gzips what comes; NULL: it is stored as it comes */
    bool negotiated;     /* what comes is one of two codings, be it the plain one */
    bool source_coded;   /* the source sends it in a coding of its own */
    bool weakened;       /* its ETag was strong, the object's is not */
    bool ended;          /* all has come; the coder's last bytes wait for memory */
    uint64_t skip;       /* bytes of the source's body that we have already */
    uint64_t validators; /* hash of strong ETag, else Last-Modified; 0: none */
    int64_t length;      /* -1: unknown */

    struct request *waiting;
    uint32_t followers, notify; /* workers, a bit each */
    uint32_t unacked;           /* READY without GOT yet */

    /* source */
    uint8_t kind;       /* enum source_kind */
    bool source_routed; /* it was in the routes when we chose it */
    bool source_holds;  /* it failed, but may have the object: busy, slow, or it waits for us */
    bool named, again;  /* the first get named holders, `teller` did; a second one was made */
    bool removed;
    uint8_t rounds, barren, candidates;
    uint8_t addresses;
    uint8_t taken;           /* bits: of the site's origins, those that were in hand */
    uint8_t unwilling;       /* those of them that were refused but are better than none */
    bool last_resort;        /* so they are asked */
    bool asked;              /* an origin: what follows is a retry */
    bool of_site;            /* not of the open mode */
    struct backend *backend; /* the origin in hand; NULL: none */
    uint8_t in_hand;         /* which of the site's */
    bool queued;             /* `backend` is yet to be admitted */
    struct fill *wait_next;
    uint32_t limit_ms;   /* what its time-outs allow, at most */
    uint8_t tried;       /* bits: of address[], those that need no further try */
    uint8_t lost_family; /* 4, 6: all of it failed and the other was not known; 0 */
    bool by_name;        /* address[] came from the resolver */
    bool ask_again;      /* the resolver, which may know the other family by now */
    uint16_t port;
    uint16_t failure; /* status when nothing helps */
    uint8_t reason;   /* and why: enum access_reason */
    struct candidate candidate[PROXY_CANDIDATES];
    struct dht_id teller;
    struct addr address[RESOLVER_ADDRESSES];
    char origin_name[256];
    struct endpoint source;
    struct dht_id source_node;
    uint64_t nonce;
    struct http_exchange *x;
    uint64_t resolve_ticket, get_ticket, put_ticket;
    uint64_t put_us;      /* when our first put of this fill was called; 0: none */
    uint64_t put_done_us; /* and when it ended */
    int64_t request_s;    /* wall clock at sending */
    uint64_t progress_us; /* last byte */
    uint64_t head_us;     /* how long the peer that was asked has for its head */
    uint64_t round_bytes; /* bytes of the object when this source began */
    uint64_t short_us;    /* cache memory is short since; 0: it isn't */
    uint8_t path_len;
    struct dht_id path[DHT_PATH_MAX]; /* nodes that this fill hangs on, nearest first */
    struct alarm alarm, renew;

    /* passing */
    struct request *streaming;
    struct block *open; /* being filled, not posted yet */
    uint32_t blocks_out;
    bool starved; /* stopped for lack of blocks */
    bool head_passed;

    /* by what its answer was selected, values behind the URL; and what the last head said of it */
    bool varies; /* it is a variant's */
    struct cache_vary vary, said;
    uint16_t url_len, values_len, fields_len, forward_len;
    bool looped;                     /* its first request had CDN-Loop, */
    uint8_t tells;                   /* and this */
    uint8_t phase;                   /* enum source_kind: what it waits for, */
    uint64_t phase_us;               /* since then, */
    uint32_t spent_us[SOURCE_KINDS]; /* and has before */
    union {
        char variant[CACHE_VARIANT_PREFIX + HTTP_URL_MAX];
        struct {
            char prefix[CACHE_VARIANT_PREFIX];
            char url[HTTP_URL_MAX];
        };
    };
    char fields[PROXY_REQUEST_HEAD]; /* lines of the request that began it, for an origin, */
    char forward[PROXY_FORWARD];     /* and those that are made of it (forward.c) */
};

/* What it is tabled and stored under. */
static inline struct http_text fill_key(const struct fill *f)
{
    return f->varies ? (struct http_text){f->variant, (uint32_t)CACHE_VARIANT_PREFIX + f->url_len +
                                                          f->values_len}
                     : (struct http_text){f->url, f->url_len};
}

/* May its answer be made for who began it? */
static inline bool fill_is_own(const struct fill *f)
{
    return f->fields_len || f->looped || f->tells & PROXY_ADDRESS;
}

/* --- gzip (coder.c) ------------------------------------------------------- */

/* Is this response one that is gzipped for who accepts it? */
bool coder_suits(const struct fill *f, const struct http_head *h);
struct coder *coder_take(struct proxy *p); /* NULL: none left */
void coder_give(struct proxy *p, struct coder *c);
void coders_free(struct proxy *p);
/* Bytes of the source's body so far. */
uint64_t coder_taken(const struct coder *c);
/* More of it; returns how many bytes were taken, fewer when the cache has no memory now. */
size_t coder_put(struct coder *c, struct proxy *p, struct cache_object *o, const uint8_t *data,
                 size_t len);
/* That was the last. False: there is no memory for the rest; call again. */
bool coder_end(struct coder *c, struct proxy *p, struct cache_object *o);
/* The stored head of one of the two: it varies by Accept-Encoding, and what is coded has a weak
 * ETag (RFC 9110 8.8.1). 0: it does not fit. */
size_t coder_head(const char *head, size_t len, bool coded, char *out, size_t room);
/* The head of a 304, `fresh`, as it confirms a stored one: the strong form of a weak ETag does not
 * replace it, nor a Vary without Accept-Encoding one that names it. Its length; 0: no room, or it
 * has the strong ETag of something else than these coded bytes. */
size_t coder_confirmed(const char *old, size_t old_len, char *fresh, size_t len, size_t room);
/* The coding of a stored response; several are CODING_OTHER. */
enum coding coding_of(const char *head, size_t len);
/* May gzip be undone in what has this stored head? That is so where it would be done. */
bool coder_undoes(const struct proxy *p, struct http_text url, const char *head, size_t len);
/* The head to be sent then: of another representation (RFC 9110 8.8.3.3), of which there are no
 * ranges. 0: it does not fit. */
size_t coder_head_undone(const char *head, size_t len, char *out, size_t room);

/* --- gzip undone (gunzip.c) ----------------------------------------------- */

/* Does the request get this object without its coding? Then r->gunzip is for it, until gunzip_drop.
 * False: no, or there is no decoder left. */
bool gunzip_begin(struct proxy *p, struct request *r, const struct cache_object *o);
void gunzip_drop(struct request *r); /* of one that has it */
void gunzips_free(struct proxy *p);
/* Those that go on. */
void gunzips_poll(struct proxy *p, struct now now);
/* Sends what has been decoded. */
enum gunzip_is {
    GUNZIP_READY, /* for more */
    GUNZIP_WAITS, /* for room; transfer_run follows */
    GUNZIP_BAD,   /* it is no gzip */
};
enum gunzip_is gunzip_send(struct proxy *p, struct request *r);
/* Decodes some of the object's bytes at r->offset, and moves that. False: as GUNZIP_WAITS. */
bool gunzip_put(struct request *r, struct cache_span span);
/* Does what has been decoded end where gzip may? */
bool gunzip_ended(const struct request *r);

/* fill.c: the table, waiters, ends */
/* Bytes of the source's body that the object has, or its coder. */
static inline uint64_t fill_taken(const struct fill *f)
{
    if (f->coder)
        return coder_taken(f->coder);
    return f->object ? cache_ready(f->object) : 0;
}

/* The one that this request may join: not one that has been purged. */
struct fill *fill_find(struct proxy *p, struct request *r);
/* `vary`: by what it is selected; NULL: for one request, uncached. */
struct fill *fill_new(struct proxy *p, const struct request *r, const struct cache_vary *vary,
                      struct now now);
/* What stands under its key. */
const struct cache_object *fill_lookup(const struct fill *f);
void fill_join(struct fill *f, struct request *r, struct now now);
void fill_answer(struct fill *f, struct request *r, uint16_t type, uint32_t tag);
void fill_ready_all(struct fill *f);
void fill_fail_all(struct fill *f, unsigned status);
void fill_release_all(struct fill *f, bool remember);
void fill_agenda(struct fill *f);
void fill_step(struct fill *f, struct now now);
void fill_timer(struct fill *f, struct now now);
void fill_notify(struct fill *f);
/* How long an origin may be without progress. */
uint64_t fill_origin_us(const struct fill *f);
void fill_got(struct fill *f);
/* The old copy, when the origin fails, unless it has been purged since. */
bool fill_stale_usable(const struct fill *f, struct now now);
/* No source is left: the stale copy, the error, or broken-off readers. */
void fill_give_up(struct fill *f, struct now now);
void fill_complete(struct fill *f, struct now now);
void fill_end(struct fill *f);
/* Those who wait get it, nobody after them. */
void fill_purge(struct fill *f, struct now now);
void fill_link(struct fill *f);
/* fill_head.c: what a response's head means */
bool fill_head(struct fill *f, const struct http_head *h, struct now now);
size_t fill_body(struct fill *f, const uint8_t *data, size_t len, struct now now);
/* Where body bytes go that lie `ahead` of the next one; *len as of cache_place. */
uint8_t *fill_place(struct fill *f, size_t ahead, size_t *len);

/* --- responses that vary (vary.c) ----------------------------------------- */

/* Of what was found for these requests, a primary gives way to what stands under the variant that
 * the request selects, or to nothing. */
void vary_select_all(struct proxy *p, struct request **batch, struct cache_probe *probe,
                     unsigned n);
static inline void vary_select(struct proxy *p, struct request **batch, struct cache_probe *probe,
                               unsigned n)
{
    bool varies = false; /* most bursts have none */
    for (unsigned i = 0; i < n; i++)
        varies |= probe[i].found && cache_meta(probe[i].found)->varies;
    if (varies)
        vary_select_all(p, batch, probe, n);
}
/* Makes the variant's key of a request; of no names, it is the URL. False: its values are too long,
 * its own alone, or those of several slices. */
bool vary_key(struct request *r, const struct cache_vary *v);
/* R: the variant is not there, but what one who accepts more codings was answered may do for this
 * request, too: as it is, or undone. Then the request is that one's. NULL: there is none. */
const struct cache_object *vary_other(struct proxy *p, struct request *r, struct now now);
/* O: the names under which the URL's variants stand. False: it has none. */
bool vary_names(struct proxy *p, struct http_text url, struct cache_vary *v);
/* O: are the request's names those that the URL has now? Then `v` has those of its fill. */
bool vary_in_force(struct proxy *p, const struct request *r, struct cache_vary *v);
/* What is told apart by Accept-Encoding. */
void vary_add_coding(struct cache_vary *v);
/* Did it send that gzip will do? */
bool fill_accepts_gzip(const struct fill *f);
/* The key of a new fill, and what it sends. */
void vary_begin(struct fill *f, const struct request *r, const struct cache_vary *v);
void vary_write_fields(const struct fill *f, struct head_writer *w);
/* What else the origin is sent: the fields of the request that began the fill. */
void vary_write_others(const struct fill *f, struct head_writer *w);
/* request_is_secret, of a request that is kept; in open mode no such field goes anywhere. */
bool vary_is_secret(const struct request *r);
/* By what a response varies, whether it says so or not. */
void vary_said(const struct http_head *h, struct cache_vary *out);
/* Is the fill's answer, by its head, what an origin would have sent this request? */
bool vary_suits(const struct fill *f, const struct request *r);
/* Before a response is stored: under which key, and who of those that wait waits for something
 * else. */
enum vary_end {
    VARY_STORED,
    VARY_NOT_STORED,
    VARY_NOBODY, /* all who waited wait for something else */
};
enum vary_end vary_settle(struct fill *f, struct now now);
/* After a 304: is its key still the right one? */
bool vary_confirms(const struct fill *f);

/* --- what origins are told of clients, and clients of us (forward.c) --------- */

/* A request of a site that `tells` something. */
void forward_take(struct proxy *p, struct request *r, const struct http_head *h,
                  const struct proxy_site *site);
/* The lines of a new fill. */
void forward_begin(struct fill *f, const struct request *r);
/* Is there a line of this name among them? Then the client's own is not sent. */
bool forward_makes(const struct fill *f, struct http_text field);
/* After vary_said: who varies by what is made here has an answer for one request alone. */
void forward_said(struct fill *f);
/* An error, and it may be for what the client's CDN-Loop says (another network's answer to a loop,
 * whichever status it has), or for his address. For nobody else, or anybody could have the others
 * refused. */
bool forward_doubtful(const struct fill *f, unsigned status);
/* From now on the fill waits for this; SOURCE_NONE: it has its head. */
void forward_phase(struct fill *f, enum source_kind phase, struct now now);
/* Lines of a response, behind Cache-Status; `spent_us`: by enum source_kind, NULL: unknown. */
struct head_writer;
void forward_answer(struct head_writer *w, const struct request *r, const char *how,
                    const uint32_t *spent_us, struct now now);

/* --- requests that come back (loop.c) --------------------------------------- */

/* The name of this network where there is no zone. */
void loop_init(struct proxy *p);
/* Our cdn-id (RFC 8586 2). */
struct http_text loop_id(const struct proxy *p);
/* A client's request: 508 when it has been through this network, 431 when its CDN-Loop is longer
 * than LOOP_MAX, which may not be cut; 0. */
unsigned loop_refuse(const struct proxy *p, const struct http_head *h, const char **why);
/* Has it a field to look at? */
static inline bool loop_suspect(const struct http_head *h)
{
    return h->known[HTTP_CDN_LOOP] || h->known[HTTP_VIA] || h->known[HTTP_USER_AGENT];
}
/* CDN-Loop, of a request whose head is `h`, NULL: which has none. */
void loop_write(const struct proxy *p, const struct http_head *h, struct head_writer *w);

/* --- large objects by parts (slice.c) ------------------------------------- */

struct slice {
    uint64_t first, last;
    int64_t total; /* of the whole */
};
/* Where a stored head of a 206 says that it is. */
bool slice_place(const char *head, size_t len, struct slice *s);
void slice_write_place(struct head_writer *w, const struct slice *s);
/* Would we have stored that head of a 206 under the values of that variant's key? */
bool slice_sane(const struct cache_meta *meta, struct cache_name values, const char *head,
                size_t len);
/* What it is in the index by: its URL and its number. */
struct dht_id slice_key(struct http_text url, uint64_t base);
/* Is it a slice, and which one? */
bool slice_read(const struct cache_object *o, struct slice *s);
/* What a request wants of a representation of that version and length, as http_ranges has it;
 * HTTP_RANGE_NONE: all. */
enum http_range slice_range(const struct request *r, uint64_t version, int64_t total,
                            struct http_span span[static HTTP_RANGES], unsigned *n);
/* The slice that a request needs of what stands in them. False: a peer wants more than one. */
bool slice_select(struct request *r, const struct cache_vary *v);
void slice_write_value(struct writer *w, uint64_t number);
/* O: whether a new fill, of which the names are known, asks for a slice, and for which one. */
void slice_begin(struct fill *f, const struct request *r);
/* What the fill's next question says as its Range; false: nothing. */
bool slice_write_range(const struct fill *f, struct head_writer *w);
/* Is this response exactly the slice that was asked for? It may be all there is. */
bool slice_answers(const struct fill *f, const struct http_head *h, struct slice *s);
/* May it be combined with others of its ETag (RFC 9110 8.8.1, RFC 9111 3.4)? */
bool slice_combines(const struct fill *f, const struct http_head *h);
/* After a 304: is it still of the version that the others are of? (RFC 9111 4.3.4) */
bool slice_confirms(const struct fill *f, const struct http_head *h);
/* The index names it as what it is: by URL, or by URL and slice. */
void slice_name(struct fill *f);
/* R: who seeks far ahead in an object that is still arriving fetches for himself, a node of ours
 * from another source: what is before it may take long. False: not so, or it waits as others do. */
bool slice_seek(struct proxy *p, struct request *r, const struct cache_object *o, struct now now);
/* R: one slice has been sent and more is wanted. True: r->grip is of the next one. */
bool slice_next(struct proxy *p, struct request *r, struct now now);
void slice_go_on(struct proxy *p, struct request *r, struct now now);
/* Has the next one fetched when half of one is sent. */
void slice_ahead(struct proxy *p, struct request *r);

/* source.c: which source next; the exchange's events */
extern const struct http_exchange_events source_events;
void source_begin(struct fill *f, struct now now);
void source_next(struct fill *f, struct now now);
void source_drop(struct fill *f); /* ends the exchange and what else is asked */
void source_failed(struct fill *f, unsigned status, struct now now);
void source_check_alive(struct fill *f, struct now now);
/* source_index.c */
void index_get(struct fill *f, struct now now);
/* Asks once more for holders, if all that were named were of no use and there is time. */
bool index_get_again(struct fill *f, struct now now);
/* The peer that was asked last brought nothing. */
void index_useless(struct fill *f);
void index_put(struct fill *f, struct now now);
/* What it is named by changes, also where it is named already. */
void index_move(struct fill *f, const struct dht_id *key);
void index_renew(struct fill *f, struct now now);
void index_withdraw(struct fill *f, struct now now);
bool index_alive(const struct proxy *p, const struct dht_id *node, bool *routed);
/* The next to be asked, marked as tried; NULL: there is none. */
struct candidate *index_pick(struct fill *f);
/* Is there another who has it whole and could be asked? */
bool index_has_other(const struct fill *f);
/* source_peer.c */
bool peer_start(struct fill *f, struct candidate *c, struct now now);
bool peer_head(struct fill *f, const struct http_head *h, struct now now);
bool peer_would_knot(const struct fill *f, const struct dht_id *asker);
/* source_origin.c */
void origin_start(struct fill *f, struct now now);
void origin_failed(struct fill *f, const struct http_exchange *x, enum http_failure why,
                   struct now now);
/* Notes why the origin in hand does not help, for the access log and, if it is a site's, for its
 * operator. */
void origin_trouble(struct fill *f, enum access_reason why, struct now now);
/* The final head has come from it. */
void origin_answered(struct fill *f, struct http_exchange *x, const struct http_head *h,
                     struct now now);
/* Begins anew with the first of the origins. */
void origin_anew(struct fill *f);
/* Splits the URL of a fill. */
struct url_parts {
    char host[256];
    uint16_t port;
    const char *path;
    size_t path_len;
};
void url_split(const char *url, size_t len, struct url_parts *out);

/* --- passing -------------------------------------------------------------- */

struct block {
    struct hold hold;   /* R's while lent */
    struct post post;   /* PASS by O, BLOCK by R */
    struct proxy *host; /* R's proxy while lent: who sends it back */
    struct block *next; /* free list, the request's queue */
    struct fill *fill;
    uint32_t fill_gen;
    uint16_t owner; /* O */
    bool head;      /* holds a struct pass_head and field lines */
    uint32_t len;
    uint8_t data[PROXY_BLOCK_BYTES + 512];
};
struct pass_head {
    uint32_t status;
    uint32_t spent_us[SOURCE_KINDS]; /* as in a request */
    int64_t length;                  /* -1: unknown */
};

/* R: fetch for itself; all of it, or what is missing of a response that has begun. */
void pass_start(struct proxy *p, struct request *r, struct now now);
/* R: the rest of the object of r->grip, from r->offset on, instead of from there. False: it can't
 * be asked for by parts. Else the response goes on by itself, or is reset.
 */
bool pass_resume(struct proxy *p, struct request *r, struct now now);
/* R: what pass_start needs if the response has to go on without this object. False: it can't. */
bool pass_keep(struct request *r, const struct cache_object *o);
bool pass_head_begin(struct fill *f, const struct http_head *h, struct now now);
size_t pass_body(struct fill *f, const uint8_t *data, size_t len);
void pass_flush(struct fill *f);
void pass_end(struct fill *f, bool whole);
void pass_credit(struct proxy *p, struct block *b);
void pass_received(struct proxy *p, struct request *r, const struct message *m, struct now now);
void pass_ended(struct proxy *p, struct request *r, bool whole, struct now now);
void pass_writable(struct proxy *p, struct request *r, struct now now);
void pass_stop(struct proxy *p, struct request *r);
void pass_drop_blocks(struct proxy *p, struct request *r);
void pass_note(struct proxy *p, struct hash128 hash, struct now now);
bool pass_known(const struct proxy *p, struct hash128 hash, struct now now);
/* A URL of which something is known for a while; a place of a direct-mapped table. */
struct known {
    struct hash128 hash;
    uint64_t until_us;
};
void known_note(struct known *k, struct hash128 hash, uint64_t until_us);
bool known_is(const struct known *k, struct hash128 hash, struct now now);

/* --- heads (head.c) ------------------------------------------------------- */

/* Is this field of a response between two hops only (RFC 9110 7.6.1), made anew, or a cookie? */
bool field_dropped(const struct http_head *h, const struct http_field *f, bool cookies);
struct head_writer;
void head_field_write(struct head_writer *w, const struct http_field *f);

/* The field lines that are stored of a response: those that name tags first (cache.h), which
 * clients don't get; without hop-by-hop fields (RFC 9110 7.6.1) and those made anew; Date added if
 * there was none. 0: does not fit. */
size_t head_store(const struct http_head *h, bool cookies, struct now now, char *out, size_t room);
/* Stored lines with the fields of a 304 put in their place (RFC 9111 3.2), those that name tags
 * first. 0: does not fit. */
size_t head_merge(const char *old, size_t old_len, const char *fresh, size_t fresh_len, char *out,
                  size_t room);
/* The value of a field in stored lines; len 0: not there. */
struct http_text head_field(const char *head, size_t len, const char *name);
/* Next stored line from *at; false at the end. */
bool head_line(const char *head, size_t len, size_t *at, struct http_text *name,
               struct http_text *line);
/* What says that two responses are the same representation: strong ETag, else Last-Modified; 0 when
 * neither is there. And the version: this with the length. */
uint64_t head_validators(struct http_text etag, struct http_text modified);
uint64_t head_version(uint64_t validators, int64_t length);
bool text_equals(struct http_text t, const char *name); /* ASCII, any case */

/* --- responses (respond.c) ------------------------------------------------ */

/* Appends to a head; `bad` when it did not fit. */
struct head_writer {
    char *p;
    size_t len, room;
    bool bad;
};
static inline void head_write(struct head_writer *w, const char *data, size_t len)
{
    if (w->bad || w->room - w->len < len) {
        w->bad = true;
        return;
    }
    memcpy(w->p + w->len, data, len);
    w->len += len;
}
static inline void head_text(struct head_writer *w, const char *text)
{
    head_write(w, text, strlen(text));
}
void head_printf(struct head_writer *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A small answer made here; ends the request's client part. Behind a head: a reset, as
 * respond_break. */
void respond_status(struct proxy *p, struct request *r, unsigned status, const char *text,
                    struct now now);
/* The response can't be completed: never a truncated body that looks whole. */
void respond_break(struct proxy *p, struct request *r);
/* The same before there is a request. `lines`: further ones of the head. */
void respond_conn(struct proxy *p, struct http_conn *c, bool head_only, bool open, unsigned status,
                  const char *text, const char *lines, struct now now);
/* Bytes of such an answer's body. */
static inline uint64_t respond_bytes(const char *text, bool head_only)
{
    return head_only ? 0 : strlen(text) + 1;
}
/* The head for the object of r->grip; decides the range. False: no room now. */
bool respond_object_head(struct proxy *p, struct request *r, const struct cache_object *o,
                         struct now now);
bool respond_pass_head(struct proxy *p, struct request *r, const struct pass_head *ph,
                       const char *lines, size_t len, struct now now);

/* --- several ranges at once (multipart.c) --------------------------------- */

/* Begins with the first of r->multipart.span, of a whole of that type and length. Returns the
 * length of the body. */
int64_t multipart_begin(struct proxy *p, struct request *r, unsigned parts, struct http_text type,
                        int64_t total);
void multipart_write_type(const struct request *r, struct head_writer *w);
/* Goes on to the next part when one is out, and sends what stands before it. False: no room now.
 * Else the bytes of a part are next, or there is no more. */
bool multipart_next(struct request *r);

/* --- transfers (transfer.c) ----------------------------------------------- */

void transfer_start(struct proxy *p, struct request *r, const struct cache_object *o,
                    struct now now);
void transfer_run(struct proxy *p, struct request *r, struct now now);
/* Takes a grip of what is to be sent. False: the response has ended. */
bool transfer_take(struct proxy *p, struct request *r, const struct cache_object *o,
                   struct now now);
/* Ends the response in order, and counts it. */
void transfer_end(struct proxy *p, struct request *r, struct now now);

/* --- want.c --------------------------------------------------------------- */

/* `seen`: what the cache had, too old; NULL: nothing. */
void want_send(struct proxy *p, struct request *r, const struct cache_object *seen, struct now now);
/* `seen` goes out stale: O has it revalidated, once for all who say so (RFC 5861 3). Before the
 * transfer: until O has answered, the request is not given back. */
/* Once a second for a URL at most: an origin that fails at once is not asked at each hit. */
void want_behind(struct proxy *p, struct request *r, const struct cache_object *seen,
                 struct now now);
/* The slice of the request's key, which was not there, will be wanted soon. */
void want_ahead(struct proxy *p, struct request *r);
/* O's answer to a request; after it the request is R's again. */
void want_answer(struct proxy *p, struct request *r, uint16_t type, uint32_t tag,
                 struct proxy_note note);
void want_deliver(struct proxy *p, const struct message *m, struct now now);

/* --- references of complete objects (refs.c) ------------------------------ */

struct reference {
    struct reference *next; /* chain, free list */
    const struct cache_object *object;
    struct dht_id key;
    struct alarm alarm;
};
void refs_add(struct proxy *p, const struct cache_object *o, const struct dht_id *key,
              struct now now);
/* The same, not before `at_us`. */
void refs_add_later(struct proxy *p, const struct cache_object *o, const struct dht_id *key,
                    uint64_t at_us);
/* The object goes, or was replaced; `withdraw` takes the reference out of the index. */
void refs_forget(struct proxy *p, const struct cache_object *o, bool withdraw);
void refs_renew(struct proxy *p, struct reference *ref, struct now now);

/* --- what is known of origins (backend.c) --------------------------------- */

struct backend {
    struct backend *next; /* chain of the table */
    uint64_t tag;
    uint8_t state;            /* enum proxy_breaker, */
    uint64_t since_us;        /* since when */
    bool answers;             /* OPEN: it was opened by answers */
    const struct fill *probe; /* HALF_OPEN: who is to find out */
    uint8_t failures;         /* CLOSED: in a row */
    uint32_t in_flight;       /* fills that have it in hand, */
    uint32_t limit;           /* at most; 0: any number */
    uint32_t waiting;         /* those that wait for that, the first one first */
    struct fill *wait_first, **wait_tail;
    uint64_t until_us; /* OPEN: then one may try */
    uint64_t open_us;  /* for how long it was opened last, jitter aside; 0: it has answered since */
};
enum backend_admission {
    BACKEND_ADMITTED,
    BACKEND_REFUSED,
    BACKEND_UNWILLING, /* refused, but better than none */
    BACKEND_QUEUED,    /* find_origin comes when it is admitted, or to be judged anew */
    BACKEND_FULL,      /* too many wait */
};
enum backend_failure {
    BACKEND_NO_CONNECTION, /* to any of its addresses */
    BACKEND_NO_ANSWER,     /* in time, or none that is HTTP */
    BACKEND_BAD_ANSWER,    /* it, or what is behind it, is overloaded or gone */
};
/* What an origin is known by, here and in the HTTP client; never 0. */
uint64_t backend_tag(const struct proxy *p, const char *host, uint16_t port);
/* May the fill ask f->origin_name, f->port? If so it has it in hand until backend_release, as one
 * of `limit`. */
enum backend_admission backend_admit(struct fill *f, uint32_t limit, struct now now);
void backend_release(struct fill *f);
/* What became of it, of one in hand; none of them where that says nothing about the origin. */
void backend_ok(struct fill *f, struct now now);
void backend_failed(struct fill *f, enum backend_failure why, struct now now);
/* It is known to be good again: if its breaker is open, the next fill goes to find out. */
void backend_recovered(struct proxy *p, const char *host, uint16_t port);
void backend_show(const struct proxy *p, struct proxy_origin_info *out, struct now now);

/* --- probes of origins' health (health.c) --------------------------------- */

struct health {
    struct alarm alarm; /* until the next probe, or the end of this one */
    struct proxy *proxy;
    uint32_t site;
    uint8_t origin;
    uint8_t streak; /* results in a row that are not as `down` has it */
    bool down, good, resolving;
    struct http_exchange *x;
    uint64_t ticket;
};
/* Bits: the site's origins that are down, and those that are not to be asked: never all. */
unsigned health_bits(struct proxy *p, const struct proxy_site *site, struct now now);
unsigned health_down(struct proxy *p, const struct proxy_site *site, struct now now);
void health_told(struct proxy *p, const struct message *m, struct now now);
void health_timer(struct health *h, struct now now);
/* The policy has changed. */
void health_view(struct proxy *p);

/* --- how often an origin is asked once more (retry.c) --------------------- */

struct retries {
    uint64_t window;             /* number of the one that [0] is of */
    uint32_t first[2], again[2]; /* of it, and of the one before */
};
/* May the fill send a request to an origin of this URL's host? Counts it if so. */
bool retry_allowed(struct fill *f, const char *host, struct now now);

/* --- policy, deny list ---------------------------------------------------- */

/* What a request's host means. status 0: served. */
struct policy_route {
    unsigned status;
    const char *why;
    char host[256]; /* of the URL */
    uint16_t port;
    const struct proxy_site *site; /* NULL: open mode */
};
void policy_host(const struct proxy_policy *policy, struct http_text authority,
                 struct policy_route *out);
/* The same of a host that http_authority has written; "": of none. */
void policy_name(const struct proxy_policy *policy, const char *host, struct policy_route *out);
/* The site of a fill's host and port; NULL: open mode. `served` false: policy changed. */
const struct proxy_site *policy_site(const struct proxy_policy *policy, const char *host,
                                     uint16_t port, bool *served);

bool deny_scratch(void **scratch, void *deny);
void deny_scratch_free(void *scratch);
bool deny_match(void *deny, void *scratch, const char *url, size_t len);

/* --- the operator's rules (obey.c) ---------------------------------------- */

/* Of a client's request whose URL stands: the status of an answer, with its sentence and, in
 * p->answer_lines, its fields; 0: it goes on, maybe to another URL. */
unsigned obey_rules(struct proxy *p, struct request *r, const struct policy_route *route,
                    const char **why);
/* Its head without cookies, in `copy`, where the rules want that. */
const struct http_head *obey_bare(const struct request *r, const struct http_head *h,
                                  struct http_head *copy);
/* Edits the field lines that have been written from `from` on: of a request to an origin, */
void obey_origin(const struct fill *f, struct head_writer *w, size_t from);
/* and, where there are rules, of a response to a client. */
void obey_response(struct proxy *p, struct request *r, struct head_writer *w, size_t from);
/* What a fill's response is judged by: how long it is fresh, whether cookies count. */
void obey_store(struct fill *f, struct cache_response *response, struct cache_lifetimes *lifetimes);
bool obey_strips_cookies(const struct fill *f);
/* A head that is to be stored gets its tags; its new length, 0: no room. */
size_t obey_tags(const struct fill *f, char *head, size_t len, size_t room);

/* --- the whole ------------------------------------------------------------ */

/* Unlinks what stands under a key (its owner only), withdraws its reference, and lets nobody who
 * comes later have what a fill for it brings. True if there was any of it. */
bool proxy_drop(struct proxy *p, struct hash128 hash, const char *url, size_t len, struct now now);

struct proxy {
    struct proxy_config config;
    struct proxy_parts parts;
    struct cache *cache;
    const struct proxy_policy *policy;
    const struct dht_routes *routes;
    void *scratch;
    struct now now;  /* of the last call, for callbacks that bring none */
    unsigned access; /* enum access_want */
    struct rng rng;
    struct hash_secret secret;
    struct wheel wheel;
    char via[PROXY_VIA]; /* the line of each response */
    size_t via_len;
    char pseudonym[24];                   /* loop.c */
    struct rules_meter *meter;            /* who asks how often, where rules say how often */
    char answer_lines[HTTP_URL_MAX + 32]; /* fields of the refusal that rules ask for, or "" */
    struct proxy_counters counters;
    struct hist latency;

    /* pools of large entries give out what was used before, so that what was never needed costs
     * no memory */
    uint32_t requests_used, fills_used;
    struct request *requests, *request_free;
    struct request *burst, **burst_tail;

    uint32_t grips, grip_mask;
    struct grip *grip_pool, *grip_free, **grip_table;
    struct grip *linger, **linger_tail; /* of no use now, the longest first */
    uint32_t lingering;

    struct http_server *server; /* whose connections are looked at; NULL: nobody's */
    uint32_t letting_go;        /* grips */
    uint32_t resumed;     /* requests that go on without their object, or did, and are O's yet */
    uint32_t look_at;     /* the connection that is looked at next */
    uint64_t look_us;     /* when the next round begins, or 0: one runs */
    uint32_t ask_workers; /* those that are yet to be asked, a bit each, */
    const struct cache_object *ask_object; /* for this one */

    uint32_t fill_mask;
    struct fill *fill_pool, *fill_free, **fill_table, *fill_busy;
    struct fill *agenda;

    struct block *block_pool, *block_free;
    uint32_t blocks_free;
    uint32_t starved; /* fills that wait for blocks */
    struct retries retries[PROXY_RETRIES];
    struct known down_known[PROXY_DOWN_KNOWN];
    struct health health[PROXY_HEALTHS];
    uint32_t healths;
    uint32_t backends, backend_mask, backend_hand;
    struct backend *backend_pool, **backend_table;

    struct coder *coder_free;
    unsigned coders; /* made */
    struct gunzip *gunzip_free, *gunzip_made, *gunzip_due;
    unsigned gunzips; /* made */

    struct reference *ref_pool, *ref_free, **ref_table;
    struct forget *forget_pool, *forget_free;

    struct cache_object *restoring; /* begun by proxy_restore, pinned, not linked */
    bool restore_over;              /* something was purged: nothing more is restored here */
    uint64_t restore_put_us;        /* when the last restored object's reference is put */

    struct known pass_known[PROXY_PASS_KNOWN];
    struct known behind_known[PROXY_BEHIND_KNOWN];
    struct known dropped_known[PROXY_DROPPED_KNOWN];
    struct known trouble_known[PROXY_TROUBLE_KNOWN];
    uint32_t uploads; /* requests for the origin alone, and those of slice_seek */

    struct post_queue out[PROXY_WORKERS];
    uint32_t posts; /* kept in `out` */
};

static inline void alarm_set(struct proxy *p, struct alarm *a, uint64_t due_us)
{
    wheel_arm(&p->wheel, &a->timer, due_us);
}
static inline void alarm_stop(struct proxy *p, struct alarm *a)
{
    wheel_stop(&p->wheel, &a->timer);
}

/* Was this URL's object taken away here a while ago? `chain`: hash.lo of the URL. */
static inline bool proxy_dropped(const struct proxy *p, uint64_t chain, struct now now)
{
    return known_is(&p->dropped_known[chain % PROXY_DROPPED_KNOWN], (struct hash128){.lo = chain},
                    now);
}

#define PROXY_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
