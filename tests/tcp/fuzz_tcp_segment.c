/* SPDX-License-Identifier: BSD-3-Clause */
/* The header and option parser, and an engine that gets the bytes as they are. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool sink(void *ctx, const struct tcp_out *out)
{
    (void)ctx;
    return out->len == 0;
}

static bool accept_none(void *ctx, struct stream *s, struct now now)
{
    (void)ctx, (void)s, (void)now;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2000)
        return 0;
    uint8_t *exact = malloc(size ? size : 1); /* so that a byte too far is seen */
    if (!exact)
        return 0;
    if (size)
        memcpy(exact, data, size);
    struct tcp_packet p = {.src = addr_v4(0x0a000001),
                           .dst = addr_v4(0x0a000002),
                           .segment = exact,
                           .len = (uint32_t)size};
    struct tcp_segment s;
    if (tcp_segment_parse(&s, &p) && s.data + s.len != exact + size)
        abort();

    struct tcp_config config = tcp_config_default();
    config.connections = 4;
    config.blocks = 8;
    config.send_queue_bytes = 4096;
    config.syn_entries = config.active = 4; /* what is made anew each time is small */
    config.time_wait_records = config.flights = 2;
    config.records = 8;
    struct tcp_host host = {.emit = sink};
    uint8_t seed[32] = {1};
    struct now now = {.mono_us = 1000000};
    struct tcp_engine *e = tcp_create(&config, &host, seed, now);
    if (e) {
        tcp_listen(e, 80, accept_none, NULL);
        tcp_input(e, &p, 1, now);
        tcp_poll(e, now);
        if (tcp_check(e))
            abort();
        tcp_destroy(e);
    }
    free(exact);
    return 0;
}
