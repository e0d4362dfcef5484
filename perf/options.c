/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line: one table of options, and which commands each of them means something to. */
#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_version.h>

#include "perf/options.h"
#include "perf/require.h"
#include "perf/wire.h"
#include "version.h"

#define CONNECTIONS_MAX 20000000

#define ECHO  (1u << PERF_ECHO)
#define HTTP  (1u << PERF_HTTP)
#define DNS   (1u << PERF_DNS)
#define TCP   (1u << PERF_TCP)
#define DHT   (1u << PERF_DHT)
#define CACHE (1u << PERF_CACHE)
#define FLASH (1u << PERF_FLASH)
#define ALL   (~0u)

static const char usage[] =
    "Usage: coral-perf COMMAND [options]\n"
    "       coral-perf compare A.json B.json [--json]\n"
    "       coral-perf rivals [--help]\n"
    "       coral-perf profile http|dns [--flame FILE.svg] [options]|--file CALLGRIND.OUT "
    "[--json]\n"
    "       coral-perf plot [--x FIELD] [--y FIELD] [--title TEXT] [--output FILE.svg] FILE...\n"
    "\n"
    "One worker on one core, a load generator on another, an in-memory link between them:\n"
    "  echo                 the bare wire: frames are sent back, no engine runs\n"
    "  http                 cached objects over live TCP connections\n"
    "  dns                  A of a million names\n"
    "Eight nodes in two clusters, 80 ms apart, on virtual time:\n"
    "  flash                a flash crowd: new objects that all ask for at once\n"
    "One engine alone, on one core:\n"
    "  tcp --op idle        requests among many idle connections\n"
    "  tcp --op connect     whole lives of connections\n"
    "  dht [--op OP]        the index: requests served, hops of lookups; OP: get, get-one, "
    "get-none,\n"
    "                       walk, store, cookie, ping or lookup alone\n"
    "  mac                  tags of the index's messages, in each way to compute them\n"
    "  cache [--op OP]      get (default): found, in batches and one by one; put: stored, others\n"
    "                       evicted; mixed; memory; churn; purge\n"
    "  rules                ten thousand of the operator's rules, asked about URLs\n"
    "  profile              cost of an operation of http or dns by stage: cycles by perf, or\n"
    "                       instructions by callgrind; --flame: a flame graph by perf\n"
    "Whole servers, over a veth pair, with the kernel as client:\n"
    "  rivals               corald beside nginx, Varnish, Traffic Server, H2O; Knot and NSD\n"
    "Of files that --json wrote:\n"
    "  compare              ratios, with confidence intervals\n"
    "  plot                 an SVG by gnuplot: fields against each other; of .hgrm and .csv files\n"
    "                       times by percentile\n"
    "\n"
    "  --seconds S          measured time (default 3)\n"
    "  --repeat N           so many runs, each a process of its own (default 1; --find-max: 3)\n"
    "  --connections N      http, tcp: live connections (default 1000)\n"
    "  --active N           http: requests in flight, each on a connection picked at random; dns: "
    "queries\n"
    "                       (default 1024)\n"
    "  --rate R             http, dns: so many requests a second by schedule, each timed from its\n"
    "                       time in it (default: 70 % of what a short closed loop comes to);\n"
    "                       flash (default 100000)\n"
    "  --closed             http, dns: the next request as soon as an answer is there: the most\n"
    "                       that can be had, and cycles under full load\n"
    "  --poisson            of the schedule: exponential distances, as of many independent "
    "clients\n"
    "  --find-max --p99 US  http, dns: the highest rate whose p99 is at most that\n"
    "  --think MS           http: so long waits a client between an answer and its next request\n"
    "  --misses PERCENT     http: of the requests, those for what is not in the cache yet (default "
    "0)\n"
    "  --new N              flash: objects that appear in a second (default 100)\n"
    "  --seed N             flash: of all chance (default 1); a run repeated has the next one\n"
    "  --shed MS            http: the node's http.shed_after (default 0: it refuses nothing)\n"
    "  --wire DEVICE --address IP/LEN --server IP[:PORT]\n"
    "                       http, dns: any server elsewhere, from that interface, past the kernel; "
    "echo:\n"
    "                       the other end, without addresses. DEVICE is also af_xdp:DEVICE,\n"
    "                       af_packet:DEVICE, a PCI address, or DPDK's net_memif0,...\n"
    "  --host NAME, --path PATH   http --wire: what is asked for\n"
    "  --memcached KEY      http --wire: instead, that key of a memcached\n"
    "  --name NAME          dns --wire: what is asked for, as n########.example.com: a run of # is "
    "a\n"
    "                       number below --objects\n"
    "  --names FILE         dns --wire: the same, a name and its type (A) a line\n"
    "  --serve DEVICE [--address IP/LEN]   echo, dns: the worker alone, on a port; its load is\n"
    "                       another process, with --wire\n"
    "  --hgrm, --hlog, --csv FILE   echo, http, dns, tcp: times of answers, for HdrHistogram's "
    "viewers\n"
    "  --size BYTES         of an object (http, tcp: default 1024; cache: empty); echo: of a "
    "frame\n"
    "  --reply BYTES        echo: of a frame that comes back (default: as it went)\n"
    "  --objects N          cache, dht, dns: that there are (default 1000000); http (default 1),\n"
    "                       flash (1000)\n"
    "  --zipf S             cache, http, dns, flash: exponent of the law by which they are "
    "picked,\n"
    "                       0 to 2\n"
    "                       (default: cache, flash 0.99; others 0, all alike)\n"
    "  --trace FILE         http, cache: objects and sizes as a trace has them, again and again;\n"
    "                       --format text|twitter|wiki|oracle, --limit N: the first N requests\n"
    "  --batch N            cache: gets at a time, 1 to 512 (default 32); dht: requests (default:\n"
    "                       1, 8 and 32)\n"
    "  --offload on|off     echo, http, dns: whether the port pretends to do checksums (default "
    "on)\n"
    "  --cores 1|2          http, dns: with 1 worker and load take turns on one core, and only "
    "the\n"
    "                       worker's turns count (default 2)\n"
    "  --workers N          http: the node's workers (default 1); above 1 each has a core and a "
    "load of\n"
    "                       its own, in turns, and the first one's turns count\n"
    "  --no-huge            ordinary pages, as valgrind needs them\n"
    "  --json               one JSON document on standard output\n"
    "  --assert 'F<N'       exit status 1 unless field F of the JSON is so, in the median; also\n"
    "                       <= > >= = !=; may be given several times\n"
    "  --help, --version\n";

