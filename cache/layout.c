/* SPDX-License-Identifier: BSD-3-Clause */
/* How the budget is divided: pure arithmetic. What is drawn here is what cache_create lays out. */
#include "cache/private.h"

/* So many that refs of 32 bits reach all pages, each worker's last one begun. */
#define OBJECTS_MAX                                                                                \
    ((((uint64_t)1 << 32) * REF_UNIT / OBJECT_PAGE - CACHE_WORKERS) * OBJECT_PER_PAGE)
#define WORKER_CHUNKS_MIN 64u
#define WORKER_HEADS_MIN  65536u /* a head of any size, and then some */

static uint64_t power_of_two(uint64_t at_least)
{
    uint64_t p = 1;
    while (p < at_least)
        p <<= 1;
    return p;
}

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* All but the chunks, which come last, and what there is for each of them. */
static void divide_fixed(struct cache_layout *l, uint32_t objects, unsigned workers)
{
    uint64_t in_shard = objects / CACHE_SHARDS + 1;
    *l = (struct cache_layout){.workers = workers, .objects = objects / workers};
    l->pages = (l->objects + OBJECT_PER_PAGE - 1) / OBJECT_PER_PAGE;
    /* Up to 4.2 objects a bucket of 7. One comes to a full bucket 7 % of the time then, and stays
     * in the overflow bucket for its life, though the bucket before it has room again: a quarter of
     * the buckets have one. An overflow bucket for 16 objects is that. */
    l->buckets = power_of_two(in_shard * 10 / 42 + 1);
    l->overflow = in_shard / 16 + 1;
    l->ghost_sets = power_of_two(l->objects / GHOST_WAYS + 1);
    l->heads = l->objects * HEAD_SHARE;
    if (l->heads < WORKER_HEADS_MIN)
        l->heads = WORKER_HEADS_MIN;
    l->slabs = heads_slabs(l->heads);
    l->at_objects = workers * l->slabs * HEADS_SLAB;
    l->at_index = l->at_objects + workers * l->pages * OBJECT_PAGE;
    l->at_ghosts = l->at_index + CACHE_SHARDS * (l->buckets + l->overflow) * sizeof(struct bucket);
    l->at_pages = l->at_ghosts + workers * l->ghost_sets * sizeof(struct ghost_set);
}

static void divide_chunks(struct cache_layout *l, uint64_t chunks)
{
    l->chunks = chunks;
    l->at_crc = l->at_pages + l->workers * chunks * sizeof(struct cell_page);
    l->at_chunks = round_up(l->at_crc + l->workers * chunks * sizeof(uint32_t), CACHE_CHUNK_BYTES);
    l->region = l->at_chunks + l->workers * chunks * CACHE_CHUNK_BYTES;
    l->budget = sizeof(struct cache) + l->region + (l->slabs ? 0 : l->workers * l->heads);
}

bool cache_layout(struct cache_layout *l, size_t bytes, uint32_t objects, unsigned workers)
{
    if (workers < 1 || workers > CACHE_WORKERS || objects < workers || objects > OBJECTS_MAX)
        return false;
    divide_fixed(l, objects, workers);
    divide_chunks(l, 0);
    if (l->budget > bytes)
        return false;
    uint64_t each = (bytes - l->budget) / workers /
                    (CACHE_CHUNK_BYTES + sizeof(struct cell_page) + sizeof(uint32_t));
    if (each <= WORKER_CHUNKS_MIN || each * workers >= CELL_ID)
        return false;
    divide_chunks(l, each);
    while (l->budget > bytes) /* the rounding before the first chunk */
        divide_chunks(l, --each);
    return true;
}

size_t cache_region(const struct cache_config *config)
{
    struct cache_layout l;
    return cache_layout(&l, config->bytes, config->objects, config->workers) ? l.region : 0;
}

size_t cache_budget(uint64_t chunks, uint32_t objects, unsigned workers)
{
    struct cache_layout l;
    divide_fixed(&l, objects, workers);
    divide_chunks(&l, (chunks + workers - 1) / workers);
    return l.budget;
}
