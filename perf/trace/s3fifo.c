/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * S3-FIFO (Yang et al., SOSP 2023, algorithm 1), shares in bytes:
 *
 *   new --> [ small, 10 % ] --used twice--> [ main ] <--used: again, one use less--.
 *                |                             |            '----------------------'
 *                '--> [ ghost: 90 % of the      '--> gone
 *                       capacity, no bytes ] --asked for--> main
 *
 * "s3fifo-size" has a rule for sizes: an object of 2^-c of the mean size in the cache (c rounded;
 * of larger ones 0) goes to main with 2 - c uses, and each use is worth 1 + c rounds in main, of
 * which it has 7 at most. So what costs few bytes stays longer, and what costs many is treated as
 * before. A hit still only counts, up to 3; the hand turns uses into rounds.
 */
#include <math.h>

#include "perf/trace/queue.h"

#define USES_MAX   3
#define ROUNDS_MAX 7

enum where { GONE, SMALL, MAIN, GHOST };

struct s3fifo {
    const struct trace *t;
    uint64_t capacity;
    bool by_size;
    struct resident *all;
    struct queue small, main, ghost;
};

/* --- the queues ------------------------------------------------------------------------------- */

static struct queue *queue_of(struct s3fifo *s, enum where where)
{
    return where == SMALL ? &s->small : where == MAIN ? &s->main : &s->ghost;
}

static void move(struct s3fifo *s, uint32_t object, enum where to)
{
    struct resident *o = &s->all[object];
    if (o->where != GONE)
        queue_take(queue_of(s, o->where), s->all, object);
    o->where = (uint8_t)to;
    if (to != GONE)
        queue_push(queue_of(s, to), s->all, object);
}

/* c of the rule; 0 without it. */
static unsigned smaller(const struct s3fifo *s, uint32_t bytes)
{
    if (!s->by_size)
        return 0;
    uint64_t objects = s->small.objects + s->main.objects;
    double mean = (double)(s->small.bytes + s->main.bytes) / (double)objects;
    unsigned c = 0;
    for (double size = bytes * M_SQRT2; size < mean && c < ROUNDS_MAX; size *= 2)
        c++;
    return c;
}

static void evict_small(struct s3fifo *s)
{
    uint32_t object = s->small.oldest;
    struct resident *o = &s->all[object];
    if (o->uses + smaller(s, o->bytes) >= 2) {
        o->uses = 0;
        move(s, object, MAIN);
        return;
    }
    move(s, object, GHOST);
    while (s->ghost.bytes > s->capacity - s->capacity / 10)
        move(s, s->ghost.oldest, GONE);
}

static void evict_main(struct s3fifo *s)
{
    uint32_t object = s->main.oldest;
    struct resident *o = &s->all[object];
    unsigned most = s->by_size ? ROUNDS_MAX : USES_MAX;
    unsigned rounds = o->rounds + o->uses * (1 + smaller(s, o->bytes));
    o->uses = 0;
    o->rounds = (uint8_t)(rounds < most ? rounds : most);
    if (o->rounds) {
        o->rounds--;
        move(s, object, MAIN);
    } else {
        move(s, object, GONE);
    }
}

static bool request(void *state, uint32_t i)
{
    struct s3fifo *s = state;
    const struct trace_request *r = &s->t->request[i];
    struct resident *o = &s->all[r->object];
    if (o->where == SMALL || o->where == MAIN) {
        if (o->uses < USES_MAX)
            o->uses++;
        return true;
    }
    if (r->bytes > s->capacity)
        return false;
    bool known = o->where == GHOST;
    if (known)
        move(s, r->object, GONE);
    while (s->small.bytes + s->main.bytes + r->bytes > s->capacity) {
        if (s->small.objects && (s->small.bytes >= s->capacity / 10 || !s->main.objects))
            evict_small(s);
        else
            evict_main(s);
    }
    *o = (struct resident){.bytes = r->bytes};
    move(s, r->object, known ? MAIN : SMALL);
    return false;
}

static void destroy(void *state)
{
    struct s3fifo *s = state;
    free(s->all);
    free(s);
}

static void *create(const struct trace *t, uint64_t capacity)
{
    struct s3fifo *s = calloc(1, sizeof(*s));
    struct resident *all = calloc(t->objects + 1ul, sizeof(*all));
    if (!s || !all) {
        free(s);
        free(all);
        return NULL;
    }
    *s = (struct s3fifo){t, capacity, false, all, queue_empty(), queue_empty(), queue_empty()};
    return s;
}

static void *create_by_size(const struct trace *t, uint64_t capacity)
{
    struct s3fifo *s = create(t, capacity);
    if (s)
        s->by_size = true;
    return s;
}

const struct policy policy_s3fifo = {"s3fifo", "S3-FIFO, shares in bytes", create, request,
                                     destroy};
const struct policy policy_s3fifo_size = {"s3fifo-size", "S3-FIFO with a rule for sizes",
                                          create_by_size, request, destroy};
