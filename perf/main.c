/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_version.h>

#include "perf/perf.h"
#include "version.h"

#define CONNECTIONS_MAX      20000000
#define HTTP_ALL_MAX         20000   /* that may all have a request in flight */
#define HTTP_CONNECTIONS_MAX 1200000 /* as many as the clients' addresses have ports for */

enum status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char usage[] =
    "Usage: coral-perf echo|http|tcp|mac|dht|cache|rules [options]\n"
    "\n"
    "One worker on one core, a load generator on another, an in-memory link between them.\n"
    "\n"
    "  echo                 the bare wire: frames are sent back, no engine runs\n"
    "  http                 a cached object over live TCP connections\n"
    "  tcp --op idle        the TCP engine alone: requests among many idle connections\n"
    "  tcp --op connect     the TCP engine alone: whole lives of connections\n"
    "  mac                  tags of the index's messages alone, in each way to compute them\n"
    "  dht                  the index alone: requests served, hops of lookups; with --op one of\n"
    "                       get, get-one, get-none, walk, store, cookie, ping, lookup, for\n"
    "                       profilers\n"
    "  cache --op get       the cache alone: objects found, in batches and one by one (default)\n"
    "  cache --op put       new objects stored in a full cache, which evicts others\n"
    "  cache --op mixed     gets, and puts of what is missing; then gets on one core while "
    "another\n"
    "                       writes\n"
    "  cache --op memory    what a chunk, a run of lines and a head cost to give back and take\n"
    "  cache --op churn     how much of the memory is useful while the mix of sizes changes\n"
    "  cache --op purge     purges by tag, gets after them, the walk of the owner\n"
    "  rules                the operator's rules alone: ten thousand of them, asked about URLs\n"
    "\n"
    "  --seconds S          measured time (default 3)\n"
    "  --connections N      http, tcp: live connections (default 1000)\n"
    "  --active N           http: requests in flight, each on a connection picked at random\n"
    "                       (default: one on each connection)\n"
    "  --rate R             http: requests a second by schedule (default: as answers come)\n"
    "  --misses PERCENT     http: of the requests, those for what is not in the cache yet (default "
    "0)\n"
    "  --shed MS            http: the node's http.shed_after (default 0: it refuses nothing)\n"
    "  --size BYTES         http, tcp: of the answer (default 1024); echo: of a frame (default "
    "64);\n"
    "                       cache: of a body, in chunks of 4 KiB (default: empty)\n"
    "  --cores 1|2          http: with 1, worker and load take turns on one core, and only the\n"
    "                       worker's turns count: for callgrind, and for busy machines (default "
    "2)\n"
    "  --keys N             dht: in the store (default 1000000)\n"
    "  --objects N          cache: in it (default 1000000); some 700 bytes of memory each;\n"
    "                       with --op churn 2 KiB of the cache each (default 131072)\n"
    "  --batch N            cache: gets at a time, 1 to 512 (default 32)\n"
    "  --zipf S             cache: exponent of Zipf's law, 0 to 2 (default 0.99)\n"
    "  --no-huge            ordinary pages, as valgrind needs them\n"
    "  --offload on|off     whether the port pretends to do checksums (default on)\n"
    "  --json               one JSON object on standard output\n"
    "  --help, --version\n";

static bool number(const char *text, double low, double high, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && *out >= low && *out <= high;
}

static int refuse(const char *what, const char *value, const char *remedy)
{
    fprintf(stderr, "coral-perf: %s: \"%s\" %s\n", what, value, remedy);
    return STATUS_USAGE;
}

