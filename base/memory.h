/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tables taken at start: zeroed, on a cache line's border, and from 2 MiB on in large pages where
 * the kernel grants them, since a table of a million entries is read at random. Nothing is touched,
 * so what is never needed costs no memory.
 */
#ifndef CORAL_BASE_MEMORY_H
#define CORAL_BASE_MEMORY_H

#include <stddef.h>

#define MEMORY_LARGE_PAGE ((size_t)2 << 20)

/* NULL: not enough memory. Given back with the same numbers. */
void *memory_new(size_t count, size_t size);
void memory_free(void *p, size_t count, size_t size);

#endif
