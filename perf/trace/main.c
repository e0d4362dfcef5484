/* SPDX-License-Identifier: BSD-3-Clause */
/* coral-trace: what policies of eviction would have missed. coral-trace(1). */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "perf/trace/generate.h"
#include "perf/trace/parse.h"
#include "perf/trace/policy.h"
#include "version.h"

#define CAPACITIES_MAX 32
#define POLICIES_MAX   32

enum status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct capacity {
    double share; /* of the footprint; 0: `bytes` */
    uint64_t bytes;
};

struct options {
    struct generate_options generate; /* kind NULL: a file */
    const char *file, *write;
    enum parse_format format;
    bool write_oracle, json, unit;
    uint32_t limit;
    double warm;
    const struct policy *policy[POLICIES_MAX];
    struct capacity capacity[CAPACITIES_MAX];
    unsigned policies, capacities;
    /* as told, to be laid over the kind's own numbers */
    uint64_t seed;
    double requests, objects, exponent, limit_told;
    int sizes; /* -1: not told */
};

static void usage(FILE *f)
{
    fprintf(f, "usage: coral-trace --generate KIND [OPTION...]\n"
               "       coral-trace FILE|- [--format text|twitter|wiki|oracle] [OPTION...]\n"
               "\n"
               "What a cache would have missed under each policy of eviction.\n"
               "\n"
               "kinds of generated traces, a day long, the same from a seed\n"
               "  zipf                     by Zipf's law, each request for itself\n"
               "  scan                     and five walks through other objects\n"
               "  once                     a third of the requests for what is asked for once\n"
               "  shift                    all objects change their ranks nine times\n"
               "  crowd                    and a flash crowd for twelve new objects\n"
               "  cdn                      an eighth asked for once; objects age and are replaced\n"
               "  day                      CoralCDN's day\n"
               "  --requests N  --objects N  --exponent S  --seed N\n"
               "  --sizes unit|cdn|tail    of objects: one byte, as of a CDN, with a heavier tail\n"
               "\n"
               "a file: text (time,id,size), twitter (Twitter's), wiki (Wikipedia's), oracle\n"
               "        (oracleGeneral), all unpacked\n"
               "  --limit N                the first N requests only\n"
               "  --unit                   each object counts as one byte\n"
               "\n"
               "  --policy LIST            by comma; all by default:\n");
    for (unsigned i = 0; policies[i]; i++)
        fprintf(f, "      %-20s %s\n", policies[i]->name, policies[i]->about);
    fprintf(
        f, "  --capacity LIST          by comma: bytes (k, M, G are powers of 1024), or shares of\n"
           "                           the footprint (default 0.1%%,1%%,5%%,10%%,20%%)\n"
           "  --warm P%%                the first part of the requests does not count\n"
           "  --write FILE|-           writes the trace and runs nothing, unless --policy is told\n"
           "  --write-format text|oracle\n"
           "  --json                   one JSON object on standard output\n"
           "  --help, --version\n");
}

static int refuse(const char *option, const char *value, const char *remedy)
{
    fprintf(stderr, "coral-trace: %s: \"%s\" %s\n", option, value, remedy);
    return STATUS_USAGE;
}

static bool number(const char *text, double low, double high, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && *out >= low && *out <= high;
}

static bool percent(const char *text, double *share)
{
    char *end;
    *share = strtod(text, &end) / 100;
    return end != text && strcmp(end, "%") == 0 && *share > 0 && *share <= 1;
}

static bool capacity_of(const char *text, struct capacity *c)
{
    static const char units[] = "kMGT";
    char *end;
    *c = (struct capacity){0};
    if (percent(text, &c->share))
        return true;
    c->share = 0;
    double v = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (end == text || (*end && (!unit || end[1])))
        return false;
    for (long i = unit ? unit - units : -1; i >= 0; i--)
        v *= 1024;
    c->bytes = v >= 1 && v < 1e18 ? (uint64_t)v : 0;
    return c->bytes > 0;
}

