/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * W-TinyLFU (Einziger, Friedman, Manes, ACM TOS 2017, 4), shares in bytes:
 *
 *   new -> [ window, 1 %, LRU ] -out of it-> [ probation, LRU ] -used-> [ protected, 79 %, LRU ]
 *                                                       ^                       |
 *                                                       '------ too many -------'
 * When all are full, who comes out of the window and the oldest on probation are compared by the
 * sketch: the one asked for more often stays, at equal counts the older one. Sizes play no part in
 * it: a newcomer that has won puts out as many of the oldest as it takes.
 */
#include "perf/trace/queue.h"
#include "perf/trace/sketch.h"

enum where { GONE, WINDOW, PROBATION, PROTECTED };

struct tinylfu {
    const struct trace *t;
    uint64_t capacity, window_bytes, protected_bytes;
    struct resident *all;
    struct queue queue[4]; /* by enum where */
    struct sketch sketch;
};

static void move(struct tinylfu *w, uint32_t object, enum where to)
{
    struct resident *o = &w->all[object];
    if (o->where != GONE)
        queue_take(&w->queue[o->where], w->all, object);
    o->where = (uint8_t)to;
    if (to != GONE)
        queue_push(&w->queue[to], w->all, object);
}

static uint64_t used(const struct tinylfu *w)
{
    return w->queue[WINDOW].bytes + w->queue[PROBATION].bytes + w->queue[PROTECTED].bytes;
}

static uint32_t oldest(const struct tinylfu *w)
{
    static const enum where order[] = {PROBATION, PROTECTED, WINDOW};
    unsigned i = 0;
    while (i < 2 && w->queue[order[i]].objects == 0)
        i++;
    return w->queue[order[i]].oldest;
}

/* The last n on probation have come out of the window: each is compared, the newest first, so that
 * a large newcomer that loses does not take along those that it pushed out. */
static void make_room(struct tinylfu *w, unsigned n)
{
    uint32_t candidate = w->queue[PROBATION].newest;
    for (; n > 0 && candidate != TRACE_NONE && used(w) > w->capacity; n--) {
        uint32_t victim = oldest(w), older = w->all[candidate].older;
        if (older == victim) /* it may be gone after this */
            older = TRACE_NONE;
        if (sketch_estimate(&w->sketch, candidate) > sketch_estimate(&w->sketch, victim))
            move(w, victim, GONE);
        else
            move(w, candidate, GONE);
        candidate = older;
    }
    while (used(w) > w->capacity)
        move(w, oldest(w), GONE);
}

static void hit(struct tinylfu *w, uint32_t object)
{
    struct queue *protected = &w->queue[PROTECTED];
    move(w, object, w->all[object].where == WINDOW ? WINDOW : PROTECTED);
    while (protected->bytes > w->protected_bytes && protected->objects > 1)
        move(w, protected->oldest, PROBATION);
}

static bool request(void *state, uint32_t i)
{
    struct tinylfu *w = state;
    const struct trace_request *r = &w->t->request[i];
    struct resident *o = &w->all[r->object];
    sketch_count(&w->sketch, r->object);
    if (o->where != GONE) {
        hit(w, r->object);
        return true;
    }
    if (r->bytes > w->capacity)
        return false;
    *o = (struct resident){.bytes = r->bytes};
    move(w, r->object, WINDOW);
    unsigned out = 0;
    for (; w->queue[WINDOW].bytes > w->window_bytes; out++)
        move(w, w->queue[WINDOW].oldest, PROBATION);
    make_room(w, out);
    return false;
}

static void destroy(void *state)
{
    struct tinylfu *w = state;
    sketch_close(&w->sketch);
    free(w->all);
    free(w);
}

static void *create(const struct trace *t, uint64_t capacity)
{
    struct tinylfu *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    uint64_t main_bytes = capacity - (capacity + 99) / 100;
    *w = (struct tinylfu){.t = t,
                          .capacity = capacity,
                          .window_bytes = capacity - main_bytes,
                          .protected_bytes = main_bytes / 10 * 8 + main_bytes % 10 * 8 / 10};
    for (unsigned i = 0; i < 4; i++)
        w->queue[i] = queue_empty();
    w->all = calloc(t->objects + 1ul, sizeof(*w->all));
    double mean = t->objects ? (double)t->footprint_bytes / t->objects : 1;
    if (w->all && sketch_open(&w->sketch, (uint64_t)((double)capacity / mean)))
        return w;
    destroy(w);
    return NULL;
}

const struct policy policy_tinylfu = {"w-tinylfu", "W-TinyLFU: 1 % window, SLRU, sketch", create,
                                      request, destroy};
