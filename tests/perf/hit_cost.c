/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hit costs a node by bytes and segments: one client asks for one object again and again.
 * Each run has a size of segments, a number of them an answer, and a port that sends from where
 * the bytes rest, or one that wants copies. hit_cost_test.py runs it under callgrind.
 */
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"
#include "dataplane/worker/worker.h"
#include "tests/perf/cost_world.h"

#define OPTIONS   12u /* timestamps, in each segment */
#define HEAD_ROOM 400 /* more than a response's head: the last segment is not quite full */
#define WARM      8   /* answers before it counts */
#define ANSWERS   40

struct run {
    const char *name;
    unsigned payload, segments; /* bytes in a segment, segments an answer */
    bool copies, logged;
};

static char request[128];
static uint32_t request_len;
static uint64_t answers, in_head, in_body;
static struct stream *client;

static void ask(struct stream *s)
{
    in_head = in_body = 0;
    COST_CHECK(stream_send(s, (struct ref){(const uint8_t *)request, request_len, NULL}));
}

static void client_opened(struct stream *s, struct now now)
{
    (void)now;
    ask(s);
}

static size_t client_received(struct stream *s, const uint8_t *data, size_t len, struct now now)
{
    size_t used = 0;
    (void)now;
    if (in_head == 0) {
        const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
        if (!end)
            return 0;
        COST_CHECK(memcmp(data, "HTTP/1.1 200", 12) == 0);
        in_head = used = (size_t)(end - data) + 4;
        COST_CHECK(in_head < HEAD_ROOM);
    }
    in_body += len - used;
    COST_CHECK(in_body <= cost_size);
    if (in_body == cost_size) {
        answers++;
        ask(s);
    }
    return len;
}

static void client_eof(struct stream *s, struct now now)
{
    (void)now;
    stream_shut(s);
}

static void client_closed(struct stream *s, enum stream_end why, struct now now)
{
    (void)s, (void)why, (void)now;
    client = NULL;
}

static void run(const struct run *r)
{
    static const struct stream_events events = {.opened = client_opened,
                                                .received = client_received,
                                                .eof = client_eof,
                                                .closed = client_closed};
    const struct tcp_counters *count = tcp_counters(cost_node->worker[0]->tcp);
    char line[128];

    cost_node->port[0]->multi_seg = !r->copies;
    node_access_want(cost_node, r->logged ? ACCESS_WANTED | ACCESS_WANT_FIELDS : 0);
    cost_host.tcp->config.mss_v4 = (uint16_t)(r->payload + OPTIONS);
    cost_size = r->payload * r->segments - HEAD_ROOM;
    COST_CHECK(cost_size <= COST_LARGEST);
    request_len = (uint32_t)snprintf(request, sizeof(request),
                                     "GET /%s HTTP/1.1\r\nHost: www.perf.test\r\n\r\n", r->name);
    answers = 0;
    client = cost_connect(&events, NULL);
    cost_until(&answers, WARM, false);
    uint64_t before = counter_read(&count->tcp_segments_out_total);
    cost_until(&answers, WARM + ANSWERS, true);
    snprintf(line, sizeof(line), "%s payload=%u segments=%llu answers=%u", r->name, r->payload,
             (unsigned long long)(counter_read(&count->tcp_segments_out_total) - before), ANSWERS);
    run_over(line);
    stream_abort(client);
    while (client)
        cost_turn(false);
}

int main(void)
{
    static const struct run runs[] = {
        {"half", 724, 64, false, false},        {"full", 1448, 64, false, false},
        {"twice", 724, 128, false, false},      {"half-copied", 724, 64, true, false},
        {"full-copied", 1448, 64, true, false}, {"page", 1448, 1, false, false},
        {"page-logged", 1448, 1, false, true},
    };
    cost_open();
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
        run(&runs[i]);
    cost_close();
    return 0;
}
