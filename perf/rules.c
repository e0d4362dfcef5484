/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The operator's rules alone, on one core: ten thousand of them, of 3000 hosts with two path
 * prefixes each and 1000 expressions over path and query, and what it costs to ask them about a
 * request: for hosts without expressions, with them, and for hosts that no rule knows, measured in
 * turn. Needs neither EAL nor a second CPU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "base/rng.h"
#include "dataplane/rules/rules.h"
#include "perf/perf.h"
#include "version.h"

#define ROUNDS      2000 /* at most */
#define HOSTS       3000
#define PREFIXES    2 /* of each */
#define EXPRESSIONS 1000
#define URLS        4096 /* of a kind: more than a core's first cache holds */

enum kind { PLAIN, SCANNED, UNKNOWN, KINDS };
static const char *const kinds[] = {"paths", "expressions", "no rule"};

struct rules_run {
    struct rules_set *set;
    size_t bytes;
    double compile_s;
    char (*url)[128]; /* URLS of each kind */
    uint8_t *len;
    struct calibration calibration;
    double ghz; /* of the TSC, as a clock had it meanwhile: there is no EAL to ask */
    unsigned rounds;
    uint64_t matched[KINDS], asked[KINDS];
    double cost[KINDS][ROUNDS]; /* TSC cycles a request */
};

/* The four forms that expressions have in people's files, over 1000 of the hosts. */
static void write_expression(FILE *out, unsigned i)
{
    static const char *const form[] = {"^/api/v[0-9]+/m%u/", "/img%u/[^/]+\\.(jpg|png|webp)$",
                                       "[?&](debug|trace)%u=", "/dir%u/.*\\.v[0-9]+\\.js"};
    fprintf(out, "h%u.example.com match ", i);
    fprintf(out, form[i % 4], i);
    fprintf(out, " %s\n", i % 2 ? "deny 403" : "pass");
}

static char *make_text(void)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (unsigned i = 0; out && i < HOSTS; i++) {
        fprintf(out, "h%u.example.com ttl 1h tag site%u\n", i, i);
        for (unsigned k = 0; k < PREFIXES; k++)
            fprintf(out, "h%u.example.com path /static/%u/p%u/ %s\n", i, i % 7, k,
                    k ? "strip-query utm_*" : "redirect 301 https://new.example.com/$rest");
    }
    for (unsigned i = 0; out && i < EXPRESSIONS; i++)
        write_expression(out, i);
    if (out)
        fclose(out);
    return text;
}

static void wrong(void *ctx, unsigned line, unsigned column, unsigned length, const char *message)
{
    (void)length;
    snprintf(ctx, 256, "%u:%u: %s", line, column, message);
}

static void wrong_expression(void *ctx, unsigned i, const char *why)
{
    snprintf(ctx, 256, "expression %u: %s", i, why);
}

static bool make_set(struct rules_run *r, char *error)
{
    char *text = make_text(), *bytes = NULL;
    const char *expression[EXPRESSIONS];
    r->set = text ? rules_parse(text, strlen(text), wrong, error) : NULL;
    free(text);
    if (!r->set)
        return false;
    unsigned n = rules_size(r->set).expressions;
    for (unsigned i = 0; i < n; i++)
        expression[i] = rules_expression(r->set, i);
    double began = measure_clock();
    bool good = rules_compile(expression, n, &bytes, &r->bytes, wrong_expression, error);
    r->compile_s = measure_clock() - began;
    good = good && rules_load(r->set, bytes, r->bytes, 1);
    free(bytes);
    return good;
}