int perf_refuse(const char *what, const char *value, const char *remedy)
{
    fprintf(stderr, "coral-perf: %s: \"%s\" %s\n", what, value, remedy);
    return STATUS_USAGE;
}

static const struct option options[] = {
    {"seconds", required_argument, NULL, 's'}, {"connections", required_argument, NULL, 'c'},
    {"size", required_argument, NULL, 'b'},    {"offload", required_argument, NULL, 'o'},
    {"json", no_argument, NULL, 'j'},          {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},       {"op", required_argument, NULL, 'O'},
    {"rate", required_argument, NULL, 'r'},    {"cores", required_argument, NULL, 'C'},
    {"workers", required_argument, NULL, 'w'}, {"no-huge", no_argument, NULL, 'H'},
    {"active", required_argument, NULL, 'a'},  {"objects", required_argument, NULL, 'n'},
    {"batch", required_argument, NULL, 'B'},   {"zipf", required_argument, NULL, 'z'},
    {"repeat", required_argument, NULL, 'R'},  {"assert", required_argument, NULL, 'A'},
    {"poisson", no_argument, NULL, 'P'},       {"find-max", no_argument, NULL, 'M'},
    {"p99", required_argument, NULL, '9'},     {"hgrm", required_argument, NULL, 'g'},
    {"hlog", required_argument, NULL, 'l'},    {"csv", required_argument, NULL, 'V'},
    {"misses", required_argument, NULL, 'm'},  {"new", required_argument, NULL, 'E'},
    {"seed", required_argument, NULL, 'D'},    {"shed", required_argument, NULL, 'd'},
    {"wire", required_argument, NULL, 'W'},    {"address", required_argument, NULL, 'i'},
    {"server", required_argument, NULL, 'S'},  {"host", required_argument, NULL, 'N'},
    {"path", required_argument, NULL, 'p'},    {"name", required_argument, NULL, 'q'},
    {"names", required_argument, NULL, 'Q'},   {"memcached", required_argument, NULL, 'K'},
    {"serve", required_argument, NULL, 'F'},   {"reply", required_argument, NULL, 'e'},
    {"trace", required_argument, NULL, 't'},   {"format", required_argument, NULL, 'f'},
    {"limit", required_argument, NULL, 'L'},   {"think", required_argument, NULL, 'T'},
    {"closed", no_argument, NULL, 'k'},        {0},
};

