/* SPDX-License-Identifier: BSD-3-Clause */
/* The answer to `status`, and the samples that its rates come from. */
#include <rte_version.h>
#include <stdlib.h>

#include "control/control.h"
#include "control/stats.h"
#include "dataplane/worker/counters.h"
#include "version.h"

static unsigned all_stats(const struct control *c, struct worker_stats w[NODE_WORKERS])
{
    for (unsigned i = 0; i < c->workers; i++)
        node_stats(c->node, i, &w[i]);
    return c->workers;
}

void status_sample(struct control *c, uint64_t now_us)
{
    struct worker_stats w[NODE_WORKERS] = {0};
    unsigned n = all_stats(c, w);

    c->before = c->sample;
    c->sample.at_us = now_us;
    c->sample.requests = stats_sum(w, n, "http_requests_total");
    c->sample.queries = stats_sum(w, n, "dns_queries_total");
    for (unsigned i = 0; i < n; i++) {
        c->sample.busy[i] = counter_read(&w[i].worker->worker_busy_cycles_total);
        c->sample.cycles[i] = counter_read(&w[i].worker->worker_cycles_total);
    }
}

static double rate(const struct control *c, uint64_t now, uint64_t before)
{
    uint64_t us = c->sample.at_us - c->before.at_us;
    return c->before.at_us && us ? (double)(now - before) * 1e6 / (double)us : 0;
}

static json_t *ports_json(const struct control *c)
{
    json_t *all = json_array();
    char ip[ADDR_TEXT], text[ADDR_TEXT + 8];

    for (unsigned i = 0; i < c->config->ports; i++) {
        const struct port *p = node_port(c->node, i);
        json_t *addresses = json_array();
        if (!p) {
            json_decref(addresses);
            continue;
        }
        for (unsigned j = 0; j < p->config.addresses; j++) {
            snprintf(text, sizeof(text), "%s/%u", addr_text(&p->config.address[j].ip, ip),
                     p->config.address[j].prefix);
            json_array_append_new(addresses, json_string(text));
        }
        snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", p->mac[0], p->mac[1],
                 p->mac[2], p->mac[3], p->mac[4], p->mac[5]);
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:i, s:b, s:b, s:b, s:i, s:s, s:s, s:o}", "device",
                           p->config.device, "driver", port_driver_text(p->driver), "queues",
                           p->rx_queues, "rx_checksum", p->rx_checksum, "tx_checksum",
                           p->tx_checksum, "multi_seg", p->multi_seg, "mtu", p->mtu, "mac", text,
                           "note", p->note, "addresses", addresses));
    }
    return all;
}

static json_t *workers_json(const struct control *c)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < c->workers; i++) {
        json_t *o = json_pack("{s:i}", "worker", (int)i);
        uint64_t busy = c->sample.busy[i] - c->before.busy[i];
        uint64_t cycles = c->sample.cycles[i] - c->before.cycles[i];
        double us = (double)(c->sample.at_us - c->before.at_us);
        /* of the time that passed, asleep or not; cycles are the TSC's */
        if (c->before.at_us && us > 0 && cycles)
            json_object_set_new(o, "busy",
                                json_real((double)busy * 1e6 / us / (double)rte_get_tsc_hz()));
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *http_json(const struct control *c, const struct worker_stats *w, unsigned n)
{
    struct hist *latency = calloc(1, sizeof(*latency));
    json_int_t p50 = 0, p99 = 0;

    if (latency) {
        for (unsigned i = 0; i < n; i++)
            if (w[i].latency)
                hist_merge(latency, w[i].latency);
        p50 = (json_int_t)hist_quantile(latency, 0.5);
        p99 = (json_int_t)hist_quantile(latency, 0.99);
        free(latency);
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I}", "requests",
                     (json_int_t)stats_sum(w, n, "proxy_requests_total"), "own",
                     (json_int_t)stats_sum(w, n, "proxy_hits_total"), "peer",
                     (json_int_t)stats_sum(w, n, "proxy_from_peer_total"), "origin",
                     (json_int_t)stats_sum(w, n, "proxy_from_origin_total"), "peer_requests",
                     (json_int_t)stats_sum(w, n, "proxy_peer_requests_total"), "origin_requests",
                     (json_int_t)stats_sum(w, n, "proxy_origin_requests_total"), "rate",
                     rate(c, c->sample.requests, c->before.requests), "p50_us", p50, "p99_us", p99,
                     "connections", (json_int_t)stats_sum(w, n, "http_connections"), "bytes",
                     (json_int_t)stats_sum(w, n, "proxy_client_bytes_total"));
}

/* Workers see by themselves: of their levels the worst. */
static json_t *shed_json(const struct worker_stats *w, unsigned n)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "level",
                     (json_int_t)stats_most(w, n, "proxy_shed_level"), "fetches",
                     (json_int_t)stats_sum(w, n, "proxy_shed_fetches_total"), "waits",
                     (json_int_t)stats_sum(w, n, "proxy_shed_waits_total"), "hits",
                     (json_int_t)stats_sum(w, n, "proxy_shed_hits_total"));
}

