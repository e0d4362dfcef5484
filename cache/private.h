/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache's inside.
 *
 *   struct cache --- shard[64]: buckets --- slot {tag 16, ref 32} ---> object (96 bytes, key)
 *            \                                                          |- block: head (arena)
 *             '----- worker[n]: free chunks, free objects,              |- chunk[4]   (16 KiB)
 *                               FIFOs, ghosts, retired objects          '- map chunk
 *
 * The index is by shard, so that a shard can change hands; memory and eviction are by worker, so
 * that a shard is not limited to a 64th of the memory and one hot shard can use what the
 * others don't. Each worker has an equal share of chunks and of objects from the start: the keyed
 * hash spreads objects evenly, and nobody shares a free list, so no lock and no atomic is needed.
 *
 * A body's map, as an inode's, at most two hops to any offset:
 *
 *   chunk[0..3]                    first 16 KiB, no map
 *   map --> [0..511]               next 2 MiB
 *           [512..1023] --> leaf [0..1023]     4 MiB each, 2 GiB in all
 *
 * Of a body whose length was known when it began, or that has been settled (cache_settle), the last
 * piece, unless it is almost a chunk, and a map of no leaves are runs of lines (cells.c); their IDs
 * say so.
 */
#ifndef CORAL_CACHE_PRIVATE_H
#define CORAL_CACHE_PRIVATE_H

#include <assert.h>

#include <sanitizer/asan_interface.h>
#include <smmintrin.h>

#include "cache/barriers.h"
#include "cache/cache.h"
#include "cache/heads.h"
#include "cache/purge.h"
#include "cache/vary.h"

#define LINE 64

/* --- objects ---------------------------------------------------------------------------------- */

enum object_flag {
    OBJECT_LINKED = 1,     /* the index holds it */
    OBJECT_RETIRED = 2,    /* given up: on a retire list */
    OBJECT_BODY_MOVED = 4, /* cache_refresh gave its chunks to another, whose ref is in `prev` */
    OBJECT_TO_MAIN = 8,    /* the queue it goes to when it is complete */
    OBJECT_DRAINING = 16,  /* charged to the draining budget */
    OBJECT_SETTLED = 32,   /* and of its chunks the other has not those that cache_settle spares */
    OBJECT_MAP_CELLS = 64, /* its map is in cells */
    OBJECT_TAIL_CELLS = 128, /* and its last piece */
};

enum object_queue { QUEUE_NONE, QUEUE_SMALL, QUEUE_MAIN };

#define OBJECT_INLINE 4
#define MAP_DIRECT    512u
#define MAP_LEAVES    512u
#define MAP_IDS       (CACHE_CHUNK_BYTES / 4)
#define CHUNK_NONE    0xffffffffu
/* Of a run of lines: CELL_ID | the number of its first line in the worker's share, which reaches
 * 128 GiB of it. */
#define CELL_ID       0x80000000u
#define CELL_CHUNKS   ((1u << 25) - 1)
#define CHUNK_LINES   (CACHE_CHUNK_BYTES / LINE)
#define OBJECT_CHUNKS (OBJECT_INLINE + MAP_DIRECT + MAP_LEAVES * MAP_IDS)
static_assert(MAP_DIRECT + MAP_LEAVES == MAP_IDS, "the map is one chunk");
/* How far ahead of `ready` a chunk may be taken: more than a TCP window; less than a leaf, so that
 * there are never maps missing between those that are there. */
#define PLACE_CHUNKS 256u
static_assert(PLACE_CHUNKS < MAP_DIRECT && PLACE_CHUNKS < MAP_IDS, "no map is left out");

/* Readers follow block, lengths, key, chunk, map and meta, all written before the object is
 * published (map entries: before the bytes_ready that covers them). `state`, `uses`, `ready`,
 * `born` and `pins` are atomics. The others are the owner's alone.
 *
 * What a lookup reads, and a hit counts in, comes last and next to the key, so that it is two cache
 * lines of the three; with the key elsewhere it would be four or five, one of them in a small page
 * and known only when the object has come. */
#define OBJECT_KEY 64

#define USES  3u /* of `uses`: hits since the hand's last visit, at most 3 */
#define ROUND 4u /* the rest, in units of this: rounds in main that are left */

struct cache_object {
    struct cache_meta meta;
    uint32_t chunk[OBJECT_INLINE];
    uint32_t map;
    uint32_t next;         /* refs: neighbours in a FIFO or a list of the worker */
    uint32_t older, newer; /* refs: neighbours in a bucket of expiry.c */

