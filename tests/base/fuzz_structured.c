/* SPDX-License-Identifier: BSD-3-Clause */
/* Any field line as dictionary, list and item: no read past its end, and every span that is handed
 * out lies in it and parses again as what it was. */
#include <stdlib.h>
#include <string.h>

#include "base/structured.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *line;
static size_t line_len;

static void inside(const char *p, size_t len)
{
    if (len && (p < line || p + len > line + line_len))
        abort();
}

static void look(const struct sf_member *m)
{
    struct sf_reader r;
    struct sf_member x;
    char copy[64];
    inside(m->key, m->key_len);
    inside(m->value.p, m->value.len);
    inside(m->params, m->params_len);
    size_t n = sf_string_copy(&m->value, copy, sizeof(copy));
    if (n != SIZE_MAX && n > m->value.len)
        abort();
    sf_begin(&r, m->params, m->params_len);
    while (sf_param_next(&r, &x))
        inside(x.value.p, x.value.len);
    if (r.bad || r.p != r.end)
        abort();
    if (m->value.type != SF_LIST)
        return;
    sf_begin(&r, m->value.p, m->value.len);
    while (sf_inner_next(&r, &x)) {
        if (x.value.type == SF_LIST)
            abort();
        inside(x.value.p, x.value.len);
    }
    if (r.bad)
        abort();
}

static void walk(bool (*next)(struct sf_reader *, struct sf_member *))
{
    struct sf_reader r;
    struct sf_member m;
    sf_begin(&r, line, line_len);
    while (next(&r, &m)) {
        look(&m);
        if (next == sf_item)
            break;
    }
    if (r.p != r.end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *copy = malloc(len ? len : 1); /* its own piece, so that ASan sees its end */
    if (len)
        memcpy(copy, data, len);
    line = copy;
    line_len = len;
    walk(sf_dictionary_next);
    walk(sf_list_next);
    walk(sf_item);
    free(copy);
    return 0;
}
