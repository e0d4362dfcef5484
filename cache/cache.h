/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache: 64 shards, one writer each, read by every worker without locks.
 *
 *        key --hash128--> shard = hi >> 58 --> bucket (a cache line of 7 slots {tag, offset})
 *                                                  |
 *                                                  v
 *              object {key, head, lengths, state, chunk map} --> chunks in slabs
 *
 * Who writes: only the worker that owns the shard (cache_owner) creates, fills, links, unlinks
 * and frees objects of it. Who reads: any worker, between two of its quiescent reports (rte_rcu_
 * qsbr): cache_find may return an object of any shard; to keep it longer the reader pins it.
 * What is published is immutable but for: `bytes_ready` and `state`, which the owner release-
 * stores and readers acquire-load; the pin counter; the use counter; the number of the newest purge
 * that it has been held to; the number of a primary's variants, at which no reader looks (orders:
 * cache/barriers.h). An unlinked object is freed when a grace period has passed since it was
 * unlinked (no new pins can start) and its pins are zero.
 *
 * Memory: one budget for all of it (cache/layout.c draws how it is divided), an equal share for
 * each worker. A region given at create holds equal chunks, and the tables: objects with the first
 * 64 bytes of their keys, index, ghosts, checksums. Heads, and what keys have beyond that, come
 * from the process heap, by the owner only, and are counted.
 */
#ifndef CORAL_CACHE_H
#define CORAL_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_rcu_qsbr.h>

#include "base/hash.h"
#include "base/now.h"
#include "cache/counters.h"

#define CACHE_SHARDS      64
#define CACHE_CHUNK_BYTES 4096u
#define CACHE_WORKERS     32
#define CACHE_KEY_MAX     4096 /* bytes of a key: the normalised URL */
#define CACHE_HEAD_MAX    16384

struct cache;
struct cache_object;

enum cache_state {
    CACHE_FILLING,  /* bytes_ready still grows */
    CACHE_COMPLETE, /* all bytes are there */
    CACHE_FAILED, /* the fill died, or a chunk is damaged: readers abort. No longer in the index */
};

/* What the rules need of a response, fixed at creation (cache/freshness.h: cache_verdict_keep).
 * Times in wall seconds. Ordered without holes: it is 32 of an object's 96 bytes before its key. */
struct cache_meta {
    union {
        uint64_t version;  /* hash of ETag, Last-Modified and length; 0: no validator */
        uint64_t variants; /* of a primary, how many are linked: the owner's alone */
    };
    uint32_t response_s;     /* when it was received; until the year 2106 */
    uint32_t content_length; /* by cache_length_code */
    uint32_t initial_age_s;  /* corrected_initial_age (RFC 9111 4.2.3) */
    uint32_t lifetime_s;     /* freshness_lifetime (4.2.1), after policy */
    /* how long after that it may serve, as cache_window_code writes it (RFC 5861) */
    uint16_t stale_revalidate; /* while it is revalidated */
    uint16_t stale_error;      /* when the origin fails */
    uint16_t status;
    bool must_revalidate : 1; /* never stale */
    bool no_cache : 1;        /* never without validation */
    bool immutable : 1;       /* RFC 8246 */
    bool has_validator : 1;   /* ETag, a weak one too, or Last-Modified */
    bool varies : 1;          /* a primary: names and nonce are its head (cache/vary.h) */
    bool for_authorized : 1;  /* also for requests with credentials (RFC 9111 3.5) */
    uint8_t lifetime_by : 4;  /* enum cache_lifetime_by */
    uint8_t control : 2;      /* enum cache_control_field */
};

#define CACHE_LENGTH_UNKNOWN UINT32_MAX /* until it is complete */
/* -1: unknown. One that is too long for any cache stays so. */
static inline uint32_t cache_length_code(int64_t bytes)
{
    if (bytes < 0)
        return CACHE_LENGTH_UNKNOWN;
    return bytes < CACHE_LENGTH_UNKNOWN ? (uint32_t)bytes : CACHE_LENGTH_UNKNOWN - 1;
}