static json_t *index_json(const struct control *c)
{
    const struct dht_routes *r = c->view->routes;
    char id[2 * DHT_ID_BYTES + 1], at[ENDPOINT_TEXT];
    json_t *members = json_array();
    int alive = 0;

    for (uint32_t i = 0; i < r->n; i++) {
        const struct dht_route *m = &r->route[i];
        const struct dht_contact *node = dht_route_contact(r, i);
        alive += m->alive;
        json_array_append_new(members,
                              json_pack("{s:s, s:s, s:b, s:I}", "id", dht_id_text(&node->id, id),
                                        "address", endpoint_text(&node->rpc, at), "alive", m->alive,
                                        "rtt_us", (json_int_t)m->rtt_us));
    }
    return json_pack("{s:s, s:s, s:i, s:i, s:o}", "id", dht_id_text(&c->self.id, id), "address",
                     endpoint_text(&c->self.rpc, at), "nodes", (int)r->n, "alive", alive, "members",
                     members);
}

static json_t *fills_json(const struct job *job)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < NODE_WORKERS; i++) {
        const struct node_fills *fills = job_lent(job, i);
        for (unsigned k = 0; fills && k < fills->n; k++) {
            const struct proxy_fill_info *f = &fills->fill[k];
            json_array_append_new(all,
                                  json_pack("{s:s%, s:s%, s:I, s:I}", "url", f->url,
                                            strnlen(f->url, sizeof(f->url)), "source", f->source,
                                            strnlen(f->source, sizeof(f->source)), "bytes",
                                            (json_int_t)f->bytes, "length", (json_int_t)f->length));
        }
    }
    return all;
}

const char *status_state(const struct control *c)
{
    return c->drained ? "drained" : c->draining ? "draining" : "serving";
}

uint64_t status_half_open(const struct control *c)
{
    struct worker_stats w[NODE_WORKERS] = {0};
    return stats_sum(w, all_stats(c, w), "tcp_half_open");
}

json_t *status_drain_json(const struct control *c)
{
    struct worker_stats w[NODE_WORKERS] = {0};
    unsigned n = all_stats(c, w);
    uint64_t now_us = control_now().mono_us;
    json_int_t left_us =
        c->drained || now_us >= c->drain_until_us ? 0 : (json_int_t)(c->drain_until_us - now_us);

    return json_pack("{s:b, s:s, s:I, s:I, s:I, s:I}", "ok", 1, "state", status_state(c),
                     "connections",
                     c->drained ? (json_int_t)0 : (json_int_t)node_connections(c->node), "requests",
                     c->drained ? (json_int_t)0 : (json_int_t)stats_sum(w, n, "proxy_requests"),
                     "left_us", left_us, "cut", (json_int_t)c->drain_cut);
}

json_t *status_json(const struct control *c, const struct job *job)
{
    struct worker_stats w[NODE_WORKERS] = {0};
    unsigned n = all_stats(c, w);
    const struct dns_zone *zone = c->view->zone;
    uint64_t now_us = control_now().mono_us;

    json_t *o =
        json_pack("{s:b, s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "ok", 1,
                  "name", c->config->name, "version", CORAL_VERSION, "revision", CORAL_REVISION,
                  "dpdk", rte_version() + (strncmp(rte_version(), "DPDK ", 5) == 0 ? 5 : 0),
                  "uptime_s", (json_int_t)((now_us - c->started_us) / 1000000), "state",
                  status_state(c), "hugepages", c->hugepages, "packet_hugepages",
                  port_eal_hugepages(), "ports", ports_json(c), "workers", workers_json(c), "http",
                  http_json(c, w, n), "index", index_json(c), "fills", fills_json(job));
    json_object_set_new(
        o, "cache",
        json_pack("{s:I, s:I, s:I}", "bytes", (json_int_t)stats_sum(w, n, "cache_budget_bytes"),
                  "used",
                  (json_int_t)(stats_sum(w, n, "cache_chunks_used") * CACHE_CHUNK_BYTES +
                               stats_sum(w, n, "cache_heap_bytes")),
                  "objects", (json_int_t)stats_sum(w, n, "cache_objects")));
    json_object_set_new(o, "shed", shed_json(w, n));
    json_t *restart = restart_json(c);
    if (restart)
        json_object_set_new(o, "restart", restart);
    json_t *log = access_json(c->access, stats_sum(w, n, "worker_access_dropped_total"));
    if (log)
        json_object_set_new(o, "log", log);
    json_object_set_new(o, "surroundings", hints_json(c));
    json_object_set_new(o, "origins", origins_sums_json(c, w));
    json_object_set_new(o, "rules", control_rules_json(c));
    json_object_set_new(o, "config", control_reload_json(c));
    if (zone)
        json_object_set_new(o, "dns",
                            json_pack("{s:s, s:I, s:f, s:i, s:I}", "zone", c->config->zone,
                                      "queries", (json_int_t)stats_sum(w, n, "dns_queries_total"),
                                      "rate", rate(c, c->sample.queries, c->before.queries),
                                      "members", (int)zone->members, "serial",
                                      (json_int_t)zone->serial));
    return o;
}
