/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/wire.h"

#define WARM_US  300000
#define QUIET_US 1000000 /* --serve: the load has ended */
#define NOBODY_S 60      /* --serve: and if none comes at all */

/* "0000:01:00.0" */
static bool is_pci(const char *text)
{
    unsigned domain, bus, device, function;
    int n = 0;
    return sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &n) == 4 &&
           (text[n] == 0 || text[n] == ',');
}

int wire_take_device(struct wire *w, const char *text, bool serve)
{
    const char *const option = serve ? "--serve" : "--wire";
    char driver[16];
    const char *colon = strchr(text, ':');
    if (w->device[0])
        return perf_refuse(option, text, "is one device too many");
    w->serve = serve;
    w->driver = PORT_AUTO;
    if (strncmp(text, "net_", 4) == 0 || is_pci(text)) {
        w->driver = PORT_DPDK;
    } else if (colon && (size_t)(colon - text) < sizeof(driver)) {
        snprintf(driver, sizeof(driver), "%.*s", (int)(colon - text), text);
        if (!port_driver_parse(driver, &w->driver) || w->driver == PORT_RING ||
            w->driver == PORT_DPDK)
            return perf_refuse(option, text,
                               "is not DEVICE, af_xdp:DEVICE, af_packet:DEVICE, tap:DEVICE, a PCI "
                               "address, or DPDK's net_memif0,...");
        text = colon + 1;
    }
    if (!*text || strlen(text) >= sizeof(w->device))
        return perf_refuse(option, text, "is no name of a device of at most 95 bytes");
    snprintf(w->device, sizeof(w->device), "%s", text);
    return -1;
}

int wire_take_client(struct wire *w, const char *text)
{
    char address[64];
    const char *slash = strchr(text, '/');
    char *end = NULL;
    unsigned long length = slash ? strtoul(slash + 1, &end, 10) : 0;
    snprintf(address, sizeof(address), "%.*s", slash ? (int)(slash - text) : 0, text);
    if (!slash || !end || end == slash + 1 || *end || !addr_parse(address, &w->client.ip) ||
        length < 1 || length > (addr_is_v4(&w->client.ip) ? 32 : 128))
        return perf_refuse("--address", text, "is not ADDRESS/LENGTH, as 10.0.0.9/24");
    w->client.prefix = (uint8_t)length;
    return -1;
}

int wire_take_server(struct wire *w, const char *text)
{
    if (!endpoint_parse(text, 0, &w->server))
        return perf_refuse("--server", text, "is not ADDRESS or ADDRESS:PORT, as 10.0.0.1:80");
    if (!w->host[0])
        snprintf(w->host, sizeof(w->host), "%s", text);
    return -1;
}

/* Addresses and what is asked for, by what the command needs. */
static int check_ends(struct wire *w, enum perf_command_number command)
{
    const bool client = !addr_is_zero(&w->client.ip), server = !addr_is_zero(&w->server.ip);
    if (command == PERF_ECHO)
        return -1;
    if (w->serve)
        return client && !server && !w->name && !w->names
                   ? -1
                   : perf_refuse("--serve", w->device, "needs --address, and nothing of a load's");
    if (!client || !server)
        return perf_refuse("--wire", w->device, "needs --address and --server");
    if (addr_is_v4(&w->client.ip) != addr_is_v4(&w->server.ip))
        return perf_refuse("--server", w->host, "is of another family than --address");
    if (command == PERF_DNS && !w->name == !w->names)
        return perf_refuse("--wire", w->device, "needs --name or --names, one of them");
    return -1;
}

