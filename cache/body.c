/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bodies: equal chunks and a tail, their map, their checksums. The order that readers rely on:
 * bytes, CRC and map entries first, then the release-store of `ready` (or, for the last piece's
 * CRC, of `state`). A piece stays where it is, since somebody may be reading it: a body whose
 * length was not known when it began gets an heir with a smaller tail (cache_settle).
 */
#include <string.h>

#include <isa-l/crc.h>

#include "cache/private.h"

#define CRC_START 0xffffffffu

/* --- chunks ----------------------------------------------------------------------------------- */

uint32_t cache_chunk_take(struct cache *c, struct cache_worker *w)
{
    uint32_t id = w->free_chunk;
    if (id != CHUNK_NONE) {
        w->free_chunk = c->crc[id];
        w->used.chunks++;
        unpoison(chunk_data(c, id), CACHE_CHUNK_BYTES);
    }
    return id;
}

/* Last in, first out: the chunk just freed is the one still in the CPU's cache. */
void cache_chunk_give(struct cache *c, struct cache_worker *w, uint32_t id)
{
    c->crc[id] = w->free_chunk;
    w->free_chunk = id;
    poison(chunk_data(c, id), CACHE_CHUNK_BYTES);
    w->used.chunks--;
}

static uint32_t *chunk_ids(const struct cache *c, uint32_t id)
{
    return (uint32_t *)chunk_data(c, id);
}

/* An empty map or leaf: all ids CHUNK_NONE. */
static uint32_t leaf_take(struct cache *c, struct cache_worker *w)
{
    uint32_t id = cache_chunk_take(c, w);
    if (id != CHUNK_NONE)
        memset(chunk_data(c, id), 0xff, CACHE_CHUNK_BYTES);
    return id;
}

/* --- pieces in cells, of a body whose length was known when it began -------------------------- */

/* Bytes of a map of no leaves; 0: it takes a chunk. */
static uint32_t map_bytes(const struct cache_object *o)
{
    uint64_t n = length_known(o) ? chunks_for(o->meta.content_length) : 0;
    return n > OBJECT_INLINE && n <= OBJECT_INLINE + MAP_DIRECT
               ? (uint32_t)(n - OBJECT_INLINE) * (uint32_t)sizeof(uint32_t)
               : 0;
}

/* Bytes of the run of a tail: the body's, and its CRC in the last word. 0: it takes a chunk. */
static uint32_t run_bytes(uint32_t length)
{
    uint32_t bytes = length % CACHE_CHUNK_BYTES;
    return bytes && bytes + sizeof(uint32_t) <= CACHE_CHUNK_BYTES ? bytes + sizeof(uint32_t) : 0;
}

/* The same of piece `i`, if that is the tail; a tail whose length is not known yet takes a chunk.
 */
static uint32_t tail_bytes(const struct cache_object *o, uint64_t i)
{
    bool is_tail = length_known(o) && o->meta.content_length / CACHE_CHUNK_BYTES == i;
    return is_tail ? run_bytes(o->meta.content_length) : 0;
}

/* The word for the CRC32C of piece `i`'s bytes so far. */
static uint32_t *piece_crc(const struct cache *c, const struct cache_object *o, uint64_t i,
                           uint32_t id)
{
    if (!(id & CELL_ID))
        return &c->crc[id];
    return (uint32_t *)(piece_data(c, o, id) + lines_for(tail_bytes(o, i)) * LINE) - 1;
}

/* --- the map ---------------------------------------------------------------------------------- */

static uint32_t map_take(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    uint32_t bytes = map_bytes(o), id = bytes ? cache_cells_take(c, w, bytes) : CHUNK_NONE;
    if (id == CHUNK_NONE)
        return leaf_take(c, w);
    o->flags |= OBJECT_MAP_CELLS;
    memset(piece_data(c, o, id), 0xff, bytes);
    return id;
}

static uint32_t piece_take(struct cache *c, struct cache_worker *w, struct cache_object *o,
                           uint64_t i)
{
    uint32_t bytes = tail_bytes(o, i), id = bytes ? cache_cells_take(c, w, bytes) : CHUNK_NONE;
    if (id != CHUNK_NONE)
        o->flags |= OBJECT_TAIL_CELLS;
    else
        id = cache_chunk_take(c, w);
    if (id != CHUNK_NONE)
        *piece_crc(c, o, i, id) = CRC_START;
    return id;
}

