/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/near.h"

#include "control/control.h"
#include "dht/closer.h"
#include "dht/id.h"
#include "dht/nodes.h"

#define KEPT_US   3600000000ull /* as long as hints live */
#define NOBODY_US 300000000u    /* where nobody was found: somebody may come */
#define AGAIN_US  20000u        /* until a lookup that found no place is tried again */
#define MEMBERS   8             /* of a cluster, where no hint names anybody */
#define LOOKUP_BY 0             /* the worker that asks */

/* --- what is kept -------------------------------------------------------------------------- */

static const struct near_found *kept_find(const struct near *n, const struct addr *prefix,
                                          struct now now)
{
    for (unsigned i = 0; i < NEAR_KEPT; i++)
        if (addr_eq(&n->kept[i].prefix, prefix) && n->kept[i].until_us > now.mono_us)
            return &n->kept[i];
    return NULL;
}

/* In the place of the one that ends first; of its own prefix there is none that lasts. */
static const struct near_found *keep(struct near *n, const struct near_found *found)
{
    struct near_found *first = &n->kept[0];
    for (unsigned i = 1; i < NEAR_KEPT; i++)
        if (n->kept[i].until_us < first->until_us)
            first = &n->kept[i];
    *first = *found;
    return first;
}

/* --- a search ------------------------------------------------------------------------------ */

static struct near_search *search_find(struct near *n, enum near_state state,
                                       const struct addr *prefix)
{
    for (unsigned i = 0; i < NEAR_SEARCHES; i++)
        if (n->search[i].state == state && (!prefix || addr_eq(&n->search[i].prefix, prefix)))
            return &n->search[i];
    return NULL;
}

static bool is_running(const struct near *n, const struct addr *prefix)
{
    for (unsigned i = 0; i < NEAR_SEARCHES; i++)
        if (n->search[i].state != NEAR_FREE && addr_eq(&n->search[i].prefix, prefix))
            return true;
    return false;
}

/* Are we to be found under this key ourselves? The index does not tell us so. */
static bool is_ours(const struct control *c, const struct dht_id *key)
{
    for (unsigned i = 0; i < c->hints.n; i++)
        if (id_eq(&c->hints.hint[i].key, key))
            return true;
    return false;
}

/* What a key of the trace stands for. */
static void name_hint(const struct dht_trace_result *t, const struct dht_id *key,
                      struct near_found *out)
{
    struct dht_id is = dht_hint_prefix_key(&t->target);
    out->hint_kind = DHT_HINT_PREFIX;
    out->hint_of = dht_hint_prefix(&t->target);
    for (unsigned i = t->n; i-- > 0 && !id_eq(&is, key);) {
        is = dht_hint_router_key(&t->router[i].ip);
        out->hint_kind = DHT_HINT_ROUTER;
        out->hint_of = t->router[i].ip;
        if (id_eq(&is, key))
            return;
        is = dht_hint_prefix_key(&t->router[i].ip);
        out->hint_kind = DHT_HINT_PREFIX;
        out->hint_of = dht_hint_prefix(&t->router[i].ip);
    }
}

static void search_end(struct control *c, struct near_search *s, struct near_found *found,
                       struct now now)
{
    found->prefix = s->prefix;
    found->until_us = now.mono_us + (found->n || found->self ? KEPT_US : NOBODY_US);
    s->state = NEAR_FREE;
    control_near_done(c, keep(&c->near, found));
}

/* Has a worker look up the next key; when there is no place for that now it is tried again. */
static void search_step(struct control *c, struct near_search *s, struct now now)
{
    struct near_found nobody = {.n = 0};
    if (s->next == s->keys)
        search_end(c, s, &nobody, now);
    else
        s->state = control_lookup(c, LOOKUP_BY, &s->key[s->next], s) ? NEAR_LOOKS : NEAR_WANTS;
}

static void search_trace(struct control *c, struct near_search *s,
                         const struct dht_trace_result *trace, struct now now)
{
    s->trace = *trace;
    s->keys = dht_hint_lookup(trace, c->hints.config.special, s->key);
    s->next = 0;
    search_step(c, s, now);
}

enum near_answer near_find(struct control *c, const struct addr *target,
                           const struct near_found **out, struct now now)
{
    const struct addr prefix = dht_hint_prefix(target);
    const struct dht_trace_result *trace = NULL;

    *out = c->trace ? kept_find(&c->near, &prefix, now) : NULL;
    if (*out)
        return NEAR_KNOWN;
    if (c->trace && is_running(&c->near, &prefix))
        return NEAR_WAITING;
    struct near_search *s = search_find(&c->near, NEAR_FREE, NULL);
    if (!c->trace || !s)
        return NEAR_REFUSED;
    enum dht_trace_answer a = dht_trace_towards(c->trace, target, &trace, now);
    if (a == DHT_TRACE_REFUSED)
        return NEAR_REFUSED;
    *s = (struct near_search){.state = NEAR_TRACES, .prefix = prefix};
    if (a == DHT_TRACE_KNOWN)
        search_trace(c, s, trace, now);
    return NEAR_WAITING;
}

