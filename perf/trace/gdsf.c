/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Greedy-Dual-Size-Frequency (Cherkasova, HP Labs 98-69): the least of age + uses / bytes goes, and
 * the age becomes what that one had. Uses count from when it came in. Of equals the one touched
 * first goes.
 */
#include <stdlib.h>

#include "perf/trace/policy.h"

struct item {
    double priority;
    uint64_t touched; /* of equals: the earlier first */
    uint32_t bytes, uses;
    uint32_t place; /* 1 + its place in the heap; 0: not in the cache */
};

struct gdsf {
    const struct trace *t;
    uint64_t capacity, used;
    double age;
    struct item *all;
    uint32_t *heap, n; /* of objects, the least first */
};

static bool before(const struct gdsf *g, uint32_t a, uint32_t b)
{
    const struct item *x = &g->all[a], *y = &g->all[b];
    return x->priority < y->priority || (x->priority == y->priority && x->touched < y->touched);
}

static void place(struct gdsf *g, uint32_t at, uint32_t object)
{
    g->heap[at] = object;
    g->all[object].place = at + 1;
}

static void sift_up(struct gdsf *g, uint32_t at)
{
    uint32_t object = g->heap[at];
    for (; at && before(g, object, g->heap[(at - 1) / 2]); at = (at - 1) / 2)
        place(g, at, g->heap[(at - 1) / 2]);
    place(g, at, object);
}

static void sift_down(struct gdsf *g, uint32_t at)
{
    uint32_t object = g->heap[at];
    for (uint32_t child; (child = 2 * at + 1) < g->n; at = child) {
        if (child + 1 < g->n && before(g, g->heap[child + 1], g->heap[child]))
            child++;
        if (!before(g, g->heap[child], object))
            break;
        place(g, at, g->heap[child]);
    }
    place(g, at, object);
}

static void touch(struct gdsf *g, struct item *o, uint32_t i)
{
    o->uses++;
    o->touched = i;
    o->priority = g->age + (double)o->uses / o->bytes;
}

static void evict(struct gdsf *g)
{
    struct item *o = &g->all[g->heap[0]];
    g->age = o->priority;
    g->used -= o->bytes;
    o->place = 0;
    if (--g->n) {
        place(g, 0, g->heap[g->n]);
        sift_down(g, 0);
    }
}

static bool request(void *state, uint32_t i)
{
    struct gdsf *g = state;
    const struct trace_request *r = &g->t->request[i];
    struct item *o = &g->all[r->object];
    if (o->place) {
        touch(g, o, i);
        sift_down(g, o->place - 1); /* a priority only grows */
        return true;
    }
    if (r->bytes > g->capacity)
        return false;
    while (g->used + r->bytes > g->capacity)
        evict(g);
    *o = (struct item){.bytes = r->bytes};
    touch(g, o, i);
    g->used += r->bytes;
    place(g, g->n++, r->object);
    sift_up(g, g->n - 1);
    return false;
}

static void destroy(void *state)
{
    struct gdsf *g = state;
    free(g->all);
    free(g->heap);
    free(g);
}

static void *create(const struct trace *t, uint64_t capacity)
{
    struct gdsf *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->t = t;
    g->capacity = capacity;
    g->all = calloc(t->objects + 1ul, sizeof(*g->all));
    g->heap = calloc(t->objects + 1ul, sizeof(*g->heap));
    if (g->all && g->heap)
        return g;
    destroy(g);
    return NULL;
}

const struct policy policy_gdsf = {"gdsf", "Greedy-Dual-Size-Frequency", create, request, destroy};
