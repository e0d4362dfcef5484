/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The cache alone: objects found, stored and evicted, without a wire. What is measured in turn is
 * measured again and again, so that a busy minute spoils all alike; costs are medians over rounds.
 * Needs no EAL, and a second CPU for the writer beside the reader only.
 */
#include <stdio.h>
#include <string.h>

#include "perf/cache.h"
#include "version.h"

#define ROUNDS      20000 /* at most */
#define UPDATE_RATE 0.6e6 /* a second, of the writer beside the reader */

enum op { OP_GET, OP_PUT, OP_MIXED, OP_PURGE, OPS };
static const char *const op_name[OPS] = {"get", "put", "mixed", "purge"};

struct cache_run {
    struct cache_bench b;
    struct cache_load *load;
    struct calibration calibration;
    enum op op;
    unsigned rounds;
    double batched[ROUNDS], single[ROUNDS]; /* TSC cycles */
    uint64_t evicted, displaced;
    bool paired;
    struct cache_pair pair;
    /* what the table says: core cycles */
    double cycles, single_cycles, alone, beside;
};

static void round_measure(struct cache_run *r, unsigned batch)
{
    calibrate(&r->calibration);
    if (r->op == OP_GET) {
        r->batched[r->rounds] = cache_get_window(r->load, batch);
        r->single[r->rounds] = cache_get_window(r->load, 1);
    } else if (r->op == OP_PUT) {
        r->batched[r->rounds] = cache_put_window(r->load, batch);
        r->single[r->rounds] = cache_put_window(r->load, 1);
    } else {
        r->batched[r->rounds] = cache_mixed_window(r->load, batch);
    }
    r->rounds++;
}

/* --- the table -------------------------------------------------------------------------------- */

static double share(uint64_t part, uint64_t all)
{
    return all ? (double)part / (double)all : 0;
}

/* Of what the reader does in the same time. */
static double loss_percent(const struct cache_run *r)
{
    return 100 * (1 - r->alone / r->beside);
}

static uint64_t errors(const struct cache_run *r)
{
    return r->load->errors + r->pair.errors;
}

static void print_table(const struct cache_run *r, const struct perf_options *o)
{
    const struct cache_load *l = r->load;
    if (o->trace)
        keys_print(o->trace, o->trace_file);
    else
        printf("%u objects, Zipf %.2f, bodies of %u bytes\n", o->objects, o->zipf, o->size);
    printf("%-22s %9.1f bytes of memory an object\n", "", r->b.bytes_per_object);
    printf("%-22s %9.1f core cycles in batches of %u\n", op_name[r->op], r->cycles, o->batch);
    if (r->op != OP_MIXED)
        printf("%-22s %9.1f core cycles\n", "one by one", r->single_cycles);
    if (r->paired)
        printf("%-22s %9.1f core cycles, %.1f beside a writer of %.0f objects a second: %.1f %% "
               "lost, median of %u windows\n",
               "get, two cores", r->alone, r->beside, r->pair.updates_per_s, loss_percent(r),
               r->pair.windows);
    if (l->gets)
        printf("%.2f %% hits; ", 100 * share(l->hits, l->gets));
    printf("%llu gets, %llu puts, %llu errors; %llu evicted, of these %llu as buckets were full\n",
           (unsigned long long)(l->gets + r->pair.gets), (unsigned long long)l->puts,
           (unsigned long long)errors(r), (unsigned long long)r->evicted,
           (unsigned long long)r->displaced);
    printf("%.3f core cycles a TSC cycle, median of %u rounds, revision %s\n", r->calibration.ratio,
           r->rounds, CORAL_REVISION);
}

