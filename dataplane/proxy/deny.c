/* SPDX-License-Identifier: BSD-3-Clause */
/* The deny list: URL patterns in one hyperscan database, built by the control thread, read by all
 * workers, each with a scratch of its own. */
#include <hs/hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/proxy/proxy_internal.h"

#define DENY_PATTERNS 100000u /* a bound for one file; beyond it the list is a mistake */

struct patterns {
    char *text; /* our copy, lines ended by NUL */
    const char **expression;
    unsigned *flags, *id, *line;
    unsigned n;
};

static void patterns_free(struct patterns *ps)
{
    free(ps->text);
    free(ps->expression);
    free(ps->flags);
    free(ps->id);
    free(ps->line);
}

/* Finds the pattern in each line: without surrounding blanks; empty lines and comments have none.
 */
static void patterns_split(struct patterns *ps, size_t len)
{
    unsigned line = 0;
    for (size_t at = 0; at < len;) {
        char *start = ps->text + at;
        char *end = memchr(start, '\n', len - at);
        if (!end)
            end = ps->text + len;
        at = (size_t)(end - ps->text) + 1;
        line++;
        while (start < end && (*start == ' ' || *start == '\t'))
            start++;
        while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
            end--;
        *end = 0;
        if (start == end || *start == '#')
            continue;
        ps->expression[ps->n] = start;
        ps->flags[ps->n] = HS_FLAG_SINGLEMATCH;
        ps->id[ps->n] = line;
        ps->line[ps->n] = line;
        ps->n++;
    }
}

static bool patterns_read(struct patterns *ps, const char *text, size_t len)
{
    size_t lines = 1;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    if (lines > DENY_PATTERNS)
        return false;
    ps->text = malloc(len + 1);
    ps->expression = calloc(lines, sizeof(*ps->expression));
    ps->flags = calloc(lines, sizeof(*ps->flags));
    ps->id = calloc(lines, sizeof(*ps->id));
    ps->line = calloc(lines, sizeof(*ps->line));
    if (!ps->text || !ps->expression || !ps->flags || !ps->id || !ps->line)
        return false;
    if (len)
        memcpy(ps->text, text, len);
    ps->text[len] = 0;
    patterns_split(ps, len);
    return true;
}

void *proxy_deny_compile(const char *text, size_t len, char *error, size_t error_len)
{
    struct patterns ps = {0};
    hs_database_t *db = NULL;
    hs_compile_error_t *wrong = NULL;

    if (memchr(text, 0, len)) {
        snprintf(error, error_len, "deny list: holds a NUL byte; it must be a text file");
        return NULL;
    }
    if (!patterns_read(&ps, text, len)) {
        snprintf(error, error_len, "deny list: more than %u lines, or no memory for it",
                 DENY_PATTERNS);
        goto out;
    }
    if (ps.n == 0) {
        snprintf(error, error_len, "deny list: no pattern in it; remove the setting instead");
        goto out;
    }
    if (hs_compile_multi(ps.expression, ps.flags, ps.id, ps.n, HS_MODE_BLOCK, NULL, &db, &wrong) !=
        HS_SUCCESS) {
        if (wrong && wrong->expression >= 0)
            snprintf(error, error_len, "deny list line %u: \"%s\": %s", ps.line[wrong->expression],
                     ps.expression[wrong->expression], wrong->message);
        else
            snprintf(error, error_len, "deny list: %s", wrong ? wrong->message : "no memory");
        db = NULL;
    }
    hs_free_compile_error(wrong);
out:
    patterns_free(&ps);
    return db;
}

/* The compiler stops at the first; a person wants them all. */
unsigned proxy_deny_check(const char *text, size_t len, proxy_deny_wrong *told, void *ctx)
{
    struct patterns ps = {0};
    unsigned count = 0;

    if (!memchr(text, 0, len) && patterns_read(&ps, text, len))
        for (unsigned i = 0; i < ps.n; i++) {
            hs_expr_info_t *info = NULL;
            hs_compile_error_t *wrong = NULL;
            if (hs_expression_info(ps.expression[i], ps.flags[i], &info, &wrong) != HS_SUCCESS) {
                told(ctx, ps.line[i], ps.expression[i], wrong ? wrong->message : "no memory");
                count++;
            }
            free(info);
            hs_free_compile_error(wrong);
        }
    patterns_free(&ps);
    return count;
}

void proxy_deny_free(void *deny)
{
    hs_free_database(deny);
}

/* A scratch that fits `deny`, grown from what there was; off the packet path: by proxy_view. */
bool deny_scratch(void **scratch, void *deny)
{
    return !deny || hs_alloc_scratch(deny, (hs_scratch_t **)scratch) == HS_SUCCESS;
}

void deny_scratch_free(void *scratch)
{
    hs_free_scratch(scratch);
}

static int matched(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                   void *ctx)
{
    (void)id, (void)from, (void)to, (void)flags;
    *(bool *)ctx = true;
    return 1; /* one is enough: ends the scan */
}

bool deny_match(void *deny, void *scratch, const char *url, size_t len)
{
    bool hit = false;
    if (!deny)
        return false;
    hs_error_t e =
        scratch ? hs_scan(deny, url, (unsigned)len, 0, scratch, matched, &hit) : HS_INVALID;
    /* a scan that could not run refuses: a deny list must not open when something is wrong */
    return hit || (e != HS_SUCCESS && e != HS_SCAN_TERMINATED);
}
