/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS's load on a node with one worker that answers for a zone, in this process; or on any server
 * elsewhere; or that node alone, on a port, for a load in another process.
 */
#include <stdio.h>
#include <string.h>

#include "perf/dns_load.h"
#include "perf/server.h"
#include "perf/wire.h"

#define LOST_MOST (2 * 1024) /* answers on the way when the counts are read */

struct dns {
    struct server server;
    struct dns_load load;
};

/* Both in turn, on one core. */
static bool both_turn(void *ctx)
{
    struct dns *d = ctx;
    bool busy = server_turn(&d->server);
    return dns_load_turn(&d->load) || busy;
}

static bool measure(struct dns *d, struct perf_result *r, char *error, size_t error_len)
{
    uint32_t stop = 0;
    struct dns_load *l = &d->load;
    bool two = l->options->cores == 2;
    struct perf_thread worker = {.turn = two ? server_turn : both_turn,
                                 .ctx = two ? (void *)&d->server : d,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)perf_cpu(0)};
    struct perf_thread load = {
        .turn = dns_load_turn, .ctx = l, .stop = &stop, .cpu = (unsigned)perf_cpu(1)};
    const struct measured m = {.ops = &d->server.stats.dns->dns_queries_total,
                               .busy_tsc = &d->server.stats.worker->worker_busy_cycles_total,
                               .worker = two ? &worker : NULL,
                               .client = two ? &load : NULL,
                               .slowest = l->options->rate,
                               .live = l->options->live,
                               .calibration = &worker.calibration,
                               .latency = &l->latency,
                               .errors = &l->errors};

    perf_thread_start(&worker);
    if (two)
        perf_thread_start(&load);
    bool ok = dns_load_wait(l, error, error_len);
    if (ok) {
        uint64_t given_up = counter_read(&l->given_up);
        latency_begin(&l->latency);
        measure_windows(l->options->seconds, &m, r);
        latency_end(&l->latency);
        r->given_up = counter_read(&l->given_up) - given_up;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&worker);
    if (two)
        perf_thread_join(&load);
    r->ratio = worker.calibration.ratio;
    r->ops_total = counter_read(&d->server.stats.dns->dns_queries_total);
    /* once both have stopped they may differ by what is on the way */
    uint64_t came = counter_read(&l->ops);
    uint64_t apart = came > r->ops_total ? came - r->ops_total : r->ops_total - came;
    if (ok && apart > LOST_MOST + l->places)
        r->errors.n[PERF_ERROR_lost] += apart;
    dns_load_result(l, r);
    return ok;
}

static bool run(const struct perf_options *o, struct perf_result *r, char *error, size_t error_len)
{
    static struct dns d;
    const struct net_address ip = {addr_v4(CLIENT_NET), 24};
    const struct endpoint from = {ip.ip, 0}, to = {addr_v4(SERVER_NET), 53};
    struct dns_names names;
    bool ok = false;

    memset(&d, 0, sizeof(d));
    if (!dns_names_pattern(&names, "n########." SERVER_ZONE, o->objects, error, error_len))
        return false;
    if (server_open(&d.server, o, 64, 16u << 20, error, error_len)) {
        bool made = dns_load_open(&d.load, o, &names, &from, &to) &&
                    host_new(&d.load.host, d.server.link, &ip, 1, 16, o->offload, perf_now());
        d.load.first_member = SERVER_MEMBER;
        d.load.members = SERVER_MEMBERS;
        if (made)
            ok = measure(&d, r, error, error_len);
        else
            snprintf(error, error_len, "not enough memory for the client");
        host_free(&d.load.host);
    }
    server_close(&d.server);
    dns_load_close(&d.load);
    return ok;
}

/* --- --wire ----------------------------------------------------------------------------------- */

static bool wire_run(const struct perf_options *o, struct perf_result *r, char *error,
                     size_t error_len)
{
    static struct dns_load d;
    const struct wire *w = o->wire;
    const struct wire_load load = {.turn = dns_load_turn,
                                   .wait = dns_load_wait,
                                   .ctx = &d,
                                   .ops = &d.ops,
                                   .given_up = &d.given_up,
                                   .latency = &d.latency,
                                   .errors = &d.errors,
                                   .slowest = o->rate};
    const struct endpoint from = {w->client.ip, 0};
    struct dns_names names;
    bool ok = w->name ? dns_names_pattern(&names, w->name, o->objects, error, error_len)
                      : dns_names_file(&names, w->names, error, error_len);
    struct port *port = ok ? wire_open(w, error, error_len) : NULL;
    if (!port) {
        dns_names_free(&names);
        return false;
    }
    ok = dns_load_open(&d, o, &names, &from, &w->server) &&
         host_new_port(&d.host, port, &w->client, 16, perf_now());
    if (ok)
        ok = wire_measure(o, &load, r, error, error_len);
    else
        snprintf(error, error_len, "not enough memory for the client");
    dns_load_result(&d, r);
    host_free(&d.host);
    dns_load_close(&d);
    port_close(port);
    return ok;
}

/* --- --serve ---------------------------------------------------------------------------------- */

static bool serve(const struct perf_options *o, struct perf_result *r, char *error,
                  size_t error_len)
{
    static struct server s;
    bool ok = server_open(&s, o, 64, 16u << 20, error, error_len) &&
              wire_serve(o, server_turn, &s, &s.stats.dns->dns_queries_total,
                         &s.stats.worker->worker_busy_cycles_total, r, error, error_len);
    server_close(&s);
    return ok;
}

bool dns_run(const struct perf_options *o, json_t *result, char *error, size_t error_len)
{
    return perf_measure(o,
                        !o->wire         ? run
                        : o->wire->serve ? serve
                                         : wire_run,
                        result, error, error_len);
}
