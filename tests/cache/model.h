/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model checker for small protocols between threads: all interleavings, and for each load all
 * stores that it may see. After the operational form of C11's release, acquire and relaxed (Kang et
 * al., "A promising semantics for relaxed-memory concurrency", POPL 2017, without promises: no load
 * sees a store that is later in its thread's future).
 *
 * A location keeps all that was ever stored there, in its modification order. A thread has a view:
 * how far it has seen each location, and each thread. A release store takes the view along, an
 * acquire load that reads it joins it, relaxed ones don't, but for the fences around them. A load
 * may read any store that is not behind the thread's view. Plain accesses are checked for races by
 * the same views, which hold vector clocks: two accesses of which one is a plain write, or one a
 * plain read and the other a write, must be ordered.
 *
 * Stores are put at the end of the modification order: exact as long as one thread stores to a
 * location, or all others add to it (a read-modify-write reads the last).
 */
#ifndef CORAL_TESTS_CACHE_MODEL_H
#define CORAL_TESTS_CACHE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_THREADS   3
#define MODEL_LOCATIONS 8
#define MODEL_STORES    8 /* to one location in a run */
#define MODEL_REGISTERS 3
#define MODEL_STEPS     32 /* of a thread */
#define MODEL_DEPTH     256

enum model_op {
    MODEL_END,    /* of the thread */
    MODEL_LOAD,   /* reg = location */
    MODEL_STORE,  /* location = value */
    MODEL_COPY,   /* location = reg */
    MODEL_ADD,    /* location += value, one step; reg = what it was */
    MODEL_FENCE,  /* seq_cst */
    MODEL_READ,   /* plain: reg = location */
    MODEL_WRITE,  /* plain: location = value */
    MODEL_UNLESS, /* reg == value: on; else go to the step labelled `to` */
    MODEL_BELOW,  /* reg < value: on; else go to `to` */
    MODEL_GO,     /* to `to` */
    MODEL_EXPECT, /* reg == value, or the protocol is broken */
    MODEL_SAME,   /* reg == the register numbered value, or it is broken */
};

struct model_step {
    uint8_t op, label; /* 0: none */
    uint8_t location, reg, value, to;
    uint8_t order; /* index of the orders that model_run is given */
};

struct model_program {
    const char *name;
    uint8_t initial[MODEL_LOCATIONS]; /* seen by all */
    const struct model_step *thread[MODEL_THREADS];
};

struct model_result {
    uint64_t states;
    const char *broken; /* NULL: never; else why */
    /* the way there: thread * MODEL_STEPS + step */
    uint8_t path[MODEL_DEPTH];
    unsigned steps;
};

/* `order[i]`: a __ATOMIC_ constant; for a fence relaxed means that it is left out. */
struct model_result model_run(const struct model_program *program, const int *order);

#endif
