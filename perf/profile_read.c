/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Callgrind's profile format, as far as callgrind writes it with one event and positions by line:
 *
 *   ob=(1) OBJECT   fl=(1) FILE   fn=(1) FUNCTION     of the costs that follow
 *   fi=(2) FILE     fe=(1)                            code of another file, in the same function
 *   LINE COST                                         LINE may be relative: +3, -1, *
 *   cfn=(2) ...     calls=1 LINE                      a call: the next line has its costs, which
 *                                                     are another function's and not added
 *
 * A name stands where its number is first seen, and not again. A function whose stage is not known
 * has its caller's: most such are static ones of the same file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/profile.h"

#define NAMES_MAX 1000000 /* of a kind */
#define CALLERS   32      /* so far up a stage is looked for */

struct names {
    char **name;
    size_t n;
};

/* Of a function, by its number. */
struct known {
    size_t caller; /* the first one seen; 0: none */
    uint8_t stage; /* of costs of its own; PROFILE_other: not known */
    uint64_t cost; /* of a stage not known */
};

struct reading {
    struct names files, functions, objects;
    struct known *known; /* as many as there are names of functions */
    const char *file, *function, *object;
    size_t number; /* of the function */
    bool call;     /* the next costs are of a call */
};

/* "(7) NAME" or "(7)", whose number is `number`; NULL: neither, or no memory. */
static const char *name_of(struct names *all, const char *text, size_t *number)
{
    char *end;
    unsigned long i = *text == '(' ? strtoul(text + 1, &end, 10) : 0;
    if (*text != '(' || *end != ')' || i > NAMES_MAX)
        return NULL;
    if (i >= all->n) {
        size_t n = 2 * i + 64;
        char **grown = realloc(all->name, n * sizeof(char *));
        if (!grown)
            return NULL;
        memset(grown + all->n, 0, (n - all->n) * sizeof(char *));
        all->name = grown;
        all->n = n;
    }
    *number = i;
    if (end[1] == ' ' && !all->name[i])
        all->name[i] = strdup(end + 2);
    return all->name[i] ? all->name[i] : "";
}

static void free_names(struct names *all)
{
    for (size_t i = 0; i < all->n; i++)
        free(all->name[i]);
    free(all->name);
}

static bool is(const char *line, const char *key)
{
    return strncmp(line, key, strlen(key)) == 0;
}

/* NULL: as name_of. */
static const char *function_of(struct reading *r, const char *text, size_t *number)
{
    size_t n = r->functions.n;
    const char *name = name_of(&r->functions, text, number);
    if (!name || r->functions.n == n)
        return name;
    struct known *grown = realloc(r->known, r->functions.n * sizeof(*grown));
    if (!grown)
        return NULL;
    r->known = grown;
    for (; n < r->functions.n; n++)
        r->known[n] = (struct known){.stage = PROFILE_other};
    return name;
}

static void add_cost(struct reading *r, uint64_t cost, uint64_t *stages)
{
    enum profile_stage stage = profile_stage_of(r->file, r->function, r->object);
    struct known *k = r->known ? &r->known[r->number] : NULL;
    if (k && stage == PROFILE_other)
        k->cost += cost;
    else
        stages[stage] += cost;
    if (k && stage != PROFILE_other)
        k->stage = (uint8_t)stage;
}

/* What was of no known stage goes to the nearest caller's that is. */
static void settle(const struct reading *r, uint64_t *stages)
{
    for (size_t i = 0; r->known && i < r->functions.n; i++) {
        size_t at = i;
        for (unsigned up = 0; up < CALLERS && at && r->known[at].stage == PROFILE_other; up++)
            at = r->known[at].caller;
        stages[r->known[at].stage] += r->known[i].cost;
    }
}

/* False: it is of no form that callgrind writes. */
static bool read_line(struct reading *r, const char *line, uint64_t *stages)
{
    size_t number;
    if (is(line, "fn=")) {
        r->function = function_of(r, line + 3, &r->number);
        return r->function != NULL;
    }
    if (is(line, "fl=") || is(line, "fi=") || is(line, "fe=")) {
        r->file = name_of(&r->files, line + 3, &number);
        return r->file != NULL;
    }
    if (is(line, "ob=")) {
        r->object = name_of(&r->objects, line + 3, &number);
        return r->object != NULL;
    }
    if (is(line, "cfn=")) {
        if (!function_of(r, line + 4, &number))
            return false;
        if (r->known[number].caller == 0 && number != r->number)
            r->known[number].caller = r->number;
        return true;
    }
    if (is(line, "cfi=") || is(line, "cfl=") || is(line, "cob="))
        return name_of(line[1] == 'o' ? &r->objects : &r->files, line + 4, &number) != NULL;
    if (is(line, "positions: "))
        return strcmp(line, "positions: line") == 0; /* else costs stand elsewhere */
    if (is(line, "calls="))
        return r->call = true;
    if (!strchr("0123456789+-*", *line))
        return true; /* what the file says of itself */
    const char *cost = strchr(line, ' ');
    if (!r->call && cost)
        add_cost(r, strtoull(cost, NULL, 10), stages);
    r->call = false;
    return true;
}

bool profile_read(const char *path, uint64_t instructions[PROFILE_STAGE_COUNT])
{
    struct reading r = {.file = "", .function = "", .object = ""};
    char *line = NULL;
    size_t room = 0;
    unsigned number = 0;
    bool ok = true, known = false;
    FILE *f = fopen(path, "r");
    if (!f) {
        fprintf(stderr, "coral-perf: %s: %m\n", path);
        return false;
    }
    while (ok && getline(&line, &room, f) > 0) {
        line[strcspn(line, "\n")] = 0;
        number++;
        known = known || is(line, "events: Ir");
        ok = *line == 0 || read_line(&r, line, instructions);
    }
    if (!ok || !known)
        fprintf(stderr, "coral-perf: %s:%u: this is no file of callgrind with instructions alone\n",
                path, number);
    if (ok)
        settle(&r, instructions);
    fclose(f);
    free(line);
    free(r.known);
    free_names(&r.files);
    free_names(&r.functions);
    free_names(&r.objects);
    return ok && known;
}