    char *block; /* what the key has beyond OBJECT_KEY, then the head, in one piece (heads.h); NULL:
                    neither */
    uint16_t key_len;
    uint16_t head_len : 15, tagged : 1; /* its head names tags */
    uint8_t state;                      /* enum cache_state */
    uint8_t uses; /* evict.c: USES by any reader, ROUND above them by the hand. Relaxed loads and
                     stores: a lost update does no harm */
    uint8_t flags;
    uint8_t queue : 2, worker : 6; /* enum object_queue; whose share it is of */
    uint32_t ready;
    uint32_t born; /* purge.h: older purges don't concern it */
    uint32_t pins;
    union {
        uint32_t prev;
        uint32_t reach; /* unless it is complete: of its chunks from the first on, those up to the
                           last that cache_place took */
    };
    char key[OBJECT_KEY]; /* its first bytes */
};
static_assert(sizeof(struct cache_meta) == 32, "no holes");
static_assert(offsetof(struct cache_object, key) == 96, "the budget of fixed metadata an object");
static_assert(offsetof(struct cache_object, block) == LINE, "what a lookup reads is together");
static_assert(CACHE_WORKERS <= 64, "6 bits");
static_assert(CACHE_HEAD_MAX < 1 << 15 && CACHE_KEY_MAX <= UINT16_MAX, "15 and 16 bits");
static_assert((uint64_t)OBJECT_CHUNKS * CACHE_CHUNK_BYTES <= UINT32_MAX, "`ready` has 32 bits");

/* Objects stand in pages of 4 KiB aligned to their size, so that an object alone leads to its
 * cache. A ref is the distance from the first page in units of 32 bytes (128 GiB of
 * objects); a page's head is no object, so 0 is no ref. */
#define OBJECT_PAGE     4096u
#define OBJECT_PER_PAGE ((OBJECT_PAGE - LINE) / sizeof(struct cache_object))
#define REF_UNIT        32u

struct object_page {
    struct cache *cache; /* readers use both, written at create */
    uint8_t *share;      /* its worker's first chunk */
} __attribute__((aligned(LINE)));
static_assert(sizeof(struct object_page) + OBJECT_PER_PAGE * sizeof(struct cache_object) <=
                  OBJECT_PAGE,
              "they fit");
static_assert(sizeof(struct object_page) % REF_UNIT == 0, "so that refs reach them");

/* --- layout.c --------------------------------------------------------------------------------- */

/*
 * The budget covers all that the cache maps:
 *
 *   region      | slabs of heads | objects | index | ghosts | pages | CRC words | chunks |
 *   elsewhere   struct cache; heads, where they have no slabs
 *
 * The index is by shard; of the others each worker has an equal share, one behind the other. What
 * is to be aligned comes first.
 */
struct cache_layout {
    unsigned workers;
    uint64_t objects, pages, ghost_sets, chunks; /* a worker */
    uint64_t buckets, overflow;                  /* a shard */
    size_t heads, slabs;                         /* a worker: bytes; of 2 MiB each */
    size_t at_objects, at_index, at_ghosts, at_pages, at_crc, at_chunks, region;
    size_t budget; /* what it comes to, at most what was given */
};

/* A head, what a key has beyond OBJECT_KEY, and what an allocator rounds them up to: an object's
 * share. Heads of responses as stored are 200 to 600 bytes. */
#define HEAD_SHARE 512u

/* False: too little, or a number out of range. */
bool cache_layout(struct cache_layout *l, size_t bytes, uint32_t objects, unsigned workers);

/* --- index ------------------------------------------------------------------------------------ */

#define BUCKET_SLOTS 7
#define SLOT_TAG(s)  ((uint16_t)((s) >> 48))
#define SLOT_REF(s)  ((uint32_t)(s))

struct bucket {
    uint64_t slot[BUCKET_SLOTS]; /* tag << 48 | ref; 0: empty */
    uint64_t link;               /* 1 + number of an overflow bucket; 0: none */
};
static_assert(sizeof(struct bucket) == LINE, "a bucket is a cache line");

struct shard {
    struct bucket *bucket, *overflow;
    uint32_t mask;                          /* of bucket */
    uint32_t overflow_used, overflow_count; /* used: those behind were never taken */
    uint32_t overflow_free; /* 1 + number of the first that came back (overflow.c) */
};

