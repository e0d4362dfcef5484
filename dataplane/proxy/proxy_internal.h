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
#include "cache/freshness.h"
#include "dataplane/proxy/fill.h"
#include "dataplane/proxy/limits.h"
#include "dataplane/proxy/note.h"
#include "dataplane/proxy/origins.h"
#include "dataplane/proxy/request.h"
#include "dataplane/proxy/shed.h"
#include "version.h"

/* --- heads (head.c) ------------------------------------------------------- */

/* Is this field between two hops only (RFC 9110 7.6.1), or about how the body is framed there? */
bool field_is_hops(const struct http_head *h, const struct http_field *f);
/* Or, of a response, made anew, or a cookie? */
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
/* What a Range of the rest may be asked for by (RFC 9110 13.1.5): an ETag that is strong, or where
 * there is none a Last-Modified that is earlier than Date (8.8.2.2), or nothing. */
struct http_text head_strong(struct http_text etag, struct http_text modified,
                             struct http_text date);
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
enum respond_end {
    RESPOND_SENT,
    RESPOND_NO_ROOM,   /* now: again at writable */
    RESPOND_TOO_LARGE, /* nothing is out yet */
};
#define RESPOND_TOO_LARGE_WHY "the response's head is too large"
/* Writes the head for `o`, and decides the range; the status, and in *body the length of what
 * follows (-1: not known, -2: none by its status). */
unsigned respond_write(struct proxy *p, struct request *r, const struct cache_object *o,
                       struct now now, struct head_writer *w, int64_t *body);
/* Sends that of r->grip's object. */
enum respond_end respond_object_head(struct proxy *p, struct request *r,
                                     const struct cache_object *o, struct now now);
enum respond_end respond_pass_head(struct proxy *p, struct request *r, const struct pass_head *ph,
                                   const char *lines, size_t len, struct now now);

/* --- policy, deny list ---------------------------------------------------- */

/* What a request's host means. status 0: served. */
struct policy_route {
    unsigned status;
    const char *why;
    char host[256]; /* of the URL */
    uint16_t host_len;
    uint16_t port;
    const struct proxy_site *site; /* NULL: open mode */
};
/* One that was found, since most requests are for a few hosts: by the text that asked for it. */
#define ROUTE_TEXT 58
struct route_memo {
    const struct proxy_site *site;
    uint16_t port;
    uint8_t asked_len, host_len; /* asked_len 0: none */
    char asked[ROUTE_TEXT], host[ROUTE_TEXT];
};
static_assert(sizeof(struct route_memo) == 128, "two lines");
void policy_host(const struct proxy_policy *policy, struct http_text authority,
                 struct policy_route *out);
/* The same of a host that http_authority has written; "": of none. */
void policy_name(const struct proxy_policy *policy, const char *host, struct policy_route *out);
/* The same of a request's head, remembered until the policy changes. */
void policy_recall(struct proxy *p, const struct http_head *h, struct policy_route *out);
/* The site of a fill's host and port; NULL: open mode. `served` false: policy changed. */
const struct proxy_site *policy_site(const struct proxy_policy *policy, const char *host,
                                     uint16_t port, bool *served);

bool deny_scratch(void **scratch, void *deny);
void deny_scratch_free(void *scratch);
bool deny_match(void *deny, void *scratch, const char *url, size_t len);

/* --- the operator's rules (obey.c) ---------------------------------------- */

/* Of a client's request whose URL stands: the status of an answer, with its sentence and, in
 * p->answer_lines, its fields; 0: it goes on, maybe to another URL. */
unsigned obey_rules(struct proxy *p, struct request *r, const struct http_head *h,
                    const struct policy_route *route, const char **why);
/* Its head without cookies, in `copy`, where the rules want that. */
const struct http_head *obey_bare(const struct request *r, const struct http_head *h,
                                  struct http_head *copy);
/* Edits the field lines that have been written from `from` on: of a request to an origin
 * for that URL, */
void obey_origin(struct proxy *p, const char *url, size_t len, struct head_writer *w, size_t from);
/* and, where there are rules, of a response to a client. */
void obey_response(struct proxy *p, struct request *r, struct head_writer *w, size_t from);
/* Of an interim response to a fill. */
void obey_interim(const struct fill *f, struct head_writer *w, size_t from);
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
    const struct proxy_site *sites; /* its, */
    uint64_t configuration;         /* and its number */
    uint64_t views;                 /* policies that there have been: what was found by another
                                       one is known by it */
    struct route_memo route[PROXY_ROUTES];
    const struct dht_routes *routes;
    void *scratch;
    struct now now;  /* of the last call, for callbacks that bring none */
    unsigned access; /* enum access_want */
    struct rng rng;
    struct hash_secret secret;
    struct wheel wheel;
    char via[PROXY_VIA]; /* the line of each response */
    size_t via_len;
    char pseudonym[24]; /* loop.c */
    struct shed shed;
    struct rules_meter *meter;            /* who asks how often, where rules say how often */
    const struct proxy_shares *shares;    /* of the view: who is over its share */
    struct share_meter *usage;            /* share.c */
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
    struct lingering {
        struct grip *first, **tail;
        uint32_t n;
    } lingering[2]; /* of no use now, the longest first: others, and `hot` ones */

    uint32_t plains, plain_used;
    struct plain_head *plain_pool, *plain_free;

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
    unsigned coders;                                                     /* made */
    struct gunzip *gunzip_free, *gunzip_made, *gunzip_due, *gunzip_last; /* due: a queue */
    uint32_t gunzip_input; /* bytes that may go into them until the next poll */
    unsigned gunzips;      /* made */

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

/* Has this worker so much to do that it refuses a request of that class? Then that is counted. */
bool proxy_sheds(struct proxy *p, enum shed_class which, bool peer);
/* R: the same of a request that is not answered yet; then it is. */
bool request_shed(struct proxy *p, struct request *r, enum shed_class which, struct now now);

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
