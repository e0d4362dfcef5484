/* SPDX-License-Identifier: BSD-3-Clause */
/* The model checker: depth first over all states, each seen once. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

struct view {
    uint8_t seen[MODEL_LOCATIONS]; /* index of a store */
    uint8_t clock[MODEL_THREADS];
};

struct store {
    uint8_t value;
    struct view carried;
};

/* Clocks of each thread's last accesses, 0: none. */
struct location {
    uint8_t stores;
    uint8_t wrote_plain[MODEL_THREADS], wrote[MODEL_THREADS];
    uint8_t read_plain[MODEL_THREADS], read[MODEL_THREADS];
    struct store store[MODEL_STORES];
};

struct thread {
    uint8_t at;
    uint8_t reg[MODEL_REGISTERS];
    struct view now;
    struct view pending; /* carried by what was read relaxed: joined by a fence */
    struct view fenced;  /* carried by relaxed stores: that of the last fence */
};

struct state { /* bytes only: no holes, so it can be hashed */
    struct location location[MODEL_LOCATIONS];
    struct thread thread[MODEL_THREADS];
    struct view fence; /* of all fences so far */
};

#define SEEN_BITS 18

struct run {
    const struct model_program *program;
    const int *order;
    struct hash128 *seen; /* open addressing */
    struct hash_secret secret;
    struct model_result result;
};

static void view_join(struct view *v, const struct view *other)
{
    for (unsigned i = 0; i < MODEL_LOCATIONS; i++)
        if (v->seen[i] < other->seen[i])
            v->seen[i] = other->seen[i];
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        if (v->clock[i] < other->clock[i])
            v->clock[i] = other->clock[i];
}

