/* SPDX-License-Identifier: BSD-3-Clause */
/* What each option says has been taken; here is whether all of it goes together. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/datagram.h"
#include "perf/dns_load.h"
#include "perf/flash.h"
#include "perf/keys.h"
#include "perf/options.h"
#include "perf/wire.h"

#define HTTP_ALL_MAX         20000 /* that may all have a request in flight */
#define WIRE_CONNECTIONS_MAX 20000

static const char *const operations[PERF_COMMANDS] = {
    [PERF_TCP] = "idle, connect",
    [PERF_DHT] = "get, get-one, get-none, walk, store, cookie, ping, lookup",
    [PERF_CACHE] = "get, put, mixed, memory, churn, purge",
};

/* Is `word` one of those in the list, which are separated by a comma and a space? */
static bool is_among(const char *word, const char *list)
{
    size_t n = strlen(word);
    for (const char *p = list; p && *p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL)
        if (n > 0 && strncmp(p, word, n) == 0 && (p[n] == 0 || p[n] == ','))
            return true;
    return false;
}

static int check_operation(const struct perf_options *o)
{
    char remedy[160];
    const char *list = operations[o->command];
    if (!list || (!o->op && o->command != PERF_TCP) || (o->op && is_among(o->op, list)))
        return -1;
    snprintf(remedy, sizeof(remedy), "is none of those that %s has: %s",
             perf_commands[o->command].name, list);
    return perf_refuse("--op", o->op ? o->op : "", remedy);
}

static int check_connections(const struct perf_options *o)
{
    char n[16], active[16];
    snprintf(n, sizeof(n), "%u", o->connections);
    snprintf(active, sizeof(active), "%u", o->active);
    if (o->command == PERF_DNS && o->active > DNS_PLACES)
        return perf_refuse("--active", active, "is more than dns's 16384 queries");
    if (o->command != PERF_HTTP)
        return -1;
    if (o->connections > OPTIONS_CONNECTIONS_HTTP)
        return perf_refuse("--connections", n, "is more than http's 1200000");
    if (o->connections > HTTP_ALL_MAX && o->active == 0)
        return perf_refuse("--connections", n,
                           "is above 20000 and needs --active: a node answers 503 when so many ask "
                           "at once");
    if (o->active > o->connections / 2)
        return perf_refuse("--active", active, "is more than half of --connections");
    if (o->active > 0 && o->rate > 0)
        return perf_refuse("--active", active, "and --rate exclude each other");
    if (o->think_ms > 0 && (o->active > 0 || o->rate > 0 || o->find_max))
        return perf_refuse("--think",
                           o->active     ? "--active"
                           : o->rate > 0 ? "--rate"
                                         : "--find-max",
                           "has no place beside it: both say when a client asks");
    return -1;
}

static int check_rate(struct perf_options *o)
{
    if (o->repeat == 0)
        o->repeat = o->find_max ? 3 : 1;
    if (o->command == PERF_FLASH && o->rate <= 0)
        o->rate = 100000;
    if (o->closed && (o->rate > 0 || o->poisson || o->find_max))
        return perf_refuse("--closed",
                           o->rate > 0  ? "--rate"
                           : o->poisson ? "--poisson"
                                        : "--find-max",
                           "has no place beside it: it is of a schedule");
    o->calibrate = (o->command == PERF_HTTP || o->command == PERF_DNS) && o->rate <= 0 &&
                   !o->closed && !o->find_max && o->active == 0 && o->think_ms <= 0 &&
                   !o->wire->serve;
    if (o->poisson && o->rate <= 0 && !o->find_max && !o->calibrate)
        return perf_refuse("--poisson",
                           o->active        ? "--active"
                           : o->wire->serve ? "--serve"
                                            : "--think",
                           "has no place beside it: it is of a schedule");
    if (o->find_max && o->p99_us <= 0)
        return perf_refuse("--find-max", "", "needs a bound: --p99 US");
    if (o->p99_us > 0 && !o->find_max)
        return perf_refuse("--p99", "", "is the bound of --find-max, which is missing");
    if (o->find_max && (o->rate > 0 || o->active > 0))
        return perf_refuse("--find-max", o->rate > 0 ? "--rate" : "--active",
                           "has no place beside it: it looks for the rate");
    const char *file = o->hgrm ? o->hgrm : o->hlog ? o->hlog : o->csv;
    if (file && (o->repeat > 1 || o->find_max))
        return perf_refuse("--hgrm, --hlog, --csv", file, "is the file of one run, not of several");
    return -1;
}

static int check_wire(struct perf_options *o)
{
    char n[16];
    int status = wire_check(o->wire, o->command);
    if (status < 0 && !o->wire->device[0])
        o->wire = NULL;
    if (status >= 0 || !o->wire)
        return status;
    snprintf(n, sizeof(n), "%u", o->connections);
    o->offload = false; /* sums are software's */
    if (o->wire->serve && (o->objects > 0 || o->zipf >= 0 || o->rate > 0 || o->active > 0 ||
                           o->size > 0 || o->reply > 0 || o->closed || o->hgrm || o->hlog ||
                           o->csv || o->cores == 1 || o->workers > 1 || o->repeat > 1))
        return perf_refuse("--serve", o->wire->device,
                           "goes without what is a load's, and --repeat");
    if (o->command == PERF_HTTP && o->connections > WIRE_CONNECTIONS_MAX)
        return perf_refuse("--connections", n,
                           "is more than the 20000 that one address has ports for");
    if (o->command == PERF_HTTP &&
        (o->objects > 1 || o->zipf >= 0 || o->cores == 1 || o->workers > 1 || o->size > 0 ||
         o->misses > 0 || o->shed_ms > 0 || o->trace_file))
        return perf_refuse(
            "--wire", o->wire->device,
            "goes without --objects, --zipf, --cores, --workers, --size, --misses, --shed and "
            "--trace: the server is elsewhere, and it alone knows what it has");
    return -1;
}