/* To whom an option means something. */
static const struct {
    int c;
    const char *name;
    unsigned commands;
} meant[] = {
    {'c', "--connections", HTTP | TCP},
    {'a', "--active", HTTP | DNS},
    {'r', "--rate", HTTP | DNS | FLASH},
    {'P', "--poisson", HTTP | DNS | FLASH},
    {'M', "--find-max", HTTP | DNS},
    {'9', "--p99", HTTP | DNS},
    {'g', "--hgrm", ECHO | HTTP | DNS | TCP},
    {'l', "--hlog", ECHO | HTTP | DNS | TCP},
    {'V', "--csv", ECHO | HTTP | DNS | TCP},
    {'m', "--misses", HTTP},
    {'E', "--new", FLASH},
    {'D', "--seed", FLASH},
    {'d', "--shed", HTTP},
    {'W', "--wire", ECHO | HTTP | DNS},
    {'F', "--serve", ECHO | DNS},
    {'e', "--reply", ECHO},
    {'i', "--address", HTTP | DNS},
    {'S', "--server", HTTP | DNS},
    {'K', "--memcached", HTTP},
    {'q', "--name", DNS},
    {'Q', "--names", DNS},
    {'N', "--host", HTTP},
    {'p', "--path", HTTP},
    {'t', "--trace", HTTP | CACHE},
    {'f', "--format", HTTP | CACHE},
    {'L', "--limit", HTTP | CACHE},
    {'T', "--think", HTTP},
    {'k', "--closed", HTTP | DNS},
    {'b', "--size", ECHO | HTTP | TCP | CACHE | FLASH},
    {'n', "--objects", CACHE | DHT | HTTP | DNS | FLASH},
    {'z', "--zipf", CACHE | HTTP | DNS | FLASH},
    {'B', "--batch", CACHE | DHT},
    {'o', "--offload", ECHO | HTTP | DNS},
    {'C', "--cores", HTTP | DNS},
    {'w', "--workers", HTTP},
    {'O', "--op", TCP | DHT | CACHE},
    {'H', "--no-huge", ECHO | HTTP | DNS | TCP | FLASH},
};

static_assert(sizeof(meant) / sizeof(meant[0]) <= 64, "perf_options' given has a bit for each");

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
    {'E', "--new", 0, 10000, "is no number from 0 to 10000", true,
     offsetof(struct perf_options, born)},
    {'D', "--seed", 0, UINT32_MAX, "is no number from 0 to 4294967295", true,
     offsetof(struct perf_options, seed)},
    {'d', "--shed", 0, 10000, "is no time from 0 to 10000 ms", false,
     offsetof(struct perf_options, shed_ms)},
    {'a', "--active", 1, OPTIONS_CONNECTIONS_HTTP, "is no number from 1 to 1200000", true,
     offsetof(struct perf_options, active)},
    {'n', "--objects", 1, 1e7, "is no number from 1 to 10000000", true,
     offsetof(struct perf_options, objects)},
    {'B', "--batch", 1, 512, "is no number from 1 to 512", true,
     offsetof(struct perf_options, batch)},
    {'z', "--zipf", 0, 2, "is no exponent from 0 to 2", false, offsetof(struct perf_options, zipf)},
    {'b', "--size", 1, 128 << 20, "is no number of bytes from 1 to 134217728", true,
     offsetof(struct perf_options, size)},
    {'e', "--reply", 60, 1514, "is no size of a frame, from 60 to 1514 bytes", true,
     offsetof(struct perf_options, reply)},
    {'9', "--p99", 1, 1e7, "is no number of microseconds from 1 to 10000000", false,
     offsetof(struct perf_options, p99_us)},
    {'w', "--workers", 1, PORT_WORKERS, "is no number from 1 to 16", true,
     offsetof(struct perf_options, workers)},
    {'R', "--repeat", 1, PERF_REPEATS, "is no number from 1 to 1000", true,
     offsetof(struct perf_options, repeat)},
    {'L', "--limit", 1, TRACE_REQUESTS_MAX, "is no number from 1 to 2000000000", true,
     offsetof(struct perf_options, limit)},
    {'T', "--think", 0.001, 60000, "is no time from 0.001 to 60000 ms", false,
     offsetof(struct perf_options, think_ms)},
};

/* -1: go on; else the exit status, as below. */
static int take_number(struct perf_options *o, const struct numeric *n)
{
    char *end;
    double v = strtod(optarg, &end);
    if (end == optarg || *end || !(v >= n->low && v <= n->high) ||
        (n->whole && v != (double)(uint32_t)v))
        return perf_refuse(n->name, optarg, n->remedy);
    if (n->whole)
        *(uint32_t *)((char *)o + n->at) = (uint32_t)v;
    else
        *(double *)((char *)o + n->at) = v;
    return -1;
}

static int take_requirement(struct perf_options *o)
{
    if (o->requirements == PERF_REQUIREMENTS)
        return perf_refuse("--assert", optarg, "is one more than the 16 that there may be");
    if (!require_parse(optarg, &o->requirement[o->requirements]))
        return perf_refuse("--assert", optarg,
                           "is not FIELD<NUMBER, with <, <=, >, >=, = or !=: as p99_us<1000");
    o->requirements++;
    return -1;
}

