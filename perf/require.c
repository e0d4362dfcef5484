/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perf/perf.h"
#include "perf/require.h"

/* longer ones first */
static const struct {
    const char *text;
    enum require_order order;
} orders[] = {
    {"<=", REQUIRE_LE}, {">=", REQUIRE_GE}, {"!=", REQUIRE_NE}, {"==", REQUIRE_EQ},
    {"<", REQUIRE_LT},  {">", REQUIRE_GT},  {"=", REQUIRE_EQ},
};

bool require_parse(const char *text, struct requirement *out)
{
    size_t n = strcspn(text, "<>=! ");
    const char *p = text + n + strspn(text + n, " ");
    if (n == 0 || n >= sizeof(out->field))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && text[i] != '_' && text[i] != '.')
            return false;
    memcpy(out->field, text, n);
    out->field[n] = 0;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        size_t len = strlen(orders[i].text);
        if (strncmp(p, orders[i].text, len) != 0)
            continue;
        char *end;
        out->order = orders[i].order;
        out->than = strtod(p + len, &end);
        return end != p + len && *end == 0;
    }
    return false;
}

bool require_field(const json_t *in, const char *path, double *out)
{
    char name[64];
    while (in && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof(name))
            return false;
        memcpy(name, path, n);
        name[n] = 0;
        in = json_is_array(in) ? json_array_get(in, strtoul(name, NULL, 10))
                               : json_object_get(in, name);
        path += n + (path[n] == '.');
    }
    *out = json_number_value(in);
    return json_is_number(in);
}

unsigned require_values(const json_t *results, const char *path, double *out)
{
    unsigned n = 0;
    for (size_t i = 0; i < json_array_size(results) && n < PERF_REPEATS; i++)
        n += require_field(json_array_get(results, i), path, &out[n]);
    return n;
}

static void say_fields(const json_t *result)
{
    const char *name, *comma = "";
    json_t *value;
    json_object_foreach((json_t *)result, name, value) if (json_is_number(value))
    {
        fprintf(stderr, "%s%s", comma, name);
        comma = ", ";
    }
    fputc('\n', stderr);
}

static bool holds(const struct requirement *r, double is)
{
    switch (r->order) {
    case REQUIRE_LT:
        return is < r->than;
    case REQUIRE_LE:
        return is <= r->than;
    case REQUIRE_GT:
        return is > r->than;
    case REQUIRE_GE:
        return is >= r->than;
    case REQUIRE_NE:
        return is < r->than || is > r->than;
    default:
        return is <= r->than && is >= r->than;
    }
}

bool require_check(const struct requirement *r, const json_t *results)
{
    static const char *const text[] = {"<", "<=", ">", ">=", "=", "!="};
    double value[PERF_REPEATS];
    unsigned n = require_values(results, r->field, value);
    if (n == 0) {
        fprintf(stderr, "coral-perf: --assert: the results have no number \"%s\"; they have ",
                r->field);
        say_fields(json_array_get(results, 0));
        return false;
    }
    double is = measure_median(value, n);
    if (holds(r, is))
        return true;
    fprintf(stderr, "coral-perf: --assert: %s%s%.10g is not so: it is %.10g", r->field,
            text[r->order], r->than, is);
    fprintf(stderr, n > 1 ? ", the median of %u runs\n" : "\n", n);
    return false;
}
