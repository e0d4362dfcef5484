/* SPDX-License-Identifier: BSD-3-Clause */
/* A fetch's side of the proxy: O's, the worker that owns the key's shard (proxy_internal.h). */
#ifndef CORAL_PROXY_FILL_H
#define CORAL_PROXY_FILL_H

#include "dataplane/proxy/request.h"

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
    bool authorized;     /* with credentials: nobody else's before it is known that it may be */
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
    uint64_t queue_until_us; /* to origins in turn, however many it waits for */
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

/* Under which it is known that its answer is not to be stored. */
static inline struct hash128 fill_known(const struct fill *f)
{
    return (struct hash128){f->hash.lo ^ f->authorized, f->hash.hi};
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
 * replace it, nor a Vary without Accept-Encoding one that names it. Its length; 0: no room. */
size_t coder_confirmed(const char *old, size_t old_len, char *fresh, size_t len, size_t room);
/* The coding of a stored response; several are CODING_OTHER. */
enum coding coding_of(const char *head, size_t len);
/* May gzip be undone in what has this stored head? That is so where it would be done. */
bool coder_undoes(const struct proxy *p, struct http_text url, const char *head, size_t len);
/* The head to be sent then: of another representation (RFC 9110 8.8.3.3), of which there are no
 * ranges. 0: it does not fit. */
size_t coder_head_undone(const char *head, size_t len, char *out, size_t room);

/* --- the table, waiters, ends (fill.c) ------------------------------------ */

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
/* request_is_secret, of a request that is kept, and of one with Authorization request_is_own; in
 * open mode no such field goes anywhere. */
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
/* R: the key of a sliced request is that slice's from now on. False: too long. */
bool slice_aim(struct proxy *p, struct request *r, uint64_t number);
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
/* Whether all slices of these spans are here, fresh and whole, but the one in hand, which is not
 * looked at; of more than SLICE_LOOKS others that is not known. */
#define SLICE_LOOKS 64u
enum slice_there { SLICES_ALL, SLICES_SOME, SLICES_UNKNOWN };
enum slice_there slice_look(struct proxy *p, struct request *r, const struct http_span *span,
                            unsigned n, struct now now);

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
/* A claim that still runs shows us to others, and is waited for no longer. */
void index_let_go(struct fill *f, struct now now);
void index_timer(struct fill *f, struct now now);
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
/* What an exchange with one that has failed says of it. */
enum access_reason origin_reason(const struct http_exchange *x, enum http_failure why);
/* Waits on for its turn at the origin in hand. */
void origin_queue(struct fill *f, struct now now);
/* Have all gone who waited for it? For what is fetched ahead of them, or behind, nobody has. */
bool origin_deserted(const struct fill *f);
/* The final head has come from it. */
void origin_answered(struct fill *f, struct http_exchange *x, const struct http_head *h,
                     struct now now);
/* No more addresses came: if those of one family had all failed, that was all of them. */
void origin_lost(struct fill *f, struct now now);
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
/* O: an interim response's head for a request that waits at another worker; not, where there is no
 * block. R: it has come. */
void pass_interim(struct fill *f, struct request *r, const char *head, size_t len);
void pass_interim_received(struct proxy *p, struct request *r, struct block *b);
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

#endif