static void report(const struct cache_run *r, const struct perf_options *o, json_t *result)
{
    const struct cache_load *l = r->load;
    json_object_update_new(
        result,
        json_pack("{s:s, s:i, s:i, s:f, s:i, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:i}",
                  "op", op_name[r->op], "objects", o->objects, "batch", o->batch, "zipf", o->zipf,
                  "size", o->size, "cycles_per_op", r->cycles, "hit_share", share(l->hits, l->gets),
                  "gets", (json_int_t)(l->gets + r->pair.gets), "puts", (json_int_t)l->puts,
                  "errors", (json_int_t)errors(r), "evicted", (json_int_t)r->evicted, "displaced",
                  (json_int_t)r->displaced, "bytes_per_object", r->b.bytes_per_object,
                  "core_per_tsc", r->calibration.ratio, "rounds", r->rounds));
    if (o->trace)
        json_object_set_new(result, "trace", keys_json(o->trace, o->trace_file));
    if (r->op != OP_MIXED)
        json_object_set_new(result, "single_cycles_per_op", json_real(r->single_cycles));
    if (r->paired)
        json_object_update_new(result,
                               json_pack("{s:f, s:f, s:f, s:f, s:i}", "get_cycles_alone", r->alone,
                                         "get_cycles_beside_writer", r->beside, "updates_per_s",
                                         r->pair.updates_per_s, "loss_percent", loss_percent(r),
                                         "writer_windows", r->pair.windows));
}

/* --- the run ---------------------------------------------------------------------------------- */

static bool measure_rounds(struct cache_run *r, const struct perf_options *o)
{
    uint32_t held = o->objects, catalogue = held;
    if (r->op == OP_MIXED && o->trace)
        held = held > 1 ? held / 2 : 1;
    else if (r->op == OP_MIXED)
        catalogue *= 2;
    if (!cache_bench_open(&r->b, held, catalogue, o->size, o->trace, r->op == OP_GET, false) ||
        !(r->load = cache_load_new(&r->b, o->zipf, 1)))
        return false;
    for (double end = measure_clock() + o->seconds; r->rounds < ROUNDS && measure_clock() < end;)
        round_measure(r, o->batch);
    const struct cache_counters *n = cache_counters(r->b.cache, 0);
    r->evicted = counter_read(&n->cache_evicted_total);
    r->displaced = counter_read(&n->cache_displaced_total);
    return true;
}

/* On a cache of its own, of which nothing misses. Paired only if the writer kept up at all. */
static bool measure_pair(struct cache_run *r, const struct perf_options *o, unsigned second_cpu)
{
    struct cache_bench b;
    bool ok = cache_bench_open(&b, o->objects, o->objects, o->size, NULL, true, false) &&
              cache_pair_run(&b, o->zipf, o->batch, UPDATE_RATE, o->seconds, second_cpu, &r->pair);
    r->paired = ok && r->pair.windows > 0;
    cache_bench_close(&b);
    return ok;
}

static void to_core_cycles(struct cache_run *r)
{
    double ratio = r->calibration.ratio;
    r->cycles = measure_median(r->batched, r->rounds) * ratio;
    r->single_cycles = measure_median(r->single, r->rounds) * ratio;
    r->alone = r->pair.alone * ratio;
    r->beside = r->pair.beside * ratio;
}

bool cache_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    static struct cache_run r;
    if (o->op && strcmp(o->op, "memory") == 0)
        return cache_memory_run(o, result, error, error_len);
    if (o->op && strcmp(o->op, "churn") == 0)
        return cache_churn_run(o, result, error, error_len);
    int second_cpu = perf_cpu(1);
    perf_pin((unsigned)perf_cpu(0));
    for (unsigned i = 0; o->op && i < OPS; i++)
        if (strcmp(o->op, op_name[i]) == 0)
            r.op = i;
    if (r.op == OP_PURGE)
        return cache_purge_run(o, result, error, error_len);
    bool ok = measure_rounds(&r, o);
    cache_bench_close(&r.b);
    if (ok && r.op == OP_MIXED && second_cpu >= 0 && !o->trace)
        ok = measure_pair(&r, o, (unsigned)second_cpu);
    to_core_cycles(&r);
    if (!ok)
        snprintf(error, error_len, "no memory for %u objects, or for the writer's thread",
                 o->objects);
    else
        report(&r, o, result);
    if (ok && !o->json)
        print_table(&r, o);
    if (ok && errors(&r) > 0)
        snprintf(error, error_len, "%llu objects were wrong, or found no room",
                 (unsigned long long)errors(&r));
    bool good = ok && errors(&r) == 0;
    cache_load_free(r.load);
    return good;
}
