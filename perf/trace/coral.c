/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What cache/evict.c does, one worker, as it does it: S3-FIFO with the rule for sizes over chunks
 * of 4 KiB, tails and maps in lines of them, an object's entry, key and head (taken as HEAD_BYTES),
 * a 64th in reserve, ghosts as fingerprints in sets of 8. Traces say nothing of lifetimes, so
 * nothing is of no more use here. tests/perf/coral_cache_test.c holds it to cache/ itself.
 */
#include "base/hash.h"
#include "cache/cache.h"
#include "perf/trace/coral.h"
#include "perf/trace/queue.h"

#define ENTRY_BYTES  96u /* struct cache_object before its key */
#define INLINE       4u  /* chunks that the entry names, then a map of */
#define MAP_DIRECT   512u
#define LEAF         1024u
#define WAYS         8u
#define SPAN         4096u /* stamps of the ghosts */
#define USES_MAX     3u
#define ROUNDS_MAX   7u
#define LINE         64u
#define CHUNK        64u /* lines of a chunk; we count in these */
#define CHUNKS_LEAST 64u /* that cache_create wants */

enum where { GONE, SMALL, MAIN };

struct ghost {
    uint16_t print, stamp; /* print 0: none */
};

struct coral {
    const struct trace *t;
    uint64_t chunks, used_lines;
    struct resident *all; /* bytes: of the body */
    struct queue small, main;
    uint64_t small_bytes, bytes; /* with what is not body */
    struct ghost *ghost;         /* sets of WAYS */
    uint64_t ghost_sets, ghosted, ghost_unit;
};

static uint64_t chunks_for(uint64_t bytes)
{
    return (bytes + CACHE_CHUNK_BYTES - 1) / CACHE_CHUNK_BYTES;
}

static uint64_t lines_for(uint64_t bytes)
{
    return (bytes + LINE - 1) / LINE;
}

/* The first `bytes` of a body of `all`, its tail with a CRC, and its maps. */
static uint64_t lines_of(uint64_t bytes, uint64_t all)
{
    uint64_t n = chunks_for(bytes), of = chunks_for(all), tail = all % CACHE_CHUNK_BYTES;
    uint64_t lines = n * CHUNK;
    if (n == of && tail && tail + 4 <= CHUNK * LINE)
        lines = (n - 1) * CHUNK + lines_for(tail + 4);
    if (n > INLINE && of <= INLINE + MAP_DIRECT)
        lines += lines_for((of - INLINE) * 4);
    else if (n > INLINE + MAP_DIRECT)
        lines += (1 + (n - INLINE - MAP_DIRECT + LEAF - 1) / LEAF) * CHUNK;
    else if (n > INLINE)
        lines += CHUNK;
    return lines;
}

static uint64_t bytes_of(uint64_t bytes)
{
    return ENTRY_BYTES + CORAL_HEAD_BYTES + lines_of(bytes, bytes) * LINE;
}

/* --- ghosts ----------------------------------------------------------------------------------- */

static struct ghost *ghost_set(struct coral *c, uint32_t object, uint16_t *print)
{
    uint64_t h = XXH3_64bits(&c->t->id[object], sizeof(c->t->id[object]));
    *print = (uint16_t)(h >> 48) ? (uint16_t)(h >> 48) : 1;
    return &c->ghost[(h & (c->ghost_sets - 1)) * WAYS];
}

/* In bytes evicted since; more than all: there is none. */
static uint32_t ghost_age(const struct coral *c, struct ghost g)
{
    return g.print ? (uint16_t)((uint16_t)(c->ghosted / c->ghost_unit) - g.stamp) : UINT32_MAX;
}

static void ghost_add(struct coral *c, uint32_t object, uint64_t bytes)
{
    uint16_t print;
    struct ghost *set = ghost_set(c, object, &print), *oldest = set;
    for (unsigned i = 1; i < WAYS; i++)
        if (ghost_age(c, set[i]) > ghost_age(c, *oldest))
            oldest = &set[i];
    c->ghosted += bytes;
    *oldest = (struct ghost){print, (uint16_t)(c->ghosted / c->ghost_unit)};
}

static bool ghost_take(struct coral *c, uint32_t object)
{
    uint16_t print;
    struct ghost *set = ghost_set(c, object, &print);
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].print == print && ghost_age(c, set[i]) <= SPAN) {
            set[i].print = 0;
            return true;
        }
    }
    return false;
}

/* --- eviction --------------------------------------------------------------------------------- */

static void push(struct coral *c, uint32_t object, enum where where)
{
    c->all[object].where = (uint8_t)where;
    queue_push(where == SMALL ? &c->small : &c->main, c->all, object);
    c->bytes += bytes_of(c->all[object].bytes);
    if (where == SMALL)
        c->small_bytes += bytes_of(c->all[object].bytes);
}

