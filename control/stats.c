/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/stats.h"

#include <string.h>

#include "control/counters.h"
#include "dataplane/worker/counters.h"

#define ROW(struct_, part_, part2_, name_, unit_, text_)                                           \
    {.name = #name_,                                                                               \
     .unit = unit_,                                                                                \
     .text = text_,                                                                                \
     .part = offsetof(struct worker_stats, part_),                                                 \
     .part2 = part2_,                                                                              \
     .offset = offsetof(struct struct_, name_)},

#define X_TCP(n, u, t)      ROW(tcp_counters, tcp, 0, n, u, t)
#define X_NET(n, u, t)      ROW(net_counters, net, 0, n, u, t)
#define X_PROXY(n, u, t)    ROW(proxy_counters, proxy, 0, n, u, t)
#define X_CACHE(n, u, t)    ROW(cache_counters, cache, 0, n, u, t)
#define X_DNS(n, u, t)      ROW(dns_counters, dns, 0, n, u, t)
#define X_RESOLVER(n, u, t) ROW(resolver_counters, resolver, 0, n, u, t)
#define X_WORKER(n, u, t)   ROW(worker_counters, worker, 0, n, u, t)
#define X_DHT(n, u, t)      ROW(dht_counters, dht, 0, n, u, t)
#define X_LOG(n, u, t)      ROW(log_counters, log, 0, n, u, t)
/* one list, two structs a worker: what serves and what asks */
#define X_HTTP(n, u, t)                                                                            \
    ROW(http_counters, http, offsetof(struct worker_stats, http_client), n, u, t)

const struct stats_counter stats_table[] = {
    HTTP_COUNTERS(X_HTTP) PROXY_COUNTERS(X_PROXY) CACHE_COUNTERS(X_CACHE) DHT_COUNTERS(X_DHT)
        DNS_COUNTERS(X_DNS) RESOLVER_COUNTERS(X_RESOLVER) TCP_COUNTERS(X_TCP) NET_COUNTERS(X_NET)
            WORKER_COUNTERS(X_WORKER) LOG_COUNTERS(X_LOG)};
const size_t stats_count = sizeof(stats_table) / sizeof(stats_table[0]);

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), len = strlen(with);
    return n > len && strcmp(name + n - len, with) == 0;
}

static uint64_t part_read(const struct worker_stats *w, size_t part, size_t offset)
{
    const char *counters = *(const char *const *)((const char *)w + part);
    return counters ? counter_read((const uint64_t *)(const void *)(counters + offset)) : 0;
}

uint64_t stats_read(const struct worker_stats *w, const struct stats_counter *c)
{
    uint64_t v = part_read(w, c->part, c->offset);
    return c->part2 ? v + part_read(w, c->part2, c->offset) : v;
}

static const struct stats_counter *find(const char *name)
{
    for (size_t i = 0; i < stats_count; i++)
        if (strcmp(stats_table[i].name, name) == 0)
            return &stats_table[i];
    return NULL;
}

uint64_t stats_sum(const struct worker_stats *w, unsigned n, const char *name)
{
    const struct stats_counter *c = find(name);
    uint64_t sum = 0;
    for (unsigned k = 0; c && k < n; k++)
        sum += stats_read(&w[k], c);
    return sum;
}

static uint64_t highest(const struct worker_stats *w, unsigned n, const struct stats_counter *c)
{
    uint64_t most = 0;
    for (unsigned k = 0; k < n; k++) {
        uint64_t v = stats_read(&w[k], c);
        most = v > most ? v : most;
    }
    return most;
}

uint64_t stats_most(const struct worker_stats *w, unsigned n, const char *name)
{
    const struct stats_counter *c = find(name);
    return c ? highest(w, n, c) : 0;
}

json_t *stats_json(const struct worker_stats *w, unsigned n, bool each)
{
    json_t *all = json_object();

    for (size_t i = 0; i < stats_count; i++) {
        const struct stats_counter *c = &stats_table[i];
        json_t *workers = json_array();
        uint64_t sum = 0;
        for (unsigned k = 0; k < n; k++) {
            uint64_t v = stats_read(&w[k], c);
            sum += v;
            json_array_append_new(workers, json_integer((json_int_t)v));
        }
        uint64_t value = ends(c->name, "_level") ? highest(w, n, c) : sum;
        json_t *o = json_pack("{s:s, s:s, s:s, s:I}", "unit", c->unit, "kind",
                              ends(c->name, "_total") ? "counter" : "gauge", "text", c->text,
                              "value", (json_int_t)value);
        if (each)
            json_object_set(o, "workers", workers);
        json_decref(workers);
        json_object_set_new(all, c->name, o);
    }
    return all;
}
