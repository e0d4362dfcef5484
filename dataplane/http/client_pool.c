/* SPDX-License-Identifier: BSD-3-Clause */
/* Client connections: their memory, and the pool of idle ones. */
#include "dataplane/http/client_conn.h"

#include <assert.h>
#include <stdlib.h>

struct http_client_conn *http_client_conn_take(struct http_client *c)
{
    struct http_client_conn *k = c->conn_free;
    if (!k)
        return NULL;
    c->conn_free = k->next;
    *k = (struct http_client_conn){.client = c, .phase = HTTP_CLIENT_CONNECT};
    return k;
}

void http_client_conn_free(struct http_client_conn *k)
{
    struct http_client *c = k->client;
    wheel_stop(&c->wheel, &k->timer);
    k->phase = HTTP_CLIENT_FREE;
    k->stream = NULL;
    k->exchange = NULL;
    k->next = c->conn_free;
    c->conn_free = k;
}

void http_client_conn_kill(struct http_client_conn *k)
{
    if (k->phase == HTTP_CLIENT_CLOSING)
        return;
    wheel_stop(&k->client->wheel, &k->timer);
    k->phase = HTTP_CLIENT_CLOSING;
    k->exchange = NULL;
    stream_abort(k->stream);
}

void http_client_conn_arm(struct http_client_conn *k, uint64_t due_us)
{
    if (!timer_armed(&k->timer) || k->timer.due_us > due_us)
        wheel_arm(&k->client->wheel, &k->timer, due_us);
}

/* FNV-1a. Chains are short whoever picks the addresses: idle_pool bounds them all together. */
static struct http_client_conn **bucket_of(struct http_client *c, const struct endpoint *to)
{
    uint32_t h = 2166136261u;
    for (unsigned i = 0; i < sizeof(to->ip.b); i++)
        h = (h ^ to->ip.b[i]) * 16777619u;
    h = (h ^ (to->port & 0xff)) * 16777619u;
    h = (h ^ (to->port >> 8)) * 16777619u;
    return &c->bucket[(h ^ h >> 16) & c->bucket_mask];
}

void http_client_pool_remove(struct http_client_conn *k)
{
    struct http_client *c = k->client;
    struct http_client_conn **at = bucket_of(c, &k->to);
    while (*at && *at != k)
        at = &(*at)->next;
    assert(*at == k);
    *at = k->next;
    k->next = NULL;
    *(k->newer ? &k->newer->older : &c->newest) = k->older;
    *(k->older ? &k->older->newer : &c->oldest) = k->newer;
    k->older = k->newer = NULL;
    c->idle--;
    counter_set(&c->counters.http_client_idle, c->idle);
}

struct http_client_conn *http_client_pool_take(struct http_client *c, const struct endpoint *to)
{
    struct http_client_conn *k = *bucket_of(c, to);
    while (k && !endpoint_eq(&k->to, to))
        k = k->next;
    if (k)
        http_client_pool_remove(k);
    return k;
}

static void evict(struct http_client_conn *k)
{
    counter_inc(&k->client->counters.http_client_evicted_total);
    http_client_pool_remove(k);
    http_client_conn_kill(k);
}

void http_client_pool_put(struct http_client_conn *k, struct now now)
{
    struct http_client *c = k->client;
    struct http_client_conn **head = bucket_of(c, &k->to), *last = NULL;
    unsigned same = 0;
    if (c->config.idle_pool == 0) {
        http_client_conn_kill(k);
        return;
    }
    for (struct http_client_conn *o = *head; o; o = o->next)
        if (endpoint_eq(&o->to, &k->to)) {
            same++;
            last = o;
        }
    if (same >= HTTP_IDLE_PER_ENDPOINT)
        evict(last);
    else if (c->idle >= c->config.idle_pool)
        evict(c->oldest);

    k->phase = HTTP_CLIENT_IDLE;
    k->exchange = NULL;
    k->next = *head;
    *head = k;
    k->older = c->newest;
    k->newer = NULL;
    *(c->newest ? &c->newest->newer : &c->oldest) = k;
    c->newest = k;
    c->idle++;
    counter_set(&c->counters.http_client_idle, c->idle);
    k->since_us = now.mono_us;
    http_client_conn_arm(k, now.mono_us + (uint64_t)c->config.idle_ms * 1000);
}
