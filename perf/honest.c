/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "perf/honest.h"

static const char *const names[] = {
#define X(name, text) #name,
    PERF_ERRORS(X)
#undef X
};

uint64_t errors_total(const struct perf_errors *e)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < PERF_ERROR_CLASSES; i++)
        all += e->n[i];
    return all;
}

json_t *errors_json(const struct perf_errors *e)
{
    json_t *classes = json_object();
    for (unsigned i = 0; i < PERF_ERROR_CLASSES; i++)
        json_object_set_new(classes, names[i], json_integer((json_int_t)e->n[i]));
    return classes;
}

void errors_text(const struct perf_errors *e, char *out, size_t len)
{
    size_t at = 0;
    snprintf(out, len, "none");
    for (unsigned i = 0; i < PERF_ERROR_CLASSES && at < len; i++)
        if (e->n[i] > 0)
            at += (size_t)snprintf(out + at, len - at, "%s%llu %s", at ? ", " : "",
                                   (unsigned long long)e->n[i], names[i]);
}

double account_share(const struct account *a)
{
    double busy = a->cpu_s - a->empty_s;
    return busy > 0 ? a->ops_s / busy : 0;
}

bool account_agrees(const struct account *a)
{
    double busy = a->cpu_s - a->empty_s;
    double apart = busy > a->ops_s ? busy - a->ops_s : a->ops_s - busy;
    return a->cpu_s < 0 || apart <= HONEST_SHARE * busy + HONEST_EMPTY * a->empty_s;
}
