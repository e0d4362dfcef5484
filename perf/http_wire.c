/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --wire: HTTP's load on any server, over a port of this machine's: its frames go from our TCP past
 * the kernel. The first answer says what all others have to be. Nothing is known of the server but
 * its answers: what is accounted for is the client.
 */
#include <stdio.h>

#include "perf/http_load.h"
#include "perf/wire.h"

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
                            .memcached = o->wire->memcached,
                            .unknown = true};
    struct port *port = wire_open(o->wire, error, error_len);
    bool ok = false;
    if (!port)
        return false;
    if (http_load_open(&h, o, &t) &&
        host_new_port(&h.host, port, &t.client[0], o->connections, perf_now())) {
        const struct wire_load load = {.turn = http_load_turn,
                                       .wait = http_load_wait,
                                       .begin = http_load_begin,
                                       .end = http_load_end,
                                       .ctx = &h,
                                       .ops = &h.ops,
                                       .given_up = &h.given_up,
                                       .latency = &h.latency,
                                       .errors = &h.errors,
                                       .slowest = http_load_slowest(&h)};
        ok = wire_measure(o, &load, r, error, error_len);
        http_load_result(&h, r);
    } else {
        snprintf(error, error_len, "not enough memory for %u connections, or the path is too long",
                 o->connections);
    }
    host_free(&h.host);
    http_load_close(&h);
    port_close(port);
    return ok;
}
