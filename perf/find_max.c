/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --find-max: the highest rate at which 99 % of the answers take no longer than so many
 * microseconds, timed from the schedule. A closed loop tells what the server can do at all; then
 * the range between a rate that held and one that did not is halved, by ratio, until it is 5 %. A
 * rate holds if most of its runs do.
 */
#include <math.h>
#include <stdio.h>

#include "perf/perf.h"

#define TRIES   16
#define FINE    1.05
#define LOWEST  64   /* a rate of so small a part of the closed loop's is not tried */
#define OFFERED 0.98 /* of the rate that answers must come at */

static bool holds(const struct perf_options *o, const json_t *results)
{
    unsigned held = 0;
    size_t i, n = json_array_size(results);
    json_t *r;
    json_array_foreach((json_t *)results, i, r)
    {
        double p99, rate, given_up, errors;
        held += require_field(r, "p99_us", &p99) && require_field(r, "ops_per_s", &rate) &&
                require_field(r, "given_up", &given_up) && require_field(r, "errors", &errors) &&
                p99 <= o->p99_us && rate >= OFFERED * o->rate && given_up <= 0 && errors <= 0;
    }
    return n > 0 && 2 * held > n;
}

static double median_of(const json_t *results, const char *field)
{
    double v[PERF_REPEATS];
    return measure_median(v, require_values(results, field, v));
}

struct search {
    struct perf_options o; /* of a try */
    json_t *all, *tries;
};

static bool try_rate(struct search *s, double rate)
{
    bool ignored; /* a machine that was disturbed for a while spoils a run, not the search */
    s->o.rate = rate;
    json_t *results = perf_repeat(&s->o, &ignored);
    bool held = holds(&s->o, results);
    double p99 = median_of(results, "p99_us");
    fprintf(stderr, "%12.0f a second: p99 %10.1f us, %s\n", rate, p99, held ? "holds" : "does not");
    json_array_append_new(s->tries,
                          json_pack("{s:f, s:f, s:b}", "rate", rate, "p99_us", p99, "held", held));
    json_array_extend(s->all, results);
    json_decref(results);
    return held;
}

/* 0: not even a small part of the closed loop's. */
static double search(struct search *s, double most)
{
    double low = 0, high = 1.2 * most;
    for (unsigned i = 0; i < TRIES && (low <= 0 || high / low > FINE) && high > most / LOWEST;
         i++) {
        double rate = low > 0 ? sqrt(low * high) : high / 2;
        if (try_rate(s, rate))
            low = rate;
        else
            high = rate;
    }
    return low;
}

json_t *perf_find_max(struct perf_options *o, json_t **found, bool *good)
{
    struct search s = {.o = *o, .tries = json_array()};
    bool json = o->json;
    s.o.json = true; /* no tables of tries */
    s.o.live = false;
    s.all = perf_repeat(&s.o, good);
    double most = median_of(s.all, "ops_per_s");
    if (most <= 0) {
        json_decref(s.tries);
        *good = false;
        return s.all;
    }
    fprintf(stderr, "%12.0f a second as answers come\n", most);
    double rate = search(&s, most);
    *good = rate > 0;
    if (!*good)
        fprintf(stderr, "coral-perf: --p99: %.0f us is not held even at %.0f a second\n", o->p99_us,
                most / LOWEST);
    else if (!json)
        printf("%.0f requests a second with a p99 of at most %.0f us; as answers come: %.0f\n",
               rate, o->p99_us, most);
    *found = json_pack("{s:f, s:f, s:f, s:o}", "rate", rate, "p99_us", o->p99_us,
                       "closed_loop_per_s", most, "tries", s.tries);
    return s.all;
}
