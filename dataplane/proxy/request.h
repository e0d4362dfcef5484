/* SPDX-License-Identifier: BSD-3-Clause */
/* A client's side of the proxy: R's, the worker that has the client (proxy_internal.h). */
#ifndef CORAL_PROXY_REQUEST_H
#define CORAL_PROXY_REQUEST_H

#include "cache/vary.h"
#include "dataplane/proxy/loop.h"
#include "dataplane/proxy/note.h"
#include "dataplane/proxy/peer.h"

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
    FORWARD_NONE, /* it is one, for all that is known */
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
    bool left;  /* its answer is nobody's any more: request_left */

    /* immutable from the handler on */
    bool head_only;              /* HEAD */
    bool peer;                   /* an authenticated node of ours */
    bool authorized, has_cookie; /* Authorization, Cookie, at a site */
    bool head_raw; /* head[] is as it came; else the lines of it that may go to an origin */
    bool open;     /* by the open mode's rules */
    bool old;      /* HTTP/1.0 */
    bool looped;   /* a client's, with CDN-Loop */
    bool trusted;  /* through a proxy that the site trusts */
    bool metered;  /* its site's use is counted (share.c) */
    uint8_t tells; /* enum proxy_tells */
    bool simple;   /* asks for an object and nothing else, and nothing is to be told of it */
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
    bool plain;     /* its head is one that others have, too */
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
        uint32_t spent_us[SOURCE_KINDS];  /* by its fill, of READY, FAILED; 0: it has joined it */
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
/* Under which it is known that its answer is not to be stored. */
static inline struct hash128 request_known(const struct request *r)
{
    return (struct hash128){r->hash.lo ^ r->authorized, r->hash.hi};
}
/* What is stored, if who has credentials may have it (RFC 9111 3.5). Not an error: it may be for
 * want of them. Nor a slice, which would have him fetch the next one in the middle. */
static inline const struct cache_object *request_may_have(const struct request *r,
                                                          const struct cache_object *o)
{
    const struct cache_meta *m = o && r->authorized ? cache_meta(o) : NULL;
    return m && (!m->for_authorized || m->status == 206 || m->status >= 400) ? NULL : o;
}
/* R says once that its client has gone, or was answered; O reads it while the request is its own,
 * so that its memory is still this request's. Nothing else hangs on it: who reads it a little too
 * early asks an origin in vain. */
static inline void request_leave(struct request *r)
{
    __atomic_store_n(&r->left, true, __ATOMIC_RELAXED);
}
static inline bool request_left(const struct request *r)
{
    return __atomic_load_n(&r->left, __ATOMIC_RELAXED);
}
static inline uint64_t request_wait_us(const struct request *r)
{
    return r->wait_ms * 1000ull > PROXY_WAIT_US ? r->wait_ms * 1000ull : PROXY_WAIT_US;
}
static inline uint64_t request_stall_us(const struct request *r)
{
    return r->stall_ms * 1000ull > PROXY_STALL_US ? r->stall_ms * 1000ull : PROXY_STALL_US;
}
/* Fills it from its head (take.c); the status of a refusal with its sentence and r->reason, 0 when
 * it is served. */
unsigned request_take(struct proxy *p, struct request *r, const struct http_head *h,
                      const char **why);
/* The same, of its URL alone by the deny list. */
unsigned request_denied(struct proxy *p, struct request *r, const char **why);
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
/* Has it something that looks like a credential, beside Authorization? */
bool request_is_secret(const struct http_head *h);
/* Has it, beside Authorization, what goes to an origin and must not choose what others get? */
bool request_is_own(const struct request *r, const struct http_head *h);
/* Looks the request up again. Returns what is to be sent now; NULL: it has been acted upon. */
const struct cache_object *request_look(struct proxy *p, struct request *r, struct now now);
/* The same, and sends. */
void request_again(struct proxy *p, struct request *r, struct now now);

/* --- what sites use (share.c) ---------------------------------------------- */

/* False: no memory. */
bool share_init(struct proxy *p);
void share_free(struct proxy *p);
/* Of a client's request whose URL stands: the status of an answer, with its sentence and, in
 * p->answer_lines, its fields, since its site is over its share; 0: it goes on. */
unsigned share_refuse(struct proxy *p, struct request *r, const struct http_head *h,
                      const struct proxy_site *site, const char **why);
/* Of one that is `metered`: it is over. */
void share_count(struct proxy *p, const struct request *r);
/* Tells what was used, when it is time; and when that is. */
void share_poll(struct proxy *p, struct now now);
uint64_t share_deadline_us(const struct proxy *p);
/* X-Coral-Control: redirect-home. Of an origin's response: what is stored or passed on in its
 * place, without its body, in `copy` and `text`; NULL: it says no such thing. */
const struct http_head *share_home(struct fill *f, const struct http_head *h,
                                   struct http_head *copy, char *text, size_t room);

/* --- the access log (access.c) -------------------------------------------- */

/* Begins a record with what a head says; NULL: of none that could be read. `id`: or "". */
void access_begin(const struct proxy *p, struct access_record *a, const struct http_conn *c,
                  const struct http_head *h, const char *id, uint64_t start_us);