/* Of the trace follow how many objects there are, and their sizes. */
static int check_trace(struct perf_options *o)
{
    static struct trace trace;
    char n[16];
    if (!o->trace_file)
        return o->trace_told || o->limit > 0
                   ? perf_refuse("--format, --limit", "", "go with --trace, which is missing")
                   : -1;
    if (o->objects > 0 || o->zipf >= 0 || o->size > 0 || o->misses > 0)
        return perf_refuse("--trace", o->trace_file,
                           "goes without --objects, --zipf, --size and --misses: it says what is "
                           "asked for");
    if (o->command == PERF_CACHE && o->op && strcmp(o->op, "get") != 0 &&
        strcmp(o->op, "mixed") != 0)
        return perf_refuse("--trace", o->op, "asks, and goes with get and mixed");
    if (!keys_read(o->trace_file, o->trace_format, o->limit ? o->limit : TRACE_REQUESTS_MAX,
                   &trace))
        return STATUS_FAILED;
    const double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    snprintf(n, sizeof(n), "%.1f", (double)trace.footprint_bytes / 1e9);
    if ((double)trace.footprint_bytes > memory / 2)
        return perf_refuse("--trace", n,
                           "GB of objects are more than half of this machine's memory; --limit "
                           "takes the first requests alone");
    o->trace = &trace;
    o->objects = trace.objects;
    o->size = keys_largest(&trace);
    return -1;
}

static int check_objects(struct perf_options *o)
{
    char n[16];
    bool http = o->command == PERF_HTTP, dns = o->command == PERF_DNS,
         flash = o->command == PERF_FLASH;
    snprintf(n, sizeof(n), "%u", o->objects);
    if (o->objects > 0 && o->objects < 1000 && !http && !dns && !flash && !o->trace)
        return perf_refuse("--objects", n, "is no number from 1000 to 10000000");
    if (o->objects > 100000 && flash)
        return perf_refuse("--objects", n, "is more than flash's 100000, which it fetches first");
    if (o->objects == 0)
        o->objects = http                                   ? 1
                     : flash                                ? 1000
                     : o->op && strcmp(o->op, "churn") == 0 ? 131072
                                                            : 1000000;
    if (o->zipf < 0)
        o->zipf = http || dns ? 0 : 0.99;
    return -1;
}

/* Several workers take turns with their loads, each pair on a core. */
static int check_workers(struct perf_options *o)
{
    char n[16];
    snprintf(n, sizeof(n), "%u", o->workers);
    if (o->workers > 1 && o->misses > 0)
        return perf_refuse("--workers", n, "and --misses exclude each other");
    if (o->workers > 1 && perf_cpu(o->workers - 1) < 0)
        return perf_refuse("--workers", n, "is more than the CPUs that this process may use");
    if (o->workers > 1)
        o->cores = 1;
    return -1;
}

static int check_batch(struct perf_options *o)
{
    char n[16];
    snprintf(n, sizeof(n), "%u", o->batch);
    if (o->command == PERF_DHT && o->batch > DATAGRAM_BURST)
        return perf_refuse("--batch", n, "is more than a burst of the index's, 32");
    if (o->command == PERF_CACHE && o->batch == 0)
        o->batch = 32;
    return -1;
}

static int check_size(struct perf_options *o)
{
    char n[16];
    snprintf(n, sizeof(n), "%u", o->size);
    if (o->command == PERF_TCP && o->size > 1400)
        return perf_refuse("--size", n, "is more than tcp's one segment of 1400 bytes");
    if (o->command == PERF_ECHO && o->size > 0 && (o->size < 60 || o->size > 1514))
        return perf_refuse("--size", n, "is no size of a frame, from 60 to 1514 bytes");
    if (o->command == PERF_FLASH && o->size > FLASH_SIZE_MAX)
        return perf_refuse("--size", n, "is more than flash's 65536 bytes");
    if (o->size == 0 && o->command != PERF_CACHE)
        o->size = o->command == PERF_ECHO ? 64 : 1024;
    if (o->reply == 0)
        o->reply = o->size;
    return -1;
}

int options_check(struct perf_options *o)
{
    int status = check_operation(o);
    status = status < 0 ? check_connections(o) : status;
    status = status < 0 ? check_rate(o) : status;
    status = status < 0 ? check_wire(o) : status;
    status = status < 0 ? check_workers(o) : status;
    status = status < 0 ? check_trace(o) : status;
    status = status < 0 ? check_objects(o) : status;
    status = status < 0 ? check_batch(o) : status;
    o->live = !o->json && isatty(STDERR_FILENO);
    return status < 0 ? check_size(o) : status;
}