/* Overflow buckets on their way back, by shard and number. */
struct overflow_list {
    uint64_t first, last; /* shard << 32 | 1 + number; 0: none */
};

/* --- workers ---------------------------------------------------------------------------------- */

struct fifo {
    uint32_t head, tail; /* newest, oldest */
    uint64_t bytes, objects;
};

struct list {
    uint32_t first, last;
};

/* Ghosts: fingerprints of what the small queue lately evicted, and when (evict.c). */
#define GHOST_WAYS 8u
struct ghost_set {
    uint16_t print[GHOST_WAYS]; /* 0: none */
    uint16_t stamp[GHOST_WAYS];
} __attribute__((aligned(sizeof(__m128i))));
static_assert(sizeof(((struct ghost_set *)0)->print) == sizeof(__m128i), "compared at once");

/* Objects by the time they last for, each bucket in the order in which they came (expiry.c). */
#define EXPIRY_BUCKETS 240u
struct expiry {
    uint64_t some[(EXPIRY_BUCKETS + 63) / 64]; /* a bit a bucket that is not empty */
    int64_t due_s;                             /* none is due before */
    struct expiry_bucket {
        uint32_t oldest, newest; /* refs */
        int64_t due_s;           /* its oldest is not due before */
    } bucket[EXPIRY_BUCKETS];
};

/* The hash of an object that will be asked for soon, or has just been known: kept, since it costs
 * as much as all else that is done with it then. `of` is NULL when that object leaves its place. */
struct known_hash {
    const struct cache_object *of;
    struct hash128 hash;
};

/* The next to be verified: of the worker's objects, of its bytes, and when. */
struct scrub {
    uint64_t object, offset;
    uint64_t due_us;
};

struct amount {      /* what objects hold */
    uint64_t chunks; /* those cut into lines, too: `pages`; of these `lines` are in use */
    uint64_t objects, heap, pages, lines;
    uint64_t bytes; /* of bodies */
};

struct cell_page {       /* a chunk that is cut into lines (cells.c) */
    uint64_t free;       /* bits */
    uint32_t next, prev; /* chunks: pages with as long a run; CHUNK_NONE ends */
};

struct cells {     /* pages by their longest free run */
    uint64_t with; /* bit n - 1: there are some whose longest is n lines */
    uint32_t first[CHUNK_LINES];
};

/* What pins alone keep. A hand goes round the list for those that may be freed; another one for
 * those that are to be let go, while the budget is overdrawn. Hands are refs of the last object
 * that they passed, so that it can be unlinked behind them; 0: the list's beginning. */
struct drain {
    struct amount held;
    uint32_t look, ask;
    uint64_t window_us; /* when the running window of asking began */
    struct amount left; /* to be asked for in it */
};

struct cache_worker {
    uint32_t free_chunk;  /* linked through cache.crc; CHUNK_NONE ends */
    uint32_t free_object; /* linked through next */
    struct amount total, used;
    uint64_t promised; /* chunks: of bodies that fill, when they are whole */
    uint64_t mapped;   /* bytes of the budget, but for the blocks */
    struct cache_heads heads;
    uint64_t heap_limit; /* of blocks: where eviction begins (cache_block_new) */
    struct amount pending_fresh, pending_waiting; /* of `used`, what those lists will free */

    struct cells cells;
    struct fifo small, main;
    struct known_hash begun; /* the last that was begun; until it is freed */
    struct known_hash ahead; /* the next that the hand may evict; until it leaves its queue */
    struct ghost_set *ghost;
    uint32_t ghost_mask;
    uint64_t ghost_unit, ghost_bytes; /* bytes to a tick; that became ghosts since the last one */
    uint16_t ghost_tick;

    struct list fresh;    /* unlinked since the running grace period began */
    struct list waiting;  /* wait for `token` */
    struct list ripe;     /* grace period over */
    struct list draining; /* and pinned, in the order of their retirement */
    struct drain drain;
    uint64_t token;
    struct overflow_list overflow_fresh, overflow_waiting, overflow_due; /* beside those lists */

    int64_t wall_s; /* as of the last poll or cache_begin */
    struct expiry expiry;

    struct scrub scrub;

    void (*on_evict)(void *ctx, const struct cache_object *o);
    void *on_evict_ctx;
    cache_damage *on_damage;
    void *on_damage_ctx;
    struct purge_walk walk;
    struct cache_counters counters;
} __attribute__((aligned(2 * LINE)));