static void take(struct coral *c, uint32_t object)
{
    bool small = c->all[object].where == SMALL;
    queue_take(small ? &c->small : &c->main, c->all, object);
    c->all[object].where = GONE;
    c->bytes -= bytes_of(c->all[object].bytes);
    if (small)
        c->small_bytes -= bytes_of(c->all[object].bytes);
}

/* c of the rule. */
static unsigned smaller(const struct coral *c, uint64_t bytes)
{
    uint64_t scaled = bytes * (c->small.objects + c->main.objects);
    unsigned n = 0;
    for (scaled += scaled / 128 * 53; scaled < c->bytes && n < ROUNDS_MAX; scaled *= 2)
        n++;
    return n;
}

/* The hand: does it stay? */
static bool judge(struct resident *o, bool small, unsigned size)
{
    unsigned rounds = o->rounds + o->uses * (1 + size);
    bool stays = small ? o->uses + size >= 2 : rounds > 0;
    if (rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    o->rounds = (uint8_t)(small ? 0 : rounds - stays);
    o->uses = 0;
    return stays;
}

static bool evict_step(struct coral *c)
{
    bool small = c->small.objects &&
                 (c->small_bytes > c->chunks * CACHE_CHUNK_BYTES / 10 || c->main.objects == 0);
    uint32_t object = small ? c->small.oldest : c->main.oldest;
    if (object == TRACE_NONE)
        return false;
    struct resident *o = &c->all[object];
    bool stays = judge(o, small, smaller(c, bytes_of(o->bytes)));
    take(c, object);
    if (stays) {
        push(c, object, MAIN);
        return true;
    }
    if (small)
        ghost_add(c, object, bytes_of(o->bytes));
    c->used_lines -= lines_of(o->bytes, o->bytes);
    return true;
}

/* As many objects as chunks: of an object without a chunk there is none here, so the reserve of
 * objects is never the one that is short. */
static bool make_room(struct coral *c, uint64_t wanted)
{
    while (c->chunks * CHUNK - c->used_lines < (wanted + c->chunks / 64 + 1) * CHUNK) {
        if (!evict_step(c))
            return c->chunks * CHUNK - c->used_lines >= wanted * CHUNK;
    }
    return true;
}

static bool request(void *state, uint32_t i)
{
    struct coral *c = state;
    const struct trace_request *r = &c->t->request[i];
    struct resident *o = &c->all[r->object];
    if (o->where != GONE) {
        if (o->uses < USES_MAX)
            o->uses++;
        return true;
    }
    if (r->bytes > c->chunks / 2 * CACHE_CHUNK_BYTES) /* cache_object_limit */
        return false;
    make_room(c, 0);
    bool known = ghost_take(c, r->object);
    uint64_t had = 0;
    for (uint64_t at = 0; at < r->bytes;) { /* it grows as it comes, a piece at a time */
        uint64_t piece = r->bytes - at < CORAL_PIECE_BYTES ? r->bytes - at : CORAL_PIECE_BYTES;
        if (!make_room(c, chunks_for(piece) + 2)) {
            c->used_lines -= had;
            return false;
        }
        at += piece;
        c->used_lines += lines_of(at, r->bytes) - had;
        had = lines_of(at, r->bytes);
    }
    *o = (struct resident){.bytes = r->bytes};
    push(c, r->object, known ? MAIN : SMALL);
    return false;
}

static void destroy(void *state)
{
    struct coral *c = state;
    free(c->all);
    free(c->ghost);
    free(c);
}

static void *create(const struct trace *t, uint64_t capacity)
{
    uint64_t chunks = capacity / CACHE_CHUNK_BYTES, sets = 1;
    if (chunks < CHUNKS_LEAST || chunks > UINT32_MAX / 2)
        return NULL;
    while (sets < chunks / WAYS + 1)
        sets *= 2;
    struct coral *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c = (struct coral){.t = t,
                        .chunks = chunks,
                        .small = queue_empty(),
                        .main = queue_empty(),
                        .ghost_sets = sets,
                        .ghost_unit = chunks * CACHE_CHUNK_BYTES / 10 * 9 / SPAN};
    c->all = calloc(t->objects + 1ul, sizeof(*c->all));
    c->ghost = calloc(sets * WAYS, sizeof(*c->ghost));
    if (c->all && c->ghost)
        return c;
    destroy(c);
    return NULL;
}

const struct policy policy_coral = {"coral", "cache/ as it is: chunks, a reserve, S3-FIFO by size",
                                    create, request, destroy};