void near_traced(struct control *c, const struct dht_trace_result *trace, struct now now)
{
    const struct addr prefix = dht_hint_prefix(&trace->target);
    struct near_search *s = search_find(&c->near, NEAR_TRACES, &prefix);
    if (s)
        search_trace(c, s, trace, now);
}

void near_looked_up(struct control *c, struct near_search *s, const struct node_lookup *lookup,
                    struct now now)
{
    const struct dht_result *r = &lookup->result;
    struct near_found found = {.self = is_ours(c, &lookup->key)};

    for (unsigned i = 0; r->end == DHT_FOUND && i < r->n; i++)
        found.node[found.n++] = r->value[i];
    s->next++;
    if (found.n || found.self) {
        name_hint(&s->trace, &lookup->key, &found);
        search_end(c, s, &found, now);
    } else {
        search_step(c, s, now);
    }
}

void near_poll(struct control *c)
{
    struct near_search *s;
    while ((s = search_find(&c->near, NEAR_WANTS, NULL)) != NULL) {
        search_step(c, s, control_now());
        if (s->state == NEAR_WANTS)
            return;
    }
}

uint64_t near_deadline_us(const struct control *c, uint64_t now_us)
{
    for (unsigned i = 0; i < NEAR_SEARCHES; i++)
        if (c->near.search[i].state == NEAR_WANTS)
            return now_us + AGAIN_US;
    return UINT64_MAX;
}

/* --- the answer ---------------------------------------------------------------------------- */

static json_t *node_json(const struct dht_id *id, const struct endpoint *http)
{
    char text[2 * DHT_ID_BYTES + 1], at[ENDPOINT_TEXT];
    return json_pack("{s:s, s:s}", "id", dht_id_text(id, text), "address", endpoint_text(http, at));
}

static void add_route(json_t *o, const struct dht_route *r)
{
    json_object_set_new(o, "rtt_us", json_integer(r->rtt_us));
    json_object_set_new(o, "live", json_boolean(r->live));
}

static struct endpoint http_of(const struct dht_contact *node)
{
    return (struct endpoint){addr_is_zero(&node->v4) ? node->v6 : node->v4, node->http_port};
}

static json_t *named_json(const struct control *c, const struct near_found *found)
{
    const struct dht_routes *r = c->view->routes;
    json_t *all = json_array();

    if (found->self) {
        const struct endpoint http = http_of(&c->self);
        json_t *o = node_json(&c->self.id, &http);
        json_object_set_new(o, "self", json_true());
        json_array_append_new(all, o);
    }
    for (unsigned i = 0; i < found->n; i++) {
        json_t *o = node_json(&found->node[i].node, &found->node[i].http);
        uint32_t at = routes_find(r, &found->node[i].node);
        if (at < r->n)
            add_route(o, &r->route[at]);
        json_array_append_new(all, o);
    }
    return all;
}

/* Members of the smallest of our clusters that has others. */
static json_t *members_json(const struct control *c, unsigned *level)
{
    const struct dht_routes *r = c->view->routes;
    json_t *all = json_array();
    uint32_t at[MEMBERS];
    unsigned n = 0;

    for (*level = (unsigned)c->config->levels; n == 0 && *level > 0;)
        n = dht_nodes(r, --*level, MEMBERS, DHT_SERVICE_HTTP, NULL, at);
    for (unsigned i = 0; i < n; i++) {
        const struct dht_contact *node = dht_route_contact(r, at[i]);
        const struct endpoint http = http_of(node);
        json_t *o = node_json(&node->id, &http);
        add_route(o, &r->route[at[i]]);
        json_array_append_new(all, o);
    }
    return all;
}

static json_t *prefix_text(const struct addr *prefix)
{
    char ip[ADDR_TEXT];
    return json_sprintf("%s/%u", addr_text(prefix, ip), addr_is_v4(prefix) ? 24 : 48);
}

json_t *near_json(const struct control *c, const struct addr *target,
                  const struct near_found *found)
{
    char ip[ADDR_TEXT];
    json_t *o = json_pack("{s:b, s:s}", "ok", 1, "address", addr_text(target, ip));

    if (found && (found->n || found->self)) {
        if (found->hint_kind == DHT_HINT_ROUTER)
            json_object_set_new(o, "router", json_string(addr_text(&found->hint_of, ip)));
        else
            json_object_set_new(o, "prefix", prefix_text(&found->hint_of));
        json_object_set_new(o, "nodes", named_json(c, found));
    } else {
        unsigned level;
        json_object_set_new(o, "nodes", members_json(c, &level));
        json_object_set_new(o, "level", json_integer(level));
    }
    return o;
}
