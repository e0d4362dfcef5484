/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Heads, and what keys have beyond their first bytes: small, of any size, written once. A jemalloc
 * arena a worker, whose extents are the worker's slabs of 2 MiB in the region (extent hooks): what
 * it holds is bounded by them, lies in hugepages, and no other thread's malloc ever meets it. Only
 * the owner allocates and frees, past jemalloc's caches of the thread, so that the arena's locks
 * are never waited for.
 *
 * An arena takes a slab and more for its own records, too much for a small share: below
 * HEADS_ARENA_LEAST, and where a sanitizer brings its own malloc, the process heap serves.
 */
#ifndef CORAL_CACHE_HEADS_H
#define CORAL_CACHE_HEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef CACHE_ARENAS
#include <jemalloc/jemalloc.h>
#endif

#define HEADS_SLAB        ((size_t)2 << 20)
#define HEADS_ARENA_LEAST (4 * HEADS_SLAB)

struct cache_heads {
#ifdef CACHE_ARENAS
    extent_hooks_t hooks; /* first: the hooks get its address */
    unsigned arena;
#endif
    uint8_t *slab; /* NULL: the process heap */
    uint32_t slabs, taken;
};

/* Slabs for so many bytes of blocks, and for the arena's records. 0: the process heap. */
size_t heads_slabs(size_t bytes);
/* Blocks from `slabs` slabs at `slab`, 2 MiB aligned; 0: from the process heap. False: jemalloc
 * gives no arena. Not to be moved while it is open. */
bool heads_open(struct cache_heads *h, uint8_t *slab, size_t slabs);
/* With slabs, frees what is left; from the process heap all must have been freed. */
void heads_close(struct cache_heads *h);
/* NULL: no room. */
void *heads_new(struct cache_heads *h, size_t bytes);
/* With the same number. */
void heads_free(struct cache_heads *h, void *p, size_t bytes);

#endif
