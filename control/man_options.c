/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Build tool: writes corald.yaml(5). It copies the page's prose and puts the options, from the
 * table that the parser uses, in the place of the line "@OPTIONS@".
 *
 *   man_options docs/corald.yaml.5.in >corald.yaml.5
 */
#include <stdlib.h>

#include "control/config.h"
#include "control/units.h"

/* mdoc(7) takes a "." or "'" at the start of a line for a macro, and "\" for an escape. */
static void put_text(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text; text++) {
        if (text[0] == '.' && text[1] == ' ') { /* a sentence a line */
            fputs(".\n", stdout);
            text++;
        } else if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
    }
    putchar('\n');
}

static void put_range(const struct schema_option *o)
{
    char least[UNITS_TEXT], most[UNITS_TEXT];

    if (o->list)
        printf("At most %llu.\n", (unsigned long long)o->max);
    else if (o->type == OPTION_UINT)
        printf("Range: %llu to %llu.\n", (unsigned long long)o->min, (unsigned long long)o->max);
    else if (o->type == OPTION_SIZE)
        printf("Range: %s to %s.\n", units_size_exact(o->min, least),
               units_size_exact(o->max, most));
    else if (o->type == OPTION_TIME)
        printf("Range: %s to %s.\n", units_time_exact(o->min, least),
               units_time_exact(o->max, most));
}

static void put_option(const struct schema_option *o)
{
    char path[64];

    snprintf(path, sizeof(path), "%s", o->path);
    if (o->list)
        path[strlen(path) - 2] = '\0';
    printf(".It Ic %s : Ar %s%s", path, schema_type_noun(o->type), o->list ? ", or a list" : "");
    if (*o->standard)
        printf(" No (default Cm %s )", o->standard);
    putchar('\n');
    put_text(o->text);
    put_range(o);
    if (o->live)
        puts("Live.");
}

int main(int argc, char **argv)
{
    char line[1024];
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;

    if (!in) {
        fprintf(stderr, "usage: man_options PAGE.in >PAGE\n");
        return 2;
    }
    while (fgets(line, sizeof(line), in)) {
        if (strcmp(line, "@OPTIONS@\n") != 0) {
            fputs(line, stdout);
            continue;
        }
        puts(".Bl -tag -width Ds");
        for (size_t i = 0; i < schema_option_count; i++)
            put_option(&schema_options[i]);
        puts(".El");
    }
    fclose(in);
    return fflush(stdout) == 0 ? 0 : 1;
}
