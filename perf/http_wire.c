/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --wire: HTTP's load on any server, over a port of this machine's: its frames go from our TCP past
 * the kernel. The first answer says what all others have to be. Nothing is known of the server but
 * its answers: what is accounted for is the client.
 */
#include <stdio.h>
#include <string.h>

#include "perf/http_load.h"
#include "perf/wire.h"

static bool measure(struct http_load *h, struct perf_result *r, char *error, size_t error_len)
{
    uint32_t stop = 0;
    int second = perf_cpu(1);
    struct perf_thread client = {.turn = http_load_turn,
                                 .ctx = h,
                                 .calibrates = true,
                                 .stop = &stop,
                                 .cpu = (unsigned)(second < 0 ? perf_cpu(0) : second)};
    const struct measured m = {.ops = &h->ops,
                               .busy_tsc = &client.busy_tsc,
                               .worker = &client,
                               .client = &client,
                               .slowest = http_load_slowest(h),
                               .live = h->options->live,
                               .calibration = &client.calibration,
                               .latency = &h->latency,
                               .errors = &h->errors};

    if (!perf_thread_start(&client)) {
        snprintf(error, error_len, "no thread for the client: %m");
        return false;
    }
    bool ok = http_load_wait(h, error, error_len);
    if (ok) {
        uint64_t given_up = counter_read(&h->given_up);
        http_load_begin(h);
        measure_windows(h->options->seconds, &m, r);
        http_load_end(h);
        r->given_up = counter_read(&h->given_up) - given_up;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    perf_thread_join(&client);
    http_load_result(h, r);
    r->ratio = client.calibration.ratio;
    return ok;
}

bool http_wire_run(const struct perf_options *o, struct perf_result *r, char *error,
                   size_t error_len)
{
    static struct http_load h;
    struct http_target t = {.clients = 1,
                            .client[0] = o->wire->client,
                            .servers = 1,
                            .server[0] = o->wire->server,
                            .host = o->wire->host,
                            .path = o->wire->path,
                            .unknown = true};
    struct port *port = wire_open(o->wire, error, error_len);
    bool ok = false;
    if (!port)
        return false;
    if (http_load_open(&h, o, &t) &&
        host_new_port(&h.host, port, &t.client[0], o->connections, perf_now()))
        ok = measure(&h, r, error, error_len);
    else
        snprintf(error, error_len, "not enough memory for %u connections, or the path is too long",
                 o->connections);
    host_free(&h.host);
    http_load_close(&h);
    port_close(port);
    return ok;
}