static void piece_give(struct cache *c, struct cache_worker *w, const struct cache_object *o,
                       uint64_t i, uint32_t id)
{
    if (id & CELL_ID)
        cache_cells_give(c, w, id, tail_bytes(o, i));
    else
        cache_chunk_give(c, w, id);
}

/* Where the id of the body's piece `i` stands; the maps on the way are there. */
static uint32_t *body_slot(const struct cache *c, const struct cache_object *o, uint64_t i)
{
    if (i < OBJECT_INLINE)
        return (uint32_t *)(uintptr_t)&o->chunk[i];
    uint32_t *map = (uint32_t *)piece_data(c, o, o->map);
    i -= OBJECT_INLINE;
    if (i < MAP_DIRECT)
        return &map[i];
    i -= MAP_DIRECT;
    return &chunk_ids(c, map[MAP_DIRECT + i / MAP_IDS])[i % MAP_IDS];
}

/* Makes the maps that piece `i` needs. False: no memory; a map made stays for the next attempt. */
static bool body_map(struct cache *c, struct cache_worker *w, struct cache_object *o, uint64_t i)
{
    if (i < OBJECT_INLINE)
        return true;
    if (o->map == CHUNK_NONE) {
        o->map = map_take(c, w, o);
        if (o->map == CHUNK_NONE)
            return false;
    }
    i -= OBJECT_INLINE;
    if (i < MAP_DIRECT)
        return true;
    uint32_t *leaf = &chunk_ids(c, o->map)[MAP_DIRECT + (i - MAP_DIRECT) / MAP_IDS];
    if (*leaf == CHUNK_NONE)
        *leaf = leaf_take(c, w);
    return *leaf != CHUNK_NONE;
}

/* The body's piece `i`, taken if it is not there; CHUNK_NONE: no memory. */
static uint32_t body_piece(struct cache *c, struct cache_worker *w, struct cache_object *o,
                           uint64_t i)
{
    if (!body_map(c, w, o, i))
        return CHUNK_NONE;
    uint32_t *slot = body_slot(c, o, i);
    if (*slot == CHUNK_NONE)
        *slot = piece_take(c, w, o, i);
    return *slot;
}

/* Pieces from the first on beyond which none is taken. */
static uint64_t body_reach(const struct cache_object *o)
{
    uint64_t n = chunks_for(o->ready);
    return object_state(o) != CACHE_COMPLETE && o->reach > n ? o->reach : n;
}

struct amount cache_body_amount(const struct cache_object *o)
{
    if (!(o->flags & OBJECT_BODY_MOVED))
        return cache_body_whole(o);
    uint64_t n = body_reach(o);
    return (struct amount){.chunks = o->flags & OBJECT_SETTLED ? 1 + (n > OBJECT_INLINE) : 0};
}

struct amount cache_body_whole(const struct cache_object *o)
{
    uint64_t n = body_reach(o);
    struct amount a = {.chunks = n};
    if (n > OBJECT_INLINE + MAP_DIRECT)
        a.chunks += 1 + (n - OBJECT_INLINE - MAP_DIRECT + MAP_IDS - 1) / MAP_IDS;
    else if (n > OBJECT_INLINE)
        a.chunks++;
    if (n > OBJECT_INLINE && (o->flags & OBJECT_MAP_CELLS)) {
        a.chunks--;
        a.lines += lines_for(map_bytes(o));
    }
    if (n && (o->flags & OBJECT_TAIL_CELLS)) {
        a.chunks--;
        a.lines += lines_for(tail_bytes(o, o->meta.content_length / CACHE_CHUNK_BYTES));
    }
    return a;
}

void cache_body_end(const struct cache *c, const struct cache_object *o)
{
    uint64_t i = o->ready / CACHE_CHUNK_BYTES;
    uint32_t last = (uint32_t)(o->ready % CACHE_CHUNK_BYTES), room = CACHE_CHUNK_BYTES;
    if (!last)
        return;
    uint32_t id = *body_slot(c, o, i);
    if (id & CELL_ID) /* up to the CRC */
        room = lines_for(tail_bytes(o, i)) * LINE - (uint32_t)sizeof(uint32_t);
    poison(piece_data(c, o, id) + last, room - last);
}

static void map_free(struct cache *c, struct cache_worker *w, struct cache_object *o)
{
    if (o->map == CHUNK_NONE)
        return;
    if (o->map & CELL_ID) {
        cache_cells_give(c, w, o->map, map_bytes(o));
    } else {
        const uint32_t *map = chunk_ids(c, o->map);
        for (unsigned i = MAP_DIRECT; i < MAP_IDS && map[i] != CHUNK_NONE; i++)
            cache_chunk_give(c, w, map[i]);
        cache_chunk_give(c, w, o->map);
    }
    o->map = CHUNK_NONE;
}

