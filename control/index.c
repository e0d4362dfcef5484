/* SPDX-License-Identifier: BSD-3-Clause */
/* The index as coralctl shows it: the routing table, the clusters, a lookup hop by hop. */
#include <math.h>

#include "control/control.h"

uint64_t index_size(uint8_t size)
{
    return (uint64_t)llround(exp2(size / 8.0));
}

/* --- peers --------------------------------------------------------------------------------- */

/* 2, 1, 0: near ones first, as lookups go. */
static json_t *levels_json(unsigned levels)
{
    json_t *all = json_array();
    for (unsigned l = DHT_LEVELS; l-- > 0;)
        if (levels >> l & 1)
            json_array_append_new(all, json_integer(l));
    return all;
}

json_t *index_peers_json(const struct control *c)
{
    const struct dht_routes *r = c->view->routes;
    char id[2 * DHT_ID_BYTES + 1], at[ENDPOINT_TEXT];
    json_t *all = json_array();

    for (uint32_t i = 0; i < r->n; i++) {
        const struct dht_route *m = &r->route[i];
        const struct dht_contact *node = dht_route_contact(r, i);
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:o, s:I, s:b, s:b, s:i}", "id", dht_id_text(&node->id, id),
                           "address", endpoint_text(&node->rpc, at), "levels",
                           levels_json(m->levels), "rtt_us", (json_int_t)m->rtt_us, "alive",
                           m->alive, "live", m->live, "prefix_bits", (int)m->prefix));
    }
    return json_pack("{s:b, s:s, s:s, s:s, s:o}", "ok", 1, "name", c->config->name, "id",
                     dht_id_text(&c->self.id, id), "address", endpoint_text(&c->self.rpc, at),
                     "peers", all);
}

/* --- clusters ------------------------------------------------------------------------------ */

static json_t *cid_json(uint64_t cid)
{
    return json_sprintf("%016llx", (unsigned long long)cid);
}

static json_t *switch_json(const struct control_switch *s, uint64_t now_us)
{
    return json_pack("{s:o, s:o, s:s, s:I, s:I, s:i, s:i, s:I, s:i}", "from",
                     cid_json(s->why.from.cid), "to", cid_json(s->why.to.cid), "reason",
                     s->why.reason, "from_size", (json_int_t)index_size(s->why.from.size),
                     "to_size", (json_int_t)index_size(s->why.to.size), "share_percent",
                     (int)s->why.share_percent, "measured", (int)s->why.measured, "ago_s",
                     (json_int_t)((now_us - s->at_us) / 1000000), "switches", (int)s->n);
}

static json_t *cluster_json(const struct control *c, unsigned level, uint64_t now_us)
{
    const struct dht_routes *r = c->view->routes;
    const struct dht_level *l = &r->level[level];
    unsigned known = 0;

    for (uint32_t i = 0; i < r->n; i++)
        known += r->route[i].levels >> level & 1;
    /* the estimate is announced at intervals; those that we know are there for sure */
    uint64_t size = index_size(l->is.size);
    size = size > known ? size : known + 1;
    json_t *o = json_pack("{s:i, s:o, s:I, s:i}", "level", (int)level, "cluster",
                          cid_json(l->is.cid), "size", (json_int_t)size, "known", (int)known);
    if (level == 0)
        return o;
    json_object_set_new(o, "age_s", json_integer((json_int_t)l->is.age_s));
    json_object_set_new(o, "threshold_us",
                        json_integer((json_int_t)c->config->rtt_ms[level] * 1000));
    if (l->previous)
        json_object_set_new(o, "previous", cid_json(l->previous));
    if (c->switched[level].n)
        json_object_set_new(o, "last_switch", switch_json(&c->switched[level], now_us));
    return o;
}

json_t *index_clusters_json(const struct control *c)
{
    uint64_t now_us = control_now().mono_us;
    json_t *all = json_array();

    for (unsigned l = (unsigned)c->config->levels; l-- > 0;)
        json_array_append_new(all, cluster_json(c, l, now_us));
    return json_pack("{s:b, s:s, s:o}", "ok", 1, "name", c->config->name, "clusters", all);
}

/* --- lookups ------------------------------------------------------------------------------- */

static json_t *hops_json(const struct dht_path *path)
{
    static const char *const said[] = {[DHT_HOP_CLOSER] = "closer",
                                       [DHT_HOP_FOUND] = "found",
                                       [DHT_HOP_NOT_MEMBER] = "not a member",
                                       [DHT_HOP_TIMED_OUT] = "no answer",
                                       [DHT_HOP_RELAYED] = "heard through another"};
    char id[2 * DHT_ID_BYTES + 1], at[ENDPOINT_TEXT];
    json_t *all = json_array();

    for (unsigned i = 0; i < path->n; i++) {
        const struct dht_hop *h = &path->hop[i];
        json_array_append_new(all,
                              json_pack("{s:i, s:s, s:s, s:I, s:i, s:s}", "level", (int)h->level,
                                        "id", dht_id_text(&h->id, id), "address",
                                        endpoint_text(&h->rpc, at), "rtt_us", (json_int_t)h->rtt_us,
                                        "prefix_bits", (int)h->prefix, "said", said[h->end]));
    }
    return all;
}

json_t *index_lookup_json(const struct node_lookup *lookup)
{
    static const char *const ends[] = {
        [DHT_FOUND] = "found", [DHT_NOT_FOUND] = "not found", [DHT_FAILED] = "failed"};
    const struct dht_result *r = &lookup->result;
    char id[2 * DHT_ID_BYTES + 1], at[ENDPOINT_TEXT];
    json_t *values = json_array();

    for (unsigned i = 0; i < r->n; i++) {
        const struct dht_value *v = &r->value[i];
        json_array_append_new(
            values, json_pack("{s:s, s:s, s:I, s:I}", "node", dht_id_text(&v->node, id), "address",
                              endpoint_text(&v->http, at), "ttl_us", (json_int_t)v->ttl_ms * 1000,
                              "age_us", (json_int_t)v->age_ms * 1000));
    }
    json_t *o = json_pack("{s:b, s:s, s:s, s:i, s:i, s:o, s:o}", "ok", 1, "key",
                          dht_id_text(&lookup->key, id), "end", ends[r->end], "asks", (int)r->asks,
                          "hops", (int)r->hops, "path", hops_json(&lookup->path), "values", values);
    if (r->end == DHT_FOUND)
        json_object_set_new(o, "level", json_integer((json_int_t)r->level));
    return o;
}
