/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "perf/trace/sketch.h"

bool sketch_open(struct sketch *s, uint64_t entries)
{
    uint32_t width = 64;
    while (width < entries * 4 && width < 1u << 28)
        width *= 2;
    *s = (struct sketch){.mask = width - 1, .period = 10 * (entries ? entries : 1)};
    for (unsigned row = 0; row < SKETCH_ROWS; row++) {
        s->count[row] = calloc(width, 1);
        if (!s->count[row]) {
            sketch_close(s);
            return false;
        }
    }
    return true;
}

void sketch_close(struct sketch *s)
{
    for (unsigned row = 0; row < SKETCH_ROWS; row++) {
        free(s->count[row]);
        s->count[row] = NULL;
    }
}

static uint8_t *counter(const struct sketch *s, unsigned row, uint32_t object)
{
    static const uint64_t seed[SKETCH_ROWS] = {0xc3a5c85c97cb3127u, 0xb492b66fbe98f273u,
                                               0x9ae16a3b2f90404fu, 0xcbf29ce484222325u};
    uint64_t x = (object + 1 + seed[row]) * seed[row];
    x = (x ^ x >> 32) * 0x9e3779b97f4a7c15u;
    return &s->count[row][(x >> 32) & s->mask];
}

static void halve(struct sketch *s)
{
    for (unsigned row = 0; row < SKETCH_ROWS; row++)
        for (uint32_t i = 0; i <= s->mask; i++)
            s->count[row][i] /= 2;
    s->counted /= 2;
}

/* Only the least of an object's counters says something of it, but all of them count. */
void sketch_count(struct sketch *s, uint32_t object)
{
    bool added = false;
    for (unsigned row = 0; row < SKETCH_ROWS; row++) {
        uint8_t *c = counter(s, row, object);
        if (*c < SKETCH_MAX) {
            ++*c;
            added = true;
        }
    }
    if (added && ++s->counted >= s->period)
        halve(s);
}

unsigned sketch_estimate(const struct sketch *s, uint32_t object)
{
    unsigned least = SKETCH_MAX;
    for (unsigned row = 0; row < SKETCH_ROWS; row++) {
        unsigned c = *counter(s, row, object);
        least = c < least ? c : least;
    }
    return least;
}
