/* SPDX-License-Identifier: BSD-3-Clause */
/* What runs with a worker and a load have in common: EAL around them, their result and its table.
 */
#include <stdio.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "perf/keys.h"
#include "perf/perf.h"
#include "perf/wire.h"
#include "version.h"

#define KEPT 0.98 /* of a rate, from where on it is */

/* Which share q of the answers took no longer than. */
static double us_of(const struct perf_result *r, double q)
{
    return (double)hdr_quantile(&r->latency, q) / 1000;
}

/* Of what was asked for, bytes; of a trace the mean. */
static uint32_t size_of(const struct perf_options *o, const struct perf_result *r)
{
    return o->command == PERF_DNS ? 0
           : o->trace             ? (uint32_t)(o->trace->requested_bytes / o->trace->requests)
           : o->wire && o->command == PERF_HTTP ? r->size
                                                : o->size;
}

/* The server is elsewhere, and cycles are the client's. */
static bool is_remote(const struct perf_options *o)
{
    return o->wire && !o->wire->serve;
}

/* The load is another process's. */
static bool is_served(const struct perf_options *o)
{
    return o->wire && o->wire->serve;
}

/* Core cycles an operation, by the kernel's account of the thread: no time off its core is in it.
 */
static double kernels_cycles(const struct perf_result *r)
{
    double busy = r->account.cpu_s - r->account.empty_s;
    return r->ops > 0 ? busy * r->ratio * (double)rte_get_tsc_hz() / (double)r->ops : 0;
}

static void print_table(const struct perf_options *o, const struct perf_result *r)
{
    double tsc = (double)rte_get_tsc_hz();
    if (o->round == 0)
        printf("%-6s %6s %11s %11s %14s %9s %9s %8s %6s %7s\n", "run", "size", "connections",
               "ops/s", is_remote(o) ? "client cyc/op" : "core cycles/op", "p50 us", "p99 us",
               "errors", "busy", "client");
    printf("%-6s %6u %11u %11.0f %14.1f %9.1f %9.1f %8llu %5.0f%%", perf_commands[o->command].name,
           size_of(o, r), o->command == PERF_HTTP || o->command == PERF_TCP ? o->connections : 0,
           (double)r->ops / r->seconds, r->tsc_per_op * r->ratio, us_of(r, 0.5), us_of(r, 0.99),
           (unsigned long long)errors_total(&r->errors),
           100 * (double)r->busy_tsc / tsc / r->seconds);
    if (r->client_busy >= 0)
        printf(" %6.0f%%%s\n", 100 * r->client_busy,
               r->client_busy >= HONEST_CLIENT ? "  client-limited" : "");
    else
        printf(" %7s\n", "-");
    if (o->round + 1 < o->repeat)
        return;
    printf("core %.2f GHz, TSC %.2f GHz, checksum offload %s, %.1f s measured, revision %s\n",
           r->ratio * tsc / 1e9, tsc / 1e9, o->offload ? "on" : "off", r->seconds, CORAL_REVISION);
    if (o->command != PERF_TCP && !is_served(o))
        printf("of one answer in 64 all bytes are compared (%llu), of the others %s\n",
               (unsigned long long)r->verified,
               o->command == PERF_ECHO  ? "none"
               : o->command == PERF_DNS ? "the header"
                                        : "status and length");
    if (r->account.cpu_s >= 0)
        printf("operations at their cost are %.1f %% of the %s CPU time less empty polls, which is "
               "%.1f core cycles each\n",
               100 * account_share(&r->account), is_remote(o) ? "client's" : "worker's",
               kernels_cycles(r));
    if (o->trace)
        keys_print(o->trace, o->trace_file);
    if (o->misses > 0)
        printf(
            "of hits (the times above): %.0f a second; of misses: %.0f, p50 %.1f us, p99 %.1f us; "
            "refused: %.0f\n",
            (double)r->hits / r->seconds, (double)r->misses / r->seconds,
            (double)hdr_quantile(&r->miss_latency, 0.5) / 1000,
            (double)hdr_quantile(&r->miss_latency, 0.99) / 1000, (double)r->refused / r->seconds);
    if (o->calibrate)
        printf(
            "as answers come (--closed): %.0f a second at %.1f %score cycles each, by a short run; "
            "70 %% of it:\n",
            o->closed_per_s, o->closed_cycles, o->wire ? "of the client's " : "");
    if (o->rate > 0)
        printf("offered %.0f a second, %s, timed from its schedule; %llu given up\n", o->rate,
               o->poisson ? "Poisson" : "evenly", (unsigned long long)r->given_up);
    if (o->rate > 0 && r->seconds > 0 && (double)r->ops / r->seconds < KEPT * o->rate)
        printf("the rate was not kept: %.0f %% of it was answered, so times grow with the run\n",
               100 * (double)r->ops / r->seconds / o->rate);
    if (r->opens_per_s > 0 || r->bytes_per_connection > 0)
        printf("%.1f bytes a connection; opened %.0f a second at %.1f core cycles; the same "
               "requests without the idle ones: %.1f core cycles, p50 %.1f us\n",
               r->bytes_per_connection, r->opens_per_s, r->tsc_per_open * r->ratio,
               r->few_tsc_per_op * r->ratio, r->few_p50_us);
}

