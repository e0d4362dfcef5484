/* SPDX-License-Identifier: BSD-3-Clause */
/* Which object is asked for next: by Zipf's law, or as a trace has it, again from its begin when it
 * ends. Of a trace an object has one size, that of its first request. */
#ifndef CORAL_PERF_KEYS_H
#define CORAL_PERF_KEYS_H

#include <jansson.h>

#include "perf/trace/parse.h"
#include "perf/zipf.h"

#define KEYS_SCATTER      2654435761u /* a prime: its multiples visit all objects in no order */
#define KEYS_OBJECT_BYTES (16u << 20) /* a larger object of a trace is not asked for */

struct keys {
    struct zipf zipf;
    uint32_t n;                /* objects that there are */
    const struct trace *trace; /* NULL: by Zipf's law, the exponent's */
    uint32_t at;               /* the trace's next */
};

static inline struct keys keys_make(uint32_t n, double s, uint64_t seed, const struct trace *t)
{
    return (struct keys){.zipf = zipf_make(n, s, seed), .n = n, .trace = t};
}

static inline uint32_t keys_next(struct keys *k)
{
    if (!k->trace)
        return (uint32_t)((uint64_t)zipf_next(&k->zipf) * KEYS_SCATTER % k->n);
    uint32_t object = k->trace->request[k->at++].object;
    k->at = k->at < k->trace->requests ? k->at : 0;
    return object;
}

/* The first `limit` requests of a file. False, and said on standard error. */
bool keys_read(const char *file, enum parse_format format, uint32_t limit, struct trace *out);
/* The largest object's. */
uint32_t keys_largest(const struct trace *t);

/* For the table, and for its JSON. */
void keys_print(const struct trace *t, const char *file);
json_t *keys_json(const struct trace *t, const char *file);

#endif
