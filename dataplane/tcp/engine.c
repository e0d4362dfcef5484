/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine as a value: created, polled, destroyed. */
#include <stdlib.h>

#include "dataplane/tcp/tcp_conn.h"

struct tcp_config tcp_config_default(void)
{
    return (struct tcp_config){
        .connections = 16384,
        .syn_entries = 8192,        /* 512 KiB: two a millisecond whose third segment never comes */
        .time_wait_records = 65536, /* 2 MiB */
        .active = 65536,
        .blocks = 16384, /* 32 MiB */
        .send_queue_bytes = 4 << 20,
        .receive_window_bytes = 256 * 1024,
        .mss_v4 = 1460,
        .mss_v6 = 1440,
        .time_wait_ms = 10000,
        .syn_retries = 4,  /* 31 s */
        .data_retries = 8, /* 102 s at the least: R2 of RFC 9293 3.8.3 */
        .idle_timeout_ms = 300000,
        .flights = 16384,
        .records = 65536,
        .cc = &cc_cubic,
        .ecn_passive = true,
    };
}

static uint32_t clamp(uint32_t v, uint32_t lo, uint32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static void config_clamp(struct tcp_config *c)
{
    c->connections = clamp(c->connections, 1, 1u << 26);
    c->syn_entries = clamp(c->syn_entries, 0, 1u << 20);
    c->time_wait_records = clamp(c->time_wait_records, 1, 1u << 26);
    c->active = clamp(c->active, 1, c->connections);
    c->blocks = clamp(c->blocks, 8, 1u << 26);
    c->send_queue_bytes = clamp(c->send_queue_bytes, 2048, 1u << 28);
    c->receive_window_bytes = clamp(c->receive_window_bytes, 2048, TCP_WINDOW_MAX);
    c->mss_v4 = (uint16_t)clamp(c->mss_v4, 512, 32768);
    c->mss_v6 = (uint16_t)clamp(c->mss_v6, 512, 32768);
    c->burst_bytes = clamp(c->burst_bytes, 0, TCP_BURST_MAX);
    c->syn_retries = clamp(c->syn_retries, 0, 100);
    c->data_retries = clamp(c->data_retries, 0, 100);
    c->flights = clamp(c->flights, 0, c->connections);
    c->records = clamp(c->records, 0, 1u << 26);
    if (!c->cc)
        c->cc = &cc_cubic;
}

static bool table_create(struct tcp_engine *e)
{
    e->buckets = (e->config.connections + e->config.syn_entries) / TCP_SLOTS_USED + 1;
    e->bucket = memory_new(e->buckets, sizeof(*e->bucket));
    tcp_list_init(&e->ready, TCP_LINK_READY);
    tcp_list_init(&e->events, TCP_LINK_EVENT);
    tcp_list_init(&e->starving, TCP_LINK_EVENT);
    return e->bucket != NULL;
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
    e->ops = tcp_stream_ops;
    rng_init(&e->rng, seed);
    rng_bytes(&e->rng, e->secret.bytes, sizeof(e->secret.bytes));
    rng_bytes(&e->rng, e->key, sizeof(e->key));
    e->port_counter = rng_u32(&e->rng);
    tcp_time_set(e, now);
    tcp_wheel_init(&e->wheel, now.mono_us);
    if (!table_create(e) || !tcp_pools_create(e) || !tcp_records_create(e) || !tcp_syn_create(e) ||
        !tcp_time_wait_create(&e->tw, e->config.time_wait_records) ||
        !tcp_prefix_create(&e->prefixes, config->connections, config->prefix_limit, e->key)) {
        tcp_destroy(e);
        return NULL;
    }
    return e;
}

void tcp_destroy(struct tcp_engine *e)
{
    if (!e)
        return;
    for (uint32_t i = 0; i < e->conn_pool.top; i++)
        if (e->conns[i].used)
            tcp_conn_free(e, &e->conns[i]);
    memory_free(e->bucket, e->buckets, sizeof(*e->bucket));
    tcp_pools_destroy(e);
    tcp_records_destroy(e);
    tcp_syn_destroy(e);
    tcp_time_wait_destroy(&e->tw);
    tcp_prefix_destroy(&e->prefixes);
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
    for (uint32_t i = 0; i < e->conn_pool.top; i++)
        if (e->conns[i].used && e->conns[i].state != TCP_CLOSED)
            stream_abort(&e->conns[i].stream);
    tcp_syn_abort_all(e);
}

static void events_run(struct tcp_engine *e)
{
    /* those that come meanwhile wait for the next round */
    for (uint32_t n = e->events.count; n > 0 && e->events.count > 0; n--) {
        struct tcp_conn *c = &e->conns[e->events.head];
        tcp_list_remove(e, &e->events, c);
        tcp_conn_events(e, c);
    }
}

/* A few of those that wait for a pool look again, in turn: however many wait, a poll costs the
 * same. Who finds nothing waits on, behind the others. */
static void starving_run(struct tcp_engine *e)
{
    uint32_t before = e->starving.count;
    for (uint32_t n = 0; n < TCP_STARVING && n < before; n++)
        tcp_conn_event(&e->conns[e->starving.head], TCP_EVENT_WRITABLE);
    events_run(e);
    e->fed = e->starving.count < before;
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
    starving_run(e);
    bool young = tcp_timer_young(e);
    size_t fired = tcp_wheel_advance(e, now.mono_us, TCP_TIMERS);
    if (fired > 0) /* time-outs have ended connections */
        events_run(e);
    bool refused = false;
    bool more = tcp_syn_poll(e, &refused);
    e->refused = output_run(e) || refused;
    return e->refused || more || young || fired == TCP_TIMERS || e->events.count > 0 || e->fed;
}

uint64_t tcp_deadline_us(const struct tcp_engine *e)
{
    bool unsent = e->ready.count > 0 || e->syn.list[TCP_SYN_UNSENT].count > 0;
    if (e->events.count > 0 || e->fed || (unsent && !e->refused))
        return 0;
    uint64_t at = tcp_wheel_next_us(e), syn = tcp_syn_next_us(e);
    uint64_t soon = syn < at ? syn : at, young = tcp_timer_young_us(e);
    soon = young < soon ? young : soon;
    if (e->refused)
        at = e->now.mono_us + 1000;
    else if (e->starving.count) /* memory comes back with the port's transmissions */
        at = e->now.mono_us + 10000;
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
