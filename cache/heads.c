/* SPDX-License-Identifier: BSD-3-Clause */
#include "cache/heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#ifdef CACHE_ARENAS

/* --- extent hooks (jemalloc 5.3, extent_hooks_t) -------------------------------------------------
 * jemalloc asks for slabs one at a time (retain_grow_limit), for its own records for some in one
 * piece, more each time; it splits and joins them as it likes. It keeps for ever what it got: a
 * refused dalloc means that. */

static void *hook_alloc(extent_hooks_t *hooks, void *wanted, size_t size, size_t alignment,
                        bool *zero, bool *commit, unsigned arena)
{
    struct cache_heads *h = (struct cache_heads *)hooks;
    (void)arena;
    /* less than a slab is what it asks for when it got none */
    if (wanted || size % HEADS_SLAB != 0 || alignment > HEADS_SLAB ||
        size / HEADS_SLAB > h->slabs - h->taken)
        return NULL;
    uint8_t *slab = h->slab + (size_t)h->taken * HEADS_SLAB;
    h->taken += (uint32_t)(size / HEADS_SLAB);
    if (*zero)
        memset(slab, 0, size);
    *commit = true;
    return slab;
}

static bool hook_dalloc(extent_hooks_t *hooks, void *addr, size_t size, bool committed,
                        unsigned arena)
{
    (void)hooks, (void)addr, (void)size, (void)committed, (void)arena;
    return true;
}

static bool hook_split(extent_hooks_t *hooks, void *addr, size_t size, size_t a, size_t b,
                       bool committed, unsigned arena)
{
    (void)hooks, (void)addr, (void)size, (void)a, (void)b, (void)committed, (void)arena;
    return false;
}

static bool hook_merge(extent_hooks_t *hooks, void *a, size_t a_size, void *b, size_t b_size,
                       bool committed, unsigned arena)
{
    (void)hooks, (void)a, (void)a_size, (void)b, (void)b_size, (void)committed, (void)arena;
    return false;
}

static bool arena_set(unsigned arena, const char *what, void *value, size_t size)
{
    char name[48];
    snprintf(name, sizeof(name), "arena.%u.%s", arena, what);
    return mallctl(name, NULL, NULL, value, size) == 0;
}

static bool arena_open(struct cache_heads *h)
{
    h->hooks = (extent_hooks_t){
        .alloc = hook_alloc, .dalloc = hook_dalloc, .split = hook_split, .merge = hook_merge};
    extent_hooks_t *hooks = &h->hooks;
    size_t len = sizeof(h->arena), limit = HEADS_SLAB;
    ssize_t never = -1;
    if (mallctl("arenas.create", &h->arena, &len, &hooks, sizeof(hooks)) != 0)
        return false;
    if (arena_set(h->arena, "dirty_decay_ms", &never, sizeof(never)) &&
        arena_set(h->arena, "muzzy_decay_ms", &never, sizeof(never)) &&
        arena_set(h->arena, "retain_grow_limit", &limit, sizeof(limit)))
        return true;
    arena_set(h->arena, "destroy", NULL, 0);
    return false;
}

size_t heads_slabs(size_t bytes)
{
    size_t slabs = (bytes + HEADS_SLAB - 1) / HEADS_SLAB;
    return bytes < HEADS_ARENA_LEAST ? 0 : slabs + 1 + slabs / 16; /* records, size classes */
}

bool heads_open(struct cache_heads *h, uint8_t *slab, size_t slabs)
{
    *h = (struct cache_heads){.slabs = (uint32_t)slabs};
    if (slabs == 0)
        return true;
    h->slab = slab;
    if (arena_open(h))
        return true;
    h->slab = NULL;
    return false;
}

void heads_close(struct cache_heads *h)
{
    if (h->slab)
        arena_set(h->arena, "destroy", NULL, 0);
    h->slab = NULL;
}

/* With the thread's cache it would be given memory of other arenas, and leave ours there. */
void *heads_new(struct cache_heads *h, size_t bytes)
{
    return h->slab ? mallocx(bytes, MALLOCX_ARENA(h->arena) | MALLOCX_TCACHE_NONE) : malloc(bytes);
}

void heads_free(struct cache_heads *h, void *p, size_t bytes)
{
    if (h->slab && p)
        sdallocx(p, bytes, MALLOCX_TCACHE_NONE);
    else
        free(p);
}

#else

size_t heads_slabs(size_t bytes)
{
    (void)bytes;
    return 0;
}

bool heads_open(struct cache_heads *h, uint8_t *slab, size_t slabs)
{
    (void)slab;
    *h = (struct cache_heads){0};
    return slabs == 0;
}

void heads_close(struct cache_heads *h)
{
    (void)h;
}

void *heads_new(struct cache_heads *h, size_t bytes)
{
    (void)h;
    return malloc(bytes);
}

void heads_free(struct cache_heads *h, void *p, size_t bytes)
{
    (void)h, (void)bytes;
    free(p);
}

#endif
