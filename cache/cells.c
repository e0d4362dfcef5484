/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The small class: runs of 64-byte lines, for the tails of bodies, small bodies, and maps of few
 * ids.
 *
 *   a chunk cut into lines   | 1 | 2 | 3 | ... | 64 |      a run: lines side by side
 *
 * Of cells of 64 bytes to 2 KiB, alone or in runs, lines in runs keep most of the memory useful
 * (perf/RESULTS.md): a body leaves 34 bytes unused on average, and not 2 KiB.
 *
 * A chunk that is cut is a page: 16 bytes in a table beside the chunks (in the chunks, all would be
 * lines of the same few sets of the CPU's caches). Pages stand in lists by their longest run of
 * free lines. A run is cut from the page whose longest is the shortest that holds it, so that pages
 * fill up and long runs stay; a page whose last run goes is a chunk again. All of it is the
 * owner's; readers know a run by its ID alone.
 */
#include "cache/private.h"

static_assert(CHUNK_LINES == 64, "a bit a line");
#define ALL_FREE UINT64_MAX

/* --- runs of bits ----------------------------------------------------------------------------- */

/* Bits at which n of `bits` begin. */
static uint64_t run_starts(uint64_t bits, unsigned n)
{
    for (unsigned have = 1; have < n;) {
        unsigned more = have < n - have ? have : n - have;
        bits &= bits >> more;
        have += more;
    }
    return bits;
}

static unsigned run_longest(uint64_t bits)
{
    uint64_t of[6] = {bits}; /* bits at which 1, 2, 4, ... begin */
    unsigned i = 0;
    if (!bits || bits == ALL_FREE)
        return bits ? CHUNK_LINES : 0;
    for (; i < 5 && (of[i + 1] = of[i] & of[i] >> (1u << i)) != 0; i++)
        ;
    unsigned n = 1u << i;
    for (uint64_t at = of[i], longer; i-- > 0;) {
        if ((longer = at & of[i] >> n) != 0)
            at = longer, n += 1u << i;
    }
    return n;
}

static uint64_t run_mask(unsigned at, unsigned n)
{
    return ALL_FREE >> (CHUNK_LINES - n) << at;
}

/* --- pages ------------------------------------------------------------------------------------ */

/* Full pages are in no list. */
static void page_insert(struct cache *c, struct cache_worker *w, uint32_t id, unsigned longest)
{
    struct cell_page *p = &c->page[id];
    if (longest == 0)
        return;
    uint64_t bit = (uint64_t)1 << (longest - 1);
    uint32_t *first = &w->cells.first[longest - 1];
    p->prev = CHUNK_NONE;
    p->next = w->cells.with & bit ? *first : CHUNK_NONE;
    if (p->next != CHUNK_NONE)
        c->page[p->next].prev = id;
    *first = id;
    w->cells.with |= bit;
}

static void page_remove(struct cache *c, struct cache_worker *w, uint32_t id, unsigned longest)
{
    const struct cell_page *p = &c->page[id];
    if (longest == 0)
        return;
    if (p->next != CHUNK_NONE)
        c->page[p->next].prev = p->prev;
    if (p->prev != CHUNK_NONE)
        c->page[p->prev].next = p->next;
    else if (p->next != CHUNK_NONE)
        w->cells.first[longest - 1] = p->next;
    else
        w->cells.with &= ~((uint64_t)1 << (longest - 1));
}

/* After lines were taken or given. */
static void page_change(struct cache *c, struct cache_worker *w, uint32_t id, uint64_t free)
{
    unsigned before = run_longest(c->page[id].free), after = run_longest(free);
    if (before != after)
        page_remove(c, w, id, before);
    c->page[id].free = free;
    if (before != after)
        page_insert(c, w, id, after);
}

/* A new page, of which IDs reach all lines. */
static uint32_t page_make(struct cache *c, struct cache_worker *w)
{
    uint32_t id = cache_chunk_take(c, w);
    if (id == CHUNK_NONE)
        return id;
    if (id - worker_first_chunk(c, w) >= CELL_CHUNKS) {
        cache_chunk_give(c, w, id);
        return CHUNK_NONE;
    }
    poison(chunk_data(c, id), CACHE_CHUNK_BYTES);
    c->page[id].free = ALL_FREE;
    page_insert(c, w, id, CHUNK_LINES);
    w->used.pages++;
    return id;
}

/* Of a run of the worker's. */
static uint32_t page_of(const struct cache *c, const struct cache_worker *w, uint32_t cell)
{
    return worker_first_chunk(c, w) + (cell & ~CELL_ID) / CHUNK_LINES;
}

/* --- runs ------------------------------------------------------------------------------------- */

uint32_t cache_cells_take(struct cache *c, struct cache_worker *w, uint32_t bytes)
{
    unsigned n = lines_for(bytes);
    assert(n >= 1 && n <= CHUNK_LINES);
    uint64_t with = w->cells.with & ALL_FREE << (n - 1);
    uint32_t id = with ? w->cells.first[__builtin_ctzll(with)] : page_make(c, w);
    if (id == CHUNK_NONE)
        return id;
    uint64_t free = c->page[id].free;
    unsigned at = (unsigned)__builtin_ctzll(run_starts(free, n));
    page_change(c, w, id, free & ~run_mask(at, n));
    w->used.lines += n;
    unpoison(chunk_data(c, id) + at * LINE, n * LINE);
    return CELL_ID | ((id - worker_first_chunk(c, w)) * CHUNK_LINES + at);
}

void cache_cells_give(struct cache *c, struct cache_worker *w, uint32_t cell, uint32_t bytes)
{
    unsigned n = lines_for(bytes), at = (cell & ~CELL_ID) % CHUNK_LINES;
    uint32_t id = page_of(c, w, cell);
    uint64_t run = run_mask(at, n), free = c->page[id].free;
    assert(at + n <= CHUNK_LINES && !(free & run));
    w->used.lines -= n;
    poison(chunk_data(c, id) + at * LINE, n * LINE);
    page_change(c, w, id, free | run);
    if (c->page[id].free != ALL_FREE)
        return;
    page_remove(c, w, id, CHUNK_LINES);
    w->used.pages--;
    cache_chunk_give(c, w, id);
}

bool cache_cells_sparse(const struct cache *c, const struct cache_worker *w,
                        const struct cache_object *o)
{
    uint64_t lost = w->used.pages * CHUNK_LINES - w->used.lines;
    if (lost * 32 < w->total.chunks * CHUNK_LINES)
        return false;
    for (unsigned i = 0; i < OBJECT_INLINE && o->chunk[i] != CHUNK_NONE; i++)
        if (o->chunk[i] & CELL_ID) {
            uint64_t free = c->page[page_of(c, w, o->chunk[i])].free;
            return __builtin_popcountll(free) >= (int)CHUNK_LINES / 2;
        }
    return false;
}
