/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "perf/document.h"

static bool read_all(const char *path, FILE *f, json_t **first, json_t *results)
{
    json_error_t e;
    for (int c; (c = fgetc(f)) != EOF;) {
        if (strchr(" \t\r\n", c))
            continue;
        ungetc(c, f);
        json_t *d = json_loadf(f, JSON_DISABLE_EOF_CHECK, &e), *r = json_object_get(d, "results");
        if (!d || !json_is_array(r) || json_array_size(r) == 0) {
            fprintf(stderr, "coral-perf: %s:%d: %s; it takes what coral-perf --json wrote\n", path,
                    d ? 1 : e.line, d ? "there are no \"results\"" : e.text);
            json_decref(d);
            return false;
        }
        json_array_extend(results, r);
        if (!*first)
            *first = json_incref(d);
        json_decref(d);
    }
    if (!*first)
        fprintf(stderr, "coral-perf: %s: it is empty; it takes what coral-perf --json wrote\n",
                path);
    return *first != NULL;
}

bool document_read(const char *path, json_t **first, json_t **results)
{
    FILE *f = fopen(path, "r");
    *first = NULL;
    *results = json_array();
    if (!f) {
        fprintf(stderr, "coral-perf: %s: %m\n", path);
        return false;
    }
    bool ok = read_all(path, f, first, *results);
    fclose(f);
    return ok;
}