static void report(const struct perf_options *o, const struct perf_result *r, json_t *result)
{
    static const char *const of_load[] = {"p50_us", "p99_us", "p999_us", "max_us", "verified"};
    double tsc = (double)rte_get_tsc_hz();
    json_object_update_new(
        result, json_pack("{s:f, s:f, s:f, s:f, s:s, s:f, s:f, s:I, s:I, s:f, s:i, s:f}",
                          "ops_per_s", (double)r->ops / r->seconds,
                          is_remote(o) ? "client_cycles_per_op" : "cycles_per_op",
                          r->tsc_per_op * r->ratio, "core_hz", r->ratio * tsc, "tsc_hz", tsc,
                          "offload", o->offload ? "on" : "off", "p50_us", us_of(r, 0.5), "p99_us",
                          us_of(r, 0.99), "errors", (json_int_t)errors_total(&r->errors),
                          "verified", (json_int_t)r->verified, "seconds", r->seconds, "size",
                          size_of(o, r), "busy", (double)r->busy_tsc / tsc / r->seconds));
    json_object_update_new(
        result, json_pack("{s:f, s:f}", "p999_us", us_of(r, 0.999), "max_us", us_of(r, 1)));
    if (is_served(o)) /* no load of its own that times answers or looks at them */
        for (size_t i = 0; i < sizeof(of_load) / sizeof(of_load[0]); i++)
            json_object_del(result, of_load[i]);
    if (r->ops_total > 0)
        json_object_set_new(result, "ops_total", json_integer((json_int_t)r->ops_total));
    json_object_set_new(result, "cores", json_integer(o->cores));
    if (o->command == PERF_HTTP)
        json_object_set_new(result, "workers", json_integer(o->workers));
    json_object_set_new(result, "errors_by_class", errors_json(&r->errors));
    if (r->client_busy >= 0)
        json_object_update_new(result,
                               json_pack("{s:f, s:b}", "client_busy", r->client_busy,
                                         "client_limited", r->client_busy >= HONEST_CLIENT));
    if (r->account.cpu_s >= 0)
        json_object_set_new(result, "account",
                            json_pack("{s:f, s:f, s:f, s:f, s:f}", "cpu_s", r->account.cpu_s,
                                      "empty_s", r->account.empty_s, "ops_s", r->account.ops_s,
                                      "share", account_share(&r->account), "cycles_per_op",
                                      kernels_cycles(r)));
    if (o->command == PERF_DNS || o->command == PERF_HTTP)
        json_object_update_new(result,
                               json_pack("{s:i, s:f}", "objects", o->objects, "zipf", o->zipf));
    if (o->command == PERF_HTTP || o->command == PERF_TCP)
        json_object_update_new(result, json_pack("{s:i, s:i}", "connections", o->connections,
                                                 "active", o->active ? o->active : o->connections));
    if (o->trace)
        json_object_set_new(result, "trace", keys_json(o->trace, o->trace_file));
    if (o->think_ms > 0)
        json_object_set_new(result, "think_ms", json_real(o->think_ms));
    if (o->misses > 0)
        json_object_update_new(
            result,
            json_pack("{s:f, s:f, s:f, s:f, s:f}", "hits_per_s", (double)r->hits / r->seconds,
                      "misses_per_s", (double)r->misses / r->seconds, "refused_per_s",
                      (double)r->refused / r->seconds, "miss_p50_us",
                      (double)hdr_quantile(&r->miss_latency, 0.5) / 1000, "miss_p99_us",
                      (double)hdr_quantile(&r->miss_latency, 0.99) / 1000));
    if (o->rate > 0)
        json_object_update_new(result, json_pack("{s:f, s:b, s:I}", "rate", o->rate, "poisson",
                                                 o->poisson, "given_up", (json_int_t)r->given_up));
    if (o->calibrate)
        json_object_update_new(result, json_pack("{s:f, s:f}", "closed_loop_per_s", o->closed_per_s,
                                                 "closed_loop_cycles_per_op", o->closed_cycles));
    if (r->bytes_per_connection > 0)
        json_object_update_new(
            result, json_pack("{s:f, s:f, s:f, s:f, s:I}", "bytes_per_idle_connection",
                              r->bytes_per_connection, "opens_per_s", r->opens_per_s,
                              "cycles_per_open", r->tsc_per_open * r->ratio, "few_cycles_per_op",
                              r->few_tsc_per_op * r->ratio, "few_p50_us", r->few_p50_us));
}