struct cache {
    struct hash_secret secret;
    struct rte_rcu_qsbr *qsbr;
    uint8_t *memory; /* chunks: 4096-aligned data, nothing else */
    uint64_t chunks;
    uint32_t share;       /* chunks a worker */
    uint8_t *object_base; /* pages */
    size_t object_pages;
    struct cell_page *page; /* one a chunk */
    uint32_t *crc;          /* a word a chunk: CRC32C of its bytes so far, or the next free chunk */
    uint64_t limit;         /* cache_object_limit */
    unsigned workers;
    uint8_t owner[CACHE_SHARDS];
    struct purge purge;
    struct shard shard[CACHE_SHARDS];
    struct cache_worker worker[CACHE_WORKERS];
};

static inline struct object_page *object_page(const struct cache_object *o)
{
    return (struct object_page *)((uintptr_t)o & ~(uintptr_t)(OBJECT_PAGE - 1));
}

static inline struct cache_object *object_in_page(struct object_page *page, size_t i)
{
    return (struct cache_object *)(page + 1) + i;
}

static inline struct cache_object *object_at(const struct cache *c, uint32_t ref)
{
    return ref ? (struct cache_object *)(c->object_base + (size_t)ref * REF_UNIT) : NULL;
}

static inline uint32_t object_ref(const struct cache *c, const struct cache_object *o)
{
    return (uint32_t)((size_t)((const uint8_t *)o - c->object_base) / REF_UNIT);
}

/* Number i of a worker's share of the table. */
static inline struct cache_object *worker_object(const struct cache *c,
                                                 const struct cache_worker *w, size_t i)
{
    size_t page = (size_t)(w - c->worker) * (c->object_pages / c->workers) + i / OBJECT_PER_PAGE;
    return object_in_page((struct object_page *)(c->object_base + page * OBJECT_PAGE),
                          i % OBJECT_PER_PAGE);
}

/* Free objects are poisoned; this word of theirs is read all the same: they are not linked. */
__attribute__((no_sanitize("address"))) static inline bool
object_is_linked(const struct cache_object *o)
{
    return o->flags & OBJECT_LINKED;
}

/* Not by its page, whose head would be one more line in memory. */
static inline struct cache_worker *object_worker(struct cache *c, const struct cache_object *o)
{
    return &c->worker[o->worker];
}

/* Was it, when the object began? */
static inline bool length_known(const struct cache_object *o)
{
    return o->meta.content_length != CACHE_LENGTH_UNKNOWN;
}

static inline enum cache_state object_state(const struct cache_object *o)
{
    return (enum cache_state)__atomic_load_n(&o->state, CACHE_STATE_LOAD);
}

static inline void object_prefetch(const struct cache_object *o)
{
    const char *p = (const char *)o;
    if (!p)
        return;
    __builtin_prefetch(p + offsetof(struct cache_object, block));
    __builtin_prefetch(p + sizeof(*o) - 1);
    __builtin_prefetch(p);
}

/* Bytes of a key that stand in the block. */
static inline size_t key_rest(size_t key_len)
{
    return key_len > OBJECT_KEY ? key_len - OBJECT_KEY : 0;
}

/* What a block of so many bytes counts: an allocator rounds it up, by an eighth on average, and
 * keeps a note of it. */
static inline size_t block_cost(size_t bytes)
{
    return bytes ? bytes + bytes / 8 + 16 : 0;
}

static inline size_t block_bytes(const struct cache_object *o)
{
    return key_rest(o->key_len) + o->head_len;
}

static inline size_t object_heap(const struct cache_object *o)
{
    return block_cost(block_bytes(o));
}

/* An eighth lets fills go on while what was evicted waits for its grace period: few are there in a
 * small cache. */
static inline uint64_t heap_limit_most(const struct cache_worker *w)
{
    return w->total.heap / 8 * 7;
}

static inline uint64_t chunks_for(uint64_t bytes)
{
    return (bytes + CACHE_CHUNK_BYTES - 1) / CACHE_CHUNK_BYTES;
}

static inline uint8_t *chunk_data(const struct cache *c, uint32_t id)
{
    return c->memory + (size_t)id * CACHE_CHUNK_BYTES;
}

static inline uint32_t worker_first_chunk(const struct cache *c, const struct cache_worker *w)
{
    return (uint32_t)(w - c->worker) * c->share;
}

static inline unsigned lines_for(uint32_t bytes)
{
    return (bytes + LINE - 1) / LINE;
}

