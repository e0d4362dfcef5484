/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is around us in the network: soon after the start, a few times while the cluster forms, and
 * then every hour, the first hops towards a few other nodes are traced; the routers that they show
 * go into the table of hints. A worker sends the probes, what it hears comes back as events.
 */
#include <sys/random.h>

#include "control/control.h"
#include "control/log.h"

#define FIRST_US    5000000u      /* others are known by then */
#define SECOND_US   60000000u     /* from the first round to the second; doubled each time, up to */
#define ROUND_US    3600000000ull /* the time between any two */
#define TARGETS     4
#define WORKER      0 /* who sends, as with pings */
#define TARGET_TEXT (DHT_TRACE_ROUTERS * (ADDR_TEXT + 4))

static void probe(void *ctx, const struct addr *to, uint8_t ttl, uint16_t token)
{
    struct message m = {.type = NODE_PROBE, .from = 0xffff};
    const struct node_probe p = {*to, token, ttl};

    static_assert(sizeof(p) <= MESSAGE_BODY, "a probe fits a message");
    memcpy(m.body, &p, sizeof(p));
    control_command(ctx, WORKER, &m); /* one that finds no room is as good as lost */
}

static void log_result(const struct dht_trace_result *r)
{
    char target[ADDR_TEXT], ip[ADDR_TEXT], routers[TARGET_TEXT] = "";
    size_t at = 0;

    for (unsigned i = 0; i < r->n; i++)
        at += (size_t)snprintf(routers + at, sizeof(routers) - at, "%s%u:%s", i ? "," : "",
                               r->router[i].hop, addr_text(&r->router[i].ip, ip));
    log_debug("surroundings traced target=%s reached=%d routers=%s", addr_text(&r->target, target),
              r->reached, routers);
}

static void traced(void *ctx, const struct dht_trace_result *r, struct now now)
{
    struct control *c = ctx;

    if (!r->near) {
        near_traced(c, r, now);
        return;
    }
    log_result(r);
    for (unsigned i = 0; i < r->n; i++)
        dht_hints_router(&c->hints, &r->router[i].ip, r->router[i].hop, now);
}

bool hints_start(struct control *c, const struct node_config *plan, struct now now)
{
    const struct dht_trace_host host = {c, probe, traced};
    struct dht_trace_config trace = dht_trace_config_default();
    struct dht_hint_config hint = dht_hint_config_default();
    struct addr own[DHT_HINT_OWN];
    uint8_t seed[2][32] = {{0}};
    unsigned n = 0;

    if (!c->config->hints)
        return true;
    /* where nodes have private addresses, their routers' are of use to each other */
    trace.special = hint.special = addr_is_special(&plan->self.rpc.ip);
    trace.probes_per_s = (uint32_t)c->config->probe_rate;
    for (unsigned i = 0; i < plan->ports; i++)
        for (unsigned k = 0; k < plan->port[i].addresses && n < DHT_HINT_OWN; k++)
            own[n++] = plan->port[i].address[k].ip;
    /* jitter and first tokens: nothing hangs on these being random */
    if (getrandom(seed, sizeof(seed), 0) < 0)
        memcpy(seed, plan->seed, sizeof(plan->seed));
    dht_hints_init(&c->hints, &hint, own, n, seed[0], now);
    c->hints_round_us = now.mono_us + FIRST_US;
    c->hints_wait_us = SECOND_US;
    c->trace = dht_trace_create(&trace, &host, seed[1], now);
    return c->trace != NULL;
}

void hints_stop(struct control *c)
{
    dht_trace_destroy(c->trace);
    c->trace = NULL;
}

/* --- rounds -------------------------------------------------------------------------------- */

struct targets {
    unsigned n;
    struct addr ip[TARGETS];
};