static int read_capacities(char *list, struct options *o)
{
    o->capacities = 0;
    for (char *word; (word = strsep(&list, ",")) != NULL;) {
        if (o->capacities == CAPACITIES_MAX)
            return refuse("--capacity", word, "is one too many, there are 32 at most");
        if (!capacity_of(word, &o->capacity[o->capacities++]))
            return refuse("--capacity", word, "is neither bytes (64M) nor a share (1%)");
    }
    return -1;
}

/* "is not known; there are A, B and C" */
static int refuse_choice(const char *option, const char *value, const char *const *names, size_t n)
{
    char text[512];
    size_t at = (size_t)snprintf(text, sizeof(text), "is not known; there are ");
    for (size_t i = 0; i < n && at < sizeof(text); i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
                               i == 0       ? ""
                               : i + 1 == n ? " and "
                                            : ", ",
                               names[i]);
    return refuse(option, value, text);
}

static int refuse_policy(const char *word)
{
    const char *names[POLICIES_MAX];
    size_t n = 0;
    for (; n < POLICIES_MAX && policies[n]; n++)
        names[n] = policies[n]->name;
    return refuse_choice("--policy", word, names, n);
}

static int refuse_kind(const char *word)
{
    size_t n = 0;
    while (generate_kinds[n])
        n++;
    return refuse_choice("--generate", word, generate_kinds, n);
}

static int read_policies(char *list, struct options *o)
{
    o->policies = 0;
    for (char *word; (word = strsep(&list, ",")) != NULL;) {
        unsigned i = 0;
        while (policies[i] && strcmp(policies[i]->name, word) != 0)
            i++;
        if (!policies[i])
            return refuse_policy(word);
        if (o->policies == POLICIES_MAX)
            return refuse("--policy", word, "is one too many");
        o->policy[o->policies++] = policies[i];
    }
    return -1;
}

