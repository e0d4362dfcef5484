/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What cache/evict.c does today, one worker, as it does it: S3-FIFO over chunks of 4 KiB, tails and
 * maps in lines of them, an object's entry, key and head (taken as HEAD_BYTES), a 64th in reserve,
 * ghosts as fingerprints in sets of 7. tests/perf/coral_cache_test.c holds it to cache/ itself.
 *
 * There are as many ghosts there as chunks. "coral-ghosts" has one an object that fits, as S3-FIFO
 * would have it: what is remembered for longer than main lasts is let into main by accident.
 */
#include "base/hash.h"
#include "cache/cache.h"
#include "perf/trace/coral.h"
#include "perf/trace/queue.h"

#define ENTRY_BYTES  96u /* struct cache_object before its key */
#define INLINE       4u  /* chunks that the entry names, then a map of */
#define MAP_DIRECT   512u
#define LEAF         1024u
#define WAYS         7u
#define LINE         64u
#define CHUNK        64u /* lines of a chunk; we count in these */
#define CHUNKS_LEAST 64u /* that cache_create wants */

enum where { GONE, SMALL, MAIN };

struct ghost_set {
    uint32_t print[WAYS];
    uint32_t cursor;
};

struct coral {
    const struct trace *t;
    uint64_t chunks, used_lines;
    struct resident *all; /* bytes: of the body */
    struct queue small, main;
    uint64_t small_bytes;
    struct ghost_set *ghost;
    uint32_t ghost_mask;
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

/* --- ghosts -------------------------------------------------------------------------------------
 */

static struct ghost_set *ghost_set(struct coral *c, uint32_t object, uint32_t *print)
{
    uint64_t h = XXH3_64bits(&c->t->id[object], sizeof(c->t->id[object]));
    *print = (uint32_t)(h >> 32) ? (uint32_t)(h >> 32) : 1;
    return &c->ghost[h & c->ghost_mask];
}

static void ghost_add(struct coral *c, uint32_t object)
{
    uint32_t print;
    struct ghost_set *g = ghost_set(c, object, &print);
    g->print[g->cursor++ % WAYS] = print;
}

static bool ghost_take(struct coral *c, uint32_t object)
{
    uint32_t print;
    struct ghost_set *g = ghost_set(c, object, &print);
    for (unsigned i = 0; i < WAYS; i++) {
        if (g->print[i] == print) {
            g->print[i] = 0;
            return true;
        }
    }
    return false;
}

/* --- eviction -----------------------------------------------------------------------------------
 */

static void push(struct coral *c, uint32_t object, enum where where)
{
    c->all[object].where = (uint8_t)where;
    queue_push(where == SMALL ? &c->small : &c->main, c->all, object);
    if (where == SMALL)
        c->small_bytes += bytes_of(c->all[object].bytes);
}

static void take(struct coral *c, uint32_t object)
{
    bool small = c->all[object].where == SMALL;
    queue_take(small ? &c->small : &c->main, c->all, object);
    c->all[object].where = GONE;
    if (small)
        c->small_bytes -= bytes_of(c->all[object].bytes);
}

static bool evict_step(struct coral *c)
{
    bool small = c->small.objects &&
                 (c->small_bytes > c->chunks * CACHE_CHUNK_BYTES / 10 || c->main.objects == 0);
    uint32_t object = small ? c->small.oldest : c->main.oldest;
    if (object == TRACE_NONE)
        return false;
    struct resident *o = &c->all[object];
    take(c, object);
    if (small ? o->uses >= 2 : o->uses > 0) {
        o->uses = (uint8_t)(small ? 0 : o->uses - 1);
        push(c, object, MAIN);
        return true;
    }
    if (small)
        ghost_add(c, object);
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
        if (o->uses < 3)
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

static void *create_with(const struct trace *t, uint64_t capacity, uint64_t ghosts)
{
    uint64_t chunks = capacity / CACHE_CHUNK_BYTES, sets = 1;
    if (chunks < CHUNKS_LEAST || chunks > UINT32_MAX / 2)
        return NULL;
    while (sets < ghosts / WAYS + 1)
        sets *= 2;
    struct coral *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c = (struct coral){.t = t,
                        .chunks = chunks,
                        .small = queue_empty(),
                        .main = queue_empty(),
                        .ghost_mask = (uint32_t)(sets - 1)};
    c->all = calloc(t->objects + 1ul, sizeof(*c->all));
    c->ghost = calloc(sets, sizeof(*c->ghost));
    if (c->all && c->ghost)
        return c;
    destroy(c);
    return NULL;
}

static void *create(const struct trace *t, uint64_t capacity)
{
    return create_with(t, capacity, capacity / CACHE_CHUNK_BYTES);
}

static void *create_ghosts(const struct trace *t, uint64_t capacity)
{
    double mean = (double)t->footprint_bytes / (t->objects ? t->objects : 1);
    return create_with(t, capacity, (uint64_t)((double)capacity / (mean > 1 ? mean : 1)));
}

const struct policy policy_coral = {"coral", "cache/ as it is: chunks, a reserve, S3-FIFO", create,
                                    request, destroy};
const struct policy policy_coral_ghosts = {"coral-ghosts",
                                           "the same with a ghost an object, not a chunk",
                                           create_ghosts, request, destroy};