static const struct option options[] = {
    {"seconds", required_argument, NULL, 's'},
    {"connections", required_argument, NULL, 'c'},
    {"size", required_argument, NULL, 'b'},
    {"offload", required_argument, NULL, 'o'},
    {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {"op", required_argument, NULL, 'O'},
    {"rate", required_argument, NULL, 'r'},
    {"misses", required_argument, NULL, 'm'},
    {"shed", required_argument, NULL, 'S'},
    {"cores", required_argument, NULL, 'C'},
    {"no-huge", no_argument, NULL, 'H'},
    {"active", required_argument, NULL, 'a'},
    {"keys", required_argument, NULL, 'k'},
    {"objects", required_argument, NULL, 'n'},
    {"batch", required_argument, NULL, 'B'},
    {"zipf", required_argument, NULL, 'z'},
    {0},
};
/* Those with a number, which goes to `at`: a double, or an uint32_t where it is whole. */
static const struct numeric {
    int c;
    const char *name;
    double low, high;
    const char *remedy;
    bool whole;
    size_t at;
} numerics[] = {
    {'s', "--seconds", 0.1, 600, "is no time from 0.1 to 600", false,
     offsetof(struct perf_options, seconds)},
    {'c', "--connections", 1, CONNECTIONS_MAX, "is no number from 1 to 20000000", true,
     offsetof(struct perf_options, connections)},
    {'r', "--rate", 1, 1e8, "is no number from 1 to 100000000", false,
     offsetof(struct perf_options, rate)},
    {'m', "--misses", 0, 100, "is no number from 0 to 100", true,
     offsetof(struct perf_options, misses)},
    {'S', "--shed", 0, 10000, "is no time from 0 to 10000 ms", false,
     offsetof(struct perf_options, shed_ms)},
    {'a', "--active", 1, HTTP_CONNECTIONS_MAX, "is no number from 1 to 1200000", true,
     offsetof(struct perf_options, active)},
    {'k', "--keys", 1000, 1e7, "is no number from 1000 to 10000000", true,
     offsetof(struct perf_options, keys)},
    {'n', "--objects", 1000, 1e7, "is no number from 1000 to 10000000", true,
     offsetof(struct perf_options, objects)},
    {'B', "--batch", 1, 512, "is no number from 1 to 512", true,
     offsetof(struct perf_options, batch)},
    {'z', "--zipf", 0, 2, "is no exponent from 0 to 2", false, offsetof(struct perf_options, zipf)},
    {'b', "--size", 1, 16 << 20, "is no number of bytes from 1 to 16777216", true,
     offsetof(struct perf_options, size)},
};

/* -1: go on; else the exit status, as below. */
static int take_number(struct perf_options *o, const struct numeric *n)
{
    double v;
    if (!number(optarg, n->low, n->high, &v))
        return refuse(n->name, optarg, n->remedy);
    if (n->whole)
        *(uint32_t *)((char *)o + n->at) = (uint32_t)v;
    else
        *(double *)((char *)o + n->at) = v;
    return -1;
}

static int take_option(struct perf_options *o, int c)
{
    for (size_t i = 0; i < sizeof(numerics) / sizeof(numerics[0]); i++)
        if (numerics[i].c == c)
            return take_number(o, &numerics[i]);
    switch (c) {
    case 'C':
        if (strcmp(optarg, "1") != 0 && strcmp(optarg, "2") != 0)
            return refuse("--cores", optarg, "is neither 1 nor 2");
        o->cores = (uint32_t)(optarg[0] - '0');
        return -1;
    case 'o':
        if (strcmp(optarg, "on") != 0 && strcmp(optarg, "off") != 0)
            return refuse("--offload", optarg, "is neither on nor off");
        o->offload = strcmp(optarg, "on") == 0;
        return -1;
    case 'O':
        o->op_name = optarg;
        return -1;
    case 'H':
        o->no_huge = true;
        return -1;
    case 'j':
        o->json = true;
        return -1;
    case 'h':
        fputs(usage, stdout);
        return STATUS_DONE;
    case 'v':
        printf("coral-perf %s (%s, %s)\n", CORAL_VERSION, CORAL_REVISION, rte_version());
        return STATUS_DONE;
    default:
        return STATUS_USAGE;
    }
}

static bool is_cache_op(const char *op)
{
    static const char *const ops[] = {"get", "put", "mixed", "purge", "memory", "churn"};
    for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(op, ops[i]) == 0)
            return true;
    return false;
}

