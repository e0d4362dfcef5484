/* SPDX-License-Identifier: BSD-3-Clause */
/* What the generators promise. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "perf/trace/generate.h"

static struct trace made(const struct generate_options *o)
{
    struct trace t;
    trace_open(&t, o->requests);
    cr_assert(generate(o, &t) && trace_finish(&t), "%s, seed %lu", o->kind, o->seed);
    cr_assert_eq(t.requests, o->requests, "%s", o->kind);
    return t;
}

static struct generate_options defaults(const char *kind, uint32_t requests, uint32_t objects)
{
    struct generate_options o;
    cr_assert(generate_defaults(kind, &o));
    o.requests = requests;
    o.objects = objects;
    return o;
}

static int most_first(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x < y) - (x > y);
}

/* By object, in no order: how often it was asked for. To be freed. */
static uint32_t *counted(const struct trace *t)
{
    uint32_t *count = calloc(t->objects, sizeof(*count));
    for (uint32_t i = 0; i < t->requests; i++)
        count[t->request[i].object]++;
    return count;
}

Test(generate, a_seed_gives_one_trace)
{
    for (unsigned k = 0; generate_kinds[k]; k++) {
        struct generate_options o = defaults(generate_kinds[k], 20000, 1000);
        struct trace a = made(&o), b = made(&o);
        o.seed++;
        struct trace other = made(&o);
        cr_assert_eq(a.objects, b.objects);
        cr_assert_arr_eq(a.request, b.request, a.requests * sizeof(*a.request), "%s", o.kind);
        cr_assert_arr_neq(a.request, other.request, a.requests * sizeof(*a.request), "%s", o.kind);
        trace_close(&a);
        trace_close(&b);
        trace_close(&other);
    }
}

Test(generate, zipf_has_its_exponent)
{
    struct generate_options o = defaults("zipf", 1000000, 10000);
    struct trace t = made(&o);
    uint32_t *count = counted(&t);
    qsort(count, t.objects, sizeof(*count), most_first);
    /* ranks 10 and 1000 by sums around them, so that chance hardly shows */
    double ten = 0, thousand = 0;
    for (unsigned i = 0; i < 5; i++)
        ten += count[7 + i] / 5.0;
    for (unsigned i = 0; i < 200; i++)
        thousand += count[899 + i] / 200.0;
    cr_assert_float_eq(log10(ten / thousand) / 2, o.exponent, 0.03, "%f",
                       log10(ten / thousand) / 2);
    free(count);
    trace_close(&t);
}

Test(generate, sizes_are_as_a_cdns)
{
    enum { N = 100000 };
    uint32_t *size = malloc(N * sizeof(*size));
    double sum = 0;
    for (uint32_t i = 0; i < N; i++)
        sum += size[i] = generate_size(SIZES_CDN, 1, i);
    qsort(size, N, sizeof(*size), most_first);
    cr_assert_float_eq(sum / N, 33000, 2500, "mean %f", sum / N);
    cr_assert_float_eq((double)size[N / 2], 13300, 400, "p50 %u", size[N / 2]);
    cr_assert_float_eq((double)size[N / 10], 78000, 4000, "p90 %u", size[N / 10]);
    cr_assert_float_eq((double)size[N / 100], 300000, 45000, "p99 %u", size[N / 100]);
    for (uint32_t i = 0; i < N; i++)
        size[i] = generate_size(SIZES_TAIL, 1, i);
    qsort(size, N, sizeof(*size), most_first);
    cr_assert_gt(size[0], 20000000, "a tail");
    cr_assert_lt(size[N / 2], 20000);
    free(size);
}

/* A quarter of it, with the same shares. */
Test(generate, the_day_is_coralcdns, .timeout = 60)
{
    struct generate_options o = defaults("day", 2425000, 149000);
    struct trace t = made(&o);
    cr_assert_eq(t.objects, 149000);
    cr_assert_float_eq((double)t.objects_once / t.objects, 0.70, 0.005);
    uint32_t *count = counted(&t);
    double requests = 0, bytes = 0;
    uint64_t top_requests = 0, top_bytes = 0;
    for (uint32_t i = 0; i < t.objects; i++) {
        if (t.id[i] < 15) {
            top_requests += count[i];
            top_bytes += t.first_bytes[i];
        }
        if (t.id[i] < 1490) {
            requests += count[i];
            bytes += t.first_bytes[i];
        }
    }
    cr_assert_float_eq((double)top_requests / t.requests, 0.38, 0.005);
    cr_assert_float_eq((double)top_bytes, 52e6 / 4, 1e6);
    cr_assert_float_eq(requests / t.requests, 0.80, 0.01);
    cr_assert_float_eq(bytes, 1.8e9 / 4, 0.01e9);
    uint32_t least = UINT32_MAX, most = 0; /* of the top; of the rest */
    for (uint32_t i = 0; i < t.objects; i++) {
        if (t.id[i] < 1490)
            least = count[i] < least ? count[i] : least;
        else
            most = count[i] > most ? count[i] : most;
    }
    cr_assert_geq(least + 1, most, "the top are the most asked for: %u and %u", least, most);
    free(count);
    trace_close(&t);
}

/* The share of requests in a part of the day that goes to IDs from `low` on. */
static double share(const struct trace *t, double from, double to, uint64_t low, uint64_t high)
{
    uint32_t n = 0, first = (uint32_t)(from * t->requests), end = (uint32_t)(to * t->requests);
    for (uint32_t i = first; i < end; i++) {
        uint64_t id = t->id[t->request[i].object];
        n += id >= low && id < high;
    }
    return (double)n / (end - first);
}

Test(generate, a_crowd_comes_and_goes)
{
    struct generate_options o = defaults("crowd", 200000, 10000);
    struct trace t = made(&o);
    cr_assert_eq(share(&t, 0, 0.4, 10000, 10012), 0);
    cr_assert_float_eq(share(&t, 0.5, 0.7, 10000, 10012), 0.8, 0.01);
    cr_assert_float_eq(share(&t, 0.7, 0.8, 10000, 10012), 0.4, 0.01);
    cr_assert_float_eq(share(&t, 0.8, 0.9, 10000, 10012), 0.2, 0.01);
    trace_close(&t);
}

Test(generate, scans_walk_and_onces_come_once)
{
    struct generate_options o = defaults("scan", 200000, 10000);
    struct trace t = made(&o);
    cr_assert_float_eq(share(&t, 0, 1, 10000, 15000), 5 * 5000 / 200000.0, 1e-9);
    cr_assert_eq(share(&t, 0.2 - 5000 / 200000.0, 0.2, 10000, 15000), 1, "back to back");
    trace_close(&t);
    o = defaults("once", 200000, 10000);
    t = made(&o);
    cr_assert_float_eq(share(&t, 0, 1, 10000, UINT64_MAX), 1 / 3.0, 0.01);
    cr_assert_geq(t.objects_once, 66000);
    trace_close(&t);
}

Test(generate, ranks_shift)
{
    struct generate_options o = defaults("shift", 200000, 10000);
    struct trace t = made(&o);
    /* ID 0 is the most wanted at first, and hardly ever later */
    double at_first = share(&t, 0, 0.1, 0, 1), later = share(&t, 0.1, 1, 0, 1);
    cr_assert_gt(at_first, 10 * later, "%f and %f", at_first, later);
    trace_close(&t);
}
