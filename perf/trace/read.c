/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "perf/trace/parse.h"

#define BAD_SHOWN 5

struct shown {
    const char *program, *file;
    unsigned n;
};

static void show_bad(void *ctx, uint64_t number, const char *why)
{
    struct shown *s = ctx;
    if (s->n++ < BAD_SHOWN)
        fprintf(stderr, "%s: %s: %" PRIu64 ": left out: %s\n", s->program, s->file, number, why);
}

static bool read_all(const char *program, const char *file, FILE *f, struct parser *p)
{
    static char buffer[1 << 20];
    bool room = true;
    for (size_t n; room && (n = fread(buffer, 1, sizeof(buffer), f)) > 0;)
        room = parse_feed(p, buffer, n);
    bool failed = ferror(f);
    if (room)
        room = parse_end(p);
    if (failed)
        fprintf(stderr, "%s: %s: cannot be read\n", program, file);
    else if (!room && p->trace->requests < p->trace->requests_max)
        fprintf(stderr, "%s: %s: no memory for more than %" PRIu32 " requests; --limit\n", program,
                file, p->trace->requests);
    else
        return true;
    return false;
}

bool parse_file(struct parser *p, const char *program, const char *file)
{
    struct shown shown = {program, file, 0};
    FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "r");
    if (!f) {
        fprintf(stderr, "%s: %s: %s\n", program, file, strerror(errno));
        return false;
    }
    p->on_bad = show_bad;
    p->ctx = &shown;
    bool ok = read_all(program, file, f, p);
    p->on_bad = NULL;
    p->ctx = NULL;
    if (f != stdin)
        fclose(f);
    if (ok && p->bad)
        fprintf(stderr, "%s: %s: %" PRIu64 " of %" PRIu64 " left out as bad\n", program, file,
                p->bad, p->number);
    if (ok && p->trace->requests == 0)
        fprintf(stderr, "%s: %s: no request in it; is --format right?\n", program, file);
    return ok && p->trace->requests > 0;
}