/* Do they go together, and with the run? */
static int check_options(struct perf_options *o)
{
    bool echo = strcmp(o->name, "echo") == 0, tcp = strcmp(o->name, "tcp") == 0;
    bool mac = strcmp(o->name, "mac") == 0, dht = strcmp(o->name, "dht") == 0;
    bool cache = strcmp(o->name, "cache") == 0, rules = strcmp(o->name, "rules") == 0;
    if (!echo && !tcp && !mac && !dht && !cache && !rules && strcmp(o->name, "http") != 0)
        return refuse("run", o->name,
                      "is not known; there are echo, http, tcp, mac, dht, cache and rules");
    if (tcp && o->op_name && strcmp(o->op_name, "idle") == 0)
        o->op = PERF_IDLE;
    if (tcp && o->op_name && strcmp(o->op_name, "connect") == 0)
        o->op = PERF_CONNECT;
    if (tcp && o->op == PERF_NONE)
        return refuse("--op", o->op_name ? o->op_name : "",
                      "is neither idle nor connect, with tcp");
    if (cache && o->op_name && !is_cache_op(o->op_name))
        return refuse("--op", o->op_name,
                      "is none of get, put, mixed, purge, memory and churn, with cache");
    if (o->objects == 0)
        o->objects = cache && o->op_name && strcmp(o->op_name, "churn") == 0 ? 131072 : 1000000;
    if (o->op_name && !tcp && !dht && !cache)
        return refuse("--op", o->name, "takes none: it goes with tcp, dht and cache");
    if (!tcp && o->connections > HTTP_CONNECTIONS_MAX)
        return refuse("--connections", "with http", "is at most 1200000");
    if (!tcp && !echo && o->connections > HTTP_ALL_MAX && o->active == 0)
        return refuse("--connections", "with http",
                      "above 20000 needs --active: a node answers 503 when "
                      "so many ask at once");
    if (o->active > 0 && (o->rate > 0 || o->active > o->connections / 2))
        return refuse("--active", "so many",
                      "is more than half of --connections, or beside --rate");
    if ((o->misses > 0 || o->shed_ms > 0) && strcmp(o->name, "http") != 0)
        return refuse("--misses and --shed", o->name, "takes none: they go with http");
    if (tcp && o->size > 1400)
        return refuse("--size", "with tcp", "is one segment's, at most 1400");
    if (o->size == 0 && !cache)
        o->size = echo ? 64 : 1024;
    char size[16];
    snprintf(size, sizeof(size), "%u", o->size);
    if (echo && (o->size < 60 || o->size > 1514))
        return refuse("--size", size, "is no size of a frame, from 60 to 1514 bytes");
    return -1;
}

static int read_options(int argc, char **argv, struct perf_options *o)
{
    *o = (struct perf_options){.seconds = 3,
                               .connections = 1000,
                               .cores = 2,
                               .offload = true,
                               .keys = 1000000,
                               .batch = 32,
                               .zipf = 0.99};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int status = take_option(o, c);
        if (status >= 0)
            return status;
    }
    if (optind != argc - 1) {
        fputs(usage, stderr);
        return STATUS_USAGE;
    }
    o->name = argv[optind];
    return check_options(o);
}

static void command_text(int argc, char **argv, char *out, size_t len)
{
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < argc && at < len; i++) {
        const char *word = i ? argv[i] : "coral-perf";
        at += (size_t)snprintf(out + at, len - at, "%s%s", i ? " " : "", word);
    }
    for (char *p = out; *p; p++) /* it goes into JSON as it is */
        if (*p == '"' || *p == '\\' || (unsigned char)*p < ' ')
            *p = '?';
}

static void print_json(const struct perf_options *o, const struct perf_result *r,
                       const char *command)
{
    double core_hz = r->ratio * (double)rte_get_tsc_hz();
    printf("{\"name\": \"%s\", \"ops_per_s\": %.0f, \"cycles_per_op\": %.1f, \"core_hz\": %.0f, "
           "\"tsc_hz\": %.0f, \"offload\": \"%s\", \"p50_us\": %llu, \"p99_us\": %llu, "
           "\"errors\": %llu, \"verified\": %llu, \"seconds\": %.2f, \"size\": %u, "
           "\"connections\": %u, \"active\": %u, \"busy\": %.3f, \"command\": \"%s\", "
           "\"revision\": \"%s\"",
           o->name, (double)r->ops / r->seconds, r->tsc_per_op * r->ratio, core_hz,
           (double)rte_get_tsc_hz(), o->offload ? "on" : "off",
           (unsigned long long)hist_quantile(&r->latency, 0.5),
           (unsigned long long)hist_quantile(&r->latency, 0.99), (unsigned long long)r->errors,
           (unsigned long long)r->verified, r->seconds, o->size,
           o->name[0] == 'e' ? 0 : o->connections, o->active ? o->active : o->connections,
           (double)r->busy_tsc / (double)rte_get_tsc_hz() / r->seconds, command, CORAL_REVISION);
    if (o->rate > 0)
        printf(", \"rate\": %.0f, \"given_up\": %llu", o->rate, (unsigned long long)r->given_up);
    if (o->misses > 0)
        printf(", \"hits_per_s\": %.0f, \"misses_per_s\": %.0f, \"refused_per_s\": %.0f, "
               "\"miss_p50_us\": %llu, \"miss_p99_us\": %llu",
               (double)r->hits / r->seconds, (double)r->misses / r->seconds,
               (double)r->refused / r->seconds,
               (unsigned long long)hist_quantile(&r->miss_latency, 0.5),
               (unsigned long long)hist_quantile(&r->miss_latency, 0.99));
    if (o->op == PERF_IDLE)
        printf(", \"bytes_per_idle_connection\": %.1f, \"opens_per_s\": %.0f, "
               "\"cycles_per_open\": %.1f, \"few_cycles_per_op\": %.1f, \"few_p50_us\": %llu",
               r->bytes_per_connection, r->opens_per_s, r->tsc_per_open * r->ratio,
               r->few_tsc_per_op * r->ratio, (unsigned long long)r->few_p50_us);
    printf("}\n");
}

