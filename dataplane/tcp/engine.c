/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine as a value: created, polled, destroyed. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/tcp/tcp_conn.h"

struct tcp_config tcp_config_default(void)
{
    return (struct tcp_config){
        .connections = 16384,
        .blocks = 16384, /* 32 MiB */
        .send_queue_bytes = 512 * 1024,
        .receive_window_bytes = 256 * 1024,
        .mss_v4 = 1460,
        .mss_v6 = 1440,
        .time_wait_ms = 10000,
        .syn_retries = 4,  /* 31 s */
        .data_retries = 8, /* 102 s at the least: R2 of RFC 9293 3.8.3 */
        .idle_timeout_ms = 300000,
    };
}

static uint32_t clamp(uint32_t v, uint32_t lo, uint32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static void config_clamp(struct tcp_config *c)
{
    c->connections = clamp(c->connections, 1, 1u << 26);
    c->blocks = clamp(c->blocks, 8, 1u << 26);
    c->send_queue_bytes = clamp(c->send_queue_bytes, 2048, 1u << 28);
    c->receive_window_bytes = clamp(c->receive_window_bytes, 2048, TCP_WINDOW_MAX);
    c->mss_v4 = (uint16_t)clamp(c->mss_v4, 512, 32768);
    c->mss_v6 = (uint16_t)clamp(c->mss_v6, 512, 32768);
    c->syn_retries = clamp(c->syn_retries, 0, 100);
    c->data_retries = clamp(c->data_retries, 0, 100);
}

static bool table_create(struct tcp_engine *e)
{
    uint32_t n = e->config.connections;
    uint32_t buckets = 16;
    while (buckets < n * 2)
        buckets *= 2;
    e->conns = calloc(n, sizeof(*e->conns));
    e->bucket = malloc(buckets * sizeof(*e->bucket));
    if (!e->conns || !e->bucket)
        return false;
    memset(e->bucket, 0xff, buckets * sizeof(*e->bucket)); /* TCP_NONE */
    e->bucket_mask = buckets - 1;
    e->free_conn = TCP_NONE;
    for (uint32_t i = n; i-- > 0;) {
        e->conns[i].hash_next = e->free_conn;
        e->free_conn = i;
    }
    e->half_open_max = clamp(n / 8, 1, n);
    tcp_list_init(&e->ready, TCP_LINK_READY);
    tcp_list_init(&e->events, TCP_LINK_EVENT);
    tcp_list_init(&e->half_open, TCP_LINK_EVENT);
    return true;
}

struct tcp_engine *tcp_create(const struct tcp_config *config, const struct tcp_host *host,
                              const uint8_t seed[32], struct now now)
{
    struct tcp_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->config = *config;
    config_clamp(&e->config);
    e->host = *host;
    rng_init(&e->rng, seed);
    rng_bytes(&e->rng, e->secret.bytes, sizeof(e->secret.bytes));
    rng_bytes(&e->rng, e->key, sizeof(e->key));
    e->port_counter = rng_u32(&e->rng);
    tcp_time_set(e, now);
    wheel_init(&e->wheel, now.mono_us);
    if (!table_create(e) || !tcp_pool_create(e) ||
        !tcp_time_wait_create(&e->tw, e->config.connections)) {
        tcp_destroy(e);
        return NULL;
    }
    return e;
}

void tcp_destroy(struct tcp_engine *e)
{
    if (!e)
        return;
    for (uint32_t i = 0; e->conns && i < e->config.connections; i++)
        if (e->conns[i].used)
            tcp_conn_free(e, &e->conns[i]);
    free(e->conns);
    free(e->bucket);
    tcp_pool_destroy(e);
    tcp_time_wait_destroy(&e->tw);
    free(e);
}

void tcp_time_set(struct tcp_engine *e, struct now now)
{
    e->now = now;
    e->now_ms = (uint32_t)(now.mono_us / 1000);
}

bool tcp_budget_take(struct tcp_engine *e, struct tcp_budget *b, uint32_t rate)
{
    uint64_t second = e->now.mono_us / 1000000 + 1;
    if (b->second != second) {
        /* a size drawn anew each second tells an observer nothing (CVE-2016-5696) */
        b->second = second;
        b->left = rate / 2 + rng_below(&e->rng, rate);
    }
    if (b->left == 0)
        return false;
    b->left--;
    return true;
}

void tcp_abort_all(struct tcp_engine *e)
{
    for (uint32_t i = 0; i < e->config.connections; i++)
        if (e->conns[i].used && e->conns[i].state != TCP_CLOSED)
            stream_abort(&e->conns[i].stream);
}

static void events_run(struct tcp_engine *e)
{
    e->starved = 0; /* counted anew by this round */
    /* those that come meanwhile wait for the next round */
    for (uint32_t n = e->events.count; n > 0 && e->events.count > 0; n--) {
        struct tcp_conn *c = &e->conns[e->events.head];
        tcp_list_remove(e, &e->events, c);
        tcp_conn_events(e, c);
    }
}

/* Each connection in turn sends a quantum, until none has more or the host takes no more. A
 * refusal may be one neighbour's alone, so the next ones are asked before giving up. */
static bool output_run(struct tcp_engine *e)
{
    uint32_t refusals = 0, visits_left = e->ready.count;
    bool refused = false;

    while (e->ready.count > 0 && refusals < TCP_REFUSALS) {
        struct tcp_conn *c = &e->conns[e->ready.head];
        tcp_list_remove(e, &e->ready, c);
        bool more = false;
        if (tcp_conn_output(e, c, &more)) {
            refusals = 0;
            if (more)
                tcp_conn_ready(c);
        } else {
            refused = true;
            refusals++;
            tcp_conn_ready(c);
        }
        tcp_timer_update(e, c);
        if (refused && visits_left-- <= 1)
            break; /* everyone had a turn: only those who were refused would come again */
    }
    return refused;
}

bool tcp_poll(struct tcp_engine *e, struct now now)
{
    tcp_time_set(e, now);
    tcp_time_wait_expire(e);
    events_run(e);
    size_t fired = wheel_advance(&e->wheel, now.mono_us, TCP_TIMERS, tcp_timer_fire, e);
    if (fired > 0) /* time-outs have ended connections */
        events_run(e);
    e->refused = output_run(e);
    return e->refused || fired == TCP_TIMERS || e->events.count > e->starved;
}

uint64_t tcp_deadline_us(const struct tcp_engine *e)
{
    if (e->events.count > e->starved || (e->ready.count > 0 && !e->refused))
        return 0;
    uint64_t at = wheel_next_us(&e->wheel);
    uint64_t soon = UINT64_MAX;
    if (e->refused)
        soon = e->now.mono_us + 1000;
    else if (e->starved) /* memory comes back with the port's transmissions */
        soon = e->now.mono_us + 10000;
    return at < soon ? at : soon;
}

uint32_t tcp_connections(const struct tcp_engine *e)
{
    return (uint32_t)e->counters.tcp_connections;
}

const struct tcp_counters *tcp_counters(const struct tcp_engine *e)
{
    return &e->counters;
}
