/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Belady's MIN (1966): what is asked for again last goes, the newcomer included, which then passes
 * by. For objects of one size nothing misses less. For several it is a heuristic; bounds are
 * pfoo.c's.
 *
 * The heap holds an entry for each hit; those that are out of date are thrown away when they come
 * to the top, or all at once when there are too many.
 */
#include <stdlib.h>

#include "perf/trace/policy.h"

struct belady {
    const struct trace *t;
    uint64_t capacity, used;
    uint32_t *next, *bytes; /* by object, when in the cache; bytes 0: it is not */
    uint64_t *heap;         /* next request << 32 | object, the latest first */
    uint32_t n, room;
};

static void sift_down(struct belady *b, uint32_t at)
{
    uint64_t e = b->heap[at];
    for (uint32_t child; (child = 2 * at + 1) < b->n; at = child) {
        if (child + 1 < b->n && b->heap[child + 1] > b->heap[child])
            child++;
        if (b->heap[child] <= e)
            break;
        b->heap[at] = b->heap[child];
    }
    b->heap[at] = e;
}

static bool is_current(const struct belady *b, uint64_t e)
{
    uint32_t object = (uint32_t)e;
    return b->bytes[object] && b->next[object] == e >> 32;
}

static void pop(struct belady *b)
{
    b->heap[0] = b->heap[--b->n];
    if (b->n)
        sift_down(b, 0);
}

static void push(struct belady *b, uint32_t object)
{
    uint64_t e = (uint64_t)b->next[object] << 32 | object;
    if (b->n == b->room) { /* more than twice the objects: most are out of date */
        uint32_t kept = 0;
        for (uint32_t i = 0; i < b->n; i++)
            if (is_current(b, b->heap[i]))
                b->heap[kept++] = b->heap[i];
        b->n = kept;
        for (uint32_t i = kept / 2; i-- > 0;)
            sift_down(b, i);
    }
    uint32_t at = b->n++;
    for (; at && b->heap[(at - 1) / 2] < e; at = (at - 1) / 2)
        b->heap[at] = b->heap[(at - 1) / 2];
    b->heap[at] = e;
}

/* The object to give up: TRACE_NONE when the one that asks, wanted again at `next`, is the worst.
 */
static uint32_t victim(struct belady *b, uint32_t next)
{
    while (b->n && !is_current(b, b->heap[0]))
        pop(b);
    return b->n && b->heap[0] >> 32 > next ? (uint32_t)b->heap[0] : TRACE_NONE;
}

static bool request(void *state, uint32_t i)
{
    struct belady *b = state;
    const struct trace_request *r = &b->t->request[i];
    uint32_t next = b->t->next[i];
    if (b->bytes[r->object]) {
        b->next[r->object] = next;
        if (next == TRACE_NONE) { /* never again: it leaves at once */
            b->used -= b->bytes[r->object];
            b->bytes[r->object] = 0;
        } else {
            push(b, r->object);
        }
        return true;
    }
    if (r->bytes > b->capacity || next == TRACE_NONE)
        return false;
    while (b->used + r->bytes > b->capacity) {
        uint32_t out = victim(b, next);
        if (out == TRACE_NONE)
            return false;
        b->used -= b->bytes[out];
        b->bytes[out] = 0;
    }
    b->used += r->bytes;
    b->bytes[r->object] = r->bytes;
    b->next[r->object] = next;
    push(b, r->object);
    return false;
}

static void destroy(void *state)
{
    struct belady *b = state;
    free(b->next);
    free(b->bytes);
    free(b->heap);
    free(b);
}

static void *create(const struct trace *t, uint64_t capacity)
{
    struct belady *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    *b = (struct belady){.t = t, .capacity = capacity, .room = 2 * t->objects + 64};
    b->next = calloc(t->objects + 1ul, sizeof(*b->next));
    b->bytes = calloc(t->objects + 1ul, sizeof(*b->bytes));
    b->heap = calloc(b->room, sizeof(*b->heap));
    if (b->next && b->bytes && b->heap)
        return b;
    destroy(b);
    return NULL;
}

const struct policy policy_belady = {"belady",
                                     "Belady's MIN: exact for one size, a heuristic for several",
                                     create, request, destroy};