static void print_table(const struct perf_options *o, const struct perf_result *r)
{
    double tsc = (double)rte_get_tsc_hz();
    printf("%-6s %6s %11s %11s %14s %9s %9s %8s %6s\n", "run", "size", "connections", "ops/s",
           "core cycles/op", "p50 us", "p99 us", "errors", "busy");
    printf("%-6s %6u %11u %11.0f %14.1f %9llu %9llu %8llu %5.0f%%\n", o->name, o->size,
           o->name[0] == 'e' ? 0 : o->connections, (double)r->ops / r->seconds,
           r->tsc_per_op * r->ratio, (unsigned long long)hist_quantile(&r->latency, 0.5),
           (unsigned long long)hist_quantile(&r->latency, 0.99), (unsigned long long)r->errors,
           100 * (double)r->busy_tsc / tsc / r->seconds);
    printf("core %.2f GHz, TSC %.2f GHz, checksum offload %s, %.1f s measured, %llu answers "
           "compared byte by byte, revision %s\n",
           r->ratio * tsc / 1e9, tsc / 1e9, o->offload ? "on" : "off", r->seconds,
           (unsigned long long)r->verified, CORAL_REVISION);
    if (o->rate > 0)
        printf("offered %.0f a second, %llu given up\n", o->rate, (unsigned long long)r->given_up);
    if (o->misses > 0)
        printf(
            "of hits (the times above): %.0f a second; of misses: %.0f, p50 %llu us, p99 %llu us; "
            "refused: %.0f\n",
            (double)r->hits / r->seconds, (double)r->misses / r->seconds,
            (unsigned long long)hist_quantile(&r->miss_latency, 0.5),
            (unsigned long long)hist_quantile(&r->miss_latency, 0.99),
            (double)r->refused / r->seconds);
    if (o->op == PERF_IDLE)
        printf("%.1f bytes a connection; opened %.0f a second at %.1f core cycles; the same "
               "requests without the idle ones: %.1f core cycles, p50 %llu us\n",
               r->bytes_per_connection, r->opens_per_s, r->tsc_per_open * r->ratio,
               r->few_tsc_per_op * r->ratio, (unsigned long long)r->few_p50_us);
}

int main(int argc, char **argv)
{
    static struct perf_result result;
    struct perf_options o;
    struct eal_config eal = {.memory_bytes = port_eal_memory(1, 1) + (96u << 20)};
    char error[512] = "", command[512];

    command_text(argc, argv, command, sizeof(command));
    int status = read_options(argc, argv, &o);
    if (status >= 0)
        return status;
    if (strchr("mdcr", o.name[0])) {
        if ((o.name[0] == 'm'   ? mac_run
             : o.name[0] == 'd' ? dht_run
             : o.name[0] == 'r' ? rules_run
                                : cache_run)(&o, command, error, sizeof(error)))
            return STATUS_DONE;
        fprintf(stderr, "coral-perf: %s\n", error);
        return STATUS_FAILED;
    }
    if (o.cores == 2 && perf_cpu(1) < 0) {
        fprintf(
            stderr,
            "coral-perf: needs two CPUs, one for the worker and one for the load, or --cores 1\n");
        return STATUS_FAILED;
    }
    eal.no_hugepages = o.no_huge;
    snprintf(eal.name, sizeof(eal.name), "coral-perf-%d", (int)getpid());
    if (port_eal_start(&eal, error, sizeof(error)) < 0) {
        fprintf(stderr, "coral-perf: %s\n", error);
        return STATUS_FAILED;
    }
    bool ok = o.name[0] == 'e'   ? echo_run(&o, &result, error, sizeof(error))
              : o.name[0] == 't' ? tcp_run(&o, &result, error, sizeof(error))
                                 : http_run(&o, &result, error, sizeof(error));
    port_eal_stop();
    if (!ok || result.ops == 0) {
        fprintf(stderr, "coral-perf: %s\n", ok ? "not one answer came back" : error);
        return STATUS_FAILED;
    }
    if (o.json)
        print_json(&o, &result, command);
    else
        print_table(&o, &result);
    return result.errors ? STATUS_FAILED : STATUS_DONE;
}
