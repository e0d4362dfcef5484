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
 * A name stands where its number is first seen, and not again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/profile.h"

#define NAMES_MAX 1000000 /* of a kind */

struct names {
    char **name;
    size_t n;
};

struct reading {
    struct names files, functions, objects;
    const char *file, *function, *object;
    bool call; /* the next costs are of a call */
};

/* "(7) NAME" or "(7)"; NULL: neither, or no memory. */
static const char *name_of(struct names *all, const char *text)
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

/* False: it is of no form that callgrind writes. */
static bool read_line(struct reading *r, const char *line, uint64_t *stages)
{
    if (is(line, "fn=")) {
        r->function = name_of(&r->functions, line + 3);
        return r->function != NULL;
    }
    if (is(line, "fl=") || is(line, "fi=") || is(line, "fe=")) {
        r->file = name_of(&r->files, line + 3);
        return r->file != NULL;
    }
    if (is(line, "ob=")) {
        r->object = name_of(&r->objects, line + 3);
        return r->object != NULL;
    }
    if (is(line, "cfn="))
        return name_of(&r->functions, line + 4) != NULL;
    if (is(line, "cfi=") || is(line, "cfl=") || is(line, "cob="))
        return name_of(line[1] == 'o' ? &r->objects : &r->files, line + 4) != NULL;
    if (is(line, "positions: "))
        return strcmp(line, "positions: line") == 0; /* else costs stand elsewhere */
    if (is(line, "calls="))
        return r->call = true;
    if (!strchr("0123456789+-*", *line))
        return true; /* what the file says of itself */
    const char *cost = strchr(line, ' ');
    if (!r->call && cost)
        stages[profile_stage_of(r->file, r->function, r->object)] += strtoull(cost, NULL, 10);
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
    fclose(f);
    free(line);
    free_names(&r.files);
    free_names(&r.functions);
    free_names(&r.objects);
    return ok && known;
}
