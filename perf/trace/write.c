/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "perf/trace/parse.h"

static void write_record(FILE *f, const struct trace *t, uint32_t i)
{
    const struct trace_request *r = &t->request[i];
    char record[PARSE_RECORD_BYTES];
    int64_t next = t->next[i] == TRACE_NONE ? -1 : (int64_t)t->next[i] + 1; /* counted from 1 */
    memcpy(record, &r->time_s, 4);
    memcpy(record + 4, &t->id[r->object], 8);
    memcpy(record + 12, &r->bytes, 4);
    memcpy(record + 16, &next, 8);
    fwrite(record, sizeof(record), 1, f);
}

bool trace_write(const struct trace *t, const char *path, bool oracle)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (!f)
        return false;
    for (uint32_t i = 0; i < t->requests; i++) {
        const struct trace_request *r = &t->request[i];
        if (oracle)
            write_record(f, t, i);
        else
            fprintf(f, "%" PRIu32 ",%" PRIu64 ",%" PRIu32 "\n", r->time_s, t->id[r->object],
                    r->bytes);
    }
    bool ok = !ferror(f);
    return (f == stdout ? fflush(f) : fclose(f)) == 0 && ok;
}