struct cache_config {
    void *memory; /* cache_region() bytes, 2 MiB aligned, kept by the caller */
    size_t
        bytes; /* the budget: at most so much memory is taken, and when it is full not 2 % less */
    uint32_t objects; /* upper bound of objects: some 700 bytes of the budget each, with heads */
    unsigned workers;
    struct rte_rcu_qsbr *qsbr; /* the workers are its threads 0..workers-1 */
    uint8_t seed[32];
};

/* The region that cache_create wants for the budget, objects and workers of `config`, of which
 * nothing else is read. 0: it is not possible (a worker's share must hold 64 chunks). */
size_t cache_region(const struct cache_config *config);
/* The other way round: the budget of a cache of so many chunks and objects. */
size_t cache_budget(uint64_t chunks, uint32_t objects, unsigned workers);

/* NULL: not possible, or no memory. Called once, before workers run. */
struct cache *cache_create(const struct cache_config *config);
void cache_destroy(struct cache *c);

/* Of a variant's key (cache/vary.h), the shard is that of its URL. */
struct hash128 cache_hash(const struct cache *c, const void *key, size_t len);
unsigned cache_shard(struct hash128 h);
unsigned cache_owner(const struct cache *c, struct hash128 h);

/* --- purging (purge.h has the protocol) ---------------------------------------------------- */

#define CACHE_TAGS_MAX     64  /* of an object; one with more is taken by the purge of any tag */
#define CACHE_TAG_MAX      128 /* bytes of one; so is one that has a longer one */
#define CACHE_SEGMENTS_MAX 16  /* slashes in a prefix, from that behind the host on */
#define CACHE_PURGE_RULES                                                                          \
    2048 /* purges being applied at a time; a walk over a million objects takes                    \
            a second or less */

enum cache_purge_kind {
    /* A URL as it stands in the cache, whole (with its query or without), or up to a '/' or '?':
     * what ends with '/' takes all that begins with it; another without a query also what goes on
     * with '/' or '?' behind it. "http://host/" is all of a host. */
    CACHE_PURGE_PREFIX,
    CACHE_PURGE_URL, /* one as it stands in the cache, whole, and its variants; of any depth */
    CACHE_PURGE_TAG, /* one of the words in the object's Surrogate-Key and Cache-Tag fields */
    CACHE_PURGE_ALL,
};
struct cache_purge {
    enum cache_purge_kind kind;
    bool soft; /* it gets stale; else it is never found again */
    const char *text;
    size_t len;
};
enum cache_purge_end {
    CACHE_PURGE_TAKEN,
    CACHE_PURGE_FULL,  /* so many are being applied already; nothing has changed, try again */
    CACHE_PURGE_WRONG, /* no such prefix or tag: too long, too deep, none at all */
};
/* Everything stored or being fetched now that it names is purged. What is being fetched is not
 * kept, be it soft. In force on all workers when cache_purge_in_force says so of *token. By one
 * thread at a time, the control thread; some hundred nanoseconds, however many objects there are.
 */
enum cache_purge_end cache_purge(struct cache *c, const struct cache_purge *what, uint64_t *token);
bool cache_purge_in_force(struct cache *c, uint64_t token);

/* The number of the newest purge. Who fetches takes it when it begins, and gives it to what comes.
 */
uint32_t cache_purge_clock(const struct cache *c);
enum cache_purge_verdict { CACHE_PURGE_NOT, CACHE_PURGE_SOFT, CACHE_PURGE_HARD };
/* Has what is under that key been purged since `born`? `o` has its tags; NULL: they are not known
 * yet, and purges of tags are another question: has there been any? Any worker. */
enum cache_purge_verdict cache_purged_since(const struct cache *c, const void *key, size_t key_len,
                                            const struct cache_object *o, uint32_t born);