/* Of one that is `logged`: its head has been queued; */
void access_head(const struct proxy *p, struct request *r);
/* its fill has waited for this, by enum source_kind. */
void access_waited(struct request *r, const uint32_t *spent_us);
/* Of one that is `logged`: what became of it; gives the record away. */
void access_end(struct proxy *p, struct request *r);
/* A whole record at once, if one is wanted, of what never was a request. */
void access_refused(struct proxy *p, const struct http_conn *c, const struct http_head *h,
                    const char *id, uint64_t start_us, bool peer, unsigned status,
                    enum access_reason why, uint64_t bytes);
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
void upload_interim(struct fill *f, const struct http_head *h);

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
    bool hot;           /* there was a whole answer beside it */
    uint64_t idle_us;   /* when its last hold went */
    uint64_t let_go_us; /* when O wanted it back (let_go.c); 0: it did not */
    struct grip *linger_next, **linger_prev;
    struct plain_head *plain; /* of its object, one hold of which is ours; NULL: none */
    struct post post, answer;
};

struct grip *grip_take(struct proxy *p, const struct cache_object *o); /* NULL: none left */
void grip_drop(struct grip *g);
struct grip *grip_find(struct proxy *p, const struct cache_object *o);
/* It is of use without a hold of its own: if it lingers, it does from now on. */
void grip_again(struct grip *g);
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

/* --- heads that responses share (plain.c) --------------------------------- */

/* The response's head to whoever asks for an object and nothing else, as it is for a second: Age
 * and ttl count those. It is sent by reference. Of an object that is asked for again meanwhile a
 * small body follows it, and both are sent as one. */
struct plain_head {
    struct hold hold; /* counts the grip, and spans in send queues */
    struct proxy *proxy;
    struct plain_head *next; /* free list */
    int64_t wall_s;          /* the second */
    uint32_t len;            /* of the head, */
    uint16_t body;           /* and of the body behind it, */
    bool whole;              /* which is there */
    /* In lines of their own: who sends and receives them reads there, while we count above. */
    char bytes[PROXY_PLAIN_HEAD] __attribute__((aligned(64)));
};
static_assert(sizeof(struct plain_head) == 2048, "lines of it are shared with no other");

/* May this response, of r->grip's object, have such a one? */
bool plain_suits(const struct proxy *p, const struct request *r);
/* The one of now. NULL: none left, or it is too long. */
struct plain_head *plain_head(struct proxy *p, struct request *r, struct now now);
void plain_drop(struct grip *g);
/* Answers with `o`, which was found under the request's key, if the whole answer is there. Then the
 * request is over. */
bool plain_answer(struct proxy *p, struct request *r, const struct cache_object *o, struct now now);

/* --- objects to be let go of (let_go.c) ----------------------------------- */

/* O: asks every worker, R: has been asked; R: what is left of it. */
void let_go_ask(struct proxy *p, struct now now);
void let_go_asked(struct proxy *p, const struct cache_object *o, struct now now);
void let_go_poll(struct proxy *p, struct now now);
uint64_t let_go_deadline_us(const struct proxy *p);

/* --- what origins are told of clients, and clients of us (forward.c) --------- */

/* A request of a site that `tells` something. */
void forward_take(struct proxy *p, struct request *r, const struct http_head *h,
                  const struct proxy_site *site);
/* The ID of a request that is refused, if it names a site that gives IDs; else "". `r`: as far as
 * it was taken; NULL: not at all. */
void forward_refused(struct proxy *p, const struct request *r, const struct http_head *h,
                     char id[static PROXY_ID + 1]);
/* Who asks: of a peer that the site trusts, the last address in its field of those that it does not
 * trust; else the peer, or the farthest that is known. */
struct addr forward_client(const struct proxy_site *site, const struct http_head *h,
                           const struct addr *peer);
/* The same of a request: by what the site trusts, else the peer. */
struct addr forward_asks(const struct request *r, const struct http_head *h,
                         const struct proxy_site *site);
/* Will a line of this name be made for the request? Then its own is not sent. */
bool forward_replaces(const struct request *r, struct http_text field);
/* The lines of a new fill. */
void forward_begin(struct fill *f, const struct request *r);
/* Is there a line of this name among them? Then the client's own is not sent. */
bool forward_makes(const struct fill *f, struct http_text field);
/* After vary_said: who varies by what is made here has an answer for one request alone. */
void forward_said(struct fill *f);
/* An error, and it may be for what the client's CDN-Loop says (another network's answer to a loop,
 * whichever status it has), or for his address, or his credentials. For nobody else, or anybody
 * could have the others refused. */
bool forward_doubtful(const struct fill *f, unsigned status);
/* From now on the fill waits for this; SOURCE_NONE: it has its head. */
void forward_phase(struct fill *f, enum source_kind phase, struct now now);
/* What it has waited for until now, by enum source_kind. */
void forward_spent(const struct fill *f, uint32_t *spent_us);
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

/* --- gzip undone (gunzip.c) ----------------------------------------------- */

/* Does the request get this object without its coding? Then r->gunzip is for it, until gunzip_drop.
 * False: no, or there is no decoder left. */
bool gunzip_begin(struct proxy *p, struct request *r, const struct cache_object *o);
/* Would it be asked for? */
bool gunzip_wanted(const struct proxy *p, const struct request *r, const struct cache_object *o);
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
bool gunzip_put(struct proxy *p, struct request *r, struct cache_span span);
/* Does what has been decoded end where gzip may? */
bool gunzip_ended(const struct request *r);

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

#endif