/* --- an heir that takes less ------------------------------------------------------------------ */

/* Bodies with leaves stay as they are: what is lost of them is little. */
bool cache_body_settles(const struct cache_object *o)
{
    uint64_t n = chunks_for(o->ready);
    return !length_known(o) && n <= OBJECT_INLINE + MAP_DIRECT &&
           (n > OBJECT_INLINE || run_bytes(o->ready));
}

/* The map of more than OBJECT_INLINE pieces is the heir's own, so that its last entry can be. */
static bool settle_map(struct cache *c, struct cache_worker *w, struct cache_object *heir)
{
    uint32_t bytes = map_bytes(heir), id = bytes ? cache_cells_take(c, w, bytes) : heir->map;
    if (bytes && id != CHUNK_NONE) {
        memcpy(piece_data(c, heir, id), piece_data(c, heir, heir->map), bytes);
        heir->map = id;
        heir->flags |= OBJECT_MAP_CELLS;
    }
    return !bytes || id != CHUNK_NONE;
}

bool cache_body_settle(struct cache *c, struct cache_worker *w, const struct cache_object *o,
                       struct cache_object *heir)
{
    uint64_t i = o->ready / CACHE_CHUNK_BYTES;
    uint32_t bytes = tail_bytes(heir, i);
    if (!settle_map(c, w, heir))
        return false;
    uint32_t id = bytes ? cache_cells_take(c, w, bytes) : CHUNK_NONE;
    if (id == CHUNK_NONE)
        return heir->flags & OBJECT_MAP_CELLS;
    uint32_t *slot = body_slot(c, heir, i);
    memcpy(piece_data(c, heir, id), chunk_data(c, *slot), o->ready % CACHE_CHUNK_BYTES);
    *piece_crc(c, heir, i, id) = c->crc[*slot];
    *slot = id;
    heir->flags |= OBJECT_TAIL_CELLS;
    cache_body_end(c, heir);
    return true;
}

/* What `o`, whose heir has the rest, kept of its own. */
static void spare_free(struct cache *c, struct cache_worker *w, const struct cache_object *o)
{
    const struct cache_object *heir = object_at(c, o->prev);
    if (!(o->flags & OBJECT_SETTLED))
        return;
    if (heir->flags & OBJECT_TAIL_CELLS)
        cache_chunk_give(c, w, *body_slot(c, o, o->ready / CACHE_CHUNK_BYTES));
    if (heir->flags & OBJECT_MAP_CELLS)
        cache_chunk_give(c, w, o->map);
}

/* --- freeing ---------------------------------------------------------------------------------- */