/* On a link of ours there is no router before it. */
static bool is_on_link(const struct control *c, const struct addr *ip)
{
    for (unsigned i = 0; i < c->config->ports; i++)
        for (unsigned k = 0; k < c->config->port[i].address.n; k++) {
            const struct config_prefix *p = &c->config->port[i].address.item[k];
            if (addr_in_prefix(ip, &p->ip, p->bits))
                return true;
        }
    return false;
}

/* One of a prefix: the others' paths are the same. */
static void target_add(const struct control *c, struct targets *t, const struct addr *ip)
{
    const struct addr prefix = dht_hint_prefix(ip);

    if (t->n == TARGETS || addr_is_zero(ip) || is_on_link(c, ip))
        return;
    for (unsigned i = 0; i < t->n; i++) {
        const struct addr other = dht_hint_prefix(&t->ip[i]);
        if (addr_eq(&other, &prefix))
            return;
    }
    t->ip[t->n++] = *ip;
}

/* Others that live, in the order of the table, which is as good as random; then whom we asked at
 * the start. */
static void round_start(struct control *c, struct now now)
{
    const struct dht_routes *r = c->view->routes;
    struct targets t = {0};

    for (uint32_t i = 0; i < r->n; i++) {
        if (!r->route[i].alive)
            continue;
        const struct dht_contact *node = dht_route_contact(r, i);
        target_add(c, &t, &node->rpc.ip);
        target_add(c, &t, &node->v4);
        target_add(c, &t, &node->v6);
    }
    for (unsigned i = 0; i < c->config->join.n; i++)
        target_add(c, &t, &c->config->join.item[i].ip);
    for (unsigned i = 0; i < t.n; i++)
        dht_trace_near(c->trace, &t.ip[i], now);
    c->hints_round_us = now.mono_us + c->hints_wait_us;
    if (t.n)
        c->hints_wait_us = c->hints_wait_us < ROUND_US / 2 ? c->hints_wait_us * 2 : ROUND_US;
}

/* A worker puts; what comes of it is not told, as half its TTL later it is put again. */
static void put_due(struct control *c, struct now now)
{
    struct node_put p;

    static_assert(sizeof(p) <= MESSAGE_BODY, "a put fits a message");
    while (dht_hints_due(&c->hints, &p.key, &p.ttl_ms, now)) {
        struct message m = {.type = NODE_PUT, .from = 0xffff};
        memcpy(m.body, &p, sizeof(p));
        if (!control_command(c, WORKER, &m))
            dht_hints_failed(&c->hints, &p.key, now);
    }
}

void hints_poll(struct control *c, struct now now)
{
    if (!c->trace)
        return;
    if (!c->draining) /* a node that leaves wants no visitors */
        put_due(c, now);
    if (now.mono_us >= c->hints_round_us)
        round_start(c, now);
    dht_trace_poll(c->trace, now);
}

uint64_t hints_deadline_us(const struct control *c)
{
    if (!c->trace)
        return UINT64_MAX;
    uint64_t at = dht_trace_deadline_us(c->trace);
    uint64_t due = c->draining ? UINT64_MAX : dht_hints_deadline_us(&c->hints);
    at = due < at ? due : at;
    return c->hints_round_us < at ? c->hints_round_us : at;
}

void hints_probed(struct control *c, const struct node_event *e)
{
    if (!c->trace)
        return;
    if (e->probed.reached)
        dht_trace_port_unreachable(c->trace, e->probed.token);
    else
        dht_trace_time_exceeded(c->trace, e->probed.token, &e->probed.from, e->probed.rtt_us);
}

json_t *hints_json(const struct control *c)
{
    json_t *all = json_array();
    char ip[ADDR_TEXT];

    for (unsigned i = 0; i < c->hints.n; i++) {
        const struct dht_hint *h = &c->hints.hint[i];
        if (h->kind == DHT_HINT_ROUTER)
            json_array_append_new(
                all, json_pack("{s:s, s:i}", "router", addr_text(&h->of, ip), "hop", (int)h->hop));
    }
    return all;
}