/* False with `error`: the figures are no measurement. */
static bool is_believed(const struct perf_result *r, char *error, size_t error_len)
{
    const struct account *a = &r->account;
    if (errors_total(&r->errors) > 0) {
        char text[256];
        errors_text(&r->errors, text, sizeof(text));
        snprintf(error, error_len, "errors: %s", text);
        return false;
    }
    if (!account_agrees(a)) {
        snprintf(error, error_len,
                 "the accounts differ: by the kernel the worker took %.3f s of CPU time, %.3f s of "
                 "it in empty polls; its operations at their cost are %.3f s, %.0f %% of the rest "
                 "(90 to 110 are believed). The machine was disturbed: measure on a quiet one, or "
                 "longer",
                 a->cpu_s, a->empty_s, a->ops_s, 100 * account_share(a));
        return false;
    }
    return true;
}

static bool write_file(const char *path, const struct perf_result *r, double began_s, char kind,
                       char *error, size_t error_len)
{
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!path)
        return true;
    bool ok = f && (kind == 'g'   ? hdr_write_hgrm(&r->latency, f)
                    : kind == 'l' ? hdr_write_hlog(&r->latency, began_s, r->seconds, f)
                                  : hdr_write_csv(&r->latency, f));
    ok = f && fclose(f) == 0 && ok;
    if (!ok)
        snprintf(error, error_len, "%s: %m", path);
    return ok;
}

static bool write_files(const struct perf_options *o, const struct perf_result *r,
                        const json_t *result, char *error, size_t error_len)
{
    double began_s = json_number_value(json_object_get(result, "began_s"));
    return write_file(o->hgrm, r, began_s, 'g', error, error_len) &&
           write_file(o->hlog, r, began_s, 'l', error, error_len) &&
           write_file(o->csv, r, began_s, 'c', error, error_len);
}

bool perf_measure(const struct perf_options *o, perf_measured *run, json_t *result, char *error,
                  size_t error_len)
{
    static struct perf_result r;
    struct eal_config eal = {.memory_bytes =
                                 port_eal_memory(1, o->workers) + (size_t)o->workers * (96u << 20),
                             .no_hugepages = o->no_huge};

    if (o->cores == 2 && !o->wire && o->command != PERF_TCP && perf_cpu(1) < 0) {
        snprintf(error, error_len,
                 "needs two CPUs, one for the worker and one for the load, or --cores 1");
        return false;
    }
    snprintf(eal.name, sizeof(eal.name), "coral-perf-%d", (int)getpid());
    if (port_eal_start(&eal, error, error_len) < 0)
        return false;
    bool ok = run(o, &r, error, error_len);
    port_eal_stop();
    if (!ok)
        return false;
    if (r.ops == 0) {
        snprintf(error, error_len, "not one answer came back");
        return false;
    }
    report(o, &r, result);
    if (!o->json)
        print_table(o, &r);
    return write_files(o, &r, result, error, error_len) && is_believed(&r, error, error_len);
}