static bool is_acquire(int order)
{
    return order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static bool is_release(int order)
{
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

/* First time? */
static bool state_new(struct run *r, const struct state *s)
{
    struct hash128 h = hash128(&r->secret, s, sizeof(*s));
    uint64_t mask = ((uint64_t)1 << SEEN_BITS) - 1, i = h.lo & mask;
    h.hi |= 1; /* none is empty */
    for (; r->seen[i].hi; i = (i + 1) & mask)
        if (r->seen[i].hi == h.hi && r->seen[i].lo == h.lo)
            return false;
    if (++r->result.states > mask / 2) {
        fprintf(stderr, "%s: too many states\n", r->program->name);
        abort();
    }
    r->seen[i] = h;
    return true;
}

/* --- one step --------------------------------------------------------------------------------- */

static bool ordered(const uint8_t access[MODEL_THREADS], const struct view *v)
{
    for (unsigned i = 0; i < MODEL_THREADS; i++)
        if (access[i] > v->clock[i])
            return false;
    return true;
}

/* What races with it, NULL: nothing. */
static const char *race(const struct location *l, const struct view *v, bool plain, bool write)
{
    if (!ordered(l->wrote_plain, v) || (plain && !ordered(l->wrote, v)))
        return "races with a write";
    if (write && (!ordered(l->read_plain, v) || (plain && !ordered(l->read, v))))
        return "races with a read";
    return NULL;
}

static void access_note(struct location *l, unsigned t, uint8_t clock, bool plain, bool write)
{
    uint8_t *access = write ? (plain ? l->wrote_plain : l->wrote) : plain ? l->read_plain : l->read;
    access[t] = clock;
}

static void location_store(struct state *s, unsigned t, uint8_t at, uint8_t value,
                           const struct view *carried)
{
    struct location *l = &s->location[at];
    if (l->stores == MODEL_STORES) {
        fprintf(stderr, "too many stores\n");
        abort();
    }
    l->store[l->stores] = (struct store){.value = value};
    if (carried)
        l->store[l->stores].carried = *carried;
    l->store[l->stores].carried.seen[at] = l->stores;
    s->thread[t].now.seen[at] = l->stores++;
}

static void step_load(struct state *s, unsigned t, const struct model_step *p, int order,
                      unsigned which)
{
    struct thread *me = &s->thread[t];
    const struct store *from = &s->location[p->location].store[which];
    me->reg[p->reg] = from->value;
    me->now.seen[p->location] = (uint8_t)which;
    view_join(is_acquire(order) ? &me->now : &me->pending, &from->carried);
}

static void step_store(struct state *s, unsigned t, uint8_t at, uint8_t value, int order,
                       const struct view *sequence)
{
    struct thread *me = &s->thread[t];
    struct view carried = is_release(order) ? me->now : me->fenced;
    if (sequence) /* an addition goes on with the release sequence that it reads */
        view_join(&carried, sequence);
    location_store(s, t, at, value, &carried);
    if (is_release(order))
        me->now.clock[t]++;
}

static void step_fence(struct state *s, unsigned t)
{
    struct thread *me = &s->thread[t];
    view_join(&me->now, &me->pending);
    view_join(&me->now, &s->fence);
    s->fence = me->fenced = me->now;
    me->now.clock[t]++;
}

static uint8_t label_find(const struct model_step *program, uint8_t label)
{
    for (uint8_t i = 0; i < MODEL_STEPS; i++)
        if (program[i].label == label)
            return i;
    abort();
}

/* Those that touch memory; a load reads store number `which`. */
static const char *step_memory(const struct run *r, struct state *s, unsigned t, unsigned which)
{
    struct thread *me = &s->thread[t];
    const struct model_step *p = &r->program->thread[t][me->at];
    struct location *l = &s->location[p->location];
    int order = r->order[p->order];
    bool plain = p->op == MODEL_READ || p->op == MODEL_WRITE;
    bool write = p->op != MODEL_READ && p->op != MODEL_LOAD;
    if (p->op == MODEL_FENCE) {
        if (order != __ATOMIC_RELAXED)
            step_fence(s, t);
        me->at++;
        return NULL;
    }
    const char *bad = race(l, &me->now, plain, write);
    access_note(l, t, me->now.clock[t], plain, write);
    me->at++;
    const struct store last = l->store[l->stores - 1];
    switch (p->op) {
    case MODEL_LOAD:
        step_load(s, t, p, order, which);
        break;
    case MODEL_READ:
        me->reg[p->reg] = last.value;
        break;
    case MODEL_WRITE:
        location_store(s, t, p->location, p->value, NULL);
        break;
    case MODEL_ADD:
        step_load(s, t, p, order, l->stores - 1u);
        step_store(s, t, p->location, (uint8_t)(last.value + p->value), order, &last.carried);
        break;
    default:
        step_store(s, t, p->location, p->op == MODEL_COPY ? me->reg[p->reg] : p->value, order,
                   NULL);
        break;
    }
    return bad;
}

/* Those that don't. */
static const char *step_local(const struct run *r, struct state *s, unsigned t)
{
    struct thread *me = &s->thread[t];
    const struct model_step *program = r->program->thread[t], *p = &program[me->at++];
    uint8_t reg = me->reg[p->reg];
    switch (p->op) {
    case MODEL_UNLESS:
        if (reg != p->value)
            me->at = label_find(program, p->to);
        return NULL;
    case MODEL_BELOW:
        if (reg >= p->value)
            me->at = label_find(program, p->to);
        return NULL;
    case MODEL_GO:
        me->at = label_find(program, p->to);
        return NULL;
    case MODEL_EXPECT:
        return reg == p->value ? NULL : "sees what it must not see";
    default:
        return reg == me->reg[p->value] ? NULL : "sees a torn object";
    }
}

static bool is_local(uint8_t op)
{
    return op >= MODEL_UNLESS;
}

static void path_add(struct run *r, unsigned t, uint8_t at)
{
    if (r->result.steps == MODEL_DEPTH)
        abort();
    r->result.path[r->result.steps++] = (uint8_t)(t * MODEL_STEPS + at);
}

/* One access that others can tell, and what follows that they can't: local steps, and plain ones,
 * whose races are found by clocks wherever they happen. */
static void step(struct run *r, struct state *s, unsigned t, unsigned which)
{
    const struct model_step *program = r->program->thread[t];
    path_add(r, t, s->thread[t].at);
    r->result.broken = step_memory(r, s, t, which);
    for (;;) {
        uint8_t at = s->thread[t].at, op = program[at].op;
        if (r->result.broken || !(is_local(op) || op == MODEL_READ || op == MODEL_WRITE))
            return;
        path_add(r, t, at);
        r->result.broken = is_local(op) ? step_local(r, s, t) : step_memory(r, s, t, 0);
    }
}

/* --- all of them ------------------------------------------------------------------------------ */

static void explore(struct run *r, const struct state *s)
{
    if (!state_new(r, s))
        return;
    for (unsigned t = 0; t < MODEL_THREADS; t++) {
        if (!r->program->thread[t])
            continue;
        const struct thread *me = &s->thread[t];
        const struct model_step *p = &r->program->thread[t][me->at];
        if (p->op == MODEL_END)
            continue;
        unsigned first = 0, last = 0;
        if (p->op == MODEL_LOAD) {
            first = me->now.seen[p->location];
            last = s->location[p->location].stores - 1u;
        }
        for (unsigned which = first; which <= last; which++) {
            struct state next = *s;
            unsigned steps = r->result.steps;
            step(r, &next, t, which);
            if (!r->result.broken)
                explore(r, &next);
            if (r->result.broken)
                return;
            r->result.steps = steps;
        }
    }
}

struct model_result model_run(const struct model_program *program, const int *order)
{
    struct run r = {.program = program, .order = order};
    struct state first = {0};
    r.seen = calloc((size_t)1 << SEEN_BITS, sizeof(*r.seen));
    if (!r.seen)
        abort();
    for (unsigned i = 0; i < sizeof(r.secret.bytes); i++)
        r.secret.bytes[i] = (uint8_t)(i * 167 + 13);
    for (unsigned i = 0; i < MODEL_LOCATIONS; i++) {
        first.location[i].stores = 1;
        first.location[i].store[0].value = program->initial[i];
    }
    for (unsigned t = 0; t < MODEL_THREADS; t++)
        first.thread[t].now.clock[t] = 1;
    explore(&r, &first);
    free(r.seen);
    return r.result;
}