bool cache_body_free(struct cache *c, struct cache_worker *w, struct cache_object *o,
                     uint64_t budget)
{
    uint64_t n = body_reach(o);
    if (o->flags & OBJECT_BODY_MOVED) {
        spare_free(c, w, o);
        return true;
    }
    for (; n && budget; budget--) {
        uint32_t id = *body_slot(c, o, --n);
        if (id != CHUNK_NONE) /* a hole among those taken ahead */
            piece_give(c, w, o, n, id);
    }
    uint64_t left = n * CACHE_CHUNK_BYTES < o->ready ? n * CACHE_CHUNK_BYTES : o->ready;
    w->used.bytes -= o->ready - left;
    cache_promise_take(w, o);
    o->ready = (uint32_t)left;
    cache_promise_give(w, o);
    if (object_state(o) != CACHE_COMPLETE)
        o->reach = 0;
    if (n)
        return false;
    map_free(c, w, o);
    return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

size_t cache_append(struct cache *c, struct cache_object *o, const void *data, size_t len)
{
    struct cache_worker *w = object_worker(c, o);
    if (object_state(o) != CACHE_FILLING)
        return 0;
    uint64_t ready = o->ready;
    if (length_known(o) && len > o->meta.content_length - ready) {
        counter_inc(&w->counters.cache_length_wrong_total);
        cache_fail(c, o);
        return 0;
    }
    if (len > c->limit - ready) {
        counter_inc(&w->counters.cache_too_large_total);
        len = c->limit - ready;
    }
    cache_evict_for(c, w, chunks_for(len) + 2);

    size_t done = 0;
    while (done < len) {
        uint32_t at = (uint32_t)(ready % CACHE_CHUNK_BYTES);
        uint64_t i = ready / CACHE_CHUNK_BYTES;
        uint32_t id = body_piece(c, w, o, i);
        if (id == CHUNK_NONE) {
            counter_inc(&w->counters.cache_no_chunk_total);
            break;
        }
        size_t n = len - done < CACHE_CHUNK_BYTES - at ? len - done : CACHE_CHUNK_BYTES - at;
        uint8_t *to = piece_data(c, o, id) + at;
        uint32_t *crc = piece_crc(c, o, i, id);
        if (to != (const uint8_t *)data + done)
            memcpy(to, (const uint8_t *)data + done, n);
        else
            counter_add(&w->counters.cache_placed_bytes_total, n);
        *crc = crc32_iscsi(to, (int)n, *crc);
        ready += n;
        done += n;
    }
    counter_add(&w->counters.cache_bytes_total, done);
    w->used.bytes += done;
    cache_worker_gauges(w);
    cache_promise_take(w, o);
    __atomic_store_n(&o->ready, (uint32_t)ready, CACHE_READY_STORE);
    cache_promise_give(w, o);
    return done;
}

/* The last 128th of the chunks are for bytes in order: what is ahead of a hole must not keep those
 * from filling it. */
static bool has_to_spare(struct cache *c, struct cache_worker *w)
{
    cache_evict_for(c, w, 1);
    return w->total.chunks - w->used.chunks > w->total.chunks / 128 + 3;
}

uint8_t *cache_place(struct cache *c, struct cache_object *o, uint64_t ahead, size_t *len)
{
    struct cache_worker *w = object_worker(c, o);
    uint64_t at = o->ready + ahead, i = at / CACHE_CHUNK_BYTES;
    if (object_state(o) != CACHE_FILLING || !length_known(o) || at >= o->meta.content_length ||
        ahead >= PLACE_CHUNKS * CACHE_CHUNK_BYTES)
        return NULL;
    uint32_t id = i < body_reach(o) ? *body_slot(c, o, i) : CHUNK_NONE;
    if (id == CHUNK_NONE) {
        if (!has_to_spare(c, w) || (id = body_piece(c, w, o, i)) == CHUNK_NONE)
            return NULL;
        if (i >= o->reach)
            o->reach = (uint32_t)i + 1;
        cache_worker_gauges(w);
    }
    uint64_t left = o->meta.content_length - at, room = CACHE_CHUNK_BYTES - at % CACHE_CHUNK_BYTES;
    left = left < room ? left : room;
    *len = *len < left ? *len : (size_t)left;
    return piece_data(c, o, id) + at % CACHE_CHUNK_BYTES;
}

/* --- reading ---------------------------------------------------------------------------------- */

struct cache_span cache_bytes(const struct cache_object *o, uint64_t offset)
{
    uint64_t ready = cache_ready(o);
    if (offset >= ready)
        return (struct cache_span){0};
    const struct cache *c = object_page(o)->cache;
    uint32_t at = (uint32_t)(offset % CACHE_CHUNK_BYTES);
    uint64_t left = ready - offset, room = CACHE_CHUNK_BYTES - at;
    return (struct cache_span){piece_data(c, o, *body_slot(c, o, offset / CACHE_CHUNK_BYTES)) + at,
                               (uint32_t)(left < room ? left : room)};
}

struct cache_span cache_bytes_verified(const struct cache_object *o, uint64_t offset, bool *damaged)
{
    /* the state first: what it says about the tail holds for a `ready` loaded later */
    bool complete = object_state(o) == CACHE_COMPLETE;
    uint64_t ready = cache_ready(o), i = offset / CACHE_CHUNK_BYTES;
    uint64_t start = i * CACHE_CHUNK_BYTES;
    *damaged = false;
    if (offset >= ready || (!complete && ready - start < CACHE_CHUNK_BYTES))
        return (struct cache_span){0};
    const struct cache *c = object_page(o)->cache;
    uint32_t id = *body_slot(c, o, i), at = (uint32_t)(offset - start);
    uint32_t len =
        (uint32_t)(ready - start < CACHE_CHUNK_BYTES ? ready - start : CACHE_CHUNK_BYTES);
    uint8_t *data = piece_data(c, o, id);
    if (crc32_iscsi(data, (int)len, CRC_START) != *piece_crc(c, o, i, id)) {
        *damaged = true;
        return (struct cache_span){0};
    }
    return (struct cache_span){data + at, len - at};
}
