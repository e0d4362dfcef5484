/* SPDX-License-Identifier: BSD-3-Clause */
/* The view: a new root for each change, sharing the parts that did not change. */
#include <stdlib.h>

#include "control/control.h"
#include "control/log.h"

struct view *control_view_first(const struct config *config, struct proxy_policy *policy,
                                struct dht_routes *routes, uint32_t serial)
{
    struct view *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->version = 1;
    v->policy = policy;
    v->routes = routes;
    v->zone = view_zone(config, routes, true, serial);
    return v;
}

static void retire_by(struct control *c, uint64_t token, const void *part, void (*give)(void *))
{
    if (part)
        c->retired[c->retirements++] = (struct retired){token, (void *)(uintptr_t)part, give};
}

static void retire(struct control *c, uint64_t token, const void *part)
{
    retire_by(c, token, part, free);
}

void control_reclaim(struct control *c)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < c->retirements; i++) {
        if (node_view_done(c->node, c->retired[i].token))
            c->retired[i].free(c->retired[i].part);
        else
            c->retired[kept++] = c->retired[i];
    }
    c->retirements = kept;
}

static void log_member(void *ctx, const struct dht_contact *node, uint32_t rtt_us, bool live)
{
    char at[ENDPOINT_TEXT], id[2 * DHT_ID_BYTES + 1];

    (void)ctx;
    if (live)
        log_info("node alive id=%.8s address=%s rtt_us=%u", dht_id_text(&node->id, id),
                 endpoint_text(&node->rpc, at), rtt_us);
    else
        log_warning("node lost, no longer named in DNS id=%.8s address=%s",
                    dht_id_text(&node->id, id), endpoint_text(&node->rpc, at));
}

/* What is to be answered from now on: the same one, if nothing has changed. */
static const struct dns_zone *zone_next(struct control *c, const struct dht_routes *routes)
{
    struct dns_zone *zone = view_zone(c->config, routes, !c->draining, c->zone_serial + 1);
    if (!zone || view_zone_same(zone, c->view->zone)) {
        free(zone);
        return c->view->zone;
    }
    c->zone_serial++;
    return zone;
}

void control_publish(struct control *c)
{
    const struct view *old = c->view;

    /* a root, its zone and its routes are retired at most; when that cannot be noted the change
     * waits, and with it the next ones */
    if (c->retirements + 3 > CONTROL_RETIRED)
        return;
    struct dht_routes *routes = dht_member_routes(c->member);
    struct view *v = malloc(sizeof(*v));
    if (!routes || !v) {
        free(routes);
        free(v);
        return;
    }
    if (c->draining)
        routes->self.services = 0; /* who asks us is told that we serve nobody */
    *v = *old;
    v->version++;
    v->routes = routes;
    v->zone = zone_next(c, routes);
    view_routes_diff(old->routes, routes, log_member, NULL);
    c->view = v;
    uint64_t token = node_view_publish(c->node, v);
    retire(c, token, old->routes);
    if (v->zone != old->zone)
        retire(c, token, old->zone);
    retire(c, token, old);
}

bool control_publish_shares(struct control *c, struct proxy_shares *shares)
{
    const struct view *old = c->view;
    struct view *v = malloc(sizeof(*v));

    if (!v || c->retirements + 2 > CONTROL_RETIRED) {
        free(v);
        return false;
    }
    *v = *old;
    v->version++;
    v->shares = shares;
    c->view = v;
    uint64_t token = node_view_publish(c->node, v);
    retire(c, token, old->shares);
    retire(c, token, old);
    return true;
}

static void rules_give(void *set)
{
    rules_free(set);
}

bool control_publish_rules(struct control *c, struct rules_set *set, uint64_t *token)
{
    const struct view *old = c->view;
    struct proxy_policy *policy = malloc(sizeof(*policy));
    struct view *v = malloc(sizeof(*v));

    if (!policy || !v || c->retirements + 3 > CONTROL_RETIRED) {
        free(policy);
        free(v);
        return false;
    }
    *policy = *old->policy; /* sites and deny list go on */
    policy->rules = set;
    *v = *old;
    v->version++;
    v->policy = policy;
    c->view = v;
    *token = node_view_publish(c->node, v);
    retire_by(c, *token, old->policy->rules, rules_give);
    retire(c, *token, old->policy);
    retire(c, *token, old);
    return true;
}

static void policy_give(void *policy)
{
    view_policy_free(policy);
}

static void policy_give_but_rules(void *policy)
{
    view_policy_free_but_rules(policy);
}

bool control_publish_policy(struct control *c, struct proxy_policy *policy, uint64_t *token)
{
    const struct view *old = c->view;
    bool same_rules = policy->rules == old->policy->rules;

    if (c->retirements + 3 > CONTROL_RETIRED)
        return false;
    struct view *v = malloc(sizeof(*v));
    if (!v)
        return false;
    *v = *old;
    v->version++;
    v->policy = policy;
    v->zone = zone_next(c, old->routes);
    c->view = v;
    *token = node_view_publish(c->node, v);
    retire_by(c, *token, old->policy, same_rules ? policy_give_but_rules : policy_give);
    if (v->zone != old->zone)
        retire(c, *token, old->zone);
    retire(c, *token, old);
    return true;
}