bool cache_tags_purged_since(const struct cache *c, uint32_t born);
/* Does any purge since its birth fit it? Out of the way of hits, which need no stack for it. */
__attribute__((cold)) bool cache_object_purged(const struct cache *c, const struct cache_object *o);

/* A field of a head that names tags: Surrogate-Key, Cache-Tag, and one of ours for those that the
 * operator gives. In stored heads they come first. */
#define CACHE_TAG_OURS "Coral-Tag"
bool cache_tag_field(const char *name, size_t len);
/* Bytes that they take at the begin of a stored head. */
size_t cache_tag_lines(const char *head, size_t len);
/* The tags that they name: the next one from *at on; words between spaces and commas. False: that
 * was the last one. */
bool cache_tag_next(const char *head, size_t len, size_t *at, const char **tag, size_t *tag_len);

/* --- readers, on any worker -------------------------------------------------------------- */

/* One lookup of a burst. Fill key, key_len; call the three stages over the whole array. */
struct cache_probe {
    const void *key;
    uint32_t key_len;
    struct hash128 hash;              /* by cache_prepare */
    const struct cache_object *found; /* by cache_act; NULL: not there */
    const void *bucket, *candidate;   /* the stages' own */
};
void cache_prepare(const struct cache *c, struct cache_probe *p, unsigned n); /* hash, prefetch */
void cache_touch(const struct cache *c, struct cache_probe *p, unsigned n);   /* prefetch object */
/* Compares the key. What has been purged and not yet seen by its owner is not found. */
void cache_act(const struct cache *c, struct cache_probe *p, unsigned n);

const struct cache_meta *cache_meta(const struct cache_object *o);
/* The stored head: header lines, each ended by CRLF, without the status line, the fields that are
 * made anew (Age, Connection, Content-Length, Transfer-Encoding, Date kept) and the final empty
 * line. */
const char *cache_head(const struct cache_object *o, size_t *len);
enum cache_state cache_state(const struct cache_object *o);
uint64_t cache_ready(const struct cache_object *o); /* bytes that may be read, acquire */
int64_t cache_length(const struct cache_object *o); /* the whole, -1: not known yet */
uint64_t cache_version(const struct cache_object *o);

/* The bytes at `offset`: a span inside one chunk, at most up to bytes_ready. 0 length: none. */
struct cache_span {
    const uint8_t *data;
    uint32_t len;
};
struct cache_span cache_bytes(const struct cache_object *o, uint64_t offset);
/* As cache_bytes, for a peer: only whole chunks (or the tail of a complete object), each verified
 * against its CRC32C (ISA-L) first. `damaged` is set when one is wrong: the object must not
 * be served, tell its owner to drop it. */
struct cache_span cache_bytes_verified(const struct cache_object *o, uint64_t offset,
                                       bool *damaged);

/* Keeps `o` beyond this poll. `worker` is the caller; pins are counted by worker. The owner may
 * pin for another worker before it posts the pointer; that one unpins. */
void cache_pin(const struct cache_object *o, unsigned worker);
void cache_unpin(const struct cache_object *o, unsigned worker);
/* Does the index hold this very object, pinned by the caller? On any worker. */
bool cache_linked(const struct cache *c, const struct cache_object *o);
/* Age (RFC 9111 4.2.3), freshness now, and whether it may serve when the origin fails. What a
 * request's own directives make of it: cache_reuse (cache/freshness.h). */
uint32_t cache_age(const struct cache_object *o, struct now now);
bool cache_fresh(const struct cache_object *o, struct now now);
bool cache_usable_stale(const struct cache_object *o, struct now now);

/* --- owner only ---------------------------------------------------------------------------- */