/* One in eight meets what its host has rules for. */
static bool make_urls(struct rules_run *r)
{
    struct rng rng;
    rng_init(&rng, (const uint8_t[32]){42});
    r->url = calloc(KINDS * URLS, sizeof(*r->url));
    r->len = calloc(KINDS * URLS, 1);
    for (unsigned i = 0; r->url && r->len && i < KINDS * URLS; i++) {
        enum kind kind = (enum kind)(i / URLS);
        unsigned h = (unsigned)rng_below(&rng, kind == PLAIN ? HOSTS - EXPRESSIONS : EXPRESSIONS);
        h += kind == PLAIN ? EXPRESSIONS : 0;
        const unsigned x = (unsigned)rng_below(&rng, 100000);
        char path[96];
        if (rng_below(&rng, 8))
            snprintf(path, sizeof(path),
                     "/shop/articles/%u/photo-%u.jpg?size=%u&colour=blue&from=feed", x % 89, x,
                     x % 1000);
        else if (kind == SCANNED)
            snprintf(path, sizeof(path), "/api/v1/m%u/img%u/x%u.js/a.v3.js?q=%u&debug%u=1", h, h, x,
                     x, h);
        else
            snprintf(path, sizeof(path), "/static/%u/p%u/x/photo-%u.jpg?utm_source=feed&x=1", h % 7,
                     x % 2, x);
        int n = snprintf(r->url[i], sizeof(r->url[i]), "http://%s%u.example.%s%s",
                         kind == UNKNOWN ? "www" : "h", h, kind == UNKNOWN ? "org" : "com", path);
        r->len[i] = (uint8_t)n;
    }
    return r->url && r->len;
}

static void measure(struct rules_run *r, enum kind kind)
{
    struct rules_verdict v;
    unsigned matched = 0;
    uint64_t began = rte_rdtsc_precise();
    for (unsigned i = kind * URLS; i < (kind + 1u) * URLS; i++) {
        rules_apply(r->set, 0, r->url[i], r->len[i], &v);
        matched += v.any;
    }
    r->cost[kind][r->rounds] = (double)(rte_rdtsc_precise() - began) / URLS;
    r->matched[kind] += matched;
    r->asked[kind] += URLS;
}

static void report(struct rules_run *r, const struct perf_options *o, json_t *result)
{
    struct rules_size n = rules_size(r->set);
    json_t *costs = json_array();
    if (!o->json)
        printf("%u rules: %u hosts, %u prefixes, %u expressions (%.1f MiB, compiled in %.1f s)\n"
               "%-12s %10s %12s %10s\n",
               n.rules, n.hosts, n.prefixes, n.expressions, (double)r->bytes / 1048576,
               r->compile_s, "host has", "ns", "core cycles", "matched");
    for (unsigned k = 0; k < KINDS; k++) {
        double tsc = measure_median(r->cost[k], r->rounds), ns = tsc / r->ghz,
               cycles = tsc * r->calibration.ratio,
               matched = (double)r->matched[k] / (double)r->asked[k];
        if (!o->json)
            printf("%-12s %10.1f %12.1f %9.1f%%\n", kinds[k], ns, cycles, 100 * matched);
        json_array_append_new(costs, json_pack("{s:s, s:f, s:f, s:f}", "host_has", kinds[k], "ns",
                                               ns, "cycles_per_op", cycles, "matched", matched));
    }
    if (!o->json)
        printf("%.3f core cycles a TSC cycle, median of %u rounds, revision %s\n",
               r->calibration.ratio, r->rounds, CORAL_REVISION);
    json_object_update_new(
        result, json_pack("{s:i, s:i, s:i, s:i, s:o, s:I, s:f, s:f, s:i}", "rules", n.rules,
                          "hosts", n.hosts, "prefixes", n.prefixes, "expressions", n.expressions,
                          "costs", costs, "database_bytes", (json_int_t)r->bytes, "compile_s",
                          r->compile_s, "core_per_tsc", r->calibration.ratio, "rounds", r->rounds));
}

bool rules_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    static struct rules_run r;
    char why[256] = "not enough memory";
    bool good = make_set(&r, why) && make_urls(&r);
    if (!good)
        snprintf(error, error_len, "%s", why);
    double from = measure_clock();
    uint64_t from_tsc = rte_rdtsc();
    for (double end = from + o->seconds; good && r.rounds < ROUNDS && measure_clock() < end;
         r.rounds++) {
        calibrate(&r.calibration);
        for (unsigned k = 0; k < KINDS; k++)
            measure(&r, (enum kind)k);
    }
    r.ghz = (double)(rte_rdtsc() - from_tsc) / (measure_clock() - from) / 1e9;
    if (good)
        report(&r, o, result);
    rules_free(r.set);
    free(r.url);
    free(r.len);
    return good;
}