/* Of a chunk or a run, as an object's map has it. */
static inline uint8_t *piece_data(const struct cache *c, const struct cache_object *o, uint32_t id)
{
    if (!(id & CELL_ID))
        return chunk_data(c, id);
    /* not by o->worker, whose byte the owner writes for `queue` */
    return object_page(o)->share + (size_t)(id & ~CELL_ID) * LINE;
}

/*
 * Chunks and objects come from tables that the allocator knows nothing of, so in builds with
 * AddressSanitizer we say ourselves what must not be touched: free chunks, free lines, free
 * objects, and what is behind a complete body in its last piece. In other builds these are nothing.
 */
static inline void poison(const void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
    ASAN_POISON_MEMORY_REGION(p, bytes);
}

static inline void unpoison(const void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
}

/* body.c */
uint32_t cache_chunk_take(struct cache *c, struct cache_worker *w); /* CHUNK_NONE: none free */
void cache_chunk_give(struct cache *c, struct cache_worker *w, uint32_t id);
/* Chunks and lines that `o` gives back when it is freed, or a few more while there are holes in it:
 * body and maps. */
struct amount cache_body_amount(const struct cache_object *o);
/* All that its body and maps take, whosever they are: what a queue counts stays the same. */
struct amount cache_body_whole(const struct cache_object *o);
/* It is complete: nothing is behind its last byte. */
void cache_body_end(const struct cache *c, const struct cache_object *o);
/* A complete body whose length was not known takes as little as one whose length was: `heir` has
 * its chunks, and gets a tail and a map of its own. False: there is no memory, and nothing has
 * changed.
 */
bool cache_body_settle(struct cache *c, struct cache_worker *w, const struct cache_object *o,
                       struct cache_object *heir);
/* Would that save something? */
bool cache_body_settles(const struct cache_object *o);
/* What is promised to `o` while it fills, taken back and given anew: around a change of what it
 * has, since to a body of unknown length more is promised as it grows. */
void cache_promise_take(struct cache_worker *w, const struct cache_object *o);
void cache_promise_give(struct cache_worker *w, const struct cache_object *o);
/* Frees from the end, at most about `budget` chunks. True when all are free. Nobody reads it. */
bool cache_body_free(struct cache *c, struct cache_worker *w, struct cache_object *o,
                     uint64_t budget);

/* cells.c: runs of 1 to CACHE_CHUNK_BYTES bytes */
/* Are lines of `o` in a chunk that is half empty, and a 32nd of the chunks lost in such? */
bool cache_cells_sparse(const struct cache *c, const struct cache_worker *w,
                        const struct cache_object *o);
uint32_t cache_cells_take(struct cache *c, struct cache_worker *w, uint32_t bytes); /* or NONE */
void cache_cells_give(struct cache *c, struct cache_worker *w, uint32_t cell, uint32_t bytes);

/* index.c */
struct cache_object *cache_index_find(const struct cache *c, struct hash128 h, const void *key,
                                      size_t key_len);
/* Puts `o` where its key's object stood, which is returned, or in an empty slot. When there is
 * none left, `full` tells so, and the object returned is one to evict first. */
struct cache_object *cache_index_put(struct cache *c, struct hash128 h, struct cache_object *o,
                                     bool *full);
/* The bucket will be looked at soon. */
void cache_index_prefetch(const struct cache *c, struct hash128 h);
bool cache_index_remove(struct cache *c, struct hash128 h, const struct cache_object *o);

/* overflow.c */
/* One that no reader is in, empty and linked to nothing; its link's value. 0: none. */
uint32_t cache_overflow_take(struct cache_worker *w, struct shard *s);
/* `b` of `s`, empty, behind `before`: out of the chain now, and back when no reader is in it. */
void cache_overflow_leave(struct cache *c, struct cache_worker *w, struct shard *s,
                          struct bucket *before, struct bucket *b);
/* A grace period has begun for what left until now; it is over; some of what may, comes back. */
void cache_overflow_wait(struct cache *c, struct cache_worker *w);
void cache_overflow_waited(struct cache *c, struct cache_worker *w);
void cache_overflow_return(struct cache *c, struct cache_worker *w);

/* object.c */
/* The key in one piece: in the object, or put together in `room`. */
const char *cache_object_key(const struct cache_object *o, char room[static CACHE_KEY_MAX]);
struct hash128 cache_object_hash(const struct cache *c, const struct cache_object *o);
/* Out of the index, out of its queue, on the retire list. `h`: cache_object_hash of it. */
void cache_object_drop(struct cache *c, struct cache_worker *w, struct cache_object *o,
                       struct hash128 h);
