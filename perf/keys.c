/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>

#include "perf/keys.h"

uint32_t keys_largest(const struct trace *t)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < t->objects; i++)
        most = t->first_bytes[i] > most ? t->first_bytes[i] : most;
    return most;
}

/* The same trace, each object with its first size, without those that are too large. */
static bool take(const struct trace *from, const char *file, struct trace *out)
{
    trace_open(out, from->requests);
    for (uint32_t i = 0; i < from->requests; i++) {
        const struct trace_request *r = &from->request[i];
        uint32_t bytes = from->first_bytes[r->object];
        if (bytes <= KEYS_OBJECT_BYTES && !trace_add(out, r->time_s, from->id[r->object], bytes)) {
            fprintf(stderr, "coral-perf: --trace: %s: no memory for its requests; --limit\n", file);
            return false;
        }
    }
    if (out->requests < from->requests)
        fprintf(stderr,
                "coral-perf: --trace: %s: %" PRIu32 " of %" PRIu32
                " requests are for objects larger than %u MiB and left out\n",
                file, from->requests - out->requests, from->requests, KEYS_OBJECT_BYTES >> 20);
    return out->requests > 0;
}

bool keys_read(const char *file, enum parse_format format, uint32_t limit, struct trace *out)
{
    static struct parser p;
    struct trace all;
    *out = (struct trace){0};
    trace_open(&all, limit);
    parse_open(&p, format, &all);
    bool ok = parse_file(&p, "coral-perf", file) && take(&all, file, out);
    trace_close(&all);
    return ok;
}

void keys_print(const struct trace *t, const char *file)
{
    printf("as %s asks: %" PRIu32 " requests of %" PRIu32 " objects, %.1f bytes in the mean\n",
           file, t->requests, t->objects, (double)t->requested_bytes / t->requests);
}

json_t *keys_json(const struct trace *t, const char *file)
{
    json_t *name = json_string(file);
    return json_pack("{s:o, s:I, s:I, s:I, s:I}", "file", name ? name : json_string("(not UTF-8)"),
                     "requests", (json_int_t)t->requests, "objects", (json_int_t)t->objects,
                     "footprint_bytes", (json_int_t)t->footprint_bytes, "requested_bytes",
                     (json_int_t)t->requested_bytes);
}