/* Bodies longer than this are not stored (half of what a worker's share holds). */
uint64_t cache_object_limit(const struct cache *c);
/* A new object in state FILLING, not linked, pinned once by the owner. NULL: no memory though
 * eviction tried (what it evicted comes free some polls later), too much of it promised to others
 * that fill, or the key, head or
 * content_length is over its limit. `key` is the one that `hash` was made of. */
struct cache_object *cache_begin(struct cache *c, struct hash128 hash, const void *key,
                                 size_t key_len, const struct cache_meta *meta, const char *head,
                                 size_t head_len, struct now now);
/* Appends; returns how many bytes were taken. Fewer: no memory now, try the rest at a later poll
 * (eviction has begun; nothing more is ever taken past cache_object_limit). Publishes bytes_ready.
 * More than content_length promised: the object fails, 0. */
size_t cache_append(struct cache *c, struct cache_object *o, const void *data, size_t len);
/* Where body bytes belong that lie `ahead` of the next one to be appended: memory for the first of
 * *len of them, which is set to how many. NULL: it is not known (content_length does not cover
 * them, or is not known), too far, or there is no memory to spare. No reader sees what is written
 * there; cache_append must be given the bytes too, in order, and where it is given them at their
 * very place it has nothing to copy. The place of a byte is the same until it is appended, while
 * the object is FILLING. */
uint8_t *cache_place(struct cache *c, struct cache_object *o, uint64_t ahead, size_t *len);
/* The end: all bytes are there. False: their number is not content_length, the object failed. */
bool cache_complete(struct cache *c, struct cache_object *o);
/* For one that has been completed and linked, when its length was not known before: such a body
 * fills whole chunks, since it may be read while it grows. One that takes less takes its place in
 * the index; who holds `o` goes on reading it, and its spare chunks go when they are done. Returns
 * the one that stands there, not pinned, be it `o`; NULL: it is linked no longer. */
const struct cache_object *cache_settle(struct cache *c, struct cache_object *o);
/* The fill died: FAILED, unlinked, freed when its pins are gone. Nothing to do unless FILLING. */
void cache_fail(struct cache *c, struct cache_object *o);
/* It is as old as a fetch that began when the clock was at `born`. Not after cache_link, but for
 * one that cache_refresh comes for at once. Without this it is as new as cache_begin's call. */
void cache_born(struct cache_object *o, uint32_t born);
/* Puts it into the index, replacing (unlinking) what stood there under the key. May be called
 * while it fills. Not evicted before it is complete. False: it is not there, since it failed, was
 * unlinked, or has been purged since it was born, and then it is given up. */
bool cache_link(struct cache *c, struct cache_object *o);
/* Unlinks (purge, damage, replaced). True if it was there. An object that was never linked is
 * given up by this or by cache_fail. The caller's own pin stays its own to undo. */
bool cache_unlink(struct cache *c, const struct cache_object *o);
/* What is purged goes here, softly too: then its stale copy is what is found. */
const struct cache_object *cache_lookup_owner(struct cache *c, struct hash128 hash, const void *key,
                                              size_t key_len);
/* New freshness for a complete object after 304: meta and head replaced (content_length is kept),
 * the body's chunks taken over; who holds the old one goes on reading it. Returns the object that
 * now stands in the index, not pinned, as old as `old` for purges; NULL: no memory, or `old` is not
 * complete or no longer linked, and nothing has changed. */
struct cache_object *cache_refresh(struct cache *c, struct cache_object *old,
                                   const struct cache_meta *meta, const char *head, size_t head_len,
                                   struct now now);
/* A linked object's lifetime ends now, as by a soft purge that finds it, and on_evict is told: a
 * stale copy, which has its body, takes its place. Unless it is complete, and there is memory, it
 * is unlinked: NULL. Owner only. */
struct cache_object *cache_expire(struct cache *c, const struct cache_object *o);
/* How many objects of this one's URL there are to be found, it among them: 1 of a URL whose
 * responses do not vary; of a primary, how many variants it has. 0: an orphan (cache/vary.h). */