/* Of one option: -1 is go on. */
static int read_option(int c, struct options *o)
{
    double v;
    switch (c) {
    case 'g':
        if (generate_defaults(optarg, &o->generate))
            return -1;
        return refuse_kind(optarg);
    case 'r':
        return number(optarg, 10, 1e9, &o->requests)
                   ? -1
                   : refuse("--requests", optarg, "is no number from 10 to 1000000000");
    case 'o':
        return number(optarg, 100, 1e9, &o->objects)
                   ? -1
                   : refuse("--objects", optarg, "is no number from 100 to 1000000000");
    case 'e':
        return number(optarg, 0, 5, &o->exponent)
                   ? -1
                   : refuse("--exponent", optarg, "is no number from 0 to 5");
    case 's':
        if (!number(optarg, 0, 9e15, &v))
            return refuse("--seed", optarg, "is no number from 0 to 9e15");
        o->seed = (uint64_t)v;
        return -1;
    case 'z':
        o->sizes = strcmp(optarg, "unit") == 0   ? SIZES_UNIT
                   : strcmp(optarg, "cdn") == 0  ? SIZES_CDN
                   : strcmp(optarg, "tail") == 0 ? SIZES_TAIL
                                                 : -1;
        return o->sizes >= 0 ? -1 : refuse("--sizes", optarg, "is none of unit, cdn, tail");
    case 'f':
        return parse_format_named(optarg, &o->format)
                   ? -1
                   : refuse("--format", optarg, "is none of text, twitter, wiki, oracle");
    case 'l':
        return number(optarg, 1, TRACE_REQUESTS_MAX, &o->limit_told)
                   ? -1
                   : refuse("--limit", optarg, "is no number from 1 to 2000000000");
    case 'w':
        return percent(optarg, &o->warm) && o->warm < 1
                   ? -1
                   : refuse("--warm", optarg, "is no share above 0% and below 100%");
    case 'F':
        o->write_oracle = strcmp(optarg, "oracle") == 0;
        return o->write_oracle || strcmp(optarg, "text") == 0
                   ? -1
                   : refuse("--write-format", optarg, "is neither text nor oracle");
    case 'p':
        return read_policies(optarg, o);
    case 'c':
        return read_capacities(optarg, o);
    default:
        usage(stderr);
        return STATUS_USAGE;
    }
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"generate", required_argument, NULL, 'g'}, {"requests", required_argument, NULL, 'r'},
        {"objects", required_argument, NULL, 'o'},  {"exponent", required_argument, NULL, 'e'},
        {"seed", required_argument, NULL, 's'},     {"sizes", required_argument, NULL, 'z'},
        {"format", required_argument, NULL, 'f'},   {"limit", required_argument, NULL, 'l'},
        {"unit", no_argument, NULL, 'u'},           {"policy", required_argument, NULL, 'p'},
        {"capacity", required_argument, NULL, 'c'}, {"warm", required_argument, NULL, 'w'},
        {"write", required_argument, NULL, 'W'},    {"write-format", required_argument, NULL, 'F'},
        {"json", no_argument, NULL, 'j'},           {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},        {0},
    };
    static char capacities[] = "0.1%,1%,5%,10%,20%";

    *o = (struct options){.sizes = -1, .exponent = -1, .seed = UINT64_MAX};
    read_capacities(capacities, o);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int status = -1;
        if (c == 'h') {
            usage(stdout);
            return STATUS_DONE;
        }
        if (c == 'v') {
            printf("coral-trace %s (%s)\n", CORAL_VERSION, CORAL_REVISION);
            return STATUS_DONE;
        }
        if (c == 'u')
            o->unit = true;
        else if (c == 'j')
            o->json = true;
        else if (c == 'W')
            o->write = optarg;
        else
            status = read_option(c, o);
        if (status >= 0)
            return status;
    }
    if ((optind < argc) == (o->generate.kind != NULL) || optind + 1 < argc) {
        fprintf(stderr, "coral-trace: one FILE, or --generate KIND; --help tells more\n");
        return STATUS_USAGE;
    }
    o->file = argv[optind];
    if (o->requests > 0)
        o->generate.requests = (uint32_t)o->requests;
    if (o->objects > 0)
        o->generate.objects = (uint32_t)o->objects;
    if (o->exponent >= 0)
        o->generate.exponent = o->exponent;
    if (o->seed != UINT64_MAX)
        o->generate.seed = o->seed;
    if (o->sizes >= 0)
        o->generate.sizes = (enum generate_sizes)o->sizes;
    o->limit = o->limit_told > 0 ? (uint32_t)o->limit_told : TRACE_REQUESTS_MAX;
    if (o->policies == 0 && !o->write)
        for (; policies[o->policies]; o->policies++)
            o->policy[o->policies] = policies[o->policies];
    return -1;
}

/* --- the trace -------------------------------------------------------------------------------- */

static bool make_trace(const struct options *o, struct trace *t, struct parser *p)
{
    trace_open(t, o->generate.kind ? o->generate.requests : o->limit);
    parse_open(p, o->format, t);
    if (o->generate.kind) {
        if (!generate(&o->generate, t)) {
            fprintf(stderr, "coral-trace: no memory for the trace; fewer --requests, --objects\n");
            return false;
        }
    } else if (!parse_file(p, "coral-trace", o->file)) {
        return false;
    }
    if (!trace_finish(t)) {
        fprintf(stderr, "coral-trace: no memory for the trace\n");
        return false;
    }
    return true;
}

static void make_unit(struct trace *t)
{
    for (uint32_t i = 0; i < t->requests; i++)
        t->request[i].bytes = 1;
    for (uint32_t i = 0; i < t->objects; i++)
        t->first_bytes[i] = 1;
    t->footprint_bytes = t->objects;
    t->requested_bytes = t->requests;
}

/* --- runs and their report -------------------------------------------------------------------- */

