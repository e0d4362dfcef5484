/* SPDX-License-Identifier: BSD-3-Clause */
/* A flame graph: stacks folded into a tree, drawn as an SVG that needs nothing else. A frame is as
 * wide as its share of the time, stands on its caller, and has the colour of its stage. */
#ifndef CORAL_PERF_FLAME_H
#define CORAL_PERF_FLAME_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define FLAME_DEPTH 64 /* frames of a stack; what is deeper is left out */

struct flame_node {
    char *name;
    unsigned stage;
    uint64_t weight; /* with what stands on it */
    struct flame_node *child, *next;
};

struct flame {
    struct flame_node root;
};

struct flame_frame {
    const char *name;
    unsigned stage;
};

/* A stack, from its root on. False: no memory. */
bool flame_add(struct flame *f, const struct flame_frame *frame, unsigned n, uint64_t weight);
/* False: errno. Frames narrower than half a pixel are left out. */
bool flame_write(const struct flame *f, const char *title, FILE *out);
void flame_free(struct flame *f);

#endif