int wire_check(struct wire *w, enum perf_command_number command)
{
    if (!w->device[0])
        return addr_is_zero(&w->client.ip) && addr_is_zero(&w->server.ip) && !w->path &&
                       !w->host[0] && !w->name && !w->names && !w->memcached
                   ? -1
                   : perf_refuse(
                         "--address, --server, --host, --path, --name, --names, --memcached", "",
                         "go with --wire, which is missing");
    if (w->server.port == 0)
        w->server.port = command == PERF_DNS ? 53 : w->memcached ? 11211 : 80;
    if (!w->path)
        w->path = "/";
    if (w->path[0] != '/')
        return perf_refuse("--path", w->path, "does not begin with a slash");
    if (w->memcached &&
        (strlen(w->memcached) > 250 || strpbrk(w->memcached, " \t\r\n") || !w->memcached[0]))
        return perf_refuse("--memcached", w->memcached,
                           "is no key, of 1 to 250 bytes without white space");
    return check_ends(w, command);
}

struct port_config wire_port(const struct wire *w)
{
    struct port_config c = {.name = "--wire",
                            .driver = w->driver,
                            .addresses = addr_is_zero(&w->client.ip) ? 0 : 1,
                            .address = {w->client}};
    if (w->serve)
        snprintf(c.name, sizeof(c.name), "--serve");
    snprintf(c.device, sizeof(c.device), "%s", w->device);
    return c;
}

struct port *wire_open(const struct wire *w, char *error, size_t error_len)
{
    const struct port_config c = wire_port(w);
    return port_open(&c, 1, error, error_len);
}

bool wire_measure(const struct perf_options *o, const struct wire_load *l, struct perf_result *r,
                  char *error, size_t error_len)
{
    uint32_t stop = 0;
    int second = perf_cpu(1);
    struct perf_thread client = {.turn = l->turn,
                                 .ctx = l->ctx,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)(second < 0 ? perf_cpu(0) : second)};
    const struct measured m = {.ops = l->ops,
                               .busy_tsc = &client.busy_tsc,
                               .worker = &client,
                               .client = &client,
                               .slowest = l->slowest,
                               .live = o->live,
                               .calibration = &client.calibration,
                               .latency = l->latency,
                               .errors = l->errors};

    if (!perf_thread_start(&client)) {
        snprintf(error, error_len, "no thread for the client: %m");
        return false;
    }
    bool ok = l->wait(l->ctx, error, error_len);
    if (ok) {
        uint64_t given_up = l->given_up ? counter_read(l->given_up) : 0;
        l->begin ? l->begin(l->ctx) : latency_begin(l->latency);
        measure_windows(o->seconds, &m, r);
        l->end ? l->end(l->ctx) : latency_end(l->latency);
        r->given_up = l->given_up ? counter_read(l->given_up) - given_up : 0;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&client);
    r->ratio = client.calibration.ratio;
    return ok;
}

/* Does `ops` move within that time? */
static bool moves(const uint64_t *ops, uint64_t from, uint64_t us)
{
    for (uint64_t waited = 0; waited < us && counter_read(ops) == from; waited += 1000)
        usleep(1000);
    return counter_read(ops) != from;
}

bool wire_serve(const struct perf_options *o, bool (*turn)(void *), void *ctx, const uint64_t *ops,
                const uint64_t *busy_tsc, struct perf_result *r, char *error, size_t error_len)
{
    uint32_t stop = 0;
    struct perf_thread worker = {
        .turn = turn, .ctx = ctx, .calibrates = true, .stop = &stop, .cpu = (unsigned)perf_cpu(0)};
    const struct measured m = {.ops = ops, .busy_tsc = busy_tsc, .worker = &worker};

    if (!perf_thread_start(&worker)) {
        snprintf(error, error_len, "no thread for the worker: %m");
        return false;
    }
    fprintf(stderr, "coral-perf: serves on %s\n", o->wire->device);
    bool ok = moves(ops, 0, NOBODY_S * 1000000);
    if (ok) {
        usleep(WARM_US);
        measure_windows(o->seconds, &m, r);
        r->errors = (struct perf_errors){0}; /* a load that has ended, or waits, is no error */
        while (moves(ops, counter_read(ops), QUIET_US)) {
        }
    } else {
        snprintf(error, error_len, "nothing came within %d s", NOBODY_S);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&worker);
    r->ratio = worker.calibration.ratio;
    r->ops_total = counter_read(ops);
    return ok;
}
