/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/sim/report.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "tools/sim/mix.h"
#include "version.h"

void summary_add(struct summary *s, uint64_t value)
{
    hist_add(&s->hist, value);
    if (s->n == 0 || value < s->min)
        s->min = value;
    if (value > s->max)
        s->max = value;
    s->n++;
    s->sum += value;
}

void summary_merge(struct summary *dst, const struct summary *src)
{
    hist_merge(&dst->hist, &src->hist);
    if (src->n > 0 && (dst->n == 0 || src->min < dst->min))
        dst->min = src->min;
    if (src->max > dst->max)
        dst->max = src->max;
    dst->n += src->n;
    dst->sum += src->sum;
}

/* a bucket's end may lie beyond what was ever seen */
uint64_t summary_quantile(const struct summary *s, double q)
{
    uint64_t value = hist_quantile(&s->hist, q);
    return value < s->max ? value : s->max;
}

json_t *summary_json(const struct summary *s)
{
    if (s->n == 0)
        return json_pack("{s:i}", "n", 0);
    json_t *j = json_pack("{s:I, s:f, s:I}", "n", (json_int_t)s->n, "mean",
                          (double)s->sum / (double)s->n, "min", (json_int_t)s->min);
    static const struct {
        const char *name;
        double q;
    } quantile[] = {{"p1", 0.01}, {"p10", 0.1},  {"p50", 0.5},
                    {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    for (size_t i = 0; i < sizeof(quantile) / sizeof(quantile[0]); i++)
        json_object_set_new(j, quantile[i].name,
                            json_integer((json_int_t)summary_quantile(s, quantile[i].q)));
    json_object_set_new(j, "max", json_integer((json_int_t)s->max));
    return j;
}

uint64_t report_hash_number(uint64_t hash, uint64_t number)
{
    return mix_pair(hash, number, 0);
}

/* All but the payload: that may be a pointer. */
uint64_t report_hash_event(uint64_t hash, const struct event *e)
{
    hash = mix_pair(hash, e->time_us, (uint64_t)e->source << 32 | e->counter);
    return mix_pair(hash, e->target, (uint64_t)e->kind << 16 | e->detail);
}

json_t *report_hex(uint64_t value)
{
    return json_sprintf("0x%016" PRIx64, value);
}

json_t *report_create(int argc, char *const *argv, uint64_t seed)
{
    json_t *command = json_array();
    for (int i = 0; i < argc; i++)
        json_array_append_new(command, json_string(argv[i]));
    return json_pack("{s:o, s:s, s:o}", "command", command, "revision", CORAL_REVISION, "seed",
                     report_hex(seed));
}

static FILE *open_for_writing(const char *path)
{
    return strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
}

static bool close_written(FILE *f)
{
    bool well = fflush(f) == 0 && !ferror(f);
    return f == stdout ? well : fclose(f) == 0 && well;
}

bool report_write(const json_t *report, const char *path)
{
    FILE *f = open_for_writing(path);
    if (!f)
        return false;
    bool well = json_dumpf(report, f, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0;
    well = fputc('\n', f) != EOF && well;
    return close_written(f) && well;
}

bool tsv_open(struct tsv *t, const char *path, const json_t *report, const char *columns)
{
    t->file = open_for_writing(path);
    if (!t->file)
        return false;
    t->columns = 1;
    for (const char *c = columns; *c; c++)
        t->columns += *c == '\t';
    fputs("# ", t->file);
    json_dumpf(json_object_get(report, "command"), t->file, JSON_COMPACT);
    fprintf(t->file, " seed %s\n# %s\n", json_string_value(json_object_get(report, "seed")),
            columns);
    return true;
}

void tsv_row(struct tsv *t, const double *value, unsigned n)
{
    assert(n == t->columns);
    for (unsigned i = 0; i < n; i++)
        fprintf(t->file, "%.9g%c", value[i], i + 1 < n ? '\t' : '\n');
}

bool tsv_close(struct tsv *t)
{
    return close_written(t->file);
}
