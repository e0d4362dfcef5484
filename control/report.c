/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/report.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_WIDTH 110u /* characters of a source line that are shown */

void report_init(struct report *r, const char *file, const char *text, size_t len)
{
    memset(r, 0, sizeof(*r));
    r->file = file;
    r->text = malloc(len + 1);
    if (!r->text)
        return;
    if (len)
        memcpy(r->text, text, len);
    r->text[len] = '\0';
    r->len = len;
}

void report_free(struct report *r)
{
    for (unsigned i = 0; i < r->n; i++)
        free(r->error[i].message);
    free(r->text);
    memset(r, 0, sizeof(*r));
}

/* What comes from a file may hold anything; a terminal gets only what it can show. */
static void make_printable(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

static void add(struct report *r, bool warning, struct place at, const char *path,
                const char *format, va_list args)
{
    if (warning)
        r->warnings++;
    else
        r->errors++;
    if (r->n == REPORT_ERRORS)
        return;
    struct report_error *e = &r->error[r->n];
    if (vasprintf(&e->message, format, args) < 0) {
        e->message = NULL;
        return;
    }
    make_printable(e->message);
    e->at = at;
    e->warning = warning;
    snprintf(e->path, sizeof(e->path), "%s", path);
    make_printable(e->path);
    r->n++;
}

void report_add(struct report *r, struct place at, const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(r, false, at, path, format, args);
    va_end(args);
}

void report_warn(struct report *r, struct place at, const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(r, true, at, path, format, args);
    va_end(args);
}

bool report_has(const struct report *r, const char *path)
{
    size_t len = strlen(path);
    for (unsigned i = 0; i < r->n; i++)
        if (strncmp(r->error[i].path, path, len) == 0 &&
            (r->error[i].path[len] == '\0' || strchr(".[", r->error[i].path[len])))
            return true;
    return false;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The start of the line, and its end without line break. */
static const char *line_find(const struct report *r, unsigned line, const char **end)
{
    const char *p = r->text, *stop = r->text + r->len;

    for (unsigned i = 1; i < line; i++) {
        p = memchr(p, '\n', (size_t)(stop - p));
        if (!p)
            return NULL;
        p++;
    }
    const char *nl = memchr(p, '\n', (size_t)(stop - p));
    *end = nl ? nl : stop;
    if (*end > p && (*end)[-1] == '\r')
        (*end)--;
    return p;
}

/* Steps over `n` characters of UTF-8. */
static const char *skip_characters(const char *p, const char *end, unsigned n)
{
    while (n-- && p < end)
        do
            p++;
        while (p < end && is_continuation(*p));
    return p;
}

static void print_source(const struct report *r, struct place at, FILE *to)
{
    const char *end, *p = r->text && at.line ? line_find(r, at.line, &end) : NULL;
    if (!p || p == end)
        return;

    unsigned column = at.column ? at.column - 1 : 0, from = 0;
    if (column > REPORT_WIDTH - 30) /* a long line: the window moves to what is meant */
        from = column - 40;
    p = skip_characters(p, end, from);
    const char *stop = skip_characters(p, end, REPORT_WIDTH);

    fprintf(to, "%5u | %s", at.line, from ? "..." : "");
    for (const char *c = p; c < stop; c++)
        fputc((unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c, to);
    fprintf(to, "%s\n      | %*s^", stop < end ? "..." : "", (int)(column - from + (from ? 3 : 0)),
            "");
    const char *mark = skip_characters(p, stop, column - from + 1);
    for (unsigned i = 1; i < at.length && mark < stop; i++) {
        fputc('~', to);
        mark = skip_characters(mark, stop, 1);
    }
    fputc('\n', to);
}

static int by_place(const void *a, const void *b)
{
    const struct report_error *x = a, *y = b;
    if (x->at.line != y->at.line)
        return x->at.line < y->at.line ? -1 : 1;
    if (x->at.column != y->at.column)
        return x->at.column < y->at.column ? -1 : 1;
    int order = strcmp(x->path, y->path);
    return order ? order : strcmp(x->message, y->message);
}

void report_print(struct report *r, FILE *to)
{
    qsort(r->error, r->n, sizeof(r->error[0]), by_place);
    for (unsigned i = 0; i < r->n; i++) {
        const struct report_error *e = &r->error[i];
        if (e->at.line)
            fprintf(to, "%s:%u:%u: ", r->file, e->at.line, e->at.column);
        else
            fprintf(to, "%s: ", r->file);
        fprintf(to, "%s%s%s%s\n", e->warning ? "warning: " : "", e->path, *e->path ? ": " : "",
                e->message);
        print_source(r, e->at, to);
    }
    if (r->errors + r->warnings > r->n)
        fprintf(to, "%s: %u more\n", r->file, r->errors + r->warnings - r->n);
}