/* The object's own memory, after its body's. */
void cache_object_free(struct cache *c, struct cache_worker *w, struct cache_object *o);
void cache_worker_gauges(struct cache_worker *w);
/* cache_refresh, uncounted. */
struct cache_object *cache_object_renew(struct cache *c, struct cache_object *old,
                                        const struct cache_meta *meta, const char *head,
                                        size_t head_len);
/* The withdrawal of its reference, then as cache_object_drop. */
void cache_object_take(struct cache *c, struct cache_worker *w, struct cache_object *o);

/* evict.c */
uint64_t cache_ghost_unit(uint64_t bytes); /* of a share of so many */
uint64_t cache_object_bytes(const struct cache_object *o);
void cache_queue_insert(struct cache *c, struct cache_worker *w, struct cache_object *o,
                        enum object_queue q);
void cache_queue_remove(struct cache *c, struct cache_worker *w, struct cache_object *o);
/* True, and forgotten, when the small queue evicted this key lately. */
bool cache_ghost_take(struct cache_worker *w, struct hash128 h);
void cache_ghost_prefetch(const struct cache_worker *w, struct hash128 h);
void cache_object_evict(struct cache *c, struct cache_worker *w, struct cache_object *o,
                        struct hash128 h);
/* Evicts, at most a bounded number of steps, until `chunks` more and a reserve are free or will be
 * after the grace periods that run. */
void cache_evict_for(struct cache *c, struct cache_worker *w, uint64_t chunks);

/* drain.c */
void cache_drain_add(struct cache *c, struct cache_worker *w, struct cache_object *o);
/* The object under the hand, NULL at the end of the list; it is passed, or removed. */
struct cache_object *cache_drain_look(const struct cache *c, struct cache_worker *w);
void cache_drain_pass(const struct cache *c, struct cache_worker *w, struct cache_object *o);
void cache_drain_remove(struct cache *c, struct cache_worker *w, struct cache_object *o);
/* variant.c */
/* The linked primary under whose names and nonce a variant stands; NULL: it is an orphan. */
struct cache_object *cache_variant_primary(const struct cache *c, const struct cache_object *o);
/* A variant was linked, 1, or unlinked, -1. */
void cache_variant_count(struct cache *c, const struct cache_object *o, int change);
static inline bool object_is_variant(const struct cache_object *o)
{
    return o->key_len && o->key[0] == CACHE_VARIANT_MARK;
}

/* expiry.c */
void cache_expiry_add(struct cache *c, struct cache_worker *w, struct cache_object *o);
void cache_expiry_remove(struct cache *c, struct cache_worker *w, struct cache_object *o);
/* One that is of no more use, if there is one; it stays where it is. */
struct cache_object *cache_expiry_due(struct cache *c, struct cache_worker *w);
/* purge.c */
static inline uint32_t object_born(const struct cache_object *o)
{
    return __atomic_load_n(&o->born, __ATOMIC_RELAXED);
}

static inline void object_born_set(struct cache_object *o, uint32_t born)
{
    __atomic_store_n(&o->born, born, __ATOMIC_RELAXED);
}

static inline uint32_t purge_newest(const struct cache *c)
{
    return __atomic_load_n(&c->purge.newest, CACHE_PURGE_LOAD);
}

void cache_purge_create(struct cache *c);
/* What the rules make of an object that is not as new as the newest: those up to *upto, or more. */
enum cache_purge_verdict cache_purge_judge(const struct cache *c, const struct cache_object *o,
                                           uint32_t *upto);

/* purge_tags.c: more, or longer ones, than an object may have */
bool cache_tags_exceed(const char *head, size_t len);

/* purge_walk.c */
/* The owner holds a linked object to the rules: the object itself, what stands in its place, or
 * NULL. */
struct cache_object *cache_purge_apply(struct cache *c, struct cache_object *o);
/* May this object, which is not linked, be? */
bool cache_purge_admits(const struct cache *c, struct cache_object *o);
void cache_purge_walk(struct cache *c, struct cache_worker *w);

/* reclaim.c */
void cache_list_push(struct cache *c, struct list *l, struct cache_object *o);
void cache_object_retire(struct cache *c, struct cache_worker *w, struct cache_object *o);

#endif