uint64_t cache_siblings(const struct cache *c, const struct cache_object *o);
/* Frees what is due, goes on with purging; called once a poll by each worker for its own shards. */
void cache_reclaim(struct cache *c, unsigned worker, struct now now);
/*
 * What readers alone keep of this worker's share, after its retirement and a grace period, has a
 * budget: a 20th of the share. While it is overdrawn this returns, one a call, the objects that
 * readers must let go of, the one that was retired first before the others, then NULL: who asked
 * for enough waits, and what is still there 2 s later is asked for again. The pointer names the
 * object until the next cache_reclaim; later it may be another's, so a reader that is told lets go
 * of what is not cache_linked, and of nothing else.
 */
const struct cache_object *cache_overdrawn(struct cache *c, unsigned worker, struct now now);
/* There is work that can't wait for long: poll again. */
bool cache_busy(const struct cache *c, unsigned worker);
/* An object goes, by eviction or by a purge's rule, a soft one of which has put its stale copy in
 * its place by then: called while it reads as it was, so that its reference can be withdrawn. */
void cache_on_evict(struct cache *c, unsigned worker,
                    void (*fn)(void *ctx, const struct cache_object *o), void *ctx);

/* A checksum of `o` is wrong: unlinked, and if it was complete FAILED, so that who is reading it
 * stops. Calls what cache_on_damage set first, if it stands in the index; false, and nothing
 * happens, if it does not. */
bool cache_damaged(struct cache *c, const struct cache_object *o);
typedef void cache_damage(void *ctx, const struct cache_object *o, const char *key, size_t key_len);
void cache_on_damage(struct cache *c, unsigned worker, cache_damage *fn, void *ctx);
/* Verifies the checksums of what this worker owns, a step of at most 512 KiB at a time, all of it
 * in an hour; cache_damaged for what is wrong. Called once a poll, and when the deadline has come.
 */
void cache_scrub(struct cache *c, unsigned worker, struct now now);
uint64_t cache_scrub_deadline_us(const struct cache *c, unsigned worker);

/* --- over a restart (warm.c); owner only ------------------------------------------------------ */

/* How much of use an object has been, as eviction sees it; more is hotter. */
#define CACHE_HEAT_MAX     7u
#define CACHE_HEAT_CLASSES 4u
unsigned cache_heat(const struct cache_object *o);
/* Of an object that is not linked yet: eviction treats it as one that has that heat. */
void cache_heat_set(struct cache_object *o, unsigned heat);
/* Where a walk over a worker's objects is; zeros: at its begin. */
struct cache_walk {
    uint32_t bucket;
    uint8_t shard;
    bool over;
};
#define CACHE_WALK_ROOM 14 /* objects of one bucket at most, each with its primary */
/* What of an object's meta is true of it in another run, too: a primary's variants are not. Any
 * reader. */
struct cache_meta cache_meta_saved(const struct cache_object *o);
/* The complete objects of one class (0 to CACHE_HEAT_CLASSES - 1, the coldest first) among the next
 * `buckets` buckets of the worker's shards, a primary before each of its variants; fewer when less
 * than CACHE_WALK_ROOM is left in `out`. Returns how many. What is linked or changes its class
 * while a walk goes on may be missed or come twice. They are valid as what cache_find returns. */
unsigned cache_walk(const struct cache *c, unsigned worker, struct cache_walk *at, unsigned heat,
                    unsigned buckets, const struct cache_object **out, unsigned room);
/* Whether a body of that many bytes would push nothing out. */
bool cache_has_room(const struct cache *c, unsigned worker, uint64_t bytes);
/* The key; in one piece in the object, else put together in `room`. Any reader. */
const char *cache_key(const struct cache_object *o, char room[static CACHE_KEY_MAX], size_t *len);

const struct cache_counters *cache_counters(const struct cache *c, unsigned worker);

#endif