static struct wire wire; /* of o->wire */

static int take_option(struct perf_options *o, int c)
{
    for (size_t i = 0; i < sizeof(meant) / sizeof(meant[0]); i++)
        if (meant[i].c == c)
            o->given |= 1ull << i;
    for (size_t i = 0; i < sizeof(numerics) / sizeof(numerics[0]); i++)
        if (numerics[i].c == c)
            return take_number(o, &numerics[i]);
    switch (c) {
    case 'C':
        if (strcmp(optarg, "1") != 0 && strcmp(optarg, "2") != 0)
            return perf_refuse("--cores", optarg, "is neither 1 nor 2");
        o->cores = (uint32_t)(optarg[0] - '0');
        return -1;
    case 'o':
        if (strcmp(optarg, "on") != 0 && strcmp(optarg, "off") != 0)
            return perf_refuse("--offload", optarg, "is neither on nor off");
        o->offload = strcmp(optarg, "on") == 0;
        return -1;
    case 'O':
        o->op = optarg;
        return -1;
    case 'A':
        return take_requirement(o);
    case 'W':
        if (strcmp(optarg, "ring") == 0) /* as without it */
            return -1;
        return wire_take_device(&wire, optarg, false);
    case 'F':
        return wire_take_device(&wire, optarg, true);
    case 'K':
        wire.memcached = optarg;
        return -1;
    case 'q':
        wire.name = optarg;
        return -1;
    case 'Q':
        wire.names = optarg;
        return -1;
    case 'i':
        return wire_take_client(&wire, optarg);
    case 'S':
        return wire_take_server(&wire, optarg);
    case 'N':
        snprintf(wire.host, sizeof(wire.host), "%s", optarg);
        return strlen(optarg) < sizeof(wire.host)
                   ? -1
                   : perf_refuse("--host", optarg, "is longer than 127 bytes");
    case 'p':
        wire.path = optarg;
        return -1;
    case 't':
        o->trace_file = optarg;
        return -1;
    case 'f':
        o->trace_told = true;
        return parse_format_named(optarg, &o->trace_format)
                   ? -1
                   : perf_refuse("--format", optarg, "is none of text, twitter, wiki, oracle");
    case 'P':
        o->poisson = true;
        return -1;
    case 'k':
        o->closed = true;
        return -1;
    case 'M':
        o->find_max = true;
        return -1;
    case 'g':
        o->hgrm = optarg;
        return -1;
    case 'l':
        o->hlog = optarg;
        return -1;
    case 'V':
        o->csv = optarg;
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

/* The names of the commands in `set`, as "http, tcp". */
static void names(unsigned set, char *out, size_t len)
{
    size_t at = 0;
    out[0] = 0;
    for (unsigned i = 0; i < PERF_COMMANDS && at < len; i++)
        if (set & 1u << i)
            at +=
                (size_t)snprintf(out + at, len - at, "%s%s", at ? ", " : "", perf_commands[i].name);
}

static int check_meant(const struct perf_options *o)
{
    char who[160], remedy[224];
    for (size_t i = 0; i < sizeof(meant) / sizeof(meant[0]); i++)
        if (o->given & 1ull << i && !(meant[i].commands & 1u << o->command)) {
            names(meant[i].commands, who, sizeof(who));
            snprintf(remedy, sizeof(remedy), "takes none; it goes with %s", who);
            return perf_refuse(meant[i].name, perf_commands[o->command].name, remedy);
        }
    return -1;
}

int perf_read_options(int argc, char **argv, struct perf_options *o)
{
    char who[160], remedy[224];
    *o = (struct perf_options){.command = PERF_COMMANDS,
                               .seconds = 3,
                               .connections = 1000,
                               .cores = 2,
                               .workers = 1,
                               .offload = true,
                               .born = 100,
                               .seed = 1,
                               .zipf = -1,
                               .wire = &wire};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int status = take_option(o, c);
        if (status >= 0)
            return status;
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return STATUS_USAGE;
    }
    for (unsigned i = 0; i < PERF_COMMANDS; i++)
        if (strcmp(argv[optind], perf_commands[i].name) == 0)
            o->command = i;
    if (o->command == PERF_COMMANDS) {
        names(ALL, who, sizeof(who));
        snprintf(remedy, sizeof(remedy),
                 "is not known; there are %s, compare, plot, profile, rivals", who);
        return perf_refuse("command", argv[optind], remedy);
    }
    if (optind + 1 < argc)
        return perf_refuse("command line", argv[optind + 1], "is one word too many");
    int status = check_meant(o);
    return status < 0 ? options_check(o) : status;
}