static double ratio(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static json_t *json_of(const struct options *o, const struct trace *t, const struct parser *p)
{
    return json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I}", "name",
        o->generate.kind ? o->generate.kind : o->file, "requests", (json_int_t)t->requests,
        "objects", (json_int_t)t->objects, "footprint_bytes", (json_int_t)t->footprint_bytes,
        "requested_bytes", (json_int_t)t->requested_bytes, "objects_once_share",
        ratio(t->objects_once, t->objects), "bad", (json_int_t)p->bad, "other",
        (json_int_t)p->other, "seed", (json_int_t)(o->generate.kind ? o->generate.seed : 0));
}

static bool run(const struct options *o, const struct trace *t, json_t *results)
{
    for (unsigned c = 0; c < o->capacities; c++) {
        const struct capacity *k = &o->capacity[c];
        uint64_t bytes =
            k->share > 0 ? (uint64_t)(k->share * (double)t->footprint_bytes) : k->bytes;
        for (unsigned i = 0; i < o->policies; i++) {
            struct counts n;
            uint32_t first = (uint32_t)(o->warm * t->requests);
            if (!simulate(o->policy[i], t, bytes ? bytes : 1, first, &n)) {
                fprintf(stderr,
                        "coral-trace: %s does not run with %" PRIu64
                        " bytes: too few, or no memory for it\n",
                        o->policy[i]->name, bytes);
                continue;
            }
            double requests = ratio(n.misses, n.requests), missed = ratio(n.missed_bytes, n.bytes);
            json_t *row = json_pack(
                "{s:s, s:I, s:f, s:f, s:f, s:I, s:I}", "policy", o->policy[i]->name,
                "capacity_bytes", (json_int_t)bytes, "capacity_share",
                ratio(bytes, t->footprint_bytes), "request_miss_ratio", requests, "byte_miss_ratio",
                missed, "misses", (json_int_t)n.misses, "missed_bytes", (json_int_t)n.missed_bytes);
            if (json_array_append_new(results, row) < 0)
                return false;
            if (!o->json)
                printf("%14" PRIu64 " %7.2f%%  %-15s %8.4f %8.4f\n", bytes,
                       100 * ratio(bytes, t->footprint_bytes), o->policy[i]->name, requests,
                       missed);
        }
    }
    return true;
}

static bool report(const struct options *o, const struct trace *t, const struct parser *p,
                   json_t *command)
{
    json_t *results = json_array();
    if (!o->json && o->policies) {
        printf("%s: %" PRIu32 " requests of %" PRIu32 " objects (%.1f %% of them once), %.3f GB; "
               "%.3f GB asked for\n",
               o->generate.kind ? o->generate.kind : o->file, t->requests, t->objects,
               100 * ratio(t->objects_once, t->objects), (double)t->footprint_bytes / 1e9,
               (double)t->requested_bytes / 1e9);
        printf("%14s %8s  %-15s %8s %8s\n", "capacity", "share", "policy", "requests", "bytes");
    }
    bool ok = results && run(o, t, results);
    if (o->json) {
        json_t *trace = json_of(o, t, p);
        ok = ok && trace; /* a name that is no UTF-8 has no JSON */
        json_t *all =
            json_pack("{s:o?, s:o?, s:f, s:O, s:s}", "trace", trace, "results", results,
                      "warm_share", o->warm, "command", command, "revision", CORAL_REVISION);
        ok = ok && all && json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0;
        json_decref(all);
        puts("");
    } else {
        json_decref(results);
    }
    return ok && fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    static struct parser parser;
    struct options o;
    struct trace t;
    json_t *command = json_array();
    for (int i = 0; i < argc; i++)
        json_array_append_new(command, json_string(i ? argv[i] : "coral-trace"));
    int status = read_options(argc, argv, &o);
    if (status < 0) {
        status = STATUS_FAILED;
        if (make_trace(&o, &t, &parser)) {
            if (o.unit)
                make_unit(&t);
            if (o.write && !trace_write(&t, o.write, o.write_oracle))
                fprintf(stderr, "coral-trace: --write: %s: %s\n", o.write, strerror(errno));
            else if (report(&o, &t, &parser, command))
                status = STATUS_DONE;
        }
        trace_close(&t);
    }
    json_decref(command);
    return status;
}
