/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t large_pages(size_t count, size_t size)
{
    size_t bytes = count * size;
    return bytes < MEMORY_LARGE_PAGE ? 0
                                     : (bytes + MEMORY_LARGE_PAGE - 1) & ~(MEMORY_LARGE_PAGE - 1);
}

void *memory_new(size_t count, size_t size)
{
    size_t bytes = large_pages(count, size);
    if (bytes == 0) { /* on a line's border, like the large ones */
        size_t lines = (count * size + 63) & ~(size_t)63;
        void *p = aligned_alloc(64, lines);
        return p ? memset(p, 0, lines) : NULL;
    }
    uint8_t *p = mmap(NULL, bytes + MEMORY_LARGE_PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    size_t before = MEMORY_LARGE_PAGE - ((uintptr_t)p & (MEMORY_LARGE_PAGE - 1));
    munmap(p, before);
    if (before < MEMORY_LARGE_PAGE)
        munmap(p + before + bytes, MEMORY_LARGE_PAGE - before);
    madvise(p + before, bytes, MADV_HUGEPAGE); /* a wish: no matter when it is not granted */
    return p + before;
}

void memory_free(void *p, size_t count, size_t size)
{
    size_t bytes = large_pages(count, size);
    if (p && bytes > 0)
        munmap(p, bytes);
    else
        free(p);
}
